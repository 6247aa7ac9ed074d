#!/usr/bin/env node
import { existsSync } from 'node:fs';

const program = new URL('../dist/main.js', import.meta.url);
if (!existsSync(program)) {
  console.error('pipes is not built yet: run `npm run build` (or `make run`, which does everything)');
  process.exit(1);
}
await import(program.href);
