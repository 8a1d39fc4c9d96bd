"""Gold in the journal, through the nightly job of the small demo city: promise, queue, report, agreement, calibration."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from aistat.cli import main
from etl.assets.review import QUEUE
from etl.classifier_quality import promise_of
from etl.suspects import SUSPECT
from taxonomy.classifier.gold_use import calibrating, calibration_share
from taxonomy.classifier.store import load as load_bundle
from tests.conftest import AS_OF, aistat
from warehouse.journal import Journal
from warehouse.read import open_current
from warehouse.release import current_id
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import gold_units
from warehouse.review_rules import Given
from warehouse.write import WorkStore

CODERS = ("li", "wang")


def answered(home: Path) -> pl.DataFrame:
    """Answer the sample's coded core and some of what was coded none by the city's own truth (simulated): two coders, one of
    whom errs now and then, a third person rules. The rest of the sample stays open."""
    journal, gold = ReviewJournal(home), gold_units(ReviewJournal(home))
    units = pl.read_parquet(home / "truth" / "unit.parquet")
    truth = dict(units.select("uscc", pl.col("true_leaf").fill_null("none")).iter_rows())
    some = gold.filter(pl.col("group") == "none").sort("random").head(120)["unit_id"].to_list()
    mine = {*gold.filter(~pl.col("group").is_in(["none", "doubt"]))["unit_id"], *some}
    for name in CODERS:
        user = journal.user(name)
        assert user is not None
        for task in journal.take_many(user, 2_000, 60):
            if task.kind != "gold" or task.unit_id not in mine:
                continue
            is_slip = name == "wang" and int(task.task_id[:2], 16) % 8 == 0
            true = truth.get(task.unit_id, "none")  # units born after the full register are ordinary ones
            code = true if not is_slip else "A11" if true == "none" else "none"
            journal.answer(user, Given(task.task_id, "code", (code,), task.text_hash, task.bundle))
    zhao = journal.user("zhao")
    assert zhao is not None
    for waiting in journal.waiting():
        journal.adjudicate(zhao, waiting["task_id"], [truth[waiting["unit_id"]]], "依据年报")
    return gold_units(journal)


@pytest.fixture(scope="module")
def night(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pl.DataFrame]:
    """A home after a night with that gold, and the gold."""
    home = tmp_path_factory.mktemp("gold-night") / "home"
    shutil.copytree(demo_home, home)
    journal = Journal(home)
    for name, role in (("li", "analyst"), ("wang", "analyst"), ("zhao", "methodologist")):
        journal.add_user(name, "a long password", role, organisation="统计")
    aistat("gold", "draw", "g1", "--coders", ",".join(CODERS), "--user", "zhao", "--size", "200", home=home)
    gold = answered(home)
    done = aistat("run", "--as-of", AS_OF, home=home)
    assert "promise: promised by class group, from gold" in done.stderr
    return home, gold


def table_of(home: Path) -> pl.DataFrame:
    return open_current(home).table("meta_classifier_quality")


def test_the_promise_decides_which_codes_stand(night: tuple[Path, pl.DataFrame]) -> None:
    home, gold = night
    promise = promise_of(home, str(current_id(home)))
    assert promise is not None
    groups = {g.group: g for g in promise.groups}
    assert groups["none"].route == "review" and groups["none"].unfinished > 0, (
        "nobody has coded that part of the sample yet"
    )
    core = [g for name, g in groups.items() if name != "none"]
    assert {g.route for g in core} == {"auto", "review"}, "some groups are coded well enough, some are not"
    shown = table_of(home).filter(pl.col("metric") == "promise_route")
    said = {
        scope: ("auto" if value else "review", zh)
        for scope, value, zh in shown.select("scope", "value", "note_zh").iter_rows()
    }
    assert (
        said == {g.group: (g.route, g.reason_zh) for g in promise.groups if g.group in said}
        and "未完成" in said["none"][1]
    )
    body = json.loads((home / "quality" / f"{current_id(home)}.json").read_text(encoding="utf-8"))
    rows = {r["group"]: r for r in body["accuracy"]["promise"]}
    assert all(rows[g.group]["threshold"] == g.threshold for g in promise.groups)
    assert not any(unit in json.dumps(body) for unit in gold["unit_id"])


def test_codes_outside_the_promise_are_queued(night: tuple[Path, pl.DataFrame], demo_home: Path) -> None:
    home, gold = night
    promise = promise_of(home, str(current_id(home)))
    codes = WorkStore(home).read("process_register__code_unit", ["unit_id", "ai_class", "probability", "route"])

    def coded(at: Path) -> pl.DataFrame:
        queue = WorkStore(at).read(QUEUE).filter(pl.col("kind") == "effect").join(codes, on="unit_id")
        return queue.filter(pl.col("route").is_in(["review", "uncodable"]).not_())

    assert coded(demo_home).height == 0, "without gold only doubts are asked"
    asked = coded(home)
    assert asked.height > 100 and not set(asked["unit_id"]) & set(gold["unit_id"])
    at = {g.group: g.threshold for g in promise.groups}  # type: ignore[union-attr]
    for branch, p in asked.select(pl.col("ai_class").str.slice(0, 1).fill_null("none"), "probability").iter_rows():
        assert at[branch] is None or p < at[branch], "what stands is not asked"


def test_people_are_compared_with_people_beside_the_model(night: tuple[Path, pl.DataFrame]) -> None:
    home, gold = night
    both = gold.drop_nulls(["codes_1", "codes_2"])
    agreed = (both["codes_1"] == both["codes_2"]).sum()
    assert 0 < agreed < both.height, "the coders differ here and there"
    rows = {(m, s): (v, n) for m, s, v, n in table_of(home).select("metric", "scope", "value", "n").iter_rows()}
    for metric in ("kappa", "alpha"):
        value, n = rows[metric, "human_human|leaf"]
        assert n == both.height and 0.3 < value < 1.0
        assert rows[metric, "model_human|leaf"][1] > 0
    alike = rows["alpha", "human_human|leaf"][0]
    assert alike > agreed / both.height - 0.2


def test_the_list_of_doubtful_codes_is_for_those_who_may(
    night: tuple[Path, pl.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    home, _ = night
    monkeypatch.setenv("AISTAT_HOME", str(home))
    listed = WorkStore(home).read(SUSPECT)
    row = table_of(home).filter(pl.col("metric") == "suspect_codes").row(0, named=True)
    assert row["value"] == listed.height and row["n"] > listed.height > 10
    assert main(["review", "suspects", "--user", "nobody"]) == 2 and "统计" in capsys.readouterr().err
    target = tmp_path / "list.csv"
    assert main(["review", "suspects", "--user", "li", "--limit", "5", "-o", str(target)]) == 0
    frame = pl.read_csv(target, infer_schema=False)
    assert frame["unit_id"].to_list() == listed["unit_id"].head(5).to_list() and target.stat().st_mode & 0o777 == 0o600
    assert (
        main(["review", "suspects", "--user", "li", "--limit", "2"]) == 0
        and listed["unit_id"][0] in capsys.readouterr().out
    )
    again = tmp_path / "duplicates.csv"
    assert main(["review", "duplicates", "--user", "li", "-o", str(again)]) == 0
    assert again.stat().st_mode & 0o777 == 0o600
    assert (
        again.read_text(encoding="utf-8-sig").splitlines()[0].startswith("unit_id,name,same_as,left_out,returns,reason")
    )
    assert main(["review", "duplicates", "--user", "li", "--limit", "2"]) == 0
    assert [e["action"] for e in Journal(home).audit()].count("suspects_listed") == 2
    release = home / "releases" / str(current_id(home))
    for file in (*release.rglob("*.json"), home / "profiles" / ".suspects.json"):
        assert not any(unit in file.read_text(encoding="utf-8") for unit in listed["unit_id"].head(30)), file.name


def test_training_calibrates_on_gold_and_the_promise_then_waits_for_new_gold(
    night: tuple[Path, pl.DataFrame], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, gold = night
    monkeypatch.setenv("AISTAT_HOME", str(home))
    assert main(["model", "train"]) == 0
    out = capsys.readouterr().out
    trained = load_bundle(home / "bundles" / out.split()[0])
    final = gold.filter(pl.col("codes").is_not_null())
    part = int(calibrating(final["unit_id"], calibration_share(trained)).sum())
    assert f"calibrated on {part} gold units" in out and trained.calibration.gold == part >= 50
    assert trained.calibration.core != 1.0 and calibration_share(trained) == 0.25
    assert main(["model", "promote", trained.hash]) == 0
    assert main(["gold", "promise"]) == 2 and "another bundle" in capsys.readouterr().err
