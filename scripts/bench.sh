#!/usr/bin/env bash
# Runs bench/*.bench.ts in the lab of the tests, with nginx beside for comparison. `make bench` builds before.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

scripts/system-packages.sh dockerd=docker.io docker-registry=docker-registry iptables=iptables ip=iproute2 busybox=busybox-static htpasswd=apache2-utils nginx=nginx-light
exec npx vitest run --config vitest.bench.config.ts "$@"
