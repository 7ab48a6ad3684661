# `make demo`, `make transfer` and `make test`; each sets up .venv first.
PYTHON ?= python3
WORKDIR ?= runs/video
DEMO ?=
TRANSFER ?=
WORKERS ?= 2
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder
# huge pages for large arrays: on a CPU every step's temporaries are fresh memory
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1

.PHONY: demo transfer test long lint configuration processes parity tpu pretrain pretrain-vae bench files docs
.DEFAULT_GOAL := demo

.venv/ready: setup.py
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

demo: .venv/ready
	$(BIN)/python -m tqd_jax.main --config=configs/video.py --workdir=$(WORKDIR) $(DEMO)

transfer: .venv/ready
	$(BIN)/python -m transfer_jax.main --config=configs/transfer.py --workdir=runs/transfer $(TRANSFER)

lint: .venv/ready
	$(BIN)/ruff check .

configuration: .venv/ready
	($(BIN)/python -m tqd_jax.config && $(BIN)/python -m transfer_jax.experiment.config) > docs/configuration.md

test: lint
	$(PYTEST) -m 'not parity and not processes and not tpu and not long'

long: .venv/ready
	$(PYTEST) -m long

.venv/parity: .venv/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test,parity]'
	touch $@

processes: .venv/ready
	$(BIN)/python -m pytest -n 0 -m processes

parity: .venv/parity
	$(PYTEST) -m parity

.venv/tpu: .venv/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test,tpu]'
	touch $@

tpu: .venv/tpu
	$(PYTEST) --dist load -m 'tpu and not long'

pretrain: .venv/ready
	$(BIN)/python -m tqd_jax.shipped.start runs/tiny_wan
	$(BIN)/python -m tqd_jax.main --config=configs/pretrain/tiny_wan.py --workdir=runs/pretrain
	$(BIN)/python -m tqd_jax.shipped.publish runs/pretrain tiny_wan

# other latents: make pretrain has to follow
pretrain-vae: .venv/ready
	$(BIN)/python -m tqd_jax.pretrain_vae --workdir=runs/pretrain_vae --out=tqd_jax/assets/tiny_wan/vae

files: .venv/ready
	$(BIN)/python docs/file_list.py

.venv/docs: .venv/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test,docs]'
	touch $@

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

.venv/bench: .venv/parity
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]'
	touch $@

bench: .venv/bench
	$(BIN)/python -m benchmarks.law_cost
	$(BIN)/python -m benchmarks.step_vs_torch
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.solver
	$(BIN)/python -m benchmarks.fisher
	$(BIN)/python -m benchmarks.studies --config=configs/studies/theory.py --workdir=runs/theory
	$(BIN)/python -m benchmarks.debiasing
