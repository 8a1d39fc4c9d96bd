"""Editing: rules as data, outliers against Banff, unit errors, prorating and selective scores against the ONS's examples."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aistat.cli import main
from etl.contract import ContractError, load_contract
from etl.edits import contract_edits, load_edits
from etl.methods.editing.correction import deterministic_values, prorate, totals_and_components
from etl.methods.editing.expressions import EditError, names, parse
from etl.methods.editing.fences import resistant_fences
from etl.methods.editing.linear import linear_edits
from etl.methods.editing.outlier import hidiroglou_berthelot, quartiles
from etl.methods.editing.rules import Edit, check_edits, edits_from_lines, edits_from_table
from etl.methods.editing.selective import combine_scores, selective_score
from etl.methods.editing.unit_error import unit_errors
from etl.methods.tabular import BadInput, run_table, table_methods

GOLDEN = Path(__file__).parents[1] / "golden" / "outlier_hb"


def run(tmp_path: Path, method: str, text: str, **parameters: str) -> dict[str, Any]:
    (tmp_path / "in.csv").write_text(text, encoding="utf-8")
    pairs = [x for k, v in parameters.items() for x in ("--param", f"{k}={v}")]
    out = tmp_path / "out.json"
    assert main(["method", "run", method, "--input", str(tmp_path / "in.csv"), "-o", str(out), *pairs]) == 0
    return json.loads(out.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


# --- rules ---------------------------------------------------------------------------------------------------------


def verdicts(expression: str, tolerance: float = 0.0, **columns: list[Any]) -> list[str]:
    table = pl.DataFrame(columns).with_row_index("id")
    found = check_edits(table, [Edit("e", expression, tolerance=tolerance)], ["id"])
    outcome = dict(zip(found["id"], found["outcome"], strict=True))
    return [outcome.get(i, "ok") for i in range(table.height)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b = c", ["ok", "failed", "missing"]),
        ("a <= b and b <= c", ["ok", "failed", "failed"]),
        ("if a > 2 then b > 1", ["ok", "failed", "ok"]),
        ("a > 2 or b = 2", ["ok", "ok", "ok"]),
        ("not (b < 0)", ["ok", "failed", "ok"]),
        ("c / a <= 3", ["ok", "ok", "missing"]),
        ("max(a, b, 2) >= 2", ["ok", "ok", "missing"]),
        ("is_missing(a) or a > 0", ["ok", "ok", "ok"]),
        ("abs(-b) < 3", ["ok", "ok", "ok"]),
    ],
)
def test_verdicts_with_missing_values(expression: str, expected: list[str]) -> None:
    assert verdicts(expression, a=[1, 5, None], b=[2, -1, 2], c=[3, 9, 0]) == expected


def test_tolerance_rounding_and_texts() -> None:
    assert verdicts("a + b = c", a=[0.1], b=[0.2], c=[0.3]) == ["ok"]
    assert verdicts("a = c", 0.5, a=[1.0, 1.0], c=[1.5, 1.6]) == ["ok", "failed"]
    assert verdicts("产业 = '软件' or 产业 != '硬件'", 产业=["软件", "硬件", None]) == ["ok", "failed", "missing"]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("x +", "character 4: found 'the end'"),
        ("x < y < z", "one comparison only"),
        ("x", "no comparison"),
        ("__import__('os') = 1", "function '__import__' is not known"),
        ("x.y > 1", "'.' is not known"),
        ("x ; y", "';' is not known"),
        ("if x then y > 1", "expected a comparison"),
        ("(x < 1", "expected '\\)'"),
        ("abs(x, y) > 1", "abs takes 1 to 1"),
        ("(" * 80 + "x" + ")" * 80 + " > 1", "nested deeper"),
        ("x > 1 and 3", "comparison"),
        ("x => 1", "write '>=' for '=>'"),
        ("x =< 1", "write '<=' for '=<'"),
        ("x <> 1", "write '!=' for '<>'"),
        ("x > 1 AND y > 1", "write 'and' for 'AND'"),
        ("x > 1 && y > 1", "write 'and' for '&&'"),
        ("x > 1 | y > 1", "write 'or' for '\\|'"),
        ("!(x > 1)", "write 'not' for '!'"),
        ("2x <= 1", "write '2\\*…' for a product"),
        ("x 收入 > 1", "letters, digits and _ only"),
        ("x.y > 1", "letters, digits and _ only"),
        ("收入（万元） > 1", "letters, digits and _ only"),
        ("-" * 3000 + "x > 1", "more than 300 signs"),
        ("x" + " + x" * 3000 + " > 1", "more than 300 signs"),
        ("x > 1" + " and x > 1" * 3000, "more than 300 signs"),
        ("not " * 3000 + "(x > 1)", "more than 300 signs"),
    ],
)
def test_what_cannot_be_read_says_where(expression: str, said: str) -> None:
    with pytest.raises(EditError, match=said):
        Edit("e", expression)


def test_precedence_and_names() -> None:
    assert parse("1 + 2 * -a - b / 2") == parse("((1 + (2 * (-a))) - (b / 2))")
    assert parse("a > 1 or b > 1 and c > 1") == parse("a > 1 or (b > 1 and c > 1)")
    assert names(parse("min + max(营业收入, x1) <= min")) == ("min", "营业收入", "x1")
    assert parse("a ≤ 2") == parse("a <= 2") and parse("a = 2") == parse("a == 2")


@given(st.text(max_size=30))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_text_is_read_or_refused_never_else(text: str) -> None:
    try:
        parse(text)
    except EditError:
        return


def test_edit_check_runs_on_edits_as_data(tmp_path: Path) -> None:
    (tmp_path / "edits.csv").write_text(
        "id,expression,severity,source,tolerance\nbalance,a + b = c,,表式,1\nshare,a <= 0.5 * c,soft,分析,\n",
        encoding="utf-8",
    )
    answer = run(
        tmp_path, "edit_check", "id,a,b,c,name\nu1,1,2,4,x\nu2,3,2,9,y\nu3,,1,2,z\n", edits=str(tmp_path / "edits.csv")
    )
    assert [(r["id"], r["edit"], r["severity"], r["outcome"]) for r in answer["rows"]] == [
        ("u2", "balance", "hard", "failed"),
        ("u3", "balance", "hard", "missing"),
        ("u3", "share", "soft", "missing"),
    ]
    assert answer["rows"][0]["variables"] == "a b c" and answer["rows"][0]["source"] == "表式"
    assert answer["result"] == {
        "records": 3, "records_failing_hard": 1, "failed_hard": 1, "failed_soft": 0, "not_judged": 2,
        "failed_by_edit": {"balance": 1, "share": 0},
    }  # fmt: skip


def test_codes_of_digits_are_compared_as_texts(tmp_path: Path) -> None:
    """All of a column's codes being digits, 0110 was read as the number 110.0, and every record failed."""
    (tmp_path / "edits.csv").write_text("id,expression\ncode,code = '0110' or 面积 > 5\n", encoding="utf-8")
    answer = run(
        tmp_path, "edit_check", "id,code,面积\nu,0110,1\nv,0111,1\nw,0111,9\nx,,1\n", edits=str(tmp_path / "edits.csv")
    )
    assert [(r["id"], r["outcome"]) for r in answer["rows"]] == [("v", "failed"), ("x", "missing")]


def test_edit_check_runs_where_every_variable_is_a_text() -> None:
    edits = pl.DataFrame({"id": ["e"], "expression": ["code = '0110'"]})
    for codes, failed in ((["0110"], 0), (["110"], 1)):
        found = run_table(table_methods()["edit_check"], pl.DataFrame({"id": ["u"], "code": codes}), {"edits": edits})
        assert found.result["failed_hard"] == failed


def test_edit_check_counts_records_that_can_be_told_apart() -> None:
    edits = pl.DataFrame({"id": ["e"], "expression": ["a > 10"]})
    with pytest.raises(BadInput, match="id u is there 2 times"):
        run_table(table_methods()["edit_check"], pl.DataFrame({"id": ["u", "u"], "a": ["1", "2"]}), {"edits": edits})


def test_texts_where_numbers_are_expected_are_told() -> None:
    for expression in ("name >= 2", "name + a = 3", "abs(name) < 1"):
        with pytest.raises(EditError, match="edit e: name holds texts"):
            verdicts(expression, a=[1.0], name=["x"])


def test_lines_with_and_without_identifier() -> None:
    found = edits_from_lines(["# 注释", "", "balance: T = C + P;", "  P <= 0.5*T ; "])
    assert [(e.id, e.expression, e.severity) for e in found] == [
        ("balance", "T = C + P", "hard"),
        ("e2", "P <= 0.5*T", "hard"),
    ]


def test_full_width_signs_and_comments_are_read() -> None:
    assert parse("（a ＋ 2×b）／4 ＜＝ c") == parse("(a + 2*b)/4 <= c") and parse("a ！= 1") == parse("a != 1")
    assert parse("a = '（＃）' # 说明") == parse("a = '（＃）'")
    found = edits_from_lines(["平衡：a ＋ b ＝ c；", "b >= 0  # note: never below"])
    assert [(e.id, e.expression) for e in found] == [("平衡", "a + b = c"), ("e2", "b >= 0")]


def test_long_sums_and_doubled_signs_are_read() -> None:
    parts = [f"x{i}" for i in range(290)]
    table = pl.DataFrame({"id": [1, 2], **{p: [1.0, 1.0] for p in parts}, "total": [290.0, 291.0]})
    edit = Edit("e", f"{' + '.join(parts)} = total")
    assert check_edits(table, [edit], ["id"])["id"].to_list() == [2]
    assert len(linear_edits([edit])[0].coefficients) == 291
    assert parse("--a > - + -1") == parse("a > 1") and parse("not not a > 1") == parse("a > 1")
    assert parse("- - -a > 1") == parse("-a > 1") and parse("not not not a > 1") == parse("not a > 1")


def test_edits_that_cannot_be_are_refused() -> None:
    with pytest.raises(EditError, match="twice"):
        edits_from_lines(["e: a > 1", "e: b > 1"])
    with pytest.raises(EditError, match="no edit"):
        edits_from_lines(["# only a comment"])
    with pytest.raises(EditError, match="not hard or soft"):
        Edit("e", "a > 1", "hart")  # type: ignore[arg-type]
    with pytest.raises(EditError, match="column expression"):
        edits_from_table(pl.DataFrame({"id": ["a"]}))
    with pytest.raises(BadInput, match="column 'Severity' is not known; 'severity' is"):
        edits_from_table(pl.DataFrame({"id": ["a"], "expression": ["x > 0"], "Severity": ["soft"]}))
    with pytest.raises(EditError, match="column b"):
        check_edits(pl.DataFrame({"a": [1]}), [Edit("e", "a > b")], ["a"])


@pytest.mark.parametrize("source", ["finance_annual", "labour_annual", "ai_survey_annual"])
def test_edits_of_our_sources_read_columns_of_their_contract(source: str) -> None:
    edits, contract = load_edits(source), load_contract(source)
    assert len(edits) > len(contract_edits(contract)) > 0
    assert {"hard", "soft"} == {e.severity for e in edits} and all(e.source for e in edits)
    assert set().union(*(e.variables for e in edits)) <= set(contract.identifiers)


def test_edits_of_a_contract_mean_what_its_rules_mean() -> None:
    rows = pl.DataFrame(
        {
            "uscc": ["a", "b", "c"], "main_revenue_cny": [10_000.0, 10_000.0, 10_000.0],
            "ai_revenue_cny": [5_000.0, 9_000.0, 11_500.0], "ai_revenue_hardware_cny": [5_900.0, 2_000.0, 11_500.0],
            "ai_revenue_software_cny": [0.0, 0.0, 0.0], "ai_revenue_application_cny": [0.0, 0.0, 0.0],
            "ai_revenue_integration_cny": [0.0, 0.0, 0.0], "share_basis": ["1", "2", "9"],
            "ai_rd_expenditure_cny": [1.0, -1.0, None], "ai_employed_persons": [3, 3, 3],
        }
    )  # fmt: skip
    blank = [c.to for c in load_contract("ai_survey_annual").columns if c.optional]
    rows = rows.with_columns(pl.lit(None, dtype=pl.Float64).alias(c) for c in blank).with_columns(
        domain_r391_cny=pl.Series([5_000.0, 8_000.0, None]), domain_r392_cny=pl.Series([1_500.0, 2_000.0, None])
    )
    rows = rows.with_columns(pl.col(blank[2:]).fill_null(0.0))
    failed = check_edits(rows, load_edits("ai_survey_annual"), ["uscc"]).filter(outcome="failed", severity="hard")
    assert list(zip(failed["uscc"], failed["edit"], strict=True)) == [
        ("a", "domains_within_ai_revenue"),
        ("b", "range_ai_rd_expenditure_cny"),
        ("b", "branches_sum_to_ai_revenue"),
        ("c", "codes_share_basis"),
        ("c", "ai_revenue_within_main_revenue"),
    ]
    with pytest.raises(ContractError, match="no source"):
        load_edits("nowhere")


# --- outliers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a,1,1\nb,2,1\na,3,1\nc,1,1\n", "outlier_hb: id a is there 2 times"),
        ("a,1e308,1e-308\nb,2,1\nc,1,1\n", "pair 1, 1e+308 after 1e-308: the change is too large"),
        ("a,1e308,1e300\nb,2,1\nc,1,1\n", "pair 1, 1e+308 after 1e+300: the change is too large"),
    ],
)
def test_hidiroglou_berthelot_refuses_units_twice_and_changes_past_computing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder, rows: str, said: str
) -> None:
    (tmp_path / "in.csv").write_text(f"id,current,previous\n{rows}", encoding="utf-8")
    call = ["method", "run", "outlier_hb", "--input", str(tmp_path / "in.csv"), "-o", str(tmp_path / "o.json")]
    assert main([*call, "--param", "u=1"]) == 2
    assert said in capfd.readouterr().err and not recwarn.list


@pytest.mark.parametrize("case", range(4))
def test_hidiroglou_berthelot_gives_what_banff_gives(case: int) -> None:
    pairs = pl.read_csv(GOLDEN / "pairs.csv").filter(case=case)
    banff = pl.read_csv(GOLDEN / "banff.csv").filter(case=case).row(0, named=True)
    found = hidiroglou_berthelot(
        pairs["current"].to_numpy(), pairs["previous"].to_numpy(), u=banff["u"], a=banff["a"], c=banff["c"]
    )
    assert found.pairs == banff["used"]
    for name in ("first_quartile", "median", "third_quartile", "lower", "upper"):
        assert getattr(found, name) == pytest.approx(banff[name], rel=1e-9, abs=1e-12), name
    assert found.is_outlier.tolist() == (pairs["is_outlier"] == 1).to_list()
    reported = pairs["effect"].is_not_null().to_numpy()
    assert found.effect[reported].tolist() == pytest.approx(pairs["effect"].drop_nulls().to_list(), rel=1e-9)


def test_quartile_definitions() -> None:
    """Banff 3.1.3 answers Q1 = 2.75, 3, 3.25 for the numbers 1 to 10, 11, 12; numpy's default gives 3.25, 3.5, 3.75."""
    for n, banff, linear in ((10, 2.75, 3.25), (11, 3.0, 3.5), (12, 3.25, 3.75)):
        values = np.arange(1.0, n + 1)
        assert quartiles(values, "banff") == pytest.approx((banff, (n + 1) / 2, n + 1 - banff))
        assert quartiles(values, "linear") == pytest.approx((linear, (n + 1) / 2, n + 1 - linear))


def test_hidiroglou_berthelot_by_hand(tmp_path: Path) -> None:
    """Ratios 1, 1, 1.1, 0.9, 3 (median 1), u = 0: effects 0, 0, 0.1, 1 - 1/0.9, 2; linear quartiles 0 and 0.1."""
    text = "id,current,previous\na,100,100\nb,50,50\nc,110,100\nd,90,100\ne,300,100\nf,0,10\ng,5,\n"
    answer = run(tmp_path, "outlier_hb", text, u="0", a="0.05", c="4", quantile_method="linear")
    rows = {r["id"]: r for r in answer["rows"]}
    assert rows["d"]["effect"] == pytest.approx(1 - 1 / 0.9) and rows["e"]["effect"] == pytest.approx(2.0)
    assert [i for i, r in rows.items() if r["is_outlier"]] == ["d", "e"]  # the lower interval has no width
    assert answer["result"]["upper"] == pytest.approx(0.4) and answer["result"]["pairs"] == 5
    assert (rows["f"]["is_outlier"], rows["f"]["reason"], rows["g"]["reason"]) == (None, "not_positive", "missing")
    sized = run(tmp_path, "outlier_hb", text, u="0.5", quantile_method="linear")["rows"]
    assert sized[4]["effect"] == pytest.approx(2.0 * 300**0.5)


def test_the_quantile_method_is_one_of_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.csv").write_text("id,current,previous\na,1,1\n")
    call = ["method", "run", "outlier_hb", "--input", str(tmp_path / "in.csv"), "-o", str(tmp_path / "o.json")]
    assert main([*call, "--param", "quantile_method=tukey"]) == 2 and "banff, linear" in capsys.readouterr().err
    assert main(call) == 2 and "at least 3" in capsys.readouterr().err
    assert main([*call, "--param", "u=2"]) == 2 and "0 <= u <= 1" in capsys.readouterr().err


def test_resistant_fences(tmp_path: Path) -> None:
    """1..9 and 40: quartiles 3.25 and 7.75 (linear), inner fence 14.5, outer 21.25."""
    fences = resistant_fences(np.array([*range(1, 10), 40.0]))
    assert (fences.inner_upper, fences.outer_upper, fences.inner_lower) == (14.5, 21.25, -3.5)
    logs = resistant_fences(np.exp(np.array([*range(1, 10), 40.0])), log=True)
    assert np.log(logs.outer_upper) == pytest.approx(21.25)
    text = "id,value,group\n" + "".join(f"a{i},{i},A\n" for i in range(1, 10)) + "a10,40,A\na11,,A\nb1,5,B\n"
    answer = run(tmp_path, "outlier_fences", text)
    kinds = {r["id"]: (r["outlier"], r["side"], r["reason"]) for r in answer["rows"]}
    assert kinds["a10"] == ("extreme", "high", None) and kinds["a5"] == ("none", None, None)
    assert kinds["a11"] == (None, None, "missing") and kinds["b1"] == (None, None, "small_group")
    assert answer["result"] == {"none": 9, "mild": 0, "extreme": 1, "not_judged": 2}
    with pytest.raises(BadInput, match="inner"):
        resistant_fences(np.array([1.0]), inner=4)


def test_equal_values_are_inside_on_the_log_scale(tmp_path: Path) -> None:
    """exp(log(3)) is more than 3, so that six threes were six outliers."""
    text = "id,value\n" + "".join(f"a{i},3\n" for i in range(6))
    for log in ("0", "1"):
        assert run(tmp_path, "outlier_fences", text, log=log)["result"]["none"] == 6
    answer = run(tmp_path, "outlier_fences", text + "b,4\n", log="1")
    assert (answer["rows"][6]["outlier"], answer["rows"][6]["side"]) == ("extreme", "high")


def test_fences_refuse_a_unit_twice_in_its_group(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": ["a", "a", "b"], "value": ["1", "2", "3"], "group": ["x", "x", "y"]})
    with pytest.raises(BadInput, match="group x, id a is there 2 times"):
        run_table(table_methods()["outlier_fences"], frame, {})
    once = frame.with_columns(group=pl.Series(["x", "y", "y"]))
    assert run_table(table_methods()["outlier_fences"], once, {}).result["not_judged"] == 3


# --- errors of unit ------------------------------------------------------------------------------------------------


def test_thousand_pound_example_of_the_ons(tmp_path: Path) -> None:
    """ONS Statistical Methods Library, Thousand Pound Correction, user notes: 50,000,000 against 60,000 → 50,000."""
    text = "id,current,previous,auxiliary,q101,q102,q103,q104\n12340000001-201409-q100,50000000,60000,30000,500,1000,1500,\n"
    answer = run(tmp_path, "thousand_error", text, targets="q101,q102,q103,q104")
    row = answer["rows"][0]
    assert (row["marker"], row["value"], row["factor"], row["original"]) == ("C", 50_000.0, 1000.0, 50_000_000.0)
    assert row["ratio"] == pytest.approx(833.333, abs=1e-3)
    assert [row[f"q10{k}"] for k in (1, 2, 3, 4)] == [0.5, 1.0, 1.5, None]


def test_unit_errors_of_every_kind() -> None:
    current = np.array([350_000, 1_350_000, 351_000, 12_000, 0.9, 1000.0, np.nan, 5.0, 1.0])
    before = np.array([1_000, 1_000, 1_000, 1_000, 1_000, 1_000.0, 1.0, 0.0, 1000.0])
    found = unit_errors(current, before, np.array([*[np.nan] * 7, 0.006, np.nan]), factors=[1000, 10, 0.001])
    assert found.marker.tolist() == ["N", "N", "C", "C", "C", "N", "S", "C", "C"]
    assert found.factor.tolist() == [1, 1, 1000, 10, 0.001, 1, 1, 1000, 0.001]
    assert found.corrected[2:5].tolist() == pytest.approx([351, 1200, 900]) and found.ratio[7] == pytest.approx(
        5 / 0.006
    )


@pytest.mark.parametrize("name", ["value", "ratio", "id"])
def test_targets_never_take_the_place_of_a_result(name: str) -> None:
    frame = pl.DataFrame({"id": ["u"], "current": ["50000"], "previous": ["50"], "value": ["7000"], "ratio": ["1"]})
    with pytest.raises(BadInput, match=f"targets names {name}, which is a column of the result"):
        run_table(table_methods()["thousand_error"], frame, {"targets": name})


@pytest.mark.parametrize(
    "options", [{"factors": [2]}, {"factors": [0]}, {"factors": []}, {"lower": 1.2}, {"factors": [1000, 1500]}]
)
def test_ambiguous_factors_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="thousand_error"):
        unit_errors(np.array([1.0]), np.array([1.0]), **options)


# --- correction ----------------------------------------------------------------------------------------------------

TOTALS = [
    (
        1,
        1689,
        [632, 732, 101, 165],
        False,
        1689,
        28,
        0.1,
        "C",
        1689,
        [654.8760735, 758.4957055, 104.6558282, 170.9723927],
    ),
    (2, 0, [7, 0, 2, 2], True, 0, 11, None, "T", 11, [7, 0, 2, 2]),
    (3, 11, [0, 0, 0, 0], False, 11, 11, None, "S", 11, [0, 0, 0, 0]),
    (4, 10811, [9201, 866, 632, 112], True, 10811, None, 0.1, "N", 10811, [9201, 866, 632, 112]),
    (5, 12492, [9201, 866, 632, 112], True, 12492, None, 0.1, "M", 12492, [9201, 866, 632, 112]),
]


@pytest.mark.parametrize("case", TOTALS, ids=lambda c: str(c[0]))
def test_totals_and_components_of_the_ons(case: tuple[Any, ...]) -> None:
    """ONS Statistical Methods Library, Totals and Components, user notes: the five records of the example."""
    _, total, parts, amend, predictive, absolute, percentage, marker, final, corrected = case
    found = totals_and_components(
        total, parts, amend_total=amend, predictive=predictive, absolute=absolute, percentage=percentage
    )
    assert (found.marker, found.total) == (marker, final)
    assert found.components == pytest.approx(corrected, abs=1e-6)


@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=6).filter(any),
    st.integers(1, 50_000),
    st.integers(0, 2),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_prorated_and_rounded_parts_add_up(parts: list[int], total: int, decimals: int) -> None:
    moved = prorate(np.array(parts, dtype=float), float(total), decimals=decimals)
    assert moved.sum() == pytest.approx(total, abs=1e-6)
    assert np.allclose(moved * 10**decimals, np.round(moved * 10**decimals), atol=1e-6)
    assert (np.abs(moved - np.array(parts) * total / sum(parts)) <= 10.0**-decimals + 1e-6).all()


def test_prorating_by_weights_and_what_cannot_be_moved() -> None:
    trusted = prorate(np.array([40.0, 40.0, np.nan]), 100.0, weights=np.array([0.0, 1.0, 1.0]))
    assert trusted[:2].tolist() == [40.0, 60.0] and np.isnan(trusted[2])
    with pytest.raises(BadInput, match="no component"):
        prorate(np.array([0.0, 0.0]), 5.0)
    with pytest.raises(BadInput, match="sign"):
        prorate(np.array([10.0, 1.0]), 0.5, weights=np.array([0.0, 1.0]))


def test_prorate_runs(tmp_path: Path) -> None:
    text = "id,total,a,b,c\nu1,100,33,33,33\nu2,100,50,50,\nu3,100,1,1,1\n"
    answer = run(tmp_path, "prorate", text, components="a,b,c", percentage="0.05", decimals="0")
    first = answer["rows"][0]
    assert first["marker"] == "C" and first["a"] + first["b"] + first["c"] == 100 and first["difference"] == 1
    assert answer["rows"][1]["marker"] == "N" and answer["rows"][1]["c"] is None
    assert answer["result"] == {"C": 1, "T": 0, "N": 1, "M": 1, "S": 0}


@pytest.mark.parametrize(
    ("total", "parts", "options", "marker", "final"),
    [
        (1625, [632, 732, 99, 162], {"amend_total": True, "absolute": 11}, "N", 1625),
        (10817, [9201, 866, 632, 112], {"amend_total": True, "absolute": 11}, "T", 10811),
        (90, [90, 0, 4, 6], {"amend_total": False, "percentage": 0.1}, "C", 90),
        (1964, [632, 732, 99, 162], {"amend_total": True, "absolute": 25, "percentage": 0.1}, "M", 1964),
        (306, [240, 0, 30, 10], {"amend_total": True, "absolute": 25, "percentage": 0.1}, "T", 280),
        (11, [0, 0, 0, 0], {"amend_total": True, "absolute": 11}, "S", 11),
        (100, [50, 50], {"amend_total": False, "absolute": 11, "predictive": 300}, "N", 100),
    ],
)
def test_totals_and_components_test_data_of_the_ons(
    total: float, parts: list[float], options: dict[str, Any], marker: str, final: float
) -> None:
    """ONSdigital/sml-python-small, example_test_data, A to F; a total that is the sum is N whatever is predicted."""
    found = totals_and_components(total, parts, **{"predictive": total, **options})
    assert (found.marker, found.total) == (marker, final)
    assert found.components == pytest.approx([81, 0, 3.6, 5.4] if marker == "C" else parts)


def test_ten_milliards_are_prorated_to_the_yuan(tmp_path: Path) -> None:
    text = "id,total,a,b\nu,10000000000,5000000005,5000000000\n"
    row = run(tmp_path, "prorate", text, components="a,b", percentage="0.1", decimals="0")["rows"][0]
    assert row["marker"] == "C" and row["a"] + row["b"] == 10_000_000_000
    assert prorate(np.array([1.25, 2.75]), 4.0, decimals=0).tolist() == [1.0, 3.0]


@pytest.mark.parametrize("amend", ["0", "1"])
def test_sums_are_decimal_and_a_missing_part_is_not_zero(tmp_path: Path, amend: str) -> None:
    text = "id,total,a,b\n" + "u,10,10,\n" * 101 + "v,0.3,0.1,0.2\nw,100,95,\nx,1,0.9,0\n"
    answer = run(tmp_path, "prorate", text, components="a,b", absolute="0.1", percentage="0.06", amend_total=amend)
    assert [r["marker"] for r in answer["rows"][-3:]] == ["N", "M", "T" if amend == "1" else "C"]
    assert (answer["rows"][-2]["total"], answer["rows"][-2]["a"], answer["rows"][-2]["b"]) == (100, 95, None)


def test_one_part_that_would_change_its_sign_does_not_stop_the_others(tmp_path: Path) -> None:
    text = "id,total,a,b\nu,300,100,-90\nv,100,50,49\n"
    answer = run(tmp_path, "prorate", text, components="a,b", absolute="500")
    assert [r["marker"] for r in answer["rows"]] == ["M", "C"] and answer["rows"][0]["b"] == -90


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"components": "a,a", "absolute": "1"}, "a, which stands there twice"),
        ({"components": "a,total", "absolute": "1"}, "total, which is no component"),
        ({"components": "a,difference", "absolute": "1"}, "difference, which is no component"),
        ({"components": "a,b", "percentage": "10"}, "percentage=10 is 1000%"),
        ({"components": "a,b", "absolute": "9", "decimals": "0"}, "give more decimals or correct the total (id u)"),
    ],
)
def test_what_cannot_be_prorated_is_refused(options: dict[str, str], said: str) -> None:
    frame = pl.DataFrame({"id": ["u"], "total": ["100.5"], "a": ["50"], "b": ["48"], "difference": ["1"]})
    with pytest.raises(BadInput, match=re.escape(said)):
        run_table(table_methods()["prorate"], frame, options)


def test_missing_values_that_follow_from_equalities() -> None:
    edits = linear_edits(edits_from_lines(["a + b = c", "c - d = e", "b >= 0"]))
    record: dict[str, float | None] = {"a": 3.0, "b": 4.0, "c": None, "d": 1.0, "e": None}
    assert deterministic_values(record, edits) == {"c": 7.0, "e": 6.0}
    assert deterministic_values({"a": 9.0, "b": None, "c": 4.0}, edits) == {}  # b would be negative
    assert deterministic_values({"a": None, "b": None, "c": 4.0}, edits) == {}


# --- selective editing ---------------------------------------------------------------------------------------------

ONS_SELECTIVE = """id,value,predicted,auxiliary_predicted,design_weight,total
49900001,800,,424,20,800000
49900002,656,390,259,20,800000
49900003,997,773,912,20,800000
49900004,676,,334,20,800000
49900005,632,871,684,20,800000
49900006,985,345,312,20,800000
49900007,468,963,773,20,800000
49900008,772,733,833,20,800000
49900009,621,673,898,20,800000
49900010,736,377,646,20,800000
"""


def test_selective_editing_example_of_the_ons(tmp_path: Path) -> None:
    """ONS Statistical Methods Library, Selective Editing, user notes: ten respondents, threshold 0.6."""
    answer = run(tmp_path, "selective_editing", ONS_SELECTIVE, threshold="0.6")
    scores = {r["id"]: r["score"] for r in answer["rows"]}
    expected = [0.94, 0.665, 0.56, 0.855, 0.5975, 1.6, 1.2375, 0.0975, 0.13, 0.8975]
    assert [scores[f"499000{k:02d}"] for k in range(1, 11)] == pytest.approx(expected)
    passed = {r["id"] for r in answer["rows"] if not r["needs_review"]}
    assert passed == {"49900003", "49900005", "49900008", "49900009"}
    assert answer["rows"][0]["id"] == "49900006" and answer["rows"][0]["rank"] == 1
    basis = {r["id"]: r["basis"] for r in answer["rows"]}
    assert basis["49900001"] == basis["49900004"] == "auxiliary" and basis["49900002"] == "predicted"


def test_scores_of_several_questions_and_of_none(tmp_path: Path) -> None:
    scores, weights = np.array([0.3, 0.4, np.nan]), np.array([1.0, 3.0, 1.0])
    assert combine_scores(scores, weights) == 0.4 and combine_scores(scores, weights, "mean") == pytest.approx(0.35)
    assert combine_scores(scores, weights, "weighted") == pytest.approx(0.375)
    assert combine_scores(scores, weights, "minkowski", 2) == pytest.approx(0.5)
    assert np.isnan(selective_score(*(np.array([x]) for x in (1.0, 2.0, 1.0, 0.0)))[0])
    text = "id,value,predicted,design_weight,total\na,5,,1,100\nb,5,4,1,100\n"
    answer = run(tmp_path, "selective_editing", text, threshold="2")
    first = answer["rows"][0]
    assert (first["id"], first["score"], first["needs_review"]) == ("a", None, True)
    assert answer["result"] == {"records": 2, "to_review": 1, "not_scored": 1, "score_left_unreviewed": 1.0}


def test_a_record_with_a_question_that_cannot_be_scored_is_reviewed(tmp_path: Path) -> None:
    """A question left empty was left out, and its record passed on the score of the others."""
    text = "id,question,value,predicted,design_weight,total\na,x,10,10,1,100\na,y,,10,1,100\nb,x,10,9.9,1,100\n"
    answer = run(tmp_path, "selective_editing", text, threshold="1")
    assert next((r["id"], r["score"], r["needs_review"]) for r in answer["rows"]) == ("a", None, True)
    assert answer["result"]["not_scored"] == 1 and answer["result"]["to_review"] == 1
    assert combine_scores(np.array([300.0, 400.0]), np.ones(2), "minkowski", 400) == pytest.approx(400)
    assert combine_scores(np.zeros(2), np.ones(2), "minkowski") == 0


@pytest.mark.parametrize(
    ("column", "cells", "said"),
    [
        ("design_weight", ["1", "-1"], "line 3, id a, design_weight -1.0: 0 or more is expected"),
        ("question_weight", ["-1", "1"], "line 2, id a, question_weight -1.0: 0 or more is expected"),
        ("question", ["x", "x"], "id a, question x is there 2 times"),
    ],
)
def test_what_cannot_be_scored_is_refused(column: str, cells: list[str], said: str) -> None:
    columns = {"id": ["a", "a"], "question": ["x", "y"], "value": ["1", "5000"], "predicted": ["1", "1"]}
    frame = pl.DataFrame({**columns, "design_weight": ["1", "1"], "total": ["9", "9"], column: cells})
    with pytest.raises(BadInput, match=said):
        run_table(table_methods()["selective_editing"], frame, {"threshold": "1"})
