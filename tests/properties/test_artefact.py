"""Any damage to any file of an artefact is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caser.artefact.folder import load, save
from caser.artefact.run_folder import HISTORIES, MANIFEST, VOCABULARY, WEIGHTS
from caser.errors import ArtefactError
from tests.runs import caser_run


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a saved Caser."""
    folder = tmp_path_factory.mktemp("saved") / "run"
    save(caser_run(), folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for damaged copies."""
    return tmp_path_factory.mktemp("damaged")


@pytest.mark.parametrize("name", [MANIFEST, WEIGHTS, VOCABULARY, HISTORIES])
@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_flipped_bit_and_every_truncation_is_refused_by_name(
    contents: dict[str, bytes], run: Path, name: str, data: st.DataObject
) -> None:
    for other, content in contents.items():
        (run / other).write_bytes(content)
    content = contents[name]
    at = data.draw(st.integers(0, len(content) - 1), label="byte")
    bit = data.draw(st.none() | st.integers(0, 7), label="bit, or None to cut here")
    damaged = content[:at] if bit is None else content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
    (run / name).write_bytes(damaged)
    with pytest.raises(ArtefactError, match=name):
        load(run)


def test_every_single_bit_of_the_manifest_counts(contents: dict[str, bytes], run: Path) -> None:
    for other, content in contents.items():
        (run / other).write_bytes(content)
    load(run)
    for at in range(len(contents[MANIFEST])):
        damaged = bytearray(contents[MANIFEST])
        damaged[at] ^= 1 << at % 8
        (run / MANIFEST).write_bytes(damaged)
        with pytest.raises(ArtefactError, match=MANIFEST):
            load(run)
