"""Clear the cubes by domain of use: protected and audited together, and checked against the cubes of the same revenue."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from etl.clearing import ClearedTable, clear_table
from etl.dissemination import TOTAL, branch, model_shares
from etl.domains import INDICATOR, domain_parents
from etl.methods.disclosure import Certificate, RuleSet, is_safe, separable
from etl.release_ledger import Place, withdraw

CUBES: Mapping[str, tuple[str, ...]] = {
    "core_domain_year": ("domain",),
    "core_branch_domain": ("ai_class", "domain:1"),
}
DIMS = ("ai_class", "domain")
SAME_REVENUE = "ai_revenue"


@dataclass(frozen=True)
class ClearedDomains:
    """One year: every cell with its status (restricted), the certificate, and the cubes that may show more than nothing."""

    period: str
    frame: pl.DataFrame
    certificate: Certificate
    shown: tuple[str, ...]

    def cells(self) -> pl.DataFrame:
        """All cells, the hidden ones with their values: restricted. Cells of a cube not shown are all withheld."""
        hidden = ~pl.col("table").is_in(list(self.shown)) & (pl.col("status") != "primary")
        return self.frame.select(
            "table", *DIMS, "value", "n", pl.when(hidden).then(pl.lit("secondary")).otherwise("status").alias("status")
        ).with_columns(indicator=pl.lit(INDICATOR), period=pl.lit(self.period))


def _cleared(
    micro: pl.DataFrame, cubes: Mapping[str, Sequence[str]], limits: RuleSet, seed: int, place: Place
) -> ClearedTable:
    branches = dict.fromkeys(sorted(micro["ai_class"].unique().to_list()))
    return clear_table(micro, cubes, {"ai_class": branches, "domain": domain_parents()}, limits, seed, place=place)


def _published(cells: pl.DataFrame, among: Sequence[str]) -> bool:
    """Whether the city totals of all codes in ``among`` are published (or empty)."""
    rows = cells.filter(pl.col("ai_class").is_in(list(among)))
    return set(rows["ai_class"]) == set(among) and bool(rows["status"].is_in(["published", "empty"]).all())


def _units(rows: pl.DataFrame) -> list[str]:
    """Unit and class of every contribution: all that the core cubes and their cuts (flows, evidence) are told apart by."""
    return rows.select(pl.concat_str("uscc", "ai_class", separator="|")).to_series().to_list()


def _joint(rows: pl.DataFrame, core: pl.DataFrame, frame: pl.DataFrame) -> bool:
    """Whether the branch × domain cube may stand beside the core cubes: branch totals on both sides, connected within."""
    branches = sorted(rows.select(branch().unique()).to_series().to_list())
    left = _units(rows)
    within = separable(left, rows["domain"].to_list(), rows.select(branch()).to_series().to_list())
    own = frame.filter((pl.col("table") == "core_branch_domain") & (pl.col("domain") == TOTAL))
    known = [TOTAL, *branches]
    return all(within.values()) and _published(core, known) and _published(own, known)


def _alone(rows: pl.DataFrame, core: pl.DataFrame, frame: pl.DataFrame) -> bool:
    """Whether the cube by domain alone may: the city total on both sides, all connected."""
    left = _units(rows)
    whole = separable(left, rows["domain"].to_list(), ["city"] * rows.height)
    own = frame.filter((pl.col("table") == "core_domain_year") & (pl.col("domain") == TOTAL))
    return all(whole.values()) and _published(core, [TOTAL]) and _published(own, [TOTAL])


def clear_domains(
    contributions: pl.DataFrame, core_cells: pl.DataFrame, limits: RuleSet, seed: int
) -> Iterator[ClearedDomains]:
    """Protect and audit the domain cubes of every year.

    Parameters
    ----------
    contributions
        As :func:`etl.domains.domain_contributions` returns them.
    core_cells
        All protected cells of the core cubes: those of ``ai_revenue`` hold the same revenue by class, district and
        size. A cube that could be combined with them is withheld whole (:func:`etl.methods.disclosure.separable`).
    """
    at_city = (pl.col("district") == TOTAL) & (pl.col("size") == TOTAL) & (pl.col("table") == "core_leaf_year")
    totals = core_cells.filter((pl.col("indicator") == SAME_REVENUE) & at_city)
    for year in sorted(contributions["ref_year"].unique().to_list()):
        rows = contributions.filter(pl.col("ref_year") == year)
        core = totals.filter(pl.col("period") == str(year))
        micro = rows.select(branch(), "domain", "contributor", "value", "observed")
        place = Place(f"domain/{INDICATOR}", str(year))
        cleared = _cleared(micro, CUBES, limits, seed, place)
        shown: tuple[str, ...] = tuple(CUBES)
        frame = cleared.frame
        if not _joint(rows, core, frame):
            cleared = _cleared(micro, {"core_domain_year": CUBES["core_domain_year"]}, limits, seed, place)
            own = cleared.frame.with_columns(ai_class=pl.lit(TOTAL)).select(frame.columns)
            shown = ("core_domain_year",) if _alone(rows, core, own) else ()
            frame = pl.concat([own, frame.filter(pl.col("table") != "core_domain_year")])
            if not shown:
                withdraw(place)
        yield ClearedDomains(str(year), frame, cleared.certificate, shown)


def domain_certificates(cleared: Sequence[ClearedDomains]) -> dict[str, dict[str, object]]:
    """Public certificate of each domain cube: passed only if every year did; what is withheld whole is said."""
    passed = bool(cleared) and all(c.certificate.passed for c in cleared)
    parts = [
        {"indicator": INDICATOR, "period": c.period, "shown": sorted(c.shown), **c.certificate.public_dict()}
        for c in cleared
    ]
    facts = {"passed": passed, "jointly_with": sorted(CUBES), "separable_from": SAME_REVENUE, "tables": parts}
    return {dataset: dict(facts) for dataset in CUBES}


def _safe(rows: pl.DataFrame, limits: RuleSet) -> bool:
    """Whether the sum of these answers may be known: none at all, or enough groups and none that stands out."""
    cents = (pl.col("value").sum() * 100).cast(pl.Int64)
    return is_safe(rows.group_by("contributor").agg(cents.alias("cents"))["cents"].to_list(), limits)


def domain_model_shares(activity: pl.DataFrame, contributions: pl.DataFrame, limits: RuleSet) -> pl.DataFrame:
    """Modelled shares of the domain cubes' city totals: ``indicator, period, model_share``, only for years where they are safe.

    The modelled share of AI revenue itself is public; the difference of the two is the revenue of units that signed a return
    and left the domains blank, who may be few.
    """
    shares = model_shares(contributions)
    told = contributions.filter("observed").select("uscc", "ref_year").unique()
    blank = activity.filter(pl.col("observed") & (pl.col("value") > 0)).join(told, on=["uscc", "ref_year"], how="anti")
    years = [int(p) for p in shares["period"]]
    safe = [str(y) for y in years if _safe(blank.filter(pl.col("ref_year") == y), limits)]
    return shares.filter(pl.col("period").is_in(safe))
