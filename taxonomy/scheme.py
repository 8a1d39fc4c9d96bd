"""Classifications as data (统计分类): every scheme is one YAML file, a long one with its codes in a CSV beside it."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import yaml

SCHEMES: Final = Path(__file__).parent / "schemes"


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


@dataclass(frozen=True)
class Scheme:
    """A versioned classification with its codes in official order."""

    id: str
    version: str
    status: str
    name_zh: str
    name_en: str
    codes: tuple[Code, ...]

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


def _chain(code: str, *, nested: bool) -> list[str]:
    """Parents of a catalogue code from the direct one to the top; a flat list has none."""
    chain = []
    parent = _parent_in_ai(code) if nested else None
    while parent is not None:
        chain.append(parent)
        parent = _parent_in_ai(parent)
    return chain


def _from_yaml(head: Mapping[str, Any]) -> Iterator[Code]:
    names = {level["level"]: level["name"] for level in head["levels"]}
    nested = head["id"].startswith("ai_industry")
    basis: dict[str | None, str] = {}
    segments: dict[str | None, str] = {None: "core" if nested else ""}
    for sort, row in enumerate(head["codes"]):
        code = str(row["code"])
        chain = _chain(code, nested=nested)
        parent = chain[0] if chain else None
        basis[code] = row.get("basis") or basis.get(parent, "")
        segments[code] = row.get("segment") or segments[parent]
        yield Code(
            code=code,
            parent=parent,
            level=len(chain) + 1,
            level_name=row.get("kind") or names[len(chain) + 1],
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
            attributes={k: row[k] for k in ("x", "y") if k in row},
        )


def _from_table(head: Mapping[str, Any], path: Path) -> Iterator[Code]:
    levels = {level["name"]: level["level"] for level in head["levels"]}
    with path.open(encoding="utf-8", newline="") as file:
        for sort, row in enumerate(csv.DictReader(file)):
            yield Code(
                code=row["code"],
                parent=row["parent_code"] or None,
                level=levels[row["level"]],
                level_name=row["level"],
                name_zh=row["name_zh"],
                name_en=row["name_zh"],
                definition_zh=row["description_zh"],
                definition_en="",
                includes=(),
                excludes=(),
                key_products=(),
                legal_basis="GB/T 4754-2017",
                segment="",
                valid_from=str(head["valid_from"]),
                valid_to="",
                status=head["status"],
                sort=sort,
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
    if scheme.id.startswith("ai_industry"):
        problems += _check_catalogue(scheme)
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
    head = yaml.safe_load(path.read_text(encoding="utf-8"))
    rows = _from_table(head, SCHEMES / head["table"]) if "table" in head else _from_yaml(head)
    scheme = Scheme(head["id"], str(head["version"]), head["status"], head["name_zh"], head["name_en"], tuple(rows))
    if problems := check(scheme):
        raise SchemeError("; ".join(problems[:5]))
    return scheme


def list_schemes() -> list[str]:
    """Ids of the schemes there are."""
    return sorted(p.stem for p in SCHEMES.glob("*.yaml"))
