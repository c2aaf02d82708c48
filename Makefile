# `make help` lists the targets. PYTHON names an interpreter, TORCH a torch to keep or install:
#   PYTHON=python3.12 make test        TORCH=2.11.0+cu130 make quickstart
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help venv quickstart crawl svm images report docs pages test test-all lint bench bench-ranks bench-scale clean

# -E reads all pages each time: else a page that did not change would not warn again.
DOCS = $(BIN)/sphinx-build -q -E -W --keep-going -d build/doctrees docs build/docs

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

venv:  ## create .venv with pinned dependencies; a second call reuses it
	@tools/setup_env.sh $(VENV)

quickstart: venv  ## Multi30k from text to BLEU with AutoAssist, under runs/multi30k/
	$(BIN)/python -m recipes.multi30k.quickstart

crawl: venv  ## a mix like raw crawl, 76% noise: plain training and AutoAssist, under runs/crawl/
	$(BIN)/python -m recipes.crawl.run

svm: venv  ## linear SVMs with instance shrinking: Figure 1 and Theorem 1, under runs/svm/
	$(BIN)/python -m recipes.linear_svm.run

images: venv  ## MNIST, a narrow ResNet-18: SGD, AutoAssist, random, under runs/images/quick/
	$(BIN)/python -m recipes.images.run quick

report: venv  ## tables and figures of all comparisons from their records, under runs/report/
	$(BIN)/python -m recipes.compare.report recipes/compare/results --out runs/report/compare
	$(BIN)/python -m recipes.compare.report recipes/crawl/results --out runs/report/crawl

docs: venv  ## documentation as HTML under build/docs/; warnings are errors
	$(DOCS)

pages: venv  ## docs/options.md and docs/metrics.md from the code
	$(BIN)/python -m tools.make_docs

lint: venv  ## ruff, mypy, and the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(DOCS)

test: lint  ## lint, then the quick tests: what .ci/run runs
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-all: lint  ## lint, then every test
	$(BIN)/python -m pytest -n 2 --dist loadfile

bench: venv  ## speed table and benchmarks/results/bench.json
	$(BIN)/python -m benchmarks.run

bench-ranks: venv  ## cost of 1, 2 and 4 ranks: table and bench_ranks.json beside it
	$(BIN)/python -m benchmarks.bench_ranks

bench-scale: venv  ## WMT14's size on generated data: table and bench_scale.json beside it
	$(BIN)/python -m benchmarks.bench_scale

clean:  ## remove caches and build folders; .venv and runs/ stay
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
