"""The ``protect`` specification (YAML): what is to be protected, checked key by key before any row is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from etl.methods.disclosure.dimension import shown_levels
from etl.methods.disclosure.problem import ProblemError
from etl.methods.disclosure.problem_build import Source
from etl.methods.disclosure.sensitivity import RuleSet
from etl.methods.disclosure.textfile import read_rows

MODES: Final = ("microdata", "cells")
PROTECTIONS: Final = ("exact", "interval")
KEYS: Final = (
    "mode", "dimensions", "value", "contributor", "weight", "status", "count", "rules", "public", "waivers", "tables",
    "time_limit", "protection", "required", "period",
)  # fmt: skip
RULES: Final = ("min_contributors", "p_percent", "dominance", "min_width_percent", "singletons")
#: Keys that have a meaning in one mode only.
ONLY: Final = {
    "contributor": "microdata", "weight": "microdata", "public": "microdata", "waivers": "microdata",
    "status": "cells", "count": "cells", "required": "cells",
}  # fmt: skip
#: Columns of the output, which no dimension may be called.
RESERVED: Final = ("value", "n", "status", "lower", "upper", "table", "保密")


class SpecError(ProblemError):
    """A specification, or an input file, that cannot be used: what, where, expected, what to do."""


@dataclass(frozen=True)
class Spec:
    """A checked specification; names of columns as in DESIGN §9, file contents read.

    ``public``: contributor → value known to everybody; ``tables``: name → dimensions, None for one table of all;
    ``lower`` and ``upper``: columns of required protection; ``count``: column of contributors (cells mode);
    ``period``: what the figures are of; releases of one period are audited together. Tables of the pipeline also have
    ``observed`` (column of flags: whose row is an answer), ``frequency`` (values count memberships) and, by dimension,
    the codes in ``offers`` and ``unanswered`` (see :func:`etl.methods.disclosure.offering.offering`).
    """

    path: Path
    mode: Literal["microdata", "cells"]
    sources: tuple[Source, ...]
    value: str | None
    contributor: str | None
    weight: str | None
    status: str | None
    count: str | None
    rules: RuleSet
    public: Mapping[str, str]
    waivers: tuple[str, ...]
    tables: Mapping[str, tuple[str, ...]] | None
    time_limit: float
    protection: Literal["exact", "interval"]
    lower: str | None
    upper: str | None
    period: str = ""
    observed: str | None = None
    frequency: bool = False
    offers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unanswered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def counts(self) -> bool:
        """Whether the figures are counts, for which the frequency rule alone has a meaning."""
        return self.frequency or self.value is None

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions in order."""
        return tuple(s.name for s in self.sources)


class _Reader:
    """Takes keys out of a mapping; every complaint names the file and the key."""

    def __init__(self, path: Path, body: Mapping[str, Any], where: str = "") -> None:
        self.path, self.body, self.where = path, body, where

    def error(self, key: str, found: object, expected: str) -> SpecError:
        place = f"{self.where}.{key}" if self.where else key
        return SpecError(
            f"规格有误 / {self.path}: {place} is {found!r}; expected {expected}; correct the specification"
        )

    def known(self, keys: Sequence[str]) -> None:
        for key in self.body:
            if key not in keys:
                place = f" in {self.where}" if self.where else ""
                raise SpecError(
                    f"未知键 / {self.path}: unknown key {key!r}{place}; expected {', '.join(keys)}; correct or remove it"
                )

    def text(self, key: str) -> str | None:
        found = self.body.get(key)
        if found is not None and (not isinstance(found, str) or not found):
            raise self.error(key, found, "the name of a column")
        return found

    def words(self, key: str, what: str) -> tuple[str, ...]:
        found = self.body.get(key, [])
        if not isinstance(found, list) or any(isinstance(w, dict | list) or w is None for w in found):
            raise self.error(key, found, f"a list of {what}")
        return tuple(str(w) for w in found)

    def number(self, key: str, default: Any, low: float, high: float) -> Any:
        found = self.body.get(key, default)
        if found is None and default is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high:
            raise self.error(key, found, f"a number from {low:g} to {high:g}")
        return found

    def mapping(self, key: str, found: Any = None) -> "_Reader":
        found = self.body.get(key) if found is None else found
        if not isinstance(found, dict):
            raise self.error(key, found, "a mapping (key: value)")
        return _Reader(self.path, found, f"{self.where}.{key}" if self.where else key)


def read_spec(path: Path) -> Spec:
    """Read and check a specification with the files it names (relative to it).

    Raises
    ------
    SpecError
        For anything wrong, with file, key, expectation and remedy in one line.
    """
    reader = _Reader(path, _load(path))
    reader.known(KEYS)
    mode = reader.body.get("mode")
    if mode not in MODES:
        raise reader.error("mode", mode, "microdata or cells")
    for key, needed in ONLY.items():
        if key in reader.body and needed != mode:
            raise reader.error(key, reader.body[key], f"no such key in mode {mode} (it belongs to {needed})")
    protection = reader.body.get("protection", "interval")
    if protection not in PROTECTIONS:
        raise reader.error("protection", protection, "exact or interval")
    sources = _sources(reader)
    required = reader.mapping("required") if "required" in reader.body else _Reader(path, {}, "required")
    required.known(("lower", "upper"))
    return Spec(
        path, mode, sources, reader.text("value"), reader.text("contributor"), reader.text("weight"),
        reader.text("status"), reader.text("count"), _rules(reader), _public(reader), reader.words("waivers", "names"),
        _tables(reader, [s.name for s in sources]), float(reader.number("time_limit", 600, 1, 1e7)), protection,
        required.text("lower"), required.text("upper"), str(reader.body.get("period", "")),
    )  # fmt: skip


def _load(path: Path) -> Mapping[str, Any]:
    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(f"文件不存在 / {path} does not exist; expected a YAML specification; check --spec") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"无法读取 / cannot read {path}: {error}; expected UTF-8 YAML; check the file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise SpecError(f"不是有效的 YAML / {path}{place}: {problem}; expected YAML; correct that line") from None
    if not isinstance(body, dict):
        raise SpecError(
            f"规格为空 / {path} holds no keys; expected mode, dimensions, …; see docs/how-to/protect-a-table.md"
        )
    return body


def _sources(reader: _Reader) -> tuple[Source, ...]:
    dims = reader.mapping("dimensions")
    if not dims.body:
        raise reader.error("dimensions", {}, "one dimension at least")
    found = []
    for name in dims.body:
        if not isinstance(name, str) or name in RESERVED:
            raise dims.error(str(name), name, f"a name other than {', '.join(RESERVED)}")
        one = dims.mapping(name)
        one.known(("levels", "column", "hierarchy", "total"))
        total = str(one.body.get("total", "Total"))
        if ("levels" in one.body) == ("column" in one.body):
            raise dims.error(name, one.body, "either levels: [coarse, …, fine] or column with hierarchy")
        if "levels" in one.body:
            if not (levels := one.words("levels", "columns")):
                raise one.error("levels", [], "one column at least")
            found.append(Source(name, levels, total=total))
        else:
            found.append(Source(name, column=str(one.text("column")), pairs=_pairs(one), total=total))
    return tuple(found)


def _pairs(one: _Reader) -> tuple[tuple[str, str | None], ...]:
    file = one.text("hierarchy")
    if file is None:
        raise one.error("hierarchy", None, "a CSV file with the columns child,parent")
    path = one.path.parent / file
    frame = read_rows(path, ("child", "parent"))
    if frame["child"].null_count():
        line = int(frame["child"].is_null().arg_true()[0]) + 2
        raise SpecError(
            f"空代码 / {path} line {line}, column child: empty; expected a code; fill it or remove the line"
        )
    return tuple(frame.select("child", "parent").rows())


def _rules(reader: _Reader) -> RuleSet:
    """The rules that are named apply; without the key the defaults do."""
    if "rules" not in reader.body:
        return RuleSet()
    rules = reader.mapping("rules")
    rules.known(RULES)
    pairs = rules.body.get("dominance", [])
    right = isinstance(pairs, list) and all(
        isinstance(p, list) and len(p) == 2 and isinstance(p[0], int) and isinstance(p[1], int | float) for p in pairs
    )
    if not right:
        raise rules.error("dominance", pairs, "pairs [n, k], as [[1, 75], [2, 85]]")
    singletons = rules.body.get("singletons", True)
    if not isinstance(singletons, bool):
        raise rules.error("singletons", singletons, "true or false")
    contributors = rules.number("min_contributors", 1, 1, 1000)
    if not isinstance(contributors, int):
        raise rules.error("min_contributors", contributors, "a whole number")
    try:
        return RuleSet(
            contributors, rules.number("p_percent", None, 0, 100), tuple((n, float(k)) for n, k in pairs),
            float(rules.number("min_width_percent", 1.0, 0, 100)), singletons,
        )  # fmt: skip
    except ValueError as error:
        raise SpecError(f"规则有误 / {reader.path}: rules: {error}; correct the specification") from None


def _public(reader: _Reader) -> Mapping[str, str]:
    file = reader.text("public")
    if file is None:
        return {}
    if "contributor" not in reader.body:
        raise reader.error("public", file, "a contributor column as well (contributor: …), to find them by")
    path = reader.path.parent / file
    frame = read_rows(path, ("contributor", "value"))
    return {str(c): str(v or "") for c, v in frame.select("contributor", "value").rows() if c is not None}


def _tables(reader: _Reader, dims: Sequence[str]) -> Mapping[str, tuple[str, ...]] | None:
    if "tables" not in reader.body:
        return None
    listed = reader.body["tables"]
    if not isinstance(listed, list) or not listed:
        raise reader.error("tables", listed, "a list of {name: …, dimensions: […]}")
    tables: dict[str, tuple[str, ...]] = {}
    for number, entry in enumerate(listed, 1):
        one = reader.mapping(f"tables[{number}]", entry)
        one.known(("name", "dimensions"))
        name, shown = one.text("name"), one.words("dimensions", "dimensions")
        if name is None or name in tables:
            raise one.error("name", name, "a name of its own")
        try:
            known = bool(shown_levels(shown, dims))
        except ValueError:
            known = False
        if not known:
            raise one.error("dimensions", list(shown), f"some of {', '.join(dims)} (name:2 for two levels of it)")
        tables[name] = shown
    return tables
