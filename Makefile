# make demo   installs nbdt into .venv and shows what it does, on real data, in under a minute
# make test   installs what the tests need and runs all of them
# make fast   runs the tests of the rooms that your change touches, in about a minute
# make lint   ruff and mypy
# make schemas   writes the JSON schemas that are generated from classes

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test fast lint schemas clean

demo: .venv/core
	$(BIN)/nbdt demo

# One thread per process: each core runs a process, and torch's threads would compete for the cores.
test: .venv/dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --cov --cov-report=term --cov-fail-under=95

fast: .venv/dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fast -n logical

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nbdt needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

# Users can't act on the build's warnings about editable installs.
.venv/core: .venv/bin/python setup.py
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable '.[serve]'
	touch $@

.venv/dev: .venv/bin/python setup.py
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable '.[all,conformance,dev]'
	touch $@ .venv/core

schemas: .venv/core
	$(BIN)/python -c 'from nbdt.explain.document import write_schema; write_schema()'

clean:
	rm -rf .venv build dist *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
