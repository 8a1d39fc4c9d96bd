"""What readers may see of editing: counts and effects by hand, small ones withheld, no unit anywhere."""

import polars as pl
import pytest

from etl.editing import CHANGE
from etl.editing_followup import FOLLOWUP
from etl.editing_plan import load_plan
from etl.editing_table import SCHEMA, SourceEdited, editing_table
from etl.methods.disclosure import RuleSet

LIMITS = RuleSet(min_contributors=3, p_percent=10.0)
UNITS = [f"U{i}" for i in range(6)]


def source(
    pays: list[tuple[float | None, float | None]], rules: list[str], groups: list[str | None] | None = None
) -> SourceEdited:
    """Labour returns of 2024 with payroll before and after; the first ``len(rules)`` units were changed."""
    plan = load_plan("labour_annual")
    assert plan is not None
    units = [f"U{i}" for i in range(len(pays))]

    def rows(values: list[float | None]) -> pl.DataFrame:
        persons = {v: pl.lit(10) for v in plan.variables if v != "payroll_cny"}
        frame = pl.DataFrame({"uscc": units, "ref_year": 2024, "payroll_cny": pl.Series(values, dtype=pl.Float64)})
        return frame.with_columns(**persons)

    changes = [
        {"uscc": u, "period": "2024", "variable": "payroll_cny", "original": a, "value": b, "rule": rule,
         "flag": "imputed" if a is None else "corrected", "detail": ""}
        for u, (a, b), rule in zip(units, pays, rules, strict=False)
    ]  # fmt: skip
    return SourceEdited(
        plan, rows([a for a, _ in pays]), rows([b for _, b in pays]), pl.DataFrame(changes, schema=CHANGE),
        pl.DataFrame(schema=FOLLOWUP),
        pl.DataFrame({"uscc": units, "group_uscc": groups or [None] * len(units)}, schema={"uscc": pl.String, "group_uscc": pl.String}),
    )  # fmt: skip


def value(table: pl.DataFrame, metric: str, scope: str = "") -> float | None:
    found: float | None = table.filter(metric=metric, scope=scope)["value"].item()
    return found


def test_rates_hits_and_effect_are_those_of_a_hand_count() -> None:
    pays = [(2000.0, 2.0), (3000.0, 3.0), (2500.0, 2.5), (4.0, 4.0), (None, 5.0), (6.0, 6.0), (None, 1.0), (None, 2.0)]
    table = editing_table([source(pays, ["unit_error_item"] * 3 + ["none"] * 0)], LIMITS)
    assert value(table, "returns") == 8 and value(table, "rule_units", "unit_error_item") == 3
    assert value(table, "editing_rate") == pytest.approx(3 / (4 * 8 + 5), abs=1e-5)
    assert value(table, "effect", "payroll_cny") == pytest.approx(25.5 / 7510.0 - 1, abs=1e-4)
    assert value(table, "effect", "employed_persons") == 0.0
    assert set(table["source_zh"]) == {"从业人员及工资总额年报"} and table.schema == pl.Schema(SCHEMA)
    label = table.filter(metric="rule_units")
    assert label["label_zh"].item() == "单项倍数错误" and "factor" in label["label_en"].item()


def test_few_units_or_one_that_makes_the_difference_are_withheld() -> None:
    two = editing_table(
        [source([(2000.0, 2.0), (3000.0, 3.0), (4.0, 4.0), (5.0, 5.0)], ["unit_error_item"] * 2)], LIMITS
    )
    assert value(two, "effect", "payroll_cny") is None and value(two, "rule_units", "unit_error_item") is None
    assert value(two, "editing_rate") is None
    assert two.filter(metric="effect", scope="payroll_cny")["note_en"].item() == "too few units, withheld"
    one = [(9_000_000.0, 9000.0), (3.0, 2.0), (4.0, 2.0), (5.0, 5.0)]
    assert value(editing_table([source(one, ["unit_error_item"] * 3)], LIMITS), "effect", "payroll_cny") is None, (
        "dominated"
    )
    even = [(3000.0, 3.0), (2900.0, 2.9), (3100.0, 3.1), (5.0, 5.0)]
    assert value(editing_table([source(even, ["unit_error_item"] * 3)], LIMITS), "effect", "payroll_cny") is not None
    group = editing_table([source(even, ["unit_error_item"] * 3, ["G", "G", "G", None])], LIMITS)
    assert group.filter(metric="effect").is_empty(), "two groups are fewer than the rules ask: the period is left out"


def test_one_small_count_takes_the_next_with_it() -> None:
    pays = [(2000.0 + i, 2.0) for i in range(9)]
    table = editing_table([source(pays, ["transposed_digits"] + ["unit_error_item"] * 3 + ["missing"] * 5)], LIMITS)
    counts = dict(table.filter(metric="rule_units").select("scope", "value").iter_rows())
    assert counts == {"transposed_digits": None, "unit_error_item": None, "missing": 5.0}


def test_no_unit_stands_in_the_table() -> None:
    table = editing_table([source([(2000.0, 2.0)] * 6, ["unit_error_item"] * 6)], LIMITS)
    text = table.write_csv()
    assert not any(unit in text for unit in UNITS) and table.height > 5
