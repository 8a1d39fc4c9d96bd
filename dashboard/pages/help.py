"""帮助: symbols, terms, indicators, how to use the pages."""

from typing import Any

from dash import html

from dashboard.components.block import plain_block
from dashboard.components.controls import page_head
from dashboard.components.table import plain_table
from dashboard.context import Context
from dashboard.pages.base import Page
from taxonomy.vocabulary import glossary
from warehouse import format as fmt


def render(ctx: Context) -> Any:
    """The page."""
    symbols = [[html.Code(sign), text] for sign, text in fmt.symbols(ctx.lang).items()]
    terms = [
        [
            html.Span([html.B(getattr(t, ctx.lang)), html.Br(), html.Small(ctx.cited(t.source))]),
            ctx.name(t, "definition"),
        ]
        for t in glossary()
    ]
    indicators = [
        [
            html.Span([html.B(ctx.name(i)), html.Br(), html.Code(i.id)], id=f"indicator-{i.id}"),
            fmt.unit(i, ctx.lang), ctx.name(i, "definition"), ctx.name(i, "method"), ctx.cited(i.legal_basis),
        ]
        for i in ctx.release.indicators()
    ]  # fmt: skip
    heads = [ctx.t(k) for k in ("indicator", "unit", "col_definition", "col_method", "legal_basis")]
    return html.Div(
        [
            page_head(ctx.t("page_help"), ctx.t("help_lead")),
            html.Div(
                [
                    plain_block(
                        ctx.t("help_symbols"), [plain_table([ctx.t("legend"), ctx.t("col_definition")], symbols)]
                    ),
                    plain_block(ctx.t("help_use"), [html.P(ctx.t("help_use_text"))]),
                    plain_block(
                        ctx.t("help_terms"),
                        [plain_table([ctx.t("col_term"), ctx.t("col_definition")], terms)],
                        wide=True,
                    ),
                    plain_block(ctx.t("help_indicators"), [plain_table(heads, indicators)], wide=True),
                ],
                className="grid",
            ),
        ]
    )


PAGE = Page("/help", "page:help", "page_help", "nav_output", render)
