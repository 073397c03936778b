# A fresh machine needs Python 3.11+ and make, nothing else. Without make: the README has the same steps as pip commands.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: demo test slow docs check bench gpu clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)  # the main job on built-in motions: store -> pretraining -> kNN and linear probe -> table and page
	$(BIN)/ssl-skel synthetic stores/demo --overwrite
	$(BIN)/ssl-skel pretrain configs/demo/pretrain.yaml resume=auto
	$(BIN)/ssl-skel finetune configs/demo/linear.yaml
	$(BIN)/ssl-skel view runs/demo_linear -o demo.html --overwrite
	@echo "open in a browser: demo.html"

test: $(STAMP)  # under five minutes on two cores
	$(BIN)/python -m pytest -n 2 --dist worksteal -p no:benchmark

slow: $(STAMP)  # the tests that take longer
	$(BIN)/python -m pytest -m slow

docs: $(STAMP)  # the site, into site/; a warning is an error
	OMP_NUM_THREADS=1 $(BIN)/python docs/generate
	$(BIN)/zensical build --clean --strict

check: $(STAMP)  # style, types, doctests, the docs, then the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --doctest-modules ssl_skel pretrain finetune
	$(MAKE) docs
	$(MAKE) test

bench: $(STAMP)  # speed and memory, each beside its yardstick in the same run; REV=NAME: training steps beside that revision
	$(BIN)/python -m pytest tests/benchmarks -o python_files='bench_*.py' -m '' -s

gpu: $(STAMP)  # on a machine with a GPU: at most ten minutes, writes results/gpu_NAME.json; please send it back
	$(BIN)/python tests/gpu

clean:
	rm -rf build site runs/demo runs/demo_linear stores/demo demo.html .pytest_cache .mypy_cache .ruff_cache
