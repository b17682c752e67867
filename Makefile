# Everything a person does with this repository. `make help` lists it.
#
# A fresh machine needs make, Python 3.11 or newer and a network that reaches its package registries. As root on Debian
# whatever else is missing is installed; elsewhere it is named.

SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
SPARK_VENV ?= .venv-spark
BIN := $(VENV)/bin

# The shipped folders, and the extras that development needs of them.
DISTRIBUTIONS := protos transport server_untrusted proxy_trusted clients ingest
EXTRAS_clients := [dashboard]

# What an installation depends on.
PINS := constraints.txt pyproject.toml $(DISTRIBUTIONS:%=%/pyproject.toml)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Tests that try more if they have the time.
AT_LENGTH := tests/leakage $(addprefix tests/integration/,test_crashes.py test_fuzz.py proxy/test_answers_property.py \
    proxy/test_compaction_crashes.py) tests/unit/proxy/compaction/test_crashes.py
PYTEST := $(BIN)/pytest --numprocesses $(or $(JOBS),auto) --dist loadfile --no-loadscope-reorder $(if $(K),-k '$(K)')

.DEFAULT_GOAL := help
.PHONY: help setup demo check format unit test coverage protos protos-check client client-check services crashtest \
    spark-setup spark-test \
    bench loadtest soak attacks notebook check-readme version package locks advisories clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: $(VENV)/.development ## install everything that development needs into .venv

demo: $(VENV)/.runtime ## from nothing to answers, on a simulated campus (KEEP=1: then a dashboard, and live data)
	@$(BIN)/python scripts/demo.py

check: $(VENV)/.development protos-check client-check check-readme ## style, types, import rules, contracts, documents; no service
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/python scripts/check_markdown.py
	@$(BIN)/python scripts/version.py
	@$(BIN)/python scripts/locks.py
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/buf lint protos
	@VENV=$(VENV) scripts/protos_breaking.sh

format: $(VENV)/.development ## format code, sort imports, and wrap long lines of prose
	@$(BIN)/ruff check --quiet --select I --fix .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/python scripts/check_markdown.py --write

unit: $(VENV)/.development ## quick unit tests: few examples of each property, no service (T=path, K=pattern, JOBS=n)
	@HYPOTHESIS_PROFILE=quick $(PYTEST) -m 'not slow' $(or $(T),tests/unit)

ifdef T
test: $(VENV)/.development ## check, then all tests, as CI (T=path: only those tests; K=pattern, JOBS=n)
	@$(PYTEST) $(T)
else
test: $(VENV)/.development $(SPARK_VENV)/.runtime check
	@scripts/require.sh mariadb kafka chromium softhsm faketime
	@SPARK_VENV=$(SPARK_VENV) $(PYTEST)
endif

coverage: $(VENV)/.development ## which lines of the shipped code the unit tests run: a table, and htmlcov/
	@$(PYTEST) --quiet --cov --cov-report=term:skip-covered --cov-report=html $(or $(T),tests/unit)

protos: $(VENV)/.development ## generate the stubs of the contracts
	@scripts/protos.sh

protos-check: $(VENV)/.development ## fail if the stubs are not those of the contracts
	@scripts/protos_check.sh

client: $(VENV)/.development ## generate the blocking client from the asynchronous one
	@$(BIN)/python scripts/blocking_client.py

client-check: $(VENV)/.development ## fail if the blocking client is not as generated
	@$(BIN)/python scripts/blocking_client.py --check

services: $(VENV)/.development ## run a private MariaDB and a private Kafka until Ctrl-C, and print their addresses
	@scripts/require.sh mariadb kafka
	@$(BIN)/python scripts/services.py

crashtest: $(VENV)/.development ## kill every process again and again while a log streams in (KILLS=100, SEED=n)
	@scripts/require.sh mariadb kafka
	@$(BIN)/python scripts/crashtest.py --kills $(or $(KILLS),100) $(if $(SEED),--seed $(SEED))

spark-setup: $(SPARK_VENV)/.runtime ## install PySpark and what runs on it into .venv-spark

spark-test: $(VENV)/.development $(SPARK_VENV)/.runtime ## Spark, local and standalone, while its parts are killed (minutes)
	@scripts/require.sh mariadb kafka
	@SPARK_VENV=$(SPARK_VENV) $(BIN)/pytest tests/spark

bench: $(VENV)/.benchmarks $(SPARK_VENV)/.runtime ## compare with the same job in plaintext (SCALE=1M,10M, ONLY=name, ROUNDS=5)
	@scripts/require.sh mariadb kafka
	@SPARK_VENV=$(SPARK_VENV) $(BIN)/python -m benchmarks $(if $(SCALE),--scale $(SCALE)) $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS))

loadtest: $(VENV)/.development ## ramp up users until latency degrades (USERS=128, SECONDS=125)
	@scripts/require.sh mariadb
	@$(BIN)/python -m loadtests --report docs/reports/LOADTEST.md $(if $(USERS),--users $(USERS)) $(if $(SECONDS),--seconds $(SECONDS))

soak: $(VENV)/.development ## what takes hours: properties, lies, malformed requests, fuzzed parsers, little memory
	@SOAK=1 $(PYTEST) $(AT_LENGTH)
	@$(BIN)/python -m tests.soak.lying_server $(or $(N),10000)
	@$(BIN)/python -m tests.soak.fuzz $(or $(CALLS),100000)
	@$(BIN)/python -m tests.soak.parsers $(or $(SECONDS),3600)
	@$(BIN)/python -m tests.soak.memory $(or $(ROUNDS),20)

attacks: $(VENV)/.development ## guess from what the storage server sees, and write docs/reports/ATTACKS.md (4 minutes)
	@$(BIN)/python -m attacks

notebook: $(VENV)/.notebook ## run docs/notebook.py against a simulated campus and save its output
	@$(BIN)/python scripts/notebook.py

check-readme: $(VENV)/.development ## fail if README or docs show other output than their commands give
	@$(BIN)/python scripts/check_readme.py

version: $(VENV)/.development ## give every distribution the version in VERSION
	@$(BIN)/python scripts/version.py --write

package: $(VENV)/.package ## build all distributions into dist/, check them, and list what they consist of (CycloneDX)
	@rm -rf dist
	@$(foreach name,$(DISTRIBUTIONS),$(BIN)/python -m build --quiet --outdir dist $(name) &&) true
	@$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz
	@$(BIN)/python scripts/check_packages.py dist
	@$(BIN)/python scripts/sbom.py dist

locks: $(VENV)/.development ## write locks/: names, versions and hashes of what an installation of each distribution takes
	@$(BIN)/python scripts/locks.py --write

advisories: $(VENV)/.package ## compare the pins with the advisories that the package index publishes
	@$(BIN)/python scripts/advisories.py

clean: ## remove whatever the other targets made
	@rm -rf $(VENV) $(SPARK_VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov dist
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@PYTHON=$(PYTHON) scripts/require.sh python
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip

$(VENV)/.runtime: $(VENV)/bin/python $(PINS)
	@echo "installing the distributions into $(VENV) ..." >&2
	@$(INSTALL) $(foreach name,$(DISTRIBUTIONS),--editable '$(name)$(EXTRAS_$(name))')
	@touch $@

$(SPARK_VENV)/.runtime: $(PINS)
	@PYTHON=$(PYTHON) scripts/require.sh python
	@echo "installing Spark into $(SPARK_VENV) ..." >&2
	@$(PYTHON) -m venv $(SPARK_VENV)
	@$(SPARK_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(SPARK_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	    --editable protos --editable transport --editable clients --editable 'ingest[spark]'
	@touch $@

$(VENV)/.development: $(VENV)/.runtime
	@echo "installing the development tools into $(VENV) ..." >&2
	@$(INSTALL) --group dev
	@touch $@

$(VENV)/.benchmarks: $(VENV)/.development
	@echo "installing the libraries to compare with into $(VENV) ..." >&2
	@$(INSTALL) --group bench
	@touch $@

$(VENV)/.notebook: $(VENV)/.development
	@echo "installing what runs the notebook into $(VENV) ..." >&2
	@$(INSTALL) --group notebook
	@touch $@

$(VENV)/.package: $(VENV)/.development
	@echo "installing the packaging tools into $(VENV) ..." >&2
	@$(INSTALL) --group package
	@touch $@
