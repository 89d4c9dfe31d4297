"""The answers for every user of a log, from the tasks of a Ray cluster: the rows of one machine, in their order.

Each task answers some blocks of users and writes them to a file of its own, beside the result. So the run and the
result must be in folders that all hosts share. A task that is lost with its process is done again by Ray.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from caser.answering.answers import WrittenAnswers
from caser.answering.every_user import EveryUser
from caser.answering.recommender import Recommender, load
from caser.artefact.folder import model_version
from caser.errors import ArtefactError, CaserError, WorkerError
from caser.system.frames import write_frames, write_new_frames
from caser.system.ray_cluster import passed_on, ray_cluster
from caser.system.storage import discard, partial_path, refused, remove_strays, write_folder

PARTS_PER_CPU = 4
"""How many tasks there are for each CPU at most, so that a slow one delays little."""

_ROWS_READ = 1 << 17


class Part(NamedTuple):
    """Some users: the first, from 0, the one after the last, and the file of their answers."""

    first: int
    end: int
    path: Path


def recommend_all_on_ray(
    recommender: Recommender,
    run: Path,
    out: Path,
    *,
    items: Path | None = None,
    csv_safe: bool = False,
    **options: Any,
) -> WrittenAnswers:
    """Recommend for every user of the log, in tasks of a Ray cluster.

    recommender  the run, loaded, with its table of items        run  its folder        items  the file of that table
    out          a file as for `Recommender.recommend_all`; or a folder, if the name has no ending: several Parquet
                 files, whose names are in the order of the users
    csv_safe     as for `Recommender.recommend_all`        options  its other options

    The files have exactly the rows of `Recommender.recommend_all` with as many threads, in its order. Returns what it
    returns. Raises what it raises; ConfigError if the cluster cannot be reached, MissingDependencyError without the
    extra `scale`, and WorkerError if a part is lost again and again.
    """
    run, out, items = run.resolve(), out.resolve(), items and items.resolve()
    every = EveryUser(recommender, out if out.suffix else "parts.parquet", **options)
    if not out.suffix:
        _refuse_foreign(out)
    scratch = partial_path(out.with_name(f"{out.name}-parts"))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        remove_strays(out.with_name(f"{out.name}-parts"))
        scratch.mkdir()
        with ray_cluster("--engine ray") as ray:
            parts = _parts(every, int(ray.cluster_resources().get("CPU", 1)), scratch)
            asked = _Asked(run, items, model_version(run), out.suffix and out.name, options)
            num_short = sum(_answered(ray, asked, parts))
        if out.suffix:
            write_frames(out, _frames(parts), every.schema, csv_safe=csv_safe)
        else:
            write_folder(out, {part.path.name: partial(_move, part.path) for part in parts}, _is_ours)
    except OSError as error:
        raise refused(out, error, 0) from None
    finally:
        discard(scratch)
    return every.written(num_short)


class _Asked(NamedTuple):
    """What all tasks are asked.

    run, items  the run and its table of items        version  of the model that all must load
    name        the name of the result, whose ending decides how ids are written; "" for a folder
    """

    run: Path
    items: Path | None
    version: str
    name: str
    options: Mapping[str, Any]


def _parts(every: EveryUser, num_cpus: int, folder: Path) -> list[Part]:
    """Cut the users into parts of whole blocks."""
    num_blocks = -(-len(every) // every.block_size)
    number = max(1, min(num_blocks, PARTS_PER_CPU * num_cpus))
    bounds = [min(len(every), num_blocks * place // number * every.block_size) for place in range(number + 1)]
    paths = [folder / f"part-{place:05d}.parquet" for place in range(number)]
    return [Part(*one) for one in zip(bounds, bounds[1:], paths, strict=False)]


def _answered(ray: Any, asked: _Asked, parts: list[Part]) -> Iterator[int]:
    """Let the cluster answer all parts; yield how many users of each have fewer items than asked for."""
    task = ray.remote(_answer).options(num_cpus=1, runtime_env={"env_vars": passed_on()})
    shared = ray.put(asked)
    waiting = [task.remote(shared, part) for part in parts]
    while waiting:
        done, waiting = ray.wait(waiting)
        try:
            num_short, error = ray.get(done[0])
        except ray.exceptions.RayError as error:
            raise WorkerError(
                "every host of the cluster must have the packages of this one, and memory for the run; a task failed: "
                f"{str(error).strip().splitlines()[-1]}"
            ) from None
        if error is not None:
            raise error
        yield num_short


def _answer(asked: _Asked, part: Part) -> tuple[int, CaserError | None]:
    """Answer one part, and write its file, in a process of the cluster."""
    try:
        every = EveryUser(_loaded(asked.run, asked.items, asked.version), asked.name or part.path, **asked.options)
        unfinished = partial_path(part.path)
        write_new_frames(unfinished, every.frames(part.first, part.end), every.schema)
        unfinished.replace(part.path)
    except CaserError as error:
        return 0, error
    except OSError as error:
        return 0, refused(part.path, error, 0)
    return every.num_short, None


@lru_cache(maxsize=1)
def _loaded(run: Path, items: Path | None, version: str) -> Recommender:
    """Load a run once for all parts that one process answers."""
    recommender = load(run)
    if model_version(run) != version:
        raise ArtefactError(f"{run} must stay while it answers; another run took its place. Answer again.")
    return recommender if items is None else recommender.with_items(items)


def _frames(parts: list[Part]) -> Iterator[pl.DataFrame]:
    """Read the rows of all parts, some at a time."""
    for part in parts:
        rows = pl.scan_parquet(part.path)
        for start in range(0, rows.select(pl.len()).collect().item(), _ROWS_READ):
            yield rows.slice(start, _ROWS_READ).collect()
        discard(part.path)


def _move(path: Path, target: Path) -> None:
    path.replace(target)


def _is_ours(folder: Path) -> bool:
    """Whether a folder holds nothing but parts of answers."""
    return folder.is_dir() and all(one.match("part-[0-9]*.parquet") and one.is_file() for one in folder.iterdir())


def _refuse_foreign(out: Path) -> None:
    if os.path.lexists(out) and (out.is_symlink() or not _is_ours(out)):
        raise ArtefactError(f"{out} must be a new folder, or one with answers; it is neither. Choose another one.")
