"""Units without a return: staff by the register's ratio, members' part of a variable, what counts as reported."""

import numpy as np
import polars as pl
import pytest

from etl.analysis import contributions
from etl.quantities import with_quantities
from etl.strata import member_part, staff_estimate, structure_strata, variable
from tests.etl.quantity_units import unit_frame
from warehouse.catalogue import load_indicators

CARDS = load_indicators()
RD = "rd_staff_persons"


def frame(factor: float = 1.0, n: int = 4000, seed: int = 3) -> pl.DataFrame:
    """Units whose register counts ``1 / factor`` of their staff; members have three times the R&D staff of others."""
    units = unit_frame(n, seed=seed)
    rng = np.random.default_rng(5)
    true_member = units["true_share"].to_numpy() >= 0.3
    rate = np.where(true_member, 0.3, 0.1) * rng.uniform(0.8, 1.2, units.height)
    staff = (units["register_employed_persons"].cast(pl.Float64) * factor).round(0)
    reports = units["employed_persons"].is_not_null()
    rd = pl.Series(np.rint(staff.to_numpy() * rate))
    return units.with_columns(
        employed_persons=pl.select(pl.when(reports).then(staff)).to_series().cast(pl.Int64),
        true_staff=staff, true_member=pl.Series(true_member), true_rd=rd,
        **{RD: pl.select(pl.when(reports).then(rd)).to_series().cast(pl.Int64)},
    )  # fmt: skip


def test_staff_without_a_return_is_what_a_registered_person_stands_for_in_the_stratum() -> None:
    units = frame(factor=1.5)
    found = staff_estimate(units)
    returned = units["employed_persons"].is_not_null()
    assert (found.filter(returned) == units["employed_persons"].filter(returned)).all(), "a return stays as it is"
    assert float(found.sum()) == pytest.approx(float(units["true_staff"].sum()), rel=0.002)
    register = float(units["register_employed_persons"].filter(~returned).sum())
    assert float(found.filter(~returned).sum()) == pytest.approx(1.5 * register, rel=0.01), "not the register's own"


def test_the_register_itself_is_reproduced_and_stands_where_nobody_returned() -> None:
    units = frame()
    same = units.with_columns(
        employed_persons=pl.when(pl.col("employed_persons").is_not_null()).then("register_employed_persons")
    )
    totals = same.with_columns(staff_estimate(same), stratum=pl.Series(structure_strata(same).labels[0]))
    by = totals.group_by("stratum").agg(pl.col("staff_known", "register_employed_persons").sum())
    assert by["staff_known"].to_numpy() == pytest.approx(by["register_employed_persons"].to_numpy(), rel=1e-12)
    silent = units.with_columns(employed_persons=pl.lit(None, pl.Int64))
    assert staff_estimate(silent).to_list() == units["register_employed_persons"].to_list()


def test_staff_of_the_register_is_a_model_and_no_answer() -> None:
    units = with_quantities(frame())
    _, reported = variable(units, "employed_persons", None)
    assert (reported == units["employed_persons"].is_not_null()).all() and not reported.all()
    filled = units.with_columns(imputed_items=pl.lit("employed_persons"))
    assert not variable(filled, "employed_persons", None)[1].any(), "what editing filled in is no answer either"


def test_a_variable_in_which_members_differ_is_not_understated() -> None:
    errors = []
    for seed in range(1, 9):
        units = with_quantities(frame(n=2000, seed=seed))
        truth = float(units.filter("true_member")["true_rd"].sum())
        value, reported = variable(units, RD, "employed_persons")
        by_rate = float((units["membership"] * value).sum()) / truth - 1
        errors.append((by_rate, float((member_part(units, RD, value, reported) * value).sum()) / truth - 1))
    by_rate, by_part = np.mean(errors, axis=0)
    assert by_rate < -0.04 and abs(by_part) < abs(by_rate) / 4, "a quarter of the bias at most is left"


def test_a_signed_unit_is_a_member_or_not_and_what_size_is_made_of_takes_the_rate() -> None:
    units = with_quantities(frame())
    value, reported = variable(units, RD, "employed_persons")
    part = member_part(units, RD, value, reported)
    assert (part.filter(units["responded"]) == units["membership"].filter(units["responded"])).all()
    assert part.is_between(0, 1).all() and not part.equals(units["membership"])
    assert member_part(units, "employed_persons", value, reported).equals(units["membership"])


def test_every_total_is_the_sum_of_the_contributions_of_units() -> None:
    units = with_quantities(frame(n=400))
    rows = contributions(units, [CARDS[i] for i in ("ai_enterprises", "employed_persons", "rd_staff")])
    for keys in (["district"], ["ai_class"], ["size"], ["uscc"]):
        parts = rows.group_by("indicator", "ref_year", *keys).agg(pl.col("value").sum())
        whole = rows.group_by("indicator", "ref_year").agg(pl.col("value").sum()).sort("indicator", "ref_year")
        assert (
            parts.group_by("indicator", "ref_year")
            .agg(pl.col("value").sum())
            .sort("indicator", "ref_year")
            .equals(whole)
        )
    assert not rows.filter(~pl.col("uscc").is_in(units.filter("responded")["uscc"].implode()))["observed"].any()
