"""The losses that training minimises. Each is one function; LOSSES in `caser/config.py` lists them.

A *sampled* loss takes the scores of targets and of drawn negatives: `(positive_M, negative_MN) -> scalar`. A masked
negative is -inf and contributes exactly zero. A loss that depends on the share of the catalogue that is drawn takes the
share as well: `(positive_M, negative_MN, share) -> scalar`. A *full* loss takes states and all item vectors:
`(states_MD, vectors_ID, bias_I, targets_MT) -> scalar`. A target is 0 where there is none; the first target of a state
always exists. Both forms divide sums by the number of targets. Settings of a loss are keyword arguments.

Shape suffixes: M targets (in a full loss: states), N negatives of a target, T targets of a state, I catalogue and
padding, D state width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from caser.config import Precision
from caser.training.log_sums import sum_over_catalogue
from caser.training.own_scores import own_scores


def bpr(positive_M: Tensor, negative_MN: Tensor) -> Tensor:
    """Bayesian personalised ranking: the mean over targets of sum over negatives of -log sigmoid(positive - negative).

    positive_M   (M,) floats, the scores of the targets
    negative_MN  (M, N) floats, the scores of the negatives of each, -inf where masked

    Useful when only the order matters and one negative per target is enough. Source: Rendle et al., UAI 2009.

    >>> bpr(torch.tensor([1.0]), torch.tensor([[1.0]])).item()  # log 2: a coin's toss
    0.693147...
    """
    return functional.softplus(negative_MN - positive_M[:, None]).sum() / len(positive_M)


def bpr_max(positive_M: Tensor, negative_MN: Tensor, *, regularisation: float) -> Tensor:
    """BPR-max: mean over targets of -log(sum of w sigmoid(positive - negative)) + regularisation * sum of w negative^2.

    positive_M      (M,) floats, the scores of the targets
    negative_MN     (M, N) floats, the scores of the negatives of each, -inf where masked
    regularisation  the factor of the second term, from 0 on

    The weights w are the softmax of a target's negatives. So the few negatives with high scores, which training can
    learn from, are not outweighed by the many with low ones. The second term keeps scores near 0; it may raise the
    score of a negative far below the others. Useful for session models, with hundreds of negatives. Source: Hidasi &
    Karatzoglou, CIKM 2018.

    >>> bpr_max(torch.tensor([0.0]), torch.tensor([[0.0, -torch.inf]]), regularisation=1.0).item()  # log 2
    0.693147...
    """
    is_masked_MN = negative_MN == -torch.inf
    negative_MN = negative_MN.masked_fill(is_masked_MN, _FAR_BELOW)  # finite even where a whole row is masked
    log_weight_MN = torch.log_softmax(negative_MN, dim=1)
    log_win_M = torch.logsumexp(log_weight_MN + functional.logsigmoid(positive_M[:, None] - negative_MN), dim=1)
    square_M = (log_weight_MN.exp() * negative_MN.masked_fill(is_masked_MN, 0) ** 2).sum(1)
    return (regularisation * square_M - log_win_M).mean()


def hinge(positive_M: Tensor, negative_MN: Tensor) -> Tensor:
    """Hinge loss: the mean over targets of the sum over negatives of max(0, 1 - positive + negative).

    positive_M   (M,) floats, the scores of the targets
    negative_MN  (M, N) floats, the scores of the negatives of each, -inf where masked

    A negative that lies below its target by more than the margin of 1 has no gradient. Useful when easy negatives
    should not count. Source: Weston et al., ECML 2010 (the pairwise margin).

    >>> hinge(torch.tensor([2.0]), torch.tensor([[1.5, 0.0]])).item()
    0.5
    """
    return torch.relu(1 - positive_M[:, None] + negative_MN).sum() / len(positive_M)


def bce(positive_M: Tensor, negative_MN: Tensor) -> Tensor:
    """Binary cross-entropy: (sum of -log sigmoid(positive) + sum of -log(1 - sigmoid(negative))) / targets.

    positive_M   (M,) floats, the scores of the targets
    negative_MN  (M, N) floats, the scores of the negatives of each, -inf where masked

    This is the loss of the Caser paper. Source: Tang & Wang, WSDM 2018, equation 11.

    >>> bce(torch.tensor([0.0]), torch.tensor([[0.0, -torch.inf]])).item()  # log 2, twice; the masked one adds nothing
    1.386294...
    """
    return (functional.softplus(-positive_M).sum() + functional.softplus(negative_MN).sum()) / len(positive_M)


def gbce(positive_M: Tensor, negative_MN: Tensor, share: float, *, calibration: float) -> Tensor:
    """Binary cross-entropy with the target's probability to the power beta = 1 - calibration * (1 - share).

    positive_M   (M,) floats, the scores of the targets
    negative_MN  (M, N) floats, the scores of the negatives of each, -inf where masked
    share        the sampling rate: the negatives drawn for a target / all items but the target
    calibration  how much of the bias is removed, from 0 (none) to 1 (all)

    With few negatives, `bce` overestimates the probability of targets; beta removes this bias. Useful when the
    catalogue is too large for `softmax`, with hundreds of negatives. Source: Petrov & Macdonald, RecSys 2023.

    >>> gbce(torch.tensor([0.0]), torch.tensor([[0.0]]), share=0.0, calibration=0.5).item()  # 1.5 log 2
    1.039720...
    """
    beta = 1 - calibration * (1 - share)
    return (beta * functional.softplus(-positive_M).sum() + functional.softplus(negative_MN).sum()) / len(positive_M)


def sampled_softmax(positive_M: Tensor, negative_MN: Tensor) -> Tensor:
    """Cross-entropy over a target and its negatives: mean of -log(e^positive / (e^positive + sum e^negative)).

    positive_M   (M,) floats, the scores of the targets
    negative_MN  (M, N) floats, the scores of the negatives of each, -inf where masked

    Training subtracts log(N q(i)) from the score of each negative (the logQ correction). The sum then estimates the sum
    of the full softmax, without bias for T = 1; for larger T, the other targets of a state are missing from it. Useful
    when the catalogue is too large for `softmax`. Source: Bengio & Senécal, 2008.

    >>> sampled_softmax(torch.tensor([0.0]), torch.tensor([[0.0]])).item()
    0.693147...
    """
    return (torch.logsumexp(torch.cat([positive_M[:, None], negative_MN], dim=1), dim=1) - positive_M).mean()


def softmax(
    states_MD: Tensor,
    vectors_ID: Tensor,
    bias_I: Tensor,
    targets_MT: Tensor,
    *,
    precision: Precision = "float32",
) -> Tensor:
    """Cross-entropy over the whole catalogue: the mean over targets of -log(e^score / sum of e^score over all items).

    states_MD   (M, D) floats
    vectors_ID  (I, D) floats, the item vectors; row 0 (padding) is ignored
    bias_I      (I,) floats, the item biases
    targets_MT  (M, T) int64, the targets of each state, 0 where there is none
    precision   the number type of the three matrix products; all else is in the type of the parameters

    The T targets of a state share one sum over the catalogue: the loss of target k is log_sum - score(k). The sums are
    computed in blocks that never hold all scores. Useful for catalogues of up to about 10^5 items:
    it is the best of these losses on the logs that we tried.

    >>> states, vectors = torch.zeros(1, 2), torch.zeros(5, 2)  # four items and padding, all scores equal: log 4
    >>> softmax(states, vectors, torch.zeros(5), torch.tensor([[3, 0]])).item()
    1.386294...
    """
    has_target_MT = targets_MT > 0
    num_M = has_target_MT.sum(1)
    scores_MT = own_scores(states_MD, vectors_ID, bias_I, targets_MT)
    total = sum_over_catalogue(states_MD, vectors_ID, bias_I, num_M, precision)
    return (total - torch.where(has_target_MT, scores_MT, 0).sum()) / num_M.sum()


_FAR_BELOW = -1e4
"""A finite score so low that a softmax gives it no weight."""
