# Everything a contributor types. `make` alone prints the list.
PYTEST_ARGS ?=
BENCH_ARGS ?=
FAULTS_ARGS ?=
PART ?= property crash side_by_side leaks oracle
PYTHON ?= python3
export PYTHON

bin := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo demo-clean test check format examples template-release setup engine images engine-stop bench faults soak lock clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup engine ## generate a project, run it, call its API; leaves it running
	@tests/engine/images python:3.13-slim postgres:18
	@tests/engine/demo

demo-clean: ## remove what `make demo` left running, its data and its folder
	@tests/engine/demo clean

test: setup engine images ## the whole test suite (PYTEST_ARGS="-k name -x" narrows it)
	@$(bin)/python -m pytest --numprocesses 2 --dist loadfile --durations 10 $(PYTEST_ARGS)

check: setup ## lint and types: ruff, mypy --strict, shellcheck, hadolint, zizmor
	@tests/engine/check

format: setup ## let ruff put the code in order
	@$(bin)/ruff check --fix-only --quiet .
	@$(bin)/ruff format --quiet .

examples: setup ## re-render examples/ from the templates
	@$(bin)/python tests/render_examples.py

template-release: setup ## a version of the bundled templates, into their bundles (TAG=v0.2.0)
	@$(bin)/python tests/release_template.py "$(TAG)"
	@$(MAKE) --no-print-directory examples

setup: ## .venv with the locked tools and this project, editable
	@tests/engine/venv

engine: ## a Docker engine: the one that answers, or one installed and started here
	@tests/engine/up

images: engine ## base images: pulled, or stand-ins built where no registry answers
	@tests/engine/images

engine-stop: ## stop the engine that `make engine` started; any other is left alone
	@tests/engine/down

bench: setup engine images ## compare with docker compose and copier (BENCH_ARGS)
	@$(bin)/python -m tests.bench $(BENCH_ARGS)

faults: setup engine images ## break things in forty ways: is the cause named, does the advice mend it?
	@$(bin)/python -m tests.faults $(FAULTS_ARGS)

soak: setup $(if $(filter-out updates,$(PART)),engine images) ## the long runs; PART=oracle (or updates, crash, property …) takes one
	@SCAFFOLD_SOAK=1 $(bin)/python -m pytest -s $(PART:%=tests/test_%.py)

lock: setup ## refresh dev-requirements.lock
	@$(bin)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --group dev pyproject.toml \
		--generate-hashes --no-annotate --no-header --no-emit-index-url --output-file dev-requirements.lock

clean: ## remove .venv, caches and build results; the engine and its images stay
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find scaffold tests -name __pycache__ -type d -prune -exec rm -rf {} +
