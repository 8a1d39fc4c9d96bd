"""The ledger of official releases in the nightly run: two vintages are safe together, conflicts wait for the officer."""

from pathlib import Path

import polars as pl
import pytest

from etl.clearing import ClearedTable, clear_table
from etl.methods.disclosure import RuleSet
from etl.methods.disclosure.beside import joint_checks
from etl.methods.disclosure.ledger import unpacked
from etl.methods.disclosure.linked import audit_beside, build_table, protect
from etl.methods.disclosure.verify.report import Auditor
from etl.release_ledger import Place, ReleaseLedger, keeping
from etl.remember import Memory, remembering
from tests.etl.disclosure_vintages import returns, revised
from warehouse.release import ReleaseRefused

PLACE = Place("core/turnover", "2025")
TABLES = {"cube": ("industry", "place", "size"), "plain": ("industry:1",)}
LIMITS = RuleSet()


def contributions(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(
        "place", "size", industry="ind2", contributor="holding", value=pl.col("turnover").cast(pl.Decimal(24, 2)),
        observed=pl.lit(True),
    )  # fmt: skip


def hierarchies() -> dict[str, dict[str, str | None]]:
    industry: dict[str, str | None] = {f"G{g}": None for g in range(4)}
    return {
        "industry": industry | {f"I{i}": f"G{i % 4}" for i in range(10)},
        "place": {f"P{p}": None for p in range(4)},
        "size": {f"S{s}": None for s in range(4)},
    }


def night(ledger: ReleaseLedger, frame: pl.DataFrame, place: Place | None = PLACE) -> ClearedTable:
    with keeping(ledger):
        return clear_table(contributions(frame), TABLES, hierarchies(), LIMITS, 1, place=place)


def shown(cleared: ClearedTable) -> set[tuple[str, ...]]:
    rows = cleared.frame.filter(pl.col("table") == "cube", pl.col("status").is_in(["published", "empty"]))
    return set(rows.select("industry", "place", "size").rows())


def test_a_second_vintage_is_released_beside_the_first(tmp_path: Path) -> None:
    ledger = ReleaseLedger(tmp_path)
    first, second = returns(3), revised(returns(3), 103)
    before = night(ledger, first)
    assert ledger.enter() == 1 and ledger.enter() == 0, "what did not change is entered once"
    together = night(ledger, second)
    checks = together.certificate.checks
    assert (
        together.certificate.passed and checks["ledger_null_space"]["passed"] and checks["ledger_intervals"]["passed"]
    )
    alone = night(ledger, second, place=None)
    assert "ledger_null_space" not in alone.certificate.checks
    table = build_table(contributions(second), TABLES, hierarchies(), "value", "contributor", "observed")
    entry = audit_beside(protect(table, LIMITS), LIMITS, 1).entry
    found = joint_checks(Auditor(table), entry, ledger.earlier(PLACE))
    assert not found["ledger_null_space"]["passed"], (
        "protected for itself, the second vintage gives figures of the first away"
    )
    hidden_before = set(before.frame.filter(table="cube").select("industry", "place", "size").rows()) - shown(before)
    same = value_of(before).join(value_of(together), on=["industry", "place", "size", "value"], how="semi")
    known = set(same.select("industry", "place", "size").rows())
    gone = set(value_of(together).filter(pl.col("value") == 0).select("industry", "place", "size").rows())
    assert not (hidden_before & shown(together)) - known - gone, "what was hidden stays hidden"
    assert ledger.enter() == 1 and len(ledger.earlier(PLACE).entries) == 2
    book = tmp_path / "ledger" / "core" / "turnover" / "2025" / "ledger.csv"
    assert book.stat().st_mode & 0o077 == 0


def value_of(cleared: ClearedTable) -> pl.DataFrame:
    return cleared.frame.filter(table="cube").select("industry", "place", "size", "value")


def test_a_release_entered_makes_the_next_night_anew(tmp_path: Path) -> None:
    ledger, memory = ReleaseLedger(tmp_path), Memory(tmp_path / "cache")
    frame = returns(3)
    with remembering(memory):
        first = night(ledger, frame)
        assert (memory.made, memory.taken) == (1, 0)
        again = night(ledger, frame)
        assert (memory.made, memory.taken) == (1, 1) and again.frame.equals(first.frame)
        assert unpacked(ledger.proposals()[PLACE].entry).pattern_hash == first.certificate.pattern_hash
        ledger.enter()
        beside = night(ledger, frame)
    assert memory.made == 2 and beside.frame.equals(first.frame), "the same figures are released the same again"


def test_conflicts_wait_for_the_officer(tmp_path: Path) -> None:
    ledger = ReleaseLedger(tmp_path)
    night(ledger, returns(1))
    ledger.enter()
    trial = night(ledger, revised(returns(1), 101))
    assert trial.certificate.passed, "a trial hides the cell and goes on"
    with pytest.raises(ReleaseRefused, match=r"core/turnover 2025.*'hide'"):
        ledger.enter()
    path = tmp_path / "ledger" / "core" / "turnover" / "2025" / "conflicts.csv"
    listed = pl.read_csv(path, infer_schema=False)
    assert listed["decision"].null_count() == listed.height > 0
    listed.with_columns(decision=pl.lit("hide")).write_csv(path)
    night(ledger, revised(returns(1), 101))
    assert pl.read_csv(path, infer_schema=False)["decision"].unique().to_list() == ["hide"], "decisions are kept"
    assert ledger.enter() == 1


def test_without_a_run_or_a_place_nothing_is_proposed(tmp_path: Path) -> None:
    ledger = ReleaseLedger(tmp_path)
    night(ledger, returns(3), place=None)
    clear_table(contributions(returns(3)), TABLES, hierarchies(), LIMITS, 1, place=PLACE)
    assert not ledger.proposals() and not (tmp_path / "ledger").exists()
    with pytest.raises(ReleaseRefused, match="no table is proposed"):
        ledger.enter()


def test_what_is_withdrawn_or_cleared_anew_is_not_entered(tmp_path: Path) -> None:
    ledger = ReleaseLedger(tmp_path)
    night(ledger, returns(3))
    ledger.withdraw(PLACE)
    assert not ledger.proposals()
    night(ledger, returns(3))
    night(ledger, returns(3), Place("source/x", "2025"))
    ledger.begin("core")
    assert [p.table for p in ledger.proposals()] == ["source/x"]
    assert all(p.stat().st_mode & 0o077 == 0 for p in (tmp_path / "ledger").rglob("*") if p.is_file())
