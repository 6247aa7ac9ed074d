import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ImageRecipe } from '../test/lab/images.ts';
import { freePort } from '../test/lab/free-port.ts';
import { ownProcess } from '../test/lab/owned-process.ts';
import { portAccepts } from './port-accepts.ts';
import { until } from '../test/lab/until.ts';

export interface Nginx {
  readonly port: number;
  /** The process that does the work. */
  readonly pid: number;
  stop(): Promise<void>;
}

export interface NginxOptions {
  /** Where its directory is made; the lab's is swept, whatever happens. */
  readonly dir: string;
  /** `address:port` that it forwards to. */
  readonly upstream: string;
  readonly hasAccessLog: boolean;
}

export function nginxVersion(): string {
  // It says it on standard error.
  return execFileSync('sh', ['-c', 'nginx -v 2>&1']).toString().trim().replace(/^.*nginx\//, '');
}

/** nginx as a proxy that does as pipes does: one process, connections kept on both sides, the origin of a request in its headers. */
export async function startNginx({ dir, upstream, hasAccessLog }: NginxOptions): Promise<Nginx> {
  const root = mkdtempSync(join(dir, 'nginx-'));
  const port = await freePort();
  const proxy = `
    upstream app { server ${upstream}; keepalive 128; keepalive_requests 10000000; }
    server { listen 127.0.0.1:${port} backlog=4096; location / {
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Request-Id $request_id;
    } }`;
  writeFileSync(join(root, 'nginx.conf'), config(root, hasAccessLog ? `${root}/access.log` : 'off', proxy));
  const child = await ownProcess({ command: 'nginx', args: ['-c', join(root, 'nginx.conf'), '-p', root, '-e', join(root, 'error.log')], cwd: root, pidFile: join(root, 'own-pid'), logFile: join(root, 'output.log') });
  await until('nginx listens', () => portAccepts(port));
  return { port, pid: child.pid, stop: () => child.end('SIGTERM') };
}

/** An image of this machine's nginx that answers each GET with so many bytes: an app that costs next to nothing beside its proxy. */
export function nginxApp(bytes: number): Partial<ImageRecipe> {
  const path = execFileSync('sh', ['-c', 'command -v nginx']).toString().trim();
  const libraries = [...execFileSync('ldd', [path]).toString().matchAll(/(\/\S+)\s+\(0x/g)].map(([, library]) => library!);
  const answer = `server { listen 80 backlog=4096; location / { return 200 "${'x'.repeat(bytes)}"; } }`;
  return {
    from: 'tiny',
    programs: {
      ...Object.fromEntries([path, ...libraries].map((file) => [file, readFileSync(file)])),
      '/nginx.conf': config('/tmp', 'off', answer),
      '/etc/passwd': 'root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n',
      '/etc/group': 'root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n',
    },
    command: [path, '-c', '/nginx.conf', '-p', '/tmp', '-e', '/tmp/error.log'],
  };
}

function config(root: string, accessLog: string, http: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${root}/${name};`);
  return `daemon off; master_process off; worker_processes 1; pid ${root}/pid; error_log ${root}/error.log crit;
    events { worker_connections 4096; }
    http { access_log ${accessLog}; default_type text/plain; keepalive_requests 10000000; ${temporary.join(' ')} ${http} }\n`;
}
