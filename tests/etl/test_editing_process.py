"""Donors, carried values and the whole pass: each change keeps its original, its rule and its flag; nothing else moves."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aistat.cli import main
from etl.contract import load_contract
from etl.edits import load_edits
from etl.methods.editing.change import SCHEMA
from etl.methods.editing.expressions import EditError
from etl.methods.editing.linear import linear_edits
from etl.methods.editing.process import EditPlan, UnitCheck, edit_and_impute
from etl.methods.editing.rules import Edit, balance_edit, check_edits, edits_from_lines, ratio_edit
from etl.methods.editing.summary import editing_summary
from etl.methods.imputation.carry import carry_forward
from etl.methods.imputation.donor import impute_donor
from etl.methods.tabular import BadInput, run_table, table_methods

NAN = float("nan")


def test_the_nearest_by_the_largest_difference_of_ranks_gives() -> None:
    """Ranks over n+1 of four rows: recipient (2, 3); donors (1, 1), (3, 2), (4, 4) → the second, at 1/5."""
    match = np.array([[1.0, 10.0], [5.0, 30.0], [6.0, 20.0], [100.0, 900.0]])
    targets = np.array([[1.0], [NAN], [3.0], [4.0]])
    found = impute_donor(targets, match)
    assert found.donor.tolist() == [-1, 2, -1, -1] and found.values[1, 0] == 3.0
    assert found.distance[1] == pytest.approx(0.2)
    raw = impute_donor(targets, match, scale="none")
    assert raw.donor[1] == 2 and raw.distance[1] == 10.0


def test_a_donor_must_leave_a_record_that_passes_and_may_be_used_so_often() -> None:
    edits = linear_edits(edits_from_lines(["a + b <= 10"]))
    match = np.array([[0.0], [1.0], [2.0], [3.0], [0.1]])
    targets = np.array([[8.0, NAN], [1.0, 9.0], [5.0, 4.0], [2.0, 1.0], [6.0, NAN]])
    found = impute_donor(targets, match, scale="none", passes=edits, names=["a", "b"])
    assert found.donor.tolist() == [3, -1, -1, -1, 2] and found.tried.tolist() == [3, 0, 0, 0, 2]
    once = impute_donor(targets, match, scale="none", most_uses=1)
    assert once.donor.tolist() == [1, -1, -1, -1, 2]
    tired = impute_donor(targets, match, scale="none", passes=edits, names=["a", "b"], most_tried=2)
    assert tired.donor[0] == -1 and np.isnan(tired.values[0, 1])


def test_donors_agree_with_a_search_of_every_pair() -> None:
    generator = np.random.default_rng(5)
    match = generator.integers(0, 6, (120, 2)).astype(float)
    targets = generator.normal(size=(120, 1))
    targets[::4] = NAN
    found = impute_donor(targets, match, scale="none")
    donors = np.flatnonzero(~np.isnan(targets[:, 0]))
    for i in range(0, 120, 4):
        distance = np.abs(match[donors] - match[i]).max(axis=1)
        assert found.donor[i] == donors[distance.argmin()] and found.distance[i] == distance.min()


def test_donors_as_near_by_ranks_are_taken_in_order() -> None:
    """2/11 - 1/11 is not 3/11 - 2/11 in binary: of two donors as near the second was taken. Ranks compared as fractions."""
    number = np.arange(1.0, 11.0)
    targets = np.where(np.isin(number, [2, 6, 9]), np.nan, number)[:, None]
    found = impute_donor(targets, number[:, None])
    assert found.donor[[1, 5, 8]].tolist() == [0, 4, 7] and found.distance[[1, 5, 8]] == pytest.approx(1 / 11)


@pytest.mark.parametrize(
    ("ids", "options", "said"),
    [
        (["a", "b"], {"targets": "y,y", "match": "x"}, "targets names y twice"),
        (["a", "b"], {"targets": "y", "match": "x,x"}, "match names x twice"),
        (["a", "a"], {"targets": "y", "match": "x"}, "id a is there 2 times"),
    ],
)
def test_donors_that_cannot_be_told_apart_are_refused(ids: list[str], options: dict[str, str], said: str) -> None:
    frame = pl.DataFrame({"id": ids, "x": ["1", "2"], "y": ["1", None]})
    with pytest.raises(BadInput, match=said):
        run_table(table_methods()["impute_donor"], frame, options)


@pytest.mark.parametrize("name", ["most", "periodicity"])
def test_nothing_is_carried_by_steps_of_zero(name: str) -> None:
    frame = pl.DataFrame({"unit": ["a"], "period": ["202401"], "value": ["1"]})
    with pytest.raises(BadInput, match=f"impute_carry: parameter {name}: 0 is below 1"):
        run_table(table_methods()["impute_carry"], frame, {name: "0"})


def test_impute_donor_runs_within_cells(tmp_path: Path) -> None:
    text = "id,cell,x,y\na,1,10,100\nb,1,20,200\nc,1,19,\nd,2,19,900\ne,2,,\n"
    (tmp_path / "in.csv").write_text(text)
    out = tmp_path / "o.json"
    call = ["method", "run", "impute_donor", "--input", str(tmp_path / "in.csv"), "-o", str(out)]
    assert main([*call, "--param", "targets=y", "--param", "match=x", "--param", "scale=none"]) == 0
    answer = json.loads(out.read_text())
    assert [(r["id"], r["value"], r["donor"]) for r in answer["rows"]] == [("c", 200.0, "b"), ("e", None, None)]
    assert answer["result"] == {"values_missing": 2, "imputed": 1, "donors_used": 1}


def test_carried_values_have_an_age_and_an_end(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {
            "unit": ["a"] * 5 + ["b"],
            "period": ["202403", "202401", "202402", "202405", "202412", "202401"],
            "value": [None, "C3912", None, None, None, None],
        }
    )
    found = carry_forward(table, most=3)
    assert found["value"].to_list() == ["C3912", "C3912", "C3912", None, None, None]
    assert found["marker"].to_list() == ["cf", "r", "cf", None, None, None]
    assert found["age"].to_list() == [2, 0, 1, None, None, None]
    with pytest.raises(BadInput, match="twice"):
        carry_forward(pl.concat([table, table.head(1)]))
    (tmp_path / "in.csv").write_text("unit,period,value\na,2023,5\na,2024,\n")
    out = tmp_path / "o.json"
    call = ["method", "run", "impute_carry", "--input", str(tmp_path / "in.csv"), "-o", str(out)]
    assert main([*call, "--param", "periodicity=12"]) == 0
    assert json.loads(out.read_text())["result"] == {"returned": 1, "carried": 1, "missing": 0}


def survey(size: int = 60) -> pl.DataFrame:
    """AI-business returns (invented): branches add up, revenue within main revenue, persons grow with revenue."""
    generator = np.random.default_rng(11)
    main_revenue = generator.integers(2_000, 90_000, size) * 1000
    parts = {b: (main_revenue * s).astype(int) // 1000 * 1000 for b, s in (("hardware", 0.2), ("software", 0.3))}
    parts |= {
        b: (main_revenue * s).astype(int) // 1000 * 1000 for b, s in (("application", 0.1), ("integration", 0.05))
    }
    money = {f"ai_revenue_{b}_cny": p for b, p in parts.items()}
    money |= {"main_revenue_cny": main_revenue, "ai_revenue_cny": sum(parts.values())}
    money["ai_rd_expenditure_cny"] = main_revenue // 10
    columns = load_contract("ai_survey_annual").columns
    return pl.DataFrame({"uscc": [f"U{k:02d}" for k in range(size)], **money}).with_columns(
        pl.col("^.*_cny$").cast(pl.Decimal(18, 2)),
        *(pl.lit(None, dtype=pl.Decimal(18, 2)).alias(c.to) for c in columns if c.optional),
        share_basis=pl.lit("1"),
        ai_employed_persons=pl.Series(main_revenue // 500_000 + 1),
        previous=pl.Series(main_revenue * generator.normal(1.0, 0.08, size)),
    )


def put(frame: pl.DataFrame, unit: str, column: str, value: object) -> pl.DataFrame:
    dtype = frame.schema[column]
    there = pl.col("uscc") == unit
    return frame.with_columns(pl.when(there).then(pl.lit(value, dtype=dtype)).otherwise(column).alias(column))


def test_injected_faults_are_found_changed_and_explained() -> None:
    truth = survey()
    row = {r["uscc"]: r for r in truth.iter_rows(named=True)}
    faulty = put(truth, "U03", "main_revenue_cny", row["U03"]["main_revenue_cny"] * 1000)
    faulty = put(faulty, "U05", "ai_revenue_software_cny", None)
    faulty = put(faulty, "U07", "ai_revenue_cny", row["U07"]["ai_revenue_cny"] * 10)
    faulty = put(faulty, "U09", "ai_employed_persons", -4)
    plan = EditPlan((UnitCheck("main_revenue_cny", "previous"),), match=("main_revenue_cny",))
    found = edit_and_impute(faulty, load_edits("ai_survey_annual"), plan, key="uscc")
    changes = {(c["record"], c["variable"]): c for c in found.changes.iter_rows(named=True)}
    assert set(changes) == {
        ("U03", "main_revenue_cny"), ("U05", "ai_revenue_software_cny"), ("U07", "ai_revenue_cny"),
        ("U09", "ai_employed_persons"),
    }  # fmt: skip
    assert {k[0]: (c["rule"], c["flag"]) for k, c in changes.items()} == {
        "U03": ("unit_error", "corrected"), "U05": ("missing", "corrected"), "U07": ("localised", "corrected"),
        "U09": ("localised", "imputed"),
    }  # fmt: skip
    assert changes["U05", "ai_revenue_software_cny"]["original"] is None
    assert (
        changes["U09", "ai_employed_persons"]["original"] == -4.0
        and "donor U" in changes["U09", "ai_employed_persons"]["detail"]
    )
    assert found.values.schema == faulty.schema and found.changes.schema == pl.Schema(SCHEMA)
    unchanged = [c for c in truth.columns if c != "ai_employed_persons"]
    assert found.values.select(unchanged).equals(truth.select(unchanged))
    assert found.values["ai_employed_persons"].to_list().count(-4) == 0
    hard = found.failures.filter(severity="hard").filter(pl.col("edit") != "domains_within_ai_revenue")  # not answered
    counts = hard.group_by("uscc", "stage").len().sort("uscc")
    assert counts.rows() == [("U05", "before", 2), ("U07", "before", 2), ("U09", "before", 1)]  # none after


def test_rows_and_what_nothing_is_wrong_with_stay_as_they_are() -> None:
    truth = survey(20)
    found = edit_and_impute(truth, load_edits("ai_survey_annual"), key="uscc")
    assert found.values.equals(truth) and found.changes.is_empty()


def test_without_a_donor_a_localised_value_is_set_missing_not_invented() -> None:
    frame = pl.DataFrame({"id": ["a", "b"], "x": [-5.0, 2.0], "y": [1, 2]})
    found = edit_and_impute(frame, [Edit("range", "x >= 0")], key="id")
    assert found.values["x"].to_list() == [None, 2.0]
    assert found.changes.row(0, named=True) == {
        "record": "a", "variable": "x", "original": -5.0, "value": None, "rule": "localised", "flag": "set_missing", "detail": "",
    }  # fmt: skip
    assert found.failures["outcome"].to_list() == ["failed", "missing"]


def test_donated_values_are_moved_to_satisfy_the_edits() -> None:
    frame = pl.DataFrame(
        {
            "id": list("abcd"),
            "total": [100.0, 80.0, 60.0, 90.0],
            "p": [60.0, 50.0, 30.0, None],
            "q": [40.0, 30.0, 30.0, None],
        }
    )
    edits = [Edit("sum", "p + q = total"), Edit("p0", "p >= 0"), Edit("q0", "q >= 0")]
    found = edit_and_impute(frame, edits, EditPlan(match=("total",)), key="id")
    last = found.values.row(3, named=True)
    assert last["p"] + last["q"] == pytest.approx(90.0) and set(found.changes["flag"]) == {"imputed"}
    assert check_edits(found.values, edits, ["id"]).is_empty()


def test_the_summary_shows_rates_and_the_effect_on_totals() -> None:
    """x: 10, 3000 (a thousand-fold 3), -1 (localised), missing (follows from y) → 10, 3, missing, 7."""
    frame = pl.DataFrame(
        {
            "id": list("abcd"),
            "x": [10.0, 3000.0, -1.0, None],
            "y": [None, None, None, 7.0],
            "before": [9.0, 3.1, 1.0, 6.0],
            "w": [2.0, 1, 1, 3],
        }
    )
    edits = [Edit("range", "x >= 0"), Edit("same", "x = y")]
    found = edit_and_impute(frame, edits, EditPlan((UnitCheck("x", "before"),)), key="id")
    assert found.values["x"].to_list() == [10.0, 3.0, None, 7.0]
    row = editing_summary(frame, found, ["x"], "w").row(0, named=True)
    assert (row["records"], row["returned"], row["corrected"], row["imputed"], row["set_missing"]) == (4, 3, 2, 0, 1)
    assert (row["editing_rate"], row["imputation_rate"]) == (2 / 3, 1 / 4)
    assert (row["total_before"], row["total_after"]) == (20 + 3000 - 1, 20 + 3 + 21)
    assert row["effect"] == pytest.approx(44 / 3019 - 1)


def test_soft_and_not_linear_edits_change_nothing() -> None:
    frame = pl.DataFrame({"id": ["a"], "x": [5.0], "y": [1.0]})
    edits = [Edit("soft", "x <= y", "soft"), Edit("either", "x < 0 or y < 0")]
    found = edit_and_impute(frame, edits, key="id")
    assert found.changes.is_empty() and found.values.equals(frame)
    assert found.failures.filter(stage="after")["edit"].to_list() == ["soft", "either"]


def test_balance_and_ratio_edits_are_localised() -> None:
    edits = [balance_edit("b", "t", ["p", "c"]), ratio_edit("r", "c", "t", lower=0.6, upper=1.1)]
    frame = pl.DataFrame({"id": ["a"], "p": [755.0], "c": [125.0], "t": [200.0]})
    found = edit_and_impute(frame, edits, key="id")
    assert found.values["p"].to_list() == [75.0] and found.changes["rule"].to_list() == ["localised"]
    with pytest.raises(EditError, match="bound"):
        ratio_edit("r", "c", "t")


def test_types_are_kept_and_whole_numbers_stay_whole() -> None:
    frame = pl.DataFrame(
        {"id": ["a", "b"], "n": [None, 3], "m": [Decimal("10.10"), Decimal("7.30")]},
        schema_overrides={"n": pl.Int32, "m": pl.Decimal(9, 2)},
    )
    found = edit_and_impute(frame, [Edit("e", "2*n = m")], key="id")
    assert found.values.schema == frame.schema and found.values["n"].to_list()[0] == 5


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (EditPlan(match=("z",)), "column z"),
        (EditPlan((UnitCheck("x", "w"),)), "column w"),
        (EditPlan(cell="k"), "column k"),
    ],
)
def test_what_is_not_there_is_named(plan: EditPlan, said: str) -> None:
    with pytest.raises(EditError, match=said):
        edit_and_impute(pl.DataFrame({"id": ["a"], "x": [1.0]}), [Edit("e", "x >= 0")], plan, key="id")
    with pytest.raises(EditError, match="twice"):
        edit_and_impute(pl.DataFrame({"id": ["a", "a"], "x": [1.0, 1.0]}), [Edit("e", "x >= 0")], key="id")
