"""The audit of packages: what applies fails, what is waived does not until its date, what nobody answers is skipped."""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path

import pytest

from tools import advisories, pins

TODAY = datetime.date(2026, 11, 28)
FOUND = {
    "name": "tiny",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["1.1"]}],
}
CLEAN = {"name": "rich", "version": "15.0.0", "vulns": []}
UNKNOWN = {"name": "ours", "skip_reason": "not found"}


def waiver(until: datetime.date) -> dict[str, dict[str, object]]:
    return {"CVE-2026-1": {"until": until, "because": "it is not used"}}


def test_an_advisory_that_applies_fails_with_the_version_that_fixes_it() -> None:
    lines, status = advisories.judge([FOUND, CLEAN], {}, TODAY)
    assert status == 1
    assert lines[0] == "Audited 2 packages: 1 advisories apply"
    assert "tiny 1.0: PYSEC-2026-1 CVE-2026-1, fixed in 1.1" in lines


def test_a_waived_advisory_passes_until_its_date_and_not_longer() -> None:
    lines, status = advisories.judge([FOUND], waiver(TODAY), TODAY)
    assert status == 0
    assert lines[1].endswith("is waived until 2026-11-28: it is not used")
    lines, status = advisories.judge([FOUND], waiver(TODAY - datetime.timedelta(1)), TODAY)
    assert status == 1
    assert lines[1].endswith("its waiver ended on 2026-11-27")


def test_a_package_that_the_database_does_not_know_is_named() -> None:
    lines, status = advisories.judge([CLEAN, UNKNOWN], {}, TODAY)
    assert (lines, status) == (["Audited 1 packages: 0 advisories apply; the database does not know ours"], 0)


@pytest.mark.parametrize(
    ("output", "errors"),
    [
        ("", "Traceback ...\nrequests.exceptions.ConnectionError: HTTPSConnectionPool: Max retries exceeded"),
        ("", "ERROR:pip_audit._cli:Could not connect to the vulnerability feed"),
        (json.dumps({"dependencies": [UNKNOWN, UNKNOWN]}), ""),
    ],
)
def test_without_a_database_the_audit_is_skipped_and_says_so(
    output: str, errors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    auditor = tmp_path / "auditor"
    auditor.write_text(f"#!{sys.executable}\nimport sys\nprint({output!r})\nsys.exit({errors!r})\n")
    auditor.chmod(0o755)
    assert advisories.report(Path(sys.executable), auditor, pins.ROOT) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Skipped the audit of ")
    assert printed.count("\n") == 1


def test_an_audit_that_takes_too_long_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auditor = tmp_path / "auditor"
    auditor.write_text("#!/bin/sh\nexec sleep 60\n")
    auditor.chmod(0o755)
    monkeypatch.setattr(advisories, "LONGEST_SECONDS", 0.1)
    with pytest.raises(advisories.UnreachableError, match="no answer"):
        advisories.ask({"tiny": "1.0"}, auditor)


def test_a_failure_of_the_program_itself_is_a_failure() -> None:
    with pytest.raises(RuntimeError, match="it failed: TypeError: no"):
        advisories.findings_of("", "Traceback\nTypeError: no")


def test_installed_packages_are_asked_for_without_the_tag_of_their_build() -> None:
    packages = advisories.installed(Path(sys.executable))
    assert packages["torch"] == pins.read_all()["torch"].version
    assert "caser" not in packages


def test_every_waiver_of_this_project_has_a_date_and_a_reason() -> None:
    waivers = pins.project_settings()["tool"]["caser"].get("waived-advisories", {})
    for one in waivers.values():
        assert isinstance(one["until"], datetime.date)
        assert one["because"]
