"""Estimate (GSBPM phase 6): contributions of units to indicators. Aggregates are not cleared before phase 7."""

import dagster as dg
import polars as pl

from etl.analysis import contributions
from etl.assets.process import UNIT_YEAR
from etl.dissemination import CUBES
from etl.progress import step
from etl.resources import Stores
from warehouse.catalogue import load_indicators

GROUP = "analyse"
CONTRIBUTION = "analyse_core__est_contribution_year"


def core_indicators() -> list:  # type: ignore[type-arg]
    """Indicators estimated from enterprises (those with a view) for the core cubes, in display order."""
    own = [i for i in load_indicators().values() if i.view in {"enterprise", "activity"}]
    return [i for i in own if set(i.datasets) & set(CUBES)]


@dg.asset(
    name=CONTRIBUTION,
    group_name=GROUP,
    deps=[UNIT_YEAR],
    check_specs=[
        dg.AssetCheckSpec("no_gap_left", asset=CONTRIBUTION),
        dg.AssetCheckSpec("nothing_negative", asset=CONTRIBUTION, blocking=True),
    ],
    description="企业对各指标的贡献（上报或按层推算） / contributions of units to indicators",
)
def contribution_year(stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """One row a unit, year, indicator and leaf."""
    with step(CONTRIBUTION) as notes:
        work = stores.work
        rows = contributions(work.read(UNIT_YEAR), core_indicators())
        work.write(CONTRIBUTION, rows)
        gaps = rows["value"].null_count()
        negative = rows.filter(pl.col("value") < 0).height
        notes.append(f"{rows.height:,} contributions, {gaps} gaps")
        return dg.MaterializeResult(
            metadata={"rows": rows.height, "gaps": gaps},
            check_results=[
                dg.AssetCheckResult(
                    check_name="no_gap_left",
                    passed=gaps == 0,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=f"{gaps} contributions could not be estimated in any stratum",
                ),
                dg.AssetCheckResult(check_name="nothing_negative", passed=negative == 0),
            ],
        )
