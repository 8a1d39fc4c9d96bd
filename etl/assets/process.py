"""Link and classify units (GSBPM phase 5). Unit level, confidential: these tables never leave the work store."""

import dagster as dg
import polars as pl

from etl.assets.collect import table_name
from etl.classifier_quality import record_changes
from etl.coding import code_units, load_bundle
from etl.link import Returns, unit_year
from etl.progress import step
from etl.resources import Stores, is_full

GROUP = "process"
CODE_UNIT = "process_register__code_unit"
UNIT_YEAR = "process_enterprise__unit_year"


@dg.asset(
    name=CODE_UNIT,
    group_name=GROUP,
    deps=[table_name("register")],
    check_specs=[dg.AssetCheckSpec("every_unit_decided", asset=CODE_UNIT, blocking=True)],
    description="名录单位的人工智能行业编码（附证据） / AI codes of the register with evidence",
)
def code_unit(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Classify the register; units that did not change keep their decision."""
    with step(CODE_UNIT) as notes:
        work = stores.work
        register = work.read(table_name("register"))
        before = work.read(CODE_UNIT) if work.exists(CODE_UNIT) else None
        codes, fresh = code_units(register, load_bundle(stores.bundles), None if is_full(context) else before)
        record_changes(stores.root, work, before, codes)
        work.write(CODE_UNIT, codes)
        nominated = int(codes["nominated"].sum())
        notes.append(f"{codes.height:,} units, {fresh:,} coded anew, {nominated:,} nominated")
        return dg.MaterializeResult(
            metadata={"rows": codes.height, "coded_anew": fresh, "nominated": nominated},
            check_results=[
                dg.AssetCheckResult(
                    check_name="every_unit_decided",
                    passed=codes.height == register.height and codes["route"].null_count() == 0,
                    description=f"{codes.height} decisions for {register.height} units",
                )
            ],
        )


@dg.asset(
    name=UNIT_YEAR,
    group_name=GROUP,
    deps=[CODE_UNIT, *(table_name(s) for s in ("ai_survey_annual", "finance_annual", "labour_annual"))],
    check_specs=[dg.AssetCheckSpec("one_row_a_unit_year", asset=UNIT_YEAR, blocking=True)],
    description="企业×年度：名录、编码与各报表的关联 / units by year, linked with their returns",
)
def enterprise_unit_year(stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Link register, codes, AI survey, finance and labour returns."""
    with step(UNIT_YEAR) as notes:
        work = stores.work
        returns = Returns(
            register=work.read(table_name("register")),
            ai_survey=work.read(table_name("ai_survey_annual")),
            finance=work.read(table_name("finance_annual")),
            labour=work.read(table_name("labour_annual")),
        )
        units = unit_year(returns, work.read(CODE_UNIT))
        work.write(UNIT_YEAR, units)
        responded = int(units["responded"].sum())
        notes.append(f"{units.height:,} unit-years, {responded:,} with a signed return")
        unique = units.select(pl.struct("uscc", "ref_year").n_unique()).item() == units.height
        return dg.MaterializeResult(
            metadata={"rows": units.height, "responded": responded},
            check_results=[dg.AssetCheckResult(check_name="one_row_a_unit_year", passed=unique)],
        )
