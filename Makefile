# Two commands for a newcomer: `make up` and `make test`. Each sets itself up.
SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
BASE := .venv/.installed-base
TEST := .venv/.installed-test
SPARK := .venv/.installed-spark
WORKERS ?= 2
export OPENBLAS_NUM_THREADS ?= 1
PACKAGES := aistat taxonomy warehouse etl dashboard

.PHONY: help setup setup-spark up test check docs bench bench-classifier bench-nightly bench-disclosure prove clean lock

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(BASE) ## create .venv from the hash-pinned requirements

$(BASE): requirements/base.txt requirements/install.sh
	@echo "setting up .venv (once) …"
	@sh requirements/install.sh requirements/base.txt

$(TEST): requirements/test.txt requirements/install.sh
	@echo "setting up .venv for tests (once) …"
	@sh requirements/install.sh requirements/test.txt
	@touch $(BASE)

setup-spark: $(SPARK) ## add the Spark engine to .venv (optional)

$(SPARK): requirements/spark.txt requirements/install.sh | $(BASE)
	@echo "adding Spark to .venv (once) …"
	@sh requirements/install.sh requirements/spark.txt

up: $(BASE) ## build the demo city, run the nightly job, serve the app and Dagster
	@$(BIN)/python -m aistat up

test: $(TEST) ## run the tests (WORKERS=2 at a time)
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(TEST) ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(BASE) ## regenerate docs/reference
	@$(BIN)/python -m aistat docs

bench: $(TEST) ## speed, as ratios in one run
	@$(BIN)/python tests/benchmarks/bench.py

bench-classifier: $(TEST) ## the classifier beside scikit-learn, fastText and pyahocorasick
	@[ -x .venv-bench/bin/python ] || (python3 -m venv .venv-bench && .venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/bench.txt)
	@$(BIN)/python tests/benchmarks/bench_classifier.py

bench-nightly: $(TEST) ## a full and a 1 % night of the city and of 0.25, 1 and 4 M units (about an hour)
	@$(BIN)/python tests/benchmarks/bench_nightly.py

bench-disclosure: $(TEST) ## certified cell suppression of 2,550, 15,045 and 50,575 cells, and beside the optimum (about half an hour)
	@$(BIN)/python tests/benchmarks/bench_disclosure.py

prove: $(TEST) ## the long evidence; writes docs/quality/evidence/
	@$(BIN)/python tests/benchmarks/prove.py
	@$(BIN)/python tests/benchmarks/prove_classifier.py
	@$(BIN)/python tests/benchmarks/prove_promise.py
	@$(BIN)/python tests/benchmarks/prove_misclassification.py
	@$(BIN)/python tests/benchmarks/prove_estimation.py
	@$(BIN)/python tests/benchmarks/prove_editing.py --city
	@$(BIN)/python tests/benchmarks/prove_nightly.py
	@$(BIN)/python tests/benchmarks/prove_disclosure.py

lock: ## recompile the requirement sets (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-strip-extras --no-emit-find-links requirements/base.in -o requirements/base.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-strip-extras --no-emit-find-links requirements/test.in -c requirements/base.txt -o requirements/test.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-strip-extras --no-emit-find-links requirements/bench.in -o requirements/bench.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-strip-extras --no-emit-find-links requirements/spark.in -c requirements/base.txt -o requirements/spark.txt

clean: ## remove caches and build products (not the data in var/)
	rm -rf .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis build dist *.egg-info
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +
