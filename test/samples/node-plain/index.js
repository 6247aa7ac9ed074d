import { createServer } from 'node:http';

createServer((request, response) => response.end(`node ${request.url}\n`)).listen(process.env.PORT);
process.once('SIGTERM', () => process.exit(0));
