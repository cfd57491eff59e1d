# One command list for people and CI. Each target makes what it needs on first use.
# Paths below are relative, so that a checkout in a folder with a space works.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST := $(shell find crates -name '*.rs') $(wildcard crates/*/Cargo.toml) Cargo.toml Cargo.lock
# Two processes of pytest use two cores and at most 3 GB.
PARALLEL := -n $${PYTEST_WORKERS:-2} --dist worksteal
# langchain-tests has tests that pytest-asyncio must run, which warns unless it is told both; pytest elsewhere does not know them.
ASYNCIO := -o asyncio_mode=auto -o asyncio_default_fixture_loop_scope=function
QUIET_PIP := PIP_DISABLE_PIP_VERSION_CHECK=1

.PHONY: help demo test test-all coverage lint lint-workflows format bench bench-search bench-encode docs docs-serve reference wheel wheel-manylinux sdist model clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

demo: $(VENV)/base ## index SciFact, answer three questions with reasons, measure quality and speed
	@$(BIN)/lexpand demo --index build/demo.index

test: $(VENV)/dev ## the tests, without those that take minutes
	tools/cargo.sh $(BIN)/python test --quiet --package lexpand-core
	$(BIN)/python -m pytest $(PARALLEL) -m 'not slow'

test-all: $(VENV)/dev .venv-train/ready .venv-adapters/ready .venv-docs/ready .venv-release/ready ## every test; those beside sentence-transformers bring torch (5 GB)
	tools/cargo.sh $(BIN)/python test --quiet --package lexpand-core
	$(BIN)/python -m pytest $(PARALLEL)
	.venv-train/bin/python -m pytest tests/models/test_checkpoints_torch.py
	.venv-train/bin/python -m pytest tests/encode/test_torch_head.py
	.venv-adapters/bin/python -m pytest $(ASYNCIO) tests/adapters tests/examples \
		'tests/architecture/test_docs.py::test_python_examples_run[adapters.md]'

coverage: $(VENV)/dev ## what the tests of `make test` reach in the Python code; a report in build/coverage
	$(BIN)/python -m pytest -m 'not slow' --cov --cov-report=term:skip-covered --cov-report=html \
		--cov-report=xml

lint: $(VENV)/dev ## ruff, mypy --strict, clippy, rustfmt; warnings are errors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	tools/cargo.sh $(BIN)/python fmt --all --check
	tools/cargo.sh $(BIN)/python clippy --quiet --workspace --all-targets -- -D warnings

lint-workflows: ## actionlint over .github/workflows; Go builds it where it is not installed
	tools/actionlint.sh

format: $(VENV)/dev ## what lint would ask for, done
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .
	tools/cargo.sh $(BIN)/python fmt --all

bench: $(VENV)/dev ## the quick benchmarks; see benchmarks/
	$(BIN)/python benchmarks/line.py --quick --json

bench-search: $(VENV)/dev .venv-bench/ready ## search beside its peers, 100,000 documents (peers bring torch: 6 GB)
	$(BIN)/python benchmarks/search.py --quick --json

bench-encode: $(VENV)/dev .venv-encode/ready ## encoding beside sentence-transformers on each of its backends, and fastembed (6 GB)
	$(BIN)/python benchmarks/encode.py --quick --json

docs: .venv-docs/ready ## the documentation site in build/site, which loads nothing from elsewhere
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict
	.venv-docs/bin/python tools/check_site.py build/site

docs-serve: .venv-docs/ready ## the documentation site at http://127.0.0.1:8000, rebuilt as you write
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs serve --livereload

reference: $(VENV)/dev ## write docs/cli.md again, from the commands
	$(BIN)/python tools/write_cli_reference.py docs/cli.md

wheel: $(VENV)/base ## a wheel in dist/
	$(QUIET_PIP) $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

# Zig links against glibc 2.17, the oldest that Rust supports, on any Linux and without a container.
wheel-manylinux: .venv-release/ready ## a wheel in dist/ for glibc 2.17 and later, as it is published
	.venv-release/bin/python tools/build_release.py --zig --compatibility manylinux_2_17
	.venv-release/bin/python tools/check_wheel.py 'dist/*manylinux*.whl'

sdist: .venv-release/ready ## a source distribution in dist/, as it is published
	.venv-release/bin/python tools/build_release.py --sdist
	.venv-release/bin/python tools/check_wheel.py 'dist/*.tar.gz'

model: .venv-train/ready $(VENV)/base ## make the added files of the packaged model and the golden weights again (torch, 5 GB)
	.venv-train/bin/python tools/make_default_model.py src/lexpand/encode/packaged/splade-tiny
	$(BIN)/python tools/make_screening.py src/lexpand/encode/packaged/splade-tiny src/lexpand/data/collections/scifact
	.venv-train/bin/python tools/make_golden_weights.py src/lexpand/encode/packaged/splade-tiny \
		src/lexpand/data/collections/scifact tests/golden/splade_tiny_200.npz

clean: ## everything that is made, the environments too
	rm -rf $(VENV) .venv-train .venv-adapters .venv-bench .venv-encode .venv-docs .venv-release target build dist src/lexpand/_native*.so

$(VENV)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or later is needed; '$(PYTHON)' is not one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/base: $(VENV)/pip $(RUST) pyproject.toml
	@tools/install.sh $(BIN)/python .
	@touch $@

$(VENV)/dev: $(VENV)/base
	@tools/install.sh $(BIN)/python '.[dev]'
	@touch $@

.venv-bench/ready: benchmarks/requirements-search.txt
	$(PYTHON) -m venv .venv-bench
	$(QUIET_PIP) .venv-bench/bin/python -m pip install --quiet --requirement $<
	@mvn --quiet --batch-mode org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -DoutputDirectory=.venv-bench \
		-Dartifact=org.apache.lucene:lucene-core:9.12.3 || echo "without Maven there is no Lucene: it is left out"
	@touch $@

.venv-encode/ready: benchmarks/requirements-encode.txt
	$(PYTHON) -m venv .venv-encode
	$(QUIET_PIP) .venv-encode/bin/python -m pip install --quiet --requirement $<
	@touch $@

.venv-train/ready: pyproject.toml
	$(PYTHON) -m venv .venv-train
	@tools/install.sh .venv-train/bin/python '.[dev,torch]'
	$(QUIET_PIP) .venv-train/bin/python -m pip install --quiet 'sentence-transformers>=5,<7'
	@touch $@

# An environment of its own: the frameworks bring some hundred packages and langchain-tests plugins of pytest, and without them
# `make test` shows that Lexpand needs none.
.venv-adapters/ready: pyproject.toml
	$(PYTHON) -m venv .venv-adapters
	@tools/install.sh .venv-adapters/bin/python '.[langchain,llama-index,haystack]'
	$(QUIET_PIP) .venv-adapters/bin/python -m pip install --quiet 'pytest>=8' 'hypothesis>=6.100' 'langchain-tests>=1,<2' \
		'nbclient>=0.10' 'nbformat>=5.10' 'ipykernel>=6.29'
	@touch $@

.venv-docs/ready: pyproject.toml
	$(PYTHON) -m venv .venv-docs
	$(QUIET_PIP) .venv-docs/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(QUIET_PIP) .venv-docs/bin/python -m pip install --quiet --group docs
	@touch $@

.venv-release/ready: pyproject.toml
	$(PYTHON) -m venv .venv-release
	$(QUIET_PIP) .venv-release/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(QUIET_PIP) .venv-release/bin/python -m pip install --quiet --group release
	@touch $@
