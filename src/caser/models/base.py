"""The two interfaces every model has.

A Scorer can be ranked, saved and asked. A SequenceEncoder is a network whose every score is `state . vector + bias`;
`neural.py` makes a Scorer of it. Counting models are Scorers at once.

Shape suffixes: B batch, C chunks, W windows per chunk, X tape positions per chunk (W + window - 1), H history length,
I catalogue + padding (column 0), D state width, U users, E embedding width, M wanted states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from numpy.typing import NDArray

from caser.arrays.types import Int32, Scores
from caser.data.tape import Tape
from caser.errors import ArtefactError

if TYPE_CHECKING:
    import torch

Arrays = Mapping[str, NDArray[Any]]
"""A model's parameters by name: what the artefact keeps, and what `scorer` of its settings answers from."""

Rows: TypeAlias = "tuple[torch.Tensor, torch.Tensor]"
"""States that are wanted: their chunks (M,) and their places in them (M,), both int64."""


@runtime_checkable
class Scorer(Protocol):
    """Everything that can be ranked."""

    history_length: int | None
    """How many last items of a history it reads; None reads all."""

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Score every item for every query: (B, I), higher is better, column 0 (padding) meaningless.

        `users_B` are user indices, 0 for anonymous; `histories_BH` item indices, left-padded with 0.
        """

    def arrays(self) -> Arrays:
        """The fitted parameters, by name: what `scorer` of the model's settings takes."""


def chosen(states_CWD: torch.Tensor, rows: Rows | None) -> torch.Tensor:
    """The states of `rows`, (M, D), or all as they are."""
    return states_CWD if rows is None else states_CWD[rows]


def check_shapes(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ArtefactError unless `arrays` are float32 parameters of exactly these names and shapes."""
    for name in sorted({*arrays, *shapes}):
        got = f"{arrays[name].dtype} {arrays[name].shape}" if name in arrays else "none"
        must = f"float32 {shapes[name]}" if name in shapes else "none"
        if got != must:
            raise ArtefactError(f"parameter {name} must be {must}; got {got}. Train again.")


@runtime_checkable
class CountingModel(Scorer, Protocol):
    """A Scorer that fits by counting, without a training loop."""

    def fit(self, tape: Tape) -> None:
        """Count. Called once, with the part to train on."""


@runtime_checkable
class StateScorer(Scorer, Protocol):
    """A Scorer whose scores are `state . vector + bias`: what fold-in, explanation and approximate search need."""

    user_columns: slice | None
    """The columns of a state that are the user vector; None if the model has no user vector."""

    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """(B, D); `users_B` are indices, or float user vectors (B, E)."""

    def item_vectors(self) -> tuple[Scores, Scores]:
        """Vectors (I, D) and biases (I,), row 0 being padding."""

    def user_vectors(self) -> Scores | None:
        """(U + 1, E), row 0 the anonymous user's; None if the model has no user vector."""


class SequenceEncoder(Protocol):
    """A network over the tape; in code, an `nn.Module` with the members of the first half."""

    window: int
    """How many tape positions one state reads of itself: L for windowed models, 1 for causal ones."""
    max_length: int | None
    """None for windowed models. In a causal one a state reads all of its chunk up to itself, at most this many items;
    zeros on the left of a chunk change nothing."""
    dropout_generator: torch.Generator | None
    """Where random layers draw from in training; the loop hands a new one to each epoch."""

    def encode(self, users_CW: torch.Tensor, tape_CX: torch.Tensor, rows: Rows | None = None) -> torch.Tensor:
        """States (C, W, D), or those of `rows` alone (M, D); `users_CW` indices, or vectors (C, W, E).

        State w reads tape_CX[:, w : w + window] in a windowed model, tape_CX[:, : w + 1] in a causal one: it equals the
        last state of `encode(users_CW, tape_CX[:, : w + 1])`.
        """

    def item_vectors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors (I, D) and biases (I,), row 0 being padding."""

    def user_vectors(self) -> torch.Tensor | None:
        """(U, E), row 0 the anonymous user's; None if the model has no user vector."""

    @property
    def user_columns(self) -> slice | None:
        """The columns of a state that are the user vector."""

    @property
    def item_tables(self) -> tuple[str, ...]:
        """Names of the parameters with one row per item, row 0 being padding; some may not exist."""

    @property
    def user_tables(self) -> tuple[str, ...]:
        """Names of the parameters with one row per user; some may not exist."""

    # What every nn.Module has.
    training: bool

    def train(self, mode: bool = True) -> Any: ...  # noqa: D102
    def parameters(self) -> Iterator[torch.nn.Parameter]: ...  # noqa: D102
    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]: ...  # noqa: D102
    def state_dict(self) -> dict[str, Any]: ...  # noqa: D102
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...  # noqa: D102
    def to(self, device: torch.device) -> Any: ...  # noqa: D102
