import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SETTINGS } from '../../../src/config/settings.ts';
import { DEFAULT_QUIET, QuietRules } from '../../../src/proxy/quiet.ts';

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

describe('quiet requests', () => {
  const builtIn = new QuietRules('default');
  it.each([
    ['/', 'Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)'],
    ['/health', 'kube-probe/1.29'],
    ['/', 'Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)'],
    ['/favicon.ico', FIREFOX],
    ['/favicon.ico?v=2', undefined],
    ['/robots.txt', 'Googlebot/2.1'],
    ['/apple-touch-icon-120x120.png', FIREFOX],
  ])('%s from %s are, as built in', (url, agent) => expect(builtIn.match(url, agent)).toBe(true));

  it.each([
    ['/', FIREFOX],
    ['/', undefined],
    ['/favicon.icon', FIREFOX],
    ['/a/robots.txt', 'curl/8.0'],
    ['/?x=/favicon.ico', FIREFOX],
  ])('%s from %s are not', (url, agent) => expect(builtIn.match(url, agent)).toBe(false));

  it('are those that the setting names, with or without the built-in ones', () => {
    const own = new QuietRules('MyBot, /ping*');
    expect([own.match('/', 'mybot/1'), own.match('/ping/me', undefined), own.match('/favicon.ico', undefined)]).toEqual([true, true, false]);
    const both = new QuietRules('default, MyBot');
    expect([both.match('/', 'MYBOT'), both.match('/favicon.ico', undefined)]).toEqual([true, true]);
    const none = new QuietRules('off');
    expect([none.match('/favicon.ico', 'kube-probe/1.29')]).toEqual([false]);
  });

  it('stay right however many User-Agents there are', () => {
    const rules = new QuietRules('Bot7');
    for (let at = 0; at < 5_000; at += 1) expect(rules.match('/', `Bot${at}`)).toBe(`Bot${at}`.includes('Bot7'));
  });
});

describe('the setting', () => {
  const { parse } = SETTINGS.QUIET.kind;

  it.each(['default', 'off', DEFAULT_QUIET, '/ping*, My Monitor/2', 'default,/icons/*', ''])('takes %j', (text) => expect(parse(text)).toBe(text));

  it.each(['*', 'My*Monitor', '/a*b', 'ab', 'default, x'])('refuses %j', (text) => expect(parse(text)).toBeUndefined());

  it('has its built-in rules in the docs', () => {
    const docs = readFileSync(new URL('../../../docs/settings.md', import.meta.url), 'utf8');
    expect(docs.replace(/\s+/g, ' ')).toContain(DEFAULT_QUIET);
  });
});
