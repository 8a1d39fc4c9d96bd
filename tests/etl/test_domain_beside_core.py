"""Domain cubes and core cubes of one revenue, looked at together: the bounds of a withheld cell are those of its own cubes."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog

from etl.analysis import contributions
from etl.dissemination import CUBES as CORE
from etl.dissemination import DIMENSIONS, HIDDEN, branch, clear, hierarchies
from etl.domain_cubes import CUBES, clear_domains
from etl.domains import domain_contributions, domain_parents
from etl.methods.disclosure import RuleSet, build_table
from etl.methods.disclosure.problem import Problem
from etl.methods.disclosure.sensitivity import find_sensitive
from etl.quantities import with_quantities
from tests.etl.quantity_units import unit_frame
from warehouse.catalogue import load_indicators

RULES, YEAR, LOOKED_AT = RuleSet(), 2025, 12
SCALE = 1e8
REVENUE = load_indicators()["ai_revenue"]
DOMAINS = {"core_domain_year": ("domain",), "core_branch_domain": ("ai_class:1", "domain:1")}
PARENTS = {**hierarchies(), "domain": domain_parents()}
KEYS = [*DIMENSIONS, "domain"]
Variables = NDArray[np.bool_]


@dataclass(frozen=True)
class Year:
    """One year: contributions by domain, protected core cells, protected domain cells."""

    split: pl.DataFrame
    core: pl.DataFrame
    domains: pl.DataFrame


@pytest.fixture(scope="module")
def year() -> Year:
    units = with_quantities(unit_frame())
    activity = contributions(units, [REVENUE])
    signed = activity.select("uscc", "ref_year", *DIMENSIONS, is_signed="observed").unique()
    split = domain_contributions(units, activity).join(signed, on=["uscc", "ref_year", *DIMENSIONS], how="left")
    split = rare(split.filter(pl.col("ref_year") == YEAR))
    core = pl.concat([c.cells() for c in clear(activity, [REVENUE], RULES, 1)]).filter(pl.col("period") == str(YEAR))
    cleared = next(iter(clear_domains(split, core, RULES, 1)))
    assert cleared.shown == tuple(CUBES) and cleared.certificate.passed
    return Year(split, core, cleared.cells())


def rare(split: pl.DataFrame) -> pl.DataFrame:
    """All but two units leave two domains, and an article in branch A, so that cells of both domain cubes are withheld."""
    for leave in (
        pl.col("domain").is_in(["R391", "R392"]),
        (branch() == "A") & pl.col("domain").str.starts_with("R40"),
    ):
        few = split.filter(leave & pl.col("observed"))["uscc"].unique().sort().head(2)
        gone = leave & ~pl.col("uscc").is_in(few.implode())
        split = split.with_columns(domain=pl.when(gone).then(pl.lit("R393")).otherwise("domain"))
    return split


def everywhere(split: pl.DataFrame) -> pl.DataFrame:
    """A cent in every combination that could be: nobody outside knows which are empty."""
    filled = split.select(*DIMENSIONS, branch=branch()).unique()
    used = split.select("domain", branch=branch()).unique()
    cents = filled.join(used, on="branch").select(*KEYS, contributor=pl.lit("nobody"), observed=pl.lit(False))
    return cents.with_columns(value=pl.lit("0.01").cast(split.schema["value"]))


def whole(year: Year, *, observed: str = "observed", empty_known: bool = False) -> Problem:
    """All cells of both sets over all combinations (or those that are known not to be empty)."""
    own = year.split.select(*KEYS, "contributor", "value", observed=observed)
    core = {n: d for n, d in CORE.items() if n in set(year.core["table"])}
    rows = own if empty_known else pl.concat([own, everywhere(year.split).select(own.columns)])
    return build_table(rows, {**core, **DOMAINS}, PARENTS, "value", "contributor", "observed").problem


def variables(problem: Problem, cells: pl.DataFrame) -> Variables:
    """Variables of these cells (``table`` and dimensions)."""
    key = [c for c in ("table", *KEYS) if c in cells.columns]
    at = problem.cells.join(cells.select(key), on=key, how="semi").filter(pl.col("variable") >= 0)["variable"]
    found = np.zeros(problem.size, dtype=np.bool_)
    found[at.to_numpy()] = True
    return found


def bounds(problem: Problem, shown: Variables, cell: int) -> tuple[float, float]:
    """Least and greatest value of a variable by what is shown, in million yuan."""
    row = problem.incidence[[cell]].toarray()[0].astype(float)
    known = problem.incidence[shown].astype(float)
    ends = []
    for sign in (1.0, -1.0):
        found = linprog(sign * row, A_eq=known, b_eq=problem.values[shown] / SCALE, bounds=(0, None), method="highs")
        assert found.status == 0, found.message
        ends.append(sign * found.fun)
    return ends[0], ends[1]


def chosen(cells: Variables) -> list[int]:
    """A dozen of them."""
    at = np.flatnonzero(cells)
    return at[:: max(1, at.size // LOOKED_AT)].tolist()


def sides(problem: Problem, year: Year) -> list[tuple[Variables, Variables]]:
    """Withheld and shown variables of the core cubes, and of the domain cubes."""
    found = []
    for cells in (year.core, year.domains):
        hidden = variables(problem, cells.filter(pl.col("status").is_in(HIDDEN)))
        found.append((hidden, variables(problem, cells) & ~hidden))
    return found


def differing(problem: Problem, year: Year) -> tuple[int, int]:
    """Cells looked at, and those whose bounds by both sets are not those by their own."""
    found = sides(problem, year)
    shown, looked, differ = found[0][1] | found[1][1], 0, 0
    for hidden, own in found:
        for cell in chosen(hidden):
            looked += 1
            differ += bounds(problem, shown, cell) != pytest.approx(bounds(problem, own, cell), rel=1e-6, abs=1e-6)
    return looked, differ


def test_the_bounds_by_both_together_are_those_by_each_alone(year: Year) -> None:
    """Given the branch totals any core table goes with any domain table: their product over the totals has both as sums."""
    hidden = year.domains.filter(pl.col("status").is_in(HIDDEN))
    assert set(hidden["table"]) == set(CUBES), "cells of both cubes are withheld"
    looked, differ = differing(whole(year), year)
    assert looked > LOOKED_AT and differ == 0


def test_where_a_branch_total_is_withheld_they_are_not(year: Year) -> None:
    """The premise of the proof, and the reason why such a cube is withheld whole."""
    lost = branch().is_in(["A", "B"]) & (pl.col("status") == "published")
    core = year.core.with_columns(status=pl.when(lost).then(pl.lit("secondary")).otherwise("status"))
    _, differ = differing(whole(year), replace(year, core=core))
    assert differ > 0


def test_who_knows_which_combinations_are_empty_comes_no_closer_than_the_rule_allows(year: Year) -> None:
    """The proof takes that knowledge for nobody's; here it is the attacker's."""
    looked = 0
    for side, observed in enumerate(("is_signed", "observed")):
        problem = whole(year, observed=observed, empty_known=True)
        found, asked = sides(problem, year), find_sensitive(problem, RULES)
        shown = found[0][1] | found[1][1]
        for cell in chosen(found[side][0] & asked.unsafe):
            low, high = bounds(problem, shown, cell)
            value = problem.values[cell] / SCALE
            assert high - value >= asked.upper[cell] / SCALE - 1e-6 and value - low >= asked.lower[cell] / SCALE - 1e-6
            looked += 1
    assert looked >= LOOKED_AT
