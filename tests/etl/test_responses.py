"""Response tracking of a survey: who is asked, who is late, whom to remind first; and the command that lists them."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from aistat.cli import main
from etl.assets.collect import table_name
from etl.assets.register import REGISTER_CURRENT
from etl.contract import load_contract
from etl.methods.periods import parse
from etl.responses import track
from warehouse.journal import Journal
from warehouse.write import WorkStore

SOURCE, PERIOD, DUE = "ai_survey_quarterly", "2026-Q2", date(2026, 7, 20)
A, B, C, D, E, F = (f"91440300{i}" for i in "ABCDEF")
ROWS = [
    (A, "2026-Q1", 900, date(2026, 4, 15)), (A, PERIOD, 1900, date(2026, 7, 10)),  # in time
    (B, "2026-Q1", 100, date(2026, 4, 15)), (B, PERIOD, 200, date(2026, 7, 25)),  # late
    (C, "2025-Q4", 50, date(2026, 1, 15)), (C, "2026-Q1", 500, date(2026, 4, 10)),  # overdue, large
    (D, "2026-Q1", 20, date(2026, 4, 10)),  # overdue, small
    (E, "2026-Q1", 70, date(2026, 4, 10)),  # closed before the end of the quarter: not asked
    (F, "2025-Q3", 80, date(2025, 10, 10)),  # answered long ago: not asked any more
]  # fmt: skip


@pytest.fixture()
def store(tmp_path: Path) -> WorkStore:
    work = WorkStore(tmp_path)
    schema = {"uscc": pl.String, "ref_period": pl.String, "ai_revenue_ytd_cny": pl.Int64, "submitted_on": pl.Date}
    rows = pl.DataFrame(ROWS, schema=schema, orient="row").with_columns(
        pl.col("ai_revenue_ytd_cny").cast(pl.Decimal(20, 2))
    )
    work.write(table_name(SOURCE), rows.with_columns(main_revenue_ytd_cny="ai_revenue_ytd_cny"))
    register = pl.DataFrame(
        {
            "uscc": [A, B, C, D, E, F], "name": [f"单位{i}" for i in "甲乙丙丁戊己"],
            "operating_district": ["440305", "440305", "440305", None, "440306", "440305"],
            "registered_district": ["440305", "440305", "440305", "440306", "440306", "440305"],
            "closing_date": [None, None, None, None, date(2026, 5, 31), None],
        }
    )  # fmt: skip
    work.write(REGISTER_CURRENT, register)
    return work


def test_the_day_returns_are_due_comes_from_the_contract() -> None:
    survey = load_contract(SOURCE).survey
    assert survey is not None and survey.due(parse(PERIOD)) == DUE
    other = load_contract("labour_annual").survey
    assert other is not None
    with pytest.raises(ValueError, match="due_days"):
        other.due(parse("2025"))


def test_who_is_asked_and_who_is_late(store: WorkStore) -> None:
    found = track(store, SOURCE, PERIOD, date(2026, 8, 1))
    assert found.due == DUE
    states = dict(found.states.select("unit", "state").iter_rows())
    assert states == {A: "received_on_time", B: "received_late", C: "overdue", D: "overdue"}
    assert found.listed["unit"].to_list() == [C, D], "the larger first"
    assert found.listed["action"].to_list() == ["上门 / visit"] * 2 and found.listed["days_late"].to_list() == [12, 12]
    sizes = {A: 900, B: 100, C: 500, D: 20}
    assert dict(found.states.select("unit", "influence").iter_rows()) == pytest.approx(
        {u: s / 1520 for u, s in sizes.items()}
    )
    assert found.listed["covered_if_received"].to_list() == pytest.approx([1500 / 1520, 1.0])
    rates = {r["area"]: (r["asked"], r["received"], r["overdue"]) for r in found.rates.iter_rows(named=True)}
    assert rates == {"440305": (3, 2, 1), "440306": (1, 0, 1)}
    own = track(store, SOURCE, PERIOD, date(2026, 8, 1), area="440306")
    assert own.listed["unit"].to_list() == [D] and own.rates["asked"].to_list() == [1]
    assert own.listed.select("influence", "covered_if_received").row(0) == (1.0, 1.0), (
        "of the district, not of the city"
    )


def test_before_the_day_nobody_is_late_and_what_comes_later_has_not_come(store: WorkStore) -> None:
    found = track(store, SOURCE, PERIOD, date(2026, 7, 12))
    assert set(found.states.filter(pl.col("unit") != A)["state"]) == {"not_due"} and found.listed.is_empty()
    assert track(store, SOURCE, PERIOD, date(2026, 7, 12), due=date(2026, 7, 1)).listed.height == 3


@pytest.mark.parametrize(
    ("source", "period", "words"),
    [("register", PERIOD, "no survey"), (SOURCE, "2026", "no period of"), (SOURCE, "soon", "not a period")],
)
def test_nonsense_is_refused(store: WorkStore, source: str, period: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        track(store, source, period, date(2026, 8, 1))


def test_the_command_lists_audits_and_keeps_to_the_district(
    store: WorkStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AISTAT_HOME", str(tmp_path))
    monkeypatch.delenv("AISTAT_JOURNAL_URL", raising=False)
    Journal(tmp_path).add_user("li", "a long password", "analyst", organisation="统计")
    Journal(tmp_path).add_user("wu", "a long password", "analyst", organisation="统计", area="440306")
    command = ["review", "reminders", "--source", SOURCE, "--period", PERIOD, "--as-of", "2026-08-01"]
    assert main([*command, "--user", "nobody"]) == 2
    assert "统计" in capsys.readouterr().err
    target = tmp_path / "list.csv"
    assert main([*command, "--user", "li", "-o", str(target)]) == 0
    assert "不得外传" in capsys.readouterr().out and target.stat().st_mode & 0o777 == 0o600
    assert [line.split(",")[0] for line in target.read_text("utf-8-sig").splitlines()] == ["unit", C, D]
    assert main([*command, "--user", "wu"]) == 0
    shown = capsys.readouterr().out
    assert D in shown and C not in shown and "440305" not in shown
    assert main(["review", "reminders", "--source", "register", "--period", PERIOD, "--user", "li"]) == 2
    assert [e["action"] for e in Journal(tmp_path).audit()].count("reminders_listed") == 2
