# A machine needs Python (>= 3.11), pip and make; everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
SPEECH := data/audio/arctic_a0007.wav
EARS := headphone middle-ear outer-middle-ear

MINIMA := .venv-minima/bin
# What touches the libraries: every command, the modules, the FFT, files of arrays, figures, worker processes.
MINIMA_TESTS := tests/cli tests/nn/test_ears.py tests/engine/test_tensors.py tests/engine/test_fft.py tests/test_arrays.py \
	tests/files/test_matlab.py tests/report/test_figures.py tests/test_layers.py tests/batch/test_run.py

# Many tests wait for a program, so that there may be more of them at once than there are cores.
IN_PARALLEL := -n $(shell $(PYTHON) -c 'import os; print(3 * os.cpu_count() // 2)') --dist worksteal

.PHONY: catalogue demo test test-minima test-slow lint types bench bench-gpu accuracy identify sections figures man docs dist fuzz faults load fuzz-long clean

.venv/.package: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	@echo "Installing into .venv; the largest part is PyTorch. This takes a minute or more."
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[plot]'
	@touch $@

.venv/.dev: .venv/.package
	@echo "Installing what the tests need into .venv."
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

.venv/.docs: .venv/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

demo: .venv/.package  ## filter the recording with all three ears into out/
	@mkdir -p out
	@for ear in $(EARS); do $(BIN)/earfilt apply $(SPEECH) out/$$ear.wav -f $$ear --force || exit 1; done
	@$(BIN)/earfilt response -f headphone -f middle-ear -f outer-middle-ear --fs 16000 -o out/curves.csv -o out/curves.png --force
	@echo "Listen to $(SPEECH) and to out/*.wav; the curves they got are in out/curves.png and out/curves.csv."

test: .venv/.dev lint types  ## all tests but the slow ones
	$(BIN)/pytest -q $(IN_PARALLEL)

.venv-minima/.dev: pyproject.toml constraints-minima.txt
	$(PYTHON) -m venv .venv-minima
	$(MINIMA)/pip install --quiet --disable-pip-version-check -c constraints-minima.txt -e '.[plot,dask,sofa]' 'pytest>=9' pytest-xdist
	@touch $@

test-minima: .venv-minima/.dev  ## the commands and modules with the oldest versions of the libraries that are allowed
	$(MINIMA)/python -m pytest -q $(IN_PARALLEL) -W default $(MINIMA_TESTS)

test-slow: .venv/.dev
	$(BIN)/pytest -q -m slow

lint: .venv/.dev
	$(BIN)/ruff check .

types: .venv/.dev
	$(BIN)/mypy
	$(BIN)/mypy tests/typed_calls.py

bench: .venv/.dev
	$(BIN)/python -m benchmarks

bench-gpu: .venv/.dev  ## each figure of a GPU beside its bound, in less than ten minutes; without a GPU on the CPU
	$(BIN)/python -m benchmarks.gpu

accuracy: .venv/.dev  ## deviation of every ear's default at ten rates, measured on the taps
	$(BIN)/python -m benchmarks.accuracy

catalogue: .venv/.dev  ## every published number: source, hash, test vectors, deviation of its filter
	$(BIN)/python -m tests.catalogue

sections: .venv/.dev  ## what a few biquads and ten bands reach, with the time of each design
	$(BIN)/python -m benchmarks.sections

man: .venv/.dev  ## the man pages, from the text of --help and of the topics
	$(BIN)/python -m docs.man

identify: .venv/.dev  ## error of curves from recordings: noise, speech, drift, sweeps; the time of both ways of a fit
	$(BIN)/python -m benchmarks.identify

figures: .venv/.dev  ## the pictures of docs/gallery.md
	$(BIN)/python -m docs.gallery

docs: .venv/.docs  ## the site, into build/docs/html: offline, a warning or a link that leads nowhere is an error
	$(BIN)/python -m docs.site

dist: .venv/.dev  ## wheel and sdist of the last commit, built twice, checked, installed elsewhere, tested
	$(BIN)/python -m tests.dist

fuzz: .venv/.dev  ## 10 000 hostile files
	$(BIN)/python -m tests.robustness.fuzz --mutants 10000

faults: .venv/.dev  ## faults of disk, memory, signals, environment (mounts need root)
	$(BIN)/python -m tests.robustness.machine

load: .venv/.dev  ## 100 000 files, 10 hours, 64 channels, 20 processes
	$(BIN)/python -m tests.robustness.load

fuzz-long: .venv/.dev  ## parsers under a coverage-guided fuzzer, 10 minutes each
	$(BIN)/pip install --quiet --disable-pip-version-check 'atheris>=3'
	@for t in chunks blocks curves firs; do $(BIN)/python -m tests.robustness.coverage $$t -max_total_time=600 || exit 1; done

clean:
	rm -rf .venv .venv-minima out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
