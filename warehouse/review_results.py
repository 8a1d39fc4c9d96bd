"""What comes back from review (复核结果): labels as a source, gold with its truth, agreement, progress, how well coders code."""

import json
from typing import Any

import polars as pl
import sqlalchemy as sa

from taxonomy.classifier.agreement import LevelAgreement, agreement_by_level
from taxonomy.classifier.gold import is_right, match
from warehouse.review_journal import ReviewJournal
from warehouse.review_queries import live_locks
from warehouse.review_rules import now_utc
from warehouse.review_tables import ADJUDICATION, ANSWER, BATCH, GOLD, GOLD_LABEL, LOCK, TASK, TASK_IN_BATCH

CODES = pl.List(pl.String)
DOUBTS = ("effect", "random")
"""Kinds of task that ask about a doubt; the others are about gold."""


def _frame(journal: ReviewJournal, query: sa.Select[Any], schema: dict[str, Any]) -> pl.DataFrame:
    rows = journal.select(query)
    for row in rows:
        for name in row:
            if name.startswith("codes"):
                row[name] = json.loads(row[name])
    return pl.DataFrame(rows, schema=schema)


def decisions(journal: ReviewJournal) -> pl.DataFrame:
    """Newest settled decision of each unit: ``unit_id, kind, codes, text_hash, decided_at, is_gold``, sorted by unit.

    ``codes`` is empty for 无法判定 and may be a set. ``is_gold``: the unit was ever drawn for gold, whatever was answered.
    """
    drawn = TASK.c.unit_id.in_(sa.select(GOLD.c.unit_id))
    query = (
        sa.select(TASK.c.unit_id, ADJUDICATION.c.kind, ADJUDICATION.c.codes, TASK.c.text_hash,
                  ADJUDICATION.c.at.label("decided_at"), sa.or_(drawn, TASK.c.kind.not_in(DOUBTS)).label("is_gold"))
        .join(TASK, TASK.c.task_id == ADJUDICATION.c.task_id)
        .order_by(TASK.c.unit_id, ADJUDICATION.c.id)
    )  # fmt: skip
    schema = {"unit_id": pl.String, "kind": pl.String, "codes": CODES, "text_hash": pl.String, "decided_at": pl.String,
              "is_gold": pl.Boolean}  # fmt: skip
    return _frame(journal, query, schema).unique("unit_id", keep="last", maintain_order=True)


def labels(journal: ReviewJournal) -> pl.DataFrame:
    """Settled review labels for locks and training: ``unit_id, code, text_hash, decided_at``, sorted by unit.

    One row a unit, its newest decision with exactly one code; a later 无法判定 or set takes the unit out again. Units ever
    drawn for gold are not among them, whatever was answered: gold judges the model and never trains or locks it.
    """
    newest = decisions(journal).filter(~pl.col("is_gold"))
    single = newest.filter(pl.col("codes").list.len() == 1).with_columns(code=pl.col("codes").list.first())
    return single.select("unit_id", "code", "text_hash", "decided_at")


def gold_texts(journal: ReviewJournal) -> pl.DataFrame:
    """Every unit ever drawn for gold with the hashes of its texts then: ``unit_id, text_hash, scope_hash``, sorted."""
    columns = (GOLD.c.unit_id, GOLD.c.text_hash, GOLD.c.scope_hash)
    query = sa.select(*columns).distinct().order_by(*columns)
    return _frame(journal, query, {c.name: pl.String for c in columns})


def settled_units(journal: ReviewJournal) -> pl.DataFrame:
    """Units with a settled decision of any kind, with the text it was about: ``unit_id, text_hash``."""
    query = (
        sa.select(TASK.c.unit_id, TASK.c.text_hash)
        .join(ADJUDICATION, ADJUDICATION.c.task_id == TASK.c.task_id)
        .where(TASK.c.kind.in_(DOUBTS))
        .distinct()
        .order_by(TASK.c.unit_id)
    )
    return _frame(journal, query, {"unit_id": pl.String, "text_hash": pl.String})


def newest_sample(journal: ReviewJournal) -> str | None:
    """Name of the gold sample drawn last."""
    query = sa.select(GOLD.c.sample).order_by(GOLD.c.drawn_at.desc(), GOLD.c.sample.desc()).limit(1)
    found = journal.select(query)
    return str(found[0]["sample"]) if found else None


def gold_units(journal: ReviewJournal, sample: str | None = None) -> pl.DataFrame:
    """Units of a gold sample (default: the newest) with their final label, sorted by unit.

    Columns of ``gold_unit``, then ``kind`` and ``codes`` (null while not final; empty codes: 无法判定), ``rule``, ``decided_at``,
    and what the two blind coders said themselves, ``codes_1`` and ``codes_2`` (null: not answered, or referred).
    """
    sample = sample or newest_sample(journal)
    own = _own_answer("1"), _own_answer("2")
    newest = sa.select(GOLD_LABEL.c.unit_id, sa.func.max(GOLD_LABEL.c.id).label("id")).group_by(GOLD_LABEL.c.unit_id)
    last = newest.subquery()
    label = (
        sa.select(GOLD_LABEL.c.unit_id, GOLD_LABEL.c.text_hash, GOLD_LABEL.c.kind, GOLD_LABEL.c.codes, GOLD_LABEL.c.rule,
                  GOLD_LABEL.c.at)
        .join(last, last.c.id == GOLD_LABEL.c.id)
        .subquery()
    )  # fmt: skip
    same = sa.and_(label.c.unit_id == GOLD.c.unit_id, label.c.text_hash == GOLD.c.text_hash)
    query = (
        sa.select(GOLD, label.c.kind, sa.func.coalesce(label.c.codes, "null").label("codes"), label.c.rule,
                  label.c.at.label("decided_at"), *(sa.func.coalesce(a.c.codes, "null").label(a.name) for a in own))
        .outerjoin(label, same)
        .outerjoin(own[0], sa.and_(own[0].c.task_id == GOLD.c.task_id, own[0].c.user == GOLD.c.coder_1))
        .outerjoin(own[1], sa.and_(own[1].c.task_id == GOLD.c.task_id, own[1].c.user == GOLD.c.coder_2))
        .where(GOLD.c.sample == sample)
        .order_by(GOLD.c.unit_id)
    )  # fmt: skip
    floats = {"inclusion_probability", "confidence", "random", "p_ai"}
    schema = {c.name: pl.Float64 if c.name in floats else pl.String for c in GOLD.columns}
    labelled = {"kind": pl.String, "codes": CODES, "rule": pl.String, "decided_at": pl.String}
    return _frame(journal, query, {**schema, **labelled, "codes_1": CODES, "codes_2": CODES})


def _own_answer(number: str) -> sa.Subquery:
    """Answers that say something (a code, a set, 无法判定); a referral says nothing."""
    query = sa.select(ANSWER.c.task_id, ANSWER.c.user, ANSWER.c.codes).where(ANSWER.c.kind != "refer")
    return query.subquery(f"codes_{number}")


def promise_input(gold: pl.DataFrame) -> pl.DataFrame:
    """Gold as :func:`taxonomy.classifier.promise.choose_thresholds` wants it: ``group, stratum, confidence, correct, random``.

    ``correct`` is null while a unit has no final label; 无法判定 is wrong: nobody could have coded it.
    """
    right = [
        None if codes is None else is_right(shown, codes)
        for shown, codes in zip(gold["ai_class"], gold["codes"].to_list(), strict=True)
    ]
    coded = gold.with_columns(correct=pl.Series(right, dtype=pl.Boolean))
    return coded.select("group", "stratum", "confidence", "correct", "random")


def gold_agreement(journal: ReviewJournal, sample: str | None = None) -> tuple[LevelAgreement, ...]:
    """Kappa and alpha of the two blind coders at branch, class and leaf, over units both have answered."""
    both = gold_units(journal, sample).drop_nulls(["codes_1", "codes_2"])
    return agreement_by_level(both["codes_1"].to_list(), both["codes_2"].to_list())


def status(journal: ReviewJournal) -> pl.DataFrame:
    """Progress of the current queue and gold batch by kind of task: ``batch, kind, tasks, open, locked, waiting, settled``."""
    answers = (
        sa.select(ANSWER.c.task_id, sa.func.count().label("answers")).group_by(ANSWER.c.task_id).subquery("answers")
    )
    newest = sa.select(sa.func.max(BATCH.c.id)).group_by(BATCH.c.line)
    live = live_locks(now_utc())
    locks = sa.select(sa.func.count()).select_from(live).where(live.c.task_id == TASK.c.task_id).scalar_subquery()
    query = (
        sa.select(BATCH.c.name.label("batch"), TASK.c.kind, TASK.c.coders_needed,
                  sa.func.coalesce(answers.c.answers, 0).label("answers"), locks.label("locks"),
                  ADJUDICATION.c.rule.label("rule"))
        .join(TASK_IN_BATCH, TASK_IN_BATCH.c.batch_id == BATCH.c.id)
        .join(TASK, TASK.c.task_id == TASK_IN_BATCH.c.task_id)
        .outerjoin(answers, answers.c.task_id == TASK.c.task_id)
        .outerjoin(ADJUDICATION, ADJUDICATION.c.task_id == TASK.c.task_id)
        .where(BATCH.c.id.in_(newest))
    )  # fmt: skip
    schema = {"batch": pl.String, "kind": pl.String, "coders_needed": pl.Int64, "answers": pl.Int64, "locks": pl.Int64,
              "rule": pl.String}  # fmt: skip
    rows = _frame(journal, query, schema)
    done = pl.col("answers") >= pl.col("coders_needed")
    return (
        rows.group_by("batch", "kind")
        .agg(
            pl.len().alias("tasks"),
            (~done).sum().alias("open"),
            (pl.col("locks") > 0).sum().alias("locked"),
            (done & pl.col("rule").is_null()).sum().alias("waiting"),
            pl.col("rule").is_not_null().sum().alias("settled"),
        )
        .sort("batch", "kind")
    )


def coders(journal: ReviewJournal) -> pl.DataFrame:
    """Each coder: ``user, answers, median_seconds, undecided, seeds, seeds_right``.

    A seed is right when the answer shares a code with the gold truth; it says how well the coder codes, in confidence.
    """
    query = sa.select(
        ANSWER.c.user, ANSWER.c.codes, ANSWER.c.kind, ANSWER.c.seconds, TASK.c.unit_id, TASK.c.kind.label("task_kind")
    ).join(TASK, TASK.c.task_id == ANSWER.c.task_id)
    schema = {"user": pl.String, "codes": CODES, "kind": pl.String, "seconds": pl.Int64, "unit_id": pl.String,
              "task_kind": pl.String}  # fmt: skip
    answers = _frame(journal, query.order_by(ANSWER.c.id), schema)
    label = sa.select(GOLD_LABEL.c.unit_id, GOLD_LABEL.c.codes).order_by(GOLD_LABEL.c.id)
    truth = dict(_frame(journal, label, {"unit_id": pl.String, "codes": CODES}).iter_rows())
    hit = [
        bool(said and truth.get(unit) and match(truth[unit], said).hit) if kind == "seed" else None
        for said, unit, kind in answers.select("codes", "unit_id", "task_kind").iter_rows()
    ]
    return (
        answers.with_columns(hit=pl.Series(hit, dtype=pl.Boolean))
        .group_by("user")
        .agg(
            pl.len().alias("answers"),
            pl.col("seconds").median().alias("median_seconds"),
            (pl.col("kind") == "undecidable").sum().alias("undecided"),
            pl.col("hit").count().alias("seeds"),
            pl.col("hit").sum().alias("seeds_right"),
        )
        .sort("user")
    )


def open_tasks(journal: ReviewJournal) -> pl.DataFrame:
    """Tasks of the current batches not yet answered by all their coders, in order: what an offline export holds."""
    answers = sa.select(sa.func.count()).select_from(ANSWER).where(ANSWER.c.task_id == TASK.c.task_id).scalar_subquery()
    query = journal.current_tasks().where(answers < TASK.c.coders_needed).order_by(TASK_IN_BATCH.c.position)
    rows = journal.select(query)
    schema = {"task_id": pl.String, "unit_id": pl.String, "kind": pl.String, "blind": pl.Boolean, "coders_needed": pl.Int64,
              "text_hash": pl.String, "bundle": pl.String, "area": pl.String, "position": pl.Int64}  # fmt: skip
    return pl.DataFrame([{k: r[k] for k in schema} for r in rows], schema=schema)


def locks_of(journal: ReviewJournal, task_id: str) -> list[dict[str, str]]:
    """The lock history of a task, oldest first."""
    query = sa.select(LOCK.c.user, LOCK.c.action, LOCK.c.at, LOCK.c.expires_at).where(LOCK.c.task_id == task_id)
    return journal.select(query.order_by(LOCK.c.id))
