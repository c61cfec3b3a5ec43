PYTHON ?= python3
VENV   ?= .venv
PY     := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help demo test lint types unit system docs clean

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' \
	  || { echo "Python 3.10 to 3.14 is needed; choose one with: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Installing Airflow and the provider into $(VENV) (a minute or two) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
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

docs: $(VENV)/.installed  ## The documentation, warnings as errors
	$(VENV)/bin/sphinx-build -q -W --keep-going -b html docs docs/_build/html

clean:  ## Remove what the other targets made
	rm -rf $(VENV) docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
