# tools/dev.py explains every verb and carries it out. To use another Python: make test PYTHON=python3.12
PYTHON ?= python3

.PHONY: setup demo demo-cluster serve test check docs check-deploy package versions audit-packages bench bench-serve clean reproduce
setup demo demo-cluster test check docs check-deploy package versions audit-packages bench bench-serve clean:
	@$(PYTHON) tools/dev.py $@

# Serve the demo's run; on another port: make serve PORT=8001
serve:
	@$(PYTHON) tools/dev.py serve $(if $(PORT),--port $(PORT))

# Reproduce a published table: make reproduce TABLE=guide_splits. Without TABLE: list the tables and how long each takes.
reproduce:
	@$(PYTHON) tools/dev.py bench $(or $(TABLE),--list)
