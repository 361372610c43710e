# Every task of the project. `make demo` and `make test` set up all they need.
PYTHON ?= python3
BIN := .venv/bin
LIVE ?=
SEED ?=
DURATION ?= 120
SCHEDULES ?= 3000
WORKERS ?= 2
ONLY ?=
SIZE ?=
KEEP ?=
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-strip-extras --no-emit-index-url --no-emit-find-links $(if $(KEEP),,--upgrade) pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help setup hooks demo test chaos simulate bench lint format lock docs site kit wheel clean

help: ## Show the tasks.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# The stamp is newer than the lock exactly when the environment matches it.
.venv/stamp: deploy/lock/development.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "imsfeed needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/lock/development.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: .venv/stamp ## Create .venv with the exact versions of the lock.

hooks: setup ## Have git run the quick checks of lint before each commit.
	$(BIN)/pre-commit install

demo: setup ## Run the whole path on this machine and watch a student leave (LIVE=1: until Ctrl-C).
	@$(BIN)/imsfeed demo $(if $(LIVE),--live)

test: setup lint ## Lint, then run every test, WORKERS=2 files at a time; fails below the floor of the coverage.
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

chaos: setup ## Break everything for DURATION seconds (SEED decides what), and see that nothing is lost or published twice.
	@$(BIN)/python -W ignore -m tests.chaos --duration $(DURATION) $(if $(SEED),--seed $(SEED))

simulate: setup ## Run SCHEDULES=3000 simulated schedules from SEED (any without it); a failing one says how to repeat it.
	@$(BIN)/python -m tests.simulation --schedules $(SCHEDULES) $(if $(SEED),--seed $(SEED))

bench: setup ## Measure imsfeed beside what it stands on (ONLY=names, SIZE="--size persons=100000"); writes bench.json.
	@$(BIN)/python -W ignore -m tests.benchmarks $(if $(ONLY),--only $(ONLY)) $(SIZE)

lint: setup site ## Ruff, mypy --strict, the direction of imports, the words, the docs' links, and known vulnerabilities of the dependencies.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.lint.words
	$(BIN)/python -m deploy.audit

format: setup ## Let ruff put the code in order.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup ## Write docs/settings.md from the settings' definitions, then the site of the docs in site/.
	$(BIN)/imsfeed settings --markdown > docs/settings.md
	@$(MAKE) --no-print-directory site

# Everything is read again each time: a page that has not changed may link to one that has.
site: setup ## Write the site of the docs in site/; a link or an anchor that leads nowhere fails.
	$(BIN)/sphinx-build --quiet --fresh-env --write-all --fail-on-warning --keep-going --conf-dir docs . site

kit: setup ## Write the conformance kit in docs/importers/kit.
	$(BIN)/python -m deploy.kit docs/importers/kit

wheel: setup ## Build dist/*.whl and the source archive with the versions of the lock.
	rm -rf dist
	$(BIN)/python -m build --no-isolation

lock: setup ## Choose the exact versions again (KEEP=1: only what pyproject.toml needs in addition).
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) -o deploy/lock/production.txt
	$(COMPILE) --extra local --extra development -o deploy/lock/development.txt

clean: ## Remove what setup, demo and test have made.
	rm -rf .venv .imsfeed-demo dist site .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
