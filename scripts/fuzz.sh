#!/usr/bin/env bash
# Fuzzing in rounds, each with a seed of its own, until FUZZ_SECONDS are over (default: ten minutes) or RUNS rounds were made.
# Stops at the first fault. FUZZ_SEED=<seed> repeats one round; FUZZ_FACTOR is how many times longer a round is than in the tests.
# `make fuzz` builds before.
set -euo pipefail
cd "$(dirname "$0")/.."

export FUZZ_FACTOR="${FUZZ_FACTOR:-5}"
ends=$((SECONDS + ${FUZZ_SECONDS:-600}))
rounds=${RUNS:-1000000}
[ -z "${FUZZ_SEED:-}" ] || rounds=1

for ((round = 1; round <= rounds && SECONDS < ends; round++)); do
  seed=${FUZZ_SEED:-$((RANDOM * 32768 + RANDOM))}
  echo "── round $round: FUZZ_SEED=$seed FUZZ_FACTOR=$FUZZ_FACTOR"
  FUZZ_SEED=$seed npx vitest run --project fuzz || { echo "a fault; repeat it: FUZZ_SEED=$seed FUZZ_FACTOR=$FUZZ_FACTOR make fuzz"; exit 1; }
done
echo "$((round - 1)) rounds without a fault"
