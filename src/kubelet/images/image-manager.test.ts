import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Container, Pod } from '../../api/generated/types.ts';
import { CriError } from '../../cri/cri-error.ts';
import type { Image } from '../../cri/generated/cri.ts';
import type { CallOptions, ImageService } from '../../cri/runtime-service.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { CriImageManager } from './image-manager.ts';
import type { PullEvent } from './shared-pulls.ts';

const traces = JSON.parse(
  readFileSync(new URL('../../../test/data/kubelet-traces.json', import.meta.url), 'utf8'),
) as Record<
  string,
  { events: { reason: string; message: string }[]; watch: { status: { containerStatuses?: { state: object }[] } }[] }
>;

/** A registry that answers after `pullMs`, or fails. */
class FakeImages implements Pick<ImageService, 'imageStatus' | 'pullImage'> {
  readonly present = new Map<string, bigint>();
  readonly calls: string[] = [];
  pulling = 0;
  mostPulling = 0;
  pullMs = 62;
  error: string | undefined;
  private readonly clock: FakeClock;

  constructor(clock: FakeClock) {
    this.clock = clock;
  }

  async imageStatus(image: string): Promise<Image | undefined> {
    this.calls.push(`status ${image}`);
    const size = this.present.get(image);
    if (size === undefined) return undefined;
    return { id: `sha256:${image}`, repoTags: [], repoDigests: [], size, uid: undefined, username: '', pinned: false };
  }

  async pullImage(image: string, _: unknown, options?: CallOptions): Promise<string> {
    this.calls.push(`pull ${image}`);
    this.mostPulling = Math.max(this.mostPulling, ++this.pulling);
    try {
      await this.clock.sleep(this.pullMs, options?.signal);
    } finally {
      this.pulling--;
    }
    if (this.error !== undefined) throw new CriError('UNKNOWN', 'PullImage', this.error);
    this.present.set(image, 1088863n);
    this.present.set(`sha256:${image}`, 1088863n);
    return `sha256:${image}`;
  }
}

let clock: FakeClock;
let images: FakeImages;
let events: string[];
let pulls: PullEvent[];
let manager: CriImageManager;

beforeEach(() => {
  clock = new FakeClock();
  images = new FakeImages(clock);
  events = [];
  pulls = [];
  manager = new CriImageManager({
    images: images as unknown as ImageService,
    clock,
    recorder: {
      event: (_pod, type, reason, message, container) => events.push(`${type} ${reason} ${container}: ${message}`),
    },
    onPull: (event) => pulls.push(event),
  });
});

const pod = (uid = 'u'): Pod => ({ metadata: { name: 'p', namespace: 'NS', uid }, spec: { containers: [] } });
const container = (image: string, imagePullPolicy?: Container['imagePullPolicy']): Container => ({
  name: 'app',
  image,
  ...(imagePullPolicy ? { imagePullPolicy } : {}),
});
const ensure = (p: Pod, c: Container, signal = new AbortController().signal) =>
  manager.ensureImage(p, c, undefined, signal);

const NO_SUCH_HOST = (traces['pull-fails']!.events.find((e) => e.message.startsWith('Failed to pull'))!.message.match(
  /^Failed to pull image "no-such-image:1": (.*)$/,
) ?? [])[1]!;

test('a pull says what was recorded', async () => {
  const result = ensure(pod(), container('busybox'));
  await clock.advance(62);
  expect(await result).toEqual({ ok: true, value: { imageRef: 'sha256:busybox:latest' } });
  expect(events).toEqual([
    'Normal Pulling app: Pulling image "busybox"',
    'Normal Pulled app: Successfully pulled image "busybox" in 62ms (62ms including waiting). Image size: 1088863 bytes.',
  ]);
  const recorded = traces.plain!.events.map((e) => e.message);
  for (const event of events) expect(recorded).toContain(event.replace(/^.*? app: /, ''));
});

test('a failing pull, its back-off, and the next pull', async () => {
  images.error = NO_SUCH_HOST;
  const c = container('no-such-image:1', 'IfNotPresent');
  let result = ensure(pod(), c);
  await clock.advance(62);
  const recordedStates = traces['pull-fails']!.watch.map((w) => w.status.containerStatuses?.[0]?.state);
  const waiting = async (): Promise<object> => {
    const outcome = await result;
    return outcome.ok ? {} : { waiting: { message: outcome.message, reason: outcome.reason } };
  };
  expect(recordedStates).toContainEqual(await waiting());
  expect(manager.retryAt(pod(), c)).toBe(10_062);

  result = ensure(pod(), c);
  expect(recordedStates).toContainEqual(await waiting());
  const recordedEvents = traces['pull-fails']!.events.map((e) => e.message);
  expect(events.map((e) => e.replace(/^.*? app: /, '')).filter((m) => !recordedEvents.includes(m))).toEqual([]);
  expect(events.map((e) => e.split(' app: ')[0])).toEqual([
    'Normal Pulling',
    'Warning Failed',
    'Warning Failed',
    'Normal BackOff',
    'Warning Failed',
  ]);

  await clock.advance(10_000);
  images.error = undefined;
  result = ensure(pod(), c);
  await clock.advance(62);
  expect((await result).ok).toBe(true);
  expect(manager.retryAt(pod(), c)).toBeUndefined();
});

test('the back-off is per pod', async () => {
  images.error = 'gone';
  const first = ensure(pod('a'), container('x'));
  await clock.advance(62);
  await first;
  images.error = undefined;
  const second = ensure(pod('b'), container('x'));
  await clock.advance(62);
  expect((await second).ok).toBe(true);
});

test('policy Never', async () => {
  const recorded = traces['pull-never']!.events.map((e) => e.message);
  const outcome = await ensure(pod(), container('no-such-image:1', 'Never'));
  expect(outcome).toEqual({
    ok: false,
    reason: 'ErrImageNeverPull',
    message: 'Container image "no-such-image:1" is not present with pull policy of Never',
  });
  expect(events.map((e) => e.replace(/^.*? app: /, ''))).toEqual(recorded.slice(1));
  expect(images.calls).toEqual(['status no-such-image:1']);
});

test('an image name that is none', async () => {
  const outcome = await ensure(pod(), container('Busybox'));
  const message =
    'Failed to apply default image tag "Busybox": couldn\'t parse image name "Busybox": ' +
    'invalid reference format: repository name (library/Busybox) must be lowercase';
  expect(outcome).toEqual({ ok: false, reason: 'InvalidImageName', message });
  expect(events).toEqual([`Warning InspectFailed app: ${message}`, 'Warning Failed app: Error: InvalidImageName']);
});

describe('presence', () => {
  const c = container('busybox', 'IfNotPresent');

  test('is asked for once per pod', async () => {
    images.present.set('busybox:latest', 1n);
    for (let i = 0; i < 3; i++) expect(await ensure(pod(), c)).toMatchObject({ ok: true });
    expect(images.calls).toEqual(['status busybox:latest']);
    expect(events[0]).toBe(
      'Normal Pulled app: Container image "busybox" already present on machine and can be accessed by the pod',
    );
    await ensure(pod('other'), c);
    expect(images.calls).toHaveLength(2);
  });

  test('is asked for again after forget', async () => {
    images.present.set('busybox:latest', 1n);
    await ensure(pod(), c);
    images.present.clear();
    manager.forget('docker.io/library/busybox:latest');
    const result = ensure(pod(), c);
    await clock.advance(62);
    await result;
    expect(images.calls).toContain('pull busybox:latest');
  });
});

describe('pulls of one image', () => {
  test('are one pull for all who wait', async () => {
    const results = ['a', 'b', 'c'].map((uid) => ensure(pod(uid), container('busybox')));
    await clock.advance(62);
    for (const result of results) expect((await result).ok).toBe(true);
    expect(images.calls.filter((call) => call.startsWith('pull'))).toHaveLength(1);
    expect(events.filter((e) => e.includes('Successfully'))).toHaveLength(3);
    expect(pulls).toEqual([
      { image: 'busybox:latest', phase: 'pulling' },
      { image: 'busybox:latest', phase: 'pulled' },
    ]);
  });

  test('go on while one still waits, and stop with the last', async () => {
    const controllers = [new AbortController(), new AbortController()];
    const results = controllers.map((controller, i) => ensure(pod(`${i}`), container('busybox'), controller.signal));
    const settled = Promise.allSettled(results);
    await clock.advance(10);
    controllers[0]!.abort();
    await clock.advance(10);
    expect(images.pulling).toBe(1);
    controllers[1]!.abort();
    await clock.advance(0);
    expect(images.pulling).toBe(0);
    expect((await settled).map((r) => r.status === 'rejected' && (r.reason as Error).name)).toEqual([
      'AbortError',
      'AbortError',
    ]);
    expect(events.filter((e) => e.includes('Failed'))).toEqual([]);
    expect(pulls.at(-1)!.phase).toBe('stopped');

    const again = ensure(pod(), container('busybox'));
    await clock.advance(62);
    expect((await again).ok).toBe(true);
  });
});

test('a pull that another pod has begun took as long as this one has waited for it', async () => {
  const first = ensure(pod('u1'), container('busybox'));
  await clock.advance(40);
  const second = ensure(pod('u2'), container('busybox'));
  await clock.advance(22);
  for (const result of [first, second]) expect((await result).ok).toBe(true);
  expect(events.filter((e) => e.includes('Pulled')).map((e) => /in .* waiting/.exec(e)?.[0])).toEqual([
    'in 62ms (62ms including waiting',
    'in 22ms (22ms including waiting',
  ]);
});

test('at most four pulls at once; waiting shows in the event', async () => {
  const results = [1, 2, 3, 4, 5].map((i) => ensure(pod(), container(`image-${i}`)));
  await clock.advance(124);
  for (const result of results) expect((await result).ok).toBe(true);
  expect(images.mostPulling).toBe(4);
  expect(events.at(-1)).toContain('Successfully pulled image "image-5" in 62ms (124ms including waiting)');
  expect(pulls).toContainEqual({ image: 'image-5:latest', phase: 'waiting' });
});
