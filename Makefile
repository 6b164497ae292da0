# Each target sets up what it needs by itself, in .venv; only Python 3.11 or newer and make have to be there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# CONSTRAINTS= installs the newest versions instead of the pinned ones.
CONSTRAINTS ?= constraints.txt
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))

.DEFAULT_GOAL := help
.PHONY: help grid test test-slow lint types format clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v >= (3, 11) or sys.exit("jaxact needs Python 3.11 or newer, $(PYTHON) is %d.%d: run make PYTHON=python3.13" % v)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.base

grid: $(VENV)/.base  ## install, get MNIST, train all 64 combinations at a size of minutes
	$(BIN)/python -m experiments.grid --preset quick

test: lint types  ## install, then lint, type check and every test that is not slow
	$(BIN)/python -m pytest -n 2 -m 'not slow' -q --durations=15

test-slow: $(VENV)/.dev  ## the slow tests
	XLA_FLAGS=--xla_cpu_multi_thread_eigen=false $(BIN)/python -m pytest -n 2 -m slow -q

lint: $(VENV)/.dev  ## ruff, format and check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev  ## basedpyright
	$(BIN)/basedpyright --pythonpath $(BIN)/python

format: $(VENV)/.dev  ## let ruff rewrite
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environment and caches, never results or runs
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build dist
