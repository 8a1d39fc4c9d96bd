"""The drift gate (漂移闸门): between coding and everything that rests on it."""

from datetime import date

import dagster as dg

from etl.assets.process import CODE_UNIT
from etl.classifier_quality import served_labels, watch
from etl.coding import load_bundle
from etl.progress import step
from etl.promise import NEEDED, NO_GOLD, REASONS, NightPromise, PromiseRules, night_promise
from etl.register_profile import register_profile
from etl.resources import Stores, accepted_drift, as_of, is_full
from taxonomy.classifier.drift import Drift, load_limits
from warehouse.journal import Journal
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import gold_units

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
        work, reason = stores.work, accepted_drift(context)
        wrong, promise = _gold_says(stores, date.fromisoformat(as_of(context)))
        found = watch(
            stores.root,
            register_profile(work, load_limits().sketch, full=is_full(context)),
            wrong=wrong,
            accepted=reason,
            promise=promise,
        ).drift
        if reason and found.accepted == reason:
            detail: dict[str, object] = {"reason": reason, "reference": found.reference, "signals": found.reason_en}
            Journal(stores.root).append("command line", "drift_accepted", detail)
        notes.append(f"promise: {REASONS[promise.reason][1]}")
        notes.append(f"{found.status}{' (accepted)' if found.accepted else ''}: {found.reason_en}")
        if found.blocks:
            notes.append("if the change is real: aistat run --accept-drift REASON; else look into inputs and bundle")
        return as_check(found)


def _gold_says(stores: Stores, today: date) -> tuple[list[bool] | None, NightPromise]:
    """Labels that test the served release's promise (None without a final one), and what tonight can promise."""
    gold = gold_units(ReviewJournal(stores.root))
    if gold.height == 0:
        return None, NO_GOLD
    decisions = stores.work.read(CODE_UNIT, NEEDED, any_order=True)
    promise = night_promise(decisions, gold, load_bundle(stores.bundles), today, PromiseRules.load())
    is_open = gold["codes"].null_count() == gold.height
    return None if is_open else served_labels(stores.root, decisions, gold), promise


def as_check(drift: Drift) -> dg.AssetCheckResult:
    """The gate as a check result: a block is an error and stops the run, a warning is shown and goes on."""
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=drift.status == "ok",
        severity=dg.AssetCheckSeverity.ERROR if drift.blocks else dg.AssetCheckSeverity.WARN,
        description=f"{drift.reason_zh} / {drift.reason_en}",
        metadata={s.name: s.detail_en for s in drift.signals},
    )
