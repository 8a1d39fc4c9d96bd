"""True figures of the units that matter, by year: staff, revenue, AI share and the rest of the statements."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from etl.demo.domains import split_by_domain
from etl.demo.scenario import BRANCHES, Scenario, stream
from etl.demo.units import AI, CLAIMS, LOOK, OTHER, alive_at_end

THOUSAND = 1000


@dataclass(frozen=True)
class _Path:
    """Integers of shape ``(units, years)``: staff; operating, main and AI revenue in thousand yuan."""

    staff: np.ndarray
    operating: np.ndarray
    main: np.ndarray
    ai: np.ndarray


def parameter(scenario: Scenario, letters: np.ndarray, name: str) -> np.ndarray:
    """One branch setting (``staff``, ``sigma`` …) for each unit by its letter."""
    table = scenario["branches"]
    return np.array([table[letter][name] for letter in letters])


def _shares(rng: np.random.Generator, scenario: Scenario, units: pl.DataFrame, years: int) -> np.ndarray:
    """True AI share of main revenue: from 0.31 in AI enterprises (some rise to it), below 0.30 elsewhere."""
    n, role = units.height, units["role"].to_numpy()
    mode = parameter(scenario, units["letter"].to_numpy(), "share")
    share = np.clip(rng.normal(mode, 0.18), 0.33, 1.0)
    share = np.where(rng.random(n) < 0.15, 1.0, share)[:, None] + rng.normal(0, 0.015, (n, years))
    share = np.clip(share, 0.31, 1.0)
    rises = (role == AI) & (rng.random(n) < scenario["rising_units"])
    from_year = np.where(rises, rng.integers(1, years, n), 0)
    before = np.arange(years)[None, :] < from_year[:, None]
    share = np.where(before, rng.uniform(0.08, 0.28, n)[:, None], share)
    odds = np.where((units["mode"] == CLAIMS).to_numpy(), *scenario["lookalike_some_share"])
    some = (role == LOOK) & (rng.random(n) < odds)
    share[role != AI] = 0.0
    return np.where(some[:, None], rng.uniform(0.02, 0.27, n)[:, None], share)


def _paths(rng: np.random.Generator, scenario: Scenario, units: pl.DataFrame, alive: np.ndarray) -> _Path:
    """Staff and revenue by year, scaled so that AI revenue of all equals the scenario's total of the year."""
    n, years, letters = units.height, alive.shape[1], units["letter"].to_numpy()
    fresh = (units["opening_date"].dt.year() > scenario.years[0]).to_numpy()
    scale = np.where(fresh & (units["role"].to_numpy() == AI), scenario["new_unit_scale"], 1.0)
    sigma = parameter(scenario, letters, "sigma")
    base = parameter(scenario, letters, "staff") * scale * np.exp(sigma * units["z"].to_numpy())
    growth = np.concatenate([np.zeros((n, 1)), rng.normal(0.04, 0.11, (n, years - 1))], axis=1).cumsum(axis=1)
    staff = np.maximum(np.rint(base[:, None] * np.exp(growth)), 2).astype(np.int64)
    output = parameter(scenario, letters, "output") * np.exp(rng.normal(0, 0.45, n))
    revenue = staff * output[:, None] * np.exp(rng.normal(0.03, 0.06, (n, years)).cumsum(axis=1))
    main_share = rng.uniform(0.9, 1.0, n)[:, None]
    share = _shares(rng, scenario, units, years)
    target = np.array(scenario["ai_revenue_cny"]) * scenario.size["revenue_factor"]
    factor = target / (revenue * main_share * share * alive).sum(axis=0)
    scaled = np.where((units["role"] == OTHER).to_numpy()[:, None], 1.0, factor[None, :])
    operating = np.maximum(np.rint(revenue * scaled / THOUSAND), 10).astype(np.int64)
    main = np.floor(operating * main_share).astype(np.int64)
    return _Path(staff, operating, main, np.rint(main * share).astype(np.int64))


def _split(rng: np.random.Generator, units: pl.DataFrame, ai: np.ndarray) -> dict[str, np.ndarray]:
    """AI revenue by branch (thousand yuan): the unit's own branch takes most or all, one other the rest."""
    n, letters = units.height, units["letter"].to_numpy()
    own = np.array([BRANCHES.index(x) if x in BRANCHES else -1 for x in letters])
    own = np.where(own < 0, rng.integers(0, 4, n), own)
    other = (own + rng.integers(1, 4, n)) % 4
    part = np.where(rng.random(n) < 0.45, 0.0, rng.uniform(0.02, 0.3, n))
    rest = np.floor(ai * part[:, None]).astype(np.int64)
    names = ("hardware", "software", "application", "integration")
    return {
        f"ai_revenue_{name}": np.where(own[:, None] == i, ai - rest, np.where(other[:, None] == i, rest, 0))
        for i, name in enumerate(names)
    }


def _statements(rng: np.random.Generator, paths: _Path) -> dict[str, np.ndarray]:
    """The financial statement (thousand yuan, int); profit and VAT may be negative."""
    shape, revenue, staff = paths.operating.shape, paths.operating, paths.staff
    wage = np.minimum(staff * rng.uniform(90, 320, shape), 0.7 * revenue)
    parts = {
        "operating_cost": revenue * rng.uniform(0.5, 0.85, shape),
        "taxes_and_surcharges": revenue * rng.uniform(0.002, 0.01, shape),
        "total_profit": revenue * np.clip(rng.normal(0.06, 0.12, shape), -0.6, 0.45),
        "payroll": wage,
        "depreciation": revenue * rng.uniform(0.004, 0.04, shape),
        "vat_payable": revenue * rng.uniform(-0.004, 0.05, shape),
        "total_assets": revenue * np.exp(rng.normal(0.2, 0.5, shape)),
    }
    return {name: np.rint(values).astype(np.int64) for name, values in parts.items()}


def _people(rng: np.random.Generator, scenario: Scenario, units: pl.DataFrame, paths: _Path) -> dict[str, np.ndarray]:
    shape, staff = paths.staff.shape, paths.staff
    rd_rate = parameter(scenario, units["letter"].to_numpy(), "rd")[:, None] * rng.uniform(0.5, 1.5, shape)
    share = paths.ai / np.maximum(paths.main, 1)
    return {
        "average_employed_persons": np.maximum(np.rint(staff * rng.uniform(0.93, 1.03, shape)), 1).astype(np.int64),
        "female_persons": np.floor(staff * rng.uniform(0.2, 0.5, shape)).astype(np.int64),
        "rd_staff_persons": np.floor(staff * np.minimum(rd_rate, 0.9)).astype(np.int64),
        "ai_employed_persons": np.floor(staff * share * rng.uniform(0.8, 1.0, shape)).astype(np.int64),
    }


def build_accounts(units: pl.DataFrame, scenario: Scenario, seed: int) -> pl.DataFrame:
    """True figures of AI enterprises, look-alikes and large others, one row per unit and year, sorted.

    Money (``operating_revenue`` …) is in thousand yuan, persons end in ``_persons``. ``alive``: the unit
    exists at the end of the year; ``member``: it is then an AI enterprise (share at least 30 %).
    """
    rng = stream(seed, "accounts")
    chosen = units.filter(pl.col("role").is_in([AI, LOOK, OTHER]))
    alive = alive_at_end(chosen, scenario.years)
    paths = _paths(rng, scenario, chosen, alive)
    values = {
        "employed_persons": paths.staff, "operating_revenue": paths.operating, "main_revenue": paths.main,
        "ai_revenue": paths.ai, **_split(rng, chosen, paths.ai), **_statements(rng, paths),
        **_people(rng, scenario, chosen, paths),
        **split_by_domain(stream(seed, "domains"), scenario, chosen, paths.ai),
        "ai_rd_expenditure": np.rint(paths.ai * rng.uniform(0.03, 0.25, paths.ai.shape)).astype(np.int64),
    }  # fmt: skip
    keep = ["uscc", "name", "role", "activity", "gbt_code", "operating_district", "group_uscc"]
    basis = np.where(rng.random(chosen.height) < 0.7, "1", "2")
    years = len(scenario.years)
    frame = chosen.select(pl.col(keep).repeat_by(years).explode())
    frame = frame.with_columns(
        ref_year=pl.Series(np.tile(scenario.years, chosen.height)),
        share_basis=pl.Series(np.repeat(basis, years)),
        alive=pl.Series(alive.ravel()),
        **{name: pl.Series(array.ravel()) for name, array in values.items()},
    )
    share = pl.col("ai_revenue") / pl.col("main_revenue")
    return frame.with_columns(member=pl.col("alive") & (share >= 0.3)).sort("uscc", "ref_year")
