"""Totals that nest in the headline figures: enterprises at other thresholds, AI revenue by what it rests on. City only.

Each is a cut of the contributions behind the core cubes and protected beside them (:mod:`etl.beside_core`). Units below rule
R30 are in no core cube; they are a table of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from etl.beside_core import Cut, clear_cut
from etl.clearing import clear_table
from etl.contract import load_contract
from etl.dissemination import DIMENSIONS
from etl.methods.disclosure import RuleSet
from etl.methods.membership import R30, THRESHOLDS
from etl.quantities import membership_name
from etl.release_ledger import Place
from etl.years import YEAR
from taxonomy.ladder import load_ladder, rung_number

MONEY: Final = pl.Decimal(20, 2)
UNIT: Final = ["uscc", YEAR]
COUNT, REVENUE = "ai_enterprises", "ai_revenue"
BAND, RUNG, NO_BAND = "band", "rung", "0"
ABOVE: Final = [t for t in sorted(THRESHOLDS) if t >= R30]
BELOW: Final = [t for t in sorted(THRESHOLDS) if t < R30]
ANSWERS, MODELS = "answers", "models"
OPEN: Final = ("published", "empty")


@dataclass(frozen=True)
class Nested:
    """One year: thresholds (in percent) whose counts may be shown, and evidence with the status of every rung's revenue.

    ``rungs``: ``rung`` (``_T`` too), ``value``, ``status``; restricted.
    """

    thresholds: tuple[str, ...]
    rungs: pl.DataFrame


def band_code(threshold: float) -> str:
    """Code of the band that begins at a threshold, and of the threshold itself: percent."""
    return str(round(100 * threshold))


def rung_parents() -> dict[str, str | None]:
    """Groups of evidence: answers by what they rest on (账簿, 估算, not stated), models by rung."""
    bases = load_contract("ai_survey_annual").column("share_basis").values
    answers = [f"{rung_number('survey')}-{code}" for code in (*bases, "0")]
    rungs = [str(r.rung) for r in load_ladder() if not r.confirms]
    return {ANSWERS: None, MODELS: None, **dict.fromkeys(answers, ANSWERS), **dict.fromkeys(rungs, MODELS)}


def _banded(rows: pl.DataFrame, levels: Sequence[pl.Expr], codes: Sequence[str]) -> pl.DataFrame:
    """Rows cut by ``levels`` (never rising): what lies between one and the next, a row each."""
    cut = rows.with_columns(
        level.fill_null(0.0).round(2).cast(MONEY).alias(f"level{i}") for i, level in enumerate(levels)
    )
    cut = cut.with_columns(
        pl.min_horizontal(f"level{k}" for k in range(i + 1)).alias(f"level{i}") for i in range(len(levels))
    ).with_columns(pl.lit(0, MONEY).alias(f"level{len(levels)}"))
    bands = [
        cut.with_columns(
            value=(pl.col(f"level{i}") - pl.col(f"level{i + 1}")).cast(MONEY), band=pl.lit(code, pl.String)
        ).filter(pl.col("value") > 0)
        for i, code in enumerate(codes)
    ]
    return pl.concat(bands)


def members_by_band(rows: pl.DataFrame, units: pl.DataFrame) -> pl.DataFrame:
    """Contributions to the count of AI enterprises cut at the thresholds above R30."""
    known = units.select(*UNIT, *(membership_name(t) for t in ABOVE[1:]))
    both = rows.join(known, on=UNIT, how="left", maintain_order="left")
    levels = [pl.col("value").cast(pl.Float64), *(pl.col(membership_name(t)) for t in ABOVE[1:])]
    return _banded(both, levels, [band_code(t) for t in ABOVE]).select(
        *DIMENSIONS, BAND, "contributor", "value", "observed"
    )


def others_by_band(units: pl.DataFrame) -> pl.DataFrame:
    """What of every unit of the frame is no AI enterprise, cut at the thresholds below R30."""
    names = [membership_name(t) for t in sorted([*BELOW, R30], reverse=True)]
    shares = [1.0 - pl.col(name).fill_null(0.0) for name in names]
    codes = [*(band_code(t) for t in reversed(BELOW)), NO_BAND]
    # From the top: what is below R30, then what is below the next threshold too.
    return _banded(units, shares, codes).select(BAND, "contributor", "value", observed="is_signed")


def _by_rung(rows: pl.DataFrame, units: pl.DataFrame) -> pl.DataFrame:
    first = rung_number("survey")
    code = (
        pl.when(pl.col("ai_share_rung") == first)
        .then(pl.format("{}-{}", "ai_share_rung", pl.col("share_basis").fill_null(NO_BAND)))
        .otherwise(pl.col("ai_share_rung").cast(pl.String))
    )
    both = rows.join(units.select(*UNIT, code.alias(RUNG)), on=UNIT, how="left", maintain_order="left")
    return both.select(*DIMENSIONS, RUNG, "contributor", "value", "observed")


def _between(statuses: Mapping[str, str], thresholds: Sequence[float]) -> Iterator[str]:
    """Thresholds, going away from R30, as long as every band on the way is shown."""
    for threshold, band in zip(thresholds, statuses.values(), strict=True):
        if band not in OPEN:
            return
        yield band_code(threshold)


def _thresholds(
    rows: pl.DataFrame, units: pl.DataFrame, core: pl.DataFrame, limits: RuleSet, seed: int, year: int
) -> tuple[str, ...]:
    """R30, and the thresholds whose difference from it may be known."""
    up, down = [band_code(t) for t in ABOVE], [band_code(t) for t in reversed(BELOW)]
    cut = Cut({"thresholds": (BAND,)}, {BAND: dict.fromkeys(up)})
    place = Place(f"nested/{COUNT}", str(year))
    above = clear_cut(place, "count", members_by_band(rows, units), core, cut, limits, seed).frame
    others = others_by_band(units)
    below = clear_table(
        others, {"below": (BAND,)}, {BAND: dict.fromkeys([*down, NO_BAND])}, limits, seed, kind="count",
        place=Place("nested/below", str(year)),
    )  # fmt: skip
    status = dict(above.select(BAND, "status").iter_rows())
    found = [band_code(R30), *_between({c: status[c] for c in up[:-1]}, ABOVE[1:])]
    status = dict(below.frame.select(BAND, "status").iter_rows())
    if below.certificate.passed:
        found += _between({c: status[c] for c in down}, BELOW[::-1])
    return tuple(found)


def _rungs(
    rows: pl.DataFrame, units: pl.DataFrame, core: pl.DataFrame, limits: RuleSet, seed: int, year: int
) -> pl.DataFrame:
    cut = Cut({"rungs": (RUNG,)}, {RUNG: rung_parents()})
    place = Place(f"nested/{REVENUE}", str(year))
    found = clear_cut(place, "magnitude", _by_rung(rows, units), core, cut, limits, seed)
    return found.frame.select(RUNG, "value", "status")


def clear_nested(
    units: pl.DataFrame, contributions: pl.DataFrame, cells: pl.DataFrame, limits: RuleSet, seed: int
) -> dict[int, Nested]:
    """The nested totals of every year.

    Parameters
    ----------
    units
        As :func:`etl.quantities.with_quantities` gives them.
    contributions, cells
        Those of the core indicators; ``cells`` with their status (restricted).
    """
    found = {}
    known = contributions.drop_nulls("value")
    for year in sorted(known[YEAR].unique().to_list()):
        own = units.filter(pl.col(YEAR) == year)
        rows = {i: known.filter((pl.col(YEAR) == year) & (pl.col("indicator") == i)) for i in (COUNT, REVENUE)}
        core = {i: cells.filter((pl.col("indicator") == i) & (pl.col("period") == str(year))) for i in rows}
        thresholds = _thresholds(rows[COUNT], own, core[COUNT], limits, seed, year)
        found[year] = Nested(thresholds, _rungs(rows[REVENUE], own, core[REVENUE], limits, seed, year))
    return found
