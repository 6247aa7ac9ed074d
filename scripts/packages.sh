#!/usr/bin/env bash
# Installs the npm packages of package-lock.json, if they are not those that stand here already.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v node >/dev/null || { echo 'Node.js 20.19 or newer is needed: there is no node in the PATH' >&2; exit 1; }
command -v npm >/dev/null || { echo 'npm is needed: there is no npm in the PATH' >&2; exit 1; }
node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' ||
  { echo "Node.js 20.19 or newer is needed: this is $(node --version)" >&2; exit 1; }

# npm writes this file last, so it is only there, and newer, after an installation that was finished.
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi
