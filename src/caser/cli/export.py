"""`caser export`: the network of a run as one ONNX file. This neither needs nor loads torch."""

from __future__ import annotations

from pathlib import Path

from caser.answering import recommender
from caser.cli import show
from caser.cli.flags import DEFAULT_K, Switch, Whole
from caser.errors import ConfigError


def export(
    run: Path,
    /,
    *,
    onnx: Switch = False,
    out: Path | None = None,
    k: Whole = DEFAULT_K,
    json: Switch = False,
) -> None:
    """Write the network of a run as one ONNX file, from which any program with ONNX Runtime can answer.

    Parameters
    ----------
    run
        A run folder.
    onnx
        Write an ONNX file. This is the only format so far, and it must be named.
    out
        The file to write; by default it is beside the run folder and has its name, with .onnx.
    k
        How many items an answer has, unless the program that asks says otherwise.
    json
        Print one JSON document instead of a sentence.

    """
    if not onnx:
        raise ConfigError("name the format of the export: caser export RUN --onnx.")
    target = out or run.resolve().with_name(f"{run.resolve().name}.onnx")
    if target.suffix != ".onnx":
        raise ConfigError(f"--out must end in .onnx; got {target.name!r}.")
    from caser.exported.write import write_onnx

    facts = write_onnx(recommender.load(run).artefact, target, k)
    size = target.stat().st_size
    if json:
        show.document({"out": str(target), "bytes": size, **facts})
    else:
        show.note(f"wrote {target}: {facts['model']} for {facts['num_items']:,} items, {size:,} bytes")
