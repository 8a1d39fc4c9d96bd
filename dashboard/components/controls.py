"""Controls that write the address: the page is drawn from the address alone, so each state can be shared."""

from collections.abc import Sequence

from dash import dcc, html

from dashboard.context import Context


def select(ctx: Context, key: str, label: str, options: Sequence[tuple[str, str]], value: str) -> html.Label:
    """A drop-down of ``(code, name)``; a change goes into the address."""
    return html.Label(
        [
            html.Span(label),
            dcc.Dropdown(
                id={"type": "param", "name": key, "now": value},
                options=[{"value": code, "label": name} for code, name in options],
                value=value,
                clearable=False,
                searchable=len(options) > 12,
                className="select",
            ),
        ],
        className="control",
    )


def tabs(ctx: Context, key: str, options: Sequence[tuple[str, str]], value: str) -> html.Div:
    """A row of links, the chosen one marked; works without any script of ours."""
    links = [
        dcc.Link(
            name, href=ctx.link(**{key: code}), className="pick pick-on" if code == value else "pick", refresh=False,
        )
        for code, name in options
    ]  # fmt: skip
    return html.Div(links, className="tabs", role="group")


def bar(*controls: object) -> html.Div:
    """Controls side by side."""
    return html.Div(list(controls), className="controls")


def page_head(title: str, lead: str, *controls: object) -> html.Div:
    """Title and lead of a page with its controls."""
    parts = [html.Div([html.H1(title), html.P(lead, className="lead")])]
    return html.Div([*parts, bar(*controls)] if controls else parts, className="page-head")
