"""The interval of the city's AI revenue (activity view): what rounding of returns and imputation of the rest leave open."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from etl.domains import OTHER, domain_parents
from etl.in_order import added
from etl.methods.share import FloatArray, imputed_total, ratio_draws
from etl.quantities import ARTICLES, BASE, answers, domain_columns, half_unit, main_to_operating
from etl.strata import MIN_RESPONDENTS, floats, model_strata, structure_strata
from etl.years import YEAR
from taxonomy.ladder import rung_number

DRAWS = 1000
SEED = 20221101


@dataclass(frozen=True)
class RevenueInterval:
    """AI revenue of one year in yuan: reported + imputed = ``estimate``, within [``lower``, ``upper``] (95 %).

    ``scope`` is a domain or group of domains, empty for the whole.
    """

    year: int
    scope: str
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


@dataclass(frozen=True)
class Drawn:
    """``revenue``: AI revenue the units without a return might have in a year, shape ``(draws, units)``; ``seed``: of further draws."""

    year: int
    revenue: FloatArray
    seed: tuple[int, ...]


def drawn_revenue(units: pl.DataFrame, year: int, seed: int = SEED) -> Drawn:
    """Draws of a year, the same whatever other years there are, from the rows of :func:`etl.quantities.with_quantities` up to it."""
    random = np.random.default_rng([seed, year])
    targets = (units[YEAR] == year).to_numpy() & ~units["responded"].to_numpy()
    shares = _drawn_shares(units, targets, random)
    return Drawn(year, shares * _drawn_bases(units, targets, random), (seed, year, 1))


def revenue_interval(units: pl.DataFrame, drawn: Drawn) -> RevenueInterval:
    """The interval of the year of the draws.

    Held: the spread of respondents within strata, the small number of them, revenue estimated from staff, and half a
    unit of the form for each return (all in one direction: a bound). Not held: units outside the frame, returns that
    are wrong, and respondents unlike those who did not answer.
    """
    signed = units["responded"].to_numpy()
    share, base = floats(units["ai_share_estimate"]), floats(units[BASE])
    here = (units[YEAR] == drawn.year).to_numpy()
    imputed = imputed_total((share * base)[here & ~signed], drawn.revenue)
    known = float(floats(units["ai_revenue_cny"])[here & signed].sum())
    rounding = half_unit() * int((here & signed).sum())
    return RevenueInterval(
        drawn.year, "", known + imputed.estimate, known + imputed.lower - rounding, known + imputed.upper + rounding
    )


def _answered_parts(units: pl.DataFrame) -> dict[str, FloatArray]:
    """Revenue in each article's domains and in none of them, of units that filled the block in; else ``nan``."""
    parents, total = domain_parents(), floats(units["ai_revenue_cny"])
    blank = ~units["domain_answered"].to_numpy()
    parts = {}
    for article in ARTICLES:
        names = [column for code, column in domain_columns().items() if parents[code] == article]
        value = floats(units.select(added(pl.col(n).cast(pl.Float64).fill_null(0.0) for n in names)).to_series())
        parts[article] = np.where(blank, np.nan, value)
    # The form lets the parts exceed the whole by its rounding.
    inside = np.sum(list(parts.values()), axis=0)
    parts[OTHER] = np.maximum(total - inside, 0.0)
    return parts


def domain_intervals(units: pl.DataFrame, drawn: Drawn) -> list[RevenueInterval]:
    """Intervals of the AI revenue of the year of the draws by article (R39, R40, R41) and of what lies in no domain (X).

    Units that did not state their domains take those of a respondent of their stratum in each draw; where their AI
    revenue is not known either, it is drawn as for :func:`revenue_interval`.
    """
    signed, blank = units["responded"].to_numpy(), ~units["domain_answered"].to_numpy()
    amount = np.where(signed, floats(units["ai_revenue_cny"]), floats(units["ai_share_estimate"]) * floats(units[BASE]))
    whole = np.where(blank, np.nan, floats(units["ai_revenue_cny"]))
    strata = structure_strata(units)
    here, random = (units[YEAR] == drawn.year).to_numpy(), np.random.default_rng(drawn.seed)
    targets = here & blank
    revenue = np.repeat(amount[None, targets], DRAWS, axis=0)
    unsigned = here & ~signed
    revenue[:, (targets & ~signed)[targets]] = drawn.revenue[:, blank[unsigned]]
    found = []
    for scope, part in _answered_parts(units).items():
        ratio = strata.ratio(pl.Series(part).fill_nan(None), pl.Series(whole).fill_nan(None)).ratio
        parts = revenue * ratio_draws(
            part, whole, strata.labels, targets, random, draws=DRAWS, min_respondents=MIN_RESPONDENTS
        )
        imputed = imputed_total((ratio * amount)[targets], parts)
        known = float(np.nansum(part[here]))
        limits = max(known + imputed.lower, 0.0), known + imputed.upper
        found.append(RevenueInterval(drawn.year, scope, known + imputed.estimate, *limits))
    return found
