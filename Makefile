# Every verb is explained, and carried out, by tools/dev.py; another Python: make test PYTHON=python3.12
PYTHON ?= python3

.PHONY: setup demo serve test check bench bench-serve clean reproduce
setup demo serve test check bench bench-serve clean:
	@$(PYTHON) tools/dev.py $@

# One published table anew: make reproduce TABLE=movielens_1m. Without TABLE, what there is and how long it takes.
reproduce:
	@$(PYTHON) tools/dev.py bench $(or $(TABLE),--list)
