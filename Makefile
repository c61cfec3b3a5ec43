PYTHON ?= python3
VENV   ?= .venv
PINS   ?= constraints.txt
# More than there are cores: the tests spend half of their time in pauses.
JOBS   ?= 4
PIP    := pip==26.3
PY     := $(VENV)/bin/python
# How many real Airflows `make system` runs side by side: one alone leaves two cores idle most of the time.
AIRFLOWS ?= 3

# What the storages of tests/transfers take besides; empty leaves out those that need it.
STORES  ?= stores
CHROMIUM ?= $(firstword $(shell command -v chromium google-chrome chromium-browser))
export CHROMIUM
NODE   := $(and $(shell command -v node),$(shell command -v npm))
AZURITE := $(if $(and $(STORES),$(NODE)),npm install --loglevel=error --no-audit --no-fund --no-update-notifier --no-save --no-package-lock --prefix $(VENV) azurite@3.37.0 >/dev/null)
UNIT   := -n $(JOBS) -m 'not system and not more and not chaos and not javascript and not stores and not browser'
# Where they are: to collect all tests would take as long as some of them.
SYSTEM := -n $(AIRFLOWS) --dist loadfile --no-loadscope-reorder tests/system tests/docs
BROWSE  = $(PY) -m pip install --quiet --disable-pip-version-check -c $(PINS) playwright && $(PY) -m pytest -m
SDKS   := tests/conformance/javascript
OLD    := 3.1 3.2
NEWEST := .venv-newest
# Of the pre-releases only Airflow's own packages: what they need is as released.
INSTALL_NEWEST = $(PYTHON) -m venv $(NEWEST) \
  && $(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' \
  && $(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --pre \
    apache-airflow apache-airflow-core apache-airflow-task-sdk

# Modules are compiled once, when they are first imported, and not by every process.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help pictures demo test check lint types unit conformance system docs bench stores chaos storm fuzz findings clean oldest newest system-more

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# What is installed: enough for the demo, or everything that a change needs.
$(VENV)/.demo $(VENV)/.dev: $(VENV)/.%: pyproject.toml $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' \
	  || { echo "Python 3.10 to 3.14 is needed; choose one with: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Installing Airflow and the provider into $(VENV) (a few minutes) ..."
	@$(PYTHON) -m venv $(VENV)
	@# The pip that comes with Python needs minutes to find what a newer one finds in seconds, and most modules
	@# are never imported, so they need not be compiled.
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-compile $(PIP)
	@$(if $(filter dev,$*),$(or $(AZURITE),true) & azurite=$$!;) \
	$(PY) -m pip install --quiet --disable-pip-version-check --no-compile -c $(PINS) \
	  -e '.[$*$(if $(filter dev,$*),$(STORES:%=,%))]' $(if $(filter dev,$*),&& wait $$azurite)
	@touch $@

demo: $(VENV)/.demo  ## Run the example DAGs on a real Airflow against the bundled sandbox (KEEP=1 leaves it running, TIMEOUT=600 is for a slow machine)
	@$(PY) -m demo $(if $(KEEP),--keep) $(if $(TIMEOUT),--timeout $(TIMEOUT))

test:  ## Everything that CI checks
	@# Each of these keeps one core busy.
	@$(MAKE) --no-print-directory -j2 lint types conformance docs
	@$(MAKE) --no-print-directory -j1 unit system

check: lint types  ## What a change needs before each commit, in three minutes: lint, types, and the tests nearest to it
	@$(PY) -m tests.touched $(UNIT)

lint: $(VENV)/.dev  ## Ruff, and which module may import which
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-cache

types: $(VENV)/.dev  ## Mypy, strict
	$(VENV)/bin/mypy

unit: $(VENV)/.dev  ## All tests that need no running Airflow
	$(PY) -m pytest --dist worksteal $(UNIT)

conformance: $(VENV)/.dev $(if $(NODE),$(SDKS)/node_modules/.installed)  ## Stream's JavaScript SDKs against the sandbox, where Node is
	@$(if $(NODE),$(PY) -m pytest tests/conformance/test_javascript.py,echo "Left out: Stream's JavaScript SDKs, which need node and npm.")

$(SDKS)/node_modules/.installed: $(SDKS)/package-lock.json
	@echo "Installing Stream's JavaScript SDKs into $(@D) ..."
	@cd $(SDKS) && npm ci --loglevel=error --no-audit --no-fund --no-update-notifier >/dev/null
	@touch $@

system: $(VENV)/.dev  ## Tests on a real Airflow with its triggerer, the storm among them; of its UI, too, where Chromium is
	$(PY) -m pytest -m 'system or chaos' $(SYSTEM) tests/chaos
	@$(if $(CHROMIUM),$(BROWSE) browser tests/ui tests/system/test_in_a_browser.py,echo "Left out: the UI in a browser, which needs Chromium (CHROMIUM=/path/to/it).")

pictures: export PICTURES := docs/pictures
pictures: $(VENV)/.dev  ## The pictures of Airflow's UI in the documentation, taken by tests in Chromium
	@$(if $(CHROMIUM),true,echo "Chromium is needed: make pictures CHROMIUM=/path/to/it"; exit 1)
	@$(BROWSE) picture tests/ui tests/system/test_in_a_browser.py
	@# The tab is there from Airflow 3.4 on.
	@$(INSTALL_NEWEST)
	@$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check playwright
	$(NEWEST)/bin/python -m pytest -m picture tests/ui -k tab

system-more: $(VENV)/.dev  ## Tests on a real Airflow in settings that few have, outside CI (half an hour)
	@$(PY) -m pip install --quiet --disable-pip-version-check -c $(PINS) apache-airflow-providers-fab apache-airflow-providers-git
	$(PY) -m pytest -m more tests/system/more

bench: $(VENV)/.dev  ## What waiting, storing an export and reading ten million items cost (three hours)
	$(PY) -m tests.benchmarks
	$(PY) -m tests.benchmarks.tables
	$(PY) -m tests.benchmarks.real_airflow
	$(PY) -m tests.benchmarks.fresh_triggerer
	$(PY) -m tests.benchmarks.waiting_operators
	$(PY) -m tests.benchmarks.scale
	$(PY) -m tests.benchmarks.export
	$(PY) -m tests.benchmarks.items

stores: $(VENV)/.dev  ## Every storage that can run here, with the time of each case
	$(PY) -m pytest tests/transfers/test_storages.py tests/transfers/test_s3_buckets.py -v --durations=0

chaos: $(VENV)/.dev  ## Five rehearsals of everything that can break, each with a seed of its own (40 minutes)
	$(PY) -m tests.chaos --seeds 5 --write

storm: $(VENV)/.dev  ## A short rehearsal of the same (four minutes)
	$(PY) -m pytest -m chaos tests/chaos

fuzz: $(VENV)/.dev  ## What reads things from outside, with 100,000 made-up ones each (half an hour and more)
	HYPOTHESIS_PROFILE=nightly $(PY) -m pytest -m fuzz

findings:  ## Surprises in the software that we build on, and whether they are still there (minutes, not in CI)
	@set -e; for script in findings/*.sh; do bash $$script; done

docs: $(VENV)/.dev  ## The documentation, warnings as errors
	$(VENV)/bin/sphinx-build -q -W --keep-going -b html docs docs/_build/html

oldest:  ## The unit tests on the older releases of Airflow that are supported
	@for minor in $(OLD); do \
	  $(MAKE) unit VENV=.venv-$$minor PINS=constraints-$$minor.txt STORES= || exit; \
	done

newest:  ## Unit tests and tests on a real Airflow, on its newest pre-release, outside CI
	@$(INSTALL_NEWEST)
	@$(NEWEST)/bin/python -m pip freeze | grep '^apache-airflow'
	$(NEWEST)/bin/python -m pytest --dist worksteal $(UNIT)
	$(NEWEST)/bin/python -m pytest -m system $(SYSTEM)

clean:  ## Remove what the other targets made
	rm -rf $(VENV) $(OLD:%=.venv-%) $(NEWEST) $(SDKS)/node_modules docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
