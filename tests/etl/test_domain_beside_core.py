"""Domain cubes and core cubes of one revenue, looked at together: the bounds of a withheld cell are those of its own cubes."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog

from etl.analysis import contributions
from etl.beside_core import Cut, joint_pattern
from etl.dissemination import CUBES as CORE
from etl.dissemination import DIMENSIONS, HIDDEN, branch, clear, hierarchies
from etl.domain_cubes import CUBES, clear_domains
from etl.domains import domain_contributions, domain_parents
from etl.methods.disclosure import RuleSet, build_table
from etl.methods.disclosure.problem import Problem
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
    """All but two units leave two domains, so that cells are withheld there."""
    two = pl.col("domain").is_in(["R391", "R392"])
    few = split.filter(two & pl.col("observed"))["uscc"].unique().sort().head(2)
    gone = two & ~pl.col("uscc").is_in(few.implode())
    return split.with_columns(domain=pl.when(gone).then(pl.lit("R393")).otherwise("domain"))


def everywhere(split: pl.DataFrame) -> pl.DataFrame:
    """A cent in every combination that could be: nobody outside knows which are empty."""
    filled = split.select(*DIMENSIONS, branch=branch()).unique()
    used = split.select("domain", branch=branch()).unique()
    cents = filled.join(used, on="branch").select(*KEYS, contributor=pl.lit("nobody"), observed=pl.lit(False))
    return cents.with_columns(value=pl.lit("0.01").cast(split.schema["value"]))


def whole(year: Year) -> Problem:
    """All cells of both sets over all combinations."""
    own = year.split.select(*KEYS, "contributor", "observed", "value")
    core = {n: d for n, d in CORE.items() if n in set(year.core["table"])}
    rows = pl.concat([own, everywhere(year.split).select(own.columns)])
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


def test_the_bounds_by_both_together_are_those_by_each_alone(year: Year) -> None:
    """Given the branch totals any core table goes with any domain table: their product over the totals has both as sums."""
    problem, looked = whole(year), 0
    sides = (year.core, year.domains)
    hidden = [variables(problem, s.filter(pl.col("status").is_in(HIDDEN))) for s in sides]
    shown = [variables(problem, s) & ~h for s, h in zip(sides, hidden, strict=True)]
    for own, open_cells in zip(hidden, shown, strict=True):
        cells = np.flatnonzero(own)
        assert cells.size >= 2
        for cell in cells[:: max(1, cells.size // LOOKED_AT)].tolist():
            alone, both = bounds(problem, open_cells, cell), bounds(problem, shown[0] | shown[1], cell)
            assert both == pytest.approx(alone, rel=1e-6, abs=1e-6)
            assert both[1] - both[0] > 0.01 * problem.values[cell] / SCALE
            looked += 1
    assert looked >= LOOKED_AT


def test_a_pattern_beside_the_core_cubes_exists_where_it_is_known_which_combinations_are_empty(year: Year) -> None:
    cut = Cut(DOMAINS, {"domain": PARENTS["domain"]})
    micro = year.split.select(*KEYS, "contributor", "value", observed="is_signed")
    joint = joint_pattern("magnitude", micro, year.core, cut, RULES)
    assert joint.certified
