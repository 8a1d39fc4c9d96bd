"""Cubes of further sources: one protected table system a quantity and period, and the indicators read from its cells."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import polars as pl

from etl.dissemination import HIDDEN
from etl.methods.disclosure import Rules, Table, audit, build_table, protect
from etl.source_plan import Cluster, Part, Plan, Quantity
from etl.source_quality import stratified_cv, too_few_sampled
from etl.source_rows import NOT_STATED, Placed, Received, check_columns, coded, keep, place
from warehouse.catalogue import Dataset, MetadataError, load_datasets

TOTAL: Final = "_T"
MONEY: Final = pl.Decimal(24, 2)
PARTS: Final[Mapping[str, str | None]] = {"of": None, "in": "of", "out": "of", "na": None}
SEED: Final = 20221101
Codes = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class ClearedSource:
    """All cells of one source's cubes (restricted) and what the audits found.

    ``frame``: ``dataset, indicator, period``, the dimensions (null where a dataset has it not), ``value`` Decimal(24,2),
    ``status`` published | primary | secondary | empty | missing, ``provisional``.
    """

    source: str
    frame: pl.DataFrame
    audits: tuple[Mapping[str, object], ...]

    @property
    def passed(self) -> bool:
        """Whether every audit did."""
        return all(a["passed"] is True for a in self.audits)


@dataclass(frozen=True)
class _Family:
    """One quantity of a cluster, with the parts its readings need and the cubes that show each."""

    quantity: Quantity
    kind: str
    plans: tuple[Plan, ...]
    parts: tuple[Part, ...]

    def tables(self) -> dict[str, tuple[str, ...]]:
        """Table name → dimensions, for :func:`etl.methods.disclosure.build_table`."""
        found: dict[str, tuple[str, ...]] = {}
        for dataset, part in self.shown():
            dims = tuple(f"d_{d}" for d in dataset.dimension_ids)
            found[table_name(dataset, part, self)] = dims if part is None else (*dims, self.column(part))
        return found

    def shown(self) -> Iterator[tuple[Dataset, Part | None]]:
        """Cubes and parts that some indicator reads."""
        for plan in self.plans:
            for reading in (plan.numerator, plan.denominator):
                if reading is not None and reading.quantity == self.quantity:
                    yield from ((load_datasets()[d], reading.part) for d in plan.indicator.datasets)

    def column(self, part: Part) -> str:
        return f"p{self.parts.index(part)}"


def table_name(dataset: Dataset, part: Part | None, family: _Family) -> str:
    """Name of the table that shows a part of a quantity by a cube's dimensions."""
    return dataset.id if part is None else f"{dataset.id}~{family.column(part)}"


def _families(cluster: Cluster) -> list[_Family]:
    plans: dict[Quantity, list[Plan]] = {}
    parts: dict[Quantity, dict[Part, None]] = {}
    for plan in cluster.plans:
        for reading in (plan.numerator, plan.denominator):
            if reading is not None:
                plans.setdefault(reading.quantity, []).append(plan)
                parts.setdefault(reading.quantity, {}).update({reading.part: None} if reading.part else {})
    found = []
    for quantity, own in plans.items():
        splits = [p for p in parts[quantity] if p.split]
        kinds = {p.indicator.kind for p in own if p.numerator.quantity == quantity} or {"magnitude"}
        if len(kinds) > 1 or (cluster.protected and len(splits) > 1):
            names = sorted({p.indicator.id for p in own})
            raise MetadataError(f"{names} share one quantity: one kind and at most one split of its values are possible")
        found.append(_Family(quantity, kinds.pop(), tuple({p.indicator.id: p for p in own}.values()), tuple(parts[quantity])))
    return found


def _amount(quantity: Quantity, factor: bool) -> pl.Expr:
    """Contribution of a row, exact where nothing but a column is read."""
    value = pl.lit(1) if quantity.variable is None else pl.col(quantity.variable)
    if quantity.times is None and quantity.over is None and not factor:
        return value.cast(MONEY)
    value = value.cast(pl.Float64)
    if quantity.times is not None:
        value = value * pl.col(quantity.times).cast(pl.Float64)
    if quantity.over is not None:
        value = value / pl.col(quantity.over).cast(pl.Float64)
    return (value * pl.col("factor")).round(2).cast(MONEY)


def _code(part: Part) -> pl.Expr:
    of, inside = keep(dict(part.of)), keep(dict(part.inside))
    return pl.when(of & inside).then(pl.lit("in")).when(of).then(pl.lit("out")).otherwise(pl.lit("na"))


def _split(rows: pl.DataFrame, part: Part, name: str) -> pl.DataFrame:
    """Each row twice, with the inside and the outside of its value; once where the inside is not known."""
    inside = (pl.col(str(part.split)).cast(pl.Float64) * pl.col("factor")).round(2).cast(MONEY)
    of = keep(dict(part.of)) & pl.col("value").is_not_null()
    cut = rows.with_columns(inside=pl.when(of).then(pl.min_horizontal(inside, "value")))
    known = cut.filter(pl.col("inside").is_not_null())
    outside = (pl.col("value") - pl.col("inside")).cast(MONEY)
    return pl.concat([
        known.with_columns(pl.lit("in").alias(name), value="inside"),
        known.with_columns(outside.alias("value"), pl.lit("out").alias(name)).select(*known.columns, name),
        cut.filter(pl.col("inside").is_null()).with_columns(pl.lit("na").alias(name)),
    ]).drop("inside")  # fmt: skip


def _micro(rows: pl.DataFrame, family: _Family, members: bool) -> pl.DataFrame:
    """Contributions with their codes; the rows of a split twice, inside and outside."""
    rows = rows.with_columns(
        _amount(family.quantity, members).alias("value"),
        *(_code(p).alias(family.column(p)) for p in family.parts if p.split is None),
    )
    for part in family.parts:
        rows = rows if part.split is None else _split(rows, part, family.column(part))
    return rows


def _hierarchies(micro: pl.DataFrame, family: _Family, codes: Codes) -> dict[str, Mapping[str, str | None]]:
    found: dict[str, Mapping[str, str | None]] = {family.column(p): PARTS for p in family.parts}
    for name, known in codes.items():
        there = set(micro[f"d_{name}"].unique().to_list())
        strange = there - set(known) - {NOT_STATED}
        if strange:
            raise MetadataError(f"dimension {name}: {sorted(strange)[:5]} are not codes of its list")
        found[f"d_{name}"] = dict.fromkeys([*known, *sorted(there & {NOT_STATED})])
    return found


def _unprotected(table: Table) -> pl.DataFrame:
    """Cells of aggregates that name nobody: every value is shown."""
    cents = [*table.cents.tolist(), 0]
    variable = table.cells["variable"].to_list()
    return table.cells.select(
        "table",
        *table.dims,
        value=pl.Series([cents[v] for v in variable], dtype=pl.Int64).cast(pl.Decimal(38, 2)) / 100,
        status=pl.Series(["empty" if v < 0 else "published" for v in variable], dtype=pl.String),
    ).with_columns(pl.col("value").cast(MONEY))


def _rollups(rows: pl.DataFrame, dims: Sequence[str]) -> pl.DataFrame:
    """Rows repeated for every subset of dimensions set to the total."""
    subsets = [c for size in range(len(dims) + 1) for c in combinations(dims, size)]
    return pl.concat([rows.with_columns(pl.lit(TOTAL).alias(d) for d in subset) for subset in subsets])


def _distinct(rows: pl.DataFrame, family: _Family, codes: Codes, limit: int) -> pl.DataFrame | None:
    """Cells of a count of units that stand in several cells: None where none does (then the counts add up).

    No sum relates them, so only totals of ``limit`` groups or more are shown where the source is protected.
    """
    dims = [f"d_{d}" for d in codes]
    unit = str(family.plans[0].spec.contributor)
    if rows.select(unit, *dims).unique().height == rows[unit].n_unique():
        return None
    parts = []
    for name, shown in family.tables().items():
        counted = _rollups(rows.select(unit, "contributor", *shown), shown).group_by(shown)
        cells = counted.agg(value=pl.col(unit).n_unique().cast(MONEY), n=pl.col("contributor").n_unique())
        total = pl.all_horizontal(pl.col(d) == TOTAL for d in shown)
        status = pl.when(~total & (limit > 1)).then(pl.lit("secondary")).when(pl.col("n") < limit)
        parts.append(
            cells.with_columns(
                table=pl.lit(name), status=status.then(pl.lit("primary")).otherwise(pl.lit("published"))
            ).drop("n")
        )
    return pl.concat(parts, how="diagonal").with_columns(pl.col(dims).fill_null(TOTAL))


def _family_cells(
    rows: pl.DataFrame, family: _Family, codes: Codes, limits: Rules | None
) -> tuple[pl.DataFrame, Mapping[str, object] | None]:
    """All cells of one quantity and period with their status, and the audit's public findings."""
    spec = family.plans[0].spec
    if family.quantity.distinct:
        rows = rows.filter(keep(spec.where)).drop_nulls(spec.contributor)
        apart = _distinct(rows, family, codes, 1 if limits is None else limits.min_contributors)
        if apart is not None:
            passed = {"passed": True, "checks": {"totals_only": True}, "counts": {"cells": apart.height}}
            return apart, None if limits is None else passed
        rows = rows.unique([str(spec.contributor)], keep="first", maintain_order=True)
    micro = _micro(rows, family, spec.scope == "members")
    used = dict.fromkeys(c for dims in family.tables().values() for c in dims)
    table = build_table(
        micro.select(*used, "contributor", "value", "observed"), family.tables(),
        {k: v for k, v in _hierarchies(rows, family, codes).items() if k in used},
        value="value", contributor="contributor", observed="observed",
        kind="count" if family.kind == "count" else "magnitude",
    )  # fmt: skip
    if limits is None:
        return _unprotected(table), None
    pattern = protect(table, limits)
    return pattern.frame, audit(pattern, limits, seed=SEED).public_dict()


def _read(cells: pl.DataFrame, family: _Family, plan: Plan, dataset: Dataset, numerator: bool) -> pl.DataFrame:
    """``d_…, value, status`` of one reading."""
    reading = plan.numerator if numerator or plan.denominator is None else plan.denominator
    own = cells.filter(pl.col("table") == table_name(dataset, reading.part, family))
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
    hidden = [pl.any_horizontal(pl.col(s) == kind for s in sides) for kind in HIDDEN]
    ratio = pl.col("value").cast(pl.Float64) / pl.col("value_below").cast(pl.Float64) * plan.factor
    return both.filter(pl.col("value_below") > 0).select(
        *dims,
        value=ratio.round(2).cast(MONEY),
        status=pl.when(hidden[0]).then(pl.lit("primary")).when(hidden[1]).then(pl.lit("secondary"))
        .otherwise(pl.lit("published")),
    )  # fmt: skip


def _gaps(rows: pl.DataFrame, plan: Plan, dims: Sequence[str]) -> pl.DataFrame:
    """Keys of cells that hold rows without a value: empty there is missing, not zero."""
    variable = plan.numerator.quantity.variable
    if variable is None or plan.denominator is not None:
        return pl.DataFrame(schema=dict.fromkeys(dims, pl.String))
    unknown = rows.filter(keep(plan.spec.where) & pl.col(variable).is_null()).select(dims)
    return _rollups(unknown, dims).unique() if dims else unknown.head(1)


def _indicator_cells(
    plan: Plan, dataset: Dataset, found: Mapping[Quantity, tuple[_Family, pl.DataFrame]], rows: pl.DataFrame
) -> pl.DataFrame:
    dims = [f"d_{d}" for d in dataset.dimension_ids]
    family, cells = found[plan.numerator.quantity]
    own = _read(cells, family, plan, dataset, True)
    if plan.denominator is not None:
        family, cells = found[plan.denominator.quantity]
        own = _divided(own, _read(cells, family, plan, dataset, False), plan, dims)
    else:
        gaps = _gaps(rows, plan, dims).with_columns(gap=pl.lit(True))
        own = own.join(gaps, on=dims, how="left", maintain_order="left").with_columns(
            status=pl.when((pl.col("status") == "empty") & pl.col("gap").is_not_null())
            .then(pl.lit("missing")).otherwise("status")
        ).drop("gap")  # fmt: skip
    if plan.spec.sample is not None:
        own = too_few_sampled(own, _rollups(rows, dims), plan.spec.sample, dims)
    if plan.spec.aggregation == "cv":
        own = stratified_cv(own, rows, plan, dims)
    # What is not stated is in the total, and no category of its own.
    own = own.filter(pl.all_horizontal(pl.col(d) != NOT_STATED for d in dims))
    return own.rename({f"d_{d}": d for d in dataset.dimension_ids}).with_columns(
        indicator=pl.lit(plan.indicator.id), dataset=pl.lit(dataset.id)
    )


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
    if not cluster.protected and received.contract.identifying:
        raise MetadataError(f"source {cluster.source} names units; its cubes must say protected: true")
    for plan in cluster.plans:
        check_columns(received.contract, plan.spec, plan.indicator.id)
    by_placing: dict[object, Placed] = {}
    families = _families(cluster)
    for family in families:
        spec = family.plans[0].spec
        by_placing.setdefault(family.quantity.placed, place(received, spec, cluster.frequency))
    frames, audits = [], []
    for period in sorted({p for placed in by_placing.values() for p in placed.periods}):
        found: dict[Quantity, tuple[_Family, pl.DataFrame]] = {}
        rows_of: dict[object, pl.DataFrame] = {}
        for family in families:
            placed = by_placing[family.quantity.placed]
            if period not in placed.periods:
                continue
            own = placed.rows.filter(pl.col("period") == period)
            rows = coded(own, cluster.dimensions, family.plans[0].spec)
            cells, certificate = _family_cells(rows, family, codes, limits if cluster.protected else None)
            found[family.quantity] = (family, cells)
            rows_of[family.quantity.placed] = rows
            if certificate is not None:
                names = sorted({p.indicator.id for p in family.plans})
                audits.append({"indicators": names, "period": period, **certificate})
        for plan in cluster.plans:
            if plan.numerator.quantity not in found:
                continue
            here = by_placing[plan.numerator.quantity.placed]
            for dataset in (d for d in cluster.datasets if d.id in plan.indicator.datasets):
                cells = _indicator_cells(plan, dataset, found, rows_of[plan.numerator.quantity.placed])
                frames.append(cells.with_columns(period=pl.lit(period), provisional=pl.lit(period in here.provisional)))
    return ClearedSource(cluster.source, pl.concat(frames, how="diagonal") if frames else pl.DataFrame(), tuple(audits))
