"""Growth waterfall, demography, quarterly series with climate, process quality and revisions (GSBPM phases 6 and 7)."""

import json
from collections.abc import Sequence
from datetime import date
from functools import partial

import dagster as dg
import polars as pl

from etl.assets.analyse import CONTRIBUTION
from etl.assets.collect import receipt_table, superseded_table, table_name
from etl.assets.disseminate import PROTECTED, QUANTITY
from etl.assets.editing import SUMMARY as EDITING
from etl.assets.editing import rows_table
from etl.assets.process import UNIT_YEAR
from etl.assets.register import DUPLICATE
from etl.clearing import AUDIT_SEED
from etl.compact import compact
from etl.contract import list_contracts
from etl.demography import AI_FROM, demography_counts
from etl.demography_release import demography_rows
from etl.dissemination import HIDDEN, TOTAL, RuleSet, model_shares, rules
from etl.duplicates import left_out
from etl.flow_cubes import nested_rows
from etl.link import LEGAL_UNIT
from etl.methods.disclosure.linked import Kind
from etl.methods.periods import parse
from etl.monitor import (
    CLIMATE,
    DATASET,
    Seasonal,
    climate_rows,
    diagnostic_rows,
    growth_of,
    profit_margin,
    quarter_cells,
    seasonal,
    staff_growth,
)
from etl.nested_cubes import nested_contributions
from etl.process_quality import process_rows
from etl.progress import step
from etl.quarters import Quarters, quarterly
from etl.release_ledger import begin
from etl.remember import remembered
from etl.resources import Stores, as_of
from etl.series_tables import (
    CLIMATE_TABLE,
    DEMOGRAPHY,
    DIAGNOSTIC,
    GROWTH,
    GROWTH_CERTIFICATE,
    NESTED_TOTAL,
    PROCESS,
    QUARTER,
    QUARTER_CERTIFICATE,
    REVISION,
    REVISION_SUMMARY,
)
from etl.vintages import first_published, first_vintage, released_totals, revision_rows, summary_rows
from etl.waterfall import TOLERANCE, changes, clear_changes, growth_rows, identity_error, public_certificate
from warehouse.catalogue import load_indicators, load_yaml
from warehouse.write import WorkStore

GROUP = "disseminate"
SERIES = {
    "ai_revenue": ("ai_survey_quarterly", "ai_revenue_ytd_cny"),
    "operating_revenue": ("finance_quarterly", "operating_revenue_ytd_cny"),
}

CLIMATE_ITEMS = {"ai_survey_quarterly": "ai_employed_persons", "finance_quarterly": "total_profit_ytd_cny"}
"""Items of the quarterly returns that the climate index is made of besides those of the series."""


def _limits(stores: Stores) -> RuleSet:
    return rules(stores.root / "secret" / "disclosure.yaml")


def _kinds() -> dict[str, Kind]:
    return {i.id: i.kind for i in load_indicators().values()}


@dg.asset(
    name=GROWTH,
    group_name=GROUP,
    deps=[CONTRIBUTION, UNIT_YEAR, PROTECTED, table_name("unit_links"), table_name("scale_list")],
    check_specs=[
        dg.AssetCheckSpec("identity_holds", asset=GROWTH, blocking=True),
        dg.AssetCheckSpec("audit_passed", asset=GROWTH, blocking=True),
    ],
    description="增长分解：同口径、升规退规、承接、新设、注销、重分类、修订 / growth on a comparable basis",
)
def growth_waterfall(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Split the change of AI revenue and of the number of AI enterprises; clear it jointly with the core cubes."""
    with step(GROWTH) as notes:
        work = stores.work
        contributions, cells = work.read(CONTRIBUTION), work.read(PROTECTED)
        before = released_totals(stores.root, as_of(context), synthetic=stores.is_demo)
        found = list(
            changes(
                contributions, work.read(UNIT_YEAR, ["uscc", "ref_year"]), work.read(table_name("unit_links")),
                first_published(before), work.read(table_name("scale_list"), ["uscc", "ref_year"]),
            )
        )  # fmt: skip
        begin("growth")
        coded = nested_contributions(work.read(UNIT_YEAR), contributions)
        cleared = clear_changes(found, coded, cells, _kinds(), _limits(stores), AUDIT_SEED)
        work.write(NESTED_TOTAL, nested_rows(cleared))
        rows = growth_rows(found, cleared, cells)
        work.write(GROWTH, rows)
        work.write(
            GROWTH_CERTIFICATE, pl.DataFrame({"json": [json.dumps(public_certificate(cleared), sort_keys=True)]})
        )
        worst = max((identity_error(c) for c in found), default=0.0)
        failed = [f"{c.indicator} {c.year}" for c in cleared if not c.certificate.passed]
        hidden = rows.filter(pl.col("conf_status") == "C").height
        notes.append(f"{len(found)} changes, {rows.height} figures, {hidden} withheld, identity to {worst:.1e}")
        return dg.MaterializeResult(
            metadata={"rows": rows.height, "withheld": hidden, "identity_error": worst},
            check_results=[
                dg.AssetCheckResult(
                    check_name="identity_holds", passed=worst <= TOLERANCE,
                    description=f"total = the sum of its parts to {worst:.1e}",
                ),
                dg.AssetCheckResult(
                    check_name="audit_passed", passed=not failed, description=", ".join(failed) or "all audits passed"
                ),
            ],
        )  # fmt: skip


PLACES = ("uscc", "operating_district", "registered_district")


def _legal_units(work: WorkStore, changed: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Dates and groups of the legal units of the register, and the districts of the changed ones; read in chunks."""
    columns = ("uscc", "unit_kind", "opening_date", "closing_date", "group_uscc", *PLACES[1:])
    units, places = [], []
    for chunk in work.batches(table_name("register"), columns):
        legal = chunk.filter(pl.col("unit_kind") == LEGAL_UNIT)
        units.append(compact(legal.drop(PLACES[1:])))
        places.append(compact(legal.filter(pl.col("uscc").is_in(changed.implode())).select(PLACES)))
    return pl.concat(units), pl.concat(places)


@dg.asset(
    name=DEMOGRAPHY,
    group_name=GROUP,
    deps=[UNIT_YEAR, DUPLICATE, *(table_name(s) for s in ("register", "register_delta", "unit_links"))],
    description="企业人口统计：新生、消亡、存活、高成长 / business demography of the register and the AI enterprises",
)
def register_demography(stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Births, deaths, survival and high growth, counts of few units withheld."""
    with step(DEMOGRAPHY) as notes:
        work = stores.work
        delta = work.read(table_name("register_delta"), [*PLACES, "unit_kind", "ref_period"])
        register, places = _legal_units(work, delta["uscc"].unique())
        register = register.filter(~pl.col("uscc").is_in(left_out(work).implode()))
        units = work.read(UNIT_YEAR, ["uscc", "ref_year", "membership", "employed_persons"])
        links = work.read(table_name("unit_links"))
        inputs = (register, places, delta, links, units)
        counts = remembered("demography", inputs, lambda: demography_counts(*inputs))
        begin("demography")
        years = units["ref_year"].unique().sort().to_list()
        rows = demography_rows(counts, years, _limits(stores), AUDIT_SEED)
        work.write(DEMOGRAPHY, rows)
        hidden = rows.filter(pl.col("conf_status") == "C").height
        notes.append(f"{rows.height} figures, {hidden} withheld")
        return dg.MaterializeResult(metadata={"rows": rows.height, "withheld": hidden})


def _known(work: WorkStore, source: str, items: Sequence[str], today: date) -> pl.DataFrame:
    """Returns of quarters that are over and that had come in by the day of the vintage."""
    rows = work.read(rows_table(source), ["uscc", "ref_period", "submitted_on", *items])
    periods = {p: parse(p).end for p in rows["ref_period"].unique().to_list()}
    done = [p for p, end in periods.items() if end < today]
    return rows.filter(
        pl.col("ref_period").is_in(done) & (pl.col("submitted_on").is_null() | (pl.col("submitted_on") <= today))
    )


def _series(
    returns: pl.DataFrame,
    column: str,
    indicator: str,
    contributions: pl.DataFrame,
    cells: pl.DataFrame,
    limits: RuleSet,
) -> Quarters | None:
    """One quarterly series, raised and benchmarked by the contributions to its annual indicator."""
    own = contributions.filter(pl.col("indicator") == indicator).drop_nulls("value")
    stratum = pl.concat_str(pl.col("ai_class").first().str.slice(0, 1), pl.col("size").first())
    annual = own.group_by("uscc", pl.col("ref_year").alias("year"), maintain_order=True).agg(
        weight=pl.col("value").sum(), stratum=stratum
    )
    totals = {y: float(v) for y, v in own.group_by("ref_year").agg(pl.col("value").sum()).iter_rows()}
    at_city = pl.all_horizontal(pl.col(d) == TOTAL for d in ("ai_class", "district", "size"))
    shown = cells.filter(at_city & (pl.col("indicator") == indicator) & ~pl.col("status").is_in(HIDDEN))
    open_years = [int(p) for p in shown["period"].unique()]
    contributors = own.select("uscc", "contributor").unique(maintain_order=True)
    return quarterly(returns, column, annual, contributors, totals, open_years, limits, AUDIT_SEED)


def _certificate(series: dict[str, Quarters]) -> dict[str, object]:
    parts = [
        {"indicator": name, "period": str(year), **c.public_dict()}
        for name, q in series.items()
        for year, c in q.certificates.items()
    ]
    return {"passed": all(p["passed"] is True for p in parts), "tables": parts}


@dg.asset(
    name=QUARTER,
    group_name=GROUP,
    deps=[UNIT_YEAR, CONTRIBUTION, PROTECTED, rows_table("ai_survey_quarterly"), rows_table("finance_quarterly")],
    check_specs=[dg.AssetCheckSpec("audit_passed", asset=QUARTER, blocking=True)],
    description="季度序列：单季、累计、季节调整、景气指数与预警灯 / quarterly series, seasonal adjustment, climate and lamps",
)
def quarter_series(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Quarterly city totals, seasonally adjusted where that is sound; the climate index and its lamps."""
    with step(QUARTER) as notes:
        work, today, limits = stores.work, date.fromisoformat(as_of(context)), _limits(stores)
        contributions, cells = work.read(CONTRIBUTION), work.read(PROTECTED)
        returns = {s: _known(work, s, (column, CLIMATE_ITEMS[s]), today) for s, column in SERIES.values()}
        make = partial(_series, contributions=contributions, cells=cells, limits=limits)
        begin("quarter")
        made = {name: make(returns[s], column, name) for name, (s, column) in SERIES.items()}
        series = {name: q for name, q in made.items() if q is not None}
        adjusted: dict[str, Seasonal] = {name: seasonal(q) for name, q in series.items()}
        work.write(QUARTER, quarter_cells(series, adjusted))
        work.write(DIAGNOSTIC, diagnostic_rows(adjusted))
        certificate = _certificate(series)
        work.write(QUARTER_CERTIFICATE, pl.DataFrame({"json": [json.dumps(certificate, sort_keys=True)]}))
        frame = work.read(UNIT_YEAR, ["uscc", "contributor", "membership"])
        everyone = frame.select("uscc", "contributor").unique("uscc", maintain_order=True)
        members = everyone.filter(pl.col("uscc").is_in(frame.filter(pl.col("membership") >= AI_FROM)["uscc"].implode()))
        values = {
            "ai_revenue_yoy": growth_of(series.get("ai_revenue")),
            "operating_revenue_yoy": growth_of(series.get("operating_revenue")),
            "ai_staff_yoy": staff_growth(returns["ai_survey_quarterly"], everyone, limits, AUDIT_SEED),
            "profit_margin": profit_margin(returns["finance_quarterly"], members, limits, AUDIT_SEED),
        }
        climate = climate_rows(values, load_yaml("climate")) if series else pl.DataFrame(schema=CLIMATE)
        work.write(CLIMATE_TABLE, climate)
        said = ", ".join(
            f"{n} {len(q.periods)} quarters{'' if adjusted[n].adjusted is not None else ' (not adjusted)'}"
            for n, q in series.items()
        )
        notes.append(said or "no quarterly returns")
        return dg.MaterializeResult(
            metadata={"series": len(series)},
            check_results=[dg.AssetCheckResult(check_name="audit_passed", passed=bool(certificate["passed"]))],
        )


def _current(cells: pl.DataFrame, vintage: str) -> pl.DataFrame:
    """City totals this run would publish, as :func:`etl.vintages.revision_rows` takes them."""
    at_city = pl.all_horizontal(pl.col(d) == TOTAL for d in ("ai_class", "district", "size"))
    shown = cells.filter(at_city & (pl.col("table") == "core_leaf_year") & (pl.col("status") == "published"))
    return shown.select(
        "indicator", "ai_class", "period", vintage=pl.lit(vintage), value=pl.col("value").cast(pl.Float64)
    )


@dg.asset(
    name=REVISION,
    group_name=GROUP,
    deps=[PROTECTED],
    description="修订三角与修订指标（已发布的全市数） / revision triangles and measures of released city totals",
)
def revision_vintages(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Compare the city totals of this run with those of earlier releases."""
    with step(REVISION) as notes:
        vintage = as_of(context)
        before = released_totals(stores.root, vintage, synthetic=stores.is_demo)
        current = _current(stores.work.read(PROTECTED), vintage)
        rows = revision_rows(before, current, load_yaml("revision"))
        stores.work.write(REVISION, rows)
        stores.work.write(REVISION_SUMMARY, summary_rows(before, current))
        notes.append(
            f"{before['vintage'].n_unique()} earlier vintages, {rows['revision'].is_not_null().sum()} revisions"
        )
        return dg.MaterializeResult(metadata={"rows": rows.height})


def _newest(stores: Stores, vintage: str) -> dict[str, tuple[str, str]]:
    """Newest period of the annual and quarterly datasets, and the vintage that first released it."""
    found = {}
    for dataset, table in (("core_leaf_year", PROTECTED), (DATASET, QUARTER)):
        periods = stores.work.read(table, ["period"])["period"].unique().sort()
        if periods.len():
            last = str(periods[-1])
            found[dataset] = last, first_vintage(stores.root, dataset, last, vintage, synthetic=stores.is_demo)
    return found


def _editing_rates(work: WorkStore) -> dict[tuple[str, str], float]:
    """(source, period) → share of returned values that editing changed, as cleared for readers; empty where none is edited."""
    if not work.exists(EDITING):
        return {}
    rows = work.read(EDITING).filter((pl.col("metric") == "editing_rate") & pl.col("value").is_not_null())
    return {(s, p): v for s, p, v in rows.select("source_id", "period", "value").iter_rows()}


@dg.asset(
    name=PROCESS,
    group_name="control",
    deps=[
        UNIT_YEAR,
        CONTRIBUTION,
        QUANTITY,
        QUARTER,
        EDITING,
        *(table_name(c.id) for c in list_contracts() if c.survey),
    ],
    description="各调查的过程质量指标（ESS） / process quality of every survey (ESS)",
)
def process_quality(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Response, imputation, accuracy, timeliness and punctuality, from the process's own tables."""
    with step(PROCESS) as notes:
        work, vintage = stores.work, as_of(context)
        surveys = [c for c in list_contracts() if c.survey is not None]
        tables = set(work.tables())
        contributions = work.read(CONTRIBUTION)
        rows = process_rows(
            surveys,
            {c.id: work.read(receipt_table(c.id)) for c in surveys},
            {c.id: work.read(superseded_table(c.id)) for c in surveys if superseded_table(c.id) in tables},
            {
                c.id: work.read(table_name(c.id), ["ref_period", "submitted_on"])
                for c in surveys
                if any(column.to == "submitted_on" for column in c.columns) and c.frequency == "Q"
            },
            work.read(UNIT_YEAR), contributions, work.read(QUANTITY), model_shares(contributions),
            _newest(stores, vintage),
            load_yaml("calendar"), _editing_rates(work),
        )  # fmt: skip
        work.write(PROCESS, rows)
        notes.append(f"{rows.height:,} indicators of {len(surveys)} surveys")
        return dg.MaterializeResult(metadata={"rows": rows.height})
