"""Climate index and lamps: by hand, by properties, and against a past that is known."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.methods.climate.index import composite, diffusion, standardise
from etl.methods.climate.lamps import LAMPS, Scheme, backtest, lamps
from etl.methods.tabular import BadInput, run_table, table_methods

ALL = np.ones(3, dtype=bool)


def test_standardising_by_hand() -> None:
    values = np.array([[1.0], [2.0], [3.0], [4.0]])
    base = np.array([True, True, True, False])
    up = np.ones(1)
    assert standardise(values, "zscore", base, up).ravel().tolist() == [90, 100, 110, 120]
    assert standardise(values, "zscore", base, -up).ravel().tolist() == [110, 100, 90, 80]
    assert standardise(values, "minmax", base, up).ravel().tolist() == [0, 50, 100, 100]
    assert standardise(values, "rank", base, up).ravel() == pytest.approx([100 / 3, 200 / 3, 100, 100])
    with pytest.raises(ValueError, match="component 0"):
        standardise(np.ones((3, 1)), "zscore", ALL, up)


def test_the_composite_by_hand_and_its_contributions() -> None:
    scores = np.array([[120.0, 100.0], [np.nan, 100.0]])
    found = composite(scores, np.array([3.0, 1.0]), draws=200)
    assert found.index[0] == pytest.approx(115) and np.isnan(found.index[1])
    assert found.contributions[0].tolist() == [90, 25]
    assert 100 < found.low[0] < 115 < found.high[0] < 120
    assert composite(np.array([[4.0, 9.0]]), np.ones(2), geometric=True).index[0] == pytest.approx(6)
    with pytest.raises(ValueError, match="positive weights"):
        composite(scores, np.array([1.0, 0.0]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=5), st.integers(0, 999))
def test_the_index_lies_between_its_components_and_scales(weights: list[float], seed: int) -> None:
    scores = np.random.default_rng(seed).normal(100, 10, (6, len(weights)))
    w = np.array(weights)
    found = composite(scores, w, draws=50)
    assert (found.index <= scores.max(axis=1) + 1e-9).all() and (found.index >= scores.min(axis=1) - 1e-9).all()
    assert composite(scores, w * 7, draws=50).index == pytest.approx(found.index)
    assert found.contributions.sum(axis=1) == pytest.approx(found.index)


def test_diffusion_counts_rising_and_half_of_unchanged() -> None:
    values = np.array([[1.0, 5.0, 2.0, np.nan], [2.0, 5.0, 1.0, 3.0]])
    found = diffusion(values, np.ones(4))
    assert np.isnan(found[0]) and found[1] == pytest.approx(100 * 1.5 / 3)
    assert diffusion(values, np.array([1.0, 1, -1, 1]))[1] == pytest.approx(100 * 2.5 / 3)


def test_lamps_by_fixed_value_target_and_history() -> None:
    fixed = Scheme("fixed", (0, 5, 15, 25))
    assert lamps(np.array([-1, 0, 14.9, 15, 30, np.nan]), fixed) == [
        "blue",
        "light_blue",
        "green",
        "yellow",
        "red",
        None,
    ]
    turned = Scheme("fixed", (0, 5, 15, 25), direction=-1)
    assert lamps(np.array([-1.0, 30.0]), turned) == ["red", "blue"]
    target = Scheme("target", (0.8, 0.95, 1.05, 1.2), target=200)
    assert lamps(np.array([150.0, 180, 200, 220, 260]), target) == list(LAMPS)
    history = Scheme("quantile", (0.05, 0.25, 0.75, 0.95))
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 100, 4.5])
    assert lamps(values, history, min_history=8) == [None] * 8 + ["red", "green"], "only what was known then"


@pytest.mark.parametrize(
    "given_scheme",
    [("fixed", (5, 0, 1, 2)), ("quantile", (0, 0.2, 0.5, 0.9)), ("target", (0.1, 0.2, 0.3, 0.4))],
)
def test_a_senseless_scheme_is_refused(given_scheme: tuple[str, tuple[float, float, float, float]]) -> None:
    with pytest.raises(ValueError, match=r"bounds|target"):
        Scheme(*given_scheme)  # type: ignore[arg-type]


def test_the_backtest_counts_by_hand() -> None:
    signals = [False, True, True, False, False, True, False, False, False, True]
    events = [False, False, False, True, False, False, False, False, True, False]
    found = backtest(signals, events, horizon=2)
    assert (found.events, found.foretold, found.signals, found.false_alarms) == (2, 1, 3, 1)
    assert found.mean_lead == 2 and found.false_alarm_rate == pytest.approx(1 / 3)
    assert found.noise_to_signal == pytest.approx((1 / 4) / (2 / 4))
    nothing = backtest([False, False], [False, False], 1)
    assert math.isnan(nothing.hit_rate) and math.isnan(nothing.false_alarm_rate)


def test_a_signal_that_knows_the_future_beats_one_that_does_not() -> None:
    rng = np.random.default_rng(20261125)
    events = rng.random(400) < 0.05
    knows = np.array([events[t + 1 : t + 3].any() for t in range(400)])
    blind = rng.permutation(knows)
    good, bad = backtest(knows.tolist(), events.tolist(), 2), backtest(blind.tolist(), events.tolist(), 2)
    assert good.hit_rate > 0.95 and good.noise_to_signal == 0
    assert bad.noise_to_signal > 0.4


def test_the_runners() -> None:
    frame = pl.DataFrame({
        "period": ["2021", "2022", "2023", "2024"] * 2, "indicator": ["a"] * 4 + ["b"] * 4,
        "value": ["1", "2", "3", "4", "10", "20", "30", None],
    })  # fmt: skip
    weights = pl.DataFrame({"indicator": ["a", "b"], "weight": ["3", "1"], "direction": ["1", "1"]})
    found = run_table(table_methods()["climate_index"], frame, {"weights": weights, "base_to": "2023"})
    assert found.rows["index"].to_list() == [pytest.approx(90), pytest.approx(100), pytest.approx(110), None]
    assert found.result == {"weights": {"a": 0.75, "b": 0.25}, "periods_without_index": 1}
    with pytest.raises(BadInput, match="direction"):
        run_table(table_methods()["climate_index"], frame, {"weights": weights.with_columns(direction=pl.lit("up"))})
    scheme = pl.DataFrame(
        {
            "indicator": ["a", "b"],
            "kind": ["fixed"] * 2,
            "b1": ["0"] * 2,
            "b2": ["2"] * 2,
            "b3": ["4"] * 2,
            "b4": ["9"] * 2,
        }
    )
    lit = run_table(table_methods()["warning_lamps"], frame, {"scheme": scheme})
    assert lit.rows.filter(pl.col("indicator") == "a")["score"].to_list() == [2, 3, 3, 4]
    assert lit.rows["lamp"].to_list()[-1] is None
    with pytest.raises(BadInput, match="no scheme for b"):
        run_table(table_methods()["warning_lamps"], frame, {"scheme": scheme.head(1)})


QUARTERS = [f"{y}-Q{q}" for y in (2019, 2020, 2021) for q in (1, 2, 3, 4)]
WEIGHTS = pl.DataFrame({"indicator": ["a", "b"], "weight": ["3", "1"]})


def series(periods: list[str]) -> pl.DataFrame:
    """Two indicators that grow, over the periods as they are spelt."""
    values = [str(k * k) for k in range(len(periods))]
    return pl.DataFrame(
        {"period": periods * 2, "indicator": ["a"] * len(periods) + ["b"] * len(periods), "value": values * 2}
    )


def index(frame: pl.DataFrame, weights: pl.DataFrame = WEIGHTS, **parameters: str) -> pl.DataFrame:
    return run_table(table_methods()["climate_index"], frame, {"weights": weights, "draws": "20", **parameters}).rows


def test_the_base_is_the_same_however_periods_are_spelt() -> None:
    months = [f"{y}{m:02d}" for y in (2020, 2021) for m in range(1, 13)]
    dashed = [f"{m[:4]}-{m[4:]}" for m in months]
    limits = {"base_from": "2020-10", "base_to": "2021-03"}
    expected = index(series(dashed), **limits)
    assert index(series(months), **limits).equals(expected) and expected["period"].to_list() == dashed
    assert not expected["index"].equals(index(series(dashed))["index"])
    assert index(series(dashed), base_from="2020-Q4", base_to="2021Q1").equals(expected)
    year = index(series(QUARTERS), base_from="2020", base_to="2020")
    assert year.equals(index(series([q.replace("-", "") for q in QUARTERS]), base_from="2020-Q1", base_to="2020-Q4"))
    assert year["index"].to_numpy()[4:8].mean() == pytest.approx(100)


@pytest.mark.parametrize(
    ("frame", "parameters", "said"),
    [
        (series(["2020-01", "202001", "2020-02", "2020-03"]), {}, "period 2020-01, indicator a is there 2 times"),
        (series(["2020-01", "2020-Q2", "2020-03"]), {}, "years, quarters and months do not go together"),
        (series(QUARTERS).with_columns(indicator=pl.Series(["a"] * 12 + ["c"] * 12)), {}, "indicator c: has no weight"),
        (series(QUARTERS).head(0), {}, "empty"),
        (series(QUARTERS), {"base_from": "2030"}, "no period lies in the base 2030-Q1"),
        (series(QUARTERS), {"base_from": "next"}, "is not a period"),
        (series(QUARTERS), {"draws": "0"}, "draws: 0 is below 1"),
        (series(QUARTERS), {"concentration": "0"}, "concentration: 0 is below 1"),
        (series(QUARTERS), {"seed": "-1"}, "seed: -1 is below 0"),
        (series(QUARTERS).with_columns(value=pl.lit("5")), {}, "component a: its 12 values in the base are all the same"),
        (series(QUARTERS).head(12), {}, "component b: at least 3 values in the base are needed, got 0"),
        (series(QUARTERS), {"weights": WEIGHTS.with_columns(weight=pl.lit("0"))}, "line 2, indicator a: the weight"),
        (series(QUARTERS), {"weights": pl.concat([WEIGHTS, WEIGHTS])}, "indicator a is there 2 times"),
    ],
)  # fmt: skip
def test_tables_and_settings_of_the_index_that_are_refused(frame: pl.DataFrame, parameters: Any, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        index(frame, **parameters)
    assert str(refused.value).startswith("climate_index: ") and said in str(refused.value)


def test_a_blank_direction_is_1() -> None:
    blank = WEIGHTS.with_columns(direction=pl.Series([None, ""], dtype=pl.String))
    assert index(series(QUARTERS), blank).equals(index(series(QUARTERS)))


def lit(frame: pl.DataFrame, scheme: pl.DataFrame, **parameters: str) -> pl.DataFrame:
    return run_table(table_methods()["warning_lamps"], frame, {"scheme": scheme, **parameters}).rows


SCHEME = pl.DataFrame({
    "indicator": ["a", "b"], "kind": ["quantile"] * 2, "b1": ["0.1"] * 2, "b2": ["0.3"] * 2, "b3": ["0.7"] * 2,
    "b4": ["0.9"] * 2,
})  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "scheme", "parameters", "said"),
    [
        (series(["2020-01", "202001"]), SCHEME, {}, "period 2020-01, indicator a is there 2 times"),
        (series(["2020-01", "2020"]), SCHEME, {}, "years, quarters and months do not go together"),
        (series(QUARTERS), SCHEME, {"min_history": "0"}, "min_history: 0 is below 1"),
        (series(QUARTERS), SCHEME, {"min_history": "-1"}, "min_history: -1 is below 1"),
        (series(QUARTERS), SCHEME, {"horizon": "0"}, "horizon: 0 is below 1"),
        (series(QUARTERS), pl.concat([SCHEME, SCHEME.head(1)]), {}, "scheme: indicator a is there 2 times"),
        (series(QUARTERS), SCHEME.drop("b3"), {}, "scheme: column b3 is missing"),
        (series(QUARTERS), SCHEME.with_columns(b2=pl.lit(None, pl.String)), {}, "indicator a: b2 is empty"),
        (series(QUARTERS), SCHEME.with_columns(b2=pl.lit("x")), {}, "indicator a: b2 is 'x'; a number is expected"),
        (series(QUARTERS), SCHEME.with_columns(direction=pl.lit("2")), {}, "direction is 1 or -1, got 2"),
    ],
)  # fmt: skip
def test_tables_and_schemes_of_lamps_that_are_refused(
    frame: pl.DataFrame, scheme: pl.DataFrame, parameters: Any, said: str
) -> None:
    with pytest.raises(BadInput) as refused:
        lit(frame, scheme, **parameters)
    assert str(refused.value).startswith("warning_lamps: ") and said in str(refused.value)
