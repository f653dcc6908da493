import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Container, Pod, VolumeMount } from '../../api/generated/types.ts';
import type { ContainerConfig, Mount, PodSandboxConfig } from '../../cri/generated/cri.ts';
import type { ImageService } from '../../cri/runtime-service.ts';
import { isAbort, messageOf } from '../../lib/errors.ts';
import { parseResolvConf, type ResolvConf } from '../../lib/resolv-conf.ts';
import type {
  ContainerConfigFactory,
  ContainerConfigInput,
  EnvironmentInput,
  EventRecorder,
  MountedVolumes,
  NodeSettings,
  Outcome,
} from '../ports.ts';
import type { ConfigObjects } from '../volumes/config-objects.ts';
import type { Mounter } from '../volumes/mounter.ts';
import { etcHostsFile, subPathTarget, terminationMessageFile } from '../volumes/pod-dirs.ts';
import { bindSubPath } from '../volumes/sub-path.ts';
import { podDNSConfig } from './dns-config.ts';
import { expandStrictly } from './expand-variables.ts';
import { fileMount, generateContainerConfig, volumeMount } from './generate-container-config.ts';
import { generateSandboxConfig, podLogDir } from './generate-sandbox-config.ts';
import { hostsFile } from './hosts-file.ts';
import { CGROUP_ROOT, hasUnifiedCgroups } from './pod-cgroup.ts';
import { resolveEnv } from './resolve-env.ts';
import type { NodeCapacity } from './resource-field-ref.ts';
import { needsImageUser, nonRootViolation } from './security-context.ts';
import { type LinkedServices, serviceEnvironment } from './service-env.ts';

const ETC_HOSTS = '/etc/hosts';

/**
 * Makes the configs that the runtime is given, and the files that they name: logs' directories, hosts file, termination message. The
 * files are written synchronously: they are tiny, and a container that restarts waits for them.
 */
export class PodConfigFactory implements ContainerConfigFactory {
  private readonly settings: NodeSettings;
  private readonly capacity: NodeCapacity;
  private readonly objects: ConfigObjects;
  private readonly images: Pick<ImageService, 'imageStatus'>;
  private readonly isUnified = hasUnifiedCgroups(CGROUP_ROOT);
  private readonly mounter: Mounter;
  private readonly services: LinkedServices;
  private readonly recorder: EventRecorder;

  constructor(options: {
    readonly settings: NodeSettings;
    readonly capacity: NodeCapacity;
    readonly objects: ConfigObjects;
    readonly images: Pick<ImageService, 'imageStatus'>;
    readonly mounter: Mounter;
    readonly services: LinkedServices;
    readonly recorder: EventRecorder;
  }) {
    this.settings = options.settings;
    this.capacity = options.capacity;
    this.objects = options.objects;
    this.images = options.images;
    this.mounter = options.mounter;
    this.services = options.services;
    this.recorder = options.recorder;
  }

  async sandboxConfig(pod: Pod, attempt: number): Promise<PodSandboxConfig> {
    const dns = podDNSConfig(pod, this.hostDNS(), this.settings);
    for (const warning of dns.warnings) this.recorder.event(pod, 'Warning', 'DNSConfigForming', warning);
    const config = generateSandboxConfig(pod, attempt, this.settings, dns.config);
    mkdirSync(config.logDirectory, { recursive: true, mode: 0o755 });
    return config;
  }

  async containerConfig(input: ContainerConfigInput): Promise<Outcome<ContainerConfig>> {
    const { pod, container, restartCount, imageRef } = input;
    try {
      const imageUser = await this.imageUser(pod, container, imageRef);
      const violation = nonRootViolation(pod, container, imageUser);
      if (violation !== undefined) throw new Error(violation);
      const { memoryCapacityBytes } = this.settings;
      const env = await this.resolve(input);
      const mounts = await this.mounts(input, env);
      this.makeLogDir(pod, container);
      const config = generateContainerConfig({
        pod,
        container,
        restartCount,
        imageRef,
        env,
        mounts,
        memoryCapacityBytes,
        isUnified: this.isUnified,
        imageUser,
      });
      return { ok: true, value: config };
    } catch (error) {
      if (isAbort(error)) throw error;
      return { ok: false, reason: 'CreateContainerConfigError', message: messageOf(error) };
    }
  }

  async environment(input: EnvironmentInput): Promise<ReadonlyMap<string, string> | undefined> {
    try {
      return await this.resolve(input);
    } catch {
      return undefined;
    }
  }

  writeHosts(pod: Pod, podIPs: readonly string[]): void {
    const nodeHosts = pod.spec?.hostNetwork ? readFileSync(ETC_HOSTS, 'utf8') : '';
    const file = this.hostsFile(pod);
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
    const text = hostsFile(pod, podIPs, nodeHosts);
    // In place, since the containers that run have this very file mounted; and not without need, since they may be reading it.
    if (!holds(file, text)) writeFileSync(file, text, { mode: 0o644 });
  }

  private async resolve({ pod, container, podIPs = [] }: EnvironmentInput): Promise<ReadonlyMap<string, string>> {
    const { objects, capacity } = this;
    const { nodeName, hostIP } = this.settings;
    const serviceEnv = serviceEnvironment(await this.services(pod));
    return resolveEnv(pod, container, { objects, fields: { nodeName, hostIP, podIPs }, capacity, serviceEnv });
  }

  private async mounts(input: ContainerConfigInput, env: ReadonlyMap<string, string>): Promise<Mount[]> {
    const { pod, container, restartCount, podIPs } = input;
    const mounts: Mount[] = [];
    for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
      mounts.push(await this.volumeMount(pod, container, mount, index, input.volumes, env));
    }
    const taken = new Set(mounts.map((mount) => mount.containerPath));
    if (podIPs?.length !== 0 && !taken.has(ETC_HOSTS)) {
      const file = this.hostsFile(pod);
      if (podIPs || !existsSync(file)) this.writeHosts(pod, podIPs ?? []);
      mounts.push(fileMount(ETC_HOSTS, file));
    }
    const messagePath = container.terminationMessagePath ?? '';
    if (messagePath !== '') {
      mounts.push(fileMount(messagePath, this.makeMessageFile(pod, container, restartCount)));
    }
    return mounts;
  }

  private async volumeMount(
    pod: Pod,
    container: Container,
    mount: VolumeMount,
    index: number,
    volumes: MountedVolumes,
    env: ReadonlyMap<string, string>,
  ): Promise<Mount> {
    const volume = volumes.get(mount.name);
    if (!volume) {
      const [name, where] = [mount.name, container.name].map((text) => JSON.stringify(text));
      throw new Error(`cannot find volume ${name} to mount into container ${where}`);
    }
    const subPath = mount.subPathExpr ? expandStrictly(mount.subPathExpr, env) : (mount.subPath ?? '');
    if (subPath === '') return volumeMount(mount, volume.hostPath, volume.readOnly);
    if (subPath.startsWith('/')) throw new Error(`error SubPath \`${subPath}\` must not be an absolute path`);
    if (subPath.split('/').includes('..')) {
      throw new Error(`unable to provision SubPath \`${subPath}\`: must not contain '..'`);
    }
    if (!existsSync(volume.hostPath)) throw new Error(`stat ${volume.hostPath}: no such file or directory`);
    const target = subPathTarget(this.settings.podsDir, pod.metadata.uid ?? '', mount.name, container.name, index);
    try {
      await bindSubPath(volume.hostPath, subPath, target, this.mounter);
    } catch (error) {
      // Why exactly would tell the pod's owner about the host's file system.
      const [name, where] = [mount.name, container.name].map((text) => JSON.stringify(text));
      throw new Error(`failed to prepare subPath for volumeMount ${name} of container ${where}`, { cause: error });
    }
    return volumeMount(mount, target, volume.readOnly);
  }

  private hostsFile(pod: Pod): string {
    return etcHostsFile(this.settings.podsDir, pod.metadata.uid ?? '');
  }

  private makeMessageFile(pod: Pod, container: Container, restartCount: number): string {
    const file = terminationMessageFile(this.settings.podsDir, pod.metadata.uid ?? '', container.name, restartCount);
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
    writeFileSync(file, '');
    // Whatever user the container runs as.
    chmodSync(file, 0o666);
    return file;
  }

  private makeLogDir(pod: Pod, container: Container): void {
    const { namespace = '', name = '', uid: podUID = '' } = pod.metadata;
    const dir = podLogDir(this.settings.podLogsDir, { namespace, name, podUID });
    mkdirSync(join(dir, container.name), { recursive: true, mode: 0o755 });
  }

  private async imageUser(pod: Pod, container: Container, imageRef: string) {
    if (!needsImageUser(pod, container)) return undefined;
    const image = await this.images.imageStatus(imageRef);
    return { uid: image?.uid?.value, username: image?.username ?? '' };
  }

  private hostDNS(): ResolvConf {
    return parseResolvConf(readFileSync(this.settings.resolvConf, 'utf8'));
  }
}

/** Whether the file is there and holds this text. A container can write to it: one of another size is not read, however large it is. */
function holds(file: string, text: string): boolean {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat?.size === Buffer.byteLength(text) && readFileSync(file, 'utf8') === text;
}
