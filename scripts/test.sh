#!/usr/bin/env bash
# Everything that is checked, on a machine that may have nothing but Node, npm and root. Each part runs, whatever the parts before
# it found; the last line counts the tests, and the exit code is 0 only if all was well.
set -uo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

scripts/packages.sh || exit 1
scripts/system-packages.sh dockerd=docker.io docker-registry=docker-registry iptables=iptables ip=iproute2 busybox=busybox-static \
  htpasswd=apache2-utils git=git ps=procps curl=curl debootstrap=debootstrap strace=strace chromium=chromium || exit 1
# Newer releases have the command line in a package of its own.
command -v docker >/dev/null || scripts/system-packages.sh docker=docker-cli || exit 1

failed=()
part() {
  local name=$1
  shift
  echo "── $name"
  "$@" || failed+=("$name")
}

rm -rf test-output
part lint npm run --silent lint
part types npm run --silent types
part build npm run --silent build
part 'import directions' npx depcruise src --config .dependency-cruiser.cjs
part tests npx vitest run

[ "${#failed[@]}" -eq 0 ] || echo "failed: $(IFS=,; echo "${failed[*]}" | sed 's/,/, /g')"
cat test-output/counts 2>/dev/null || { echo '0 passed, 1 failed, 0 skipped'; exit 1; }
[ "${#failed[@]}" -eq 0 ]
