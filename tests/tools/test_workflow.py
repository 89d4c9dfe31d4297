"""The public workflow runs the checks that `.ci/run` runs, with few rights and no secret."""

from __future__ import annotations

import re

from tools import pins

TEXT = (pins.ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")


def test_the_workflow_checks_audits_and_tests_every_push_and_pull_request() -> None:
    steps = ["make check", "make docs", "make check-deploy", "make audit-packages", "make test"]
    assert re.findall(r"- run: (.+)", TEXT) == steps
    assert re.search(r"^on:\n  push:\n    branches: \[main\]\n  pull_request:\n", TEXT, re.MULTILINE)


def test_the_workflow_may_only_read_and_knows_no_secret() -> None:
    assert re.findall(r"permissions:\n((?: +.+\n)+)", TEXT) == ["  contents: read\n"]
    assert "secrets." not in TEXT
    assert "pull_request_target" not in TEXT
    assert "persist-credentials: false" in TEXT


def test_every_action_of_the_workflow_is_pinned_to_a_version() -> None:
    actions = re.findall(r"uses: (\S+)", TEXT)
    assert actions
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", action) for action in actions)


def test_both_kinds_of_ci_audit_the_packages_and_build_the_site() -> None:
    text = (pins.ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "dev.py audit-packages" in text
    assert "make docs" in text
