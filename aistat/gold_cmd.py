"""``aistat gold``: the probability sample that judges the classifier."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from aistat.errors import UserError
from aistat.home import home

if TYPE_CHECKING:
    import polars as pl


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``gold`` to the command line."""
    parser = subparsers.add_parser(
        "gold", help="标准样本：抽取、进度、一致性、差错承诺 / gold: draw, status, agreement, promise"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("draw", help="抽取概率样本并分给两位编码人 / draw a sample, two coders each")
    draw.add_argument("name", help="样本名，如 2026Q1 / name of the sample")
    draw.add_argument("--coders", required=True, help="两人以上，逗号分隔 / two or more users, separated by commas")
    draw.add_argument("--user", required=True, help="抽取人 / who draws")
    draw.add_argument("--seed", type=int, default=20221101, help="same seed, same units as far as strata allow")
    draw.add_argument("--size", type=int, help="instead of the size in review.yaml")
    draw.set_defaults(func=draw_gold)
    for name, func, text in (
        ("status", show_status, "完成、待裁定、失效 / done, disputed, stale"),
        ("agreement", show_agreement, "两位编码人的一致性 / agreement of the two coders"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--sample", help="default: the newest")
        command.set_defaults(func=func)
    promise = commands.add_parser("promise", help="各类自动编码阈值 / auto-coding thresholds that gold supports")
    promise.add_argument("--error", type=float, help="至多的差错率 / promised error (default: review.yaml)")
    promise.add_argument("--confidence", type=float, help="default: review.yaml")
    promise.add_argument(
        "--looks", type=int, help="同一样本使用次数 / how often this gold is used for it (default: review.yaml)"
    )
    promise.add_argument("-o", "--output", type=Path, help="json")
    promise.set_defaults(func=show_promise)


def _units() -> "pl.DataFrame":
    from etl.evidence import units_of
    from warehouse.connect import run_lock
    from warehouse.write import WorkStore

    with run_lock(home()):
        try:
            return units_of(WorkStore(home()))
        except LookupError as error:
            raise UserError(f"{home()}: no codes yet ({error}); 'aistat run' first") from error


def _decisions() -> "pl.DataFrame":
    from etl.assets.process import CODE_UNIT
    from etl.promise import NEEDED
    from warehouse.connect import run_lock
    from warehouse.write import WorkStore

    with run_lock(home()):
        try:
            return WorkStore(home()).read(CODE_UNIT, NEEDED)
        except LookupError as error:
            raise UserError(f"{home()}: no codes yet ({error}); 'aistat run' first") from error


def draw_gold(args: argparse.Namespace) -> int:
    """Draw, assign, record; open the tasks at the desk."""
    from dataclasses import replace

    from aistat.review_cmd import reviewer
    from etl.evidence import gold_plan, write_evidence
    from taxonomy.classifier.gold import GoldError, assign_coders, draw_sample
    from warehouse.connect import run_lock
    from warehouse.review_journal import ReviewJournal
    from warehouse.review_rules import ReviewError

    journal = ReviewJournal(home())
    reviewer(journal, args.user)
    coders = [reviewer(journal, name.strip()).name for name in args.coders.split(",") if name.strip()]
    plan = gold_plan(args.seed)
    plan = plan if args.size is None else replace(plan, size=args.size)
    units = _units()
    try:
        sample = draw_sample(units, plan)
        pairs = assign_coders(sample.units["unit_id"].to_list(), coders, args.seed)
        rows = sample.units.join(pairs, on="unit_id").join(units.select("unit_id", "area"), on="unit_id")
        journal.record_gold(args.name, rows, args.user)
    except (GoldError, ReviewError) as error:
        raise UserError(str(error)) from error
    for row in sample.strata.iter_rows(named=True):
        print(f"{row['stratum']:<22}{row['population']:>10,} 单位 / units {row['drawn']:>6,} 抽取 / drawn")
    mark = "" if sample.reliable else "  不足，区间不可靠 / too few: intervals are unreliable"
    print(
        f"{rows.height:,} 个单位；判为非 AI 层的期望 AI 数 / expected AI among not-AI {sample.expected_core_in_none:.1f}{mark}"
    )
    if (batch := journal.current_batch()) is not None:
        with run_lock(home()):
            write_evidence(home(), batch, journal)
    return 0


def _gold(sample: str | None = None) -> "pl.DataFrame":
    from warehouse.review_journal import ReviewJournal
    from warehouse.review_results import gold_units

    gold = gold_units(ReviewJournal(home()), sample)
    if gold.height == 0:
        raise UserError(
            f"{home()}: no gold sample {sample or ''}; 'aistat gold draw NAME --coders A,B --user C' draws one"
        )
    return gold


def show_status(args: argparse.Namespace) -> int:
    """How far the sample is coded, and which of it is stale."""
    from datetime import date

    import polars as pl

    from etl.evidence import review_settings
    from taxonomy.classifier.gold import stale

    gold = _gold(args.sample)
    days = int(review_settings()["gold"]["max_age_days"])
    marked = stale(gold, date.today(), days, _units().select("unit_id", "text_hash"))
    print(f"{gold['sample'][0]}: {gold.height:,} 单位 / units, bundle {gold['bundle'][0]}")
    final = pl.col("codes").is_not_null()
    table = marked.group_by("group").agg(
        pl.len().alias("units"),
        final.sum().alias("final"),
        (pl.col("kind") == "undecidable").sum().alias("undecidable"),
        (final & pl.col("stale_reason").is_not_null()).sum().alias("stale"),
    )
    for row in table.sort("group").iter_rows(named=True):
        print(f"  {row['group']:<8}" + "  ".join(f"{k} {row[k]:,}" for k in ("units", "final", "undecidable", "stale")))
    for reason, count in (
        marked.drop_nulls("stale_reason")["stale_reason"].value_counts().sort("stale_reason").iter_rows()
    ):
        print(f"  失效 / stale: {reason} {count:,}")
    return 0


def show_agreement(args: argparse.Namespace) -> int:
    """Kappa and alpha by level, with 95 % intervals."""
    from warehouse.review_journal import ReviewJournal
    from warehouse.review_results import gold_agreement

    _gold(args.sample)
    for level in gold_agreement(ReviewJournal(home()), args.sample):
        kappa, alpha = level.kappa, level.alpha
        print(
            f"{level.level:<8} n {kappa.n:>5}  一致 / observed {kappa.observed:.3f}  "
            f"kappa {kappa.value:.3f} [{kappa.low:.3f}, {kappa.high:.3f}]  "
            f"alpha {alpha.value:.3f} [{alpha.low:.3f}, {alpha.high:.3f}]  不可比 / left out {level.left_out}"
        )
    return 0


def show_promise(args: argparse.Namespace) -> int:
    """Which class groups the machine may code alone from which confidence on; exit 0 even when it is none of them."""
    from dataclasses import replace
    from datetime import date

    from etl.coding import load_bundle
    from etl.promise import REASONS, PromiseRules, night_promise
    from taxonomy.classifier.promise import PromiseError

    gold, rules = _gold(), PromiseRules.load()
    asked = {"error": args.error, "confidence": args.confidence, "looks": args.looks}
    rules = replace(rules, **{k: v for k, v in asked.items() if v is not None})
    try:
        found = night_promise(_decisions(), gold, load_bundle(home() / "bundles"), date.today(), rules)
    except PromiseError as error:
        raise UserError(str(error)) from error
    if (promise := found.promise) is None:
        raise UserError(f"{found.sample}: " + " / ".join(REASONS[found.reason]))
    for g in promise.groups:
        bound = "—" if g.bound is None else f"{g.bound:.3f}"
        seen = "—" if g.observed_error is None else f"{g.observed_error:.3f}"
        at = "—" if g.threshold is None else f"{g.threshold:.3f}"
        print(
            f"{g.group:<6}{g.route:<8}阈值 / from {at:<7} n {g.n:>5} 差错 / errors {g.errors - g.unfinished:>4} 未定 / unfinished {g.unfinished:>4} 观察 / observed {seen} "
            f"上限 / bound {bound} 自动 / auto {g.share_auto:.1%}  {g.reason_zh} / {g.reason_en}"
        )
    if args.output:
        args.output.write_text(json.dumps(promise.to_dict(), ensure_ascii=False, indent=1), encoding="utf-8")
    return 0
