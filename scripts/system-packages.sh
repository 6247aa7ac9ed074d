#!/usr/bin/env bash
# scripts/system-packages.sh <command>=<package>…
# Installs the Debian or Ubuntu packages whose command is missing. Where all are there it does nothing and needs nobody's permission.
set -euo pipefail

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
wanted=()
for pair in "$@"; do
  command -v "${pair%%=*}" >/dev/null || wanted+=("${pair#*=}")
done
[ "${#wanted[@]}" -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "missing: ${wanted[*]} (names of Debian packages; as root on Debian or Ubuntu they are installed by themselves)" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing ${wanted[*]}"
apt-get update -qq
# No package's service is to start by itself: an engine or registry that is wanted is started by whoever wants it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
