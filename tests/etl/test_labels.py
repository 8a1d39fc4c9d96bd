"""Labels from the journal: what trains and what does not and why; gold never; nothing about a unit is printed."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from aistat.cli import main
from etl.assets.register import REGISTER_CURRENT
from etl.coding import INPUT
from etl.labels import LEFT_OUT, register_texts, review_labels
from taxonomy.classifier.gold import LeakageError, text_hash, with_text_hashes
from taxonomy.classifier.leakage import refuse_gold
from taxonomy.classifier.store import load
from warehouse.access import User
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import decisions, gold_texts, labels
from warehouse.review_rules import Given
from warehouse.write import WorkStore

LI = User("li", "analyst", "统计")
PASSWORD = "a long password"
#: unit → scope in the register, answer (None: 无法判定), whether its text changed after the answer, whether it is gold
UNITS = {
    "U0": ("大模型应用开发", ["B21"], False, False),
    "U1": ("餐饮服务；食品销售", ["none"], False, False),
    "U2": ("智慧医院建设运营", ["R391"], False, False),
    "U3": ("软件开发", None, False, False),
    "U4": ("智能芯片设计；软件开发", ["A11", "B11"], False, False),
    "U5": ("货物进出口", ["none"], True, False),
    "U6": ("工业机器人研发", ["A51"], False, True),
    "U7": ("　工业机器人研发 ", ["A51"], False, False),
    "U8": (None, ["none"], False, False),
}


def register() -> pl.DataFrame:
    rows = [(u, f"深圳市{u}有限公司", scope, None, None) for u, (scope, *_) in UNITS.items() if u != "U8"]
    return pl.DataFrame(rows, schema=dict.fromkeys(("uscc", *INPUT[1:]), pl.String), orient="row")


def seen(unit: str) -> str:
    """Hash of the text the coder saw."""
    scope, _, changed, _ = UNITS[unit]
    return text_hash(f"深圳市{unit}有限公司", "从前的经营范围" if changed else scope, None)


@pytest.fixture()
def reviewed(home: Path) -> Path:
    """A home whose nine units are settled; U6 was drawn for gold afterwards."""
    WorkStore(home).write(REGISTER_CURRENT, register())
    journal = ReviewJournal(home)
    for name in ("li", "wang", "zhao"):
        journal.add_user(name, PASSWORD, "analyst", organisation="统计")
    journal.add_user("guan", PASSWORD, "official", organisation="产业主管")
    rows = [
        {"position": i + 1, "unit_id": u, "kind": "effect", "blind": False, "coders_needed": 1, "text_hash": seen(u),
         "bundle": "b1", "area": "440305", "inclusion_probability": None, "effect": 1.0}
        for i, u in enumerate(UNITS)
    ]  # fmt: skip
    journal.open_batch("r1", pl.DataFrame(rows, schema_overrides={"inclusion_probability": pl.Float64}))
    for codes in (answer for _, answer, *_ in UNITS.values()):
        task = journal.take(LI)
        assert task is not None
        kind = "undecidable" if codes is None else ("code" if len(codes) == 1 else "set")
        reason = "过于笼统" if codes is None else ""
        journal.answer(LI, Given(task.task_id, kind, tuple(codes or ()), task.text_hash, task.bundle, reason))
    hashed = with_text_hashes(register().rename({"uscc": "unit_id"})).filter(pl.col("unit_id") == "U6")
    gold = hashed.select(
        "unit_id", "text_hash", "scope_hash", group=pl.lit("A"), stratum=pl.lit("A:x"), inclusion_probability=0.1,
        confidence=0.9, random=0.01, ai_class=pl.lit("A51"), p_ai=0.95, bundle=pl.lit("b1"), coder_1=pl.lit("li"),
        coder_2=pl.lit("wang"), area=pl.lit("440305"),
    )  # fmt: skip
    journal.record_gold("2026", gold, "zhao")
    return home


@pytest.fixture()
def run(
    reviewed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setenv("AISTAT_HOME", str(reviewed))
    monkeypatch.delenv("AISTAT_JOURNAL_URL", raising=False)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(a) for a in arguments])
        return (code, *capsys.readouterr())

    return call


def test_each_settled_unit_trains_or_says_why_not(reviewed: Path) -> None:
    journal = ReviewJournal(reviewed)
    settled, gold = decisions(journal), gold_texts(journal)
    assert settled["unit_id"].to_list() == list(UNITS) and gold["unit_id"].to_list() == ["U6"]
    texts = register_texts(WorkStore(reviewed), settled["unit_id"].to_list())
    found = review_labels(settled, gold, texts)
    assert found.rows.select("unit_id", "ai_class").rows() == [("U0", "B21"), ("U1", "none"), ("U2", "R391")]
    assert found.rows["business_scope"].to_list() == [UNITS[u][0] for u in ("U0", "U1", "U2")]
    expected = {"gold": 1, "undecidable": 1, "set": 1, "text_changed": 1, "gone": 1, "gold_text": 1}
    assert found.left_out == {**dict.fromkeys(LEFT_OUT, 0), **expected}
    assert found.rows.height + sum(found.left_out.values()) == settled.height, "every settled unit is accounted for"
    assert set(labels(journal)["unit_id"]) == set(UNITS) - {"U3", "U4", "U6"}
    retired = settled.with_columns(codes=pl.lit(["Z99"]).cast(pl.List(pl.String)))
    assert review_labels(retired, gold, texts).left_out["no_code"] == 8, "all but the gold unit"


def test_a_gold_unit_and_its_text_are_refused_by_id_and_by_text_without_naming_it(reviewed: Path) -> None:
    gold = gold_texts(ReviewJournal(reviewed))
    rows = register().rename({"uscc": "unit_id"})
    refuse_gold(rows.filter(~pl.col("unit_id").is_in(["U6", "U7"])), gold)
    for unit, changes in (
        ("U6", {"name": "改名", "business_scope": "改了"}),  # the unit itself, under another text
        ("U7", {}),  # another unit, whose scope differs in white space and width alone
        ("U7", {"unit_id": None}),
    ):
        row = rows.filter(pl.col("unit_id") == unit).with_columns(
            pl.lit(v, pl.String).alias(k) for k, v in changes.items()
        )
        with pytest.raises(LeakageError, match="never trains") as caught:
            refuse_gold(row, gold)
        assert "U6" not in str(caught.value) and "U7" not in str(caught.value)


def test_train_from_the_journal_tells_counts_and_no_unit(
    run: Callable[..., tuple[int, str, str]], reviewed: Path
) -> None:
    code, out, err = run("model", "train", "--journal", "--user", "li")
    assert code == 0, err
    assert "9 个已定单位" in out and "采用 / used 3" in out and "核心 / core 1, 相关 / related 1, 非AI / none 1" in out
    assert "未用 / left out 1: 标准样本单位" in out
    (name,) = set(re.findall(r"\b[0-9a-f]{12}\b", out))
    assert load(reviewed / "bundles" / name).training["labels"] == 3
    entry = ReviewJournal(reviewed).audit(1)[0]
    assert (entry["user"], entry["action"]) == ("li", "labels_read")
    assert json.loads(entry["detail"])["used"] == 3 and json.loads(entry["detail"])["left_out"]["gold"] == 1
    said = out + err + json.dumps(entry, ensure_ascii=False)
    for unit, (scope, *_) in UNITS.items():
        assert unit not in said and (scope is None or scope not in said), "nothing about a unit is printed or logged"


def test_who_may_train_from_the_journal(run: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = run("model", "train", "--journal")
    assert code == 2 and "--user" in err
    for stranger in ("guan", "nobody"):
        code, _, err = run("model", "train", "--journal", "--user", stranger)
        assert code == 2 and "统计" in err


def test_a_file_joins_the_journal_and_may_not_bring_gold_in(
    run: Callable[..., tuple[int, str, str]], reviewed: Path, tmp_path: Path
) -> None:
    file = tmp_path / "l.csv"
    rows = [("U0", "甲", "旧文字", "A11"), ("V1", "乙公司", "语音识别软件开发", "B31")]
    pl.DataFrame(rows, schema=["unit_id", "name", "business_scope", "code"], orient="row").write_csv(file)
    code, out, err = run("model", "train", "--journal", "--user", "li", "--labels", file)
    assert code == 0 and "4 条标注" in out, err + out
    for rows in ([("U6", "甲", "旧文字", "A11")], [("V2", "丙公司", "工业机器人研发", "A51")]):
        pl.DataFrame(rows, schema=["unit_id", "name", "business_scope", "code"], orient="row").write_csv(file)
        code, _, err = run("model", "train", "--labels", file)
        assert code == 1 and "gold" in err and "U6" not in err and "V2" not in err


def test_without_a_usable_answer_or_a_register_it_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AISTAT_HOME", str(home))
    monkeypatch.delenv("AISTAT_JOURNAL_URL", raising=False)
    ReviewJournal(home).add_user("li", PASSWORD, "analyst", organisation="统计")
    assert main(["model", "train", "--journal", "--user", "li"]) == 2
    assert "register" in capsys.readouterr().err
    WorkStore(home).write(REGISTER_CURRENT, register())
    assert main(["model", "train", "--journal", "--user", "li"]) == 2
    assert "no settled review answer" in capsys.readouterr().err
