"""What the AI revenue of demo units is used for: domains of Articles 39-41, in truth and on the form."""

import numpy as np
import polars as pl

from etl.demo.scenario import BRANCHES, LABEL, Scenario, load_scenario, weighted
from etl.demo.units import AI, LOOK

OTHER = "X"
ANSWERED = "domain_answered"


def domain_columns() -> dict[str, str]:
    """Domain code → its column in the accounts (``R391`` → ``domain_r391``), in the order of the form."""
    return {code: f"domain_{code.lower()}" for code in load_scenario("small")["domains"]["codes"]}


def split_by_domain(
    rng: np.random.Generator, scenario: Scenario, units: pl.DataFrame, ai: np.ndarray
) -> dict[str, np.ndarray]:
    """AI revenue by domain (thousand yuan, shape ``(units, years)``), and who fills the block in.

    A unit has the same one to three domains every year; what they leave of its AI revenue lies in none.
    """
    spec, n = scenario["domains"], units.height
    codes = spec["codes"]
    own = np.array([x if x in BRANCHES else "D" for x in units["letter"].to_list()])
    picks = np.zeros((n, 3), dtype=np.int64)
    for letter in BRANCHES:
        rows = np.flatnonzero(own == letter)
        for place in range(3):
            picks[rows, place] = weighted(rng, spec[letter], rows.size)
    count = 1 + weighted(rng, spec["more"], n)
    part = rng.dirichlet([6.0, 2.0, 1.0], n) * (np.arange(3)[None, :] < count[:, None])
    part /= part.sum(axis=1, keepdims=True)
    inside = np.where(rng.random(n) < spec["none"], 0.0, rng.uniform(*spec["inside"], n))
    share = np.zeros((n, len(codes)))
    for place in range(3):
        share[np.arange(n), picks[:, place]] += part[:, place] * inside
    amounts = {
        column: np.floor(ai * share[:, [i]]).astype(np.int64) for i, column in enumerate(domain_columns().values())
    }
    return {**amounts, ANSWERED: rng.random(ai.shape) >= spec["unanswered"]}


def domain_cells() -> list[pl.Expr]:
    """The block on the form: blank where there is nothing, 0 all along where there is nothing in any, blank if not answered."""
    names = list(domain_columns().values())
    nothing = pl.sum_horizontal(names) == 0
    return [
        pl.when(pl.col(ANSWERED) & ((pl.col(name) > 0) | nothing)).then(pl.col(name)).alias(f"{name}_cny")
        for name in names
    ]


def truth_domains(accounts: pl.DataFrame) -> pl.DataFrame:
    """``domains.parquet``: true AI revenue in yuan by year and domain, ``X`` for what lies in none."""
    names = domain_columns()
    alive = accounts.filter(pl.col("alive") & pl.col("role").is_in([AI, LOOK]))
    totals = alive.group_by("ref_year").agg(
        **{code: pl.col(name).sum() for code, name in names.items()},
        **{OTHER: (pl.col("ai_revenue") - pl.sum_horizontal(list(names.values()))).sum()},
    )
    long = totals.unpivot(index="ref_year", variable_name="domain", value_name="value")
    return long.with_columns((pl.col("value") * 1000).cast(pl.Float64), label=pl.lit(LABEL)).sort("ref_year", "domain")
