import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SeededRandom } from '../../src/lib/random.ts';
import { eventually } from './harness/eventually.ts';
import { PodLives, shimsOf } from './harness/pod-lives.ts';
import { useNode } from './harness/test-node.ts';

/** `make crash`: all of them. Otherwise as many as fit into a minute. */
const isFull = process.env.KUBELETTE_CRASHES === 'full';
const PODS = isFull ? 20 : 8;
const KILLS = isFull ? { agent: 200, containerd: 20, shim: 20 } : { agent: 10, containerd: 2, shim: 3 };
/** Where all chance comes from. Another process's timing is not in it, so a repeated run is alike, not the same. */
const seed = Number(process.env.KUBELETTE_CRASH_SEED ?? Math.floor(Math.random() * 1e6));
const MAY_BREAK = { agent: 'nothing', containerd: 'starts', shim: 'pods' } as const;
/**
 * After so many kills the agent is left alone for longer than the pods' grace period. A first process that is told to end before it
 * listens does not hear it; only an agent that sees the whole period through can kill it then. The kubelet is no different.
 */
const REST_AFTER = 25;
const REST_MS = 7000;
/** Of a test that is tried again, each has pods of its own: what the one before it left over does not count as doubled. */
let tries = 0;
const TIMEOUT_MS = isFull ? 1_200_000 : 120_000;

const node = useNode();
const host = mkdtempSync(join(tmpdir(), 'kubelette-e2e-crash-'));
afterAll(() => rmSync(host, { recursive: true, force: true }));
beforeAll(() => {
  console.log(`crashes: seed ${seed} (KUBELETTE_CRASH_SEED), ${PODS} pods, kill -9: ${JSON.stringify(KILLS)}`);
});

/** Runs pods while `kill` is done to them again and again, and has everything checked. */
async function during(
  what: keyof typeof KILLS,
  longestPauseMs: number,
  kill: (random: SeededRandom) => Promise<void>,
): Promise<void> {
  const random = new SeededRandom(seed + what.length);
  const lives = new PodLives({
    node: node.current,
    prefix: `${what}-${tries++}`,
    host: mkdtempSync(join(host, `${what}-`)),
    random,
    mayBreak: MAY_BREAK[what],
  });
  const running = lives.run(PODS);
  const moments = new SeededRandom(seed);
  try {
    for (let i = 0; i < KILLS[what]; i++) {
      await delay(moments.float() * longestPauseMs);
      lives.noteKill();
      await kill(moments);
    }
  } finally {
    lives.finish();
    await running;
  }
  console.log(`crashes: ${KILLS[what]} times kill -9 of ${what} during ${lives.ended} lives of pods, seed ${seed}`);
  try {
    expect(lives.violations).toEqual([]);
    // What containerd has lost track of is swept up within some tens of seconds.
    // As text, so that a first try that failed says what was left.
    await eventually(async () => expect((await lives.leftovers()).join(', ')).toBe(''), 40_000, 500);
  } catch (error) {
    console.log(tailOfLog());
    throw error;
  }
}

/** The latest warnings and errors of the agent. */
function tailOfLog(): string {
  const lines = readFileSync(node.current.layout.agentLog, 'utf8').split('\n');
  return lines
    .filter((line) => !line.includes('"level":30'))
    .slice(-40)
    .join('\n');
}

/** kill -9, and wait until it is gone. */
async function kill9(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await eventually(() => {
    let state = 'Z';
    try {
      state = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]![0]!;
    } catch {}
    expect(state).toBe('Z');
  });
}

function containerdPid(): number {
  return Number.parseInt(readFileSync(node.current.layout.containerd.pidFile, 'utf8'), 10);
}

/** Whether somebody listens. */
function answersOn(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(socket, () => {
      connection.destroy();
      resolve(true);
    }).on('error', () => resolve(false));
  });
}

describe('kill -9 at random moments of many lives', { retry: isFull ? 0 : 1 }, () => {
  test('of the agent: nothing is killed, doubled or left; what was shown and acknowledged stands', {
    timeout: TIMEOUT_MS,
  }, async () => {
    let kills = 0;
    await during('agent', 1500, async (random) => {
      await kill9(node.current.agentPid);
      await delay(random.float() < 0.5 ? 0 : random.float() * 1000);
      await node.current.up();
      if (++kills % REST_AFTER === 0) await delay(REST_MS);
    });
  });

  test('of containerd: the same', { timeout: TIMEOUT_MS }, async () => {
    // One that dies soon after its start is started again ever later; so most of them get to work in between.
    await during('containerd', isFull ? 16_000 : 5000, async () => {
      const pid = containerdPid();
      await kill9(pid);
      // Its socket may answer a moment longer than its first thread lives.
      await eventually(() => expect(containerdPid()).not.toBe(pid), 30_000, 100);
      await eventually(() => expect(answersOn(node.current.layout.containerd.socket)).resolves.toBe(true), 30_000, 100);
    });
  });

  test('of shims: their pods come back, and are never doubled', { timeout: TIMEOUT_MS }, async () => {
    await during('shim', 3000, async (random) => {
      const pids = shimsOf(node.current.layout);
      const pid = pids[Math.floor(random.float() * pids.length)];
      if (pid !== undefined) await kill9(pid);
    });
  });
});
