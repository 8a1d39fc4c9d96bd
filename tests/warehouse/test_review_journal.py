"""The review journal: who holds what, what is refused, how answers settle, and that nothing is ever changed."""

import json
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from warehouse.access import User
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import (
    coders,
    gold_agreement,
    gold_units,
    labels,
    locks_of,
    newest_sample,
    open_tasks,
    promise_input,
    settled_units,
    status,
)
from warehouse.review_rules import Given, ReviewError, StaleAnswer, Task

LI, WANG, ZHAO = (User(n, "analyst", "统计") for n in ("li", "wang", "zhao"))


def queue(n: int = 4, bundle: str = "b1", text: str = "t", **changes: object) -> pl.DataFrame:
    """A queue of ``n`` effect tasks for one coder each."""
    base = {
        "kind": "effect",
        "blind": False,
        "coders_needed": 1,
        "area": "440305",
        "inclusion_probability": None,
        **changes,
    }
    rows = [
        {"position": i + 1, "unit_id": f"U{i}", "text_hash": f"{text}{i}", "bundle": bundle, "effect": 10.0 - i, **base}
        for i in range(n)
    ]
    return pl.DataFrame(rows, schema_overrides={"inclusion_probability": pl.Float64, "area": pl.String})


@pytest.fixture()
def journal(tmp_path: Path) -> ReviewJournal:
    found = ReviewJournal(tmp_path)
    found.open_batch("r1", queue())
    return found


def given(task: Task, *codes: str, kind: str | None = None, reason: str = "") -> Given:
    chosen = kind or ("code" if len(codes) == 1 else "set")
    return Given(task.task_id, chosen, codes, task.text_hash, task.bundle, reason)


def taken(journal: ReviewJournal, user: User) -> Task:
    task = journal.take(user)
    assert task is not None
    return task


def test_tasks_are_taken_in_order_and_each_by_one_person(journal: ReviewJournal) -> None:
    first, second = taken(journal, LI), taken(journal, WANG)
    assert (first.unit_id, second.unit_id) == ("U0", "U1")
    assert taken(journal, LI) == first, "who holds a task gets it again, not another"
    assert journal.held(LI) == first and journal.held(ZHAO) is None
    journal.give_back(LI, first.task_id)
    assert taken(journal, ZHAO).unit_id == "U0"
    with pytest.raises(StaleAnswer):
        journal.give_back(LI, first.task_id)


@pytest.mark.parametrize("needed", [1, 2])
def test_threads_never_take_the_same_task(tmp_path: Path, needed: int) -> None:
    journal = ReviewJournal(tmp_path)
    journal.open_batch("r1", queue(12, coders_needed=needed, blind=needed == 2))
    barrier, found, failures = threading.Barrier(8), [], []

    def work(number: int) -> None:
        own = ReviewJournal(tmp_path)
        user = User(f"coder{number}", "analyst", "统计")
        barrier.wait()
        try:
            while (task := own.take(user)) is not None:
                found.append((task.task_id, user.name))
                own.answer(user, given(task, "A11"))
        except Exception as error:  # the assertion below shows it; a thread would swallow it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    # A task that needs two coders may be left to one who has coded it: he gets nothing, the next coder finishes it. Whoever
    # asked last was refused for that reason alone, so one coder must have coded all that is left.
    by_task: dict[str, set[str]] = {}
    for task_id, name in found:
        by_task.setdefault(task_id, set()).add(name)
    rest = []
    while (task := journal.take(LI)) is not None:
        rest.append(task.task_id)
        journal.answer(LI, given(task, "A11"))
    assert not rest or set.intersection(*(by_task.get(t, set()) for t in rest)), "refused without a reason"
    found += [(t, LI.name) for t in rest]
    counts = Counter(task for task, _ in found)
    assert len(found) == 12 * needed and set(counts.values()) == {needed}, "as often as it needs coders, never more"
    assert len(set(found)) == len(found), "nobody twice on one task"
    assert journal.audit_is_intact() and journal.take(ZHAO) is None


def test_two_threads_race_for_the_last_task(tmp_path: Path) -> None:
    for turn in range(10):
        journal = ReviewJournal(tmp_path / str(turn))
        journal.open_batch("r1", queue(1))
        barrier, got = threading.Barrier(2), []

        def work(
            user: User, journal: ReviewJournal = journal, barrier: threading.Barrier = barrier, got: list = got
        ) -> None:  # type: ignore[type-arg]
            barrier.wait()
            got.append(journal.take(user))

        threads = [threading.Thread(target=work, args=(u,)) for u in (LI, WANG)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(t is not None for t in got) == 1


def test_a_lock_runs_out_and_the_late_answer_is_refused(journal: ReviewJournal) -> None:
    start = datetime(2026, 3, 31, 9, tzinfo=UTC)
    late = journal.take(LI, minutes=30, now=start)
    assert late is not None
    again = journal.take(WANG, now=start + timedelta(minutes=31))
    assert again is not None and again.task_id == late.task_id
    with pytest.raises(StaleAnswer, match="ran out"):
        journal.answer(LI, given(late, "A11"), now=start + timedelta(minutes=32))
    assert journal.answer(WANG, given(again, "B11"), now=start + timedelta(minutes=35)) == "settled"
    assert labels(journal)["code"].to_list() == ["B11"]
    assert [x["action"] for x in locks_of(journal, late.task_id)] == ["taken", "taken", "released"]


def test_a_changed_text_or_bundle_is_refused(journal: ReviewJournal) -> None:
    task = taken(journal, LI)
    for text, bundle in (("other", task.bundle), (task.text_hash, "other")):
        with pytest.raises(StaleAnswer, match="changed"):
            journal.answer(LI, Given(task.task_id, "code", ("A11",), text, bundle))
    journal.open_batch("r2", queue(bundle="b2"))
    with pytest.raises(StaleAnswer, match="superseded"):
        journal.answer(LI, given(task, "A11"))
    assert labels(journal).height == 0
    assert taken(journal, LI).bundle == "b2"


def test_the_same_doubt_in_a_new_batch_is_the_same_task(journal: ReviewJournal) -> None:
    task = taken(journal, LI)
    assert journal.open_batch("r1", queue()) == 0, "the same batch again changes nothing"
    assert journal.open_batch("r2", queue(5)) == 1
    assert journal.current_batch() == "r2"
    assert journal.answer(LI, given(task, "A11")) == "settled"
    assert {t.unit_id for t in journal.take_many(LI, 9, 60)} == {"U1", "U2", "U3", "U4"}


@pytest.mark.parametrize(
    ("kind", "codes", "reason", "says"),
    [
        ("code", (), "", "1 to 1"), ("code", ("A11", "A12"), "", "1 to 1"), ("set", ("A11",), "", "2 to 5"),
        ("set", ("A11", "A12", "A13", "A21", "A22", "A31"), "", "2 to 5"), ("code", ("Z99",), "", "Z99"),
        ("undecidable", (), " ", "reason"), ("refer", (), "", "reason"), ("undecidable", ("A11",), "x", "0 to 0"),
        ("maybe", ("A11",), "", "expected one of"), ("code", ("A11",), "x" * 501, "at most 500"),
    ],
)  # fmt: skip
def test_answers_that_are_no_answers(
    journal: ReviewJournal, kind: str, codes: tuple[str, ...], reason: str, says: str
) -> None:
    task = taken(journal, LI)
    with pytest.raises(ReviewError, match=says):
        journal.answer(LI, Given(task.task_id, kind, codes, task.text_hash, task.bundle, reason))
    assert journal.held(LI) == task, "the lock stays: the coder may correct the answer"


def test_answers_become_labels(journal: ReviewJournal) -> None:
    for codes, kind, reason in (
        (("A11",), None, ""),
        (("none",), None, ""),
        (("A11", "A12"), None, ""),
        ((), "undecidable", "经营范围过于笼统"),
    ):
        journal.answer(LI, given(taken(journal, LI), *codes, kind=kind, reason=reason))
    found = labels(journal)
    assert found.columns == ["unit_id", "code", "text_hash", "decided_at"]
    assert found.select("unit_id", "code", "text_hash").rows() == [("U0", "A11", "t0"), ("U1", "none", "t1")]
    assert settled_units(journal)["unit_id"].to_list() == ["U0", "U1", "U2", "U3"]
    assert status(journal).row(0, named=True) == {
        "batch": "r1", "kind": "effect", "tasks": 4, "open": 0, "locked": 0, "waiting": 0, "settled": 4,
    }  # fmt: skip
    assert journal.take(LI) is None and open_tasks(journal).height == 0


def test_double_tasks_agree_or_wait_for_a_third_person(tmp_path: Path) -> None:
    journal = ReviewJournal(tmp_path)
    journal.open_batch("r1", queue(2, coders_needed=2, blind=True))
    for codes in ("A11", "B11"):
        assert journal.answer(LI, given(taken(journal, LI), codes)) == "open"
    assert journal.take(LI) is None, "one person codes a double task once"
    assert journal.answer(WANG, given(taken(journal, WANG), "A11")) == "settled"
    assert journal.answer(WANG, given(taken(journal, WANG), "B12")) == "adjudicate"
    (waiting,) = journal.waiting()
    assert waiting["unit_id"] == "U1" and {tuple(a["codes"]) for a in waiting["answers"]} == {("B11",), ("B12",)}
    with pytest.raises(ReviewError, match="one of the coders"):
        journal.adjudicate(LI, waiting["task_id"], ["B11"], "看说明书")
    with pytest.raises(ReviewError, match="reason"):
        journal.adjudicate(ZHAO, waiting["task_id"], ["B11"], "")
    journal.adjudicate(ZHAO, waiting["task_id"], ["B11"], "产品为基础软件")
    assert journal.waiting() == [] and labels(journal)["code"].to_list() == ["A11", "B11"]
    with pytest.raises(ReviewError, match="does not wait"):
        journal.adjudicate(ZHAO, waiting["task_id"], ["B12"], "再次")


def test_a_referred_task_waits_for_adjudication(journal: ReviewJournal) -> None:
    task = taken(journal, LI)
    assert journal.answer(LI, given(task, kind="refer", reason="需查报表")) == "adjudicate"
    assert status(journal).row(0, named=True)["waiting"] == 1
    journal.adjudicate(WANG, task.task_id, [], "资料不足")
    assert labels(journal).height == 0 and journal.waiting() == []


def test_a_district_user_gets_the_tasks_of_the_district(journal: ReviewJournal) -> None:
    assert journal.take(User("qin", "analyst", "统计", "440304")) is None
    assert journal.take(User("nan", "analyst", "统计", "440305")) is not None


def gold_frame(n: int = 3) -> pl.DataFrame:
    rows = [
        {
            "unit_id": f"G{i}", "group": "A", "stratum": "A:x", "inclusion_probability": 0.1, "confidence": 0.9,
            "random": i / 100, "ai_class": "A1", "p_ai": 0.95, "bundle": "b1", "text_hash": f"g{i}", "scope_hash": f"s{i}",
            "coder_1": "li", "coder_2": "wang", "area": "440305",
        }
        for i in range(n)
    ]  # fmt: skip
    return pl.DataFrame(rows)


def test_gold_goes_to_its_two_coders_and_never_to_the_training(journal: ReviewJournal) -> None:
    assert journal.record_gold("2026", gold_frame(), "zhao") == 3
    with pytest.raises(ReviewError, match="already"):
        journal.record_gold("2026", gold_frame(), "zhao")
    for user, answers in ((LI, ["A11", "A11", "A11"]), (WANG, ["A11", "B11", "A12"])):
        for code in answers:
            task = taken(journal, user)
            assert task.kind == "gold" and task.blind, "gold comes before the queue"
            journal.answer(user, given(task, code))
    assert taken(journal, ZHAO).kind == "effect", "gold is for its coders alone"
    gold = gold_units(journal)
    assert newest_sample(journal) == "2026" and gold["codes"].to_list() == [["A11"], None, None]
    assert promise_input(gold)["correct"].to_list() == [True, None, None]
    leaf = gold_agreement(journal)[2]
    assert leaf.kappa.n == 3 and leaf.kappa.observed == pytest.approx(1 / 3)
    task_id = next(w["task_id"] for w in journal.waiting() if w["unit_id"] == "G1")
    journal.adjudicate(ZHAO, task_id, [], "无法判定")
    assert promise_input(gold_units(journal))["correct"].to_list() == [True, False, None]
    assert not set(labels(journal)["unit_id"]) & {"G0", "G1", "G2"}


def test_seeded_gold_measures_coders_and_stays_out_of_the_labels(journal: ReviewJournal) -> None:
    journal.record_gold("2026", gold_frame(1), "zhao")
    for user in (LI, WANG):
        journal.answer(user, given(taken(journal, user), "A11"))
    seeds = pl.concat(
        [
            queue(1, kind="seed", blind=True).with_columns(unit_id=pl.lit(u), bundle=pl.lit(b))
            for u, b in (("G0", "b1"), ("G0", "b2"))
        ]
    )
    journal.open_batch("r2", seeds)
    journal.answer(ZHAO, given(taken(journal, ZHAO), "A11", "A12"))
    journal.answer(ZHAO, given(taken(journal, ZHAO), "C11"))
    row = coders(journal).filter(pl.col("user") == "zhao").row(0, named=True)
    assert (row["answers"], row["seeds"], row["seeds_right"]) == (2, 2, 1)
    assert labels(journal).height == 0


def test_rows_are_only_ever_added_and_each_step_is_audited(journal: ReviewJournal, tmp_path: Path) -> None:
    task = taken(journal, LI)
    journal.answer(LI, given(task, "A11"))
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'journal.db'}")
    tables = (
        "review_task",
        "review_lock",
        "review_answer",
        "review_adjudication",
        "review_batch",
        "review_task_in_batch",
    )
    for table in tables:
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET rowid = rowid + 1000"):
            with pytest.raises(sa.exc.IntegrityError, match="append-only"), engine.begin() as connection:
                connection.execute(sa.text(statement))
    engine.dispose()
    actions = [entry["action"] for entry in journal.audit()][::-1]
    assert (
        actions == ["review_batch", "review_taken", "review_answered", "review_settled"] and journal.audit_is_intact()
    )
    assert "U0" not in json.dumps(journal.audit()), "the audit log names tasks, not units"
