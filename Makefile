# `make` alone lists the targets. Everything at run time lives in var/; `make clean` removes it.

SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin

# The first Python that is new enough; PYTHON=/path/to/python makes the choice yours.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: help install demo up down doctor clean test test-slow fuzz-api cover mutate bench check contracts

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(BIN)/.installed ## put Tandem and its locked dependencies into .venv

$(BIN)/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Tandem needs Python 3.11 or newer; install it (for example" \
		"'sudo apt install python3.11 python3.11-venv') or name it: make PYTHON=/path/to/python"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: install ## the main job: import real bundles, play a case from referral on; DEMO_ONCE=1 ends by itself, RUN=compose uses containers
	@$(BIN)/tandem demo $(if $(DEMO_ONCE),--once) $(if $(filter compose,$(RUN)),--compose)

up: install ## start Kafka, PostgreSQL and the services; Ctrl-C stops them; RUN=compose uses containers
	@$(BIN)/tandem up $(if $(filter compose,$(RUN)),--compose)

down: install ## stop what `make up` started, from another shell
	@$(BIN)/tandem down

doctor: install ## name what is missing on this machine, and the command that fixes it
	@$(BIN)/tandem doctor

clean: ## stop what runs and remove var/ with all data in it
	@test ! -x $(BIN)/tandem || $(BIN)/tandem down
	@rm -rf var

test: install ## all tests that a contributor needs, on real Kafka and PostgreSQL
	@$(BIN)/pytest tests -m "not slow" -n 2 $(ARGS)

test-slow: install ## the demo as a process, and the protocol's properties on 12,500 examples; some minutes
	@$(BIN)/pytest tests -m slow $(ARGS)
	@TANDEM_EXAMPLES=12500 $(BIN)/pytest -q --timeout 900 tests/unit/protocol/test_protocol_blockers.py \
		tests/unit/protocol/test_protocol_properties.py tests/unit/protocol/test_protocol_what_if.py \
		tests/unit/protocol/test_protocol_boundaries.py

fuzz-api: install ## 6,000 requests made from intake's OpenAPI document; a 500 or an answer beside the document fails
	@TANDEM_FUZZ_REQUESTS=$${TANDEM_FUZZ_REQUESTS:-6000} $(BIN)/pytest tests/system/test_api_fuzz.py -q -s $(ARGS)

cover: install ## branch coverage of the protocol and of intake's domain; below 100 % fails
	@mkdir -p var
	@COVERAGE_FILE=var/coverage $(BIN)/coverage run --source=shared/protocol,services/intake/domain -m pytest -q \
		tests/unit/protocol tests/unit/intake tests/unit/permits \
		--ignore tests/unit/protocol/test_protocol_mutants.py --ignore tests/unit/protocol/test_protocol_properties.py
	@COVERAGE_FILE=var/coverage $(BIN)/coverage report --show-missing --skip-covered --fail-under=100

mutate: install ## change every number of the rulebook in turn; each must change a worked answer
	@$(BIN)/python tests/unit/protocol/protocol_mutants.py

bench: install ## goals against floors, up to 15 minutes; ARGS="--only P1,P3", see docs/performance.md
	@$(BIN)/python -m bench $(ARGS)

contracts: install ## write the documents that follow from the code: events, AsyncAPI, OpenAPI, schemas
	@$(BIN)/python -m tools.documents

check: install ## format, lint, types, import contracts, documents that follow from code
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.documents --check
