"""The demo city against the published figures that ``scenario.yaml`` says it follows."""

import csv
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from scipy.stats import spearmanr

from etl.demo.adoption import adoption_frame
from etl.demo.city import City
from etl.demo.further import truth_further
from etl.demo.generate import true_accounts, truth_accounts
from etl.demo.scenario import load_scenario
from etl.demo.units import build_units
from etl.sources import __file__ as sources
from taxonomy.scheme import load_scheme

SEED = 20221101
UNITS = {"亿元": 1e8, "家": 1.0, "%": 1.0, "PFLOPS": 1.0}
ENTRIES = load_scenario("small")["calibration"]


@pytest.fixture(scope="module")
def city() -> City:
    scenario = load_scenario("small")
    units = build_units(scenario, SEED)
    return City(scenario, SEED, units, true_accounts(units, scenario, SEED))


@pytest.fixture(scope="module")
def truth(city: City) -> dict[str, pl.DataFrame]:
    return {**truth_accounts(city.accounts), **truth_further(city, adoption_frame(city))}


def figures() -> list[dict[str, str]]:
    path = Path(sources).parent / "published_figures" / "data" / "published_figures.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def published(entry: dict[str, Any]) -> float:
    """The figure of an entry in base units; it must be there once."""
    place = (entry["period"], entry["region"], entry["indicator"])
    (row,) = [r for r in figures() if (r["period"], r["region"], r["indicator"]) == place]
    return float(row["value"]) * UNITS[row["unit"]]


def true_value(truth: dict[str, pl.DataFrame], name: str, year: int) -> float:
    if name == "intelligent_pflops":
        return float(truth["compute"].filter(pl.col("period") == f"{year}-12")["intelligent_pflops"].item())
    totals = dict(
        truth["totals"]
        .filter(pl.col("indicator") == name.removesuffix("_growth"))
        .select("ref_year", "value")
        .iter_rows()
    )
    return 100 * (totals[year] / totals[year - 1] - 1) if name.endswith("_growth") else float(totals[year])


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e["relation"] != "order"], ids=lambda e: e["indicator"])
def test_truth_agrees_with_the_published_figure(
    city: City, truth: dict[str, pl.DataFrame], entry: dict[str, Any]
) -> None:
    figure = published(entry)
    value = true_value(truth, entry["truth"], entry["of"]) / (city.scale if entry.get("levels") else 1.0)
    if entry["relation"] == "near":
        allowed = entry["tolerance"] if entry["truth"].endswith("_growth") else entry["tolerance"] * figure
        assert abs(value - figure) <= allowed, (value, figure)
    else:
        assert (value >= figure) if entry["relation"] == "at_least" else (value <= figure), (value, figure)


def test_districts_stand_in_the_order_of_the_prior(truth: dict[str, pl.DataFrame]) -> None:
    (entry,) = [e for e in ENTRIES if e["relation"] == "order"]
    names = {c.name_zh: c.code for c in load_scheme("district_sz").codes}
    prior = {
        names[r["region"]]: float(r["value"])
        for r in figures()
        if r["indicator"] == entry["indicator"] and r["period"] == entry["period"]
    }
    assert len(prior) == 9
    members = truth["unit_year"].filter((pl.col("ref_year") == entry["of"]) & pl.col("member"))
    counts = dict(members.group_by("district").len().iter_rows())
    found = spearmanr([prior[d] for d in prior], [counts.get(d, 0) for d in prior]).statistic
    assert found >= entry["tolerance"], found


def test_every_entry_names_a_relation_and_its_tolerance() -> None:
    for entry in ENTRIES:
        assert entry["relation"] in {"near", "at_least", "at_most", "order"}
        assert ("tolerance" in entry) == (entry["relation"] in {"near", "order"})
