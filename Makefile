# Two commands for a stranger: `make run` and `make test`. Each sets up everything it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN_ARGUMENTS ?=

.PHONY: run test install clean
.DEFAULT_GOAL := run

run: $(VENV)/.installed
	$(BIN)/ternary-vae train $(RUN_ARGUMENTS)

test: $(VENV)/.installed
	$(BIN)/python -m ruff check .
	PYTHONPATH=src $(BIN)/lint-imports
	$(BIN)/python -m pytest

install: $(VENV)/.installed

# torch is pinned and installed first, so that nothing else chooses its build.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache
