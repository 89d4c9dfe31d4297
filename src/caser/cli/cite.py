"""`caser cite`: BibTeX of the library, of the paper, and of the models, data sets and protocols at hand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from caser import __version__
from caser.artefact.folder import load
from caser.cli import show
from caser.cli.flags import Switch
from caser.data.datasets import DATASETS
from caser.errors import ConfigError, did_you_mean
from caser.evaluation.protocols import PROTOCOLS
from caser.models import MODELS

_ALWAYS = ("caser", "tang2018caser")
"""What every citation begins with."""

SOURCES: Mapping[str, Sequence[str]] = {
    # Models; those that are not here have no paper that they follow.
    "caser": ("tang2018caser",),
    "gru4rec": ("hidasi2016gru4rec", "hidasi2018topk"),
    "sasrec": ("kang2018sasrec",),
    "esasrec": ("tikhonovich2025esasrec",),
    "nextitnet": ("yuan2019nextitnet",),
    "fpmc": ("rendle2010fpmc",),
    "bpr-mf": ("rendle2009bpr",),
    "ease": ("steck2019ease",),
    "session-knn": ("ludewig2018evaluation",),
    # Data sets.
    "ml-100k": ("harper2015movielens",),
    "ml-1m": ("harper2015movielens",),
    "ml-latest-small": ("harper2015movielens",),
    "amazon-beauty": ("mcauley2015amazon",),
    "yoochoose-clicks": ("benshimon2015yoochoose",),
    # Protocols.
    "caser-paper": ("tang2018caser",),
    "d2l": ("zhang2023d2l",),
    "d2l-as-published": ("zhang2023d2l",),
}
"""The keys of the entries that belong to a name."""


def cite(*names: str, json: Switch = False) -> None:
    """Print BibTeX: of this library and of Caser's paper, and of what you name beside them.

    Parameters
    ----------
    names
        Run folders, models, public data sets or protocols, such as runs/mine, gru4rec, ml-1m or d2l.
    json
        Print one JSON document, with each entry by its key, instead of BibTeX.

    """
    entries = entries_of(names)
    if json:
        show.document({"entries": entries})
    else:
        for entry in entries.values():
            show.plain(f"{entry}\n")


def entries_of(names: Sequence[str]) -> dict[str, str]:
    """Return the entries of BibTeX to cite, by key: those of the library and of Caser's paper first.

    names  run folders, models, public data sets or protocols

    Raises ConfigError for a name that is none of these, ArtefactError for a run that is damaged.

    >>> list(entries_of(["gru4rec", "ml-1m"]))
    ['caser', 'tang2018caser', 'hidasi2016gru4rec', 'hidasi2018topk', 'harper2015movielens']
    """
    text = Path(__file__).with_name("references.bib").read_text(encoding="utf-8").replace("VERSION", __version__)
    known = {
        key: entry.strip() for entry, key in re.findall(r"^(@\w+\{([\w-]+),.*?^\})", text, re.MULTILINE | re.DOTALL)
    }
    keys = [*_ALWAYS, *(key for name in names for one in _named(name) for key in SOURCES.get(one, ()))]
    return {key: known[key] for key in dict.fromkeys(keys)}


def _named(name: str) -> Iterator[str]:
    """Yield the models, data sets and protocols that a name stands for."""
    if name in MODELS or name in DATASETS or name in PROTOCOLS:
        yield name
        return
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            f"what is cited must be a run folder, a model, a public data set or a protocol; got {name!r}: "
            f"{did_you_mean(name, [*MODELS, *DATASETS, *PROTOCOLS])}"
        )
    artefact = load(folder)
    settings: Mapping[str, Any] = artefact.config.model_dump()
    # A blend names its two models.
    yield from [artefact.config.name, *(str(settings[one]) for one in ("first", "second") if one in settings)]
    yield from [str(artefact.manifest["log"].get("dataset")), artefact.manifest["protocol"]]
