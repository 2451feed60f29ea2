# make run: start everything. make test: the whole gate. Only Python >= 3.11 and make are needed beforehand.
.DEFAULT_GOAL := help
.PHONY: help run test lint types checks schema tests audit fuzz chaos chaos-mutations soak bench bench-quick bench-retention fmt lock install install-dev

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
# pytest processes; three keep two cores busy, as many tests wait for processes, servers and browsers.
JOBS ?= 3
COVERAGE_AT_LEAST ?= 90

PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --no-input
SCHEMA := docs/openapi.json
# Settings for tools that load the project: nothing of the machine's own environment, nobody's .env.
GATE_ENV := env -u DEBUG -u DATABASE_POOLED API_SCHEDULER_ENV_FILE=/dev/null DATABASE_URL=sqlite:///$(VENV)/gate.db \
	SECRET_KEY=only-for-the-gate-and-long-enough-for-its-deployment-check-0123456789 \
	FIELD_ENCRYPTION_KEYS=mO8eBzXUzBzDkq1hp3XzFq3Xg6lUuS1m8T7JfXbq1pY= PUBLIC_URL=https://scheduler.example.com
MANAGE := $(GATE_ENV) $(VENV)/bin/python manage.py
section = @printf '\n=== %s\n' "$(1)"

help:
	@echo "make run    start web and worker on http://127.0.0.1:$(PORT)/ (PORT=8001 for another port)"
	@echo "make test   lint, types, checks, and the tests on PostgreSQL and on SQLite"
	@echo "make lint   format and lint, without changing anything; make fmt changes"
	@echo "make fuzz   make requests up from the OpenAPI schema, many more than the gate (FUZZ_EXAMPLES=1000 for more)"
	@echo "make audit  ask the database of known vulnerabilities about every package of both locks"
	@echo "make chaos  break workers, database and targets for two minutes, and see that nothing is lost or doubled;"
	@echo "            make chaos-mutations takes mechanisms out, and sees that chaos notices each"
	@echo "make soak   the same for an hour of ordinary work (SOAK_MINUTES=20 for another length)"
	@echo "make bench  measure against the project's own ceiling and its peers; make bench-quick in under five minutes"
	@echo "make schema write the OpenAPI schema to $(SCHEMA)"
	@echo "make lock   resolve requirements*.in into the hashed requirements*.txt"

# exec: signals that make passes on reach Python itself.
run: install
	@PORT='$(PORT)' exec '$(VENV)/bin/python' manage.py quickstart --stop-with-parent

test: lint types checks tests

lint: install-dev
	$(call section,Format)
	@$(VENV)/bin/ruff format --check .
	$(call section,Lint)
	@$(VENV)/bin/ruff check .

fmt: install-dev
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

types: install-dev
	$(call section,Types)
	@$(GATE_ENV) $(VENV)/bin/mypy .

checks: install-dev
	$(call section,Checks)
	@$(PIP) check
	@$(MANAGE) check --deploy --fail-level WARNING
	@# Without a file there, Django warns that it can't ask which migrations are applied.
	@touch $(VENV)/gate.db
	@$(MANAGE) makemigrations --check --dry-run

schema: install-dev
	@$(MANAGE) spectacular --validate --fail-on-warn --format openapi-json --file $(SCHEMA)

# All tests on PostgreSQL, and on SQLite those that use the database. Coverage is of the former alone: counting it costs a
# quarter of the time, and the latter add little to it.
tests: install-dev
	$(call section,Tests on SQLite)
	@env -u DATABASE_URL $(VENV)/bin/python -m pytest --database sqlite --database-tests -n $(JOBS) --dist worksteal
	$(call section,Tests on PostgreSQL)
	@$(VENV)/bin/python -m pytest --database postgres -n $(JOBS) --dist worksteal --cov --cov-report=term \
		--cov-fail-under=$(COVERAGE_AT_LEAST)

# Not part of the gate: other requests each time. What it finds it prints as a curl command.
fuzz: install-dev
	@FUZZ_EXAMPLES='$(or $(FUZZ_EXAMPLES),200)' $(VENV)/bin/python -m pytest --database sqlite -n 0 --timeout 3600 tests/fuzz
	@FUZZ_EXAMPLES='$(or $(FUZZ_EXAMPLES),200)' $(VENV)/bin/python -m pytest --database postgres -n 0 --timeout 3600 tests/fuzz

# Not part of the gate: its answer changes without a change of ours, and it needs a network.
audit:
	@'$(PYTHON)' deploy/audit.py

# Not part of the gate: they take minutes, and the machine's full attention. SEED=2 for another sequence of faults.
chaos: install-dev
	@$(VENV)/bin/python -m tests.chaos $(if $(SEED),--seed $(SEED))

chaos-mutations: install-dev
	@$(VENV)/bin/python -m tests.chaos.bite $(MUTATIONS)

soak: install-dev
	@SOAK_MINUTES='$(or $(SOAK_MINUTES),60)' $(VENV)/bin/python -m tests.chaos.soak

# Not part of the gate either: nothing else should run on the machine meanwhile. BENCH="--only S1,S2 --json" for some.
bench: install-dev
	@$(VENV)/bin/python -m bench $(BENCH)

# How long claims wait while a million old runs are tidied away.
bench-retention: install-dev
	@$(VENV)/bin/python -m bench.retention $(BENCH)

bench-quick: install-dev
	@$(VENV)/bin/python -m bench --quick $(BENCH)

# The installed lock is kept inside the environment: installing again only when it has changed.
install: $(VENV)/bin/python
	@cmp -s requirements.txt $(VENV)/run.lock || cmp -s requirements-dev.txt $(VENV)/dev.lock || { \
		echo "Installing requirements.txt into $(VENV) ..."; \
		$(PIP) install --quiet --require-hashes -r requirements.txt && cp requirements.txt $(VENV)/run.lock; }

install-dev: $(VENV)/bin/python
	@cmp -s requirements-dev.txt $(VENV)/dev.lock || { \
		echo "Installing requirements-dev.txt into $(VENV) ..."; \
		$(PIP) install --quiet --require-hashes -r requirements-dev.txt && cp requirements-dev.txt $(VENV)/dev.lock; }

$(VENV)/bin/python:
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; name it, as in: make run PYTHON=python3.12"; exit 1; }
	@'$(PYTHON)' -m venv '$(VENV)' || { rm -rf '$(VENV)'; \
		echo "Python can't make a virtual environment here (on Debian: apt install python3-venv)."; exit 1; }

# In a throw-away environment: the tool that resolves is no part of what it resolves.
lock:
	@tool=$$(mktemp -d) && trap 'rm -rf "$$tool"' EXIT && '$(PYTHON)' -m venv "$$tool" \
		&& "$$tool/bin/pip" install --quiet uv \
		&& for name in requirements requirements-dev; do \
			"$$tool/bin/uv" pip compile --quiet --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links \
				--python-version 3.11 --universal --custom-compile-command "make lock" --output-file $$name.txt $$name.in || exit 1; done
