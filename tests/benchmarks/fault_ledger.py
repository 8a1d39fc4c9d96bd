"""Where every fault of a demo home's log ended, read from the stores a nightly job left: none may vanish."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from etl.assets.collect import superseded_table, table_name
from etl.assets.editing import flag_table, followup_table
from etl.assets.register import DUPLICATE
from etl.contract import load_contract
from etl.suspects import SUSPECT
from warehouse.write import WorkStore

LISTED = {"wrong_gbt_code": (SUSPECT, ("unit_id",)), "duplicate_unit": (DUPLICATE, ("unit_id", "same_as"))}
SETTLED = ("quarantined", "corrected", "imputed", "replaced", "late", "listed", "followed_up", "left_missing")
"""How a fault may end; ``accepted`` (it stands, and nothing says so) and ``vanished`` are none of them."""


class _Stores:
    def __init__(self, home: Path) -> None:
        self.home, self.work = home, WorkStore(home)
        self.tables = set(self.work.tables())

    @cache  # noqa: B019 - lives as long as the ledger is made
    def quarantined(self, source: str) -> Mapping[str, list[str]]:
        """File → its rows in quarantine as text."""
        paths = sorted((self.home / "quarantine" / source).glob("*.parquet"))
        found: dict[str, list[str]] = {}
        for path in paths:
            for file, *texts in pl.read_parquet(path, columns=["file", "key", "value", "row_json"]).iter_rows():
                found.setdefault(file, []).append("|".join(str(t) for t in texts))
        return found

    @cache  # noqa: B019
    def keys(self, table: str, *columns: str) -> set[tuple[str, ...]]:
        """Keys of a table's rows as text; nothing where there is no such table."""
        if table not in self.tables:
            return set()
        frame = self.work.read(table, columns)
        return set(frame.select(pl.col(c).cast(pl.String) for c in columns).iter_rows())

    @cache  # noqa: B019
    def flags(self, source: str) -> Mapping[tuple[str, str, str], str]:
        """(unit, period, item) → flag of an edited value."""
        if flag_table(source) not in self.tables:
            return {}
        rows = self.work.read(flag_table(source), ["uscc", "period", "variable", "flag"])
        return {(u, p, v): "imputed" if f == "imputed" else "corrected" for u, p, v, f in rows.iter_rows()}

    @cache  # noqa: B019
    def followups(self, source: str) -> set[tuple[str, str, str]]:
        """(unit, period, item) of what a person is to look at."""
        if followup_table(source) not in self.tables:
            return set()
        rows = self.work.read(followup_table(source), ["uscc", "period", "variables"])
        return {(u, p, v) for u, p, names in rows.iter_rows() for v in names.split(" ")}

    def outcome(self, fault: Mapping[str, Any]) -> str:
        """How one fault ended."""
        source, contract = fault["source_id"], load_contract(fault["source_id"])
        parts = fault["key"].split("|")
        unit = fault["uscc"] or parts[0]
        codes = {unit, fault["written"] or unit} if fault["column"] == "uscc" else {unit}
        apart = self.quarantined(source).get(fault["file"], ())
        others = [p for p in parts if p not in (unit, fault["original"])]
        if any(any(c in text for c in codes) and all(p in text for p in others) for text in apart):
            return "quarantined"
        if fault["kind"] in LISTED:
            table, columns = LISTED[fault["kind"]]
            return (
                "listed" if any((c,) in self.keys(table, column) for c in codes for column in columns) else "accepted"
            )
        period = str(contract.file.period(fault["file"]) or "")
        own = ("uscc",) if "uscc" in contract.identifiers else tuple(contract.own_key)
        values = (unit,) if own == ("uscc",) else tuple(parts)
        columns = (*own, contract.period_column) if contract.period_column not in (None, *own) else own
        here = (*values, period)[: len(columns)]
        if fault["kind"] == "corrected_return":
            return "replaced" if here in self.keys(superseded_table(source), *columns) else "vanished"
        if here not in self.keys(table_name(source), *columns):
            return "vanished"
        if fault["kind"] == "late_return":
            return "late"
        flag = self.flags(source).get((unit, period, fault["column"]))
        if flag is not None:
            return flag
        if (unit, period, fault["column"]) in self.followups(source):
            return "followed_up"
        if here in self.keys(superseded_table(source), *columns):
            return "replaced"
        return "left_missing" if fault["kind"] == "missing_item" else "accepted"


def ledger(home: Path) -> pl.DataFrame:
    """``fault_id, source_id, kind, outcome``: one row a fault, by the best its cells came to."""
    stores = _Stores(home)
    order = {name: i for i, name in enumerate((*SETTLED, "accepted", "vanished"))}

    def rows() -> Iterator[tuple[str, str, str, str]]:
        log = pl.read_parquet(home / "truth" / "faults.parquet")
        with stores.work.held():
            for fault in log.iter_rows(named=True):
                yield fault["fault_id"], fault["source_id"], fault["kind"], stores.outcome(fault)

    found = pl.DataFrame(list(rows()), schema=["fault_id", "source_id", "kind", "outcome"], orient="row")
    best = pl.col("outcome").replace_strict(order, return_dtype=pl.Int64)
    return found.sort(best, maintain_order=True).unique("fault_id", keep="first", maintain_order=True).sort("fault_id")


def by_kind(found: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Kind → outcome → faults."""
    counts = found.group_by("kind", "outcome").len().sort("kind", "outcome")
    result: dict[str, dict[str, int]] = {}
    for kind, outcome, n in counts.iter_rows():
        result.setdefault(kind, {})[outcome] = n
    return result
