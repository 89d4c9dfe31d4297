"""The types of the public names: what type checkers and editors read in place of `__init__.py`."""

from caser.answering.answers import Answer as Answer
from caser.answering.answers import Recommendations as Recommendations
from caser.answering.explain import Explanation as Explanation
from caser.answering.explain import explain as explain
from caser.answering.into_table import recommend_into_table as recommend_into_table
from caser.answering.patterns import Patterns as Patterns
from caser.answering.patterns import filters_fired as filters_fired
from caser.answering.recommender import Recommender as Recommender
from caser.answering.recommender import load as load
from caser.config import Loss as Loss
from caser.config import Training as Training
from caser.config import register_loss as register_loss
from caser.data.attribute_columns import ItemAttributes as ItemAttributes
from caser.data.cold_items import cold_items as cold_items
from caser.data.datasets import load as load_dataset
from caser.data.describe import describe as describe
from caser.data.filters import LogFilters as LogFilters
from caser.data.item_table import add_titles as add_titles
from caser.data.log import InteractionLog as InteractionLog
from caser.data.new_users import new_users as new_users
from caser.data.prepared.folder import open_prepared as open_prepared
from caser.data.prepared.prepare import prepare_log as prepare_log
from caser.data.random_split import random_split as random_split
from caser.data.readers import Reading as Reading
from caser.data.readers import read_log as read_log
from caser.data.split import Split as Split
from caser.data.split import d2l as d2l
from caser.data.split import global_time as global_time
from caser.data.split import leave_one_out as leave_one_out
from caser.data.split import sessions as sessions
from caser.data.split import user_fraction as user_fraction
from caser.data.synthetic import chain_world as chain_world
from caser.data.synthetic import skip_world as skip_world
from caser.data.synthetic import union_world as union_world
from caser.data.time_windows import time_windows as time_windows
from caser.data.user_sessions import user_sessions as user_sessions
from caser.errors import ArtefactError as ArtefactError
from caser.errors import BusyError as BusyError
from caser.errors import CaserError as CaserError
from caser.errors import ConfigError as ConfigError
from caser.errors import DataError as DataError
from caser.errors import DownloadError as DownloadError
from caser.errors import HeldBackError as HeldBackError
from caser.errors import MissingDependencyError as MissingDependencyError
from caser.errors import NumericalError as NumericalError
from caser.errors import StoreError as StoreError
from caser.errors import UnknownIdError as UnknownIdError
from caser.errors import WorkerError as WorkerError
from caser.evaluation.fingerprint import refuse_mixed as refuse_mixed
from caser.evaluation.judge import counting_baselines as counting_baselines
from caser.evaluation.judge import rank as rank
from caser.evaluation.metrics import MetricDefinition as MetricDefinition
from caser.evaluation.metrics import register_metric as register_metric
from caser.evaluation.protocol import Protocol as Protocol
from caser.evaluation.protocols import apply as split
from caser.evaluation.reliability import Reliability as Reliability
from caser.evaluation.report import Report as Report
from caser.exported.scorer import through_onnx as through_onnx
from caser.exported.write import write_onnx as write_onnx
from caser.fitting.evaluate import evaluate as evaluate
from caser.fitting.evaluate import reliability as reliability
from caser.fitting.fit import fit as fit
from caser.fitting.workers import in_workers as in_workers
from caser.models import register_model as register_model
from caser.models.blend import Blend as Blend
from caser.models.caser.caser import Caser as Caser
from caser.models.counting.count_knn import CountKNN as CountKNN
from caser.models.counting.ease import EASE as EASE
from caser.models.counting.markov import Markov as Markov
from caser.models.counting.popularity import Popularity as Popularity
from caser.models.counting.popularity import RecentPopularity as RecentPopularity
from caser.models.counting.session_knn import SessionKNN as SessionKNN
from caser.models.factors.bpr_mf import BPRMF as BPRMF
from caser.models.factors.fpmc import FPMC as FPMC
from caser.models.sessions.esasrec import ESASRec as ESASRec
from caser.models.sessions.gru4rec import GRU4Rec as GRU4Rec
from caser.models.sessions.nextitnet import NextItNet as NextItNet
from caser.models.sessions.sasrec import SASRec as SASRec
from caser.models.settings import CountingSettings as CountingSettings
from caser.models.settings import NetworkSettings as NetworkSettings
from caser.study.ablate import ablate as ablate
from caser.study.audit.audit import Audit as Audit
from caser.study.audit.audit import audit as audit
from caser.study.auto import auto as auto
from caser.study.backtest import Backtest as Backtest
from caser.study.backtest import backtest as backtest
from caser.study.best import Winner as Winner
from caser.study.best import best as best
from caser.study.compare import compare as compare
from caser.study.engine import Plan as Plan
from caser.study.promotion import Promotion as Promotion
from caser.study.promotion import PromotionLimits as PromotionLimits
from caser.study.promotion import promotion as promotion
from caser.study.recipes import Recipe as Recipe
from caser.study.refitting import refit as refit
from caser.study.sessions import compare_sessions as compare_sessions
from caser.study.study import Study as Study
from caser.study.sweep import sweep as sweep
from caser.study.updating import update as update

__version__: str
_HOME: dict[str, str]

__all__ = [  # noqa: RUF022 (sorted as `sorted` does)
    "Answer",
    "ArtefactError",
    "Audit",
    "BPRMF",
    "Backtest",
    "Blend",
    "BusyError",
    "Caser",
    "CaserError",
    "ConfigError",
    "CountKNN",
    "CountingSettings",
    "DataError",
    "DownloadError",
    "EASE",
    "ESASRec",
    "Explanation",
    "FPMC",
    "GRU4Rec",
    "HeldBackError",
    "InteractionLog",
    "ItemAttributes",
    "LogFilters",
    "Loss",
    "Markov",
    "MetricDefinition",
    "MissingDependencyError",
    "NetworkSettings",
    "NextItNet",
    "NumericalError",
    "Patterns",
    "Plan",
    "Popularity",
    "Promotion",
    "PromotionLimits",
    "Protocol",
    "Reading",
    "RecentPopularity",
    "Recipe",
    "Recommendations",
    "Recommender",
    "Reliability",
    "Report",
    "SASRec",
    "SessionKNN",
    "Split",
    "StoreError",
    "Study",
    "Training",
    "UnknownIdError",
    "Winner",
    "WorkerError",
    "ablate",
    "add_titles",
    "audit",
    "auto",
    "backtest",
    "best",
    "chain_world",
    "cold_items",
    "compare",
    "compare_sessions",
    "counting_baselines",
    "d2l",
    "describe",
    "evaluate",
    "explain",
    "filters_fired",
    "fit",
    "global_time",
    "in_workers",
    "leave_one_out",
    "load",
    "load_dataset",
    "new_users",
    "open_prepared",
    "prepare_log",
    "promotion",
    "random_split",
    "rank",
    "read_log",
    "recommend_into_table",
    "refit",
    "refuse_mixed",
    "register_loss",
    "register_metric",
    "register_model",
    "reliability",
    "sessions",
    "skip_world",
    "split",
    "sweep",
    "through_onnx",
    "time_windows",
    "union_world",
    "update",
    "user_fraction",
    "user_sessions",
    "write_onnx",
]
