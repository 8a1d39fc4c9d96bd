"""``aistat taxonomy``: look at, check and export the classifications."""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aistat.errors import CheckFailed, UserError

DEFAULT = "ai_industry_2026"
FORMATS = ("csv", "sdmx", "xkos")


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``taxonomy`` to the command line."""
    parser = subparsers.add_parser("taxonomy", help="统计分类 / classifications")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="分类与对照表 / schemes and correspondences").set_defaults(func=list_all)
    show = commands.add_parser("show", help="一个代码 / one code")
    show.add_argument("code")
    show.add_argument("--scheme", help="分类（默认先查人工智能目录，再查国民经济行业分类） / scheme")
    show.set_defaults(func=show_code)
    check = commands.add_parser("check", help="检查全部分类 / check all of them")
    check.add_argument(
        "--official",
        action="store_true",
        help="列出正式发布会拒绝的行（凭记忆、推断、未核实、未批准），有则返回 1 / list rows an official release refuses",
    )
    check.set_defaults(func=check_all)
    export = commands.add_parser("export", help="导出代码表 / export a code list")
    export.add_argument("--scheme", default=DEFAULT)
    export.add_argument("--format", choices=FORMATS, default="csv", help="csv | SDMX-ML 2.1 | SKOS/XKOS Turtle")
    export.add_argument("--base", help="xkos：网址前缀，以 /、# 或 : 结尾 / start of every address")
    export.add_argument("-o", "--output", type=Path)
    export.set_defaults(func=export_scheme)


def list_all(_: argparse.Namespace) -> int:
    """Schemes with their counts, correspondences, concordances and facets with theirs."""
    from taxonomy.concordance import list_concordances, load_concordance
    from taxonomy.correspondence import list_correspondences, load_correspondence
    from taxonomy.facet import list_facets, load_facet
    from taxonomy.scheme import list_schemes, load_scheme

    for scheme_id in list_schemes():
        scheme = load_scheme(scheme_id)
        print(f"{scheme_id:<24} {scheme.version:<14} {scheme.status:<10} {len(scheme.codes):>6,}  {scheme.name_zh}")
    for correspondence_id in list_correspondences():
        links = load_correspondence(correspondence_id)
        full = sum(link.coverage == "full" for link in links)
        print(f"{correspondence_id:<50} {len(links):>6,}  full {full}, partial {len(links) - full}")
    for concordance_id in list_concordances():
        print(f"{concordance_id:<50} {len(load_concordance(concordance_id).steps):>6,}  版本衔接 / concordance")
    for facet_id in list_facets():
        facet = load_facet(facet_id)
        print(f"{facet_id:<50} {len(facet.values):>6,}  分面 / facet {facet.zh}")
    return 0


def show_code(args: argparse.Namespace) -> int:
    """Everything said about a code."""
    from taxonomy.scheme import SchemeError, list_schemes, load_scheme

    first = [DEFAULT, "gbt4754_2017"]
    names = [args.scheme] if args.scheme else [*first, *(s for s in list_schemes() if s not in first)]
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
        ("有效期 / valid", f"{code.valid_from} – {code.valid_to}"), ("来源依据 / basis", _with_mark(code.basis)),
        ("下级 / children", "；".join(f"{c.code} {c.name_zh}" for c in scheme.children(code.code))),
        *_facets(scheme.id, code.code),
    ):  # fmt: skip
        if text:
            print(f"  {label:<24}{text}")
    for line in _links(scheme.id, code.code):
        print(f"  {line}")
    return 0


def _with_mark(basis: str) -> str:
    from taxonomy.basis import mark

    return f"{basis}（{mark(basis)}）" if mark(basis) else basis


def _facets(scheme_id: str, code: str) -> Iterator[tuple[str, str]]:
    from taxonomy.facet import list_assignments, list_facets, load_facet, values_of

    if scheme_id in list_assignments():
        for facet_id in list_facets():
            values = values_of(scheme_id, code, facet_id)
            yield f"{load_facet(facet_id).zh}", "、".join(v.zh for v in values)


def _links(scheme_id: str, code: str) -> Iterator[str]:
    """Links of the code in every correspondence it takes part in, whichever side it stands on."""
    from taxonomy.correspondence import correspondence, list_correspondences

    for name in list_correspondences():
        table = correspondence(name)
        ends = (table.from_scheme, table.to_scheme)
        if scheme_id not in (ends[0].id, ends[1].id):
            continue
        is_from = scheme_id == ends[0].id
        other = ends[1] if is_from else ends[0]
        short = "GB/T" if other.family == "gbt4754" else other.id
        for link in table.links_of(scheme_id, code):
            end = link.to_code if is_from else link.from_code
            basis = _with_mark(link.basis)
            yield f"{short} {end} {other.get(end).name_zh}  {link.coverage}; {link.resolution}; {basis}"


def check_all(args: argparse.Namespace) -> int:
    """Load and check everything; with ``--official`` also what an official release refuses."""
    from taxonomy.vocabulary import glossary, units

    problems = list(_problems())
    if problems:
        raise CheckFailed("\n".join(problems))
    if args.official:
        _check_official()
    print(f"分类、对照、分面、术语（{len(glossary())}）与计量单位（{len(units())}）均无误 / all sound")
    return 0


def _problems() -> Iterator[str]:
    from taxonomy import concordance, correspondence, facet, scheme, versions

    parts: tuple[tuple[Callable[[str], Any], list[str]], ...] = (
        (scheme.load_scheme, scheme.list_schemes()),
        (correspondence.load_correspondence, correspondence.list_correspondences()),
        (concordance.load_concordance, concordance.list_concordances()),
        (facet.load_facet, facet.list_facets()),
        (facet.assignments, facet.list_assignments()),
    )
    sound = True
    for load, names in parts:
        for name in names:
            try:
                load(name)
            except ValueError as error:
                sound = False
                yield str(error)
    if sound:
        yield from versions.check_all_families()


def _check_official() -> None:
    from taxonomy.basis import Refusal, refusals
    from taxonomy.correspondence import correspondence, list_correspondences
    from taxonomy.scheme import list_schemes, load_scheme

    found: list[Refusal] = []
    for item in (*map(load_scheme, list_schemes()), *map(correspondence, list_correspondences())):
        found += refusals(item)
    for refusal in found:
        print(refusal)
    if found:
        sources = sorted({r.source for r in found})
        raise CheckFailed(
            f"正式发布会拒绝 {len(found):,} 行 / an official release refuses {len(found):,} rows of {', '.join(sources)}"
        )


def export_scheme(args: argparse.Namespace) -> int:
    """A code list in one of three formats; csv in a file starts with a byte order mark for spreadsheets."""
    from taxonomy.export import FORMATS as WRITERS
    from taxonomy.export.xkos import scheme_turtle
    from taxonomy.scheme import SchemeError, load_scheme

    if args.base and (args.format != "xkos" or args.base[-1] not in ":/#"):
        raise UserError(f"--base {args.base!r}: expected with --format xkos, ending in /, # or :")
    try:
        scheme = load_scheme(args.scheme)
        text = scheme_turtle(scheme, args.base) if args.base else WRITERS[args.format](scheme)
    except SchemeError as error:
        raise UserError(str(error)) from error
    if args.output is None:
        sys.stdout.write(text)
        return 0
    try:
        args.output.write_bytes(text.encode("utf-8-sig" if args.format == "csv" else "utf-8"))
    except OSError as error:
        raise UserError(f"{args.output}: {error.strerror}; expected a writable file") from error
    print(f"{len(scheme.codes):,} codes → {args.output}")
    return 0
