"""The journal and review on a real PostgreSQL server: the same tests as on SQLite, threads, and what only it can show."""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from tests import postgres as pg
from tests.warehouse.test_journal import (  # noqa: F401
    test_a_user_logs_in_with_the_right_password_only,
    test_bad_accounts_are_refused,
    test_five_failures_lock_the_account,
)
from tests.warehouse.test_review_journal import (  # noqa: F401
    LI,
    WANG,
    given,
    gold_frame,
    journal,
    queue,
    taken,
    test_a_changed_text_or_bundle_is_refused,
    test_a_district_user_gets_the_tasks_of_the_district,
    test_a_lock_runs_out_and_the_late_answer_is_refused,
    test_a_referred_task_waits_for_adjudication,
    test_answers_become_labels,
    test_double_tasks_agree_or_wait_for_a_third_person,
    test_gold_goes_to_its_two_coders_and_never_to_the_training,
    test_seeded_gold_measures_coders_and_stays_out_of_the_labels,
    test_tasks_are_taken_in_order_and_each_by_one_person,
    test_the_same_doubt_in_a_new_batch_is_the_same_task,
    test_threads_never_take_the_same_task,
)
from warehouse.access import User
from warehouse.journal import Journal, _engine
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import decisions, gold_texts, labels
from warehouse.review_tables import METADATA


@pytest.fixture(autouse=True)
def url(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Every journal of this module is kept by the server."""
    monkeypatch.setenv("AISTAT_JOURNAL_URL", postgres_url)
    yield postgres_url
    _engine(postgres_url).dispose()


def together(*work: object) -> list[object]:
    """Run functions at the same moment in threads; what each returned or raised, in the order they ended."""
    barrier, found = threading.Barrier(len(work)), []

    def one(function: object) -> None:
        barrier.wait()
        try:
            found.append(function())  # type: ignore[operator]
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=one, args=(f,)) for f in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_it_is_the_server_that_keeps_it(url: str, tmp_path: Path) -> None:
    Journal(tmp_path).append("li", "export", {"n": 1})
    assert not list(tmp_path.iterdir()), "no file is written"
    with _engine(url).connect() as connection:
        assert connection.dialect.name == "postgresql"
        assert connection.execute(sa.text("SELECT count(*) FROM audit")).scalar() == 1


def test_two_race_for_the_last_task(tmp_path: Path) -> None:
    review = ReviewJournal(tmp_path)
    for turn in range(10):
        review.open_batch(f"r{turn}", queue(1, text=f"t{turn}."))
        got = together(lambda: review.take(LI), lambda: review.take(WANG))
        assert [type(g).__name__ for g in got if g is not None] == ["Task"], got
        holder = LI if review.held(LI) else WANG
        task = review.held(holder)
        assert task is not None and review.answer(holder, given(task, "A11")) == "settled"
    assert review.audit_is_intact()


def test_the_chain_of_the_log_survives_writers_at_once(tmp_path: Path) -> None:
    log = Journal(tmp_path)
    got = together(*(lambda i=i: [log.append("li", "export", {"n": i, "k": k}) for k in range(5)] for i in range(8)))
    assert not [g for g in got if isinstance(g, Exception)]
    assert len(log.audit()) == 40 and log.audit_is_intact()
    with log._engine.begin() as connection:
        connection.execute(sa.text("UPDATE audit SET detail = '{}' WHERE id = 3"))
    assert not log.audit_is_intact()


def test_tables_made_by_several_processes_at_once(url: str, tmp_path: Path) -> None:
    def start() -> object:
        _engine.cache_clear()
        return ReviewJournal(tmp_path).current_batch()

    assert together(start, start, start, start) == [None] * 4


def test_rows_are_only_ever_added(tmp_path: Path) -> None:
    review = ReviewJournal(tmp_path)
    review.open_batch("r1", queue())
    review.answer(LI, given(taken(review, LI), "A11"))
    review.record_gold("2026", gold_frame(1), "zhao")
    for table in METADATA.tables:
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET at = at", f"TRUNCATE {table} CASCADE"):
            column = next(iter(METADATA.tables[table].columns)).name
            with pytest.raises(sa.exc.DBAPIError, match="append-only"), review._engine.begin() as connection:
                connection.execute(sa.text(statement.replace("at = at", f"{column} = {column}")))
    assert labels(review)["unit_id"].to_list() == ["U0"]


def test_a_clerk_who_may_only_read_and_add_can_do_the_work(
    postgres: pg.Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    review = ReviewJournal(tmp_path)
    review.open_batch("r1", queue(3))
    review.record_gold("2026", gold_frame(1).with_columns(unit_id=pl.lit("U9")), "zhao")
    database = sa.make_url(url).database or ""
    grants = "; ".join(f'GRANT SELECT, INSERT ON "{t}" TO clerk' for t in (*METADATA.tables, "audit"))
    postgres.psql(
        f"CREATE ROLE clerk LOGIN; {grants}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO clerk", database
    )
    clerk_url = postgres.url(database, "clerk")
    monkeypatch.setenv("AISTAT_JOURNAL_URL", clerk_url)
    desk = ReviewJournal(tmp_path)
    users = [User(f"coder{i}", "analyst", "统计") for i in range(3)]
    got = together(*(lambda u=u: desk.take(u) for u in users))
    assert Counter(getattr(g, "unit_id", g) for g in got) == Counter(["U0", "U1", "U2"])
    for user, code in zip(users, ("A11", "none", "R391"), strict=True):
        held = desk.held(user)
        assert held is not None and desk.answer(user, given(held, code)) == "settled"
    assert set(labels(desk)["code"]) == {"A11", "none", "R391"} and gold_texts(desk)["unit_id"].to_list() == ["U9"]
    assert decisions(desk)["is_gold"].to_list() == [False] * 3 and desk.audit_is_intact()
    _engine(clerk_url).dispose()
