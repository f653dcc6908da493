import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startStandIns } from '../stand-ins/start-stand-ins.ts';
import { kubectlBinaries } from './harness/kubectl-binaries.ts';
import { runProcess } from './harness/run-process.ts';

declare module 'vitest' {
  interface ProvidedContext {
    e2e: {
      /** The built command. */
      kubelette: string;
      /** The newest kubectl, or '' when there is none. */
      kubectl: string;
      kubectls: { path: string; version: string }[];
      /** Root directories of this run's nodes go here. */
      directory: string;
      registryMirror: string;
      resolvConf: string;
    };
  }
}

/** Short, since the path ends up in Unix socket names; with the process id, so that a later run can tell who is dead. */
const BASE = '/tmp/kubelette-e2e';

/** Starts the stand-ins once for all test files and, at the end, removes every node that a killed test file left behind. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (process.getuid?.() !== 0) throw new Error('The end-to-end tests run containers and need root.');
  const kubelette = join(project.config.root, 'bin/kubelette');
  if (!existsSync(join(project.config.root, 'dist/kubelette.js'))) throw new Error('Nothing is built yet: make build');
  await removeAbandoned(kubelette);
  const directory = join(BASE, String(process.pid));
  mkdirSync(directory, { recursive: true });
  const standIns = await startStandIns((text) => console.log(text));
  const kubectls = kubectlBinaries();
  if (kubectls.length === 0)
    console.log('No kubectl 1.27 or newer on this machine: the tests that need it are skipped.');
  project.provide('e2e', {
    kubelette,
    kubectl: kubectls.at(-1)?.path ?? '',
    kubectls,
    directory,
    registryMirror: standIns.registryMirror,
    resolvConf: standIns.resolvConf,
  });
  return async () => {
    await removeNodes(kubelette, directory);
    await standIns.stop();
  };
}

/** Of runs that were killed before they could clean up. */
async function removeAbandoned(kubelette: string): Promise<void> {
  for (const pid of existsSync(BASE) ? readdirSync(BASE) : []) {
    if (!existsSync(`/proc/${pid}`)) await removeNodes(kubelette, join(BASE, pid));
  }
}

async function removeNodes(kubelette: string, directory: string): Promise<void> {
  for (const name of readdirSync(directory).filter((n) => n.startsWith('node-'))) {
    await runProcess(kubelette, ['down', '--purge', '--root-dir', join(directory, name)]).catch(() => {});
  }
  rmSync(directory, { recursive: true, force: true });
}
