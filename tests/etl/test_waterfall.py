"""The growth waterfall of a total: its identity on planted changes, and what of it may be shown."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from disclosure_tables import assert_no_exact_disclosure

from etl.beside_core import joint_pattern
from etl.dissemination import DIMENSIONS, clear
from etl.flow_cubes import CUT, FLOWS, contributions_of
from etl.methods.disclosure import RuleSet, audit
from etl.methods.disclosure.linked import frame_hash
from etl.waterfall import (
    Change,
    changes,
    clear_changes,
    compared,
    growth_rows,
    identity_error,
    public_certificate,
)
from warehouse.catalogue import load_indicators

LIMITS = RuleSet()
LEAVES, DISTRICTS, SIZES = ("A11", "A12", "B11"), ("440305", "440306"), ("S", "M")
NO_LINKS = pl.DataFrame(schema={"predecessor_uscc": pl.String, "successor_uscc": pl.String, "event_date": pl.Date})


def contributions(units: int = 60, gone: int = 1, new: int = 6) -> pl.DataFrame:
    """AI revenue of two years: ``gone`` units of branch A leave, ``new`` ones come in either branch."""
    rng = np.random.default_rng(7)
    rows = []
    for i in range(units + new):
        leaf = "A11" if i < gone else LEAVES[i % 3]
        for year in (2024, 2025):
            if (year == 2024 and i >= units) or (year == 2025 and i < gone):
                continue
            value = Decimal(int(rng.integers(100, 200)) * 1000 + year)
            place = DISTRICTS[i % 2], SIZES[(i // 2) % 2]
            rows.append(("ai_revenue", year, f"u{i:03d}", f"u{i:03d}", leaf, *place, value, True))
    names = ["indicator", "ref_year", "uscc", "contributor", "ai_class", "district", "size", "value", "observed"]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(pl.col("value").cast(pl.Decimal(20, 2)))


def frame_of(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("uscc", "ref_year").unique()


def only(rows: pl.DataFrame, links: pl.DataFrame = NO_LINKS, published: dict[tuple[str, str, str], float] | None = None) -> Change:  # fmt: skip
    (found,) = changes(rows, frame_of(rows), links, published or {})
    return found


def test_parts_add_up_to_the_change_of_every_branch_and_the_city() -> None:
    rows = contributions(gone=4)
    found = only(rows)
    assert identity_error(found) <= 1e-12
    whole = found.classes["_T"]
    totals = {y: float(v) for y, v in rows.group_by("ref_year").agg(pl.col("value").sum()).iter_rows()}
    assert (whole.previous, whole.current) == (totals[2024], totals[2025])
    left = rows.filter((pl.col("ref_year") == 2024) & pl.col("uscc").is_in([f"u{i:03d}" for i in range(4)]))
    assert whole.exit == -float(left["value"].sum()) and whole.units["exit"] == 4 and whole.units["entry"] == 6
    for part in ("continuing", "entry", "exit", "reclassification", "previous", "current"):
        assert sum(getattr(found.classes[c], part) for c in "AB") == pytest.approx(getattr(whole, part), rel=1e-12)


def test_a_merged_unit_is_continued_and_one_that_takes_up_a_branch_is_reclassified() -> None:
    rows = contributions(units=12, gone=1, new=0)
    links = pl.DataFrame(
        {"predecessor_uscc": ["u000"], "successor_uscc": ["u003"], "event_date": [date(2025, 5, 1)]}
    )  # u003 is of branch A too
    assert only(rows).classes["_T"].exit < 0
    assert only(rows, links).classes["_T"].exit == 0
    early = links.with_columns(event_date=pl.lit(date(2024, 5, 1)))
    assert only(rows, early).classes["_T"].exit < 0, "a link of another year ties nothing"
    extra = rows.filter((pl.col("uscc") == "u005") & (pl.col("ref_year") == 2025)).with_columns(ai_class=pl.lit("A12"))
    grown = only(pl.concat([rows, extra]))
    assert grown.classes["A"].reclassification == float(extra["value"][0]) and grown.classes["A"].entry == 0


def test_revision_is_what_changed_of_the_figure_first_published() -> None:
    rows = contributions()
    plain = only(rows).classes["_T"]
    found = only(rows, published={("ai_revenue", "_T", "2024"): plain.previous - 500.0})
    whole = found.classes["_T"]
    assert whole.revision == 500.0 and whole.total == plain.total + 500.0 and identity_error(found) <= 1e-12
    assert found.classes["A"].revision == 0


def test_a_unit_that_is_no_longer_in_the_frame_exits_and_one_that_stays_is_reclassified() -> None:
    rows = contributions(units=12, gone=1, new=0)
    amounts = rows.group_by("uscc", "ref_year", branch=pl.col("ai_class").str.slice(0, 1)).agg(pl.col("value").sum())
    stays = pl.concat([frame_of(rows), pl.DataFrame({"uscc": ["u000"], "ref_year": [2025]})])
    pair = compared(amounts, stays, NO_LINKS, 2025).filter(pl.col("uscc") == "u000")
    assert pair["active"].item() and pair["class"].item() is None
    (found,) = changes(rows, stays, NO_LINKS, {})
    assert found.classes["_T"].exit == 0 and found.classes["_T"].reclassification < 0


def listing(rows: pl.DataFrame, up: set[str], down: set[str]) -> pl.DataFrame:
    """Everybody is on the list in both years, but ``up`` not in 2024 and ``down`` not in 2025."""
    late = pl.col("uscc").is_in(list(up)) & (pl.col("ref_year") == 2024)
    early = pl.col("uscc").is_in(list(down)) & (pl.col("ref_year") == 2025)
    return frame_of(rows).filter(~late & ~early)


def change_of(rows: pl.DataFrame, units: set[str]) -> float:
    sign = pl.when(pl.col("ref_year") == 2025).then(1.0).otherwise(-1.0)
    own = rows.filter(pl.col("uscc").is_in(list(units)))
    return float(own.select((pl.col("value").cast(pl.Float64) * sign).sum()).item())


def test_a_unit_that_crossed_the_threshold_is_told_from_a_birth_and_from_a_death() -> None:
    rows = contributions(gone=4)
    up, down, gone, new = {"u010", "u011", "u012"}, {"u020", "u021"}, {f"u{i:03d}" for i in range(4)}, {f"u{i:03d}" for i in range(60, 66)}  # fmt: skip
    plain = only(rows).classes["_T"]
    (found,) = changes(rows, frame_of(rows), NO_LINKS, {}, listing(rows, up, down))
    whole = found.classes["_T"]
    assert found.has_list and identity_error(found) <= 1e-12
    assert whole.listed == change_of(rows, up) and whole.delisted == change_of(rows, down)
    assert whole.entry == change_of(rows, new) and whole.exit == change_of(rows, gone), (
        "births and deaths stay what they are"
    )
    assert whole.units["listed"] == 3 and whole.units["delisted"] == 2
    assert whole.staying == pytest.approx(plain.continuing, rel=1e-12)
    same = rows.filter(~pl.col("uscc").is_in([*up, *down, *gone, *new]))
    totals = {y: float(v) for y, v in same.group_by("ref_year").agg(pl.col("value").sum()).iter_rows()}
    assert whole.comparable.ratio == pytest.approx(totals[2025] / totals[2024] - 1, rel=1e-12)


def test_a_unit_whose_branch_is_measured_for_the_first_time_has_crossed_and_not_moved() -> None:
    rows = contributions(units=12, gone=0, new=0)
    moved = (pl.col("uscc") == "u005") & (pl.col("ref_year") == 2025)
    rows = rows.with_columns(ai_class=pl.when(moved).then(pl.lit("A12")).otherwise("ai_class"))
    assert only(rows).classes["A"].reclassification > 0
    (found,) = changes(rows, frame_of(rows), NO_LINKS, {}, listing(rows, {"u005"}, set()))
    assert found.classes["A"].reclassification == 0 and found.classes["A"].listed > 0 > found.classes["B"].listed
    assert found.classes["_T"].listed == change_of(rows, {"u005"}) and identity_error(found) <= 1e-12


def test_a_merger_is_neither_birth_nor_death_nor_growth_of_the_same_units() -> None:
    rows = contributions(units=12, gone=1, new=0)
    links = pl.DataFrame({"predecessor_uscc": ["u000"], "successor_uscc": ["u003"], "event_date": [date(2025, 5, 1)]})
    whole = only(rows, links).classes["_T"]
    assert (whole.exit, whole.entry) == (0, 0) and whole.succession == change_of(rows, {"u000", "u003"})
    outside = links.with_columns(successor_uscc=pl.lit("somebody outside the frame"))
    whole = only(rows, outside).classes["_T"]
    assert whole.exit == 0 and whole.succession == change_of(rows, {"u000"}), "its business goes on elsewhere"


def test_without_the_list_of_a_year_nobody_is_known_to_have_crossed() -> None:
    rows = contributions(gone=9, new=9)
    for listed in (None, frame_of(rows).filter(pl.col("ref_year") == 2025)):
        (found,) = changes(rows, frame_of(rows), NO_LINKS, {}, listed)
        assert not found.has_list and found.classes["_T"].listed == found.classes["_T"].delisted == 0
    table, _, _ = released(rows)
    own = table.filter(pl.col("component").is_in(["listed", "delisted"]))
    assert own["value"].null_count() == own.height and set(own["conf_status"]) == {"F"}, "missing is not zero"


def test_one_unit_that_crossed_is_withheld_and_the_whole_of_those_that_stay_is_shown() -> None:
    rows = contributions(gone=9, new=9)
    table, found, _ = released(rows, listing(rows, {"u030"}, set()))
    own = {r["component"]: r for r in table.filter(pl.col("ai_class") == "_T").iter_rows(named=True)}
    assert own["listed"]["conf_status"] == "C" and own["listed"]["value"] is None
    assert own["staying"]["value"] == found[0].classes["_T"].staying
    hidden = [p for p in ("continuing", "listed", "delisted", "succession") if own[p]["conf_status"] == "C"]
    assert len(hidden) >= 2, "one hidden part alone is the whole less the others"


def released(rows: pl.DataFrame, listed: pl.DataFrame | None = None) -> tuple[pl.DataFrame, list[Change], pl.DataFrame]:
    card = load_indicators()["ai_revenue"]
    cells = pl.concat([c.cells() for c in clear(rows, [card], LIMITS, 3)])
    found = list(changes(rows, frame_of(rows), NO_LINKS, {}, listed))
    cleared = clear_changes(found, rows, cells, {"ai_revenue": "magnitude"}, LIMITS, 3)
    assert all(c.certificate.passed for c in cleared) and public_certificate(cleared)["passed"] is True
    return growth_rows(found, cleared, cells), found, cells


def test_the_exit_of_one_unit_is_withheld_with_what_would_give_it_away() -> None:
    table, found, _ = released(contributions(gone=1))
    own = {r["component"]: r for r in table.filter(pl.col("ai_class") == "A").iter_rows(named=True)}
    assert own["exit"]["conf_status"] == "C" and own["exit"]["value"] is None and own["exit"]["points"] is None
    assert own["previous"]["value"] == found[0].classes["A"].previous and own["total"]["conf_status"] == "F"
    hidden = [p for p in ("continuing", "entry", "exit", "reclassification") if own[p]["conf_status"] == "C"]
    assert len(hidden) >= 2, "one hidden part alone is the total less the others"
    city = {r["component"]: r for r in table.filter(pl.col("ai_class") == "_T").iter_rows(named=True)}
    assert city["exit"]["conf_status"] == "C", "only branch A has exits, so the city's is the same unit"
    assert table.filter((pl.col("conf_status") == "C") & pl.col("value").is_not_null()).height == 0


def test_parts_of_many_units_are_shown_and_add_up() -> None:
    table, found, _ = released(contributions(gone=9, new=9))
    own = {r["component"]: r for r in table.filter(pl.col("ai_class") == "_T").iter_rows(named=True)}
    assert {r["conf_status"] for r in own.values()} == {"F"}
    parts = [own[p]["value"] for p in ("continuing", "entry", "exit", "reclassification", "revision")]
    assert sum(parts) == pytest.approx(own["total"]["value"], rel=1e-12)
    points = sum(own[p]["points"] for p in ("continuing", "entry", "exit", "reclassification", "revision"))
    assert points == pytest.approx(100 * own["growth"]["value"], rel=1e-12)
    assert own["comparable_growth"]["value"] == found[0].classes["_T"].comparable.ratio


def test_a_part_is_withheld_where_a_level_behind_it_is() -> None:
    rows = contributions(gone=9, new=9)
    table, found, cells = released(rows)
    whole = pl.all_horizontal(pl.col("district", "size") == "_T")
    at = pl.col("ai_class").is_in(["B", "B1", "B11"]) & whole & (pl.col("period") == "2024")
    shut = cells.with_columns(status=pl.when(at).then(pl.lit("secondary")).otherwise("status"))
    cleared = clear_changes(found, rows, shut, {"ai_revenue": "magnitude"}, LIMITS, 3)
    own = growth_rows(found, cleared, shut).filter(pl.col("ai_class") == "B")
    withheld = set(own.filter(pl.col("conf_status") == "C")["component"])
    assert {"previous", "total", "growth", "continuing", "comparable_growth"} <= withheld
    assert own.filter(pl.col("component") == "current")["conf_status"].item() == "F"
    assert table.filter((pl.col("ai_class") == "B") & (pl.col("component") == "previous"))["value"].item() is not None


def test_flows_and_core_cubes_together_give_no_unsafe_cell_away() -> None:
    """The attack of the nested definition: all published cells of both in exact algebra, and one more of them fails."""
    rows = contributions(gone=2, new=3)
    _, found, cells = released(rows)
    marks = found[0].marks
    micro = contributions_of(rows.filter(pl.col("ref_year") == 2025), marks, None)
    core = cells.filter(pl.col("period") == "2025")
    pattern = joint_pattern("magnitude", micro, core, CUT, LIMITS)
    released_there = core.filter(pl.col("status") == "published").select("table", *DIMENSIONS)
    beside = pattern.frame.filter(pl.col("status") == "published").join(
        released_there, on=["table", *DIMENSIONS], how="semi"
    )
    assert beside.height == released_there.height, "what the core cubes publish stays published"
    assert_no_exact_disclosure(pattern)
    assert pattern.certified and audit(pattern, LIMITS).passed
    needless, tried = [], 0
    for name in FLOWS:
        hidden = (pl.col("table") == f"growth_{name}") & (pl.col("status") == "secondary")
        for row in pattern.frame.with_row_index().filter(hidden)["index"].to_list():
            tried += 1
            opened = pattern.frame.with_columns(
                status=pl.when(pl.int_range(pl.len()) == row).then(pl.lit("published")).otherwise("status")
            )
            if audit(replace(pattern, frame=opened, hash=frame_hash(opened)), LIMITS).passed:
                needless.append(row)
    assert tried and not needless, "every flow withheld beside an unsafe one is needed, or another cell tells it"


def test_beside_core_cubes_that_fail_the_audit_no_flow_is_shown() -> None:
    rows = contributions(units=6, gone=2, new=2)
    _, found, cells = released(rows)
    assert {"2024", "2025"} == set(cells.filter(pl.col("status") == "primary")["period"])
    careless = cells.with_columns(
        status=pl.when(pl.col("status") == "empty").then("status").otherwise(pl.lit("published"))
    )
    cleared = clear_changes(found, rows, careless, {"ai_revenue": "magnitude"}, LIMITS, 3)
    assert {c.level for c in cleared} == {"nothing"}
    assert all(status in ("primary", "secondary", "empty") for c in cleared for status in c.status.values())
