"""The assets of editing on returns with silent errors: tables, checks, and that the summary names no unit."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from etl.assets import editing
from etl.assets.collect import table_name
from etl.collect import schema
from etl.contract import load_contract
from etl.editing import ITEMS
from etl.resources import Stores
from tests.benchmarks.editing_city import City, demo_city, settings
from warehouse.write import WorkStore

SEED = settings()["seeds"]["report"][0]
QUARTERLY = ("finance_quarterly", "ai_survey_quarterly")


def stored(home: Path, city: City) -> WorkStore:
    """A work store as the collect assets leave it; nothing quarterly was received."""
    work = WorkStore(home)
    for source, frame in city.received.items():
        work.write(table_name(source), frame)
    for source in QUARTERLY:
        work.write(table_name(source), pl.DataFrame(schema=schema(load_contract(source))))
    register = city.register.with_columns(group_uscc=pl.lit(None, dtype=pl.String)).sort("uscc")
    work.write(table_name("register"), register)
    return work


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[City, WorkStore, dg.ExecuteInProcessResult]]:
    home = tmp_path_factory.mktemp("editing")
    city = demo_city("small", SEED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AISTAT_HOME", str(home))
        work = stored(home, city)
        result = dg.materialize(editing.editing_assets(), resources={"stores": Stores()}, raise_on_error=False)
        yield city, work, result


def test_every_source_has_its_edited_rows_flags_and_follow_ups(
    done: tuple[City, WorkStore, dg.ExecuteInProcessResult],
) -> None:
    city, work, result = done
    assert result.success
    for source, received in city.received.items():
        rows, flags = work.read(editing.rows_table(source)), work.read(editing.flag_table(source))
        assert rows.height == received.height and set(ITEMS) <= set(rows.columns)
        assert flags.height > 20 and flags["uscc"].is_in(received["uscc"].implode()).all()
        assert work.read(editing.followup_table(source)).height > 0
        assert work.read(table_name(source)).equals(received), "what was received stays as it is"
    for source in QUARTERLY:
        assert work.rows(editing.rows_table(source)) == 0


def test_the_checks_say_that_nothing_vanished(done: tuple[City, WorkStore, dg.ExecuteInProcessResult]) -> None:
    checks = {(e.asset_key.to_user_string(), e.check_name): e for e in done[2].get_asset_check_evaluations()}
    assert len(checks) == 2 * 5 and all(c.passed for (_, name), c in checks.items() if name == "rows_conserved")
    conserved = checks[editing.rows_table("labour_annual"), "rows_conserved"]
    rows = done[0].received["labour_annual"].height
    assert conserved.blocking and f"{rows} rows in = {rows} rows out" in str(conserved.description)


def test_a_rate_above_the_plans_limit_warns_and_a_lost_row_blocks(
    done: tuple[City, WorkStore, dg.ExecuteInProcessResult],
) -> None:
    city, work, _ = done
    plan, source = editing.editing_plans()[0], "labour_annual"
    rows, flags = work.read(editing.rows_table(source)), work.read(editing.flag_table(source))
    strict = plan.model_copy(update={"warn_rate": 0.0001})
    checks = {c.check_name: c for c in editing._checks(strict, city.received[source], rows.slice(1), flags)}
    assert not checks["editing_rate"].passed and checks["editing_rate"].severity == dg.AssetCheckSeverity.WARN
    assert not checks["rows_conserved"].passed and checks["rows_conserved"].severity == dg.AssetCheckSeverity.ERROR


def test_the_summary_holds_every_source_that_answered_and_no_unit(
    done: tuple[City, WorkStore, dg.ExecuteInProcessResult],
) -> None:
    city, work, _ = done
    table = work.read(editing.SUMMARY)
    assert set(table["source_id"]) == set(city.received)
    text = table.write_csv()
    assert not any(code in text for code in city.received["labour_annual"]["uscc"].unique())
    revenue = table.filter(metric="effect", source_id="finance_annual", scope="operating_revenue_cny")
    assert (
        revenue.height == city.received["finance_annual"]["ref_year"].n_unique()
        and (revenue["value"].drop_nulls() < 0).all()
    ), "errors of unit made the totals too large"


def test_rows_are_found_by_their_keys_without_reading_the_table_whole(tmp_path: Path) -> None:
    work = WorkStore(tmp_path)
    work.write("units", pl.DataFrame({"uscc": ["b", "a", "c"], "x": [1, 2, 3]}))
    found = work.matching("units", ["uscc", "x"], pl.Series("uscc", ["c", "a", "z", "a"]))
    assert found.rows() == [("a", 2), ("c", 3)]
    with pytest.raises(LookupError, match="no table nothing"):
        work.matching("nothing", ["x"], pl.Series("uscc", ["a"]))
