import type { Stage } from '../build-plan.ts';
import type { Runtime } from '../runtime.ts';

/** Pages as they are, by an `index.html` at the top or in one of the folders that generators write. */
export const staticRuntime: Runtime = {
  name: 'static',
  title: 'static site',
  detect: (source) => folderOf(source.paths) !== undefined,
  plan: (source) => {
    const folder = folderOf(source.paths)!;
    return Promise.resolve({ reasons: [`${folder === '.' ? '' : `${folder}/`}index.html: the files beside it are served`], stages: [pagesStage({ folder, isOnePage: false })], web: undefined });
  },
};

const FOLDERS = ['.', 'public', 'dist', '_site', 'site', 'docs'];

function folderOf(paths: readonly string[]): string | undefined {
  return FOLDERS.find((folder) => paths.includes(folder === '.' ? 'index.html' : `${folder}/index.html`));
}

export interface Pages {
  /** The stage that made them; undefined: they are in the source. */
  readonly from?: string;
  readonly folder: string;
  /** Whether a path without a file of its own is answered with `index.html`. */
  readonly isOnePage: boolean;
}

/**
 * A stage that serves pages: nginx, as its makers publish it for use without root, which listens on 8080 and comes with its own command.
 * Names that begin with a dot are kept back (`.git`, `.env`), but for `.well-known/` (RFC 8615).
 */
export function pagesStage({ from, folder, isOnePage }: Pages): Stage {
  const fallback = isOnePage ? '/index.html' : '=404';
  const server = `server { listen 8080; root /usr/share/nginx/html; location / { try_files $uri $uri/ ${fallback}; } location ~ /\\.(?!well-known/) { return 404; } }`;
  return {
    base: 'nginxinc/nginx-unprivileged:stable',
    steps: [
      { copy: [folder], to: '/usr/share/nginx/html', ...(from !== undefined && { from }) },
      { run: `echo '${server}' > /etc/nginx/conf.d/default.conf` },
    ],
  };
}
