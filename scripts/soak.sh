#!/usr/bin/env bash
# The test of sleep and wake (test/e2e/soak.test.ts) for an hour, or SOAK_MINUTES, and a minute of replacements under load
# (test/e2e/moving-tags.test.ts). `make soak` builds before. SOAK_SEED repeats its choices.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

scripts/system-packages.sh dockerd=docker.io docker-registry=docker-registry iptables=iptables ip=iproute2 busybox=busybox-static htpasswd=apache2-utils
SOAK_MINUTES="${SOAK_MINUTES:-60}" exec npx vitest run --project e2e test/e2e/moving-tags.test.ts test/e2e/soak.test.ts
