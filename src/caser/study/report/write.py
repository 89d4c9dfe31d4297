"""Write the report of a study: `report.html`, `figures/NAME.png` and `study.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caser.artefact.folder import Artefact
from caser.errors import ConfigError
from caser.study.report.extras import check_installed
from caser.study.report.figures import study_figures
from caser.study.report.network import network_facts, network_figures
from caser.study.report.page import page
from caser.study.report.png import png
from caser.study.report.study import checked
from caser.system.storage import write_file


def write_report(study: Mapping[str, Any], folder: Path, network: Artefact | None = None) -> Path:
    """Write the report of `study` into `folder` and return the page; each file is replaced in one step.

    `network` is a saved run of Caser, whose filters are pictured; of another model there is nothing to picture. The
    page is written last. Raises ConfigError for a study of an unknown kind, without rows or findings, or with values
    that are not JSON, ArtefactError if the folder cannot be written, MissingDependencyError without the extra `report`.
    Source: ours; the filters and the items that excite them are those of the paper's case study.
    """
    check_installed()
    values = checked(study)
    facts = network_facts(network)
    try:
        figures = [*study_figures(values), *network_figures(facts)]
        pictures = {figure.name: png(figure) for figure in figures}
        text = page(values, figures, pictures, facts)
    except KeyError as error:
        raise ConfigError(
            f"a study of the kind {values['kind']} must have the key {error} in each part; it has not. Run it again."
        ) from error
    for name, picture in pictures.items():
        write_file(folder / "figures" / f"{name}.png", picture)
    numbers = {**values, "network": facts} if facts else values
    write_file(folder / "study.json", (json.dumps(numbers, indent=2, allow_nan=False) + "\n").encode())
    write_file(folder / "report.html", text.encode())
    return folder / "report.html"
