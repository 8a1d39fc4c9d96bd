"""Editing of whole sources on a demo city with known truth: the floors stated beforehand, and that nothing vanishes."""

import math
import re
from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest

from etl.contract import ContractError
from etl.editing import ITEMS, Edited, edit_source, lost, with_received
from etl.editing_plan import EditingPlan, edited_sources, load_plan
from etl.edits import load_edits
from etl.link import Returns, frame_by_year, unit_year
from etl.strata import variable
from tests.benchmarks.editing_city import City, demo_city, edit_all, outcomes, settings
from tests.benchmarks.prove_editing import measure, misses

SEED = settings()["seeds"]["report"][0]


@pytest.fixture(scope="module")
def city() -> City:
    return demo_city("small", SEED)


@pytest.fixture(scope="module")
def edited(city: City) -> Mapping[str, Edited]:
    return edit_all(city.received, city.register)


@pytest.fixture(scope="module")
def result() -> Mapping[str, Any]:
    return measure("small", SEED)


def plan_of(source: str) -> EditingPlan:
    plan = load_plan(source)
    assert plan is not None
    return plan


def test_the_floors_stated_beforehand_are_reached_on_a_seed_that_was_not_tuned_on(result: Mapping[str, Any]) -> None:
    assert misses(result) == []
    assert result["recall"]["form_yuan"]["faults"] > 100 and result["imputation"]["n"] > 50, (
        "there is something to find"
    )
    before = [max(abs(e) for e in v["before"]) for k, v in result["totals_error"].items() if "revenue" in k]
    assert min(before) > 0.5, "without editing every revenue total of some period would be off by half and more"


def test_what_is_wrong_for_a_worse_method_is_said(result: Mapping[str, Any]) -> None:
    worse = {**result, "precision": 0.5, "recall": {k: {"recall": 0.1} for k in result["recall"]}}
    assert len(misses(worse)) == 1 + len(settings()["floor"]["recall"])


def test_every_fault_has_an_end_and_none_vanishes(city: City, edited: Mapping[str, Edited]) -> None:
    found = outcomes(city.faults, edited, city.received, city.quarantined)
    assert found.height == city.faults.height
    assert found.filter(outcome="vanished").is_empty()
    seen = found.filter(pl.col("kind").is_in(["broken_uscc", "duplicate_row", "text_in_number", "negative_employees"]))
    assert seen.height > 10 and set(seen["outcome"]) == {"quarantined"}
    gone = {**edited, "labour_annual": Edited(*(f.head(10) for f in vars(edited["labour_annual"]).values()))}
    assert not outcomes(city.faults, gone, city.received, city.quarantined).filter(outcome="vanished").is_empty()


def test_rows_in_are_rows_out_and_every_difference_has_its_flag(city: City, edited: Mapping[str, Edited]) -> None:
    for source, done in edited.items():
        plan, received = plan_of(source), city.received[source]
        assert done.rows.drop(ITEMS).schema == received.schema and not lost(received, done.rows, done.changes, plan)
        kept = received.with_columns(pl.col(plan.period).cast(pl.String).alias("period"))
        for change in done.changes.head(40).iter_rows(named=True):
            row = kept.filter(uscc=change["uscc"], period=change["period"]).row(0, named=True)
            original = row[change["variable"]]
            assert change["original"] == (None if original is None else float(original)), "the original value is kept"
        assert set(done.changes["flag"]) <= {"corrected", "imputed", "set_missing"}


def test_a_lost_row_or_an_unflagged_value_is_noticed(city: City, edited: Mapping[str, Edited]) -> None:
    plan, received, done = plan_of("labour_annual"), city.received["labour_annual"], edited["labour_annual"]
    assert "rows were lost" in lost(received, done.rows.slice(1), done.changes, plan)
    assert "rows were lost" in lost(received, done.rows.reverse(), done.changes, plan)
    odd = done.rows.with_columns(pl.col("employed_persons") + (pl.int_range(pl.len()) == 3).cast(pl.Int64))
    assert re.match("1 values of employed_persons .* no flag", lost(received, odd, done.changes, plan))


def test_true_returns_are_left_as_they_are(city: City) -> None:
    """Of some 40,000 true values a handful at most may be touched: natural jumps that look like errors."""
    for source, done in edit_all(city.truth, city.register).items():
        assert done.changes.height <= 2, (source, done.changes)
        assert done.rows.height == city.truth[source].height


def test_the_order_of_the_rows_and_a_second_pass_change_nothing(city: City, edited: Mapping[str, Edited]) -> None:
    source, done = "labour_annual", edited["labour_annual"]
    tables = {"register": city.register, "received.finance_annual": city.received["finance_annual"]}
    plan, edits = plan_of(source), load_edits(source)
    shuffled = edit_source(city.received[source].sample(fraction=1.0, shuffle=True, seed=1), plan, edits, tables)
    assert shuffled.rows.sort("uscc", "ref_year").equals(done.rows) and shuffled.changes.equals(done.changes)
    again = edit_source(done.rows.drop(ITEMS), plan, edits, tables)
    assert again.changes.filter(pl.col("rule") != "suspicious").height <= 1


def test_no_return_no_row() -> None:
    plan, empty = plan_of("finance_quarterly"), pl.DataFrame(schema={"uscc": pl.String, "ref_period": pl.String})
    done = edit_source(empty, plan, load_edits("finance_quarterly"), {})
    assert done.rows.is_empty() and done.changes.is_empty() and done.followup.is_empty()


def single(values: list[float], *, unit: str = "X") -> tuple[pl.DataFrame, pl.DataFrame, EditingPlan]:
    """40 steady units, some of them pay far more than others, and one with the given payroll, in the labour form."""
    rows = []
    for i in range(40):
        for t, year in enumerate(range(2021, 2021 + len(values))):
            staff = 50 + 7 * i
            pay = 2e5 * staff * math.exp(0.9 * math.sin(2.4 * i)) * (1.03 + 0.002 * (i % 7)) ** t
            rows.append((f"U{i:02d}", year, staff, staff - 1, staff // 3, staff // 4, round(pay / 1000) * 1000))
    rows += [(unit, 2021 + t, 100, 99, 33, 25, v) for t, v in enumerate(values)]
    names = [
        "uscc",
        "ref_year",
        "employed_persons",
        "average_employed_persons",
        "female_persons",
        "rd_staff_persons",
        "payroll_cny",
    ]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(pl.col("payroll_cny").cast(pl.Decimal(20, 2)))
    register = frame.select("uscc").unique().with_columns(
        gbt_code=pl.lit("6510"), employed_persons=pl.lit(None, dtype=pl.Int64)
    )  # fmt: skip
    return frame, register, plan_of("labour_annual")


def edit_single(values: list[float]) -> Edited:
    frame, register, plan = single(values)
    none = pl.DataFrame(schema={"uscc": pl.String, "ref_year": pl.Int64, "payroll_cny": pl.Decimal(20, 2)})
    return edit_source(
        frame, plan, load_edits("labour_annual"), {"register": register, "received.finance_annual": none}
    )


def test_a_wrong_unit_in_the_first_year_shows_by_the_year_after() -> None:
    done = edit_single([2.3e10, 2.4e7, 2.5e7])
    assert [tuple(c.values())[:6] for c in done.changes.iter_rows(named=True)] == [
        ("X", "2021", "payroll_cny", 2.3e10, 2.3e7, "unit_error_item")
    ]
    row = done.rows.filter(uscc="X", ref_year=2021).row(0, named=True)
    assert row["edited_items"] == "payroll_cny" and row["imputed_items"] == "" and float(row["payroll_cny"]) == 2.3e7


def test_a_unit_that_moves_to_another_level_for_good_has_no_error() -> None:
    steady = [7e6, 7.1e6, 7.1e7, 7.2e7, 7.3e7]
    assert edit_single(steady).changes.is_empty()
    once = edit_single([7e6, 7.1e6, 7.1e7, 7.2e6, 7.3e6]).changes
    assert once.select("period", "value").rows() == [("2023", 7.1e6)]


def test_where_the_last_year_is_missing_or_zero_the_one_before_bears_witness() -> None:
    """Ten times the payroll is no more than units differ by; it is far more than any changed by in two years."""
    frame, register, plan = single([2.3e7, 2.4e7, 2.5e8])
    none = pl.DataFrame(schema={"uscc": pl.String, "ref_year": pl.Int64, "payroll_cny": pl.Decimal(20, 2)})
    others = {"register": register, "received.finance_annual": none}
    gap = frame.filter((pl.col("uscc") != "X") | (pl.col("ref_year") != 2022))
    found = edit_source(gap, plan, load_edits("labour_annual"), others).changes
    assert found.select("period", "original", "value").rows() == [("2023", 2.5e8, 2.5e7)]
    nothing = edit_single([2.3e7, 0.0, 2.5e8]).changes
    assert nothing.filter(pl.col("period") == "2023").select("original", "value").rows() == [(2.5e8, 2.5e7)]
    alone = frame.filter((pl.col("uscc") != "X") | (pl.col("ref_year") == 2023))
    assert edit_source(alone, plan, load_edits("labour_annual"), others).changes.is_empty()


def test_a_failed_soft_edit_is_evidence_where_nothing_else_is_sure() -> None:
    """One return alone: 25,000 in research of 100 employed is a thousandfold; 130 of 100 may come from outside."""
    frame, register, plan = single([2.3e7, 2.4e7])
    none = pl.DataFrame(schema={"uscc": pl.String, "ref_year": pl.Int64, "payroll_cny": pl.Decimal(20, 2)})
    others = {"register": register, "received.finance_annual": none}
    varied = (
        pl.col("employed_persons") * (0.4 * (0.9 * pl.col("employed_persons").cast(pl.Float64).sin()).exp())
    ).round(0)
    frame = frame.with_columns(rd_staff_persons=varied.clip(1, pl.col("employed_persons")).cast(pl.Int64))
    alone = frame.filter((pl.col("uscc") != "X") | (pl.col("ref_year") == 2022))
    for persons, right in ((25_000, 25), (130, 130)):
        given = alone.with_columns(
            rd_staff_persons=pl.when(pl.col("uscc") == "X").then(persons).otherwise("rd_staff_persons")
        )
        done = edit_source(given, plan, load_edits("labour_annual"), others)
        assert done.rows.filter(uscc="X")["rd_staff_persons"].item() == right
        assert done.followup.filter(uscc="X").height == (right > 100), "what still fails is a person's"


def test_an_error_that_would_make_most_of_a_total_is_undone_and_a_person_asked() -> None:
    """Seed 202: a form in yuan while the unit shrank; no change by its probability alone, and 55 % of the city's AI revenue."""
    case = demo_city("small", 202)
    done = edit_all(case.received, case.register)["ai_survey_annual"]
    plan = plan_of("ai_survey_annual")
    form = done.changes.filter((pl.col("rule") == "unit_error_form") & (pl.col("variable") == "ai_revenue_cny"))
    chance = form["detail"].str.extract(r"probability ([0-9.]+)").cast(pl.Float64)
    unsure = form.filter(chance < plan.confidence)
    assert unsure.height >= 1 and (chance >= plan.confidence_large).all()
    asked = done.followup.filter(
        (pl.col("reason") == "suspicious") & (pl.col("variables") == "ai_revenue_cny") & pl.col("needs_review")
    )
    assert unsure.join(asked, on=["uscc", "period"], how="anti").is_empty()
    true = case.truth["ai_survey_annual"].select(
        "uscc", pl.col("ref_year").cast(pl.String).alias("period"), true="ai_revenue_cny"
    )
    both = unsure.join(true, on=["uscc", "period"])
    assert (both["value"] == both["true"].cast(pl.Float64)).all()


def test_nothing_in_doubt_is_replaced_without_a_person_being_asked(edited: Mapping[str, Edited]) -> None:
    """Held until confirmed, or undone though not certain: what stands now is near the last value, so its effect asks nobody."""
    replaced = 0
    for done in edited.values():
        doubts = done.followup.filter(pl.col("reason") == "suspicious").rename({"variables": "variable"})
        both = doubts.join(done.changes, on=["uscc", "period", "variable"], how="semi")
        replaced += both.height
        assert both["needs_review"].all()
    assert replaced > 0


def test_a_missing_item_is_imputed_from_the_units_own_year_before_in_whole_units_of_the_form() -> None:
    frame, register, plan = single([2.3e7, 2.4e7, 2.5e7])
    hole = pl.when((pl.col("uscc") == "X") & (pl.col("ref_year") == 2022)).then(None).otherwise("payroll_cny")
    none = pl.DataFrame(schema={"uscc": pl.String, "ref_year": pl.Int64, "payroll_cny": pl.Decimal(20, 2)})
    done = edit_source(
        frame.with_columns(hole.alias("payroll_cny")), plan, load_edits("labour_annual"),
        {"register": register, "received.finance_annual": none},
    )  # fmt: skip
    (change,) = done.changes.iter_rows(named=True)
    growth = frame.filter(pl.col("uscc") != "X").pivot("ref_year", index="uscc", values="payroll_cny")
    assert change["flag"] == "imputed" and change["original"] is None and change["detail"].startswith("fir, link 1.03")
    assert change["value"] == pytest.approx(2.3e7 * 1.036, rel=2e-3) and change["value"] % 1000 == 0
    assert growth.height == 40 and done.rows.filter(uscc="X", ref_year=2022)["imputed_items"].item() == "payroll_cny"


def linked(city: City, edited: Mapping[str, Edited]) -> pl.DataFrame:
    frames = {s: with_received(edited[s].rows, city.received[s], plan_of(s)) for s in edited}
    codes = frames["ai_survey_annual"].select(unit_id=pl.col("uscc").unique()).with_columns(
        nominated=pl.lit(True), p_ai=pl.lit(0.9), route=pl.lit("code"), candidate_leaves=pl.lit(["B21"])
    )  # fmt: skip
    blank = {c: pl.lit(None, dtype=pl.String) for c in ("group_uscc", "operating_district", "registered_district")}
    register = city.register.with_columns(
        unit_kind=pl.lit("1"), opening_date=pl.date(2015, 1, 1), closing_date=pl.lit(None, dtype=pl.Date), **blank
    )
    returns = Returns(register, frames["ai_survey_annual"], frames["finance_annual"], frames["labour_annual"])
    return unit_year(returns, frame_by_year(returns, codes))


def test_linked_units_rest_on_edited_values_keep_the_originals_and_count_nothing_imputed_as_answered(
    city: City, edited: Mapping[str, Edited]
) -> None:
    units = linked(city, edited)
    changes = edited["ai_survey_annual"].changes.filter(variable="main_revenue_cny")
    corrected, filled = changes.filter(flag="corrected"), changes.filter(flag="imputed")
    assert corrected.height > 5 and filled.height > 3
    for change in corrected.head(5).iter_rows(named=True):
        row = units.filter(uscc=change["uscc"], ref_year=int(change["period"])).row(0, named=True)
        assert (
            float(row["main_revenue_cny"]) == change["value"]
            and float(row["main_revenue_cny_received"]) == change["original"]
        )
        assert "main_revenue_cny" in row["edited_items"].split(" ")
    for change in filled.iter_rows(named=True):
        row = units.filter(uscc=change["uscc"], ref_year=int(change["period"])).row(0, named=True)
        assert not row["responded"] and row["main_revenue_cny"] is not None and row["main_revenue_cny_received"] is None
    staff = edited["labour_annual"].changes.filter(variable="employed_persons", flag="imputed")
    values, reported = variable(units, "employed_persons", None)
    at = units.select("uscc", pl.col("ref_year").cast(pl.String).alias("period")).with_columns(ok=reported, v=values)
    mine = at.join(staff, on=["uscc", "period"])
    assert mine.height and not mine["ok"].any() and mine["v"].null_count() == 0


def test_a_plan_that_cannot_be_used_says_why() -> None:
    good = plan_of("labour_annual").model_dump()
    for change, words in (
        ({"variables": ["nothing"]}, "nothing"), ({"totals": ["name"]}, "name"),
        ({"impute": {"payroll_cny": "finance_annual.nothing"}}, "nothing"), ({"other": 0.7}, "a half"),
        ({"confidence": 0.3}, "confidence"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            EditingPlan(**{**good, **change})


def test_sources_that_read_each_other_in_a_circle_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from etl import editing_plan

    real = editing_plan.load_plan

    def circle(source: str) -> EditingPlan | None:
        plan = real(source)
        if source != "labour_annual" or plan is None:
            return plan
        return EditingPlan(**{**plan.model_dump(), "impute": {"payroll_cny": "finance_annual.payroll_cny"}})

    monkeypatch.setattr(editing_plan, "load_plan", circle)
    with pytest.raises(ContractError, match="circle"):
        edited_sources.__wrapped__()
