"""The pictures of a network show its weights, and the items that its filters answer to most."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from caser.models.caser.caser import Caser
from caser.study.report.figure import Heat
from caser.study.report.network import FILTERS, ITEMS, network_facts, network_figures, steps_back
from tests.runs import caser_run, popularity_run
from tests.study.report import studies


def test_a_filter_answers_most_to_the_items_whose_vectors_point_along_its_rows() -> None:
    artefact = caser_run(L=2, d=3, n_h=1, n_v=1)
    arrays = artefact.scorer.arrays()
    arrays["F2"][:, :, 0] = [[1, 0, 0], [0, 1, 0]]
    arrays["Q"][1:] = [[3, 0, 0], [1, 5, 0], [2, 4, 0], [9, 9, 9], [0, 3, 0], [9, 9, 9]]
    facts = network_facts(artefact)
    assert facts is not None
    (only_filter,) = facts["horizontal"]
    first, second = only_filter["items"]
    # Nobody took items 40 and 60, whose vectors are the largest, and 50 is in the tail.
    assert [(one["item_id"], one["score"]) for one in first] == [(10, 3.0), (30, 2.0), (20, 1.0)]
    assert [(one["item_id"], one["title"]) for one in second][:2] == [(20, "Twenty"), (30, None)]


def test_the_filters_that_the_next_layer_reads_most_are_shown_first() -> None:
    artefact = studies.network()
    config, arrays = artefact.config, artefact.scorer.arrays()
    assert isinstance(config, Caser)
    arrays["W"][config.n_v * config.d + 2 * config.n_h + 5] = 100
    facts = network_facts(artefact)
    assert facts is not None
    assert len(facts["horizontal"]) == FILTERS
    assert (facts["horizontal"][0]["height"], facts["horizontal"][0]["number"]) == (3, 6)
    assert facts["horizontal"][0]["weights"] == arrays["F3"][:, :, 5].astype(float).tolist()
    assert {len(items) for one in facts["horizontal"] for items in one["items"]} == {ITEMS}


def test_columns_of_a_vertical_filter_count_back_from_the_last_item() -> None:
    artefact = studies.network()
    facts = network_facts(artefact)
    panel = network_figures(facts)[0].panels[0]
    assert panel.x.names == steps_back(5) == ("5 back", "4 back", "3 back", "2 back", "last")
    assert isinstance(panel.heat, Heat)
    assert np.allclose(np.array(panel.heat.values), artefact.scorer.arrays()["G"])


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"n_v": 0}, ["horizontal-filters"]),
        ({"n_h": 0}, ["vertical-filters"]),
        ({"n_h": 0, "n_v": 0}, []),
        ({"L": 1}, ["vertical-filters", "horizontal-filters"]),
    ],
)
def test_a_branch_that_is_left_out_has_no_picture(settings: dict[str, int], names: list[str]) -> None:
    assert [figure.name for figure in network_figures(network_facts(caser_run(**settings)))] == names


def test_only_a_caser_model_has_pictures() -> None:
    assert network_facts(popularity_run()) is None
    assert network_facts(None) is None


def test_items_without_titles_are_named_by_their_ids() -> None:
    facts = network_facts(dataclasses.replace(studies.network(), titles=None))
    assert facts is not None
    assert {item["title"] for one in facts["horizontal"] for items in one["items"] for item in items} == {None}
