"""Who exists in the demo city: kinds, activities, birth and death, place, declared code, groups."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from etl.demo.codes import make_codes
from etl.demo.scenario import Activity, Scenario, activities, common, stream, weighted
from etl.demo.texts import add_texts

AI, LOOK, BRANCH, OTHER, ORDINARY = "ai", "look", "branch", "other", "ordinary"
"""Roles: AI enterprise, look-alike, local branch of an AI firm (no enterprise), large other, ordinary."""
MODES = ("clear", "vague", "wrong_code", "weak")
"""How an AI unit describes itself."""
CLAIMS = "claims"
"""Mode of a look-alike that writes AI phrases though little or nothing of its business is AI."""


def ai_cohorts(scenario: Scenario) -> tuple[list[int], list[int]]:
    """AI enterprises born up to the first year and in each later one, and those closed in each year."""
    growth = scenario["ai_growth"]
    alive = [int(scenario.size["ai_2025"])]
    for rate in reversed(growth[1:]):
        alive.insert(0, round(alive[0] / (1 + rate)))
    closed = [0] + [round(scenario["ai_closing_rate"] * n) for n in alive[:-1]]
    born = [alive[0]] + [now - before + gone for before, now, gone in zip(alive, alive[1:], closed[1:], strict=False)]
    return born, closed


def _roles(scenario: Scenario) -> pl.Series:
    size = scenario.size
    counts = {
        AI: sum(ai_cohorts(scenario)[0]),
        LOOK: size["lookalikes"],
        BRANCH: size["branches"],
        OTHER: size["others"],
    }
    counts[ORDINARY] = size["register"] - sum(counts.values())
    return pl.Series("role", np.repeat(list(counts), list(counts.values())), dtype=pl.String)


def draw_activity(rng: np.random.Generator, scenario: Scenario, roles: np.ndarray) -> np.ndarray:
    """Position in ``activities()`` of each unit's true activity."""
    known = activities()
    result = np.zeros(len(roles), dtype=np.int64)
    groups = {"ai": (AI, BRANCH), "look": (LOOK,), "ordinary": (OTHER, ORDINARY)}
    for kind, members in groups.items():
        places = np.array([i for i, a in enumerate(known) if a.kind == kind])
        weights = [_weight(known[i], scenario) for i in places]
        rows = np.flatnonzero(np.isin(roles, members))
        result[rows] = places[weighted(rng, weights, rows.size)]
    return result


def _weight(activity: Activity, scenario: Scenario) -> float:
    return float(scenario["leaf_weights"][activity.id]) if activity.kind == "ai" else activity.weight


def draw_kind(rng: np.random.Generator, scenario: Scenario, roles: np.ndarray, activity: np.ndarray) -> np.ndarray:
    """Unit kind of each unit: 1 legal unit, 2 local unit, 3 sole trader (by the activity's share of them)."""
    sole = np.array([a.sole for a in activities()])[activity]
    drawn = np.where(rng.random(len(roles)) < sole, "3", "1")
    drawn = np.where((drawn == "1") & (rng.random(len(roles)) < scenario["ordinary_kinds"]["branch"]), "2", drawn)
    drawn = np.where(roles == ORDINARY, drawn, "1")
    return np.where(roles == BRANCH, "2", drawn)


def draw_days(rng: np.random.Generator, first: np.ndarray | int, last: np.ndarray | int, n: int) -> np.ndarray:
    """Uniform days from 1 January of ``first`` to 28 December of ``last``, as days since 1970."""
    start = (np.asarray(first) - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    end = (np.asarray(last) - 1969).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64) - 4
    return (start + rng.random(n) * (end - start)).astype(np.int64)


def _life(
    rng: np.random.Generator, scenario: Scenario, roles: np.ndarray, z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Opening and closing day (NaN when alive) of each unit; AI enterprises by cohorts, small ones close."""
    years, n = scenario.years, len(roles)
    opening = draw_openings(rng, years, roles)
    closing = np.full(n, np.nan)
    born, closed = ai_cohorts(scenario)
    rows = np.flatnonzero(roles == AI)
    cohort = rng.permutation(np.repeat(np.arange(len(born)), born))
    opening[rows] = np.where(
        cohort == 0,
        draw_days(rng, 2006, years[0], rows.size),
        draw_days(rng, cohort + years[0], cohort + years[0], rows.size),
    )
    for position, gone in enumerate(closed):
        able = rows[(cohort < position) & np.isnan(closing[rows]) & (z[rows] < 0.6)]
        closing[rng.choice(able, gone, replace=False)] = draw_days(rng, years[position], years[position], gone)
    rates = {LOOK: scenario["lookalike_closing_rate"] * (len(years) - 1), ORDINARY: scenario["ordinary_closing_share"]}
    for role, rate in rates.items():
        hit = np.flatnonzero(
            (roles == role) & (rng.random(n) < rate) & (opening < draw_days(rng, years[0], years[0], n))
        )
        closing[hit] = draw_days(rng, years[0], years[-1], hit.size)
    return opening, np.where(closing < opening, np.nan, closing)


def draw_districts(rng: np.random.Generator, scenario: Scenario, letter: np.ndarray) -> tuple[pl.Series, pl.Series]:
    """District of registration and of operation, by branch letter."""
    shares = scenario["district_shares"]
    codes = np.array(shares["codes"])
    registered = np.zeros(len(letter), dtype=np.int64)
    operating = np.zeros(len(letter), dtype=np.int64)
    for key in sorted(set(shares) - {"codes"}):
        rows = np.flatnonzero(letter == key)
        registered[rows] = weighted(rng, shares[key], rows.size)
        operating[rows] = weighted(rng, shares[key], rows.size)
    moved = rng.random(len(letter)) < scenario["elsewhere_share"]
    operating = np.where(moved, operating, registered)
    return pl.Series("registered_district", codes[registered]), pl.Series("operating_district", codes[operating])


def declared_code(rng: np.random.Generator, activity: np.ndarray, mode: np.ndarray) -> np.ndarray:
    """The class code on the register: the activity's own, or somebody's guess where the text mode says so."""
    table = [a.gbt for a in activities()]
    width = max(len(row) for row in table)
    padded = np.array([[row[i % len(row)] for i in range(width)] for row in table])
    counts = np.array([len(row) for row in table])[activity]
    own = padded[activity, (rng.random(len(activity)) * counts).astype(np.int64)]
    guess = np.array(common()["vague_gbt"])[rng.integers(0, len(common()["vague_gbt"]), len(activity))]
    astray = (mode == "vague") | (mode == "wrong_code") | ((mode == "weak") & (rng.random(len(mode)) < 0.5))
    return np.where(astray, guess, own)


def _groups(rng: np.random.Generator, scenario: Scenario, units: pl.DataFrame) -> pl.Series:
    """Head unit's code for the members of holding groups and the head itself; null elsewhere."""
    spec = scenario["groups"]
    rows = np.flatnonzero((units["role"] == AI).to_numpy())
    odds = np.where(units["z"].to_numpy()[rows] > 0.8, spec["large_odds"], 1.0)
    members = rng.choice(rows, round(spec["share"] * rows.size), replace=False, p=odds / odds.sum())
    offices = np.flatnonzero((units["activity"] == "holding").to_numpy() & (units["unit_kind"] == "1").to_numpy())
    offices = offices[units["closing_date"].is_null().to_numpy()[offices]]
    codes, z = units["uscc"].to_list(), units["z"].to_numpy()
    group: list[str | None] = [None] * units.height
    for chunk in np.array_split(members, max(1, members.size // spec["mean_size"])):
        head = int(chunk[np.argmax(z[chunk])])
        if offices.size and rng.random() < spec["held_by_head_office"]:
            head = int(rng.choice(offices))
        for row in (*chunk.tolist(), head):
            group[row] = codes[head]
    return pl.Series("group_uscc", group, dtype=pl.String)


@dataclass(frozen=True)
class Drawn:
    """What units do and how they describe themselves: position in ``activities()`` and its id, standard normal size,
    text mode, letter (branch, L look-alike, O other); each ``(n,)``."""

    activity: np.ndarray
    ids: np.ndarray
    z: np.ndarray
    mode: np.ndarray
    letter: np.ndarray


def draw_looks(rng: np.random.Generator, scenario: Scenario, roles: np.ndarray) -> Drawn:
    """Activity, size, text mode and letter of units by role."""
    n = len(roles)
    activity = draw_activity(rng, scenario, roles)
    z = np.clip(rng.standard_normal(n), -2.7, 2.7)
    is_ai_text = np.isin(roles, [AI, BRANCH])
    modes = np.array(MODES)[weighted(rng, [scenario["text_modes"][m] for m in MODES], n)]
    claims = (roles == LOOK) & (rng.random(n) < scenario["lookalike_claims"])
    mode = np.where(is_ai_text, modes, np.where(claims, CLAIMS, "clear"))
    ids = np.array([a.id for a in activities()])[activity]
    letter = np.where(is_ai_text, ids.astype("U1"), np.where(roles == LOOK, "L", "O"))
    return Drawn(activity, ids, z, mode, letter)


def draw_openings(rng: np.random.Generator, years: list[int], roles: np.ndarray) -> np.ndarray:
    """Opening day of units that are no AI enterprise, as days since 1970; branches, others and most look-alikes are old."""
    n = len(roles)
    opening = draw_days(rng, 2004, years[-1], n)
    early = np.isin(roles, [BRANCH, OTHER]) | ((roles == LOOK) & (rng.random(n) < 0.7))
    return np.where(early, draw_days(rng, 2005, years[0] - 1, n), opening)


def unit_frame(
    rng: np.random.Generator, roles: np.ndarray, looks: Drawn, **columns: np.ndarray | pl.Series
) -> pl.DataFrame:
    """Units as a table: role, looks, the declared code (drawn here), and further columns."""
    return pl.DataFrame(
        {
            "role": roles, "activity": looks.ids, "unit_kind": columns.pop("unit_kind"), "mode": looks.mode,
            "letter": looks.letter, "z": looks.z, "gbt_code": declared_code(rng, looks.activity, looks.mode), **columns,
        }
    )  # fmt: skip


def build_units(scenario: Scenario, seed: int) -> pl.DataFrame:
    """Every register unit, one row, in the order of roles.

    Columns: role, activity, unit_kind, mode, letter (branch, L or O), z (standard normal of size), uscc,
    name, gbt_code, business_scope, main_products, registered_district, operating_district, opening_date,
    closing_date, group_uscc.
    """
    rng = stream(seed, "units")
    roles = _roles(scenario).to_numpy()
    looks = draw_looks(rng, scenario, roles)
    opening, closing = _life(rng, scenario, roles, looks.z)
    kind = draw_kind(rng, scenario, roles, looks.activity)
    registered, operating = draw_districts(rng, scenario, looks.letter)
    units = unit_frame(
        rng, roles, looks, unit_kind=kind, registered_district=registered, operating_district=operating,
        opening_date=pl.Series(opening).cast(pl.Int32).cast(pl.Date),
        closing_date=pl.Series(closing).fill_nan(None).cast(pl.Int32).cast(pl.Date),
    )  # fmt: skip
    units = units.with_columns(make_codes(rng, pl.Series(np.where(kind == "3", "92", "91"))))
    units = units.with_columns(_groups(rng, scenario, units))
    return add_texts(units, looks.activity, scenario, seed)


def alive_at_end(units: pl.DataFrame, years: list[int]) -> np.ndarray:
    """Whether each unit exists on 31 December of each year: shape ``(units, years)``."""
    columns = []
    for year in years:
        end = date(year, 12, 31)
        open_then = (pl.col("opening_date") <= end) & ~(pl.col("closing_date") <= end).fill_null(False)
        columns.append(units.select(open_then).to_series().to_numpy())
    return np.column_stack(columns)
