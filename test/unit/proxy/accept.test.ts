import { describe, expect, it } from 'vitest';
import { errorForm } from '../../../src/proxy/accept.ts';

describe('errorForm', () => {
  it.each([
    [undefined, 'json'],
    ['', 'json'],
    ['*/*', 'json'],
    ['application/json', 'json'],
    ['application/problem+json', 'json'],
    ['application/*', 'json'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8', 'html'],
    ['text/html', 'html'],
    ['text/*', 'html'],
    ['text/html, */*', 'html'],
    ['text/html, application/json', 'json'],
    ['text/html;q=0.5, application/json;q=0.6', 'json'],
    ['text/html;q=0.7, application/json;q=0.6', 'html'],
    ['TEXT/HTML; Q=1, */*; q=0.1', 'html'],
    ['text/html;q=0, */*', 'json'],
    ['application/json;q=0, */*;q=0.5', 'html'],
    ['application/json;q=0, application/problem+json;q=0.3', 'json'],
    ['image/avif,image/webp,*/*;q=0.8', 'json'],
    ['image/png', 'text'],
    ['text/plain', 'text'],
    ['text/css,*/*;q=0', 'text'],
    ['text/html;q=0', 'text'],
    ['*/*;q=0.1, text/html;q=0.1', 'html'],
    ['nonsense', 'text'],
    ['text/html;q=2', 'html'],
    ['text/event-stream', 'text'],
  ])('%s → %s', (accept, form) => {
    expect(errorForm(accept)).toBe(form);
  });
});
