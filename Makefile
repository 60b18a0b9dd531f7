# `make run` and `make test` do all set-up; everything they install lives in .venv.

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check --quiet

.PHONY: run test lint types bench train-setup clean

run: $(VENV)/installed
	@$(PYTHON) server.py

test: $(VENV)/installed-test chromium lint types
	$(PYTHON) -m pytest --numprocesses 3 --dist loadfile

lint: $(VENV)/installed-test
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types: $(VENV)/installed-test
	$(PYTHON) -m mypy
	$(PYTHON) -m mypy server.py

bench: $(VENV)/installed-test
	$(PYTHON) -m tests.bench

train-setup: $(VENV)/bin/python pyproject.toml
	$(PIP) install --editable '.[train]'

$(VENV)/bin/python:
	@for candidate in python3 python3.13 python3.12 python3.11; do \
		if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
		then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo 'Python 3.11, 3.12 or 3.13 is missing: apt-get install python3 python3-venv' >&2; exit 1; fi; \
	if ! $$found -c 'import ensurepip' 2>/dev/null; then \
		echo 'Python cannot make virtual environments: apt-get install python3-venv' >&2; exit 1; fi; \
	echo "Setting up $(VENV) with $$($$found --version) ..."; \
	$$found -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	@echo 'Installing Sightline and what it needs (once, some minutes) ...'
	@$(PIP) install --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@echo 'Installing what the tests need (once) ...'
	@$(PIP) install --editable '.[test]'
	@touch $@

# libatomic: Playwright's own driver needs it, and the smallest of Debians lack it.
.PHONY: chromium
chromium:
	@if ! command -v chromium >/dev/null || ! /sbin/ldconfig -p | grep -q libatomic.so.1; then \
		install='apt-get install --yes chromium fonts-dejavu-core libatomic1'; \
		if [ "$$(id -u)" = 0 ]; then as=''; \
		elif sudo -n true 2>/dev/null; then as='sudo'; \
		else echo "The browser tests need Chromium: sudo $$install" >&2; exit 1; fi; \
		echo 'Installing Chromium from the packages of Debian (once) ...'; \
		$$as apt-get update --quiet=2 && $$as env DEBIAN_FRONTEND=noninteractive $$install --quiet=2 >/dev/null; \
	fi

clean:
	rm -rf $(VENV) *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
