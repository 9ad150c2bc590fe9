# Every target sets up what it needs: a virtual environment in .venv with pinned dependencies.
PYTHON ?= python3
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
DEMO := profiles/data/demo

.PHONY: setup demo test check format slow gpu-check bench bench-onnx bench-eval bench-latency bench-batching bench-serving soak pictures clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "trimoe needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev,cpu]'
	@touch $@

demo: setup
	$(BIN)/trimoe demo --out artifacts/demo

# Two processes, a file of tests at a time; WORKERS=N for more.
WORKERS ?= 2
test: setup
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

slow: setup
	$(BIN)/python -m pytest -q -m slow

gpu-check: setup
	$(BIN)/python -m pytest -q -m gpu -rs

bench: setup
	$(BIN)/trimoe synth --like bench --out artifacts/synth-bench
	$(BIN)/python -m profiles.benchmarks export artifacts/synth-bench --scratch artifacts

# A quarter of an hour: on a model of 1.7 GB, and on two blocks at OLMoE-1B-7B's widths (needs 20 GB of memory).
bench-onnx: setup
	$(BIN)/trimoe synth --like bench --out artifacts/synth-bench
	$(BIN)/python -m profiles.benchmarks onnx artifacts/synth-bench --scratch artifacts
	$(BIN)/trimoe synth --like olmoe-1b-7b --blocks 2 --dtype float32 --out artifacts/synth-wide
	$(BIN)/python -m profiles.benchmarks onnx artifacts/synth-wide --scratch artifacts --rounds 3 --skip mobius-onnx

bench-eval: demo
	$(BIN)/python -m profiles.benchmarks eval artifacts/demo

bench-batching: demo
	$(BIN)/python -m profiles.benchmarks batching artifacts/demo

# Budgets kept under load, and twenty minutes of good and bad requests; MINUTES=N for another time.
MINUTES ?= 20
ESTIMATOR := profiles/data/latency/demo-onnx-float32.estimator.json
bench-serving: demo
	$(BIN)/python -m profiles.benchmarks serving artifacts/demo --estimator $(ESTIMATOR) --baseline $(DEMO)/baseline.json

soak: demo
	$(BIN)/python -m profiles.benchmarks soak artifacts/demo --estimator $(ESTIMATOR) --baseline $(DEMO)/baseline.json --minutes $(MINUTES)

# The frontier in README.md, from the demo's profile; PROFILE=FILE takes another one.
PROFILE ?= profiles/data/latency/demo.profile.json
pictures: setup
	$(BIN)/trimoe report $(PROFILE) --baseline $(DEMO)/baseline.json --out artifacts/report
	cp artifacts/report/frontier.svg $(DEMO)/frontier.svg

bench-latency: demo
	$(BIN)/python -m profiles.benchmarks latency artifacts/demo

clean:
	rm -rf $(VENV) artifacts/demo artifacts/demo-measured artifacts/.demo.staging artifacts/report artifacts/synth-bench artifacts/synth-wide
