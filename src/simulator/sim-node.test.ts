import { expect } from 'vitest';
import type { FakeExecResult } from '../cri/fake-runtime-service.ts';
import { BEHAVIOURS, COMMANDS, runtimeServiceCases } from '../cri/runtime-service.case.ts';
import { SeededRandom } from '../lib/random.ts';
import type { ContainerScript } from './scenario.ts';
import { SimClock } from './sim-clock.ts';
import { SimNode } from './sim-node.ts';

const IMAGE = 'docker.io/library/busybox:latest';

const SCRIPTS: Record<
  string,
  ContainerScript & { output?: string; exec?: (command: readonly string[]) => FakeExecResult }
> = {
  runs: {
    stopExitCode: 5,
    exec: (command) => {
      if (command.join(' ') === COMMANDS.speaks.join(' ')) return { stdout: 'out\n', stderr: 'err\n', exitCode: 3 };
      if (command.join(' ') === COMMANDS.lasts.join(' ')) return { afterMs: 30_000 };
      return { error: `exec: "${command[0]}": stat ${command[0]}: no such file or directory: unknown` };
    },
  },
  stubborn: { ignoreSigterm: true },
  fails: { exitAfterMs: 100, exitCode: 7 },
  prints: { output: 'one\ntwo\n', exitAfterMs: 1 },
  missing: { startError: `exec: "${BEHAVIOURS.missing[0]}": no such file or directory: unknown` },
};

// What the cases demand of every runtime, at the pace of a real one: a simulated node answers only as its clock goes on.
runtimeServiceCases('SimNode', async () => {
  const clock = new SimClock();
  const node = new SimNode({
    name: 'node',
    ip: '192.0.2.1',
    clock,
    random: new SeededRandom(1),
    scenario: { durationMs: 0, images: { [IMAGE]: {} } },
    emit: () => {},
    behaviour: (container) => SCRIPTS[container] ?? {},
  });
  let going = true;
  const goOn = async (): Promise<void> => {
    while (going) await clock.advance(1);
  };
  void goOn();
  const passed = async (ms: number): Promise<void> => {
    const until = clock.monotonic() + ms;
    while (clock.monotonic() < until) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    runtime: node.runtime.runtime,
    images: node.runtime.images,
    image: IMAGE,
    cgroupParent: '/sim',
    logDirectory: '/var/log/pods',
    pass: passed,
    readLog: async (path) => node.runtime.logs.get(path) ?? '',
    restart: async () => {
      node.runtime.disconnect();
      await expect(node.runtime.runtime.version()).rejects.toMatchObject({ code: 'UNAVAILABLE', retriable: true });
      node.runtime.reconnect();
    },
    close: async () => {
      going = false;
    },
  };
});
