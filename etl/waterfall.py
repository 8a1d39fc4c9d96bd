"""What the change of a published total is made of, by branch, on a comparable basis (GSBPM 6-7).

Same units; crossed the threshold of the list (升规纳统, 退规); merged or took over; new; gone; reclassified; revised.

The parts are differences of sums over units, so they are cleared like any table: the earlier and the later year are cut by
what became of the units, protected, and audited together with the core cubes of the same contributions.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from etl.dissemination import CUBES, HIDDEN, TOTAL, branch
from etl.flow_cubes import CAME, STAY, STAYING, WENT, ClearedYear, clear_year, contributions_of
from etl.methods.disclosure import RuleSet
from etl.methods.disclosure.linked import Kind
from etl.methods.growth.decomposition import APART, COMPONENTS, Waterfall, assignments, decompose, link_groups

INDICATORS: Final = ("ai_revenue", "ai_enterprises")
ALL: Final = (*COMPONENTS, *APART)
PARTS: Final = ("previous", STAYING, *ALL, "current", "total", "growth", "comparable_growth")
RATES: Final[Mapping[str, Callable[[Waterfall], float | None]]] = {
    "growth": lambda w: w.growth.ratio, "comparable_growth": lambda w: w.comparable.ratio
}  # fmt: skip
TOLERANCE: Final = 1e-12
SCHEMA: Final = {
    "indicator": pl.String, "ai_class": pl.String, "period": pl.String, "component": pl.String, "value": pl.Float64,
    "points": pl.Float64, "conf_status": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One indicator and pair of years: ``classes`` by branch and ``_T``; ``marks``: ``uscc, ai_class (branch), came, went``.

    ``marks`` say of every contribution of the later year what came (``year``), of the earlier what went (``year`` − 1).
    ``has_list``: the list of units above the threshold was there for both years; without it nobody is known to have
    crossed it, and those parts are missing, not zero.
    """

    indicator: str
    year: int
    classes: Mapping[str, Waterfall]
    marks: pl.DataFrame
    has_list: bool = True


def _groups(units: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """``uscc, root``: units that continue each other within the year share a root."""
    known = units["uscc"].unique().sort().to_list()
    before: dict[str, list[str]] = {}
    for old, new in links.select("predecessor_uscc", "successor_uscc").iter_rows():
        before.setdefault(new, []).append(old)
    return pl.DataFrame({"uscc": known, "root": link_groups(known, [before.get(u, []) for u in known])})


def compared(
    amounts: pl.DataFrame, frame: pl.DataFrame, links: pl.DataFrame, year: int, listed: pl.DataFrame | None = None
) -> pl.DataFrame:  # fmt: skip
    """Units of two years as :func:`etl.methods.growth.decomposition.decompose` takes them, one row a unit and branch.

    Parameters
    ----------
    amounts
        ``uscc, ref_year, branch, value``: sums of the contributions to one indicator.
    frame
        ``uscc, ref_year`` of all units of the frame: a unit that was there before with nothing in a branch is
        reclassified into it, one that was not enters.
    links
        ``predecessor_uscc, successor_uscc, event_date``; those of the later year tie units together.
    listed
        ``uscc, ref_year`` of the units on the list of those above the threshold; a year without rows is not known.
    """
    sides = []
    for at, suffix in ((year, ""), (year - 1, "_prev")):
        own = amounts.filter(pl.col("ref_year") == at)
        sides.append(own.select("uscc", "branch", pl.col("value").cast(pl.Float64).alias(f"value{suffix}")))
    rows = sides[0].join(sides[1], on=["uscc", "branch"], how="full", coalesce=True)
    there = {
        at: frame.filter(pl.col("ref_year") == at)["uscc"].unique().implode() for at in (year, year - 1)
    }  # fmt: skip
    own = links.filter(pl.col("event_date").dt.year() == year)
    roots, tied = _groups(rows, own), pl.concat([own["predecessor_uscc"], own["successor_uscc"]]).unique().implode()
    on_list = {at: _on_list(listed, at) for at in (year, year - 1)}
    return rows.join(roots, on="uscc", how="left").select(
        pl.format("{}|{}", "uscc", "branch").alias("unit"), "uscc", "branch",
        pl.col("value").fill_null(0.0), pl.col("value_prev").fill_null(0.0),
        active=pl.col("uscc").is_in(there[year]), active_prev=pl.col("uscc").is_in(there[year - 1]),
        **{"class": pl.when(pl.col("value").is_not_null()).then("branch")},
        class_prev=pl.when(pl.col("value_prev").is_not_null()).then("branch"),
        published_prev=pl.col("value_prev"), group=pl.format("{}|{}", "root", "branch"),
        listed=on_list[year], listed_prev=on_list[year - 1], linked=pl.col("uscc").is_in(tied),
    ).sort("unit")  # fmt: skip


def _on_list(listed: pl.DataFrame | None, year: int) -> pl.Expr:
    """Whether a unit is on the list of a year; null where there is no list of it."""
    known = None if listed is None else listed.filter(pl.col("ref_year") == year)["uscc"].unique()
    return pl.lit(None, pl.Boolean) if known is None or not known.len() else pl.col("uscc").is_in(known.implode())


def with_revision(found: Waterfall, published: float | None) -> Waterfall:
    """The waterfall from the earlier total as it was first published; unchanged where it had not been published."""
    if published is None:
        return found
    revision = found.previous - published
    return replace(found, previous=published, revision=revision, total=found.current - published)


def changes(
    contributions: pl.DataFrame, units: pl.DataFrame, links: pl.DataFrame,
    published: Mapping[tuple[str, str, str], float], listed: pl.DataFrame | None = None,
) -> Iterator[Change]:  # fmt: skip
    """Every indicator of :data:`INDICATORS` and pair of neighbouring years.

    Parameters
    ----------
    contributions
        As :func:`etl.analysis.contributions` returns them; gaps are left out, as in the cubes.
    units
        ``uscc, ref_year`` of the frame.
    links
        Rows of ``unit_links``.
    published
        (indicator, branch or ``_T``, year) → total as first published, in releases before this one.
    listed
        As :func:`compared` takes it; None or no rows of a year: nobody is known to have crossed the threshold.
    """
    listed_years = set() if listed is None else set(listed["ref_year"].unique())
    known = contributions.drop_nulls("value").with_columns(branch=branch())
    for indicator in INDICATORS:
        rows = known.filter(pl.col("indicator") == indicator)
        amounts = rows.group_by("uscc", "ref_year", "branch").agg(pl.col("value").sum())
        years = sorted(rows["ref_year"].unique().to_list())
        for year in [y for y in years if y - 1 in years]:
            pair = compared(amounts, units, links, year, listed)
            split = decompose(pair)
            classes = {
                code: with_revision(w, published.get((indicator, code, str(year - 1))))
                for code, w in {TOTAL: split.whole, **split.classes}.items()
            }
            marks = (
                assignments(pair)
                .join(pair.select("unit", "uscc", "branch"), on="unit")
                .select("uscc", "branch", "component", "here", "here_prev")
            )
            yield Change(indicator, year, classes, marks, {year, year - 1} <= listed_years)


def identity_error(change: Change) -> float:
    """Largest distance of a total from the sum of its parts, relative to the larger of the two levels."""
    worst = 0.0
    for found in change.classes.values():
        scale = max(abs(found.previous), abs(found.current), 1.0)
        parts = math.fsum(getattr(found, c) for c in ALL)
        worst = max(worst, abs(found.total - parts) / scale, abs(found.current - found.previous - found.total) / scale)
    return worst


def clear_changes(
    found: Sequence[Change], contributions: pl.DataFrame, core_cells: pl.DataFrame, kinds: Mapping[str, Kind],
    limits: RuleSet, seed: int,
) -> list[ClearedYear]:  # fmt: skip
    """Clear what cuts the contributions of every year (flows, nested totals), in order.

    ``contributions``: coded by :func:`etl.nested_cubes.nested_contributions`, or without nested totals.
    """
    known = contributions.drop_nulls("value")
    cleared = []
    for indicator in INDICATORS:
        marks = {c.year: c.marks for c in found if c.indicator == indicator}
        rows = known.filter(pl.col("indicator") == indicator)
        core = core_cells.filter(pl.col("indicator") == indicator)
        for year in sorted(rows["ref_year"].unique().to_list()):
            micro = contributions_of(rows.filter(pl.col("ref_year") == year), marks.get(year), marks.get(year + 1))
            own = core.filter(pl.col("period") == str(year))
            cleared.append(clear_year(indicator, kinds[indicator], year, micro, own, limits, seed))
    return cleared


def _is_shown(change: Change, code: str, part: str, years: Mapping[int, ClearedYear], levels: Mapping[str, set[str]]) -> bool:  # fmt: skip
    """Whether a part may be known: every level it is computed from is released or passed the audit."""
    now, before = years[change.year], years[change.year - 1]
    released = {y: code in levels.get(str(y), set()) for y in (change.year, change.year - 1)}
    needs = {
        "previous": released[change.year - 1], "revision": released[change.year - 1], "current": released[change.year],
        "total": all(released.values()), "growth": all(released.values()),
        "entry": now.shows(CAME, code, "entry"), "exit": before.shows(WENT, code, "exit"),
        **{
            c: now.shows(CAME, code, c) and before.shows(WENT, code, c)
            for c in (*STAY, STAYING, "reclassification")
        },
    }  # fmt: skip
    return needs["continuing" if part == "comparable_growth" else part]


def _figure(change: Change, found: Waterfall, part: str) -> tuple[float | None, float | None]:
    """Value of a part, and its contribution to growth in percentage points; None where there is none."""
    if part in RATES:
        return RATES[part](found), None
    if part in ("listed", "delisted") and not change.has_list:
        return None, None
    value: float = getattr(found, part)
    between = found.growth.ratio is not None and part in (*ALL, STAYING)
    return value, 100.0 * value / found.previous if between else None


def growth_rows(found: Sequence[Change], cleared: Sequence[ClearedYear], core_cells: pl.DataFrame) -> pl.DataFrame:
    """The table ``meta_growth``: ``indicator, ai_class (branch or _T), period, component, value, points, conf_status``.

    ``component``: ``previous``, the parts (``staying`` is the sum of the same units and those told apart of them),
    ``current``, ``total`` (yuan or enterprises), ``growth`` and ``comparable_growth`` (可比口径, ratios). ``points``:
    contribution to growth in percentage points. Withheld (``C``): no value. Without the list of both years ``listed`` and
    ``delisted`` are missing (no value, not ``C``).
    """
    at_city = pl.all_horizontal(pl.col(d) == TOTAL for d in ("district", "size")) & (
        pl.col("table") == "core_leaf_year"
    )
    rows = []
    for change in found:
        years = {c.year: c for c in cleared if c.indicator == change.indicator}
        own = core_cells.filter(at_city & (pl.col("indicator") == change.indicator))
        levels: dict[str, set[str]] = {}
        for period, code in own.filter(~pl.col("status").is_in(HIDDEN)).select("period", "ai_class").iter_rows():
            levels.setdefault(period, set()).add(code)
        for code, w in sorted(change.classes.items()):
            for part in PARTS:
                shown = _is_shown(change, code, part, years, levels)
                value, points = _figure(change, w, part) if shown else (None, None)
                if not _is_shown(change, code, "previous", years, levels):
                    points = None
                rows.append(
                    (change.indicator, code, str(change.year), part, value, points, "F" if shown else "C")
                )  # fmt: skip
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def public_certificate(cleared: Sequence[ClearedYear]) -> dict[str, object]:
    """Which audits passed and how much is withheld; no cell of it is named."""
    parts = [
        {"indicator": c.indicator, "period": str(c.year), "level": c.level, **c.certificate.public_dict()} for c in cleared
    ]  # fmt: skip
    return {"passed": bool(cleared) and all(c.certificate.passed for c in cleared), "jointly_with": sorted(CUBES), "tables": parts}  # fmt: skip
