"""Edit the returns (GSBPM 5.3, 5.4): each source's rows after editing, every change with its flag, and what to follow up."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from etl.assets.collect import table_name
from etl.contract import load_contract
from etl.dissemination import rules
from etl.editing import Edited, edit_source, lost
from etl.editing_plan import REGISTER, EditingPlan, Other, edited_sources, load_plan
from etl.editing_table import SourceEdited, editing_table
from etl.edits import load_edits
from etl.progress import step
from etl.remember import remembered
from etl.resources import Stores
from warehouse.write import WorkStore

GROUP = "process"
SUMMARY = "disseminate_core__log_editing"


def rows_table(source_id: str) -> str:
    """Asset and table of a source's rows after editing; the rows received stay as they are."""
    return f"process_{source_id}__rows_edited"


def flag_table(source_id: str) -> str:
    """Table of every change: unit, period, variable, original, value, rule, flag (unit level, never released)."""
    return f"process_{source_id}__flag_edit"


def followup_table(source_id: str) -> str:
    """Table of what a person must look at, by effect on the published figure (unit level, never released)."""
    return f"process_{source_id}__flag_followup"


def editing_plans() -> list[EditingPlan]:
    """Plans of the sources that are edited, each after those it reads."""
    return [plan for source_id in edited_sources() if (plan := load_plan(source_id)) is not None]


def _read_from(other: Other) -> str:
    edited = not other.is_received and load_plan(other.source) is not None
    return rows_table(other.source) if edited else table_name(other.source)


def _others(work: WorkStore, plan: EditingPlan, units: pl.Series) -> dict[str, pl.DataFrame]:
    """What the plan reads of other sources, of the units asked alone."""
    wanted: dict[tuple[str, str, str], list[str]] = {(REGISTER, REGISTER, table_name(REGISTER)): ["gbt_code"]}
    for other in plan.needs:
        wanted.setdefault((other.table, other.source, _read_from(other)), []).append(other.column)
    found = {}
    for (name, source, table), columns in wanted.items():
        period = load_contract(source).period_column
        keys = ["uscc", *([period] if period else [])]
        found[name] = work.matching(table, list(dict.fromkeys([*keys, *columns])), units)
    return found


def _checks(
    plan: EditingPlan, received: pl.DataFrame, rows: pl.DataFrame, changes: pl.DataFrame
) -> Iterator[dg.AssetCheckResult]:
    fault = lost(received, rows, changes, plan)
    yield dg.AssetCheckResult(
        check_name="rows_conserved",
        passed=not fault,
        description=fault or f"{received.height} rows in = {rows.height} rows out; every difference has its flag",
    )
    returned = sum(received[v].len() - received[v].null_count() for v in plan.variables)
    edited = changes["original"].len() - changes["original"].null_count()
    rate = edited / returned if returned else 0.0
    yield dg.AssetCheckResult(
        check_name="editing_rate",
        passed=rate <= plan.warn_rate,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{edited} of {returned} returned values changed ({rate:.2%}); the plan warns above {plan.warn_rate:.0%}",
    )


def _edited(received: pl.DataFrame, plan: EditingPlan, others: dict[str, pl.DataFrame]) -> Edited:
    def make() -> dict[str, pl.DataFrame]:
        done = edit_source(received, plan, load_edits(plan.source_id), others)
        return {"rows": done.rows, "changes": done.changes, "followup": done.followup}

    return Edited(**remembered("edit", (plan.source_id, received, others), make))


def build_editing_asset(plan: EditingPlan) -> dg.AssetsDefinition:
    """The editing asset of one source."""
    source, name = plan.source_id, rows_table(plan.source_id)
    needs = dict.fromkeys([table_name(source), table_name(REGISTER), *map(_read_from, plan.needs)])
    specs = [
        dg.AssetCheckSpec("rows_conserved", asset=name, blocking=True),
        dg.AssetCheckSpec("editing_rate", asset=name),
    ]

    @dg.asset(
        name=name, group_name=GROUP, deps=list(needs), check_specs=specs,
        description=f"{plan.contract.title_zh}：审核、修正与插补（保留原值与标识） / edited, with original values and flags",
    )  # fmt: skip
    def edited(stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with step(name) as notes:
            work = stores.work
            received = work.read(table_name(source))
            done = _edited(received, plan, _others(work, plan, received["uscc"]))
            work.write(name, done.rows)
            work.write(flag_table(source), done.changes)
            work.write(followup_table(source), done.followup)
            imputed = done.changes.filter(flag="imputed").height
            review = int(done.followup["needs_review"].sum())
            notes.append(
                f"{done.rows.height:,} rows, {done.changes.height - imputed:,} values corrected, {imputed:,} imputed, "
                f"{review:,} to follow up"
            )
            return dg.MaterializeResult(
                metadata={"rows": done.rows.height, "changes": done.changes.height, "to_follow_up": review},
                check_results=list(_checks(plan, received, done.rows, done.changes)),
            )

    return edited


def editing_assets() -> list[dg.AssetsDefinition]:
    """The editing assets of all sources with a plan, and the summary for readers."""
    return [*(build_editing_asset(plan) for plan in editing_plans()), editing_summary]


@dg.asset(
    name=SUMMARY,
    group_name="disseminate",
    deps=[rows_table(s) for s in edited_sources()],
    description="数据编辑汇总：来源×期别×规则（不含单位数据） / editing by source, period and rule, no unit",
)
def editing_summary(stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Counts and effects of editing that readers may see."""
    with step(SUMMARY) as notes:
        work = stores.work
        found = []
        for plan in editing_plans():
            source = plan.source_id
            received = work.read(table_name(source), ["uscc", plan.period, *plan.variables])
            groups = work.matching(table_name(REGISTER), ["uscc", "group_uscc"], received["uscc"])
            found.append(
                SourceEdited(
                    plan, received, work.read(rows_table(source), ["uscc", plan.period, *plan.variables]),
                    work.read(flag_table(source)), work.read(followup_table(source)), groups,
                )
            )  # fmt: skip
        rows = editing_table(found, rules(stores.root / "secret" / "disclosure.yaml"))
        work.write(SUMMARY, rows)
        notes.append(f"{rows.height} figures, {rows['value'].null_count()} withheld")
        return dg.MaterializeResult(metadata={"rows": rows.height})
