"""Dates of the Chinese New Year and the regressors made of them."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from etl.methods.periods import of, parse
from etl.methods.seasonal.genhol import chinese_new_year, genhol
from etl.methods.tabular import BadInput, run_table, table_methods
from tests.etl import lunar_astronomy

# 国务院办公厅 节假日安排 and the Hong Kong Observatory's tables: well-known New Years.
KNOWN = [
    "1949-01-29", "1978-02-07", "1985-02-20", "2000-02-05", "2012-01-23", "2020-01-25", "2021-02-12", "2022-02-01",
    "2023-01-22", "2024-02-10", "2025-01-29", "2026-02-17", "2033-01-31", "2034-02-19",
]  # fmt: skip


def test_every_date_of_the_table_follows_from_sun_and_moon() -> None:
    dates = chinese_new_year()
    assert [d.year for d in dates] == list(range(1899, 2102))
    assert {date.fromisoformat(d) for d in KNOWN} <= set(dates)
    assert [d for d in dates if lunar_astronomy.chinese_new_year(d.year) != d] == []


def run(**parameters: str) -> dict[str, float]:
    rows = run_table(
        table_methods()["genhol_cny"], pl.DataFrame(), {k.rstrip("_"): v for k, v in parameters.items()}
    ).rows
    return dict(rows.iter_rows())


def test_shares_by_hand() -> None:
    """New Year 2022 was 1 February: of the days -7 … 6, seven lie in January and seven in February."""
    found = run(from_="2022-01", to="2022-12", start="-7", end="6")
    assert found["2022-01"] == 0.5 == found["2022-02"] and sum(found.values()) == 1.0 and len(found) == 12
    # 2025: 29 January; days 0 … 6 are 29, 30, 31 January and 1 to 4 February.
    found = run(from_="2025", to="2025", start="0", end="6")
    assert (found["2025-01"], found["2025-02"]) == (3 / 7, 4 / 7)
    # 2024: 10 February; days 15 … 20 are 25 to 29 February and 1 March of a leap year.
    assert run(from_="2024-03", to="2024-03", start="15", end="20") == {"2024-03": 1 / 6}
    assert run(from_="2023-12", to="2024-02", start="0", end="0") == {"2023-12": 0.0, "2024-01": 0.0, "2024-02": 1.0}
    # A window across the turn of the year: 2023-01-22 less 30 days is 23 December, of the year before.
    assert run(from_="2022-12", to="2022-12", start="-30", end="-21") == {"2022-12": 0.9}


def test_windows_reach_from_the_new_years_outside_the_periods() -> None:
    """New Year 2101 is 29 January: days -40 … -1 are 20 December 2100 to 28 January; 1899: 10 February, day 330 is 6 January."""
    assert run(from_="2100-12", to="2100-12", start="-40", end="-1") == {"2100-12": 12 / 40}
    assert run(from_="1900-01", to="1900-01", start="330", end="330") == {"1900-01": 1.0}


def test_quarters_hold_the_sum_of_their_months() -> None:
    months = run(from_="2000", to="2030", start="-40", end="45")
    quarters = run(from_="2000", to="2030", start="-40", end="45", frequency="4")
    assert list(quarters)[:2] == ["2000-Q1", "2000-Q2"] and len(quarters) == 124
    for name, value in quarters.items():
        period = parse(name)
        parts = [months[f"{period.year}-{3 * period.within - k:02d}"] for k in range(3)]
        assert value == pytest.approx(sum(parts))
    assert set(run(from_="2000", to="2030", start="0", end="6", frequency="4").values()) == {0.0, 1.0}


def test_centring_by_hand() -> None:
    """2020 to 2023: 25 January, 12 February, 1 February, 22 January; the day itself."""
    plain = run(from_="2020", to="2023")
    assert [m for m, v in plain.items() if v] == ["2020-01", "2021-02", "2022-02", "2023-01"]
    mean = run(from_="2020", to="2023", centre="mean")
    assert mean["2020-01"] == pytest.approx(1 - 4 / 48) and mean["2020-03"] == pytest.approx(-4 / 48)
    calendar = run(from_="2020", to="2023", centre="calendar")
    assert [calendar[f"{y}-01"] for y in range(2020, 2024)] == [0.5, -0.5, -0.5, 0.5]
    assert calendar["2020-02"] == -0.5 and calendar["2020-03"] == 0.0
    ten = run(from_="2020", to="2023", centre="calendar", centre_over="2014-2023")
    januaries = sum(d.month == 1 for d in chinese_new_year() if 2014 <= d.year <= 2023)
    assert ten["2020-01"] == pytest.approx(1 - januaries / 10)


def test_means_over_the_years_of_the_dates_are_those_of_the_r_package() -> None:
    """Its genhol takes the means over the series it returns, which spans the years of the dates."""
    dates = [d for d in chinese_new_year() if 1931 <= d.year <= 2100]
    values = genhol(dates, of(12, 1931), of(12, 2100, 12), start=-7, end=6, centre="calendar").reshape(170, 12)
    raw = genhol(dates, of(12, 1931), of(12, 2100, 12), start=-7, end=6).reshape(170, 12)
    assert values == pytest.approx(raw - raw.mean(axis=0)) and np.abs(values.mean(axis=0)).max() < 1e-12
    window = run(from_="2019-03", to="2021-02", start="-7", end="6", centre="calendar", centre_over="1931-2100")
    assert list(window.values()) == pytest.approx(values.reshape(-1)[88 * 12 + 2 : 90 * 12 + 2].tolist())


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"start": "3", "end": "1"}, "exchange start and end"),
        ({"start": "-100", "end": "100"}, "has 201 days"),
        ({"from_": "2025", "to": "2024"}, "before it starts"),
        ({"from_": "1899", "to": "1950"}, "known for 1900-01"),
        ({"frequency": "2"}, "neither 12"),
        ({"centre": "median"}, "not one of none, mean, calendar"),
        ({"centre_over": "all"}, "neither window"),
        ({"from_": "next year"}, "is not a period"),
        ({"centre": "calendar", "centre_over": "1850-1900"}, "parameter centre_over: the dates are known for 1900-01"),
        ({"centre": "calendar", "centre_over": "1800-2000"}, "parameter centre_over: the dates are known for 1900-01"),
        ({"centre": "calendar", "centre_over": "9990-9999"}, "parameter centre_over: the dates are known for 1900-01"),
        ({"from_": "2020-01-99"}, "'2020-01-99' is not a day"),
        ({"from_": "2020-02-30"}, "'2020-02-30' is not a day"),
        ({"start": "-1000000", "end": "-999990"}, "at most 366 days"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        run(**{"from_": "2020", "to": "2021", **parameters})


def test_from_and_to_may_be_years_quarters_months_or_days() -> None:
    months = list(run(from_="2020-Q2", to="2020-Q3"))
    assert (months[0], months[-1]) == ("2020-04", "2020-09")
    quarters = list(run(from_="2020-02-15", to="2020-08", frequency="4"))
    assert quarters == ["2020-Q1", "2020-Q2", "2020-Q3"]
