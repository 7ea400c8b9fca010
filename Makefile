# Each target installs its requirements. You need Python 3.11 or newer and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NGATE := $(BIN)/ngate
DEMO := tests/data/jfk_1961.wav
OUT := build/demo
# Tests in the same file share fixtures, such as a browser or a cluster.
PARALLEL := --numprocesses=logical --maxprocesses=4 --dist=loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench compare quality sweep fuzz faults pictures docs clean

$(VENV)/ready: pyproject.toml
	@echo 'Installing ngate into $(VENV): the first time, this downloads about 200 MB.'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

$(VENV)/ready-docs: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

$(VENV)/ready-bench: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/ready  ## Gate a real recording and show the result.
	@mkdir -p $(OUT)
	@rm -f $(OUT)/clean.wav $(OUT)/removed.wav $(OUT)/picture.png
	@echo '$$ ngate analyze $(DEMO)'
	@$(NGATE) analyze $(DEMO)
	@echo
	@echo '$$ ngate gate $(DEMO) -o $(OUT)/clean.wav --residue $(OUT)/removed.wav --plot $(OUT)/picture.png'
	@$(NGATE) gate $(DEMO) -o $(OUT)/clean.wav --residue $(OUT)/removed.wav --plot $(OUT)/picture.png
	@echo
	@echo 'Now listen to $(DEMO), $(OUT)/clean.wav and $(OUT)/removed.wav,'
	@echo 'and look at $(OUT)/picture.png.'

test: $(VENV)/ready-dev  ## Run the tests, on all CPUs.
	$(BIN)/python -m pytest $(PARALLEL)

lint: $(VENV)/ready-dev  ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 noisegate_cli

bench: $(VENV)/ready-bench  ## Measure speed and memory, and compare with other installed gates.
	$(BIN)/python -m tests.benchmarks.bench

compare: $(VENV)/ready-dev  ## Compare the speed with another version: OLD=FOLDER or a Python executable.
	$(BIN)/python -m tests.benchmarks.compare $(OLD)

quality: $(VENV)/ready-dev  ## Score the gate on annotated recordings: SET=FOLDER for other recordings.
	$(BIN)/python -m tests.benchmarks.quality $(SET)

sweep: $(VENV)/ready-dev  ## Sweep the tuned constants and update docs/tuning.md: SET='FOLDER ...'.
	$(BIN)/python -m tests.benchmarks.sweep $(SET) --markdown

fuzz: $(VENV)/ready-dev  ## Gate ten thousand damaged recordings, and test thousands of examples: FUZZ='--seeds FOLDER'.
	$(BIN)/python -m tests.benchmarks.fuzz $(FUZZ)
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=thorough $(PARALLEL)

faults: $(VENV)/ready-dev  ## Interrupt runs, make calls fail, decode outputs with other programs: FAULTS='--moments 5000' for more.
	$(BIN)/python -m tests.benchmarks.faults $(FAULTS)
	$(BIN)/python -m tests.benchmarks.failing_calls
	$(BIN)/python -m tests.benchmarks.read_back

pictures: demo  ## Draw the pictures of the README again.
	$(BIN)/python -m docs.pictures

docs: $(VENV)/ready-docs  ## Build the manual in build/docs and the man page docs/ngate.1.
	$(BIN)/python -m docs.options_page
	$(BIN)/python -m docs.json_page
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	$(BIN)/python -m sphinx -W --keep-going -q -b man -D nb_execution_mode=off docs build/man
	cp build/man/ngate.1 docs/ngate.1

clean:  ## Remove the files of the other targets.
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
