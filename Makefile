# Two commands: `make demo` and `make test`. Both set everything up first, in .venv; neither touches the rest of the machine
# (but for libgmp's headers and a C compiler, where they are missing and may be installed).
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: demo test lint format interop bench setup clean

demo: setup
	@$(BIN)/hallmark demo

test: setup
	@$(BIN)/python -m pytest

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# against js-libp2p, in both directions; needs Node.js and npm
interop: setup
	@cd tests/p2p/interop && npm ci --no-audit --no-fund --ignore-scripts
	@$(BIN)/python -m pytest tests/p2p/interop

bench: setup
	@$(BIN)/python -m bench.certificates
	@$(BIN)/python -m bench.answers
	@$(BIN)/python -m bench.start
	@$(BIN)/python -m bench.transport
	@$(BIN)/python -m bench.uploads
	@$(BIN)/python -m bench.soak
	@$(BIN)/python -m bench.storage
	@$(BIN)/python -m bench.pull
	@$(BIN)/python -m bench.generation

setup: .venv/ready

.venv/ready: setup.cfg pyproject.toml constraints.txt setup.sh
	@PYTHON="$(PYTHON)" ./setup.sh

clean:
	rm -rf .venv build *.egg-info
