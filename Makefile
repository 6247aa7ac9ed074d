# What there is to do here, each as one command. The work is in scripts/, which say what they need and what is missing.
.PHONY: help run test build lint bench soak faults fuzz clean

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 14

run: ## serve on http://localhost:8080 with a sample image, made from files on this machine
	@scripts/run.sh

test: ## everything: lint, types, build, import directions, and all tests on a real engine and registry
	@scripts/test.sh

build: ## compile src to dist
	@scripts/packages.sh
	@npm run --silent build

lint: ## style and types of everything
	@scripts/packages.sh
	@npm run --silent lint
	@npm run --silent types

.PHONY: audit
audit: ## what the registry knows of the packages that ship; fails when something is high
	@scripts/audit.sh

bench: ## cold wakes and forwarding next to the engine's own times and nginx's
	@scripts/packages.sh
	@npm run --silent build
	@scripts/bench.sh

soak: ## an hour (SOAK_MINUTES) of visits, sleep and faults; all that is held must be as before
	@scripts/packages.sh
	@npm run --silent build
	@scripts/soak.sh

faults: ## the engine killed at random moments, 100 (FAULT_ROUNDS) times
	@scripts/packages.sh
	@npm run --silent build
	@scripts/faults.sh

fuzz: ## bad input of every kind for ten minutes (FUZZ_SECONDS, or RUNS); FUZZ_SEED repeats a round
	@scripts/packages.sh
	@npm run --silent build
	@scripts/fuzz.sh

clean: ## remove what was built and installed here (configs/ stays)
	rm -rf dist coverage test-output node_modules
