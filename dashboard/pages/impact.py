"""影响评估: the Art. 67 draft, started here; every number in it is a fact of the release."""

from typing import Any

from dash import html

from dashboard.components.block import badge, plain_block
from dashboard.components.controls import page_head
from dashboard.context import Context
from dashboard.data import years
from dashboard.drafts import section_titles
from dashboard.pages.base import Page


def render(ctx: Context) -> Any:
    """The page."""
    links = [
        html.A(
            f"{ctx.t('impact_make')} · {y}",
            href=f"/draft/art67/{y}.docx?lang={ctx.lang}",
            className="download",
            download="",
        )
        for y in years(ctx)
    ]
    sections = html.Ul([html.Li(title) for title in section_titles(ctx.lang)])
    synthetic = badge(ctx, synthetic=ctx.release.info.is_synthetic)
    return html.Div(
        [
            page_head(ctx.t("page_impact"), ctx.t("impact_lead")),
            html.Div(
                [
                    plain_block(
                        ctx.t("impact_make"),
                        [html.P(ctx.t("impact_guard"), className="lead"), html.Div(links, className="link-row")],
                        extra=synthetic,
                    ),
                    plain_block(ctx.t("impact_sections"), [html.P(ctx.t("impact_none"), className="lead"), sections]),
                ],
                className="grid",
            ),
        ]
    )


PAGE = Page("/impact", "page:impact", "page_impact", "nav_output", render)
