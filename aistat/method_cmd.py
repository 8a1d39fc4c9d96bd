"""``aistat method``: the statistical methods on any table; a CSV in, JSON ``{"result": {…}, "rows": [{…}]}`` out."""

import argparse
import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aistat.errors import UserError
from aistat.table_file import SAVE_AS, csv_table

if TYPE_CHECKING:
    import polars as pl

    from etl.methods.tabular import Parameter, TableMethod

#: First bytes of files that are no CSV though people take them for one.
SIGNATURES: Final = {
    b"PK\x03\x04": "an Excel workbook (xlsx)",
    b"\xd0\xcf\x11\xe0": "an Excel workbook (xls)",
    b"\xff\xfe": "UTF-16 text",
}


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``method`` to the command line."""
    parser = subparsers.add_parser("method", help="统计方法 / statistical methods on any table")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="所有方法 / every method").set_defaults(func=list_all)
    show = commands.add_parser("show", help="列、参数、说明页 / columns, parameters, page")
    show.add_argument("id")
    show.set_defaults(func=show_one)
    run = commands.add_parser("run", help="计算 / run")
    run.add_argument("id")
    run.add_argument("--input", type=Path, help="CSV (UTF-8 or GB18030); parquet")
    run.add_argument("--param", action="append", default=[], metavar="K=V", help="repeatable; a file for tables")
    run.add_argument("-o", "--output", type=Path, required=True, help="JSON")
    run.set_defaults(func=run_one)


def _find(identifier: str) -> "TableMethod":
    from etl.methods.tabular import table_methods

    known = table_methods()
    if identifier not in known:
        raise UserError(f"method {identifier} is not known; 'aistat method list' shows: {', '.join(known)}")
    return known[identifier]


def list_all(_: argparse.Namespace) -> int:
    """One line a method."""
    from etl.methods.tabular import table_methods

    for method in table_methods().values():
        print(f"{method.id:<22} {method.title}")
    return 0


def show_one(args: argparse.Namespace) -> int:
    """What goes in, and where the formula stands."""
    method = _find(args.id)
    print(f"{method.id}  {method.title}\n说明 / page: docs/methods/{method.id}.md")
    print("输入列 / columns:" if method.columns else "不需输入文件 / no input file")
    for column in method.columns:
        marks = [
            column.kind,
            *([] if column.required else ["optional"]),
            *(["may be empty"] if column.nullable else []),
        ]
        name = f"{column.name} …" if column.pattern else column.name
        print(f"  {name:<22} {', '.join(marks):<28} {column.note}")
    if method.parameters:
        print("参数 / parameters (--param K=V):")
    for parameter in method.parameters:
        kind = "|".join(parameter.choices) or parameter.kind
        default = "required" if parameter.required else f"default {parameter.default}"
        print(f"  {parameter.name:<22} {kind:<28} {parameter.note} ({default})")
    return 0


def run_one(args: argparse.Namespace) -> int:
    """Read, run, write."""
    import polars as pl

    from etl.methods.tabular import BadInput, run_table

    method = _find(args.id)
    if method.input_needed and args.input is None:
        raise UserError(f"{method.id} needs a table: add --input FILE.csv")
    frame = read_table(args.input) if args.input is not None else pl.DataFrame()
    try:
        found = run_table(method, frame, _parameters(method, args.param))
    except BadInput as error:
        raise UserError(str(error)) from None
    answer = {"result": plain(dict(found.result)), "rows": plain(found.rows.to_dicts())}
    try:
        args.output.write_text(json.dumps(answer, ensure_ascii=False, indent=1, allow_nan=False), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {args.output}: {error.strerror}; choose another -o") from None
    return 0


def _parameters(method: "TableMethod", given: Sequence[str]) -> dict[str, Any]:
    known = {p.name: p for p in method.parameters}
    values: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UserError(f"--param {pair}: expected NAME=VALUE")
        if name in values:
            raise UserError(f"--param {name} is given twice; give it once")
        values[name] = _given(known[name], value) if name in known else value
    return values


def _given(parameter: "Parameter", value: str) -> Any:
    """What the method gets for a value of the command line: the content of a file where one is expected or named."""
    try:
        if parameter.kind == "table":
            return read_table(Path(value))
        if parameter.kind == "lines":
            return _lines(Path(value))
        if parameter.kind == "text_or_file" and (value.startswith("@") or _is_file(value)):
            return _readable(Path(value.removeprefix("@")))
    except UserError as error:
        raise UserError(f"--param {parameter.name} ({parameter.note}): {error}") from None
    return value


def _is_file(value: str) -> bool:
    try:
        return Path(value).is_file()
    except (OSError, ValueError):  # a text too long for a path, or one that cannot be a path
        return False


def read_table(path: Path) -> "pl.DataFrame":
    """A CSV or Parquet file as strings; empty cells are null."""
    import polars as pl

    try:
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path)
        return csv_table(path, _text(path))
    except (csv.Error, pl.exceptions.PolarsError, OSError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"cannot read {path}: {first}; expected a CSV (UTF-8 or GB18030) with a header line") from None


def _text(path: Path) -> str:
    raw = path.read_bytes()
    for start, kind in SIGNATURES.items():
        if raw.startswith(start):
            raise UserError(f"{path} is {kind}, not a CSV; {SAVE_AS}")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UserError(f"{path} is neither UTF-8 nor GB18030 text; {SAVE_AS}")


def _readable(path: Path) -> str:
    try:
        return _text(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; the path of a file is expected") from None


def _lines(path: Path) -> list[str]:
    stripped = (line.strip() for line in _readable(path).splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def plain(value: Any) -> Any:
    """JSON values: not finite becomes null, dates and decimals become text and numbers."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if hasattr(value, "isoformat"):
        return value.isoformat()
    number = float(value)
    return number if math.isfinite(number) else None
