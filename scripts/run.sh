#!/usr/bin/env bash
# Serves on http://localhost:8080 (or PORT) with a sample image. Ctrl-C stops all that this started: pipes, its containers, and the
# engine if it was down before. What is missing is said in one line.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PORT="${PORT:-8080}" CONFIG_DIR="${CONFIG_DIR:-./configs}"

pipes_pid='' stopping='' engine_pid='' engine_by_systemd='' temp=''

main() {
  trap finish EXIT
  trap 'stop_pipes' INT TERM HUP
  scripts/packages.sh
  port_is_free || die "port $PORT is taken: stop what listens there, or take another with PORT=8081 make run"
  ensure_engine
  npm run --silent build
  echo 'making the sample image hello/web'
  node scripts/sample-image.mjs
  serve
}

die() {
  echo "make run: $1" >&2
  exit 1
}

port_is_free() {
  node -e 'require("node:net").createServer().once("error", () => process.exit(1)).listen(+process.env.PORT, process.env.BIND || "127.0.0.1", () => process.exit(0))'
}

ensure_engine() {
  local reason
  reason=$(node scripts/engine-answers.mjs) && return
  [ -z "${DOCKER_HOST:-}" ] || die "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST: $reason"
  [ "$(uname -s)" = Linux ] || die "no Docker engine answers at /var/run/docker.sock ($reason): start Docker, or set DOCKER_HOST"
  [ "$(id -u)" = 0 ] || die "no Docker engine answers at /var/run/docker.sock ($reason): start Docker, or set DOCKER_HOST, or run this as root"
  scripts/system-packages.sh dockerd=docker.io iptables=iptables ip=iproute2 || die 'Docker is missing: install it, or set DOCKER_HOST'
  start_engine
}

start_engine() {
  temp=$(mktemp -d)
  if [ -d /run/systemd/system ] && systemctl cat docker.service >/dev/null 2>&1; then
    echo 'starting Docker (systemctl start docker)'
    systemctl start docker || die 'systemctl start docker failed: journalctl -u docker says why'
    engine_by_systemd=yes
  else
    echo 'starting Docker (dockerd)'
    # In a process group of its own (`-m`): Ctrl-C does not reach it, for pipes needs it to the end.
    set -m
    dockerd --pidfile "$temp/dockerd.pid" >"$temp/dockerd.log" 2>&1 </dev/null &
    set +m
    engine_pid=$!
  fi
  for _ in $(seq 150); do
    node scripts/engine-answers.mjs >/dev/null && return
    [ -z "$engine_pid" ] || kill -0 "$engine_pid" 2>/dev/null || die "Docker does not start: $(tail -n 1 "$temp/dockerd.log")"
    sleep 0.2
  done
  die 'Docker was started and does not answer'
}

serve() {
  # In a process group of its own (`-m`): Ctrl-C comes here, and reaches pipes once.
  set -m
  node bin/pipes.js serve &
  set +m
  pipes_pid=$!
  while kill -0 "$pipes_pid" 2>/dev/null; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then
      printf '\n  open http://web.hello.localhost:%s/ : it runs the image hello/web\n  Ctrl-C stops it\n\n' "$PORT"
      break
    fi
    sleep 0.1
  done
  local code=0
  wait "$pipes_pid" || code=$?
  # A signal that is handled ends the wait, not pipes; it still has requests to finish.
  if [ -n "$stopping" ]; then
    code=0
    wait "$pipes_pid" || code=$?
  fi
  exit "$code"
}

stop_pipes() {
  [ -n "$pipes_pid" ] || exit 130
  stopping=yes
  kill -TERM "$pipes_pid" 2>/dev/null || true
}

finish() {
  local code=$?
  trap '' INT TERM HUP
  if [ -n "$pipes_pid" ]; then
    kill -TERM "$pipes_pid" 2>/dev/null || true
    wait "$pipes_pid" 2>/dev/null || true
  fi
  [ ! -f "$CONFIG_DIR/pipes.json" ] || node scripts/stop-containers.mjs "$CONFIG_DIR"
  if [ -n "$engine_pid" ]; then
    kill -TERM "$engine_pid" 2>/dev/null || true
    wait "$engine_pid" 2>/dev/null || true
  fi
  [ -z "$engine_by_systemd" ] || systemctl stop docker.socket docker.service 2>/dev/null || true
  [ -z "$temp" ] || rm -rf "$temp"
  exit "$code"
}

main
