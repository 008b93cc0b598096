.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z][a-z\/-]*:.*## / { printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# What `zato-lite serve` needs, and no more: the first run is quick.
# Versions and hashes come from locks/, which `make lock` writes.
$(VENV)/.runtime: pyproject.toml locks/runtime.txt
	@$(PYTHON) -c 'import sys; sys.exit("zato-lite needs Python 3.11 or newer; try: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --require-hashes -r locks/runtime.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# What the tests need: enough for another version of Python.
$(VENV)/.test: $(VENV)/.runtime locks/test.txt
	$(BIN)/pip install --quiet --require-hashes -r locks/test.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.test locks/dev.txt
	$(BIN)/pip install --quiet --require-hashes -r locks/dev.txt
	@touch $@

.PHONY: install dev serve check format lint types layers test test-fast test-postgres test-other-pythons
install: $(VENV)/.runtime ## Make .venv with what zato-lite needs to run
dev: $(VENV)/.dev ## Make .venv with everything in it
serve: install ## Run the server on http://127.0.0.1:17010 (make serve ARGS='--port 8000')
	$(BIN)/zato-lite serve $(ARGS)
check: lint lint-page types layers docs test test-other-pythons ## All that CI does, in CI's order
format: dev ## Put the code in its house style
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .
lint: dev ## Check style, spelling and dependencies
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/codespell && $(BIN)/deptry zato_lite
	$(BIN)/bandit --quiet --recursive --severity-level medium --skip B104,B608 zato_lite
types: dev ## Check types, twice
	$(BIN)/mypy && $(BIN)/basedpyright --pythonpath $(BIN)/python
layers: dev ## Check that packages import only from the layers below
	$(BIN)/lint-imports
# A test that hangs for five minutes ends its process, which shows where all threads are.
PYTEST = $(BIN)/pytest -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true
# Tests of processes wait for clocks: they run one by one, after the others. Status 5: none match ARGS.
test: dev ## Run all tests but the slow ones, with coverage (make test ARGS='-k plan')
	$(PYTEST) -n auto -m 'not slow and not e2e' --cov --cov-report= --cov-fail-under=0 $(ARGS) || test $$? = 5
	$(PYTEST) -m 'e2e and not slow' --cov --cov-append --cov-report= --cov-fail-under=0 $(ARGS) || test $$? = 5
	$(BIN)/coverage report
test-fast: $(VENV)/.test ## Run the tests that start no process and need no PostgreSQL (under a minute)
	$(PYTEST) -q -n auto -m 'not slow and not e2e and not postgres' --hypothesis-profile=fast $(ARGS)
test-postgres: $(VENV)/.test ## Run the tests of PostgreSQL that start no process but its server
	$(PYTEST) -q -n auto -m 'postgres and not slow and not e2e' $(ARGS)
test-other-pythons: dev ## Run the fast tests on each other Python found on this machine
	.ci/other-pythons $(BIN)/python

# The dashboard's scripts need no build: users need no Node. Its maintainers use it to check types
# and to renew the third-party file. Where there is none, the check says so and goes on.
PAGE = tools/page
$(PAGE)/node_modules/.package-lock.json: $(PAGE)/package-lock.json
	cd $(PAGE) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: docs
docs: dev ## Build the documentation into dist/docs; a warning is an error
	PYTHONPATH=. $(BIN)/python tools/docs/build.py && echo "dist/docs/index.html"

.PHONY: vendor page lint-page
vendor: $(PAGE)/node_modules/.package-lock.json ## Renew the dashboard's third-party file from its pinned packages
	cd $(PAGE) && node vendor.mjs
page: $(PAGE)/node_modules/.package-lock.json ## Join the dashboard's modules into few small files
	cd $(PAGE) && node bundle.mjs
lint-page: ## Check the types of the dashboard's scripts and its third-party file (needs Node)
	@if command -v npm >/dev/null; then \
		$(MAKE) --no-print-directory $(PAGE)/node_modules/.package-lock.json && \
		cd $(PAGE) && npx --no-install tsc -p . && node vendor.mjs --check && node bundle.mjs --check; \
	else echo "lint-page: skipped, Node.js is not installed (apt-get install nodejs npm)"; fi

LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --group build
.PHONY: lock sbom licences
lock: dev ## Renew the versions and hashes in locks/ (ARGS='--upgrade')
	$(BIN)/pip install --quiet --group release
	$(LOCK) $(ARGS) --output-file locks/runtime.txt
	$(LOCK) $(ARGS) --group test --output-file locks/test.txt
	$(LOCK) $(ARGS) --group dev --output-file locks/dev.txt
sbom: dev ## Write dist/sbom.json, a CycloneDX list of what zato-lite installs
	$(BIN)/pip install --quiet --group release
	@mkdir -p dist
	$(BIN)/cyclonedx-py requirements locks/runtime.txt --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.json
.PHONY: wheel release
wheel: install ## Write a wheel into dist/
	$(BIN)/python -m hatchling build --target wheel --directory dist
release: dev ## Write the changelog, sources, wheel, SBOM, licences and checksums of a version (VERSION=0.2.0)
	@test -n "$(VERSION)" || { echo "Which one? make release VERSION=0.2.0"; exit 2; }
	sed -i 's/^__version__ = .*/__version__ = "$(VERSION)"/' zato_lite/__init__.py
	$(BIN)/towncrier build --yes --version $(VERSION)
	rm -rf dist && $(BIN)/python -m hatchling build --directory dist
	$(MAKE) --no-print-directory sbom
	$(MAKE) --no-print-directory --silent licences > dist/licences.md
	cd dist && sha256sum * > SHA256SUMS && cat SHA256SUMS
	@echo "Now: git commit, git tag v$(VERSION), and put dist/ where people find it."
licences: dev ## List the licences of what zato-lite installs
	$(BIN)/pip install --quiet --group release
	$(BIN)/pip-licenses --packages $(shell sed -n 's/^\([A-Za-z0-9_.-]*\)==.*/\1/p' locks/runtime.txt) --format markdown

.PHONY: bench-scheduler
bench-scheduler: dev ## Measure the scheduler beside others (ARGS='--scenarios S2,S3 --quick')
	$(BIN)/pip install --quiet --group bench
	PYTHONPATH=. $(BIN)/python -m bench.scheduler $(ARGS)

.PHONY: bench-before-after
bench-before-after: dev ## Compare CPU time per operation with another commit (ARGS='568bd10 --pairs 10')
	$(BIN)/python -m bench.before_after $(ARGS)

.PHONY: oracle
oracle: dev ## Compare 3,200 random cron expressions with a brute-force reading of cron's manual
	ZATO_LITE_ORACLE=400 $(BIN)/pytest -q tests/timetable/test_oracle.py

.PHONY: oracle-imports
oracle-imports: dev ## Compare 10,000 random schedules of each dialect with the tool's own library (minutes)
	$(BIN)/pip install --quiet --group oracles
	ZATO_LITE_IMPORT_ORACLE=$(or $(ORACLE_SAMPLE),10000) $(BIN)/pytest -q tests/builtin/imports/test_oracles.py tests/e2e/test_import_oracles.py $(ARGS)

.PHONY: model
model: $(VENV)/.test ## Explore the model of the cluster's protocol (minutes; ARGS='--seconds 600')
	PYTHONPATH=. $(BIN)/python -m tests.cluster $(ARGS)

.PHONY: faults chaos crash-loop large-bodies power-cut
faults: crash-loop power-cut ## Kill it, cut its power, fill its disk (minutes)
	$(BIN)/pytest -s -m '' tests/faults -k 'first_60 or store_files or slow_disk'
chaos: dev ## Break servers on PostgreSQL in many ways, and account for every slot (ARGS='--rounds 100 --faults kill,stop-long')
	PYTHONPATH=. $(BIN)/python -m tests.faults.chaos $(ARGS)
crash-loop: dev ## Kill a server a hundred times under load, and ask it for an account
	$(BIN)/pytest -s -m slow tests/faults -k 'hundred or turns'
large-bodies: dev ## Send and receive a gigabyte in each way, with the server's memory
	$(BIN)/pytest -s -m slow tests/e2e/test_large_bodies.py
power-cut: dev ## Cut the power three hundred times, in simulation
	$(BIN)/pytest -s -m slow tests/faults -k power

.PHONY: bench-timetable
bench-timetable: dev ## Time the timetable against croniter and cronsim
	$(BIN)/pip install --quiet --group bench && $(BIN)/python bench/timetable.py

.PHONY: bench-http slow-http attack-http fuzz-http fuzz-openapi fuzz-services
bench-http: dev ## Measure the HTTP server beside others (needs wrk; ARGS='--rounds 3 bare zato-lite')
	$(BIN)/pip install --quiet --group bench-http
	$(BIN)/python bench/http_servers.py $(ARGS)
slow-http: dev ## Hold the server up with a thousand slow clients of each kind (2 minutes)
	$(BIN)/python bench/http_slow_clients.py $(ARGS)
attack-http: dev ## Send endless heads, trailers, chunks and garbage to the HTTP server (a minute)
	$(BIN)/python bench/http_attacks.py $(ARGS)
fuzz-http: dev ## Send nonsense to the HTTP server (FUZZ_SECONDS=600)
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),600) $(BIN)/pytest -s -m slow tests/http/test_fuzz.py
fuzz-openapi: dev ## Attack a server by its own OpenAPI document (ARGS='--examples 200')
	$(BIN)/pip install --quiet --group fuzz
	$(BIN)/python bench/fuzz_openapi.py $(ARGS)
fuzz-services: dev ## Send a thousand kinds of nonsense to each built-in service
	$(BIN)/pytest -s -m slow tests/builtin/test_nonsense.py
