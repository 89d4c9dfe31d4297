"""Facts of studies as the commands write them. The numbers are plausible but made up; none was measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from caser.artefact.folder import Artefact
from caser.data.log import Vocabulary
from caser.data.tape import Tape
from caser.models.caser.caser import Caser
from tests.runs import FACTS

HOSTILE = '<script>alert("x")</script> & <b>$x$</b> %{y} </script>'
METRICS = ["ndcg@10", "hit@10", "mrr@10"]

COMMON: dict[str, Any] = {
    "date": "2026-11-24",
    "version": "0.1.0",
    "machine": {"cores": 2, "platform": "Linux-6.1-x86_64", "gpu": None},
    "log": {"name": "ml-100k", "interactions": 100_000, "users": 943, "items": 1682, "digest": "9f1c" * 16},
    "protocol": "leave-one-out",
    "part": "test",
    "fingerprint": "4be2c0a1d7f35e98",
    "metric": "ndcg@10",
    "metrics": METRICS,
    "owner": "user",
    "num_owners": 943,
    "num_queries": 943,
    "seeds": [0, 1, 2],
    "test_openings": 1,
    "notes": ["75.8 % of the rows share a timestamp with another row of the same user.", "Seen items were removed."],
    "sweep": None,
    "reference": None,
    "slices": {},
}

MODELS = [
    ("popularity", "counting", 0.045, 0.02),
    ("recent popularity", "counting", 0.052, 0.03),
    ("markov", "counting", 0.081, 0.1),
    ("count-knn", "counting", 0.098, 0.4),
    ("session-knn", "counting", 0.091, 0.6),
    ("ease", "counting", 0.086, 3.2),
    ("bpr-mf", "neural", 0.071, 14.0),
    ("fpmc", "neural", 0.088, 21.0),
    ("gru4rec", "neural", 0.099, 95.0),
    ("sasrec", "neural", 0.108, 140.0),
    ("nextitnet", "neural", 0.101, 210.0),
    ("caser", "neural", 0.104, 61.0),
]


def row(label: str, kind: str, quality: float, seconds: float, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """One row of a study."""
    random = np.random.default_rng([seed, len(label), int(1e4 * quality)])
    metrics, by_seed = {}, {}
    for metric, factor in zip(METRICS, (1.0, 1.9, 0.8), strict=True):
        mean, half = quality * factor, 0.008 * factor * random.uniform(0.8, 1.2)
        metrics[metric] = {"value": mean, "low": mean - half, "high": mean + half}
        by_seed[metric] = [mean + 0.003 * factor * float(random.normal()) for _ in range(3)]
    is_neural = kind == "neural"
    return {
        "label": label,
        "model": label,
        "kind": kind,
        "settings": {"L": 5, "T": 3, "d": 50, "dropout": 0.5} if is_neural else {"shrinkage": 10},
        "training": {"loss": "softmax", "learning_rate": 0.003, "batch": 512} if is_neural else None,
        "epochs": [18, 18, 18] if is_neural else None,
        "parameters": 190_000 if is_neural else 0,
        "seconds": {"choosing": 3 * seconds if is_neural else None, "training": seconds, "ranking": 0.3},
        "peak_memory_mb": 410.5 if is_neural else None,
        "metrics": metrics,
        "by_seed": by_seed,
        "difference": None,
        "beyond": {
            "coverage@10": float(random.uniform(0.1, 0.6)),
            "gini@10": float(random.uniform(0.6, 0.95)),
            "head_share@10": float(random.uniform(0.2, 0.9)),
            "novelty@10": float(random.uniform(6, 11)),
            "diversity@10": float(random.uniform(0.3, 0.9)),
        },
        "history": _history(quality, random) if is_neural else [],
        "setting": None,
        "group": None,
        **changes,
    }


def difference(value: float, against: str, half: float = 0.006) -> dict[str, Any]:
    """A paired difference."""
    return {
        "against": against,
        "metric": "ndcg@10",
        "value": value,
        "low": value - half,
        "high": value + half,
        "smallest_detectable": 1.43 * half,
        "p_value": 0.012,
        "p_adjusted": 0.048,
        "is_shown": abs(value) > half,
    }


def compare(label: str = "caser") -> dict[str, Any]:
    """Twelve models and three seeds; `label` is what Caser is called."""
    rows = [row(label if name == "caser" else name, kind, quality, seconds) for name, kind, quality, seconds in MODELS]
    for one in rows:
        if one["label"] != "count-knn":
            one["difference"] = difference(one["metrics"]["ndcg@10"]["value"] - 0.098, "count-knn")
    return {
        **COMMON,
        "kind": "compare",
        "title": "Is Caser worth it on MovieLens-100K?",
        "command": "caser compare ml-100k --seeds 3 --budget 10m",
        "verdicts": [
            "943 users show no clear difference between caser and count-knn. In this test, the ndcg@10 of caser is "
            "higher by 0.0060, but that may be chance: the 95 % interval of the difference (-0.0020 to +0.0140) "
            "contains 0.",
            "sasrec beats count-knn by 0.0100 ndcg@10. The true difference probably lies between 0.0040 and 0.0160 "
            "(95 % interval).",
        ],
        "advice": ["Ship count kNN: it answers in 0.4 seconds what learned models need minutes for."],
        "rows": rows,
        "slices": slices([one["label"] for one in rows]),
    }


def slices(labels: list[str]) -> dict[str, Any]:
    """Two kinds of slices."""
    random = np.random.default_rng(5)
    quality = dict(zip(labels, (one[2] for one in MODELS), strict=False))
    buckets = {
        "length of the history": ["up to 20", "21 to 50", "51 to 150", "over 150"],
        "popularity of the target": ["head (top 20 %)", "middle", "tail (last 50 %)"],
    }
    return {
        name: {
            bucket: {
                "num_targets": int(random.integers(90, 400)),
                "models": {
                    label: {"ndcg@10": _around(quality[label] * (1.5 - 0.3 * i) + 0.004 * random.normal())}
                    for label in labels
                },
            }
            for i, bucket in enumerate(names)
        }
        for name, names in buckets.items()
    }


def ablate() -> dict[str, Any]:
    """Seven variants of the paper, and six removals."""
    paper = {"p": 0.0935, "h": 0.1304, "v": 0.1403, "vh": 0.1448, "ph": 0.1372, "pv": 0.1494, "pvh": 0.1507}
    ours = {"p": 0.083, "h": 0.172, "v": 0.171, "vh": 0.178, "ph": 0.183, "pv": 0.181, "pvh": 0.1861}
    removed = {"no height 1": -0.0002, "no height 2": -0.0031, "no height 5": 0.0004}
    removed |= {"identity instead of relu": -0.0012, "no dropout": -0.0152, "T = 1 instead of 3": -0.0061}
    rows = [
        row(name, "neural", value, 40 + 90 * value, setting=name, group="paper variants")
        for name, value in ours.items()
    ]
    rows += [
        row(f"pvh, {name}", "neural", 0.1861 + loss, 55, setting=name, group="one part removed")
        for name, loss in removed.items()
    ]
    for one in rows:
        if one["label"] != "pvh":
            one["difference"] = difference(one["metrics"]["ndcg@10"]["value"] - 0.1861, "pvh", 0.0021)
    return {
        **COMMON,
        "kind": "ablate",
        "title": "Which parts of Caser carry it on MovieLens-1M",
        "command": "caser ablate ml-1m --protocol caser-paper",
        "verdicts": ["The horizontal filters and dropout carry the model; the vertical filters add nothing shown."],
        "advice": ["Leave the vertical filters out: 20 % less time for no loss that 6,040 users can show."],
        "rows": rows,
        "reference": {
            **{name: {"ndcg@10": value} for name, value in paper.items()},
            "source": "Tang & Wang 2018, table 4",
        },
    }


def sweep() -> dict[str, Any]:
    """L from 1 to 20."""
    lengths = list(range(1, 21))
    rows = [
        row(f"L = {L}", "neural", 0.106 - 0.04 * 0.55**L, 20 + 2.4 * L, L, setting=L, peak_memory_mb=180 + 9 * L)
        for L in lengths
    ]
    return {
        **COMMON,
        "kind": "sweep",
        "title": "How much history Caser needs on MovieLens-100K",
        "command": "caser sweep ml-100k --over L=1..20",
        "verdicts": ["L = 4 is enough: no longer window is better by more than 943 users can show."],
        "advice": ["Use L = 4: it trains in half the time of L = 20."],
        "rows": rows,
        "sweep": {"over": "L", "smallest_within_noise": 4, "best": 17},
    }


def sessions() -> dict[str, Any]:
    """Session-based against user-aware models."""
    rows = [
        row(f"{name}, {how}", kind, quality + gain, seconds, group=how)
        for how, gain in (("this session only", 0.0), ("earlier sessions too", 0.012), ("with user vector", 0.015))
        for name, kind, quality, seconds in MODELS[2:4] + MODELS[8:9] + MODELS[11:]
    ]
    for one in rows[1:]:
        one["difference"] = difference(one["metrics"]["ndcg@10"]["value"] - 0.081, rows[0]["label"])
    return {
        **COMMON,
        "kind": "sessions",
        "title": "Does it help to know who is there?",
        "command": "caser compare ml-1m --sessions 30m",
        "owner": "session",
        "verdicts": ["History from earlier sessions helps every model; a user vector adds nothing that is shown."],
        "advice": ["Give the model the earlier sessions, and leave the user vector out."],
        "rows": rows,
        "slices": slices([one["label"] for one in rows]),
    }


def reliability() -> dict[str, Any]:
    """Chances in four bins, and at three ranks."""

    def group(pairs: int, chance: float, share: float) -> dict[str, Any]:
        return {"pairs": pairs, "chance": chance, "hits": {"value": share, "low": 0.8 * share, "high": 1.2 * share}}

    return {
        **{key: COMMON[key] for key in ("date", "version", "log", "protocol", "part", "fingerprint", "notes", "owner")},
        "kind": "reliability",
        "title": "Chances of caser on ml-100k",
        "command": "caser evaluate runs/mine --reliability out",
        "verdicts": ["the chances hold as far as 943 users can show: expected calibration error 0.0021"],
        "bins": [group(5000, 0.01, 0.009), group(900, 0.04, 0.05), group(300, 0.1, 0.09), group(90, 0.4, 0.44)],
        "ranks": [group(943, 0.1, 0.11), group(943, 0.05, 0.04), group(943, 0.03, 0.03)],
    }


def audit() -> dict[str, Any]:
    """Five findings, with a table and charts of both kinds."""
    return {
        **{key: COMMON[key] for key in ("date", "version", "log", "protocol", "fingerprint", "notes")},
        "kind": "audit",
        "title": "What the log ml-100k can teach",
        "command": "caser audit ml-100k",
        "verdict": "Order matters a little in this log, but ties decide the test item of 44 % of the users.",
        "advice": [
            "Compare models on global-time.",
            "Keep count kNN as the bar to beat.",
            "Do not trust the last item.",
        ],
        "findings": [
            {
                "name": "order",
                "question": "Does order matter?",
                "sentence": "Shuffled histories cost Markov half of its quality, and Caser a tenth.",
                "severity": "good",
                "facts": {"markov, loss": 0.041, "caser, loss": 0.011, "interval": "0.004 to 0.018"},
                "table": None,
                "chart": {
                    "kind": "bars",
                    "x": ["markov", "count-knn", "caser"],
                    "series": [
                        {
                            "name": "true",
                            "y": [0.081, 0.098, 0.104],
                            "low": [0.07, 0.09, 0.097],
                            "high": [0.09, 0.1, 0.11],
                        },
                        {"name": "shuffled", "y": [0.04, 0.09, 0.093], "low": None, "high": None},
                    ],
                    "x_label": "model",
                    "y_label": "ndcg@10",
                },
            },
            {
                "name": "ties",
                "question": "Do ties decide the test item?",
                "sentence": "For 44.0 % of the users the last timestamp is shared by several interactions.",
                "severity": "warning",
                "facts": {"rows with a tie": 0.758, "users whose test item a tie decides": 415},
                "table": {
                    "columns": ["order of ties", "ndcg@10"],
                    "rows": [["file order", 0.098], ["reversed", 0.091]],
                },
                "chart": None,
            },
            {
                "name": "repeats",
                "question": "How far back do repeats come from?",
                "sentence": "Nobody takes an item twice.",
                "severity": "note",
                "facts": {"repeats": 0},
                "table": None,
                "chart": {
                    "kind": "lines",
                    "x": [1, 2, 5, 10, 20],
                    "series": [
                        {
                            "name": "this log",
                            "y": [0.4, 0.3, 0.2, 0.1, 0.05],
                            "low": [0.35, 0.25, 0.15, 0.05, 0.0],
                            "high": [0.45, 0.35, 0.25, 0.15, 0.1],
                        },
                        {"name": "by chance", "y": [0.1, 0.1, 0.1, 0.1, 0.1], "low": None, "high": None},
                    ],
                    "x_label": "steps back",
                    "y_label": "share of pairs",
                },
            },
        ],
    }


def network(title: str | None = "Toy Story (1995)") -> Artefact:
    """Caser with random parameters over forty items; the first one is called `title`."""
    config = Caser(L=5, d=20, n_v=4, n_h=8)
    random = np.random.default_rng(0)
    arrays = {name: random.normal(size=shape).astype(np.float32) for name, shape in config.shapes(3, 40).items()}
    return Artefact(
        config=config,
        scorer=config.scorer(arrays, 3, 40),
        users=Vocabulary(pl.Series(["ann", "bob", "eve"])),
        items=Vocabulary(pl.Series(range(100, 140))),
        titles=pl.Series([title, *(f"A film with the number {i} (19{50 + i})" for i in range(2, 41))]),
        histories=Tape.from_sequences([[1, *range(3, 21)], [1, *range(21, 40)], [1, 5, 7]], 40),
        manifest=dict(FACTS),
    )


def _history(quality: float, random: np.random.Generator) -> list[dict[str, Any]]:
    return [
        {
            "number": i,
            "loss": 6.0 * 0.93**i,
            "validation": quality * (1 - 0.75**i) + 0.001 * float(random.normal()),
            "seconds": 1.1,
        }
        for i in range(1, 19)
    ]


def _around(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.012, "high": value + 0.012}
