import { describe, expect, it } from 'vitest';
import type { Pod, PodStatus } from '../../api/generated/types.ts';
import { applyPatch } from '../../api/patch.ts';
import { PODS } from '../../api/resources.ts';
import { statusPatch } from './status-patch.ts';

const FROM: PodStatus = {
  phase: 'Running',
  reason: 'x',
  conditions: [
    { type: 'Ready', status: 'False', reason: 'ContainersNotReady', message: 'm' },
    { type: 'Initialized', status: 'True' },
    { type: 'PodScheduled', status: 'True' },
  ],
  podIPs: [{ ip: '1' }, { ip: '2' }],
  resources: { limits: { memory: '1', cpu: '1' } },
  containerStatuses: [
    { name: 'a', image: 'i', imageID: '', ready: false, restartCount: 0, state: { waiting: { reason: 'r' } } },
  ],
};
const TO: PodStatus = {
  phase: 'Running',
  message: 'new',
  conditions: [
    { type: 'Ready', status: 'True' },
    { type: 'Initialized', status: 'True' },
  ],
  podIPs: [{ ip: '3' }],
  resources: { limits: { memory: '2' } },
  containerStatuses: [{ name: 'a', image: 'i', imageID: '', ready: true, restartCount: 0, state: { running: {} } }],
};

describe('statusPatch', () => {
  it('is nothing when nothing differs', () => {
    expect(statusPatch(FROM, structuredClone(FROM))).toBeUndefined();
  });

  it('is nothing when a null is not there, as some servers have it', () => {
    const told = structuredClone(FROM);
    Object.assign(told.conditions![0]!, { lastProbeTime: null });
    expect(statusPatch(FROM, told)).toBeUndefined();
    expect(statusPatch(told, FROM)).toBeUndefined();
  });

  it('names only what differs', () => {
    expect(statusPatch(FROM, TO)).toEqual({
      reason: null,
      message: 'new',
      conditions: [
        { type: 'Ready', status: 'True', reason: null, message: null },
        { $patch: 'delete', type: 'PodScheduled' },
      ],
      podIPs: [{ ip: '3' }, { $patch: 'delete', ip: '1' }, { $patch: 'delete', ip: '2' }],
      resources: { limits: { memory: '2', cpu: null } },
      containerStatuses: TO.containerStatuses,
    });
  });

  it('names no conditions of others, whether they are new, changed or gone', () => {
    const theirs = (status: string): PodStatus => ({ conditions: [{ type: 'example.com/go', status }] });
    expect(statusPatch(theirs('False'), theirs('True'))).toBeUndefined();
    expect(statusPatch(theirs('False'), {})).toBeUndefined();
    expect(statusPatch({}, theirs('False'))).toBeUndefined();
  });

  it('makes of the one the other, and leaves what others wrote meanwhile', () => {
    const theirs = { type: 'example.com/go', status: 'True' };
    const pod: Pod = { metadata: { name: 'p' }, spec: { containers: [] }, status: structuredClone(FROM) };
    pod.status!.conditions!.push(theirs);
    const patched = applyPatch('strategic', PODS, pod, { status: statusPatch(FROM, TO) }) as Pod;
    expect(patched.status).toEqual({ ...TO, conditions: [...TO.conditions!, theirs] });
  });
});
