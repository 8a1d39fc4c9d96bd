"""Linked tables protected and audited (GSBPM 6.4), unless the same contributions were before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, cast

import polars as pl

from etl.methods.disclosure import Certificate, Pattern, RuleSet, build_table, protect
from etl.methods.disclosure.beside import Earlier
from etl.methods.disclosure.ledger import Conflict, packed
from etl.methods.disclosure.linked import Audited, Kind, Offers, Parents, audit_beside
from etl.release_ledger import Place, Proposal, active
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
    place: Place | None = None,
) -> ClearedTable:
    """Protect and audit ``tables`` of the contributions ``micro``.

    ``micro`` has the columns ``value``, ``contributor``, ``observed`` and the tables' dimensions; further ones are left out.
    ``place``: where the tables are released; within a run they are protected beside earlier official releases of the
    place. The rest as for :func:`etl.methods.disclosure.build_table` and :func:`etl.methods.disclosure.audit`.
    """
    dims = dict.fromkeys(item.partition(":")[0] for items in tables.values() for item in items)
    own = micro.select(*dims, "contributor", "value", "observed")
    used = {d: hierarchies[d] for d in dims}

    def protected(earlier: Earlier) -> tuple[Pattern, Audited]:
        table = build_table(own, tables, used, "value", "contributor", "observed", kind, offers, unanswered, limits)
        pattern = protect(table, limits, earlier=earlier)
        return pattern, audit_beside(pattern, limits, seed, earlier)

    codes = [{k: sorted(v) for k, v in (asked or {}).items()} for asked in (offers, unanswered)]
    return clear_beside(place, "clear", (own, tables, used, limits, seed, kind, codes), protected)


def clear_beside(
    place: Place | None, name: str, parts: Sequence[object],
    protected: Callable[[Earlier], tuple[Pattern, Audited]],
) -> ClearedTable:  # fmt: skip
    """Tables protected beside the official releases of a place, and proposed for the next.

    ``parts``: all that ``protected`` depends on but those releases.
    """
    ledger = active() if place is not None else None
    state = ledger.state(place) if ledger is not None and place is not None else ""

    def make() -> Mapping[str, pl.DataFrame]:
        earlier = ledger.earlier(place) if ledger is not None and place is not None and state else Earlier()
        pattern, audited = protected(earlier)
        return {
            "frame": pattern.frame,
            "certificate": as_json(audited.certificate.as_dict()),
            "entry": pl.DataFrame({"entry": [packed(audited.entry)]}),
            "conflicts": as_json([asdict(c) for c in pattern.conflicts]),
        }

    found = remembered(name, (*parts, state), make)
    certificate = Certificate(**cast(dict[str, Any], from_json(found["certificate"])))
    if ledger is not None and place is not None:
        listed = cast(list[dict[str, Any]], from_json(found["conflicts"]))
        conflicts = tuple(Conflict(**c) for c in listed)
        ledger.propose(place, Proposal(found["entry"]["entry"][0], certificate.data_hash, conflicts))
    return ClearedTable(found["frame"], certificate)
