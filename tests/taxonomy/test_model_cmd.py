"""``aistat model``: training labels, the report, promotion and its audit, replay bit for bit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from aistat.cli import main
from aistat.model_cmd import differences, training_labels
from taxonomy.classifier.batch import code_batch
from taxonomy.classifier.store import current_bundle
from tests.taxonomy.quality_data import decisions_and_truth, gold_of
from warehouse.journal import Journal

UNITS = pl.DataFrame(
    [
        ("u0", "深圳市甲乙机器人有限公司", "工业机器人的研发、生产；自动化设备的生产", "六轴机械臂", "3491"),
        ("u1", "深圳市丙餐饮有限公司", "餐饮服务；食品销售", None, "6210"),
        ("u2", "深圳市丁穿戴有限公司", "智能手表的生产；货物进出口", None, "3961"),
        ("u3", "深圳市己科技有限公司", "大模型应用开发", None, None),
    ],
    schema=dict.fromkeys(("unit_id", "name", "business_scope", "main_products", "gbt_code"), pl.String),
    orient="row",
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture()
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process, in a home of its own."""
    monkeypatch.setenv("AISTAT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("AISTAT_JOURNAL_URL", raising=False)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(a) for a in arguments])
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


# --- report ------------------------------------------------------------------------------------------------------


def test_evaluate_writes_the_report_and_says_the_main_figures(run: Run, tmp_path: Path) -> None:
    decisions, truth = decisions_and_truth(400)
    decisions.write_parquet(tmp_path / "d.parquet")
    gold = gold_of(decisions["unit_id"].to_list()[:200], truth[:200])
    flat = gold.with_columns(codes=pl.col("codes").list.join(";"))
    flat.write_csv(tmp_path / "gold.csv")
    code, out, _ = run(
        "model", "evaluate", "--gold", tmp_path / "gold.csv", "--decisions", tmp_path / "d.parquet", "--promise", "0.3",
        "--as-of", "2026-03-31", "-o", tmp_path / "report.json",
    )  # fmt: skip
    assert code == 0 and "leaf top-1 all" in out
    body = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert body["gold"]["judged"] == 200 and body["accuracy"]["promise"][0]["state"] == "kept"
    # The csv road gives the very same figures.
    decisions.write_csv(tmp_path / "d.csv")
    arguments = ("model", "evaluate", "--gold", tmp_path / "gold.csv", "--decisions", tmp_path / "d.csv")
    assert run(*arguments, "-o", tmp_path / "again.json")[0] == 0
    again = json.loads((tmp_path / "again.json").read_text(encoding="utf-8"))
    assert again["accuracy"]["by_class"] == body["accuracy"]["by_class"]
    assert again["reproducibility"]["decisions_sha256"] == body["reproducibility"]["decisions_sha256"]
    code, _, err = run(*arguments, "--promise", "0.001", "-o", tmp_path / "broken.json")
    assert code == 1 and "promise is broken" in err and (tmp_path / "broken.json").exists()


def test_evaluate_without_gold_says_that_there_is_none(run: Run, tmp_path: Path) -> None:
    decisions_and_truth(50)[0].write_parquet(tmp_path / "d.parquet")
    code, out, _ = run("model", "evaluate", "--decisions", tmp_path / "d.parquet", "-o", tmp_path / "r.json")
    assert code == 0 and "没有金标准样本" in out


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ("unit_id,codes\nu00001,A11\n", "inclusion_probability"),
        ("unit_id,codes,inclusion_probability\nu00001,Z1,1\n", "Z1"),
    ],
)
def test_evaluate_refuses_gold_it_cannot_use(run: Run, tmp_path: Path, gold: str, message: str) -> None:
    decisions_and_truth(50)[0].write_parquet(tmp_path / "d.parquet")
    (tmp_path / "gold.csv").write_text(gold, encoding="utf-8")
    code, _, err = run(
        "model",
        "evaluate",
        "--gold",
        tmp_path / "gold.csv",
        "--decisions",
        tmp_path / "d.parquet",
        "-o",
        tmp_path / "r",
    )
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1


# --- training ----------------------------------------------------------------------------------------------------


def test_training_labels_join_both_files_and_never_gold(tmp_path: Path) -> None:
    reviews, labels, gold = tmp_path / "r.csv", tmp_path / "l.csv", tmp_path / "g.csv"
    UNITS.with_columns(code=pl.Series(["A51", "none", "", "B21"])).write_csv(reviews)
    pl.DataFrame({"name": ["某"], "business_scope": ["语音识别"], "code": ["B31"]}).write_csv(labels)
    rows = training_labels(reviews, labels, None)
    assert rows is not None
    assert rows.columns == ["unit_id", "name", "business_scope", "main_products", "gbt_code", "ai_class"]
    assert rows["ai_class"].to_list() == ["A51", "none", "B21", "B31"], "an answer without code is no label"
    assert training_labels(None, None, None) is None
    pl.DataFrame({"unit_id": ["u3"]}).write_csv(gold)
    with pytest.raises(Exception, match="1 training rows are gold"):
        training_labels(reviews, labels, gold)
    # Another unit with a gold unit's very scope leaks it as well.
    pl.DataFrame({"unit_id": ["zz"], "business_scope": [" 语音识别 "]}).write_csv(gold)
    with pytest.raises(Exception, match="carry the text"):
        training_labels(reviews, labels, gold)


def test_reviews_without_texts_need_a_register(run: Run, tmp_path: Path) -> None:
    pl.DataFrame({"unit_id": ["u0"], "code": ["A51"]}).write_csv(tmp_path / "r.csv")
    code, _, err = run("model", "train", "--reviews", tmp_path / "r.csv")
    assert code == 2 and "no texts" in err and "AISTAT_HOME" in err


def test_train_list_promote_rollback(run: Run, bundles: Path, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "bundles"
    shutil.copytree(bundles, folder)
    plain = next(p.name for p in folder.iterdir() if p.is_dir())
    assert "none promoted" in run("model", "list")[1]
    UNITS.with_columns(code=pl.Series(["A51", "none", "none", "B21"])).write_csv(tmp_path / "l.csv")
    code, out, err = run("model", "train", "--labels", tmp_path / "l.csv")
    assert code == 0, err
    trained = out.split()[0]
    assert trained != plain and current_bundle(folder).hash == plain, "training promotes nothing"
    assert run("model", "promote", trained)[0] == 0 and current_bundle(folder).hash == trained
    code, out, _ = run("model", "list")
    assert code == 0 and f"* {trained}" in out and f"  {plain}" in out
    for name in ("none-such", "../bundles"):
        code, _, err = run("model", "promote", name)
        assert code == 2 and "aistat model list" in err
    assert run("model", "rollback")[:2] == (0, f"启用 / in use: {plain}\n")
    assert current_bundle(folder).hash == plain, "the bundle that decided before the first promotion"
    code, _, err = run("model", "rollback")
    assert code == 2 and "in use before" in err
    actions = [e["action"] for e in Journal(tmp_path / "home").audit()]
    assert actions == ["model_rolled_back", "model_promoted"]


def test_labels_outside_the_catalogue_are_refused(run: Run, bundles: Path, tmp_path: Path) -> None:
    UNITS.with_columns(code=pl.lit("Z99")).write_csv(tmp_path / "l.csv")
    code, _, err = run("model", "train", "--labels", tmp_path / "l.csv")
    assert code == 2 and "Z99" in err


# --- replay ------------------------------------------------------------------------------------------------------


def test_replay_is_equal_bit_for_bit_and_sees_a_single_changed_digit(run: Run, bundles: Path, tmp_path: Path) -> None:
    shutil.copytree(bundles, tmp_path / "home" / "bundles")
    name = next(p.name for p in (tmp_path / "home" / "bundles").iterdir() if p.is_dir())
    UNITS.write_csv(tmp_path / "in.csv")
    for kind in ("csv", "parquet"):
        assert run("classify", tmp_path / "in.csv", "-o", tmp_path / f"out.{kind}", "--evidence")[0] == 0
        code, out, err = run(
            "model", "replay", "--decisions", tmp_path / f"out.{kind}", "--input", tmp_path / "in.csv", "--bundle", name
        )
        assert code == 0 and "4 行逐位相同" in out, err
    frame = pl.read_parquet(tmp_path / "out.parquet")
    # The decisions may carry what was coded themselves.
    frame.join(UNITS.drop("name"), on="unit_id").write_parquet(tmp_path / "whole.parquet")
    assert run("model", "replay", "--decisions", tmp_path / "whole.parquet", "--bundle", name)[0] == 0
    nudged = frame.with_columns(p_ai=pl.when(pl.col("unit_id") == "u2").then(pl.col("p_ai") + 1e-6).otherwise("p_ai"))
    nudged.write_parquet(tmp_path / "nudged.parquet")
    arguments = ("model", "replay", "--decisions", tmp_path / "nudged.parquet", "--input", tmp_path / "in.csv")
    code, _, err = run(*arguments, "--bundle", name)
    assert code == 1 and "1 cells differ" in err and "u2 p_ai" in err
    code, _, err = run(*arguments, "--bundle", "abc")
    assert code == 2 and "aistat model list" in err
    code, _, err = run("model", "replay", "--decisions", tmp_path / "out.parquet", "--bundle", name)
    assert code == 2 and "no texts" in err, "a decision alone does not say what was coded"


def test_a_locked_decision_replays_from_its_lock(run: Run, bundles: Path, tmp_path: Path) -> None:
    bundle = current_bundle(bundles)
    table = UNITS.with_columns(locked_class=pl.Series(["A11", "none", None, None], dtype=pl.String))
    batch = table.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks().to_batches()[0]
    decided = pl.from_arrow(pa.Table.from_batches([code_batch(batch, bundle)]))
    assert isinstance(decided, pl.DataFrame) and decided["route"].to_list()[:2] == ["lock", "lock"]
    shutil.copytree(bundles, tmp_path / "home" / "bundles")
    decided.write_parquet(tmp_path / "d.parquet")
    UNITS.write_csv(tmp_path / "in.csv")
    code, _, err = run(
        "model",
        "replay",
        "--decisions",
        tmp_path / "d.parquet",
        "--input",
        tmp_path / "in.csv",
        "--bundle",
        bundle.hash,
    )
    assert code == 0, err


def test_differences_take_empty_and_missing_text_as_one_and_nothing_else() -> None:
    before = pl.DataFrame({"unit_id": ["a", "b"], "ai_class": ["", "A11"], "p_ai": [0.1, None]})
    again = pl.DataFrame({"unit_id": ["b", "a"], "ai_class": ["A12", None], "p_ai": [0.2, 0.1]})
    found = differences(before, again)
    assert found.rows() == [("b", "ai_class", "A11", "A12"), ("b", "p_ai", None, "0.2")]
    missing = differences(before, again.head(1))
    assert ("a", "p_ai", "0.1", None) in missing.rows(), "a row that is not coded again is a difference"
