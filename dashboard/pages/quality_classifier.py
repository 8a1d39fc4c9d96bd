"""数据质量, the classifier's part: how much it codes and how right it is, whether its probabilities hold, whether anything drifts."""

from typing import Any

import polars as pl
from dash import html

from dashboard.components.block import badge, behind, graph, plain_block
from dashboard.components.table import plain_table
from dashboard.context import Context
from dashboard.figures.quality_charts import automation_curve
from warehouse import format as fmt
from warehouse.read import UnknownName

TABLE = "meta_classifier_quality"
DRIFT = ("ok", "warn", "block")
LEVELS = ("branch", "class", "leaf", "ai")


def _rows(frame: pl.DataFrame, metric: str) -> dict[str, dict[str, Any]]:
    return {r["scope"]: r for r in frame.filter(pl.col("metric") == metric).iter_rows(named=True)}


def _percent(value: float | None) -> str:
    return fmt.MISSING if value is None else f"{fmt.percent(value)}%"


def _interval(row: dict[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return fmt.MISSING
    if row["lower"] is None:
        return _percent(row["value"])
    return f"{_percent(row['value'])} [{_percent(row['lower'])}, {_percent(row['upper'])}]"


def _count(row: dict[str, Any] | None) -> str:
    return fmt.MISSING if row is None or row["n"] is None else f"{row['n']:,}"


def _note(ctx: Context, row: dict[str, Any]) -> str:
    return str(row[f"note_{ctx.lang}"])


def _has_gold(frame: pl.DataFrame) -> bool:
    row = _rows(frame, "gold_units").get("")
    return bool(row and row["value"])


def _no_gold(ctx: Context) -> html.P:
    return html.P(ctx.t("no_gold_sample"), className="lead")


def _curve(ctx: Context, frame: pl.DataFrame, extra: Any) -> html.Section:
    automation, accuracy = _rows(frame, "curve_automation"), _rows(frame, "curve_accuracy")
    scopes = sorted(automation, key=float)
    gold = _has_gold(frame)
    series: list[tuple[str, list[float | None]]] = [
        (ctx.t("automated_share"), [automation[s]["value"] for s in scopes])
    ]
    limits = None
    if gold:
        series.append((ctx.t("accuracy_of_coded"), [accuracy[s]["value"] for s in scopes]))
        limits = [accuracy[s]["lower"] for s in scopes], [accuracy[s]["upper"] for s in scopes]
    title = ctx.t("quality_curve")
    chart = graph(automation_curve([float(s) for s in scopes], series, limits, ctx.t("confidence_from")), title)
    rows = [
        [s, _percent(automation[s]["value"]), _interval(accuracy.get(s)), _count(accuracy.get(s) if gold else None)]
        for s in scopes
    ]
    heads = [ctx.t(k) for k in ("confidence_from", "automated_share", "accuracy_of_coded", "gold_units")]
    table = behind(ctx, plain_table(heads, rows, (1, 2, 3)))
    body = [chart, table] if gold else [_no_gold(ctx), chart, table]
    return plain_block(title, body, extra=extra, wide=True)


def _accuracy(ctx: Context, frame: pl.DataFrame, extra: Any) -> html.Section:
    title = ctx.t("quality_accuracy")
    if not _has_gold(frame):
        return plain_block(title, [_no_gold(ctx)], extra=extra)
    found, kappa, alpha = (_rows(frame, metric) for metric in ("accuracy", "kappa", "alpha"))
    rows = [
        [ctx.t(f"level_of_{level}"), *(_interval(found.get(f"{level}|{top}|all")) for top in (1, 3, 5)),
         _interval(found.get(f"{level}|1|coded")), _count(found.get(f"{level}|1|all"))]
        for level in LEVELS
    ]  # fmt: skip
    heads = [ctx.t("col_level"), "top-1", "top-3", "top-5", ctx.t("accuracy_of_coded"), ctx.t("gold_units")]
    agree = [
        [
            ctx.t(f"level_of_{level}"),
            *(_kappa(c.get(f"{who}|{level}")) for c in (kappa, alpha) for who in ("model_human", "human_human")),
        ]
        for level in LEVELS[:3]
    ]
    who = [ctx.t(k) for k in ("col_level", "kappa_model", "kappa_people", "alpha_model", "alpha_people")]
    people = plain_table(who, agree, (1, 2, 3, 4))
    return plain_block(title, [plain_table(heads, rows, (1, 2, 3, 4, 5)), people], extra=extra, wide=True)


def _kappa(row: dict[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return fmt.MISSING
    return f"{row['value']:.2f} [{row['lower']:.2f}, {row['upper']:.2f}]"


def _reliability(ctx: Context, frame: pl.DataFrame, extra: Any) -> html.Section:
    title = ctx.t("quality_reliability")
    if not _has_gold(frame):
        return plain_block(title, [_no_gold(ctx)], extra=extra)
    observed, said = _rows(frame, "reliability"), _rows(frame, "reliability_mean")
    bins = sorted(observed, key=lambda s: float(s.partition("–")[0]))
    rows = [[s, _percent(said[s]["value"]), _interval(observed[s]), _count(observed[s])] for s in bins]
    heads = [ctx.t(k) for k in ("col_confidence", "mean_confidence", "col_right", "gold_units")]
    ece, brier = _rows(frame, "ece").get("all"), _rows(frame, "brier").get("all")
    facts = " · ".join(
        f"{name} {row['value']:.3f}"
        for name, row in (("ECE", ece), ("Brier", brier))
        if row is not None and row["value"] is not None
    )
    return plain_block(title, [html.P(facts, className="lead"), plain_table(heads, rows, (1, 2, 3))], extra=extra)


def _drift(ctx: Context, frame: pl.DataFrame, extra: Any) -> html.Section:
    title = ctx.t("quality_drift")
    row = _rows(frame, "drift").get("")
    if row is None:
        return plain_block(title, [html.P(ctx.t("drift_unknown"), className="lead")], extra=extra)
    state = DRIFT[int(row["value"])]
    lead = html.P([html.B(ctx.t(f"state_drift_{state}")), f" {_note(ctx, row)}"], className="lead")
    signals = _rows(frame, "drift_signal")
    rows = [
        [ctx.t(f"state_drift_{DRIFT[int(s['value'])]}"), _note(ctx, s)]
        for s in sorted(signals.values(), key=lambda s: (-s["value"], s["scope"]))
    ]
    table = [plain_table([ctx.t("col_state"), ctx.t("col_message")], rows)] if rows else []
    return plain_block(title, [lead, *table], extra=extra)


def _counts(ctx: Context, frame: pl.DataFrame, extra: Any) -> html.Section:
    title = ctx.t("quality_counts")
    plain, adjusted = _rows(frame, "count_plain"), _rows(frame, "count_adjusted")
    if not plain:
        return plain_block(title, [html.P(ctx.t("no_adjusted_counts"), className="lead")], extra=extra)
    names = {c.code: ctx.name(c) for c in ctx.release.codes("ai_industry_2026")}
    rows = [
        [names.get(code, ctx.t("core_total")), f"{row['value']:,.0f}", f"{adjusted[code]['value']:,.0f}",
         f"[{adjusted[code]['lower']:,.0f}, {adjusted[code]['upper']:,.0f}]", _note(ctx, adjusted[code])]
        for code, row in sorted(plain.items(), key=lambda item: (item[0] != "core", item[0]))
    ]  # fmt: skip
    heads = [ctx.t(k) for k in ("col_class", "count_plain", "count_adjusted", "interval_95", "col_message")]
    lead = html.P(ctx.t("quality_counts_hint"), className="lead")
    return plain_block(title, [lead, plain_table(heads, rows, (1, 2, 3))], extra=extra)


def _promise(ctx: Context, frame: pl.DataFrame, extra: Any) -> html.Section:
    """Of each class group: coded alone from which confidence on, or left to people, and why."""
    title = ctx.t("quality_promise")
    basis = _rows(frame, "promise").get("")
    if basis is None or not basis["value"]:
        note = ctx.t("no_promise") if basis is None else _note(ctx, basis)
        return plain_block(title, [html.P(note, className="lead")], extra=extra)
    limit, standing = _rows(frame, "promise_limit")[""]["value"], _rows(frame, "promise_standing")[""]["value"]
    lead = ctx.t("quality_promise_hint").format(limit=_percent(limit), standing=_percent(standing))
    routes, found = _rows(frame, "promise_route"), _rows(frame, "promise_observed")
    bound, at = _rows(frame, "promise_bound"), _rows(frame, "promise_threshold")
    names = {c.code: ctx.name(c) for c in ctx.release.codes("ai_industry_2026")} | {"none": ctx.t("not_ai")}
    rows = [
        [names.get(group, group), ctx.t("route_auto" if row["value"] else "route_review"), _plain(at[group]["value"]),
         _interval(found.get(group)), _count(found.get(group)), _percent(bound[group]["value"]), _note(ctx, row)]
        for group, row in sorted(routes.items(), key=lambda item: (item[0] == "none", item[0]))
    ]  # fmt: skip
    heads = [
        ctx.t(k)
        for k in (
            "col_class",
            "col_route",
            "confidence_from",
            "error_observed",
            "gold_units",
            "error_bound",
            "col_message",
        )
    ]
    body = [html.P(lead, className="lead"), plain_table(heads, rows, (2, 3, 4, 5))]
    return plain_block(title, body, extra=extra, wide=True)


def _plain(value: float | None) -> str:
    return fmt.MISSING if value is None else f"{value:g}"


def _suspects(ctx: Context, frame: pl.DataFrame, extra: Any) -> html.Section:
    """How long the restricted list of doubtful declared codes is; never a unit of it."""
    row = _rows(frame, "suspect_codes").get("")
    if row is None or (row["value"] is None and not row["note_zh"]):
        text = ctx.t("suspects_unknown")
    elif row["value"] is None:
        text = _note(ctx, row)
    else:
        text = ctx.t("suspects_found").format(listed=f"{row['value']:,.0f}", checked=_count(row))
    return plain_block(ctx.t("quality_suspects"), [html.P(text, className="lead")], extra=extra)


def sections(ctx: Context) -> list[html.Section]:
    """Blocks on the classifier; none in a release made before they existed."""
    try:
        frame = ctx.release.table(TABLE)
    except UnknownName:
        return []
    extra = badge(ctx, synthetic=ctx.release.info.is_synthetic)
    return [draw(ctx, frame, extra) for draw in (_curve, _accuracy, _reliability, _promise, _counts, _suspects, _drift)]
