"""Linked tables of one statistic from its contributions: built, protected, audited. The pipeline's way into the engine."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.disclosure.beside import Earlier, entry_with, hidden_beside, joint_checks, new_conflicts
from etl.methods.disclosure.ledger import Conflict, Entry
from etl.methods.disclosure.loading import Loaded
from etl.methods.disclosure.offering import offering
from etl.methods.disclosure.problem import Problem, ProblemError
from etl.methods.disclosure.problem_build import Source, from_microdata
from etl.methods.disclosure.protection import Options
from etl.methods.disclosure.protection import protect as protect_problem
from etl.methods.disclosure.sensitivity import RuleSet, Sensitivity, find_sensitive
from etl.methods.disclosure.spec import Spec
from etl.methods.disclosure.verify import pattern as verified
from etl.methods.disclosure.verify.report import Auditor
from etl.methods.registry import method

TOTAL: Final = "_T"
MONEY: Final = pl.Decimal(24, 2)
TIME_LIMIT: Final = 1800.0
"""Seconds a search may take. It is meant never to end one: what a night publishes must not depend on its speed."""
SEARCH: Final[dict[str, Any]] = {"time_limit": TIME_LIMIT, "bounds": False, "exchanges": 0, "starts": 1}
"""A night protects some three hundred tables: exchanges and a second start hide as much, in five times the time."""
BoolArray = NDArray[np.bool_]
#: No releases before.
FIRST: Final = Earlier()
Kind = Literal["magnitude", "count"]
Parents = Mapping[str, str | None]
Offers = Mapping[str, Collection[str]]


def _check(micro: pl.DataFrame, dims: Sequence[str], hierarchies: Mapping[str, Parents]) -> None:
    """Leaf codes, contributors of all answers, no value below zero."""
    for dim in dims:
        parents = hierarchies[dim]
        inner = {p for p in parents.values() if p is not None}
        wrong = [c for c in micro[dim].unique().to_list() if c is None or c not in parents or c in inner]
        if wrong:
            raise ProblemError(
                f"dimension {dim!r}: {sorted(map(str, wrong))[:5]} are not leaf codes of its hierarchy; "
                "code every contribution to a leaf (a residual one where nothing else is known)"
            )
    if micro["observed"].null_count() or micro.filter("observed")["contributor"].null_count():
        raise ProblemError("every observed contribution needs a contributor, and every contribution a known 'observed'")
    if micro.height and float(micro["value"].min()) < 0:  # type: ignore[arg-type]
        raise ProblemError("a contribution is negative; these tables are of magnitudes of zero or more")


def _values(micro: pl.DataFrame, value: str | None) -> pl.Expr:
    if value is None:
        return pl.lit(1, dtype=pl.Int64)
    dtype = micro.schema[value]
    if not (dtype.is_integer() or (isinstance(dtype, pl.Decimal) and dtype.scale <= 2)):
        raise ProblemError(f"column {value!r} is {dtype}; expected whole numbers or Decimal with at most 2 places")
    return pl.col(value).cast(pl.Decimal(36, 2))


def build_table(
    micro: pl.DataFrame,
    tables: Mapping[str, Sequence[str]],
    hierarchies: Mapping[str, Parents],
    value: str | None,
    contributor: str,
    observed: str | None = None,
    kind: Kind = "magnitude",
    offers: Offers | None = None,
    unanswered: Offers | None = None,
    rules: RuleSet | None = None,
) -> Loaded:
    """Cells of all tables and the contributions behind them.

    Parameters
    ----------
    micro
        One row per contribution: leaf codes of the dimensions, ``contributor`` (enterprise group), ``value``
        (Decimal with at most 2 places or whole numbers, never negative; null is a gap, zero no contribution) and
        ``observed`` (Boolean; False for a modelled contribution, which adds to the value but is nobody's
        answer).
    tables
        Name → dimensions shown. ``dim:k`` shows codes down to depth k of the hierarchy only (roots have
        depth 1). Every table holds all shown levels, all totals and all empty cells; dimensions not listed
        are totalled.
    hierarchies
        By dimension, child → parent; a root has the parent ``None`` or ``_T``.
    value
        Column of the values; ``None`` counts every contribution as one.
    kind
        ``count`` for memberships: the frequency rule alone has a meaning there.
    offers, unanswered
        As for :func:`etl.methods.disclosure.offering.offering`.
    rules
        Those the table is judged by; default :class:`RuleSet`.

    Raises
    ------
    ProblemError
        For unknown or inner codes, gaps in codes or contributors, negative values, floats.
    """
    dims = tuple(dict.fromkeys(item.partition(":")[0] for items in tables.values() for item in items))
    if unknown := [d for d in dims if d not in hierarchies]:
        raise ProblemError(f"no hierarchy given for dimension {unknown[0]!r}")
    rows = micro.select(
        *dims, contributor=pl.col(contributor).cast(pl.String), value=_values(micro, value),
        observed=pl.lit(True) if observed is None else pl.col(observed),
    ).drop_nulls("value")  # fmt: skip
    _check(rows, dims, hierarchies)
    key = [*dims, "contributor", "observed"]
    rows = rows.filter(pl.col("value") > 0).group_by(key).agg(pl.col("value").sum()).sort(key, nulls_last=True)
    sources = tuple(
        Source(d, column=d, pairs=tuple((c, p or TOTAL) for c, p in hierarchies[d].items()), total=TOTAL) for d in dims
    )
    codes = [{d: tuple(sorted(c)) for d, c in (asked or {}).items() if d in dims} for asked in (offers, unanswered)]
    spec = Spec(
        Path("pipeline"), "microdata", sources, "value", "contributor", None, None, None, rules or RuleSet(), {}, (),
        {name: tuple(items) for name, items in tables.items()}, TIME_LIMIT, "interval", None, None,
        observed="observed", frequency=kind == "count", offers=codes[0], unanswered=codes[1],
    )  # fmt: skip
    problem = from_microdata(
        rows, sources, "value", "contributor", tables=spec.tables, observed="observed", frequency=spec.frequency
    )
    return Loaded(spec, rows, offering(problem, dict(spec.tables or {}), spec.offers, spec.unanswered), ())


@dataclass(frozen=True)
class Pattern:
    """A proposal of what to publish; only a certificate makes it a result.

    ``frame``: ``table``, dimensions (``_T`` where totalled), ``value`` Decimal(24,2), ``n`` contributors that
    answered, ``status`` published | primary | secondary | unoffered (safe, but in no publication) | empty, sorted
    by table and codes. Values of all cells are in it: restricted. ``hash`` is that of the frame as it was made.
    ``certified``: whether a pattern was found; without one nothing is published. ``conflicts``: cells that earlier
    releases showed and that are unsafe now.
    """

    frame: pl.DataFrame
    table: Loaded
    rules: RuleSet
    hash: str
    certified: bool = True
    conflicts: tuple[Conflict, ...] = ()


def frame_hash(frame: pl.DataFrame) -> str:
    """SHA-256 of a pattern's frame."""
    return sha256(frame.write_csv().encode()).hexdigest()


def _laid_out(table: Loaded, problem: Problem, found: Sensitivity, hidden: BoolArray) -> pl.DataFrame:
    """Every cell with value, contributors and status."""
    withheld = np.where(found.unsafe, "primary", np.where(problem.offered, "secondary", "unoffered"))
    status = np.append(np.where(hidden, withheld, "published"), "empty")
    at = problem.cells["variable"].to_numpy()
    values = pl.Series(np.append(problem.values, 0)[at], dtype=pl.Int64).cast(pl.Decimal(38, 2)) / 10**problem.scale
    dims = table.spec.dims
    return problem.cells.select(
        "table", *dims, value=values.cast(MONEY), n=pl.Series(np.append(found.n, 0)[at]),
        status=pl.Series(status[at].tolist(), dtype=pl.String),
    ).sort("table", *dims)  # fmt: skip


def _decided(problem: Problem, shown: Sequence[int], shut: Sequence[int]) -> Problem:
    """Variables to be published whatever, and variables not on offer."""
    given, offered = problem.given.copy(), problem.offered.copy()
    given[list(shown)] = "z"
    offered[list(shut)] = False
    return replace(problem, given=given, offered=offered)


@method("disclosure.protect")
def protect(
    table: Loaded, rules: RuleSet, shown: Sequence[int] = (), shut: Sequence[int] = (), earlier: Earlier = FIRST
) -> Pattern:
    """Primary, exact and interval protection of linked tables: :func:`etl.methods.disclosure.protection.protect`.

    Where no certified pattern is found nothing of the tables is published.

    Parameters
    ----------
    shown, shut
        Variables of the problem whose publication is decided elsewhere: published, hidden.
    earlier
        Releases of the same tables that the pattern has to stand beside. A cell that was published and is unsafe now is
        hidden and among the pattern's ``conflicts``.
    """
    table = replace(table, spec=replace(table.spec, rules=rules))
    problem = _decided(table.problem, shown, shut)
    options, found = Options(**SEARCH), find_sensitive(problem, rules)
    conflicts: tuple[Conflict, ...] = ()
    certified = True
    try:
        if earlier.entries:
            auditor = Auditor(table)
            conflicts = tuple(new_conflicts(auditor, earlier))
            hidden = hidden_beside(auditor, problem, earlier.accepting(conflicts), options)
        else:
            protection = protect_problem(problem, rules, options)
            hidden, certified = protection.hidden, protection.report.certified
    except ProblemError:
        certified = False
    if not certified:
        hidden = np.ones(problem.size, np.bool_)
    frame = _laid_out(table, problem, found, hidden)
    return Pattern(frame, table, rules, frame_hash(frame), certified, conflicts)


@dataclass(frozen=True)
class Certificate:
    """Outcome of an audit. Everything but :meth:`public_dict` is restricted.

    ``checks`` maps the name of a check to ``{"passed": bool, ...}`` (JSON-ready); ``counts`` holds cells by status;
    ``certified``: whether the search found the pattern (else nothing is published).
    """

    passed: bool
    checks: Mapping[str, Mapping[str, Any]]
    rules: Mapping[str, Any]
    pattern_hash: str
    data_hash: str
    seed: int
    counts: Mapping[str, int]
    certified: bool = True

    def as_dict(self) -> dict[str, Any]:
        """The whole certificate, for the restricted store."""
        return asdict(self)

    def public_dict(self) -> dict[str, Any]:
        """What may be shown: whether it passed.

        No parameters, values, keys, counts of withheld cells, or hashes (with few unknowns left a plain hash can be
        searched).
        """
        return {"passed": self.passed}


def _as_verified(pattern: Pattern) -> verified.Pattern:
    """The frame as the audit reads patterns: each cell once, withheld ones without their value."""
    dims, frame = pattern.table.spec.dims, pattern.frame
    hidden = pl.col("status").is_in(verified.WITHHELD)
    cells = frame.select(*dims, value=pl.when(~hidden).then("value"), n="n", status="status").unique(
        maintain_order=True
    )
    nothing = np.full(cells.height, np.nan)
    return verified.Pattern(
        cells.select(dims).rows(), cells["status"].to_list(), cells["value"].to_list(), cells["n"].to_list(), nothing,
        nothing,
    )  # fmt: skip


def _intact(pattern: Pattern) -> dict[str, Any]:
    """The frame is the one protection made, with one row a cell of every table."""
    key = ["table", *pattern.table.spec.dims]
    expected, given = pattern.table.problem.cells.select(key), pattern.frame.select(key)
    found = {
        "missing": expected.join(given, on=key, how="anti").height,
        "unknown": given.join(expected, on=key, how="anti").height,
        "double": given.height - given.unique().height,
    }
    same = frame_hash(pattern.frame) == pattern.hash
    return {"passed": same and not any(found.values()), "hash": same, **found}


@dataclass(frozen=True)
class Audited:
    """A certificate, and the pattern as the ledger enters it (restricted)."""

    certificate: Certificate
    entry: Entry


def audit_beside(pattern: Pattern, rules: RuleSet, seed: int, earlier: Earlier = FIRST) -> Audited:
    """:func:`audit` of a pattern together with the releases it has to stand beside."""
    loaded = replace(pattern.table, spec=replace(pattern.table.spec, rules=rules))
    auditor, laid = Auditor(loaded, seed), _as_verified(pattern)
    report = auditor.audit(laid, bounds=False)
    entry = entry_with(auditor, verified.lay(laid, loaded.problem).published, pattern.hash)
    joint = joint_checks(auditor, entry, earlier.accepting(pattern.conflicts)) if earlier.entries else {}
    checks = {"intact": _intact(pattern), **report.checks, **joint}
    counts = {s: int((pattern.frame["status"] == s).sum()) for s in verified.STATUSES}
    passed = all(check["passed"] for check in checks.values())
    certificate = Certificate(
        passed, checks, asdict(rules), frame_hash(pattern.frame), loaded.problem.hash, seed,
        {"cells": pattern.frame.height, **counts}, pattern.certified,
    )  # fmt: skip
    return Audited(certificate, entry)


@method("disclosure.audit")
def audit(pattern: Pattern, rules: RuleSet | None = None, *, seed: int = 20261124) -> Certificate:
    """Check a pattern from its codes, statuses and the contributions alone: :mod:`etl.methods.disclosure.verify`.

    Parameters
    ----------
    pattern
        As :func:`protect` returned it.
    rules
        The rules in force; those the pattern was made with if left out. Unsafe cells are found afresh.
    seed
        Of what is random in the audit.
    """
    return audit_beside(pattern, pattern.rules if rules is None else rules, seed).certificate
