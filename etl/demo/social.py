"""People in the demo city: occupations, social experiments with known effects."""

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
EFFECT: Final = {"weekly_hours": -1.2, "monthly_income_cny": 180.0, "anxiety_score": 0.4}
"""What the treatment of the demo's experiments truly does; ``truth/experiment_effects.parquet`` says it too."""


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
