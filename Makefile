# mlapi: everything a person types. `make help` lists the targets.
PYTHON ?= python3
PORT   ?= 8000
BIND   ?= 127.0.0.1:$(PORT)
VENV   := .venv
DEV    := .venv-dev
LOWEST := .venv-lowest
CLIENTS := .venv-clients
INSTALL = -m pip install --quiet --disable-pip-version-check --require-hashes -r

# Half of the work of the fast tests, each half on a core of its own. The demo is trained in this half alone.
ONE := tests/contract tests/reliability tests/cli tests/training tests/test_docs.py tests/registry tests/explain
# Libraries that compute with as many threads as there are cores would wait, and spin, for the core of the other half.
fast-one fast-two fuzz lowest: export OMP_NUM_THREADS = 1
fast-one fast-two fuzz lowest: export OPENBLAS_NUM_THREADS = 1
# What asks our own files and not the libraries is not asked of the oldest ones again.
OURS := tests/test_house.py tests/test_docs.py tests/benchmarks tests/container

.DEFAULT_GOAL := help
.PHONY: help serve demo demo-rollout test lint type imports fast fast-one fast-two fuzz served coverage unit clients lowest reliability bench hot-reload lock clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(VENV)/ready  ## serve the registry on 127.0.0.1:8000 (PORT=, BIND=), with demo models where it is empty
	@$(VENV)/bin/mlapi demo --if-empty
	@exec $(VENV)/bin/mlapi serve --bind $(BIND)

demo: $(VENV)/ready  ## publish the demo models that are missing
	@$(VENV)/bin/mlapi demo

demo-rollout: $(VENV)/ready  ## a bad version rolled back and a good one promoted, before your eyes; under three minutes
	@$(VENV)/bin/python benchmarks/rollouts/demo.py

test:  ## all that CI checks, two at a time: ruff, mypy, import contracts, pytest with newest and lowest libraries
	@$(MAKE) --no-print-directory -j2 --output-sync=target fast-two fast-one served lowest fuzz type lint imports
	@$(MAKE) --no-print-directory coverage

lint: $(DEV)/ready  ## ruff
	$(DEV)/bin/ruff check .

type: $(DEV)/ready  ## mypy --strict
	$(DEV)/bin/mypy

imports: $(DEV)/ready  ## the layers (import-linter)
	$(DEV)/bin/lint-imports

unit: fast served fuzz coverage  ## pytest with branch coverage

fast: fast-one fast-two  ## the tests that start no server

fast-one: $(DEV)/ready  ## one half of them
	COVERAGE_FILE=.coverage.one $(DEV)/bin/python -m pytest -q -m "not server and not fuzz" --cov --cov-report= $(ONE)

fast-two: $(DEV)/ready  ## the other half: all that is not in the first
	COVERAGE_FILE=.coverage.two $(DEV)/bin/python -m pytest -q -m "not server and not fuzz" --cov --cov-report= $(ONE:%=--ignore=%)

fuzz: $(DEV)/ready  ## schemathesis over both documents; coverage would double its time and find nothing new
	$(DEV)/bin/python -m pytest -q -m fuzz

served: $(DEV)/ready $(CLIENTS)/ready  ## the tests of real servers and real clients
	COVERAGE_FILE=.coverage.served $(DEV)/bin/python -m pytest -q -m server --cov --cov-report=

coverage: $(DEV)/ready  ## the branch coverage of all of them
	$(DEV)/bin/coverage combine --keep -q .coverage.one .coverage.two .coverage.served
	$(DEV)/bin/coverage report --fail-under=90 --skip-covered

clients: $(CLIENTS)/ready  ## install the real clients that the tests drive: tritonclient, kserve

lowest: $(LOWEST)/ready  ## the fast tests on the oldest supported libraries
	$(LOWEST)/bin/python -m pytest -q -m "not server and not reliability and not fuzz" $(OURS:%=--ignore=%)

reliability: $(DEV)/ready  ## the full sweeps: kills, full disks, corrupt files, races; prints counts
	$(DEV)/bin/python -m tests.reliability

bench: $(DEV)/ready  ## mlapi under load beside the bare limits (needs wrk); BENCH=--quick for a minute of it
	$(DEV)/bin/python benchmarks/serving.py $(BENCH)

hot-reload: $(DEV)/ready  ## load on two workers while 20 versions are published and a label moves 20 times
	$(DEV)/bin/python benchmarks/hot_reload.py

lock: $(DEV)/ready  ## resolve requirements/*.txt again (needs uv)
	sh requirements/lock.sh

clean:  ## remove the virtual environments and caches; never the registry
	rm -rf $(VENV) $(DEV) $(LOWEST) $(CLIENTS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*

# A stamp is written last, so that an installation that was interrupted is done again.
$(VENV)/ready: requirements/runtime.txt pyproject.toml
	@echo "installing mlapi into $(VENV) (once, about half a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mlapi needs Python 3.11 or newer")'
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python $(INSTALL) requirements/runtime.txt
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV)/ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -m venv $(DEV)
	@$(DEV)/bin/python $(INSTALL) requirements/dev.txt
	@$(DEV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(LOWEST)/ready: requirements/lowest.txt pyproject.toml
	@$(PYTHON) -m venv $(LOWEST)
	@$(LOWEST)/bin/python $(INSTALL) requirements/lowest.txt
	@$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(CLIENTS)/ready: requirements/clients.txt
	@$(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python $(INSTALL) requirements/clients.txt
	@touch $@
