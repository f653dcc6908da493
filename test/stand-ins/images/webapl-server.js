// Stands in for the tutorial's maho/webapl:0.1: not ready for the first 20 seconds, and unhealthy after 40.
const http = require('node:http');

const startedAt = Date.now();
const answers = {
  '/ready': (seconds) => seconds >= 20,
  '/healthz': (seconds) => seconds < 40,
  '/': () => true,
};

const server = http.createServer((request, response) => {
  const seconds = (Date.now() - startedAt) / 1000;
  const ok = answers[new URL(request.url, 'http://webapl').pathname]?.(seconds);
  const status = ok === undefined ? 404 : ok ? 200 : 500;
  console.log(`${request.method} ${request.url} ${status} after ${seconds.toFixed(1)} s`);
  response.writeHead(status, { 'content-type': 'text/plain' });
  response.end(`${http.STATUS_CODES[status]}\n`);
});
server.listen(3000, () => console.log('listening on port 3000'));
// The first process of a container has no default action for SIGTERM.
process.on('SIGTERM', () => process.exit(0));
