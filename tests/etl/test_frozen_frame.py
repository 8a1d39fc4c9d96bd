"""Frames of finally verified years: kept as they were, late returns let in, damage noticed, reopened by a person."""

import json
from pathlib import Path

import polars as pl
import pytest

from aistat.cli import main
from etl.frozen_frame import FrameDamaged, closed_years, frozen, frozen_years, reopen
from warehouse.journal import Journal

VINTAGE = "2026-10-31"


def live(
    district: str, *, units: tuple[str, ...] = ("a", "b"), years: tuple[int, ...] = (2022, 2024, 2025)
) -> pl.DataFrame:
    rows = [(u, y, district, 0.9) for u in units for y in years]
    return pl.DataFrame(rows, schema=["uscc", "ref_year", "operating_district", "p_ai"], orient="row").sort(
        "uscc", "ref_year"
    )


ANSWERED = pl.DataFrame({"uscc": ["a"], "ref_year": [2022]}, schema={"uscc": pl.String, "ref_year": pl.Int64})


def test_a_year_is_closed_when_its_figures_are_final_or_revised_by_a_census() -> None:
    assert closed_years([2022, 2023, 2024, 2025], VINTAGE) == [2022, 2023, 2024]
    assert closed_years([2022, 2023], "2023-06-30") == []
    assert closed_years([2022], "2023-12-31") == [2022], "365 days after its end"


def test_a_move_of_today_does_not_rewrite_a_final_year(tmp_path: Path) -> None:
    first = frozen(tmp_path, live("440303"), ANSWERED, VINTAGE)
    assert first.equals(live("440303"))
    assert [f.year for f in frozen_years(tmp_path)] == [2022, 2024]
    later = frozen(tmp_path, live("440305"), ANSWERED, "2026-11-10")
    seen = dict(later.filter(uscc="a").select("ref_year", "operating_district").iter_rows())
    assert seen == {2022: "440303", 2024: "440303", 2025: "440305"}
    assert (tmp_path / "frames" / "2022.parquet").stat().st_mode & 0o077 == 0


def test_a_late_return_of_a_unit_that_was_not_in_the_frame_is_not_lost(tmp_path: Path) -> None:
    frozen(tmp_path, live("440303"), ANSWERED, VINTAGE)
    answered = pl.concat([ANSWERED, pl.DataFrame({"uscc": ["c"], "ref_year": [2022]})])
    found = frozen(tmp_path, live("440305", units=("a", "b", "c")), answered, VINTAGE)
    assert found.filter(uscc="c")["ref_year"].to_list() == [2022, 2025], "2024: not in the frame, and nothing returned"


def test_a_column_that_was_not_there_then_is_empty(tmp_path: Path) -> None:
    frozen(tmp_path, live("440303"), ANSWERED, VINTAGE)
    now = live("440303").with_columns(park=pl.lit("P1"))
    found = frozen(tmp_path, now, ANSWERED, VINTAGE)
    assert found.schema == now.schema
    assert found.filter(ref_year=2022)["park"].to_list() == [None, None]
    assert found.filter(ref_year=2025)["park"].to_list() == ["P1", "P1"]


def test_an_earlier_vintage_does_not_take_what_was_frozen_later(tmp_path: Path) -> None:
    frozen(tmp_path, live("440303"), ANSWERED, VINTAGE)
    assert frozen(tmp_path, live("440305"), ANSWERED, "2025-03-31").filter(ref_year=2024)[
        "operating_district"
    ].unique().to_list() == ["440305"]


def test_damage_is_noticed(tmp_path: Path) -> None:
    frozen(tmp_path, live("440303"), ANSWERED, VINTAGE)
    path = tmp_path / "frames" / "2022.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    with pytest.raises(FrameDamaged, match=r"2022\.parquet: not the frame that was frozen on 2026-10-31; restore it"):
        frozen(tmp_path, live("440303"), ANSWERED, VINTAGE)
    path.unlink()
    with pytest.raises(FrameDamaged, match="cannot be read"):
        frozen(tmp_path, live("440303"), ANSWERED, VINTAGE)


def test_a_reopened_year_takes_the_register_as_it_stands_and_is_frozen_anew(tmp_path: Path) -> None:
    frozen(tmp_path, live("440303"), ANSWERED, VINTAGE)
    with pytest.raises(LookupError, match="the frame of 2019 is not frozen; frozen years: 2022, 2024"):
        reopen(tmp_path, 2019)
    assert reopen(tmp_path, 2022).units == 2
    assert [f.year for f in frozen_years(tmp_path)] == [2024]
    found = frozen(tmp_path, live("440305"), ANSWERED, "2026-11-10")
    assert set(found.filter(ref_year=2022)["operating_district"]) == {"440305"}
    assert [(f.year, f.frozen) for f in frozen_years(tmp_path)] == [(2022, "2026-11-10"), (2024, VINTAGE)]
    assert len(list((tmp_path / "frames" / "reopened").glob("2022-*.parquet"))) == 1


def test_only_an_approver_with_a_reason_reopens_a_year_and_the_audit_log_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AISTAT_HOME", str(tmp_path))
    journal = Journal(tmp_path)
    for name, role in (("li", "analyst"), ("zhao", "approver")):
        journal.add_user(name, "a long password", role)
    assert main(["frame", "list"]) == 0 and "no year frozen yet" in capsys.readouterr().out
    frozen(tmp_path, live("440303"), ANSWERED, VINTAGE)
    assert main(["frame", "list"]) == 0 and "2022" in capsys.readouterr().out
    asked = ["frame", "reopen", "2022", "--reason"]
    for user, reason, said in (
        ("li", "普查", "不是批准人"),
        ("nobody", "普查", "不是批准人"),
        ("zhao", "  ", "needs a reason"),
    ):
        assert main([*asked, reason, "--user", user]) == 2 and said in capsys.readouterr().err
    assert main(["frame", "reopen", "2019", "--reason", "普查", "--user", "zhao"]) == 2
    assert "not frozen; frozen years: 2022, 2024" in capsys.readouterr().err
    assert [f.year for f in frozen_years(tmp_path)] == [2022, 2024]
    assert main([*asked, "普查", "--user", "zhao"]) == 0
    assert [f.year for f in frozen_years(tmp_path)] == [2024]
    entry = journal.last(("frame_reopened",))
    assert entry is not None and entry["user"] == "zhao" and "普查" in json.loads(entry["detail"])["reason"]
