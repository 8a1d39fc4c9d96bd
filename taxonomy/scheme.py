"""Classifications as data (统计分类): every scheme is one YAML file, a long one with its codes in a CSV beside it."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import yaml

SCHEMES: Final = Path(__file__).parent / "schemes"
_ISO_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class SchemeError(ValueError):
    """A scheme file that cannot be used: says which file, which code and what was expected."""


@dataclass(frozen=True, slots=True)
class Code:
    """One category. ``includes``, ``excludes`` and ``key_products`` are lists of short texts; ``sort`` is official order."""

    code: str
    parent: str | None
    level: int
    level_name: str
    name_zh: str
    name_en: str
    definition_zh: str
    definition_en: str
    includes: tuple[str, ...]
    excludes: tuple[str, ...]
    key_products: tuple[str, ...]
    legal_basis: str
    segment: str
    valid_from: str
    valid_to: str
    status: str
    sort: int
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def basis(self) -> str:
        """What the row rests on (``official``, ``proposal``, ``recalled`` …); see :mod:`taxonomy.basis`."""
        return str(self.attributes.get("basis", ""))

    @property
    def successors(self) -> tuple[str, ...]:
        """Codes that take over from a retired one, in this version or a later one of the family."""
        return tuple(self.attributes.get("successors", ()))

    @property
    def english(self) -> str:
        """The English name, empty where the scheme has only a Chinese one."""
        return "" if self.name_en == self.name_zh else self.name_en


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a scheme, 1 being the coarsest."""

    level: int
    name: str
    zh: str


@dataclass(frozen=True)
class Scheme:
    """A versioned classification with its codes in official order.

    Versions of one classification share ``family``; ``valid_from`` and ``valid_to`` are ISO dates, both inclusive, an
    empty ``valid_to`` is open. ``alias`` is a short name used by correspondence files, ``sdmx_version`` the version
    number in SDMX form (digits and dots).
    """

    id: str
    version: str
    status: str
    name_zh: str
    name_en: str
    codes: tuple[Code, ...]
    family: str = ""
    valid_from: str = ""
    valid_to: str = ""
    legal_basis: str = ""
    basis: str = ""
    alias: str = ""
    sdmx_version: str = "1.0"
    levels: tuple[Level, ...] = ()

    @cached_property
    def _by_code(self) -> Mapping[str, Code]:
        return {c.code: c for c in self.codes}

    @cached_property
    def _children(self) -> Mapping[str | None, tuple[Code, ...]]:
        found: dict[str | None, list[Code]] = {}
        for code in self.codes:
            found.setdefault(code.parent, []).append(code)
        return {parent: tuple(codes) for parent, codes in found.items()}

    def __contains__(self, code: object) -> bool:
        return code in self._by_code

    def get(self, code: str) -> Code:
        """One category (KeyError that says which scheme was asked)."""
        try:
            return self._by_code[code]
        except KeyError:
            raise KeyError(f"{self.id} has no code {code!r}") from None

    def children(self, code: str | None = None) -> tuple[Code, ...]:
        """Direct children of a code, or the top categories."""
        return self._children.get(code, ())

    def ancestors(self, code: str) -> tuple[Code, ...]:
        """Parents from the direct one to the top."""
        return tuple(self._walk_up(code))

    def _walk_up(self, code: str) -> Iterator[Code]:
        parent = self.get(code).parent
        while parent is not None:
            yield self._by_code[parent]
            parent = self._by_code[parent].parent

    def at_level(self, level: int) -> tuple[Code, ...]:
        """Categories of one level, 1 being the coarsest."""
        return tuple(c for c in self.codes if c.level == level)

    def parent_map(self) -> dict[str, str]:
        """Child → parent of every code that has one."""
        return {c.code: c.parent for c in self.codes if c.parent is not None}


def _parent_in_ai(code: str) -> str | None:
    """A11 → A1 → A; R391 → R39 → R."""
    if len(code) == 1:
        return None
    if code.startswith("R"):
        return "R" if len(code) == 3 else code[:-1]
    return code[:-1]


def _attributes(head: Mapping[str, Any], row: Mapping[str, Any], code: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Evidence basis (the row's, else the exception's or the default of the head), successors, and other columns."""
    successors = row.get("successors") or ()
    if isinstance(successors, str):
        successors = tuple(part for part in successors.split(";") if part)
    found = {**known, "basis": known.get("basis") or head.get("basis_of", {}).get(code) or head.get("row_basis", "")}
    return found | ({"successors": tuple(map(str, successors))} if successors else {})


def _from_yaml(head: Mapping[str, Any]) -> Iterator[Code]:
    names = {level["level"]: level["name"] for level in head["levels"]}
    is_ai = head["family"] == "ai_industry"
    basis: dict[str | None, str] = {None: head.get("legal_basis", "")}
    segments: dict[str | None, str] = {None: "core" if is_ai else ""}
    depth: dict[str | None, int] = {None: 0}
    for sort, row in enumerate(head["codes"]):
        code = str(row["code"])
        parent = row.get("parent") or (_parent_in_ai(code) if is_ai else None)
        basis[code] = row.get("basis") or basis.get(parent, "")
        segments[code] = row.get("segment") or segments.get(parent, "")
        level = depth[code] = depth.get(parent, 0) + 1
        yield Code(
            code=code,
            parent=parent,
            level=level,
            level_name=row.get("kind") or names[level],
            name_zh=row["zh"],
            name_en=row.get("en", row["zh"]),
            definition_zh=row.get("def", ""),
            definition_en=row.get("def_en", ""),
            includes=tuple(row.get("includes", ())),
            excludes=tuple(row.get("excludes", ())),
            key_products=tuple(row.get("products", ())),
            legal_basis=basis[code],
            segment=segments[code],
            valid_from=str(row.get("valid_from", head["valid_from"])),
            valid_to=str(row.get("valid_to", "")),
            status=row.get("status", head["status"]),
            sort=sort,
            attributes=_attributes(head, row, code, {k: row[k] for k in ("x", "y") if k in row}),
        )


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(";") if part.strip())


def _from_table(head: Mapping[str, Any], path: Path) -> Iterator[Code]:
    """Rows of a code table; a column that is not there is empty, ``extra`` of the head names those kept as attributes."""
    levels = {level["name"]: level["level"] for level in head["levels"]}
    kept = ("basis", "confidence", *head.get("extra", ()))
    with path.open(encoding="utf-8", newline="") as file:
        for sort, row in enumerate(csv.DictReader(file)):
            yield Code(
                code=row["code"],
                parent=row["parent_code"] or None,
                level=levels[row["level"]],
                level_name=row["level"],
                name_zh=row["name_zh"],
                name_en=row.get("name_en") or row["name_zh"],
                definition_zh=row.get("description_zh") or "",
                definition_en=row.get("description_en") or "",
                includes=_listed(row.get("includes")),
                excludes=_listed(row.get("excludes")),
                key_products=_listed(row.get("key_products")),
                legal_basis=head.get("legal_basis", ""),
                segment=row.get("segment") or "",
                valid_from=row.get("valid_from") or str(head["valid_from"]),
                valid_to=row.get("valid_to") or "",
                status=row.get("status") or head["status"],
                sort=sort,
                attributes=_attributes(head, row, row["code"], {k: row[k] for k in kept if row.get(k)}),
            )


def check(scheme: Scheme) -> list[str]:
    """What is wrong with a scheme, one sentence each; empty when it is sound."""
    seen: set[str] = set()
    problems = []
    for code in scheme.codes:
        if code.code in seen:
            problems.append(f"{scheme.id}: code {code.code} stands twice")
        if code.parent is not None and code.parent not in seen:
            problems.append(f"{scheme.id}: {code.code} has parent {code.parent}, which does not stand before it")
        if not code.name_zh.strip():
            problems.append(f"{scheme.id}: {code.code} has no Chinese name")
        seen.add(code.code)
        problems += _check_life(scheme, code)
    if scheme.family == "ai_industry":
        problems += _check_catalogue(scheme)
    return problems


def _check_life(scheme: Scheme, code: Code) -> list[str]:
    """Dates in order, inside those of the scheme; a retired code names who takes over."""
    problems = []
    for name, text in (("valid_from", code.valid_from), ("valid_to", code.valid_to)):
        if text and not _ISO_DATE.fullmatch(text):
            problems.append(f"{scheme.id}: {code.code} has {name} {text!r}; expected a date such as 2026-01-01")
    if code.valid_to and code.valid_to < code.valid_from:
        problems.append(f"{scheme.id}: {code.code} ends {code.valid_to}, before it starts {code.valid_from}")
    if (code.status == "retired" or code.valid_to) and not code.successors:
        problems.append(f"{scheme.id}: {code.code} is retired but names no successor")
    if code.code in code.successors:
        problems.append(f"{scheme.id}: {code.code} cannot be its own successor")
    return problems


def _check_catalogue(scheme: Scheme) -> list[str]:
    problems = []
    for code in scheme.codes:
        if not code.definition_zh or not code.legal_basis:
            problems.append(f"{scheme.id}: {code.code} needs a definition and a legal basis")
        if code.level == 3 and code.segment == "core" and not code.includes:
            problems.append(f"{scheme.id}: leaf {code.code} says nothing of what it includes")
    for branch in scheme.children():
        if branch.segment == "core" and f"{branch.code}90" not in scheme:
            problems.append(f"{scheme.id}: branch {branch.code} has no residual leaf {branch.code}90")
    return problems


def read_scheme(path: Path) -> Scheme:
    """One scheme from its YAML file (and the table beside it), checked.

    Raises
    ------
    SchemeError
        If the file breaks the rules of :func:`check`.
    """
    head = yaml.safe_load(path.read_text(encoding="utf-8"))
    head.setdefault("family", head["id"])
    rows = _from_table(head, path.parent / head["table"]) if "table" in head else _from_yaml(head)
    scheme = Scheme(
        head["id"],
        str(head["version"]),
        head["status"],
        head["name_zh"],
        head["name_en"],
        tuple(rows),
        family=head["family"],
        valid_from=str(head["valid_from"]),
        valid_to=str(head.get("valid_to", "")),
        legal_basis=head.get("legal_basis", ""),
        basis=head.get("row_basis", ""),
        alias=head.get("alias", ""),
        sdmx_version=str(head.get("sdmx_version", "1.0")),
        levels=tuple(Level(int(n["level"]), n["name"], n["zh"]) for n in head["levels"]),
    )
    if problems := check(scheme):
        raise SchemeError("; ".join(problems[:5]))
    return scheme


@cache
def load_scheme(scheme_id: str) -> Scheme:
    """One scheme by id.

    Raises
    ------
    SchemeError
        If there is no such scheme or its file breaks the rules of :func:`check`.
    """
    path = SCHEMES / f"{scheme_id}.yaml"
    if not path.is_file():
        raise SchemeError(f"no scheme {scheme_id!r}; known: {', '.join(list_schemes())}")
    return read_scheme(path)


def list_schemes() -> list[str]:
    """Ids of the schemes there are."""
    return sorted(p.stem for p in SCHEMES.glob("*.yaml"))
