"""Small sources made by hand for the tests of source indicators."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from etl.collect import schema
from etl.contract import load_contract
from etl.methods.disclosure import RuleSet
from etl.source_codes import dimension_codes
from etl.source_cubes import ClearedSource, clear_source
from etl.source_plan import clusters
from etl.source_rows import Received
from warehouse.catalogue import load_indicators

VINTAGE = date(2026, 11, 25)
MEMBERS = {
    "uscc": pl.String, "ref_year": pl.Int64, "contributor": pl.String, "district": pl.String, "size": pl.String,
    "membership": pl.Float64, "is_signed": pl.Boolean,
}  # fmt: skip


def received(
    source: str, rows: Sequence[Mapping[str, Any]], *, groups: Mapping[str, str] | None = None,
    members: Sequence[Mapping[str, Any]] = (), periods: Sequence[str] = (), vintage: date = VINTAGE,
) -> Received:  # fmt: skip
    """A source with the rows given (columns left out are null); ``groups``: unit → enterprise group."""
    contract = load_contract(source)
    types, given = schema(contract), {name for row in rows for name in row}
    frame = pl.DataFrame(rows, infer_schema_length=None).select(
        [pl.col(c).cast(t) if c in given else pl.lit(None, t).alias(c) for c, t in types.items()]  # type: ignore[arg-type]
    )
    units = dict(groups or {})
    known = pl.DataFrame(
        {"uscc": list(units), "contributor": list(units.values()), "unit_section": ["I"] * len(units)},
        schema={"uscc": pl.String, "contributor": pl.String, "unit_section": pl.String},
    )
    return Received(contract, frame, frozenset(periods), known, pl.DataFrame(members, schema=MEMBERS), vintage)


def cleared(source: Received, limits: RuleSet | None = None) -> ClearedSource:
    """The cells of a source under the demo rules."""
    cluster = next(c for c in clusters(load_indicators().values()) if c.source == source.contract.id)
    codes = {name: [c for c, *_ in own] for name, own in dimension_codes(source, cluster).items()}
    return clear_source(cluster, source, codes, limits or RuleSet())


def cell(found: ClearedSource, dataset: str, indicator: str, period: str, **key: str) -> tuple[float | None, str]:
    """Value and status of one cell; ``(None, "")`` where there is none."""
    frame = found.frame.filter(dataset=dataset, indicator=indicator, period=period, **key)
    if frame.is_empty():
        return None, ""
    row = frame.row(0, named=True)
    return float(row["value"]), row["status"]


def centre(n: int, uscc: str, period: str, **values: Any) -> dict[str, Any]:
    """A computing centre in a month."""
    plain = {
        "centre_id": f"SL{n:03d}", "uscc": uscc, "ref_period": period, "district": "440305", "centre_type": "1",
        "capacity_pflops": 100, "available_pflops": 90, "utilisation_pct": 50, "pue": "1.25", "energy_kwh": 1000,
        "renewable_kwh": 400, "open_share_pct": 10,
    }  # fmt: skip
    return plain | values


def application(n: int, uscc: str, tier: str = "H", done: str = "1", **values: Any) -> dict[str, Any]:
    """An application in the third quarter of 2026: high risk is assessed, the others are disclosed and followed up."""
    high = tier == "H"
    plain = {
        "application_id": f"YY{n:03d}", "uscc": uscc, "ref_period": "2026-Q3", "risk_tier": tier, "domain": "R1",
        "assessed_before": done if high else "3", "disclosed_before": "3" if high else done,
        "followed_up": "3" if high else done, "incidents": 0,
    }  # fmt: skip
    return plain | values
