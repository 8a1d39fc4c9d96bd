"""A source while it is edited: its rows, the changes so far, and what other sources say of the same units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from etl.editing_plan import EditingPlan, Other

KEY: Final = "record"


@dataclass
class Work:
    """A source under way: ``rows`` with :data:`KEY` (unit and period) and ``cell``, and the changes so far by key and item."""

    rows: pl.DataFrame
    changes: dict[tuple[str, str], dict[str, Any]]
    noted: dict[str, set[str]] = field(default_factory=dict)
    """Records by item whose change is not written into the rows yet."""

    def note(self, record: str, variable: str, value: float | None, rule: str, flag: str, detail: str) -> None:
        """A change; an earlier one of the same item keeps its original value and rule."""
        old = self.changes.get((record, variable))
        raw = self.rows[variable][self.place(record)] if old is None else old["original"]
        self.changes[record, variable] = {
            "original": None if raw is None else float(raw), "value": value, "rule": old["rule"] if old else rule,
            "flag": flag, "detail": "; ".join(d for d in (old["detail"] if old else "", detail) if d),
        }  # fmt: skip
        self.noted.setdefault(variable, set()).add(record)

    def place(self, record: str) -> int:
        """Row of a record."""
        if not hasattr(self, "_places"):
            self._places = {k: i for i, k in enumerate(self.rows[KEY])}
        return self._places[record]

    def apply(self, plan: EditingPlan) -> None:
        """Write the values of the changes into the rows, in the columns' own types; whole units of the form for money."""
        for name in sorted(self.noted):
            dtype = self.rows.schema[name]
            new = {k: self.changes[k, name]["value"] for k in sorted(self.noted.pop(name))}
            places = [self.place(k) for k in new]
            values = pl.Series([None if x is None else round(x, 0 if dtype.is_integer() else 2) for x in new.values()])
            column = self.rows[name].cast(pl.Float64).scatter(places, values.cast(pl.Float64))
            touched = pl.Series([False]).new_from_index(0, self.rows.height).scatter(places, True)
            typed = column.cast(dtype, strict=True)
            written = pl.select(pl.when(touched).then(typed).otherwise(self.rows[name]).alias(name)).to_series()
            self.rows = self.rows.with_columns(written)


def aligned(rows: pl.DataFrame, others: Mapping[str, pl.DataFrame], other: Other, period: str) -> pl.Series:
    """What another source (or another column of the same one) says, in the order of ``rows``, Float64."""
    if not other.source:
        return rows[other.column].cast(pl.Float64)
    table = others[other.table]
    keys = ["uscc"] if period not in table.columns else ["uscc", period]
    known = table.select(*keys, pl.col(other.column).cast(pl.Float64).alias("_other")).unique(keys, keep="first")
    return rows.select(keys).join(known, on=keys, how="left", maintain_order="left")["_other"]
