"""Labels for ``aistat model train``: from files, from the review journal, or both; gold is refused, only counts are said."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from aistat.errors import CheckFailed, UserError
from aistat.home import home

if TYPE_CHECKING:
    import polars as pl

    from etl.labels import ReviewLabels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``model train`` that say where labels come from."""
    parser.add_argument(
        "--journal",
        action="store_true",
        help="用复核日志中已定的编码训练（标准样本除外） / settled review answers, gold left out",
    )
    parser.add_argument("--user", help="与 --journal 同用：训练人，须为统计机构复核用户 / who trains, with --journal")
    parser.add_argument(
        "--reviews", type=Path, help="复核结果 unit_id, code（文字可由名录补齐） / settled review answers"
    )
    parser.add_argument("--labels", type=Path, help="已标注文本 name, business_scope, code / labelled texts")
    parser.add_argument(
        "--gold", type=Path, help="金标准样本：其中单位不得进入训练 / refuse these units as training texts"
    )


def gather(args: argparse.Namespace) -> "pl.DataFrame | None":
    """All labels the arguments ask for; None without any. A unit the journal has settled is not taken from a file again."""
    import polars as pl

    from aistat.model_cmd import training_labels

    files = training_labels(args.reviews, args.labels, args.gold)
    if files is not None:
        _refuse_journal_gold(files)
    if not args.journal:
        return files
    settled = from_journal(args.user)
    for line in told(settled):
        print(line)
    if files is None:
        if settled.rows.height == 0:
            raise UserError(
                f"{home()}: no settled review answer can be trained on (counts above); review more units, or give --labels FILE"
            )
        return settled.rows
    known = pl.col("unit_id").is_in(settled.rows["unit_id"].to_list()).fill_null(False)
    return pl.concat([settled.rows, files.filter(~known)])


def from_journal(user: str | None) -> "ReviewLabels":
    """Labels of the review journal, read by somebody who may review; recorded in the audit log as counts.

    Raises
    ------
    UserError
        If no user is named, the user may not review, or there is no register to take the texts from.
    """
    from aistat.review_cmd import reviewer
    from etl.labels import register_texts, review_labels
    from warehouse.connect import StoreBusy, run_lock
    from warehouse.review_journal import ReviewJournal
    from warehouse.review_results import decisions, gold_texts
    from warehouse.write import WorkStore

    if not user:
        raise UserError("--journal reads the texts of units; name who trains: --user NAME (a reviewer of 统计)")
    journal = ReviewJournal(home())
    name = reviewer(journal, user).name
    settled = decisions(journal)
    try:
        with run_lock(home()):
            texts = register_texts(WorkStore(home()), settled["unit_id"].to_list())
    except (LookupError, StoreBusy) as error:
        raise UserError(f"{home()}: the texts of the register cannot be read: {error}") from error
    found = review_labels(settled, gold_texts(journal), texts)
    journal.append(name, "labels_read", {"used": found.rows.height, "left_out": dict(found.left_out)})
    return found


def told(found: "ReviewLabels") -> list[str]:
    """What was used and what not, as counts."""
    from etl.labels import LEFT_OUT
    from taxonomy.classifier.unit import side_of

    sides = [side_of(code) for code in found.rows["ai_class"]]
    core, related, none = (sides.count(side) for side in ("ai", "related", "none"))
    total = found.rows.height + sum(found.left_out.values())
    lines = [
        f"复核日志 / review journal: {total:,} 个已定单位 / settled units, 采用 / used {found.rows.height:,} "
        f"(核心 / core {core:,}, 相关 / related {related:,}, 非AI / none {none:,})"
    ]
    for name, count in found.left_out.items():
        if count:
            zh, en = LEFT_OUT[name]
            lines.append(f"  未用 / left out {count:,}: {zh} / {en}")
    return lines


def refuse_gold_file(rows: "pl.DataFrame", path: Path) -> None:
    """Refuse training rows that are units of a gold file or carry their text (:class:`CheckFailed`)."""
    import polars as pl

    from aistat.model_cmd import read_table
    from taxonomy.classifier.gold import with_text_hashes

    kept = read_table(path, ("unit_id",))
    gold = with_text_hashes(kept)
    # A file without texts hashes to nothing; only its units can be told then.
    has_text = pl.any_horizontal(pl.lit(False), *(pl.col(c).fill_null("") != "" for c in _texts(kept)))
    _refuse(rows, gold.with_columns(pl.when(has_text).then("text_hash").alias("text_hash")))


def _texts(frame: "pl.DataFrame") -> list[str]:
    return [c for c in ("name", "business_scope", "main_products") if c in frame.columns]


def _refuse_journal_gold(rows: "pl.DataFrame") -> None:
    from warehouse.review_journal import ReviewJournal
    from warehouse.review_results import gold_texts

    _refuse(rows, gold_texts(ReviewJournal(home())))


def _refuse(rows: "pl.DataFrame", gold: "pl.DataFrame") -> None:
    from taxonomy.classifier.gold import LeakageError
    from taxonomy.classifier.leakage import refuse_gold

    try:
        refuse_gold(rows, gold)
    except LeakageError as error:
        raise CheckFailed(str(error)) from error
