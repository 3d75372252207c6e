# Two commands matter: `make demo` and `make test`. Both install what they need into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One thread pool for models and one for the rest: two cores are the reference machine.
export OMP_NUM_THREADS ?= 2
export OMP_WAIT_POLICY ?= PASSIVE
export TOKENIZERS_PARALLELISM ?= false
export HF_HUB_OFFLINE ?= 1

.PHONY: demo test unit lint format types install install-demo bench bench-gate bench-recovery bench-latency bench-hot-user bench-metrics \
	bench-million docs clean help

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: install-demo ## Play real shopping events through the whole pipeline (installs what it needs)
	$(BIN)/nearline demo $(ARGS)

test: install lint types ## All tests, with real broker, Valkey and models
	$(BIN)/python -m pytest -m "not long" $(ARGS)

unit: install ## Only the fast tests, which start no server and load no model
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not real" $(ARGS)

lint: install ## Style, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: install ## Types, strictly
	$(BIN)/mypy

format: install ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## Measure latencies and rates on this machine
	$(BIN)/python bench/recall_latency.py
	$(BIN)/python bench/u2q_local.py
	$(BIN)/python bench/trigger_to_slate.py

bench-gate: install $(VENV)-quix/.done ## The gate beside its peers, on one topic of Apache Kafka
	$(BIN)/python -m bench.gate.run --quix $(VENV)-quix/bin/python $(ARGS)

bench-recovery: install ## Seconds until triggers come again after a worker was killed or stopped
	$(BIN)/python -m bench.recovery $(ARGS)

bench-latency: install ## Milliseconds from an event to its trigger at 3,000 events/s
	$(BIN)/python -m bench.event_to_trigger $(ARGS)

bench-metrics: install ## What metrics and traces cost the gate, in CPU time
	$(BIN)/python -m bench.metrics_cost $(ARGS)

bench-hot-user: install ## What a scraper with 10,000 events/s costs the other shoppers
	$(BIN)/python -m bench.hot_user $(ARGS)

bench-million: install ## Bytes and memory of a million shoppers with a year each; ARGS="--users 50000" for a look
	$(BIN)/python -m bench.gate.million $(ARGS)

# EVENTS is the CSV of UCI Online Retail; ARGS="--student DIR" has a student write the demands.
EVENTS ?= ../shared/data/online_retail/online_retail_2010-12_2011-09.csv.gz
bench-replay: install ## Seconds to record a month, replay it under two rule files and compare; ARGS="--student DIR"
	$(BIN)/python -m bench.replay_month --events $(EVENTS) $(ARGS)

bench-replay-large: install ## Memory of a replay of 20 million events
	$(BIN)/python -m bench.replay_large $(ARGS)

.PHONY: bench-replay bench-replay-large

# Quix Streams pins another Kafka client than the one beside it here: an environment of its own.
$(VENV)-quix/.done:
	$(PYTHON) -m venv $(VENV)-quix
	$(VENV)-quix/bin/python -m pip install --disable-pip-version-check -q quixstreams
	@touch $@

docs: install ## Write docs/configuration.md, docs/metrics.md and docs/contracts/ from the code
	$(BIN)/python -m console.configuration > docs/configuration.md
	$(BIN)/python -m stream.metrics.page > docs/metrics.md
	$(BIN)/python -m stream.contracts docs/contracts

# vLLM pins another PyTorch: an environment of its own. VLLM=python3 names one that has it already.
VLLM ?= $(VENV)-vllm/bin/python
STUDENT ?= student
PAIRS ?= pairs
vllm-parity: install ## The student STUDENT behind vLLM and in process, on profiles of PAIRS: the same answers
	test -x "$$(command -v $(VLLM))" || $(BIN)/python -m bench.vllm_environment $(VENV)-vllm
	NEARLINE_VLLM_PYTHON=$(VLLM) $(BIN)/python -m pytest -m long tests/stream/infer/test_model_servers.py
	$(BIN)/python -m bench.vllm_parity --python $(VLLM) $(STUDENT) $(PAIRS) $(ARGS)

.PHONY: vllm-parity

# Finished seeds are kept in .nearline/chaos and not run again; ARGS="--minutes 30" ends early, and another
# `make chaos` goes on from there.
SEEDS ?= 50
chaos: install ## Kill, stop and cut off gate workers by SEEDS seeds, and have the outcome judged
	$(BIN)/python -m pytest -m long tests/chaos
	$(BIN)/python -m tests.chaos.run --seeds $(SEEDS) $(ARGS)

chaos-fuzz: install ## A million hostile records through the decoder and the gate
	$(BIN)/python -m tests.chaos.fuzz $(ARGS)

.PHONY: chaos chaos-fuzz

install-demo: $(VENV)/.demo
install: $(VENV)/.dev

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -q -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -q -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.demo

clean: ## Remove the environment and what runs left behind
	rm -rf $(VENV) .nearline .mypy_cache .ruff_cache .pytest_cache build *.egg-info
