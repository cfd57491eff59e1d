# The commands for people and for CI. Each target installs what it needs at the first use.
# Paths are relative, so a checkout may be in a folder with a space in its name.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST := $(shell find crates -name '*.rs') $(wildcard crates/*/Cargo.toml) Cargo.toml Cargo.lock
# Two processes of pytest use two cores and at most 3 GB.
PARALLEL := -n $${PYTEST_WORKERS:-2} --dist worksteal
# langchain-tests needs pytest-asyncio, which warns unless both options are set. Elsewhere, pytest
# rejects these options.
ASYNCIO := -o asyncio_mode=auto -o asyncio_default_fixture_loop_scope=function
QUIET_PIP := PIP_DISABLE_PIP_VERSION_CHECK=1

.PHONY: help demo test test-train test-engines test-bulk test-all coverage lint lint-workflows format bench bench-search bench-encode check-leakage docs docs-serve reference results wheel wheel-manylinux sdist model train-default clean
NODES = $(patsubst %,build/engines/%/ready,elasticsearch-8.19.0 elasticsearch-9.5.3 opensearch-2.19.1 opensearch-3.8.0 lucene-9.12.3 lucene-10.6.0)

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

demo: $(VENV)/base ## index SciFact, explain three searches, measure quality and speed
	@$(BIN)/lexpand demo --index build/demo.index

test: $(VENV)/dev ## run the tests, without the slow ones
	tools/cargo.sh $(BIN)/python test --quiet --package lexpand-core
	$(BIN)/python -m pytest $(PARALLEL) -m 'not slow'

test-train: .venv-train/ready ## run the tests of training, and those that compare with torch (5 GB)
	.venv-train/bin/python -m pytest -m 'not slow' tests/train tests/cli/test_cli_train.py tests/cli/test_cli_adapt.py
	.venv-train/bin/python -m pytest -m 'not slow' tests/models
	.venv-train/bin/python -m pytest -m 'not slow' tests/encode/test_torch_head.py

test-engines: $(VENV)/milvus $(NODES) ## run the tests of other search engines on real nodes; needs Maven and a JDK of 21 or later
	LEXPAND_REQUIRE_ENGINES=1 $(BIN)/pytest tests/engines

test-bulk: .venv-bulk/ready ## run the tests of bulk encoding on local clusters of Ray and Spark, and on S3's API (1.5 GB); needs a JDK
	.venv-bulk/bin/python -m pytest tests/bulk

test-all: $(VENV)/milvus $(NODES) .venv-train/ready .venv-adapters/ready .venv-bulk/ready .venv-docs/ready .venv-release/ready ## run every test; installs torch for some of them (5 GB)
	tools/cargo.sh $(BIN)/python test --quiet --package lexpand-core
	$(BIN)/python -m pytest $(PARALLEL)
	.venv-train/bin/python -m pytest tests/train tests/cli/test_cli_train.py tests/cli/test_cli_adapt.py
	.venv-train/bin/python -m pytest tests/models/test_checkpoints_torch.py tests/models/test_packing_torch.py
	.venv-train/bin/python -m pytest tests/encode/test_torch_head.py
	.venv-adapters/bin/python -m pytest $(ASYNCIO) tests/adapters tests/examples \
		'tests/architecture/test_docs.py::test_python_examples_run[adapters.md]'
	.venv-bulk/bin/python -m pytest tests/bulk

coverage: $(VENV)/dev ## measure the Python coverage of `make test`; report in build/coverage
	$(BIN)/python -m pytest -m 'not slow' --cov --cov-report=term:skip-covered --cov-report=html \
		--cov-report=xml

lint: $(VENV)/dev ## run ruff, mypy --strict, clippy and rustfmt; warnings are errors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	tools/cargo.sh $(BIN)/python fmt --all --check
	tools/cargo.sh $(BIN)/python clippy --quiet --workspace --all-targets -- -D warnings

lint-workflows: ## run actionlint over .github/workflows; built by Go if not installed
	tools/actionlint.sh

format: $(VENV)/dev ## format the code and apply automatic fixes
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .
	tools/cargo.sh $(BIN)/python fmt --all

bench: $(VENV)/dev ## run a short benchmark of encoding and search
	$(BIN)/python benchmarks/line.py --quick --json

bench-search: $(VENV)/dev .venv-bench/ready ## compare search with other systems, 100,000 documents (6 GB)
	$(BIN)/python benchmarks/search.py --quick --json

bench-encode: $(VENV)/dev .venv-encode/ready ## compare encoding with sentence-transformers and fastembed (6 GB)
	$(BIN)/python benchmarks/encode.py --quick --json

check-leakage: $(VENV)/base ## list training rows that share text with test collections: DATA=DIR TRAIN=FILE
	@test -d "$(DATA)" && test -e "$(TRAIN)" || \
		{ echo "DATA must be a folder of BEIR folders and TRAIN training rows: make check-leakage DATA=DIR TRAIN=FILE" >&2; exit 2; }
	@set --; for corpus in "$(DATA)"/*/corpus.jsonl*; do set -- "$$@" --with "$${corpus%/*}"; done; \
		$(BIN)/lexpand collection overlap "$(TRAIN)" "$$@"

results: $(VENV)/base ## measure all systems on collections and write docs/results.md: DATA=DIR [BASELINES=DIR]
	@test -d "$(DATA)" || { echo "DATA must be a folder of BEIR folders: make results DATA=DIR" >&2; exit 2; }
	$(BIN)/python tools/write_results.py "$(DATA)" build/results docs/results.md $(if $(BASELINES),--baselines "$(BASELINES)")

docs: .venv-docs/ready ## build the documentation site in build/site, which loads nothing external
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict
	.venv-docs/bin/python tools/check_site.py build/site

docs-serve: .venv-docs/ready ## serve the documentation at http://127.0.0.1:8000, rebuilt on changes
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs serve --livereload

reference: $(VENV)/dev ## generate docs/cli.md and docs/recipe-keys.md from the code
	$(BIN)/python tools/write_cli_reference.py docs/cli.md
	$(BIN)/python tools/write_recipe_reference.py docs/recipe-keys.md

wheel: $(VENV)/base ## build a wheel in dist/
	$(QUIET_PIP) $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

# Zig links against glibc 2.17, the oldest that Rust supports, on any Linux without a container.
wheel-manylinux: .venv-release/ready ## build and check a release wheel in dist/, for glibc 2.17 and later
	.venv-release/bin/python tools/build_release.py --zig --compatibility manylinux_2_17
	.venv-release/bin/python tools/check_wheel.py 'dist/*manylinux*.whl'

sdist: .venv-release/ready ## build and check a release source distribution in dist/
	.venv-release/bin/python tools/build_release.py --sdist
	.venv-release/bin/python tools/check_wheel.py 'dist/*.tar.gz'

model: .venv-train/ready $(VENV)/base ## regenerate the packaged model's added files and the golden weights (5 GB)
	.venv-train/bin/python tools/make_default_model.py src/lexpand/encode/packaged/splade-tiny
	$(BIN)/python tools/make_screening.py src/lexpand/encode/packaged/splade-tiny src/lexpand/data/collections/scifact
	.venv-train/bin/python tools/make_golden_weights.py src/lexpand/encode/packaged/splade-tiny \
		src/lexpand/data/collections/scifact tests/golden/splade_tiny_200.npz

train-default: .venv-train/ready ## train a packaged model, hours: DATA=DIR MINILM=DIR [MODEL=lexpand-mini] [WORK=DIR]
	@test -d "$(DATA)" && test -d "$(MINILM)" || \
		{ echo "DATA must be a folder of training data and MINILM a folder of all-MiniLM-L6-v2: make train-default DATA=DIR MINILM=DIR" >&2; exit 2; }
	.venv-train/bin/python tools/default/train.py "$(DATA)" --body "$(MINILM)" \
		--model "$(or $(MODEL),lexpand-mini)" --work "$(or $(WORK),build/default/$(or $(MODEL),lexpand-mini))"

clean: ## delete everything that was built, and the environments
	rm -rf $(VENV) .venv-train .venv-adapters .venv-bulk .venv-bench .venv-encode .venv-docs .venv-release target build dist src/lexpand/_native*.so

$(VENV)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python must be 3.11 or later; '$(PYTHON)' is missing or older: run make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/base: $(VENV)/pip $(RUST) pyproject.toml
	@tools/install.sh $(BIN)/python .
	@touch $@

$(VENV)/dev: $(VENV)/base
	@tools/install.sh $(BIN)/python '.[dev]'
	@touch $@

$(VENV)/milvus: $(VENV)/dev
	@tools/install.sh $(BIN)/python '.[dev,milvus-lite]'
	@touch $@

build/engines/%/ready: tests/engines/build_node.sh $(wildcard tests/engines/elasticsearch/* tests/engines/opensearch/* tests/engines/lucene/*)
	@tests/engines/build_node.sh $* build/engines/$*
	@touch $@

.venv-bench/ready: benchmarks/requirements-search.txt
	$(PYTHON) -m venv .venv-bench
	$(QUIET_PIP) .venv-bench/bin/python -m pip install --quiet --requirement $<
	@mvn --quiet --batch-mode org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -DoutputDirectory=.venv-bench \
		-Dartifact=org.apache.lucene:lucene-core:9.12.3 || echo "Lucene is left out: to add it, install Maven, delete .venv-bench and run make again"
	@touch $@

.venv-encode/ready: benchmarks/requirements-encode.txt
	$(PYTHON) -m venv .venv-encode
	$(QUIET_PIP) .venv-encode/bin/python -m pip install --quiet --requirement $<
	@touch $@

.venv-train/ready: pyproject.toml
	$(PYTHON) -m venv .venv-train
	@tools/install.sh .venv-train/bin/python '.[dev,train]'
	@touch $@

# A separate environment. The frameworks bring about a hundred packages, and langchain-tests brings
# pytest plugins. `make test` runs without them, which shows that Lexpand needs none.
.venv-adapters/ready: pyproject.toml
	$(PYTHON) -m venv .venv-adapters
	@tools/install.sh .venv-adapters/bin/python '.[langchain,llama-index,haystack]'
	$(QUIET_PIP) .venv-adapters/bin/python -m pip install --quiet 'pytest>=8' 'hypothesis>=6.100' 'langchain-tests>=1,<2' \
		'nbclient>=0.10' 'nbformat>=5.10' 'ipykernel>=6.29'
	@touch $@

.venv-bulk/ready: pyproject.toml
	$(PYTHON) -m venv .venv-bulk
	@tools/install.sh .venv-bulk/bin/python '.[ray,spark]'
	$(QUIET_PIP) .venv-bulk/bin/python -m pip install --quiet 'pytest>=8' 'hypothesis>=6.100' 'psutil>=6' \
		's3fs>=2024.12' 'moto[server]>=5.1'
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
