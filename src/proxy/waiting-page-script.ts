import { waitingView } from './waiting-view.ts';

/**
 * The waiting page's script, the same for every page, so that its hash can stand in the policy. What changes is in the document.
 *
 * It draws what `GET /__proxyapi/wake` tells, and reloads once: when the target is ready, when it is time for another try, or
 * when it has slept for a while, since only a page load wakes it. A page that nobody looks at tries nothing again until it is
 * looked at; and it never reloads while pipes cannot be reached, for the browser's own error page would stay for good.
 */
export const WAITING_SCRIPT = `(() => {
'use strict';
const viewOf = ${source(waitingView)};
const ASLEEP_MS = 5000, LOST_MS = 3000, LISTEN_AGAIN_MS = 10000, SILENT_MS = 10000, MOST_REFUSALS = 3;
const at = (id) => document.getElementById(id);
const page = at('page'), name = at('name').textContent, steps = [...at('steps').children], nowMs = () => performance.now();
const waitOf = ({ phase, retryAfterS }) => phase === 'failed' ? (retryAfterS ?? 5) * 1000 : phase === 'asleep' ? ASLEEP_MS : Infinity;
const shownAtMs = nowMs();
let message = JSON.parse(page.dataset.message), stream, hasLeft = false, heard = 0, refusals = 0, most = 0;
let dueAtMs = shownAtMs + waitOf(message), listenAtMs = Infinity, lostAtMs = Infinity;

const leave = () => {
  if (hasLeft) return;
  hasLeft = true;
  stream.close();
  location.reload();
};
const say = (id, text) => {
  if (at(id).textContent !== text) at(id).textContent = text;
};
const drawPull = ({ fraction, bytes, layers }) => {
  const bar = at('bar'), list = at('layers');
  if (fraction === null) bar.removeAttribute('value');
  else bar.value = most = Math.max(most, fraction);
  say('bytes', bytes);
  while (list.children.length > layers.length) list.lastChild.remove();
  layers.forEach(({ id, text, fraction: part }, index) => {
    const row = list.children[index] ?? list.appendChild(at('row').content.firstElementChild.cloneNode(true));
    const [label, meter, state] = row.children;
    if (label.textContent !== id) label.textContent = id;
    if (state.textContent !== text) state.textContent = text;
    meter.value = part;
  });
};
const draw = () => {
  const isLost = nowMs() - lostAtMs > LOST_MS;
  const left = message.phase === 'failed' ? { retryAfterS: Math.max(0, Math.ceil((dueAtMs - nowMs()) / 1000)) } : {};
  const view = viewOf({ ...message, ...left });
  document.title = view.tab + ' · ' + name;
  page.dataset.phase = message.phase;
  say('status', isLost ? 'Connection lost' : view.status);
  say('detail', isLost ? 'Trying to reach pipes again.' : view.detail);
  say('countdown', isLost ? '' : view.countdown);
  steps.forEach((step, index) => {
    const state = view.steps[index];
    if (step.dataset.state === state) return;
    step.dataset.state = state;
    step.lastChild.textContent = state === 'done' || state === 'failed' ? ', ' + state : '';
    if (state === 'now') step.setAttribute('aria-current', 'step');
    else step.removeAttribute('aria-current');
  });
  at('pull').hidden = !view.pull;
  if (view.pull) drawPull(view.pull);
};
const hear = (told) => {
  const before = message.phase;
  heard += 1;
  refusals = 0;
  const isSame = before === told.phase || (before === 'failed' && told.phase === 'asleep');
  dueAtMs = Math.min(isSame ? dueAtMs : Infinity, nowMs() + waitOf(told));
  // Asleep after a failure: it may be tried again at any time, and why it failed is worth reading until then.
  if (before !== 'failed' || told.phase !== 'asleep') message = told;
  draw();
  if (told.phase === 'failed') {
    stream.close();
    listenAtMs = nowMs() + LISTEN_AGAIN_MS;
  }
  // Ready before anything was seen: if the page load and the stream disagree, this bounds how often.
  if (told.phase === 'ready') setTimeout(leave, heard === 1 ? 500 : 0);
};
const listen = () => {
  listenAtMs = Infinity;
  stream = new EventSource('/__proxyapi/wake');
  stream.onopen = () => {
    lostAtMs = Infinity;
  };
  stream.onmessage = (event) => hear(JSON.parse(event.data));
  stream.onerror = () => {
    if (lostAtMs === Infinity) lostAtMs = nowMs();
    if (stream.readyState !== EventSource.CLOSED) return;
    // Answered with something that is no stream; a page load gets the answer that says why.
    refusals += 1;
    if (refusals > MOST_REFUSALS) dueAtMs = nowMs();
    else listenAtMs = nowMs() + LOST_MS;
  };
};
const tick = () => {
  if (hasLeft) return;
  if (message.phase === 'failed' || lostAtMs !== Infinity) draw();
  if (nowMs() >= listenAtMs) listen();
  const isSilent = heard === 0 && lostAtMs === Infinity && nowMs() - shownAtMs > SILENT_MS;
  if ((nowMs() >= dueAtMs || isSilent) && !document.hidden) leave();
};
listen();
setInterval(tick, 500);
document.addEventListener('visibilitychange', tick);
})();`;

/** Its text, without the indentation that only readers need. */
function source(self: (...given: never[]) => unknown): string {
  return self.toString().replace(/\n\s+/g, '\n');
}
