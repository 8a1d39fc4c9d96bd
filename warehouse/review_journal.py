"""Review in the journal (复核日志): tasks, locks, answers, adjudications, gold. Rows are only ever added; each step is audited.

A task is known by its content: unit, text, bundle and kind. A new batch (one a release) that holds the same doubt again
holds the same task, so that nobody is asked twice; a task that is in no current batch is stale and takes no answer.
Tables hold ids, codes and hashes, never a unit's name or text: those stand in the evidence file.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl
import sqlalchemy as sa

from taxonomy.classifier.gold import Answer, rule_on
from warehouse.access import User
from warehouse.journal import Journal
from warehouse.review_queries import GOLD_BATCH, current_number, in_current_batches, live_locks, next_open, quoted
from warehouse.review_rules import Given, ReviewError, StaleAnswer, Task, as_text, checked_codes, now_utc, task_key
from warehouse.review_tables import ADJUDICATION, ANSWER, BATCH, GOLD, GOLD_LABEL, LOCK, METADATA, TASK, TASK_IN_BATCH

LOCK_MINUTES: Final = 30


class ReviewJournal(Journal):
    """The journal with its review tables."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        with self._begin() as connection:
            METADATA.create_all(connection)

    # --- tasks and batches ---------------------------------------------------------------------------------------

    def open_batch(self, batch: str, queue: pl.DataFrame) -> int:
        """Make a queue the current one; returns how many of its tasks are new.

        ``queue``: the columns of :data:`taxonomy.classifier.review.COLUMNS`, and ``area`` (district code or null). The same
        batch with the same tasks changes nothing.
        """
        rows = [
            {
                "task_id": task_key(r["unit_id"], r["text_hash"], r["bundle"], r["kind"]), "unit_id": r["unit_id"],
                "kind": r["kind"], "blind": r["blind"], "coders_needed": r["coders_needed"], "text_hash": r["text_hash"],
                "bundle": r["bundle"], "area": r.get("area") or "", "inclusion_probability": r["inclusion_probability"],
                "assigned": "[]", "position": r["position"], "effect": r["effect"],
            }
            for r in queue.iter_rows(named=True)
        ]  # fmt: skip
        return self._open(batch, rows)

    def _open(self, batch: str, rows: Sequence[dict[str, Any]]) -> int:
        with self._begin() as connection:
            number = current_number(connection, batch)
            there = {
                r[0]
                for r in connection.execute(
                    sa.select(TASK_IN_BATCH.c.task_id).where(TASK_IN_BATCH.c.batch_id == number)
                )
            }
            if number is not None and there == {r["task_id"] for r in rows}:
                return 0
            known = set(connection.execute(sa.select(TASK.c.task_id)).scalars())
            fresh = [r for r in rows if r["task_id"] not in known]
            now = as_text(now_utc())
            task_columns = [c.name for c in TASK.columns if c.name != "created_at"]
            if fresh:
                connection.execute(
                    TASK.insert(), [{**{k: r[k] for k in task_columns}, "created_at": now} for r in fresh]
                )
            line = GOLD_BATCH if batch.startswith(GOLD_BATCH) else "queue"
            made = connection.execute(BATCH.insert().values(name=batch, line=line, opened_at=now))
            number = made.inserted_primary_key[0]  # type: ignore[index]
            if rows:
                connection.execute(
                    TASK_IN_BATCH.insert(),
                    [{"batch_id": number, **{k: r[k] for k in ("task_id", "position", "effect")}} for r in rows],
                )
            self._append(
                connection, "pipeline", "review_batch", {"batch": batch, "tasks": len(rows), "new": len(fresh)}
            )
        return len(fresh)

    def record_gold(self, sample: str, units: pl.DataFrame, user: str) -> int:
        """Keep a drawn gold sample with its coders and open its tasks; returns how many units.

        ``units``: :class:`taxonomy.classifier.gold.GoldSample` ``units`` joined with ``coder_1, coder_2`` and ``area``. A new
        sample replaces the open tasks of the one before; its units and labels stay.

        Raises
        ------
        ReviewError
            If a sample of that name is there already.
        """
        kept = [c.name for c in GOLD.columns if c.name not in ("sample", "task_id", "drawn_at")]
        rows, tasks = [], []
        for position, unit in enumerate(units.iter_rows(named=True)):
            task = task_key(unit["unit_id"], unit["text_hash"], sample, "gold")
            rows.append(
                {**{k: unit[k] for k in kept}, "sample": sample, "task_id": task, "drawn_at": as_text(now_utc())}
            )
            tasks.append({
                "task_id": task, "unit_id": unit["unit_id"], "kind": "gold", "blind": True, "coders_needed": 2,
                "text_hash": unit["text_hash"], "bundle": unit["bundle"], "area": unit.get("area") or "",
                "inclusion_probability": unit["inclusion_probability"], "position": position, "effect": None,
                "assigned": f"[{quoted(unit['coder_1'])}, {quoted(unit['coder_2'])}]",
            })  # fmt: skip
        with self._begin() as connection:
            if connection.execute(sa.select(GOLD.c.unit_id).where(GOLD.c.sample == sample).limit(1)).first():
                raise ReviewError(f"样本 {sample} 已存在 / a gold sample named {sample} is there already")
            connection.execute(GOLD.insert(), rows)
            self._append(connection, user, "gold_drawn", {"sample": sample, "units": len(rows)})
        self._open(f"{GOLD_BATCH}:{sample}", tasks)
        return len(rows)

    def select(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        """Rows of a query as dictionaries."""
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def current_tasks(self) -> sa.Select[Any]:
        """:meth:`in_current_batches` for a query of its own."""
        with self._engine.connect() as connection:
            return in_current_batches(connection)

    def current_batch(self) -> str | None:
        """Name of the batch people work on: the id of the release its evidence belongs to."""
        query = sa.select(BATCH.c.name).where(BATCH.c.line == "queue").order_by(BATCH.c.id.desc()).limit(1)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    # --- taking and giving back ----------------------------------------------------------------------------------

    def take(self, user: User, minutes: int = LOCK_MINUTES, now: datetime | None = None) -> Task | None:
        """The next open task, locked to this person; the one they already hold, if any; None when nothing is left.

        Two people never hold the same task unless it needs two coders, and then each sees it once. A user of a district gets
        the tasks of that district alone.
        """
        moment = now or now_utc()
        with self._begin() as connection:
            held = self._held(connection, user.name, moment)
            return held or next(iter(self._take(connection, user, minutes, moment)), None)

    def take_many(self, user: User, count: int, minutes: int) -> list[Task]:
        """Up to ``count`` further tasks locked to this person, for work offline."""
        moment = now_utc()
        with self._begin() as connection:
            return self._take(connection, user, minutes, moment, count)

    def _take(
        self, connection: sa.Connection, user: User, minutes: int, moment: datetime, count: int = 1
    ) -> list[Task]:
        until = as_text(moment + timedelta(minutes=minutes))
        taken = []
        for row in next_open(connection, user, moment, count):
            connection.execute(
                LOCK.insert().values(
                    task_id=row["task_id"], turn=row["turns"] + 1, user=user.name, action="taken", at=as_text(moment),
                    expires_at=until,
                )
            )  # fmt: skip
            self._append(connection, user.name, "review_taken", {"task": row["task_id"]})
            taken.append(_task(row, until))
        return taken

    def give_back(self, user: User, task_id: str) -> None:
        """Unlock a task without an answer (:class:`StaleAnswer` if it is not held)."""
        with self._begin() as connection:
            live = live_locks(now_utc())
            own = sa.select(live.c.at).where(live.c.task_id == task_id, live.c.user == user.name)
            if connection.execute(own).first() is None:
                raise StaleAnswer("此任务未由您锁定 / this task is not locked to you")
            self._unlock(connection, user.name, task_id)
            self._append(connection, user.name, "review_given_back", {"task": task_id})

    def held(self, user: User) -> Task | None:
        """The task somebody holds now."""
        with self._engine.connect() as connection:
            return self._held(connection, user.name, now_utc())

    def _unlock(self, connection: sa.Connection, user: str, task_id: str) -> None:
        turns = connection.execute(sa.select(sa.func.max(LOCK.c.turn)).where(LOCK.c.task_id == task_id)).scalar()
        now = as_text(now_utc())
        connection.execute(
            LOCK.insert().values(
                task_id=task_id, turn=(turns or 0) + 1, user=user, action="released", at=now, expires_at=now
            )
        )

    def _held(self, connection: sa.Connection, user: str, moment: datetime) -> Task | None:
        live = live_locks(moment)
        query = in_current_batches(connection).add_columns(live.c.expires_at)
        row = connection.execute(
            query.join(live, sa.and_(live.c.task_id == TASK.c.task_id, live.c.user == user))
            .order_by(live.c.at, TASK_IN_BATCH.c.position)
            .limit(1)
        ).mappings().first()  # fmt: skip
        return None if row is None else _task(row, row["expires_at"])

    # --- answering -----------------------------------------------------------------------------------------------

    def answer(self, user: User, given: Given, now: datetime | None = None, *, offline: bool = False) -> str:
        """Record an answer and settle the task if it can be; returns ``open``, ``settled`` or ``adjudicate``.

        ``offline`` answers carry no seconds: how long the file lay on a desk says nothing.

        Raises
        ------
        StaleAnswer
            If the task is in no current batch, its text or bundle is not what the coder saw, or the lock is gone.
        ReviewError
            If the answer itself is not valid.
        """
        codes = checked_codes(given)
        moment = now or now_utc()
        with self._begin() as connection:
            task, taken_at = self._answerable(connection, user.name, given, moment)
            connection.execute(
                ANSWER.insert().values(
                    task_id=given.task_id, user=user.name, kind=given.kind, codes=json.dumps(codes),
                    reason=given.reason.strip(), blind=task["blind"], text_hash=given.text_hash, bundle=given.bundle,
                    seconds=None if offline else _seconds(taken_at, moment), at=as_text(moment),
                )
            )  # fmt: skip
            self._unlock(connection, user.name, given.task_id)
            self._append(
                connection, user.name, "review_answered", {"task": given.task_id, "kind": given.kind, "codes": codes}
            )
            return self._settle(connection, task)

    def _answerable(
        self, connection: sa.Connection, user: str, given: Given, moment: datetime
    ) -> tuple[sa.RowMapping, str]:
        query = in_current_batches(connection).where(TASK.c.task_id == given.task_id)
        task = connection.execute(query.limit(1)).mappings().first()
        if task is None:
            raise StaleAnswer("此任务已被新一版队列取代，请取新任务 / superseded by a newer queue; take another task")
        if (task["text_hash"], task["bundle"]) != (given.text_hash, given.bundle):
            raise StaleAnswer("单位文字或模型包已变更，答复未记录 / the text or the bundle has changed; not recorded")
        live = live_locks(moment)
        taken_at = connection.execute(
            sa.select(live.c.at).where(live.c.task_id == given.task_id, live.c.user == user)
        ).scalar()
        if taken_at is None:
            raise StaleAnswer(
                "任务未由您锁定或锁定已过期，答复未记录 / not locked to you, or the lock ran out; not recorded"
            )
        return task, taken_at

    def _settle(self, connection: sa.Connection, task: sa.RowMapping) -> str:
        """Close a task whose answers suffice: one plain answer, or two that agree."""
        rows = connection.execute(
            sa.select(ANSWER.c.kind, ANSWER.c.codes).where(ANSWER.c.task_id == task["task_id"]).order_by(ANSWER.c.id)
        ).all()
        if len(rows) < task["coders_needed"]:
            return "open"
        answers = [Answer("code" if k == "set" else k, frozenset(json.loads(c))) for k, c in rows]
        if len(answers) == 1:
            if answers[0].kind == "refer":
                return "adjudicate"
            self._write_ruling(connection, dict(task), "single", answers[0].kind, answers[0].codes, "pipeline", "")
            return "settled"
        ruling = rule_on(answers[0], answers[1])
        if ruling.status != "agreed":
            return "adjudicate"
        self._write_ruling(connection, dict(task), "agreed", ruling.kind, ruling.codes, "pipeline", "")
        return "settled"

    def _write_ruling(
        self, connection: sa.Connection, task: Mapping[str, Any], rule: str, kind: str, codes: frozenset[str],
        user: str, reason: str,
    ) -> None:  # fmt: skip
        now = as_text(now_utc())
        values = {"kind": kind, "codes": json.dumps(sorted(codes)), "rule": rule, "user": user, "at": now}
        connection.execute(ADJUDICATION.insert().values(task_id=task["task_id"], reason=reason, **values))
        if task["kind"] == "gold":
            connection.execute(
                GOLD_LABEL.insert().values(unit_id=task["unit_id"], text_hash=task["text_hash"], **values)
            )
        self._append(
            connection, user, "review_settled", {"task": task["task_id"], "rule": rule, "codes": sorted(codes)}
        )

    # --- adjudication --------------------------------------------------------------------------------------------

    def adjudicate(self, user: User, task_id: str, codes: Sequence[str], reason: str) -> None:
        """Decide a task on which coders differ or which was referred; no codes: 无法判定.

        Raises
        ------
        ReviewError
            If the adjudicator was one of its coders, the task is not waiting for one, a code is unknown or no reason given.
        """
        kind = "undecidable" if not codes else ("code" if len(set(codes)) == 1 else "set")
        given = Given(task_id, kind, tuple(codes), "", "", reason)
        final = frozenset(checked_codes(given))
        if not reason.strip():
            raise ReviewError("请写明理由 / a reason is needed")
        with self._begin() as connection:
            task = connection.execute(sa.select(TASK).where(TASK.c.task_id == task_id)).mappings().first()
            may_see = task is not None and user.area in ("city", task["area"])
            if not may_see or task_id not in {r["task_id"] for r in self._waiting(connection)}:
                raise ReviewError(f"任务 {task_id} 不待裁定 / task {task_id} does not wait for adjudication")
            assert task is not None
            coders = connection.execute(sa.select(ANSWER.c.user).where(ANSWER.c.task_id == task_id)).scalars().all()
            if user.name in coders:
                raise ReviewError("裁定人不能是编码人之一 / the adjudicator may not be one of the coders")
            kind = "undecidable" if not final else "code"
            self._write_ruling(connection, dict(task), "adjudicated", kind, final, user.name, reason.strip())

    def _waiting(self, connection: sa.Connection) -> list[dict[str, Any]]:
        answers = sa.select(sa.func.count()).select_from(ANSWER).where(ANSWER.c.task_id == TASK.c.task_id)
        settled = sa.select(ADJUDICATION.c.task_id).where(ADJUDICATION.c.task_id == TASK.c.task_id).exists()
        query = sa.select(TASK.c.task_id, TASK.c.unit_id, TASK.c.kind, TASK.c.area).where(
            answers.scalar_subquery() >= TASK.c.coders_needed, ~settled
        )
        return [dict(r) for r in connection.execute(query.order_by(TASK.c.task_id)).mappings()]

    def waiting(self) -> list[dict[str, Any]]:
        """Tasks that wait for adjudication, with the answers given: ``task_id, unit_id, kind, area, answers``."""
        with self._engine.connect() as connection:
            rows = self._waiting(connection)
            for row in rows:
                query = sa.select(ANSWER.c.user, ANSWER.c.kind, ANSWER.c.codes, ANSWER.c.reason)
                found = connection.execute(query.where(ANSWER.c.task_id == row["task_id"]).order_by(ANSWER.c.id))
                row["answers"] = [{**r, "codes": json.loads(r["codes"])} for r in found.mappings()]
        return rows


def _seconds(taken_at: str, moment: datetime) -> int:
    return max(0, round((moment - datetime.fromisoformat(taken_at)).total_seconds()))


def _task(row: sa.RowMapping, expires_at: str) -> Task:
    names = [name for name in Task.__dataclass_fields__ if name != "expires_at"]
    return Task(**{name: row[name] for name in names}, expires_at=expires_at)
