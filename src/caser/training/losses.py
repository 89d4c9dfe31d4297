"""Losses: what training makes small. One function each; LOSSES in `caser/config.py` names them.

Two forms. A *sampled* loss takes the scores of targets and of drawn negatives, `(positive_M, negative_MN) -> scalar`; a
masked negative is -inf and contributes exactly zero; one that depends on how much of the catalogue is drawn takes that
share as well, `(positive_M, negative_MN, share) -> scalar`. A *full* loss takes states and the whole output table,
`(states_MD, vectors_ID, bias_I, targets_MT) -> scalar`, with target 0 where there is none (the first never is).
Sums are divided by the number of targets, in the one form as in the other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def bpr(positive_M: Tensor, negative_MN: Tensor) -> Tensor:
    """Bayesian personalised ranking: the mean over targets of sum over negatives of -log sigmoid(positive - negative).

    Useful when only the order matters and one negative a target is enough. Source: Rendle et al., UAI 2009.

    >>> bpr(torch.tensor([1.0]), torch.tensor([[1.0]])).item()  # log 2: a coin's toss
    0.693147...
    """
    return functional.softplus(negative_MN - positive_M[:, None]).sum() / len(positive_M)


def bpr_max(positive_M: Tensor, negative_MN: Tensor, *, regularisation: float) -> Tensor:
    """Mean over targets of -log(sum of w sigmoid(positive - negative)) + regularisation * sum of w negative^2.

    The weights w are the softmax of a target's negatives, so that the many that lie far below, and teach nothing, do
    not drown the few that do. The second term keeps scores near 0; a negative far below the others may be raised.
    Useful for session models, with hundreds of negatives. Source: Hidasi & Karatzoglou, CIKM 2018.

    >>> bpr_max(torch.tensor([0.0]), torch.tensor([[0.0, -torch.inf]]), regularisation=1.0).item()  # log 2
    0.693147...
    """
    is_masked_MN = negative_MN == -torch.inf
    negative_MN = negative_MN.masked_fill(is_masked_MN, _FAR_BELOW)  # finite where all of a row are masked
    log_weight_MN = torch.log_softmax(negative_MN, dim=1)
    log_win_M = torch.logsumexp(log_weight_MN + functional.logsigmoid(positive_M[:, None] - negative_MN), dim=1)
    square_M = (log_weight_MN.exp() * negative_MN.masked_fill(is_masked_MN, 0) ** 2).sum(1)
    return (regularisation * square_M - log_win_M).mean()


def hinge(positive_M: Tensor, negative_MN: Tensor) -> Tensor:
    """Mean over targets of sum over negatives of max(0, 1 - positive + negative): no gradient beyond a margin of 1.

    Useful when easy negatives should stop counting. Source: Weston et al., ECML 2010 (the pairwise margin).

    >>> hinge(torch.tensor([2.0]), torch.tensor([[1.5, 0.0]])).item()
    0.5
    """
    return torch.relu(1 - positive_M[:, None] + negative_MN).sum() / len(positive_M)


def bce(positive_M: Tensor, negative_MN: Tensor) -> Tensor:
    """Binary cross-entropy: (sum of -log sigmoid(positive) + sum of -log(1 - sigmoid(negative))) / targets.

    The paper's loss. Source: Tang & Wang, WSDM 2018, equation 11.

    >>> bce(torch.tensor([0.0]), torch.tensor([[0.0, -torch.inf]])).item()  # log 2, twice; the masked one adds nothing
    1.386294...
    """
    return (functional.softplus(-positive_M).sum() + functional.softplus(negative_MN).sum()) / len(positive_M)


def gbce(positive_M: Tensor, negative_MN: Tensor, share: float, *, calibration: float) -> Tensor:
    """Binary cross-entropy with the positive's probability to the power beta = 1 - calibration * (1 - share).

    `share` is the sampling rate: negatives drawn / negatives in the catalogue. With few drawn, `bce` believes that
    targets are likelier than they are; beta takes that back, wholly at a calibration of 1, not at all at 0. Useful when
    the catalogue is too large for `softmax`, with hundreds of negatives. Source: Petrov & Macdonald, RecSys 2023.

    >>> gbce(torch.tensor([0.0]), torch.tensor([[0.0]]), share=0.0, calibration=0.5).item()  # 1.5 log 2
    1.039720...
    """
    beta = 1 - calibration * (1 - share)
    return (beta * functional.softplus(-positive_M).sum() + functional.softplus(negative_MN).sum()) / len(positive_M)


def sampled_softmax(positive_M: Tensor, negative_MN: Tensor) -> Tensor:
    """Cross-entropy over a target and its negatives: mean of -log(e^positive / (e^positive + sum e^negative)).

    With log(N q(i)) subtracted from each negative beforehand (the logQ correction), the sum estimates the full
    softmax's, without bias for T = 1; for larger T a window's other targets are left out of it. Useful when the
    catalogue is too large for `softmax`. Source: Bengio & Senécal, 2008.

    >>> sampled_softmax(torch.tensor([0.0]), torch.tensor([[0.0]])).item()
    0.693147...
    """
    return (torch.logsumexp(torch.cat([positive_M[:, None], negative_MN], dim=1), dim=1) - positive_M).mean()


def softmax(states_MD: Tensor, vectors_ID: Tensor, bias_I: Tensor, targets_MT: Tensor) -> Tensor:
    """Cross-entropy over the whole catalogue: the mean over targets of -log(e^score / sum of e^score over all items).

    The T targets of a state share one partition sum, so CE(k) = CE(1) + score(1) - score(k), and only CE(1) is computed
    over the catalogue, in pieces that never hold all scores. Row 0 (padding) takes no part. Useful when the catalogue
    is up to about 10^5 items: it is the strongest of these losses on the logs we know.

    >>> states, vectors = torch.zeros(1, 2), torch.zeros(5, 2)  # four items and padding, all scores equal: log 4
    >>> softmax(states, vectors, torch.zeros(5), torch.tensor([[3, 0]])).item()
    1.386294...
    """
    has_target_MT = targets_MT > 0
    num_M = has_target_MT.sum(1)
    vectors_JD, bias_J = vectors_ID[1:], bias_I[1:]
    options = nn.LinearCrossEntropyOptions(
        batch_chunk_size=max(64, _MOST_SCORES // len(vectors_JD)), chunking_method=None
    )
    total = states_MD.new_zeros(())
    for num in range(1, targets_MT.shape[1] + 1):  # nearly all states have T targets, the last ones of a user fewer
        rows = (num_M == num).nonzero().squeeze(1)
        if len(rows):
            first = targets_MT[rows, 0] - 1
            total = total + num * functional.linear_cross_entropy(
                states_MD[rows], vectors_JD, first, linear_bias=bias_J, reduction="sum", options=options
            )
    if targets_MT.shape[1] > 1:
        targets_MTD = functional.embedding(targets_MT, vectors_ID)
        scores_MT = torch.einsum("md,mtd->mt", states_MD, targets_MTD) + bias_I[targets_MT]
        total = total + ((scores_MT[:, :1] - scores_MT) * has_target_MT).sum()
    return total / num_M.sum()


_FAR_BELOW = -1e4
"""A score that a softmax gives no weight."""

_MOST_SCORES = 2**22
"""Scores held at once by `softmax`: 16 MiB. Fewer are no faster on one thread, and on two they are a tenth slower."""
