# Cohear, in verbs. Each makes what it needs first: `make run` on a fresh checkout is enough.

.DEFAULT_GOAL := help
.PHONY: help setup run demo test nightly cases format lint types bench eval docs release

BIN := .venv/bin
CODE := server client testing tests bench scripts
RUNS := .venv/.runs
READY := .venv/.ready

help:  ## show this
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## .venv with all that tests and benchmarks need, the weights of base included

$(RUNS): requirements-run.lock pyproject.toml scripts/setup.sh
	@scripts/setup.sh
	@touch $@

$(READY): requirements.lock pyproject.toml scripts/setup.sh
	@scripts/setup.sh dev
	@touch $(RUNS) $@

run: $(RUNS)  ## start the service on 127.0.0.1:8765, stream a sample through it, stay up
	@$(BIN)/python scripts/demo.py --stay

demo: $(RUNS)  ## the same once, on a free port
	@$(BIN)/python scripts/demo.py

test: lint types  ## lint, types, and all tests
	$(BIN)/pytest

nightly: $(READY)  ## property tests with many random examples each: takes hours
	$(BIN)/pytest -q -m hypothesis --hypothesis-profile nightly --timeout 14400

cases: $(READY)  ## recordings that transcribers read wrongly: files, a server and live, in one table
	@$(BIN)/python scripts/cases.py

format: $(READY)  ## put the code in order
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

lint: $(READY)  ## style and common mistakes
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

types: $(READY)  ## mypy --strict
	$(BIN)/mypy $(CODE)

bench: $(READY)  ## measure: make bench SPEECH=folder (see bench/README.md)
	@scripts/bench.sh "$(SPEECH)"

eval: $(READY)  ## word error and cost of each model: make eval SPEECH=folder (see models/README.md)
	@test -n "$(SPEECH)" || { echo "eval: name a speech folder: make eval SPEECH=audio_samples" >&2; exit 2; }
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python bench/eval.py --speech "$(SPEECH)" --readme models/README.md

docs: $(READY)  ## renew the reference of settings, check links and examples of the documents
	$(BIN)/python scripts/configuration.py
	$(BIN)/python scripts/check_docs.py

release: $(READY)  ## build sdist and wheel in dist/, and run tests on an unpacked copy
	$(BIN)/python scripts/release.py
