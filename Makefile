# Two commands for a stranger: `make run` and `make test`; `make docs` builds the site. Each sets up everything it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN_ARGUMENTS ?=
VERSIONS_ARGUMENTS ?=

.PHONY: run test docs test-versions install clean
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

# The site, in docs/_build/html. Its pages are run; warnings and links that lead nowhere are errors.
docs: $(VENV)/.installed_docs
	rm -rf docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -j auto -b html docs docs/_build/html

install: $(VENV)/.installed

# torch is pinned and installed first, so that nothing else chooses its build.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

$(VENV)/.installed_docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) docs/_build docs/results docs/reference/generated .versions .pytest_cache .ruff_cache .import_linter_cache
