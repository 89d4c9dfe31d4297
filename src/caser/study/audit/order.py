"""Does order matter? Compares models on true histories with models on histories whose items are shuffled.

Let v(m, b) be the validation metric of model m when sequences are shuffled in blocks of b items (`shuffles.py`):

    order    v(m, 1) - v(m, b)          the loss when the order of b consecutive items is unknown
    recency  v(m, b) - v(m, whole)      the further loss when it is also unknown which items are recent
    items    v(m, whole) - popularity   the worth of the set of items alone

v(m, b) is the better of two models without order. One is trained on shuffled sequences: it can learn everything that
does not depend on order, but its training targets are shuffled too. The other is trained on true sequences and judged
with shuffled histories: its targets are true, but it is not prepared for such histories. Taking the better one prevents
that a weakness of either is counted as worth of the order. The order's worth is still an upper bound, above all for a
network whose window is longer than the block.

All differences are paired over the same validation queries, and averaged over several shuffles. The test part is not
opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from caser.arrays.offsets import offsets_of
from caser.arrays.types import Int32
from caser.config import Training
from caser.data.queries import Queries
from caser.data.split import Split
from caser.evaluation import protocols
from caser.evaluation.metrics import Values, parse_metric
from caser.evaluation.protocol import RankingRules
from caser.evaluation.ranking import ranks
from caser.evaluation.statistics import Difference, Estimate, mean_over_owners, paired_difference
from caser.fitting.checkpoint_files import remove_checkpoint
from caser.fitting.fit import Progress, fit
from caser.models import COUNTING_BASELINES, model_settings
from caser.models.base import Scorer
from caser.models.settings import ModelSettings, NetworkSettings
from caser.study.audit.finished_parts import FinishedParts
from caser.study.audit.shuffles import Block, shuffled
from caser.study.keys import digest_of, key_of
from caser.study.recipes import Recipe
from caser.system.randomness import numpy_generator

SHUFFLES = 3
"""Shuffles that are averaged for each block size."""
MOST_QUERIES = 5_000
"""Queries that are judged at most; they are drawn at random if there are more."""
OTHER_SIZES = (2, 10, 20)
"""Further block sizes, which show how much of the order a model needs."""
ALL_SIZES = ("markov", "count-knn")
"""Models that are judged with every block size: they are quick, and they use the order of single items."""

Say = Callable[[str], object]
"""A function that is called with a sentence before and during long work."""


@dataclass(frozen=True, eq=False)
class Effects:
    """The values of models on true and on shuffled histories.

    values   model -> block -> value of the metric per query, (Q,); block 1 is the true order. Every model has 1,
             `block` and `whole`; Markov and count kNN have other sizes as well
    owners   (Q,) int32, the user or session of each query
    metric   the name of the metric
    block    the size whose shuffle measures the worth of the order; `whole` measures recency as well
    owner    what an interval resamples: "user" or "session"
    readers  the models that can learn what several items mean in their order, see `ModelSettings.reads_order`
    """

    values: Mapping[str, Mapping[Block, Values]]
    owners: Int32
    metric: str
    block: int
    owner: str = "user"
    readers: tuple[str, ...] = ()

    @property
    def best_model(self) -> str:
        """The model that is best with the true order; its losses measure what the order is worth."""
        return self._best(self.values)

    @property
    def best_model_of_all_sizes(self) -> str:
        """The best of the models that were judged with every block size."""
        num_sizes = max(map(len, self.values.values()))
        return self._best(model for model, by_block in self.values.items() if len(by_block) == num_sizes)

    def _best(self, models: Iterable[str]) -> str:
        return max(models, key=lambda model: float(self.values[model][1].mean()))

    @property
    def num_owners(self) -> int:
        """How many users or sessions are judged."""
        return len(np.unique(self.owners))

    def estimate(self, model: str, block: Block) -> Estimate:
        """Return a model's mean of the metric with its 95 % interval over owners; `block` says how it was shuffled."""
        return mean_over_owners(self.values[model][block], self.owners)

    def loss(self, model: str, before: Block, after: Block) -> Difference:
        """Return what a model loses when histories are shuffled in blocks of `after` instead of `before`."""
        return paired_difference(self.values[model][before], self.values[model][after], self.owners)

    def difference(self, first: str, second: str) -> Difference:
        """Return the value of the first model, with the true order, less that of the second."""
        return paired_difference(self.values[first][1], self.values[second][1], self.owners)

    def gain(self, model: str) -> Difference:
        """Return the value of a model, with the true order, less that of popularity."""
        return self.difference(model, "popularity")


def order_effects(
    split: Split, network: NetworkSettings | None, block: int, seed: int, parts: FinishedParts, say: Say
) -> Effects:
    """Train and judge models on true and on shuffled histories.

    split    trains on `fit` and judges on `validation`, which must have queries
    network  the settings of a network to judge beside the counting models; None for none
    block    the size of the blocks whose shuffle measures the worth of the order
    seed     of training and of the shuffles
    parts    keeps the finished parts
    say      called with a sentence before and during long work

    Raises NumericalError if a training diverges, ConfigError if the network does not fit the log or the machine.
    """
    rules = protocols.resolve(split.name, split, "validation")
    protocol = protocols.protocol_named(split.name)
    metric = protocol.validation_metric
    split = replace(split, validation=_sample(split.validation, seed))
    blocks: list[Block] = [1, *sorted({block, *OTHER_SIZES}), "whole"]
    queries = _ShuffledQueries(split, rules, metric, seed)
    models = {name: model_settings(name) for name in COUNTING_BASELINES}
    if network is not None:
        models[network.name] = network
    few: list[Block] = [1, block, "whole"]
    judged = {name: blocks if name in ALL_SIZES else few for name in models}
    numbers, total = count(1), sum(map(len, judged.values()))
    values = {}
    for name, model in models.items():
        labels = {one: f"{next(numbers)} of {total}: {name}, {in_words(one)}" for one in judged[name]}
        values[name] = _values(model, queries, labels, parts, say)
    readers = tuple(name for name, model in models.items() if model.reads_order)
    return Effects(values, split.validation.owners, metric, block, protocol.owner, readers)


def quick_training(model: NetworkSettings, seed: int) -> Training:
    """Return how the audit trains a network: as the model says, but with fewer epochs and less patience.

    seed  of training
    """
    training = model.training
    return training.replace(seed=seed, epochs=min(training.epochs, 15), patience=min(training.patience, 2))


class _ShuffledQueries:
    """A split in every order, and the judge of its validation queries."""

    def __init__(self, split: Split, rules: RankingRules, metric: str, seed: int) -> None:
        self.split, self.rules, self.seed = split, rules, seed
        self.metric = parse_metric(metric)
        self.digest = digest_of(split)

    def shuffle(self, block: Block, number: int) -> Split:
        if block == 1:
            return self.split
        return shuffled(self.split, block, numpy_generator(self.seed, f"shuffle {block}", number))

    def values(self, scorer: Scorer, split: Split) -> Values:
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
    """All queries, or MOST_QUERIES of them drawn at random."""
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
        seen_starts=queries.starts_of_seen[chosen],
    )


def _values(
    model: ModelSettings, queries: _ShuffledQueries, labels: Mapping[Block, str], parts: FinishedParts, say: Say
) -> dict[Block, Values]:
    """The values per query for every block: of the better one of two models without order.

    `labels` has the blocks, and for each the beginning of what is said while a model is trained on it.
    """
    first, *others = labels
    values = dict(zip(labels, _means(model, queries, first, list(labels), parts, say, labels[first]), strict=True))
    for block in others:
        (of_shuffled,) = _means(model, queries, block, [block], parts, say, labels[block])
        values[block] = max(values[block], of_shuffled, key=lambda one: float(one.mean()))
    return values


def _means(
    model: ModelSettings,
    queries: _ShuffledQueries,
    trained: Block,
    judged_on: Sequence[Block],
    parts: FinishedParts,
    say: Say,
    label: str,
) -> Values:
    """The values of a model that is trained in one order and judged in several: means over shuffles, (blocks, Q)."""
    training = quick_training(model, queries.seed) if isinstance(model, NetworkSettings) else None
    key = key_of(
        Recipe(model, training),
        queries.digest,
        __name__,
        metric=queries.metric.name,
        seed=queries.seed,
        trained=trained,
        judged_on=list(judged_on),
    )
    checkpoint = parts.path(key, "checkpoint") if training else None

    def train(split: Split) -> Scorer:
        tell = _listener(say, label)
        fitted = fit(model, split, training, train_on="fit", checkpoint=checkpoint, tell=tell, calibrate=False)
        return fitted.artefact.scorer

    def compute() -> Values:
        say(label)
        # A network is trained once, on the first shuffle. A counting model is fitted on every shuffle.
        trained_once = train(queries.shuffle(trained, 0)) if trained == 1 or training else None
        return np.stack([mean(block, trained_once) for block in judged_on])

    def mean(block: Block, trained_once: Scorer | None) -> Values:
        splits = (queries.shuffle(block, number) for number in range(SHUFFLES if block != 1 else 1))
        values = [queries.values(trained_once or train(split), split) for split in splits]
        return np.asarray(np.mean(values, axis=0), dtype=np.float64)

    means = parts.part(key, compute)
    remove_checkpoint(checkpoint)
    return means


def _listener(say: Say, label: str) -> Callable[[Progress], None]:
    """Says one sentence for each epoch of a training."""

    def tell(progress: Progress) -> None:
        if progress.done is not None:
            judged = "" if progress.validation is None else f", {progress.metric} {progress.validation:.4f}"
            say(f"{label}: {progress.stage}, epoch {progress.epoch} of {progress.epochs} at most{judged}")

    return tell


def in_words(block: Block) -> str:
    """Return a label that says how histories are shuffled, in blocks of `block`.

    >>> in_words(1), in_words(5), in_words("whole")
    ('true order', 'blocks of 5 shuffled', 'all shuffled')
    """
    return "all shuffled" if block == "whole" else "true order" if block == 1 else f"blocks of {block} shuffled"
