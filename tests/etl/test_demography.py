"""Business demography: the manual's definitions on cases by hand, and accounts that must close."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.methods.demography import demography, moves, unit_events
from etl.methods.tabular import BadInput, run_table, table_methods

NO_LINKS = pl.DataFrame(schema={"predecessor": pl.String, "successor": pl.String, "year": pl.Int64})


def population(units: dict[str, dict[int, float | None] | range | list[int]]) -> pl.DataFrame:
    rows = [
        (unit, year, years[year] if isinstance(years, dict) else 5.0) for unit, years in units.items() for year in years
    ]
    return pl.DataFrame(rows, schema={"unit": pl.String, "year": pl.Int64, "size": pl.Float64}, orient="row")


def events(
    active: pl.DataFrame, links: pl.DataFrame = NO_LINKS
) -> dict[tuple[str, int], tuple[str | None, str | None]]:
    return {(u, y): (a, b) for u, y, _, a, b, _ in unit_events(active, links).iter_rows()}


def test_births_deaths_and_reactivations_by_the_manual() -> None:
    frame = population({
        "old": range(2018, 2026), "born": range(2020, 2026), "short": [2021], "back": [2018, 2019, 2021, 2022],
        "late": [2018, 2021, 2022, 2023, 2024, 2025], "quits": range(2018, 2023), "ends": range(2018, 2025),
    })  # fmt: skip
    found = events(frame)
    assert found["old", 2018] == ("first_years", None) and found["old", 2025] == (None, None)
    assert found["born", 2020] == ("birth", None)
    assert found["short", 2021] == ("birth", "death"), "an enterprise may be born and die in one year"
    assert found["back", 2019] == (None, None) and found["back", 2021] == ("reactivation", None)
    assert found["late", 2018] == ("first_years", "death") and found["late", 2021] == ("birth", None), (
        "after two years it is new"
    )
    assert found["quits", 2022] == (None, "death") and found["ends", 2024] == (None, "death")
    provisional = dict(
        unit_events(frame, NO_LINKS).filter(pl.col("exit") == "death").select("unit", "exit_is_provisional").iter_rows()
    )
    assert provisional["ends"] and not provisional["quits"]


def test_a_continuation_is_neither_birth_nor_death_and_survives_in_its_heir() -> None:
    frame = population(
        {"filler": range(2018, 2026), "y": [2020, 2021, 2022], "z": [2023, 2024, 2025], "w": [2020, 2021]}
    )
    links = pl.DataFrame([("y", "z", 2023)], schema=["predecessor", "successor", "year"], orient="row")
    found = events(frame, links)
    assert found["y", 2022] == (None, "continued") and found["z", 2023] == ("continuation", None)
    (row,) = demography(frame, links).years.filter(pl.col("year") == 2020).to_dicts()
    assert (row["births"], row["survivors_1"], row["survivors_3"], row["survivors_5"]) == (2, 2, 1, 1)
    assert row["survival_rate_5"] == 0.5
    without = demography(frame, NO_LINKS).years.filter(pl.col("year") == 2020).to_dicts()[0]
    assert without["survivors_3"] == 0


def test_high_growth_and_gazelles() -> None:
    sizes = {
        "hg": {y: 10.0 * 1.25 ** (y - 2018) for y in range(2018, 2026)},
        "edge": {y: 10.0 * 1.2 ** (y - 2018) for y in range(2018, 2026)},
        "small": {y: 9.0 * 1.6 ** (y - 2021) for y in range(2021, 2025)},
        "gazelle": {2020: 4.0, 2021: 12.0, 2022: 15.0, 2023: 20.0, 2024: 24.0, 2025: 30.0},
        "newborn": {2021: 10.0, 2022: 30.0, 2023: 50.0, 2024: 60.0},
    }
    years = demography(population(sizes), NO_LINKS).years
    by_year = {r["year"]: r for r in years.to_dicts()}
    assert by_year[2020]["high_growth"] is None, "three years must be known"
    assert by_year[2021]["high_growth"] == 1 and by_year[2021]["gazelles"] == 0
    assert by_year[2024]["high_growth"] == 2, (
        "hg and gazelle (12 → 24); newborn's first year is left out, edge is at the limit"
    )
    assert by_year[2024]["gazelles"] == 1
    assert by_year[2024]["ten_persons_before"] == 3, "newborn is in neither part of the rate"
    assert by_year[2024]["high_growth_rate"] == pytest.approx(2 / 3)
    low = demography(population(sizes), NO_LINKS, high_growth_threshold=0.1).years
    assert low.filter(pl.col("year") == 2021)["high_growth"].item() == 2


def test_what_cannot_be_known_is_empty_not_zero() -> None:
    years = demography(population({"a": range(2018, 2024), "b": range(2019, 2023)}), NO_LINKS).years
    assert years["births"].to_list() == [None, None, 0, 0, 0, 0]
    assert years["deaths"].to_list()[-1] is None and years["deaths"].to_list()[-2] == 1
    assert years["survivors_1"].to_list() == [None, None, 0, 0, 0, None], (
        "of no births none survive, as far as years are known"
    )
    assert years["survival_rate_1"].is_null().all()


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=3), st.sets(st.integers(2015, 2024), min_size=1), min_size=1, max_size=12
    )
)
def test_the_account_of_the_population_closes(given_units: dict[str, set[int]]) -> None:
    frame = population({u: sorted(y) for u, y in given_units.items()} | {"filler": list(range(2015, 2025))})
    rows = unit_events(frame, NO_LINKS)
    active = dict(rows.group_by("year").len().iter_rows())
    for year in range(2016, 2025):
        entered = rows.filter((pl.col("year") == year) & pl.col("entry").is_not_null()).height
        before = set(rows.filter(pl.col("year") == year - 1)["unit"])
        stayed = before & set(rows.filter(pl.col("year") == year)["unit"])
        assert active[year] == len(stayed) + entered, "who is here was here or entered"
    years = demography(frame, NO_LINKS).years
    for row in years.drop_nulls("births").to_dicts():
        survivors = [row[f"survivors_{n}"] for n in range(1, 6) if row[f"survivors_{n}"] is not None]
        assert all(s <= row["births"] for s in survivors)


def test_moves_change_districts_not_the_city() -> None:
    places = pl.DataFrame(
        [("a", 2023, "南山"), ("a", 2024, "宝安"), ("b", 2023, "南山"), ("b", 2024, "南山"), ("c", 2024, "宝安")],
        schema=["unit", "year", "place"], orient="row",
    )  # fmt: skip
    assert moves(places).rows() == [(2024, "南山", "宝安", 1)]


ROWS = ("unit", "period", "active", "size", "predecessor")
Rows = list[tuple[str, int, int, str | None, str | None]]


def spell(unit: str, years: range, predecessor: str | None = None, *, only: int | None = None) -> Rows:
    """Active rows of a unit; its predecessor stands on every row, or on that of one year."""
    return [(unit, y, 1, None, predecessor if only in (None, y) else None) for y in years]


def run(rows: Rows, **parameters: str) -> dict[int, dict[str, Any]]:
    frame = pl.DataFrame(rows, schema=dict.fromkeys(ROWS, pl.String), orient="row", strict=False)
    found = run_table(table_methods()["demography"], frame, parameters)
    return {int(r["period"]): r for r in found.rows.to_dicts()}


STEADY = spell("steady", range(2010, 2022))


@pytest.mark.parametrize("only", [None, 2015])
def test_a_predecessor_counts_from_the_first_row_that_names_it(only: int | None) -> None:
    found = run([*STEADY, *spell("y", range(2013, 2015)), *spell("z", range(2015, 2018), "y", only=only)])
    assert (found[2014]["deaths"], found[2014]["continued_by_others"]) == (0, 1)
    assert (found[2015]["births"], found[2015]["continuations"]) == (0, 1)


def test_units_that_rest_are_observed_too() -> None:
    rows: Rows = [("u", y, int(y > 2011), None, None) for y in range(2010, 2016)]
    rows += [("v", y, int(y > 2012), None, None) for y in range(2010, 2016)]
    found = run(rows)
    assert [found[y]["active"] for y in range(2010, 2016)] == [0, 0, 1, 2, 2, 2]
    assert (found[2012]["births"], found[2013]["births"]) == (1, 1)
    ends: Rows = [("u", y, int(y < 2014), None, None) for y in range(2010, 2016)]
    ends += [("v", y, int(y < 2013), None, None) for y in range(2010, 2016)]
    found = run(ends)
    assert (found[2013]["deaths"], found[2013]["deaths_are_provisional"]) == (1, False)
    assert found[2014]["active"] == 0 and found[2014]["death_rate"] is None


def survival(rows: Rows) -> list[int | None]:
    found = run([*STEADY, *rows])[2013]
    return [found[f"survivors_{n}"] for n in range(1, 4)]


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("b", "a")])
def test_a_unit_that_was_split_survives_in_any_of_its_heirs(first: str, second: str) -> None:
    short, long = spell(first, range(2015, 2016), "y"), spell(second, range(2015, 2018), "y", only=2015)
    for heirs in ([*short, *long], [*long, *short]):
        assert survival([*spell("y", range(2013, 2015)), *heirs]) == [1, 1, 1]


@pytest.mark.parametrize("heir", [range(2010, 2022), range(2017, 2020)])
def test_a_unit_is_not_dead_and_alive_in_another_that_took_it_over_years_later(heir: range) -> None:
    found = run([*STEADY, *spell("y", range(2013, 2015)), *spell("heir", heir, "y", only=2017)])
    assert found[2014]["deaths"] == 1 and [found[2013][f"survivors_{n}"] for n in range(1, 6)] == [1, 0, 0, 0, 0]


def test_take_over_by_a_unit_that_was_there_is_neither_death_nor_survival() -> None:
    rows = [*spell("y", range(2013, 2015)), *spell("firm", range(2010, 2022), "y", only=2015)]
    assert run([*STEADY, *rows])[2014]["continued_by_others"] == 1 and survival(rows) == [1, 0, 0]


def test_an_heir_is_new_to_what_it_was_set_up_for_alone() -> None:
    rows = [
        *spell("x", range(2010, 2013)),
        *spell("z", range(2013, 2019), "x", only=2013),
        *spell("y", range(2013, 2015)),
    ]
    taken = [(u, y, a, s, "y" if (u, y) == ("z", 2015) else p) for u, y, a, s, p in rows]
    assert run([*STEADY, *taken])[2014]["continued_by_others"] == 1 and survival(taken) == [1, 0, 0]


def test_survival_has_no_breaks() -> None:
    assert survival([*spell("y", range(2013, 2014)), *spell("y", range(2015, 2022))]) == [0, 0, 0]
    reborn = [*spell("y", range(2013, 2014)), *spell("z", range(2014, 2022), "y"), *spell("y", range(2017, 2018))]
    assert survival(reborn) == [1, 1, 1]
    assert run([*STEADY, *reborn])[2017]["survivors_1"] == 0, "what carried the earlier life on is no heir of the later"


@pytest.mark.parametrize("cell", ["y;w", "y；w", "y，w"])
def test_a_merger_names_all_it_continues(cell: str) -> None:
    found = run(
        [*STEADY, *spell("y", range(2013, 2015)), *spell("w", range(2012, 2015)), *spell("z", range(2015, 2019), cell)]
    )
    assert (found[2014]["deaths"], found[2014]["continued_by_others"]) == (0, 2)
    assert (found[2013]["survivors_3"], found[2012]["survivors_4"]) == (1, 1)


@pytest.mark.parametrize(
    ("rows", "parameters", "said"),
    [
        ([r for r in STEADY if r[1] != 2013], {}, "no unit has a row for 2013; every year from 2010 to 2021"),
        ([("a", 202001, 1, None, None)], {}, "line 2, unit a, period 202001: a year"),
        ([*STEADY, ("a", 2012, 1, "-3", None)], {}, "line 14, unit a, period 2012: column size"),
        ([*STEADY, STEADY[3]], {}, "unit steady, period 2013 is there 2 times"),
        ([], {}, "the table is empty"),
        (STEADY, {"high_growth_threshold": "20"}, "0.2 for 20 %"),
        (STEADY, {"high_growth_threshold": "-1"}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_counted_is_refused(rows: Rows, parameters: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        run(rows, **parameters)


def test_the_runner_checks_its_input() -> None:
    runner = table_methods()["demography"]
    frame = pl.DataFrame({"unit": ["a", "a", "b"], "period": ["2020", "2021", "2021"], "active": ["1", "1", "0"]})
    found = run_table(runner, frame, {})
    assert found.rows["active"].to_list() == [1, 1] and found.result == {"periods": 2, "units": 1}
    for bad, said in ((frame.with_columns(period=pl.lit("2020-Q1")), "whole years"), (pl.concat([frame, frame]), "2 times"),
                      (frame.with_columns(active=pl.lit("0")), "no active unit")):  # fmt: skip
        with pytest.raises(BadInput, match=said):
            run_table(runner, bad, {})
