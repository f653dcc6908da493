import type { KubeObject } from '../api/resources.ts';
import type { Informer } from '../client/informer.ts';

/** Finds an informer's objects by keys that follow from them, such as their addresses. */
export class ObjectIndex<T extends KubeObject> {
  private readonly byKey = new Map<string, Map<string, T>>();
  /** The keys of each object: what a watch says is gone may differ from what was there. */
  private readonly keys = new Map<string, readonly string[]>();

  constructor(informer: Pick<Informer<T>, 'addHandlers'>, keysOf: (object: T) => readonly string[]) {
    const remove = (object: T): void => {
      const id = idOf(object);
      for (const key of this.keys.get(id) ?? []) {
        const found = this.byKey.get(key);
        found?.delete(id);
        if (found?.size === 0) this.byKey.delete(key);
      }
      this.keys.delete(id);
    };
    const put = (object: T): void => {
      remove(object);
      const id = idOf(object);
      const keys = keysOf(object);
      this.keys.set(id, keys);
      for (const key of keys) {
        const found = this.byKey.get(key);
        if (found) found.set(id, object);
        else this.byKey.set(key, new Map([[id, object]]));
      }
    };
    informer.addHandlers({ add: put, update: put, delete: remove });
  }

  get(key: string): readonly T[] {
    return [...(this.byKey.get(key)?.values() ?? [])];
  }
}

function idOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
