# Everything runs from a virtual environment in .venv that the first target builds; only Python 3.11 or newer
# is assumed. PYTHON chooses the interpreter, PIP_FLAGS adds flags to every pip install.

PYTHON ?= python3
PIP_FLAGS ?=
ARGS ?=
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup dev quickstart test check format docs bench clean

help:
	@echo "make setup       build .venv and install baleen in it"
	@echo "make quickstart  setup, then train a tiny model through every stage   (ARGS='--smoke --seed 1')"
	@echo "make test        the test suite                                       (ARGS='-k chat')"
	@echo "make check       ruff, format, types, tests"
	@echo "make docs        build the documentation site in build/site, strictly"
	@echo "make bench       side-by-side measurements in benchmarks/"

# The stamps make an install run once, and again only when its inputs change.
.venv/.stamp-setup: pyproject.toml constraints.txt
	@$(PYTHON) tools/setup_environment.py $(PIP_FLAGS)
	@touch $@

.venv/.stamp-dev: .venv/.stamp-setup
	$(BIN)/pip install --quiet $(PIP_FLAGS) -c constraints.txt -e '.[dev]'
	@touch $@

setup: .venv/.stamp-setup

dev: .venv/.stamp-dev

quickstart: setup
	$(BIN)/baleen quickstart $(ARGS)

# A file's tests stay together, a worker for each core.
test: dev
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# To see changes while you write: .venv/bin/mkdocs serve
docs: dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict $(ARGS)

bench: dev
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script" $(ARGS) || exit 1; done

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis dist build
