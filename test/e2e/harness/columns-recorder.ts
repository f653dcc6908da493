import type { Columns, TestNode } from './test-node.ts';

/** Remembers what `kubectl get pods -w` shows of each pod: every change once, in order. */
export class ColumnsRecorder implements AsyncDisposable {
  private readonly seen = new Map<string, Columns[]>();
  private stop: () => void = () => {};

  static async start(node: TestNode, namespace = 'default'): Promise<ColumnsRecorder> {
    const recorder = new ColumnsRecorder();
    recorder.stop = await node.watchColumns(namespace, (pod, columns) => {
      const list = recorder.seen.get(pod) ?? [];
      if (list.at(-1) !== columns) list.push(columns);
      recorder.seen.set(pod, list);
    });
    return recorder;
  }

  of(pod: string): readonly Columns[] {
    return this.seen.get(pod) ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
  }
}
