"""Queries of the review journal that the class and the reports share: current batches, live locks, the next open tasks."""

import json
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from warehouse.access import User
from warehouse.review_rules import as_text
from warehouse.review_tables import ANSWER, BATCH, LOCK, TASK, TASK_IN_BATCH

GOLD_BATCH: Final = "gold"


def current_number(connection: sa.Connection, name: str | None = None, line: str = "queue") -> int | None:
    """Number of the current batch of a line; with a name, only if it bears that name."""
    if name is not None and name.startswith(GOLD_BATCH):
        line = GOLD_BATCH
    newest = connection.execute(
        sa.select(BATCH.c.id, BATCH.c.name).where(BATCH.c.line == line).order_by(BATCH.c.id.desc()).limit(1)
    ).first()
    return None if newest is None or (name is not None and newest[1] != name) else int(newest[0])


def live_locks(moment: datetime) -> sa.Subquery:
    """Newest lock row of each task and person that is a lock, not a release, and has not run out."""
    newest = (
        sa.select(LOCK.c.task_id, LOCK.c.user, sa.func.max(LOCK.c.turn).label("turn"))
        .group_by(LOCK.c.task_id, LOCK.c.user)
        .subquery()
    )
    joined = sa.and_(LOCK.c.task_id == newest.c.task_id, LOCK.c.turn == newest.c.turn)
    return (
        sa.select(LOCK.c.task_id, LOCK.c.user, LOCK.c.at, LOCK.c.expires_at)
        .join(newest, joined)
        .where(LOCK.c.action == "taken", LOCK.c.expires_at > as_text(moment))
        .subquery()
    )


def in_current_batches(connection: sa.Connection) -> sa.Select[Any]:
    """A query of the tasks of the current queue and gold batch, with their position."""
    numbers = [current_number(connection), current_number(connection, line=GOLD_BATCH)]
    return (
        sa.select(TASK, TASK_IN_BATCH.c.position, TASK_IN_BATCH.c.batch_id)
        .join(TASK_IN_BATCH, TASK_IN_BATCH.c.task_id == TASK.c.task_id)
        .where(TASK_IN_BATCH.c.batch_id.in_([n for n in numbers if n is not None]))
    )


def next_open(connection: sa.Connection, user: User, moment: datetime, count: int) -> list[sa.RowMapping]:
    """The next open tasks for a user, in order, with ``turns``: how many lock rows each has."""
    live = live_locks(moment)
    tables = {
        "answers": (ANSWER, sa.func.count(), sa.func.sum(_is(ANSWER.c.user, user.name))),
        "locks": (live, sa.func.count(), sa.func.sum(_is(live.c.user, user.name))),
        "turns": (LOCK, sa.func.max(LOCK.c.turn), sa.literal(0)),
    }
    query = in_current_batches(connection)
    found: dict[str, sa.ColumnElement[int]] = {}
    for name, (table, number, mine) in tables.items():
        counted = sa.select(table.c.task_id, number.label("n"), mine.label("mine")).group_by(table.c.task_id)
        side = counted.subquery(f"{name}_of_task")
        query = query.outerjoin(side, side.c.task_id == TASK.c.task_id)
        found[name] = sa.func.coalesce(side.c.n, 0)
        found[f"my_{name}"] = sa.func.coalesce(side.c.mine, 0)
    if user.area != "city":
        query = query.where(TASK.c.area == user.area)
    query = query.add_columns(found["turns"].label("turns")).where(
        found["answers"] + found["locks"] < TASK.c.coders_needed,
        found["my_answers"] + found["my_locks"] == 0,
        sa.or_(TASK.c.assigned == "[]", TASK.c.assigned.contains(quoted(user.name), autoescape=True)),
    )
    # Gold first: it has a date by which it must be done. Nobody else takes meanwhile: writers come one at a time.
    query = query.order_by(sa.case((TASK.c.kind == "gold", 0), else_=1), TASK_IN_BATCH.c.position, TASK.c.task_id)
    return list(connection.execute(query.limit(count)).mappings())


def _is(column: sa.ColumnElement[str], value: str) -> sa.Case[int]:
    return sa.case((column == value, 1), else_=0)


def quoted(name: str) -> str:
    """A name as it stands in the list of assigned coders."""
    return json.dumps(name, ensure_ascii=False)
