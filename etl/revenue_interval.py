"""The interval of the city's AI revenue (activity view): what rounding of returns and imputation of the rest leave open."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from etl.methods.share import FloatArray, imputed_total, ratio_draws
from etl.quantities import BASE, answers, half_unit, main_to_operating
from etl.strata import MIN_RESPONDENTS, floats, model_strata, structure_strata
from taxonomy.ladder import rung_number

DRAWS = 1000
SEED = 20221101


@dataclass(frozen=True)
class RevenueInterval:
    """AI revenue of one year in yuan: reported + imputed = ``estimate``, within [``lower``, ``upper``] (95 %)."""

    year: int
    estimate: float
    lower: float
    upper: float


def _drawn_shares(units: pl.DataFrame, targets: np.ndarray, random: np.random.Generator) -> FloatArray:
    """AI shares the targets might have, shape ``(draws, targets)``; 0 on the last rung, as in the estimate."""
    part, whole = answers(units)
    rung = units["ai_share_rung"].to_numpy()
    drawn = np.zeros((DRAWS, int(targets.sum())))
    for name, strata in (("model", model_strata(units)), ("coefficient", structure_strata(units))):
        chosen = targets & (rung == rung_number(name))
        drawn[:, chosen[targets]] = ratio_draws(
            part, whole, strata.labels, chosen, random, draws=DRAWS, min_respondents=MIN_RESPONDENTS
        )
    return drawn


def _drawn_bases(units: pl.DataFrame, targets: np.ndarray, random: np.random.Generator) -> FloatArray:
    """Main-business revenue the targets might have: known revenue stays, revenue from staff is drawn."""
    base = np.repeat(floats(units[BASE])[None, targets], DRAWS, axis=0)
    unknown = targets & (units["revenue_known"].is_null()).to_numpy()
    staff = floats(units["staff_known"])
    ratios = ratio_draws(
        floats(units["revenue_known"]), staff, structure_strata(units).labels, unknown, random, draws=DRAWS,
        min_respondents=MIN_RESPONDENTS,
    )  # fmt: skip
    base[:, unknown[targets]] = ratios * staff[unknown] * main_to_operating(units)
    return base


def revenue_intervals(units: pl.DataFrame, seed: int = SEED) -> list[RevenueInterval]:
    """One interval per year from the rows of :func:`etl.quantities.with_quantities`.

    Held: the spread of respondents within strata, the small number of them, revenue estimated from staff, and half a
    unit of the form for each return (all in one direction: a bound). Not held: units outside the frame, returns that
    are wrong, and respondents unlike those who did not answer.
    """
    signed = units["responded"].to_numpy()
    share, base = floats(units["ai_share_estimate"]), floats(units[BASE])
    reported = floats(units["ai_revenue_cny"])
    random = np.random.default_rng(seed)
    found = []
    for year in sorted(units["ref_year"].unique().to_list()):
        here = (units["ref_year"] == year).to_numpy()
        targets = here & ~signed
        drawn = _drawn_shares(units, targets, random) * _drawn_bases(units, targets, random)
        imputed = imputed_total((share * base)[targets], drawn)
        known = float(reported[here & signed].sum())
        rounding = half_unit() * int((here & signed).sum())
        found.append(
            RevenueInterval(
                year, known + imputed.estimate, known + imputed.lower - rounding, known + imputed.upper + rounding
            )
        )
    return found
