"""Linked units as :func:`etl.link.unit_year` makes them, drawn at random with known truth."""

import numpy as np
import polars as pl

from etl.link import SURVEY_BRANCHES
from etl.quantities import domain_columns

MONEY = pl.Decimal(20, 2)
LEAVES = ("A31", "B24", "C32", "D11")


def unit_frame(n: int = 300, seed: int = 1, *, years: tuple[int, ...] = (2024, 2025)) -> pl.DataFrame:
    """``n`` units a year; about 80 % sign, 90 % of them fill in their domains, some have no finance return either."""
    parts = [_year(n, np.random.default_rng([seed, year]), year) for year in years]
    return pl.concat(parts).sort("uscc", "ref_year")


def _money(values: np.ndarray, known: np.ndarray) -> pl.Series:
    """Whole thousands of yuan, null where not known."""
    thousand = np.floor(values) * 1000
    return pl.Series([v if k else None for v, k in zip(thousand.tolist(), known, strict=True)], dtype=pl.Float64).cast(
        MONEY
    )


def _year(n: int, random: np.random.Generator, year: int) -> pl.DataFrame:
    p = random.random(n)
    ai = random.random(n) < p
    share = np.where(
        ai, random.uniform(0.31, 1.0, n), np.where(random.random(n) < 0.4, random.uniform(0.02, 0.28, n), 0)
    )
    staff = np.ceil(np.exp(random.normal(3.5, 1, n)))
    operating = staff * 900 * np.exp(random.normal(0, 0.3, n))
    main = np.floor(operating * random.uniform(0.9, 1.0, n))
    revenue = np.floor(main * share)
    own = random.integers(0, 4, n)
    other = np.floor(revenue * np.where(random.random(n) < 0.5, 0.0, 0.2))
    signed, reports = random.random(n) < 0.8, random.random(n) < 0.7
    answered = signed & (random.random(n) < 0.9)
    columns = list(domain_columns().values())
    first, second = random.integers(0, len(columns), n), random.integers(0, len(columns), n)
    domain = np.zeros((n, len(columns)))
    domain[np.arange(n), first] += np.floor(revenue * 0.6)
    domain[np.arange(n), second] += np.floor(revenue * 0.2)
    branch = {
        name: np.where(own == k, revenue - other, np.where((own + 1) % 4 == k, other, 0.0))
        for k, name in enumerate(SURVEY_BRANCHES)
    }
    frame = pl.DataFrame(
        {
            "uscc": [f"u{i:05d}" for i in range(n)],
            "ref_year": [year] * n,
            "contributor": [f"g{i // 2:05d}" if i < 20 else f"u{i:05d}" for i in range(n)],
            "district": random.choice(["440303", "440305", "440306"], n).tolist(),
            "size": random.choice(["L", "M", "S", "W"], n, p=[0.05, 0.25, 0.5, 0.2]).tolist(),
            "leaf": [LEAVES[k] for k in own],
            "candidate_leaves": [[LEAVES[k]] if random.random() < 0.8 else [LEAVES[(k + 1) % 4]] for k in own],
            "p_ai": p,
            "responded": signed,
            "share_basis": random.choice(["1", "2"], n).tolist(),
            "staff_known": staff.astype(np.int64),
            "register_employed_persons": staff.astype(np.int64),
            "employed_persons": [int(s) if k else None for s, k in zip(staff, reports, strict=True)],
        }
    )
    return frame.with_columns(
        main_revenue_cny=_money(main, signed),
        ai_revenue_cny=_money(revenue, signed),
        operating_revenue_cny=_money(operating, reports),
        **{f"ai_revenue_{name}_cny": _money(values, signed) for name, values in branch.items()},
        **{column: _money(domain[:, k], answered & (domain[:, k] > 0)) for k, column in enumerate(columns)},
        true_revenue=pl.Series(revenue * 1000),
        true_share=pl.Series(revenue / main),
    ).with_columns(
        # A unit whose domains are all zero says so by zeros.
        pl.when(pl.Series(answered & (domain.sum(axis=1) == 0))).then(pl.lit(0, MONEY)).otherwise(columns[0]).alias(columns[0]),
        revenue_known=pl.coalesce("operating_revenue_cny", "main_revenue_cny"),
        ai_share=pl.col("ai_revenue_cny").cast(pl.Float64) / pl.col("main_revenue_cny").cast(pl.Float64),
    ).with_columns(member=pl.when("responded").then((pl.col("ai_share") >= 0.3).cast(pl.Float64)))  # fmt: skip
