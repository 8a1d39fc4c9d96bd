"""Certified cell suppression (单元格抑制): exact stage, interval stage, publishing back; pattern and report."""

import resource
import time
from collections.abc import Callable, Sequence
from contextlib import suppress as suppress_errors
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from etl.methods.disclosure.elimination import Reduced, priority, suppress
from etl.methods.disclosure.pattern import Protection, Report, finish
from etl.methods.disclosure.problem import Problem
from etl.methods.disclosure.search import OutOfTime, Progress, Search
from etl.methods.disclosure.sensitivity import RuleSet, find_sensitive

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
#: Cells hidden before cost next to nothing to hide again.
ALREADY: Final = 1e-3
BACK_ROUNDS: Final = 6
START_SEED: Final = 20261126
#: Share of the time limit after which nothing is exchanged or published back any more.
IMPROVING: Final = 0.6
#: Up to this many variables cells are exchanged, and further searches are made, of which the cheapest pattern is taken.
SMALL: Final = 600
#: Prices of the third search and those after it are multiplied by lognormal numbers of this width.
SHAKEN: Final = 0.6
#: 0 counts cells (and hides large totals), 1 adds up values (and hides many cells).
EXPONENT: Final = 0.75


@dataclass(frozen=True)
class Options:
    """How to protect.

    ``protection``: ``exact`` (nothing can be computed exactly) or ``interval`` (bounds far enough away as well).
    ``price``: cost of hiding every variable; default :func:`prices`. ``earlier``, ``withheld``: variables published
    and hidden in earlier releases. ``rounding``: published values are rounded to this many units. ``time_limit`` in
    seconds. ``redesign``: share of a level's filled cells hidden beyond which the report names it for redesign (1: never).
    ``exchanges``: passes in which dear cells are exchanged for cheaper ones
    (small tables only: large ones gain next to nothing from it). ``bounds``: state how far hidden cells can lie.
    ``starts``: searches of a small table: from the exact stage, from the unsafe cells alone, then from these at shaken prices.
    """

    protection: Literal["exact", "interval"] = "interval"
    price: FloatArray | None = None
    earlier: Sequence[int] = ()
    withheld: Sequence[int] = ()
    rounding: int = 0
    time_limit: float = 600.0
    redesign: float = 1.0
    exchanges: int = 1
    bounds: bool = True
    starts: int = 8
    progress: Progress | None = None


def prices(problem: Problem, withheld: Sequence[int] = ()) -> FloatArray:
    """Cost of hiding: the value to the power of ``EXPONENT``, and 1; next to nothing for what was hidden before; shape ``(variables,)``.

    Between counting cells (which hides large totals) and adding up values (which hides many cells).
    """
    price = np.abs(problem.values).astype(np.float64) ** EXPONENT + 1.0
    price[list(withheld)] *= ALREADY
    return price


class _Run:
    """One protection, stage by stage."""

    def __init__(self, problem: Problem, rules: RuleSet, options: Options) -> None:
        self.problem, self.rules, self.options = problem, rules, options
        self.report = Report(protection=options.protection)
        self.begin = self.last = time.monotonic()
        self.found = find_sensitive(problem, rules)
        self.price = prices(problem, options.withheld) if options.price is None else options.price
        self.order = priority(problem, options.earlier, options.withheld)
        self.done("primary", self.found.unsafe)

    def done(self, stage: str, hidden: BoolArray) -> None:
        """Note time, memory and what is hidden at the end of a stage."""
        now, report = time.monotonic(), self.report
        report.seconds[stage] = round(report.seconds.get(stage, 0.0) + now - self.last, 3)
        report.memory[stage] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
        values = np.abs(self.problem.values).astype(np.float64)
        report.hidden_value_share[stage] = round(float(values[hidden].sum() / max(values.sum(), 1.0)), 6)
        report.counts[f"variables hidden after {stage}"] = int(hidden.sum())
        self.last = now

    def exact(self, hidden: BoolArray | None = None) -> BoolArray:
        """Stage A; with ``hidden`` only what it makes necessary beyond."""
        order = self.order if hidden is None else self.order[~hidden[self.order]]
        return ~self.eliminate(order).published

    def eliminate(self, order: IntArray) -> Reduced:
        """What of the cells on offer can be published in the order given."""
        return suppress(self.problem, self.found, order, self.rules.singletons, ~self.problem.offered)

    def cheapest(self, first: BoolArray) -> Search:
        """Stage B from the exact stage's pattern, and for small tables the cheapest of several."""
        best = self.interval(first, self.price)
        said = self._said()
        bare = self.found.unsafe | ~self.problem.offered
        random = np.random.default_rng(START_SEED)
        for k in range(1, self.options.starts if self.problem.size <= SMALL else 1):
            if time.monotonic() > self.begin + self.options.time_limit * IMPROVING:
                break
            shaken = np.exp(random.normal(0.0, SHAKEN if k > 1 else 0.0, self.problem.size))
            other = self.interval(bare, self.price * shaken)
            if other.complete and (not best.complete or self.cost(other.hidden) < self.cost(best.hidden)):
                best, said = other, self._said()
        self.report.counts, self.report.hidden_value_share = said
        return best

    def _said(self) -> tuple[dict[str, int], dict[str, float]]:
        """What the report says of the last search."""
        return dict(self.report.counts), dict(self.report.hidden_value_share)

    def interval(self, hidden: BoolArray, price: FloatArray) -> Search:
        """Stage B from a first pattern at the prices given; then whatever exactness needs; then needless cells back."""
        limit, options = self.options.time_limit, self.options
        search = Search(
            self.problem, self.found, price, hidden.copy(), self.begin + limit, options.rounding, options.progress
        )
        try:
            search.certify()
        except OutOfTime:
            self.done("certify", search.hidden)
            return search
        self.done("certify", search.hidden)
        search.price = self.price
        search.deadline = self.begin + limit * IMPROVING / 2
        self._improve(lambda: self._exchange(search))
        search.hidden |= self.exact(search.hidden)
        self.done("exchange", search.hidden)
        search.deadline = self.begin + limit * IMPROVING
        self._improve(lambda: self._back(search))
        self.done("publish back", search.hidden)
        search.deadline = self.begin + limit
        return search

    def _improve(self, step: Callable[[], None]) -> None:
        """Improve until time is up: the pattern is certified before and after every single change."""
        with suppress_errors(OutOfTime):
            step()

    def _secondaries(self, hidden: BoolArray) -> IntArray:
        cells = np.flatnonzero(hidden & ~self.found.unsafe & self.problem.offered)
        order: IntArray = cells[np.argsort(-self.price[cells], kind="stable")]
        return order

    def _exchange(self, search: Search) -> None:
        for _ in range(self.options.exchanges if self.problem.size <= SMALL else 0):
            if not search.exchange(self._secondaries(search.hidden)):
                break

    def _back(self, search: Search) -> None:
        kept = np.zeros(self.problem.size, dtype=np.bool_)
        for _ in range(BACK_ROUNDS):
            shown = self.order[~search.hidden[self.order]]
            rest = self._secondaries(search.hidden)
            rest = rest[~kept[rest]]
            result = self.eliminate(np.concatenate([shown, rest]))
            candidates = rest[result.published[rest]]
            if candidates.size == 0 or not result.published[shown].all():
                break
            kept[candidates] = True
            search.publish_back(candidates)

    def cost(self, hidden: BoolArray) -> float:
        """Price of the secondaries."""
        return float(self.price[hidden & ~self.found.unsafe & self.problem.offered].sum())


def protect(problem: Problem, rules: RuleSet, options: Options | None = None) -> Protection:
    r"""Primary, exact and interval protection of linked tables.

    Stage A (:func:`elimination.suppress`) leaves no unsafe cell exactly computable, by outsiders or by a group
    alone in a cell. Stage B: for every unsafe cell with value v and required distances U and L there are tables that
    agree with all that is published in which the cell is at least v + U, and at most v - L. Each is found by a linear
    programme over a block of the table and kept as a certificate; where hidden cells do not allow it, the programme
    with prices on published ones (Kelly, Golden, Assad 1992, with prices raised for small moves) says what to hide.
    Cells are then exchanged for cheaper ones and published back while all certificates hold.

    Within ``time_limit`` the best certified pattern; if not even the first was complete, the report says
    ``certified=False`` and names cells: such a pattern must not be published.

    Raises
    ------
    ProblemError
        Where forced published cells or required distances make protection impossible: the cell is named.
    """
    run = _Run(problem, rules, options or Options())
    first = run.exact()
    run.done("exact", first)
    if run.options.protection == "exact":
        search = Search(problem, run.found, run.price, first, run.begin + run.options.time_limit)
        search.book.by[:] = -2
        run.report.certified = True
    else:
        search = run.cheapest(first)
        run.report.certified = search.complete
    return finish(run.report, problem, run.found, search, run.options.redesign, bounds=run.options.bounds)
