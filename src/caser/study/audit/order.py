"""Does order matter? Models trained and asked with true histories, and with histories whose order is gone.

With v(m, b) the validation metric of model m when sequences are shuffled in blocks of b (`shuffles.py`):

    order    v(m, 1) - v(m, b)              what is lost with the order of b neighbouring items
    recency  v(m, b) - v(m, whole)          what is lost on top when it is not known either which items are recent
    items    v(m, whole) - popularity       what the mere set of items is worth

v(m, b) is the better of two ways to do without order: the model trained on shuffled sequences, and the one trained on
the true ones and merely asked with shuffled histories. The first may learn whatever can be learned without order, but
its training targets are shuffled too; the second has true targets, but was not prepared. Taking the better one keeps
either weakness from passing for a value of order; what is left is an upper bound all the same, above all for a network
whose window is longer than the block. All differences are paired over the same validation queries, and averaged over
several shuffles. The test part is not opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import caser
from caser.arrays.offsets import offsets_of
from caser.arrays.types import Int32
from caser.config import Training
from caser.data.split import Queries, Split
from caser.evaluation import protocols
from caser.evaluation.metrics import Values, parse_metric
from caser.evaluation.protocols import RankingRules
from caser.evaluation.ranking import ranks
from caser.evaluation.statistics import Difference, Estimate, mean_over_owners, paired_difference
from caser.fitting.fit import Progress, fit
from caser.models import COUNTING_BASELINES, model_settings
from caser.models.base import Scorer
from caser.models.settings import ModelSettings, NetworkSettings
from caser.study.audit.kept import Kept
from caser.study.audit.shuffles import Block, shuffled
from caser.system.randomness import numpy_generator

SHUFFLES = 3
"""Shuffles that are averaged for each size of a block."""
MOST_QUERIES = 5_000
"""Queries that are judged, drawn at random where there are more: enough to show what matters."""
OTHER_SIZES = (2, 10, 20)
"""Sizes that show how much order must be kept, beside the one that is asked about."""
THOROUGH = ("markov", "count-knn")
"""Models that are asked about all of them: quick ones that read an order."""

Say = Callable[[str], object]


@dataclass(frozen=True, eq=False)
class Effects:
    """What shuffling costs.

    values  model -> block -> value of the metric per query, (Q,); block 1 is the true order. Every model has 1, `block`
            and `whole`; Markov and count kNN have other sizes as well
    owners  (Q,) int32, the user or session of each query
    block   the size that stands for "order"; `whole` stands for "neither order nor recency"
    """

    values: Mapping[str, Mapping[Block, Values]]
    owners: Int32
    metric: str
    block: int
    owner: str = "user"
    """What an interval resamples: a user or a session."""

    @property
    def lead(self) -> str:
        """The model that is best with the true order: the one to ask what order is worth."""
        return self._best(self.values)

    @property
    def thorough(self) -> str:
        """The best of the models that were asked about every size of a block."""
        most = max(map(len, self.values.values()))
        return self._best(model for model, asked in self.values.items() if len(asked) == most)

    def _best(self, models: Iterable[str]) -> str:
        return max(models, key=lambda model: float(self.values[model][1].mean()))

    @property
    def num_owners(self) -> int:
        """How many users or sessions are judged."""
        return len(np.unique(self.owners))

    def estimate(self, model: str, block: Block) -> Estimate:
        """The mean of the metric with its 95 % interval over owners."""
        return mean_over_owners(self.values[model][block], self.owners)

    def loss(self, model: str, before: Block, after: Block) -> Difference:
        """What a model loses from one shuffle to the next."""
        return paired_difference(self.values[model][before], self.values[model][after], self.owners)

    def difference(self, first: str, second: str) -> Difference:
        """What one model with the true order has over another."""
        return paired_difference(self.values[first][1], self.values[second][1], self.owners)

    def gain(self, model: str) -> Difference:
        """What a model with the true order has over popularity, the floor of everything."""
        return self.difference(model, "popularity")


def order_effects(split: Split, network: Any, block: int, seed: int, kept: Kept, say: Say) -> Effects:
    """Train and ask the counting models, and `network` (settings of a neural model, or None), in every order.

    Raises ConfigError if the split has no validation queries.
    """
    rules = protocols.resolve(split.name, split, "validation")
    protocol = protocols.protocol_named(split.name)
    metric = protocol.validation_metric
    split = replace(split, validation=_sample(split.validation, seed))
    blocks: list[Block] = [1, *sorted({block, *OTHER_SIZES}), "whole"]
    asked = _Asked(split, rules, metric, seed)
    models = {name: model_settings(name) for name in COUNTING_BASELINES}
    if network is not None:
        models[network.name] = network
    values = {}
    for name, model in models.items():
        few: list[Block] = [1, block, "whole"]
        values[name] = _values(model, asked, blocks if name in THOROUGH else few, kept, say)
    return Effects(values, split.validation.owners, metric, block, "session" if protocol.anonymous else "user")


def quick_training(model: NetworkSettings, seed: int) -> Training:
    """How the audit trains a network: as the model says, with fewer epochs, and less patience."""
    training = model.training
    return training.replace(seed=seed, epochs=min(training.epochs, 15), patience=min(training.patience, 2))


class _Asked:
    """The validation queries in every order."""

    def __init__(self, split: Split, rules: RankingRules, metric: str, seed: int) -> None:
        self.split, self.rules, self.seed = split, rules, seed
        self.metric = parse_metric(metric)
        self.fingerprint = protocols.fingerprint(split, rules, "validation")

    def shuffle(self, block: Block, number: int) -> Split:
        if block == 1:
            return self.split
        return shuffled(self.split, block, numpy_generator(self.seed, f"shuffle {block}", number))

    def value(self, scorer: Scorer, split: Split) -> Values:
        rules = self.rules
        table = ranks(
            scorer,
            split.validation,
            candidates=rules.candidates,
            remove_seen=rules.remove_seen,
            ties=rules.ties,
            user_vocabulary=split.log.user_vocabulary,
        )
        return table.values(self.metric)


def _sample(queries: Queries, seed: int) -> Queries:
    """At most MOST_QUERIES of the queries, drawn at random."""
    if len(queries) <= MOST_QUERIES:
        return queries
    chosen = np.sort(numpy_generator(seed, "sample").permutation(len(queries))[:MOST_QUERIES])
    rows, targets = queries.target_pairs(slice(None))
    offsets = offsets_of(queries.num_targets[chosen])
    return Queries(
        users=queries.users[chosen],
        items=queries.items,
        starts=queries.starts[chosen],
        ends=queries.ends[chosen],
        targets=targets[np.isin(rows, chosen)],
        target_offsets=offsets,
        owners=queries.owners[chosen],
    )


def _values(model: ModelSettings, asked: _Asked, blocks: Sequence[Block], kept: Kept, say: Say) -> dict[Block, Values]:
    """Values per query for every block: the better way to do without order."""
    found = dict(zip(blocks, _means(model, asked, 1, blocks, kept, say), strict=True))
    for block in blocks[1:]:
        (prepared,) = _means(model, asked, block, [block], kept, say)
        found[block] = max(found[block], prepared, key=lambda values: float(values.mean()))
    return found


def _means(
    model: ModelSettings, asked: _Asked, trained: Block, judged_on: Sequence[Block], kept: Kept, say: Say
) -> Values:
    """A model trained in one order and asked in several: means over shuffles, (blocks, Q)."""
    training = quick_training(model, asked.seed) if isinstance(model, NetworkSettings) else None
    key: list[Any] = [caser.__version__, asked.split.log.digest, asked.fingerprint, asked.metric.name]
    key += [model.name, model.model_dump(), training.model_dump() if training else None]
    key += [asked.seed, SHUFFLES, trained, list(judged_on)]
    checkpoint = kept.path(key, "checkpoint")

    def train(on: Split) -> Scorer:
        tell = _telling(say, model.name, trained)
        saved = checkpoint if training else None
        return fit(model, on, training, train_on="fit", checkpoint=saved, tell=tell).artefact.scorer

    def compute() -> Values:
        say(f"{model.name}, {in_words(trained)}")
        one = train(asked.shuffle(trained, 0)) if trained == 1 or training else None
        return np.stack([mean(block, one) for block in judged_on])

    def mean(block: Block, one: Scorer | None) -> Values:
        """Over shuffles; a network is trained once, on the first of them, a counting model on every one."""
        splits = (asked.shuffle(block, number) for number in range(SHUFFLES if block != 1 else 1))
        values = [asked.value(one or train(split), split) for split in splits]
        return np.asarray(np.mean(values, axis=0), dtype=np.float64)

    values = kept.part(key, compute)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return values


def _telling(say: Say, name: str, trained: Block) -> Callable[[Progress], None]:
    def tell(progress: Progress) -> None:
        if progress.done is not None:
            judged = "" if progress.validation is None else f", {progress.metric} {progress.validation:.4f}"
            say(f"{name}, {in_words(trained)}: {progress.stage}, epoch {progress.epoch}{judged}")

    return tell


def in_words(block: Block) -> str:
    """Name what was shuffled.

    >>> in_words(1), in_words(5), in_words("whole")
    ('true order', 'blocks of 5 shuffled', 'all shuffled')
    """
    return "all shuffled" if block == "whole" else "true order" if block == 1 else f"blocks of {block} shuffled"
