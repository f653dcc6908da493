import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { expect, it } from 'vitest';
import { SystemClock } from '../../lib/clock.ts';
import { splice } from './splice.ts';

const clock = new SystemClock();

/** An end of a connection that ends wholly when its peer does, as sockets do. @param takesMs how long it takes to write */
class End extends Duplex {
  readonly received: string[] = [];
  private readonly takesMs: number;

  constructor(takesMs: number) {
    super({ allowHalfOpen: false });
    this.takesMs = takesMs;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    clock.setTimer(this.takesMs, () => {
      this.received.push(chunk.toString());
      done();
    });
  }
}

it('brings a slow reader all that was sent before the other end ended, and then the end', async () => {
  const [reader, sender] = [new End(20), new End(0)];
  splice(reader, sender);
  for (const text of ['a', 'b', 'c']) sender.push(text);
  sender.push(null);
  await once(sender, 'close');
  await once(reader, 'finish');
  expect(reader.received).toEqual(['a', 'b', 'c']);
});

it('ends both when one breaks off', async () => {
  const [reader, sender] = [new End(20), new End(0)];
  splice(reader, sender);
  sender.destroy(new Error('reset'));
  await once(reader, 'close');
});
