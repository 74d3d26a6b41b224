# Needs Python 3.11 or newer, and make. `make` alone says what there is.

PYTHON ?= python3
# More arguments for pip, such as the index of PyTorch's CPU builds.
PIP_ARGS ?=
# Languages of clients-test, such as "python go"; all where empty.
LANGUAGES ?=

BIN := .venv/bin
INSTALLED := .venv/.installed
# Old enough for its stubs to run on protobuf 6 and 7.
PROTO_TOOLS := grpcio-tools==1.72.2 mypy-protobuf==3.6.0 setuptools==80.9.0
PROTO_INSTALLED := .venv-protos/.installed

# Without compiled modules the hundreds of processes of the tests compile the package once each.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help venv demo docs test test-all clients-test check format lint types layers stubs-fresh protos clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

venv: $(INSTALLED) ## Create .venv and install the package with all it needs

demo: $(INSTALLED) ## Search 10 units over gRPC in under 2 minutes; writes demo/
	$(BIN)/blackbox-am demo --out demo

docs: $(INSTALLED) ## Build the pages of the documentation into build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

test: $(INSTALLED) ## Run the fast tests
	$(BIN)/python -m pytest -n auto --dist worksteal

test-all: $(INSTALLED) ## Run all tests, the slow ones too
	$(BIN)/python -m pytest -n auto --dist worksteal -m "" --timeout 900

clients-test: $(INSTALLED) ## Build and test the clients; LANGUAGES="python go" chooses
	$(BIN)/python -m clients.run $(LANGUAGES)

check: lint types layers stubs-fresh docs ## Check format, lint, types, layers, stubs and pages

format: $(INSTALLED) ## Rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(INSTALLED)
	$(BIN)/mypy

layers: $(INSTALLED)
	$(BIN)/lint-imports

stubs-fresh: $(PROTO_INSTALLED)
	PYTHON=.venv-protos/bin/python protos/generate.sh --check

protos: $(PROTO_INSTALLED) ## Regenerate blackbox_am/v1 from protos/
	PYTHON=.venv-protos/bin/python protos/generate.sh

clean: ## Remove what the other targets made
	rm -rf .venv .venv-protos .venv-node demo build dist *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf $(foreach made,build dist node_modules target,clients/*/$(made))
	find blackbox_am training tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps come last: an interrupted install is repeated.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"expected Python 3.11 or newer, got {sys.version.split()[0]}; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	touch $@

$(PROTO_INSTALLED): Makefile
	$(PYTHON) -m venv .venv-protos
	.venv-protos/bin/python -m pip install --quiet $(PIP_ARGS) $(PROTO_TOOLS)
	touch $@
