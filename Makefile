# Two commands for a stranger: `make run` and `make test`. Each sets up everything it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN_ARGUMENTS ?=
VERSIONS_ARGUMENTS ?=

.PHONY: run test test-versions install clean
.DEFAULT_GOAL := run

run: $(VENV)/.installed
	$(BIN)/ternary-vae train $(RUN_ARGUMENTS)

test: $(VENV)/.installed
	$(BIN)/python -m ruff check .
	PYTHONPATH=src $(BIN)/lint-imports
	$(BIN)/python -m pytest

# With the oldest versions that pyproject.toml allows, then with the newest: python3.11 and python3.13 or python3.12.
test-versions:
	$(PYTHON) scripts/maintenance/test_versions.py $(VERSIONS_ARGUMENTS)

install: $(VENV)/.installed

# torch is pinned and installed first, so that nothing else chooses its build.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .versions .pytest_cache .ruff_cache .import_linter_cache
