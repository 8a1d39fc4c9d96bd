"""What to expect of each estimator before any gold is drawn: bias and variance for two classes."""

from dataclasses import dataclass

from etl.methods.registry import method


@dataclass(frozen=True)
class Moments:
    """Bias and standard errors of an estimated share, as parts of the true share (0.33 is +33 %)."""

    plain_bias: float
    misclassification_error: float
    calibration_error: float


@method("misclassification.moments")
def moments(share: float, sensitivity: float, specificity: float, gold: int) -> Moments:
    r"""Relative bias of the plain count and relative standard errors of the corrected ones, simple gold sample.

    With :math:`\alpha` the true share, :math:`p_{11}` sensitivity, :math:`p_{00}` specificity, :math:`n` gold units:

    .. math::
        B[\hat\alpha^*] &= \alpha (p_{00} + p_{11} - 2) + (1 - p_{00}) \\
        V[\hat\alpha_p] &\approx \frac{\alpha p_{11} (1 - p_{11}) + (1 - \alpha) p_{00} (1 - p_{00})}
                                      {n (p_{00} + p_{11} - 1)^2} \\
        V[\hat\alpha_c] &\approx \frac1n \sum_j q_j c_j (1 - c_j)

    with :math:`q_j` the share predicted as :math:`j` and :math:`c_j` the share of AI in it. Leading terms in 1/n.

    Parameters
    ----------
    share, sensitivity, specificity
        Within (0, 1); sensitivity + specificity above 1.
    gold
        Units of a simple random gold sample.

    Raises
    ------
    ValueError
        If a parameter lies outside its range.
    """
    informative = sensitivity + specificity - 1
    if not (0 < share < 1 and 0 <= sensitivity <= 1 and 0 <= specificity <= 1 and informative > 0 and gold > 0):
        raise ValueError(
            f"moments: share {share}, sensitivity {sensitivity}, specificity {specificity}, gold {gold}; expected a share "
            "within (0, 1), sensitivity + specificity above 1 and gold units"
        )
    bias = share * (sensitivity + specificity - 2) + 1 - specificity
    spread = share * sensitivity * (1 - sensitivity) + (1 - share) * specificity * (1 - specificity)
    predicted = share * sensitivity + (1 - share) * (1 - specificity)
    calibrated = 0.0
    for part, hits in ((predicted, share * sensitivity), (1 - predicted, share * (1 - sensitivity))):
        calibrated += hits * (1 - hits / part) if part > 0 else 0.0
    return Moments(bias / share, (spread / gold) ** 0.5 / informative / share, (calibrated / gold) ** 0.5 / share)
