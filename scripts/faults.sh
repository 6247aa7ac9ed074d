#!/usr/bin/env bash
# The engine killed at random moments of everything that it does for pipes (test/e2e/engine-killed.test.ts), FAULT_ROUNDS times (100, about ten
# minutes). `make faults` builds before. FAULT_SEED repeats its choices.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

scripts/system-packages.sh dockerd=docker.io docker-registry=docker-registry iptables=iptables ip=iproute2 busybox=busybox-static htpasswd=apache2-utils
FAULT_ROUNDS="${FAULT_ROUNDS:-100}" exec npx vitest run --project e2e test/e2e/engine-killed.test.ts
