"""Markup sent as data, citations and values for an English reader, axes of periods, the small line of a headline card."""

import json
import re
from urllib.parse import unquote

import pytest
from dash import dcc, html

from dashboard.components.drawn import drawn, node
from dashboard.components.table import plain_table
from dashboard.figures.charts import ranked_bars, sparkline
from dashboard.text.citations import english, number
from dashboard.theme import ACCENT, BRANCH, SERIES, period_axis
from warehouse.cube import Cell
from warehouse.values import value


def test_an_element_is_one_component_whatever_it_holds() -> None:
    foot = drawn(
        html.Footer([html.B("来源 "), "名录", html.A("CSV", href="/export/x.csv", download="")], className="f")
    )
    plain = foot.to_plotly_json()["props"]
    assert plain["className"] == "f" and plain.get("children") is None
    assert json.loads(plain["data-tree"]) == [
        ["b", {}, ["来源 "]], "名录", ["a", {"href": "/export/x.csv", "download": ""}, ["CSV"]],
    ]  # fmt: skip


def test_the_outer_element_keeps_all_its_attributes() -> None:
    outer = html.Details([html.Summary("a")], id="d", title="t", tabIndex="0", **{"aria-label": "l", "data-kind": "k"})
    plain = drawn(outer).to_plotly_json()["props"]
    kept = {k: plain[k] for k in ("id", "title", "tabIndex", "aria-label", "data-kind")}
    assert kept == {"id": "d", "title": "t", "tabIndex": "0", "aria-label": "l", "data-kind": "k"}
    assert plain["className"] == "" and json.loads(plain["data-tree"]) == [["summary", {}, ["a"]]]


def test_what_listens_or_is_styled_is_not_sent_as_data() -> None:
    for strange in (dcc.Link("a", href="/"), html.Span("a", style={"color": "red"}), html.Button("a", n_clicks=0)):
        with pytest.raises(TypeError, match="cannot be drawn"):
            node(html.Div([strange]))


def test_a_table_of_marks_is_one_component_and_its_withheld_cells_are_marked() -> None:
    table = plain_table(["a", "b"], [[html.Span("接收", className="pill"), "x"], ["t", ".."]], numeric=(1,))
    model = json.loads(getattr(table, "data-table"))
    assert getattr(table, "children", None) is None
    marked = ["span", {"class": "pill"}, ["接收"]]
    assert model["rows"] == [[[marked, ""], ["x", "num withheld"]], [["t", ""], ["..", "num missing"]]]


@pytest.mark.parametrize(
    ("chinese", "said"),
    [
        ("条例第三条", "Regulation Art. 3"),
        ("条例第二十八条、第三十四条", "Regulation Arts. 28, 34"),
        ("条例第三十八至四十二条", "Regulation Arts. 38-42"),
        ("条例第十三条至第二十四条、第四十九条", "Regulation Arts. 13-24, 49"),
        ("《统计法》", "《统计法》"),
        ("条例第三条及其说明", "条例第三条及其说明"),
    ],
)
def test_articles_are_cited_in_english_and_other_texts_left(chinese: str, said: str) -> None:
    assert english(chinese) == said


def test_chinese_numbers() -> None:
    assert [number(t) for t in ("九", "十", "十六", "二十", "六十七", "一百零二")] == [9, 10, 16, 20, 67, 102]


def test_values_are_translated_where_there_is_a_word_and_never_in_chinese() -> None:
    assert value("公安部门", "en") == "Public security" and value("公安部门", "zh") == "公安部门"
    assert value("某公司", "en") == "某公司"


def test_a_year_is_a_name_on_the_axis_and_a_long_series_is_not_crowded() -> None:
    assert period_axis(["2022", "2023"])["type"] == "category"
    quarters = [f"{y}年{q}季度" for y in range(2019, 2027) for q in "一二三四"]
    axis = period_axis(quarters)
    assert axis["tickvals"] == quarters[::4] and axis["ticktext"][0] == "2019年<br>一季度"
    assert period_axis(["2026-Q3"])["ticktext"] == ["2026<br>Q3"]


def test_bars_have_a_branchs_colour_only_where_their_codes_are_of_the_catalogue() -> None:
    pairs = [("C", "Manufacturing", Cell("2", 2, "value"))]
    assert ranked_bars(pairs, "%").data[0].marker.color == (ACCENT,)
    assert ranked_bars(pairs, "%", by_branch=True).data[0].marker.color == (BRANCH["C"],)
    assert len(set(SERIES)) == len(SERIES) >= 9, "a stack of eight has eight colours"


def test_the_small_line_starts_at_zero_and_breaks_at_a_gap() -> None:
    svg = unquote(sparkline([0.0, None, 5.0, 10.0]).partition(",")[2])
    found = re.search(r' d="([^"]+)"', svg)
    assert found is not None
    assert re.findall(r"[ML]", found[1]) == ["M", "M", "L"]
    heights = [float(p.partition(",")[2]) for p in re.split(r"[ML]", found[1])[1:]]
    assert heights == [33.0, 18.0, 3.0]
