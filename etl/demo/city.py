"""The demo city as its further sources see it: units, true accounts, and the files made from them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from etl.demo.scenario import Scenario, stream

LAST_QUARTER: Final = (2026, 3)
"""Last quarter the city has reported: the year after the last annual accounts is under way."""


@dataclass(frozen=True)
class City:
    """Units (one row a register unit) and true accounts (one row a unit and year, money in thousand yuan)."""

    scenario: Scenario
    seed: int
    units: pl.DataFrame
    accounts: pl.DataFrame

    def rng(self, part: str) -> np.random.Generator:
        """An independent stream for one part."""
        return stream(self.seed, part)

    @property
    def years(self) -> list[int]:
        """Years with full accounts, ascending."""
        return self.scenario.years

    def alive(self, year: int) -> pl.DataFrame:
        """Accounts of the units alive at the end of a year, sorted by code; a year not yet over as the last one was."""
        known = min(year, self.years[-1])
        return self.accounts.filter((pl.col("ref_year") == known) & pl.col("alive")).sort("uscc")

    def begins(self, source_id: str) -> int:
        """First year of a source: that of the accounts, or a later one where its instrument is younger."""
        return int(self.scenario["begins"].get(source_id, self.years[0]))

    def quarters(self) -> list[tuple[int, int]]:
        """Every quarter reported, ascending."""
        found = [(year, quarter) for year in self.years for quarter in (1, 2, 3, 4)]
        return found + [(LAST_QUARTER[0], q) for q in range(1, LAST_QUARTER[1] + 1)]

    @property
    def scale(self) -> float:
        """Size of this city relative to the full one (1 for ``city``), for things that are not units."""
        return max(float(self.scenario.size["ai_2025"]) / 3000, 0.05)


@dataclass(frozen=True)
class DemoFile:
    """One file to write: rows named by the contract's identifiers, and the parts of its name."""

    source_id: str
    frame: pl.DataFrame
    year: int
    part: dict[str, int]


Maker = Callable[[City], Iterable[DemoFile]]
_MAKERS: dict[str, Maker] = {}


def makes(*source_ids: str) -> Callable[[Maker], Maker]:
    """Register a maker of the files of some sources."""

    def register(maker: Maker) -> Maker:
        for source_id in source_ids:
            _MAKERS[source_id] = maker
        return maker

    return register


def makers(skip: frozenset[str] = frozenset()) -> list[Maker]:
    """Every maker once, in the order of registration, but those of the sources in ``skip``."""
    return list(dict.fromkeys(maker for source, maker in _MAKERS.items() if source not in skip))


def labels(prefix: str, n: int, width: int = 4) -> list[str]:
    """``prefix0001`` …, for things the city numbers itself."""
    return [f"{prefix}{i:0{width}d}" for i in range(1, n + 1)]


def choose(rng: np.random.Generator, options: list[str], weights: list[float], n: int) -> list[str]:
    """``n`` draws from ``options`` in proportion to ``weights``."""
    shares = np.asarray(weights, dtype=np.float64)
    return [str(x) for x in rng.choice(np.array(options), n, p=shares / shares.sum())]


def whole(values: Any) -> pl.Series:
    """Rounded whole numbers, never below 0."""
    return pl.Series(np.maximum(np.rint(np.asarray(values, dtype=np.float64)), 0).astype(np.int64))
