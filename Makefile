PY := .venv/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check

.PHONY: run test lint types suite bench ea-test ea-fuzz envelope-fuzz door-fuzz envelope-vectors kills device-kills ea-kills migrate lock browser screenshots wine wheel-vectors clean

# The desk. With BOT_TOKEN the real one, without it the sandbox.
run: .venv/.ready
	@if [ -n "$$BOT_TOKEN$$BOT_TOKEN_FILE" ]; then exec .venv/bin/countersign run; else exec .venv/bin/countersign sandbox; fi

test: .venv/.ready-dev browser lint types suite

lint: .venv/.ready-dev
	$(PY) -m ruff check .

types: .venv/.ready-dev
	$(PY) -m mypy

# Most tests wait most of the time: several share a processor.
WORKERS ?= 4
suite: .venv/.ready-dev
	$(PY) -m pytest -n $(WORKERS) --dist worksteal

bench: .venv/.ready-dev
	$(PY) -m benchmarks

# The MQL5 files, translated and compiled with g++.
ea-test: .venv/.ready-dev
	$(PY) -m pytest tests/ea

# A million texts for the Expert Advisor's reader of JSON, each judged by Python's as well; a quarter of an hour.
ea-fuzz: .venv/.ready-dev
	$(PY) -m tests.ea.fuzz.run 1000000

# A million broken envelopes, half of them for each side's reader; some minutes.
envelope-fuzz: .venv/.ready-dev
	$(PY) -m tests.ea.envelope_fuzz 1000000

# A million broken requests for the devices' door, most of them truly signed; three quarters of an hour.
door-fuzz: .venv/.ready-dev
	DOOR_FUZZ=1000000 $(PY) -m pytest tests/webapp/test_door_fuzz.py -rP --log-level=INFO

envelope-vectors: .venv/.ready-dev
	$(PY) -m scripts.envelope_vectors

# Two hundred SIGKILLs at random moments under load; a quarter of an hour.
kills: .venv/.ready-dev
	KILLS=200 $(PY) -m pytest tests/e2e/test_kills.py

# The device client, killed at every step of an order and a hundred times at random; five minutes.
device-kills: .venv/.ready-dev
	DEVICE_KILLS=100 $(PY) -m pytest tests/sdk/test_kills.py

# The Expert Advisor at the real desk, killed at every step of an order and a thousand times at random in bad weather;
# three quarters of an hour.
ea-kills: .venv/.ready-dev
	EA_KILLS=1000 $(PY) -m pytest tests/ea/desk/test_kills.py --log-cli-level=INFO

screenshots: .venv/.ready-dev browser
	$(PY) -m scripts.screenshots

migrate: .venv/.ready
	.venv/bin/countersign migrate

browser:
	@sh scripts/install-browser

# The real MetaTrader5 wheel in Windows' Python, for the tests that are marked `wine`.
wine: .venv/.ready-dev
	@sh scripts/install-wine

wheel-vectors: wine
	$(PY) -m scripts.real_wheel.record

lock:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --all-extras -c requirements.lock pyproject.toml -o requirements-dev.lock

.venv/.ready: requirements.lock pyproject.toml
	@echo "Setting up .venv (once, a minute or two) ..."
	@python3 -m venv .venv
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-build-isolation --no-deps -e .
	@touch $@

.venv/.ready-dev: .venv/.ready requirements-dev.lock
	@echo "Adding what the tests need ..."
	@$(PIP) --no-build-isolation --require-hashes -r requirements-dev.lock
	@touch $@

clean:
	rm -rf .venv data
