"""Attributes of items in a fit: a new item is recommendable at once, and a fit without them is what it always was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from caser.answering.recommender import Recommender, load
from caser.artefact.attributes import ArtefactAttributes
from caser.artefact.run_folder import ATTRIBUTES
from caser.config import Training
from caser.data.attribute_columns import ItemAttributes
from caser.data.item_table import read_items
from caser.data.log import InteractionLog, Vocabulary
from caser.data.shards import ShardedLog
from caser.data.split import leave_one_out
from caser.errors import ArtefactError, CaserError, ConfigError, DataError
from caser.evaluation import judge, protocols
from caser.exported.scorer import through_onnx
from caser.exported.write import write_onnx
from caser.fitting.attributes import AttributeTable
from caser.fitting.evaluate import compared, evaluate
from caser.fitting.fit import fit
from caser.fitting.progress import Progress
from caser.models import model_settings
from caser.models.attributes import add_attributes, fold, item_tables
from caser.models.counting.markov import Markov
from caser.models.neural import NeuralScorer
from caser.models.settings import ModelSettings, NetworkSettings
from caser.study.refitting import refit

GENRES, NUM_ITEMS, NUM_NEW = 4, 60, 12
"""Each user takes items of one genre only, in random order; item i has genre i modulo 4."""


def world(num_users: int = 120, length: int = 8) -> InteractionLog:
    rng, rows = np.random.default_rng(0), []
    for user in range(num_users):
        mine = rng.permutation([item for item in range(NUM_ITEMS) if item % GENRES == user % GENRES])[:length]
        begins = int(rng.integers(1000))
        rows += [(user, int(item), begins + place) for place, item in enumerate(mine)]
    users, items, times = zip(*rows, strict=True)
    return InteractionLog.from_columns(pl.Series(users), pl.Series(items), np.array(times, dtype=np.int64))


ITEMS = pl.DataFrame(
    {
        "item_id": list(range(NUM_ITEMS + NUM_NEW + 1)),
        "genre": [*(f"g{item % GENRES}" for item in range(NUM_ITEMS + NUM_NEW)), "an unknown genre"],
        "title": [f"Film {item}" for item in range(NUM_ITEMS + NUM_NEW + 1)],
    }
)
LOG = world()
SPLIT = leave_one_out(LOG)
TRAINING = Training(seed=0, device="cpu", learning_rate=0.01)
BOTH: dict[str, Any] = {"items": ITEMS, "attributes": ["genre"]}
NETWORKS = ("caser", "gru4rec", "sasrec", "esasrec", "nextitnet", "bpr-mf", "fpmc")


def network(name: str, **settings: Any) -> NetworkSettings:
    model = model_settings(name, {"d": 8, **settings})
    assert isinstance(model, NetworkSettings)
    return model


def new_of(genre: int) -> list[int]:
    return [item for item in range(NUM_ITEMS, NUM_ITEMS + NUM_NEW) if item % GENRES == genre]


def facts_of(rec: Recommender) -> dict[str, Any]:
    assert rec.artefact.attributes is not None
    return rec.artefact.attributes.facts


@pytest.fixture(scope="module")
def fitted() -> Recommender:
    return fit(network("gru4rec"), SPLIT, TRAINING, epochs=12, **BOTH)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folded_network_scores_as_the_one_that_adds_attributes(name: str) -> None:
    model, source = network(name), AttributeTable.given(ITEMS, ["genre"], LOG)
    assert source is not None
    coded, torch_seed = source.coded(SPLIT.fit), torch.Generator().manual_seed(3)
    made = model.build(LOG.num_users, LOG.num_items, 0)
    coded.add_to(made)
    for parameter in made.parameters():  # attributes begin at zero
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch_seed)
    users, histories = np.array([1, 0], np.int32), np.array([[5, 6, 7, 8, 9], [0, 0, 0, 1, 2]], np.int32)
    before = NeuralScorer(made).scores(users, histories)
    tables = fold(made, coded.rows)
    scorer = NeuralScorer(made)
    after = scorer.scores(users, histories)
    np.testing.assert_allclose(after[:, : LOG.num_items + 1], before, rtol=1e-4, atol=1e-5)
    assert after.shape[1] == LOG.num_items + 1 + NUM_NEW
    # The folded parameters are those of a plain network with more items, and a new item has what its genre gives.
    plain = model.scorer(scorer.arrays(), LOG.num_users, LOG.num_items + NUM_NEW)
    np.testing.assert_allclose(plain.scores(users, histories), after, rtol=1e-4, atol=1e-4)
    assert list(tables) == item_tables(made)
    for table, vectors in tables.items():
        new = scorer.arrays()[table][LOG.num_items + 1 :]
        assert np.array_equal(new, vectors[[item % GENRES for item in range(NUM_ITEMS, NUM_ITEMS + NUM_NEW)]])


def test_some_items_have_no_vector_of_their_own_in_a_step_and_untrained_ones_teach_nothing() -> None:
    source = AttributeTable.given(ITEMS, ItemAttributes(columns=["genre"], own_dropout=0.5), LOG)
    assert source is not None
    coded = source.coded(SPLIT.fit)
    is_trained = coded.is_trained.copy()
    is_trained[1] = False
    made: Any = network("gru4rec").build(LOG.num_users, LOG.num_items, 0)
    own = made.V.detach().clone()
    add_attributes(made, coded.rows, coded.vocabulary.num_vectors, is_trained, 0.5)
    made.parametrizations.V[0].vectors.data += 10
    made.dropout_generator = torch.Generator().manual_seed(0)
    # In training, a row is the attributes with or without its own; the item that does not train has its own alone.
    first, second = made.V.detach(), made.V.detach()
    is_alone = (first == 10).all(1)
    assert 0.3 < is_alone[2:].float().mean() < 0.7
    assert torch.allclose(first[~is_alone][2:], own[~is_alone][2:] + 10)
    assert torch.equal(first[1], own[1])
    assert torch.equal(first[0], own[0])
    assert not torch.equal(first, second)
    made.V[1].sum().backward()
    assert not made.parametrizations.V[0].vectors.grad.any()
    # In answers, the attributes of that item stand alone.
    made.train(False)
    assert torch.allclose(made.V[2:], own[2:] + 10)
    assert (made.V[1] == 10).all()


@pytest.mark.parametrize(
    "name", [pytest.param("caser", marks=pytest.mark.slow), "sasrec", pytest.param("nextitnet", marks=pytest.mark.slow)]
)
def test_a_new_item_of_the_favourite_genre_ranks_above_all_others(name: str) -> None:
    rec = fit(network(name), SPLIT, TRAINING, epochs=12, **BOTH)
    for genre in range(GENRES):
        history = [item for item in range(NUM_ITEMS) if item % GENRES == genre][:6]
        [answer] = rec.recommend(histories=[history], only=range(NUM_ITEMS, NUM_ITEMS + NUM_NEW), k=NUM_NEW)
        assert sorted(answer.items[: len(new_of(genre))]) == new_of(genre)


def test_the_known_truth_is_found_under_cold_items_and_counting_finds_none() -> None:
    rows = [  # the last quarter of the items appears late
        (user, int(item) + (NUM_ITEMS if int(item) >= NUM_ITEMS * 3 // 4 and time > 600 else 0), time)
        for user, item, time in zip(
            LOG.user_vocabulary.raw(LOG.users), LOG.item_vocabulary.raw(LOG.items), LOG.times.tolist(), strict=True
        )
    ]
    users, items, times = zip(*rows, strict=True)
    log = InteractionLog.from_columns(pl.Series(users), pl.Series(items), np.array(times))
    split = protocols.apply("cold-items", log)
    table = pl.DataFrame({"item_id": range(2 * NUM_ITEMS), "genre": [f"g{i % GENRES}" for i in range(2 * NUM_ITEMS)]})
    model = network("gru4rec")
    rec = fit(model, split, TRAINING, epochs=12, items=table, attributes=["genre"])
    scorers = {**compared(rec, split, "test"), "plain": fit(model, split, TRAINING, epochs=12).artefact.scorer}
    report = judge.judge(scorers, split, metrics=["hit@20"])  # a genre has at most 20 items
    assert report.estimate("markov", "hit@20").value == 0
    assert report.estimate("gru4rec", "hit@20").value == 1
    assert report.estimate("plain", "hit@20").value < 0.5


def test_all_items_of_the_table_are_in_the_run_if_a_value_describes_them(fitted: Recommender) -> None:
    artefact = fitted.artefact
    assert artefact.items.ids.to_list()[: LOG.num_items] == LOG.item_vocabulary.ids.to_list()
    assert artefact.items.ids.to_list()[LOG.num_items :] == list(range(NUM_ITEMS, NUM_ITEMS + NUM_NEW))
    assert fitted.title(NUM_ITEMS) == f"Film {NUM_ITEMS}"
    facts = facts_of(fitted)
    assert facts["columns"] == [{"name": "genre", "way": "values", "vectors": GENRES, "too_rare": 1}]
    assert facts["items"]["not_in_log"] == NUM_NEW
    assert facts["items"]["table_without_value"] == 1
    assert facts["own_dropout"] == 0.25
    # A new item can be asked with, and asked for; one without a known value cannot.
    [answer] = fitted.recommend(histories=[[new_of(1)[0], NUM_ITEMS + NUM_NEW]], k=3)
    assert (answer.ignored, answer.source) == ((NUM_ITEMS + NUM_NEW,), "history")
    assert set(new_of(1)) - {new_of(1)[0]} <= set(fitted.similar(new_of(1)[0], k=20)[0].items)


def test_a_run_is_saved_loaded_and_exported_with_its_new_items(fitted: Recommender, tmp_path: Path) -> None:
    fitted.save(tmp_path / "run")
    loaded = load(tmp_path / "run")
    question: dict[str, Any] = {"histories": [[new_of(2)[0], new_of(2)[1]], [1, 5, 9]], "k": 20}
    expected = [answer.items for answer in fitted.recommend(**question)]
    assert [answer.items for answer in loaded.recommend(**question)] == expected
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["format"] == 3
    kept, again = fitted.artefact.attributes, loaded.artefact.attributes
    assert kept is not None
    assert again is not None
    assert again.vocabulary.columns == kept.vocabulary.columns
    assert np.array_equal(again.is_described, kept.is_described)
    write_onnx(fitted.artefact, tmp_path / "model.onnx")
    through = through_onnx(loaded, tmp_path / "model.onnx")
    assert [answer.items for answer in through.recommend(**question)] == expected
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again" / ATTRIBUTES).read_bytes() == (tmp_path / "run" / ATTRIBUTES).read_bytes()


def test_a_saved_run_gives_an_item_of_tomorrow_its_row(fitted: Recommender) -> None:
    kept = fitted.artefact.attributes
    assert kept is not None
    frame = pl.DataFrame({"item_id": ["x", "y"], "genre": ["g2", "?"]})
    rows, is_known = kept.item_rows(read_items(frame, Vocabulary(pl.Series(["x", "y"]))))
    assert is_known.tolist() == [False, True, False]
    place = fitted.artefact.items.indices(new_of(2))[0]
    for name, array in fitted.artefact.scorer.arrays().items():
        if name in rows:
            assert np.array_equal(rows[name][1], array[place])
            assert not rows[name][2].any()


def test_a_run_with_attributes_is_judged_on_the_items_of_the_log(fitted: Recommender) -> None:
    report = evaluate(fitted, SPLIT)
    plain = evaluate(fit(network("gru4rec"), SPLIT, TRAINING, epochs=1), SPLIT)
    assert report.facts == plain.facts
    assert any("12 items that only their attributes describe are not ranked here" in note for note in report.notes)


def test_own_dropout_decides_how_well_attributes_stand_alone() -> None:
    rows = [fit(network("gru4rec"), SPLIT, TRAINING, epochs=2, items=ITEMS,
                attributes=ItemAttributes(columns=["genre"], own_dropout=share)) for share in (0.0, 0.6)]  # fmt: skip
    first, second = (one.artefact.attributes for one in rows)
    assert first is not None
    assert second is not None
    assert not np.array_equal(first.tables["V"], second.tables["V"])


class StoppedError(Exception):
    """The fit was interrupted."""


def test_an_interrupted_fit_continues_bit_for_bit_and_refuses_other_attributes(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.done and progress.epoch == 2:
            raise StoppedError

    how: dict[str, Any] = {"epochs": 3, "checkpoint": tmp_path / "checkpoint", **BOTH}
    whole = fit(network("caser"), SPLIT, TRAINING, epochs=3, **BOTH)
    with pytest.raises(StoppedError):
        fit(network("caser"), SPLIT, TRAINING, tell=stop, **how)
    for other in (ITEMS.with_columns(genre=pl.col("genre").reverse()), ITEMS.head(NUM_ITEMS)):
        with pytest.raises(ArtefactError, match="must be a checkpoint of this very run"):
            fit(network("caser"), SPLIT, TRAINING, **{**how, "items": other})
    again = fit(network("caser"), SPLIT, TRAINING, **how)
    for name, array in whole.artefact.scorer.arrays().items():
        assert np.array_equal(array, again.artefact.scorer.arrays()[name]), name


def test_the_number_of_epochs_is_chosen_with_attributes_and_shards_train_too() -> None:
    training = TRAINING.replace(epochs=2)
    sharded = leave_one_out(ShardedLog.of(LOG, 2))
    for split in (SPLIT, sharded):
        rec = fit(network("caser"), split, training, **BOTH)
        assert len(rec.artefact.manifest["history"]) == 2
        assert rec.recommend(histories=[new_of(0)], k=3)[0].source != "popularity"
        assert len(rec.artefact.items) == NUM_ITEMS + NUM_NEW


def test_a_run_with_attributes_is_refitted_with_its_table(fitted: Recommender) -> None:
    again = refit(fitted, LOG, items=ITEMS)
    assert again.artefact.manifest["train_on"] == "all"
    assert facts_of(again)["columns"] == facts_of(fitted)["columns"]
    with pytest.raises(ConfigError, match=r"this run reads some\. Name its table of items"):
        refit(fitted, LOG)
    with pytest.raises(ConfigError, match=r"this run reads none\. Leave it out"):
        refit(fit(Markov(), SPLIT), LOG, items=ITEMS)


@pytest.mark.parametrize(
    ("model", "changes", "error", "says"),
    [
        (Markov(), {}, ConfigError, "items must be left out for markov, which is fitted in one pass; got a table"),
        (Markov(), {"items": None}, ConfigError, "attributes must be left out for markov, which is fitted in one pass"),
        (network("caser"), {"items": None}, ConfigError, "attributes must be given together with items"),
        (network("caser"), {"attributes": None}, ConfigError, "items must be given together with attributes"),
        (network("caser"), {"attributes": ["gender"]}, ConfigError, r"got 'gender': did you mean genre\?"),
        (network("caser"), {"attributes": "genre"}, ConfigError, "attributes must be a list of names of columns"),
        (network("caser"), {"attributes": ["title:values"]}, DataError, "the attribute title must have values that"),
        (network("caser"), {"items": ITEMS.with_columns(pl.col("item_id") + 999)}, DataError, "none of 73 ids does"),
    ],
)
def test_what_has_no_effect_or_cannot_be_read_is_refused(
    model: Any, changes: dict[str, Any], error: type[CaserError], says: str
) -> None:
    with pytest.raises(error, match=says):
        fit(model, SPLIT, **{**BOTH, **changes})


def test_the_weights_of_a_fit_without_attributes_do_not_depend_on_them(fitted: Recommender, tmp_path: Path) -> None:
    plain = fit(network("gru4rec"), SPLIT, TRAINING, epochs=1)
    assert plain.artefact.attributes is None
    plain.save(tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert (manifest["format"], "attributes" in manifest) == (2, False)
    assert not (tmp_path / "run" / ATTRIBUTES).exists()
    assert fitted.artefact.attributes is not None


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("described"),
        lambda arrays: arrays.pop("vocabulary"),
        lambda arrays: arrays.update({"vectors/V": arrays["vectors/V"][:-1]}),
        lambda arrays: arrays.update({"vectors/W": arrays["vectors/V"]}),
        lambda arrays: arrays.update({"vectors/b": arrays["vectors/V"]}),
        lambda arrays: arrays.update({"vectors/V": arrays["vectors/V"] * np.float32("nan")}),
        lambda arrays: arrays.update({"described": np.ones_like(arrays["described"])}),
        lambda arrays: arrays.update({"described": arrays["described"][:-1]}),
        lambda arrays: arrays.update({"vocabulary": np.frombuffer(b"{", np.uint8)}),
    ],
)
def test_a_file_of_attributes_that_nothing_wrote_is_refused(fitted: Recommender, change: Change) -> None:
    import safetensors.numpy

    artefact = fitted.artefact
    assert artefact.attributes is not None
    arrays = safetensors.numpy.load(artefact.attributes.to_bytes())
    change(arrays)
    with pytest.raises((ValueError, ConfigError)):
        ArtefactAttributes.from_bytes(
            safetensors.numpy.save(arrays), artefact.scorer.arrays(), len(artefact.items), artefact.attributes.facts
        )


def test_every_network_of_the_library_is_tried() -> None:
    from caser.models import MODELS

    networks = {name for name in MODELS if issubclass(MODELS[name], NetworkSettings)}
    assert set(NETWORKS) == {name for name in networks if MODELS[name].__module__.startswith("caser.")}
    assert all(issubclass(MODELS[name], ModelSettings) for name in networks)
