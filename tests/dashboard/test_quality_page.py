"""The classifier's part of 数据质量: with gold, without, in a release made before it existed."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dashboard.context import Context
from dashboard.figures.quality_charts import automation_curve
from dashboard.pages import quality, quality_classifier
from etl.promise import NO_GOLD
from taxonomy.classifier.evaluate import RunFacts, evaluate
from taxonomy.classifier.quality_table import quality_rows
from tests.taxonomy.quality_data import decisions_and_truth, gold_of
from warehouse.access import User
from warehouse.read import Info, UnknownName


class FakeRelease:
    """A release that holds the classifier's table alone."""

    info = Info("r1", "2026-03-31", "simulated", True, "0")

    def __init__(self, frame: pl.DataFrame | None) -> None:
        self._frame = frame

    def codes(self, scheme: str) -> tuple[Any, ...]:
        return ()

    def table(self, name: str) -> pl.DataFrame:
        if self._frame is None or name != "meta_classifier_quality":
            raise UnknownName(name)
        return self._frame


def drawn(frame: pl.DataFrame | None, lang: str = "zh") -> list[Any]:
    context = Context(FakeRelease(frame), User("a", "analyst", "统计", "city"), lang, "/quality", {})  # type: ignore[arg-type]
    return quality_classifier.sections(context)


def text_of(sections: list[Any]) -> str:
    return json.dumps([s.to_plotly_json() for s in sections], default=lambda o: o.to_plotly_json(), ensure_ascii=False)


@pytest.fixture(scope="module")
def tables() -> dict[str, pl.DataFrame]:
    decisions, truth = decisions_and_truth(600)
    units = decisions["unit_id"].to_list()
    drift = {"status": "warn", "reference": "r0", "reason_zh": "途径结构变动", "reason_en": "routes moved", "accepted": "",
             "signals": [{"name": "route_mix", "group": "outputs", "value": 0.06, "warn": 0.05, "block": 0.15,
                          "p_value": 0.0, "status": "warn", "detail_zh": "途径结构 0.060", "detail_en": "routes 0.060"}]}  # fmt: skip
    gold = gold_of(units[:300], truth[:300]).with_columns(codes_1=pl.col("codes"), codes_2=pl.col("codes"))
    groups = [
        {"group": "A", "route": "review", "threshold": None, "errors": 9, "unfinished": 0, "share_auto": 0.0, "bound": 0.3,
         "observed_error": 0.2, "n": 40, "reason_zh": "标准样本中差错过多", "reason_en": "too many errors in gold"},
        {"group": "none", "route": "auto", "threshold": 0.9, "errors": 2, "unfinished": 0, "share_auto": 0.7, "bound": 0.041,
         "observed_error": 0.02, "n": 150, "reason_zh": "标准样本支持承诺", "reason_en": "gold supports the promise"},
    ]  # fmt: skip
    night = {
        "promise": {"error": 0.05, "confidence": 0.95, "level_per_group": 0.01, "groups": groups}, "sample": "g1",
        "gold": 190, "left_out": 3, "calibrating": 0, "units": {"A": 60, "none": 400}, "standing": 0.625,
        "reason_zh": "按金标准逐类承诺", "reason_en": "promised by class group, from gold",
    }  # fmt: skip
    suspects = {"made": True, "checked": 2_995, "listed": 109, "learned_from": 2_993}
    return {
        "gold": quality_rows(evaluate(decisions, gold, RunFacts(drift=drift, night=night, suspects=suspects))),
        "none": quality_rows(evaluate(decisions, facts=RunFacts(night=NO_GOLD.as_dict()))),
    }


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_with_gold_accuracy_calibration_and_drift_are_shown(tables: dict[str, pl.DataFrame], lang: str) -> None:
    text = text_of(drawn(tables["gold"], lang))
    frame = tables["gold"]
    leaf = frame.filter((pl.col("metric") == "accuracy") & (pl.col("scope") == "leaf|1|all")).row(0, named=True)
    assert f"{100 * leaf['value']:.1f}%" in text and "ECE" in text and "1.00 [" in text
    assert ("途径结构 0.060" if lang == "zh" else "routes 0.060") in text
    assert ("提示" if lang == "zh" else "warning") in text
    assert "没有金标准样本" not in text and "No gold sample" not in text
    assert ("模拟数据" if lang == "zh" else "Simulated") in text or "badge-simulated" in text


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_promise_is_shown_by_class_group_and_the_list_by_its_length(
    tables: dict[str, pl.DataFrame], lang: str
) -> None:
    text = text_of(drawn(tables["gold"], lang))
    shown = (
        ("标准样本中差错过多", "标准样本支持承诺", "62.5%")
        if lang == "zh"
        else ("too many errors", "gold supports", "62.5%")
    )
    assert all(part in text for part in shown) and "4.1%" in text and "109" in text and "2,995" in text
    assert ("待复核" if lang == "zh" else "review") in text.lower()
    frame = tables["gold"]
    few = frame.filter(pl.col("metric") == "suspect_codes")
    assert few["value"].to_list() == [109.0] and few["n"].to_list() == [2_995]


def test_without_gold_there_is_no_promise_and_the_page_says_so(tables: dict[str, pl.DataFrame]) -> None:
    text = text_of(drawn(tables["none"]))
    assert "没有金标准，不作承诺" in text and "本版发布没有申报代码疑误清单" not in text and "未制清单" in text
    assert "No gold, no promise".lower() in text_of(drawn(tables["none"], "en")).lower()


def test_a_short_list_is_not_counted_out() -> None:
    decisions, _ = decisions_and_truth(50)
    facts = RunFacts(suspects={"made": True, "checked": 40, "listed": 3, "learned_from": 600})
    row = quality_rows(evaluate(decisions, facts=facts)).filter(pl.col("metric") == "suspect_codes").row(0, named=True)
    assert row["value"] is None and row["note_zh"] == "不足 10 个"


def test_without_gold_the_page_says_so_and_still_shows_coverage(tables: dict[str, pl.DataFrame]) -> None:
    sections = drawn(tables["none"])
    text = text_of(sections)
    assert text.count("没有金标准样本") == 3 and "自动编码率" in text
    assert "已编码单位准确率" in text, "the table names the column and leaves it empty"
    figure = [s for s in sections if "graph" in text_of([s])]
    assert len(figure) == 1


def test_an_older_release_has_no_such_part(tables: dict[str, pl.DataFrame]) -> None:
    assert drawn(None) == []


def test_the_curve_draws_no_point_where_nothing_is_known() -> None:
    figure = automation_curve(
        [0.5, 0.9], [("自动", [1.0, 0.5]), ("准确", [None, 0.9])], ([None, 0.8], [None, 0.95]), "阈值"
    )
    accuracy = figure.data[1]
    assert accuracy.y == (None, 0.9) and not accuracy.connectgaps
    assert list(accuracy.error_y.array) == pytest.approx([0.0, 0.05])
    assert list(accuracy.error_y.arrayminus) == pytest.approx([0.0, 0.1])


def test_the_demo_release_shows_the_part(demo_home: Path) -> None:
    from dashboard.pages import quality
    from warehouse.read import open_current

    release = open_current(demo_home)
    frame = release.table("meta_classifier_quality")
    assert frame.filter(pl.col("metric") == "gold_units")["value"].to_list() == [0.0], "the demo city has no gold"
    context = Context(release, User("a", "analyst", "统计", "city"), "zh", "/quality", {})
    text = text_of([quality.render(context)])
    assert "没有金标准样本" in text and "首次运行" in text and "模拟数据" in text


def test_many_files_received_are_few_components_and_each_is_still_there() -> None:
    columns = ("rows_in", "rows_accepted", "rows_quarantined")
    runs = pl.DataFrame(
        [
            {"source_id": f"s{n % 9}", "file": f"f{n}.csv", **dict.fromkeys(columns, 10), "message": "",
             "status": "refused" if n == 7 else "accepted", "title": f"来源{n % 9}", "title_en": f"Source {n % 9}"}
            for n in range(500)
        ]
    )  # fmt: skip

    class Received(FakeRelease):
        def table(self, name: str) -> pl.DataFrame:
            return runs

    context = Context(Received(None), User("a", "analyst"), "en", "/quality", {})  # type: ignore[arg-type]
    sent = text_of([quality._sources(context)])
    assert sent.count('"namespace"') < 10, "the renderer's work grows with the square of the components"
    assert all(f"f{n}.csv" in sent for n in range(500))
    assert sent.count("f7.csv") == 2, "a refused file stands open and in the folded list"
