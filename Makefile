# Everything one does with this repository. Each target sets up .venv by itself; a stamp keeps that to once per change of the requirements.
# Needs: python3 >= 3.11 with venv, make, git, and a package index that pip can reach.

VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.dynalab-installed
PYTHON ?= python3
PORT   ?= 8000
SEEDS  ?= 0:150
JOBS   ?= 2
ROUNDS ?= 5
BENCH  ?=
STEPS  ?= 100000
SEED   ?= 0
REQUESTS ?= 20000
MINUTES ?= 10

export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help setup campaign planted-bugs test lint serve oracle lessons docs shapes bench lockstep differential fuzz clients clean

help:
	@echo "make setup      set up .venv (every other target does so by itself)"
	@echo "make campaign   node death, zone loss, index lag and more against the replicated service, judged (under 3 minutes)"
	@echo "make planted-bugs  each safety rule taken away in turn, hunted ROUNDS=5 times (a quarter of an hour)"
	@echo "make test       lint, types, import contracts and all tests (under 15 minutes)"
	@echo "make lint       only ruff, mypy and the import contracts"
	@echo "make serve      the endpoint on http://127.0.0.1:$(PORT), with the laboratory open (PORT=...)"
	@echo "make oracle     100,000 small histories: the checkers' fast path, their search, and every order tried (half a minute)"
	@echo "make lessons    the small histories of the chapters, judged and drawn again"
	@echo "make docs       the course, built strictly into site/"
	@echo "make lockstep   model and service told the same, STEPS=100000 requests, every answer compared (minutes)"
	@echo "make shapes     write the shapes of all requests anew, from the installed botocore"
	@echo "make differential  the same REQUESTS=20000 to moto and dynalite, every difference judged (minutes; needs node and npm)"
	@echo "make fuzz       the endpoint under requests that no client should send, for MINUTES=10"
	@echo "make clients    environments for other people's clients (PynamoDB, aiodynamo, JavaScript), so that their tours run in make test"
	@echo "make bench      speed of simulator, checkers and endpoint, beside moto and dynalite"

setup: $(STAMP)

# A half-made environment is made again: the stamp is written last.
$(STAMP): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { echo "make: $(PYTHON) is missing; install Python 3.11 or newer (Debian: apt-get install python3 python3-venv), or name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11; install a newer one and name it: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { echo "make: this Python has no venv module; install it (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@test -x $(PY) || "$(PYTHON)" -m venv $(VENV)
	@echo "setting up $(VENV) (a minute or two, once)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[serve,campaign,docs,dev]' || { echo "make: pip could not install the requirements; it needs a package index (the network, or PIP_INDEX_URL)" >&2; exit 1; }
	@touch $(STAMP)

campaign: $(STAMP)
	$(VENV)/bin/dynalab campaign --seeds $(SEEDS) --jobs $(JOBS)

planted-bugs: $(STAMP)
	$(VENV)/bin/dynalab planted-bugs --rounds $(ROUNDS) --jobs $(JOBS)

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

test: lint
	$(PY) -m pytest -n 2

serve: $(STAMP)
	$(VENV)/bin/dynalab serve --port $(PORT) --lab

oracle: $(STAMP)
	$(PY) -m dynalab_checkers.differential

lessons: $(STAMP)
	$(PY) docs/examples/lessons.py

docs: $(STAMP)
	$(PY) -m dynalab.site
	$(VENV)/bin/mkdocs build --strict

shapes: $(STAMP)
	$(PY) -m dynalab.shapes

bench: $(STAMP)
	$(PY) -m dynalab.bench $(BENCH)
	@mkdir -p results
	$(PY) -m dynalab_checkers.bench --logs tests/data/histories/porcupine > results/checkers-speed.md
	@cat results/checkers-speed.md

lockstep: $(STAMP)
	DYNALAB_LOCKSTEP_STEPS=$(STEPS) DYNALAB_LOCKSTEP_SEED=$(SEED) $(PY) -m pytest -s tests/properties/test_lockstep.py

differential: $(STAMP)
	$(PY) -m dynalab.differential --requests $(REQUESTS) --write

fuzz: $(STAMP)
	$(PY) -m dynalab.fuzz --minutes $(MINUTES) --write

clients: $(STAMP)
	tests/end_to_end/clients/install.sh $(PY) .tools/clients

clean:
	rm -rf build dist site .mypy_cache .ruff_cache .import_linter_cache
