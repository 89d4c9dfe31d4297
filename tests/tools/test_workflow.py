"""The public workflows run the checks that `.ci/run` runs, with few rights and no secret."""

from __future__ import annotations

import re

import pytest
import yaml

from tools import pins

FOLDER = pins.ROOT / ".github" / "workflows"
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yml"))}
NOXFILE = (pins.ROOT / "noxfile.py").read_text(encoding="utf-8")


def commands(workflow: str, job: str) -> list[str]:
    """The commands of a job."""
    return [step["run"] for step in yaml.safe_load(TEXTS[workflow])["jobs"][job]["steps"] if "run" in step]


def test_the_workflow_checks_audits_and_tests_every_push_and_pull_request() -> None:
    assert commands("ci", "test") == [
        "make check",
        "make docs",
        "make check-deploy",
        "python tools/dev.py package none",
        "make audit-packages",
        "make test",
    ]
    assert re.search(r"^on:\n  push:\n    branches: \[main\]\n  pull_request:\n", TEXTS["ci"], re.MULTILINE)


def test_every_python_that_pyproject_names_has_a_session_and_a_job() -> None:
    classifiers = pins.project_settings()["project"]["classifiers"]
    pythons = re.findall(r"Python :: (3\.\d+)$", "\n".join(classifiers), re.MULTILINE)
    assert f"@nox.session(python={pythons})".replace("'", '"') in NOXFILE
    jobs = yaml.safe_load(TEXTS["ci"])["jobs"]["versions"]["strategy"]["matrix"]["include"]
    oldest, *others = pythons  # the job `test` runs on the oldest
    assert [(job["session"], job["python"]) for job in jobs] == [
        *((f"tests-{python}", python) for python in others),
        ("floors", oldest),
        ("newest", oldest),
    ]


def test_a_release_is_checked_tested_and_tried_before_it_is_published() -> None:
    assert commands("release", "build") == [
        'python tools/dev.py package --tag "$GITHUB_REF_NAME"',
        "make check",
        "make test",
        "make package",
    ]
    publish = yaml.safe_load(TEXTS["release"])["jobs"]["publish"]
    assert (publish["needs"], publish["environment"]) == ("build", "release")
    assert publish["permissions"] == {"id-token": "write"}  # the one right that publishing needs
    assert commands("release", "publish") == []  # no code of this repository has that right


@pytest.mark.parametrize("name", TEXTS)
def test_a_workflow_may_only_read_and_knows_no_secret(name: str) -> None:
    assert yaml.safe_load(TEXTS[name])["permissions"] == {"contents": "read"}
    assert "secrets." not in TEXTS[name]
    assert "pull_request_target" not in TEXTS[name]
    assert TEXTS[name].count("persist-credentials: false") == TEXTS[name].count("uses: actions/checkout@")


@pytest.mark.parametrize("name", TEXTS)
def test_every_action_is_pinned_to_a_commit_whose_version_is_said(name: str) -> None:
    actions = re.findall(r"uses: (.+)", TEXTS[name])
    assert actions
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in actions)


def test_both_kinds_of_ci_audit_the_packages_build_the_site_and_try_the_package() -> None:
    text = (pins.ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in ("dev.py audit-packages", "make docs", "dev.py package none"):
        assert command in text
