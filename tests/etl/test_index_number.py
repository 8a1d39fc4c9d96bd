"""Index numbers: published tables, axioms as properties, chains, rebasing, deflation."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from etl.methods.index_number.bilateral import FORMULAS, price_index, quantity_index
from etl.methods.index_number.chain import TECHNIQUES, chain, quarterly_volume
from etl.methods.index_number.deflate import deflate
from etl.methods.index_number.rebase import rebase, splice
from etl.methods.tabular import BadInput, MethodResult, run_table, table_methods

FloatArray = NDArray[np.float64]
# Producer Price Index Manual (IMF and others, 2004) and Consumer Price Index Manual (ILO and others, 2004), chapter 19,
# tables 19.1 and 19.2: prices and quantities of six commodities in five periods.
PRICES = np.array(
    [[1.0, 1.2, 1.0, 0.8, 1.0], [1.0, 3.0, 1.0, 0.5, 1.0], [1.0, 1.3, 1.5, 1.6, 1.6],
     [1.0, 0.7, 0.5, 0.3, 0.1], [1.0, 1.4, 1.7, 1.9, 2.0], [1.0, 0.8, 0.6, 0.4, 0.2]]
).T  # fmt: skip
QUANTITIES = np.array(
    [[1.0, 0.8, 1.0, 1.2, 0.9], [1.0, 0.9, 1.1, 1.2, 1.2], [2.0, 1.9, 1.8, 1.9, 2.0],
     [1.0, 1.3, 3.0, 6.0, 12.0], [4.5, 4.7, 5.0, 5.6, 6.5], [0.5, 0.6, 0.8, 1.3, 2.5]]
).T  # fmt: skip
# Same chapter: fixed-base and chained indices of periods 2 to 5.
PUBLISHED = {
    ("laspeyres", True): [1.4200, 1.3450, 1.3550, 1.4400],
    ("paasche", True): [1.3823, 1.2031, 1.0209, 0.7968],
    ("fisher", True): [1.4011, 1.2721, 1.1762, 1.0712],
    ("tornqvist", True): [1.4052, 1.2890, 1.2268, 1.2477],
    ("walsh", True): [1.4017, 1.2850, 1.2193, 1.1850],
    ("laspeyres", False): [1.4200, 1.3646, 1.3351, 1.3306],
    ("paasche", False): [1.3823, 1.2740, 1.2060, 1.1234],
    ("fisher", False): [1.4011, 1.3185, 1.2689, 1.2226],
}


@pytest.mark.parametrize(("formula", "fixed"), list(PUBLISHED))
def test_the_manuals_table_is_reproduced(formula: str, fixed: bool) -> None:
    found = chain(formula, PRICES, QUANTITIES, fixed=fixed)  # type: ignore[arg-type]
    assert found.price[1:] == pytest.approx(PUBLISHED[formula, fixed], abs=1e-4)
    assert found.price[0] == 1.0 and (found.matched_share == 1).all()


POSITIVE = st.floats(0.01, 1000)
ITEM = st.tuples(POSITIVE, POSITIVE, POSITIVE, POSITIVE)
ITEMS = st.lists(ITEM, min_size=1, max_size=8).map(lambda rows: [np.array(c) for c in zip(*rows, strict=True)])


@settings(deadline=None)
@given(ITEMS, st.sampled_from(FORMULAS))
def test_identity_proportionality_units_and_mean_value(data: list[FloatArray], formula: str) -> None:
    p0, q0, p1, q1 = data
    index = price_index(formula, p0, q0, p1, q1)  # type: ignore[arg-type]
    assert price_index(formula, p0, q0, p0, q1) == pytest.approx(1.0)  # type: ignore[arg-type]  # identity
    ahead = price_index(formula, p0, q0, 2.5 * p0, q1)  # type: ignore[arg-type]
    assert ahead == pytest.approx(2.5)  # proportionality
    units = np.linspace(0.5, 2, p0.size)
    scaled = price_index(formula, p0 * units, q0 / units, p1 * units, q1 / units)  # type: ignore[arg-type]
    assert scaled == pytest.approx(index)  # commensurability
    relatives = p1 / p0
    assert relatives.min() * (1 - 1e-9) <= index <= relatives.max() * (1 + 1e-9)  # mean value


@settings(deadline=None)
@given(ITEMS)
def test_reversal_and_bounds(data: list[FloatArray]) -> None:
    p0, q0, p1, q1 = data
    for formula in ("fisher", "walsh", "tornqvist"):  # time reversal
        there = price_index(formula, p0, q0, p1, q1)  # type: ignore[arg-type]
        assert there * price_index(formula, p1, q1, p0, q0) == pytest.approx(1.0)  # type: ignore[arg-type]
    value = float(p1 @ q1 / (p0 @ q0))
    assert price_index("fisher", *data) * quantity_index("fisher", *data) == pytest.approx(value)  # factor reversal
    assert price_index("laspeyres", *data) * quantity_index("paasche", *data) == pytest.approx(value)
    laspeyres, paasche = price_index("laspeyres", *data), price_index("paasche", *data)
    low, high = sorted((laspeyres, paasche))
    assert low * (1 - 1e-9) <= price_index("fisher", *data) <= high * (1 + 1e-9)


def test_items_that_come_and_go_are_left_out_of_a_link() -> None:
    prices, quantities = PRICES[:3].copy(), QUANTITIES[:3].copy()
    prices[2, 1] = np.nan
    found = chain("laspeyres", prices, quantities)
    assert found.matched.tolist() == [6, 6, 5] and found.matched_share[2] < 1
    keep = [0, 2, 3, 4, 5]
    link = price_index("laspeyres", prices[1, keep], quantities[1, keep], prices[2, keep], quantities[2, keep])
    assert found.price_link[2] == link
    with pytest.raises(ValueError, match="no item is priced in both"):
        chain("fisher", np.array([[1.0, np.nan], [np.nan, 1.0]]), np.ones((2, 2)))


@pytest.mark.parametrize(
    ("change", "said"),
    [((0, 0.0), "price of the earlier"), ((1, -1.0), "quantity of the earlier"), ((2, np.nan), "price of the later")],
)
def test_values_an_index_cannot_take_are_refused(change: tuple[int, float], said: str) -> None:
    data = [np.array([1.0, 2.0]) for _ in range(4)]
    data[change[0]][0] = change[1]
    with pytest.raises(ValueError, match=said):
        price_index("fisher", *data)


def test_a_quantity_of_zero_is_fine_except_for_tornqvist() -> None:
    data = np.array([1.0, 2.0]), np.array([0.0, 3.0]), np.array([2.0, 2.0]), np.array([1.0, 3.0])
    assert quantity_index("laspeyres", *data) == pytest.approx(7 / 6)
    with pytest.raises(ValueError, match="Törnqvist"):
        quantity_index("tornqvist", *data)
    with pytest.raises(ValueError, match="add up to zero"):
        price_index("laspeyres", data[0], np.zeros(2), data[2], data[3])


def volumes() -> tuple[FloatArray, FloatArray]:
    """Two items over three years of quarters: A grows and gets cheaper, B shrinks and gets dearer (as in the QNA Manual)."""
    q = np.arange(12).reshape(3, 4, 1)
    return np.concatenate([7 - 0.3 * q, 6 + 0.5 * q], axis=2), np.concatenate([60 + 2.0 * q, 58 - 0.5 * q], axis=2)


def test_annual_overlap_adds_up_to_the_annual_chain_and_one_quarter_overlap_has_no_step() -> None:
    prices, quantities = volumes()
    unit_values = (prices * quantities).sum(axis=1) / quantities.sum(axis=1)
    yearly = quantities.sum(axis=1)
    annual = chain("laspeyres", unit_values, yearly).quantity
    overlap = quarterly_volume("annual_overlap", prices, quantities)
    assert overlap.mean(axis=1) == pytest.approx(annual, rel=1e-12)
    quarter = quarterly_volume("one_quarter_overlap", prices, quantities)
    for y in (1, 2):  # growth into the first quarter is that at the prices of the year before
        worth = quantities @ unit_values[y - 1]
        assert quarter[y, 0] / quarter[y - 1, 3] == pytest.approx(worth[y, 0] / worth[y - 1, 3])
    year = quarterly_volume("over_the_year", prices, quantities)
    worth = quantities @ unit_values[0]
    assert year[1] / year[0] == pytest.approx(worth[1] / worth[0])
    for technique in TECHNIQUES:  # with prices that do not change relatively, every technique is the same
        same = quarterly_volume(technique, np.ones_like(prices), quantities)
        assert same == pytest.approx(quantities.sum(axis=2) / quantities[0].sum() * 4)


def test_an_incomplete_last_year_is_linked_and_a_hole_before_is_refused() -> None:
    prices, quantities = volumes()
    prices[2, 2:], quantities[2, 2:] = np.nan, np.nan
    found = quarterly_volume("annual_overlap", prices, quantities)
    assert np.isfinite(found[:2]).all() and np.isfinite(found[2, :2]).all() and np.isnan(found[2, 2:]).all()
    prices[1, 1] = np.nan
    with pytest.raises(ValueError, match="complete the years"):
        quarterly_volume("annual_overlap", prices, quantities)


def test_rebasing_keeps_growth_and_splicing_keeps_the_newer_series() -> None:
    index = np.array([80.0, 100.0, 120.0, np.nan])
    found = rebase(index, [0, 1])
    assert found[:2].mean() == 100.0 and found[2] / found[1] == pytest.approx(1.2) and np.isnan(found[3])
    for base, said in (([], "no value"), ([3], "missing")):
        with pytest.raises(ValueError, match=said):
            rebase(index, base)
    joined = splice(np.array([50.0, 55.0, np.nan]), np.array([np.nan, 110.0, 121.0]))
    assert joined == pytest.approx([100.0, 110.0, 121.0])
    with pytest.raises(ValueError, match="share no period"):
        splice(np.array([1.0, np.nan]), np.array([np.nan, 1.0]))


def test_deflation() -> None:
    assert deflate(np.array([110.0, np.nan]), np.array([104.0, 100.0]))[0] == pytest.approx(110 / 1.04)
    with pytest.raises(ValueError, match="not above zero"):
        deflate(np.array([1.0]), np.array([0.0]))


def table() -> pl.DataFrame:
    return pl.DataFrame(
        [
            (f"item{i}", str(2021 + t), str(PRICES[t, i]), str(QUANTITIES[t, i]))
            for i in range(6)
            for t in (4, 2, 0, 1, 3)  # in any order
        ],
        schema=["item", "period", "price", "quantity"],
        orient="row",
    )


def test_the_command_rebases_and_reports_links() -> None:
    method = table_methods()["chain_index"]
    found = run_table(method, table(), {"formula": "fisher", "base": "2023"})
    assert found.rows["period"].to_list() == ["2021", "2022", "2023", "2024", "2025"] and found.rows["index"][2] == 100
    assert found.rows["index"][3] / 100 == pytest.approx(1.2689 / 1.3185, abs=1e-4)
    both = found.rows.select(pl.col("index") * pl.col("quantity_index") / 100).to_series()
    assert both.to_list() == pytest.approx(found.rows["value_index"].to_list())  # factor reversal, chained too
    assert found.rows["link"][0] is None and found.rows["matched"].to_list() == [6] * 5
    direct = run_table(method, table(), {"formula": "paasche", "linking": "fixed"})
    assert direct.rows["index"].to_list()[1:] == pytest.approx([138.23, 120.31, 102.09, 79.68], abs=0.01)


def test_the_command_links_quarters_at_annual_prices() -> None:
    prices, quantities = volumes()
    rows = [
        (
            str(i),
            f"{2021 + k // 4}-Q{k % 4 + 1}",
            str(prices.reshape(-1, 2)[k, i]),
            str(quantities.reshape(-1, 2)[k, i]),
        )
        for k in range(11)
        for i in range(2)
    ]
    frame = pl.DataFrame(rows, schema=["item", "period", "price", "quantity"], orient="row")
    found = run_table(table_methods()["chain_index"], frame, {"linking": "annual_overlap", "base": "2021"})
    expected = 100 * quarterly_volume("annual_overlap", prices, quantities).reshape(-1)[:11]
    assert found.rows["quantity_index"].to_list() == pytest.approx(expected.tolist())


def test_periods_may_be_running_numbers_as_in_a_textbook() -> None:
    numbered = table().with_columns((pl.col("period").cast(pl.Int64) - 2012).cast(pl.String))  # 9 to 13, not 10, 11, 9
    found = run_table(table_methods()["chain_index"], numbered, {"formula": "fisher", "base": "9"})
    assert found.rows["period"].to_list() == ["9", "10", "11", "12", "13"]
    assert found.rows["index"].to_list()[1:] == pytest.approx([140.11, 131.85, 126.89, 122.26], abs=0.01)


def quarters(count: int = 12, start: int = 0, **cells: tuple[str, str | None]) -> pl.DataFrame:
    """Items a and b from 2020-Q1 + ``start``; ``cells``: ``a_2021_Q2=(price, quantity)`` instead, a price of None: no such row."""
    rows = [
        (
            item,
            f"{2020 + k // 4}-Q{k % 4 + 1}",
            *cells.get(f"{item}_{2020 + k // 4}_Q{k % 4 + 1}", (str(price + k), str(20 + k))),
        )
        for k in range(start, start + count)
        for item, price in (("a", 5), ("b", 8))
    ]
    return pl.DataFrame(
        [r for r in rows if r[2] != "no row"], schema=["item", "period", "price", "quantity"], orient="row"
    )


def index_of(frame: pl.DataFrame, **parameters: str) -> MethodResult:
    return run_table(table_methods()["chain_index"], frame, parameters)


@pytest.mark.parametrize("linking", ["period", "fixed", *TECHNIQUES])
@pytest.mark.parametrize(
    ("cell", "said"),
    [(("6", "-25"), "quantity -25 is below zero"), (("0", "25"), "price 0 is not above zero"), (("-1", "25"), "price -1 is not above zero")],
)  # fmt: skip
def test_signs_no_index_can_take_are_refused_by_every_linking(linking: str, cell: tuple[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=f"item a, period 2021-Q2: {said}"):
        index_of(quarters(a_2021_Q2=cell), linking=linking)
    with pytest.raises(BadInput, match=f"item a, period 2020-Q1: {said}"):
        index_of(quarters(1, a_2020_Q1=cell))
    with pytest.raises(ValueError, match="not above zero or a quantity below zero"):
        quarterly_volume("annual_overlap", np.full((1, 4, 1), float(cell[0])), np.full((1, 4, 1), float(cell[1])))


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("cell", [("no row", None), ("6", "")])
@pytest.mark.parametrize(("period", "count"), [("2021_Q2", 8), ("2021_Q2", 6), ("2020_Q2", 8)])
def test_a_hole_of_one_item_is_refused_and_named(
    technique: str, cell: tuple[str, str], period: str, count: int
) -> None:
    with pytest.raises(BadInput, match=f"item a has no price or quantity in {period.replace('_', '-')}; every item"):
        index_of(quarters(count, **{f"a_{period}": cell}), linking=technique)


def test_an_end_without_any_item_is_empty_in_every_index() -> None:
    ahead = {f"{item}_2021_Q4": ("", "") for item in "ab"}
    rows = index_of(quarters(8, **ahead), linking="annual_overlap").rows
    assert [rows[c][-1] for c in ("index", "quantity_index", "value_index")] == [None, None, None]
    assert rows["value_index"][-2] == pytest.approx(100 * (11 + 14) * 26 / (13 * 20))


def test_each_reason_why_quarters_cannot_be_linked_is_its_own() -> None:
    never = {f"b_2020_Q{q}": ("8", "0") for q in range(1, 5)}
    for frame, parameters, said in (
        (quarters(3), {}, "whole first year, 2020 has values of 3 of 4"),
        (quarters(8, start=1), {}, "begins with 2020-Q2"),
        (quarters(), {"formula": "fisher"}, "found formula=fisher"),
        (table(), {}, "needs quarters or months, found 2021"),
        (quarters(**never), {}, "item b has no quantity in the whole of 2020"),
    ):
        with pytest.raises(BadInput, match=said):
            index_of(frame, linking="annual_overlap", **parameters)
    ended = {f"b_2022_Q{q}": ("9", "0") for q in range(1, 5)}
    assert index_of(quarters(**ended), linking="annual_overlap").rows["index"].null_count() == 0, (
        "no later year hangs on 2022"
    )


def test_links_that_cannot_be_made_name_their_periods() -> None:
    apart = pl.DataFrame(
        [("a", "2020", "1", "1"), ("b", "2021", "1", "1")], schema=["item", "period", "price", "quantity"], orient="row"
    )
    with pytest.raises(BadInput, match="2020 to 2021: no item is priced in both periods"):
        index_of(apart)
    idle = quarters(3, a_2020_Q2=("6", "0"), b_2020_Q2=("9", "0"))
    with pytest.raises(BadInput, match="2020-Q2 to 2020-Q3: the weights of the items add up to zero"):
        index_of(idle)


def test_tornqvists_price_index_stands_where_a_quantity_is_zero() -> None:
    frame = quarters(4, a_2020_Q3=("7", "0"))
    found = index_of(frame, formula="Tornqvist")
    assert found.result["formula"] == "tornqvist" and found.rows["quantity_index"].to_list()[2:] == [None, None]
    assert found.rows["index"].null_count() == 0 and found.rows["quantity_index"][1] == pytest.approx(105)
    assert "item a has quantity 0 in the link to 2020-Q3" in found.result["note"]
    direct = index_of(frame, formula="tornqvist", linking="fixed").rows["quantity_index"]
    assert direct[2] is None and direct[3] is not None
    assert index_of(frame, formula="tornqvist", base="2020-Q4").rows["quantity_index"].null_count() == 4
    assert index_of(frame, formula="fisher").result["note"] is None


def test_running_numbers_have_no_gaps_and_periods_any_spelling() -> None:
    numbered = table().with_columns((pl.col("period").cast(pl.Int64) - 2020).cast(pl.String))
    with pytest.raises(BadInput, match="period 2 has no row"):
        index_of(numbered.filter(pl.col("period") != "2"))
    mixed = quarters(8).with_columns(
        period=pl.when(pl.col("item") == "a").then(pl.col("period").str.replace("-", "")).otherwise("period")
    )
    assert index_of(mixed).rows.equals(index_of(quarters(8)).rows)


@pytest.mark.parametrize(
    ("change", "parameters", "said"),
    [
        (pl.col("period").str.replace("2023", "2030"), {}, "2023 has no row"),
        (pl.lit("2021").alias("period"), {}, "item item0, period 2021 is there 5 times"),
        (pl.col("period"), {"base": "2019"}, "2019 is not among"),
        (pl.col("period"), {"linking": "annual_overlap"}, "needs quarters"),
        (pl.lit("0").alias("price"), {}, "line 2, item item0, period 2025: price 0 is not above zero"),
        (pl.col("period").str.replace("2023", "soon"), {}, "is not a period"),
    ],
)
def test_bad_tables_are_refused(change: pl.Expr, parameters: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        run_table(table_methods()["chain_index"], table().with_columns(change), parameters)


def test_rebase_and_deflate_as_commands() -> None:
    frame = pl.DataFrame({"period": ["2024-01", "2024-02", "2025-01"], "value": ["50", "150", "120"]})
    assert run_table(table_methods()["index_rebase"], frame, {"base": "2024"}).rows["index"].to_list() == [50, 150, 120]
    with pytest.raises(BadInput, match="not among"):
        run_table(table_methods()["index_rebase"], frame, {"base": "2023"})
    money = pl.DataFrame({"id": ["a"], "value": ["110"], "price_index": ["104"]})
    ran = run_table(table_methods()["deflate"], money, {"deflator": "PPI 2024=100"})
    assert ran.rows["constant_price_value"][0] == pytest.approx(110 / 1.04) and "PPI" in ran.result["deflator"]
    with pytest.raises(BadInput, match="line 2, id a: the price index is not above zero"):
        run_table(table_methods()["deflate"], money.with_columns(price_index=pl.lit("0")), {"deflator": "PPI"})
    with pytest.raises(BadInput, match="deflate: the base of the price index is 0"):
        run_table(table_methods()["deflate"], money, {"deflator": "PPI", "base": "0"})


def test_a_chain_says_too_where_its_base_year_is_not_whole() -> None:
    frame = pl.DataFrame(
        {
            "item": "a",
            "period": [f"2024Q{q}" for q in range(1, 5)],
            "price": ["98", "99", "101", "102"],
            "quantity": "1",
        }
    )
    chained, parameters = table_methods()["chain_index"], {"base": "2024"}
    assert run_table(chained, frame, parameters).result["note"] is None
    assert run_table(chained, frame.head(2), {}).result["note"] is None
    assert "2 of the 4 periods of 2024" in run_table(chained, frame.head(2), parameters).result["note"]


def test_a_part_of_the_base_year_is_said_and_a_level_is_above_zero() -> None:
    frame = pl.DataFrame({"period": [f"2024Q{q}" for q in range(1, 5)], "value": ["98", "99", "101", "102"]})
    rebase_of, parameters = table_methods()["index_rebase"], {"base": "2024"}
    assert run_table(rebase_of, frame, parameters).result["note"] is None
    assert run_table(rebase_of, frame.head(2), {"base": "2024-Q1"}).result["note"] is None
    assert (
        "2 of the 4 periods of 2024, 2024-Q1, 2024-Q2:"
        in run_table(rebase_of, frame.head(2), parameters).result["note"]
    )
    with pytest.raises(BadInput, match="parameter level: 0 is not above zero"):
        run_table(rebase_of, frame, {**parameters, "level": "0"})
