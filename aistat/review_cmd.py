"""``aistat review``: the queue of doubts, work offline, progress. Unit-level: for those who may see it."""

import argparse
import csv
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from aistat import reminders, unit_lists
from aistat.errors import CheckFailed, UserError
from aistat.home import home

if TYPE_CHECKING:
    from warehouse.access import User
    from warehouse.evidence import Doubt
    from warehouse.review_journal import ReviewJournal
    from warehouse.review_rules import Given, Task

BANNER = "复核任务含单位资料，不得外传 / review tasks are confidential unit data"
HEADER = [
    "task_id", "name", "business_scope", "main_products", "gbt_code", "suggestions", "text_hash", "bundle", "answer", "codes", "reason",
]  # fmt: skip
ANSWERS = {"": "", "编码": "code", "无法判定": "undecidable", "转交": "refer"}


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``review`` to the command line."""
    parser = subparsers.add_parser(
        "review", help="分类复核：队列、导出、导入、进度 / review: queue, export, import, status"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    queue = commands.add_parser("queue", help="当前队列 / the current queue")
    queue.add_argument("--limit", type=int, default=20)
    queue.add_argument(
        "--refresh", action="store_true", help="按当前编码重建队列与证据 / build queue and evidence anew"
    )
    queue.set_defaults(func=show_queue)
    export = commands.add_parser(
        "export", help="领取任务到文件（锁定数日）/ take tasks into a csv file, locked for days"
    )
    export.add_argument("--user", required=True)
    export.add_argument("--limit", type=int, default=50)
    export.add_argument("-o", "--output", type=Path, required=True)
    export.set_defaults(func=export_tasks)
    imported = commands.add_parser("import", help="导入填好的文件 / record the answers of a filled-in file")
    imported.add_argument("file", type=Path)
    imported.add_argument("--user", required=True)
    imported.add_argument(
        "--adjudicate", action="store_true", help="答复是裁定 / the answers are rulings on disputed tasks"
    )
    imported.set_defaults(func=import_answers)
    unit_lists.add_to(commands)
    reminders.add_to(commands)
    commands.add_parser("status", help="进度与编码人 / progress and coders").set_defaults(func=show_status)


def reviewer(journal: "ReviewJournal", name: str, permission: str = "review") -> "User":
    """The user, if they may review."""
    from warehouse.access import may
    from warehouse.review_rules import may_review

    user = journal.user(name)
    if user is None or not may_review(user) or not may(user, permission):
        raise UserError(
            f"{name}: not a user of a 统计 organisation with permission {permission!r}; "
            "'aistat user add NAME --role analyst --organisation 统计' makes one"
        )
    return user


def show_queue(args: argparse.Namespace) -> int:
    """The open tasks in order."""
    from warehouse.review_journal import ReviewJournal
    from warehouse.review_results import open_tasks

    journal = ReviewJournal(home())
    if args.refresh:
        _refresh(journal)
    tasks = open_tasks(journal)
    print(f"{journal.current_batch() or '无队列 / no queue'}: {tasks.height:,} 待答复 / open")
    for row in tasks.head(args.limit).iter_rows(named=True):
        marks = " ".join(m for m, on in (("盲评 blind", row["blind"]), (row["kind"], True)) if on)
        print(f"{row['position']:>5}  {row['task_id']}  {row['unit_id']:<20} {row['area']:<8} {marks}")
    return 0


def _refresh(journal: "ReviewJournal") -> None:
    from datetime import date

    from etl.classifier_quality import promise_of
    from etl.evidence import queue_plan, refresh_queue, write_evidence
    from warehouse.connect import run_lock
    from warehouse.release import current_id, show
    from warehouse.write import WorkStore

    release = current_id(home())
    if release is None:
        raise UserError(f"{home()}: nothing has been released yet; 'aistat run' first")
    with run_lock(home()):
        plan = queue_plan(date.fromisoformat(show(home(), release).vintage))
        refresh_queue(WorkStore(home()), journal, release, plan, promise_of(home(), release))
        write_evidence(home(), release, journal)


def export_tasks(args: argparse.Namespace) -> int:
    """Lock tasks to a user and write them to a file (mode 0600)."""
    from warehouse.catalogue import load_yaml
    from warehouse.evidence import EvidenceStore, evidence_folder
    from warehouse.review_journal import ReviewJournal

    journal = ReviewJournal(home())
    user = reviewer(journal, args.user)
    batch = journal.current_batch()
    if batch is None:
        raise UserError(f"{home()}: there is no queue yet; 'aistat run' makes one after a release")
    minutes = 24 * 60 * int(load_yaml("review")["offline_lock_days"])
    tasks = journal.take_many(user, args.limit, minutes)
    doubts = EvidenceStore(evidence_folder(home())).units(batch, [task.unit_id for task in tasks])
    rows = [_row(doubts.get(task.unit_id), task) for task in tasks]
    descriptor = os.open(args.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, HEADER)
        writer.writeheader()
        writer.writerows(rows)
    journal.append(user.name, "review_exported", {"tasks": len(rows)})
    print(f"{len(rows)} 件任务 / tasks → {args.output}\n{BANNER}")
    return 0


def _row(doubt: "Doubt | None", task: "Task") -> dict[str, str]:
    from warehouse.export.words import safe_text

    row = {"task_id": task.task_id, "text_hash": task.text_hash, "bundle": task.bundle}
    if doubt is None:
        return row
    suggestions = "" if task.blind else json.dumps([list(c) for c in doubt.candidates])
    texts = {k: safe_text(getattr(doubt, k)) for k in ("name", "business_scope", "main_products", "gbt_code")}
    return {**row, **texts, "suggestions": suggestions}


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = [{k: (v or "").strip() for k, v in row.items() if k} for row in reader]
            missing = {"task_id", "text_hash", "bundle", "answer", "codes", "reason"} - set(reader.fieldnames or ())
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8; save it as csv UTF-8") from error
    if missing:
        raise UserError(
            f"{path}: columns {', '.join(sorted(missing))} are missing; fill in a file of 'aistat review export'"
        )
    return rows


def _given(row: dict[str, str]) -> "Given":
    from warehouse.review_rules import Given, split_codes

    codes = tuple(dict.fromkeys(split_codes(row["codes"])))
    kind = ANSWERS.get(row["answer"], row["answer"])
    if kind in ("", "code"):
        kind = "set" if len(codes) > 1 else "code"
    return Given(row["task_id"], kind, codes, row["text_hash"], row["bundle"], row["reason"])


def import_answers(args: argparse.Namespace) -> int:
    """Record each filled-in row; refused rows are named with the reason (exit 1), the others stand."""
    from warehouse.review_journal import ReviewJournal
    from warehouse.review_rules import ReviewError

    journal = ReviewJournal(home())
    user = reviewer(journal, args.user, "adjudicate" if args.adjudicate else "review")
    done, refused = 0, []
    for line, row in enumerate(_read(args.file), 2):
        if not row["answer"] and not row["codes"]:
            continue
        given = _given(row)
        try:
            if args.adjudicate:
                journal.adjudicate(user, given.task_id, given.codes, given.reason)
            else:
                journal.answer(user, given, offline=True)
            done += 1
        except ReviewError as error:
            refused.append(f"  {line}: {row['task_id']}: {error}")
    print(f"{done} 条已记录 / recorded, {len(refused)} 条未记录 / refused")
    if refused:
        raise CheckFailed("\n".join([f"{args.file}: {len(refused)} rows were refused", *refused]))
    return 0


def show_status(_: argparse.Namespace) -> int:
    """Progress by kind of task, tasks waiting for a ruling, and each coder."""
    from warehouse.review_journal import ReviewJournal
    from warehouse.review_results import coders, labels, status

    journal = ReviewJournal(home())
    for row in status(journal).iter_rows(named=True):
        counts = "  ".join(f"{k} {row[k]:,}" for k in ("tasks", "open", "locked", "waiting", "settled"))
        print(f"{row['batch']:<24}{row['kind']:<8}{counts}")
    for waiting in journal.waiting():
        said = "; ".join(f"{a['user']}: {'、'.join(a['codes']) or a['kind']}" for a in waiting["answers"])
        print(f"待裁定 / to adjudicate  {waiting['task_id']}  {said}")
    for row in coders(journal).iter_rows(named=True):
        seeds = f"{row['seeds_right']}/{row['seeds']}" if row["seeds"] else "—"
        print(
            f"{row['user']:<16}{row['answers']:>5} 答复 / answers  中位 / median {row['median_seconds'] or 0:.0f} s  标准 / seeds {seeds}"
        )
    print(f"{labels(journal).height:,} 个已定编码 / settled labels")
    return 0
