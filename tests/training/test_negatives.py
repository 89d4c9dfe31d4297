"""Negatives: which items are drawn, how often, and which are masked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from caser.data.tape import Tape
from caser.system.randomness import torch_generator
from caser.training.negatives import NegativeSampler, SeenItems

# Items 1..5 occur 8, 4, 2, 1 and 0 times.
TAPE = Tape.from_sequences([[1] * 8 + [2], [2] * 3, [3, 4, 3], []], num_items=5)
DRAWS = 20_000


def draws(exponent: float) -> list[int]:
    """How often each item, padding first, was drawn."""
    drawn = NegativeSampler(TAPE.item_counts, exponent=exponent).draw(
        (DRAWS // 10, 10), torch_generator(0, "negatives")
    )
    assert drawn.shape == (DRAWS // 10, 10)
    counts: list[int] = np.bincount(drawn.flatten().numpy(), minlength=6).tolist()
    return counts


def test_uniform_draws_give_every_item_equally_often_and_never_padding() -> None:
    padding, *items = draws(exponent=0)
    assert padding == 0
    assert stats.chisquare(items).pvalue > 0.001


@pytest.mark.parametrize("exponent", [0.5, 0.75, 1.0])
def test_draws_follow_popularity_to_the_exponent(exponent: float) -> None:
    padding, *items = draws(exponent)
    weights = np.array([8.0, 4.0, 2.0, 1.0, 1.0]) ** exponent  # the last one was never taken, and counts as one
    assert padding == 0
    assert stats.chisquare(items, DRAWS * weights / weights.sum()).pvalue > 0.001


@pytest.mark.parametrize(
    ("exponent", "probabilities"),
    [(0, [0.2] * 5), (1, [8 / 16, 4 / 16, 2 / 16, 1 / 16, 1 / 16])],
    ids=["uniform", "popular"],
)
def test_log_probability_gives_the_probability_of_a_draw(exponent: float, probabilities: list[float]) -> None:
    sampler = NegativeSampler(TAPE.item_counts, exponent=exponent)
    assert sampler.log_probability(torch.arange(1, 6)).exp().tolist() == pytest.approx(probabilities)


def test_the_smallest_and_the_largest_random_number_give_an_item_that_can_be_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tape = Tape.from_sequences([[2, 3]], num_items=4)
    sampler = NegativeSampler(tape.item_counts, exponent=1)
    extremes = torch.tensor([0.0, np.nextafter(1.0, 0.0)], dtype=torch.float64)
    monkeypatch.setattr(torch, "rand", lambda *shape, **options: extremes)
    assert sampler.draw((2,), torch_generator(0, "negatives")).tolist() == [1, 4]


def test_the_batch_shares_one_set_of_negatives_or_each_state_has_its_own() -> None:
    users, targets = torch.tensor([1, 2, 3], dtype=torch.int32), torch.tensor([[1, 2], [3, 0], [4, 5]])
    sampler = NegativeSampler(TAPE.item_counts)
    items, masked = sampler.draw_for(users, targets, 7, torch_generator(0, "negatives"), shared=False)
    assert (items.shape, masked.shape) == ((3, 7), (3, 7))
    items, masked = sampler.draw_for(users, targets, 7, torch_generator(0, "negatives"), shared=True)
    assert (items.shape, masked.shape) == ((7,), (3, 7))


@pytest.mark.parametrize("shared", [False, True])
def test_exactly_the_draws_that_are_targets_of_their_state_are_masked(shared: bool) -> None:
    users = torch.tensor([1, 2, 3], dtype=torch.int32)
    targets = torch.tensor([[1, 2], [3, 0], [4, 5]])
    items, masked = NegativeSampler(TAPE.item_counts).draw_for(
        users, targets, 40, torch_generator(0, "negatives"), shared=shared
    )
    rows = items.expand(3, 40).tolist()
    assert masked.tolist() == [[item in own for item in row] for row, own in zip(rows, targets.tolist(), strict=True)]
    assert masked.any()
    assert not masked.all()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("exponent", [0, 1])
def test_no_draw_that_counts_is_an_item_the_user_has(shared: bool, exponent: float) -> None:
    sampler = NegativeSampler(TAPE.item_counts, exponent=exponent)
    users = torch.tensor([1, 2, 3, 4] * 25, dtype=torch.int32)
    targets = torch.full((100, 1), 5)
    items, masked = sampler.draw_for(
        users, targets, 6, torch_generator(0, "negatives"), shared=shared, seen=SeenItems(TAPE)
    )
    for user, row, ignored in zip(users.tolist(), items.expand(100, 6).tolist(), masked.tolist(), strict=True):
        have = set(TAPE.sequence(user).tolist())
        assert not {item for item, skip in zip(row, ignored, strict=True) if not skip} & have


def test_seen_items_are_drawn_again() -> None:
    users, targets = torch.full((200,), 1, dtype=torch.int32), torch.full((200, 1), 5)
    generator = torch_generator(0, "negatives")
    sampler = NegativeSampler(TAPE.item_counts)
    _, masked = sampler.draw_for(users, targets, 10, generator, shared=False, seen=SeenItems(TAPE))
    # User 1 has two of five items; what is masked is almost only the target, a third of the three left.
    assert masked.double().mean().item() == pytest.approx(1 / 3, abs=0.03)


def test_all_negatives_of_a_user_with_every_item_are_masked() -> None:
    tape = Tape.from_sequences([[1, 2, 3]], num_items=3)
    sampler = NegativeSampler(tape.item_counts)
    users, targets = torch.tensor([1], dtype=torch.int32), torch.tensor([[2]])
    _, masked = sampler.draw_for(users, targets, 9, torch_generator(0, "negatives"), shared=False, seen=SeenItems(tape))
    assert masked.all()


def test_the_same_stream_draws_the_same_items() -> None:
    sampler = NegativeSampler(TAPE.item_counts, exponent=0.5)
    first, again = (sampler.draw((50,), torch_generator(3, "negatives", 7)) for _ in range(2))
    other = sampler.draw((50,), torch_generator(3, "negatives", 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


class Counting(NegativeSampler):
    """Counts its draws, and always draws item 1."""

    draws = 0

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
        self.draws += 1
        return torch.ones(shape, dtype=torch.int64)


@pytest.mark.parametrize(("tape", "times"), [([[1], [2]], 9), ([[2], [2]], 1)])
def test_a_seen_item_is_drawn_again_eight_times_and_an_unseen_one_never(tape: list[list[int]], times: int) -> None:
    own = Tape.from_sequences(tape, num_items=3)
    sampler = Counting(own.item_counts)
    users, targets = torch.tensor([1, 2], dtype=torch.int32), torch.tensor([[3], [3]])
    items, masked = sampler.draw_for(
        users, targets, 2, torch_generator(0, "negatives"), shared=False, seen=SeenItems(own)
    )
    assert sampler.draws == times
    assert items.tolist() == [[1, 1], [1, 1]]
    assert masked.tolist() == [[tape[0] == [1]] * 2, [False] * 2]


def test_the_same_item_drawn_twice_for_all_is_masked_in_both_places() -> None:
    users, targets = torch.tensor([1, 2, 3], dtype=torch.int32), torch.tensor([[2, 1], [0, 3], [2, 0]])
    sampler = Counting(TAPE.item_counts)
    items, masked = sampler.draw_for(users, targets, 3, torch_generator(0, "negatives"), shared=True)
    assert items.tolist() == [1, 1, 1]
    assert masked.tolist() == [[True] * 3, [False] * 3, [False] * 3]


def test_padding_is_impossible_and_the_probabilities_of_all_items_add_up() -> None:
    for exponent in (0, 0.5):
        log_q = NegativeSampler(TAPE.item_counts, exponent=exponent).log_probability(torch.arange(6))
        assert log_q[0].item() == -np.inf
        assert log_q.exp().sum().item() == pytest.approx(1)
        assert log_q.dtype == torch.float32


def test_the_items_of_all_sessions_of_a_user_are_avoided() -> None:
    tape = Tape(np.array([1, 2, 3], dtype=np.int32), np.array([0, 0, 2, 3]), 5, np.array([0, 1, 1], dtype=np.int32))
    assert SeenItems(tape)(torch.tensor([1]), torch.arange(6)[None]).tolist() == [
        [False, True, True, True, False, False]
    ]


@pytest.mark.parametrize("longest", [*range(1, 10), 15, 16, 17, 31, 32, 33])
def test_every_item_of_a_user_is_found_whatever_the_length_of_the_longest_history(longest: int) -> None:
    tape = Tape.from_sequences([[40], list(range(2, 2 * longest + 1, 2)), [1]], num_items=70)
    found = SeenItems(tape)(torch.tensor([2]), torch.arange(71)[None])[0].nonzero().flatten()
    assert found.tolist() == tape.sequence(2).tolist()
