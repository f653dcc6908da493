import type { Namespace } from '../../../api/generated/types.ts';
import type { Strategy } from '../resource-definition.ts';

/** Upstream's name for itself among those who must be done before a namespace may go. */
export const NAMESPACE_FINALIZER = 'kubernetes';

/** Source: pkg/registry/core/namespace/strategy.go */
export const namespaceStrategy: Strategy = {
  prepareForCreate(object) {
    const namespace = object as Namespace;
    const { metadata } = namespace;
    metadata.labels = { 'kubernetes.io/metadata.name': metadata.name ?? '', ...metadata.labels };
    const finalizers = namespace.spec?.finalizers ?? [];
    namespace.spec = {
      finalizers: finalizers.includes(NAMESPACE_FINALIZER) ? finalizers : [...finalizers, NAMESPACE_FINALIZER],
    };
    namespace.status = { phase: 'Active' };
  },

  prepareForUpdate(object, old) {
    const [namespace, before] = [object as Namespace, old as Namespace];
    namespace.spec = before.spec;
    if (before.status) namespace.status = before.status;
  },

  moreFinalizers: (object) => (object as Namespace).spec?.finalizers ?? [],

  prepareForDelete(object) {
    const { deletionGracePeriodSeconds: _, ...metadata } = object.metadata;
    return { ...object, metadata, status: { ...(object as Namespace).status, phase: 'Terminating' } } as Namespace;
  },
};
