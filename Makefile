# Every target works from a bare clone: it sets up .venv with what it needs (tools/setup), once.
# Needs: make and Python 3.11 or newer. Uses uv when it is installed.

BIN := .venv/bin
INPUTS := pyproject.toml constraints.txt tools/setup
PYTEST := $(BIN)/python -m pytest
# What is compiled once is not compiled again by each of a thousand processes.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-engines check bench docs clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

demo: .venv/.with-demo ## the whole loop on a year of flights, on a store of its own
	$(BIN)/mainspring demo

test: .venv/.with-all,dev ## every test and every example in a docstring, but for the heavy engines and what `check` runs
	$(PYTEST) -n 2 --dist worksteal -m "not engines and not peers" --ignore tests/repository
	$(PYTEST) -q --doctest-modules src/mainspring

test-engines: .venv/.with-all,dev,frameworks,ray,spark ## the tests that need Ray, Spark (which needs Java), PyTorch or Keras
	$(PYTEST) -m engines --timeout 300 tests/engines  # Ray has a process without other frameworks' threads
	$(PYTEST) -m engines --timeout 300 --ignore tests/engines

test-peers: .venv/.with-all,dev # what Airflow, Kubeflow, Metaflow and Kubernetes say of exports: some minutes at first
	tools/peer tests/pipelines/exports/peers/*.txt
	$(PYTEST) -m peers tests/pipelines/exports

check: .venv/.with-all,dev ## lint, types, floors, and the rules of the repository
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -q tests/repository

bench: .venv/.with-all,dev ## the benchmarks, each beside a peer or a limit of this machine
	$(BIN)/python benchmarks/run.py $(BENCH)

docs: .venv/.with-all,docs ## the documentation, into docs/_build/html
	$(BIN)/python docs/generate.py
	$(BIN)/python -m sphinx -n -W --keep-going -q -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

clean: ## remove .venv and everything that was built
	rm -rf .venv build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks tools docs -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.with-%: $(INPUTS)
	@tools/setup $*
	@touch $@
