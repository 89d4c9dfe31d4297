"""The saved folder: saving and loading, the state after a crash, and everything that is refused."""

from __future__ import annotations

import errno
import io
import json
import multiprocessing
import os
import pickle
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors.numpy

from caser.artefact.folder import Artefact, load, save, update_manifest
from caser.artefact.run_folder import HISTORIES, MANIFEST, VOCABULARY, WEIGHTS, check_writable
from caser.data.log import Vocabulary
from caser.data.tape import Tape
from caser.errors import ArtefactError, ConfigError
from caser.models.caser.caser import CaserScorer
from caser.models.counting.count_knn import CountKNN
from caser.models.counting.markov import Markov
from caser.models.counting.popularity import RecentPopularity
from tests.runs import FACTS, ITEMS, SEQUENCES, USERS, caser_run, popularity_run, resign, settings_of
from tests.skips import on_another_system

FILES = (MANIFEST, WEIGHTS, VOCABULARY, HISTORIES)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A saved Caser."""
    save(caser_run(), tmp_path / "run")
    return tmp_path / "run"


def counted(config: Any) -> Artefact:
    scorer = config.build(len(USERS), len(ITEMS))
    scorer.fit(Tape.from_sequences(SEQUENCES, len(ITEMS)))
    return replace(popularity_run(), config=config, scorer=scorer)


# What comes back


@pytest.mark.parametrize(
    "artefact",
    [
        caser_run(),
        caser_run(user_vector=False),
        popularity_run(),
        *map(counted, (RecentPopularity(), Markov(), CountKNN())),
    ],
    ids=lambda artefact: artefact.config.name,
)
def test_what_was_saved_comes_back(artefact: Artefact, tmp_path: Path) -> None:
    save(artefact, tmp_path / "run")
    again = load(tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(FILES)
    assert again.config == artefact.config
    assert again.manifest == FACTS
    assert again.users.ids.to_list() == USERS
    assert again.items.ids.to_list() == ITEMS
    assert again.titles is not None
    assert again.titles.to_list() == ["Ten", "Twenty", None, "Forty", "Fifty", "Sixty"]
    assert [again.histories.sequence(user).tolist() for user in range(1, 5)] == SEQUENCES
    users_B, histories_BH = np.array([1, 3], dtype=np.int32), np.array([[1, 2], [0, 5]], dtype=np.int32)
    expected = artefact.scorer.scores(users_B, histories_BH)
    np.testing.assert_array_equal(again.scorer.scores(users_B, histories_BH), expected)


@pytest.mark.parametrize(
    "ids",
    [
        pl.Series([7, -1, 2**40]),
        pl.Series([1.5, 2.0, -3.25]),
        pl.Series(["007", " a\u0000b", "\u202eنظر"]),
        pl.Series([1, 2, 255], dtype=pl.UInt8),
    ],
    ids=["integers", "floats", "text", "bytes"],
)
def test_ids_of_any_type_come_back_as_they_were(ids: pl.Series, tmp_path: Path) -> None:
    vocabulary = Vocabulary(ids)
    histories = Tape.from_sequences([[1], [2], [3]], num_items=3)
    scorer = replace(popularity_run(), users=vocabulary, items=vocabulary, titles=None, histories=histories)
    config: Any = scorer.config
    save(replace(scorer, scorer=config.build(3, 3)), tmp_path / "run")
    again = load(tmp_path / "run")
    assert again.users.ids.equals(ids)
    assert again.users.ids.dtype == again.items.ids.dtype == ids.dtype
    assert again.titles is None


def test_an_array_that_is_a_view_is_saved_as_it_reads(tmp_path: Path) -> None:
    artefact = caser_run()
    arrays = {name: np.asfortranarray(array) for name, array in artefact.scorer.arrays().items()}
    save(replace(artefact, scorer=CaserScorer(settings_of(artefact), arrays)), tmp_path / "run")
    for name, array in load(tmp_path / "run").scorer.arrays().items():
        np.testing.assert_array_equal(array, arrays[name])


def test_loading_and_answering_need_neither_torch_nor_the_readers_of_logs(run: Path) -> None:
    program = (
        "import sys, caser.answering.recommender as r\n"
        "print(r.load(sys.argv[1]).recommend(users='ann', histories=[20, 30])[0].items)\n"
        "assert not {'torch', 'caser.data.sources', 'caser.data.formats', 'caser.data.item_table'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(run)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_link_to_a_run_is_followed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(run)
    save(caser_run(seed=1), tmp_path / "current")
    assert (tmp_path / "current").is_symlink()
    assert load(run).manifest == load(tmp_path / "current").manifest


def test_facts_change_in_one_step_and_the_model_stays(run: Path) -> None:
    before = (run / WEIGHTS).read_bytes()
    (run / f".{MANIFEST}.caser-01234567.partial").write_bytes(b"left by a killed process")
    update_manifest(run, metrics={"hit@10": {"value": 0.25}}, test_openings=2)
    assert load(run).manifest == {**FACTS, "metrics": {"hit@10": {"value": 0.25}}, "test_openings": 2}
    assert (run / WEIGHTS).read_bytes() == before
    assert sorted(path.name for path in run.iterdir()) == sorted(FILES)


@pytest.mark.parametrize(
    "change", [{"metric": {}}, {"model": "markov"}, {"test_openings": -1}, {"metrics": {"a": {"value": np.nan}}}]
)
def test_a_change_of_something_that_is_not_a_fact_is_refused(run: Path, change: dict[str, Any]) -> None:
    before = (run / MANIFEST).read_bytes()
    with pytest.raises(ArtefactError, match=MANIFEST):
        update_manifest(run, **change)
    assert (run / MANIFEST).read_bytes() == before


# What a crash leaves


class Killed(BaseException):
    """Stands for a killed process: nothing after it reaches the disk."""


@contextmanager
def killed_after(calls: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Allow this number of calls that change the disk; every later one raises Killed instead.

    A file whose fsync does not happen keeps half of its bytes.
    """
    made: list[str] = []

    def dying(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and "r" in args[1]:
                return original(*args, **kwargs)
            if len(made) >= calls:
                if name == "fsync" and stat.S_ISREG(os.fstat(args[0]).st_mode):
                    os.truncate(args[0], os.fstat(args[0]).st_size // 2)
                raise Killed
            made.append(name)
            return original(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in ("mkdir", "rename", "replace", "fsync", "unlink", "rmdir"):
            patch.setattr(os, name, dying(name, getattr(os, name)))
        patch.setattr(Path, "open", dying("open", Path.open))
        yield made


def save_killed_everywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, write: Callable[[Path], None], check: Callable[[Path], None]
) -> int:
    """Kill `write` at every call in turn, each time on a fresh run; then `check` the folder, and save again."""
    for calls in range(200):
        path = tmp_path / f"try {calls}" / "run"
        save(caser_run(seed=1), path)
        try:
            with killed_after(calls, monkeypatch) as made:
                write(path)
        except Killed:
            check(path)
            save(caser_run(seed=3), path)
            assert load(path).manifest == FACTS
            assert [entry.name for entry in path.parent.iterdir()] == ["run"]
        else:
            assert len(made) <= calls
            return calls
    raise AssertionError("the write never came to its end")


def test_a_save_killed_at_any_call_leaves_the_old_or_the_new_artefact(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old, new = (caser_run(seed).scorer.arrays()["Q"] for seed in (1, 2))
    found = []

    def check(path: Path) -> None:
        loaded = load(path).scorer.arrays()["Q"]
        found.append("new" if np.array_equal(loaded, new) else "old")
        assert found[-1] == "new" or np.array_equal(loaded, old)

    calls = save_killed_everywhere(monkeypatch, tmp_path, lambda path: save(caser_run(seed=2), path), check)
    assert calls > 12
    assert found == sorted(found, reverse=True)  # old, ..., old, new, ..., new
    assert {"old", "new"} == set(found)


def test_an_update_killed_at_any_call_leaves_the_old_or_the_new_facts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def check(path: Path) -> None:
        assert load(path).manifest["test_openings"] in (0, 1)

    def open_once(path: Path) -> None:
        update_manifest(path, test_openings=1)

    assert save_killed_everywhere(monkeypatch, tmp_path, open_once, check) > 3


def test_a_full_disk_leaves_what_was_there(run: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason=on_another_system("needs limits of a process"))
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(ArtefactError, match=r"run needs [\d,]+ bytes; the disk is full"):
            save(caser_run(seed=2), run)
        with pytest.raises(ArtefactError, match=r"manifest.json needs [\d,]+ bytes; the disk is full"):
            update_manifest(run, test_openings=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_rename_that_fails_leaves_what_was_there(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ArtefactError, match=r"must be writable; got: input/output error"):
        save(caser_run(seed=2), run)
    monkeypatch.undo()
    assert [path.name for path in run.parent.iterdir()] == ["run"]
    assert load(run).manifest == FACTS


def test_a_folder_that_cannot_be_written_is_refused_before_and_when_saving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    impossible = ["x" * 300, "file/run", "file", "nul\0"]
    for write in (lambda path: save(caser_run(), path), check_writable):
        for name in impossible:
            with pytest.raises(ArtefactError, match=r"(must be|Choose)"):
                write(tmp_path / name)

    def forbid(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", forbid)
    for write in (lambda path: save(caser_run(), path), check_writable):
        with pytest.raises(ArtefactError, match="must be writable; got: permission denied"):
            write(tmp_path / "run")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_is_not_a_run_is_not_replaced(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / MANIFEST).write_text("{}")
    (run / "notes.txt").write_text("mine")
    for folder in (tmp_path / "mine", tmp_path / "other", run):
        for write in (lambda path: save(caser_run(), path), check_writable):
            with pytest.raises(ArtefactError, match="must be absent, empty or a saved run"):
                write(folder)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"
    assert (run / "notes.txt").read_text() == "mine"


def test_an_empty_or_missing_folder_is_written(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "new" / "deep" / "run"):
        check_writable(folder)
        save(caser_run(), folder)
        assert load(folder).manifest == FACTS


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_not_saved(value: float, tmp_path: Path) -> None:
    artefact = caser_run()
    arrays = {**artefact.scorer.arrays(), "b": np.array([0, value, 0], dtype=np.float32)}
    with pytest.raises(ArtefactError, match="b must be finite"):
        save(replace(artefact, scorer=CaserScorer(settings_of(artefact), arrays)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# What is refused


def refuses(folder: Path, name: str, match: str = "") -> None:
    """Loading raises one sentence that names the file."""
    with pytest.raises(ArtefactError) as caught:
        load(folder)
    assert str(folder / name) in str(caught.value)
    assert match in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_empty_swapped_or_not_regular_is_refused(run: Path, name: str, tmp_path: Path) -> None:
    content = (run / name).read_bytes()
    other = (run / (WEIGHTS if name != WEIGHTS else VOCABULARY)).read_bytes()
    for damaged in (b"", other, content + b"\0", content[:-1]):
        (run / name).write_bytes(damaged)
        refuses(run, name)
    (run / name).unlink()
    refuses(run, name, "no such file")
    (run / name).mkdir()
    refuses(run, name)
    (run / name).rmdir()
    (tmp_path / "elsewhere").write_bytes(content)
    (run / name).symlink_to(tmp_path / "elsewhere")
    refuses(run, name, "symbolic link")
    (run / name).unlink()
    os.link(tmp_path / "elsewhere", run / name)
    refuses(run, name, "hard link")
    (run / name).unlink()
    os.mkfifo(run / name)
    refuses(run, name, "special file")


def test_a_folder_that_is_missing_or_not_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name in ("empty", "file", "nothing", "x" * 300, "nul\0"):
        with pytest.raises(ArtefactError):
            load(tmp_path / name)


@pytest.mark.parametrize("name", ["weights.pt", ".hidden", "code.py"])
def test_an_unknown_file_in_the_folder_is_refused(run: Path, name: str) -> None:
    (run / name).write_bytes(b"")
    refuses(run, name, "does not belong to a saved run")


EPOCH = {"number": 1, "loss": 1.0, "num_states": 1, "seconds": 1.0, "validation": 0.1, "validation_seconds": 1.0}


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"in": value}
    return value


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": 4, "library_version": "9.0"}, "got 4, written by caser 9.0. Upgrade caser"),
        ({"format": "1"}, "format"),
        ({"surprise": 1}, "surprise"),
        ({"seen": None}, "must have the key 'seen'"),
        ({"seen": "sometimes"}, "seen"),
        ({"epochs": "3"}, "epochs"),
        ({"model": "casser"}, "did you mean caser?"),
        ({"settings": {"L": 2}}, "must have 'T'"),
        ({"settings": {"L": 2, "heads": 8}}, "heads"),
        ({"files": {}}, "must list"),
        ({"self": 1}, "unknown key 'self'"),
        ({"path": 1}, "unknown key 'path'"),
        ({"log": nested(400)}, "levels deep"),
        ({"log": {"source": "\ud800"}}, "half of a character"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": 10**30}, "beyond 64 bits"),
        ({"metrics": {"ndcg@10": {"value": float("nan")}}}, "not finite"),
        ({"metrics": {"ndcg@10": {"value": float("inf")}}}, "not finite"),
        ({"metrics": {"ndcg@10": 0.5}}, "MetricEntry must be values by name"),
        ({"metrics": {"ndcg@10": {"value": "0.5"}}}, "value"),
        ({"metrics": {f"hit@{k}": {"value": 0.5} for k in range(1001)}}, "metrics must have at most"),
        ({"log": {}}, "must have a value for 'digest'"),
        ({"log": {"digest": 7}}, "digest"),
        ({"log": {"digest": "a", "source": ["log.csv"]}}, "source"),
        ({"log": {"digest": "a", "reading": "fast"}}, "reading"),
        ({"log": {"digest": "a", "reading": {"missing": "NA"}}}, "missing"),
        ({"log": {"digest": "a", "notes": [[]] * 1_000_000}}, "more than 1,000,000 values"),
        ({"left_out": {"interactions": 3, "users": 1, "since": None, "until": None}}, "of the log, which has 0; got 3"),
        ({"epochs": 10**9}, "epochs"),
        ({"trained_at": 1e300}, "trained_at"),
        ({"test_openings": 10**9}, "test_openings"),
        ({"history": [EPOCH | {"seconds": 1e300}]}, "seconds"),
        ({"history": [{"number": 1}]}, "loss"),
        ({"history": [3]}, "history"),
        ({"index": {"probes": 1, "recall@10": 2.0}}, "recall@10"),
        ({"index": {"probes": 0, "recall@10": 1.0}}, "probes"),
        ({"index": {"probes": 1, "recall@10": 1.0, "extra": 1}}, "extra"),
        ({"files": {WEIGHTS: "0", VOCABULARY: "0", "../../etc/passwd": "0"}}, "must list"),
    ],
)
def test_a_manifest_with_other_keys_or_values_is_refused(run: Path, changes: dict[str, Any], match: str) -> None:
    resign(run, **changes)
    refuses(run, MANIFEST, match)


def test_a_manifest_that_was_edited_is_refused(run: Path) -> None:
    content = (run / MANIFEST).read_bytes()
    (run / MANIFEST).write_bytes(content.replace(b'"test_openings": 0', b'"test_openings": 1'))
    refuses(run, MANIFEST, "does not match its checksum")
    (run / MANIFEST).write_text(json.dumps({"format": 1}))
    refuses(run, MANIFEST, "does not start like one")


def other_weights(**changes: np.ndarray | None) -> bytes:
    arrays = {**caser_run().scorer.arrays(), **changes}
    return bytes(safetensors.numpy.save({name: array for name, array in arrays.items() if array is not None}))


def other_frame(name: str, *columns: pl.Expr) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        buffer = io.BytesIO()
        pl.read_parquet(folder / name).with_columns(*columns).write_parquet(buffer)
        return buffer.getvalue()

    return make


Q = caser_run().scorer.arrays()["Q"]


@pytest.mark.parametrize(
    ("name", "make"),
    [
        (WEIGHTS, other_weights(Q=None)),
        (WEIGHTS, other_weights(R=Q)),
        (WEIGHTS, other_weights(Q=Q[1:])),
        (WEIGHTS, other_weights(Q=Q.astype(np.float64))),
        (WEIGHTS, other_weights(Q=Q.astype(np.float16))),
        (WEIGHTS, other_weights(Q=np.where(Q > 0, np.nan, Q).astype(np.float32))),
        (WEIGHTS, other_weights(Q=Q.T)),
        (WEIGHTS, b"\xff" * 100),
        (WEIGHTS, (2**62).to_bytes(8, "little") + b"{}"),
        (WEIGHTS, (2**25).to_bytes(8, "little") + b" " * 2**25),
        (WEIGHTS, other_weights(**{f"more{number}": Q[:0] for number in range(10_001)})),
        (HISTORIES, other_frame(HISTORIES, pl.lit(1).alias("surprise"))),
        (VOCABULARY, b"PAR1" + b"\0" * 50 + b"PAR1"),
        (VOCABULARY, other_frame(VOCABULARY, pl.col("index") + 1)),
        (VOCABULARY, other_frame(VOCABULARY, pl.lit(10, dtype=pl.Int64).alias("item_id"))),
        (VOCABULARY, other_frame(VOCABULARY, pl.col("item_id").replace(20, None))),
        (VOCABULARY, other_frame(VOCABULARY, pl.lit(1).alias("item_title"))),
        (VOCABULARY, other_frame(VOCABULARY, pl.lit(1).alias("extra"))),
        (VOCABULARY, other_frame(VOCABULARY, pl.concat_list("index").alias("user_id"))),
        (VOCABULARY, other_frame(VOCABULARY, pl.struct("index").alias("user_id"))),
        (VOCABULARY, other_frame(VOCABULARY, pl.col("index").cast(pl.Date).alias("user_id"))),
        (VOCABULARY, other_frame(VOCABULARY, pl.col("index").cast(pl.Float64).replace(1, np.nan).alias("user_id"))),
        (HISTORIES, b""),
        (HISTORIES, other_frame(HISTORIES, pl.col("item").cast(pl.Int64))),
        (HISTORIES, other_frame(HISTORIES, pl.col("item").replace(1, None))),
        (HISTORIES, other_frame(HISTORIES, pl.col("item").replace(1, 7))),
        (HISTORIES, other_frame(HISTORIES, pl.col("item").replace(1, 0))),
        (HISTORIES, other_frame(HISTORIES, pl.col("user").replace(3, 2**31 - 1))),
        (HISTORIES, other_frame(HISTORIES, pl.col("user").reverse())),
        (HISTORIES, other_frame(HISTORIES, pl.col("order").reverse())),
    ],
)
def test_a_file_with_a_correct_checksum_and_wrong_values_is_refused(
    run: Path, name: str, make: bytes | Callable[[Path], bytes]
) -> None:
    (run / name).write_bytes(make if isinstance(make, bytes) else make(run))
    resign(run)
    refuses(run, name)


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_large_histories_are_read_from_a_copy_some_rows_at_a_time(
    run: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load(run).histories
    monkeypatch.setattr("caser.artefact.checked_files.LARGE", 0)
    monkeypatch.setattr("caser.system.mapped.LARGE", 0)
    monkeypatch.setattr("caser.artefact.tables.BLOCK", rows)
    found = load(run).histories
    assert isinstance(found.items, np.memmap)
    assert found.items.tolist() == whole.items.tolist()
    assert found.offsets.tolist() == whole.offsets.tolist()
    content = (run / HISTORIES).read_bytes()
    for change in (pl.col("user").reverse(), pl.col("order").reverse(), pl.col("order") + 1, pl.col("item") + 3):
        (run / HISTORIES).write_bytes(other_frame(HISTORIES, change)(run))
        refuses(run, HISTORIES, "does not match its checksum")
        resign(run)
        refuses(run, HISTORIES)
        (run / HISTORIES).write_bytes(content)
    resign(run)
    assert load(run).histories.items.tolist() == whole.items.tolist()


def test_files_of_another_run_are_refused(run: Path, tmp_path: Path) -> None:
    smaller = replace(popularity_run(), items=Vocabulary(pl.Series(ITEMS[:5])), titles=None)
    save(replace(smaller, histories=Tape.from_sequences(SEQUENCES, 5)), tmp_path / "smaller")
    (run / VOCABULARY).write_bytes((tmp_path / "smaller" / VOCABULARY).read_bytes())
    resign(run)
    refuses(run, WEIGHTS, "parameter Q must be float32 (6, 3); got float32 (7, 3)")


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.path}'",)


@pytest.mark.parametrize("name", FILES)
def test_no_file_can_run_code(run: Path, name: str, tmp_path: Path) -> None:
    evil = pickle.dumps(Canary(tmp_path / "canary"))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", evil)
        file.writestr("../../escaped", "out")
    for content in (evil, archive.getvalue()):
        (run / name).write_bytes(content)
        if name != MANIFEST:
            resign(run)
        refuses(run, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_model_that_no_program_could_load_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    class Newer(RecentPopularity):
        name = "newer"

    class Nameless(RecentPopularity):
        pass

    artefact = popularity_run()
    with pytest.raises(ConfigError, match=r"no model has that name. Register it first: caser.register_model\(.*Newer"):
        save(replace(artefact, config=Newer()), tmp_path / "run")
    with pytest.raises(ConfigError, match="name 'recent-popularity', but that name belongs to RecentPopularity"):
        save(replace(artefact, config=Nameless()), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_index_that_the_manifest_does_not_list_is_refused(run: Path) -> None:
    (run / "index.safetensors").write_bytes(b"")
    refuses(run, "index.safetensors", "must be listed")


def test_a_sparse_file_larger_than_memory_is_refused_before_it_is_read(run: Path) -> None:
    with (run / WEIGHTS).open("r+b") as file:
        file.truncate(2**40)
    refuses(run, WEIGHTS, "must have at most")


@pytest.mark.parametrize("name", ["history_length", "reach"])
@pytest.mark.parametrize("value", [10**9, 10**18])
def test_a_counting_model_with_settings_out_of_range_is_refused(tmp_path: Path, name: str, value: int) -> None:
    save(counted(CountKNN()), tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / MANIFEST).read_bytes())
    resign(tmp_path / "run", settings={**manifest["settings"], name: value})
    refuses(tmp_path / "run", MANIFEST, name)


def test_a_table_whose_rows_would_not_fit_into_memory_is_refused_with_an_estimate(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caser.system.bounds.free_memory", lambda: 500.0)
    refuses(run, VOCABULARY, "GB of memory")


def open_often(path: Path, times: int) -> None:
    for _ in range(times):
        update_manifest(path, opened=1)


def test_openings_that_several_processes_count_add_up(run: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=open_often, args=(run, 5)) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert load(run).manifest["test_openings"] == 30
    assert update_manifest(run, opened=2) == 32
