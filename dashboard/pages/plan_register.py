"""年度计划进度, the register itself: every task with document, clause, due date and progress; targets beside the figures published."""

import re
from typing import Any

from dash import html

from dashboard.components.block import badge, plain_block
from dashboard.components.table import plain_table
from dashboard.context import Context
from warehouse import format as fmt
from warehouse.read import UnknownName

TABLE = "public_plan_task"
DATASET = "plan_kind_quarter"
HEADS = ("document", "clause", "task", "owner", "due", "progress", "state", "target", "actual", "attained")
NUMBERS = (5, 7, 8, 9)
YI = 1e8
"""Yuan in one 亿元."""


def _number(value: Any, decimals: int = 0) -> str:
    return fmt.MISSING if value is None else f"{value:,.{decimals}f}"


def _amount(ctx: Context, value: Any, unit: str) -> str:
    """A figure with its unit; yuan in 亿元."""
    if value is None:
        return fmt.MISSING
    if unit == "元" and abs(value) >= YI:
        yi = float(value) / YI
        return f"{_number(yi, 2)} 亿元" if ctx.lang == "zh" else f"CNY {_number(yi / 10, 2)} billion"
    return f"{_number(value)} {ctx.value(unit)}"


def _clause(ctx: Context, clause: str) -> str:
    found = re.fullmatch(r"第(\d+)项", clause)
    return f"Item {found[1]}" if found and ctx.lang == "en" else clause


def _task(ctx: Context, task: str) -> str:
    """The task as registered; an indicator named by its identifier gets its name."""
    names = {i.id: ctx.name(i) for i in ctx.release.indicators()}
    return " ".join(names.get(word, ctx.value(word)) for word in task.split())


def _row(ctx: Context, row: dict[str, Any]) -> list[str]:
    unit = row["target_unit"] or ""
    target = row["kind"] == "T"
    return [
        row["document_no"], _clause(ctx, row["clause"]), _task(ctx, row["task"]), ctx.value(row["owner"]), row["due_on"], _number(row["progress_pct"]),
        ctx.t(f"state_plan_{row['status']}"),
        _amount(ctx, row["target_value"], unit) if target else fmt.NOT_APPLICABLE,
        _amount(ctx, row["actual_value"], unit) if target else fmt.NOT_APPLICABLE,
        _number(row["attained_pct"], 1) if target else fmt.NOT_APPLICABLE,
    ]  # fmt: skip


def section(ctx: Context) -> list[html.Section]:
    """The register of the latest quarter; nothing where none was received (the blocks above say so)."""
    try:
        rows = ctx.release.table(TABLE)
    except UnknownName:
        return []
    if rows.is_empty():
        return []
    dataset = ctx.release.dataset(DATASET)
    heads = [ctx.t(f"col_{name}") for name in HEADS]
    body = [
        html.P(ctx.t("plan_register_hint"), className="hint"),
        plain_table(heads, [_row(ctx, row) for row in rows.iter_rows(named=True)], numeric=NUMBERS),
        html.P(
            f"{ctx.t('source')} {ctx.name(dataset, 'source')} · {ctx.t('vintage')} {ctx.release.info.vintage} · "
            f"{ctx.t('release')} {ctx.release.info.release_id}",
            className="hint",
        ),
    ]
    title = f"{ctx.t('plan_register')} · {fmt.period_text(str(rows['period'][0]), ctx.lang)}"
    mark = badge(ctx, synthetic=ctx.release.is_synthetic(DATASET))
    return [plain_block(title, body, extra=mark, wide=True)]
