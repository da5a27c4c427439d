# Two commands: `make demo` and `make test`. Both set everything up first, in .venv; neither touches the rest of the machine
# (but for libgmp's headers and a C compiler, where they are missing and may be installed). `make help` names the others.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: demo test help setup lint format interop fuzz lab soak simulate bench conformance test-tensorrt javascript compiler contracts \
	test-contracts test-anvil analyse clean

## the main job, shown: half a minute once it is set up
demo: setup
	@$(BIN)/hallmark demo

## all tests: ten minutes on two cores. Contracts as committed; with what `make javascript compiler` fetches, none is skipped
# In one process more than there are cores; PYTEST_XDIST_AUTO_NUM_WORKERS=1 for a machine with little memory.
# `.venv/bin/pytest` is the same in one process. In the folders' order: by their number of tests, the few and long ones
# with real peers would be left for the end.
test: setup
	@$(BIN)/python -m pytest -n logical --max-worker-restart 0 --dist loadscope --no-loadscope-reorder

## this list
help:
	@awk '/^## /{said = substr($$0, 4)} /^[a-z-]+:/{if (said) printf "%-16s %s\n", substr($$1, 1, index($$1, ":") - 1), said; said = ""}' Makefile

## .venv, with all that the others need: a minute the first time
setup: .venv/ready

.venv/ready: setup.cfg pyproject.toml constraints.txt setup.sh
	@PYTHON="$(PYTHON)" ./setup.sh

## ruff and mypy: half a minute
lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

## the code as ruff would have it
format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Longer looks at the network

## against js-libp2p in both directions, and the example in JavaScript: two minutes. Needs Node.js and npm
interop: setup javascript
	@$(BIN)/python -m pytest tests/p2p/interop tests/node/processes/test_js_example.py

## ten thousand inputs on every protocol that a stranger can open: some minutes; `make test` sends a hundred
fuzz: setup
	@HALLMARK_FUZZ=10000 $(BIN)/python -m pytest -q -s tests/fuzz

# What is missing is told as SKIPPED, and then nothing has passed. Writes the table in bench/README.md.
LAB := ip:iproute2 nft:nftables conntrack:conntrack ping:iputils-ping sysctl:procps miniupnpd:miniupnpd-nftables
## NATs, relays that die, links that lose, floods, in network namespaces of this machine: twenty minutes. As root on Linux
lab: setup
	@packages=; for each in $(LAB); do command -v "$${each%:*}" >/dev/null || packages="$$packages $${each#*:}"; done; \
		[ -z "$$packages" ] || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
		{ apt-get update -qq; for each in $$packages; do DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$each; done; } || true
	@$(BIN)/python -m tests.lab --write

## four peers under a load, for two hours: does anything grow? Ends with 1 when it does
soak: setup
	@$(BIN)/python -m bench.endurance --minutes 120

## 1,000 peers under attack, then committees, in virtual time: writes docs/simulation.md, docs/committees.md and their plots
simulate: setup
	@$(BIN)/python -m bench.simulation.network
	@$(BIN)/python -m bench.simulation.committees

# Longer looks at the rest

## the figures of bench/README.md that `lab`, `soak` and `simulate` do not give; one after the other, on a machine that is idle
bench: setup
	@$(BIN)/python -m bench.certificates
	@$(BIN)/python -m bench.proofs
	@$(BIN)/python -m bench.attestations
	@$(BIN)/python -m bench.tiers --rounds 10
	@$(BIN)/python -m bench.start
	@$(BIN)/python -m bench.transport
	@$(BIN)/python -m bench.relay
	@$(BIN)/python -m bench.gossip
	@$(BIN)/python -m bench.uploads
	@$(BIN)/python -m bench.soak
	@$(BIN)/python -m bench.epochs
	@$(BIN)/python -m bench.payout
	@$(BIN)/python -m bench.storage
	@$(BIN)/python -m bench.payments
	@$(BIN)/python -m bench.pull
	@$(BIN)/python -m bench.generation
	@$(BIN)/python -m bench.serving
	@$(BIN)/python -m bench.hostile
	@$(BIN)/python -m bench.devnet
	@$(BIN)/python -m bench.gas

## every case of the onnx package through a peer, a quarter of an hour: writes docs/conformance.md
conformance: setup
	@$(BIN)/python -m tests.conformance

# As far as it goes without a card: it parses and builds. In an environment of its own (100 MB of packages), since a peer
# that has it installed and no card is rightly told so by `hallmark doctor`.
TENSORRT := .venv-tensorrt
## the real TensorRT's parser and builder: some minutes
test-tensorrt: setup
	@[ -x $(TENSORRT)/bin/python ] || $(BIN)/python -m venv --without-pip $(TENSORRT)
	@$(BIN)/python -c 'import os, sysconfig; print(sysconfig.get_path("purelib"), os.getcwd(), sep="\n")' \
		>"$$($(TENSORRT)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/hallmark.pth"
	@$(BIN)/python -m pip --python $(TENSORRT)/bin/python install -qq --disable-pip-version-check --no-deps \
		'tensorrt-rtx-cu13-libs>=1.7,<1.8' 'tensorrt-rtx-cu13-bindings>=1.7,<1.8' 'tensorrt-cu13-bindings>=11,<12' \
		'cuda-bindings>=13,<14' cuda-pathfinder
	@$(TENSORRT)/bin/python -m pytest tests/engine/backends

# What npm brings

NPM = command -v npm >/dev/null || { echo "$@ is fetched with npm, which is not here: install Node.js and npm." >&2; exit 1; }; npm

## js-libp2p, for its tests and the example; without it those are skipped
JAVASCRIPT := tests/p2p/interop/node_modules/.package-lock.json examples/js/node_modules/.package-lock.json
javascript: $(JAVASCRIPT)

$(JAVASCRIPT): %/node_modules/.package-lock.json: %/package.json %/package-lock.json
	@cd $* && $(NPM) ci --no-audit --no-fund --ignore-scripts
	@touch $@

## the contracts' compiler and linter, OpenZeppelin, another make's EVM; without it tests run on the committed artefacts
COMPILER := settle/contracts/node_modules/.package-lock.json
compiler: $(COMPILER)

$(COMPILER): settle/contracts/package.json settle/contracts/package-lock.json
	@cd settle/contracts && $(NPM) ci --no-audit --no-fund --ignore-scripts
	@touch $@

## compiles the contracts, writes settle/artifacts, and checks the sources
contracts: $(COMPILER)
	@cd settle/contracts && npm run --silent build && npm run --silent lint

## the committed artefacts are what the compiler makes of the sources: some minutes (`make test` compares hashes)
test-contracts: setup $(COMPILER)
	@HALLMARK_COMPILE=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 tests/settle/contracts/test_artefacts.py

## the contracts' tests on an EVM of another make than the devnet's: some minutes
test-anvil: setup $(COMPILER)
	@HALLMARK_EVM=anvil $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadscope tests/settle/contracts

# In an environment of its own, since its libraries are of other versions than ours.
SLITHER := .venv-slither
## Slither over all contracts: a minute. docs/contracts.md has the answers to what it finds
analyse: $(COMPILER)
	@[ -x $(SLITHER)/bin/slither ] || { $(PYTHON) -m venv $(SLITHER) && \
		$(SLITHER)/bin/pip install -qq --disable-pip-version-check slither-analyzer==0.11.6; }
	@cd settle/contracts && ./solc.mjs --all >node_modules/all.json && PYTHONPATH= ../../$(SLITHER)/bin/slither node_modules/all.json \
		--config-file slither.config.json

## away with all that was made here, but for the sources
clean:
	rm -rf .venv .venv-tensorrt .venv-slither settle/contracts/node_modules tests/p2p/interop/node_modules examples/js/node_modules build *.egg-info
