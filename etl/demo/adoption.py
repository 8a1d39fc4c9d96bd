"""The adoption survey of the demo city: who uses AI in the whole population, the sample drawn from it, who answers.

Units are handed in block by block and not kept: only counts by stratum and the units that may be drawn stay in memory.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from etl.demo.city import City, DemoFile, makes
from etl.demo.scenario import LABEL, Scenario, stream

SOURCE: Final = "adoption_survey"
FIRST_ADOPTION_YEAR: Final = 2023
SAMPLE: Final = 2400
HELD: Final = 250_000
"""Units handed in before those that can no longer be drawn are let go."""
TECHNIQUES: Final = {"text_generation": 0.62, "image": 0.34, "machine_learning": 0.28, "automation": 0.25}


def true_adoption(gbt: pl.Series, staff: pl.Series, year: int) -> np.ndarray:
    """True probability that an enterprise uses AI: by industry and size, rising by the year."""
    division = gbt.str.slice(0, 2).cast(pl.Int64).to_numpy()
    base = np.select(
        [np.isin(division, [63, 64, 65]), np.isin(division, range(66, 76)), division <= 46], [0.6, -0.6, -1.4], -1.9
    )
    size = np.log(np.maximum(staff.to_numpy(), 1)) * 0.28
    return np.asarray(1 / (1 + np.exp(-(base + size - 1.2 + 0.45 * (year - FIRST_ADOPTION_YEAR)))))


class AdoptionFrame:
    """The living legal units as the survey sees them; who uses AI goes on using it."""

    def __init__(self, scenario: Scenario, seed: int, years: list[int]) -> None:
        self.scenario, self.seed, self.years = scenario, seed, years
        self._counts: list[pl.DataFrame] = []
        self._drawable: list[pl.DataFrame] = []

    def add(self, units: pl.DataFrame, rng: np.random.Generator) -> None:
        """Hand in register units (``uscc, name, gbt_code, unit_kind, closing_date``); others than living legal ones fall away."""
        rows = units.filter((pl.col("unit_kind") == "1") & pl.col("closing_date").is_null()).sort("uscc")
        n = rows.height
        staff = pl.Series(np.maximum(np.rint(6 * np.exp(rng.normal(0, 1.1, n))), 1))
        taste = rng.random(n)
        band = pl.when(pl.col("staff") >= 50).then(pl.lit("大")).when(pl.col("staff") >= 10).then(pl.lit("中"))
        rows = rows.select("uscc", "name", "gbt_code", staff=staff).with_columns(
            stratum=pl.col("gbt_code").str.slice(0, 1) + "-" + band.otherwise(pl.lit("小")),
            **{f"uses_{y}": pl.Series(taste < true_adoption(rows["gbt_code"], staff, y)) for y in self.years},
            **{f"draw_{y}": pl.Series(rng.random(n)) for y in self.years},
        )
        self._counts.append(rows.group_by("stratum").agg(pl.len().alias("units"), pl.col("^uses_.*$").sum()))
        self._drawable.append(rows)
        if sum(f.height for f in self._drawable) > HELD:
            self._thin()

    def _thin(self) -> None:
        """Keep what may still be among the first ``SAMPLE`` of its stratum in some year."""
        rows = pl.concat(self._drawable)
        able = pl.any_horizontal(pl.col(f"draw_{y}").rank("ordinal").over("stratum") <= SAMPLE for y in self.years)
        self._drawable = [rows.filter(able)]

    def population(self) -> pl.DataFrame:
        """Units and users of each year by stratum, sorted."""
        return pl.concat(self._counts).group_by("stratum").agg(pl.all().sum()).sort("stratum")

    def sample(self, year: int) -> pl.DataFrame:
        """Units drawn for a year, sorted by code, with ``size`` of and ``take`` from their stratum."""
        strata = self.population()
        root = np.sqrt(strata["units"].to_numpy())
        wanted = min(SAMPLE, int(strata["units"].sum()) / 2)
        take = np.maximum(np.ceil(wanted * root / root.sum()), 2).astype(np.int64)
        strata = strata.select("stratum", size="units", take=pl.min_horizontal(pl.Series(take), "units"))
        rows = pl.concat(self._drawable).join(strata, on="stratum")
        drawn = rows.filter(pl.col(f"draw_{year}").rank("ordinal").over("stratum") <= pl.col("take"))
        return drawn.rename({f"uses_{year}": "uses"}).sort("uscc")

    def answers(self, year: int) -> tuple[pl.DataFrame, pl.Series]:
        """What each drawn unit would answer, and whether it does (small ones less often)."""
        rng, sample = stream(self.seed, f"adoption {year}"), self.sample(year)
        rates = sample["stratum"].str.slice(-1).replace_strict(self.scenario["adoption_response"])
        return _answers(rng, sample, year), pl.Series(rng.random(sample.height) < rates.to_numpy())

    def files(self) -> Iterator[DemoFile]:
        """One file a year with those who answer."""
        for year in self.years:
            answers, answered = self.answers(year)
            yield DemoFile(SOURCE, answers.filter(answered), year, {})

    def truth(self) -> pl.DataFrame:
        """``ref_year, stratum (_T: all), units, users, rate``: the population, not the sample."""
        strata = self.population()
        whole = strata.select(pl.lit("_T").alias("stratum"), pl.exclude("stratum").sum())
        parts = [
            pl.concat([whole, strata]).select(
                pl.lit(year, pl.Int64).alias("ref_year"), "stratum", pl.col("units").cast(pl.Int64),
                users=pl.col(f"uses_{year}").cast(pl.Int64), rate=pl.col(f"uses_{year}") / pl.col("units"),
                label=pl.lit(LABEL),
            )
            for year in self.years
        ]  # fmt: skip
        return pl.concat(parts)

    def silent(self) -> pl.DataFrame:
        """Drawn units that do not answer: ``period, uscc, size``."""
        parts = []
        for year in self.years:
            answers, answered = self.answers(year)
            parts.append(
                answers.filter(~answered).select(
                    pl.lit(str(year)).alias("period"), "uscc", size=pl.col("stratum").str.slice(-1)
                )
            )
        return pl.concat(parts)


def adoption_frame(city: City) -> AdoptionFrame:
    """The survey's frame of a city whose units are in memory."""
    years = [y for y in city.years if y >= city.begins(SOURCE)]
    frame = AdoptionFrame(city.scenario, city.seed, years)
    frame.add(city.units, city.rng("adoption"))
    return frame


@makes(SOURCE)
def adoption_survey(city: City) -> Iterator[DemoFile]:
    """A stratified sample of legal units of all industries."""
    return adoption_frame(city).files()


def _answers(rng: np.random.Generator, sample: pl.DataFrame, year: int) -> pl.DataFrame:
    n = sample.height
    p = true_adoption(sample["gbt_code"], sample["staff"], year)
    uses, unsure = sample["uses"].to_numpy(), rng.random(n) < 0.04

    def of_users(values: np.ndarray) -> pl.Series:
        return pl.Series([str(v) if u and not x else None for v, u, x in zip(values, uses, unsure, strict=True)])

    return sample.select(
        "uscc", "name", "stratum", design_weight=(pl.col("size") / pl.col("take")).round(2)
    ).with_columns(
        uses_ai=pl.Series(np.where(unsure, "9", np.where(uses, "1", "2"))),
        plans_ai=pl.Series(np.where(rng.random(n) < np.minimum(p * 1.3, 0.95), "1", "2")),
        **{f"tech_{k}": of_users(np.where(rng.random(n) < share, "1", "2")) for k, share in TECHNIQUES.items()},
        purpose=of_users(rng.choice([*list("1234567"), "9"], n, p=[0.24, 0.16, 0.14, 0.06, 0.08, 0.08, 0.18, 0.06])),
        obstacle=pl.Series(rng.choice([*list("123456"), "9"], n, p=[0.2, 0.2, 0.15, 0.27, 0.07, 0.06, 0.05])),
        employment_effect=of_users(rng.choice(["1", "2", "3", "9"], n, p=[0.09, 0.74, 0.1, 0.07])),
    )  # fmt: skip
