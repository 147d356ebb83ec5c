# `make` lists what there is. Needs only make and Python 3.11 or newer (with venv).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := .venv-bench
CODE := schemas producers worker tests

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## Create .venv with the locked packages (quick when nothing changed)
	@:

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try: make setup PYTHON=python3.13")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked packages into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . 2>$(VENV)/install.log \
		|| { cat $(VENV)/install.log >&2; exit 1; }
	@touch $@

.PHONY: demo
demo: setup ## See it work: private services, a simulated shop, orders becoming sales orders
	@$(BIN)/python -m tests.demo

.PHONY: test
test: lint ## Check everything from nothing: services, lint, types, architecture, all tests
	@# Most tests wait for processes and timers: three files at a time. Faults are timed, so they run alone.
	@$(BIN)/python -m pytest -n 3 --dist loadfile --ignore tests/faults
	@$(BIN)/python -m pytest tests/faults

.PHONY: check
check: lint unit ## The quick half of `test`: format, lint, types, imports, unit tests; no services

.PHONY: bench
bench: setup $(PEERS)/.ready ## Measure beside peers: all rows, or ROWS="a c"; QUICK=1 is small and once
	@$(BIN)/python -m tests.benchmarks $(ROWS) $(if $(QUICK),--quick)

$(PEERS)/.ready: requirements-bench.lock
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@echo "installing the peers into $(PEERS) …"
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	@touch $@

.PHONY: lint
lint: setup ## Check format, style, types and the direction of imports
	@$(BIN)/ruff format --check --quiet $(CODE) || { echo 'run `make format`' >&2; exit 1; }
	@$(BIN)/ruff check --quiet $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

.PHONY: format
format: setup ## Bring the code into the common format
	@$(BIN)/ruff check --quiet --fix-only $(CODE)
	@$(BIN)/ruff format --quiet $(CODE)

.PHONY: unit
unit: setup ## Run the tests that need no services
	@$(BIN)/python -m pytest tests/unit

.PHONY: faults
faults: setup ## Hurt real processes and services for long: make faults [SECONDS=1800] [SEEDS=20000] [SEED=7]
	@BACKROOM_FAULT_SECONDS=$(or $(SECONDS),1800) BACKROOM_SEEDS=$(or $(SEEDS),20000) BACKROOM_RACE_SECONDS=120 \
		$(if $(SEED),BACKROOM_SEED=$(SEED)) $(BIN)/python -m pytest -m faults tests/faults tests/integration

.PHONY: schema
schema: setup ## Refresh Shopify's official schema from its npm package
	@$(BIN)/python -m tests.support.refresh_schema

.PHONY: schema-sql
schema-sql: setup ## Write the database on one page (worker/database/schema.sql) from the migrations
	@$(BIN)/python -m tests.support.write_schema_sql

.PHONY: metrics-page
metrics-page: setup ## Write the tables of docs/metrics.md from the list of metrics
	@$(BIN)/python -m tests.support.metrics_page

.PHONY: contract
contract: setup ## Write the published contract (schemas/published/)
	@$(BIN)/backroom contract export

.PHONY: lock
lock: setup ## Choose the newest allowed versions anew (needs uv)
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --output-file requirements.lock pyproject.toml
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --extra embedded --constraint requirements.lock --output-file requirements-embedded.lock \
		pyproject.toml
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --output-file requirements-bench.lock requirements-bench.in

.PHONY: clean
clean: ## Stop the private services, delete their data, and remove all that the tools made
	@test ! -f .backroom/services.json || $(BIN)/backroom services down --delete-data
	@rm -rf $(VENV) $(PEERS) .backroom .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
