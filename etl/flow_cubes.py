"""Flows into and out of each branch (what came, what went) and nested totals: cuts of one year, protected with the core cubes.

The parts of a change are differences of sums over units; so the earlier and the later year are cut by what became of the
units, and the cut cubes are protected like any table, beside the core cubes of the same contributions as they are released. What
nests in the headline figures (:mod:`etl.nested_cubes`) cuts the same contributions, so it is in the same system.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import polars as pl

from etl.beside_core import ClearedCut, Cut, clear_cut
from etl.dissemination import DIMENSIONS, HIDDEN, branch
from etl.methods.disclosure import Certificate, RuleSet
from etl.methods.disclosure.linked import Kind
from etl.methods.growth.decomposition import APART
from etl.nested_cubes import NESTED, TOTALS, NestedCut
from etl.release_ledger import Place

CAME, WENT = "came", "went"
STAYING: Final = "staying"
"""The same units with those told apart of them: shown where the finer parts may not be."""
STAY: Final = ("continuing", *APART)
FLOWS: Final = {CAME: (*STAY, "entry", "reclassification"), WENT: (*STAY, "exit", "reclassification")}
ALONE: Final = "none"
"""Code of contributions in a year that has no neighbour to be compared with."""
FLOW_CUBES: Final = {f"growth_{name}": ("ai_class:1", name) for name in FLOWS}


@dataclass(frozen=True)
class ClearedYear:
    """Statuses of the flows of one indicator and year, by ``(flow, branch or _T, component)``, and the joint certificate.

    ``level``: ``branches``, or ``nothing`` where no pattern of the flows passed beside the core cubes. ``nested``: ``code,
    value, status`` of the totals that nest in the headline figure (:mod:`etl.nested_cubes`; restricted), all withheld where no pattern passed.
    """

    indicator: str
    year: int
    status: Mapping[tuple[str, str, str], str]
    certificate: Certificate
    level: str
    nested: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=TOTALS))

    def shows(self, flow: str, code: str, component: str) -> bool:
        """Whether a reader may know the amount."""
        return self.status.get((flow, code, component), "empty") not in HIDDEN


def _flow_parents() -> dict[str, dict[str, str | None]]:
    return {
        name: {**dict.fromkeys([STAYING, ALONE]), **{c: STAYING if c in STAY else None for c in codes}}
        for name, codes in FLOWS.items()
    }


def contributions_of(rows: pl.DataFrame, came: pl.DataFrame | None, went: pl.DataFrame | None) -> pl.DataFrame:
    """Contributions of one year with what came (against the year before) and what will have gone (by the year after).

    ``came``, ``went``: marks of a change, None where the year has no such neighbour.
    """
    micro = rows.with_columns(branch=branch())
    for name, marks, here in ((CAME, came, "here"), (WENT, went, "here_prev")):
        if marks is None:
            micro = micro.with_columns(pl.lit(ALONE).alias(name))
            continue
        own = marks.filter(here).select("uscc", "branch", pl.col("component").alias(name))
        micro = micro.join(own, on=["uscc", "branch"], how="left", maintain_order="left")
    codes = [n.code for n in NESTED.values() if n.code in micro.columns]
    return micro.select(*DIMENSIONS, CAME, WENT, *codes, "contributor", "value", "observed")


CUT: Final = Cut(FLOW_CUBES, _flow_parents())


def _nothing(found: Certificate) -> Certificate:
    """Certificate of flows none of which is shown: all that is published are the core cubes, which have their own."""
    return replace(found, passed=True, checks={"nothing_shown": {"passed": True}}, counts={})


def _totals(nested: NestedCut, cleared: ClearedCut) -> pl.DataFrame:
    """Nested totals with their status; all are withheld where no pattern passed."""
    own = cleared.frame.filter(pl.col("table") == nested.table)
    status = pl.col("status") if cleared.shown else pl.lit("secondary")
    return own.select(pl.col(nested.code).alias("code"), "value", status.alias("status")).cast(TOTALS)  # type: ignore[arg-type]


def nested_rows(cleared: Sequence[ClearedYear]) -> pl.DataFrame:
    """``indicator, period, code, value, status`` of the nested totals of all years (restricted)."""
    frames = [
        c.nested.select(pl.lit(c.indicator).alias("indicator"), pl.lit(str(c.year)).alias("period"), *TOTALS)
        for c in cleared
    ]
    return pl.concat([pl.DataFrame(schema={"indicator": pl.String, "period": pl.String, **TOTALS}), *frames])


def clear_year(
    indicator: str, kind: Kind, year: int, micro: pl.DataFrame, core: pl.DataFrame, limits: RuleSet, seed: int
) -> ClearedYear:
    """Protect the cuts of one year beside the core cubes of the same contributions, and audit all of them together.

    ``micro`` as :func:`contributions_of` shapes it, ``core`` the protected cells of the indicator and year. Where no
    pattern of flows and nested totals passes, the flows are tried alone; where none passes nothing is shown.
    """
    place = Place(f"growth/{indicator}", str(year))
    nested = NESTED.get(indicator)
    totals = pl.DataFrame(schema=TOTALS)
    if nested is not None and nested.code in micro.columns:
        cleared = clear_cut(place, kind, micro, core, CUT.and_also(nested.cut), limits, seed)
        totals = _totals(nested, cleared)
    if totals.is_empty() or not cleared.shown:
        cleared = clear_cut(place, kind, micro, core, CUT, limits, seed)
    certificate = cleared.certificate if cleared.shown else _nothing(cleared.certificate)
    status: dict[tuple[str, str, str], str] = {}
    for name in FLOWS:
        own = cleared.frame.filter(pl.col("table") == f"growth_{name}").select("ai_class", name, "status")
        status |= {(name, code, component): found for code, component, found in own.iter_rows()}
    return ClearedYear(indicator, year, status, certificate, "branches" if cleared.shown else "nothing", totals)
