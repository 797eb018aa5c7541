# Every command of the project. Needs python3 (3.11 or newer, with venv), node (20 or newer, with npm) and make.
# Must not know how anything works: it calls pip, npm, pytest and others, which their own files configure.
#
#   make PYTHON=python3.13 test      another Python, in an environment of its own (.venv-3.13)

PYTHON ?= python3
PYTEST_ARGS ?=
MUTANTS_ARGS ?=
MINUTES ?= 10
JOBS ?= 2
FUZZ_ARGS ?=

ifeq ($(PYTHON),python3)
VENV ?= .venv
else
VENV ?= .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CLIENT := src/framewire/static/widget.js
CLIENT_SOURCES := $(shell find js/src js/scripts -type f 2>/dev/null) signaling/schema.json
SETUP := $(CLIENT) $(VENV)/.package

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-py test-js mutants fuzz teeth upstream tools check format bench notebook tuning coming-from publish-page screenshot dist lock floors clean

help: ## prints this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

setup: $(SETUP) ## makes the environment, the browser client and the package (editable); repeats only what changed

demo: $(SETUP) ## setup, then a demo stream to look at
	$(BIN)/framewire demo

test: $(SETUP) tools ## runs every test: browser client, Python, contract, real browsers
	$(MAKE) --no-print-directory test-js
	$(MAKE) --no-print-directory test-py

test-js: $(CLIENT)
	npm test --silent

test-py: $(SETUP)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

mutants: $(SETUP) ## mutation testing: changes the pure files a little, to see a test fail (MUTANTS_ARGS='--file ...')
	$(BIN)/python scripts/mutants.py $(MUTANTS_ARGS)
	$(if $(MUTANTS_ARGS),,npm run --silent mutants)

fuzz: $(SETUP) ## changes all that comes from outside at random, for MINUTES=10, on JOBS=2 processors
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) --jobs $(JOBS) $(FUZZ_ARGS)
	FUZZ_SEED=$$$$ FUZZ_SCALE=$(MINUTES) npx vitest run --config js/vitest.config.ts tests/fuzz

teeth: $(SETUP) ## removes each control of SECURITY.md, one at a time, to see a test fail
	$(BIN)/python scripts/teeth.py

upstream: $(SETUP) ## runs aiortc's and aioice's own tests with our classes in the place of theirs
	$(BIN)/python scripts/upstream.py

tools: # installs the programs that browser and network tests drive, with apt where it is allowed
	@scripts/tools chromium ip iptables

check: $(SETUP) ## checks format, lint, types, imports and contract; changes nothing
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 src
	$(BIN)/mypy --platform darwin src
	$(BIN)/lint-imports
	npm run --silent check
	$(BIN)/python -m pytest -q tests/test_house.py $(wildcard tests/test_contract.py)

format: $(SETUP) ## formats the Python, and fixes what ruff can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(SETUP) ## measures this machine: frames, latency, processor time
	$(BIN)/python -m benchmarks

notebook: $(SETUP) ## opens JupyterLab on notebooks/
	$(BIN)/jupyter lab --notebook-dir=notebooks

tuning: $(SETUP) ## writes docs/tuning.md from the docstrings of the constants
	$(BIN)/python scripts/tuning.py

coming-from: $(SETUP) ## writes the tables of docs/coming-from.md from ancestor.py
	$(BIN)/python scripts/coming_from.py

publish-page: $(SETUP) ## writes docs/publish.md from the cases of its tests
	$(BIN)/python scripts/publish_page.py

screenshot: $(SETUP) tools ## takes docs/images/demo.png and docs/images/live.gif
	$(BIN)/python scripts/screenshot.py docs/images/demo.png
	$(BIN)/python scripts/gif.py docs/images/live.gif

dist: $(SETUP) ## builds the wheel and the sdist in dist/
	rm -rf dist
	$(BIN)/hatchling build

lock: $(SETUP) ## writes requirements/dev.txt from pyproject.toml (for npm: npm install)
	$(PIP) install uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade --quiet \
		--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
		--output-file requirements/dev.txt

floors: $(SETUP) ## runs the Python tests with the oldest releases that pyproject.toml allows
	$(PIP) install uv
	$(PYTHON) -m venv .venv-floors
	$(BIN)/uv pip compile pyproject.toml --extra fast --resolution lowest-direct --no-header --quiet \
		--output-file .venv-floors/pins.txt >/dev/null
	.venv-floors/bin/python -m pip install --quiet -r .venv-floors/pins.txt \
		hypothesis jsonschema pillow psutil pytest pytest-asyncio pytest-timeout
	.venv-floors/bin/python -m pytest -m 'not browser and not firefox and not notebook' \
		--ignore tests/test_hatch_build.py $(PYTEST_ARGS)

clean: ## removes everything that make has made
	rm -rf .venv .venv-* node_modules src/framewire/static dist build
	rm -rf .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find js -name '*.tsbuildinfo' -delete

# These files tell make what is done.

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "make: no '$(PYTHON)' here. On Debian: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: $$($(PYTHON) --version) is too old; it needs 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: '$(PYTHON)' cannot make environments. On Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.requirements: requirements/dev.txt | $(BIN)/python
	@echo "installing requirements/dev.txt into $(VENV) (once; a minute or two)"
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.package: pyproject.toml hatch_build.py src/framewire/_version.py $(VENV)/.requirements | $(CLIENT)
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

node_modules/.installed: package.json package-lock.json
	@command -v npm >/dev/null || { \
		echo "make: no 'npm' here. Install Node 20 or newer with npm (Debian 12's own nodejs is 18)"; exit 1; }
	@node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' || { \
		echo "make: Node $$(node --version) is too old; it needs 20 or newer"; exit 1; }
	npm ci --no-fund --no-audit --loglevel=error
	@touch $@

$(CLIENT): $(CLIENT_SOURCES) node_modules/.installed
	npm run --silent build
	@touch $@
