"""Tables of the review journal. Rows are only ever added: triggers refuse updates and deletes."""

from typing import Any

import sqlalchemy as sa

METADATA = sa.MetaData()


def _number() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True, autoincrement=True)


def _unit() -> sa.Column[str]:
    return sa.Column("unit_id", sa.String(64), nullable=False, index=True)


def _of_task(**options: Any) -> sa.Column[str]:
    key = sa.ForeignKey("review_task.task_id")
    return sa.Column("task_id", sa.String(32), key, **{"nullable": False, **options})


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _at(name: str = "at") -> sa.Column[str]:
    return sa.Column(name, sa.String(32), nullable=False)


def _seen() -> tuple[sa.Column[str], sa.Column[str]]:
    """What somebody saw: the text and the bundle, as hashes."""
    return _text("text_hash", 64), _text("bundle", 64)


def _said() -> tuple[sa.Column[str], sa.Column[str]]:
    """What was said: the kind of answer and its codes (JSON)."""
    return _text("kind", 16), sa.Column("codes", sa.Text, nullable=False)


def _ruled() -> tuple[sa.Column[str], ...]:
    """What was decided, by which rule and by whom."""
    return *_said(), _text("rule", 16), _text("user", 64)


BATCH = sa.Table(
    "review_batch",
    METADATA,
    _number(),
    _text("name", 64),
    # A queue batch replaces the queue batch before it; gold batches likewise among themselves.
    _text("line", 16),
    _at("opened_at"),
)
TASK = sa.Table(
    "review_task",
    METADATA,
    sa.Column("task_id", sa.String(32), primary_key=True),
    _unit(),
    _text("kind", 16),
    sa.Column("blind", sa.Boolean, nullable=False),
    sa.Column("coders_needed", sa.Integer, nullable=False),
    *_seen(),
    _text("area", 32),
    sa.Column("inclusion_probability", sa.Float),
    sa.Column("assigned", sa.Text, nullable=False),
    _at("created_at"),
)
TASK_IN_BATCH = sa.Table(
    "review_task_in_batch",
    METADATA,
    sa.Column("batch_id", sa.Integer, sa.ForeignKey("review_batch.id"), primary_key=True),
    _of_task(primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("effect", sa.Float),
)
LOCK = sa.Table(
    "review_lock",
    METADATA,
    _number(),
    _of_task(index=True),
    sa.Column("turn", sa.Integer, nullable=False),
    _text("user", 64),
    _text("action", 16),
    _at(),
    _at("expires_at"),
    # Two processes that chose the same task at once: the second one's row is refused.
    sa.UniqueConstraint("task_id", "turn"),
)
ANSWER = sa.Table(
    "review_answer",
    METADATA,
    _number(),
    _of_task(index=True),
    _text("user", 64),
    *_said(),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("seconds", sa.Integer),
    sa.Column("blind", sa.Boolean, nullable=False),
    *_seen(),
    _at(),
    sa.UniqueConstraint("task_id", "user"),
)
ADJUDICATION = sa.Table(
    "review_adjudication",
    METADATA,
    _number(),
    _of_task(unique=True),
    *_ruled(),
    sa.Column("reason", sa.Text, nullable=False),
    _at(),
)
GOLD = sa.Table(
    "gold_unit",
    METADATA,
    sa.Column("sample", sa.String(64), primary_key=True),
    sa.Column("unit_id", sa.String(64), primary_key=True),
    _text("task_id", 32),
    _text("group", 8),
    _text("stratum", 32),
    sa.Column("inclusion_probability", sa.Float, nullable=False),
    sa.Column("confidence", sa.Float),
    sa.Column("random", sa.Float, nullable=False),
    _text("ai_class", 16, nullable=True),
    sa.Column("p_ai", sa.Float),
    _text("bundle", 64),
    _text("text_hash", 64),
    _text("scope_hash", 64, nullable=True),
    _text("coder_1", 64),
    _text("coder_2", 64),
    _at("drawn_at"),
)
GOLD_LABEL = sa.Table(
    "gold_label",
    METADATA,
    _number(),
    _unit(),
    _text("text_hash", 64),
    *_ruled(),
    _at(),
)


def _append_only(table: sa.Table) -> None:
    refusal = f"{table.name} is append-only"
    for action in ("UPDATE", "DELETE"):
        trigger = sa.DDL(  # type: ignore[no-untyped-call]
            f"CREATE TRIGGER IF NOT EXISTS {table.name}_no_{action.lower()} BEFORE {action} ON {table.name} "
            f"BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
        )
        sa.event.listen(table, "after_create", trigger.execute_if(dialect="sqlite"))
    function = sa.DDL(  # type: ignore[no-untyped-call]
        f"CREATE OR REPLACE FUNCTION {table.name}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{refusal}'; END $$"
    )
    trigger = sa.DDL(  # type: ignore[no-untyped-call]
        f"CREATE TRIGGER {table.name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table.name} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table.name}_refuse()"
    )
    for statement in (function, trigger):
        sa.event.listen(table, "after_create", statement.execute_if(dialect="postgresql"))


for _table in METADATA.sorted_tables:
    _append_only(_table)
