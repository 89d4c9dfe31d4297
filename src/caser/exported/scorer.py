"""Answer from an exported file through ONNX Runtime. Needs onnxruntime, and no torch.

ONNX Runtime computes only the states. Raw ids, stored histories and item vectors come from the run, and the file must
have been exported from this run.

Shape suffixes: B queries, H history length, X items that are read, I catalogue + padding, D state width, E width of
user vectors.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caser.answering.recommender import Recommender
from caser.arrays.ragged import last_items
from caser.arrays.types import Int32, Scores
from caser.errors import ArtefactError
from caser.exported.read import read_onnx, states_alone, weights_digest
from caser.models.base import Arrays, StateScorer
from caser.system.extras import require
from caser.system.kinds import must_be

_MOST_CELLS = 2**21
"""Most cells of (X, X) tables, one per query, that are held at once."""


def through_onnx(recommender: Recommender, path: str | Path, threads: int = 1) -> Recommender:
    """Return a recommender that answers through a file that was exported from its run.

    recommender  a recommender of a loaded run of a network
    path         the exported file
    threads      the number of threads for one answer; several answers run at the same time in any case

    Raises ArtefactError for a file that `read_onnx` refuses and for a file of another run, ConfigError for what is no
    recommender, and MissingDependencyError without onnxruntime.
    """
    must_be("recommender", recommender, Recommender, "a recommender, which caser.fit and caser.load return")
    artefact = recommender.artefact
    exported = read_onnx(path)
    scorer = artefact.scorer
    if not isinstance(scorer, StateScorer) or exported.facts.get("weights_sha256") != weights_digest(scorer.arrays()):
        raise ArtefactError(f"{path} must have been exported from this run; its weights differ. Export it again.")
    return Recommender(replace(artefact, scorer=OnnxScorer(scorer, exported.content, path, threads)))


def session(content: bytes, path: str | Path, threads: int = 1) -> Any:
    """Return an ONNX Runtime session for an exported file.

    content  the checked bytes of the file
    path     the file, for messages
    threads  the number of threads for one answer

    Raises ArtefactError if the bytes are not a graph that runs, and MissingDependencyError without onnxruntime.
    """
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # an error is raised, so it need not be printed too
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the classes of the runtime's errors are not public
        message = str(error).partition("\n")[0][:200]
        raise ArtefactError(
            f"{path} must be a graph that runs; onnxruntime says: {message}. Export it again."
        ) from None


def _onnxruntime() -> Any:
    require("serve", "answering from an ONNX file", module="onnxruntime")
    return import_module("onnxruntime")


class OnnxScorer:
    """A StateScorer whose states ONNX Runtime computes; everything else comes from the same network in NumPy."""

    def __init__(self, numpy_scorer: StateScorer, content: bytes, path: str | Path, threads: int = 1) -> None:
        """Start a session.

        numpy_scorer  the scorer of the run that the file was exported from
        content       the checked bytes of the file
        path          the file, for messages
        threads       the number of threads for one answer

        Raises ArtefactError if the bytes are not a graph that runs, and MissingDependencyError without onnxruntime.
        """
        self.history_length = numpy_scorer.history_length
        self.user_columns = numpy_scorer.user_columns
        self._numpy_scorer, self._length = numpy_scorer, numpy_scorer.history_length or 1
        self._session = session(states_alone(content), path, threads)

    def arrays(self) -> Arrays:
        """Return the parameters by name."""
        return self._numpy_scorer.arrays()

    def item_vectors(self) -> tuple[Scores, Scores]:
        """Return the item vectors (I, D) and the biases (I,), float32, row 0 for padding."""
        return self._numpy_scorer.item_vectors()

    def user_vectors(self) -> Scores | None:
        """Return the user vectors (U, E), float32, row 0 for anonymous users; None without user vectors."""
        return self._numpy_scorer.user_vectors()

    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """Return the states, (B, D) float32.

        users_B       (B,) int32, user indices; or (B, E) floats, user vectors
        histories_BH  (B, H) int32, item indices, oldest first, left-padded with 0
        """
        if users_B.ndim == 1:
            return self._states(users_B, histories_BH)
        # The graph takes indices only, so a given vector replaces the user's columns of the state.
        states_BD = self._states(np.zeros(len(users_B)), histories_BH)
        if self.user_columns is not None:
            states_BD[:, self.user_columns] = users_B
        return states_BD

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Return the score of every item, state . vector + bias, (B, I) float32.

        users_B       (B,) int32, user indices
        histories_BH  (B, H) int32, item indices, oldest first, left-padded with 0
        """
        vectors_ID, bias_I = self.item_vectors()
        return self.states(users_B, histories_BH) @ vectors_ID.T + bias_I

    def _states(self, users_B: NDArray[Any], histories_BH: Int32) -> Scores:
        """States of users by index, block by block."""
        read_BX = last_items(histories_BH, self._length).astype(np.int32, copy=False)
        users_B = users_B.astype(np.int32, copy=False)
        size = max(1, _MOST_CELLS // read_BX.shape[1] ** 2)
        blocks = []
        for start in range(0, len(read_BX), size):
            rows = slice(start, start + size)
            feed = {"users": users_B[rows], "histories": read_BX[rows]}
            blocks.append(self._session.run(["states"], feed)[0])
        return np.concatenate(blocks) if blocks else np.zeros((0, self.item_vectors()[0].shape[1]), dtype=np.float32)
