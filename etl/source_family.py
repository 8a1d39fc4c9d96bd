"""One quantity of a source: the tables that show it, and the contributions with their codes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from etl.contract import load_contract
from etl.source_plan import Cluster, Part, Plan, Quantity, Reading
from etl.source_rows import NOT_STATED, keep
from warehouse.catalogue import Dataset, MetadataError, load_datasets
from warehouse.source_spec import KNOWN

MONEY: Final = pl.Decimal(24, 2)
"""Denominator of a question that every responding unit was asked."""
PARTS: Final[Mapping[str, str | None]] = {"of": None, "in": "of", "out": "of", "na": None}
Codes = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Family:
    """One quantity of a cluster, with the indicators that read it and the parts they need."""

    quantity: Quantity
    kind: Literal["count", "magnitude"]
    plans: tuple[Plan, ...]
    parts: tuple[Part, ...]

    def column(self, part: Part) -> str:
        """Name of a part's dimension."""
        return f"p{self.parts.index(part)}"

    def table_name(self, dataset: Dataset, part: Part | None) -> str:
        """Name of the table that shows a part by a cube's dimensions."""
        return dataset.id if part is None else f"{dataset.id}~{self.column(part)}"

    def tables(self) -> dict[str, tuple[str, ...]]:
        """Table name → dimensions, for :func:`etl.methods.disclosure.build_table`: all are protected together."""
        found: dict[str, tuple[str, ...]] = {}
        for dataset, part in self._shown():
            dims = tuple(f"d_{d}" for d in dataset.dimension_ids)
            found[self.table_name(dataset, part)] = dims if part is None else (*dims, self.column(part))
        return found

    def offers(self) -> dict[str, set[str]]:
        """The codes of every part that a reading shows; its other codes are in no publication."""
        found: dict[str, set[str]] = {self.column(p): set() for p in self.parts}
        for _, reading in self._readings():
            if reading.part is not None:
                found[self.column(reading.part)].add(reading.code)
        return found

    def unanswered(self) -> dict[str, set[str]]:
        """Code of a part that holds nobody's answer: those who left blank a question that everybody was asked."""
        found: dict[str, set[str]] = {}
        for plan, reading in self._readings():
            question, part = plan.spec.question, reading.part
            if question is None or part is None or part.split is not None:
                continue
            column = load_contract(plan.spec.id).column(question.column)
            if column.question is not None and column.question.asked_of == "all":
                whole = ({KNOWN}, set(map(str, column.values)))
                if [name for name, _ in part.of] == [question.column] and set(part.of[0][1]) in whole:
                    found[self.column(part)] = {"na"}
        return found

    def _shown(self) -> Iterator[tuple[Dataset, Part | None]]:
        for plan, reading in self._readings():
            yield from ((load_datasets()[d], reading.part) for d in plan.indicator.datasets)

    def _readings(self) -> Iterator[tuple[Plan, Reading]]:
        for plan in self.plans:
            for reading in (plan.numerator, plan.denominator):
                if reading is not None and reading.quantity == self.quantity:
                    yield plan, reading


def families(cluster: Cluster) -> list[Family]:
    """The quantities of a cluster.

    Raises
    ------
    MetadataError
        If indicators of one quantity differ in kind, or would split its values twice where it is protected.
    """
    plans: dict[Quantity, dict[str, Plan]] = {}
    parts: dict[Quantity, dict[Part, None]] = {}
    for plan in cluster.plans:
        for reading in (plan.numerator, plan.denominator):
            if reading is not None:
                plans.setdefault(reading.quantity, {})[plan.indicator.id] = plan
                parts.setdefault(reading.quantity, {}).update({reading.part: None} if reading.part else {})
    found = []
    for quantity, own in plans.items():
        splits = [p for p in parts[quantity] if p.split]
        kinds = {p.indicator.kind for p in own.values() if p.numerator.quantity == quantity} or {"magnitude"}
        if len(kinds) > 1 or len(splits) > 1:
            raise MetadataError(
                f"{sorted(own)} show one quantity: they need one kind, and only one may split its values; "
                "publish the others from a source of their own"
            )
        kind: Literal["count", "magnitude"] = "count" if kinds == {"count"} else "magnitude"
        found.append(Family(quantity, kind, tuple(own.values()), tuple(parts[quantity])))
    return found


def _amount(quantity: Quantity, weighed: bool) -> pl.Expr:
    """Contribution of a row; exact where nothing but a column is read."""
    value = pl.lit(1) if quantity.variable is None else pl.col(quantity.variable)
    if quantity.times is None and quantity.over is None and not weighed:
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
        known.with_columns(outside.alias("value"), pl.lit("out").alias(name)),
        cut.filter(pl.col("inside").is_null()).with_columns(pl.lit("na").alias(name)),
    ]).drop("inside")  # fmt: skip


def contributions(rows: pl.DataFrame, family: Family) -> pl.DataFrame:
    """Coded rows with ``value`` and a code ``p<n>`` a part; the rows of a split twice, inside and outside."""
    weighed = family.plans[0].spec.scope == "members"
    rows = rows.with_columns(
        _amount(family.quantity, weighed).alias("value"),
        *(_code(p).alias(family.column(p)) for p in family.parts if p.split is None),
    )
    for part in family.parts:
        rows = rows if part.split is None else _split(rows, part, family.column(part))
    return rows


def parents(rows: pl.DataFrame, family: Family, codes: Codes) -> dict[str, Mapping[str, str | None]]:
    """Hierarchy of every dimension and part.

    Raises
    ------
    MetadataError
        If the rows hold a code that is not in its list.
    """
    found: dict[str, Mapping[str, str | None]] = {family.column(p): PARTS for p in family.parts}
    for name, known in codes.items():
        there = set(rows[f"d_{name}"].unique().to_list())
        strange = there - set(known) - {NOT_STATED}
        if strange:
            raise MetadataError(
                f"dimension {name}: {sorted(strange)[:5]} are not codes of its list; add them to codelists.yaml"
            )
        found[f"d_{name}"] = dict.fromkeys([*known, *sorted(there & {NOT_STATED})])
    return found
