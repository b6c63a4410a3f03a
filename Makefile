# Two commands for a stranger: `make run` and `make test`; `make docs` builds the site, `make dist` what is released.
# Each sets up everything it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN_ARGUMENTS ?=
VERSIONS_ARGUMENTS ?=
DIST_ARGUMENTS ?=

.PHONY: run test docs dist test-dist test-versions install clean
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

# The wheel and the source distribution, in dist/: checked, and listed.
dist: $(VENV)/.installed_dist
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python scripts/maintenance/check_distributions.py dist

# What is in dist/, installed in an environment of its own and used away from the checkout.
test-dist:
	$(PYTHON) scripts/maintenance/test_distributions.py dist $(DIST_ARGUMENTS)

install: $(VENV)/.installed

# Where that fails, the next try begins with it again.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info < (3, 11) and sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV) || { rm -f $(BIN)/python; exit 1; }

# torch is pinned and installed first, so that nothing else chooses its build.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

$(VENV)/.installed_docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

$(VENV)/.installed_dist: | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build twine
	touch $@

clean:
	rm -rf $(VENV) dist docs/_build docs/results docs/reference/generated .versions .pytest_cache .ruff_cache .import_linter_cache
