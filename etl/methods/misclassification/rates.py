"""Error rates from gold: posterior draws by stratum, and class shares from the shares of the strata."""

import numpy as np
from numpy.typing import NDArray

from etl.methods.misclassification.gold import Gold

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MAX_STEPS = 2000
STEP_TOLERANCE = 1e-10


def rate_draws(counts: FloatArray, predicted: IntArray, draws: int, rng: np.random.Generator) -> FloatArray:
    r"""Draws ``(B, H, K)`` of the class shares within strata, given what gold found, ``counts`` ``(H, K)``.

    Two levels, so that the sum of the wrong classes keeps its two-class interval however many classes there are:

    .. math::
        w_h &\sim \mathrm{Beta}(x_{h,\text{wrong}} + \tfrac12,\; x_{h,\text{right}} + \tfrac12) \\
        s_h &\sim \mathrm{Dirichlet}(x_{hk} + a)_{k \text{ wrong}}, \qquad a = \tfrac12 (K - 1)^{-1/2}

    and the share of a wrong class is :math:`w_h s_{hk}`. One Dirichlet(1/2, …, 1/2) would add (K - 1)/2 wrong units to
    each stratum, thousands of units in the large stratum predicted "none"; one with 1/2 in all leaves the single
    classes too little. For two classes this is Beta(1/2, 1/2).
    """
    strata, classes = counts.shape
    right = np.zeros((strata, classes), dtype=bool)
    right[np.arange(strata), predicted] = True
    correct, wrong = counts[right], counts.sum(axis=1) - counts[right]
    wrong_share = rng.beta(wrong + 0.5, correct + 0.5, size=(draws, strata))
    split = rng.standard_gamma(np.where(right, 1.0, counts + 0.5 / np.sqrt(classes - 1)), size=(draws, strata, classes))
    split = np.where(right, 0.0, split + np.finfo(np.float64).tiny)
    split *= (wrong_share / split.sum(axis=2))[:, :, None]
    return np.where(right, 1.0 - wrong_share[:, :, None], split)


def laws_of_strata(
    rates: FloatArray, frame: IntArray, rng: np.random.Generator | None = None
) -> tuple[FloatArray, FloatArray]:
    r"""Law of the strata within each class, and class shares, in the frame of the gold sample.

    .. math:: P(h \mid k) = N_h p_{hk} / \sum_{h'} N_{h'} p_{h'k}

    ``rates`` shape ``(B, H, K)``; returns ``(B, H, K)`` (zero for a class without mass) and ``(B, K)``. With ``rng``
    the law is drawn from Dirichlet(N_h p_hk): that frame is itself one outcome of the law that will produce the next.
    """
    mass = rates * frame[None, :, None]
    old = mass.sum(axis=1) / frame.sum()
    if rng is not None:
        mass = rng.standard_gamma(mass)
    total = mass.sum(axis=1, keepdims=True)
    law = np.divide(mass, total, out=np.zeros_like(mass), where=total > 0)
    return law, old


def confusion(law: FloatArray, predicted: IntArray) -> FloatArray:
    """Share of each true class predicted as each class: ``(B, K, K)``, columns are true classes and add to one."""
    classes = law.shape[2]
    member = (np.arange(classes)[:, None] == predicted[None, :]).astype(np.float64)
    return np.asarray(member @ law)


def class_shares(law: FloatArray, strata_share: FloatArray, predicted: IntArray) -> FloatArray:
    r"""Class shares now, ``(B, K)``, from the shares of the strata now and their laws within classes then.

    Maximises :math:`\sum_h q_h \log \sum_k P(h \mid k) \pi_k` over shares. With one stratum per predicted class the
    maximum is :math:`P^{-1} q`, the inverse of the confusion matrix, wherever that is a set of shares; where it is not
    (negative shares), the maximum lies on the edge. Starts from the inverse and takes EM steps until none moves a share.

    ``law`` shape ``(B, H, K)``, ``strata_share`` shape ``(B, H)``.
    """
    seen = law.sum(axis=1) > 0
    shares = _inverse(law, strata_share, predicted, seen)
    active = np.arange(len(law))
    for _ in range(MAX_STEPS):
        part, old = law[active], shares[active]
        fitted = np.einsum("bhk,bk->bh", part, old)
        ratio = np.divide(strata_share[active], fitted, out=np.zeros_like(fitted), where=fitted > 0)
        new = old * np.einsum("bhk,bh->bk", part, ratio)
        new /= new.sum(axis=1, keepdims=True)
        shares[active] = new
        active = active[np.abs(new - old).max(axis=1) > STEP_TOLERANCE]
        if not active.size:
            break
    return shares


def _inverse(law: FloatArray, strata_share: FloatArray, predicted: IntArray, seen: NDArray[np.bool_]) -> FloatArray:
    """Inverse of the confusion matrix applied to predicted shares, moved inside the simplex as a start for EM."""
    classes = law.shape[2]
    member = (np.arange(classes)[:, None] == predicted[None, :]).astype(np.float64)
    matrix = confusion(law, predicted)
    # A class gold never saw has no column; the unit column keeps the system solvable, its share is set to 0 below.
    matrix = matrix + np.eye(classes) * (~seen)[:, None, :]
    target = (strata_share @ member.T)[:, :, None]
    try:
        solved = np.linalg.solve(matrix, target)
    except np.linalg.LinAlgError:
        solved = np.linalg.pinv(matrix) @ target
    inside = np.where(seen, np.maximum(solved[:, :, 0], 1e-7), 0.0)
    return np.asarray(inside / inside.sum(axis=1, keepdims=True))


def rates_now(law: FloatArray, shares: FloatArray) -> FloatArray:
    """Class probabilities by stratum now (Bayes): ``P(h | k) pi_k`` normalised over classes, ``(B, H, K)``.

    A stratum that only classes without share could have produced keeps the proportions of its laws.
    """
    joint = law * shares[:, None, :]
    joint = np.where(joint.sum(axis=2, keepdims=True) > 0, joint, law)
    total = joint.sum(axis=2, keepdims=True)
    return np.asarray(np.divide(joint, total, out=np.zeros_like(joint), where=total > 0))


def effective_counts(gold: Gold, valid_periods: int, ageing: float) -> FloatArray:
    """Gold counts, ``(H, K)``, discounted by ``ageing`` for each period beyond validity (power prior)."""
    return np.asarray(gold.counts * float(ageing) ** max(0, gold.age - valid_periods), dtype=np.float64)
