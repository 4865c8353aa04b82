# `make help` lists the targets. Everything a target needs is set up first; the second time that takes no time.

STATE ?= state
PYTHON := .venv/bin/python

.DEFAULT_GOAL := help
LOCK := .venv/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header \
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host
# System tests mostly wait, so there is one process more than the two cores that we count on.
SIDE_BY_SIDE := --numprocesses 3 --dist loadfile --no-loadscope-reorder
.PHONY: help setup setup-dev demo serve test coverage mutants lint format bench docs lock clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what the server and the demo need; the other targets do it by themselves
	@deploy/setup.sh run

setup-dev: ## also install what tests, lint and benchmarks need
	@deploy/setup.sh dev

demo: setup ## from nothing to two containers one can log in to, and back (KEEP=1 leaves them running)
	@$(PYTHON) deploy/demo.py

serve: setup ## run the server in the foreground, with its state in the folder STATE (default: state)
	@[ -f $(STATE)/sfa-am.toml ] || .venv/bin/sfa-am --state $(STATE) init --set 'backend.image_folder="$(CURDIR)/.cache/images"'
	@.venv/bin/sfa-am --state $(STATE) serve

test: setup-dev ## run all tests; those that need what this machine lacks are skipped with a sentence
	@$(PYTHON) -m pytest -m "not alone" $(SIDE_BY_SIDE)
	@$(PYTHON) -m pytest -m alone

coverage: setup-dev ## which lines of the two libraries no test runs
	@$(PYTHON) -m coverage run -m pytest -q tests/unit tests/interop tests/fuzz
	@$(PYTHON) -m coverage report

mutants: setup-dev ## change the code that verifies credentials, one bit at a time, and list what no test notices
	@.venv/bin/mutmut run
	@.venv/bin/mutmut results

lint: setup-dev ## check format, style, types, and who imports whom
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@if command -v shellcheck >/dev/null; then shellcheck deploy/*.sh .ci/run; fi

format: setup-dev ## bring the code into its format
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

bench: setup-dev ## measure against bare floors in the same run; prints a table, writes bench/results
	@$(PYTHON) -m bench

docs: setup-dev ## print the generated pages of docs/reference anew
	@$(PYTHON) docs/generate.py

lock: setup-dev ## write the lock files anew from pyproject.toml
	@$(LOCK) --only-build-deps --build-deps-for editable --output-file requirements-build.lock pyproject.toml
	@$(LOCK) --extra native --output-file requirements.lock pyproject.toml
	@$(LOCK) --extra native --extra dev --output-file requirements-dev.lock pyproject.toml

clean: ## end what this checkout runs and remove its state; disk images stay
	@if [ -x $(PYTHON) ]; then $(PYTHON) deploy/clean.py $(STATE) .cache/demo/state; fi

distclean: clean ## also remove the virtual environment, disk images and all caches
	@rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
