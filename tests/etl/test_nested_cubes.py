"""Totals that nest in the headline figures, each with the attack by subtraction that it would open."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import polars as pl
from disclosure_tables import assert_no_exact_disclosure, status
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.beside_core import clear_cut, joint_pattern
from etl.dissemination import clear
from etl.flow_cubes import nested_rows
from etl.methods.disclosure import RuleSet, audit, build_table, protect
from etl.methods.disclosure.linked import Kind, frame_hash
from etl.nested_cubes import BAND, NESTED, members_by_band, nested_contributions, open_thresholds, others_by_band
from etl.release_ledger import Place, ReleaseLedger, keeping
from etl.waterfall import changes, clear_changes
from warehouse.catalogue import load_indicators

LIMITS = RuleSet()
CARDS = [load_indicators()[i] for i in ("ai_enterprises", "ai_revenue")]
MONEY = pl.Decimal(20, 2)
Unit = tuple[str, float, str]
"""Leaf, AI share of a signed return, what the share rests on (``1`` books, ``2`` estimate)."""


def city(units: list[Unit]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Units, contributions and protected core cells of one year; every unit its own group."""
    share = [s for _, s, _ in units]
    frame = pl.DataFrame(
        {
            "uscc": [f"u{i:03d}" for i in range(len(units))],
            "ref_year": [2025] * len(units),
            "leaf": [leaf for leaf, _, _ in units],
            "ai_share": share,
            "share_basis": [basis for _, _, basis in units],
        }
    ).with_columns(
        contributor="uscc", is_signed=pl.lit(True), ai_share_rung=pl.lit(1), district=pl.lit("440305"), size=pl.lit("S"),
        membership=(pl.col("ai_share") >= 0.3).cast(pl.Float64), membership_10=(pl.col("ai_share") >= 0.1).cast(pl.Float64),
        membership_50=(pl.col("ai_share") >= 0.5).cast(pl.Float64),
    )  # fmt: skip
    key = ["uscc", "ref_year", "contributor", "district", "size"]
    rows = []
    for name, value in (
        ("ai_enterprises", pl.col("membership")),
        ("ai_revenue", (pl.col("ai_share") * 1_000_000 + pl.int_range(pl.len())).round(0)),
    ):
        own = frame.select(*key, ai_class="leaf", value=value.cast(MONEY), observed="is_signed", indicator=pl.lit(name))
        rows.append(own.filter(pl.col("value") != 0))
    contributions = pl.concat(rows)
    cells = pl.concat([c.cells() for c in clear(contributions, CARDS, LIMITS, 3)])
    return frame, contributions, cells


KINDS: dict[str, Kind] = {"ai_enterprises": "count", "ai_revenue": "magnitude"}


def nested(units: list[Unit]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Thresholds that may be shown, and the status of what revenue rests on."""
    frame, rows, cells = city(units)
    cleared = clear_changes([], nested_contributions(frame, rows), cells, KINDS, LIMITS, 3)
    assert all(c.certificate.passed for c in cleared)
    found = nested_rows(cleared)
    of = {i: found.filter(pl.col("indicator") == i) for i in KINDS}
    rungs = dict(of["ai_revenue"].select("code", "status").iter_rows())
    return open_thresholds(frame, 2025, of["ai_enterprises"], LIMITS, 3), rungs


def test_a_threshold_that_gives_a_class_away_is_withheld_although_every_band_is_large() -> None:
    """The classes whose units all lie in one band: 50 % less the class that is published would be the two units of A31."""
    units = [("A31", 0.4, "1")] * 2 + [("B24", 0.4, "1")] * 3 + [("C32", 0.8, "1")] * 2 + [("D11", 0.8, "1")] * 9
    frame, _, cells = city(units)
    at = (pl.col("indicator") == "ai_enterprises") & (pl.col("table") == "core_leaf_year")
    shown = dict(cells.filter(at).select("ai_class", "status").iter_rows())
    assert shown["A31"] != "published" != shown["C32"] and shown["B24"] == "published"
    bands = frame.filter(pl.col("membership") > 0)["membership_50"].value_counts()["count"]
    assert bands.min() >= LIMITS.min_contributors, "by itself every band is large enough"
    assert "50" not in nested(units)[0]
    mixed = [*units, *[("A31", 0.8, "1")] * 2, *[("D11", 0.4, "1")] * 2]
    assert "50" in nested(mixed)[0], "with both bands in a class nothing more can be told"


def test_a_threshold_below_the_rule_is_withheld_where_few_lie_between_or_beyond() -> None:
    many: list[Unit] = (
        [("A31", 0.05, "1")] * 5 + [("A31", 0.2, "1")] * 5 + [("A31", 0.4, "1")] * 5 + [("A31", 0.8, "1")] * 5
    )
    assert nested(many)[0] == ("30", "50", "10")
    assert nested(many[:5] + many[8:])[0] == ("30", "50"), "10 % less 30 % would be two units"
    assert nested(many[4:])[0] == ("30", "50"), "the public frame less 10 % would be one unit"
    assert nested(many[:-3])[0] == ("30", "10"), "50 % itself would be two units"


def test_evidence_that_gives_a_class_away_is_withheld() -> None:
    """All of A31 estimate their share, and with B24 nobody else: what rests on estimates less B24 would be A31."""
    units = [("A31", 0.4, "2")] * 2 + [("B24", 0.6, "2")] * 9 + [("C32", 0.8, "1")] * 2 + [("D11", 0.8, "1")] * 9
    _, rungs = nested(units)
    assert rungs["1-1"] in ("primary", "secondary") and rungs["1-2"] in ("primary", "secondary")
    mixed = units + [("B24", 0.6, "1")] * 9 + [("D11", 0.8, "2")] * 9 + [("A31", 0.4, "1")] * 4
    _, rungs = nested(mixed)
    assert rungs["1-1"] == rungs["1-2"] == "published"


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["A31", "B24", "C32"]), st.sampled_from([0.4, 0.8]), st.just("1")),
        min_size=4, max_size=16,
    )
)  # fmt: skip
def test_bands_and_core_cubes_together_give_no_unsafe_cell_away(units: list[Unit]) -> None:
    frame, rows, cells = city(units)
    micro = members_by_band(rows.filter(pl.col("indicator") == "ai_enterprises"), frame)
    cut = NESTED["ai_enterprises"].cut
    core = cells.filter(pl.col("indicator") == "ai_enterprises")
    pattern = joint_pattern("count", micro, core, cut, LIMITS)
    if pattern.certified:
        assert audit(pattern, LIMITS).passed
        assert_no_exact_disclosure(pattern)
    else:  # the core cubes tell the sum of classes they hide, and a band is just that sum
        bands = clear_cut(Place("nested", "2025"), "count", micro, core, cut, LIMITS, 3)
        assert not bands.shown and set(bands.frame["status"]) <= {"primary", "secondary", "empty"}


def test_bands_of_units_without_a_return_add_up_to_their_membership() -> None:
    frame, rows, _ = city([("A31", 0.4, "1")] * 4 + [("B24", 0.8, "1")] * 4)
    part = frame.with_columns(membership_50=pl.Series([0.333] * 4 + [1.0] * 4), membership_10=pl.lit(1.0))
    bands = members_by_band(rows.filter(pl.col("indicator") == "ai_enterprises"), part)
    sums = dict(bands.group_by(BAND).agg(pl.col("value").sum()).iter_rows())
    assert sums == {"30": Decimal("2.68"), "50": Decimal("5.32")}
    low = others_by_band(frame.with_columns(membership=pl.lit(0.25), membership_10=pl.lit(0.6)))
    assert dict(low.group_by(BAND).agg(pl.col("value").sum()).iter_rows()) == {
        "10": Decimal("2.80"),
        "0": Decimal("3.20"),
    }


def test_nested_totals_stand_in_the_ledger(tmp_path: Path) -> None:
    with keeping(ReleaseLedger(tmp_path)) as ledger:
        nested([("A31", 0.05, "1")] * 5 + [("A31", 0.2, "1")] * 5 + [("A31", 0.4, "1")] * 5 + [("A31", 0.8, "1")] * 5)
        places = set(ledger.proposals())
    assert places >= {Place(f"{t}", "2025") for t in ("growth/ai_enterprises", "growth/ai_revenue", "nested/below")}


DISTRICTS: dict[str, str | None] = {"without": None, "440305": "without", "440306": "without", "440399": None}


def test_a_city_with_and_without_shenshan_is_one_cell_of_shenshan() -> None:
    """Two groups in 深汕: the total, and the total without it, would be theirs."""
    places = ["440399"] * 2 + ["440305"] * 6 + ["440306"] * 6
    micro = pl.DataFrame({"district": places, "contributor": [f"g{i}" for i in range(14)], "observed": [True] * 14})
    micro = micro.with_columns(value=(100 + pl.int_range(pl.len())).cast(MONEY))
    table = build_table(micro, {"d": ("district",)}, {"district": DISTRICTS}, "value", "contributor", "observed")
    pattern = protect(table, LIMITS)
    assert status(pattern, district="440399") == "primary" and status(pattern, district="without") == "secondary"
    assert audit(pattern, LIMITS).passed
    opened = pattern.frame.with_columns(
        status=pl.when(pl.col("district") == "without").then(pl.lit("published")).otherwise("status")
    )
    assert not audit(replace(pattern, frame=opened, hash=frame_hash(opened)), LIMITS).passed


NO_LINKS = pl.DataFrame(schema={"predecessor_uscc": pl.String, "successor_uscc": pl.String, "event_date": pl.Date})


def test_flows_and_bands_together_give_no_class_away() -> None:
    """Each alone would pass: the band from 30 to 50 % less the entries would be the two units of A31."""
    units: list[Unit] = [("A31", 0.4, "1")] * 2 + [("A32", 0.8, "1")] * 3 + [("A32", 0.4, "1")] * 4
    units += [("B24", 0.4, "1")] * 5 + [("B24", 0.8, "1")] * 5
    frame, rows, _ = city(units)
    new = [f"u{i:03d}" for i in (*range(5, 9), *range(9, 14))]
    before = rows.filter(~pl.col("uscc").is_in(new)).with_columns(ref_year=pl.lit(2024, pl.Int64))
    both = pl.concat([rows.with_columns(pl.col("ref_year").cast(pl.Int64)), before])
    years = pl.concat([frame, frame.filter(~pl.col("uscc").is_in(new)).with_columns(ref_year=pl.lit(2024, pl.Int64))])
    cells = pl.concat([c.cells() for c in clear(both, CARDS, LIMITS, 3)])
    found = list(changes(both, years.select("uscc", "ref_year"), NO_LINKS, {}))
    cleared = clear_changes(found, nested_contributions(years, both), cells, KINDS, LIMITS, 3)
    (year,) = [c for c in cleared if (c.indicator, c.year) == ("ai_enterprises", 2025)]
    bands = dict(year.nested.select("code", "status").iter_rows())
    at = (
        (pl.col("table") == "core_leaf_year") & (pl.col("period") == "2025") & (pl.col("indicator") == "ai_enterprises")
    )
    classes = dict(cells.filter(at).select("ai_class", "status").iter_rows())
    assert classes["A31"] != "published"
    assert bands and not (bands["30"] == "published" and year.shows("came", "_T", "entry")), "A31 would follow"
    assert all(c.certificate.passed for c in cleared)


def test_the_part_that_rests_on_answers_is_known_and_the_rest_is_protected_beside_it() -> None:
    """The share resting on models is published with the total: hiding the group of answers would hide nothing."""
    _, rungs = nested([("A31", 0.4, "2"), ("A31", 0.5, "1"), ("A31", 0.6, "2"), *[("B24", 0.8, "2")] * 6])
    assert rungs["answers"] == "published" and rungs["1-1"] != "published" != rungs["1-2"]


def test_ten_percent_is_withheld_where_few_answers_lie_beyond_though_models_lie_between() -> None:
    frame, _, _ = city([("A31", 0.0, "1")] * 2 + [("A31", 0.8, "1")] * 5)
    models = frame.head(3).with_columns(
        uscc=pl.format("m{}", pl.int_range(pl.len())), is_signed=pl.lit(False), membership=pl.lit(0.0),
        membership_10=pl.lit(0.4), membership_50=pl.lit(0.0),
    )  # fmt: skip
    units = pl.concat([frame, models.with_columns(contributor="uscc")])
    none = pl.DataFrame(schema={"code": pl.String, "status": pl.String})
    assert open_thresholds(units, 2025, none, LIMITS, 3) == ("30",), "the frame less 10 % would be the two"


def test_where_no_pattern_passes_nested_totals_are_withheld_and_not_missing() -> None:
    """A31 and C32 are hidden, B24 is not: the band they fill is known, so no band is given."""
    units: list[Unit] = [("A31", 0.8, "1"), *[("B24", 0.4, "1")] * 3, ("C32", 0.8, "1")]
    frame, rows, cells = city(units)
    cleared = clear_changes([], nested_contributions(frame, rows), cells, KINDS, LIMITS, 3)
    (count,) = [c for c in cleared if c.indicator == "ai_enterprises"]
    assert set(count.nested["status"]) == {"secondary"} and set(count.nested["code"]) == {"_T", "30", "50"}
    assert "50" not in nested(units)[0]


def test_a_year_with_revenue_and_no_enterprise_has_no_bands() -> None:
    thresholds, rungs = nested([("A31", 0.2, "1")] * 5)
    assert thresholds == ("30", "10") and rungs["1-1"] == "published"
