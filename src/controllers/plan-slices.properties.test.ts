import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EndpointSlice, Pod, Service } from '../api/generated/types.ts';
import type { SlicePlan } from './plan-slices.ts';
import { reconcileEndpointSlices } from './reconcile-endpoint-slices.ts';
import { canBeEndpoint, selects } from './service-pods.ts';

const service = (name: string): Service => ({
  metadata: { name, namespace: 'n', uid: `uid-${name}` },
  spec: { type: 'ClusterIP', clusterIP: '10.96.0.9', selector: { app: 'a' }, ports: [{ port: 80, targetPort: 'web' }] },
});

/** Few values, so that runs often meet the same pod in another state. */
const anyPod = fc.record({
  id: fc.integer({ min: 0, max: 250 }),
  app: fc.constantFrom('a', 'a', 'a', 'b'),
  port: fc.constantFrom(80, 80, 8080, undefined),
  phase: fc.constantFrom('Running', 'Running', 'Running', 'Failed', 'Pending'),
  hasAddress: fc.constantFrom(true, true, true, false),
  ready: fc.boolean(),
  leaving: fc.constantFrom(false, false, true),
});
type AnyPod = typeof anyPod extends fc.Arbitrary<infer T> ? T : never;

function podOf({ id, app, port, phase, hasAddress, ready, leaving }: AnyPod): Pod {
  return {
    metadata: {
      name: `p${id}`,
      namespace: 'n',
      uid: `uid-${id}`,
      labels: { app },
      ...(leaving ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { containers: [{ name: 'c', ports: port ? [{ name: 'web', containerPort: port }] : [] }] },
    status: {
      phase,
      ...(hasAddress ? { podIP: `10.0.0.${id}`, podIPs: [{ ip: `10.0.0.${id}` }] } : {}),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  } as Pod;
}

const anyState = fc.uniqueArray(anyPod, { selector: ({ id }) => id, maxLength: 250, size: 'max' });
let serial = 0;

/** What the slices are after the writes. */
function carriedOut(slices: readonly EndpointSlice[], plan: SlicePlan): EndpointSlice[] {
  const name = ({ metadata }: EndpointSlice) => metadata.name;
  const gone = new Set(plan.delete.map(name));
  const updated = new Map(plan.update.map((slice) => [name(slice), slice]));
  const created = plan.create.map((slice) => ({ ...slice, metadata: { ...slice.metadata, name: `s-${serial++}` } }));
  return [...slices.filter((slice) => !gone.has(name(slice))).map((s) => updated.get(name(s)) ?? s), ...created];
}

const size = ({ create, update, delete: remove }: SlicePlan): number => create.length + update.length + remove.length;

test('slices hold exactly the pods that are selected, in few writes, and then nothing is left to do', () => {
  fc.assert(
    fc.property(fc.array(anyState, { minLength: 1, maxLength: 5 }), (states) => {
      let slices: EndpointSlice[] = [];
      let before: readonly Pod[] = [];
      for (const state of states) {
        const pods = state.map(podOf);
        const plan = reconcileEndpointSlices(service('s'), pods, slices);
        const touched = new Set([...plan.update, ...plan.delete].map(({ metadata }) => metadata.name));
        expect(touched.size).toBe(plan.update.length + plan.delete.length);
        // One pod's change is in one slice, and may need or free another.
        const changed = differences(before, pods);
        expect(size(plan)).toBeLessThanOrEqual(2 * changed + (slices.length === 0 ? 1 : 0));
        slices = carriedOut(slices, plan);
        before = pods;

        const wanted = pods.filter((pod) => selects(service('s'), pod) && canBeEndpoint(pod));
        const held = slices.flatMap(({ endpoints }) => endpoints ?? []);
        expect(held.map(({ targetRef }) => targetRef!.uid).sort()).toEqual(wanted.map((p) => p.metadata.uid).sort());
        for (const slice of slices) expectRight(slice, new Map(wanted.map((pod) => [pod.metadata.uid!, pod])));
        expect(slices.length > 1 ? slices.filter(({ endpoints }) => !endpoints?.length) : []).toEqual([]);
        expect(slices.length).toBeGreaterThan(0);
        expect(size(reconcileEndpointSlices(service('s'), pods, slices))).toBe(0);
        expect(size(reconcileEndpointSlices(service('s'), pods.toReversed(), slices))).toBe(0);
      }
    }),
    { numRuns: 60 },
  );
});

function differences(before: readonly Pod[], after: readonly Pod[]): number {
  const text = (pods: readonly Pod[]) => new Map(pods.map((pod) => [pod.metadata.uid!, JSON.stringify(pod)]));
  const [old, now] = [text(before), text(after)];
  return [...new Set([...old.keys(), ...now.keys()])].filter((uid) => old.get(uid) !== now.get(uid)).length;
}

function expectRight({ endpoints, ports }: EndpointSlice, pods: ReadonlyMap<string, Pod>): void {
  expect(endpoints!.length).toBeLessThanOrEqual(100);
  for (const { targetRef, conditions, addresses } of endpoints!) {
    const pod = pods.get(targetRef!.uid!)!;
    const serving = pod.status!.conditions![0]!.status === 'True';
    const terminating = pod.metadata.deletionTimestamp !== undefined;
    expect(conditions).toEqual({ ready: serving && !terminating, serving, terminating });
    expect(addresses).toEqual([pod.status!.podIP]);
    const number = pod.spec.containers[0]!.ports![0]?.containerPort;
    expect(ports!.map(({ port }) => port)).toEqual(number === undefined ? [] : [number]);
  }
}
