"""Permanent random numbers, allocation, selection, rotation, response tracking."""

import hashlib
import itertools
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from etl.methods.sampling.allocation import (
    neyman_allocation,
    size_for_cv,
    stratified_total_variance,
    take_all_boundary,
)
from etl.methods.sampling.random_numbers import collocate, permanent_random_numbers
from etl.methods.sampling.response import reminders, response_rates, response_states
from etl.methods.sampling.rotation import burden, rotation_starts, spare
from etl.methods.sampling.selection import select
from etl.methods.sampling.tables import run_allocation
from etl.methods.tabular import BadInput, run_table, table_methods

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def cities() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Units, standard deviations and all values of Cochran's 64 cities by stratum (large, small)."""
    table = pl.read_csv(GOLDEN / "cochran" / "cities_64.csv")
    groups = [table.filter(pl.col("stratum") == h)["population_1930"].to_numpy() for h in ("large", "small")]
    return (
        np.array([float(len(g)) for g in groups]),
        np.array([g.std(ddof=1) for g in groups]),
        table["population_1930"].to_numpy().astype(float),
    )


def test_cochran_64_cities_allocation_and_errors() -> None:
    """Cochran (1977), 5.4: S² 53,843 and 5,581; errors for n = 24: simple 2,365, proportional 1,372; best 12, 12."""
    units, deviation, values = cities()
    assert (deviation**2).round().tolist() == [53843, 5581]
    simple = stratified_total_variance(np.array([64.0]), np.array([values.std(ddof=1)]), np.array([24.0]))
    assert round(simple**0.5) == 2365
    assert round(stratified_total_variance(units, deviation, np.array([6.0, 18.0])) ** 0.5) == 1372
    found = neyman_allocation(units, deviation, 24)
    assert found.size.tolist() == [12, 12]
    assert 24 * units[0] * deviation[0] / (units @ deviation) == pytest.approx(12.21, abs=0.005)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.floats(0, 50)), min_size=2, max_size=4),
    st.integers(0, 30),
    st.integers(0, 3),
)
def test_allocation_is_the_best_of_all_whole_numbers(strata: list[tuple[int, float]], extra: int, minimum: int) -> None:
    units, deviation = (np.array(c, dtype=float) for c in zip(*strata, strict=True))
    low = np.minimum(minimum, units).astype(int)
    total = int(min(max(low.sum() + extra, np.maximum(low, 1).sum()), units.sum()))
    found = neyman_allocation(units, deviation, total, minimum=minimum)
    assert found.total == total and (found.size <= units).all() and (found.size >= low).all()
    ranges = [range(max(int(lo), 1), int(n) + 1) for lo, n in zip(low, units, strict=True)]
    best = min(
        stratified_total_variance(units, deviation, np.array(c, dtype=float))
        for c in itertools.product(*ranges)
        if sum(c) == total
    )
    assert found.variance == pytest.approx(best, rel=1e-9, abs=1e-9)


def test_take_all_strata_are_taken_and_minima_hold() -> None:
    units, deviation = np.array([5.0, 1000.0, 1.0, 400.0]), np.array([1.0, 90.0, 0.0, 0.0])
    found = neyman_allocation(units, deviation, 60, take_all=np.array([True, False, False, False]))
    assert found.size.tolist() == [5, 52, 1, 2]
    assert found.variance == pytest.approx(1000**2 * (1 / 52 - 1 / 1000) * 90**2)


@pytest.mark.parametrize(("total", "said"), [(3, "need 4"), (200, "population has 110")])
def test_impossible_totals_are_refused(total: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        neyman_allocation(np.array([10.0, 100.0]), np.array([1.0, 1.0]), total)


def test_size_for_a_coefficient_of_variation_is_the_smallest_that_does() -> None:
    units, deviation, _ = cities()
    found = size_for_cv(units, deviation, 19568.0, 0.05)
    assert found.variance**0.5 / 19568 <= 0.05
    assert neyman_allocation(units, deviation, found.total - 1).variance ** 0.5 / 19568 > 0.05


def test_take_all_boundary_is_the_best_of_all_cuts() -> None:
    rng = np.random.default_rng(3)
    x = np.sort(rng.lognormal(0, 1.6, 300))
    boundary, needed = take_all_boundary(x, 0.03)

    def asked(taken: int) -> int:
        rest = x[: len(x) - taken]
        var = rest.var(ddof=1) if len(rest) > 1 else 0.0
        return taken + int(np.ceil(len(rest) ** 2 * var / ((0.03 * x.sum()) ** 2 + len(rest) * var) - 1e-9))

    cuts = [asked(t) for t in range(len(x))]
    assert needed == min(cuts)
    assert cuts[int((x >= boundary).sum())] == needed


def test_permanent_random_numbers_are_fixed_and_uniform() -> None:
    units = [f"unit {i}" for i in range(20_000)]
    numbers = permanent_random_numbers(units, 7)
    assert kstest(numbers, "uniform").pvalue > 1e-3
    assert (permanent_random_numbers(units[::-1], 7)[::-1] == numbers).all()
    assert abs(np.corrcoef(numbers, permanent_random_numbers(units, 8))[0, 1]) < 0.04
    # the definition read another way: the first 53 of 64 bits, as a binary fraction
    digest = hashlib.blake2b(b"unit 5", digest_size=8, key=(7).to_bytes(16, "big")).digest()
    assert numbers[5] == int(f"{int.from_bytes(digest, 'big'):064b}"[:53], 2) / 2**53


def test_a_unit_without_identifier_has_no_number() -> None:
    with pytest.raises(ValueError, match="identifier"):
        permanent_random_numbers(["a", ""], 1)


def test_selection_takes_the_sizes_and_coordinates() -> None:
    units = [f"u{i}" for i in range(3000)]
    strata = ["a" if i % 3 else "b" for i in range(3000)]
    numbers = permanent_random_numbers(units, 11)
    first = select(numbers, strata, {"a": 200, "b": 1000})
    assert first[np.array(strata) == "a"].sum() == 200 and first[np.array(strata) == "b"].all()
    larger = select(numbers, strata, {"a": 260, "b": 1000})
    assert (larger | ~first).all()  # same start: the smaller sample is part of the larger
    other = select(numbers, strata, {"a": 200, "b": 0}, start=0.5)
    assert not (first & other).any()
    # births and deaths leave the rest of the sample where it was
    keep = np.arange(3000) >= 50
    after = select(numbers[keep], [s for s, k in zip(strata, keep, strict=True) if k], {"a": 200, "b": 983})
    assert (after & first[keep]).sum() >= first[keep].sum() - 40


def test_every_unit_has_the_same_chance() -> None:
    units, strata = [f"u{i}" for i in range(40)], ["a"] * 40
    hits = sum(select(permanent_random_numbers(units, s), strata, {"a": 10}).astype(int) for s in range(2000))
    # 2,000 draws of probability 1/4: standard error .0097
    assert np.abs(hits / 2000 - 0.25).max() < 4.5 * 0.0097


@pytest.mark.parametrize(("sizes", "said"), [({"a": 5}, "frame has 2"), ({"b": 1}, "no sample size")])
def test_selection_refuses_what_the_frame_does_not_hold(sizes: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        select(np.array([0.1, 0.2]), ["a", "a"], sizes)


def test_rotation_bounds_the_burden() -> None:
    units, strata = [f"u{i}" for i in range(330)], ["a"] * 300 + ["b"] * 30
    numbers = collocate(permanent_random_numbers(units, 5), strata, 5)
    sizes, population = {"a": 60, "b": 30}, {"a": 300, "b": 30}
    rounds = [select(numbers, strata, sizes, rotation_starts(sizes, population, 4, t)) for t in range(40)]
    found = burden(rounds, [30.0] * 40)
    assert found.longest[:300].max() <= 4
    assert found.times[:300].min() >= 7 and found.times[:300].max() <= 8 + 1  # 20 rounds a circle, 4 of them asked
    assert (found.times[300:] == 40).all()  # take-all: asked every time
    assert found.minutes.sum() == pytest.approx(30 * 40 * 90)
    assert all(r[:300].sum() == 60 for r in rounds)
    change = [(~a & b)[:300].sum() for a, b in itertools.pairwise(rounds)]
    assert min(change) >= 14 and max(change) <= 16


@pytest.mark.parametrize(
    ("units", "asked", "times"), [(307, 61, 4), (100, 33, 2), (50, 7, 3), (211, 100, 5), (97, 2, 3)]
)
def test_the_bound_holds_where_nothing_divides(units: int, asked: int, times: int) -> None:
    strata = ["a"] * units
    numbers = collocate(permanent_random_numbers([f"u{i}" for i in range(units)], 5), strata, 5)
    rounds = [
        select(numbers, strata, {"a": asked}, rotation_starts({"a": asked}, {"a": units}, times, t)) for t in range(80)
    ]
    assert burden(rounds, [1.0] * 80).longest.max() <= times + 1


def test_spared_units_stand_last() -> None:
    numbers = permanent_random_numbers([f"u{i}" for i in range(50)], 1)
    start = np.full(50, 0.3)
    tired = select(numbers, ["a"] * 50, {"a": 20}, 0.3)
    again = select(spare(numbers, start, tired), ["a"] * 50, {"a": 30}, 0.3)
    assert not (again & tired).any() and again.sum() == 30
    assert (select(spare(numbers, start, np.zeros(50, bool)), ["a"] * 50, {"a": 20}, 0.3) == tired).all()


def tracked() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "unit": ["a", "b", "c", "d", "e"],
            "due": [date(2026, 3, 10)] * 4 + [date(2026, 3, 31)],
            "received": [date(2026, 3, 9), date(2026, 3, 12), None, None, None],
            "weight": [1.0, 1.0, 10.0, 2.0, 1.0],
            "size": [500.0, 100.0, 20.0, 50.0, 100.0],
        }
    )


def test_response_tracking_by_hand() -> None:
    states = response_states(tracked(), date(2026, 3, 16))
    assert states["state"].to_list() == ["received_on_time", "received_late", "overdue", "overdue", "not_due"]
    assert states["days_late"].to_list() == [0, 2, 6, 6, 0]
    assert states["influence"].to_list() == pytest.approx([0.5, 0.1, 0.2, 0.1, 0.1])
    todo = reminders(states, [(1, "短信"), (5, "电话"), (10, "上门")])
    assert todo.select("unit", "action").rows() == [("c", "电话"), ("d", "电话")]
    assert todo["covered_if_received"].to_list() == pytest.approx([0.8, 0.9])
    rates = response_rates(states).row(0, named=True)
    assert (rates["asked"], rates["received"], rates["late"], rates["overdue"]) == (5, 2, 1, 2)
    assert rates["unit_rate"] == pytest.approx(0.4) and rates["weighted_rate"] == pytest.approx(0.6)


def test_what_came_after_the_day_had_not_come_and_unknown_size_goes_first() -> None:
    states = response_states(
        tracked().with_columns(size=pl.Series([500.0, 100.0, 20.0, None, 100.0])), date(2026, 3, 11)
    )
    assert states["state"].to_list() == ["received_on_time", "overdue", "overdue", "overdue", "not_due"]
    assert reminders(states, [(1, "短信")])["unit"].to_list()[0] == "d"


def test_allocation_table_refuses_two_targets() -> None:
    frame = pl.DataFrame({"stratum": ["a"], "units": [5], "deviation": [1.0]})
    with pytest.raises(BadInput, match="either total or cv"):
        run_allocation(frame, {"total": None, "cv": None, "expected_total": None, "minimum": 2})


def test_tables_allocate_and_select() -> None:
    methods = table_methods()
    strata = pl.DataFrame({"stratum": ["large", "small"], "units": ["16", "48"], "deviation": ["232.04", "74.71"]})
    found = run_table(methods["sample_allocation"], strata, {"total": "24"})
    assert found.rows["sample_size"].to_list() == [12, 12] and found.result["sample_size"] == 24
    assert found.rows["design_weight"].to_list() == pytest.approx([16 / 12, 4.0])
    frame = pl.DataFrame({"unit": [f"u{i}" for i in range(64)], "stratum": ["large"] * 16 + ["small"] * 48})
    sizes = found.rows.select("stratum", pl.col("sample_size").cast(pl.String))
    drawn = run_table(methods["sample_select"], frame, {"sizes": sizes, "seed": "3"})
    assert drawn.result == {"frame": 64, "selected": 24, "strata": 2}
    assert drawn.rows.filter("selected")["design_weight"].sum() == pytest.approx(64)
    assert drawn.rows.filter(~pl.col("selected"))["design_weight"].null_count() == 40
    turned = run_table(
        methods["sample_select"],
        frame,
        {"sizes": sizes, "seed": "3", "max_times": "2", "round": "4", "collocated": "1"},
    )
    assert turned.result["selected"] == 24 and turned.rows["selected"].to_list() != drawn.rows["selected"].to_list()
    with pytest.raises(BadInput, match="frame has 16"):
        run_table(
            methods["sample_select"],
            frame,
            {"sizes": pl.DataFrame({"stratum": ["large", "small"], "sample_size": ["17", "2"]}), "seed": "3"},
        )


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"start": "2"}, "start 2; a number from 0 to 1"),
        ({"start": "-.1"}, "start -0.1; a number from 0 to 1"),
        ({"round": "-1", "max_times": "3"}, "round -1; 0 or more"),
        ({"seed": "9" * 40}, "seed 9{40}; a whole number of at most 38 digits"),
        ({"round": "2"}, "round has no effect without rotation; add --param max_times"),
    ],
)
def test_a_selection_that_begins_nowhere_is_refused(parameters: dict[str, str], said: str) -> None:
    frame = pl.DataFrame({"unit": ["u", "v"], "stratum": ["a", "a"]})
    sizes = pl.DataFrame({"stratum": ["a"], "sample_size": ["1"]})
    method = table_methods()["sample_select"]
    assert run_table(method, frame, {"sizes": sizes, "seed": "1", "round": "0", "start": "1"}).result["selected"] == 1
    with pytest.raises(BadInput, match=f"sample_select: {said}"):
        run_table(method, frame, {"sizes": sizes, "seed": "1", **parameters})


@pytest.mark.parametrize(
    ("units", "deviation", "minimum", "said"),
    [
        ("10", "1", "0", "minimum 0; 1 or more"),
        ("10", "1", "-1", "minimum -1; 1 or more"),
        ("-10", "1", "2", ".*stratum b, units -10: 0 or more"),
        ("10", "-1", "2", ".*stratum b, deviation -1.0: 0 or more"),
    ],
)
def test_an_allocation_of_what_cannot_be_is_refused(units: str, deviation: str, minimum: str, said: str) -> None:
    frame = pl.DataFrame({"stratum": ["a", "b"], "units": ["10", units], "deviation": ["1", deviation]})
    with pytest.raises(BadInput, match=f"sample_allocation: {said}"):
        run_table(table_methods()["sample_allocation"], frame, {"total": "8", "minimum": minimum})
