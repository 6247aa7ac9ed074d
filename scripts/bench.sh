#!/usr/bin/env bash
# Runs bench/*.bench.ts in the lab of the tests and prints what they report, as Markdown. WRITE=1 makes docs/performance.md of it.
# `make bench` builds before. Names of benches can be given: scripts/bench.sh wakes memory
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

scripts/system-packages.sh dockerd=docker.io docker-registry=docker-registry iptables=iptables ip=iproute2 busybox=busybox-static htpasswd=apache2-utils nginx=nginx-light wrk=wrk
rm -rf test-output/bench
npx vitest run --config vitest.bench.config.ts "$@"

print_report() {
  echo '# Performance'
  echo
  echo 'Made by `WRITE=1 make bench`: everything on one machine, over loopback, alternating in one run. Other machines differ, and one machine'
  echo 'from minute to minute; what counts is one column next to the other.'
  for part in test-output/bench/*.md; do
    echo
    cat "$part"
  done
}

echo
print_report
[ "${WRITE:-}" = "" ] || print_report > docs/performance.md
