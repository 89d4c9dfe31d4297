"""The artefact: a trained model as a folder that can be checked, moved and read without torch.

    manifest.json         what the model is, how it was made, and the SHA-256 of every other file
    weights.safetensors   the fitted parameters
    vocabulary.parquet    index, user_id, item_id, item_title: the raw ids of each index, null after the last one
    histories.parquet     user, item, order, trained, time: all interactions, from which seen and recent items follow,
                          and whether the model was trained on each; no time where the log has none
    index.safetensors     the cell of each item, where there is an approximate index
    attributes.safetensors  the vectors of attributes of items, where the model reads any (`attributes.py`)
    rejected.safetensors  the items that users do not want, where the log has negative events (`rejected.py`)

`load` reads each file once and parses the same bytes that it has checked. Nothing is pickled. A checksum does not prove
who wrote a folder: anyone who can write one can also write its checksums. Therefore every value is also checked against
the others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import safetensors.numpy

import caser
from caser.arrays.types import Mask
from caser.artefact import manifest as manifests
from caser.artefact.attributes import ArtefactAttributes
from caser.artefact.checked_files import checked_histories, digest_of_bytes, read_checked
from caser.artefact.file_errors import naming_file
from caser.artefact.manifest import Manifest
from caser.artefact.rejected import rejected_from_bytes, rejected_to_bytes
from caser.artefact.run_folder import (
    ATTRIBUTES,
    HISTORIES,
    INDEX,
    LISTED,
    MANIFEST,
    MOST_MANIFEST_BYTES,
    REJECTED,
    VOCABULARY,
    WEIGHTS,
    counting,
    foreign_files,
    is_run,
    refuse_foreign,
    resolved,
    settled_run,
)
from caser.artefact.tables import (
    vocabulary_from_parquet,
    vocabulary_to_parquet,
    write_histories,
)
from caser.data.log import Vocabulary
from caser.data.rejected import Rejected
from caser.data.shard_parts import masked_part
from caser.data.tape import Tape
from caser.errors import ArtefactError, ConfigError, did_you_mean
from caser.models import MODELS, model_settings
from caser.models.base import Arrays, Scorer, StateScorer
from caser.models.settings import ModelSettings
from caser.search.cells import Index
from caser.system.parsing import ArrayRule, check_arrays, parse_arrays
from caser.system.storage import read_file, write_file, write_folder


@dataclass(frozen=True, eq=False)
class Artefact:
    """A trained model with everything it needs to answer in raw ids.

    config        settings of the model
    scorer        the fitted model, which takes and gives user and item indices
    users, items  the raw ids of the indices
    titles        item titles, aligned with `items.ids`; None where the log has none
    histories     the whole log, from which answers take the seen and the recent items of a user
    manifest      how the model was made: the facts of `manifest.Manifest`, as JSON values
    index         an approximate index of the items, or None
    attributes    the attributes of items that the model reads, or None
    is_trained    (N,) bool, whether the model was trained on each interaction of `histories`; None if on all of them
    rejected      the items that users do not want, or None
    """

    config: ModelSettings
    scorer: Scorer
    users: Vocabulary
    items: Vocabulary
    titles: pl.Series | None
    histories: Tape
    manifest: dict[str, Any]
    index: Index | None = None
    is_trained: Mask | None = None
    attributes: ArtefactAttributes | None = None
    rejected: Rejected | None = None

    def __repr__(self) -> str:
        return f"Artefact({self.config.name}, {len(self.users):,} users, {len(self.items):,} items)"

    @cached_property
    def trained(self) -> Tape:
        """The part of `histories` that the model was trained on: which users and items its parameters know."""
        return self.histories if self.is_trained is None else masked_part(self.histories, self.is_trained)

    @cached_property
    def knows_item(self) -> Mask:
        """Whether the model was trained on each item or knows it by its attributes, (I,) bool; False for padding."""
        is_trained: Mask = self.trained.item_counts > 0
        return is_trained if self.attributes is None else is_trained | self.attributes.is_described

    @cached_property
    def state_scorer(self) -> StateScorer | None:
        """The scorer if its scores are `state . vector + bias`; None for any other model."""
        return self.scorer if isinstance(self.scorer, StateScorer) else None


def save(artefact: Artefact, path: str | Path) -> None:
    """Write an artefact as a folder, in place of an artefact that was there.

    artefact  the model to write
    path      the folder; a link to a folder is followed

    If the process is killed at any moment, `load` finds the old artefact or the new one. Raises ArtefactError if `path`
    holds anything else, if it cannot be written, if the disk is full, or if a parameter is not finite, and ConfigError
    for a model that is not registered, because no program could load it; what was there stays.
    """
    _refuse_unregistered(artefact.config)
    folder = resolved(path)
    refuse_foreign(folder)
    with naming_file(folder / WEIGHTS):
        weights = _weights(artefact.scorer.arrays())
    files: dict[str, bytes] = {
        WEIGHTS: weights,
        VOCABULARY: vocabulary_to_parquet(artefact.users, artefact.items, artefact.titles),
    }
    index = artefact.index
    if index is not None:
        files[INDEX] = bytes(safetensors.numpy.save({"cells": index.cells_I}))
    if artefact.attributes is not None:
        files[ATTRIBUTES] = artefact.attributes.to_bytes()
    if artefact.rejected is not None:
        files[REJECTED] = rejected_to_bytes(artefact.rejected)
    digests = {name: digest_of_bytes(content) for name, content in files.items()}

    def histories(path: Path) -> None:
        write_histories(path, artefact.histories, artefact.is_trained)
        with path.open("rb") as file:
            digests[HISTORIES] = hashlib.file_digest(file, "sha256").hexdigest()

    def manifest(_: Path) -> bytes:
        made = manifests.make(
            folder / MANIFEST,
            format=manifests.FORMAT if {ATTRIBUTES, REJECTED} & {*files} else manifests.FORMAT_WITHOUT_FURTHER,
            library_version=caser.__version__,
            model=artefact.config.name,
            settings=artefact.config.model_dump(mode="json"),
            files=digests,
            index=None if index is None else {"probes": index.probes, "recall@10": index.recall},
            attributes=None if artefact.attributes is None else artefact.attributes.facts,
            rejected=None if artefact.rejected is None else {"pairs": len(artefact.rejected)},
            **artefact.manifest,
        )
        return manifests.render(folder / MANIFEST, made)

    with counting(folder):
        write_folder(folder, {**files, HISTORIES: histories, MANIFEST: manifest}, is_run)


def load(path: str | Path) -> Artefact:
    """Read the artefact in a folder; its scorer needs no torch.

    path  the folder that `save` wrote

    Raises ArtefactError naming the file that is missing, damaged, foreign, a link, newer than this library, or at odds
    with another one, and for a run of a model that this program has not registered.
    """
    # Read every file once, and check its bytes against the manifest.
    folder = settled_run(path)
    manifest = _read_manifest(folder)
    contents = {
        name: read_checked(folder / name, digest) for name, digest in manifest.files.items() if name != HISTORIES
    }
    # Parse the bytes, and check each file against those before it.
    with naming_file(folder / MANIFEST):
        config = _config(manifest)
    with naming_file(folder / VOCABULARY):
        users, items, titles = vocabulary_from_parquet(contents[VOCABULARY])
    with naming_file(folder / HISTORIES):
        histories, is_trained = checked_histories(folder / HISTORIES, manifest.files[HISTORIES], len(users), len(items))
    with naming_file(folder / WEIGHTS):
        arrays = _checked(parse_arrays(contents[WEIGHTS])[0])
        scorer = config.scorer(arrays, len(users), len(items))
    facts = manifest.model_dump(include=set(Manifest.facts()))
    with naming_file(folder / ATTRIBUTES):
        attributes = None
        if manifest.attributes is not None:
            attributes = ArtefactAttributes.from_bytes(contents[ATTRIBUTES], arrays, len(items), manifest.attributes)
    with naming_file(folder / REJECTED):
        rejected = None
        if manifest.rejected is not None:
            rejected = rejected_from_bytes(contents[REJECTED], len(users), len(items))
    loaded = Artefact(config, scorer, users, items, titles, histories, facts, None, is_trained, attributes, rejected)
    with naming_file(folder / INDEX):
        index = _index(manifest, contents, loaded)
    return loaded if index is None else replace(loaded, index=index)


def read_facts(path: str | Path) -> dict[str, Any]:
    """Read how a saved artefact was made: the facts of `manifest.Manifest`, without the model.

    path  the folder of a saved run

    Raises ArtefactError if there is no saved run, or if its manifest is damaged.
    """
    return _read_manifest(settled_run(path)).model_dump(include=set(Manifest.facts()))


def model_version(path: str | Path) -> str:
    """Return the version of a saved model, as a service names it in `model_version`: a digest of what was trained.

    path  the folder of a saved run

    Raises ArtefactError if there is no saved run, or if its manifest is damaged.
    """
    return manifests.trained_digest(_read_manifest(settled_run(path)))


def update_manifest(path: str | Path, *, opened: int = 0, **changes: Any) -> int:
    """Change facts of a saved artefact in one step; the model itself stays.

    path     the folder of a saved run
    opened   how often the test part was opened since; it is added to what the folder says now
    changes  new values of facts of `manifest.Manifest`, such as `metrics`

    Returns how often the test part was opened in all, by every process. Raises ArtefactError if a fact is unknown or
    its value is impossible, or if the manifest is damaged.
    """
    with counting(path):
        folder = settled_run(path)
        manifest = _read_manifest(folder)
        changed = manifests.changed(
            folder / MANIFEST, manifest, {"test_openings": manifest.test_openings + opened, **changes}
        )
        write_file(folder / MANIFEST, manifests.render(folder / MANIFEST, changed))
        return changed.test_openings


def test_openings(path: str | Path, fingerprint: str) -> int:
    """Return how often the test part of a split was opened for the run in a folder; 0 if there is no intact run.

    path         the folder of a run, which need not exist
    fingerprint  the fingerprint of the split; a run of another split counts as 0
    """
    try:
        manifest = _read_manifest(settled_run(path))
    except ArtefactError:
        return 0
    return manifest.test_openings if manifest.fingerprint == fingerprint else 0


def _refuse_unregistered(config: ModelSettings) -> None:
    """Raise ConfigError unless `load` will find the class of these settings by the name of the model."""
    own, registered = type(config), MODELS.get(config.name)
    # A class that was defined again, as when a notebook cell runs twice, is another object under the same name.
    if registered is None or (registered.__module__, registered.__qualname__) != (own.__module__, own.__qualname__):
        found = "no model has that name" if registered is None else f"that name belongs to {registered.__qualname__}"
        raise ConfigError(
            f"a model must be registered before it is saved, or it cannot be loaded; got {own.__qualname__} with the "
            f"name {config.name!r}, but {found}. Register it first: caser.register_model({own.__qualname__})."
        )


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    with naming_file(folder):
        foreign = foreign_files(folder)
    if foreign:
        raise ArtefactError(f"{folder / foreign[0]} does not belong to a saved run. Remove it, or check the path.")
    manifest = manifests.parse(path, read_file(path, MOST_MANIFEST_BYTES))
    further = {INDEX: manifest.index, ATTRIBUTES: manifest.attributes, REJECTED: manifest.rejected}
    wanted = LISTED | {name for name, facts in further.items() if facts is not None}
    if set(manifest.files) != wanted:
        raise ArtefactError(f"{path} must list {', '.join(sorted(wanted))}; got {', '.join(sorted(manifest.files))}.")
    for name in further.keys() - wanted:
        if (folder / name).exists():
            raise ArtefactError(f"{folder / name} must be listed in {MANIFEST}; it is not. Remove it, or train again.")
    return manifest


def _config(manifest: Manifest) -> ModelSettings:
    """The settings of the model, all of which the manifest must name."""
    if manifest.model not in MODELS:
        raise ArtefactError(
            "the model of a run must be registered in the program that loads it; got "
            f"{manifest.model!r}, which is not. Import the file that registers it (caser.register_model) before you "
            "load the run; " + did_you_mean(manifest.model, MODELS)
        )
    config = model_settings(manifest.model, {**MODELS[manifest.model].added, **manifest.settings})
    if missing := sorted(set(config.model_dump()) - {*config.added, *manifest.settings}):
        raise ArtefactError(f"the settings of {manifest.model} must have {missing[0]!r}; it is missing. Train again.")
    return config


def _index(manifest: Manifest, contents: dict[str, bytes], artefact: Artefact) -> Index | None:
    """The approximate index of a run, or None. Raises ValueError if its parts do not go together."""
    if manifest.index is None:
        return None
    arrays, facts = parse_arrays(contents[INDEX])[0], manifest.index
    scorer, num_items = artefact.state_scorer, len(artefact.trained.item_counts)
    check_arrays(arrays, {"cells": ArrayRule(np.int32, (num_items,), least=0, most=num_items)})
    if scorer is None:
        raise ValueError("an index for a model without item vectors")
    if not np.array_equal(arrays["cells"] > 0, artefact.knows_item):
        raise ValueError("cells for other items than those that were trained on")
    return Index(arrays["cells"], *scorer.item_vectors(), facts["probes"], facts["recall@10"])


def _weights(arrays: Arrays) -> bytes:
    # safetensors writes the memory of an array as it is, whatever its strides are.
    return bytes(
        safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in _checked(arrays).items()})
    )


def _checked(arrays: Arrays) -> Arrays:
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float64, np.int64):
            raise ArtefactError(f"{name} must be float32, float64 or int64; got {array.dtype}. Train again.")
        if not np.isfinite(array).all():
            raise ArtefactError(f"{name} must be finite; it has NaN or infinite values. Train again.")
    return arrays
