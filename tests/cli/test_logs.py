"""The argument LOG: a file, or the name of a data set, which takes no reading options."""

from __future__ import annotations

from pathlib import Path

import pytest

from caser.cli.logs import reopen_log
from caser.errors import ArtefactError
from tests.cli.terminal import caser, refusal


def test_a_data_set_refuses_reading_options(tmp_path: Path) -> None:
    code, line = refusal("data", "describe", "ml-100k", "--user", "nosuch")
    assert code == 2
    assert "got user for ml-100k" in line


@pytest.mark.data
def test_a_folder_of_that_name_does_not_hide_a_data_set(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cache)
    assert caser("data", "describe", "ml-100k", "--json").code == 0


@pytest.mark.parametrize("source", ["frame", "simulated"])
def test_a_log_that_was_never_a_file_is_not_looked_for(source: str) -> None:
    with pytest.raises(ArtefactError, match="was trained on a log in memory; give the same log as a file"):
        reopen_log({"source": source}, None)
