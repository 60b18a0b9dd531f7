# `make run` and `make test` do all set-up; everything they install lives in .venv.

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check --quiet
PYTEST := $(PYTHON) -m pytest --numprocesses 3 --dist worksteal --durations 30 --durations-min 5

.PHONY: run test lint types coverage bench soak fuzz dist train-setup gpu-setup clean

run: $(VENV)/installed
	@$(PYTHON) server.py $(if $(CONFIG),--config $(CONFIG))

# Lint and types run side by side, as each keeps only one core busy.
test: $(VENV)/installed-test peers
	@$(MAKE) --no-print-directory --jobs 2 lint types
	$(PYTEST)

lint: $(VENV)/installed-test $(VENV)/installed-page-tools
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(VENV)/bin/lint-imports --no-logo
	$(PYTHON) -m web.translations --check
	$(NPM) run --silent lint

types: $(VENV)/installed-test
	$(PYTHON) -m mypy

# Prints the coverage of the whole suite, child processes included.
coverage: $(VENV)/installed-test $(VENV)/installed-page-tools peers
	$(PYTEST) --cov --cov-report term:skip-covered

bench: $(VENV)/installed-test
	$(PYTHON) -m tests.bench

# A lossy, stalling network link; one hour of feeds and viewers; 200 killed processes; a cluster of
# three servers, with 50 faults of servers, database and network, and a captioner pool with faults of
# the network (both as root).
soak: $(VENV)/installed-test peers
	$(PYTHON) -m tests.network
	$(PYTHON) -m tests.soak
	$(PYTHON) -m tests.soak.cluster
	$(PYTHON) -m tests.soak.pool

fuzz: $(VENV)/installed-test
	$(PYTHON) -m tests.fuzz

# A wheel and a source distribution in dist/. Setuptools is downloaded into an environment of its own.
dist: $(VENV)/installed-test
	rm -rf dist
	$(PYTHON) -m build --outdir dist
	$(PYTHON) -m twine check --strict dist/*

train-setup: $(VENV)/bin/python pyproject.toml
	$(PIP) install --editable '.[train]'

# The CPU and the CUDA build of TensorFlow share their files, so the CUDA build is written last.
gpu-setup: $(VENV)/installed
	$(PIP) install --editable '.[gpu]'
	$(PIP) uninstall --yes tensorflow-cpu
	$(PIP) install --force-reinstall --no-deps 'tensorflow>=2.21,<2.22'

$(VENV)/bin/python:
	@for candidate in python3 python3.13 python3.12 python3.11; do \
		if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
		then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo 'Python 3.11, 3.12 or 3.13 is missing: apt-get install python3 python3-venv' >&2; exit 1; fi; \
	if ! $$found -c 'import ensurepip' 2>/dev/null; then \
		echo 'Python cannot create virtual environments: apt-get install python3-venv' >&2; exit 1; fi; \
	echo "Setting up $(VENV) with $$($$found --version) ..."; \
	$$found -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	@echo 'Installing Sightline (once, a few minutes) ...'
	@$(PIP) install --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@echo 'Installing the test tools (once) ...'
	@$(PIP) install --editable '.[test]'
	@touch $@

# Type checker and linters of the page's JavaScript and CSS, and axe; Node.js itself comes with pip.
NPM := cd web && PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm
$(VENV)/installed-page-tools: $(VENV)/installed-test web/package.json web/package-lock.json
	@$(NPM) ci --silent --no-audit --no-fund
	@touch $@

# Debian packages that the tests run against: Chromium (its driver needs libatomic), Firefox,
# GStreamer's RTSP server, mosquitto (MQTT), coturn (TURN), nginx (reverse proxy) and PostgreSQL.
PACKAGES := chromium firefox-esr fonts-dejavu-core libatomic1 mosquitto coturn nginx-light iproute2 \
	postgresql python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base \
	gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly

# RUNLEVEL=1 keeps the installed packages from starting services. PostgreSQL's creates a cluster,
# which stays stopped; the tests start servers of their own.
.PHONY: peers
peers:
	@missing=$$(for package in $(PACKAGES); do \
		dpkg-query --show --showformat='$${db:Status-Status}\n' $$package 2>/dev/null \
		| grep --quiet --line-regexp installed || echo $$package; done); \
	if [ -n "$$missing" ]; then \
		install="apt-get install --yes --no-install-recommends $$(echo $$missing)"; \
		if [ "$$(id -u)" = 0 ]; then as=''; \
		elif sudo -n true 2>/dev/null; then as='sudo'; \
		else echo "The tests need Debian packages; run: sudo $$install" >&2; exit 1; fi; \
		echo 'Installing Debian packages for the tests (once) ...'; \
		$$as apt-get update --quiet=2 && \
		$$as env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive $$install --quiet=2 >/dev/null; \
	fi

clean:
	rm -rf $(VENV) web/node_modules build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
