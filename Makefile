# syncd: `make` shows what there is. Everything is set up on the way; a second run uses what the first one made.
PYTHON ?= python3
export ONCE

.DEFAULT_GOAL := help
.PHONY: help demo check test test-long mutants bench bench-full bench-parts house sbom audit lock upgrade clean python

help:
	@echo 'make demo        real Orthanc, real HAPI and syncd between them; ONCE=1 compares both sides and ends'
	@echo 'make check       style, types, import contracts, unit tests (about four minutes)'
	@echo 'make test        check, and the suites on real servers'
	@echo 'make test-long   test, the rows of real servers that it leaves out, and the longer versions'
	@echo 'make mutants     does a test notice each fault that is kept? ONLY=name tries one (about three minutes)'
	@echo 'make bench       what a study costs beside what it costs real servers; writes docs/performance.md (a quarter of an hour)'
	@echo 'make bench-full  the same with thousands of studies and large ledgers (hours)'
	@echo 'make bench-parts mapping, reading, and how soon a new study is there beside 10,000 (two minutes)'
	@echo 'make house       how the code is built: folders, functions, modules in numbers, beside their goals (NAMES=1: which names to change)'
	@echo 'make sbom        sbom.cdx.json: what is installed with syncd, with hashes and licences (CycloneDX)'
	@echo 'make audit       known weaknesses of it; exit 1: there are, 3: the advisory service could not be asked about all'
	@echo 'make lock        requirements*.txt after a change in pyproject.toml (make upgrade: newest versions)'
	@echo 'make clean       removes what was set up: .venv, .work and the built HAPI'
	@echo 'Another Python than python3 (3.11 or newer): make PYTHON=python3.12 …'

demo: python
	@$(PYTHON) -m scripts.set_up demo
	@.venv/bin/python deploy/native/demo.py

check: python
	@$(PYTHON) -m scripts.run_tests check

test: python
	@$(PYTHON) -m scripts.run_tests test

test-long: python
	@$(PYTHON) -m scripts.run_tests long

mutants: python
	@$(PYTHON) -m scripts.set_up check
	@.venv/bin/python -m scripts.mutants $(if $(ONLY),--only $(ONLY))

bench: python
	@$(PYTHON) -m scripts.set_up test
	@.venv/bin/python -m benchmarks.run short

bench-full: python
	@$(PYTHON) -m scripts.set_up test
	@.venv/bin/python -m benchmarks.run full

bench-parts: python
	@$(PYTHON) -m scripts.set_up check
	@.venv/bin/python -m benchmarks.mapping
	@echo
	@.venv/bin/python -m benchmarks.arrival
	@echo
	@.venv/bin/python -m benchmarks.reading

house: python
	@$(PYTHON) -m scripts.set_up check
	@.venv/bin/python -m scripts.house $(if $(NAMES),--names)

sbom: python
	@$(PYTHON) -m scripts.set_up supply
	@.venv/bin/python -m scripts.supply sbom

audit: python
	@$(PYTHON) -m scripts.set_up supply
	@.venv/bin/python -m scripts.supply audit

lock: python
	@$(PYTHON) -m scripts.lock

upgrade: python
	@$(PYTHON) -m scripts.lock --upgrade

clean:
	rm -rf --one-file-system .venv .work deploy/native/hapi-host/target
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info

python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("syncd needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.11 …")'
