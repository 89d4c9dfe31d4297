"""The audit of installed packages: does a published advisory apply to one of them? Part of tools/dev.py.

pip-audit asks the database. Where no database can be reached, the audit is skipped and says so. An advisory that does
not concern this project is waived in pyproject.toml, until a date and with a reason:

    [tool.caser.waived-advisories]
    PYSEC-2026-1 = { until = 2027-01-31, because = "only servers of version 1 are affected; there is none" }
"""

from __future__ import annotations

import datetime
import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools import pins

LONGEST_SECONDS = 60
UNREACHABLE = (
    "ConnectionError",
    "ConnectTimeout",
    "ReadTimeout",
    "ServiceError",
    "Could not connect",
    "not redirecting",
)
"""What pip-audit prints where the database does not answer."""


class UnreachableError(Exception):
    """No advisory database answers; the message says what was tried."""


def report(environment: Path, auditor: Path, root: Path) -> int:
    """Print what the database says about the packages of an environment, and return the exit status.

    environment  the Python whose packages are looked up
    auditor      the Python that has pip-audit
    root         the checkout

    Returns 1 if an advisory applies that is not waived, or if pip-audit fails by itself, and otherwise 0.
    """
    packages = installed(environment)
    try:
        findings = ask(packages, auditor)
    except UnreachableError as error:
        print(f"Skipped the audit of {len(packages)} packages: {error}")
        return 0
    waivers = pins.project_settings(root)["tool"]["caser"].get("waived-advisories", {})
    lines, status = judge(findings, waivers, datetime.datetime.now(tz=datetime.UTC).date())
    print("\n".join(lines))
    return status


def installed(environment: Path) -> dict[str, str]:
    """Return the installed packages and their versions, without tags of a build such as +cpu, which no database has."""
    words = [
        str(environment),
        "-m",
        "pip",
        "list",
        "--format",
        "json",
        "--exclude-editable",
        "--disable-pip-version-check",
    ]
    listed = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    return {one["name"]: one["version"].partition("+")[0] for one in listed}


def ask(packages: Mapping[str, str], auditor: Path) -> list[dict[str, Any]]:
    """Return what pip-audit reports: for each package its advisories, or why it was skipped.

    packages  versions by name
    auditor   the Python that has pip-audit

    Raises UnreachableError if no database answers within a minute, or knows none of the packages.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "installed.txt"
        path.write_text("".join(f"{name}=={version}\n" for name, version in packages.items()), encoding="utf-8")
        words = [str(auditor), "-m", "pip_audit", "--requirement", str(path), "--no-deps", "--disable-pip"]
        words += ["--format", "json", "--progress-spinner", "off", "--timeout", "10"]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise UnreachableError(f"the advisory database gave no answer in {LONGEST_SECONDS} s") from None
    return findings_of(done.stdout, done.stderr)


def findings_of(output: str, errors: str) -> list[dict[str, Any]]:
    """Read pip-audit's report.

    output  what pip-audit printed
    errors  what it printed to stderr

    Raises UnreachableError if the database did not answer, and RuntimeError if pip-audit failed for another reason.
    """
    try:
        findings: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except ValueError:
        last = errors.strip().splitlines()[-1:] or ["no output"]
        if any(word in errors for word in UNREACHABLE):
            raise UnreachableError("no advisory database can be reached from here") from None
        raise RuntimeError(f"pip-audit must print a report; it failed: {last[0]}") from None
    if findings and all("skip_reason" in one for one in findings):
        raise UnreachableError("the server that answers in place of the advisory database knows none of them")
    return findings


def judge(
    findings: Sequence[Mapping[str, Any]], waivers: Mapping[str, Mapping[str, Any]], today: datetime.date
) -> tuple[list[str], int]:
    """Return the lines to print and the exit status.

    findings  pip-audit's report: name, version and advisories ("vulns") of each package, or the reason why it has none
    waivers   advisories that do not count, each `until` a date, which is its last day, and `because` of something
    today     the date of today
    """
    unknown = [one["name"] for one in findings if "skip_reason" in one]
    open_lines, waived_lines = [], []
    for one in findings:
        for advisory in one.get("vulns", []):
            names = [advisory["id"], *advisory.get("aliases", [])]
            what = f"{one['name']} {one['version']}: {' '.join(names)}"
            waiver = next((waivers[name] for name in names if name in waivers), None)
            if waiver and today <= waiver["until"]:
                waived_lines.append(f"{what} is waived until {waiver['until']}: {waiver['because']}")
                continue
            fixed = ", ".join(advisory.get("fix_versions", [])) or "no version yet"
            ended = f"; its waiver ended on {waiver['until']}" if waiver else ""
            open_lines.append(f"{what}, fixed in {fixed}{ended}")
    first = f"Audited {len(findings) - len(unknown)} packages: {len(open_lines)} advisories apply"
    if unknown:
        first += f"; the database does not know {', '.join(unknown)}"
    if open_lines:
        open_lines.append(
            "Take a fixed version (constraints.txt says how), or waive the advisory with a date (tools/advisories.py)."
        )
    return [first, *waived_lines, *open_lines], int(bool(open_lines))
