"""What a night promises from the gold of the journal: which codes stand, what goes to people, what the report says."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from etl.classifier_quality import keep, promise_of, read_watch, report_of, served_labels, watch
from etl.coding import load_bundle
from etl.evidence import open_queue
from etl.promise import NO_GOLD, NightPromise, PromiseRules, night_promise, standing
from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.gold import GoldPlan, draw_sample
from taxonomy.classifier.gold_use import calibrating
from taxonomy.classifier.profile import build_profile
from taxonomy.classifier.quality_table import quality_rows
from taxonomy.classifier.review import QueuePlan
from taxonomy.classifier.store import save
from tests.etl.test_adjusted import city, labelled
from warehouse.review_journal import ReviewJournal
from warehouse.write import WorkStore

TODAY = date(2026, 3, 31)
RULES = PromiseRules(error=0.05, confidence=0.95, looks=1, max_age_days=365)


@pytest.fixture(scope="module")
def bundle(bundles: Path) -> Bundle:
    return load_bundle(bundles)


@pytest.fixture(scope="module")
def night(bundle: Bundle) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decisions (3 % of the not-AI units coded core, so core is not to be promised and none is) and gold as the journal gives it."""
    frame, truth = city(20_000, 3)
    frame = frame.with_columns(bundle=pl.lit(bundle.hash), candidates=pl.lit("[]"))
    gold = labelled(frame, truth, 1_500).with_columns(
        sample=pl.lit("g1"), decided_at=pl.lit("2026-02-01T00:00:00"), kind=pl.lit("code"), codes_1="codes",
        codes_2=pl.when(pl.col("random") < pl.col("random").median()).then("codes").otherwise(pl.lit(["none"])),
    )  # fmt: skip
    return frame, gold


def test_gold_decides_by_group_what_stands(night, bundle: Bundle) -> None:  # type: ignore[no-untyped-def]
    frame, gold = night
    found = night_promise(frame, gold, bundle, TODAY, RULES)
    assert found.promise is not None and found.reason == "made" and found.gold == gold.height and found.left_out == 0
    routes = {g.group: g.route for g in found.promise.groups}
    assert routes == {"A": "review", "B": "review", "none": "auto"}
    stands = standing(frame, found.promise)
    assert set(stands.filter("promised")["segment"]) == {"none"}
    assert found.standing == pytest.approx(stands["promised"].mean())
    assert found.units == dict(frame.with_columns(g=pl.coalesce(pl.col("ai_class").str.slice(0, 1), pl.lit("none"))).group_by("g").len().iter_rows())  # fmt: skip
    assert NightPromise.from_dict(json.loads(json.dumps(found.as_dict()))) == found
    assert not any(u in json.dumps(found.as_dict()) for u in frame["unit_id"].head(50))


def test_without_usable_gold_nothing_is_promised(night, bundle: Bundle) -> None:  # type: ignore[no-untyped-def]
    frame, gold = night
    assert night_promise(frame, gold.clear(), bundle, TODAY, RULES) is NO_GOLD
    other = frame.with_columns(bundle=pl.lit("b2"))
    assert night_promise(other, gold, bundle, TODAY, RULES).reason == "other_bundle"
    late = night_promise(frame, gold, bundle, date(2027, 3, 31), RULES)
    assert (late.reason, late.promise, late.left_out) == ("all_stale", None, gold.height)
    open_ = gold.with_columns(codes=pl.lit(None, pl.List(pl.String)), decided_at=pl.lit(None, pl.String))
    started = night_promise(frame, open_, bundle, TODAY, RULES).promise
    assert started is not None and {g.route for g in started.groups} == {"review"}
    assert all("unfinished" in g.reason_en or g.group == "A" for g in started.groups)


def test_a_unit_that_changed_since_the_draw_says_nothing(night, bundle: Bundle) -> None:  # type: ignore[no-untyped-def]
    frame, gold = night
    wrong = gold.filter((pl.col("group") == "none") & (pl.col("codes").list.first() != "none"))["unit_id"].to_list()
    assert len(wrong) > 3
    moved = frame.with_columns(probability=pl.when(pl.col("unit_id").is_in(wrong)).then(0.99).otherwise("probability"))
    before, after = (night_promise(f, gold, bundle, TODAY, RULES) for f in (frame, moved))
    assert after.left_out == len(wrong) and after.gold == gold.height - len(wrong)
    errors = [next(g.errors for g in n.promise.groups if g.group == "none") for n in (before, after)]  # type: ignore[union-attr]
    assert errors == [len(wrong), 0]
    gone = night_promise(frame.filter(~pl.col("unit_id").is_in(wrong)), gold, bundle, TODAY, RULES)
    assert gone.left_out == len(wrong)


def test_gold_that_calibrated_the_bundle_is_counted_and_not_inferred_from(night, bundle: Bundle) -> None:  # type: ignore[no-untyped-def]
    frame, gold = night
    tuned = replace(bundle, training={"calibration": {"sample": "g0", "share": 0.25, "units": 300}})
    part = calibrating(gold["unit_id"], 0.25)
    found = night_promise(frame, gold, tuned, TODAY, RULES)
    assert found.calibrating == part.sum() and found.promise is not None
    # Let them all have been wrong: the bound rises by their share of the group and not by what they would stand for.
    wrong = part & (gold["group"] == "none") & (gold["codes"].list.first() == "none")
    spoilt = gold.with_columns(codes=pl.when(wrong).then(pl.lit(["A11"])).otherwise("codes"))
    after = night_promise(frame, spoilt, tuned, TODAY, RULES)
    one, two = (next(g for g in n.promise.groups if g.group == "none") for n in (found, after))  # type: ignore[union-attr]
    assert (one.threshold, two.threshold, two.errors - one.errors) == (0.5, 0.5, wrong.sum())
    assert two.bound - one.bound == pytest.approx(wrong.sum() / found.units["none"])  # type: ignore[index, operator]
    naive = night_promise(frame, spoilt, bundle, TODAY, RULES)
    assert next(g.route for g in naive.promise.groups if g.group == "none") == "review"  # type: ignore[union-attr]


def test_what_does_not_stand_is_a_doubt_of_the_queue(night, bundle: Bundle, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    frame, gold = night
    found = night_promise(frame, gold, bundle, TODAY, RULES)
    units = frame.with_columns(weight=pl.lit(1.0), size=pl.lit(1.0), area=pl.lit("440305"))
    journal, plan = ReviewJournal(tmp_path), QueuePlan(seed=1, capacity=400)
    quiet = open_queue(journal, units, "r1", plan)
    asked = open_queue(journal, units, "r2", plan, found.promise)
    assert quiet.filter(pl.col("kind") == "effect").height == 0, (
        "nothing is in review in this city, nothing was promised"
    )
    doubts = asked.filter(pl.col("kind") == "effect").join(frame, on="unit_id")
    assert doubts.height > 300 and set(doubts["segment"]) == {"core"}


@pytest.fixture()
def home(night, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # type: ignore[no-untyped-def]
    """A home with its bundle and the night's codes."""
    monkeypatch.delenv("AISTAT_JOURNAL_URL", raising=False)
    save(bundle, tmp_path / "bundles")
    WorkStore(tmp_path).write("process_register__code_unit", night[0].with_columns(evidence=pl.lit("")))
    return tmp_path


def test_the_report_says_per_group_what_is_promised(night, bundle: Bundle, home: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    frame, gold = night
    inputs = frame.select("name", "business_scope", "main_products")
    promise = night_promise(frame, gold, bundle, TODAY, RULES)
    watch(home, build_profile([inputs], [frame]), promise=promise)
    monkeypatch.setattr("etl.classifier_quality.gold_of", lambda _: gold)
    body = report_of(home, WorkStore(home), "2026-03-31", synthetic=True).as_dict()
    basis = body["accuracy"]["promise_basis"]
    assert basis["made"] and basis["error"] == 0.05 and basis["sample"] == "g1"
    rows = {r["group"]: r for r in body["accuracy"]["promise"]}
    assert set(rows) == {"all", "A", "B", "none"}
    assert rows["B"]["route"] == "review" and rows["B"]["state"] == "none" and rows["B"]["observed"]["value"] > 0.3
    assert rows["none"]["route"] == "auto" and rows["none"]["promised"] == 0.05
    assert rows["none"]["observed"]["value"] <= rows["none"]["bound"] <= 0.05
    assert rows["all"]["observed"]["value"] == rows["none"]["observed"]["value"], "of all that stands, not of all coded"
    table = quality_rows(report_of(home, WorkStore(home), "2026-03-31", synthetic=True))
    auto = dict(table.filter(pl.col("metric") == "promise_route").select("scope", "value").iter_rows())
    assert auto == {"A": 0.0, "B": 0.0, "none": 1.0}
    assert "上限" in table.filter((pl.col("metric") == "promise_route") & (pl.col("scope") == "B"))["note_zh"][0]


def test_without_gold_the_report_says_no_promise(home: Path, night) -> None:  # type: ignore[no-untyped-def]
    frame, _ = night
    watch(home, build_profile([frame.select("name", "business_scope", "main_products")], [frame]))
    report = report_of(home, WorkStore(home), "2026-03-31", synthetic=True)
    basis = report.as_dict()["accuracy"]["promise_basis"]
    assert not basis["made"] and basis["reason_zh"] == "没有金标准，不作承诺"
    row = quality_rows(report).filter(pl.col("metric") == "promise").row(0, named=True)
    assert row["value"] == 0.0 and row["note_en"] == "no gold, no promise"
    assert [r["group"] for r in report.as_dict()["accuracy"]["promise"]] == ["all"]


def test_the_gate_tests_the_promise_that_was_published(home: Path, night, bundle: Bundle) -> None:  # type: ignore[no-untyped-def]
    frame, gold = night
    inputs = frame.select("name", "business_scope", "main_products")
    assert served_labels(home, frame, gold) == [], "a release that promised nothing has nothing to break"
    watch(home, build_profile([inputs], [frame]), promise=night_promise(frame, gold, bundle, TODAY, RULES))
    (home / "releases").mkdir()
    keep(home, "r20260331-aaaa", report_of(home, WorkStore(home), "2026-03-31", synthetic=True))
    (home / "releases" / "current").write_text("r20260331-aaaa")
    assert promise_of(home, "r20260331-aaaa") == read_watch(home, "r20260331-aaaa").promise.promise  # type: ignore[union-attr]
    wrong = served_labels(home, frame, gold)
    assert len(wrong) > 100 and np.mean(wrong) < 0.05, "codes left to people are no broken promise"
    assert watch(home, build_profile([inputs], [frame]), wrong=wrong).drift.status == "ok"
    bad = gold.with_columns(codes=pl.when(pl.col("random") < pl.col("random").quantile(0.4)).then(pl.lit(["A11"])).otherwise("codes"))  # fmt: skip
    found = watch(home, build_profile([inputs], [frame]), wrong=served_labels(home, frame, bad)).drift
    assert found.blocks and "序贯检验" in found.reason_zh


def test_the_draw_of_this_test_is_what_the_journal_would_hold(night) -> None:  # type: ignore[no-untyped-def]
    frame, gold = night
    assert gold.drop("codes", "sample", "decided_at", "kind", "codes_1", "codes_2").equals(
        draw_sample(frame, GoldPlan(seed=1, size=1_500)).units
    )
