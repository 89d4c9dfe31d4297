"""Next-item recommendations from an interaction log: trained, judged honestly, explained.

The public names, loaded when first used, so that importing the library is quick and needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "BPRMF": "caser.models.factors.bpr_mf",
    "Caser": "caser.models.caser.caser",
    "CaserError": "caser.errors",
    "CountKNN": "caser.models.counting.count_knn",
    "EASE": "caser.models.counting.ease",
    "FPMC": "caser.models.factors.fpmc",
    "GRU4Rec": "caser.models.sessions.gru4rec",
    "InteractionLog": "caser.data.log",
    "LogFilters": "caser.data.filters",
    "Markov": "caser.models.counting.markov",
    "NextItNet": "caser.models.sessions.nextitnet",
    "Plan": "caser.study.engine",
    "Popularity": "caser.models.counting.popularity",
    "RecentPopularity": "caser.models.counting.popularity",
    "Recipe": "caser.study.recipes",
    "Recommender": "caser.answering.recommender",
    "SASRec": "caser.models.sessions.sasrec",
    "SessionKNN": "caser.models.counting.session_knn",
    "Training": "caser.config",
    "ablate": "caser.study.ablate",
    "audit": "caser.study.audit.audit",
    "auto": "caser.study.auto",
    "compare": "caser.study.compare",
    "compare_sessions": "caser.study.sessions",
    "d2l": "caser.data.split",
    "evaluate": "caser.fitting.evaluate",
    "fit": "caser.fitting.fit",
    "global_time": "caser.data.split",
    "leave_one_out": "caser.data.split",
    "load": "caser.answering.recommender",
    "load_dataset": "caser.data.datasets:load",
    "read_log": "caser.data.readers",
    "sessions": "caser.data.split",
    "split": "caser.evaluation.protocols:apply",
    "sweep": "caser.study.sweep",
    "user_fraction": "caser.data.split",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'caser' has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
