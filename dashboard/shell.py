"""The frame around every page: navigation, release, language, user; and the one callback that draws a page."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update
from flask import abort, current_app
from flask_wtf.csrf import generate_csrf

from dashboard.auth import signed_in
from dashboard.context import Context, parse_query
from dashboard.registry import BY_PATH, GROUPS, PAGES
from dashboard.text import LANGUAGES, words
from warehouse.access import Forbidden, User, require
from warehouse.export.words import release_text
from warehouse.read import NoRelease, open_current

TITLE: Final = "data-title"


def base_layout() -> Any:
    """What never changes while the reader moves about; everything else hangs on the address."""
    return html.Div([dcc.Location(id="url", refresh="callback-nav"), html.Div(id="page")])


def _titled(known: Mapping[str, str], title: str) -> dict[str, str]:
    """What the browser calls a page: its own name first, so that tabs can be told apart (WCAG 2.4.2)."""
    return {TITLE: f"{known[title]} · {known['app']}"}


def _navigation(context: Context) -> html.Nav:
    groups = []
    for group in GROUPS:
        links = [
            dcc.Link(
                context.t(page.key), href=context.link(page.path), refresh=False,
                className="nav-link nav-on" if page.path == context.path else "nav-link",
            )
            for page in PAGES
            if page.group == group and context.may(page.permission)
        ]  # fmt: skip
        if links:
            groups.append(html.Div([html.Div(context.t(group), className="nav-group"), *links]))
    brand = html.Div(
        [html.Div(context.t("app"), className="brand"), html.Div(context.t("app_sub"), className="brand-sub")]
    )
    return html.Nav([brand, *groups], className="side", **{"aria-label": context.t("nav_open")})


def _top(context: Context) -> html.Header:
    info = context.release.info
    release = html.Div(
        [
            html.Span(f"{context.t('vintage')} {info.vintage}"),
            html.Span(f"{context.t('release')} {info.release_id}"),
            html.Span(release_text(info, context.lang)),
        ],
        className="top-release",
    )
    other = "English" if context.lang == "zh" else "中文"
    # A form of its own: logging out changes state, so it is a POST with a token.
    leave = html.Form(
        [
            dcc.Input(type="hidden", name="csrf_token", value=generate_csrf()),
            html.Button(context.t("logout"), type="submit", className="link-button"),
        ],
        action="/logout",
        method="POST",
    )
    user = html.Div(
        [
            html.Span(context.user.name, className="who"),
            dcc.Link(other, href=context.other_language(), refresh=False, className="lang"),
            leave,
        ],
        className="top-user",
    )
    return html.Header([release, user], className="top")


def frame(context: Context, content: Any, *, real: bool = False) -> html.Div:
    """A page in its frame, with the banner that simulated figures carry everywhere."""
    banner = []
    if context.release.info.is_synthetic:
        text = context.t("simulated_elsewhere" if real else "simulated_text")
        label = context.t("real" if real else "simulated")
        banner = [
            html.Div([html.B(label), f" · {text}"], className="banner banner-real" if real else "banner", role="note")
        ]
    return html.Div(
        [
            html.A(context.t("skip"), href="#content", className="skip"),
            _navigation(context),
            html.Div([_top(context), *banner, html.Main(content, id="content")], className="main"),
        ],
        className="shell",
        lang="zh-CN" if context.lang == "zh" else "en",
        **_titled(words(context.lang), BY_PATH[context.path].key),
    )


def _message(lang: str, title: str, text: str) -> html.Div:
    known = words(lang)
    home = dcc.Link(known["page_overview"], href="/" if lang == "zh" else f"/?lang={lang}", refresh=False)
    parts = [html.H1(known[title]), html.P(known[text]), html.P(home)]
    return html.Div(parts, className="message", **_titled(known, title))


def draw(user: User | None, path: str, search: str | None) -> Any:
    """The page of an address for a user.

    Raises
    ------
    Forbidden
        If the user's role may not see it; checked here, below every callback.
    """
    params = parse_query(search)
    lang = params.get("lang", "zh")
    lang = lang if lang in LANGUAGES else "zh"
    page = BY_PATH.get(path.rstrip("/") or "/")
    if page is None:
        return _message(lang, "not_found", "not_found_text")
    allowed = require(user, page.permission)
    try:
        release = open_current(current_app.config["AISTAT_HOME"])
    except NoRelease:
        return _message(lang, "no_release", "no_release_text")
    context = Context(release, allowed, lang, page.path, params)
    return frame(context, page.render(context), real=page.real)


def register_callbacks(app: Dash) -> None:
    """The address draws the page, the page names the window, controls change the address."""
    app.clientside_callback(
        f"page => {{ if (page?.props?.['{TITLE}']) document.title = page.props['{TITLE}']; }}",
        Input("page", "children"),
    )

    @app.callback(Output("page", "children"), Input("url", "pathname"), Input("url", "search"))  # type: ignore[untyped-decorator]
    def _draw(path: str | None, search: str | None) -> Any:
        user = signed_in()
        if user is None:
            abort(401)
        try:
            return draw(user, path or "/", search)
        except Forbidden:
            abort(403)

    @app.callback(  # type: ignore[untyped-decorator]
        Output("url", "search"),
        Input({"type": "param", "name": ALL, "now": ALL}, "value"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def _address(_values: list[Any], search: str | None) -> Any:
        if signed_in() is None:
            abort(401)
        params = parse_query(search)
        before = dict(params)
        for item in ctx.inputs_list[0]:
            name, value = item["id"]["name"], item.get("value") or ""
            # A control that was only just drawn reports the value it was drawn with: nothing to write.
            if value == item["id"]["now"]:
                continue
            params.pop(name, None)
            if value:
                params[name] = str(value)
        if params == before:
            return no_update
        return f"?{urlencode(sorted(params.items()))}" if params else ""
