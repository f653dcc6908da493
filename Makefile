# Every target does its own set-up, can be repeated, and leaves nothing running. Start with `make demo`.
SHELL := /bin/bash
# Node 24: the machine's, or the one that scripts/setup laid into .tools.
export PATH := $(CURDIR)/.tools/bin:$(CURDIR)/node_modules/.bin:$(PATH):/usr/sbin:/sbin
RESULTS := .cache/test-results
VITEST := vitest run --reporter=default --reporter=json

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-node setup-tests setup-bench build check test unit sim sim-long sim-mutants crash e2e demo up down bench bench-quick bench-services generate clean

help: ## what can be made
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## /\1\t/' | expand -t 12

setup: ## Debian packages, Node 24, npm packages: whatever is missing
	@scripts/setup

setup-node:
	@scripts/setup --without-host

build: setup-node ## dist/: the command and the library
	@node scripts/build.ts

check: build ## format, lint, types, import table, dead code, package
	@node scripts/check.ts

unit: setup-node ## unit tests: no root, no network, seconds
	@$(VITEST) --project unit --outputFile.json=$(RESULTS)/unit.json

sim: setup-node ## 2,000 random lives under faults, on virtual time
	@node scripts/sim.ts

sim-long: setup-node ## 100,000 of them
	@node scripts/sim.ts --seeds 100000

sim-mutants: setup-node ## brings bugs back on purpose: the simulator must find each
	@node scripts/sim-mutants.ts

crash: setup build ## kill -9 of the agent, containerd and shims, at 240 random moments of pods' lives; needs root
	@KUBELETTE_CRASHES=full vitest run --project e2e test/e2e/crashes.test.ts

setup-tests:
	@scripts/setup --tests

e2e: setup-tests build ## end-to-end tests: real containerd, real kubectl; needs root
	@$(VITEST) --project e2e --outputFile.json=$(RESULTS)/e2e.json
	@$(VITEST) --project e2e-quiet --outputFile.json=$(RESULTS)/e2e-quiet.json

test: setup-tests check unit sim build e2e bench-quick ## everything: set-up, checks, unit, simulator and end-to-end tests, and whether measuring works

demo: build ## both example manifests, live, in 90 seconds; where containers cannot run, simulated
	@node scripts/demo.ts

up: setup build ## an agent to play with: prints how to use it; `make down` ends it. WORDPRESS=1: for examples/wordpress
	@node scripts/demo.ts up $(if $(WORDPRESS),--wordpress)

down: ## ends what `make up` started and removes all of it
	@node scripts/demo.ts down

setup-bench:
	@scripts/setup --bench

bench: setup-bench build ## kubelette against others, side by side, in 15 minutes; KUBELET=PATH: against Kubernetes' own as well
	@node bench/bench.ts $(if $(KUBELET),--kubelet $(KUBELET))

bench-quick: setup build ## a little of everything that `make bench` does, in 2 minutes: to see that it works
	@node bench/bench.ts --quick

bench-services: setup build ## Services: requests per second, a change of the rules, from a probe's answer to the rules
	@node bench/services.ts $(if $(QUICK),--quick)
	@node bench/bench.ts --only services $(if $(QUICK),--quick)

generate: setup-node ## src/*/generated from the published schemas and protocols
	node scripts/generate-api.ts
	scripts/generate-cri.sh

clean: ## what was built or cached in this checkout
	rm -rf dist coverage .cache
