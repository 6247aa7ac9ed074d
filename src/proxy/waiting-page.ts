import { createHash } from 'node:crypto';
import type { WakeProgress } from '../instances/wake-progress.ts';
import { escaped } from './escaped.ts';
import { WAITING_SCRIPT } from './waiting-page-script.ts';
import { WAITING_STYLE } from './waiting-page-style.ts';
import { waitingView, type PullView } from './waiting-view.ts';
import { wakeMessage } from './wake-message.ts';

/**
 * The page that stands in for an app while it comes up. It loads nothing, says where the wake is when it is sent, follows it by
 * script (`waiting-page-script.ts`), and loads itself again every other second without. It tells of a failure what the error
 * answer tells strangers.
 */
export function waitingPage(reference: string, progress: WakeProgress): { readonly html: string; readonly contentSecurityPolicy: string } {
  const message = wakeMessage(progress);
  const view = waitingView(message);
  const reloadS = message.phase === 'failed' ? Math.max(LEAST_RELOAD_S, Math.ceil(message.retryAfterS ?? 5)) : LEAST_RELOAD_S;
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<title>${escaped(`${view.tab} · ${reference}`)}</title>
<link rel="icon" href="${ICON}">
<noscript><meta http-equiv="refresh" content="${reloadS}"></noscript>
<style>${WAITING_STYLE}</style>
</head>
<body>
<main id="page" data-phase="${message.phase}">
<div class="card">
<h1 id="name">${escaped(reference)}</h1>
<div role="status" aria-live="polite"><p id="status">${escaped(view.status)}</p><p id="detail">${escaped(view.detail)}</p></div>
<ol id="steps" aria-label="Steps">${STEPS.map((name, index) => step(name, stateOf(index, view.step, message.phase))).join('')}</ol>
<section id="pull" aria-label="Image"${view.pull ? '' : ' hidden'}>
<div class="total"><label for="bar">Download</label><span id="bytes">${escaped(view.pull?.bytes ?? '')}</span></div>
<progress id="bar"${typeof view.pull?.fraction === 'number' ? ` value="${rounded(view.pull.fraction)}"` : ''}></progress>
<ul id="layers" aria-label="Layers" tabindex="0">${(view.pull?.layers ?? []).map(layerRow).join('')}</ul>
</section>
<p id="countdown">${escaped(view.countdown)}</p>
</div>
<p class="foot">This page turns into the app by itself · pipes</p>
</main>
<template id="row">${layerRow({ id: '', text: '', fraction: 0 })}</template>
<script type="application/json" id="message">${JSON.stringify(message).replaceAll('<', '\\u003c')}</script>
<script>${WAITING_SCRIPT}</script>
</body>
</html>
`;
  return { html, contentSecurityPolicy: POLICY };
}

const LEAST_RELOAD_S = 2;

const STEPS = ['Image', 'Container', 'Ready'] as const;

/** Named here, or browsers would ask the app that is not there for one. */
const ICON = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='5' fill='none' stroke='%230b7a75' stroke-width='4'/%3E%3C/svg%3E";

/** Only this script and this style, and requests to this host alone. Whether it may be framed is the app's to say, which cannot yet. */
const POLICY = [
  "default-src 'none'",
  `script-src ${hashOf(WAITING_SCRIPT)}`,
  `style-src ${hashOf(WAITING_STYLE)}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

function stateOf(index: number, current: number, phase: WakeProgress['phase']): 'done' | 'now' | 'failed' | 'todo' {
  return index < current ? 'done' : index > current ? 'todo' : phase === 'failed' ? 'failed' : 'now';
}

function step(name: string, state: ReturnType<typeof stateOf>): string {
  const ending = state === 'done' || state === 'failed' ? `, ${state}` : '';
  return `<li data-state="${state}"${state === 'now' ? ' aria-current="step"' : ''}>${name}<span class="unseen">${ending}</span></li>`;
}

/** Its bar says nothing that its text does not. */
function layerRow({ id, text, fraction }: PullView['layers'][number]): string {
  return `<li><code>${escaped(id)}</code><progress aria-hidden="true" value="${rounded(fraction)}"></progress><span>${escaped(text)}</span></li>`;
}

function rounded(fraction: number): number {
  return Math.round(fraction * 1000) / 1000;
}
