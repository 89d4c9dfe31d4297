"""Session-based models against user-aware ones, on MovieLens-1M and on yoochoose-clicks (an hour on two cores).

One seed, few epochs, and the same learning rate for both networks. MovieLens-1M is cut into sessions at pauses of an
hour, and every model is judged on the same targets. In yoochoose-clicks a user is a session, so models are compared
under the protocol `sessions`. The log yoochoose-clicks is not downloaded; it must be in the cache.
"""

from benchmarks._tables import STORE, publish, tell
from caser.data import datasets
from caser.evaluation import protocols
from caser.study.compare import compare
from caser.study.engine import Plan
from caser.study.sessions import compare_sessions

PLAN = Plan(store=STORE, seeds=(0,))
CLICKS = {"epochs": 40, "patience": 4, "batch_size": 512, "learning_rate": 3e-3}
SHORT = {"epochs": 6, "patience": 2, "learning_rate": 3e-3}
MODELS = ("popularity", "markov", "count-knn", "session-knn", "gru4rec", "caser")

if __name__ == "__main__":
    study = compare(
        protocols.apply("sessions", datasets.load("yoochoose-clicks")), MODELS, PLAN, training=CLICKS, tell=tell
    )
    publish("sessions_clicks", study, study.verdicts, benchmark="session_models")
    study = compare_sessions(datasets.load("ml-1m"), 3600.0, MODELS, PLAN, training=SHORT, tell=tell)
    publish("sessions_1m", study, study.verdicts, benchmark="session_models")
