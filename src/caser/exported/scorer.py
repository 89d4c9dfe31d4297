"""Answer from an exported file through ONNX Runtime: a run as it is, but for the network. Needs onnxruntime, no torch.

Raw ids, stored histories and item vectors come from the run; the file must have been exported from it.

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
from caser.errors import ArtefactError, MissingDependencyError
from caser.exported.read import read_onnx, states_alone, weights_digest
from caser.models.base import Arrays, StateScorer

_MOST_CELLS = 2**21
"""Cells of an (X, X) table per query that are held at once."""


def through_onnx(recommender: Recommender, path: str | Path, threads: int = 1) -> Recommender:
    """The recommender, answering through the file `path` that was exported from its run.

    threads  how many one answer may use; answers to several callers run beside one another anyway

    Raises ArtefactError for a file that `read_onnx` refuses, and for that of another run.
    """
    artefact = recommender.artefact
    exported = read_onnx(path)
    scorer = artefact.scorer
    if not isinstance(scorer, StateScorer) or exported.facts.get("weights_sha256") != weights_digest(scorer.arrays()):
        raise ArtefactError(f"{path} must have been exported from this run; its weights are others. Export it again.")
    return Recommender(replace(artefact, scorer=OnnxScorer(scorer, exported.content, path, threads)))


def session(content: bytes, path: str | Path, threads: int = 1) -> Any:
    """A runtime for the checked bytes of the file `path`. Raises ArtefactError if they are no graph that runs."""
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what is wrong is raised, and need not be printed too
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own classes are not public
        said = str(error).partition("\n")[0][:200]
        raise ArtefactError(f"{path} must be a graph that runs; onnxruntime says: {said}. Export it again.") from None


def _onnxruntime() -> Any:
    try:
        return import_module("onnxruntime")
    except ImportError:
        raise MissingDependencyError(
            "answering from an ONNX file needs onnxruntime, which is not installed. Run: pip install 'caser[serve]'"
        ) from None


class OnnxScorer:
    """A StateScorer whose states ONNX Runtime computes; all else is that of `twin`, the same network in NumPy.

    `content` are the checked bytes of the file `path`.
    """

    def __init__(self, twin: StateScorer, content: bytes, path: str | Path, threads: int = 1) -> None:
        self.history_length = twin.history_length
        self.user_columns = twin.user_columns
        self._twin, self._length = twin, twin.history_length or 1
        self._session = session(states_alone(content), path, threads)

    def arrays(self) -> Arrays:
        """The parameters by name."""
        return self._twin.arrays()

    def item_vectors(self) -> tuple[Scores, Scores]:
        """Vectors (I, D) and biases (I,)."""
        return self._twin.item_vectors()

    def user_vectors(self) -> Scores | None:
        """(U, E), row 0 for anonymous users; None without user vectors."""
        return self._twin.user_vectors()

    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """(B, D); `users_B` are indices, or float user vectors (B, E), which then stand in the user's columns."""
        if users_B.ndim == 1:
            return self._states(users_B, histories_BH)
        states_BD = self._states(np.zeros(len(users_B)), histories_BH)
        if self.user_columns is not None:
            states_BD[:, self.user_columns] = users_B
        return states_BD

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Scores, state . vector + bias, for every item: (B, I)."""
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
