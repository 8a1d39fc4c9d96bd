"""AI revenue by domain of use, and the quality figures of member, share and domain (GSBPM phases 6 and 7)."""

import json

import dagster as dg
import polars as pl

from etl.assets.analyse import CONTRIBUTION
from etl.assets.disseminate import (
    DOMAIN_CERTIFICATE,
    DOMAIN_CONTRIBUTION,
    DOMAIN_PROTECTED,
    PROTECTED,
    QUANTITY,
)
from etl.assets.process import UNIT_YEAR
from etl.clearing import AUDIT_SEED
from etl.dissemination import HIDDEN, rules
from etl.domain_cubes import CUBES, SAME_REVENUE, clear_domains, domain_certificates
from etl.domains import domain_contributions, needed
from etl.progress import step
from etl.quantity_table import quantity_rows
from etl.release_ledger import begin
from etl.resources import Stores
from etl.series_tables import GROWTH, NESTED_TOTAL


@dg.asset(
    name=DOMAIN_CONTRIBUTION,
    group_name="analyse",
    deps=[UNIT_YEAR, CONTRIBUTION],
    check_specs=[dg.AssetCheckSpec("same_revenue", asset=DOMAIN_CONTRIBUTION, blocking=True)],
    description="企业对各应用领域人工智能业务收入的贡献 / contributions of units to AI revenue by domain of use",
)
def domain_contribution_year(stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """One row a unit, year, leaf and domain; together the AI revenue of the core cubes to the cent."""
    with step(DOMAIN_CONTRIBUTION) as notes:
        work = stores.work
        activity = work.read(CONTRIBUTION).filter(pl.col("indicator") == SAME_REVENUE)
        rows = domain_contributions(work.read(UNIT_YEAR, needed()), activity)
        work.write(DOMAIN_CONTRIBUTION, rows)
        notes.append(f"{rows.height:,} contributions")
        same = (rows["value"].sum() or 0) == (activity["value"].sum() or 0)
        return dg.MaterializeResult(
            metadata={"rows": rows.height},
            check_results=[
                dg.AssetCheckResult(
                    check_name="same_revenue", passed=bool(same), description="the domains add up to AI revenue exactly"
                )
            ],
        )


@dg.asset(
    name=DOMAIN_PROTECTED,
    group_name="disseminate",
    deps=[DOMAIN_CONTRIBUTION, PROTECTED],
    check_specs=[dg.AssetCheckSpec("audit_passed", asset=DOMAIN_PROTECTED, blocking=True)],
    description="应用领域表的保密处理与审计 / domain cubes protected and audited",
)
def domain_cell_protected(stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Every cell of the domain cubes with its status (restricted), and their certificates."""
    with step(DOMAIN_PROTECTED) as notes:
        work = stores.work
        limits = rules(stores.root / "secret" / "disclosure.yaml")
        begin("domain")
        cleared = list(clear_domains(work.read(DOMAIN_CONTRIBUTION), work.read(PROTECTED), limits, AUDIT_SEED))
        cells = pl.concat([c.cells() for c in cleared])
        work.write(DOMAIN_PROTECTED, cells)
        public = domain_certificates(cleared)
        work.write(
            DOMAIN_CERTIFICATE,
            pl.DataFrame([{"dataset": d, "json": json.dumps(c, sort_keys=True)} for d, c in public.items()]),
        )
        failed = [c.period for c in cleared if not c.certificate.passed]
        whole = [f"{c.period} {d}" for c in cleared for d in CUBES if d not in c.shown]
        hidden = int(cells["status"].is_in(HIDDEN).sum())
        notes.append(f"{cells.height:,} cells, {hidden} withheld, {len(whole)} cubes withheld whole")
        return dg.MaterializeResult(
            metadata={"cells": cells.height, "withheld": hidden, "withheld_whole": ", ".join(whole)},
            check_results=[
                dg.AssetCheckResult(
                    check_name="audit_passed", passed=not failed, description=", ".join(failed) or "all audits passed"
                )
            ],
        )


@dg.asset(
    name=QUANTITY,
    group_name="disseminate",
    deps=[UNIT_YEAR, PROTECTED, GROWTH, DOMAIN_PROTECTED],
    description="成员资格门槛敏感性、证据阶梯与区间（全市） / sensitivity, evidence ladder and intervals, city totals only",
)
def quantity_quality(stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """What readers may know of how much hangs on the threshold, the evidence and the imputation."""
    with step(QUANTITY) as notes:
        work = stores.work
        units, cells = work.read(UNIT_YEAR), work.read(PROTECTED)
        limits = rules(stores.root / "secret" / "disclosure.yaml")
        begin("nested")
        rows = quantity_rows(units, work.read(NESTED_TOTAL), cells, work.read(DOMAIN_PROTECTED), limits)
        work.write(QUANTITY, rows)
        notes.append(f"{rows.height} figures, {rows['value'].null_count()} withheld")
        return dg.MaterializeResult(metadata={"rows": rows.height})
