"""Writes the files of a report: `report.html`, `figures/NAME.png` and `study.json`."""

from __future__ import annotations

import json
from pathlib import Path

from caser.artefact.folder import Artefact
from caser.errors import ConfigError
from caser.study.report.extras import check_installed
from caser.study.report.figures import study_figures
from caser.study.report.network import network_facts, network_figures
from caser.study.report.page import page
from caser.study.report.png import png
from caser.study.report.study import StudyFacts, checked
from caser.system.storage import write_file


def write_report(study: StudyFacts, folder: Path, network: Artefact | None = None) -> Path:
    """Write the report of a study and return the path of its page.

    study    the facts of the study, as `Study.to_dict` returns them
    folder   where the files go; a file that exists is replaced in one step, and the page is written last
    network  a saved run, whose filters are drawn if it is a Caser model; None leaves them out

    Raises ConfigError for a study of an unknown kind, without a key that it needs, or with values that are not JSON;
    ArtefactError if the folder cannot be written; MissingDependencyError if the extra `report` is not installed.
    Source: ours; the pictures of filters and their items follow the case study of the paper.
    """
    check_installed()
    values = checked(study)
    facts = network_facts(network)
    # Build everything before the first file is written, so that an error leaves the folder as it was.
    try:
        figures = [*study_figures(values), *network_figures(facts)]
        pictures = {figure.name: png(figure) for figure in figures}
        text = page(values, figures, pictures, facts)
    except KeyError as error:
        raise ConfigError(
            f"a study of the kind {values['kind']} must have the key {error} in each part; it is missing. Run it again."
        ) from error
    for name, picture in pictures.items():
        write_file(folder / "figures" / f"{name}.png", picture)
    numbers = {**values, "network": facts} if facts else values
    write_file(folder / "study.json", (json.dumps(numbers, indent=2, allow_nan=False) + "\n").encode())
    write_file(folder / "report.html", text.encode())
    return folder / "report.html"
