# Two commands do all on a fresh machine with Python >= 3.11:  make demo  and  make test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
TORCH := $(shell sed -n 's/^\(torch==.*\)/\1/p' constraints.txt)

.PHONY: help demo test nightly lint format wheel clean

help:
	@echo "make demo    install, then run the whole row on made-up volumes (about 3 minutes)"
	@echo "make test    install, then run the tests"
	@echo "make nightly properties of planners, formats and layouts on many more examples (hours), and a million broken inputs"
	@echo "make lint    ruff, mypy, import-linter"
	@echo "make wheel   build dist/*.whl"

# Installed once and again when what is to be installed changes. Without a GPU the CPU build of torch is tried first:
# it is many times smaller. It comes from wherever pip is set up to look; where there is none, the standard build serves.
$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "autoseg needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	if command -v nvidia-smi >/dev/null 2>&1; then $(PIP) "$(TORCH)"; \
	else $(PIP) "$(TORCH)+cpu" 2>/dev/null || $(PIP) "$(TORCH)"; fi
	$(PIP) --editable '.[dev]'
	touch $@

demo: $(BIN)/.installed
	$(BIN)/autoseg demo demo

test: $(BIN)/.installed
	$(BIN)/python -m pytest

nightly: $(BIN)/.installed
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest tests/planners tests/formats tests/layouts \
		tests/test_fuzz_records.py

lint: $(BIN)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(BIN)/.installed
	rm -rf dist build
	$(BIN)/python -m build --wheel --outdir dist .

clean:
	rm -rf $(VENV) demo dist build *.egg-info
