# Eight words: install demo test check golden bench gpu docs. All but gpu set up .venv by themselves.
#
#   make demo                            train the embedded model on one example and show what it learned
#   make test                            every test that needs no GPU
#   make install PYTHON=python3.12       another interpreter (>= 3.11)
#   make install TORCH=torch==2.12.1     another torch (>= 2.11) than requirements/torch.txt names

PYTHON ?= python3
TORCH ?= $(shell grep '^torch' requirements/torch.txt)

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --quiet --disable-pip-version-check
STAMP := $(VENV)/.installed
# The plug-ins that happen to be installed in a shared Python must not decide whether a test passes.
export PYTEST_DISABLE_PLUGIN_AUTOLOAD = 1

# Fails where there is no torch >= 2.11. Reads the metadata, because importing torch takes seconds.
HAS_TORCH := -c 'import re; from importlib.metadata import version; \
  raise SystemExit(tuple(map(int, re.findall("[0-9]+", version("torch"))[:2])) < (2, 11))' 2>/dev/null

.PHONY: install demo test check golden bench gpu docs
install: $(STAMP)

# A torch asked for by name is installed even where another one would do.
TORCH_ASKED := $(filter-out file,$(origin TORCH))
ifneq ($(TORCH_ASKED),)
.PHONY: $(STAMP)
endif

# A system torch that will do is shared with .venv and left alone. Torch comes before everything else, so that no other
# package chooses its build.
$(STAMP): pyproject.toml requirements/torch.txt requirements/lock.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'oneshot needs Python >= 3.11. Try: make install PYTHON=python3.12' >&2; exit 2; }
	@test -x $(PY) || { echo 'making .venv'; shared=; \
	  if $(PYTHON) $(HAS_TORCH); then shared=--system-site-packages; fi; $(PYTHON) -m venv $$shared $(VENV); }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null
	@if test -z '$(TORCH_ASKED)' && $(PY) $(HAS_TORCH); then echo 'leaving alone the torch that is there'; \
	  else echo 'installing $(TORCH)'; $(PIP) install '$(TORCH)'; fi
	@echo 'installing requirements/lock.txt'
	@$(PIP) install -r requirements/lock.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

demo: install
	$(VENV)/bin/oneshot demo

test: install
	$(PY) -m pytest -m "not gpu"

check: install
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy --strict oneshot
	$(VENV)/bin/lint-imports
	$(PY) tools/docs.py --check

# The pinned losses are computed anew from the recorded rollouts; look at the difference before committing it.
golden: install
	$(PY) -m pytest tests/golden --update-golden

# Long; vs_trl needs trl (the extra oracle). Results are kept in benchmarks/results.
BENCHMARKS := logprobs sampler learner probe ranking coverage evaluation vs_trl
bench: install
	@set -e; echo benchmarks/bench_help.py; $(PY) benchmarks/bench_help.py; \
	for name in $(BENCHMARKS); do echo "benchmarks/$$name.py"; $(PY) "benchmarks/$$name.py" --store $(BENCHFLAGS); done

# The Python of the GPU machine as it is: no .venv, nothing installed. Tests, then benchmarks, each in a process of its
# own; results are appended to $OUT/gpu.jsonl where OUT names a folder. GPUFLAGS='--only head' runs some of them.
gpu:
	@$(PYTHON) -c 'import sys; from importlib.util import find_spec as has; \
	  gpu = has("torch") and __import__("torch").cuda.is_available(); \
	  gpu or sys.exit("$(PYTHON) sees no CUDA GPU: nothing was tested")'
	@tests=0; measured=0; \
	PYTHONPATH=. $(PYTHON) -m pytest tests/gpu -m gpu -rA --tb=short || tests=$$?; \
	$(PYTHON) benchmarks/gpu/run.py $(if $(OUT),--store "$(OUT)/gpu.jsonl") $(GPUFLAGS) || measured=$$?; \
	echo "tests: status $$tests, benchmarks: status $$measured"; test $$tests -eq 0 -a $$measured -eq 0

docs: install
	$(PY) tools/docs.py
