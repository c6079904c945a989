# The commands of the course. `make help` lists them; README.md shows the first two.

VENV ?= .venv
# Tests run side by side in this many processes.
WORKERS ?= 2
PY := $(VENV)/bin/python
NOTEBOOKS ?= $(wildcard book/*/*.ipynb)
PAGES := $(shell find book companion -type f -not -name '*.pyc' -not -path '*/.*')

# The addresses that the website shows, if it is published; GitHub's workflows know the first two.
REPOSITORY ?= $(if $(GITHUB_REPOSITORY),$(GITHUB_SERVER_URL)/$(GITHUB_REPOSITORY))
BRANCH ?= $(GITHUB_REF_NAME)
SITE_URL ?=

export VENV REPOSITORY BRANCH SITE_URL
# Each process computes with one thread, because a small machine has no more cores than these.
unit notebooks: export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: book test lab lint types spelling unit notebooks chromium site linkcheck portable benchmark mutants records execute claims pdf lighthouse colab lock clean distclean help

# Say what runs, run it, and if it fails say which part to look at.
define stage
@printf '\n== %s\n' '$(1)'
@$(2) || { printf '\nStopped: "%s" failed. To run it alone: make $@\n' '$(1)' >&2; exit 1; }
endef

book: _build/ready  ## build the website from the stored outputs (needs no PyTorch)
	@printf '\nThe course is ready. Open %s\n' '$(CURDIR)/_build/html/index.html'

test: chromium lint types spelling unit notebooks site  ## run every check, in this order: lint types spelling unit notebooks site
	@printf '\nCoverage of companion: %s %% (make unit shows what is missing)\n' "$$($(PY) -m coverage report --format=total)"
	@printf 'All checks passed.\n'

lab: $(VENV)/ready-lab  ## open the course in JupyterLab
	@# Jupyter hides the figures of notebooks that did not come from this machine until they are trusted.
	$(PY) -m jupyter trust $(NOTEBOOKS)
	$(PY) -m jupyterlab

# The parts of `make test`

lint: $(VENV)/ready-test  ## style and format of the code (ruff)
	$(call stage,lint: ruff check,$(PY) -m ruff check .)
	$(call stage,lint: ruff format,$(PY) -m ruff format --check .)

types: $(VENV)/ready-test  ## types (mypy)
	$(call stage,types: mypy,$(PY) -m mypy)

spelling: $(VENV)/ready-test  ## spelling of prose, comments and notebooks (codespell)
	$(call stage,spelling: codespell,$(PY) tools/spelling.py)

unit: $(VENV)/ready-test  ## tests of companion and of the book, with coverage
	$(call stage,unit tests: pytest,$(PY) -m pytest -n $(WORKERS) --doctest-modules --cov --cov-report=term --ignore tests/site companion tests)

notebooks: $(VENV)/ready-test  ## rerun every notebook and compare its stored outputs (nbval)
	$(call stage,notebooks: nbval,$(PY) -m pytest -p tests.notebook_tolerance --nbval --nbval-current-env --nbval-cell-timeout 120 -n $(WORKERS) --dist loadfile book)

chromium: $(VENV)/ready-test  ## find Chromium, or install it where that asks no questions
	@$(PY) tools/chromium.py

site: $(VENV)/ready-test chromium  ## build the website anew and look at every page in Chromium
	$(call stage,site: jupyter-book,$(PY) tools/build_book.py)
	@# All tests of a page run in one process, which opens the page once.
	$(call stage,site: pytest,$(PY) -m pytest -n $(WORKERS) --dist loadgroup tests/site)

# For those who write

linkcheck: $(VENV)/ready-book  ## ask other hosts whether the links to them still lead somewhere (needs the network)
	@$(PY) tools/linkcheck.py

portable: $(VENV)/ready-test  ## notebooks under two BLAS kernels and one and two threads (x86-64)
	OPENBLAS_CORETYPE=Haswell ATEN_CPU_CAPABILITY=avx2 OMP_NUM_THREADS=1 $(MAKE) notebooks
	OPENBLAS_CORETYPE=Haswell ATEN_CPU_CAPABILITY=avx2 OMP_NUM_THREADS=2 $(MAKE) notebooks WORKERS=1
	OPENBLAS_CORETYPE=Nehalem ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=1 $(MAKE) notebooks
	OPENBLAS_CORETYPE=Nehalem ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=2 $(MAKE) notebooks WORKERS=1

benchmark: $(VENV)/ready-test  ## time the convolutions beside PyTorch, in one interleaved run
	OMP_NUM_THREADS=1 $(PY) benchmarks/convolution.py

mutants: $(VENV)/ready-mutation  ## plant errors in companion/network and list those no test notices (20 minutes)
	$(VENV)/bin/mutmut run --max-children 2
	$(VENV)/bin/mutmut results

records: $(VENV)/ready-test  ## repeat the runs that take minutes and store their results (RECORDS=... for some)
	$(PY) -m companion.records $(RECORDS)

# Without NOTEBOOKS=... everything that a lesson shows is made anew, the long runs first.
execute: $(VENV)/ready-test $(if $(filter file,$(origin NOTEBOOKS)),records)  ## rerun notebooks in place and store their outputs (NOTEBOOKS=... for some)
	$(PY) tools/execute.py $(NOTEBOOKS)

claims: $(VENV)/ready-test  ## write the boxes and the page on the sources from book/claims.yml
	$(PY) tools/claims.py

pdf: $(VENV)/ready-test _build/ready  ## print each chapter into a PDF in _build/pdf (PAPER=Letter for that)
	@$(PY) tools/pdf.py $(if $(PAPER),--paper $(PAPER))

lighthouse: $(VENV)/ready-test _build/ready  ## scores of Lighthouse for three pages (needs Node and, the first time, the network)
	@$(PY) tools/lighthouse.py

colab: $(VENV)/ready-book  ## write the lessons for Google Colab (REPOSITORY=https://github.com/owner/name)
	@$(PY) tools/colab.py

lock: $(VENV)/ready-test  ## write requirements.lock and environment.yml from pyproject.toml (UPGRADE=1 for newer versions)
	$(PY) tools/lock.py $(if $(UPGRADE),--upgrade)

clean:  ## remove what was built, and caches; keep the environment
	rm -rf _build .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

distclean: clean  ## remove the environment too
	rm -rf $(VENV)

help:  ## show this list
	@printf 'make <command>, where <command> is one of\n\n'
	@awk -F ':.*  ## ' '/^[a-z]+:.*  ## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile

# Files that the commands above rest on

$(VENV)/ready-%: requirements.lock pyproject.toml tools/environment.sh
	@tools/environment.sh $*

# Built anew as well when it is to show other addresses than those it was built with.
ifneq ($(strip $(shell cat _build/ready 2>/dev/null)),$(strip $(REPOSITORY) $(BRANCH) $(SITE_URL)))
.PHONY: _build/ready
endif

_build/ready: $(VENV)/ready-book _config.yml _toc.yml CHANGELOG.md $(wildcard tools/*.py) $(PAGES)
	@$(PY) tools/build_book.py
