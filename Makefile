# make demo   set up and run the comparison of rewards (about ten minutes on two cores)
# make demo-lm  the same for a small language model, from nothing
# make test   set up and run the tests
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
export OMP_NUM_THREADS = 1

.PHONY: help demo demo-lm test test-slow test-oldest lint bench clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

# torch first, at its pin: a plain "torch" would let the resolver choose a much larger build.
$(VENV)/.train: pyproject.toml constraints.txt
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -qq -c constraints.txt torch==$$(sed -n 's/^torch==//p' constraints.txt)
	$(RUN) -m pip install -qq -c constraints.txt -e '.[train]'
	touch $@

$(VENV)/.dev: $(VENV)/.train
	$(RUN) -m pip install -qq -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/.train  ## train every reward on builtin streams, write table, curves and report to runs/demo
	$(RUN) -m memenvs demo --out runs/demo

$(VENV)/.lm: $(VENV)/.train
	$(RUN) -m pip install -qq -c constraints.txt -e '.[train,lm]'
	touch $@

demo-lm: $(VENV)/.lm  ## a small language model from nothing: warm start, GRPO, table and curve in runs/demo-lm; a kill loses little
	$(RUN) -m memenvs demo-lm --out runs/demo-lm

test: $(VENV)/.dev  ## the tests, without the slow ones
	$(RUN) -m pytest -m 'not slow' -n 2

test-slow: $(VENV)/.dev  ## the slow tests
	$(RUN) -m pytest -m slow

lint: $(VENV)/.dev  ## ruff and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(VENV)/.dev  ## env steps per second, retrieval against peers, what exact credit costs
	$(RUN) benchmarks/env_steps.py
	$(RUN) benchmarks/retrieval.py
	$(RUN) benchmarks/credit_game.py

$(VENV)-oldest/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-oldest
	sed 's/^gymnasium==.*/gymnasium==1.2.2/' constraints.txt > $(VENV)-oldest/constraints.txt
	$(VENV)-oldest/bin/python -m pip install -qq -c $(VENV)-oldest/constraints.txt pytest hypothesis pettingzoo rank-bm25 pyarrow -e .
	touch $@

test-oldest: $(VENV)-oldest/.installed  ## the environment's tests on Gymnasium 1.2.2
	$(VENV)-oldest/bin/python -m pytest -m 'not slow' $(addprefix tests/test_,$(addsuffix .py,spaces env env_arguments vector testing registration two_agent render flat snapshots episode wrapper wrappers running_sum credit_wrapper extras))

clean:  ## remove environments and caches
	rm -rf $(VENV) $(VENV)-oldest .pytest_cache .ruff_cache .mypy_cache *.egg-info
