"""Design weights, non-response, calibration, winsorisation."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aistat.cli import main
from etl.methods.tabular import BadInput, run_table, table_methods
from etl.methods.weighting.calibration import Infeasible, calibrate, read_totals
from etl.methods.weighting.design import design_weights
from etl.methods.weighting.nonresponse import nonresponse_adjustment
from etl.methods.weighting.winsor import optimal_l_value, winsorise

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


# --- winsorisation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ons_ratio", "ons_expansion", "ons_ratio_markers", "ons_expansion_markers"])
def test_winsorised_weights_of_the_ons_library(name: str) -> None:
    """Office for National Statistics, Statistical Methods Library: outlier weights to nine digits, and markers."""
    table = pl.read_csv(GOLDEN / "winsorise" / f"{name}.csv", infer_schema=False)
    found = run_table(table_methods()["winsorise"], table, {}).rows
    expected = table["expected_outlier_weight"].cast(pl.Float64).to_numpy()
    assert np.abs(found["outlier_weight"].to_numpy() - expected).max() < 1e-8
    assert found["flag"].to_list() == table["expected_flag"].to_list()
    assert found["is_outlier"].to_list() == (expected != 1).tolist()
    a, g = (table[c].cast(pl.Float64).to_numpy() for c in ("design_weight", "calibration_weight"))
    assert found["new_weight"].to_numpy() == pytest.approx(a * g * found["outlier_weight"].to_numpy())


def test_winsorised_value_by_hand_and_a_zero_return() -> None:
    # mean 20, L 30, a 4: k = 20 + 30/3 = 30; 50 -> 50/4 + 3/4 * 30 = 35; a return of 0 keeps weight 1
    y = np.array([10.0, 20.0, 0.0, 50.0])
    found = winsorise(y, np.full(4, 4.0), np.ones(4), np.full(4, 30.0), list("hhhh"))
    assert found.threshold.tolist() == pytest.approx([30] * 4)
    assert found.outlier_weight.tolist() == pytest.approx([1, 1, 1, 0.7])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"a": [0.5, 4, 4, 4]}, "smaller than 1"),
        ({"g": [0.0, 1, 1, 1]}, "not positive"),
        ({"level": [-1.0, 3, 3, 3]}, "negative"),
        ({"level": [1.0, 3, 3, 3]}, r"more than one l_value \(1 and 3\)"),
        ({"y": [np.nan, 1, 1, 1]}, "missing"),
    ],
)
def test_winsorisation_refuses_what_the_method_does_not_cover(change: dict[str, list[float]], said: str) -> None:
    given_ = {"y": [1.0, 2, 3, 9], "a": [4.0] * 4, "g": [1.0] * 4, "level": [3.0] * 4} | change
    with pytest.raises(ValueError, match=said):
        winsorise(*(np.array(given_[k]) for k in ("y", "a", "g", "level")), list("hhhh"))


def test_winsorise_table_refuses_a_unit_that_stands_twice() -> None:
    table = pl.read_csv(GOLDEN / "winsorise" / "ons_ratio.csv", infer_schema=False).drop("period")
    with pytest.raises(BadInput, match="unit 123456 is there 4 times"):
        run_table(table_methods()["winsorise"], table, {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"design_weight": ["4", "0.5", "0.2"]}, "line 3, unit b, design_weight 0.5: .* smaller than 1 .2 such rows"),
        ({"calibration_weight": ["1", "1", "0"]}, "line 4, unit c, calibration_weight 0.0: .* not positive"),
        ({"l_value": ["-3", "3", "3"]}, "line 2, unit a, l_value -3.0: .* negative"),
        ({k: [] for k in ("unit", "stratum", "value", "design_weight", "calibration_weight", "l_value")}, "the table is empty"),
    ],
)  # fmt: skip
def test_winsorise_table_names_unit_and_line(change: dict[str, list[str]], said: str) -> None:
    cells = {"unit": list("abc"), "stratum": ["h"] * 3, "value": ["1", "2", "9"], "design_weight": ["4"] * 3}
    cells |= {"calibration_weight": ["1"] * 3, "l_value": ["3"] * 3} | change
    with pytest.raises(BadInput, match=said):
        run_table(table_methods()["winsorise"], pl.DataFrame(cells, schema=dict.fromkeys(cells, pl.String)), {})


def test_a_negative_value_above_the_threshold_gets_a_higher_weight_as_the_formula_has_it() -> None:
    # mean -15, L 0: k = -15; -5 -> -5/4 + 3/4 * -15 = -12.5, o = 2.5
    found = winsorise(np.array([-30.0, -5, -10]), np.full(3, 4.0), np.ones(3), np.zeros(3), list("hhh"))
    assert found.outlier_weight.tolist() == pytest.approx([1, 2.5, 1.375])


def test_optimal_l_solves_its_equation_and_lowers_the_error() -> None:
    rng = np.random.default_rng(8)
    n, size = 60, 1500
    y = rng.lognormal(0, 1.7, size)
    past = rng.choice(y, n * 20, replace=False) if n * 20 <= size else y
    w = size / n
    # L for samples of 60: the equation is about one sample, so twenty samples share it
    level = np.mean([optimal_l_value(s, np.full(n, s.mean()), np.full(n, w)) for s in past.reshape(20, n)])
    d = (w - 1) * (past[:n] - past[:n].mean())
    one = optimal_l_value(past[:n], np.full(n, past[:n].mean()), np.full(n, w))
    assert one == pytest.approx(np.maximum(d - one, 0).sum(), rel=1e-9)
    errors = np.empty((400, 2))
    for r in range(400):
        s = rng.choice(y, n, replace=False)
        o = winsorise(s, np.full(n, w), np.ones(n), np.full(n, level), ["h"] * n).outlier_weight
        errors[r] = w * s.sum() - y.sum(), w * (o * s).sum() - y.sum()
    plain, treated = np.sqrt((errors**2).mean(axis=0))
    assert treated < 0.95 * plain


# --- design weights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "file", "replaced"),
    [
        ("combined_ratio", "ons_combined_ratio", True),
        ("out_of_scope_full", "ons_out_of_scope", True),
        ("out_of_scope_partial", "ons_out_of_scope", False),
    ],
)
def test_birth_death_weights_and_calibration_factors_of_the_ons_library(
    scenario: str, file: str, replaced: bool
) -> None:
    """ONS Statistical Methods Library, ht_ratio: design weights and calibration factors by period and stratum."""
    table = pl.read_csv(GOLDEN / "design_weights" / f"{file}.csv", schema_overrides={"stratum": pl.String})
    expected = pl.read_csv(GOLDEN / "design_weights" / "ons_expected.csv", schema_overrides={"stratum": pl.String})
    expected = expected.filter(pl.col("scenario") == scenario)
    taken = pl.col("sampled") == 1
    strata = table.group_by("period", "stratum", "group").agg(
        units=pl.len(), asked=taken.sum(), dead=(taken & (pl.col("status") == "D")).sum(),
        out=(taken & (pl.col("status") == "O")).sum(), h=pl.col("h").first() == 1,
        x=pl.col("auxiliary").sum(), xs=pl.col("auxiliary").filter(taken).sum(),
    ).sort("period", "stratum")  # fmt: skip
    found = design_weights(
        strata["units"].to_numpy(), strata["asked"].to_numpy(), dead=strata["dead"].to_numpy(),
        out_of_scope=strata["out"].to_numpy(), births_replace_deaths=strata["h"].to_numpy(),
        out_of_scope_replaced=replaced,
    )  # fmt: skip
    assert found.weight == pytest.approx(expected["design_weight"].to_numpy(), abs=6e-4)
    factors = strata.with_columns(a=pl.Series(found.unadjusted)).with_columns(
        factor=(pl.col("x").sum() / (pl.col("a") * pl.col("xs")).sum()).over("period", "group")
    )
    assert factors["factor"].to_numpy() == pytest.approx(expected["calibration_factor"].to_numpy(), abs=1.1e-3)


def test_births_on_the_register_are_weighted_for() -> None:
    found = design_weights(np.array([100.0]), np.array([20.0]), births=np.array([10.0]))
    assert found.weight.tolist() == pytest.approx([5.5])


def test_a_stratum_whose_sample_is_dead_is_refused() -> None:
    with pytest.raises(ValueError, match="0 of them alive"):
        design_weights(np.array([9.0]), np.array([2.0]), dead=np.array([2.0]), births_replace_deaths=np.array([True]))


# --- non-response --------------------------------------------------------------------------------------------------


def test_nonresponse_by_hand() -> None:
    # weights 10 each. known: 3 resp, 2 nonresp, 1 ineligible; 2 unknown -> phi = 80/60; psi = 50/30
    outcome = ["respondent"] * 3 + ["nonrespondent"] * 2 + ["ineligible"] + ["unknown"] * 2
    found = nonresponse_adjustment(np.full(8, 10.0), outcome, [["a"] * 8], min_respondents=3)
    lifted = 10 * 80 / 60 * 50 / 30
    assert found.weight.tolist() == pytest.approx([lifted] * 3 + [0, 0, 10 * 80 / 60, 0, 0])
    assert found.weight.sum() == pytest.approx(80)


def test_thin_groups_fall_back_and_the_sum_of_weights_stays() -> None:
    rng = np.random.default_rng(2)
    weight, fine = rng.uniform(1, 9, 200), rng.choice(list("abcdefgh"), 200)
    outcome = np.where(rng.random(200) < 0.7, "respondent", "nonrespondent").tolist()
    coarse = np.where(np.isin(fine, ["a", "b"]), "x", np.where(np.isin(fine, list("cde")), "y", "z"))
    levels = [fine.tolist(), coarse.tolist(), ["all"] * 200]
    found = nonresponse_adjustment(weight, outcome, levels, min_respondents=15)
    assert set(found.level.tolist()) == {0, 1}
    answered = np.array(outcome) == "respondent"
    for group in ("x", "y", "z"):
        inside = coarse == group
        assert found.weight[inside].sum() == pytest.approx(weight[inside].sum())
        if (found.level[inside] == 1).all():  # one thin group: the coarser one has a single factor
            assert np.ptp((found.weight / weight)[inside & answered]) < 1e-12
    assert (found.respondents >= 15).all()
    with pytest.raises(ValueError, match="even at the coarsest"):
        nonresponse_adjustment(weight, outcome, [fine.tolist()], min_respondents=40)
    with pytest.raises(ValueError, match="cuts through"):
        nonresponse_adjustment(weight, outcome, [fine.tolist(), ["l", "r"] * 100], min_respondents=40)


def test_nonresponse_adjustment_removes_the_bias_it_is_for() -> None:
    """Large units answer more often: the plain mean is too high, the adjusted one is not."""
    rng = np.random.default_rng(20261125)
    size = rng.choice(["large", "small"], 4000, p=[0.2, 0.8])
    y = np.where(size == "large", 100.0, 10.0) * rng.lognormal(0, 0.3, 4000)
    errors = []
    for _ in range(60):
        answered = rng.random(4000) < np.where(size == "large", 0.9, 0.5)
        outcome = np.where(answered, "respondent", "nonrespondent").tolist()
        w = nonresponse_adjustment(np.ones(4000), outcome, [size.tolist()]).weight
        errors.append((float(w @ y) / y.sum() - 1, float(y[answered].mean() / y.mean() - 1)))
    adjusted, plain = np.mean(errors, axis=0)
    assert plain > 0.3 and abs(adjusted) < 0.005


# --- calibration ---------------------------------------------------------------------------------------------------


def problem(seed: int = 1, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(n), rng.lognormal(3, 1, n), rng.integers(0, 2, n), rng.lognormal(16, 1.5, n)])
    d = rng.uniform(1, 30, n)
    return d, x, (d @ x) * np.array([1.0, 1.04, 0.98, 1.03])


@pytest.mark.parametrize(
    ("distance", "bounds"),
    [("linear", None), ("raking", None), ("logit", (0.5, 2.0)), ("linear", (0.9, 1.2)), ("raking", (0.9, 1.2))],
)
def test_totals_are_met_to_a_billionth(distance: str, bounds: tuple[float, float] | None) -> None:
    d, x, t = problem()
    found = calibrate(d, x, t, distance=distance, bounds=bounds)  # type: ignore[arg-type]
    assert np.abs(found.weight @ x / t - 1).max() < 1e-9
    if bounds:
        assert found.g.min() >= bounds[0] and found.g.max() <= bounds[1]
    if distance == "raking":
        assert (found.weight > 0).all()


def test_linear_calibration_is_the_regression_estimator() -> None:
    """Deville & Särndal (1992), (1.2): w = d (1 + x' (sum d x x')^-1 (t - sum d x))."""
    d, x, t = problem(4)
    lam = np.linalg.solve((x * d[:, None]).T @ x, t - d @ x)
    assert calibrate(d, x, t).weight == pytest.approx(d * (1 + x @ lam), rel=1e-9)


def test_ratio_and_post_stratification_are_special_cases() -> None:
    """Deville & Särndal (1992), section 1: q = 1/x gives the ratio estimator; group indicators give N_g / N-hat_g."""
    rng = np.random.default_rng(5)
    d, x = rng.uniform(1, 9, 50), rng.lognormal(2, 1, 50)
    found = calibrate(d, x[:, None], np.array([1.3 * d @ x]), scale=1 / x)
    assert found.g == pytest.approx(np.full(50, 1.3))
    group = rng.integers(0, 3, 50)
    dummies = np.eye(3)[group]
    for distance in ("linear", "raking"):
        g = calibrate(d, dummies, np.array([90.0, 80.0, 70.0]), distance=distance).g  # type: ignore[arg-type]
        assert g == pytest.approx((np.array([90, 80, 70]) / (d @ dummies))[group])


def test_raking_counts_is_iterative_proportional_fitting() -> None:
    """Deming & Stephan (1940): the multiplicative method on two margins ends where alternating adjustment ends."""
    table = np.array([[300, 1200, 60, 30, 30], [150, 1080, 90, 30, 5]], dtype=float)
    rows, columns = np.array([1510.0, 1490.0]), np.array([600.0, 2120, 150, 100, 30])
    fitted = table.copy()
    for _ in range(500):
        fitted *= (rows / fitted.sum(axis=1))[:, None]
        fitted *= columns / fitted.sum(axis=0)
    i, j = (a.ravel() for a in np.indices(table.shape))
    x = np.hstack([np.eye(2)[i], np.eye(5)[j]])  # one margin is redundant: both add to 3,000
    found = calibrate(table.ravel(), x, np.concatenate([rows, columns]), distance="raking")
    assert found.weight == pytest.approx(fitted.ravel(), rel=1e-9)


def test_truncated_linear_is_the_quadratic_optimum_within_bounds() -> None:
    """Karush-Kuhn-Tucker: g is 1 + x'lambda inside, and at a bound only where that lies beyond it."""
    d, x, t = problem(1, 400)
    low, high = 0.9, 1.15
    g = calibrate(d, x, t, bounds=(low, high)).g
    inside = (g > low + 1e-12) & (g < high - 1e-12)
    assert 0 < (~inside).sum() < len(g)
    lam, *_ = np.linalg.lstsq(x[inside], g[inside] - 1, rcond=None)
    free = 1 + x @ lam
    assert free[inside] == pytest.approx(g[inside], abs=1e-8)
    assert (free[g >= high - 1e-12] >= high - 1e-8).all() and (free[g <= low + 1e-12] <= low + 1e-8).all()


def test_unit_of_measure_does_not_matter() -> None:
    d, x, t = problem(6)
    k = np.array([1.0, 1e4, 1.0, 1e-8])
    assert calibrate(d, x * k, t * k, distance="raking").g == pytest.approx(calibrate(d, x, t, distance="raking").g)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["linear", "raking", "logit"]))
def test_totals_that_some_weights_meet_are_met(seed: int, distance: str) -> None:
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(15, 80)), int(rng.integers(1, 5))
    x = np.column_stack([np.ones(n), rng.lognormal(0, 1, (n, k))])
    d = rng.uniform(1, 20, n)
    t = (d * rng.uniform(0.7, 1.6, n)) @ x
    bounds = (0.3, 3.0) if distance == "logit" else None
    found = calibrate(d, x, t, distance=distance, bounds=bounds)  # type: ignore[arg-type]
    assert found.miss <= 1e-9


@pytest.mark.parametrize("distance", ["linear", "raking", "logit"])
@pytest.mark.parametrize("seed", range(4))
def test_the_bounds_a_refusal_names_do(seed: int, distance: str) -> None:
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(12), rng.lognormal(0, 1, (12, 2))])
    d = rng.uniform(1, 20, 12)
    t = (d * rng.uniform(0.5, 1.6, 12)) @ x
    with pytest.raises(Infeasible, match="narrowest bounds") as caught:
        calibrate(d, x, t, distance=distance, bounds=(0.999, 1.001))  # type: ignore[arg-type]
    low, high = (float(s) for s in str(caught.value).split("are ")[-1].split(" and "))
    assert calibrate(d, x, t, distance=distance, bounds=(low, high)).miss <= 1e-9  # type: ignore[arg-type]
    if distance == "linear":
        with pytest.raises(Infeasible):
            calibrate(d, x, t, bounds=(low + 2e-4, high - 2e-4))


def test_infeasible_totals_say_what_would_do() -> None:
    d, x, t = problem()
    with pytest.raises(Infeasible, match="narrowest bounds") as caught:
        calibrate(d, x, t, bounds=(0.97, 1.02))
    low, high = (float(s) for s in str(caught.value).split("are ")[-1].split(" and "))
    assert calibrate(d, x, t, bounds=(low, high)).miss <= 1e-9
    with pytest.raises(Infeasible, match="contradict"):
        calibrate(d, np.column_stack([x, x[:, 0]]), np.append(t, t[0] + 5))
    with pytest.raises(Infeasible, match="no unit for one of them"):
        calibrate(d, np.column_stack([x, np.zeros(len(d))]), np.append(t, 7.0))
    with pytest.raises(Infeasible, match="no positive weights, as method raking gives them, meet the totals: total x1"):
        calibrate(np.ones(3), np.array([[1.0], [2.0], [3.0]]), np.array([-5.0]), distance="raking")
    with pytest.raises(Infeasible, match=r"bounds 0.5 and 2 .* no weights without a negative one do"):
        calibrate(np.ones(3), np.array([[1.0], [2.0], [3.0]]), np.array([-5.0]), bounds=(0.5, 2.0))


def test_a_weight_of_zero_but_for_rounding_is_not_negative() -> None:
    # exact: g = 1 - x, which is 0 for the last unit
    frame = pl.DataFrame({"unit": list("abc"), "design_weight": ["8.5", "6.6", "5.5"], "x1": ["0.3", "0.3", "1"]})
    d, x = np.array([8.5, 6.6, 5.5]), np.array([0.3, 0.3, 1.0])
    totals = pl.DataFrame({"variable": ["x1"], "total": [repr(float((d * (1 - x)) @ x))]})
    found = run_table(table_methods()["calibrate_weights"], frame, {"totals": totals})
    assert abs(found.rows["g_weight"][2]) < 1e-12 and found.result["negative_weights"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"distance": "logit"}, "needs bounds"),
        ({"bounds": (1.1, 2.0)}, "enclose 1"),
        ({"weight": np.array([1.0, 0.0])}, "positive"),
        ({"x": np.array([[1.0], [np.nan]])}, "missing"),
    ],
)
def test_calibration_refuses(arguments: dict[str, object], said: str) -> None:
    given_ = {"weight": np.array([1.0, 2.0]), "x": np.ones((2, 1)), "totals": np.array([4.0])} | arguments
    with pytest.raises(ValueError, match=said):
        calibrate(given_.pop("weight"), given_.pop("x"), given_.pop("totals"), **given_)  # type: ignore[arg-type]


def run_calibration(totals: pl.DataFrame, **parameters: str) -> dict[str, object]:
    frame = pl.DataFrame(
        {"unit": list("abcd"), "design_weight": ["10"] * 4, "x1": ["1"] * 4, "x2": ["1", "2", "3", "4"]}
    )
    found = run_table(table_methods()["calibrate_weights"], frame, {"totals": totals, **parameters})
    return {"w": found.rows["calibrated_weight"].to_numpy(), "g": found.rows["g_weight"].to_numpy(), **found.result}


def test_calibrate_weights_table() -> None:
    long = pl.DataFrame({"variable": ["x2", "x1"], "total": ["110", "42"]})
    wide = pl.DataFrame({"x1": ["42"], "x2": ["110"]})
    # by hand: lambda = (0.2, -0.06) ... g = 1 + a + b x with 40 a + 100 b = 2, 100 a + 300 b = 10
    a, b = np.linalg.solve([[40, 100], [100, 300]], [2, 10])
    for table in (long, wide):
        found = run_calibration(table)
        assert found["g"] == pytest.approx(1 + a + b * np.arange(1, 5))
    x = np.column_stack([np.ones(4), np.arange(1, 5)])
    for parameters in (
        {"method": "raking"},
        {"method": "logit", "bounds": "0.5,2"},
        {"method": "bounded", "bounds": "0.9,1.2"},
    ):
        weight: np.ndarray = run_calibration(long, **parameters)["w"]  # type: ignore[assignment]
        assert weight @ x == pytest.approx([42, 110], rel=1e-9)


@pytest.mark.parametrize(
    ("totals", "parameters", "said"),
    [
        ({"variable": ["x1"], "total": ["42"]}, {}, "no total for"),
        ({"variable": ["x1", "x2", "x3"], "total": ["42", "110", "3"]}, {}, "no column for"),
        ({"variable": ["x1", "x2"], "total": ["42", "much"]}, {}, "the total of x2 is 'much'; .* the total a number"),
        ({"variable": ["x1", "x2"], "total": ["42", "nan"]}, {}, "the total of x2 is 'nan'"),
        ({"variable": ["x1", "x2"], "total": ["42", None]}, {}, "the total of x2 is empty"),
        ({"variable": ["x1", None], "total": ["42", "3"]}, {}, "the total of a line without a variable is '3'"),
        ({"x1": ["x2"], "42": ["110"]}, {}, "no header line: it begins with x1, 42; write variable,total above"),
        (
            {"known": ["42", "110"], "name": ["x1", "x2"]},
            {},
            "the total of 42 is 'x1'; variable and total .* this order",
        ),
        ({"variable": ["x1", "x2"], "total": ["42", "110"]}, {"method": "bounded"}, "needs bounds"),
        ({"variable": ["x1", "x2"], "total": ["42", "110"]}, {"method": "bounded", "bounds": "0.99,1.01"}, "narrowest"),
        ({"variable": ["x1", "x2"], "total": ["42", "110"]}, {"bounds": "0.99"}, "two are expected"),
    ],
)
def test_calibrate_weights_table_refuses(totals: dict[str, list[str]], parameters: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        run_calibration(pl.DataFrame(totals), **parameters)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"design_weight": ["10", "10", "0", "-1"]}, "line 4, unit c, design_weight 0.0: design_weight is not positive .2 such"),
        ({"x1": None, "x2": None}, "a column x… of 校准变量 x1 … xk / calibration variables is missing; found: unit, design_weight"),
        ({"X2": ["1"] * 4}, "column 'X2' is not known"),
    ],
)  # fmt: skip
def test_calibrate_weights_names_the_line_or_column_of_bad_input(change: dict[str, list[str]], said: str) -> None:
    cells = {"unit": list("abcd"), "design_weight": ["10"] * 4, "x1": ["1"] * 4, "x2": ["1", "2", "3", "4"]} | change
    totals = pl.DataFrame({"variable": ["x1", "x2"], "total": ["42", "110"]})
    with pytest.raises(BadInput, match=said):
        run_table(
            table_methods()["calibrate_weights"],
            pl.DataFrame({k: v for k, v in cells.items() if v is not None}),
            {"totals": totals},
        )


def test_totals_file_in_neither_form_is_refused() -> None:
    with pytest.raises(ValueError, match="columns variable and total"):
        read_totals(pl.DataFrame({"x1": ["1", "2"]}), ["x1"])
    assert read_totals(pl.DataFrame({"name": ["x2", "x1"], "known": ["3", "1"]}), ["x1", "x2"]).tolist() == [1, 3]


def test_calibration_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.csv").write_text("unit,design_weight,x1,x2\na,10,1,1\nb,10,1,2\nc,10,1,3\nd,10,1,4\n")
    (tmp_path / "totals.csv").write_text("variable,total\nx1,42\nx2,110\n")
    out = tmp_path / "out.json"
    command = ["method", "run", "calibrate_weights", "--input", str(tmp_path / "in.csv"), "-o", str(out),
               "--param", f"totals={tmp_path / 'totals.csv'}"]  # fmt: skip
    assert main([*command, "--param", "method=linear"]) == 0
    answer = json.loads(out.read_text(encoding="utf-8"))
    assert [r["g_weight"] for r in answer["rows"]] == pytest.approx([0.9, 1.0, 1.1, 1.2])
    assert answer["result"]["totals"]["x2"] == pytest.approx({"target": 110, "design": 100, "calibrated": 110})
    assert main([*command, "--param", "method=bounded", "--param", "bounds=0.99,1.01"]) == 2
    said = capsys.readouterr().err.strip()
    assert "narrowest bounds" in said and len(said.splitlines()) == 1
