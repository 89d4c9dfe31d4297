"""Whether a blend of two fitted models is better than the better one of them alone, as far as validation can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from caser.answering.recommender import Recommender
from caser.data.split import Split
from caser.evaluation import judge, protocols
from caser.models.blend import Blend, BlendScorer

WEIGHTS = (0.2, 0.35, 0.5, 0.65, 0.8)
"""The weights of the better model that are tried."""


def blend_weight(split: Split, best: Recommender, second: Recommender) -> tuple[float | None, str]:
    """Find the weight of a model in a blend that validation shows to be better than this model alone.

    split   its `validation` judges
    best    the better model, trained on `fit`
    second  the model to blend it with, trained on `fit`

    Returns the weight, or None if no blend is shown to be better; and a sentence that says so. The best of the weights
    is compared with the model alone, once.
    """
    metric = protocols.protocol_named(split.name).validation_metric
    blends: Mapping[str, BlendScorer] = {
        str(weight): BlendScorer(_settings(best, second, weight), best.artefact.scorer, second.artefact.scorer)
        for weight in WEIGHTS
    }
    tables = {weight: [judge.rank(blend, split, "validation")] for weight, blend in blends.items()}
    alone = judge.rank(best.artefact.scorer, split, "validation")
    values = judge.report(tables, split, "validation")
    winner = max(tables, key=lambda weight: values.estimate(weight, metric).value)
    # One comparison: the weights are so much alike that a correction for five would refuse blends that are better.
    pair = judge.report({winner: tables[winner], "alone": [alone]}, split, "validation", baselines=["alone"])
    difference = pair.differences("alone", metric)[winner]
    name = best.artefact.config.name
    other = second.artefact.config.name
    blend = f"a blend of {name} at {float(winner):g} with {other}, the best of {len(WEIGHTS)} weights,"
    sentence = difference.sentence(blend, f"{name} alone", metric, pair.num_owners, pair.owner_word)
    return (float(winner) if difference.is_shown and difference.value > 0 else None), sentence


def blended(first: Recommender, second: Recommender, weight: float) -> Recommender:
    """Return the blend of two models that were trained on the same part.

    first, second  the models
    weight         the weight of the first

    The manifest of the blend has the training of its network, if one of the models is a network.
    """
    parts = [first.artefact, second.artefact]
    trained = next((part for part in parts if part.manifest["training"]), parts[0])
    config = _settings(first, second, weight)
    scorer = BlendScorer(config, *(part.scorer for part in parts))
    return Recommender(replace(parts[0], config=config, scorer=scorer, manifest=trained.manifest))


def _settings(first: Recommender, second: Recommender, weight: float) -> Blend:
    one, other = first.artefact.config, second.artefact.config
    return Blend(
        first=one.name,
        first_settings=one.model_dump(mode="json"),
        second=other.name,
        second_settings=other.model_dump(mode="json"),
        weight=weight,
    )
