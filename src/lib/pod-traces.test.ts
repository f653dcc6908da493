import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from './fake-clock.ts';
import { PodTraces, type RecordedSection } from './pod-traces.ts';

const POD = { podUID: 'u' };
const APP = { podUID: 'u', container: 'app', restartCount: 0 };

let clock: FakeClock;
let traces: PodTraces;
const sections = (): readonly RecordedSection[] => traces.sections('u') ?? [];
/** `NAME START-END` of each span of the newest section. */
const spans = (): string[] =>
  sections()
    .at(-1)!
    .spans.map((s) => `${s.name} ${s.start}-${s.end ?? ''}`);

beforeEach(() => {
  clock = new FakeClock(1_000_000);
  traces = new PodTraces(clock);
});

describe('PodTraces', () => {
  it('records how long calls take, also while they last and when they fail', async () => {
    traces.created('u', 0);
    const call = traces.measure(POD, 'volumes', () => clock.sleep(5));
    expect(spans()).toEqual(['volumes 0-']);
    await clock.advance(5);
    await call;
    const failing = traces.measure(APP, 'CreateContainer', async () => {
      await clock.sleep(2);
      throw new Error('no such image');
    });
    failing.catch(() => {});
    await clock.advance(2);
    await expect(failing).rejects.toThrow('no such image');
    expect(spans()).toEqual(['volumes 0-5', 'CreateContainer 5-7']);
    expect(sections()[0]!.spans[1]).toMatchObject({ subject: APP, error: 'no such image' });
  });

  it('gives back the very promise of the call', () => {
    traces.created('u', 0);
    const made = Promise.resolve(1);
    expect(traces.measure(POD, 'x', () => made)).toBe(made);
  });

  it('begins with what the API server did, in wall time as well', async () => {
    await clock.advance(10);
    traces.created('u', 8);
    traces.followed('u', true);
    expect(sections()).toMatchObject([{ number: 0, container: undefined, start: 8, toWall: 1_000_000 }]);
  });

  it('has no start of a pod that an agent before it started', () => {
    traces.followed('u', false);
    traces.note(POD, 'seen');
    expect(sections()).toEqual([]);
    traces.interrupted(APP);
    traces.note(APP, 'exit seen');
    expect(sections()).toMatchObject([{ number: 0, container: 'app' }]);
  });

  it('takes nothing of pods that it does not know, and forgets those that are gone, with their ids', () => {
    traces.note(POD, 'x');
    traces.named('id', APP);
    expect([traces.sections('u'), traces.subjectOf('id')]).toEqual([undefined, undefined]);
    traces.created('u', 0);
    traces.named('id', APP);
    traces.named('id2', { ...APP, restartCount: 1 });
    expect([traces.subjectOf('id'), traces.subjectOf('id2')?.restartCount]).toEqual([undefined, 1]);
    traces.forget('u');
    expect([traces.sections('u'), traces.subjectOf('id2')]).toEqual([undefined, undefined]);
  });

  it('keeps the newest 200 spans of a section, and says how many it dropped', () => {
    traces.created('u', 0);
    for (let i = 0; i < 250; i++) traces.note(POD, `n${i}`);
    expect(sections()[0]!.spans).toHaveLength(200);
    expect(sections()[0]!.spans[0]!.name).toBe('n50');
    expect(sections()[0]!.dropped).toBe(50);
  });

  it('keeps the start and the newest five of the other sections', async () => {
    traces.created('u', 0);
    traces.settled('u', 'Ready', 0);
    for (let i = 0; i < 8; i++) {
      traces.interrupted(APP);
      traces.started(APP);
      traces.settled('u', 'Ready', clock.monotonic());
      await clock.advance(10);
    }
    expect(sections().map((s) => s.number)).toEqual([0, 4, 5, 6, 7, 8]);
  });

  it('takes what follows from being Ready for a second, and then nothing until something happens', async () => {
    traces.created('u', 0);
    await clock.advance(100);
    traces.settled('u', 'Ready', 90);
    await clock.advance(1000);
    traces.note(POD, 'kernel rules');
    await clock.advance(1);
    traces.note(POD, 'too late');
    expect(sections()).toMatchObject([{ end: 100, outcome: 'Ready' }]);
    expect(spans()).toEqual(['kernel rules 1100-1100']);
  });

  it('counts a pod as Ready again only when all that ended runs again, and was told so since', async () => {
    traces.created('u', 0);
    traces.started(APP);
    traces.settled('u', 'Ready', 0);
    await clock.advance(5000);
    traces.interrupted(APP, 4990);
    traces.settled('u', 'Ready', 5000); // of before the end
    expect(sections()[1]).toMatchObject({ start: 4990, end: undefined });
    traces.started(APP);
    traces.settled('u', 'Ready', 4000); // began to be told before
    expect(sections()[1]!.end).toBeUndefined();
    await clock.advance(20);
    traces.settled('u', 'Ready', 5010);
    expect(sections()[1]).toMatchObject({ end: 5020, outcome: 'Ready' });
  });

  it('leaves out what began before the section', async () => {
    await clock.advance(100);
    traces.created('u', 100);
    traces.note(APP, 'running', undefined, 99, 100);
    traces.note(APP, 'exit seen', undefined, 100, 100);
    expect(spans()).toEqual(['exit seen 100-100']);
  });

  it('has one section for all that ends together, and another for who ends again', () => {
    const side = { podUID: 'u', container: 'side', restartCount: 0 };
    traces.created('u', 0);
    traces.settled('u', 'Ready', 0);
    traces.interrupted({ podUID: 'u', sandbox: true });
    traces.interrupted(APP);
    traces.interrupted(side);
    expect(sections()).toHaveLength(2);
    traces.started(APP);
    traces.interrupted(side);
    expect(sections()).toHaveLength(2);
    traces.interrupted(APP);
    expect(sections().map((s) => s.container)).toEqual([undefined, '', 'app']);
  });

  it('records nothing of a pod that is being deleted', () => {
    traces.created('u', 0);
    traces.note(POD, 'before');
    traces.close('u');
    traces.note(POD, 'after');
    traces.interrupted(APP);
    expect(sections()).toHaveLength(1);
    expect(spans()).toEqual(['before 0-0']);
  });
});
