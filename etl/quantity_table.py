"""Quality figures of the three quantities for readers: city totals only, and only those no reader can subtract from."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from etl.clearing import AUDIT_SEED
from etl.contract import load_contract
from etl.dissemination import TOTAL
from etl.domain_cubes import SAME_REVENUE
from etl.domains import domain_codes
from etl.methods.disclosure import RuleSet
from etl.methods.membership import R30, THRESHOLDS, sensitivity
from etl.nested_cubes import ANSWERS, COUNT, MODELS, REVENUE, band_code, open_thresholds
from etl.quantities import BASE, domain_columns, membership_name, signed_share
from etl.revenue_interval import RevenueInterval, domain_intervals, drawn_revenue, revenue_interval
from etl.strata import MIN_RESPONDENTS, floats, membership_strata
from etl.years import YEAR, by_year, years_of
from taxonomy.ladder import load_ladder, rung_number

SCHEMA: Final = {
    "metric": pl.String, "scope": pl.String, "period": pl.String, "value": pl.Float64, "lower": pl.Float64,
    "upper": pl.Float64, "note_zh": pl.String, "note_en": pl.String,
}  # fmt: skip
COLUMNS: Final = (
    "uscc", YEAR, "contributor", "leaf", "size", "p_ai", "responded", "share_basis", "ai_share", "ai_share_rung",
    "ai_share_estimate", "ai_revenue_cny", "main_revenue_cny", "operating_revenue_cny", "revenue_known", "staff_known", BASE,
    "domain_answered", *domain_columns().values(), *map(membership_name, THRESHOLDS),
)  # fmt: skip
"""Columns of a unit and year that the figures rest on."""
LABELS: Final = {"metric": pl.String, "scope": pl.String, "label_zh": pl.String, "label_en": pl.String}
Row = tuple[str, str, str, float | None, float | None, float | None, str, str]
WITHHELD: Final = (
    "不公布：与已公布的数相减会显出少数单位",
    "withheld: subtraction from published figures would show a few units",
)


def _open(cells: pl.DataFrame, indicator: str) -> set[str]:
    """Years whose city total of an indicator is published."""
    at_city = pl.all_horizontal(pl.col(d) == TOTAL for d in ("ai_class", "district", "size"))
    rows = cells.filter(at_city & (pl.col("indicator") == indicator) & (pl.col("status") == "published"))
    return set(rows["period"].unique())


def _members(units: pl.DataFrame, year: int, shown: set[str], open_thresholds: Sequence[str]) -> Iterator[Row]:
    """AI enterprises at each threshold, and the part confirmed by signed returns."""
    share, strata = floats(signed_share(units)), membership_strata(units).labels
    here = (units["ref_year"] == year).to_numpy()
    counts = sensitivity(share, strata, counted=here, min_respondents=MIN_RESPONDENTS)
    own = units.filter(here)
    for threshold, count in zip(sorted(THRESHOLDS), counts, strict=True):
        scope = band_code(threshold)
        if str(year) not in shown or scope not in open_thresholds:
            yield "member_count", scope, str(year), None, None, None, *WITHHELD
            continue
        # Rounded unit by unit to two places like the atoms of the cubes, so that R30 here is the headline count.
        total = float(own[membership_name(threshold)].fill_null(0.0).round(2).sum())
        limits_of = min(count.lower, total), max(count.upper, total)
        yield "member_count", scope, str(year), total, *limits_of, "", ""
        confirmed = round(count.confirmed / total, 4) if total else None
        yield "member_confirmed_share", scope, str(year), confirmed, None, None, "", ""


def _rungs(totals: pl.DataFrame, year: int, shown: set[str]) -> Iterator[Row]:
    """Share of the year's AI revenue that rests on each rung; hidden where a rung holds too few answers."""
    frame = totals.select("code", pl.col("value").cast(pl.Float64), "status")
    whole = frame.filter(pl.col("code") == TOTAL)["value"].to_list()
    if str(year) not in shown or not whole:
        return
    for rung, value, status in frame.iter_rows():
        if rung in (TOTAL, ANSWERS, MODELS) or status == "empty":
            continue
        hidden = status != "published"
        yield (
            "ai_share_rung", rung, str(year), None if hidden else round(value / whole[0], 4), None, None,
            *(WITHHELD if hidden else ("", "")),
        )  # fmt: skip


def _intervals(metric: str, found: Sequence[RevenueInterval], shown: set[tuple[str, str]]) -> Iterator[Row]:
    for i in found:
        if (i.scope, str(i.year)) in shown:
            yield metric, i.scope, str(i.year), i.estimate, i.lower, i.upper, "", ""


def _unresolved(units: pl.DataFrame, year: int) -> Iterator[Row]:
    count = units.filter((pl.col("ref_year") == year) & (pl.col("ai_share_rung") == rung_number("none"))).height
    yield "unresolved_units", "", str(year), float(count), None, None, "", ""


def _labels() -> pl.DataFrame:
    """What the scopes are called."""
    bases = {**load_contract("ai_survey_annual").column("share_basis").values, "0": "依据未注明"}
    english = {"1": "from the books", "2": "estimated by the respondent", "0": "basis not stated"}
    rows = []
    for threshold in THRESHOLDS:
        percent = round(100 * threshold)
        mark = ("（R30，现行口径）", " (R30, the rule in force)") if threshold == R30 else ("", "")
        for metric in ("member_count", "member_confirmed_share"):
            rows.append((metric, str(percent), f"{percent}% 及以上{mark[0]}", f"{percent} % or more{mark[1]}"))
    for rung in load_ladder():
        codes = bases if rung.confirms else {"": ""}
        for code, name in codes.items():
            scope = f"{rung.rung}-{code}" if code else str(rung.rung)
            zh, en = (f"（{name}）", f" ({english.get(code, name)})") if code else ("", "")
            rows.append(("ai_share_rung", scope, f"{rung.rung} {rung.zh}{zh}", f"{rung.rung} {rung.en}{en}"))
    rows.append(("ai_revenue", "", "人工智能业务收入合计", "AI business revenue, total"))
    for code in domain_codes():
        rows.append(("domain_revenue", code["code"], f"其中：{code['name_zh']}", f"of which {code['name_en']}"))
    rows.append(("unresolved_units", "", "待定单位数", "Unresolved units"))
    return pl.DataFrame(rows, schema=LABELS, orient="row")


def quantity_rows(
    units: pl.DataFrame, nested: pl.DataFrame, cells: pl.DataFrame, domain_cells: pl.DataFrame, limits: RuleSet
) -> pl.DataFrame:
    """The table ``meta_quantity_quality``: ``metric, scope, period, value, lower, upper, note_zh, note_en, label_zh, label_en``.

    ``member_count`` (scope 10, 30, 50) and ``member_confirmed_share``; ``ai_share_rung`` (scope ``1-1`` … ``7``), a
    share of AI revenue; ``ai_revenue`` with its interval, ``domain_revenue`` (scope R39, R40, R41, X) with theirs;
    ``unresolved_units``. Money in yuan. Nothing below the city is given, and no cell's interval that is not published.

    Parameters
    ----------
    units
        As :func:`etl.quantities.with_quantities` gives them.
    nested
        ``indicator, period`` and :data:`etl.nested_cubes.TOTALS`, as cleared with the flows (:func:`etl.flow_cubes.nested_rows`).
    cells
        Those of the core indicators, with their status.
    domain_cells
        Protected cells of the domain cubes.
    """
    revenue, counted = _open(cells, SAME_REVENUE), _open(cells, "ai_enterprises")
    published = domain_cells.filter((pl.col("table") == "core_domain_year") & (pl.col("status") == "published"))
    domains = set(published.select("domain", "period").iter_rows())
    totals = {
        (indicator, year): nested.filter((pl.col("indicator") == indicator) & (pl.col("period") == str(year)))
        for indicator in (COUNT, REVENUE) for year in years_of(units)
    }  # fmt: skip
    scopes = {
        year: open_thresholds(units.filter(pl.col(YEAR) == year), year, totals[COUNT, year], limits, AUDIT_SEED)
        for year in years_of(units)
    }

    def of_year(known: pl.DataFrame, year: int) -> pl.DataFrame:
        drawn = drawn_revenue(known, year)
        rows = [
            *_members(known, year, counted, scopes[year]),
            *_rungs(totals[REVENUE, year], year, revenue),
            *_intervals("ai_revenue", [revenue_interval(known, drawn)], {("", y) for y in revenue}),
            *_intervals("domain_revenue", domain_intervals(known, drawn), domains),
            *_unresolved(known, year),
        ]
        return pl.DataFrame(rows, schema=SCHEMA, orient="row")

    def parts(year: int) -> tuple[object, ...]:
        shown = str(year) in revenue, str(year) in counted, sorted(d for d, y in domains if y == str(year))
        return scopes[year], totals[REVENUE, year], shown

    found = by_year("quantity", units, of_year, parts, COLUMNS)
    return found.join(_labels(), on=["metric", "scope"], how="left").sort("metric", "scope", "period")
