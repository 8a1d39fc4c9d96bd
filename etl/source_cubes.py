"""Cubes of further sources: one system of tables a quantity and period, and the indicators read from its cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from etl.dissemination import HIDDEN
from etl.methods.disclosure import Rules, audit, build_table, protect
from etl.source_family import MONEY, Codes, Family, contributions, families, parents
from etl.source_plan import Cluster, Plan, Quantity
from etl.source_quality import stratified_cv, too_few_sampled
from etl.source_rows import NOT_STATED, Placed, Received, check_columns, coded, keep, place
from etl.source_sums import TOTAL, distinct_cells, plain_cells, rollups
from warehouse.catalogue import Dataset, MetadataError

SEED: Final = 20221101
Finding = Mapping[str, object]


@dataclass(frozen=True)
class ClearedSource:
    """All cells of one source's cubes (restricted) and what the audits found.

    ``frame``: ``dataset, indicator, period``, the dimensions (null where a dataset has it not), ``value`` Decimal(24,2),
    ``status`` published | primary | secondary | empty | missing, ``provisional``. ``audits``: public findings by quantity
    and period; none where nobody could be identified.
    """

    source: str
    frame: pl.DataFrame
    audits: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether every audit did."""
        return all(a["passed"] is True for a in self.audits)


@dataclass(frozen=True)
class _Tables:
    """Cells of the quantities of one period, with the coded rows behind each."""

    families: Mapping[Quantity, Family]
    cells: Mapping[Quantity, pl.DataFrame]
    rows: Mapping[Quantity, pl.DataFrame]


def _family_cells(
    rows: pl.DataFrame, family: Family, codes: Codes, limits: Rules | None
) -> tuple[pl.DataFrame, Finding | None]:
    """``table, dims, parts, value, status`` of one quantity and period, and the audit's public findings."""
    if family.quantity.distinct:
        spec = family.plans[0].spec
        rows = rows.filter(keep(spec.where)).drop_nulls(spec.contributor)
        apart = distinct_cells(rows, family, codes, 1 if limits is None else limits.min_contributors)
        if apart is not None:
            checks = {"passed": True, "checks": {"totals_only": True}, "counts": {"cells": apart.height}}
            return apart, None if limits is None else checks
        rows = rows.unique([str(spec.contributor)], keep="first", maintain_order=True)
    micro = contributions(rows, family)
    tables = family.tables()
    used = list(dict.fromkeys(c for dims in tables.values() for c in dims))
    known = parents(rows, family, codes)
    if limits is None:
        return plain_cells(micro, family, known), None
    table = build_table(
        micro.select(*used, "contributor", "value", "observed"), tables, {k: known[k] for k in used},
        value="value", contributor="contributor", observed="observed", kind=family.kind,
    )  # fmt: skip
    pattern = protect(table, limits)
    return pattern.frame, audit(pattern, limits, seed=SEED).public_dict()


def _read(tables: _Tables, plan: Plan, dataset: Dataset, *, below: bool = False) -> pl.DataFrame:
    """``d_…, value, status`` of one reading of an indicator."""
    reading = plan.denominator if below and plan.denominator is not None else plan.numerator
    family, cells = tables.families[reading.quantity], tables.cells[reading.quantity]
    own = cells.filter(pl.col("table") == family.table_name(dataset, reading.part))
    if reading.part is not None:
        own = own.filter(pl.col(family.column(reading.part)) == reading.code)
    return own.select(*(f"d_{d}" for d in dataset.dimension_ids), "value", "status")


def _divided(above: pl.DataFrame, below: pl.DataFrame, plan: Plan, dims: Sequence[str]) -> pl.DataFrame:
    """A ratio is shown where both its sides are; without a denominator there is no cell."""
    if plan.spec.across is not None:
        across = f"d_{plan.spec.across}"
        below = below.filter(pl.col(across) == TOTAL).drop(across)
    on = [d for d in dims if d in below.columns]
    both = above.join(below, on=on, suffix="_below") if on else above.join(below, how="cross", suffix="_below")
    sides = ("status", "status_below")
    primary, secondary = (pl.any_horizontal(pl.col(s) == kind for s in sides) for kind in HIDDEN)
    ratio = pl.col("value").cast(pl.Float64) / pl.col("value_below").cast(pl.Float64) * plan.factor
    status = pl.when(primary).then(pl.lit("primary")).when(secondary).then(pl.lit("secondary"))
    return both.filter(pl.col("value_below") > 0).select(
        *dims, value=ratio.round(2).cast(MONEY), status=status.otherwise(pl.lit("published"))
    )


def _with_gaps(cells: pl.DataFrame, rows: pl.DataFrame, plan: Plan, dims: Sequence[str]) -> pl.DataFrame:
    """Empty cells that hold rows without a value are missing, not zero."""
    variable = plan.numerator.quantity.variable
    if variable is None:
        return cells
    unknown = rolled(rows.filter(keep(plan.spec.where) & pl.col(variable).is_null()), dims)
    gaps = unknown.select(dims).unique().with_columns(gap=pl.lit(True))
    missing = (pl.col("status") == "empty") & pl.col("gap").is_not_null()
    return (
        cells.join(gaps, on=dims, how="left", maintain_order="left")
        .with_columns(status=pl.when(missing).then(pl.lit("missing")).otherwise("status"))
        .drop("gap")
    )


def rolled(rows: pl.DataFrame, dims: Sequence[str]) -> pl.DataFrame:
    """Rows for every cell they are in (all of them as they are where there is no dimension)."""
    return rollups(rows, dims) if dims else rows


def _indicator_cells(tables: _Tables, plan: Plan, dataset: Dataset) -> pl.DataFrame:
    """Cells of one indicator in one cube and period."""
    dims = [f"d_{d}" for d in dataset.dimension_ids]
    rows = tables.rows[plan.numerator.quantity]
    own = _read(tables, plan, dataset)
    if plan.denominator is None:
        own = _with_gaps(own, rows, plan, dims)
    else:
        own = _divided(own, _read(tables, plan, dataset, below=True), plan, dims)
    if plan.spec.sample is not None:
        own = too_few_sampled(own, rolled(rows, dims), plan.spec.sample, dims)
    if plan.spec.aggregation == "cv":
        own = stratified_cv(own, rows, plan, dims)
    # What is not stated is in the total, and no category of its own.
    stated = own.filter(pl.all_horizontal(pl.col(d) != NOT_STATED for d in dims))
    return stated.rename({f"d_{d}": d for d in dataset.dimension_ids}).with_columns(
        indicator=pl.lit(plan.indicator.id), dataset=pl.lit(dataset.id)
    )


def _check(cluster: Cluster, received: Received) -> None:
    if not cluster.protected and received.contract.identifying:
        raise MetadataError(f"source {cluster.source} names units; its cubes must say protected: true")
    for plan in cluster.plans:
        check_columns(received.contract, plan.spec, plan.indicator.id)


def clear_source(cluster: Cluster, received: Received, codes: Codes, limits: Rules) -> ClearedSource:
    """Every cell of a source's cubes.

    Parameters
    ----------
    codes
        Dimension → codes of its list (flat), for every dimension of the cubes.
    limits
        The rules of disclosure control, used where the cubes are protected.

    Raises
    ------
    MetadataError
        If an indicator names columns the source has not, or cubes of a source that names units are unprotected.
    """
    _check(cluster, received)
    known = families(cluster)
    placed: dict[Quantity, Placed] = {}
    same: dict[object, Placed] = {}
    for family in known:
        key = family.quantity.placed
        same.setdefault(key, place(received, family.plans[0].spec, cluster.frequency))
        placed[family.quantity] = same[key]
    frames, audits = [], []
    for period in sorted({p for place_ in same.values() for p in place_.periods}):
        here = [f for f in known if period in placed[f.quantity].periods]
        tables, found = _period_tables(here, placed, period, cluster, codes, limits)
        audits += found
        for plan in (p for p in cluster.plans if p.numerator.quantity in tables.cells):
            provisional = period in placed[plan.numerator.quantity].provisional
            marks = {"period": pl.lit(period), "provisional": pl.lit(provisional)}
            own = [d for d in cluster.datasets if d.id in plan.indicator.datasets]
            frames += [_indicator_cells(tables, plan, dataset).with_columns(**marks) for dataset in own]
    return ClearedSource(cluster.source, pl.concat(frames, how="diagonal") if frames else pl.DataFrame(), tuple(audits))


def _period_tables(
    here: Sequence[Family], placed: Mapping[Quantity, Placed], period: str, cluster: Cluster, codes: Codes,
    limits: Rules,
) -> tuple[_Tables, list[Finding]]:  # fmt: skip
    """Cells of every quantity of a period, each protected for itself, and the findings of the audits."""
    cells, rows_of, audits = {}, {}, []
    for family in here:
        own = placed[family.quantity].rows.filter(pl.col("period") == period)
        rows = coded(own, cluster.dimensions, family.plans[0].spec)
        rows_of[family.quantity] = rows
        cells[family.quantity], finding = _family_cells(rows, family, codes, limits if cluster.protected else None)
        if finding is not None:
            names = sorted(p.indicator.id for p in family.plans)
            audits.append({"indicators": names, "period": period, **finding})
    return _Tables({f.quantity: f for f in here}, cells, rows_of), audits
