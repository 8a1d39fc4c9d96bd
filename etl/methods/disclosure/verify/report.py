"""The audit of a pattern: every check, in order, from the input file and OUT alone."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from etl.methods.disclosure.loading import Loaded
from etl.methods.disclosure.verify import exact, insiders
from etl.methods.disclosure.verify.facts import Facts, find
from etl.methods.disclosure.verify.intervals import Asked, Progress, Reach, Verdict, exact_bounds, examine
from etl.methods.disclosure.verify.pattern import STATUSES, WITHHELD, Laid, Pattern, key_variables, lay
from etl.methods.disclosure.verify.system import System, build

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Check = dict[str, Any]
LISTED: Final = 20
#: Systems of at most so many blocks get exact bounds for every hidden figure.
EXACT: Final = 1000
#: A failing pattern is judged completely up to so many failures (fewer where one programme is long).
FAILURES, FEWER, LONG = 150, 10, 5000
#: Secondaries tried for the negative control.
TRIED: Final = 8
#: Part of a stated distance that rounding may take.
ROUNDED: Final = 0.01


@dataclass
class Report:
    """Outcome of an audit; restricted, for it names cells and groups.

    ``checks``: name → ``{"passed": bool, counts…, names…}``; ``low`` and ``high``: proved distances of every variable
    below and above its value, in units.
    """

    checks: dict[str, Check] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    low: FloatArray = field(default_factory=lambda: np.zeros(0))
    high: FloatArray = field(default_factory=lambda: np.zeros(0))

    @property
    def passed(self) -> bool:
        """Whether every check did."""
        return all(check["passed"] for check in self.checks.values())

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"passed": self.passed, "checks": self.checks, "counts": self.counts, "seconds": self.seconds}


class Auditor:
    """One input with its specification, ready to audit patterns of it; ``verdict``: of the last audit's intervals."""

    verdict: Verdict

    def __init__(self, loaded: Loaded, seed: int = 20261124, progress: Progress | None = None) -> None:
        self.loaded, self.seed, self.progress = loaded, seed, progress
        self.problem = loaded.problem
        self.facts: Facts = find(loaded)
        self.known = key_variables(self.problem)
        self.interval = loaded.spec.protection == "interval"
        self._wanted()

    def _wanted(self) -> None:
        """What the cells ask for, brought to variables: the strictest holds."""
        facts, size = self.facts, self.problem.size
        nodes = self.problem.relations.shape[1]
        self.unsafe = np.zeros(size, dtype=np.bool_)
        self.cell_variable: dict[int, int] = {}
        up, down, width = np.zeros(nodes), np.zeros(nodes), np.zeros(nodes)
        owner: list[str | None] = [None] * size
        forced = np.zeros(size, dtype=np.bool_)
        for key, cell in facts.keys.items():
            variable = self.known.get(key, -1)
            self.cell_variable[cell] = variable
            if variable < 0:
                continue
            owner[variable] = facts.owner[cell]
            forced[variable] |= facts.forced[cell]
            if facts.unsafe[cell]:
                self.unsafe[variable] = True
                up[variable] = max(up[variable], float(facts.upper[cell]))
                down[variable] = max(down[variable], float(facts.lower[cell]))
                width[variable] = max(width[variable], float(facts.width[cell]))
        self.unsafe &= ~forced
        self.owner = owner
        if not self.interval:
            up, down, width = np.zeros(nodes), np.zeros(nodes), np.zeros(nodes)
        self.asked = Asked(up, down, width)

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """How far nodes may deviate: below to what everybody knows (nothing where values can be negative)."""
        value = self.problem.node_values.astype(np.float64)
        if self.problem.negative:
            return np.full(value.size, -np.inf), np.full(value.size, np.inf)
        return self.problem.node_floors.astype(np.float64) - value, np.full(value.size, np.inf)

    def system(self, laid: Laid) -> System:
        """What an outsider has to solve."""
        low, high = self.bounds()
        return build(self.problem.relations, laid.hidden, low, high)

    def audit(
        self, pattern: Pattern, failures: int | None = FAILURES, control: bool = True, bounds: bool = True
    ) -> Report:
        """All checks of a pattern; with ``bounds`` also how far every hidden figure of a small table can really lie."""
        report, laid = Report(), lay(pattern, self.problem)
        always = [s for s in STATUSES if s != "unoffered" or s in pattern.status]
        report.counts = {s: pattern.status.count(s) for s in always} | {"cells": len(pattern.keys)}
        started = time.monotonic()
        report.checks |= self._file(pattern, laid)
        report.checks["equations"] = self._equations()
        report.checks["primary"] = self._primary(laid)
        system = self.system(laid)
        still = self._still(system)
        report.checks["null_space"] = self._null_space(laid, system, still)
        report.seconds["exact"] = round(time.monotonic() - started, 2)
        reach = Reach(system)
        reach.stuck[:, still] = True
        self._timed(report, "intervals", lambda: self._outsiders(laid, reach, failures))
        if self.interval and bounds and system.size <= EXACT:
            exact_bounds(reach)
        report.low, report.high = (side[: self.problem.size] for side in reach.figures())
        if self.loaded.spec.rules.singletons and self.problem.kind == "magnitude":
            self._timed(report, "groups", lambda: self._insiders(laid, system))
        if control and report.passed:
            self._timed(report, "control", lambda: {"control": self._control(laid, system)})
        return report

    def _timed(self, report: Report, name: str, work: Callable[[], dict[str, Check]]) -> None:
        started = time.monotonic()
        report.checks |= work()
        report.seconds[name] = round(time.monotonic() - started, 2)

    def _outsiders(self, laid: Laid, reach: Reach, failures: int | None) -> dict[str, Check]:
        """Intervals against the rules and against what is stated."""
        if not self.interval:
            return {}
        if failures == FAILURES and reach.system.size > LONG:
            failures = FEWER
        return {
            "intervals": self._intervals(laid, reach, failures),
            "stated": self._stated(laid, reach, failures),
        }

    def _file(self, pattern: Pattern, laid: Laid) -> dict[str, Check]:
        """Keys, values, counts and statuses of the file."""
        seen: dict[tuple[str, ...], int] = {}
        for i, key in enumerate(pattern.keys):
            seen.setdefault(key, i)
        strange = [k for k in seen if k not in self.known]
        lacking = [k for k in self.known if k not in seen]
        wrong_value, wrong_n, empty = [], [], []
        for i, key in enumerate(pattern.keys):
            cell = self.facts.keys.get(key)
            true = Decimal(0 if cell is None else int(self.facts.value[cell])).scaleb(-self.problem.scale)
            shown = pattern.value[i]
            right = shown is None if pattern.status[i] in WITHHELD else shown == true
            if not right:
                wrong_value.append(i)
            n = -1 if cell is None else int(self.facts.n[cell])
            if n >= 0 and pattern.n[i] != n and not self.problem.negative:
                wrong_n.append(i)
            if pattern.status[i] == "empty" and self.known.get(key, -1) >= 0:
                empty.append(i)
        unknown = [i for i, s in enumerate(pattern.status) if s not in STATUSES]
        hidden = np.zeros(self.problem.size, dtype=np.bool_)
        hidden[laid.variable[pattern.withheld & (laid.variable >= 0)]] = True
        both = np.flatnonzero(hidden & laid.published)
        doubled = len(pattern.keys) - len(seen)
        return {
            "keys": {
                "passed": not (strange or lacking or doubled), "cells": len(self.known), "missing": len(lacking),
                "unknown": len(strange), "doubled": doubled, "names": [_name(k) for k in (lacking + strange)[:LISTED]],
            },
            "values": {"passed": not wrong_value, "wrong": len(wrong_value), "names": _names(pattern, wrong_value)},
            "contributors": {"passed": not wrong_n, "wrong": len(wrong_n), "names": _names(pattern, wrong_n)},
            "statuses": {
                "passed": not (unknown or empty), "unknown": len(unknown), "not_empty": len(empty),
                "names": _names(pattern, unknown + empty),
            },
            "same_figure": {"passed": both.size == 0, "differing": int(both.size), "names": laid.names(both)},
        }  # fmt: skip

    def _equations(self) -> Check:
        """The sums hold of the atoms, and say all that additivity says (every figure of several atoms is some sum)."""
        problem, atoms = self.problem, self.problem.incidence.shape[1]
        count = problem.bare.size
        bare = csr_array((np.ones(count, np.int64), (np.arange(count), problem.bare)), shape=(count, atoms))
        rest = csr_array(problem.relations @ csr_array(vstack([problem.incidence, bare])))
        wrong = int(np.count_nonzero(rest.data))
        several = np.flatnonzero(np.diff(problem.incidence.indptr) > 1)
        negative = problem.relations.tocoo()
        sums = np.unique(negative.col[negative.data < 0])
        missing = np.setdiff1d(several, sums)
        totals = sum(
            int(self.facts.value[c]) != int(problem.values[v]) for c, v in self.cell_variable.items() if v >= 0
        )
        return {
            "passed": wrong == 0 and missing.size == 0 and totals == 0, "relations": int(problem.relations.shape[0]),
            "wrong": wrong, "untied": int(missing.size), "differing": int(totals),
        }  # fmt: skip

    def _primary(self, laid: Laid) -> Check:
        open_cells = np.flatnonzero(self.unsafe & laid.published)
        labelled = np.zeros(self.problem.size, dtype=np.bool_)
        primary = np.array([s == "primary" for s in laid.pattern.status], dtype=np.bool_)
        labelled[laid.variable[primary & (laid.variable >= 0)]] = True
        return {
            "passed": open_cells.size == 0, "unsafe": int(self.unsafe.sum()), "shown": int(open_cells.size),
            "names": laid.names(open_cells), "labelled_otherwise": int((self.unsafe & ~labelled & ~laid.published).sum()),
        }  # fmt: skip

    def _still(self, system: System) -> BoolArray:
        """Blocks that are zero in random null vectors modulo either prime: published figures determine them."""
        still = np.zeros(system.size, dtype=np.bool_)
        for prime in exact.PRIMES:
            still |= ~exact.null_vectors(system.equations, 2, prime, self.seed).any(axis=1)
        return still

    def _null_space(self, laid: Laid, system: System, still: BoolArray) -> Check:
        """No unsafe figure is determined."""
        block = system.block[: self.problem.size]
        determined = ~laid.published & ((block < 0) | np.append(still, True)[block])
        bad = np.flatnonzero(determined & self.unsafe)
        other = np.flatnonzero(determined & ~self.unsafe)
        return {
            "passed": bad.size == 0, "hidden": int((~laid.published).sum()), "blocks": system.size,
            "determined_unsafe": int(bad.size), "names": laid.names(bad), "determined_other": int(other.size),
        }  # fmt: skip

    def _intervals(self, laid: Laid, reach: Reach, failures: int | None) -> Check:
        targets = np.flatnonzero(self.unsafe & ~laid.published)
        verdict = examine(reach, targets, self.asked, self.seed, failures, self.progress)
        self.verdict = verdict
        failed = targets[verdict.failed]
        return {
            "passed": failed.size == 0, "targets": int(targets.size), "failed": int(failed.size),
            "upper": int(verdict.short_up.sum()), "lower": int(verdict.short_down.sum()),
            "width": int(verdict.narrow.sum()), "not_judged": int(verdict.unproved.sum()), "names": laid.names(failed),
            "bulk_programmes": reach.programmes.bulk_count, "single_programmes": reach.programmes.single_count,
        }  # fmt: skip

    def _stated(self, laid: Laid, reach: Reach, failures: int | None) -> Check:
        """What the file says an attacker can infer must not be wider than what an attacker can infer."""
        nodes = self.problem.relations.shape[1]
        up, down = np.zeros(nodes), np.zeros(nodes)
        finite_up, finite_down = np.isfinite(laid.high), np.isfinite(laid.low)
        up[: self.problem.size] = np.where(finite_up, np.maximum(laid.high - ROUNDED, 0.0), 0.0)
        down[: self.problem.size] = np.where(finite_down, np.maximum(laid.low - ROUNDED, 0.0), 0.0)
        targets = np.flatnonzero(((up > 0) | (down > 0))[: self.problem.size] & ~laid.published)
        verdict = examine(reach, targets, Asked(up, down, np.zeros(nodes)), self.seed + 1, failures, self.progress)
        failed = targets[verdict.failed]
        return {
            "passed": failed.size == 0, "stated": int(targets.size), "too_wide": int(failed.size),
            "names": laid.names(failed),
        }  # fmt: skip

    def _insiders(self, laid: Laid, system: System) -> dict[str, Check]:
        hidden = ~laid.published
        wanted = insiders.Wanted(self.unsafe & hidden, self.owner, self.asked)
        found, tried = insiders.exposed_to_owners(system, wanted, self.seed)
        checks = {"owners": insiders.summary(found, laid, tried)}
        if not self.interval:
            return checks
        names = insiders.largest(self.facts)
        room = insiders.Room(laid, system, self.facts, self.cell_variable, self.bounds())
        pinned = insiders.pinned_by_largest(room, wanted, names, self.seed, self.progress)
        checks["largest_groups"] = insiders.summary(pinned, laid, len(names))
        return checks

    def _control(self, laid: Laid, system: System) -> Check:
        """Showing one figure more must fail: a secondary that some unsafe one needs, or else an unsafe one itself."""
        hidden = np.flatnonzero(~laid.published)
        secondary = hidden[~self.unsafe[hidden]]
        vectors = exact.null_vectors(system.equations, 2, exact.PRIMES[0], self.seed)
        line = np.append(insiders.aligned(vectors, exact.PRIMES[0]), -1)[system.block]
        tied = np.isin(line[secondary], line[np.flatnonzero(self.unsafe & ~laid.published)]) & (line[secondary] >= 0)
        random = np.random.default_rng(self.seed)
        order = np.concatenate([random.permutation(secondary[tied])[:2], random.permutation(secondary[~tied])[:TRIED]])
        for tried, variable in enumerate(order.tolist(), 1):
            if self._fails_with(laid, variable):
                return {"passed": True, "shown": laid.names(np.array([variable])), "tried": tried}
        unsafe = hidden[self.unsafe[hidden]]
        if unsafe.size == 0:
            return {"passed": True, "shown": [], "tried": order.size}
        opened = self._with(laid, int(unsafe[0]))
        return {
            "passed": not self._primary(opened)["passed"], "shown": laid.names(unsafe[:1]), "tried": int(order.size) + 1,
        }  # fmt: skip

    def _with(self, laid: Laid, variable: int) -> Laid:
        published = laid.published.copy()
        published[variable] = True
        return Laid(laid.problem, laid.pattern, laid.variable, published, laid.low, laid.high)

    def _fails_with(self, laid: Laid, variable: int) -> bool:
        opened = self._with(laid, variable)
        system = self.system(opened)
        if not self._null_space(opened, system, self._still(system))["passed"]:
            return True
        if not self.interval or system.size > EXACT:
            return False
        targets = np.flatnonzero(self.unsafe & ~opened.published)
        return bool(examine(Reach(system), targets, self.asked, self.seed, 1).failed.any())


def _name(key: tuple[str, ...]) -> str:
    return "/".join(key)


def _names(pattern: Pattern, rows: list[int]) -> list[str]:
    return [_name(pattern.keys[i]) for i in rows[:LISTED]]
