# What a person needs: `make run` and `make test`. The rest is for working on the house.
# Every target is quick when nothing changed: cargo, make and the stamps in .venv know what is done.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
STAMPS := $(VENV)/stamps
WHEELS := target/wheels

# What the Python package is made of; the wheel is built again when one of these changed.
WHEEL_CRATES := types api policy storage worker modelyard-py
WHEEL_SOURCES := Cargo.toml Cargo.lock .cargo/config.toml .cargo/pyo3-config.txt \
	$(shell find $(WHEEL_CRATES:%=crates/%) -name tests -prune -o \
	-type f \( -name '*.rs' -o -name '*.py' -o -name '*.pyi' -o -name '*.toml' -o -name '*.md' \) -print)

.PHONY: help
help: ## Say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

# --- serve ---

.PHONY: run
run: build $(STAMPS)/run ## Build what is missing and serve at http://127.0.0.1:8000 (ARGS="--port 9000")
	@$(MAKE) --no-print-directory install-wheel PROFILE=release
	exec target/release/modelyard serve $(ARGS)

.PHONY: build
build: ## Build the program for real use: target/release/modelyard
	cargo build --release --locked --package modelyard

# --- test ---

.PHONY: test
test: $(STAMPS)/test ## Run every test: Rust, Python, examples, README
	@$(MAKE) --no-print-directory install-wheel PROFILE=dev
	@scripts/test.sh

.PHONY: lint
lint: $(STAMPS)/test ## Format check, clippy, ruff, and the rules of the house
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo xtask layers
	cargo xtask tidy
	cargo xtask seeds
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

.PHONY: fmt
fmt: $(STAMPS)/test ## Format everything
	cargo fmt --all
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix --quiet .

.PHONY: bench
bench: ## Measure; the figures go to docs/benchmarks.md (ARGS="quick" only tries everything)
	bench/run.sh $(ARGS)

# --- documents ---

.PHONY: docs
docs: ## Rewrite the documents that are made from code
	cargo xtask docs
	cargo run --quiet --locked --package modelyard -- docs config >target/config.md
	cargo run --quiet --locked --package modelyard -- docs metrics >target/metrics.md
	mv target/config.md target/metrics.md docs/

# --- the Python side ---

.PHONY: python
python: ## Build the Python package and install it into .venv
	@$(MAKE) --no-print-directory install-wheel PROFILE=dev

.PHONY: wheel
wheel: $(WHEELS)/release/built ## Build the Python package for others: one wheel in target/wheels/release, for CPython 3.10 and newer
	@ls $(WHEELS)/release/*.whl

# One wheel of each profile is kept; the one that was asked for last is installed.
PROFILE ?= dev
.PHONY: install-wheel
install-wheel: $(STAMPS)/wheel-$(PROFILE)

$(STAMPS)/wheel-%: $(WHEELS)/%/built | $(STAMPS)/build
	$(PIP) install --force-reinstall --no-deps $(WHEELS)/$*/*.whl
	@rm -f $(STAMPS)/wheel-* && touch $@

$(WHEELS)/%/built: $(WHEEL_SOURCES) | $(STAMPS)/build
	@rm -rf $(@D) && mkdir -p $(@D)
	$(VENV)/bin/maturin build --locked --profile $* --compatibility linux \
		--interpreter $(VENV)/bin/python --manifest-path crates/modelyard-py/Cargo.toml --out $(@D)
	@touch $@
.PRECIOUS: $(WHEELS)/%/built

# build: maturin; run: what the examples need; test: what the tests need.
$(STAMPS)/%: scripts/requirements/%.txt | $(STAMPS)
	$(PIP) install --requirement $<
	@touch $@
$(STAMPS)/test: $(STAMPS)/build $(STAMPS)/run $(STAMPS)/reference-0.2.9 $(STAMPS)/reference-0.5.8

# The package that the worker SDK is compatible with; each version has a home of its own, since ours offers its name too.
$(STAMPS)/reference-%: scripts/requirements/reference-%.txt | $(STAMPS)
	scripts/venv.sh $(VENV)/reference-$*
	$(VENV)/reference-$*/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --only-binary :all: --requirement $<
	@touch $@

$(STAMPS):
	scripts/venv.sh $(VENV)
	@mkdir -p $@

.PHONY: clean
clean: ## Throw away everything that was built
	cargo clean
	rm -rf $(VENV)
