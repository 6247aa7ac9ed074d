import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { PipesError } from '../../../src/core/errors.ts';
import type { LayerProgress } from '../../../src/images/image-store.ts';
import type { WakeProgress } from '../../../src/instances/wake-progress.ts';
import { waitingPage } from '../../../src/proxy/waiting-page.ts';
import { wakeMessage } from '../../../src/proxy/wake-message.ts';
import { printProgress } from '../../../src/proxy/wake-events.ts';

const REFERENCE = 'alice/web:main';
const FAILED = new PipesError('instance_failed', 'It exited with code 3.', { retryAfterS: 12, members: { exitCode: 3 }, privateDetail: ['a secret line'], cause: new Error('a secret cause') });
const layer = (id: string, phase: LayerProgress['phase'], doneBytes = 0, totalBytes?: number): LayerProgress => ({ id, phase, doneBytes, totalBytes });
const PHASES: Readonly<Record<WakeProgress['phase'], WakeProgress>> = {
  asleep: { phase: 'asleep' },
  queued: { phase: 'queued', ahead: 2 },
  pulling: { phase: 'pulling', layers: [layer('aaaaaaaaaaaaaaaa', 'downloading', 5e6, 20e6), layer('bbb', 'done')] },
  creating: { phase: 'creating' },
  starting: { phase: 'starting' },
  probing: { phase: 'probing' },
  ready: { phase: 'ready' },
  failed: { phase: 'failed', error: FAILED },
};

const draw = (progress: WakeProgress, reference = REFERENCE): string => waitingPage(reference, progress).html;
const textOf = (html: string, id: string): string => new RegExp(`id="${id}"[^>]*>([^<]*)<`).exec(html)![1]!;
const titleOf = (html: string): string => /<title>([^<]*)<\/title>/.exec(html)![1]!;
const stepsOf = (html: string): string[] => [...html.matchAll(/data-state="(\w+)"/g)].map(([, state]) => state!);
const bytesIn = (html: string): string => textOf(html, 'bytes');

describe('the waiting page', () => {
  it.each([
    ['asleep', 'Waking up', '', ['now', 'todo', 'todo']],
    ['queued', 'Waiting in line', '2 others start first.', ['done', 'now', 'todo']],
    ['pulling', 'Getting the image', '', ['now', 'todo', 'todo']],
    ['creating', 'Making the container', '', ['done', 'now', 'todo']],
    ['starting', 'Starting the container', '', ['done', 'now', 'todo']],
    ['probing', 'Almost there', 'It runs. Waiting until it answers.', ['done', 'done', 'now']],
    ['ready', 'Ready', 'Opening it now.', ['done', 'done', 'done']],
    ['failed', 'The container exited while starting', 'It exited with code 3.', ['done', 'failed', 'todo']],
  ] as const)('says without any script what %s means', (phase, status, detail, steps) => {
    const html = draw(PHASES[phase]);
    expect([textOf(html, 'status'), textOf(html, 'detail'), textOf(html, 'name')]).toEqual([status, detail, REFERENCE]);
    expect(stepsOf(html)).toEqual(steps);
    expect(html).toContain(`data-phase="${phase}"`);
    expect(html.match(/aria-current="step"/g) ?? []).toHaveLength(steps.filter((state) => state === ('now' as string)).length);
  });

  it('tells the phase in its title', () => {
    expect(titleOf(draw(PHASES.probing))).toBe(`Almost there · ${REFERENCE}`);
    expect(titleOf(draw(PHASES.pulling))).toBe(`25% Getting the image · ${REFERENCE}`);
    expect(titleOf(draw(PHASES.failed))).toBe(`Failed · ${REFERENCE}`);
  });

  it.each([[0, 'It is next.'], [1, 'One other starts first.'], [7, '7 others start first.']])('says who is before it: %i', (ahead, detail) => {
    expect(textOf(draw({ phase: 'queued', ahead }), 'detail')).toBe(detail);
  });

  it.each([[1, 'Next try in 1 s'], [59.2, 'Next try in 1 min 0 s'], [61, 'Next try in 1 min 1 s'], [undefined, 'Next try in 5 s']])('says when it is tried again: %s', (retryAfterS, text) => {
    const error = new PipesError('instance_failed', 'No.', retryAfterS === undefined ? {} : { retryAfterS });
    expect(textOf(draw({ phase: 'failed', error }), 'countdown')).toBe(text);
  });

  it.each([['image_not_found', 0], ['registry_unavailable', 0], ['pull_timeout', 0], ['instance_failed', 1], ['engine_unavailable', 1], ['instance_not_ready', 2]] as const)('puts %s where it happened', (code, step) => {
    expect(stepsOf(draw({ phase: 'failed', error: new PipesError(code, 'No.') })).indexOf('failed')).toBe(step);
  });

  it('loads itself again without script: every 2 s, or when the next try can help', () => {
    const refresh = (progress: WakeProgress): string => /<noscript><meta http-equiv="refresh" content="(\d+)"><\/noscript>/.exec(draw(progress))![1]!;
    expect([refresh(PHASES.starting), refresh(PHASES.failed), refresh({ phase: 'failed', error: new PipesError('instance_failed', 'No.', { retryAfterS: 0.2 }) })]).toEqual(['2', '12', '2']);
  });

  it('is a document that screen readers can follow', () => {
    const html = draw(PHASES.pulling);
    expect(html).toContain('<html lang="en">');
    expect(html.match(/<h1/g)).toHaveLength(1);
    expect(html).toMatch(/<div role="status" aria-live="polite"><p id="status">/);
    expect(html).toMatch(/<label for="bar">\w+<\/label>[^]*<progress id="bar"/);
    expect(html).toContain('prefers-reduced-motion:reduce');
    expect(html).toContain('prefers-color-scheme:dark');
  });
});

describe('its download', () => {
  const pull = (...layers: LayerProgress[]): string => draw({ phase: 'pulling', layers });
  const barOf = (html: string): number | undefined => {
    const value = /<progress id="bar"(?: value="([\d.]+)")?>/.exec(html)![1];
    return value === undefined ? undefined : Number(value);
  };
  const rowsOf = (html: string): string[] => [...html.split('</ul>')[0]!.matchAll(/<code>(\w*)<\/code><progress aria-hidden="true" value="([\d.]+)"><\/progress><span>([^<]*)</g)].map(([, id, value, text]) => `${id!} ${value!} ${text!}`);

  it('lists the layers with their bytes', () => {
    const html = pull(layer('0123456789abcdef', 'downloading', 22.44e6, 88.1e6), layer('b', 'downloading', 120e3, 640e3), layer('c', 'downloading', 1e9, 2.5e9), layer('d', 'extracting', 3, 3), layer('e', 'done'), layer('f', 'waiting'), layer('g', 'downloading', 5e6));
    expect(rowsOf(html)).toEqual(['0123456789ab 0.255 22.4 of 88.1 MB', 'b 0.188 120 of 640 kB', 'c 0.4 1.00 of 2.50 GB', 'd 1 unpacking', 'e 1 done', 'f 0 waiting', 'g 0 5.0 MB']);
  });

  it('adds the layers up; what was there before counts nothing', () => {
    const html = pull(layer('a', 'downloading', 5e6, 20e6), layer('b', 'extracting', 10e6, 20e6), layer('c', 'done'));
    expect([barOf(html), bytesIn(html)]).toEqual([0.625, '25.0 of 40.0 MB']);
  });

  it('takes layers of unknown size for average ones, and does not promise a total', () => {
    const html = pull(layer('a', 'downloading', 10e6, 20e6), layer('b', 'waiting'));
    expect([barOf(html), bytesIn(html)]).toEqual([0.25, '10.0 MB']);
  });

  it('has no value while nothing is known, and is full when all is here', () => {
    for (const html of [pull(), pull(layer('a', 'waiting')), pull(layer('a', 'done'))]) expect([barOf(html), bytesIn(html)]).toEqual([undefined, '']);
    for (const html of [pull(layer('a', 'extracting', 7, 7), layer('b', 'done'))]) expect([barOf(html), bytesIn(html)]).toEqual([1, 'unpacking']);
  });

  it('is hidden in every other phase', () => {
    for (const progress of Object.values(PHASES)) expect(draw(progress).includes('aria-label="Image" hidden>')).toBe(progress.phase !== 'pulling');
  });
});

describe('what the page lets through', () => {
  const HOSTILE = `</script></title><img src=x onerror=alert(1)>"'&<!--`;

  it.each(Object.values(PHASES))('is nothing of a hostile name ($phase)', (progress) => {
    const html = draw(progress, HOSTILE);
    expect(html).not.toContain('<img');
    expect(html).not.toContain('<!--');
    expect(html.match(/<\/script>/g)).toHaveLength(2);
    expect(textOf(html, 'name')).toBe('&lt;/script&gt;&lt;/title&gt;&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;&lt;!--');
  });

  it('is nothing of a hostile failure or layer', () => {
    for (const progress of [{ phase: 'failed', error: new PipesError('instance_failed', HOSTILE, { members: { [HOSTILE]: HOSTILE } }) }, { phase: 'pulling', layers: [layer(HOSTILE, 'waiting')] }] as const) {
      const html = draw(progress);
      expect(html).not.toContain('<img');
      expect(html).not.toContain('<!--');
      expect(html.match(/<\/script>/g)).toHaveLength(2);
      expect(JSON.parse(/id="message">([^]*?)<\/script>/.exec(html)![1]!)).toEqual(JSON.parse(JSON.stringify(wakeMessage(progress))));
    }
  });

  it('is what the error answer tells strangers, and the stream tells the same', () => {
    const html = draw(PHASES.failed);
    expect(html).not.toContain('secret');
    for (const progress of Object.values(PHASES)) expect(printProgress(progress)).toBe(JSON.stringify(wakeMessage(progress)));
  });

  it('is no request to anywhere but this host', () => {
    for (const progress of Object.values(PHASES)) {
      const html = draw(progress);
      expect(html.replace("xmlns='http://www.w3.org/2000/svg'", '')).not.toMatch(/https?:|\/\/\w|url\(|@import/);
      expect([...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, url]) => url!.slice(0, 5))).toEqual(['data:']);
      expect([...html.matchAll(/EventSource\(('[^']*')\)/g)].map(([, url]) => url)).toEqual(["'/__proxyapi/wake'"]);
    }
  });

  it('is one script and one style, by their hashes', () => {
    const sha256 = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    for (const progress of Object.values(PHASES)) {
      const { html, contentSecurityPolicy } = waitingPage(REFERENCE, progress);
      const directives = new Map(contentSecurityPolicy.split('; ').map((directive) => [directive.split(' ')[0], directive.split(' ').slice(1).join(' ')]));
      expect(Object.fromEntries(directives)).toEqual({
        'default-src': "'none'",
        'script-src': sha256(/<script>([^]*?)<\/script>/.exec(html)![1]!),
        'style-src': sha256(/<style>([^]*?)<\/style>/.exec(html)![1]!),
        'connect-src': "'self'",
        'img-src': 'data:',
        'base-uri': "'none'",
        'form-action': "'none'",
      });
      expect(html).not.toMatch(/ style="| on\w+="/);
    }
  });

  it('is little', () => {
    for (const progress of Object.values(PHASES)) expect(Buffer.byteLength(draw(progress)), progress.phase).toBeLessThan(10_500);
  });
});
