# Everything a person does with this repository. `make help` lists it.
#
# A fresh machine needs make, Python 3.11 or newer and a network that reaches its package registries. As root on Debian
# whatever else is missing is installed; elsewhere it is named.

SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# What an installation depends on.
DISTRIBUTIONS := protos server_untrusted proxy_trusted clients ingest
PINS := constraints.txt pyproject.toml $(DISTRIBUTIONS:%=%/pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint protos protos-check services crashtest bench loadtest soak attacks notebook check-readme clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: $(VENV)/.development ## install everything that development needs into .venv

demo: $(VENV)/.runtime ## from nothing to answers: a campus day, sealed and asked (KEEP=1: four weeks, with the dashboard and live data)
	@$(BIN)/python scripts/demo.py

test: $(VENV)/.development lint check-readme ## lint, types, boundaries, unit and integration tests (T=path, K=pattern, JOBS=n)
	@scripts/require.sh mariadb kafka chromium softhsm
	@$(BIN)/pytest --numprocesses $(or $(JOBS),auto) --dist loadfile --no-loadscope-reorder $(T) $(if $(K),-k '$(K)')

lint: $(VENV)/.development protos-check ## style, types, import rules and contracts
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/buf lint protos

protos: $(VENV)/.development ## generate the stubs of the contracts
	@scripts/protos.sh

protos-check: $(VENV)/.development ## fail if the stubs are not those of the contracts
	@scripts/protos_check.sh

services: $(VENV)/.development ## run a private MariaDB and a private Kafka until Ctrl-C, and say where they are
	@scripts/require.sh mariadb kafka
	@$(BIN)/python scripts/services.py

crashtest: $(VENV)/.development ## kill every part again and again while a log streams in (KILLS=100, SEED=n)
	@scripts/require.sh mariadb kafka
	@$(BIN)/python scripts/crashtest.py --kills $(or $(KILLS),100) $(if $(SEED),--seed $(SEED))

bench: $(VENV)/.benchmarks ## measure beside the same job in plaintext (SCALE=1M,10M, ONLY=name, ROUNDS=5)
	@scripts/require.sh mariadb kafka
	@$(BIN)/python -m benchmarks $(if $(SCALE),--scale $(SCALE)) $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS))

loadtest: $(VENV)/.development ## let users come until it does not keep up (USERS=128, SECONDS=125)
	@scripts/require.sh mariadb
	@$(BIN)/python -m loadtests --report docs/reports/LOADTEST.md $(if $(USERS),--users $(USERS)) $(if $(SECONDS),--seconds $(SECONDS))

soak: $(VENV)/.development ## lies of the storage server (N=10000), and requests that nobody would send (CALLS=100000)
	@$(BIN)/python -m tests.soak.lying_server $(or $(N),10000)
	@$(BIN)/python -m tests.soak.fuzz $(or $(CALLS),100000)

attacks: $(VENV)/.development ## guess from what the storage server sees, and write docs/ATTACKS.md (about 4 minutes)
	@$(BIN)/python -m attacks

notebook: $(VENV)/.notebook ## run docs/notebook.py against a simulated campus and write down what it shows
	@$(BIN)/python scripts/notebook.py

check-readme: $(VENV)/.development ## fail if README or docs show other output than their commands give
	@$(BIN)/python scripts/check_readme.py

clean: ## remove whatever the other targets made
	@rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@PYTHON=$(PYTHON) scripts/require.sh python
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip

$(VENV)/.runtime: $(VENV)/bin/python $(PINS)
	@echo "installing the five distributions into $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt \
	    --editable protos --editable server_untrusted --editable proxy_trusted \
	    --editable 'clients[dashboard]' --editable ingest
	@touch $@

$(VENV)/.development: $(VENV)/.runtime
	@echo "installing the tools of development into $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev
	@touch $@

$(VENV)/.benchmarks: $(VENV)/.development
	@echo "installing the libraries to measure beside into $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --group bench
	@touch $@

$(VENV)/.notebook: $(VENV)/.development
	@echo "installing what runs the notebook into $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --group notebook
	@touch $@
