# Everything a contributor types. `make help` lists it.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
DISTRIBUTIONS := release updater server cli
PYPROJECTS := pyproject.toml $(DISTRIBUTIONS:%=%/pyproject.toml)
CODE := $(wildcard $(DISTRIBUTIONS) tests bench demo docs releasing)
R2 := tests/simulators/r2
# Pages that are typed on real servers take minutes: they are among the tests, not among the checks.
TYPED := tests/docs/test_tutorial.py tests/docs/test_recovery.py

# The tests start hundreds of processes, each of which would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test r2 crash faults ordeals lint check format docs conformance bench release-check lock clean
.DELETE_ON_ERROR:

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## Build .venv with everything pinned (instant when nothing changed)

$(STAMP): requirements-dev.txt $(PYPROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Lockgate needs Python 3.11 or newer: make setup PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.txt \
	  | $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r /dev/stdin
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements-dev.txt
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(DISTRIBUTIONS:%=-e ./%)
	@touch $@

demo: setup  ## Publish, update, break, roll back and revoke a real program (KEEP=1 leaves the server up)
	$(BIN)/python demo/demo.py $(if $(KEEP),--keep)

test: setup  ## Run every test in random order, with coverage (ARGS="-k gate" picks some)
	$(BIN)/python -m pytest --cov -n 3 --dist worksteal $(ARGS)

r2: $(R2)/node_modules/.package-lock.json  ## Install Cloudflare's R2 emulator, which some tests need (takes node and npm)

$(R2)/node_modules/.package-lock.json: $(R2)/package.json $(R2)/package-lock.json
	@node -e 'if (parseInt(process.versions.node) < 20) { console.error("the R2 emulator needs Node 20 or newer"); process.exit(2) }'
	cd $(R2) && npm ci --no-progress --loglevel=error
	@touch $@

crash: setup  ## Kill, starve and cut off the updater at every system call, and print the table (ARGS="kill update" picks some)
	$(BIN)/python -m tests.crash $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m tests.crash.rival)
	$(if $(ARGS),,$(BIN)/python -m tests.crash.backups)

faults: setup  ## Let the object store fail at every request of a change, in every way, and print the table (ARGS="publish" picks)
	$(BIN)/python -m tests.faults $(ARGS)

ordeals: setup  ## Kill, starve and damage a running server at every write, and print the table (ARGS="kill publish" picks)
	$(BIN)/python -m tests.faults.ordeals $(if $(ARGS),"$(ARGS)")

lint: setup  ## Check format, lint, types and imports
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports --no-cache

check: lint  ## The same, and the docs, which are among the tests too
	$(BIN)/python -m pytest tests/docs $(TYPED:%=--ignore=%)

format: setup  ## Format the code and fix what can be fixed
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

docs: setup  ## Write the reference pages again that are made from the code
	$(BIN)/python docs/generate.py

conformance: setup  ## Run TUF's conformance suite on the client (SUITE=its checkout, ARGS="-k rollback" picks some)
	@test -f "$(SUITE)/tuf_conformance/conftest.py" \
	  || { echo "make conformance SUITE=path: a checkout of theupdateframework/tuf-conformance" >&2; exit 2; }
	@command -v faketime >/dev/null || { echo "the suite needs the program faketime" >&2; exit 2; }
	$(BIN)/python -m pytest -c "$(SUITE)/pyproject.toml" "$(SUITE)/tuf_conformance" -n 2 -p no:randomly -p no:cacheprovider \
	  --entrypoint "$(CURDIR)/$(BIN)/python $(CURDIR)/tests/conformance/client.py" $(ARGS)

release-check: setup  ## Run what can be run of docs/release-checklist.md (ARGS="6 7" picks steps)
	$(BIN)/python -m releasing check $(ARGS)

bench: setup  ## Run the benchmarks against their named rivals
	$(BIN)/python -m bench $(ARGS)

lock:  ## Pin requirements-dev.in again (UPGRADE=1 takes the newest versions)
	test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/pip install --quiet uv; }
	$(BIN)/uv pip compile --quiet requirements-dev.in -o requirements-dev.txt $(if $(UPGRADE),--upgrade) \
	  --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  $(foreach name,lockgate lockgate-release lockgate-updater lockgate-server,--no-emit-package $(name))

clean:  ## Remove .venv and everything built
	rm -rf .venv dist .coverage .coverage.* htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache $(R2)/node_modules
	find $(CODE) -type d -name __pycache__ -prune -exec rm -rf {} +
