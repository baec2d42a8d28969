# Each target is one line that a laptop can run. `make run` needs Python 3.11 or newer and a network for the install.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup run test lint study bench

help:      ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/  /'

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev]' --constraint constraints.txt
	@touch $@

setup: $(VENV)/.installed  ## create .venv with pinned dependencies

run: setup  ## the three-model comparison on phantom heads
	$(BIN)/python run.py experiment=three_models

test: setup  ## the whole test suite, a process per core
	$(BIN)/python -m pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile

lint: setup  ## style and types
	$(BIN)/ruff check . && $(BIN)/ruff format --check --diff . && $(BIN)/mypy

study: setup  ## the three-model comparison on HC18: make study HC18=DIR
	$(BIN)/python run.py experiment=three_models data=hc18 data.root=$(HC18)

bench: setup  ## times: training, loader, codecs, measuring images, sweeps, the report's page
	$(BIN)/python experiments/bench/bench.py
