import { expect, it } from 'vitest';
import { SimClock } from './sim-clock.ts';
import { SimProcess } from './sim-process.ts';

function world() {
  const clock = new SimClock();
  const done: string[] = [];
  const port = {
    async work(name: string): Promise<string> {
      await clock.sleep(10);
      done.push(name);
      return name;
    },
    async *items(): AsyncGenerator<number> {
      for (let i = 0; ; i++) {
        await clock.sleep(10);
        yield i;
      }
    },
  };
  const process = new SimProcess({ clock, onDeath: (at) => done.push(at === undefined ? 'died' : `died ${at}`) });
  const run = async (port: { work(name: string): Promise<string> }) => {
    for (const name of ['a', 'b', 'c']) done.push(`told ${await port.work(name)}`);
  };
  return { clock, done, port, process, run };
}

it('dies between two steps: what it began goes on without it, and it hears of nothing', async () => {
  const { clock, done, port, process, run } = world();
  void run(process.gate(port));
  await clock.advance(15);
  process.kill();
  await clock.advance(100);
  expect(done).toEqual(['a', 'told a', 'died', 'b']);
});

it.each([
  [1, ['died before work']],
  [2, ['a', 'died after work']],
  [3, ['a', 'told a', 'died before work']],
  [4, ['a', 'told a', 'b', 'died after work']],
])('dies at step %i', async (step, expected) => {
  const { clock, done, port, process, run } = world();
  process.dieAfter(step);
  void run(process.gate(port));
  await clock.advance(100);
  expect(done).toEqual(expected);
});

it('reads no more of a stream, and its timers are gone', async () => {
  const { clock, done, port, process } = world();
  const gated = process.gate(port);
  void (async () => {
    for await (const item of gated.items()) done.push(`item ${item}`);
  })();
  process.clock.setTimer(12, () => done.push('timer'));
  process.clock.setTimer(50, () => done.push('late timer'));
  await clock.advance(25);
  process.kill();
  process.clock.setTimer(1, () => done.push('timer of a dead'));
  await clock.advance(100);
  expect(done).toEqual(['item 0', 'timer', 'item 1', 'died']);
});

it('that goes round and round while no time passes is ended, and that is told', async () => {
  const clock = new SimClock();
  const told: string[] = [];
  const process = new SimProcess({
    clock,
    onDeath: () => told.push('died'),
    stepsAtOnce: 100,
    onStandstill: (at) => told.push(at),
  });
  const { look } = process.gate({ look: async () => {} });
  void (async () => {
    for (let i = 0; ; i++) {
      await look();
      if (i % 40 === 0) await clock.sleep(i > 400 ? 0 : 1);
    }
  })();
  await clock.advance(1000);
  expect(told).toEqual(['before look', 'died']);
});
