"""People and organisations in the demo city: AI use in enterprises, occupations, social experiments with known effects."""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from etl.demo.city import City, DemoFile, choose, makes, whole

HERE: Final = Path(__file__).parent
AGES: Final = ("Y16T24", "Y25T34", "Y35T44", "Y45T54", "Y_GE55")
FIRST_ADOPTION_YEAR: Final = 2023
SAMPLE: Final = 2400
EFFECT: Final = {"weekly_hours": -1.2, "monthly_income_cny": 180.0, "anxiety_score": 0.4}
"""What the treatment of the demo's experiments truly does; ``truth/experiment_effects.parquet`` says it too."""


def true_adoption(gbt: pl.Series, staff: pl.Series, year: int) -> np.ndarray:
    """True probability that an enterprise uses AI: by industry and size, rising by the year."""
    division = gbt.str.slice(0, 2).cast(pl.Int64).to_numpy()
    base = np.select(
        [np.isin(division, [63, 64, 65]), np.isin(division, range(66, 76)), division <= 46], [0.6, -0.6, -1.4], -1.9
    )
    size = np.log(np.maximum(staff.to_numpy(), 1)) * 0.28
    return np.asarray(1 / (1 + np.exp(-(base + size - 1.2 + 0.45 * (year - FIRST_ADOPTION_YEAR)))))


@makes("adoption_survey")
def adoption_survey(city: City) -> Iterator[DemoFile]:
    """A stratified sample of legal units of all industries, seven in ten answering."""
    frame = city.units.filter((pl.col("unit_kind") == "1") & pl.col("closing_date").is_null()).sort("uscc")
    rng = city.rng("adoption")
    staff = pl.Series(np.maximum(np.rint(6 * np.exp(rng.normal(0, 1.1, frame.height))), 1))
    section = frame["gbt_code"].str.slice(0, 1)
    band = pl.select(
        pl.when(staff >= 50).then(pl.lit("大")).when(staff >= 10).then(pl.lit("中")).otherwise(pl.lit("小"))
    ).to_series()
    strata = frame.select("uscc", "name", "gbt_code").with_columns(staff=staff, stratum=section + "-" + band)
    for year in [y for y in city.years if y >= FIRST_ADOPTION_YEAR]:
        draw = city.rng(f"adoption {year}")
        chosen = strata.with_columns(u=pl.Series(draw.random(strata.height))).with_columns(
            size=pl.len().over("stratum"), rank=pl.col("u").rank("ordinal").over("stratum")
        )
        wanted = np.ceil(min(SAMPLE, strata.height / 2) * np.sqrt(chosen["size"].to_numpy()))
        root = np.sqrt(chosen.unique("stratum")["size"].to_numpy()).sum()
        take = pl.Series(np.maximum(np.ceil(wanted / root), 2))
        sample = chosen.with_columns(take=pl.min_horizontal(take, "size")).filter(pl.col("rank") <= pl.col("take"))
        yield DemoFile("adoption_survey", _answers(draw, sample, year), year, {})


def _answers(rng: np.random.Generator, sample: pl.DataFrame, year: int) -> pl.DataFrame:
    n = sample.height
    p = true_adoption(sample["gbt_code"], sample["staff"], year)
    uses = rng.random(n) < p
    unsure = rng.random(n) < 0.04

    def of_users(values: np.ndarray) -> pl.Series:
        return pl.Series([str(v) if u and not x else None for v, u, x in zip(values, uses, unsure, strict=True)])

    answered = sample.select(
        "uscc", "name", "stratum", design_weight=(pl.col("size") / pl.col("take")).round(2)
    ).with_columns(
        uses_ai=pl.Series(np.where(unsure, "9", np.where(uses, "1", "2"))),
        plans_ai=pl.Series(np.where(rng.random(n) < np.minimum(p * 1.3, 0.95), "1", "2")),
        **{
            f"tech_{name}": of_users(np.where(rng.random(n) < share, "1", "2"))
            for name, share in {"text_generation": 0.62, "image": 0.34, "machine_learning": 0.28, "automation": 0.25}.items()
        },
        purpose=of_users(rng.choice([*list("1234567"), "9"], n, p=[0.24, 0.16, 0.14, 0.06, 0.08, 0.08, 0.18, 0.06])),
        obstacle=pl.Series(rng.choice([*list("123456"), "9"], n, p=[0.2, 0.2, 0.15, 0.27, 0.07, 0.06, 0.05])),
        employment_effect=of_users(rng.choice(["1", "2", "3", "9"], n, p=[0.09, 0.74, 0.1, 0.07])),
    )  # fmt: skip
    return answered.filter(pl.Series(rng.random(n) < 0.7))


def occupations() -> list[tuple[str, str]]:
    """Code and name of the 72 sub-major groups of the occupational classification of 2022 in the list we carry."""
    with (HERE / "occupations.csv").open(encoding="utf-8", newline="") as file:
        return [(row["code"], row["name"]) for row in csv.DictReader(file)]


@makes("occupation_employment")
def occupation_employment(city: City) -> Iterator[DemoFile]:
    """Employment and wages by occupation, age and sex; clerical work shrinks, technical work grows."""
    rng = city.rng("occupations")
    codes = occupations()
    size = np.exp(rng.normal(9.0, 1.3, len(codes))) * city.scale
    wage = np.exp(rng.normal(8.95, 0.35, len(codes)))
    trend = np.array([{"2": 0.035, "3": -0.03, "4": 0.005, "6": -0.012}.get(code[0], 0.0) for code, _ in codes])
    shares = np.array([0.12, 0.38, 0.28, 0.15, 0.07])
    profile = np.array([0.62, 0.95, 1.15, 1.08, 0.92])
    women = rng.uniform(0.15, 0.75, len(codes))
    for at, year in enumerate(city.years):
        rows = []
        for i, (code, name) in enumerate(codes):
            for a, age in enumerate(AGES):
                young = -0.01 if trend[i] < 0 and a == 0 else 0.0
                total = size[i] * shares[a] * np.exp((trend[i] + young) * at)
                for sex, part in (("M", 1 - women[i]), ("F", women[i])):
                    persons = float(total * part * np.exp(rng.normal(0, 0.02)))
                    pay = wage[i] * profile[a] * (1.0 if sex == "M" else 0.88) * 1.05**at * np.exp(rng.normal(0, 0.02))
                    rows.append((code, name, age, sex, round(persons), round(float(pay)), max(round(persons / 60), 3)))
        names = [
            "occupation",
            "occupation_name",
            "age_group",
            "sex",
            "employed_persons",
            "monthly_wage_cny",
            "sample_persons",
        ]
        yield DemoFile("occupation_employment", pl.DataFrame(rows, schema=names, orient="row"), year, {})


@makes("experiments", "panel_waves")
def experiments(city: City) -> Iterator[DemoFile]:
    """Two frozen experiments with a wave before deployment and three after; the effects are known."""
    specs = [
        ("SY2023A", "智能客服对坐席工作的影响（模拟）", "民生服务", "RCT", "weekly_hours", 2023),
        ("SY2024B", "智能排班对配送人员的影响（模拟）", "就业", "DID", "monthly_income_cny", 2024),
    ]
    n = max(round(600 * city.scale), 80)
    register = [
        {
            "experiment_id": i, "title": t, "domain": d, "design": k, "outcome": o, "frozen_on": f"{y}-03-01",
            "deployed_on": f"{y}-05-01", "design_sha256": hashlib.sha256(f"{i}|{t}|{k}|{o}".encode()).hexdigest(),
            "ethics_no": f"LL{y}-07", "planned_sample": n,
        }
        for i, t, d, k, o, y in specs
    ]  # fmt: skip
    for year in sorted({s[5] for s in specs}):
        rows = [r for r in register if str(r["frozen_on"])[:4] == str(year)]
        yield DemoFile("experiments", pl.DataFrame(rows), year, {})
    waves = [
        (year, identifier, wave)
        for identifier, *_, y in specs
        for wave, year in ((0, y), (1, y), (2, y + 1), (3, y + 2))
    ]
    for year in sorted({w[0] for w in waves}):
        parts = [_wave(city, identifier, wave, n) for y, identifier, wave in waves if y == year]
        yield DemoFile("panel_waves", pl.concat(parts), year, {})


def _wave(city: City, experiment: str, wave: int, n: int) -> pl.DataFrame:
    """One wave of one experiment: the same persons, some lost on the way."""
    fixed, rng = city.rng(f"panel {experiment}"), city.rng(f"panel {experiment} {wave}")
    arm = np.where(fixed.permutation(n) < n // 2, "T", "C")
    treated = (arm == "T") & (wave > 0)
    income, hours = np.exp(fixed.normal(8.8, 0.35, n)), fixed.normal(44, 6, n)
    anxiety, lost = fixed.normal(6, 2.5, n), fixed.random(n)
    age, sex = choose(fixed, list(AGES), [0.2, 0.4, 0.25, 0.1, 0.05], n), choose(fixed, ["M", "F"], [0.55, 0.45], n)
    use = np.where(treated, 7.0, 1.5) + rng.normal(0, 1, n)
    frame = pl.DataFrame({
        "experiment_id": [experiment] * n,
        "subject_id": [hashlib.sha256(f"{city.seed}|{experiment}|{i}".encode()).hexdigest()[:16] for i in range(n)],
        "wave": [wave] * n, "arm": arm, "age_group": age, "sex": sex,
        "monthly_income_cny": whole(income * 1.02**wave + EFFECT["monthly_income_cny"] * treated + rng.normal(0, 250, n)),
        "weekly_hours": (hours + EFFECT["weekly_hours"] * treated + rng.normal(0, 2, n)).clip(5, 90).round(1),
        "ai_hours": use.clip(0, 60).round(1),
        "anxiety_score": whole((anxiety + EFFECT["anxiety_score"] * treated + rng.normal(0, 1, n)).clip(0, 21)),
        "fairness_score": rng.integers(2, 6, n), "trust_score": rng.integers(2, 6, n),
    })  # fmt: skip
    return frame.filter(pl.Series(lost > 0.06 * wave))
