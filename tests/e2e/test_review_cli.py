"""``aistat review`` and ``aistat gold`` on the small demo city, from the queue to the promise."""

import csv
import json
from pathlib import Path

import polars as pl
import pytest

from aistat.cli import main
from tests.conftest import copy_for_review
from warehouse.journal import Journal
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import gold_units, labels, open_tasks

PASSWORD = "a long password"


@pytest.fixture(scope="module")
def home(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = copy_for_review(demo_home, tmp_path_factory.mktemp("review-cli") / "home")
    journal = Journal(copy)
    for user, role, organisation in (
        ("li", "analyst", "统计"), ("wang", "analyst", "统计"), ("zhao", "methodologist", "统计"), ("ye", "analyst", "产业主管"),
    ):  # fmt: skip
        journal.add_user(user, PASSWORD, role, organisation=organisation)
    return copy


@pytest.fixture(autouse=True)
def _at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISTAT_HOME", str(home))


def filled(path: Path, changes: list[dict[str, str]]) -> Path:
    """The exported file as a coder hands it back."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, change in zip(rows, changes, strict=False):
        row.update(change)
    target = path.with_name("filled.csv")
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return target


def test_offline_work_and_back(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", "queue", "--limit", "3"]) == 0
    assert "待答复 / open" in capsys.readouterr().out
    target = tmp_path / "tasks.csv"
    assert main(["review", "export", "--user", "li", "--limit", "12", "-o", str(target)]) == 0
    assert target.stat().st_mode & 0o777 == 0o600
    frame = pl.read_csv(target, infer_schema=False)
    tasks = open_tasks(ReviewJournal(home)).join(
        frame.select("task_id"), on="task_id", how="semi", maintain_order="left"
    )
    assert tasks.height == frame.height == 12 and frame["name"].null_count() == 0
    blind = dict(tasks.select("task_id", "blind").iter_rows())
    assert all((not row["suggestions"]) == blind[row["task_id"]] for row in frame.iter_rows(named=True))
    changes = [
        {"codes": "B21"},
        {"answer": "无法判定", "reason": "经营范围笼统"},
        {"codes": "Z99"},
        {"codes": "A11", "text_hash": "x"},
    ]
    assert main(["review", "import", str(filled(target, changes)), "--user", "li"]) == 1
    shown = capsys.readouterr()
    assert "2 条已记录 / recorded, 2 条未记录 / refused" in shown.out
    assert "Z99" in shown.err and "changed" in shown.err
    assert main(["review", "import", str(filled(target, changes[:1])), "--user", "wang"]) == 1, "not wang's tasks"
    assert main(["review", "status"]) == 0
    assert "li" in capsys.readouterr().out
    assert labels(ReviewJournal(home)).height == (tasks["coders_needed"][0] == 1)


def test_who_may_and_what_is_readable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for user in ("ye", "nobody"):
        assert main(["review", "export", "--user", user, "-o", str(tmp_path / "x.csv")]) == 2
        assert "统计" in capsys.readouterr().err
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    assert main(["review", "import", str(tmp_path / "bad.csv"), "--user", "li"]) == 2
    assert "task_id" in capsys.readouterr().err
    assert main(["review", "import", str(tmp_path / "none.csv"), "--user", "li"]) == 2
    (tmp_path / "gbk.csv").write_bytes("任务".encode("gb18030"))
    assert main(["review", "import", str(tmp_path / "gbk.csv"), "--user", "li"]) == 2
    assert main(["review", "import", str(tmp_path / "bad.csv"), "--user", "li", "--adjudicate"]) == 2


def test_gold_from_the_draw_to_the_promise(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gold", "status"]) == 2 and "aistat gold draw" in capsys.readouterr().err
    draw = ["gold", "draw", "2026Q1", "--coders", "li,wang", "--user", "zhao", "--size", "200"]
    assert main(["gold", "draw", "x", "--coders", "li", "--user", "zhao"]) == 2
    assert main(draw) == 0 and main(draw) == 2
    assert "already" in capsys.readouterr().err
    gold = gold_units(ReviewJournal(home))
    before = dict(gold.select("unit_id", "ai_class").iter_rows())
    journal = ReviewJournal(home)
    small = set(gold.filter(pl.col("group") == "C")["unit_id"])
    for name in ("li", "wang"):
        user = journal.user(name)
        assert user is not None
        answer_gold(journal, user, {u: before[u] or "none" for u in small}, tmp_path / f"{name}.csv")
    assert main(["gold", "status"]) == 0 and main(["gold", "agreement"]) == 0
    shown = capsys.readouterr().out
    assert f"C       units {len(small)}  final {len(small)}" in shown and f"branch   n {len(small):>5}" in shown
    target = tmp_path / "promise.json"
    assert main(["gold", "promise", "--error", "0.05", "-o", str(target)]) == 0
    groups = {g["group"]: g for g in json.loads(target.read_text())["groups"]}
    assert groups["A"]["route"] == "review" and groups["A"]["unfinished"] > 0
    assert groups["C"]["errors"] == 0 and groups["C"]["route"] == "auto", "coded in full and all right"
    assert "未完成" in capsys.readouterr().out
    assert main(["gold", "promise", "--error", "2"]) == 2


def answer_gold(journal: ReviewJournal, user, truth: dict[str, str], path: Path) -> None:  # type: ignore[no-untyped-def]
    """Export all gold tasks of a coder, answer those in ``truth``, import."""
    assert main(["review", "export", "--user", user.name, "--limit", "2000", "-o", str(path)]) == 0
    unit = dict(open_tasks(journal).select("task_id", "unit_id").iter_rows())
    with path.open(encoding="utf-8-sig", newline="") as file:
        changes = [{"codes": truth.get(unit[row["task_id"]], "")} for row in csv.DictReader(file)]
    assert main(["review", "import", str(filled(path, changes)), "--user", user.name]) == 0
