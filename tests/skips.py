"""Reasons of skipped tests. Each says what is missing, and the command that runs the test where it is there.

`tests/architecture/test_skips.py` checks that no test skips with another reason.
"""

from __future__ import annotations


def skipped(missing: str, command: str) -> str:
    """A reason: what is missing, and what to type.

    >>> skipped("needs curl", "apt install curl")
    'needs curl; type: apt install curl'
    """
    return f"{missing}; type: {command}"


def without_log(name: str) -> str:
    """The reason of a test on a real log that is not there; `name` is the file or the log."""
    return skipped(f"needs {name} in the folder that CASER_CACHE names", "CASER_CACHE=FOLDER python tools/dev.py test")


def on_another_system(needs: str) -> str:
    """The reason of a test that this operating system cannot run."""
    return skipped(f"{needs}, which this operating system does not have", "python tools/dev.py test (on Linux)")


def without_browser(path: object) -> str:
    """The reason of a test that needs a browser; `path` is where it would be."""
    return skipped(f"the page needs a browser; there is no {path}", "apt install chromium")


NO_POSTGRES = skipped(
    "needs a PostgreSQL server of its own, and the extra postgres",
    "apt install postgresql && python tools/dev.py setup dev",
)
SLOW = skipped("slow", "python tools/dev.py test --slow")
NO_LOGS = without_log("real logs")
NEEDS_EXTRAS = skipped("needs a package of the extra dev", "python tools/dev.py setup dev")
AS_ROOT = skipped("the superuser may read and write every file", "su USER -c 'python tools/dev.py test'")
NO_GIT = skipped("needs a git checkout", "git clone")
