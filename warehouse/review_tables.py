"""Tables of the review journal. Rows are only ever added: SQLite refuses updates and deletes by trigger, PostgreSQL by grants."""

import sqlalchemy as sa

METADATA = sa.MetaData()

BATCH = sa.Table(
    "review_batch",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(64), nullable=False),
    # A queue batch replaces the queue batch before it; gold batches likewise among themselves.
    sa.Column("line", sa.String(16), nullable=False),
    sa.Column("opened_at", sa.String(32), nullable=False),
)
TASK = sa.Table(
    "review_task",
    METADATA,
    sa.Column("task_id", sa.String(32), primary_key=True),
    sa.Column("unit_id", sa.String(64), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("blind", sa.Boolean, nullable=False),
    sa.Column("coders_needed", sa.Integer, nullable=False),
    sa.Column("text_hash", sa.String(64), nullable=False),
    sa.Column("bundle", sa.String(64), nullable=False),
    sa.Column("area", sa.String(32), nullable=False),
    sa.Column("inclusion_probability", sa.Float),
    sa.Column("assigned", sa.Text, nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
)
TASK_IN_BATCH = sa.Table(
    "review_task_in_batch",
    METADATA,
    sa.Column("batch_id", sa.Integer, sa.ForeignKey("review_batch.id"), primary_key=True),
    sa.Column("task_id", sa.String(32), sa.ForeignKey("review_task.task_id"), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("effect", sa.Float),
)
LOCK = sa.Table(
    "review_lock",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("task_id", sa.String(32), sa.ForeignKey("review_task.task_id"), nullable=False, index=True),
    sa.Column("turn", sa.Integer, nullable=False),
    sa.Column("user", sa.String(64), nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("expires_at", sa.String(32), nullable=False),
    # Two processes that chose the same task at once: the second one's row is refused.
    sa.UniqueConstraint("task_id", "turn"),
)
ANSWER = sa.Table(
    "review_answer",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("task_id", sa.String(32), sa.ForeignKey("review_task.task_id"), nullable=False, index=True),
    sa.Column("user", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("codes", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("seconds", sa.Integer),
    sa.Column("blind", sa.Boolean, nullable=False),
    sa.Column("text_hash", sa.String(64), nullable=False),
    sa.Column("bundle", sa.String(64), nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.UniqueConstraint("task_id", "user"),
)
ADJUDICATION = sa.Table(
    "review_adjudication",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("task_id", sa.String(32), sa.ForeignKey("review_task.task_id"), nullable=False, unique=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("codes", sa.Text, nullable=False),
    sa.Column("rule", sa.String(16), nullable=False),
    sa.Column("user", sa.String(64), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
)
GOLD = sa.Table(
    "gold_unit",
    METADATA,
    sa.Column("sample", sa.String(64), primary_key=True),
    sa.Column("unit_id", sa.String(64), primary_key=True),
    sa.Column("task_id", sa.String(32), nullable=False),
    sa.Column("group", sa.String(8), nullable=False),
    sa.Column("stratum", sa.String(32), nullable=False),
    sa.Column("inclusion_probability", sa.Float, nullable=False),
    sa.Column("confidence", sa.Float),
    sa.Column("random", sa.Float, nullable=False),
    sa.Column("ai_class", sa.String(16)),
    sa.Column("p_ai", sa.Float),
    sa.Column("bundle", sa.String(64), nullable=False),
    sa.Column("text_hash", sa.String(64), nullable=False),
    sa.Column("scope_hash", sa.String(64)),
    sa.Column("coder_1", sa.String(64), nullable=False),
    sa.Column("coder_2", sa.String(64), nullable=False),
    sa.Column("drawn_at", sa.String(32), nullable=False),
)
GOLD_LABEL = sa.Table(
    "gold_label",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("unit_id", sa.String(64), nullable=False, index=True),
    sa.Column("text_hash", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("codes", sa.Text, nullable=False),
    sa.Column("rule", sa.String(16), nullable=False),
    sa.Column("user", sa.String(64), nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
)


def _append_only(table: sa.Table) -> None:
    for action in ("UPDATE", "DELETE"):
        trigger = sa.DDL(  # type: ignore[no-untyped-call]
            f"CREATE TRIGGER IF NOT EXISTS {table.name}_no_{action.lower()} BEFORE {action} ON {table.name} "
            f"BEGIN SELECT RAISE(ABORT, '{table.name} is append-only'); END"
        )
        sa.event.listen(table, "after_create", trigger.execute_if(dialect="sqlite"))


for _table in METADATA.sorted_tables:
    _append_only(_table)
