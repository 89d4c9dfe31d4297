"""Next-item recommendations from an interaction log: trained, judged honestly, explained.

The public names, each loaded when it is first used: importing the library is quick and needs no torch. Their types
are in `__init__.pyi`, which must name the same. The import asks the threads of torch to sleep while they wait.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from caser.system.idle_threads import let_idle_threads_sleep as _let_idle_threads_sleep

__version__ = "0.1.0"

# Public name -> "module", or "module:name" where it has another name there.
_HOME = {
    "Answer": "caser.answering.answers",
    "ArtefactError": "caser.errors",
    "Audit": "caser.study.audit.audit",
    "BPRMF": "caser.models.factors.bpr_mf",
    "Backtest": "caser.study.backtest",
    "Blend": "caser.models.blend",
    "BusyError": "caser.errors",
    "Caser": "caser.models.caser.caser",
    "CaserError": "caser.errors",
    "ConfigError": "caser.errors",
    "CountKNN": "caser.models.counting.count_knn",
    "CountingSettings": "caser.models.settings",
    "DataError": "caser.errors",
    "DownloadError": "caser.errors",
    "EASE": "caser.models.counting.ease",
    "ESASRec": "caser.models.sessions.esasrec",
    "Explanation": "caser.answering.explain",
    "FPMC": "caser.models.factors.fpmc",
    "GRU4Rec": "caser.models.sessions.gru4rec",
    "HeldBackError": "caser.errors",
    "InteractionLog": "caser.data.log",
    "ItemAttributes": "caser.data.attribute_columns",
    "LogFilters": "caser.data.filters",
    "Loss": "caser.config",
    "Markov": "caser.models.counting.markov",
    "MetricDefinition": "caser.evaluation.metrics",
    "MissingDependencyError": "caser.errors",
    "NetworkSettings": "caser.models.settings",
    "NextItNet": "caser.models.sessions.nextitnet",
    "NumericalError": "caser.errors",
    "Patterns": "caser.answering.patterns",
    "Plan": "caser.study.engine",
    "Popularity": "caser.models.counting.popularity",
    "Promotion": "caser.study.promotion",
    "PromotionLimits": "caser.study.promotion",
    "Protocol": "caser.evaluation.protocol",
    "Reading": "caser.data.readers",
    "RecentPopularity": "caser.models.counting.popularity",
    "Recipe": "caser.study.recipes",
    "Recommendations": "caser.answering.answers",
    "Recommender": "caser.answering.recommender",
    "Reliability": "caser.evaluation.reliability",
    "Report": "caser.evaluation.report",
    "SASRec": "caser.models.sessions.sasrec",
    "SessionKNN": "caser.models.counting.session_knn",
    "Split": "caser.data.split",
    "StoreError": "caser.errors",
    "Study": "caser.study.study",
    "Training": "caser.config",
    "UnknownIdError": "caser.errors",
    "Winner": "caser.study.best",
    "WorkerError": "caser.errors",
    "ablate": "caser.study.ablate",
    "add_titles": "caser.data.item_table",
    "audit": "caser.study.audit.audit",
    "auto": "caser.study.auto",
    "backtest": "caser.study.backtest",
    "best": "caser.study.best",
    "chain_world": "caser.data.synthetic",
    "cold_items": "caser.data.cold_items",
    "compare": "caser.study.compare",
    "compare_sessions": "caser.study.sessions",
    "counting_baselines": "caser.evaluation.judge",
    "d2l": "caser.data.split",
    "describe": "caser.data.describe",
    "evaluate": "caser.fitting.evaluate",
    "explain": "caser.answering.explain",
    "filters_fired": "caser.answering.patterns",
    "fit": "caser.fitting.fit",
    "global_time": "caser.data.split",
    "in_workers": "caser.fitting.workers",
    "leave_one_out": "caser.data.split",
    "load": "caser.answering.recommender",
    "load_dataset": "caser.data.datasets:load",
    "new_users": "caser.data.new_users",
    "open_prepared": "caser.data.prepared.folder",
    "prepare_log": "caser.data.prepared.prepare",
    "promotion": "caser.study.promotion",
    "random_split": "caser.data.random_split",
    "rank": "caser.evaluation.judge",
    "read_log": "caser.data.readers",
    "recommend_into_table": "caser.answering.into_table",
    "refit": "caser.study.refitting",
    "refuse_mixed": "caser.evaluation.fingerprint",
    "register_loss": "caser.config",
    "register_metric": "caser.evaluation.metrics",
    "register_model": "caser.models",
    "reliability": "caser.fitting.evaluate",
    "sessions": "caser.data.split",
    "skip_world": "caser.data.synthetic",
    "split": "caser.evaluation.protocols:apply",
    "sweep": "caser.study.sweep",
    "through_onnx": "caser.exported.scorer",
    "time_windows": "caser.data.time_windows",
    "union_world": "caser.data.synthetic",
    "update": "caser.study.updating",
    "user_fraction": "caser.data.split",
    "user_sessions": "caser.data.user_sessions",
    "write_onnx": "caser.exported.write",
}

__all__ = sorted(_HOME)

_let_idle_threads_sleep()


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'caser' has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
