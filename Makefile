# One verb a line; `make` alone lists them. ARGS passes options on: make test ARGS="-k money".
# On a bare clone `make demo` and `make test` do all their own set-up in .venv.

SHELL := /bin/sh
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --require-hashes

.DEFAULT_GOAL := help
.PHONY: help demo run migrate test check fix bench chaos lock runtime dev

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: runtime ## a running system with a sandbox WeChat; ONCE=1 tells the story, checks it and ends
	$(BIN)/python -m devtools.demo $(if $(ONCE),--once) $(ARGS)

run: runtime ## the server with the settings of the environment
	$(BIN)/python -m server run $(ARGS)

migrate: runtime ## bring the database to the newest schema
	$(BIN)/python -m server migrate $(ARGS)

test: dev ## all tests; a missing service is skipped with its reason
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

check: dev ## lint, format, types, import contracts, requirements
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m devtools.check_requirements

fix: dev ## mend what lint and format can mend, write docs/settings.md anew
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -m devtools.settings_table

bench: dev ## measure against wechatpy (ARGS=--short for a quick look)
	$(BIN)/python -m devtools.bench $(ARGS)

chaos: dev ## kill workers and break the platform while messages go out (ARGS=--short)
	$(BIN)/python -m devtools.chaos $(ARGS)

lock: dev ## compile requirements*.in into hashed requirements*.txt (needs a package index)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header -c requirements.txt requirements-dev.in -o requirements-dev.txt

# What is installed is remembered as a copy of the requirements file: an equal copy means that
# there is nothing to do. The dev file holds every runtime pin (devtools.check_requirements
# sees to it), so installing it satisfies both.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Gongdian needs Python 3.11 or newer; $(PYTHON) is not." \
			"Name one that is: make PYTHON=python3.12 demo" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

runtime: $(BIN)/python
	@cmp -s requirements.txt $(VENV)/.runtime-installed || { \
		echo "Installing requirements.txt into $(VENV)"; \
		$(PIP) -r requirements.txt && cp requirements.txt $(VENV)/.runtime-installed; }

dev: $(BIN)/python
	@cmp -s requirements-dev.txt $(VENV)/.dev-installed || { \
		echo "Installing requirements-dev.txt into $(VENV)"; \
		$(PIP) -r requirements-dev.txt && cp requirements-dev.txt $(VENV)/.dev-installed \
			&& cp requirements.txt $(VENV)/.runtime-installed; }
