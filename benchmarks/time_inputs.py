"""Do networks predict better if they read times, with and without that of the target? (40 minutes of processor time.)

A network of the library reads the items of a history in order, and no times. Here times are added to any network from
outside, by one mechanism, and all variants are trained alike:

    order         nothing is added: what the library trains
    gaps          the vector of an item, where the network reads it, gets a vector for the gap before the item
    gaps shuffled a check: the same, with the gaps of other items, drawn over the whole log
    request       the state gets vectors for the gap between the last item and the request, its hour and its weekday
    request gap   the state gets the vector of that gap only
    request read  the vectors of "request" are added to those of the items that are read, so layers may combine them

A gap has a vector for each doubling of its seconds. The time of a request is taken to be the time of the target, so the
last three variants READ THE TARGET'S TIME, and their numbers must not stand beside others without saying so. New
vectors begin at zero: all variants begin as the same network. Each trains on `fit` for the same number of epochs, and
`validation` judges the last one. Nothing is chosen, and the test part is not used. Differences are paired over users
and seeds.

    python -m benchmarks.time_inputs                         all logs and models, with seed 0
    python -m benchmarks.time_inputs ml-100k gru4rec --seeds 2 --variants gaps request
    python -m benchmarks.time_inputs simulated gru4rec       a check: a world in which these gaps decide what is next
    python -m benchmarks.time_inputs --page                  the saved results as the tables of docs/results.md

The values of a finished training are kept in runs/benchmarks and used again. Some logs are not downloaded: the folder
CASER_CACHE must hold them. The results are saved as JSON in benchmarks/results.

Shape suffixes: Q queries, S seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import polars as pl

from benchmarks._tables import RESULTS, STORE
from benchmarks._timed import VARIANTS, EventBatches, Events, Timed
from caser.config import Training
from caser.data import datasets
from caser.data.log import InteractionLog
from caser.data.split import Split
from caser.evaluation import protocols
from caser.evaluation.metrics import Values, parse_metric
from caser.evaluation.ranking import ranks
from caser.evaluation.statistics import mean_over_owners, paired_difference
from caser.fitting.defaults import facts_of
from caser.models.base import SequenceEncoder
from caser.models.caser.caser import Caser
from caser.models.neural import NeuralScorer
from caser.models.sessions.gru4rec import GRU4Rec
from caser.models.settings import NetworkSettings
from caser.system.digests import digest_of_values
from caser.system.randomness import numpy_generator
from caser.training.batches import Batches
from caser.training.lanes import Lanes
from caser.training.loop import start, train

LOGS = {
    "yoochoose-clicks": "sessions",
    "ml-100k": "leave-one-out",
    "amazon-beauty": "leave-one-out",
    "simulated": "leave-one-out",
}
"""The protocol of each log."""

MODELS: dict[str, tuple[NetworkSettings, float]] = {
    "gru4rec": (GRU4Rec(d=64, max_length=50), 0.008),
    "caser": (Caser(d=64, n_h=8), 0.003),
}
"""Each model, and its learning rate."""

EPOCHS, BATCH_SIZE = 5, 256

BASES = ("order", "gaps shuffled")
"""The variants that all others are compared with."""

SHOWN = {
    "no": {"gaps": ("gaps", "order"), "gaps minus shuffled": ("gaps", "gaps shuffled")},
    "yes": {name: (name, "order") for name in ("request", "request gap", "request read")},
}
"""Whether the target's time is read -> the columns of a table of the page: a variant, and what is subtracted."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure what the words name, and save it; or print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", nargs="?", choices=LOGS)
    parser.add_argument("model", nargs="?", choices=MODELS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--variants", nargs="+", default=[name for name in VARIANTS if name != "order"])
    parser.add_argument("--page", action="store_true")
    given = parser.parse_args(words)
    if given.page:
        print(page())
        return
    for log in [given.log] if given.log else [name for name in LOGS if name != "simulated"]:
        for model in [given.model] if given.model else MODELS:
            found = measure(log, model, given.seeds, given.variants)
            RESULTS.mkdir(exist_ok=True)
            path = RESULTS / f"time_inputs_{log}_{model}.json"
            path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            for variant, values in found["variants"].items():
                differences = ", ".join(f"to {base} {_cell(minus)}" for base, minus in values["minus"].items())
                print(f"{log}, {model}, {variant}: {values['value']:.4f} {differences}", flush=True)


def measure(log_name: str, model_name: str, num_seeds: int, variants: Sequence[str]) -> dict[str, Any]:
    """Train `order` and other variants of a model with every seed, and compare each with `order`.

    log_name    a key of LOGS
    model_name  a key of MODELS
    num_seeds   seeds 0, 1, ...
    variants    keys of VARIANTS

    Returns JSON values.
    """
    log = simulated() if log_name == "simulated" else datasets.load(log_name)
    split = protocols.apply(LOGS[log_name], log)
    settings, learning_rate = MODELS[model_name]
    model = settings.for_log(facts_of(split))
    plan = Training(
        device="cpu", epochs=EPOCHS, batch_size=BATCH_SIZE, learning_rate=learning_rate, precision="float32"
    )
    training = model.training_for(facts_of(split), plan)
    values: dict[str, list[Values]] = {variant: [] for variant in ("order", *variants)}
    for seed in range(num_seeds):
        for variant, of_seeds in values.items():
            of_seeds.append(kept_values(f"{log_name}_{model_name}", split, model, training.replace(seed=seed), variant))
    protocol, owners = protocols.protocol_named(split.name), split.validation.owners
    compared = {variant: np.stack(of_seeds) for variant, of_seeds in values.items()}
    return {
        "log": log_name,
        "model": model_name,
        "date": datetime.now(UTC).date().isoformat(),
        "protocol": split.name,
        "part": "validation",
        "metric": protocol.validation_metric,
        "owner": protocol.owner,
        "num_owners": len(np.unique(owners)),
        "seeds": list(range(num_seeds)),
        "settings": model.used(),
        "training": training.used(),
        "variants": {
            variant: {
                "reads_the_target's_time": variant.startswith("request"),
                **mean_over_owners(values_SQ, owners).to_dict(),
                "by_seed": values_SQ.mean(axis=1).tolist(),
                "minus": {
                    base: paired_difference(values_SQ, compared[base], owners).to_dict()
                    for base in BASES
                    if base in compared and base != variant
                },
            }
            for variant, values_SQ in compared.items()
        },
    }


def kept_values(place: str, split: Split, model: NetworkSettings, training: Training, variant: str) -> Values:
    """Return the validation metric of every query for one variant and seed; train only if that was not done before."""
    settings = digest_of_values([model.used(), training.used()])[:12]
    path = STORE / "time_inputs" / f"{place}_{variant.replace(' ', '-')}_{training.seed}_{settings}.npy"
    metric = protocols.protocol_named(split.name).validation_metric
    if not path.exists():
        began = time.perf_counter()
        found = values_of(split, model, training, variant)
        seconds = time.perf_counter() - began
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, found)
        told = f"{place}, {variant}, seed {training.seed}: {metric} {found.mean():.4f}, {seconds:.0f} s"
        print(told, file=sys.stderr, flush=True)
    values: Values = np.load(path)
    return values


def values_of(split: Split, model: NetworkSettings, training: Training, variant: str) -> Values:
    """Train one variant on `fit`, and return the validation metric of every query of `validation`, (Q,)."""
    events = Events.of(split.log)
    network = model.build(split.log.num_users, split.log.num_items, training.seed)
    batches = Batches(
        events.tape(split.fit),
        window=network.window,
        max_length=network.max_length,
        num_targets=model.num_targets,
        batch_size=BATCH_SIZE,
    )
    state = start(cast(SequenceEncoder, Timed(network, events, variant)), training)
    for _ in train(
        state, Lanes({0: EventBatches(batches, events)}, batches.num_batches, split.fit.item_counts), training
    ):
        pass
    rules, protocol = protocols.resolve(split.name, split, "validation"), protocols.protocol_named(split.name)
    table = ranks(
        NeuralScorer(state.finish()),
        events.queries(split.validation),
        candidates=rules.candidates,
        remove_seen=rules.remove_seen,
        ties=rules.ties,
        depth=0,
    )
    return table.values(parse_metric(protocol.validation_metric))


def simulated(num_users: int = 400, length: int = 30, num_items: int = 40) -> InteractionLog:
    """Return a world in which the gap before the last item and the gap after it decide the next item together.

    The next item is 1 or 2 places further, and 10 places more if the gap before the last item is one of the two that
    are even. Of the two neighbours, the gap after the last item decides which it is: the even or the odd one. So order
    alone leaves four items, and either gap leaves two.
    """
    random = numpy_generator(0, "times that matter")
    kind = random.integers(0, 4, (num_users, length))
    items = np.empty((num_users, length), dtype=np.int64)
    items[:, 0] = random.integers(0, num_items, num_users)
    for place in range(1, length):
        first = items[:, place - 1] + 10 * (kind[:, place - 1] % 2) + 1
        items[:, place] = (first + (first % 2 != kind[:, place] // 2)) % num_items
    gaps = np.array([1, 60, 3_600, 86_400]) * 1_000_000
    times = np.cumsum(gaps[kind], axis=1)
    users = np.repeat(np.arange(num_users), length)
    return InteractionLog.from_columns(pl.Series(users), pl.Series(items.ravel()), times.ravel())


def page() -> str:
    """Return the saved results as Markdown, what each variant adds: a table without the target's time, and one with."""
    return "\n\n".join(
        f"Reads the target's time: **{answer}**\n\n{_table(columns)}" for answer, columns in SHOWN.items()
    )


def _table(columns: Mapping[str, tuple[str, str]]) -> str:
    """The saved results for some columns, as a Markdown table."""
    lines = [f"| log, model | seeds | order | {' | '.join(columns)} |", f"|---|---|---|{'---|' * len(columns)}"]
    for path in sorted(RESULTS.glob("time_inputs_*.json")):
        one = json.loads(path.read_text(encoding="utf-8"))
        minus = {name: values["minus"] for name, values in one["variants"].items()}
        cells = [_cell(minus[name][base]) if base in minus.get(name, {}) else "-" for name, base in columns.values()]
        about = f"{one['log']}, {one['model']} | {len(one['seeds'])}"
        order = f"{one['variants']['order']['value']:.4f}"
        if set(cells) != {"-"}:
            lines.append(f"| {' | '.join([about, order, *cells])} |")
    return "\n".join(lines)


def _cell(difference: Mapping[str, float]) -> str:
    return f"{difference['value']:+.4f} ({difference['low']:+.4f} to {difference['high']:+.4f})"


if __name__ == "__main__":
    main()
