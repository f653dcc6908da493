import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { NFT_ENV, type RunNft } from '../lib/nft.ts';

export interface NftSessionOptions {
  /** Runs nft once, for what is too long for the session, and where there is none. */
  readonly nft: RunNft;
  readonly clock: Clock;
  readonly logger: Logger;
}

type NftProcess = ChildProcessByStdio<Writable, null, Readable>;

/** Longer scripts take so long in the kernel that a process of their own does not matter. */
const MAX_LENGTH = 32 * 1024;
/** nft remembers every line for its history; a new process forgets them. */
const MAX_RUNS = 1000;
const ANSWER_TIMEOUT_MS = 5000;
/** After so long without a script nft ends: it holds 4 MB, and the next one costs 4 ms. */
const IDLE_MS = 5000;

/**
 * Runs nft scripts one at a time in an nft that stays for the next ones: it reads each as one line, which is one transaction, and answers
 * the word after it, which it does not know, with an error that names it. An nft for each script would cost 10 to 20 ms, most of it when
 * it ends: the kernel then waits for readers of the old rules before it lets the socket go.
 */
export class NftSession {
  private readonly options: NftSessionOptions;
  private process: NftProcess | undefined;
  private runs = 0;
  private serial = 0;
  private errors = '';
  private answer: { readonly word: string; resolve(text: string): void; reject(error: Error): void } | undefined;
  private isUsable = true;
  private idle: Timer | undefined;

  constructor(options: NftSessionOptions) {
    this.options = options;
  }

  /**
   * @param lines one command each; all of them happen or none
   * @throws Error with what nft says; UserError when there is no nft or no right to use it
   */
  async run(lines: readonly string[]): Promise<void> {
    const script = lines.join('; ');
    if (!this.isUsable || script.length > MAX_LENGTH) {
      await this.options.nft(['-f', '-'], lines.map((line) => `${line}\n`).join(''));
      return;
    }
    this.idle?.cancel();
    let said: string;
    try {
      said = await this.ask(script);
    } catch (error) {
      // It may have happened, or not, or be about to: only a script that looks at what there is can go on.
      this.close();
      throw error;
    }
    if (this.runs >= MAX_RUNS) this.close();
    else this.idle = this.options.clock.setTimer(IDLE_MS, () => this.close());
    if (said !== '') throw new Error(said);
  }

  /** Ends the process; another script starts another one. */
  close(): void {
    this.idle?.cancel();
    const { process } = this;
    this.process = undefined;
    process?.stdin.destroy();
    process?.kill();
  }

  /** @returns what nft complains about; '' when all is well */
  private ask(script: string): Promise<string> {
    this.process ??= this.start();
    const word = `answer-${++this.serial}`;
    this.errors = '';
    this.runs++;
    const { process } = this;
    return new Promise<string>((resolve, reject) => {
      const timer = this.options.clock.setTimer(ANSWER_TIMEOUT_MS, () => {
        this.settle((answer) => answer.reject(new Error(`nft does not answer within ${ANSWER_TIMEOUT_MS} ms`)));
      });
      this.answer = {
        word,
        resolve: (text) => {
          timer.cancel();
          resolve(text);
        },
        reject: (error) => {
          timer.cancel();
          reject(error);
        },
      };
      process!.stdin.write(`${script}\n${word}\n`);
    });
  }

  private start(): NftProcess {
    this.runs = 0;
    // Its history would be a file in the home directory.
    const child = spawn('nft', ['-i'], { stdio: ['pipe', 'ignore', 'pipe'], env: { ...NFT_ENV, HOME: '/dev/null' } });
    child.stdin.on('error', () => {}); // it ended; 'close' tells why
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (this.process === child) this.hear(text);
    });
    const ended = (why: string): void => {
      if (this.process !== child) return;
      this.process = undefined;
      this.settle((answer) => answer.reject(new Error(why)));
    };
    child.on('error', (error) => ended(messageOf(error)));
    child.on('close', (code, signal) => {
      if (this.process === child && this.runs <= 1) {
        this.isUsable = false;
        this.options.logger.warn(
          { code, signal, said: this.errors.trim() },
          'nft has no interactive mode; it is slower',
        );
      }
      ended(`nft ended: ${this.errors.trim() || signal || code}`);
    });
    return child;
  }

  private hear(text: string): void {
    this.errors += text;
    const at = this.answer ? this.errors.indexOf(`\n${this.answer.word}\n`) : -1;
    if (at < 0) return;
    // The line before is the complaint about the word itself.
    const before = this.errors.slice(0, at).split('\n').slice(0, -1).join('\n').trim();
    this.settle((answer) => answer.resolve(/\bError: /.test(before) ? before : ''));
  }

  private settle(how: (answer: NonNullable<NftSession['answer']>) => void): void {
    const { answer } = this;
    this.answer = undefined;
    if (answer) how(answer);
  }
}
