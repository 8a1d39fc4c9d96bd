"""Link and classify units (GSBPM phase 5). Unit level, confidential: these tables never leave the work store."""

import dagster as dg
import polars as pl

from etl.assets.collect import table_name
from etl.assets.editing import rows_table
from etl.assets.register import DUPLICATE, REGISTER_CURRENT
from etl.classifier_quality import ChangeLog
from etl.coding import CODED, code_register, load_bundle
from etl.duplicates import left_out
from etl.editing import with_received
from etl.editing_plan import load_plan
from etl.filing_text import filing_texts
from etl.frozen_frame import closed_years, frozen
from etl.link import Returns, frame_by_year, unit_year
from etl.link import years as surveyed_years
from etl.progress import step
from etl.quantities import with_quantities
from etl.resources import Stores, as_of, is_full
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import labels
from warehouse.write import WorkStore

GROUP = "process"
CODE_UNIT = "process_register__code_unit"
UNIT_YEAR = "process_enterprise__unit_year"
DECIDED = [c for c in CODED if c not in ("candidates", "evidence")]
"""Columns of a decision that a frame takes: what it rests on is most of the bytes, and for the desk alone."""


@dg.asset(
    name=CODE_UNIT,
    group_name=GROUP,
    deps=[REGISTER_CURRENT, table_name("algorithm_filings")],
    check_specs=[dg.AssetCheckSpec("every_unit_decided", asset=CODE_UNIT, blocking=True)],
    description="名录单位的人工智能行业编码（附证据） / AI codes of the register with evidence",
)
def code_unit(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Classify the register; units that did not change keep their decision."""
    with step(CODE_UNIT) as notes:
        bundle = load_bundle(stores.bundles)
        changes = ChangeLog()
        done = code_register(
            stores.work,
            REGISTER_CURRENT,
            CODE_UNIT,
            bundle,
            full=is_full(context),
            seen=changes.see,
            locks=labels(ReviewJournal(stores.root)),
            filings=filing_texts(stores.work.read(table_name("algorithm_filings"))),
        )
        changes.record(stores.root, stores.work, bundle.hash)
        units = stores.work.rows(REGISTER_CURRENT)
        notes.append(f"{done.units:,} units, {done.fresh:,} coded anew, {done.nominated:,} nominated")
        return dg.MaterializeResult(
            metadata={"rows": done.units, "coded_anew": done.fresh, "nominated": done.nominated},
            check_results=[
                dg.AssetCheckResult(
                    check_name="every_unit_decided",
                    passed=done.units == units and done.undecided == 0,
                    description=f"{done.units} decisions for {units} units",
                )
            ],
        )


def _frame_units(work: WorkStore, surveyed: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Codes and register rows of the units that can be in the frame: nominated or surveyed, each once, in order."""
    asked = [
        work.matching(CODE_UNIT, ["unit_id"], keys)["unit_id"]
        for keys in (pl.Series("nominated", [True]), surveyed.unique().alias("unit_id"))
    ]
    units = pl.concat(asked).unique()
    units = units.filter(~units.is_in(left_out(work).implode()))
    codes = work.matching(CODE_UNIT, DECIDED, units.alias("unit_id"))
    return codes, work.matching(REGISTER_CURRENT, (), units.alias("uscc"))


def _edited(work: WorkStore, source_id: str) -> pl.DataFrame:
    """Rows after editing, with what was received of the published items."""
    plan = load_plan(source_id)
    if plan is None:
        return work.read(table_name(source_id))
    received = work.read(table_name(source_id), list(plan.totals))
    return with_received(work.read(rows_table(source_id)), received, plan)


@dg.asset(
    name=UNIT_YEAR,
    group_name=GROUP,
    deps=[CODE_UNIT, DUPLICATE, *(rows_table(s) for s in ("ai_survey_annual", "finance_annual", "labour_annual"))],
    check_specs=[dg.AssetCheckSpec("one_row_a_unit_year", asset=UNIT_YEAR, blocking=True)],
    description="企业×年度：名录、编码与各报表的关联 / units by year, linked with their returns",
)
def enterprise_unit_year(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Link register, codes and the edited AI survey, finance and labour returns; originals stay beside what was edited."""
    with step(UNIT_YEAR) as notes:
        work = stores.work
        survey = _edited(work, "ai_survey_annual")
        codes, register = _frame_units(work, survey["uscc"])
        returns = Returns(
            register=register,
            ai_survey=survey,
            finance=_edited(work, "finance_annual"),
            labour=_edited(work, "labour_annual"),
        )
        vintage = as_of(context)
        answered = survey.select("uscc", "ref_year")
        frame = frozen(stores.root, frame_by_year(returns, codes), answered, vintage)
        units = with_quantities(unit_year(returns, frame))
        work.write(UNIT_YEAR, units)
        responded = int(units["responded"].sum())
        notes.append(f"{units.height:,} unit-years, {responded:,} with a signed return")
        final = closed_years(surveyed_years(returns), vintage)
        if final:
            notes.append(f"{final[0]}–{final[-1]} 名录已定格 / frames of final years frozen")
        unique = units.select(pl.struct("uscc", "ref_year").n_unique()).item() == units.height
        return dg.MaterializeResult(
            metadata={"rows": units.height, "responded": responded},
            check_results=[dg.AssetCheckResult(check_name="one_row_a_unit_year", passed=unique)],
        )
