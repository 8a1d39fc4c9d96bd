"""Demography of the register: dates and links make births and deaths; few units are withheld."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.demography import AI, ALL, ai_units, demography_counts, lives, moves, pooled
from etl.demography_release import cleared_counts, demography_place, demography_rows
from etl.methods.demography import demography
from etl.methods.disclosure import RuleSet
from etl.release_ledger import ReleaseLedger, keeping

LIMITS = RuleSet()
LINKS = pl.DataFrame(
    {
        "predecessor_uscc": ["old1", "old2", "far"],
        "successor_uscc": ["heir1", "new2", "heir1"],
        "event_date": [date(2023, 6, 30), date(2024, 3, 1), date(2020, 1, 1)],
    }
)


def unit(uscc: str, opened: date, closed: date | None = None, kind: str = "1", group: str | None = None) -> tuple[str, str, date, date | None, str | None, str, str]:  # fmt: skip
    return uscc, kind, opened, closed, group, "440305", "440305"


def register() -> pl.DataFrame:
    rows = [unit(f"stay{i}", date(2015, 1, 1)) for i in range(43)]
    rows += [unit(f"born{i}", date(2023, 5, 1), date(2024, 8, 1) if i < 4 else None) for i in range(10)]
    rows += [unit(f"dead{i}", date(2016, 1, 1), date(2023, 2, 1)) for i in range(5)]
    rows += [unit(f"few{i}", date(2016, 1, 1), date(2024, 2, 1)) for i in range(2)]
    rows += [
        unit("old1", date(2014, 1, 1), date(2023, 6, 30)), unit("heir1", date(2013, 1, 1)),
        unit("old2", date(2014, 1, 1), date(2024, 2, 28)), unit("new2", date(2024, 3, 1)),
        unit("far", date(2014, 1, 1), date(2023, 9, 1)), unit("branch", date(2023, 1, 1), kind="2"),
    ]  # fmt: skip
    names = ["uscc", "unit_kind", "opening_date", "closing_date", "group_uscc", "operating_district", "registered_district"]  # fmt: skip
    return pl.DataFrame(rows, schema=names, orient="row")


def frame(years: tuple[int, ...] = (2022, 2023, 2024)) -> pl.DataFrame:
    rows = [(f"stay{i}", y, 1.0 if i < 30 else 0.2, 10 + i + 5 * (y - 2022)) for i in range(43) for y in years]
    return pl.DataFrame(rows, schema=["uscc", "ref_year", "membership", "employed_persons"], orient="row")


NO_DELTA = pl.DataFrame(
    schema={
        "uscc": pl.String,
        "unit_kind": pl.String,
        "operating_district": pl.String,
        "registered_district": pl.String,
        "ref_period": pl.String,
    }
)


def figures(units: pl.DataFrame, delta: pl.DataFrame = NO_DELTA) -> pl.DataFrame:
    counts = demography_counts(register(), register(), delta, LINKS, units)
    return demography_rows(counts, sorted(set(units["ref_year"])), LIMITS, 1)


def table() -> dict[tuple[str, str, str], tuple[float | None, str]]:
    found = figures(frame())
    return {
        (r["population"], r["metric"], r["period"]): (r["value"], r["conf_status"]) for r in found.iter_rows(named=True)
    }


def test_links_make_continuations_only_near_the_dates() -> None:
    found = {r["uscc"]: r for r in lives(register(), LINKS).iter_rows(named=True)}
    assert found["old1"]["is_continued"] and found["old1"]["ended"] == 2023, (
        "the unit that took it over was there before"
    )
    assert found["new2"]["is_continuation"] and found["old2"]["ended"] is None
    assert not found["far"]["is_continued"] and found["far"]["ended"] == 2023, "the link is years away"
    assert "branch" not in found and not found["heir1"]["is_continuation"]


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("b", "a")])
def test_a_unit_that_was_split_lasts_as_long_as_the_last_of_its_heirs(first: str, second: str) -> None:
    rows = [
        unit("y", date(2020, 1, 1), date(2021, 12, 1)), unit(first, date(2021, 12, 1), date(2022, 5, 1)),
        unit(second, date(2021, 12, 1), date(2024, 5, 1)), unit("late", date(2023, 1, 5)), unit("x", date(2020, 1, 1), date(2021, 3, 1)),
    ]  # fmt: skip
    pairs = [("y", first, date(2021, 12, 1)), ("y", second, date(2021, 12, 1)), ("x", "late", date(2022, 2, 1))]
    links = pl.DataFrame(pairs, schema=LINKS.schema, orient="row")
    for ordered in (links, links.reverse()):
        found = lives(pl.DataFrame(rows, schema=register().schema, orient="row"), ordered)
        ended = dict(found.select("uscc", "ended").iter_rows())
        assert ended["y"] == 2024 and ended["x"] == 2021, "a year without any of the two is a break"


def test_the_rate_of_high_growth_is_of_the_units_that_could_grow() -> None:
    """Ten units born in 2021, with ten persons then: neither among the fast ones of 2024 nor among those they are compared with."""
    rows = register().with_columns(
        opening_date=pl.when(pl.col("uscc").is_in([f"stay{i}" for i in range(10)])).then(pl.date(2021, 2, 1)).otherwise("opening_date")
    )  # fmt: skip
    counts = demography_counts(rows, rows, NO_DELTA, LINKS, frame((2021, 2022, 2023, 2024)))
    found = demography_rows(counts, [2021, 2022, 2023, 2024], LIMITS, 1)
    one = found.filter((pl.col("metric") == "ten_persons_before") & (pl.col("period") == "2024"))
    assert one["value"].to_list() == [20.0]


FIRST, LAST = 2010, 2024
SPELLS = st.lists(st.tuples(st.integers(FIRST + 2, LAST), st.integers(0, 7)), min_size=2, max_size=7)


def by_the_register(lived: dict[str, tuple[int, int]], links: list[tuple[str, str, int]]) -> dict[int, list[int]]:
    """Births, continuations, deaths, units continued and survivors after one to five years, of units that open and close on 1 July."""
    rows = [unit(u, date(o, 7, 1), date(c, 7, 1) if c < LAST else None) for u, (o, c) in lived.items()]
    dated = [(p, h, date(y, 7, 1)) for p, h, y in links]
    found = lives(
        pl.DataFrame(rows, schema=register().schema, orient="row"),
        pl.DataFrame(dated, schema=LINKS.schema, orient="row"),
    )
    own = found.rows(named=True)
    counts = {}
    for year in range(FIRST + 2, LAST):
        born = [r for r in own if r["opened"] == year and not r["is_continuation"]]
        gone = [r for r in own if r["closed"] == year]
        counts[year] = [
            len(born), sum(r["opened"] == year for r in own) - len(born), sum(not r["is_continued"] for r in gone),
            sum(r["is_continued"] for r in gone),
            *(sum(r["ended"] is None or r["ended"] >= year + n for r in born) for n in range(1, 6) if year + n <= LAST),
        ]  # fmt: skip
    return counts


def by_the_method(lived: dict[str, tuple[int, int]], links: list[tuple[str, str, int]]) -> dict[int, list[int]]:
    """The same from one row a unit and year."""
    active = [(u, y, None) for u, (o, c) in lived.items() for y in range(o, min(c, LAST) + 1)]
    table = pl.DataFrame(active, schema={"unit": pl.String, "year": pl.Int64, "size": pl.Float64}, orient="row")
    schema = {"predecessor": pl.String, "successor": pl.String, "year": pl.Int64}
    found = demography(table, pl.DataFrame(links, schema=schema, orient="row"), observed=(FIRST, LAST)).years
    metrics = ("births", "continuations", "deaths", "continued_by_others", *(f"survivors_{n}" for n in range(1, 6)))
    return {
        r["year"]: [r[m] for m in metrics if r[m] is not None]
        for r in found.filter(pl.col("year").is_between(FIRST + 2, LAST - 1)).rows(named=True)
    }


@settings(max_examples=80, deadline=None)
@given(SPELLS, st.data())
def test_the_register_counts_as_the_method_does(spells: list[tuple[int, int]], data: st.DataObject) -> None:
    """Any links on the day of closing, or of the heir's opening in the year after; an heir of the year before is new by dates alone."""
    lived = {f"u{i}": (opened, opened + length) for i, (opened, length) in enumerate(spells)}
    able = [
        (p, h, max(lived[h][0], lived[p][1])) for p in lived for h in lived
        if p != h and lived[p][1] < LAST and lived[h][0] <= lived[p][1] + 1 <= lived[h][1] + 1 and lived[h][0] != lived[p][1] - 1
    ]  # fmt: skip
    links = data.draw(st.lists(st.sampled_from(able), unique=True)) if able else []
    assert by_the_register(lived, links) == by_the_method(lived, links)


def test_births_deaths_and_survival_by_hand() -> None:
    found = table()
    assert found[ALL, "births", "2023"] == (10.0, "F")
    assert found[ALL, "deaths", "2023"] == (6.0, "F"), (
        "five dead and the one linked too late; the continued unit is none"
    )
    assert found[ALL, "survivors_1", "2023"] == (10.0, "F"), "those that close in 2024 were active in it"
    # 43 staying, ten born, five dead, two few, old1, heir1, old2, far: 64 alive at some time of 2023.
    assert found[ALL, "active", "2023"] == (60.0, "F")
    assert found[ALL, "birth_rate", "2023"] == (pytest.approx(10 / 60), "F")
    assert found[ALL, "churn_rate", "2023"] == (pytest.approx(16 / 60), "F")
    assert found[ALL, "survival_rate_2", "2023"] == (None, "F"), "not known yet"


def test_counts_of_fewer_than_three_are_withheld_with_their_rates() -> None:
    found = table()
    assert found[ALL, "continued_by_others", "2023"] == (None, "C")
    assert found[ALL, "continuations", "2024"] == (None, "C")
    assert found[ALL, "births", "2022"] == (0.0, "F"), "zero is no one's secret"
    assert all(value is None for value, conf in found.values() if conf == "C")


def test_a_count_is_withheld_where_all_but_a_few_are_counted_or_one_group_is() -> None:
    most = pl.DataFrame({"contributor": [f"u{i}" for i in range(20)], "n": [1] * 20, "up": [i > 1 for i in range(20)]})
    assert cleared_counts(most, ["up"], LIMITS, 1) == {"up": (18, False)}
    group = most.with_columns(up=pl.Series([i < 6 for i in range(20)]), contributor=pl.Series(["g"] * 6 + [f"u{i}" for i in range(14)]))  # fmt: skip
    assert cleared_counts(group, ["up"], LIMITS, 1) == {"up": (6, False)}


def test_millions_of_units_are_counted_by_their_dates_and_few_of_them_still_withheld() -> None:
    days = [date(2015, 1, 1)] * 29_990 + [date(2023, 1, 1)] * 10
    closed = [date(2023, 3, 1) if i < 2 or 10_000 <= i < 13_000 else None for i in range(30_000)]
    kinds = pl.DataFrame({"uscc": [f"u{i}" for i in range(30_000)], "unit_kind": ["1"] * 30_000})
    many = kinds.with_columns(
        opening_date=pl.Series(days), closing_date=pl.Series(closed), group_uscc=pl.lit(None, pl.String)
    )
    rows = pooled(lives(many, LINKS.clear()))
    assert rows.height < 500 and rows["n"].sum() == 30_000
    few = rows.filter(pl.col("closed").is_null()).with_columns(up=pl.col("opened") == 2023)
    assert cleared_counts(few, ["up"], LIMITS, 1) == {"up": (10, True)}
    rare = rows.with_columns(up=pl.col("closed").is_not_null() & pl.col("contributor").is_in(["pool0"]))
    assert cleared_counts(rare, ["up"], LIMITS, 1)["up"][1] is False


def test_ai_enterprises_are_those_confirmed_or_more_likely_than_not_and_grow_by_their_staff() -> None:
    assert set(ai_units(frame())) == {f"stay{i}" for i in range(30)}
    years = (2021, 2022, 2023, 2024)
    staff = frame(years).with_columns(
        employed_persons=pl.when(pl.col("uscc").str.slice(4).cast(pl.Int64) < 5)
        .then(20 * 2.0 ** (pl.col("ref_year") - 2021)).otherwise(20).cast(pl.Int64)
    )  # fmt: skip
    rows = figures(staff)
    own = {r["metric"]: r["value"] for r in rows.filter((pl.col("population") == AI) & (pl.col("period") == "2024")).iter_rows(named=True)}  # fmt: skip
    assert (own["high_growth_20"], own["high_growth_10"], own["ten_persons_before"]) == (5.0, 5.0, 30.0)
    assert own["high_growth_20_rate"] == pytest.approx(5 / 30) and own["gazelles"] == 0.0


def test_a_move_is_a_change_of_district_in_the_nightly_files() -> None:
    delta = pl.DataFrame(
        {
            "uscc": ["stay1", "stay2", "unknown"], "unit_kind": ["1"] * 3, "operating_district": ["440306", "440305", "440306"],
            "registered_district": ["440305"] * 3, "ref_period": ["2025-01-31", "2025-02-28", "2025-02-28"],
        }
    )  # fmt: skip
    assert moves(register(), delta).rows() == [("stay1", 2025)]


def heirs(count: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The register with that many more units of 2024 that carry on another one, and all links."""
    more = [unit(f"next{i}", date(2024, 5, 1)) for i in range(count)]
    rows = pl.concat([register(), pl.DataFrame(more, schema=register().schema, orient="row")])
    names = {
        "predecessor_uscc": [f"gone{i}" for i in range(count)],
        "successor_uscc": [f"next{i}" for i in range(count)],
    }
    links = pl.DataFrame({**names, "event_date": [date(2024, 5, 1)] * count}, schema=LINKS.schema)
    return rows, pl.concat([LINKS, links])


def continuations(count: int) -> tuple[float | None, str]:
    """Continuations of 2024 as they are published, with that many more."""
    rows, links = heirs(count)
    counts = demography_counts(rows, rows, NO_DELTA, links, frame())
    found = demography_rows(counts, [2022, 2023, 2024], LIMITS, 1).filter(
        (pl.col("population") == ALL) & (pl.col("metric") == "continuations") & (pl.col("period") == "2024")
    )
    return found.select("value", "conf_status").row(0)


def test_what_one_official_release_withheld_the_next_does_not_show(tmp_path: Path) -> None:
    """One unit carried on another by the first release; five did by the second, of which the first would be told apart."""
    assert continuations(0) == (None, "C") and continuations(4) == (5.0, "F")
    ledger = ReleaseLedger(tmp_path)
    with keeping(ledger):
        assert continuations(0) == (None, "C")
        place = demography_place(ALL, "events", "2024")
        assert place in ledger.proposals() and ledger.enter() == len(ledger.proposals())
        assert continuations(4) == (None, "C")
        assert (ledger.folder(place) / "ledger.csv").exists()


Figures = dict[tuple[str, str], tuple[float | None, str]]


def released(rows: list[tuple[str, date, date | None, str | None]], frame_of: pl.DataFrame | None = None) -> Figures:
    """``(population, metric)`` of 2022 → value and status, for a register of these units and twenty that stay."""
    steady = [unit(f"stay{i}", date(2015, 1, 1)) for i in range(20)]
    own = [unit(u, opened, closed, group=group) for u, opened, closed, group in rows]
    schema = {**register().schema, "group_uscc": pl.String}
    frame_ = pl.DataFrame([*steady, *own], schema=schema, orient="row")
    counts = demography_counts(frame_, frame_, NO_DELTA, LINKS.clear(), frame() if frame_of is None else frame_of)
    found = demography_rows(counts, [2022, 2023, 2024], LIMITS, 1).filter(pl.col("period") == "2022")
    return {(p, m): (v, c) for p, m, v, c in found.select("population", "metric", "value", "conf_status").iter_rows()}


def births(count: int, closed: int = 0) -> list[tuple[str, date, date | None, str | None]]:
    return [(f"new{i}", date(2022, 3, 1), date(2022, 9, 1) if i < closed else None, None) for i in range(count)]


def test_a_total_that_readers_know_is_no_cover_in_a_later_release(tmp_path: Path) -> None:
    """40 births that all lived, then 41 of which one did not: the births are published, so the survivors would tell of the one."""
    alone = released(births(41, closed=1))
    assert alone[ALL, "births"] == (41.0, "F") and alone[ALL, "survivors_1"] == (None, "C")
    ledger = ReleaseLedger(tmp_path)
    with keeping(ledger):
        assert released(births(40))[ALL, "survivors_1"] == (40.0, "F")
        ledger.enter()
        found = released(births(41, closed=1))
        assert found[ALL, "survivors_1"] == (None, "C") and found[ALL, "survival_rate_1"] == (None, "C")


def test_no_rate_tells_the_births_that_are_withheld(tmp_path: Path) -> None:
    """Two births withheld, then nine: five survivors by a rate of 5/9 would tell the nine."""
    ledger = ReleaseLedger(tmp_path)
    with keeping(ledger):
        assert released(births(2))[ALL, "births"] == (None, "C")
        ledger.enter()
        found = released(births(9, closed=4))
        assert found[ALL, "births"] == (None, "C") and found[ALL, "survival_rate_1"] == (None, "C")


def test_what_was_withheld_for_too_few_units_stays_so(tmp_path: Path) -> None:
    few = pl.DataFrame([(f"new{i}", 2022, 1.0, 10) for i in range(2)], schema=frame().schema, orient="row")
    more = pl.DataFrame([(f"new{i}", 2022, 1.0, 10) for i in range(5)], schema=frame().schema, orient="row")
    assert released(births(9), more)[AI, "births"] == (5.0, "F")
    ledger = ReleaseLedger(tmp_path)
    with keeping(ledger):
        assert released(births(9), few)[AI, "births"] == (None, "C")
        ledger.enter()
        assert released(births(9), more)[AI, "births"] == (None, "C")


def test_many_units_of_few_groups_are_not_many_contributors() -> None:
    """1,200 births of two groups, half of which close: no more than two know of them, however many they are."""
    rows = [(f"g{i}", date(2022, 2, 1), date(2023, 2, 1) if i % 4 < 2 else None, f"G{i % 2}") for i in range(1200)]
    assert released(rows)[ALL, "births"] == (None, "C")
    four = [(f"g{i}", date(2022, 2, 1), date(2023, 2, 1) if i % 8 < 4 else None, f"G{i % 4}") for i in range(1600)]
    assert released(four)[ALL, "births"] == (1600.0, "F")


def test_moves_of_the_running_year_stand_by_month(tmp_path: Path) -> None:
    """They add up through the year: what was too little to tell in May is none of October's."""

    def delta(count: int, month: str) -> pl.DataFrame:
        rows = [(f"stay{i}", "1", "440306", "440305", f"2024-{month}-28") for i in range(count)]
        return pl.DataFrame(rows, schema=NO_DELTA.schema, orient="row")

    def moved(count: int, month: str) -> tuple[float | None, str]:
        found = figures(frame(), delta=delta(count, month)).filter(
            (pl.col("population") == ALL) & (pl.col("metric") == "moves")
        )
        return found.select("value", "conf_status").row(0)

    ledger = ReleaseLedger(tmp_path)
    with keeping(ledger):
        assert moved(2, "05") == (None, "C")
        ledger.enter()
        assert moved(9, "10") == (9.0, "F")
