python := .venv/bin/python

.PHONY: help check setup test lint format types imports docs demo lldb-suite

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: ## everything that must pass, as CI runs it
	./check

setup: ## only set up what the checks need
	./check --setup

test: setup ## the tests
	$(python) -m pytest -n 2

lint: setup ## style, and what is likely wrong
	$(python) -m ruff check

format: setup ## bring the sources into form
	$(python) -m ruff format
	$(python) -m ruff check --fix

types: setup ## mypy, strict
	$(python) -m mypy

imports: setup ## who may import whom
	.venv/bin/lint-imports --no-logo

docs: setup ## the pages that are made from the code
	PYTHONPATH=src $(python) -m tools.packet_table

demo: ## a debugging session, without GDB
	./debugserver demo

lldb-suite: setup ## LLVM's own packet tests, on lldb-server and on debugserver (fetches 165 MB, takes ten minutes)
	PYTHONPATH=src $(python) -m tools.lldb_suite --report
