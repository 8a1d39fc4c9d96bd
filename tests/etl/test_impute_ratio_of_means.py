"""Ratio-of-means imputation against the ONS's published test data, and the rules the ONS has none for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aistat.cli import main
from etl.editing_impute import _links
from etl.methods.imputation.carry import carry_forward
from etl.methods.imputation.links import LinkOptions, imputation_links, month_of, parents_from_table
from etl.methods.imputation.ratio_of_means import impute_ratio_of_means
from etl.methods.imputation.ratio_run import links_from_table
from etl.methods.imputation.variance import imputation_totals, ratio_imputation_variance
from etl.methods.tabular import BadInput

GOLDEN = Path(__file__).parents[1] / "golden" / "impute_ratio_of_means"
NAMES = sorted(p.stem.removesuffix("_links") for p in GOLDEN.glob("*_links.csv") if "given" not in p.stem)
TYPES = {"unit": pl.String, "period": pl.String, "cell": pl.String, "back": pl.String, "manual": pl.Float64}
TYPES |= {"target": pl.Float64, "auxiliary": pl.Float64, "value": pl.Float64, "usable": pl.Boolean}
LINKS = ("forward", "backward", "construction")


def precision(name: str) -> float:
    """Relative: the links of 2019 that the weighted scenario mixes in are published with four to nine digits."""
    return 5e-7 if "weighted" in name else 2e-8


def golden(name: str) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Input, expected rows, expected links."""
    whole = pl.read_csv(GOLDEN / f"{name}.csv", schema_overrides={k: t for k, t in TYPES.items() if k != "usable"})
    if "usable" in whole.columns:
        whole = whole.with_columns(pl.col("usable") == 1)
    given = whole.drop("value", "marker").rename({"back": "back_marker"}, strict=False)
    links = pl.read_csv(GOLDEN / f"{name}_links.csv", schema_overrides={"cell": pl.String, "period": pl.String})
    return given, whole, links


def options_of(name: str) -> tuple[LinkOptions, pl.DataFrame | None]:
    if "weighted" not in name:
        return LinkOptions(), None
    return LinkOptions(weight=0.5), links_from_table(pl.read_csv(GOLDEN / "36_given_links.csv", infer_schema=False))


def test_the_published_scenarios_are_all_here() -> None:
    assert len(NAMES) == 14


@pytest.mark.parametrize("name", NAMES)
def test_ons_scenarios_values_and_markers(name: str) -> None:
    given, expected, _ = golden(name)
    rows = impute_ratio_of_means(given, *options_of(name)).rows
    assert rows["marker"].to_list() == expected["marker"].to_list()
    np.testing.assert_allclose(rows["value"].to_numpy(), expected["value"].to_numpy(), rtol=precision(name))


@pytest.mark.parametrize("name", NAMES)
def test_ons_scenarios_links_counts_and_defaults(name: str) -> None:
    given, _, expected = golden(name)
    found = impute_ratio_of_means(given, *options_of(name)).links
    joined = expected.join(found, on=["cell", "period"], how="left", suffix="_found")
    for kind in LINKS:
        np.testing.assert_allclose(
            joined[f"{kind}_found"].to_numpy(), joined[kind].to_numpy(), rtol=precision(name), err_msg=kind
        )
        assert joined[f"count_{kind}_found"].to_list() == joined[f"count_{kind}"].to_list(), kind
        assert joined[f"default_{kind}_found"].to_list() == (joined[f"default_{kind}"] == 1).to_list(), kind


def test_the_runner_gives_the_same_as_json(tmp_path: Path) -> None:
    given, expected, _ = golden("20_mixed_data")
    given.write_csv(tmp_path / "in.csv")
    out = tmp_path / "out.json"
    assert main(["method", "run", "impute_ratio_of_means", "--input", str(tmp_path / "in.csv"), "-o", str(out)]) == 0
    answer = json.loads(out.read_text(encoding="utf-8"))
    assert [r["marker"] for r in answer["rows"]] == expected["marker"].to_list()
    constructed = next(r for r in answer["rows"] if r["marker"] == "c")
    assert constructed["link"] == pytest.approx(71.63436123348018) and constructed["link_count"] == 4
    backward = next(r for r in answer["rows"] if r["unit"] == "200006" and r["period"] == "202001")
    assert (backward["from_period"], backward["from_value"], backward["link_cell"]) == ("202003", 8882.0, "100")
    totals = {(t["cell"], t["period"]): t for t in answer["result"]["totals"]}
    assert totals["100", "202001"]["imputed"] == 2 and totals["100", "202001"]["imputation_se"] > 0
    assert answer["result"]["markers"] == {"r": 32, "mc": 0, "fir": 6, "bir": 4, "fimc": 0, "c": 2, "fic": 3}


def frame(rows: list[tuple[Any, ...]], names: str = "unit period cell target auxiliary") -> pl.DataFrame:
    columns = names.split()
    return pl.DataFrame(rows, schema={c: TYPES.get(c, pl.Boolean) for c in columns}, orient="row")


def test_too_few_pairs_take_the_link_of_the_fall_back_cell() -> None:
    table = frame(
        [(f"u{i}", p, "big", float(v), 1.0) for i in range(4) for p, v in (("202401", 10), ("202402", 20 + i))]
        + [("s1", "202401", "small", 7.0, 1.0), ("s1", "202402", "small", 70.0, 1.0)]
        + [("s2", "202401", "small", 5.0, 1.0), ("s2", "202402", "small", None, 1.0)]
    )
    alone = impute_ratio_of_means(table).rows.row(-1, named=True)
    assert (alone["value"], alone["link_count"], alone["link_cell"]) == (50.0, 1, "small")
    parents = parents_from_table(pl.DataFrame({"cell": ["small", "big"], "parent": ["all", "all"]}))
    pooled = impute_ratio_of_means(table, LinkOptions(min_count=3, parents=parents)).rows.row(-1, named=True)
    assert pooled["link"] == pytest.approx((20 + 21 + 22 + 23 + 70) / 47)
    assert (pooled["link_count"], pooled["link_cell"], pooled["link_default"]) == (5, "all", False)
    none = impute_ratio_of_means(table, LinkOptions(min_count=9, parents=parents)).rows.row(-1, named=True)
    assert (none["value"], none["link_default"], none["link_count"]) == (5.0, True, 1)


def test_a_unit_that_changes_its_cell_is_a_pair_of_the_common_parent_only() -> None:
    moved = frame([("u", "202401", "a", 4.0, 1.0), ("u", "202402", "b", 8.0, 1.0)])
    links = imputation_links(
        moved.with_columns(step=pl.Series([0, 1]), y="target", x="auxiliary", usable=pl.lit(True)),
        LinkOptions(parents={"a": "all", "b": "all"}),
    ).filter(cell="b", step=1)
    assert links.select("forward", "cell_forward", "count_forward").row(0) == (2.0, "all", 1)


def test_of_equal_growths_the_pair_that_counts_most_is_trimmed_at_either_end() -> None:
    pairs = [
        (9.0, 0.0),
        (90.0, 0.0),
        (0.0, 8.0),
        (0.0, 80.0),
        *[(10.0, 10.0)] * 6,
    ]  # now, before: x/0 largest, 0/y smallest
    table = frame(
        [
            (f"u{i}", p, "a", v, 1.0)
            for i, pair in enumerate(pairs)
            for p, v in zip(("202402", "202401"), pair, strict=True)
        ]
    )
    for order in (table, table.reverse()):
        link = impute_ratio_of_means(order, LinkOptions(trim_lower=10, trim_upper=10)).links.filter(period="202402")
        assert link["forward"].item() == pytest.approx((9 + 60) / (8 + 60)) and link["count_forward"].item() == 8


@pytest.mark.parametrize("seed", range(6))
def test_asked_for_some_units_they_get_what_they_get_among_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [
        (f"u{i}", p, f"c{(i if rng.random() < 0.9 else i + 1) % 5}", None if rng.random() < 0.15 else float(rng.integers(0, 90)), 1.0)
        for i in range(60)
        for p in ("202311", "202312", "202401", "202402")
        if rng.random() < 0.9
    ]  # fmt: skip
    table = frame(rows)
    options = LinkOptions(
        min_count=4, trim_lower=10, trim_upper=10, trim_above=5, parents={f"c{k}": "all" for k in range(5)}
    )
    every = impute_ratio_of_means(table, options)
    asked = pl.Series(["u3", "u17", "u41"])
    some = impute_ratio_of_means(table, options, units=asked)
    columns = ["unit", "period", "value", "marker", "link", "link_count", "link_cell", "link_default", "from_period"]
    expected = every.rows.filter(pl.col("unit").is_in(asked.implode())).select(columns)
    assert_frame_equal(some.rows.select(columns), expected, rel_tol=1e-12)
    assert some.links.height < every.links.height
    by_year = impute_ratio_of_means(table, options, units=asked, links_of=_links)
    assert_frame_equal(by_year.rows.select(columns), expected, rel_tol=1e-12)


def test_trimming_leaves_out_the_extreme_growths_of_large_links_only() -> None:
    growths = [0.01, *[1.0, 1.1, 0.9, 1.0, 1.2, 0.8, 1.0, 1.0], 50.0]
    table = frame(
        [(f"u{i}", p, "a", v, 1.0) for i, g in enumerate(growths) for p, v in (("202401", 10.0), ("202402", 10 * g))]
    )
    untrimmed = impute_ratio_of_means(table).links.filter(period="202402").row(0, named=True)
    assert untrimmed["forward"] == pytest.approx(sum(growths) / 10)
    cut = impute_ratio_of_means(table, LinkOptions(trim_lower=10, trim_upper=10)).links
    kept = cut.filter(period="202402").row(0, named=True)
    assert kept["forward"] == pytest.approx(sum(growths[1:-1]) / 8) and kept["count_forward"] == 8
    back = cut.filter(period="202401").row(0, named=True)
    assert back["backward"] == pytest.approx(8 / sum(growths[1:-1])) and back["count_backward"] == 8
    small = impute_ratio_of_means(table, LinkOptions(trim_lower=10, trim_upper=10, trim_above=10)).links
    assert small.filter(period="202402")["count_forward"].item() == 10


def test_rows_out_of_the_sample_are_neither_imputed_nor_used_and_break_a_run() -> None:
    table = frame(
        [("a", "202401", "c", 10.0, 1.0, True), ("a", "202402", "c", None, 1.0, False), ("a", "202403", "c", None, 1.0, True),
         ("b", "202401", "c", 10.0, 1.0, True), ("b", "202402", "c", 99.0, 1.0, False), ("b", "202403", "c", 30.0, 2.0, True)],
        "unit period cell target auxiliary sampled",
    )  # fmt: skip
    found = impute_ratio_of_means(table)
    assert found.rows["marker"].to_list() == ["r", None, "c", "r", None, "r"]
    assert found.rows["value"].to_list() == [10.0, None, 15.0, 10.0, None, 30.0]
    assert found.links.filter(period="202403")["default_forward"].item() is True


def test_nothing_to_go_from_stays_missing_and_is_counted(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("unit,period,cell,target,auxiliary\na,202401,c,,\nb,202401,c,5,\n")
    out = tmp_path / "out.json"
    assert main(["method", "run", "impute_ratio_of_means", "--input", str(tmp_path / "in.csv"), "-o", str(out)]) == 0
    answer = json.loads(out.read_text(encoding="utf-8"))
    assert answer["rows"][0]["value"] is None and answer["rows"][0]["marker"] is None
    assert answer["result"]["without_value"] == 1


def test_quarters_and_years_run_over_the_turn_of_the_year() -> None:
    quarters = frame([("a", "2024-Q4", "c", 8.0, 1.0), ("a", "2025-Q1", "c", None, 1.0)]).vstack(
        frame([("b", "2024-Q4", "c", 10.0, 1.0), ("b", "2025-Q1", "c", 15.0, 1.0)])
    )
    assert impute_ratio_of_means(quarters, LinkOptions(periodicity=3)).rows["value"].to_list() == [
        8.0,
        12.0,
        10.0,
        15.0,
    ]
    assert month_of("202501") - month_of("202412") == 1 and month_of("2025") == month_of("2025-01")
    with pytest.raises(BadInput, match="months apart"):
        impute_ratio_of_means(
            frame([("a", "202401", "c", 1.0, 1.0), ("a", "202402", "c", 1.0, 1.0)]), LinkOptions(periodicity=3)
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trim_lower": 50}, "below 50 percent"),
        ({"weight": 0}, "0 < weight <= 1"),
        ({"weight": 0.5, "weight_lag": 5, "periodicity": 3}, "no multiple"),
        ({"min_count": 0}, "min_count 0; expected 1 or more"),
        ({"trim_upper": 50}, "trim_upper 50; expected 0 to below 50"),
        ({"periodicity": 0}, "periodicity 0; expected 1 or more"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        LinkOptions(**options)


def test_what_cannot_be_is_refused() -> None:
    twice = frame([("a", "202401", "c", 1.0, 1.0), ("a", "2024-01", "d", 1.0, 1.0)])
    with pytest.raises(BadInput, match="twice"):
        impute_ratio_of_means(twice)
    with pytest.raises(BadInput, match="circle"):
        LinkOptions(parents={"a": "b", "b": "a"}).chain("a")
    with pytest.raises(BadInput, match="two parents"):
        parents_from_table(pl.DataFrame({"cell": ["a", "a"], "parent": ["x", "y"]}))
    with pytest.raises(BadInput, match="not a number"):
        links_from_table(pl.DataFrame({"cell": ["a"], "period": ["202401"], "forward": ["x"]}))


PAIRS = "unit,period,cell,target,auxiliary\na,202001,1,10,1\na,202002,1,20,1\na,202003,1,30,1\nb,202001,1,5,2\nb,202002,1,,2\nb,202003,1,,2\n"
QUARTERS = "unit,period,cell,target,auxiliary\na,2020-Q1,1,10,1\na,2020-Q2,1,20,1\n"


def run_files(tmp_path: Path, text: str, links: str | None = None, *parameters: str) -> int:
    (tmp_path / "in.csv").write_text(text, encoding="utf-8")
    given = list(parameters)
    if links is not None:
        (tmp_path / "links.csv").write_text(links, encoding="utf-8")
        given.append(f"links={tmp_path / 'links.csv'}")
    command = ["method", "run", "impute_ratio_of_means", "--input", str(tmp_path / "in.csv")]
    return main([*command, "-o", str(tmp_path / "out.json"), *(x for p in given for x in ("--param", p))])


@pytest.mark.parametrize(
    ("links", "said"),
    [
        ("cell,period,forward\n1,202002,3\n1,202002,4\n", "links: line 2, cell 1, period 202002: the cell has more than one line"),
        ("cell,period,forward\n1,202001,3\n1,202002,3\n1,2020-02,4\n", "links: line 3, cell 1, period 202002: the cell has more"),
        ("cell,period,fwd\n1,202002,3\n", "links: column fwd is not known; columns cell, period and some of forward"),
        ("cell,period\n1,202002\n", "links: no column of links"),
        ("cell,period,forward,Backward\n1,202002,3,2\n", "links: column 'Backward' is not known; 'backward' is"),
        ("cell,period,forward\n1,202002,-3\n", "links: line 2, cell 1, period 202002: forward is negative"),
        ("cell,period,forward\n01,202002,3\n", "links: line 2, cell 01, period 202002: no such cell in the input"),
        ("cell,period,forward\n1,2020x,3\n", "links: line 2, column period: '2020x' is not a period"),
        ("cell,period,forward\n1,,3\n", "links: line 2, column period: empty"),
        ("cell,period,forward\n1,2020,3\n", "links: period 2020 is 12 months long, periodicity is 1"),
    ],
)  # fmt: skip
def test_given_links_that_would_be_wrong_or_without_effect_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], links: str, said: str
) -> None:
    assert run_files(tmp_path, PAIRS, links) == 2
    assert said in capsys.readouterr().err


def test_quarters_are_not_taken_for_months_when_carried_either() -> None:
    table = pl.DataFrame({"unit": ["a"] * 2, "period": ["2020-Q1", "2020-Q2"], "value": ["x", None]})
    with pytest.raises(BadInput, match="period 2020-Q1 is 3 months long, periodicity is 1"):
        carry_forward(table, most=2)
    assert carry_forward(table, most=2, periodicity=3)["age"].to_list() == [0, 1]


def test_given_links_are_applied_and_those_left_empty_computed(tmp_path: Path) -> None:
    assert run_files(tmp_path, PAIRS, "cell,period,forward,backward\n1,202002,3,\n1,201912,1,1\n") == 0
    rows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["rows"]
    assert [r["value"] for r in rows] == [10, 20, 30, 5, 15, 22.5]
    assert run_files(tmp_path, PAIRS, "cell,period,forward\n") == 0
    rows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["rows"]
    assert [r["value"] for r in rows] == [10, 20, 30, 5, 10, 15]


@pytest.mark.parametrize(
    ("text", "parameters", "said"),
    [
        (QUARTERS, [], "period 2020-Q1 is 3 months long, periodicity is 1; set periodicity=3"),
        (QUARTERS.replace("-Q1", "").replace("-Q2", "1").replace("20201", "2021"), [], "set periodicity=12"),
        (QUARTERS.replace("-Q1", "").replace("-Q2", "02"), [], "months alone"),
        (QUARTERS.replace("-Q1", "01").replace("-Q2", "02"), ["periodicity=3"], "periods 202001 and 202002 are not a multiple of 3"),
        (QUARTERS, ["periodicity=0"], "periodicity 0; expected 1 or more months"),
        (QUARTERS, ["periodicity=1.5"], "parameter periodicity: '1.5' is not a whole number"),
        (QUARTERS, ["periodicity=3", "seed=-1"], "parameter seed: -1 is below 0"),
        ("unit,period,cell,target,auxiliary\n", [], "the table is empty"),
    ],
)  # fmt: skip
def test_periods_that_do_not_fit_and_other_input_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, parameters: list[str], said: str
) -> None:
    assert run_files(tmp_path, text, None, *parameters) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1


def superpopulation(generator: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    x = generator.lognormal(4.5, 0.5, size)
    return x, 1.3 * x + np.sqrt(x) * generator.normal(0, 1.2, size)


def test_the_stated_error_is_the_error_made_one_step() -> None:
    """Ratio model, 80 units, a quarter missing at random: mean of the stated variance against the squared errors made."""
    generator = np.random.default_rng(20261125)
    analytic, errors = [], []
    for _ in range(2000):
        x, y = superpopulation(generator, 80)
        lost = generator.random(80) < 0.25
        imputed = x[lost].sum() * y[~lost].sum() / x[~lost].sum()
        errors.append((imputed - y[lost].sum()) ** 2)
        analytic.append(ratio_imputation_variance(y[~lost], x[~lost], x[lost]))
    assert np.mean(analytic) / np.mean(errors) == pytest.approx(
        1.0, abs=4 * np.std(errors) / np.mean(errors) / 2000**0.5
    )


def test_the_replicated_error_covers_two_steps_forward() -> None:
    """Two periods imputed one from the other: replicate variance within Monte Carlo reach of the errors made."""
    generator = np.random.default_rng(7)
    stated, errors = [], []
    for run in range(40):
        x, y1 = superpopulation(generator, 60)
        y2 = 0.9 * y1 + np.sqrt(np.maximum(y1, 0)) * generator.normal(0, 1.0, 60)
        lost = generator.random(60) < 0.3
        table = pl.DataFrame(
            {
                "unit": [f"u{i:02d}" for i in range(60)] * 3,
                "period": ["202401"] * 60 + ["202402"] * 60 + ["202403"] * 60,
                "cell": ["a"] * 180,
                "target": [*x, *np.where(lost, np.nan, y1), *np.where(lost, np.nan, y2)],
                "auxiliary": [1.0] * 180,
            }
        ).with_columns(pl.col("target").fill_nan(None))
        found = impute_ratio_of_means(table)
        totals = imputation_totals(found, replicates=60, seed=run).filter(period="202403")
        stated.append(totals["imputation_se"].item() ** 2)
        errors.append((totals["imputed_total"].item() - y2[lost].sum()) ** 2)
    ratio = np.mean(stated) / np.mean(errors)
    assert abs(ratio - 1) < 4 * np.std(errors) / np.mean(errors) / 40**0.5, ratio
    assert 0.4 < ratio < 2.5


def test_no_error_is_stated_where_it_is_not_known() -> None:
    table = frame([("a", "202401", "c", 10.0, 1.0), ("a", "202402", "c", None, 1.0)])
    totals = imputation_totals(impute_ratio_of_means(table))
    assert totals["imputation_se"].to_list() == [0.0, None]
