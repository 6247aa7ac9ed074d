import type { Problem } from '../core/problem.ts';
import { escaped } from './escaped.ts';

/** Nothing is loaded and nothing runs; the style is the page's own. */
export const ERROR_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** A problem as a page for people: one column, dark or light as the reader has it, no script, no request to anywhere. */
export function errorPage(problem: Problem): string {
  const lines = Array.isArray(problem['lines']) ? problem['lines'].map(String) : [];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${problem.status} ${escaped(problem.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<p class="status">${problem.status}</p>
<h1>${escaped(problem.title)}</h1>
<p>${escaped(problem.detail)}</p>
${lines.length > 0 ? `<h2>Its last output</h2>\n<pre tabindex="0">${escaped(lines.join('\n'))}</pre>\n` : ''}<p class="code"><code>${escaped(problem.code)}</code> · pipes</p>
</main>
</body>
</html>
`;
}

const STYLE = [
  ':root{color-scheme:light dark;--paper:#fff;--ink:#1d2129;--soft:#5a6270;--line:#dfe3e8}',
  '@media (prefers-color-scheme:dark){:root{--paper:#14171c;--ink:#e8eaee;--soft:#a3abb8;--line:#343b46}}',
  'body{margin:0;background:var(--paper);color:var(--ink);font:1.05rem/1.55 system-ui,sans-serif}',
  'main{max-width:40rem;margin:0 auto;padding:12vh 1.5rem 3rem;overflow-wrap:anywhere}',
  '.status,.code{color:var(--soft);margin:0}.code{margin-top:2rem;padding-top:1rem;border-top:1px solid var(--line);font-size:.9rem}',
  'h1{font-size:1.7rem;line-height:1.25;margin:.2rem 0 1rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}',
  'pre{overflow:auto;padding:1rem;border:1px solid var(--line);border-radius:.4rem;font-size:.85rem;white-space:pre-wrap}',
].join('');
