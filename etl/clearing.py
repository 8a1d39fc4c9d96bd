"""Linked tables protected and audited (GSBPM 6.4), unless the same contributions were before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import polars as pl

from etl.methods.disclosure import Certificate, RuleSet, audit, build_table, protect
from etl.methods.disclosure.linked import Kind, Offers, Parents
from etl.remember import as_json, from_json, remembered

AUDIT_SEED: Final = 20221101


@dataclass(frozen=True)
class ClearedTable:
    """``frame``: every cell with value, contributors ``n`` and status (restricted), and the audit's certificate."""

    frame: pl.DataFrame
    certificate: Certificate


def clear_table(
    micro: pl.DataFrame,
    tables: Mapping[str, Sequence[str]],
    hierarchies: Mapping[str, Parents],
    limits: RuleSet,
    seed: int,
    *,
    kind: Kind = "magnitude",
    offers: Offers | None = None,
    unanswered: Offers | None = None,
) -> ClearedTable:
    """Protect and audit ``tables`` of the contributions ``micro``.

    ``micro`` has the columns ``value``, ``contributor``, ``observed`` and the tables' dimensions; further ones are left out.
    The rest as for :func:`etl.methods.disclosure.build_table` and :func:`etl.methods.disclosure.audit`.
    """
    dims = dict.fromkeys(item.partition(":")[0] for items in tables.values() for item in items)
    own = micro.select(*dims, "contributor", "value", "observed")
    used = {d: hierarchies[d] for d in dims}

    def make() -> Mapping[str, pl.DataFrame]:
        table = build_table(own, tables, used, "value", "contributor", "observed", kind, offers, unanswered, limits)
        pattern = protect(table, limits)
        return {"frame": pattern.frame, "certificate": as_json(audit(pattern, limits, seed=seed).as_dict())}

    codes = [{k: sorted(v) for k, v in (asked or {}).items()} for asked in (offers, unanswered)]
    parts = (own, tables, used, limits, seed, kind, codes)
    found = remembered("clear", parts, make)
    return ClearedTable(found["frame"], Certificate(**cast(dict[str, Any], from_json(found["certificate"]))))
