"""The demo city's further sources: every contract is written, every file reads clean, and the truth is what was meant."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from etl.collect import Collected, collect_source
from etl.contract import list_contracts, load_contract
from etl.demo.adoption import SAMPLE
from etl.demo.city import City
from etl.demo.further import write_further
from etl.demo.generate import true_accounts
from etl.demo.scenario import load_scenario
from etl.demo.social import EFFECT, occupations
from etl.demo.units import build_units
from etl.demo.writer import DemoWriter

FURTHER = sorted(
    c.id for c in list_contracts()
    if c.synthetic_in_demo and c.id not in ("register", "ai_survey_annual", "finance_annual", "labour_annual")
)  # fmt: skip


@pytest.fixture(scope="module")
def city() -> City:
    scenario = load_scenario("small")
    units = build_units(scenario, 11)
    return City(scenario, 11, units, true_accounts(units, scenario, 11))


@pytest.fixture(scope="module")
def collected(city: City, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Collected]:
    folder = tmp_path_factory.mktemp("further")
    writer = DemoWriter(folder / "inbox", city.seed, with_faults=False)
    write_further(writer, city, lambda _: None)
    assert sorted(writer.rows) == FURTHER, "every source that can be simulated is"
    return {s: collect_source(load_contract(s), folder / "inbox" / s, folder / "quarantine") for s in FURTHER}


@pytest.mark.parametrize("source", FURTHER)
def test_every_file_reads_clean(collected: dict[str, Collected], source: str) -> None:
    found = collected[source]
    assert all(r.status == "accepted" for r in found.receipts), [r.message for r in found.receipts]
    assert found.quarantine.height == 0, found.quarantine.head(3)
    accepted = sum(r.rows_accepted for r in found.receipts)
    assert accepted == found.frame.height + found.superseded.height and found.frame.height > 0


def test_quarterly_returns_add_up_to_the_year(city: City, collected: dict[str, Collected]) -> None:
    rows = collected["ai_survey_quarterly"].frame
    year = city.years[-1]
    whole = rows.filter(pl.col("ref_period") == f"{year}-Q4").join(
        city.alive(year).select("uscc", "ai_revenue"), on="uscc", validate="1:1"
    )
    assert (whole["ai_revenue_ytd_cny"].cast(pl.Int64) // 1000 - whole["ai_revenue"]).abs().max() <= 1
    steps = rows.sort("uscc", "ref_period").filter(pl.col("ref_period").str.starts_with(str(year)))
    assert steps.select((pl.col("main_revenue_ytd_cny").diff().over("uscc") >= 0).all()).item()
    assert rows["ref_period"].max() == "2026-Q3"


def test_the_sample_weighs_up_to_the_frame(city: City, collected: dict[str, Collected]) -> None:
    rows = collected["adoption_survey"].frame
    assert rows["ref_year"].n_unique() == 3 and rows.height < 3 * SAMPLE
    frame = city.units.filter((pl.col("unit_kind") == "1") & pl.col("closing_date").is_null()).height
    for _, part in rows.group_by("ref_year"):
        weighted = float(part["design_weight"].cast(pl.Float64).sum())
        assert weighted / 0.7 == pytest.approx(frame, rel=0.12)


def test_the_experiments_show_the_effects_that_were_put_in(collected: dict[str, Collected]) -> None:
    waves = collected["panel_waves"].frame.filter(pl.col("experiment_id") == "SY2023A")
    means = waves.group_by("arm", pl.col("wave") > 0).agg(pl.col("weekly_hours").cast(pl.Float64).mean().alias("m"))
    at = {(arm, bool(after)): m for arm, after, m in means.iter_rows()}
    effect = (at["T", True] - at["T", False]) - (at["C", True] - at["C", False])
    assert effect == pytest.approx(EFFECT["weekly_hours"], abs=0.9)
    assert not set(waves.columns) & {"name", "phone", "id_number"}


def test_occupations_are_the_72_groups_and_the_register_moves_on(city: City, collected: dict[str, Collected]) -> None:
    assert len(occupations()) == 72
    assert collected["occupation_employment"].frame["occupation"].n_unique() == 72
    delta = collected["register_delta"].frame
    assert set(delta["change"]) == {"1", "2", "3"}
    born = delta.filter(pl.col("change") == "1")["uscc"]
    assert not np.isin(born.to_numpy(), city.units["uscc"].to_numpy()).any()


def test_links_join_a_closed_unit_to_a_living_one(city: City, collected: dict[str, Collected]) -> None:
    closing = dict(city.units.select("uscc", "closing_date").iter_rows())
    links = collected["unit_links"].frame
    assert all(
        closing[p] is not None and closing[s] is None
        for p, s in links.select("predecessor_uscc", "successor_uscc").iter_rows()
    )


def test_the_list_holds_who_is_above_the_threshold_and_how_it_came_there(
    city: City, collected: dict[str, Collected]
) -> None:
    rows = collected["scale_list"].frame.join(
        city.accounts.select("uscc", "ref_year", "above_scale", "alive"), on=["uscc", "ref_year"], validate="1:1"
    )
    assert rows.height == city.accounts["above_scale"].sum() and rows["above_scale"].all() and rows["alive"].all()
    opened = dict(city.units.select("uscc", pl.col("opening_date").dt.year()).iter_rows())
    later = rows.filter(pl.col("ref_year") > city.years[0])
    assert {"1", "2", "3"} == set(later["entry"]) and set(rows["profession"]) == {"B", "F"}
    assert all((opened[u] == y) == (e == "2") for u, y, e in later.select("uscc", "ref_year", "entry").iter_rows())


def test_the_same_seed_writes_the_same_bytes(city: City, tmp_path: Path) -> None:
    from etl.demo.administrative import compute_centres

    for turn in ("a", "b"):
        writer = DemoWriter(tmp_path / turn, city.seed)
        for file in list(compute_centres(city))[:3]:
            writer.write(file)
    for path in (tmp_path / "a").rglob("*.csv"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
