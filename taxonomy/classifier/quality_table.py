"""The quality report as the table a release carries (``meta_classifier_quality``): aggregates alone, nothing small, no unit."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from taxonomy.classifier.evaluate import QualityReport

SCHEMA: Final = {
    "metric": pl.String, "scope": pl.String, "value": pl.Float64, "lower": pl.Float64, "upper": pl.Float64,
    "n": pl.Int64, "note_zh": pl.String, "note_en": pl.String,
}  # fmt: skip
#: Fewer units than this are not shown on their own: they are put together, so that none can be had by subtraction.
SMALLEST: Final = 10
STATES: Final = {"ok": 0.0, "warn": 1.0, "block": 2.0}
OTHER: Final = "other"
Row = tuple[str, str, float | None, float | None, float | None, int | None, str, str]


def _plain(metric: str, scope: str, value: float | None, n: int | None = None, zh: str = "", en: str = "") -> Row:
    return (metric, scope, value, None, None, n, zh, en)


def _measure(metric: str, scope: str, m: Mapping[str, Any]) -> Row:
    return (metric, scope, m["value"], m["low"], m["high"], m["n"], m["reason_zh"] or "", m["reason_en"] or "")


def pooled(counts: Mapping[str, int], smallest: int = SMALLEST) -> dict[str, int]:
    """Counts with those below ``smallest`` put together as *other*, with the next smallest if they still are too few.

    Zero counts tell that nobody is there and are left as they are only if nothing is pooled; else they join *other*.
    """
    order = sorted(counts, key=lambda k: (counts[k], k))
    small = [k for k in order if 0 < counts[k] < smallest]
    if not small:
        return dict(counts)
    joined = {k for k in order if counts[k] < smallest}
    for name in order:
        if sum(counts[k] for k in joined) >= smallest and len([k for k in joined if counts[k]]) > 1:
            break
        joined.add(name)
    return {**{k: n for k, n in counts.items() if k not in joined}, OTHER: sum(counts[k] for k in joined)}


def _class_shares(report: Mapping[str, Any]) -> Iterator[Row]:
    counts = report["accuracy"]["plain_counts"]
    parts = {**counts["core_by_branch"], **{k: counts[k] for k in ("related", "none", "not_coded")}}
    for name, n in pooled(parts).items():
        yield _plain("class_share", name, round(n / max(report["units"], 1), 4))


def _coverage(report: Mapping[str, Any]) -> Iterator[Row]:
    cost = report["cost_effectiveness"]
    shares = pooled({r["route"]: r["n"] for r in cost["coverage_by_route"]})
    for route, n in shares.items():
        yield _plain("coverage", route, round(n / max(report["units"], 1), 4))
    for row in cost["coverage_by_route"]:
        if row["n"] >= SMALLEST and row["mean_probability"] is not None:
            yield _plain("mean_probability", row["route"], round(row["mean_probability"], 4))
    yield _plain("automated_share", "", cost["automated_share"])
    for point in cost["curve"]:
        scope = f"{point['threshold']:g}"
        yield _plain("curve_automation", scope, round(point["automation"], 4))
        yield _measure("curve_accuracy", scope, point["accuracy"])


def _accuracy(report: Mapping[str, Any]) -> Iterator[Row]:
    part = report["accuracy"]
    for row in part["by_level"]:
        yield _measure("accuracy", f"{row['level']}|{row['top']}|{row['scope']}", row["accuracy"])
    for row in part["agreement"]:
        for metric in ("kappa", "alpha"):
            yield _measure(metric, f"{row['who']}|{row['level']}", row[metric])
    for row in part["by_class"]:
        shown = row["level"] == "branch" and row["answer"] == "top1" and row["support"] >= SMALLEST
        if shown:
            for metric in ("precision", "recall", "f1"):
                yield _measure(metric, row["code"], row[metric])
    for row in part["rare_classes"]:
        if row["level"] == "leaf":
            yield _measure("rare_precision", "leaf", row["precision"])
            yield _measure("rare_recall", "leaf", row["recall"])
    yield _measure("review_coverage", "", part["review_sets"]["coverage"])
    yield _measure("review_size", "", part["review_sets"]["size"])


def _promise(report: Mapping[str, Any]) -> Iterator[Row]:
    """What is promised of each class group and what was observed; groups of few units or little gold are left out."""
    basis = report["accuracy"]["promise_basis"]
    yield _plain("promise", "", float(basis["made"]), basis["gold"], basis["reason_zh"], basis["reason_en"])
    yield _plain("promise_limit", "", basis["error"])
    yield _plain("promise_standing", "", basis["standing"])
    for row in report["accuracy"]["promise"]:
        group, enough = row["group"], row["observed"]["n"] >= SMALLEST
        if enough or group == "all":
            yield _measure("promise_observed", group, row["observed"])
            yield _plain("promise_error", group, row["promised"])
        if row["route"] is not None and row["units"] >= SMALLEST:
            is_auto = float(row["route"] == "auto")
            yield _plain("promise_route", group, is_auto, None, row["reason_zh"], row["reason_en"])
            yield _plain("promise_threshold", group, row["threshold"])
            yield _plain("promise_bound", group, row["bound"] if enough else None)


def _calibration(report: Mapping[str, Any]) -> Iterator[Row]:
    for row in report["accuracy"]["calibration"]:
        if row["route"] == "all" or row["n"] >= SMALLEST:
            yield _measure("ece", row["route"], row["ece"])
            yield _measure("brier", row["route"], row["brier"])
        if row["route"] == "all":
            for b in row["bins"]:
                scope = f"{b['low']:g}–{b['high']:g}"
                yield _measure("reliability", scope, b["observed"])
                yield _plain("reliability_mean", scope, b["mean"], b["observed"]["n"])


def _state(report: Mapping[str, Any]) -> Iterator[Row]:
    gold = report["gold"]
    yield _plain("gold_units", "", float(gold["judged"]), None, gold["reason_zh"] or "", gold["reason_en"] or "")
    yield _measure("evidence_adds_up", "", report["explainability"]["adds_up"])
    drift = report["reproducibility"]["drift"]
    if drift is not None:
        zh = drift["reason_zh"] + ("（已确认为真实变化）" if drift["accepted"] else "")
        en = drift["reason_en"] + (" (confirmed as a real change)" if drift["accepted"] else "")
        yield _plain("drift", "", STATES[drift["status"]], None, zh, en)
        for s in drift["signals"]:
            yield _plain("drift_signal", s["name"], STATES[s["status"]], None, s["detail_zh"], s["detail_en"])
    changes = report["reproducibility"]["changes"]
    if changes is not None and changes["compared"]:
        yield _plain("changed_share", "", round(changes["class_changed"] / changes["compared"], 4))


def _declared_codes(report: Mapping[str, Any]) -> Iterator[Row]:
    """How many declared codes the unit's own text contradicts: the length of a list that itself is never released."""
    found = report["accuracy"]["declared_codes"]
    if not found["made"]:
        yield _plain("suspect_codes", "", None, None, "未制清单", "no list was made")
    elif found["listed"] < SMALLEST:
        yield _plain("suspect_codes", "", None, found["checked"], f"不足 {SMALLEST} 个", f"fewer than {SMALLEST}")
    else:
        yield _plain("suspect_codes", "", float(found["listed"]), found["checked"])


def _counts(report: Mapping[str, Any]) -> Iterator[Row]:
    """Counts as classified and corrected for misclassification, under their own names; small branches are left out."""
    for row in report["accuracy"]["adjusted_counts"]:
        if row["plain"] < SMALLEST:
            continue
        note = ("校正计数", "corrected count") if row["reliable"] else ("区间不可靠", "interval unreliable")
        yield _plain("count_plain", row["code"], round(row["plain"], 1), None, "分类器直接计数", "count as classified")
        adjusted, lower, upper = (round(row[k], 1) for k in ("adjusted", "lower", "upper"))
        yield ("count_adjusted", row["code"], adjusted, lower, upper, None, *note)


def quality_rows(report: QualityReport) -> pl.DataFrame:
    """Rows ``metric, scope, value, lower, upper, n, note_zh, note_en``, sorted by metric and scope.

    What needs gold is there without gold as well: null, with the reason as its note. ``n`` is the number of gold units
    behind a figure (of decisions checked for ``evidence_adds_up``).
    """
    body = report.as_dict()
    rows = [
        *_coverage(body),
        *_class_shares(body),
        *_accuracy(body),
        *_promise(body),
        *_calibration(body),
        *_counts(body),
        *_declared_codes(body),
        *_state(body),
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("metric", "scope")
