"""Every reader of files that somebody else may have written, with good files to begin with.

`READERS` has a row for each. `python tools/dev.py fuzz READER` gives it inputs that atheris finds, and
`test_readers.py` gives it a few hundred mutations of the good files. Checksums are made anew after a mutation, because
whoever can write a file can also write its checksum.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import json
import lzma
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from caser.artefact import folder as artefact
from caser.artefact import manifest, run_folder
from caser.artefact.attributes import ArtefactAttributes
from caser.artefact.manifest_facts import AttributeItemFacts
from caser.data.attribute_columns import AttributeColumn
from caser.data.attribute_values import AttributeVocabulary
from caser.data.item_table import read_items
from caser.data.log import Vocabulary
from caser.data.prepared import folder as prepared
from caser.data.prepared.prepare import prepare_log
from caser.data.readers import read_log
from caser.data.rejected import Rejected
from caser.exported.read import checked, states_alone, with_checksum
from caser.search.cells import Index
from caser.study.replay import hit_rate
from caser.study.runs import Store
from caser.system.parsing import parse_arrays
from caser.system.sealed import opening, seal_arrays, seal_json, unseal_json
from tests.runs import caser_run, resign

Read = Callable[[bytes], object]

ROWS = [("ann", "10", 1_600_000_000), ("bob", "20", 1_600_000_100), ("ann", "30", 1_600_000_200), ("eve", "10", 17)]
FRAME = pl.DataFrame(ROWS, schema=["user", "item", "time"], orient="row")
CSV = b"user,item,time\n" + b"".join(b"%s,%s,%d\n" % (u.encode(), i.encode(), t) for u, i, t in ROWS)
LINES = b"".join(json.dumps(dict(zip(FRAME.columns, row, strict=True))).encode() + b"\n" for row in ROWS)
LISTS = pl.DataFrame({"user": [1, 2], "item": [[1, 2, 3], [2]], "more": [{"a": 1}, {"a": 2}]})
ITEMS = pl.DataFrame({"item_id": [10, 20, 40], "title": ["Ten", "Twenty", None], "price": [1.5, None, 3.0]})
ANSWERS = (
    b'{"kind":"answer","at":1.0,"user":"ann","items":["10","20"],"model":"0123456789abcdef","source":"user"}\n'
    b'{"kind":"event","at":2.0,"user":"ann","item":"20"}\n{"kind":"event","at":3.0,"user":"bob","item":"30"}\n'
)


@dataclass(frozen=True)
class Reader:
    """A reader under test.

    seeds  good files
    open   takes an empty folder and returns the function that reads the bytes of one file, in that folder
    """

    seeds: Callable[[], Sequence[bytes]]
    open: Callable[[Path], Read]


def _log(format: str | None) -> Callable[[Path], Read]:
    def opened(folder: Path) -> Read:
        def read(content: bytes) -> object:
            (folder / "log").write_bytes(content)
            return read_log(folder / "log", format=format, bad_rows="skip")

        return read

    return opened


def _items(folder: Path) -> Read:
    def read(content: bytes) -> object:
        (folder / "items").write_bytes(content)
        return read_items(folder / "items", Vocabulary(pl.Series([10, 20, 30])))

    return read


def _in_run(name: str) -> Callable[[Path], Read]:
    """Read a run of which one file is replaced; its manifest then names the new checksum."""

    def opened(folder: Path) -> Read:
        run = folder / "run"
        _save(run)

        def read(content: bytes) -> object:
            (run / name).write_bytes(content)
            resign(run)
            return artefact.load(run)

        return read

    return opened


def _save(run: Path) -> None:
    """Save a run with an index, with attributes of its items, and with negative events."""
    made = caser_run()
    assert made.state_scorer is not None
    cells = (made.histories.item_counts > 0).astype(np.int32)
    index = Index(cells, *made.state_scorer.item_vectors(), probes=1, recall=1.0)
    genre = AttributeColumn(name="genre", way="values", values=["a"])
    price = AttributeColumn(name="price", way="buckets", edges=[1.0])
    counts = dict.fromkeys(AttributeItemFacts.model_fields, 0)
    facts = {"own_dropout": 0.25, "min_items": 1, "num_buckets": 2, "columns": [], "items": counts, "notes": []}
    arrays = made.scorer.arrays()
    attributes = ArtefactAttributes(
        AttributeVocabulary((genre, price), {"genre": 1, "price": 0}),
        {name: np.ones((3, *arrays[name].shape[1:]), np.float32) for name in ("Q", "V", "c")},
        np.zeros(len(cells), np.bool_),
        facts,
    )
    rejected = Rejected(np.array([1, 1, 2], np.int32), np.array([1, 3, 2], np.int32), np.array([5, 6, 7]))
    artefact.save(replace(made, index=index, attributes=attributes, rejected=rejected), run)


def _manifest(folder: Path) -> Read:
    run = folder / "run"
    _save(run)

    def read(rest: bytes) -> object:
        (run / run_folder.MANIFEST).write_bytes(_sealed(rest, manifest.OPENING))
        return artefact.load(run)

    return read


def _prepared(name: str) -> Callable[[Path], Read]:
    """Read a prepared log of which one file is replaced; its manifest then names the new checksum."""

    def opened(folder: Path) -> Read:
        (folder / "log.csv").write_bytes(CSV)
        log = folder / "prepared"
        prepare_log(folder / "log.csv", log)
        values = unseal_json((log / prepared.MANIFEST).read_bytes(), prepared.SEAL)

        def read(content: bytes) -> object:
            if name == prepared.MANIFEST:
                content = _sealed(content, opening(prepared.SEAL))
            else:
                facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                files = {**values["files"], name: facts}
                (log / prepared.MANIFEST).write_bytes(seal_json({**values, "files": files}, prepared.SEAL))
            (log / name).write_bytes(content)
            return read_log(log).user_vocabulary.indices(["ann"])

        return read

    return opened


def _file_of_prepared(name: str) -> list[bytes]:
    with TemporaryDirectory() as folder:
        _prepared(name)(Path(folder))
        content = (Path(folder) / "prepared" / name).read_bytes()
    return [content[len(opening(prepared.SEAL)) + 64 :]] if name == prepared.MANIFEST else [content]


def _sealed(rest: bytes, start: bytes) -> bytes:
    return start + hashlib.sha256(rest).hexdigest().encode() + rest


def _resealed(content: bytes) -> bytes:
    """Arrays with a right seal, where they are arrays at all."""
    with contextlib.suppress(Exception):
        arrays, metadata = parse_arrays(content)
        return seal_arrays(arrays, json.loads(metadata["header"]))
    return content


def _checkpoint(folder: Path) -> Read:
    from caser.training.checkpoint import load_checkpoint, restore
    from tests.training.runs import fresh

    state = fresh()

    def read(content: bytes) -> object:
        (folder / "checkpoint").write_bytes(_resealed(content))
        found = load_checkpoint(folder / "checkpoint")
        if found is not None:
            restore(state, found[0], found[1])
        return found

    return read


def _checkpoint_seeds() -> list[bytes]:
    from caser.training.checkpoint import save_checkpoint
    from tests.training.runs import fresh, run

    state = fresh()
    run(state)
    with TemporaryDirectory() as folder:
        save_checkpoint(Path(folder) / "checkpoint", state, {"stage": 1})
        return [(Path(folder) / "checkpoint").read_bytes()]


def _onnx(folder: Path) -> Read:
    def read(content: bytes) -> object:
        return states_alone(checked(folder / "model.onnx", with_checksum(content)).content)

    return read


def _onnx_seeds() -> list[bytes]:
    from tests.exported.networks import exported, made

    end = len(with_checksum(b""))
    return [exported(made(name))[:-end] for name in ("bpr-mf", "caser")]


def _in_store(ending: str) -> Callable[[Path], Read]:
    """Read a finished run of a study of which one file is replaced."""

    def opened(folder: Path) -> Read:
        from tests.study.small import MARKOV, small_split

        store = Store(folder / "store", small_split())
        store.run(MARKOV, None, 0, "test")
        file = store.path_of(MARKOV, None, 0, "test").with_suffix(ending)

        def read(content: bytes) -> object:
            file.write_bytes(_sealed(content, opening("sha256")) if ending == ".json" else _resealed(content))
            return store.run(MARKOV, None, 0, "test")

        return read

    return opened


def _file_of_store(ending: str) -> list[bytes]:
    with TemporaryDirectory() as folder:
        _in_store(ending)(Path(folder))
        (file,) = Path(folder).rglob(f"*{ending}") if ending != ".json" else Path(folder).glob("store/fitted/*.json")
        content = file.read_bytes()
    return [content[len(opening("sha256")) + 64 :]] if ending == ".json" else [content]


def _answers(folder: Path) -> Read:
    def read(content: bytes) -> object:
        (folder / "answers.jsonl").write_bytes(content)
        return hit_rate(folder / "answers.jsonl", 10).to_dict()

    return read


def _file_of_run(name: str) -> list[bytes]:
    with TemporaryDirectory() as folder:
        _save(Path(folder) / "run")
        content = (Path(folder) / "run" / name).read_bytes()
    return [content[len(manifest.OPENING) + 64 :]] if name == run_folder.MANIFEST else [content]


def _written(write: str, *frames: pl.DataFrame) -> list[bytes]:
    buffers = [io.BytesIO() for _ in frames]
    for frame, buffer in zip(frames, buffers, strict=True):
        getattr(frame, write)(buffer)
    return [buffer.getvalue() for buffer in buffers]


def _compressed() -> list[bytes]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.csv", CSV)
    zstandard = io.BytesIO()
    FRAME.write_csv(zstandard, compression="zstd")
    return [gzip.compress(CSV), bz2.compress(CSV), lzma.compress(CSV), packed.getvalue(), zstandard.getvalue()]


def _in_format(name: str) -> Reader:
    """The row of a reader of files in a run folder."""
    return Reader(lambda: _file_of_run(name), _in_run(name))


READERS: dict[str, Reader] = {
    "delimited": Reader(
        lambda: [CSV, CSV.replace(b",", b"\t"), b'user;"item id";"a ""b"""\n1;2;3\n'], _log("delimited")
    ),
    "jsonl": Reader(lambda: [LINES, b'{"user":"a","item":[1,2],"more":{"a":[{"b":1}]}}\n' * 2], _log("jsonl")),
    "json": Reader(lambda: [json.dumps(FRAME.to_dicts()).encode()], _log("json")),
    "parquet": Reader(lambda: _written("write_parquet", FRAME, LISTS), _log("parquet")),
    "arrow": Reader(
        lambda: [*_written("write_ipc", FRAME, LISTS), *_written("write_ipc_stream", FRAME)], _log("arrow")
    ),
    "avro": Reader(lambda: _written("write_avro", FRAME), _log("avro")),
    "compressed": Reader(_compressed, _log(None)),
    "items": Reader(lambda: [*_written("write_csv", ITEMS), *_written("write_parquet", ITEMS)], _items),
    "manifest": Reader(lambda: _file_of_run(run_folder.MANIFEST), _manifest),
    "weights": _in_format(run_folder.WEIGHTS),
    "index": _in_format(run_folder.INDEX),
    "attributes": _in_format(run_folder.ATTRIBUTES),
    "rejected": _in_format(run_folder.REJECTED),
    "vocabulary": _in_format(run_folder.VOCABULARY),
    "histories": _in_format(run_folder.HISTORIES),
    "checkpoint": Reader(_checkpoint_seeds, _checkpoint),
    "onnx": Reader(_onnx_seeds, _onnx),
    "prepared manifest": Reader(lambda: _file_of_prepared("manifest.json"), _prepared("manifest.json")),
    "prepared ids": Reader(lambda: _file_of_prepared("user_ids.parquet"), _prepared("user_ids.parquet")),
    "prepared array": Reader(lambda: _file_of_prepared("items.npy"), _prepared("items.npy")),
    "store": Reader(lambda: _file_of_store(".json"), _in_store(".json")),
    "ranks": Reader(lambda: _file_of_store(".ranks.safetensors"), _in_store(".ranks.safetensors")),
    "answers": Reader(lambda: [ANSWERS], _answers),
}
