"""What the change of a published total is made of, by branch: continuing, entry, exit, reclassification, revision (GSBPM 6-7).

The parts are differences of sums over units, so they are cleared like any table: the earlier and the later year are cut by
what became of the units, protected, and audited together with the core cubes of the same contributions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import polars as pl

from etl.dissemination import CUBES, DIMENSIONS, HIDDEN, TOTAL, hierarchies
from etl.methods.disclosure import Certificate, Pattern, Rules, Table, audit, build_table, protect
from etl.methods.disclosure.secondary import frame_hash
from etl.methods.growth.decomposition import COMPONENTS, Waterfall, assignments, decompose, link_groups
from etl.remember import as_json, from_json, remembered

INDICATORS: Final = ("ai_revenue", "ai_enterprises")
CAME, WENT = "came", "went"
FLOWS: Final = {CAME: ("continuing", "entry", "reclassification"), WENT: ("continuing", "exit", "reclassification")}
ALONE: Final = "none"
"""Code of contributions in a year that has no neighbour to be compared with."""
FLOW_CUBES: Final = {f"growth_{name}": ("ai_class:1", name) for name in FLOWS}
PARTS: Final = ("previous", *COMPONENTS, "current", "total", "growth", "comparable_growth")
TOLERANCE: Final = 1e-12
SCHEMA: Final = {
    "indicator": pl.String, "ai_class": pl.String, "period": pl.String, "component": pl.String, "value": pl.Float64,
    "points": pl.Float64, "conf_status": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One indicator and pair of years: ``classes`` by branch and ``_T``; ``marks``: ``uscc, ai_class (branch), came, went``.

    ``marks`` say of every contribution of the later year what came (``year``), of the earlier what went (``year`` − 1).
    """

    indicator: str
    year: int
    classes: Mapping[str, Waterfall]
    marks: pl.DataFrame


def _branch() -> pl.Expr:
    return pl.col("ai_class").str.slice(0, 1)


def _groups(units: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """``uscc, root``: units that continue each other within the year share a root."""
    known = units["uscc"].unique().sort().to_list()
    before: dict[str, list[str]] = {}
    for old, new in links.select("predecessor_uscc", "successor_uscc").iter_rows():
        before.setdefault(new, []).append(old)
    return pl.DataFrame({"uscc": known, "root": link_groups(known, [before.get(u, []) for u in known])})


def compared(amounts: pl.DataFrame, frame: pl.DataFrame, links: pl.DataFrame, year: int) -> pl.DataFrame:
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
    """
    sides = []
    for at, suffix in ((year, ""), (year - 1, "_prev")):
        own = amounts.filter(pl.col("ref_year") == at)
        sides.append(own.select("uscc", "branch", pl.col("value").cast(pl.Float64).alias(f"value{suffix}")))
    rows = sides[0].join(sides[1], on=["uscc", "branch"], how="full", coalesce=True)
    there = {
        at: frame.filter(pl.col("ref_year") == at)["uscc"].unique().implode() for at in (year, year - 1)
    }  # fmt: skip
    roots = _groups(rows, links.filter(pl.col("event_date").dt.year() == year))
    return rows.join(roots, on="uscc", how="left").select(
        pl.format("{}|{}", "uscc", "branch").alias("unit"), "uscc", "branch",
        pl.col("value").fill_null(0.0), pl.col("value_prev").fill_null(0.0),
        active=pl.col("uscc").is_in(there[year]), active_prev=pl.col("uscc").is_in(there[year - 1]),
        **{"class": pl.when(pl.col("value").is_not_null()).then("branch")},
        class_prev=pl.when(pl.col("value_prev").is_not_null()).then("branch"),
        published_prev=pl.col("value_prev"), group=pl.format("{}|{}", "root", "branch"),
    ).sort("unit")  # fmt: skip


def with_revision(found: Waterfall, published: float | None) -> Waterfall:
    """The waterfall from the earlier total as it was first published; unchanged where it had not been published."""
    if published is None:
        return found
    revision = found.previous - published
    return replace(found, previous=published, revision=revision, total=found.current - published)


def changes(
    contributions: pl.DataFrame, units: pl.DataFrame, links: pl.DataFrame, published: Mapping[tuple[str, str, str], float]
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
    """
    known = contributions.drop_nulls("value").with_columns(branch=_branch())
    for indicator in INDICATORS:
        rows = known.filter(pl.col("indicator") == indicator)
        amounts = rows.group_by("uscc", "ref_year", "branch").agg(pl.col("value").sum())
        years = sorted(rows["ref_year"].unique().to_list())
        for year in [y for y in years if y - 1 in years]:
            pair = compared(amounts, units, links, year)
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
            yield Change(indicator, year, classes, marks)


def identity_error(change: Change) -> float:
    """Largest distance of a total from the sum of its parts, relative to the larger of the two levels."""
    worst = 0.0
    for found in change.classes.values():
        scale = max(abs(found.previous), abs(found.current), 1.0)
        parts = sum(getattr(found, c) for c in COMPONENTS)
        worst = max(worst, abs(found.total - parts) / scale, abs(found.current - found.previous - found.total) / scale)
    return worst


# --- clearing ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClearedYear:
    """Statuses of the flows of one indicator and year, by ``(flow, branch or _T, component)``, and the joint certificate.

    ``level``: ``branches`` (shown by branch), ``city`` (totals alone) or ``nothing``, the most that passed the audit.
    """

    indicator: str
    year: int
    status: Mapping[tuple[str, str, str], str]
    certificate: Certificate
    level: str

    def shows(self, flow: str, code: str, component: str) -> bool:
        """Whether a reader may know the amount."""
        return self.status.get((flow, code, component), "empty") not in HIDDEN


def _flow_parents() -> dict[str, dict[str, str | None]]:
    return {name: dict.fromkeys([*codes, ALONE]) for name, codes in FLOWS.items()}


def _micro(rows: pl.DataFrame, came: pl.DataFrame | None, went: pl.DataFrame | None) -> pl.DataFrame:
    """Contributions of one year with what came (against the year before) and what will have gone (by the year after)."""
    micro = rows.with_columns(branch=_branch())
    for name, marks, here in ((CAME, came, "here"), (WENT, went, "here_prev")):
        if marks is None:
            micro = micro.with_columns(pl.lit(ALONE).alias(name))
            continue
        own = marks.filter(here).select("uscc", "branch", pl.col("component").alias(name))
        micro = micro.join(own, on=["uscc", "branch"], how="left", maintain_order="left")
    return micro.select(*DIMENSIONS, CAME, WENT, "contributor", "value", "observed")


def _own_status(micro: pl.DataFrame, limits: Rules, kind: str, hidden: Sequence[str]) -> pl.DataFrame:
    """Statuses of the flow tables protected by themselves; rows of branches the core withholds are withheld too."""
    flat = micro.with_columns(_branch())
    parents = {"ai_class": dict.fromkeys(sorted(flat["ai_class"].unique().to_list())), **_flow_parents()}
    table = build_table(
        flat,
        FLOW_CUBES,
        parents,
        "value",
        "contributor",
        "observed",
        kind=kind,  # type: ignore[arg-type]
    )
    frame = protect(table, limits).frame
    shut = pl.col("ai_class").is_in(list(hidden)) & (pl.col("status") == "published")
    return frame.with_columns(status=pl.when(shut).then(pl.lit("secondary")).otherwise("status"))


def _joint(table: Table, core: pl.DataFrame, own: pl.DataFrame, limits: Rules) -> Pattern:
    """One pattern of the core cubes as they are released and the flow tables beside them.

    A figure that stands in both has the core's status: it is released there.
    """
    key = ["table", *table.dims]
    fixed = core.select("table", *DIMENSIONS, "status").with_columns(**{n: pl.lit(TOTAL) for n in FLOWS})
    flows = own.select("table", "ai_class", *FLOWS, "status").with_columns(district=pl.lit(TOTAL), size=pl.lit(TOTAL))
    both = pl.concat([fixed.select(*key, "status"), flows.select(*key, "status")])
    cells = table.cells.join(both, on=key, how="left", maintain_order="left")
    in_core = pl.col("table").is_in(list(CUBES))
    kept = cells.filter(in_core & (pl.col("variable") >= 0)).group_by("variable").agg(core=pl.col("status").first())
    cells = cells.join(kept, on="variable", how="left", maintain_order="left")
    cents = [*table.cents.tolist(), 0]
    values = pl.Series("cents", [cents[v] for v in cells["variable"].to_list()], dtype=pl.Int64)
    status = (
        pl.when(pl.col("variable") < 0)
        .then(pl.lit("empty"))
        .otherwise(pl.coalesce("core", "status", pl.lit("secondary")))
    )
    frame = cells.select(
        *key, value=(values.cast(pl.Decimal(38, 2)) / 100).cast(pl.Decimal(24, 2)), n=pl.lit(0, pl.Int64), status=status
    )
    return Pattern(frame, table, limits, frame_hash(frame))


def _shut(own: pl.DataFrame, level: str) -> pl.DataFrame:
    """The statuses with less shown: city totals alone, or nothing."""
    inner = (pl.col("ai_class") != TOTAL) if level == "city" else pl.lit(True)
    return own.with_columns(
        status=pl.when(inner & (pl.col("status") == "published")).then(pl.lit("secondary")).otherwise("status")
    )


def clear_year(
    indicator: str, kind: str, year: int, micro: pl.DataFrame, core: pl.DataFrame, limits: Rules, seed: int
) -> ClearedYear:  # fmt: skip
    """Protect the flows of one year and audit them with the core cubes of the same contributions.

    ``micro`` as :func:`_micro` shapes it, ``core`` the protected cells of the indicator and year. Where the joint audit
    fails by branch, city totals alone are tried, then nothing is shown.
    """
    parts = (indicator, kind, year, micro, core, limits, seed)

    def make() -> dict[str, pl.DataFrame]:
        status, certificate, level = _clear_year(kind, micro, core, limits, seed)
        rows = [(*key, value) for key, value in status.items()]
        frame = pl.DataFrame(rows, schema=["flow", "code", "component", "status"], orient="row")
        return {"status": frame, "certificate": as_json({"level": level, "certificate": certificate.as_dict()})}

    found = remembered("waterfall", parts, make)
    said = cast(dict[str, Any], from_json(found["certificate"]))
    status = {(flow, code, component): s for flow, code, component, s in found["status"].iter_rows()}
    return ClearedYear(indicator, year, status, Certificate(**said["certificate"]), said["level"])


def _clear_year(
    kind: str, micro: pl.DataFrame, core: pl.DataFrame, limits: Rules, seed: int
) -> tuple[dict[tuple[str, str, str], str], Certificate, str]:
    branch = pl.col("ai_class").is_in(micro.select(_branch().unique()).to_series().implode())
    at_city = (pl.col("district") == TOTAL) & (pl.col("size") == TOTAL) & (pl.col("table") == "core_leaf_year")
    hidden = core.filter(at_city & branch & pl.col("status").is_in(HIDDEN))["ai_class"].to_list()
    own = _own_status(micro, limits, kind, hidden)
    parents = {**hierarchies(), **_flow_parents()}
    table = build_table(
        micro,
        {**CUBES, **FLOW_CUBES},
        parents,
        "value",
        "contributor",
        "observed",
        kind=kind,  # type: ignore[arg-type]
    )
    for level in ("branches", "city", "nothing"):
        shown = own if level == "branches" else _shut(own, level)
        pattern = _joint(table, core, shown, limits)
        certificate = audit(pattern, limits, seed=seed)
        if certificate.passed:
            break
    flows = pattern.frame.filter(pl.col("table").is_in(list(FLOW_CUBES)))
    status = {}
    for name in FLOWS:
        own_rows = flows.filter(pl.col("table") == f"growth_{name}").select("ai_class", name, "status")
        status |= {(name, code, component): s for code, component, s in own_rows.iter_rows()}
    return status, certificate, level


def clear_changes(
    found: Sequence[Change], contributions: pl.DataFrame, core_cells: pl.DataFrame, kinds: Mapping[str, str],
    limits: Rules, seed: int,
) -> list[ClearedYear]:  # fmt: skip
    """Clear every indicator and year that a change touches, in order."""
    known = contributions.drop_nulls("value")
    cleared = []
    for indicator in dict.fromkeys(c.indicator for c in found):
        marks = {c.year: c.marks for c in found if c.indicator == indicator}
        rows = known.filter(pl.col("indicator") == indicator)
        core = core_cells.filter(pl.col("indicator") == indicator)
        for year in sorted({y for c in marks for y in (c, c - 1)}):
            micro = _micro(rows.filter(pl.col("ref_year") == year), marks.get(year), marks.get(year + 1))
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
        "continuing": now.shows(CAME, code, "continuing") and before.shows(WENT, code, "continuing"),
        "reclassification": now.shows(CAME, code, "reclassification") and before.shows(WENT, code, "reclassification"),
    }  # fmt: skip
    return needs["continuing" if part == "comparable_growth" else part]


def growth_rows(found: Sequence[Change], cleared: Sequence[ClearedYear], core_cells: pl.DataFrame) -> pl.DataFrame:
    """The table ``meta_growth``: ``indicator, ai_class (branch or _T), period, component, value, points, conf_status``.

    ``component``: ``previous``, the five parts, ``current``, ``total`` (yuan or enterprises), ``growth`` and
    ``comparable_growth`` (可比口径, ratios). ``points``: contribution to growth in percentage points. Withheld (``C``):
    no value.
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
                value = w.growth.ratio if part == "growth" else w.comparable.ratio if part == "comparable_growth" else getattr(w, part)  # fmt: skip
                shown = _is_shown(change, code, part, years, levels)
                points = w.points(part) if part in COMPONENTS and shown and _is_shown(change, code, "previous", years, levels) else None  # type: ignore[arg-type]  # fmt: skip
                rows.append(
                    (change.indicator, code, str(change.year), part, value if shown else None, points, "F" if shown else "C")
                )  # fmt: skip
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def public_certificate(cleared: Sequence[ClearedYear]) -> dict[str, object]:
    """Which audits passed and how much is withheld; no cell of it is named."""
    parts = [
        {"indicator": c.indicator, "period": str(c.year), "level": c.level, **c.certificate.public_dict()} for c in cleared
    ]  # fmt: skip
    return {"passed": bool(cleared) and all(c.certificate.passed for c in cleared), "jointly_with": sorted(CUBES), "tables": parts}  # fmt: skip
