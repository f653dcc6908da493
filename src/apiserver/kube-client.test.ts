import { startTestServer } from '../../test/start-test-server.ts';
import { HttpKubeClient } from '../client/http-kube-client.ts';
import { kubeClientCases } from '../client/kube-client.case.ts';

kubeClientCases('LocalKubeClient', async () => {
  const server = await startTestServer();
  return { client: server.client, stop: () => server.close() };
});

kubeClientCases('HttpKubeClient', async () => {
  const server = await startTestServer();
  const client = new HttpKubeClient(server.admin);
  return {
    client,
    stop: async () => {
      client.close();
      await server.close();
    },
  };
});
