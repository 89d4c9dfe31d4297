"""Runs of a counting model over ids of any kind, and one question asked on every road."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from caser.answering.recommender import Recommender
from caser.data.id_text import written
from caser.data.log import InteractionLog
from caser.data.split import leave_one_out
from caser.fitting.fit import fit
from caser.models.counting.markov import Markov
from tests.cli.terminal import document
from tests.service.serving import Served

PER_USER = 5


def log_table(users: Sequence[Any], items: Sequence[Any]) -> pl.DataFrame:
    """A log in which every user takes five items in the order of `items`, each user from another place on."""
    rows = [
        (user, items[(place + step) % len(items)], step) for place, user in enumerate(users) for step in range(PER_USER)
    ]
    columns = zip(*rows, strict=True)
    return pl.DataFrame(
        [pl.Series(name, column) for name, column in zip(("user", "item", "time"), columns, strict=True)]
    )


def run_of(table: pl.DataFrame) -> Recommender:
    """Fit first-order Markov on a table with the columns user, item and time, whose ids stay as they are."""
    log = InteractionLog.from_columns(table["user"], table["item"], table["time"].to_numpy())
    return fit(Markov(), leave_one_out(log))


def run_with(users: Sequence[Any], items: Sequence[Any]) -> Recommender:
    """Fit first-order Markov on `log_table(users, items)`."""
    return run_of(log_table(users, items))


def by_file(path: Path) -> list[tuple[str, str]]:
    """The user and the item of each row of a file of answers, as they are written."""
    if path.suffix == ".parquet":
        frame = pl.read_parquet(path)
    elif path.suffix == ".csv":
        frame = pl.read_csv(path, infer_schema=False)
    else:
        frame = pl.read_ndjson(path) if path.stat().st_size else pl.DataFrame({"user_id": [], "item_id": []})
    return [(written(user), written(item)) for user, item in frame["user_id", "item_id"].rows()]


def by_command(folder: Path, flag: str, ids: Iterable[str]) -> list[list[Any]]:
    """The items of each answer that the command line gives, as JSON has them, for ids given as they are written."""
    said = document("recommend", folder, *(f"--{flag}={one}" for one in ids), "--k", 3)
    return [[item["item_id"] for item in answer["items"]] for answer in said["answers"]]


async def by_http(served: Served, **question: Any) -> list[Any]:
    """The items that the service recommends, as a client of JSON reads them."""
    response = await served.client.post("/v1/recommend", content=json.dumps({**question, "k": 3}), headers=JSON)
    assert response.status_code == 200, response.text
    return [item["item_id"] for item in response.json()["items"]]


def user_path(user: str, rest: str = "") -> str:
    """The path of a user, with the id percent-encoded."""
    return f"/v1/users/{quote(user, safe='')}{rest}"


JSON = {"content-type": "application/json"}
