"""Cubes of further sources: one system of tables a quantity and period, and the indicators read from its cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from etl.clearing import AUDIT_SEED, clear_table
from etl.dissemination import HIDDEN, crowded
from etl.methods.disclosure import RuleSet
from etl.release_ledger import Place
from etl.source_family import MONEY, Codes, Family, contributions, families, parents
from etl.source_plan import Cluster, Plan, Quantity
from etl.source_quality import stratified_cv, too_few_sampled
from etl.source_rows import NOT_STATED, Placed, Received, check_columns, coded, keep, place
from etl.source_sums import TOTAL, distinct_cells, plain_cells, rollups
from warehouse.catalogue import Dataset, MetadataError

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
    """Cells of every quantity of a source over its periods, with the coded rows behind each; all have ``period``."""

    families: Mapping[Quantity, Family]
    cells: Mapping[Quantity, pl.DataFrame]
    rows: Mapping[Quantity, pl.DataFrame]


def _protected(
    micro: pl.DataFrame, family: Family, known: Mapping[str, Mapping[str, str | None]], limits: RuleSet, place: Place
) -> tuple[pl.DataFrame, Finding]:
    """``table, dims, parts, value, status`` of one quantity and period, and the audit's public findings."""
    cleared = clear_table(
        micro, family.tables(), known, limits, AUDIT_SEED, kind=family.kind, offers=family.offers(),
        unanswered=family.unanswered(), place=place,
    )  # fmt: skip
    return cleared.frame.drop("n"), cleared.certificate.public_dict()


def _once(rows: pl.DataFrame, family: Family, codes: Codes, limit: int) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Each unit that counts once, and its cells where the counts do not add up (None where they do)."""
    spec = family.plans[0].spec
    rows = rows.filter(keep(spec.where)).drop_nulls(spec.contributor)
    apart = distinct_cells(rows, family, codes, limit)
    return rows.unique([str(spec.contributor)], keep="first", maintain_order=True), apart


def _cells(
    rows: pl.DataFrame, family: Family, periods: Sequence[str], codes: Codes, limits: RuleSet | None
) -> tuple[pl.DataFrame, list[Finding]]:
    """Cells of one quantity in all its periods; each period is protected for itself."""
    known = parents(rows, family, codes)
    if limits is None and not family.quantity.distinct:
        return plain_cells(contributions(rows, family), family, {**known, "period": periods}), []
    limit = 1 if limits is None else limits.min_contributors
    frames, findings = [], []
    names = sorted(p.indicator.id for p in family.plans)
    for period in periods:
        own, apart = rows.filter(pl.col("period") == period), None
        finding: Finding = {"passed": True, "checks": {"totals_only": True}}
        if family.quantity.distinct:
            own, apart = _once(own, family, codes, limit)
        if apart is not None:
            cells = apart
        elif limits is None:
            cells = plain_cells(contributions(own, family), family, {**known, "period": [period]}).drop("period")
        else:
            place = Place(f"source/{names[0]}/{family.quantity.name}", period)
            cells, finding = _protected(contributions(own, family), family, known, limits, place)
        frames.append(cells.with_columns(period=pl.lit(period)))
        findings.append({"indicators": names, "period": period, **finding})
    return pl.concat(frames, how="diagonal"), [] if limits is None else findings


def _read(tables: _Tables, plan: Plan, dataset: Dataset, *, below: bool = False) -> pl.DataFrame:
    """``d_…, period, value, status`` of one reading of an indicator."""
    reading = plan.denominator if below and plan.denominator is not None else plan.numerator
    family, cells = tables.families[reading.quantity], tables.cells[reading.quantity]
    own = cells.filter(pl.col("table") == family.table_name(dataset, reading.part))
    if reading.part is not None:
        own = own.filter(pl.col(family.column(reading.part)) == reading.code)
    return own.select(*(f"d_{d}" for d in dataset.dimension_ids), "period", "value", "status")


def _divided(above: pl.DataFrame, below: pl.DataFrame, plan: Plan, keys: Sequence[str]) -> pl.DataFrame:
    """A ratio is shown where both its sides are; without a denominator there is no cell."""
    if plan.spec.across is not None:
        across = f"d_{plan.spec.across}"
        below = below.filter(pl.col(across) == TOTAL).drop(across)
    both = above.join(below, on=[k for k in keys if k in below.columns], suffix="_below", maintain_order="left")
    sides = ("status", "status_below")
    primary, secondary = (pl.any_horizontal(pl.col(s) == kind for s in sides) for kind in HIDDEN)
    ratio = pl.col("value").cast(pl.Float64) / pl.col("value_below").cast(pl.Float64) * plan.factor
    status = pl.when(primary).then(pl.lit("primary")).when(secondary).then(pl.lit("secondary"))
    return both.filter(pl.col("value_below") > 0).select(
        *keys, value=ratio.round(2).cast(MONEY), status=status.otherwise(pl.lit("published"))
    )


def _with_gaps(cells: pl.DataFrame, rows: pl.DataFrame, plan: Plan, keys: Sequence[str]) -> pl.DataFrame:
    """Empty cells that hold rows without a value are missing, not zero."""
    variable = plan.numerator.quantity.variable
    if variable is None:
        return cells
    unknown = rows.filter(keep(plan.spec.where) & pl.col(variable).is_null())
    gaps = rollups(unknown, keys[:-1]).select(keys).unique().with_columns(gap=pl.lit(True))
    missing = (pl.col("status") == "empty") & pl.col("gap").is_not_null()
    return (
        cells.join(gaps, on=keys, how="left", maintain_order="left")
        .with_columns(status=pl.when(missing).then(pl.lit("missing")).otherwise("status"))
        .drop("gap")
    )


def _indicator_cells(tables: _Tables, plan: Plan, dataset: Dataset) -> pl.DataFrame:
    """Cells of one indicator in one cube."""
    dims = [f"d_{d}" for d in dataset.dimension_ids]
    keys = [*dims, "period"]
    rows = tables.rows[plan.numerator.quantity]
    own = _read(tables, plan, dataset)
    if plan.denominator is None:
        own = _with_gaps(own, rows, plan, keys)
    else:
        own = _divided(own, _read(tables, plan, dataset, below=True), plan, keys)
    if plan.spec.sample is not None:
        own = too_few_sampled(own, rollups(rows, dims), plan.spec.sample, keys)
    if plan.spec.aggregation == "cv":
        own = stratified_cv(own, rows, plan, dims)
    # What is not stated is in the total, and no category of its own.
    shown = [pl.col(d) == TOTAL if plan.indicator.totals_only else pl.col(d) != NOT_STATED for d in dims]
    stated = own.filter(pl.all_horizontal(shown))
    return stated.rename({f"d_{d}": d for d in dataset.dimension_ids}).with_columns(
        indicator=pl.lit(plan.indicator.id), dataset=pl.lit(dataset.id)
    )


def crowded_sources(cells: pl.DataFrame) -> pl.DataFrame:
    """Levels of the sources' cubes of which too much is withheld (:func:`etl.dissemination.crowded`); ``level``: dimensions shown.

    ``cells``: as :class:`ClearedSource` has them.
    """
    fixed = {"dataset", "indicator", "period", "value", "status", "provisional"}
    dims = [c for c in cells.columns if c not in fixed]
    shown = [pl.when(pl.col(d).is_not_null() & (pl.col(d) != TOTAL)).then(pl.lit(d)) for d in dims]
    known = cells.filter(~pl.col("status").is_in(["empty", "missing"]))
    return crowded(
        known.select(
            "indicator", table="dataset", hidden=pl.col("status").is_in(HIDDEN),
            level=pl.concat_str(shown, separator=" × ", ignore_nulls=True),
        )
    )  # fmt: skip


def _check(cluster: Cluster, received: Received) -> None:
    if not cluster.protected and received.contract.identifying:
        raise MetadataError(f"source {cluster.source} names units; its cubes must say protected: true")
    for plan in cluster.plans:
        check_columns(received.contract, plan.spec, plan.indicator.id)


def clear_source(cluster: Cluster, received: Received, codes: Codes, limits: RuleSet) -> ClearedSource:
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
    placed: dict[Quantity, Placed] = {}
    audits: list[Finding] = []
    found: dict[Quantity, tuple[Family, pl.DataFrame, pl.DataFrame]] = {}
    for family in families(cluster):
        spec, quantity = family.plans[0].spec, family.quantity
        placed[quantity] = place(received, spec, cluster.frequency)
        if placed[quantity].periods:
            rows = coded(placed[quantity].rows, cluster.dimensions, spec)
            if all(p.indicator.totals_only for p in family.plans):
                rows = rows.with_columns(pl.lit(NOT_STATED).alias(f"d_{d}") for d in cluster.dimensions)
            limit = limits if cluster.protected else None
            cells, findings = _cells(rows, family, placed[quantity].periods, codes, limit)
            found[quantity] = (family, cells, rows)
            audits += findings
    tables = _Tables(
        {q: family for q, (family, _, _) in found.items()},
        {q: cells for q, (_, cells, _) in found.items()},
        {q: rows for q, (_, _, rows) in found.items()},
    )
    frames = []
    for plan in (p for p in cluster.plans if p.numerator.quantity in found):
        provisional = pl.col("period").is_in(sorted(placed[plan.numerator.quantity].provisional))
        own = [d for d in cluster.datasets if d.id in plan.indicator.datasets]
        frames += [_indicator_cells(tables, plan, d).with_columns(provisional=provisional) for d in own]
    return ClearedSource(cluster.source, pl.concat(frames, how="diagonal") if frames else pl.DataFrame(), tuple(audits))
