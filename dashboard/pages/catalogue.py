"""统计分类目录: the tree, search, and everything said of a category."""

from typing import Any

from dash import dcc, html

from dashboard.components.block import plain_block
from dashboard.components.controls import page_head
from dashboard.context import Context
from dashboard.pages.base import Page
from taxonomy.basis import mark
from taxonomy.correspondence import chain, gbt_links
from taxonomy.facet import list_assignments, list_facets, load_facet, values_of
from taxonomy.scheme import Code, Scheme, load_scheme

SCHEME = "ai_industry_2026"
OTHERS = ("digital_economy_2021", "strategic_emerging_2018", "isic4")


def _matches(code: Code, words: list[str]) -> bool:
    text = " ".join(
        [code.code, code.name_zh, code.name_en, code.definition_zh, *code.includes, *code.key_products]
    ).lower()
    return all(word in text for word in words)


def _link(ctx: Context, code: Code, chosen: str) -> dcc.Link:
    return dcc.Link(
        [html.B(code.code), " ", ctx.name(code)], href=ctx.link(code=code.code), refresh=False,
        className="leaf leaf-on" if code.code == chosen else "leaf",
    )  # fmt: skip


def _tree(ctx: Context, scheme: Scheme, chosen: str) -> html.Div:
    open_codes = {chosen, *(a.code for a in scheme.ancestors(chosen))} if chosen in scheme else set()
    branches = []
    for branch in scheme.children():
        classes = []
        for cls in scheme.children(branch.code):
            leaves = [html.Li(_link(ctx, leaf, chosen)) for leaf in scheme.children(cls.code)]
            classes.append(html.Li([_link(ctx, cls, chosen), html.Ul(leaves)]))
        branches.append(
            html.Details(
                [html.Summary(_link(ctx, branch, chosen)), html.Ul(classes)],
                open=branch.code in open_codes,
            )
        )
    return html.Div(branches, className="tree")


def _found(ctx: Context, scheme: Scheme, words: list[str], chosen: str) -> html.Div:
    hits = [html.Li(_link(ctx, c, chosen)) for c in scheme.codes if _matches(c, words)]
    return html.Div(html.Ul(hits) if hits else html.P(ctx.t("catalogue_none")), className="tree")


def _row(ctx: Context, code: str, name: str, coverage: str, note: str, basis: str) -> html.Li:
    """One linked class; a weak basis carries its mark, for an official release would refuse the row."""
    weak = mark(basis, ctx.lang)
    marks = [html.Span(weak, className="pill pill-refused")] if weak else []
    pill = html.Span(ctx.t(f"coverage_{coverage}"), className=f"pill pill-{coverage}")
    return html.Li([html.B(code), " ", name, pill, *marks, html.Small(note)])


def _gbt(ctx: Context, code: str) -> list[Any]:
    gbt = load_scheme("gbt4754_2017")
    links = gbt_links(code)
    if not links:
        return []
    items = [
        _row(ctx, k.to_code, gbt.get(k.to_code).name_zh, k.coverage, k.resolution, k.basis)
        for k in {link.to_code: link for link in links}.values()
    ]
    return [html.H3(f"{ctx.t('gbt')}（{ctx.t('basis_proposal')}）"), html.Ul(items, className="links")]


def _others(ctx: Context, scheme: Scheme, chosen: str) -> list[Any]:
    """Classes of other classifications that share a GB/T class with this leaf, by classification."""
    parts: list[Any] = []
    if scheme.children(chosen):
        return parts
    for other_id in OTHERS:
        other = load_scheme(other_id)
        found = {p.to_code: p for p in sorted(chain(SCHEME, other_id), key=lambda p: p.coverage != "full", reverse=True)
                 if p.from_code == chosen}  # fmt: skip
        rows = [
            _row(ctx, p.to_code, ctx.name(other.get(p.to_code)), p.coverage, f"GB/T {p.via}", p.basis)
            for _, p in sorted(found.items())
        ]
        if rows:
            parts += [html.H3(other.name_en if ctx.lang == "en" else other.name_zh), html.Ul(rows, className="links")]
    return parts


def _facets(ctx: Context, chosen: str) -> list[Any]:
    if SCHEME not in list_assignments():
        return []
    rows = []
    for facet in map(load_facet, list_facets()):
        values = values_of(SCHEME, chosen, facet.id)
        if values:
            texts = [v.en if ctx.lang == "en" else v.zh for v in values]
            rows.append(
                html.Li([html.B(facet.en if ctx.lang == "en" else facet.zh), " ", ctx.t("list_comma").join(texts)])
            )
    return [html.H3(ctx.t("facets")), html.Ul(rows)] if rows else []


def _card(ctx: Context, scheme: Scheme, chosen: str) -> list[Any]:
    if chosen not in scheme:
        return [html.P(ctx.t("catalogue_pick"), className="lead")]
    code = scheme.get(chosen)
    path = " › ".join(f"{c.code} {ctx.name(c)}" for c in reversed(scheme.ancestors(chosen)))
    definition = code.definition_en if ctx.lang == "en" and code.definition_en else code.definition_zh
    parts: list[Any] = [
        html.P(path, className="path"),
        html.H2(f"{code.code} {ctx.name(code)}"),
        html.P(code.name_en if ctx.lang == "zh" else code.name_zh, className="lead"),
        html.Span(ctx.t("draft_status"), className="badge badge-trial"),
        html.Span(ctx.t(f"level_{code.level_name}"), className="pill"),
        html.H3(ctx.t("definition")), html.P(definition),
    ]  # fmt: skip
    for key, items in (("includes", code.includes), ("excludes", code.excludes), ("key_products", code.key_products)):
        if items:
            parts += [html.H3(ctx.t(key)), html.Ul([html.Li(i) for i in items])]
    if scheme.children(chosen):
        below = [html.Li(_link(ctx, c, chosen)) for c in scheme.children(chosen)]
        parts += [html.H3(ctx.t("children")), html.Ul(below)]
    parts += _facets(ctx, chosen)
    parts += _gbt(ctx, chosen)
    parts += _others(ctx, scheme, chosen)
    parts += [html.H3(ctx.t("legal_basis")), html.P(code.legal_basis)]
    return parts


def render(ctx: Context) -> Any:
    """The page."""
    scheme = load_scheme(SCHEME)
    chosen = ctx.params.get("code", "")
    query = ctx.params.get("q", "")
    words = query.lower().split()
    search = html.Label(
        [
            html.Span(ctx.t("catalogue_search")),
            dcc.Input(
                id={"type": "param", "name": "q", "now": query},
                value=query,
                debounce=True,
                type="search",
                className="search-box",
            ),
        ],
        className="control",
    )
    tree = _found(ctx, scheme, words, chosen) if words else _tree(ctx, scheme, chosen)
    body = html.Div([tree, html.Article(_card(ctx, scheme, chosen), className="code-card")], className="catalogue")
    return html.Div(
        [
            page_head(ctx.t("page_catalogue"), ctx.t("catalogue_lead"), search),
            html.Div(plain_block(ctx.t("catalogue_tree"), [body], wide=True), className="grid"),
        ]
    )


PAGE = Page("/catalogue", "page:catalogue", "page_catalogue", "nav_basis", render)
