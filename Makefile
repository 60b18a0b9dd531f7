# `make run` and `make test` do all set-up; everything they install lives in .venv.

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check --quiet

.PHONY: run test lint types bench soak fuzz train-setup clean

run: $(VENV)/installed
	@$(PYTHON) server.py $(if $(CONFIG),--config $(CONFIG))

test: $(VENV)/installed-test peers lint types
	$(PYTHON) -m pytest --numprocesses 3 --dist worksteal

lint: $(VENV)/installed-test
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types: $(VENV)/installed-test
	$(PYTHON) -m mypy
	$(PYTHON) -m mypy server.py

bench: $(VENV)/installed-test
	$(PYTHON) -m tests.bench

# A line that loses packets and stalls, an hour with viewers who come and go, 200 kills.
soak: $(VENV)/installed-test peers
	$(PYTHON) -m tests.network
	$(PYTHON) -m tests.soak

fuzz: $(VENV)/installed-test
	$(PYTHON) -m tests.fuzz

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

# What the tests run the product against, from the packages of Debian: Chromium (whose driver needs
# libatomic), GStreamer's RTSP server, mosquitto (MQTT) and coturn (TURN).
PACKAGES := chromium fonts-dejavu-core libatomic1 mosquitto coturn iproute2 python3-gi \
	gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
	gstreamer1.0-plugins-ugly

# RUNLEVEL=1: nothing that is installed here is to be started as a service of the machine.
.PHONY: peers
peers:
	@missing=$$(for package in $(PACKAGES); do \
		dpkg-query --show --showformat='$${db:Status-Status}\n' $$package 2>/dev/null \
		| grep --quiet --line-regexp installed || echo $$package; done); \
	if [ -n "$$missing" ]; then \
		install="apt-get install --yes --no-install-recommends $$(echo $$missing)"; \
		if [ "$$(id -u)" = 0 ]; then as=''; \
		elif sudo -n true 2>/dev/null; then as='sudo'; \
		else echo "The tests need packages of Debian: sudo $$install" >&2; exit 1; fi; \
		echo 'Installing what the tests run against from the packages of Debian (once) ...'; \
		$$as apt-get update --quiet=2 && \
		$$as env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive $$install --quiet=2 >/dev/null; \
	fi

clean:
	rm -rf $(VENV) *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
