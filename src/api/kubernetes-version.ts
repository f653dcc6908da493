/** The Kubernetes whose API this is: what `kubectl version` shows as the server's, and a node as its kubelet's. */
export const KUBERNETES_VERSION = { major: '1', minor: '36', gitVersion: 'v1.36.2+kubelette' } as const;
