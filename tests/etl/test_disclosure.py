"""Disclosure control: rules at their limits, patterns by hand, exact algebra on random tables, tampering."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from disclosure_tables import (
    COUNT_ONLY,
    GOOD,
    HIERARCHIES,
    LINKED,
    MONEY,
    REGION,
    assert_no_exact_disclosure,
    contributions,
    groups,
    in_span,
    members,
    status,
    table_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.methods.disclosure import Loaded, Pattern, RuleSet, audit, build_table, is_safe, protect
from etl.methods.disclosure.elimination import suppress
from etl.methods.disclosure.sensitivity import find_sensitive


def one_cell(values: Sequence[object], observed: Sequence[bool] | None = None, names: str = "ABCDEFGH") -> pl.DataFrame:
    """A single region filled with the contributions given; everything else is empty."""
    flags = observed or [True] * len(values)
    return contributions(("N1", "a", name, v, o) for name, v, o in zip(names, values, flags, strict=False))


def cell_status(micro: pl.DataFrame, rules: RuleSet, **kw: Any) -> str:
    table = build_table(micro, {"t": ("region",)}, HIERARCHIES, "value", "contributor", "observed", **kw)
    return status(protect(table, rules), region="N1")


# ---- primary rules ----


@pytest.mark.parametrize(("rest", "expected"), [("9.99", "primary"), ("10.00", "published"), ("10.01", "published")])
def test_p_percent_rule_at_its_limit(rest: str, expected: str) -> None:
    # X - x1 - x2 < p/100 x1 with x1 = 100, x2 = 60, p = 10: the limit is 10.00 exactly
    assert cell_status(one_cell(["100.00", "60.00", rest]), RuleSet()) == expected


def test_p_percent_rule_counts_in_whole_numbers() -> None:
    def safe(*sizes: int, p: float) -> bool:
        return is_safe(sizes, RuleSet(min_contributors=1, p_percent=p))

    assert safe(10**18, 2 * 10**17, 10**17, p=10)  # floats would lose the last digit of what is missing below
    assert not safe(10**18, 2 * 10**17, 10**17 - 1, p=10)
    assert not safe(1000, 12, 99, p=10.0)  # the second is 99: 12 < 100
    assert safe(1000, 200, 100, p=10.0)  # 100 is not less
    assert not safe(1000, p=0.1)
    assert safe(1000, 1, 1, p=0.1)  # 0.1 per cent of 1000 is 1, whatever binary floats make of 0.1


@pytest.mark.parametrize(("n", "expected"), [(1, "primary"), (2, "primary"), (3, "published")])
def test_frequency_rule(n: int, expected: str) -> None:
    assert cell_status(one_cell(["5"] * n), RuleSet(p_percent=None)) == expected
    assert cell_status(one_cell(["1"] * n), RuleSet(), kind="count") == expected


def test_units_of_one_group_are_one_contributor() -> None:
    micro = one_cell(["10", "10", "10", "10"], names="AABB")
    assert cell_status(micro, COUNT_ONLY) == "primary"
    # dominance too: three units of 40 each are a group of 120 against 8 + 3
    assert cell_status(one_cell(["40", "40", "40", "8", "3"], names="AAABC"), RuleSet()) == "primary"
    assert cell_status(one_cell(["40", "40", "40", "8", "3"], names="ABCDE"), RuleSet()) == "published"


def test_modelled_contributions_add_to_the_value_only() -> None:
    micro = one_cell(["10", "20", "500", "500", "500"], [True, True, False, False, False])
    table = build_table(micro, {"t": ("region",)}, HIERARCHIES, "value", "contributor", "observed")
    row = protect(table, RuleSet()).frame.filter(region="N1").row(0, named=True)
    assert (row["status"], row["n"], row["value"]) == ("primary", 2, Decimal("1530.00"))
    # nobody answered: no answer to protect
    assert cell_status(one_cell(["10", "20"], [False, False]), RuleSet()) == "published"
    # a large modelled part does not dilute a dominant answer
    assert cell_status(one_cell(["100", "5", "4", "900"], [True, True, True, False]), RuleSet()) == "primary"


def test_zeros_and_gaps_are_no_contributions() -> None:
    micro = one_cell(["10", "20", "0"]).vstack(
        contributions([("N1", "a", "Z", "1", True)]).with_columns(value=pl.lit(None, dtype=MONEY))
    )
    assert cell_status(micro, COUNT_ONLY) == "primary"
    table = build_table(one_cell(["0", "0", "0"]), {"t": ("region",)}, HIERARCHIES, "value", "contributor", "observed")
    pattern = protect(table, RuleSet())
    assert pattern.frame.select("value", "n", "status").unique().rows() == [(Decimal("0.00"), 0, "empty")]
    assert audit(pattern).passed


# ---- patterns worked out by hand ----


def test_one_unsafe_cell_takes_the_smallest_neighbour_with_it() -> None:
    rows = groups("N1", "a", ["5"]) + groups("N2", "a", GOOD) + groups("S1", "a", GOOD + GOOD)
    rows += groups("S2", "a", [*GOOD, "20"])
    pattern = protect(table_of(rows, {"t": ("region",)}), COUNT_ONLY)
    found = {r["region"]: r["status"] for r in pattern.frame.iter_rows(named=True)}
    # N = N1 + N2 is published, so N2 must hide N1; nothing else
    assert found == {
        "_T": "published", "N": "published", "S": "published",
        "N1": "primary", "N2": "secondary", "S1": "published", "S2": "published",
    }  # fmt: skip


def test_two_way_table_hides_a_rectangle() -> None:
    rows = groups("N1", "a", ["5"])
    sizes = {("N1", "b"): 4, ("N1", "c"): 9, ("N2", "a"): 5, ("N2", "b"): 6, ("N2", "c"): 9}
    for (region, activity), n in sizes.items():
        rows += groups(region, activity, ["30"] * n)
    pattern = protect(table_of(rows, {"t": ("region", "activity")}), COUNT_ONLY)
    hidden = pattern.frame.filter(pl.col("status").is_in(["primary", "secondary"]))
    # N has the same contributions as the total; the cheapest rectangle around (N1, a) is that with column b
    assert set(hidden.select("region", "activity").rows()) == {
        ("N1", "a"),
        ("N1", "b"),
        ("N2", "a"),
        ("N2", "b"),
    }


def test_a_linked_table_does_not_give_the_cell_away() -> None:
    # alone, table 'cross' could hide (N1, a) behind (N1, b); 'cross2' shows region × activity of branch level
    rows = groups("N1", "a", ["5"]) + groups("N1", "b", ["30"] * 4) + groups("N2", "a", ["30"] * 5)
    rows += groups("S1", "a", GOOD) + groups("S2", "b", GOOD)
    pattern = protect(table_of(rows), COUNT_ONLY)
    assert audit(pattern).passed
    # (N, b) is the same figure as (N1, b): N2 has no b
    assert status(pattern, table="branch", region="N", activity="b") == status(
        pattern, table="cross", region="N1", activity="b"
    )
    assert_no_exact_disclosure(pattern)


def test_same_atoms_same_status_across_tables_and_levels() -> None:
    rows = groups("N1", "a", ["5", "6"]) + groups("S1", "b", GOOD) + groups("S2", "b", GOOD)
    pattern = protect(table_of(rows), COUNT_ONLY)
    for name in ("N", "N1"):
        assert status(pattern, table="regions", region=name, activity="_T") == "primary"
        assert status(pattern, table="cross", region=name, activity="a") == "primary"
    assert status(pattern, table="branch", region="N", activity="a") == "primary"


def test_a_group_alone_in_one_cell_cannot_compute_another() -> None:
    # N1 and N2 hold one group each: with N and N3 published, each of the two would learn the other's value
    hierarchies = {"region": {**REGION, "N3": "N"}}
    micro = contributions(
        groups("N1", "a", ["50"]) + groups("N2", "a", ["60"]) + groups("N3", "a", GOOD) + groups("S1", "a", GOOD)
    )

    def found(frame: pl.DataFrame, singletons: bool) -> Pattern:
        table = build_table(frame, {"t": ("region",)}, hierarchies, "value", "contributor", "observed")
        return protect(table, RuleSet(p_percent=None, singletons=singletons))

    outsiders_only = found(micro, singletons=False)
    assert status(outsiders_only, region="N3") == "published"
    certificate = audit(outsiders_only, RuleSet(p_percent=None))
    assert [name for name, check in certificate.checks.items() if not check["passed"]] == ["owners", "largest_groups"]
    safe = found(micro, singletons=True)
    assert status(safe, region="N3") == "secondary"
    assert audit(safe).passed
    # two cells of one and the same group tell it nothing new
    alone = pl.col("region").is_in(["N1", "N2"])
    own = micro.with_columns(contributor=pl.when(alone).then(pl.lit("X")).otherwise("contributor"))
    assert status(found(own, singletons=True), region="N3") == "published"


def rectangle(corner: str) -> Loaded:
    """(N1, a) is 1,000,000 from one group; column b holds three times ``corner``, column c 450,000."""
    rows = groups("N1", "a", ["1000000"]) + groups("N2", "a", ["90000"] * 5)
    for region in ("N1", "N2"):
        rows += groups(region, "b", [corner] * 3) + groups(region, "c", ["90000"] * 5)
    return table_of(rows, {"t": ("region", "activity")})


def hidden_cells(pattern: Pattern) -> set[tuple[str, str]]:
    rows = pattern.frame.filter(pl.col("status").is_in(["primary", "secondary"]))
    return set(rows.select("region", "activity").rows())


def test_a_narrow_interval_is_widened() -> None:
    # exactly protected by column b, which moves (N1, a) by 3 × 400 each way: 0.12 per cent of its value
    table = rectangle("400")
    narrow = protect(table, replace(COUNT_ONLY, min_width_percent=0.12))
    assert status(narrow, region="N1", activity="c") == "published"
    assert audit(narrow).passed
    # 0.24 per cent both ways together is what an attacker finds; the search asks it of one side
    assert audit(narrow, replace(COUNT_ONLY, min_width_percent=0.24)).passed
    assert not audit(narrow, replace(COUNT_ONLY, min_width_percent=0.25)).passed
    inner = {("N1", "a"), ("N1", "b"), ("N2", "a"), ("N2", "b")}
    assert hidden_cells(narrow) == inner
    for percent in (0.13, 0.25, 5.0):
        wide = protect(table, replace(COUNT_ONLY, min_width_percent=percent))
        assert hidden_cells(wide) - inner and audit(wide).passed
    certificate = audit(narrow, wide.rules)
    assert [name for name, found in certificate.checks.items() if not found["passed"]] == ["intervals"]


def test_dust_does_not_protect() -> None:
    pattern = protect(rectangle("0.01"), COUNT_ONLY)
    inner = {("N1", "a"), ("N1", "b"), ("N2", "a"), ("N2", "b")}
    assert hidden_cells(pattern) - inner and audit(pattern).passed


# ---- a public example: data set "magnitude1" of the R package SSBtools (Statistics Norway, MIT licence) ----

MAGNITUDE1 = """
Agr Por A 75.9, Agr Por B 24.5, Agr Spa A 96.6, Agr Spa B 43.2, Ent Ice B 16.8, Ent Por B 7.1, Ent Por D 2.3,
Ent Spa A 77.4, Ent Spa B 11.5, Ent Spa C 16.4, Gov Por B 21.6, Gov Por D 2.0, Gov Spa C 6.5, Gov Spa D 2.7,
Ind Ice B 9.6, Ind Ice C 8.8, Ind Ice D 1.9, Ind Por B 25.7, Ind Por D 3.4, Ind Spa C 8.4
"""


def test_public_example() -> None:
    rows = [(*item.split(), True) for item in MAGNITUDE1.replace("\n", " ").split(",")]
    sectors = {
        "private": None,
        "public": None,
        "Agr": "private",
        "Ent": "private",
        "Ind": "private",
        "Gov": "public",
    }
    places = {"EU": None, "nonEU": None, "Por": "EU", "Spa": "EU", "Ice": "nonEU"}
    hierarchies = {"region": sectors, "activity": places}
    table = build_table(
        contributions(rows), {"t": ("region", "activity")}, hierarchies, "value", "contributor", "observed"
    )
    pattern = protect(table, RuleSet(p_percent=None))
    by_key = {(r["region"], r["activity"]): r for r in pattern.frame.iter_rows(named=True)}
    # totals as the documentation of GaussSuppressDec prints them
    printed = {"_T": "462.3", "private": "429.5", "public": "32.8"}
    assert {k: by_key[k, "_T"]["value"] for k in printed} == {k: Decimal(v) for k, v in printed.items()}
    # cells of one or two companies, counted by hand in the list above
    expected = {("Agr", place) for place in ("_T", "EU", "Por", "Spa")} | {("Ent", "Ice"), ("Ent", "nonEU")}
    expected |= {("Ent", "Por"), ("Ind", "Por"), ("Ind", "Spa")}
    expected |= {(sector, place) for sector in ("Gov", "public") for place in ("Por", "Spa")}
    assert {key for key, row in by_key.items() if row["status"] == "primary"} == expected
    assert_no_exact_disclosure(pattern)
    assert audit(pattern).passed


# ---- random tables against exact algebra ----


REGIONS, ACTIVITIES = st.sampled_from(["N1", "N2", "S1", "S2"]), st.sampled_from(["a", "b", "c"])
OBSERVED = st.sampled_from([True, True, True, False])
ROWS = st.lists(
    st.tuples(REGIONS, ACTIVITIES, st.sampled_from("ABCDEFGHIJ"), st.integers(1, 500), OBSERVED),
    min_size=1,
    max_size=45,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(ROWS, st.sampled_from([RuleSet(), COUNT_ONLY, RuleSet(min_contributors=4, p_percent=25.0)]))
def test_no_unsafe_cell_follows_from_published_ones(rows: list[tuple[Any, ...]], rules: RuleSet) -> None:
    pattern = protect(table_of(rows), rules)
    assert_no_exact_disclosure(pattern)
    certificate = audit(pattern, rules)
    assert certificate.passed, certificate.checks
    assert certificate.checks["null_space"]["determined_other"] == 0


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_nothing_more_could_be_published(rows: list[tuple[Any, ...]]) -> None:
    """Every secondary cell, published in addition, would give an unsafe one away: the stage is maximal."""
    table = table_of(rows)
    found = find_sensitive(table.problem, COUNT_ONLY)
    shown = suppress(table.problem, found, singletons=False).published
    by_variable = np.where(found.unsafe, "primary", np.where(shown, "published", "secondary")).tolist()
    variables = table.problem.cells.sort("table", *table.spec.dims)["variable"]
    cells = [(m, by_variable[v]) for m, v in zip(members(protect(table, COUNT_ONLY)), variables, strict=True) if v >= 0]
    published = sorted({m for m, s in cells if s == "published"}, key=sorted)
    unsafe = {m for m, s in cells if s == "primary"}
    for extra in {m for m, s in cells if s == "secondary"}:
        assert any(in_span([*published, extra], target) for target in unsafe)


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_cells_in_no_publication_are_protected_and_do_not_compete(rows: list[tuple[Any, ...]]) -> None:
    """Of a share only the inside and the whole are shown: what remains outside must not follow from them."""
    pattern = protect(table_of(rows, {"t": ("region", "activity")}, offers={"activity": ("a", "b")}), RuleSet())
    assert_no_exact_disclosure(pattern)
    assert audit(pattern).passed
    frame = pattern.frame
    cells = list(zip(members(pattern), frame["activity"], frame["status"], strict=True))
    offered = {cell for cell, activity, _ in cells if activity in ("a", "b")}
    for cell, _, found in cells:
        assert found in (
            ("primary", "published", "secondary", "empty") if cell in offered else ("primary", "unoffered", "empty")
        )


def test_an_item_left_blank_by_one_costs_nothing() -> None:
    """Code c: one unit that did not answer. It said nothing that its difference from the total could give away."""
    rows = [*groups("N1", "a", [5, 5, 5, 5]), *groups("N1", "b", [9, 9, 9, 9]), *groups("N1", "c", [70])]
    tables, shown = {"t": ("region", "activity")}, {"activity": ("a", "b", "_T")}
    careful = protect(table_of(rows, tables, offers=shown), RuleSet())
    blank = protect(table_of(rows, tables, offers=shown, unanswered={"activity": ("c",)}), RuleSet())
    assert status(careful, region="_T", activity="c") == "primary"
    assert {status(blank, region="_T", activity=c) for c in ("a", "b", "_T")} == {"published"}
    assert status(blank, region="_T", activity="c") == "unoffered" and audit(blank).passed
    alone = protect(table_of(groups("N1", "c", [70]), tables, unanswered={"activity": ("c",)}), RuleSet())
    assert status(alone, region="_T", activity="_T") == "primary", (
        "the same contribution under another name is an answer"
    )
    assert audit(alone).passed


def test_a_total_that_is_not_offered_costs_no_offered_total() -> None:
    """N: the outside part c is one group's. Its sum with the rest is in no publication, so that the rest may be."""
    rows = [*groups("N1", "a", [5, 5, 5, 5]), *groups("N1", "b", [9, 9, 9, 9]), *groups("N1", "c", [70])]
    whole = protect(table_of(rows, {"t": ("region", "activity")}), RuleSet())
    parts = protect(table_of(rows, {"t": ("region", "activity")}, offers={"activity": ("a", "b")}), RuleSet())
    assert {status(whole, region="_T", activity=c) for c in "ab"} != {"published"}
    assert {status(parts, region="_T", activity=c) for c in "ab"} == {"published"}
    assert status(parts, region="_T", activity="_T") == "unoffered"
    assert status(parts, region="_T", activity="c") == "primary"


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_values_add_up(rows: list[tuple[Any, ...]]) -> None:
    pattern = protect(table_of(rows), RuleSet())
    by_key = {r[:3]: r for r in pattern.frame.select("table", "region", "activity", "value", "n").rows()}
    total = by_key["cross", "_T", "_T"][3]
    assert total == sum((Decimal(r[3]) for r in rows), Decimal(0))
    for activity in ("_T", "a", "b", "c"):
        for whole, parts in (("_T", ("N", "S")), ("N", ("N1", "N2")), ("S", ("S1", "S2"))):
            value = by_key["cross", whole, activity][3]
            assert value == sum((by_key["cross", p, activity][3] for p in parts), Decimal(0))
    for region in ("_T", *REGION):
        assert by_key["cross", region, "_T"][3] == by_key["regions", region, "_T"][3]
        named = {r[2] for r in rows if r[4] and region in (r[0], r[0][0], "_T")}
        assert by_key["cross", region, "_T"][4] == len(named)


@settings(max_examples=25, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(rows: list[tuple[Any, ...]], random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    first, second = protect(table_of(rows), RuleSet()), protect(table_of(shuffled), RuleSet())
    assert first.hash == second.hash
    assert first.frame.equals(second.frame)
    assert first.table.problem.hash == second.table.problem.hash
    assert audit(first).as_dict() == audit(second).as_dict()


# ---- input ----


def test_tables_hold_all_levels_totals_and_empty_cells() -> None:
    pattern = protect(table_of(groups("N1", "a", GOOD)), COUNT_ONLY)
    sizes = dict(pattern.frame["table"].value_counts().iter_rows())
    assert sizes == {"cross": 7 * 4, "regions": 7, "branch": 3 * 4}
    assert pattern.frame.schema["value"] == pl.Decimal(24, 2)
    assert pattern.frame.columns == ["table", "region", "activity", "value", "n", "status"]


def test_large_values_are_exact() -> None:
    rows = groups("N1", "a", ["3602879701896397.01", "3602879701896397.02", "3602879701896397.03"])
    frame = protect(table_of(rows), COUNT_ONLY).frame
    assert frame.filter(table="regions", region="_T")["value"].to_list() == [Decimal("10808639105689191.06")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("N", "a", "A", "1", True), "leaf"),
        (("X9", "a", "A", "1", True), "leaf"),
        ((None, "a", "A", "1", True), "leaf"),
        (("N1", "a", "A", "-1", True), "negative"),
        (("N1", "a", None, "1", True), "contributor"),
        (("N1", "a", "A", "1", None), "observed"),
    ],
)
def test_bad_contributions_are_refused(row: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table_of([row])


def test_floats_unknown_dimensions_and_bad_rules_are_refused() -> None:
    micro = contributions(groups("N1", "a", GOOD))
    with pytest.raises(ValueError, match="Decimal"):
        build_table(micro.cast({"value": pl.Float64}), LINKED, HIERARCHIES, "value", "contributor")
    with pytest.raises(ValueError, match="hierarchy"):
        build_table(micro, {"t": ("size",)}, HIERARCHIES, "value", "contributor")
    with pytest.raises(ValueError, match="whole number"):
        build_table(micro, {"t": ("region:x",)}, HIERARCHIES, "value", "contributor")
    with pytest.raises(ValueError, match="min_contributors"):
        RuleSet(min_contributors=0)


def test_counting_without_a_value_column() -> None:
    micro = contributions(groups("N1", "a", GOOD) + groups("S1", "b", ["1"]))
    table = build_table(micro, {"t": ("region",)}, HIERARCHIES, None, "contributor", kind="count")
    frame = protect(table, RuleSet()).frame
    assert frame.filter(region="_T")["value"].to_list() == [Decimal("4.00")]
    assert frame.filter(region="S1")["status"].to_list() == ["primary"]


def test_no_contribution_at_all() -> None:
    pattern = protect(table_of([]), RuleSet())
    assert set(pattern.frame["status"]) == {"empty"}
    assert audit(pattern).passed
