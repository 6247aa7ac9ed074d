/** The sample app of `make run`: one page that shows which container answers, and that it is the same one until it is replaced. */
import { createServer } from 'node:http';
import { hostname } from 'node:os';

const startedAt = new Date();
let visits = 0;

const page = (host) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Hello from a container</title>
<style>body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 4rem auto; padding: 0 1rem } code { background: #8882; padding: .1em .3em }</style>
<h1>Hello from a container</h1>
<p>You asked for <code>${host}</code>, so pipes started an image for you, and here it is.</p>
<p>This is container <code>${hostname()}</code>, up since ${startedAt.toISOString()}. It has been asked ${visits} ${visits === 1 ? 'time' : 'times'}.</p>
`;

const server = createServer((request, response) => {
  visits += 1;
  const host = String(request.headers.host ?? '').replaceAll(/[^\w.:-]/g, '');
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : page(host));
});

server.listen(8080);
process.on('SIGTERM', () => process.exit(0));
