"""The mega city: a register of millions of units, written block by block in constant memory.

Unit ``i`` belongs to block ``i // BLOCK``. A block is drawn from ``(seed, block)`` alone, so the files do not depend on
how many blocks are made at a time. Codes and names are distinct across blocks without looking at one another:
both are bijections of ``i``. The few units that send returns are kept aside for them.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from etl.compact import compact
from etl.contract import load_contract
from etl.demo.accounts import parameter
from etl.demo.city import City, DemoFile
from etl.demo.codes import codes_of
from etl.demo.further import truth_further, write_further
from etl.demo.generate import true_accounts, truth_accounts, truth_units, write_returns, write_truth
from etl.demo.mega_sources import FrameWide
from etl.demo.scenario import LABEL, Scenario, common, forbidden_names, load_scenario, stream, weighted
from etl.demo.texts import name_parts, products, scopes
from etl.demo.units import (
    AI,
    BRANCH,
    LOOK,
    ORDINARY,
    OTHER,
    ai_cohorts,
    draw_days,
    draw_districts,
    draw_kind,
    draw_looks,
    draw_openings,
    unit_frame,
)
from etl.demo.writer import DemoWriter

BLOCK: Final = 5_000
ROW_GROUP: Final = 100_000
STEM_BITS, CODE_BITS = 24, 34
UNITS_MAX: Final = 2**STEM_BITS
UNITS_MIN: Final = 20_000
"""Fewer units would hold too few AI enterprises for the returns; the small city is for that."""
SENDER: Final = (
    "uscc", "name", "role", "activity", "gbt_code", "operating_district", "group_uscc", "letter", "z", "mode",
    "opening_date", "closing_date",
)  # fmt: skip
"""Columns that :func:`etl.demo.accounts.build_accounts` reads."""
ROLES: Final = (AI, LOOK, BRANCH, OTHER, ORDINARY)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


@cache
def _round_keys(seed: int, part: str) -> tuple[np.uint64, ...]:
    return tuple(stream(seed, f"mega {part}").integers(0, 2**63, 4).astype(np.uint64))


def scatter_bits(index: np.ndarray, bits: int, keys: Sequence[np.uint64]) -> np.ndarray:
    """A bijection of ``[0, 2**bits)`` that looks random: a balanced Feistel network; ``bits`` is even."""
    half = np.uint64(bits // 2)
    mask = np.uint64((1 << (bits // 2)) - 1)
    left, right = index.astype(np.uint64) >> half, index.astype(np.uint64) & mask
    for key in keys:
        mixed = (right + key) * _MIX
        mixed = (mixed ^ (mixed >> np.uint64(31))) * _MIX
        left, right = right, left ^ ((mixed >> np.uint64(32)) & mask)
    return ((left << half) | right).astype(np.int64)


def _stems(index: np.ndarray, seed: int) -> pl.Series:
    """An invented word of four signs, another one for each unit."""
    signs = np.array(common()["syllables"])
    if len(signs) != 64:
        raise RuntimeError(f"{len(signs)} syllables in etl/demo/phrases/common.yaml; the mega city needs 64")
    drawn = scatter_bits(index, STEM_BITS, _round_keys(seed, "stems"))
    stem = signs[drawn & 63]
    for place in (6, 12, 18):
        stem = np.char.add(stem, signs[(drawn >> place) & 63])
    return pl.Series(stem)


def _names(
    rng: np.random.Generator, units: pl.DataFrame, activity: np.ndarray, index: np.ndarray, seed: int
) -> pl.Series:
    """Distinct names; one that a listed or filing company bears gets two more signs."""
    city, word, tail = name_parts(rng, units, activity)
    stem = _stems(index, seed)
    names = pl.select(pl.concat_str(pl.lit(city), pl.lit(stem), pl.lit(word), tail)).to_series()
    borne = pl.lit(names.is_in(list(forbidden_names())))
    longer = pl.concat_str(pl.lit(city), pl.lit(stem), pl.lit("".join(common()["syllables"][:2])), pl.lit(word), tail)
    return pl.select(pl.when(borne).then(longer).otherwise(pl.lit(names))).to_series()


def _life(rng: np.random.Generator, scenario: Scenario, roles: np.ndarray) -> tuple[pl.Series, pl.Series]:
    """Opening and closing dates by role (null when alive), with the city's cohorts and rates."""
    years, n = scenario.years, len(roles)
    opening = draw_openings(rng, years, roles)
    cohort = weighted(rng, ai_cohorts(scenario)[0], n)
    fresh = draw_days(rng, np.where(cohort == 0, 2006, cohort + years[0]), cohort + years[0], n)
    opening = np.where(roles == AI, fresh, opening)
    later = len(years) - 1
    rates = {
        AI: scenario["ai_closing_rate"] * later, LOOK: scenario["lookalike_closing_rate"] * later,
        ORDINARY: scenario["ordinary_closing_share"],
    }  # fmt: skip
    rate = np.select([roles == role for role in rates], list(rates.values()), 0.0)
    closing = draw_days(rng, years[0], years[-1], n)
    closes = (rng.random(n) < rate) & (opening < closing)
    dates = pl.Series(opening).cast(pl.Int32).cast(pl.Date)
    return dates, pl.Series(np.where(closes, closing, np.nan)).fill_nan(None).cast(pl.Int32).cast(pl.Date)


def _groups(rng: np.random.Generator, scenario: Scenario, units: pl.DataFrame) -> pl.Series:
    """Some AI enterprises belong to a head office of the same block; the head names itself."""
    member = np.flatnonzero((units["role"] == AI).to_numpy() & (rng.random(units.height) < scenario["groups"]["share"]))
    offices = np.flatnonzero(
        ((units["activity"] == "holding") & (units["unit_kind"] == "1") & units["closing_date"].is_null()).to_numpy()
    )
    chosen = rng.integers(0, max(offices.size, 1), member.size)
    group: list[str | None] = [None] * units.height
    if offices.size:
        codes = units["uscc"].to_list()
        for row, head in zip(member.tolist(), offices[chosen].tolist(), strict=True):
            group[row] = group[head] = codes[head]
    return pl.Series("group_uscc", group, dtype=pl.String)


def _figures(rng: np.random.Generator, scenario: Scenario, units: pl.DataFrame) -> dict[str, pl.Series]:
    """Staff, registered capital (万元) and registration type."""
    n, letters, kind = units.height, units["letter"].to_numpy(), units["unit_kind"].to_numpy()
    large = parameter(scenario, letters, "staff") * np.exp(
        parameter(scenario, letters, "sigma") * units["z"].to_numpy()
    )
    small = np.rint(5 * np.exp(rng.normal(0, 1.0, n)))
    small = np.where(kind == "3", np.minimum(small, 6), small)
    ordinary = np.isin(units["role"].to_numpy(), [ORDINARY, BRANCH])
    staff = np.maximum(np.where(ordinary, small, np.rint(large)), 1).astype(np.int64)
    capital = (np.rint(np.exp(rng.normal(4.6, 1.3, n)) / 10) * 10 + 10).astype(np.int64)
    types = np.array(common()["registration_types"])[rng.integers(0, len(common()["registration_types"]), n)]
    return {
        "employed_persons": pl.Series(staff),
        "registered_capital_cny": pl.select(pl.when(pl.Series(kind == "1")).then(pl.Series(capital))).to_series(),
        "registration_type": pl.Series(np.where(kind == "3", "个体工商户", types)),
    }


def build_block(scenario: Scenario, seed: int, block: int, count: int) -> pl.DataFrame:
    """The units of one block, sorted by code: the columns of :func:`etl.demo.units.build_units` and the register's."""
    rng = stream(seed, f"mega block {block}")
    index = np.arange(block * BLOCK, block * BLOCK + count)
    shares = scenario["mega"]["shares"]
    weights = [shares[role] for role in ROLES[:-1]]
    roles = np.array(ROLES)[weighted(rng, [*weights, 1.0 - sum(weights)], count)]
    looks = draw_looks(rng, scenario, roles)
    kind = draw_kind(rng, scenario, roles, looks.activity)
    registered, operating = draw_districts(rng, scenario, looks.letter)
    opening, closing = _life(rng, scenario, roles)
    units = unit_frame(
        rng, roles, looks, unit_kind=kind, registered_district=registered, operating_district=operating,
        opening_date=opening, closing_date=closing,
    )  # fmt: skip
    bodies = scatter_bits(index, CODE_BITS, _round_keys(seed, "codes"))
    units = units.with_columns(codes_of(bodies, pl.Series(np.where(kind == "3", "92", "91"))))
    units = units.with_columns(
        _groups(rng, scenario, units),
        name=_names(rng, units, looks.activity, index, seed),
        business_scope=scopes(rng, units, looks.activity, scenario),
        main_products=products(rng, units, looks.activity, scenario),
        **_figures(rng, scenario, units),
    )
    return units.sort("uscc")


def _register_text(units: pl.DataFrame) -> pl.DataFrame:
    return units.select(
        "uscc", "name", "unit_kind", "gbt_code", "business_scope", "main_products", "registered_district",
        "operating_district", "registered_capital_cny", "registration_type", "employed_persons",
        pl.col("opening_date", "closing_date").dt.to_string("%Y-%m-%d"), "group_uscc",
    )  # fmt: skip


def _blocks(n: int) -> Iterator[tuple[int, int]]:
    for block in range(-(-n // BLOCK)):
        yield block, min(BLOCK, n - block * BLOCK)


class _Truth:
    """``unit.parquet`` in row groups of a fixed number of rows, whatever is handed in at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._held: list[pl.DataFrame] = []

    def add(self, frame: pl.DataFrame) -> None:
        self._held.append(frame)
        if sum(f.height for f in self._held) >= ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        if not self._held:
            return
        table = pl.concat(self._held).to_arrow(compat_level=pl.CompatLevel.oldest())
        self._held = []
        if self._writer is None:
            schema = table.schema.with_metadata({"label": LABEL})
            self._writer = pq.ParquetWriter(self._path, schema, compression="zstd")
        self._writer.write_table(table.cast(self._writer.schema), row_group_size=ROW_GROUP)

    def close(self) -> None:
        self.flush()
        if self._writer is not None:
            self._writer.close()


def mega_scenario() -> Scenario:
    """The city's scenario with the mega register's number of units."""
    city = load_scenario("city")
    return Scenario(city.settings, {**city.size, "register": city["mega"]["register"]})


def generate_mega(
    inbox: Path,
    truth_dir: Path,
    seed: int,
    progress: Callable[[str], None] | None = None,
    *,
    units: int | None = None,
    chunk_units: int = 250_000,
) -> None:
    """Stream the mega register to ``inbox/register`` and the truth to ``truth_dir``; then the other sources.

    Parameters
    ----------
    units
        Register units (default: the scenario's 4,000,000), from ``UNITS_MIN`` to ``UNITS_MAX``.
    chunk_units
        After how many units progress is told; the files do not depend on it.

    Raises
    ------
    ValueError
        If ``units`` is out of range.
    """
    say = progress or (lambda _: None)
    scenario = mega_scenario()
    n = units or int(scenario.size["register"])
    if not UNITS_MIN <= n <= UNITS_MAX:
        raise ValueError(f"a mega register of {n:,} units: expected {UNITS_MIN:,} to {UNITS_MAX:,}")
    month = str(scenario["register_month"])
    file = load_contract("register").file.name(month[:4], month=int(month[5:]))
    for folder in (inbox / "register", truth_dir):
        folder.mkdir(parents=True, exist_ok=True)
    say(f"名录单位 / register units: {n:,}")
    writer, senders = DemoWriter(inbox, seed), list[pl.DataFrame]()
    truth, frame_wide = _Truth(truth_dir / "unit.parquet"), FrameWide(writer, scenario, n)
    done = told = 0
    with (inbox / "register" / file).open("wb") as out:
        for block, count in _blocks(n):
            made = build_block(scenario, seed, block, count)
            rows = _register_text(made)
            part = DemoFile("register", rows, int(month[:4]), {"month": int(month[5:])})
            out.write(writer.encoded(part, block))
            truth.add(truth_units(made))
            frame_wide.add(made, rows, block)
            senders.append(compact(made.filter(pl.col("role").is_in([AI, LOOK, OTHER])).select(SENDER)))
            done += count
            if done - told >= chunk_units or done == n:
                told = done
                say(f"写名录 / writing {file}: {done:,} of {n:,}")
    truth.close()
    units_kept = pl.concat(senders)
    accounts = true_accounts(units_kept, scenario, seed)
    city = City(scenario, seed, units_kept, accounts)
    frame_wide.close()
    write_returns(writer, accounts, scenario, say)
    write_further(writer, city, say, skip=FrameWide.SOURCES)
    further = truth_further(city, frame_wide.adoption)
    write_truth(truth_dir, {**truth_accounts(accounts), **further, **writer.truth()})
