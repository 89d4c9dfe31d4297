"""The interfaces of a model. Read this file first.

    Scorer            scores every item for every query; ranking and saving need no more
      CountingModel   a Scorer that `fit` fills by counting
      SparseScorer    a Scorer whose scores are the product of two sparse matrices
      StateScorer     a Scorer whose scores are `state . vector + bias`
    SequenceEncoder   the network that training changes; `NeuralScorer` in `neural.py` turns it into a StateScorer

Each model has a settings class (`settings.py`). It builds the CountingModel or the SequenceEncoder, and it makes a
Scorer from saved parameters. Users and items are indices from 1: item 0 is padding, user 0 is the anonymous user.

Shape suffixes: B queries, C chunks, W windows per chunk, X tape positions per chunk (W + window - 1), H history length,
I catalogue + padding (column 0), D state width, U users + the anonymous one, E width of user vectors, M wanted states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias, runtime_checkable

from numpy.typing import NDArray

from caser.arrays.types import Int32, Scores
from caser.data.tape import Tape
from caser.errors import ArtefactError

if TYPE_CHECKING:
    import torch
    from scipy import sparse

Arrays = Mapping[str, NDArray[Any]]
"""The fitted parameters of a model by name. A saved run holds them. `ModelSettings.scorer` makes a Scorer of them."""

Rows: TypeAlias = "tuple[torch.Tensor, torch.Tensor]"
"""Which states of a batch are wanted: for each one its chunk, (M,) int64, and its place in the chunk, (M,) int64."""


@runtime_checkable
class Scorer(Protocol):
    """A fitted model that scores every item for every query."""

    history_length: int | None
    """How many of the last items of a history the model reads; None if it reads all."""

    def scores(self, users_B: Int32, histories_BH: Int32) -> Scores:
        """Score every item for every query.

        users_B       (B,) int32, the user of each query; 0 is the anonymous user
        histories_BH  (B, H) int32, the items of each history, the last item on the right, padded with 0 on the left

        Returns floats (B, I). A higher score is better. Column 0 (padding) has no meaning. Zeros on the left of a
        history change nothing.
        """

    def arrays(self) -> Arrays:
        """Return the fitted parameters by name. `ModelSettings.scorer` takes them."""


@runtime_checkable
class CountingModel(Scorer, Protocol):
    """A Scorer that is fitted by counting, without a training loop."""

    def fit(self, tape: Tape) -> None:
        """Fit the model. Called once.

        tape  the part to train on
        """


@runtime_checkable
class SparseScorer(Scorer, Protocol):
    """A Scorer whose scores are the product of two sparse matrices; most of them are 0, and none is negative.

    Many queries are answered faster from the matrices, because scores that are 0 are not computed.
    """

    def factors(self, users_B: Int32, histories_BH: Int32) -> tuple[sparse.csr_array, sparse.csr_array]:
        """Return sparse matrices (B, M) float64 and (M, I) floats whose product is `scores`.

        users_B       (B,) int32, as in `scores`
        histories_BH  (B, H) int32, as in `scores`
        """


@runtime_checkable
class StateScorer(Scorer, Protocol):
    """A Scorer whose scores are `state . vector + bias`. Fold-in, explanation and approximate search need one."""

    user_columns: slice | None
    """The columns of a state that hold the user vector; None if the model has no user vectors."""

    def states(self, users_B: Int32 | Scores, histories_BH: Int32) -> Scores:
        """Compute the state of every query.

        users_B       (B,) int32, the user of each query; or (B, E) floats, a user vector for each query
        histories_BH  (B, H) int32, as in `scores`

        Returns floats (B, D).
        """

    def item_vectors(self) -> tuple[Scores, Scores]:
        """Return the vectors (I, D) and the biases (I,) of the items, as floats. Row 0 is padding."""

    def user_vectors(self) -> Scores | None:
        """Return the user vectors (U, E) as floats, row 0 for the anonymous user; None if the model has none."""


class SequenceEncoder(Protocol):
    """A network that makes states from a tape: an `nn.Module` with these members."""

    window: int
    """How many tape positions one state reads: L for windowed models, 1 for causal ones."""
    max_length: int | None
    """None for a windowed model. In a causal model a state reads its whole chunk up to itself, at most this many items;
    zeros on the left of a chunk change nothing."""
    dropout_generator: torch.Generator | None
    """The source of randomness of dropout. The training loop sets a new one in each epoch."""

    def encode(self, users_CW: torch.Tensor, tape_CX: torch.Tensor, rows: Rows | None = None) -> torch.Tensor:
        """Compute the states of a batch.

        users_CW  (C, W) integers, the user of each state; or (C, W, E) floats, a user vector for each state
        tape_CX   (C, X) integers, the items at neighbouring tape positions, 0 where there is none
        rows      which states are wanted; all by default

        Returns floats (C, W, D), or (M, D) for `rows`. State w of a windowed model reads tape_CX[:, w : w + window].
        State w of a causal model reads tape_CX[:, : w + 1]: it equals the last state of
        `encode(users_CW[:, : w + 1], tape_CX[:, : w + 1])`.
        """

    def item_vectors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the vectors (I, D) and the biases (I,) of the items, as floats. Row 0 is padding."""

    def user_vectors(self) -> torch.Tensor | None:
        """Return the user vectors (U, E) as floats, row 0 for the anonymous user; None if the model has none."""

    @property
    def user_columns(self) -> slice | None:
        """The columns of a state that hold the user vector; None if the model has no user vectors."""

    @property
    def item_tables(self) -> tuple[str, ...]:
        """Names of the parameters with one row per item, row 0 for padding. The network may lack some of them."""

    @property
    def user_tables(self) -> tuple[str, ...]:
        """Names of the parameters with one row per user. The network may lack some of them."""

    # The members below are those of every nn.Module.
    training: bool

    def train(self, mode: bool = True) -> Self: ...  # noqa: D102
    def parameters(self) -> Iterator[torch.nn.Parameter]: ...  # noqa: D102
    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]: ...  # noqa: D102
    def state_dict(self) -> dict[str, torch.Tensor]: ...  # noqa: D102
    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor]) -> object: ...  # noqa: D102
    def to(self, device: torch.device) -> Self: ...  # noqa: D102


def select_states(states_CWD: torch.Tensor, rows: Rows | None) -> torch.Tensor:
    """Select the wanted states of a batch. Most `encode` methods end with it.

    states_CWD  (C, W, D), all states
    rows        which states are wanted; None for all

    Returns (M, D) for `rows`, and otherwise the states as they are.
    """
    return states_CWD if rows is None else states_CWD[rows]


def check_shapes(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check the parameters of a saved model.

    arrays  the parameters by name
    shapes  the shape that each parameter must have, by name

    Raises ArtefactError unless `arrays` are float32 parameters with exactly these names and shapes.
    """
    for name in sorted({*arrays, *shapes}):
        got = f"{arrays[name].dtype} {arrays[name].shape}" if name in arrays else "none"
        must = f"float32 {shapes[name]}" if name in shapes else "none"
        if got != must:
            raise ArtefactError(f"parameter {name} must be {must}; got {got}. Train again.")
