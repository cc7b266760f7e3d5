# make demo: the pipeline on bundled digits. make test: the tests. `make help` lists the rest.
SHELL := bash
PYTHON ?= python3
CORES ?= all
CONFIG ?=
DIRECTORY ?=
VENV := .venv
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
IN_ENV := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
CONFIGFILE = $(if $(CONFIG),--configfile $(CONFIG)) $(if $(DIRECTORY),--directory "$(DIRECTORY)")

.DEFAULT_GOAL := help
.PHONY: help env demo test test-fast test-slurm format lint check bench faults clean tables paper-cells estimate preflight status watch accept verify evaluate export publish published schema lock

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/.installed: envs/requirements.txt envs/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] in ((3, 11), (3, 12)) else f"Python 3.11 or 3.12 is needed; $(PYTHON) is {sys.version.split()[0]} (set PYTHON=...)")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/bootstrap.txt
	VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(VENV)/bin/uv pip sync --quiet --require-hashes --compile-bytecode envs/requirements.txt
	@touch $@

env: $(VENV)/.installed ## create .venv from the hashed lock

demo: env ## run the default experiment on bundled digits, show Tables 1 and 2 and say where its report is
	@$(IN_ENV) snakemake --cores $(CORES)
	@$(IN_ENV) python -m stages.tables.show results/tables/digits table1 table2

test: env ## run the test suite, files side by side
	@$(IN_ENV) python -m pytest $(SIDE_BY_SIDE)

test-fast: env ## run the quick tests, under 90 s on two cores
	@$(IN_ENV) python -m pytest $(SIDE_BY_SIDE) -m "not slow" tests/unit tests/workflow tests/golden

test-slurm: env ## run the pipeline on a real SLURM of its own (root; installs SLURM where apt-get can)
	@$(IN_ENV) python -m tests.slurm.cluster install
	@$(IN_ENV) python -m pytest tests/slurm --slurm

format: env ## format the code and the rules
	@$(IN_ENV) ruff check --fix-only . && $(IN_ENV) ruff format .
	@$(IN_ENV) snakefmt -l 120 Snakefile workflow/rules

lint: env ## formatting, types, import contracts, workflow lint
	@$(IN_ENV) ruff check . && $(IN_ENV) ruff format --check .
	@$(IN_ENV) mypy
	@$(IN_ENV) lint-imports --no-cache
	@$(IN_ENV) snakefmt --check -l 120 Snakefile workflow/rules
	@$(IN_ENV) python -m workflow.generate.lint

check: lint test ## what CI runs: the linters, then every test

bench: env ## time training and the AutoAttack engine beside plain loops and the official code (LSP_CIFAR10_JPEG names the images; under 50 minutes)
	@$(IN_ENV) snakemake --cores $(CORES) --quiet all --configfile tests/benchmarks/classifier.yaml
	@$(IN_ENV) python -m tests.benchmarks

faults: env ## inject faults and print what held, minutes; FULL=1: thousands, hours, kept in results/published/faults
	@$(IN_ENV) python -m tests.faults $(if $(FULL),--full)

clean: ## remove caches, builds and what killed jobs left half-written; never results, downloads or .venv
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info
	@find stages workflow tests -name __pycache__ -type d -prune -exec rm -rf {} +
	@$(PYTHON) -I -B $(dir $(lastword $(MAKEFILE_LIST)))stages/core/leftovers.py results

tables: env ## make the tables and the report of CONFIG from whatever runs exist; a missing run is a dash
	@$(IN_ENV) python -m workflow.commands.tables $(CONFIGFILE)

paper-cells: CONFIG := $(or $(CONFIG),workflow/experiments/paper.yaml)
paper-cells: env ## print the paper's number behind each cell of CONFIG (paper.yaml): its 239 cells, from the plan
	@$(IN_ENV) python -m workflow.commands.paper_cells $(CONFIGFILE)

estimate: env ## print what CONFIG's stages and tables will take on this machine, and how far off that was of what is done
	@$(IN_ENV) python -m workflow.commands.estimate $(CONFIGFILE)

preflight: env ## say what stands in the way of a run of CONFIG: files it reads, room, sizes; nothing is started
	@$(IN_ENV) python -m workflow.commands.preflight $(CONFIGFILE)

status: env ## list what of CONFIG is done, failed, started or missing
	@$(IN_ENV) python -m workflow.commands.status $(CONFIGFILE)

watch: env ## show CONFIG's stages, running jobs and failures until all is done; in a pipe a line a minute
	@$(IN_ENV) python -m workflow.commands.watch $(CONFIGFILE)

accept: env ## take CONFIG's finished runs as valid under the present code
	@$(IN_ENV) python -m workflow.commands.accept $(CONFIGFILE)

verify: env ## hash all files of CONFIG against their manifests; REPAIR=1 removes what is damaged and has it made again
	@$(IN_ENV) python -m workflow.commands.verify $(CONFIGFILE) $(if $(REPAIR),--repair)

evaluate: env ## attack the weights CHECKPOINT on DATASET: [ARCHITECTURE=…] [EPSILON=8/255] [IMAGES=1000] [NAME=…] (docs/checkpoints.md)
	@$(IN_ENV) python -m workflow.commands.evaluate --checkpoint "$(CHECKPOINT)" --dataset "$(DATASET)" $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE)) $(if $(EPSILON),--epsilon $(EPSILON)) $(if $(IMAGES),--images $(IMAGES)) $(if $(NAME),--name $(NAME)) -- --cores $(CORES)

export: env ## write RUN (digits/vanilla-…/seed0, a folder of results/train/) for others: plain weights, a script, a RobustBench entry
	@$(IN_ENV) python -m stages.weights.export --checkpoint results/train/$(RUN)/model.safetensors --attacked $(wildcard results/attack/$(RUN)/*.json) --into results/export/$(RUN)

publish: env ## copy CONFIG's outcomes, manifests and tables to results/published/; SO_FAR=1: what is made, with gaps
	@$(IN_ENV) python -m workflow.commands.publish $(CONFIGFILE) $(if $(SO_FAR),--so-far)

published: env ## regenerate the tables and reports in results/published/ from their outcomes
	@$(IN_ENV) python -m workflow.commands.republish

schema: env ## write workflow/config.schema.json from the config models
	@$(IN_ENV) python -m workflow.generate.schema

lock: env ## resolve envs/requirements.in into the hashed lock and the conda file
	@cd envs && $(IN_ENV) uv pip compile requirements.in --overrides overrides.in --universal --python-version 3.11 --generate-hashes --no-header --quiet -o requirements.txt
	@cd envs && $(IN_ENV) uv pip compile bootstrap.in --universal --python-version 3.11 --generate-hashes --no-header --quiet -o bootstrap.txt
	@$(IN_ENV) python -m workflow.generate.conda
