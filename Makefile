# Every verb is explained, and carried out, by tools/dev.py; another Python: make test PYTHON=python3.12
PYTHON ?= python3

.PHONY: setup demo test check bench clean
setup demo test check bench clean:
	@$(PYTHON) tools/dev.py $@
