"""Secondary suppression (次级保护): publish what can be published without giving an unsafe cell away."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.disclosure.attacker import LEAST_WIDTH, Attacker, widths
from etl.methods.disclosure.primary import Primary, Rules, find_primary
from etl.methods.disclosure.table import MONEY, Table
from etl.methods.registry import method

PRIME: Final = 2**31 - 1
PIVOT_CHOICES: Final = 48
ROUNDS: Final = 40
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Pattern:
    """A proposal of what to publish; only a certificate makes it a result.

    ``frame``: ``table``, dimensions (``_T`` where totalled), ``value`` Decimal(24,2), ``n`` observed
    contributors, ``status`` published | primary | secondary | unoffered (safe, but in no publication) | empty, sorted
    by table and codes. Values of all cells are in it: restricted. ``hash`` is that of the frame as it was made.
    """

    frame: pl.DataFrame
    table: Table
    rules: Rules
    hash: str


def frame_hash(frame: pl.DataFrame) -> str:
    """SHA-256 of a pattern's frame."""
    return sha256(frame.write_csv().encode()).hexdigest()


def priority(table: Table) -> list[int]:
    """Variables from the first to be published to the last: totals before details, large values before small.

    Those no offered cell shows are left out. A variable shown in several cells counts as the least deep of them; ties go by table and codes.
    """
    first = (
        table.cells.with_row_index("order")
        .filter((pl.col("variable") >= 0) & pl.col("offered"))
        .group_by("variable")
        .agg(pl.col("depth").min(), pl.col("order").min())
    )
    cents = table.cents
    rows = [(depth, -int(cents[v]), order, v) for v, depth, order in first.iter_rows()]
    return [variable for *_, variable in sorted(rows)]


def merge_atoms(incidence: BoolArray) -> BoolArray:
    """Drop repeated columns: atoms that always occur together are one unknown to an attacker."""
    if incidence.size == 0:
        return incidence
    packed = np.ascontiguousarray(np.packbits(incidence, axis=0).T)
    keys = packed.view([("", packed.dtype)] * packed.shape[1]).ravel()
    keep = np.sort(np.unique(keys, return_index=True)[1])
    return np.ascontiguousarray(incidence[:, keep])


class Elimination:
    """Echelon form modulo a prime of published rows; the rest of the rows stay reduced by it.

    ``rows`` shape ``(variables, atoms + 2)``: the last two columns are random combinations of the others.
    They take part in every operation, so a row can only have become zero if it is zero there, and two rows
    can only be proportional if the ratio of the two columns is the same: two columns show what many would.
    ``owner`` is the group alone in an unsafe row (-1 for others), or None to leave singletons out.
    """

    def __init__(self, incidence: BoolArray, hidden: BoolArray, unsafe: BoolArray, owner: IntArray | None) -> None:
        count, atoms = incidence.shape
        weights = np.random.default_rng(atoms).integers(1, PRIME, size=(atoms, 2), dtype=np.int64)
        self.rows: IntArray = np.empty((count, atoms + 2), dtype=np.int64)
        self.rows[:, :atoms] = incidence
        self.rows[:, atoms:] = (incidence @ weights) % PRIME
        self.hidden = hidden
        self.active: BoolArray = np.ones(count, dtype=np.bool_)
        self.owner = owner
        self.pairing = unsafe & (owner is not None)
        self.ratio: IntArray = np.zeros(count, dtype=np.int64)
        watched = np.flatnonzero(self.pairing)
        self.ratio[watched] = _ratios(self.rows[watched, -2:])

    def publish(self, variable: int) -> bool:
        """Publish the variable unless that gives a hidden row away; returns whether it is published."""
        row = self.rows[variable]
        columns = np.flatnonzero(row)
        self.active[variable] = False
        if columns.size == 0:
            return True
        pivot = self._pivot(columns)
        touched = np.flatnonzero(self.active & (self.rows[:, pivot] != 0))
        inverse = pow(int(row[pivot]), -1, PRIME)
        factor = self.rows[touched, pivot] * inverse % PRIME
        prints = (self.rows[touched, -2:] - factor[:, None] * row[-2:]) % PRIME
        if self._vanishes(touched, factor, prints, row) or self._pairs(touched, prints):
            return False
        block = np.ix_(touched, columns)
        self.rows[block] = (self.rows[block] - factor[:, None] * row[columns]) % PRIME
        return True

    def _pivot(self, columns: IntArray) -> int:
        """Of the first non-zero columns the one that touches the fewest rows."""
        choices = columns[columns < self.rows.shape[1] - 2][:PIVOT_CHOICES]
        counts = np.count_nonzero(self.rows[:, choices][self.active], axis=0)
        return int(choices[np.argmin(counts)])

    def _vanishes(self, touched: IntArray, factor: IntArray, prints: IntArray, row: IntArray) -> bool:
        """Whether a hidden row is a multiple of ``row``: it would be reduced to nothing."""
        suspects = np.flatnonzero(self.hidden[touched] & ~prints.any(axis=1))
        left = (self.rows[touched[suspects]] - factor[suspects, None] * row) % PRIME
        return bool((~left.any(axis=1)).any())

    def _pairs(self, touched: IntArray, prints: IntArray) -> bool:
        """Whether the group alone in an unsafe row could compute another one; keeps the new ratios if not.

        That is so when the two reduced rows are proportional: published cells then fix one as a function of
        the other.
        """
        watched = np.flatnonzero(self.pairing[touched])
        if self.owner is None or watched.size == 0:
            return False
        ratio = self.ratio.copy()
        ratio[touched[watched]] = _ratios(prints[watched])
        seen: dict[int, int] = {}
        for variable in np.flatnonzero(self.pairing):
            owner = int(self.owner[variable])
            if seen.setdefault(int(ratio[variable]), owner) != owner:
                return True
        self.ratio = ratio
        return False


def _ratios(prints: IntArray) -> IntArray:
    """First column over the second, modulo the prime; shape ``(rows,)``."""
    inverse = [pow(int(second), PRIME - 2, PRIME) for second in prints[:, 1]]
    return prints[:, 0] * np.array(inverse, dtype=np.int64) % PRIME


def suppress(table: Table, primary: Primary, hidden: BoolArray, singletons: bool) -> BoolArray:
    """Which variables to publish, shape ``(variables,)``: greedy, exact and maximal.

    Every candidate in order of :func:`priority` is published unless some ``hidden`` variable would become a
    linear combination of published ones (or, with ``singletons``, of published ones and one that a single
    group knows). A rejected candidate stays rejected for the same reason, so nothing could be published in
    addition; nor is any secondary exactly determined (it would give the unsafe cell away with it).
    """
    owner = primary.owner if singletons and table.kind == "magnitude" else None
    elimination = Elimination(merge_atoms(table.incidence), hidden, primary.unsafe, owner)
    published = np.zeros(hidden.shape[0], dtype=np.bool_)
    for variable in priority(table):
        if not hidden[variable]:
            published[variable] = elimination.publish(variable)
    return published


def _narrow(table: Table, unsafe: BoolArray, published: BoolArray, enough: float) -> list[int]:
    """For every unsafe variable with too narrow an interval, a published variable that holds it."""
    shown = np.flatnonzero(published)
    merged, position = np.unique(table.incidence[published | unsafe], axis=1, return_inverse=True)
    rows = np.flatnonzero(published | unsafe)
    cents = np.bincount(position.ravel(), weights=table.atoms["cents"].to_numpy(), minlength=merged.shape[1])
    attacker = Attacker(merged[published[rows]], cents.astype(np.float64))
    _, prices = widths(attacker, merged[unsafe[rows]], enough, seed=merged.shape[1])
    rank = {variable: place for place, variable in enumerate(priority(table))}
    held = [shown[price > 1e-7] for price in prices.values()]
    return [int(max(binding, key=lambda v: rank[int(v)])) for binding in held if binding.size]


def choose(table: Table, primary: Primary, rules: Rules) -> BoolArray:
    """Which variables to publish: the exact stage, then wide enough intervals.

    Hide more cells until every unsafe variable's interval is ``min_width_percent`` of its value wide.

    In each round the least important published variable with a shadow price in a too narrow programme must
    not be known any more, and the exact stage runs again; ends when nothing is too narrow, or no cell holds
    it any more.
    """
    enough, unsafe = max(rules.min_width_percent / 100, LEAST_WIDTH), primary.unsafe
    hidden = unsafe.copy()
    published = suppress(table, primary, hidden, rules.singletons)
    for _ in range(ROUNDS if unsafe.any() else 0):
        holding = _narrow(table, unsafe, published, enough)
        if not holding:
            break
        hidden[holding] = True
        published = suppress(table, primary, hidden, rules.singletons)
    return published


@method("disclosure.protect")
def protect(table: Table, rules: Rules) -> Pattern:
    r"""Primary and secondary cell suppression of linked tables, without exact disclosure.

    With rows :math:`a_c \in \{0,1\}^m` of the published and :math:`b_k` of the unsafe cells over the
    :math:`m` non-empty atoms, no :math:`b_k` lies in the row space of the :math:`a_c`. Gaussian elimination
    on integers modulo :math:`2^{31}-1` after Langsrud (2024), "Secondary cell suppression by Gaussian
    elimination", PSD 2024, doi 10.1007/978-3-031-69651-0_6. An attacker is taken to know which atoms are
    empty and that values are not negative.

    Non-negativity alone pins no cell then: all atoms kept are truly positive, so the true table is an inner
    point of :math:`z \ge 0` and every direction the equations leave open can be walked both ways. The
    interval may be very narrow, though; :func:`choose` hides more until it is ``min_width_percent`` of the
    value wide.

    Not protected: each bound by the p% rule (one-sided), and groups that use several contributions of their
    own.
    """
    primary = find_primary(table, rules)
    published = choose(table, primary, rules)
    offered = np.isin(np.arange(published.shape[0]), priority(table))
    safe = np.where(published, "published", np.where(offered, "secondary", "unoffered"))
    status = np.where(primary.unsafe, "primary", safe)
    names = [*status.tolist(), "empty"]
    cents, n = [*table.cents.tolist(), 0], [*primary.n.tolist(), 0]
    variable = table.cells["variable"].to_list()
    frame = table.cells.select("table", *table.dims).with_columns(
        value=(pl.Series("cents", [cents[v] for v in variable], dtype=pl.Int64).cast(pl.Decimal(38, 2)) / 100).cast(
            MONEY
        ),
        n=pl.Series([n[v] for v in variable], dtype=pl.Int64),
        status=pl.Series([names[v] for v in variable], dtype=pl.String),
    )
    return Pattern(frame, table, rules, frame_hash(frame))
