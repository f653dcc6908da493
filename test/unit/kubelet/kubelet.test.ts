import { describe, expect, it } from 'vitest';
import { TestKubelet } from './test-kubelet.ts';

const PLAIN = `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers: [{name: app, image: busybox, command: [sleep, '600']}]
`;

describe('Kubelet', () => {
  it('runs a pod and tells so', async () => {
    await using t = new TestKubelet();
    await t.start();
    await t.apply(PLAIN);
    expect(t.row()).toBe('1/1 Running 0');
    expect(t.events()).toEqual([]);
    expect(t.calls()).toEqual([]);
    expect(t.rows()).toEqual([]);
  });
});
