"""After the nightly job: the queue, and the evidence file that only the desk may open."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from etl.assets.review import QUEUE
from etl.evidence import (
    effect_sizes,
    gold_plan,
    open_queue,
    queue_plan,
    queue_units,
    review_units,
    units_of,
    write_evidence,
)
from taxonomy.classifier.gold import assign_coders, draw_sample
from tests.conftest import copy_for_review
from warehouse.access import User
from warehouse.connect import open_reader
from warehouse.evidence import EvidenceStore, NoEvidence, evidence_folder
from warehouse.evidence_write import write_evidence_file
from warehouse.release import current_id
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import open_tasks, status
from warehouse.review_rules import Given
from warehouse.write import WorkStore

LI = User("li", "analyst", "统计")


@pytest.fixture(scope="module")
def home(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what review touches."""
    return copy_for_review(demo_home, tmp_path_factory.mktemp("review") / "home")


@pytest.fixture(scope="module")
def units(home: Path) -> pl.DataFrame:
    return units_of(WorkStore(home))


def test_the_nightly_job_left_a_queue_and_its_evidence(home: Path, units: pl.DataFrame) -> None:
    release, journal = current_id(home), ReviewJournal(home)
    assert release is not None and journal.current_batch() == release
    path = evidence_folder(home) / f"{release}.duckdb"
    assert path.stat().st_mode & 0o777 == 0o600 and evidence_folder(home).stat().st_mode & 0o777 == 0o700
    queue = WorkStore(home).read(QUEUE)
    with open_reader(path) as connection:
        held = connection.execute("SELECT unit_id FROM evidence_unit ORDER BY unit_id").pl()["unit_id"].to_list()
    assert held == sorted(open_tasks(journal)["unit_id"].unique()) == sorted(queue["unit_id"])
    assert 0 < len(held) < units.height, "the units of the queue and no others"
    assert set(queue["kind"]) >= {"effect", "random"}
    assert journal.audit_is_intact()


def test_no_release_file_holds_what_the_evidence_holds(home: Path) -> None:
    release = current_id(home)
    mart = home / "releases" / str(release) / "release.duckdb"
    with open_reader(mart) as connection:
        tables = {r[0] for r in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert not {t for t in tables if "evidence" in t or "queue" in t}


def test_evidence_of_a_unit_adds_up_and_its_spans_lie_in_the_original_text(home: Path) -> None:
    store, release = EvidenceStore(evidence_folder(home)), str(current_id(home))
    queue = WorkStore(home).read(QUEUE).filter(pl.col("kind") == "effect").head(25)
    seen = 0
    for unit_id in queue["unit_id"]:
        doubt = store.unit(release, unit_id)
        assert doubt.bias + sum(c.value for c in doubt.contributions) == pytest.approx(doubt.score, abs=1e-6)
        texts = {"name": doubt.name, "scope": doubt.business_scope, "product": doubt.main_products}
        for part in doubt.contributions:
            if part.field in texts:
                seen += 1
                assert 0 <= part.start < part.end <= len(texts[part.field])
    assert seen > 25


def test_what_is_not_there_is_said(home: Path) -> None:
    store = EvidenceStore(evidence_folder(home))
    for batch, unit in (("r20990101-none", "x"), (str(current_id(home)), "no such unit"), ("../work", "x"), ("", "x")):
        with pytest.raises(NoEvidence):
            store.unit(batch, unit)


def test_a_second_night_asks_the_same_and_not_what_was_settled(home: Path, units: pl.DataFrame) -> None:
    journal, plan = ReviewJournal(home), queue_plan(date(2026, 3, 31))
    before = open_queue(journal, units, "r1", plan)
    assert open_queue(journal, units.sample(fraction=1.0, shuffle=True, seed=1), "r1", plan).equals(before)
    tasks = journal.take_many(LI, 10, 30)
    assert [t.unit_id for t in tasks] == before["unit_id"].head(10).to_list()
    task = next(t for t in tasks if t.coders_needed == 1)
    journal.answer(LI, Given(task.task_id, "code", ("A11",), task.text_hash, task.bundle))
    after = open_queue(journal, units, "r2", plan)
    assert task.unit_id not in set(after["unit_id"])
    changed = units.with_columns(
        text_hash=pl.when(pl.col("unit_id") == task.unit_id).then(pl.lit("new text")).otherwise("text_hash")
    )
    assert task.unit_id in set(open_queue(journal, changed, "r3", plan)["unit_id"]), "a new text is a new question"


def test_the_units_that_may_be_asked_give_the_queue_of_all(home: Path, units: pl.DataFrame, tmp_path: Path) -> None:
    plan, journal = queue_plan(date(2026, 3, 31)), ReviewJournal(home)
    some, whole = queue_units(WorkStore(home), journal, plan)
    assert some.height < units.height / 2, "most of the register is not read"
    found = {name: open_queue(ReviewJournal(tmp_path / name), *given) for name, given in
             (("all", (units, "r1", plan)), ("some", (some, "r1", plan, None, whole)))}  # fmt: skip
    assert found["some"].equals(found["all"]) and set(found["all"]["kind"]) == {"effect", "random"}


def test_units_asked_for_are_what_they_are_among_all(home: Path, units: pl.DataFrame) -> None:
    ids = units["unit_id"].sample(40, seed=2)
    assert units_of(WorkStore(home), ids).equals(units.filter(pl.col("unit_id").is_in(ids.implode())))


def test_drawn_gold_leaves_the_queue_and_enters_the_evidence(home: Path, units: pl.DataFrame) -> None:
    journal = ReviewJournal(home)
    sample = draw_sample(units, gold_plan(7)).units
    pairs = assign_coders(sample["unit_id"].to_list(), ["li", "wang"], 7)
    journal.record_gold(
        "g1", sample.join(pairs, on="unit_id").join(units.select("unit_id", "area"), on="unit_id"), "zhao"
    )
    queue = open_queue(journal, units, "r9", queue_plan(date(2026, 3, 31)))
    assert not set(queue["unit_id"]) & set(sample["unit_id"])
    some, whole = queue_units(WorkStore(home), journal, queue_plan(date(2026, 3, 31)))
    assert open_queue(journal, some, "r9", queue_plan(date(2026, 3, 31)), None, whole).equals(queue), (
        "gold and settled units are out of it there as here"
    )
    shown = write_evidence(home, "r9", journal)
    assert shown == queue.height + sample.height
    counts = dict(status(journal).select("kind", "open").iter_rows())
    assert counts["gold"] == sample.height
    assert len(list(evidence_folder(home).glob("r*.duckdb"))) == 2, "older evidence is removed"


def test_the_random_part_stays_for_a_quarter_and_changes_with_it() -> None:
    seeds = {queue_plan(date(2026, month, 1)).seed for month in range(1, 13)}
    assert len(seeds) == 4 and queue_plan(date(2026, 1, 1)) == queue_plan(date(2026, 3, 31))


def test_size_weighs_count_and_revenue_alike() -> None:
    placed = pl.DataFrame(
        {"unit_id": ["a", "b", "c"], "text_hash": ["1", "2", "3"], "scope_hash": ["1", None, "3"],
         "operating_district": ["440305", None, None], "registered_district": ["440304"] * 3}
    )  # fmt: skip
    codes = pl.DataFrame({"unit_id": ["a", "b", "c"], "route": ["review"] * 3})
    years = pl.DataFrame(
        {"uscc": ["a", "a", "b"], "ref_year": [2024, 2025, 2025], "revenue_known": [9.0, 300.0, 100.0]}
    )
    found = review_units(placed, codes, effect_sizes(years))
    assert found["size"].to_list() == [(1 + 1.5) / 2, (1 + 0.5) / 2, None]
    assert found["area"].to_list() == ["440305", "440304", "440304"]


def test_a_half_written_file_never_bears_the_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="columns missing"):
        write_evidence_file(tmp_path / "evidence", "r1", pl.DataFrame({"unit_id": ["a"]}))
    assert not (tmp_path / "evidence" / "r1.duckdb").exists()
