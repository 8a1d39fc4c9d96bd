"""``aistat taxonomy``: look at, check and export the classifications."""

import argparse
import csv
import sys
from pathlib import Path

from aistat.errors import CheckFailed, UserError

DEFAULT = "ai_industry_2026"
EXPORT_COLUMNS = (
    "code", "parent", "level", "level_name", "name_zh", "name_en", "definition_zh", "definition_en", "includes",
    "excludes", "key_products", "legal_basis", "segment", "valid_from", "valid_to", "status",
)  # fmt: skip


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``taxonomy`` to the command line."""
    parser = subparsers.add_parser("taxonomy", help="统计分类 / classifications")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="分类与对照表 / schemes and correspondences").set_defaults(func=list_all)
    show = commands.add_parser("show", help="一个代码 / one code")
    show.add_argument("code")
    show.add_argument("--scheme", help="分类（默认先查人工智能目录，再查国民经济行业分类） / scheme")
    show.set_defaults(func=show_code)
    commands.add_parser("check", help="检查全部分类 / check all of them").set_defaults(func=check_all)
    export = commands.add_parser("export", help="导出代码表 / export a code list")
    export.add_argument("--scheme", default=DEFAULT)
    export.add_argument("--format", choices=["csv"], default="csv")
    export.add_argument("-o", "--output", type=Path)
    export.set_defaults(func=export_scheme)


def list_all(_: argparse.Namespace) -> int:
    """Schemes with their counts, correspondences with theirs."""
    from taxonomy.correspondence import list_correspondences, load_correspondence
    from taxonomy.scheme import list_schemes, load_scheme

    for scheme_id in list_schemes():
        scheme = load_scheme(scheme_id)
        print(f"{scheme_id:<20} {scheme.version:<14} {scheme.status:<10} {len(scheme.codes):>6,}  {scheme.name_zh}")
    for correspondence_id in list_correspondences():
        links = load_correspondence(correspondence_id)
        full = sum(link.coverage == "full" for link in links)
        print(f"{correspondence_id:<46} {len(links):>6,}  full {full}, partial {len(links) - full}")
    return 0


def show_code(args: argparse.Namespace) -> int:
    """Everything said about a code."""
    from taxonomy.correspondence import gbt_links
    from taxonomy.scheme import SchemeError, load_scheme

    names = [args.scheme] if args.scheme else [DEFAULT, "gbt4754_2017", "district_sz", "size_2017"]
    try:
        scheme = next((s for s in map(load_scheme, names) if args.code in s), None)
    except SchemeError as error:
        raise UserError(str(error)) from error
    if scheme is None:
        raise UserError(f"no code {args.code!r} in {', '.join(names)}; 'aistat taxonomy export' lists the codes")
    code = scheme.get(args.code)
    path = " > ".join(f"{c.code} {c.name_zh}" for c in reversed(scheme.ancestors(code.code)))
    print(f"{code.code} {code.name_zh} / {code.name_en}  [{scheme.id} {scheme.version}, {code.status}]")
    for label, text in (
        ("上级 / parents", path), ("定义 / definition", code.definition_zh), ("", code.definition_en),
        ("包括 / includes", "；".join(code.includes)), ("不包括 / excludes", "；".join(code.excludes)),
        ("重点产品 / key products", "；".join(code.key_products)), ("依据 / legal basis", code.legal_basis),
        ("下级 / children", "；".join(f"{c.code} {c.name_zh}" for c in scheme.children(code.code))),
    ):  # fmt: skip
        if text:
            print(f"  {label:<24}{text}")
    if scheme.id == DEFAULT:
        gbt = load_scheme("gbt4754_2017")
        for link in gbt_links(code.code):
            name = gbt.get(link.to_code).name_zh
            print(f"  GB/T {link.to_code} {name}  {link.coverage}; {link.resolution}; {link.basis}")
    return 0


def check_all(_: argparse.Namespace) -> int:
    """Load and check every scheme and correspondence."""
    from taxonomy.correspondence import CorrespondenceError, list_correspondences, load_correspondence
    from taxonomy.scheme import SchemeError, list_schemes, load_scheme
    from taxonomy.vocabulary import glossary, units

    problems = []
    for load, names in ((load_scheme, list_schemes()), (load_correspondence, list_correspondences())):
        for name in names:
            try:
                load(name)
            except (SchemeError, CorrespondenceError) as error:
                problems.append(str(error))
    if problems:
        raise CheckFailed("\n".join(problems))
    print(f"分类、对照、术语（{len(glossary())}）与计量单位（{len(units())}）均无误 / all sound")
    return 0


def export_scheme(args: argparse.Namespace) -> int:
    """A code list as csv (UTF-8 with BOM in a file); lists are joined by ；."""
    from taxonomy.scheme import SchemeError, load_scheme

    try:
        scheme = load_scheme(args.scheme)
    except SchemeError as error:
        raise UserError(str(error)) from error
    stream = args.output.open("w", encoding="utf-8-sig", newline="") if args.output else sys.stdout
    try:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(EXPORT_COLUMNS)
        for code in scheme.codes:
            cells = (getattr(code, name) for name in EXPORT_COLUMNS)
            writer.writerow("；".join(c) if isinstance(c, tuple) else ("" if c is None else c) for c in cells)
    finally:
        if args.output:
            stream.close()
    if args.output:
        print(f"{len(scheme.codes):,} codes → {args.output}")
    return 0
