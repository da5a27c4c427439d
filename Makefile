# Two commands: `make demo` and `make test`. Both set everything up first, in .venv; neither touches the rest of the machine
# (but for libgmp's headers and a C compiler, where they are missing and may be installed).
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: demo test test-tensorrt lint format interop javascript compiler contracts test-contracts analyse test-anvil conformance bench soak fuzz lab simulate setup clean

demo: setup
	@$(BIN)/hallmark demo

# In as many processes as there are cores, at most four; PYTEST_XDIST_AUTO_NUM_WORKERS=1 for a machine with little memory.
# `.venv/bin/pytest` is the same in one process. In the folders' order: by their number of tests, the few and long ones
# with real peers would be left for the end.
test: setup
	@$(BIN)/python -m pytest -n logical --maxprocesses 4 --max-worker-restart 0 --dist loadscope \
		--no-loadscope-reorder

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The real TensorRT, as far as it goes without a card: it parses and builds. In an environment of its own (100 MB of
# packages), since a peer that has it installed and no card is rightly told so by `hallmark doctor`.
TENSORRT := .venv-tensorrt
test-tensorrt: setup
	@[ -x $(TENSORRT)/bin/python ] || $(BIN)/python -m venv --without-pip $(TENSORRT)
	@$(BIN)/python -c 'import os, sysconfig; print(sysconfig.get_path("purelib"), os.getcwd(), sep="\n")' \
		>"$$($(TENSORRT)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/hallmark.pth"
	@$(BIN)/python -m pip --python $(TENSORRT)/bin/python install -qq --disable-pip-version-check --no-deps \
		'tensorrt-rtx-cu13-libs>=1.7,<1.8' 'tensorrt-rtx-cu13-bindings>=1.7,<1.8' 'tensorrt-cu13-bindings>=11,<12' \
		'cuda-bindings>=13,<14' cuda-pathfinder
	@$(TENSORRT)/bin/python -m pytest tests/engine/backends

# js-libp2p, for the tests against it in both directions and for the example; needs Node.js and npm. Without it those tests
# are skipped.
JAVASCRIPT := tests/p2p/interop/node_modules/.package-lock.json examples/js/node_modules/.package-lock.json
javascript: $(JAVASCRIPT)

$(JAVASCRIPT): %/node_modules/.package-lock.json: %/package.json %/package-lock.json
	@cd $* && npm ci --no-audit --no-fund --ignore-scripts
	@touch $@

interop: setup javascript
	@$(BIN)/python -m pytest tests/p2p/interop tests/node/processes/test_js_example.py

# The contracts' compiler, their linter, OpenZeppelin's sources, and a chain of another make for the tests; needs Node.js and
# npm. Without it the tests of the contracts run on the committed artefacts, and those that compile them anew are skipped.
COMPILER := settle/contracts/node_modules/.package-lock.json
compiler: $(COMPILER)

$(COMPILER): settle/contracts/package.json settle/contracts/package-lock.json
	@cd settle/contracts && npm ci --no-audit --no-fund --ignore-scripts
	@touch $@

# compiles the contracts, writes settle/artifacts, and checks the sources
contracts: $(COMPILER)
	@cd settle/contracts && npm run --silent build && npm run --silent lint

# the committed artefacts are what the compiler makes of the sources: some minutes of compiling (`make test` compares hashes)
test-contracts: setup $(COMPILER)
	@HALLMARK_COMPILE=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 tests/settle/contracts/test_artefacts.py

# Slither over all contracts, a minute; in an environment of its own, since its libraries are of other versions than ours.
# docs/contracts.md has the answers to what it finds.
SLITHER := .venv-slither
analyse: $(COMPILER)
	@[ -x $(SLITHER)/bin/slither ] || { $(PYTHON) -m venv $(SLITHER) && \
		$(SLITHER)/bin/pip install -qq --disable-pip-version-check slither-analyzer==0.11.6; }
	@cd settle/contracts && ./solc.mjs --all >node_modules/all.json && PYTHONPATH= ../../$(SLITHER)/bin/slither node_modules/all.json \
		--config-file slither.config.json

# the contracts' tests on an EVM of another make than the devnet's; some minutes
test-anvil: setup $(COMPILER)
	@HALLMARK_EVM=anvil $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadscope tests/settle/contracts

# every case of the onnx package through a peer, a quarter of an hour; writes docs/conformance.md
conformance: setup
	@$(BIN)/python -m tests.conformance

bench: setup
	@$(BIN)/python -m bench.certificates
	@$(BIN)/python -m bench.proofs
	@$(BIN)/python -m bench.attestations
	@$(BIN)/python -m bench.tiers --rounds 10
	@$(BIN)/python -m bench.start
	@$(BIN)/python -m bench.transport
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

# ten thousand inputs on every protocol that a stranger can open, some minutes; `make test` sends a hundred
fuzz: setup
	@HALLMARK_FUZZ=10000 $(BIN)/python -m pytest -q -s tests/fuzz

# A network of peers that come and go, for two hours: does anything grow? Exits with 1 when it does.
soak: setup
	@$(BIN)/python -m bench.endurance --minutes 120

# Peers behind NATs, relays that die, links that lose, floods: in network namespaces of this machine, twenty minutes. As root
# on Linux; what is missing is told as SKIPPED, and then nothing has passed. Writes the table in bench/README.md.
LAB := ip:iproute2 nft:nftables conntrack:conntrack ping:iputils-ping sysctl:procps
lab: setup
	@packages=; for each in $(LAB); do command -v "$${each%:*}" >/dev/null || packages="$$packages $${each#*:}"; done; \
		[ -z "$$packages" ] || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
		{ apt-get update -qq && apt-get install -y -qq $$packages; }
	@$(BIN)/python -m tests.lab --write

# in virtual time: the whole network under attack, then committees, 1,000 peers each; writes docs/simulation.md,
# docs/committees.md and their plots
simulate: setup
	@$(BIN)/python -m bench.simulation.network
	@$(BIN)/python -m bench.simulation.committees

setup: .venv/ready

.venv/ready: setup.cfg pyproject.toml constraints.txt setup.sh
	@PYTHON="$(PYTHON)" ./setup.sh

clean:
	rm -rf .venv .venv-tensorrt .venv-slither settle/contracts/node_modules tests/p2p/interop/node_modules examples/js/node_modules build *.egg-info
