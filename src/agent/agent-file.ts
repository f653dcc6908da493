import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { InstanceLayout } from '../lib/instance.ts';
import { identifyProcess, isAlive, type ProcessIdentity } from '../lib/process-identity.ts';

/** What a running agent tells other processes of this host about itself, in `layout.agentFile` (0600). */
export interface AgentFile extends ProcessIdentity {
  /** URL of its API server. */
  readonly server: string;
  readonly nodeName: string;
  readonly podCIDR: string;
  /** The runtime it uses when that is not its private containerd. */
  readonly runtimeEndpoint?: string;
}

/** Says that this process is the instance's agent, and Ready. */
export function writeAgentFile(layout: InstanceLayout, facts: Omit<AgentFile, keyof ProcessIdentity>): void {
  const file: AgentFile = { ...identifyProcess(process.pid)!, ...facts };
  writeFileSync(`${layout.agentFile}.tmp`, `${JSON.stringify(file)}\n`, { mode: 0o600 });
  renameSync(`${layout.agentFile}.tmp`, layout.agentFile);
}

/** The newest agent's file, whether or not it still runs; undefined when there is none. */
export function readAgentFile(layout: InstanceLayout): AgentFile | undefined {
  try {
    return JSON.parse(readFileSync(layout.agentFile, 'utf8')) as AgentFile;
  } catch {
    return undefined;
  }
}

/** The agent that runs now, if one does. */
export function runningAgent(layout: InstanceLayout): AgentFile | undefined {
  const file = readAgentFile(layout);
  return file && isAlive(file) ? file : undefined;
}

export function removeAgentFile(layout: InstanceLayout): void {
  rmSync(layout.agentFile, { force: true });
}
