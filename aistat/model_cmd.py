"""``aistat model``: train a bundle, judge a run, promote, go back, replay a past decision bit for bit."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aistat.calibration import calibrated_bundle
from aistat.errors import CheckFailed, UserError
from aistat.home import home
from aistat.training_labels import add_arguments, gather, refuse_gold_file

if TYPE_CHECKING:
    import polars as pl

TEXTS = ("name", "business_scope", "main_products", "gbt_code")
INPUT = ("unit_id", *TEXTS)
FILING = "filing_text"
NUMBERS = ("p_ai", "probability", "inclusion_probability")
SHOWN_DIFFERENCES = 10


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``model`` to the command line."""
    parser = subparsers.add_parser("model", help="分类模型包 / classifier bundles")
    commands = parser.add_subparsers(dest="command", required=True)
    train_ = commands.add_parser(
        "train", help="训练并保存模型包（不启用） / train and store a bundle; promote it apart"
    )
    add_arguments(train_)
    train_.set_defaults(func=train)
    commands.add_parser("list", help="模型包列表 / bundles there are").set_defaults(func=list_all)
    judged = commands.add_parser("evaluate", help="质量报告 / quality report of a run against a gold sample")
    judged.add_argument(
        "--gold", type=Path, help="unit_id, stratum, inclusion_probability, codes; 不给则只报不需金标准的指标"
    )
    judged.add_argument(
        "--decisions", type=Path, required=True, help="aistat classify 的输出（全部单位） / the whole frame"
    )
    judged.add_argument("--promise", type=float, help="承诺差错率，如 0.05 / promised error of what is coded")
    judged.add_argument("--as-of", default="", help="YYYY-MM-DD：用于标签年龄 / date the age of labels is told at")
    judged.add_argument("-o", "--output", type=Path, required=True, help="report.json")
    judged.set_defaults(func=evaluate)
    promoted = commands.add_parser("promote", help="启用一个模型包 / use a bundle from the next run on")
    promoted.add_argument("hash")
    promoted.set_defaults(func=promote)
    commands.add_parser("rollback", help="退回上一个模型包 / go back to the bundle before").set_defaults(func=rollback)
    again = commands.add_parser("replay", help="重放并逐位核对 / code rows again and compare bit for bit")
    again.add_argument("--decisions", type=Path, required=True, help="earlier output of 'aistat classify'")
    again.add_argument("--bundle", required=True, metavar="HASH")
    again.add_argument("--input", type=Path, help="被编码的输入（缺省：决策文件自身或名录） / the rows that were coded")
    again.set_defaults(func=replay)


# --- files -------------------------------------------------------------------------------------------------------


def read_table(path: Path, needed: tuple[str, ...] = ()) -> "pl.DataFrame":
    """A csv (UTF-8 or GB18030), xlsx or parquet file; csv and xlsx cells as text, figures of decisions and gold as numbers.

    Raises
    ------
    UserError
        If the file is not there, not readable, or lacks a needed column.
    """
    import polars as pl

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        if path.suffix.lower() == ".parquet":
            frame = pl.read_parquet(path)
        elif path.suffix.lower() == ".xlsx":
            frame = pl.read_excel(path, infer_schema_length=0)
        else:
            frame = _read_csv(path)
        numbers = [c for c in NUMBERS if c in frame.columns]
        frame = frame.with_columns(pl.col(numbers).cast(pl.Float64)) if numbers else frame
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as csv, xlsx or parquet: {str(error).splitlines()[0]}") from error
    missing = [c for c in needed if c not in frame.columns]
    if missing:
        raise UserError(f"{path}: columns {', '.join(missing)} are missing; found {', '.join(frame.columns)}")
    return frame


def _read_csv(path: Path) -> "pl.DataFrame":
    import polars as pl

    raw = path.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return pl.read_csv(raw.decode(encoding).encode(), infer_schema=False)
        except UnicodeDecodeError:
            continue
    raise ValueError("neither UTF-8 nor GB18030")


def _folder() -> Path:
    return home() / "bundles"


def _register_texts() -> "pl.DataFrame | None":
    """Texts of the register in the work store, if this installation has one."""
    from etl.assets.collect import table_name
    from etl.assets.register import REGISTER_CURRENT
    from etl.coding import coding_input
    from etl.filing_text import filing_texts
    from warehouse.write import WorkStore

    if not (home() / "work.duckdb").is_file():
        return None
    work = WorkStore(home())
    if not work.exists(REGISTER_CURRENT):
        return None
    listed = table_name("algorithm_filings")
    filings = filing_texts(work.read(listed)) if work.exists(listed) else None
    return coding_input(work.read(REGISTER_CURRENT), filings=filings)


# --- train -----------------------------------------------------------------------------------------------------


def _with_texts(frame: "pl.DataFrame", path: Path) -> "pl.DataFrame":
    """Rows with the columns the classifier reads; from the register where the file itself holds no texts."""
    import polars as pl

    if "business_scope" not in frame.columns:
        register_ = _register_texts()
        if register_ is None or "unit_id" not in frame.columns:
            raise UserError(
                f"{path}: no texts (name, business_scope) and no register to take them from by unit_id; "
                "add the columns, or run in the AISTAT_HOME of the installation"
            )
        kept = frame.drop([c for c in (*TEXTS, FILING) if c in frame.columns])
        found = kept.join(register_.select(*INPUT, FILING), on="unit_id", how="inner")
        if found.height < frame.height:
            print(f"{path}: {frame.height - found.height:,} 个单位不在名录 / units are not in the register: left out")
        frame = found
    absent = [pl.lit(None, pl.String).alias(c) for c in (*INPUT, FILING) if c not in frame.columns]
    return frame.with_columns(absent)


def training_labels(reviews: Path | None, labels: Path | None, gold: Path | None) -> "pl.DataFrame | None":
    """Labels for training: ``unit_id, name, business_scope, main_products, gbt_code, ai_class``; None without any.

    The code stands in a column ``code`` or ``ai_class``; rows without one are answers without a label and left out.

    Raises
    ------
    UserError
        If a file cannot be used.
    CheckFailed
        If a gold unit, or another unit with a gold unit's very scope, stands among them.
    """
    import polars as pl

    parts = []
    for path in (p for p in (reviews, labels) if p is not None):
        frame = read_table(path)
        frame = (
            frame.rename({"code": "ai_class"}) if "ai_class" not in frame.columns and "code" in frame.columns else frame
        )
        if "ai_class" not in frame.columns:
            raise UserError(f"{path}: no column code (or ai_class); found {', '.join(frame.columns)}")
        frame = _with_texts(frame, path).filter(pl.col("ai_class").fill_null("") != "")
        parts.append(frame.select(pl.col(c).cast(pl.String) for c in (*INPUT, "ai_class")))
    if not parts:
        return None
    rows = pl.concat(parts)
    if gold is not None:
        refuse_gold_file(rows, gold)
    return rows


def train(args: argparse.Namespace) -> int:
    """Train from the taxonomy's files and, if given, labels; the bundle is stored, not used before it is promoted."""
    from taxonomy.classifier.bundle import BundleError, build_bundle
    from taxonomy.classifier.store import save

    labels = gather(args)
    try:
        built = build_bundle(labels)
    except BundleError as error:
        raise UserError(f"these labels cannot be trained on: {error}") from error
    built, said = calibrated_bundle(built, labels)
    count = 0 if labels is None else labels.height
    folder = save(built, _folder(), f"{count} labels")
    print(f"{built.hash}  {count:,} 条标注 / labels → {folder}; 启用 / use it: aistat model promote {built.hash}{said}")
    return 0


def list_all(_: argparse.Namespace) -> int:
    """Bundles of this installation, newest first, the one in use marked."""
    from taxonomy.classifier.store import list_bundles

    found = list_bundles(_folder())
    for info in found:
        training = json.dumps(dict(info.training), ensure_ascii=False, sort_keys=True) if info.training else ""
        mark = "*" if info.is_current else " "
        print(f"{mark} {info.hash}  {info.created_at}  algorithm {info.algorithm}  {info.note}  {training}".rstrip())
    if not any(info.is_current for info in found):
        print("未指定：使用已安装分类目录的模型包 / none promoted: the bundle of the installed taxonomy decides")
    return 0


def _audit(action: str, detail: dict[str, object]) -> None:
    from warehouse.journal import Journal

    Journal(home()).append("command line", action, detail)


def promote(args: argparse.Namespace) -> int:
    """Use a stored bundle from the next run on; recorded in the audit log."""
    from taxonomy.classifier import store
    from taxonomy.classifier.bundle import BundleError

    folder = _folder()
    _check_name(args.hash)
    try:
        if not any(info.is_current for info in store.list_bundles(folder)):
            # What decided until now had no pointer; with one, a rollback can lead back to it.
            store.promote(folder, store.ensure_bundle(folder).hash)
        store.promote(folder, args.hash)
    except BundleError as error:
        raise UserError(f"{error}; 'aistat model list' shows the bundles") from error
    _audit("model_promoted", {"bundle": args.hash})
    print(f"启用 / in use: {args.hash}（下次 aistat run 起 / from the next 'aistat run' on）")
    return 0


def _check_name(name: str) -> None:
    if not (_folder() / name / "bundle.json").is_file() or "/" in name or name.startswith("."):
        raise UserError(f"no bundle {name!r} in {_folder()}; 'aistat model list' shows those there are")


def rollback(_: argparse.Namespace) -> int:
    """Use the bundle that was in use before; recorded in the audit log."""
    from taxonomy.classifier import store
    from taxonomy.classifier.bundle import BundleError

    try:
        name = store.rollback(_folder())
    except BundleError as error:
        raise UserError(str(error)) from error
    _audit("model_rolled_back", {"bundle": name})
    print(f"启用 / in use: {name}")
    return 0


# --- judge -----------------------------------------------------------------------------------------------------


def evaluate(args: argparse.Namespace) -> int:
    """Write the quality report; exit 1 when a promised error is broken."""
    from taxonomy.classifier.evaluate import RunFacts
    from taxonomy.classifier.evaluate import evaluate as judge_run
    from taxonomy.classifier.judged import JudgeError

    if args.promise is not None and not 0.0 < args.promise < 1.0:
        raise UserError(f"--promise {args.promise} is not a share between 0 and 1, for example 0.05")
    promise = None if args.promise is None else {"all": args.promise}
    try:
        facts = RunFacts(as_of=args.as_of, is_synthetic=(home() / "demo.json").exists(), promise=promise)
        gold = None if args.gold is None else read_table(args.gold)
        report = judge_run(read_table(args.decisions), gold, facts)
    except (JudgeError, ValueError) as error:
        raise UserError(str(error)) from error
    body = report.as_dict()
    args.output.write_text(json.dumps(body, ensure_ascii=False, indent=1, allow_nan=False), encoding="utf-8")
    for line in _summary(body):
        print(line)
    broken = [row["group"] for row in body["accuracy"]["promise"] if row["state"] == "broken"]
    if broken:
        raise CheckFailed(f"the error promise is broken for {', '.join(broken)}; see accuracy.promise in {args.output}")
    return 0


def _summary(body: dict[str, Any]) -> list[str]:
    cost, part = body["cost_effectiveness"], body["accuracy"]
    lines = [
        f"{body['units']:,} 单位 / units, {body['gold']['judged']:,} 金标准 / gold, 模型包 / bundle {', '.join(body['bundle'])}",
        f"自动编码 / coded automatically {cost['automated_share']:.1%}",
    ]
    wanted = {("ai", 1, "all"), ("branch", 1, "all"), ("leaf", 1, "all"), ("leaf", 1, "coded"), ("leaf", 5, "all")}
    for row in part["by_level"]:
        m = row["accuracy"]
        if (row["level"], row["top"], row["scope"]) in wanted and m["value"] is not None:
            lines.append(
                f"准确率 / accuracy {row['level']} top-{row['top']} {row['scope']}: "
                f"{m['value']:.1%} [{m['low']:.1%}, {m['high']:.1%}], n={m['n']}"
            )
    if not body["gold"]["judged"]:
        lines.append("没有金标准样本，准确率不能给出 / no gold sample: accuracy cannot be given")
    return lines


# --- replay ----------------------------------------------------------------------------------------------------


def _coded_again(rows: "pl.DataFrame", bundle: Any) -> "pl.DataFrame":
    import polars as pl
    import pyarrow as pa

    from taxonomy.classifier.batch import OUTPUT, code_batch

    parts = []
    for slice_ in rows.select(*INPUT, "locked_class", FILING).iter_slices(50_000):
        for batch in slice_.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks().to_batches():
            parts.append(pl.from_arrow(pa.Table.from_batches([code_batch(batch, bundle)])))
    return pl.concat(parts) if parts else pl.DataFrame(schema=OUTPUT)


def differences(before: "pl.DataFrame", again: "pl.DataFrame") -> "pl.DataFrame":
    """Cells that are not the same bit for bit: ``unit_id, column, before, again``, in the order of units.

    Columns of the classifier's output that ``before`` has are compared; a missing text and an empty one are the same, since a
    csv cannot tell them apart. Numbers are compared as stored.
    """
    import polars as pl

    from taxonomy.classifier.batch import OUTPUT

    columns = [c for c in OUTPUT if c in before.columns and c != "unit_id"]
    joined = before.select("unit_id", *columns).join(again, on="unit_id", how="left", suffix="_again", validate="1:1")
    found = []
    for column in columns:
        one, two = pl.col(column), pl.col(f"{column}_again")
        if OUTPUT[column] == pl.String:
            one, two = one.cast(pl.String).replace("", None), two.replace("", None)
        rows = joined.filter(one.ne_missing(two)).select(
            "unit_id", column=pl.lit(column), before=pl.col(column).cast(pl.String), again=two.cast(pl.String)
        )
        found.append(rows)
    return pl.concat(found).sort("unit_id", "column")


def replay(args: argparse.Namespace) -> int:
    """Code the rows again with the named bundle; exit 1 with the first differences unless all are equal bit for bit."""
    from taxonomy.classifier.bundle import BundleError
    from taxonomy.classifier.store import load

    decisions = read_table(args.decisions, ("unit_id", "ai_class", "segment", "route"))
    source = args.input or args.decisions
    rows = read_table(source, ("unit_id",)) if args.input else decisions.select("unit_id", *_present(decisions))
    rows = _with_locks(_with_texts(rows, source).filter(_in(decisions)), decisions)
    _check_name(args.bundle)
    try:
        bundle = load(_folder() / args.bundle)
    except BundleError as error:
        raise UserError(str(error)) from error
    if decisions["unit_id"].n_unique() != decisions.height or rows["unit_id"].n_unique() != rows.height:
        raise UserError("a unit_id is missing or stands twice; replay needs one row a unit with its id")
    found = differences(decisions, _coded_again(rows, bundle))
    if found.height:
        lines = [f"  {u} {c}: {b!r} → {a!r}" for u, c, b, a in found.head(SHOWN_DIFFERENCES).iter_rows()]
        raise CheckFailed(f"{found.height:,} cells differ from bundle {args.bundle}; the first:\n" + "\n".join(lines))
    print(f"{decisions.height:,} 行逐位相同 / rows equal bit for bit with bundle {args.bundle}")
    return 0


def _with_locks(rows: "pl.DataFrame", decisions: "pl.DataFrame") -> "pl.DataFrame":
    """Rows with ``locked_class``. A lock is an input, not a decision: where the input does not say it, the decision does."""
    import polars as pl

    if "locked_class" in rows.columns:
        return rows
    code = pl.when(pl.col("segment") == "none").then(pl.lit("none")).otherwise("ai_class")
    locks = decisions.filter(pl.col("route") == "lock").select("unit_id", code.cast(pl.String).alias("locked_class"))
    return rows.join(locks, on="unit_id", how="left", validate="m:1")


def _present(decisions: "pl.DataFrame") -> list[str]:
    """Input columns the decisions carry, only if the scope is among them: a name alone is not what was coded."""
    return [c for c in TEXTS if c in decisions.columns] if "business_scope" in decisions.columns else []


def _in(decisions: "pl.DataFrame") -> "pl.Expr":
    import polars as pl

    return pl.col("unit_id").is_in(decisions["unit_id"].to_list())
