import { execFile } from 'node:child_process';
import { errnoOf, UserError } from './errors.ts';

/** nft and ip are in sbin, which a user's PATH may lack. */
const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`;
/** What nft and ip run with. */
export const NFT_ENV = { PATH, LC_ALL: 'C' };

/** Runs nft on a script, all of it or nothing. @returns what it prints @throws UserError with the command that mends it */
export type RunNft = (args: readonly string[], script?: string) => Promise<string>;

export const runNft: RunNft = async (args, script) => {
  try {
    return await runCommand('nft', args, script);
  } catch (error) {
    throw nftError(error);
  }
};

/** Whether nft says that the table (or set, or element) is not there. */
export function isMissing(error: unknown): boolean {
  return /No such file or directory/.test((error as Error).message) && errnoOf(error) !== 'ENOENT';
}

/** @throws Error with what the command wrote to stderr, or with code ENOENT or EACCES when there is no such program */
export function runCommand(command: string, args: readonly string[], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, [...args], { env: NFT_ENV, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EACCES') return reject(error);
      reject(new Error(stderr.trim() || error.message, { cause: error }));
    });
    // A command that is missing or fails early does not read its input; the callback above says why.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input ?? '');
  });
}

function nftError(error: unknown): unknown {
  if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EACCES') {
    return new UserError('nft is not installed; the pod network needs it', {
      hint: 'apt-get install nftables',
      cause: error,
    });
  }
  const text = (error as Error).message;
  if (/Operation not permitted|you must be root/.test(text)) {
    return new UserError(`not allowed to change nftables: ${firstLine(text)}`, {
      hint: 'run it as root with CAP_NET_ADMIN (in a container: --cap-add NET_ADMIN)',
      cause: error,
    });
  }
  if (/Protocol not supported|Operation not supported|cache initialization failed/.test(text)) {
    return new UserError(`the kernel lacks a part of nftables: ${firstLine(text)}`, {
      hint: 'modprobe -a nf_tables nft_chain_nat nft_masq nft_fib_ipv4',
      cause: error,
    });
  }
  return error;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!;
}
