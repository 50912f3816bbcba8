# On a machine with Python 3.11 or newer, make and git, `make run` and `make test` are the only commands anyone needs:
# every target builds the environment it uses, from hashed requirements files, and does nothing when it is there.
.DEFAULT_GOAL := help
.PHONY: help run test soak fuzz contract lint template bench bench-scale build lock clean dev-environment build-environment checkov-environment

# SAM must not phone home.
export SAM_CLI_TELEMETRY := 0

bin := .venv/bin
# The package lies where SAM takes it from; nothing is installed into the environment.
path := $(CURDIR):$(CURDIR)/layers/common
commit = $$(git describe --always --dirty 2>/dev/null || echo unknown)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

run: dev-environment ## the whole system on this machine; Ctrl-C stops it
	@PYTHONPATH="$(path)" exec $(bin)/python -m local

# Three workers for the two cores of a small machine: a third of the time a test waits, for a browser, a clock, a
# process. Every worker has its own Postgres; a group (the running local stack) stays on one of them.
test: dev-environment ## every test, in minutes
	$(bin)/pytest -n 3 --dist loadgroup $(args)

soak: dev-environment ## the bars at full size, in hours
	@echo "soak: commit $(commit), seed $${SEED:-1}"
	SEED=$${SEED:-1} $(bin)/pytest -m soak --timeout 1800 -s -v $(args)
	@echo "soak: commit $(commit), seed $${SEED:-1}, passed"

# FUZZ: how many times as many examples as the suite's; 20 are 56,000. The seed repeats a run.
fuzz: dev-environment ## fresh mutated webhooks through the parser and the handler, 50,000 and more
	@seed=$${SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}; echo "fuzz: commit $(commit), SEED=$$seed"; \
	FUZZ=$${FUZZ:-20} $(bin)/pytest tests/unit/test_whatsapp_webhook_properties.py tests/functions/test_webhook_fuzz.py \
	  --hypothesis-seed=$$seed --hypothesis-show-statistics --timeout 1200 $(args) && echo "fuzz: commit $(commit), SEED=$$seed, passed"

contract: dev-environment ## SPEC=…: what Meta's OpenAPI file documents, held against what is read and sent
	@PYTHONPATH="$(path)" $(bin)/python -m tests.contract $${SPEC:?the path of the OpenAPI file}

lint: dev-environment ## style, types, import rules, dead code, security, dependencies, SQL
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	PYTHONPATH="$(path)" $(bin)/lint-imports --cache-dir .cache/import-linter
	$(bin)/vulture
	$(bin)/bandit -q -c pyproject.toml -r functions layers/common/switchboard
	$(bin)/deptry functions layers/common/switchboard
	# Tools that are run and not imported are no finding.
	$(bin)/deptry local tests benchmarks --requirements-files requirements-dev.in,requirements-bench.in --ignore DEP002
	$(bin)/squawk sql/*.sql

template: build-environment checkov-environment ## template.yaml: SAM, cfn-lint, checkov
	.venv-build/bin/sam validate --lint --region eu-central-1
	.venv-build/bin/cfn-lint
	.venv-checkov/bin/checkov --skip-download --quiet --compact --config-file .checkov.yaml

bench: dev-environment ## each figure as a ratio to a limit measured in the same run
	@PYTHONPATH="$(path)" $(bin)/python -m benchmarks $(args)

# The full size takes half an hour and 25 GB of disk; args="--messages 1000000" a few minutes. --explain prints the plans.
bench-scale: dev-environment ## intake on ten million messages against an empty database
	@PYTHONPATH="$(path)" $(bin)/python -m benchmarks.scale $(args)

# Builds what `sam deploy` uploads, into .aws-sam/. Wheels for Lambda (arm64) come as files, so no compiler, no Docker;
# only here must the Python be Lambda's own, 3.13.
build: build-environment ## what `sam deploy` uploads (needs python3.13)
	@python3.13 -c '' 2>/dev/null || { echo "make build needs python3.13 on the PATH: Lambda runs it, and SAM builds with it."; exit 1; }
	.venv-build/bin/sam build

lock: dev-environment ## pins every dependency anew, with hashes
	$(bin)/uv pip compile $(compile) layers/common/requirements.in -o layers/common/requirements.txt
	$(bin)/uv pip compile $(compile) requirements-dev.in -c layers/common/requirements.txt -o requirements-dev.txt
	$(bin)/uv pip compile $(compile) requirements-bench.in -o requirements-bench.txt
	$(bin)/uv pip compile $(compile) requirements-build.in -o requirements-build.txt
	$(bin)/uv pip compile $(compile) requirements-checkov.in -o requirements-checkov.txt

# Universal: one file for every supported Python and platform. Oldest Python named, so that it can be installed there.
compile = --quiet --upgrade --universal --python-version 3.11 --generate-hashes

clean: ## removes environments, caches, build output; the local run's data stays in .local
	rm -rf .venv .venv-bench .venv-build .venv-checkov .aws-sam .cache .hypothesis node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The .pth file lets `.venv/bin/python -m switchboard` find the package, as the layer does on Lambda.
dev-environment:
	@local/environment.sh .venv requirements-dev.txt
	@printf '%s\n' "$(CURDIR)/layers/common" > "$$($(bin)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/switchboard.pth"

build-environment:
	@local/environment.sh .venv-build requirements-build.txt "3.13 3.12 3.11"

checkov-environment:
	@local/environment.sh .venv-checkov requirements-checkov.txt "3.13 3.12 3.11"
