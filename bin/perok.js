#!/usr/bin/env node
// `perok [dir]` is `pipes deploy [dir]`.
process.argv.splice(2, 0, 'deploy');
await import('./pipes.js');
