"""Totals that nest in the headline figures: enterprises at other thresholds, AI revenue by what it rests on. City only.

Both cut the contributions behind the core cubes by a further code, as the flows do: they are protected in one system with them
(:mod:`etl.flow_cubes`). What of a unit lies below rule R30 is in no count of the core cubes; it is a table of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from etl.beside_core import Cut
from etl.clearing import clear_table
from etl.contract import load_contract
from etl.methods.disclosure import RuleSet
from etl.methods.membership import R30, THRESHOLDS
from etl.quantities import membership_name
from etl.release_ledger import Place, withdraw
from etl.years import YEAR
from taxonomy.ladder import load_ladder, rung_number

MONEY: Final = pl.Decimal(20, 2)
UNIT: Final = ["uscc", YEAR]
COUNT, REVENUE = "ai_enterprises", "ai_revenue"
BAND, RUNG, NOTHING = "band", "rung", "0"
ABOVE: Final = [t for t in sorted(THRESHOLDS) if t >= R30]
BELOW: Final = [t for t in sorted(THRESHOLDS) if t < R30]
ANSWERS, MODELS = "answers", "models"
OPEN: Final = ("published", "empty")
TOTALS: Final = {"code": pl.String, "value": pl.Decimal(24, 2), "status": pl.String}
"""A nested total: its code (``_T`` for the city total), value and status (restricted)."""


def band_code(threshold: float) -> str:
    """Code of the band that begins at a threshold, and of the threshold itself: percent."""
    return str(round(100 * threshold))


def rung_parents() -> dict[str, str | None]:
    """Groups of evidence: answers by what they rest on (账簿, 估算, not stated), models by rung."""
    bases = load_contract("ai_survey_annual").column("share_basis").values
    answers = [f"{rung_number('survey')}-{code}" for code in (*bases, NOTHING)]
    rungs = [str(r.rung) for r in load_ladder() if not r.confirms]
    return {ANSWERS: None, MODELS: None, **dict.fromkeys(answers, ANSWERS), **dict.fromkeys(rungs, MODELS)}


@dataclass(frozen=True)
class NestedCut:
    """The column of contributions that holds the code, and the cubes; all of it is in one table of that code."""

    code: str
    table: str
    cut: Cut


#: What nests in an indicator. How much of AI revenue rests on answers is published with the city total (model_share).
NESTED: Final[Mapping[str, NestedCut]] = {
    COUNT: NestedCut(
        BAND, "thresholds", Cut({"thresholds": (BAND,)}, {BAND: dict.fromkeys(band_code(t) for t in ABOVE)})
    ),
    REVENUE: NestedCut(RUNG, "rungs", Cut({"rungs": (RUNG,)}, {RUNG: rung_parents()}, {RUNG: (ANSWERS, MODELS)})),
}


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
    """Contributions to the count of AI enterprises cut at the thresholds above R30: with ``band``."""
    names = [membership_name(t) for t in ABOVE[1:]]
    both = rows.join(units.select(*UNIT, *names), on=UNIT, how="left", maintain_order="left")
    levels = [pl.col("value").cast(pl.Float64), *map(pl.col, names)]
    return _banded(both, levels, [band_code(t) for t in ABOVE]).select(*rows.columns, BAND)


def others_by_band(units: pl.DataFrame) -> pl.DataFrame:
    """What of every unit of the frame is no AI enterprise, cut at the thresholds below R30."""
    names = [membership_name(t) for t in sorted([*BELOW, R30], reverse=True)]
    codes = [*(band_code(t) for t in reversed(BELOW)), NOTHING]
    # From the top: what is below R30, then what is below the next threshold too.
    shares = [1.0 - pl.col(name).fill_null(0.0) for name in names]
    plain = units.select("contributor", pl.lit(0, MONEY).alias("value"), *names, observed="is_signed")
    return _banded(plain, shares, codes).select(BAND, "contributor", "value", "observed")


def by_rung(rows: pl.DataFrame, units: pl.DataFrame) -> pl.DataFrame:
    """Contributions to AI revenue with what each rests on: ``rung``."""
    first = rung_number("survey")
    code = (
        pl.when(pl.col("ai_share_rung") == first)
        .then(pl.format("{}-{}", "ai_share_rung", pl.col("share_basis").fill_null(NOTHING)))
        .otherwise(pl.col("ai_share_rung").cast(pl.String))
    )
    return rows.join(units.select(*UNIT, code.alias(RUNG)), on=UNIT, how="left", maintain_order="left")


def nested_contributions(units: pl.DataFrame, contributions: pl.DataFrame) -> pl.DataFrame:
    """Contributions to both headline figures with the codes that cut them: ``band`` of the count, ``rung`` of revenue.

    Parameters
    ----------
    units
        As :func:`etl.quantities.with_quantities` gives them.
    contributions
        As :func:`etl.analysis.contributions` returns them; gaps are left out.
    """
    rows = {i: contributions.filter(pl.col("indicator") == i).drop_nulls("value") for i in (COUNT, REVENUE)}
    return pl.concat([members_by_band(rows[COUNT], units), by_rung(rows[REVENUE], units)], how="diagonal")


def _on_the_way(statuses: Mapping[str, str], bands: Sequence[str], thresholds: Sequence[float]) -> Iterator[str]:
    """Thresholds, going away from R30, as long as every band on the way is shown."""
    for threshold, band in zip(thresholds, bands, strict=True):
        if statuses.get(band, "empty") not in OPEN:
            return
        yield band_code(threshold)


def _below(units: pl.DataFrame, year: int, limits: RuleSet, seed: int) -> list[str]:
    """Thresholds below R30 whose difference from it may be known. The size of the frame is public, and so is what is no member."""
    down, place = [band_code(t) for t in reversed(BELOW)], Place("nested/below", str(year))
    cleared = clear_table(
        others_by_band(units), {"below": (BAND,)}, {BAND: dict.fromkeys([*down, NOTHING])}, limits, seed, kind="count",
        place=place,
    )  # fmt: skip
    status = dict(cleared.frame.select(BAND, "status").iter_rows())
    if not cleared.certificate.passed or {status["_T"], status[NOTHING]} - set(OPEN):
        withdraw(place)
        return []
    return list(_on_the_way(status, down, BELOW[::-1]))


def open_thresholds(units: pl.DataFrame, year: int, bands: pl.DataFrame, limits: RuleSet, seed: int) -> tuple[str, ...]:
    """Thresholds (in percent) whose count of a year may be shown beside R30's; R30 is among them.

    ``units``: those of the year; ``bands``: :data:`TOTALS` of the count as cleared with the flows, none where no pattern passed.
    """
    found = [band_code(R30)]
    if bands.height:
        up = [band_code(t) for t in ABOVE]
        found += _on_the_way(dict(bands.select("code", "status").iter_rows()), up[:-1], ABOVE[1:])
    return (*found, *(_below(units, year, limits, seed) if units.height else []))
