"""Flows into and out of each branch (what came, what went): cubes of one year, protected together with the core cubes.

The parts of a change are differences of sums over units; so the earlier and the later year are cut by what became of the
units, and the cut cubes are protected like any table, beside the core cubes of the same contributions as they are released.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from etl.clearing import clear_beside
from etl.dissemination import CUBES, DIMENSIONS, HIDDEN, hierarchies
from etl.methods.disclosure import Certificate, Loaded, Pattern, RuleSet, build_table, protect
from etl.methods.disclosure.beside import Earlier
from etl.methods.disclosure.linked import FIRST, Audited, audit_beside
from etl.methods.growth.decomposition import APART
from etl.release_ledger import Place, withdraw

CAME, WENT = "came", "went"
STAYING: Final = "staying"
"""The same units with those told apart of them: shown where the finer parts may not be."""
STAY: Final = ("continuing", *APART)
FLOWS: Final = {CAME: (*STAY, "entry", "reclassification"), WENT: (*STAY, "exit", "reclassification")}
ALONE: Final = "none"
"""Code of contributions in a year that has no neighbour to be compared with."""
FLOW_CUBES: Final = {f"growth_{name}": ("ai_class:1", name) for name in FLOWS}


def branch(column: str = "ai_class") -> pl.Expr:
    """The branch of a class."""
    return pl.col(column).str.slice(0, 1)


@dataclass(frozen=True)
class ClearedYear:
    """Statuses of the flows of one indicator and year, by ``(flow, branch or _T, component)``, and the joint certificate.

    ``level``: ``branches``, or ``nothing`` where no pattern of the flows passed beside the core cubes.
    """

    indicator: str
    year: int
    status: Mapping[tuple[str, str, str], str]
    certificate: Certificate
    level: str

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
    return micro.select(*DIMENSIONS, CAME, WENT, "contributor", "value", "observed")


def _decided(table: Loaded, core: pl.DataFrame) -> tuple[list[int], list[int]]:
    """Variables the core cubes publish and hide; what they publish is known, what they hide must stay hidden."""
    key = ["table", *DIMENSIONS]
    cells = table.problem.cells.filter(pl.col("table").is_in(list(CUBES)) & (pl.col("variable") >= 0))
    both = cells.join(core.select(*key, "status"), on=key, how="left", maintain_order="left")
    found = [both.filter(pl.col("status").is_in(s))["variable"] for s in (["published"], list(HIDDEN))]
    return found[0].unique().sort().to_list(), found[1].unique().sort().to_list()


def joint_pattern(
    kind: str, micro: pl.DataFrame, core: pl.DataFrame, limits: RuleSet, earlier: Earlier = FIRST
) -> Pattern:
    """The flow cubes protected beside the core cubes as they are released, all in one system."""
    parents = {**hierarchies(), **_flow_parents()}
    table = build_table(
        micro, {**CUBES, **FLOW_CUBES}, parents, "value", "contributor", "observed",
        kind=kind, rules=limits,  # type: ignore[arg-type]
    )  # fmt: skip
    return protect(table, limits, *_decided(table, core), earlier)


def _statuses(flows: pl.DataFrame, *, shown: bool) -> dict[tuple[str, str, str], str]:
    withheld = pl.col("status").is_in(["published", "unoffered"] if not shown else ["unoffered"])
    flows = flows.with_columns(status=pl.when(withheld).then(pl.lit("secondary")).otherwise("status"))
    status: dict[tuple[str, str, str], str] = {}
    for name in FLOWS:
        own = flows.filter(pl.col("table") == f"growth_{name}").select("ai_class", name, "status")
        status |= {(name, code, component): s for code, component, s in own.iter_rows()}
    return status


def _nothing(found: Certificate) -> Certificate:
    """Certificate of flows none of which is shown: all that is published are the core cubes, which have their own."""
    return replace(found, passed=True, checks={"nothing_shown": {"passed": True}}, counts={})


def clear_year(
    indicator: str, kind: str, year: int, micro: pl.DataFrame, core: pl.DataFrame, limits: RuleSet, seed: int
) -> ClearedYear:  # fmt: skip
    """Protect the flows of one year beside the core cubes of the same contributions, and audit all of them together.

    ``micro`` as :func:`contributions_of` shapes it, ``core`` the protected cells of the indicator and year. Where no
    pattern passes nothing of the flows is shown.
    """
    place = Place(f"growth/{indicator}", str(year))

    def protected(earlier: Earlier) -> tuple[Pattern, Audited]:
        pattern = joint_pattern(kind, micro, core, limits, earlier)
        return pattern, audit_beside(pattern, limits, seed, earlier)

    cleared = clear_beside(place, "waterfall", (indicator, kind, year, micro, core, limits, seed), protected)
    certificate = cleared.certificate
    passed = certificate.passed and certificate.certified
    if not passed:
        withdraw(place)
        certificate = _nothing(certificate)
    status = _statuses(cleared.frame.filter(pl.col("table").is_in(list(FLOW_CUBES))), shown=passed)
    return ClearedYear(indicator, year, status, certificate, "branches" if passed else "nothing")
