"""管理: accounts and the audit log. No statistics, no unit data."""

from typing import Any

from dash import html
from flask import current_app

from dashboard.components.block import plain_block
from dashboard.components.controls import page_head
from dashboard.components.table import plain_table
from dashboard.context import Context
from dashboard.pages.base import Page
from warehouse.access import roles
from warehouse.journal import Journal


def render(ctx: Context) -> Any:
    """The page."""
    journal: Journal = current_app.extensions["journal"]
    users = [
        [u.name, ctx.name(roles()[u.role]) if u.role in roles() else u.role, u.organisation, u.created_at[:10],
         ctx.t("yes") if u.disabled else ctx.t("no")]
        for u in journal.users()
    ]  # fmt: skip
    entries = [
        [
            e["at"].replace("T", " ").replace("+00:00", " UTC"),
            e["user"],
            e["action"],
            "" if e["detail"] == "{}" else e["detail"],
        ]
        for e in journal.audit(200)
    ]
    intact = journal.audit_is_intact()
    mark = html.Span(
        ctx.t("admin_intact" if intact else "admin_broken"),
        className=f"pill pill-{'accepted' if intact else 'refused'}",
    )
    user_heads = [ctx.t(f"col_{k}") for k in ("name", "user_role", "org", "since", "disabled")]
    audit_heads = [ctx.t(f"col_{k}") for k in ("at", "name", "action", "detail")]
    return html.Div(
        [
            page_head(ctx.t("page_admin"), ctx.t("admin_lead")),
            html.Div(
                [
                    plain_block(ctx.t("admin_users"), [plain_table(user_heads, users)], wide=True),
                    plain_block(ctx.t("admin_audit"), [plain_table(audit_heads, entries)], extra=mark, wide=True),
                ],
                className="grid",
            ),
        ]
    )


PAGE = Page("/admin", "page:admin", "page_admin", "nav_manage", render)
