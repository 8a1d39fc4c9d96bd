"""The drift gate (漂移闸门): between coding and everything that rests on it."""

import dagster as dg

from etl.assets.collect import table_name
from etl.assets.process import CODE_UNIT
from etl.classifier_quality import gold_of, watch
from etl.coding import DECIDED, coding_input
from etl.progress import step
from etl.resources import Stores, accepted_drift
from taxonomy.classifier.drift import Drift, labels_in_order
from warehouse.journal import Journal

CHECK = "no_drift"


@dg.asset_check(
    asset=CODE_UNIT,
    name=CHECK,
    blocking=True,
    description="与上一版发布的概况比较：输入、输出、滚动金标准 / inputs, outputs and rolling gold against the last release",
)
def no_drift(context: dg.AssetCheckExecutionContext, stores: Stores) -> dg.AssetCheckResult:
    """Stop the run before anything is estimated when inputs, outputs or the error of gold labels drifted too far."""
    with step(f"{CODE_UNIT}: {CHECK}") as notes:
        work, gold = stores.work, gold_of(stores.root)
        reason = accepted_drift(context)
        found = watch(
            stores.root,
            (coding_input(chunk) for chunk in work.batches(table_name("register"))),
            work.batches(CODE_UNIT),
            wrong=None if gold is None else labels_in_order(work.read(CODE_UNIT, DECIDED), gold),
            accepted=reason,
        ).drift
        if reason and found.accepted == reason:
            detail: dict[str, object] = {"reason": reason, "reference": found.reference, "signals": found.reason_en}
            Journal(stores.root).append("command line", "drift_accepted", detail)
        notes.append(f"{found.status}{' (accepted)' if found.accepted else ''}: {found.reason_en}")
        if found.blocks:
            notes.append("if the change is real: aistat run --accept-drift REASON; else look into inputs and bundle")
        return as_check(found)


def as_check(drift: Drift) -> dg.AssetCheckResult:
    """The gate as a check result: a block is an error and stops the run, a warning is shown and goes on."""
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=drift.status == "ok",
        severity=dg.AssetCheckSeverity.ERROR if drift.blocks else dg.AssetCheckSeverity.WARN,
        description=f"{drift.reason_zh} / {drift.reason_en}",
        metadata={s.name: s.detail_en for s in drift.signals},
    )
