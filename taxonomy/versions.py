"""Versions of one classification side by side: which one is in force on a day, and whether they follow cleanly."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from taxonomy.concordance import Concordance, list_concordances, load_concordance
from taxonomy.scheme import Scheme, SchemeError, list_schemes, load_scheme

OPEN = "9999-12-31"


def families(schemes: Iterable[Scheme] | None = None) -> Mapping[str, tuple[Scheme, ...]]:
    """Versions by family, the oldest first; of the schemes there are, or of those given."""
    found: dict[str, list[Scheme]] = {}
    for scheme in map(load_scheme, list_schemes()) if schemes is None else schemes:
        found.setdefault(scheme.family, []).append(scheme)
    return {name: tuple(sorted(group, key=lambda s: (s.valid_from, s.id))) for name, group in sorted(found.items())}


def scheme_at(family: str, date: str, schemes: Iterable[Scheme] | None = None) -> Scheme:
    """The version of ``family`` in force on ``date`` (ISO); first and last day of validity are both inside.

    Raises
    ------
    SchemeError
        If there is no such family, or none or more than one of its versions is in force on that day.
    """
    groups = families(schemes)
    if family not in groups:
        raise SchemeError(f"no family {family!r} of schemes; known: {', '.join(groups)}")
    hits = [s for s in groups[family] if s.valid_from <= date <= (s.valid_to or OPEN)]
    if len(hits) == 1:
        return hits[0]
    periods = ", ".join(f"{s.id} {s.valid_from}–{s.valid_to or 'open'}" for s in groups[family])
    raise SchemeError(f"{len(hits)} versions of {family!r} are in force on {date}; expected one of: {periods}")


def check_family(versions: Iterable[Scheme], concordances: Iterable[Concordance] = ()) -> list[str]:
    """What is wrong between the versions of one family, one sentence each.

    Periods must not overlap, the successors of a retired code must exist in its own or a later version, and a code
    that the next version drops needs successors: its own ``successors`` or a concordance of the two versions.
    """
    ordered = sorted(versions, key=lambda s: (s.valid_from, s.id))
    tables = {(c.from_scheme.id, c.to_scheme.id): c for c in concordances}
    problems = []
    for i, scheme in enumerate(ordered):
        later = {c.code for s in ordered[i:] for c in s.codes if c.status != "retired"}
        problems += [
            f"{scheme.id}: {code.code} names the successor {name}, which no version from then on has"
            for code in scheme.codes
            for name in code.successors
            if name not in later
        ]
    for old, new in pairwise(ordered):
        if (old.valid_to or OPEN) >= new.valid_from:
            problems.append(f"{old.id} (to {old.valid_to or 'open'}) and {new.id} (from {new.valid_from}) overlap")
        table = tables.get((old.id, new.id))
        mapped = table.from_codes if table else frozenset[str]()
        problems += [
            f"{old.id}: {code.code} is not in {new.id} and has no successor; add it to {old.id}__{new.id}.csv"
            for code in old.codes
            if code.code not in new and not code.successors and code.code not in mapped and not old.children(code.code)
        ]
    return problems


def check_all_families() -> list[str]:
    """:func:`check_family` of every family there is, with the concordances there are."""
    tables = [load_concordance(name) for name in list_concordances()]
    return [problem for group in families().values() for problem in check_family(group, tables)]
