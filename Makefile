PYTHON ?= python3
VENV   ?= .venv
PINS   ?= constraints.txt
PY     := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help demo test lint types unit system docs bench clean oldest

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/.installed: pyproject.toml $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' \
	  || { echo "Python 3.10 to 3.14 is needed; choose one with: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Installing Airflow and the provider into $(VENV) (a minute or two) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -c $(PINS) -e '.[dev]'
	@touch $@

demo: $(VENV)/.installed  ## Run the example DAGs on a real Airflow against the bundled sandbox (KEEP=1 leaves it running)
	@$(PY) -m demo $(if $(KEEP),--keep)

test: lint types unit system docs  ## Everything that CI checks

lint: $(VENV)/.installed  ## Ruff
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.installed  ## Mypy, strict
	$(VENV)/bin/mypy

unit: $(VENV)/.installed  ## All tests that need no running Airflow
	$(PY) -m pytest -m 'not system'

system: $(VENV)/.installed  ## Tests on a real Airflow with its triggerer
	$(PY) -m pytest -m system

bench: $(VENV)/.installed  ## What waiting costs, compared with other ways (a quarter of an hour)
	$(PY) -m tests.benchmarks
	$(PY) docs/waiting.py

docs: $(VENV)/.installed  ## The documentation, warnings as errors
	$(VENV)/bin/sphinx-build -q -W --keep-going -b html docs docs/_build/html

oldest:  ## The unit tests on the oldest supported Airflow
	@$(MAKE) unit VENV=.venv-oldest PINS=constraints-oldest.txt

clean:  ## Remove what the other targets made
	rm -rf $(VENV) .venv-oldest docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
