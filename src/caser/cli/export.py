"""`caser export`: a run's network as one ONNX file. No torch is needed or loaded."""

from __future__ import annotations

from pathlib import Path

from caser.answering import recommender
from caser.cli import show
from caser.cli.flags import Switch, Whole
from caser.errors import ConfigError, MissingDependencyError


def export(
    run: Path,
    /,
    *,
    onnx: Switch = False,
    out: Path | None = None,
    k: Whole = 10,
    json: Switch = False,
) -> None:
    """Write the network of a run as one ONNX file, which any program with ONNX Runtime can answer from.

    Parameters
    ----------
    run
        A run folder.
    onnx
        As ONNX; the only kind there is so far, and to be named.
    out
        The file; the folder's name with .onnx, beside it, by default.
    k
        How many items an answer has, unless the caller says otherwise.
    json
        Print one JSON document instead of a sentence.

    """
    if not onnx:
        raise ConfigError("name what to export to: caser export RUN --onnx.")
    target = out or run.resolve().with_name(f"{run.resolve().name}.onnx")
    if target.suffix != ".onnx":
        raise ConfigError(f"--out must end in .onnx; got {target.name!r}.")
    try:
        from caser.exported.write import write_onnx
    except ImportError:
        raise MissingDependencyError(
            "writing an ONNX file needs onnx, which is not installed. Run: pip install 'caser[export]'"
        ) from None
    facts = write_onnx(recommender.load(run).artefact, target, k)
    size = target.stat().st_size
    if json:
        show.document({"out": str(target), "bytes": size, **facts})
    else:
        show.say(f"wrote {target}: {facts['model']} for {facts['num_items']:,} items, {size:,} bytes")
