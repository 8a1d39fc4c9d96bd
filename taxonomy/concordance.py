"""Concordances between versions of our own scheme (版本衔接): who follows whom, with shares that convert figures exactly.

A file ``concordances/{from}__{to}.csv`` has the columns ``from,to,relation,share,share_source``. ``share`` is the part of
the old code that goes to the new one, a decimal number; the shares of one old code sum to one exactly. An empty share is
unknown: the code can be coded twice (:meth:`Concordance.candidates`) but not converted. ``to`` left empty says that the
activity leaves the scheme, ``from`` left empty that a new code has no predecessor.
"""

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from taxonomy.scheme import Scheme, load_scheme

FOLDER: Final = Path(__file__).parent / "concordances"
COLUMNS: Final = ("from", "to", "relation", "share", "share_source")
LEAVES: Final = ""
EXACT: Final = Context(prec=200, traps=[Inexact, InvalidOperation])


class ConcordanceError(ValueError):
    """A concordance that cannot be used: which file, which code, what was expected."""


@dataclass(frozen=True, slots=True)
class Step:
    """``share`` (0 to 1, None if unknown) of ``from_code`` goes to ``to_code``; ``""`` stands for outside the scheme."""

    from_code: str
    to_code: str
    relation: str
    share: Decimal | None
    share_source: str


@dataclass(frozen=True)
class Concordance:
    """All steps between two versions."""

    id: str
    from_scheme: Scheme
    to_scheme: Scheme
    steps: tuple[Step, ...]

    @cached_property
    def _by_from(self) -> Mapping[str, tuple[Step, ...]]:
        found: dict[str, list[Step]] = {}
        for step in self.steps:
            found.setdefault(step.from_code, []).append(step)
        return {code: tuple(steps) for code, steps in found.items()}

    @property
    def from_codes(self) -> frozenset[str]:
        """Old codes the concordance speaks of."""
        return frozenset(code for code in self._by_from if code)

    def candidates(self, code: str) -> tuple[Step, ...]:
        """Where a unit of the old ``code`` may stand in the new version, the largest known share first.

        An empty ``to_code`` among them says that the unit may leave the scheme.

        Raises
        ------
        KeyError
            If the concordance does not speak of ``code``.
        """
        if code not in self.from_codes:
            raise KeyError(f"{self.id} does not speak of {code!r}")
        return tuple(sorted(self._by_from[code], key=lambda s: (s.share is None, -(s.share or 0), s.to_code)))

    def predecessors(self, code: str) -> tuple[Step, ...]:
        """Steps that lead to a code of the new version; none for a new activity."""
        return tuple(s for s in self.steps if s.to_code == code and s.from_code)


def _degrees(steps: tuple[Step, ...]) -> tuple[Counter[str], Counter[str]]:
    real = [s for s in steps if s.from_code and s.to_code]
    return Counter(s.from_code for s in real), Counter(s.to_code for s in real)


def _expected_relation(step: Step, out: Counter[str], into: Counter[str]) -> str:
    if not step.from_code:
        return "0:1"
    if not step.to_code:
        return "1:0"
    splits, merges = out[step.from_code] > 1, into[step.to_code] > 1
    return {(False, False): "1:1", (True, False): "1:n", (False, True): "n:1", (True, True): "n:m"}[splits, merges]


def check_concordance(table: Concordance) -> list[str]:
    """What is wrong with a concordance, one sentence each.

    The codes are leaves of their versions; no pair stands twice; the shares of one old code are all known and sum to one
    exactly, or all unknown; the relation says what the rows do (1:1, 1:n split, n:1 merger, n:m, 0:1 new, 1:0 leaves);
    a share other than one has a source; every leaf of both versions is spoken of.
    """
    problems = []
    out, into = _degrees(table.steps)
    pairs = Counter((s.from_code, s.to_code) for s in table.steps)
    problems += [f"{table.id}: {a or '∅'} → {b or '∅'} stands {n} times" for (a, b), n in pairs.items() if n > 1]
    for step in table.steps:
        where = f"{table.id}: {step.from_code or '∅'} → {step.to_code or '∅'}"
        for code, scheme in ((step.from_code, table.from_scheme), (step.to_code, table.to_scheme)):
            if code and code not in scheme:
                problems.append(f"{where}: {code} is not in {scheme.id}")
            elif code and scheme.children(code):
                problems.append(f"{where}: {code} is not a leaf of {scheme.id}; parents follow from their leaves")
        if (expected := _expected_relation(step, out, into)) != step.relation:
            problems.append(f"{where}: relation is {step.relation!r}, but the rows make it {expected}")
        if step.share is not None and not 0 < step.share <= 1:
            problems.append(f"{where}: share {step.share}; expected more than 0 and at most 1")
        if step.share is not None and step.share != 1 and not step.share_source:
            problems.append(f"{where}: share {step.share} has no share_source")
    problems += _check_shares(table)
    for scheme, spoken in (
        (table.from_scheme, set(table.from_codes)),
        (table.to_scheme, {s.to_code for s in table.steps}),
    ):
        leaves = [c.code for c in scheme.codes if not scheme.children(c.code)]
        problems += [f"{table.id}: says nothing of {code} of {scheme.id}" for code in leaves if code not in spoken]
    return problems


def _check_shares(table: Concordance) -> list[str]:
    problems = []
    for code, steps in table._by_from.items():
        shares = [s.share for s in steps]
        if not code:
            if any(s is not None for s in shares):
                problems.append(f"{table.id}: a row without old code has no share")
        elif None not in shares:
            total = sum((s for s in shares if s is not None), Decimal(0))
            if total != 1:
                problems.append(f"{table.id}: shares of {code} sum to {total}; expected 1")
        elif any(s is not None for s in shares) or len(shares) == 1:
            problems.append(f"{table.id}: shares of {code} must all be given (one row: 1) or, of a split, all be empty")
    return problems


def convert_counts(table: Concordance, counts: Mapping[str, Decimal | int]) -> dict[str, Decimal]:
    """Figures by old code as figures by new code, in exact decimals.

    The result sums to the sum of ``counts``; what leaves the scheme stands under ``""`` (:data:`LEAVES`). New codes
    in official order; a code nothing goes to is left out. Only additive figures (counts, sums of money) may be converted.

    Parameters
    ----------
    counts
        Additive figures by leaf code of the old version: ``int`` or ``Decimal``.

    Raises
    ------
    ConcordanceError
        If a code is not spoken of, or the shares of one that has a figure are unknown.
    TypeError
        If a figure is a float: its decimal expansion is not what was counted.
    """
    found: dict[str, Decimal] = {}
    with localcontext(EXACT):
        for code, count in counts.items():
            if isinstance(count, bool) or not isinstance(count, int | Decimal):
                raise TypeError(f"count of {code} is {type(count).__name__}; expected int or Decimal")
            if code not in table.from_codes:
                raise ConcordanceError(
                    f"{table.id} does not speak of {code!r}; expected a leaf of {table.from_scheme.id}"
                )
            for step in table._by_from[code]:
                if step.share is None:
                    raise ConcordanceError(f"{table.id}: shares of {code} are unknown; code its units twice first")
                found[step.to_code] = found.get(step.to_code, Decimal(0)) + Decimal(count) * step.share
    order = {c.code: c.sort for c in table.to_scheme.codes}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], len(order))))


def read_concordance(path: Path, from_scheme: Scheme, to_scheme: Scheme) -> Concordance:
    """One concordance from its CSV file, checked.

    Raises
    ------
    ConcordanceError
        If the columns or a share cannot be read, or :func:`check_concordance` finds anything.
    """
    steps = []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ConcordanceError(f"{path.name}: columns are {reader.fieldnames}; expected {','.join(COLUMNS)}")
        for line, row in enumerate(reader, start=2):
            try:
                share = Decimal(row["share"]) if row["share"] else None
            except InvalidOperation as error:
                raise ConcordanceError(f"{path.name} line {line}: share {row['share']!r} is not a number") from error
            steps.append(Step(row["from"], row["to"], row["relation"], share, row["share_source"]))
    table = Concordance(path.stem, from_scheme, to_scheme, tuple(steps))
    if problems := check_concordance(table):
        raise ConcordanceError("; ".join(problems[:5]))
    return table


@cache
def load_concordance(concordance_id: str) -> Concordance:
    """One concordance by id ``{from}__{to}``, both ids of schemes of one family.

    Raises
    ------
    ConcordanceError
        If there is no such file, its name names no two versions of one family, or its content is wrong.
    """
    path = FOLDER / f"{concordance_id}.csv"
    if not path.is_file():
        raise ConcordanceError(f"no concordance {concordance_id!r}; known: {', '.join(list_concordances()) or 'none'}")
    old, separator, new = concordance_id.partition("__")
    if not separator:
        raise ConcordanceError(f"{path.name}: the name must be {{from}}__{{to}}.csv")
    schemes = load_scheme(old), load_scheme(new)
    if schemes[0].family != schemes[1].family:
        raise ConcordanceError(f"{path.name}: {old} and {new} are not versions of one family; use correspondences/")
    return read_concordance(path, *schemes)


def list_concordances() -> list[str]:
    """Ids of the concordances there are."""
    return sorted(p.stem for p in FOLDER.glob("*.csv"))
