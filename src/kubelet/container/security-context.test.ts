import { expect, test } from 'vitest';
import type { Container, Pod, PodSecurityContext, PodSpec, SecurityContext } from '../../api/generated/types.ts';
import { NamespaceMode, SecurityProfile_ProfileType } from '../../cri/generated/cri.ts';
import {
  containerSecurityContext,
  type ImageUser,
  namespaceOptions,
  needsImageUser,
  nonRootViolation,
  sandboxSecurityContext,
} from './security-context.ts';

const pod = (spec: Partial<PodSpec> = {}): Pod => ({
  metadata: { name: 'p', namespace: 'ns', uid: 'u' },
  spec: { containers: [], ...spec },
});
const container = (securityContext?: SecurityContext): Container => ({
  name: 'c',
  ...(securityContext ? { securityContext } : {}),
});

const { POD, CONTAINER, NODE } = NamespaceMode;
test.each<[Partial<PodSpec>, number, number, number]>([
  [{}, POD, CONTAINER, POD],
  [{ hostNetwork: true }, NODE, CONTAINER, POD],
  [{ hostPID: true }, POD, NODE, POD],
  [{ hostIPC: true }, POD, CONTAINER, NODE],
  [{ shareProcessNamespace: true }, POD, POD, POD],
])('namespaces of %o', (spec, network, pid, ipc) => {
  expect(namespaceOptions(pod(spec))).toMatchObject({ network, pid, ipc });
});

test("the container's settings win over the pod's", () => {
  const p = pod({ securityContext: { runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000, supplementalGroups: [4000] } });
  expect(containerSecurityContext(p, container())).toMatchObject({
    runAsUser: { value: 1000n },
    runAsGroup: { value: 2000n },
    supplementalGroups: [3000n, 4000n],
  });
  expect(containerSecurityContext(p, container({ runAsUser: 0, runAsGroup: 5 }))).toMatchObject({
    runAsUser: { value: 0n },
    runAsGroup: { value: 5n },
  });
});

test('by default nothing is asked for, /proc is masked and seccomp is off', () => {
  const context = containerSecurityContext(pod(), container());
  expect(context).toMatchObject({
    runAsUser: undefined,
    privileged: false,
    readonlyRootfs: false,
    noNewPrivs: false,
    capabilities: { addCapabilities: [], dropCapabilities: [] },
    seccomp: { profileType: SecurityProfile_ProfileType.Unconfined },
  });
  expect(context.maskedPaths).toContain('/proc/kcore');
  expect(context.readonlyPaths).toContain('/proc/sys');
});

test('what a container asks for', () => {
  expect(
    containerSecurityContext(
      pod({ securityContext: { seccompProfile: { type: 'Unconfined' } } }),
      container({
        privileged: true,
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        procMount: 'Unmasked',
        capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
        seccompProfile: { type: 'RuntimeDefault' },
      }),
    ),
  ).toMatchObject({
    privileged: true,
    readonlyRootfs: true,
    noNewPrivs: true,
    maskedPaths: [],
    readonlyPaths: [],
    capabilities: { addCapabilities: ['NET_ADMIN'], dropCapabilities: ['ALL'] },
    seccomp: { profileType: SecurityProfile_ProfileType.RuntimeDefault },
  });
});

test('a sandbox is privileged with any of its containers', () => {
  const privileged = pod({ initContainers: [container({ privileged: true })] });
  expect(sandboxSecurityContext(privileged).privileged).toBe(true);
  expect(sandboxSecurityContext(pod()).privileged).toBe(false);
});

const { RuntimeDefault, Unconfined } = SecurityProfile_ProfileType;
test.each<[Pod, number]>([
  [pod({ containers: [container()] }), Unconfined],
  [pod({ containers: [container({ seccompProfile: { type: 'Unconfined' } })] }), Unconfined],
  [pod({ containers: [container({ seccompProfile: { type: 'RuntimeDefault' } })] }), RuntimeDefault],
  [pod({ securityContext: { seccompProfile: { type: 'Localhost', localhostProfile: 'x' } } }), RuntimeDefault],
])('a sandbox is confined when any of its pod is (%#)', (p, profileType) => {
  expect(sandboxSecurityContext(p).seccomp).toMatchObject({ profileType });
});

const root: ImageUser = { uid: 0n, username: '' };
const nginx: ImageUser = { uid: undefined, username: 'nginx' };
const WHERE = '(pod: "p_ns(u)", container: c)';

test.each<[PodSecurityContext | undefined, SecurityContext | undefined, ImageUser | undefined, string | undefined]>([
  [undefined, undefined, undefined, undefined],
  [{ runAsNonRoot: true }, undefined, { uid: 101n, username: '' }, undefined],
  [{ runAsNonRoot: true }, undefined, root, `container has runAsNonRoot and image will run as root ${WHERE}`],
  [
    { runAsNonRoot: true },
    undefined,
    { uid: undefined, username: '' },
    `container has runAsNonRoot and image will run as root ${WHERE}`,
  ],
  [
    { runAsNonRoot: true },
    undefined,
    nginx,
    `container has runAsNonRoot and image has non-numeric user (nginx), cannot verify user is non-root ${WHERE}`,
  ],
  [{ runAsNonRoot: true, runAsUser: 0 }, undefined, undefined, `container's runAsUser breaks non-root policy ${WHERE}`],
  [{ runAsNonRoot: true, runAsUser: 0 }, { runAsUser: 7 }, undefined, undefined],
  [{ runAsNonRoot: true }, { runAsNonRoot: false }, root, undefined],
])('runAsNonRoot: %o %o %o', (podContext, own, imageUser, why) => {
  const p = pod(podContext ? { securityContext: podContext } : {});
  expect(nonRootViolation(p, container(own), imageUser)).toBe(why);
});

test("the image's user is asked for only when it decides", () => {
  expect(needsImageUser(pod(), container())).toBe(false);
  expect(needsImageUser(pod(), container({ runAsNonRoot: true }))).toBe(true);
  expect(needsImageUser(pod(), container({ runAsNonRoot: true, runAsUser: 1 }))).toBe(false);
  expect(needsImageUser(pod(), container({ runAsGroup: 5 }))).toBe(true);
  expect(needsImageUser(pod({ securityContext: { runAsGroup: 5 } }), container())).toBe(true);
  expect(needsImageUser(pod(), container({ runAsGroup: 5, runAsUser: 1 }))).toBe(false);
});

// containerd refuses a group without a user.
test.each<[ImageUser, object]>([
  [
    { uid: 101n, username: '' },
    { runAsUser: { value: 101n }, runAsUsername: '' },
  ],
  [nginx, { runAsUser: undefined, runAsUsername: 'nginx' }],
  [
    { uid: undefined, username: '' },
    { runAsUser: { value: 0n }, runAsUsername: '' },
  ],
])("a group stands beside the image's user %o", (imageUser, user) => {
  const context = containerSecurityContext(pod(), container({ runAsGroup: 5 }), imageUser);
  expect(context).toMatchObject({ ...user, runAsGroup: { value: 5n } });
});

test.each<[PodSecurityContext | undefined, SecurityContext | undefined, number | undefined]>([
  [undefined, undefined, undefined],
  [{ appArmorProfile: { type: 'Unconfined' } }, undefined, Unconfined],
  [{ appArmorProfile: { type: 'Unconfined' } }, { appArmorProfile: { type: 'RuntimeDefault' } }, RuntimeDefault],
])('AppArmor of %o and %o', (podContext, own, profileType) => {
  const p = pod(podContext ? { securityContext: podContext } : {});
  expect(containerSecurityContext(p, container(own)).apparmor?.profileType).toBe(profileType);
});
