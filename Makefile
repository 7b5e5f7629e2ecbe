# Every target makes its own environment in .venv and needs nothing but Python 3.11 to 3.13.

PYTHON := .venv/bin/python
COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make requirements"

.DEFAULT_GOAL := help
.PHONY: help run test test-slow bench bench-quick load lint check screenshots configuration \
	requirements environment

# For benchmarks, such as OPTIONS="--only check-in --json before.json"; see their --help.
OPTIONS :=

help: ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

run: ## Serve the demo at http://127.0.0.1:8000 (or PORT=8001, DATABASE__URL=postgresql://...)
	@sh scripts/python -m scripts.run

test: environment ## Test on SQLite and on PostgreSQL, side by side
	$(PYTHON) -m scripts.test

test-slow: environment ## The tests that take long, on both databases
	$(PYTHON) -m pytest --database sqlite -m slow
	$(PYTHON) -m pytest --database postgresql -m slow

bench: environment ## Measure every path beside a bare Django, on a fleet of 20,000 devices
	$(PYTHON) -m benchmarks $(OPTIONS)

bench-quick: environment ## The same on a small fleet, in under 3 minutes
	$(PYTHON) -m benchmarks --quick $(OPTIONS)

load: environment ## A usual day of 20,000 devices, all at once, and three times too much
	$(PYTHON) -m benchmarks.load $(OPTIONS)

lint: environment ## Check style and types
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy .

check: environment ## Check settings, migrations and the API's schema, on both databases
	$(PYTHON) -m scripts.check

screenshots: environment ## Take the pictures in docs/screenshots again; needs Chromium
	$(PYTHON) -m scripts.screenshots

configuration: environment ## Write docs/configuration.md from the settings again
	$(PYTHON) -m scripts.configuration

requirements: environment ## Compile requirements*.in with the newest versions they allow
	$(COMPILE) --upgrade -o requirements.txt requirements.in
	$(COMPILE) --upgrade -o requirements-dev.txt requirements-dev.in

environment:
	@sh scripts/python -m scripts.environment requirements-dev.txt
