"""Three quantities apart: unit table, activity and enterprise view, domains, what readers may know of them."""

from collections.abc import Callable
from decimal import Decimal

import polars as pl
import pytest

from etl.analysis import activity_view, contributions
from etl.dissemination import clear
from etl.domain_cubes import ClearedDomains, clear_domains, domain_certificates, domain_model_shares
from etl.domains import OTHER, domain_codes, domain_contributions, domain_parents
from etl.flow_cubes import nested_rows
from etl.link import SURVEY_BRANCHES
from etl.methods.disclosure import RuleSet, separable
from etl.methods.disclosure.linked import Kind
from etl.nested_cubes import nested_contributions
from etl.quantities import domain_columns, membership_name, with_quantities
from etl.quantity_table import quantity_rows
from etl.revenue_interval import domain_intervals, drawn_revenue, revenue_interval
from etl.waterfall import clear_changes
from etl.years import YEAR, years_of
from tests.etl.quantity_units import unit_frame
from warehouse.catalogue import load_indicators

RULES = RuleSet()
REVENUE = load_indicators()["ai_revenue"]
COUNT = load_indicators()["ai_enterprises"]


@pytest.fixture(scope="module")
def units() -> pl.DataFrame:
    return with_quantities(unit_frame())


@pytest.fixture(scope="module")
def rows(units: pl.DataFrame) -> pl.DataFrame:
    return contributions(units, [COUNT, REVENUE])


@pytest.fixture(scope="module")
def cells(rows: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([c.cells() for c in clear(rows, [COUNT, REVENUE], RULES, 1)])


@pytest.fixture(scope="module")
def domains(units: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    return domain_contributions(units, rows.filter(pl.col("indicator") == "ai_revenue"))


def upto(units: pl.DataFrame, year: int) -> pl.DataFrame:
    return units.filter(pl.col(YEAR) <= year)


def test_a_later_year_moves_no_earlier_one(units: pl.DataFrame, rows: pl.DataFrame, domains: pl.DataFrame) -> None:
    """2025 answers ten times as much: every figure of 2024 stays to the last bit."""
    raised = unit_frame().with_columns(
        pl.when(pl.col(YEAR) == 2025).then(pl.col(c) * 10).otherwise(c).alias(c)
        for c in ("ai_revenue_cny", "main_revenue_cny", "operating_revenue_cny", "revenue_known")
    )
    later = with_quantities(raised)
    again = contributions(later, [COUNT, REVENUE])
    split = domain_contributions(later, again.filter(pl.col("indicator") == "ai_revenue"))
    for before, after in ((units, later), (rows, again), (domains, split)):
        assert before.filter(pl.col(YEAR) == 2024).equals(after.filter(pl.col(YEAR) == 2024))
        assert not before.filter(pl.col(YEAR) == 2025).equals(after.filter(pl.col(YEAR) == 2025))


def test_only_a_signed_return_confirms(units: pl.DataFrame) -> None:
    status = units.group_by("responded").agg(pl.col("member_status").unique())
    assert dict(status.iter_rows()) == {True: ["confirmed"], False: ["imputed"]}
    signed = units.filter("responded")
    assert (signed["membership"] == (signed["ai_share"] >= 0.3).cast(pl.Float64)).all()
    sure = with_quantities(unit_frame().with_columns(p_ai=pl.lit(1.0)))
    assert set(sure.filter(~pl.col("responded"))["member_status"]) == {"imputed"}
    assert sure.filter("responded")["membership"].equals(signed["membership"]), "the model does not move an answer"


def test_every_unit_has_its_rung_and_an_interval_that_holds_its_share(units: pl.DataFrame) -> None:
    assert set(units.filter("responded")["ai_share_rung"]) == {1}
    rungs = dict(
        units.filter(~pl.col("responded")).group_by("ref_year").agg(pl.col("ai_share_rung").unique()).iter_rows()
    )
    assert rungs[2025] == [5], "a thin stratum borrows from the year before"
    assert 5 in rungs[2024] and set(rungs[2024]) <= {5, 6}, "the first year has no year before to borrow from"
    inside = (pl.col("ai_share_lower") <= pl.col("ai_share_estimate")) & (
        pl.col("ai_share_estimate") <= pl.col("ai_share_upper")
    )
    assert units.select(inside.all()).item()
    known = units.filter("responded").select(width=pl.col("ai_share_upper") - pl.col("ai_share_lower"))
    guessed = units.filter(~pl.col("responded")).select(width=pl.col("ai_share_upper") - pl.col("ai_share_lower"))
    assert known["width"].max() < 0.05 and guessed["width"].median() > 0.5  # type: ignore[operator]
    missing = units.filter(~pl.col("responded"))
    held = missing.select(pl.col("true_share").is_between("ai_share_lower", "ai_share_upper").mean()).item()
    assert held >= 0.9, "the interval is for a unit, not for the mean of its stratum"


def test_few_respondents_lead_down_the_ladder() -> None:
    frame = unit_frame(60, 2)
    few = frame.with_columns(
        p_ai=pl.when("responded").then(0.6).otherwise(0.05), ref_year=pl.lit(2025, pl.Int64)
    ).unique("uscc", keep="first", maintain_order=True)
    rungs = set(with_quantities(few).filter(~pl.col("responded"))["ai_share_rung"])
    assert rungs == {6}, "no respondent in the band of the model: the class coefficient of branch and size"
    none = with_quantities(few.head(8))
    assert set(none.filter(~pl.col("responded"))["ai_share_rung"]) <= {7}
    assert none.filter(pl.col("ai_share_rung") == 7)["ai_share_estimate"].sum() == 0.0


def test_shares_by_branch_add_to_the_share(units: pl.DataFrame) -> None:
    branches = [f"ai_share_{name}_estimate" for name in SURVEY_BRANCHES]
    total = units.select(pl.sum_horizontal(branches) - pl.col("ai_share_estimate")).to_series()
    assert total.abs().max() < 1e-9  # type: ignore[operator]
    assert units.select(pl.min_horizontal(branches).min()).item() >= 0
    assert units["ai_share_estimate"].max() <= 1.0  # type: ignore[operator]


def test_activity_view_is_at_most_the_enterprise_view_at_the_same_weights(
    units: pl.DataFrame, rows: pl.DataFrame
) -> None:
    """Among members share ≤ 1 bounds activity from above; share ≥ 30 % bounds it from below."""
    activity = rows.filter(pl.col("indicator") == "ai_revenue").group_by("uscc", "ref_year").agg(pl.col("value").sum())
    signed = units.filter("responded").join(activity, on=["uscc", "ref_year"], how="left").fill_null(0)
    for threshold in (0.1, 0.3, 0.5):
        members = signed.filter(pl.col(membership_name(threshold)) == 1)
        enterprise = float(members["main_revenue_cny"].sum())
        inside = float(members["value"].sum())
        assert threshold * enterprise <= inside <= enterprise
    all_units = float(signed["value"].sum())
    assert all_units > float(signed.filter(pl.col("membership") == 1)["value"].sum()), "activity counts non-members too"


def test_members_never_rise_with_the_threshold_and_none_exceeds_the_frame(units: pl.DataFrame) -> None:
    names = [membership_name(t) for t in (0.1, 0.3, 0.5)]
    assert names == ["membership_10", "membership", "membership_50"]
    low, mid, high = (units[name] for name in names)
    assert ((low >= mid) & (mid >= high) & (low <= 1) & (high >= 0)).all()


def test_the_activity_view_knows_only_what_the_survey_asks(units: pl.DataFrame) -> None:
    other = REVENUE.model_copy(update={"id": "ai_profit", "variable": "total_profit_cny"})
    with pytest.raises(ValueError, match="ai_profit: the activity view is there for ai_revenue_cny"):
        activity_view(units, other)


def test_ai_revenue_is_near_the_truth_and_the_interval_holds_it(units: pl.DataFrame, rows: pl.DataFrame) -> None:
    truth = dict(units.group_by("ref_year").agg(pl.col("true_revenue").sum()).iter_rows())
    published = rows.filter(pl.col("indicator") == "ai_revenue").group_by("ref_year").agg(pl.col("value").sum())
    estimate = {year: float(value) for year, value in published.iter_rows()}
    for year in years_of(units):
        found = revenue_interval(upto(units, year), drawn_revenue(upto(units, year), year))
        assert found.lower <= truth[found.year] <= found.upper
        assert found.estimate == pytest.approx(estimate[found.year], rel=1e-9)
        assert 0 < (found.upper - found.lower) / found.estimate < 0.5


def test_domains_split_every_yuan_once(units: pl.DataFrame, rows: pl.DataFrame, domains: pl.DataFrame) -> None:
    key = ["uscc", "ref_year", "ai_class", "district", "size"]
    whole = rows.filter(pl.col("indicator") == "ai_revenue").group_by(key).agg(pl.col("value").sum()).sort(key)
    parts = domains.group_by(key).agg(pl.col("value").sum()).sort(key)
    assert parts.equals(whole)
    assert (domains["value"] > Decimal(0)).all()
    answered = units.filter(pl.col("domain_answered")).select("uscc", "ref_year", *domain_columns().values())
    column = "domain_r411_cny"
    told = answered.group_by("ref_year").agg(pl.col(column).sum()).sort("ref_year")[column]
    seen = domains.filter(pl.col("observed") & (pl.col("domain") == "R411"))
    seen = seen.group_by("ref_year").agg(pl.col("value").sum()).sort("ref_year")
    for stated, counted in zip(told, seen["value"], strict=True):
        assert abs(float(stated) - float(counted)) < 20, "answers enter as they stand, up to cents"


def test_a_blank_block_is_not_a_zero(units: pl.DataFrame, domains: pl.DataFrame) -> None:
    blank = units.filter(pl.col("responded") & ~pl.col("domain_answered") & (pl.col("ai_revenue_cny") > 0))
    own = domains.join(blank, on=["uscc", "ref_year"], how="semi")
    assert blank.height > 10 and not own["observed"].any()
    assert own["domain"].n_unique() > 10, "spread as respondents like it are, not put in X"
    zero = units.filter(pl.col("domain_answered") & (pl.col("ai_revenue_cny") > 0)).filter(
        pl.sum_horizontal(pl.col(list(domain_columns().values())).fill_null(0)) == 0
    )
    assert set(domains.join(zero, on=["uscc", "ref_year"], how="semi")["domain"]) <= {OTHER}


def test_intervals_of_the_domains_hold_their_estimates_and_the_cube(units: pl.DataFrame, domains: pl.DataFrame) -> None:
    parents = domain_parents()
    article = pl.col("domain").replace_strict({c: p or c for c, p in parents.items()})
    cube = domains.group_by("ref_year", article.alias("scope")).agg(pl.col("value").sum())
    expected = {(year, scope): float(value) for year, scope, value in cube.iter_rows()}
    found = [
        i
        for year in years_of(units)
        for i in domain_intervals(upto(units, year), drawn_revenue(upto(units, year), year))
    ]
    assert {(i.year, i.scope) for i in found} == set(expected)
    for i in found:
        assert i.estimate == pytest.approx(expected[i.year, i.scope], rel=1e-6)
        assert 0 <= i.lower <= i.estimate <= i.upper


def test_the_code_list_of_domains_follows_the_articles() -> None:
    codes = {str(row["code"]): row for row in domain_codes()}
    assert [c for c, row in codes.items() if row["level"] == 1] == ["R39", "R40", "R41", "X"]
    assert sum(row["level"] == 2 for row in codes.values()) == 18
    assert codes["R391"]["name_zh"] == "医疗" and codes["R391"]["legal_basis"] == "条例第三十九条"


# --- disclosure -----------------------------------------------------------------------------------------------


def test_connected_groups_by_hand() -> None:
    left, right = ["a", "a", "b", "c"], ["x", "y", "y", "z"]
    assert separable(left, right, ["g"] * 4) == {"g": False}, "c and z stand apart: their sum is known from both sides"
    assert separable(left[:3], right[:3], ["g"] * 3) == {"g": True}
    assert separable([*left, "c"], [*right, "y"], ["g"] * 5) == {"g": True}
    assert separable(left, right, ["g", "g", "g", "h"]) == {"g": True, "h": True}
    with pytest.raises(ValueError, match="unequal length"):
        separable(left, right[:2], ["g"])


def cleared(domains: pl.DataFrame, cells: pl.DataFrame) -> list[ClearedDomains]:
    return list(clear_domains(domains, cells, RULES, 1))


def test_domain_cubes_stand_beside_core_cubes_that_show_their_totals(
    domains: pl.DataFrame, cells: pl.DataFrame
) -> None:
    for year in cleared(domains, cells):
        assert year.certificate.passed and year.shown == ("core_domain_year", "core_branch_domain")
        own = year.cells()
        total = own.filter((pl.col("domain") == "_T") & (pl.col("ai_class") == "_T"))
        assert set(total["status"]) == {"published"} and total["value"].n_unique() == 1
        top = own.filter((pl.col("table") == "core_domain_year") & pl.col("domain").is_in(["R39", "R40", "R41", "X"]))
        assert top["value"].sum() == total["value"][0]


HIDE: dict[str, tuple[Callable[[], pl.Expr], tuple[str, ...]]] = {
    "a branch total of the core is withheld": (lambda: pl.col("ai_class") == "B", ("core_domain_year",)),
    "the city total of the core is withheld": (lambda: pl.col("ai_class") == "_T", ()),
}


@pytest.mark.parametrize("case", HIDE)
def test_what_could_be_combined_with_the_core_cubes_is_withheld_whole(
    domains: pl.DataFrame, cells: pl.DataFrame, case: str
) -> None:
    which, shown = HIDE[case]
    hidden = cells.with_columns(status=pl.when(which()).then(pl.lit("secondary")).otherwise("status"))
    for year in cleared(domains, hidden):
        assert year.shown == shown and year.certificate.passed
        own = year.cells()
        assert set(own["table"]) == {"core_domain_year", "core_branch_domain"}
        rest = own.filter(~pl.col("table").is_in(list(shown)))
        assert set(rest["status"]) <= {"primary", "secondary"} and rest.height > 0
    facts = domain_certificates(cleared(domains, hidden))
    assert facts["core_branch_domain"]["passed"] is True
    assert [part["shown"] for part in facts["core_branch_domain"]["tables"]] == [sorted(shown)] * 2  # type: ignore[attr-defined]


def test_a_class_alone_in_a_domain_withholds_the_overlap_table(domains: pl.DataFrame, cells: pl.DataFrame) -> None:
    """Revenue of A90 in one district is all that lies in a domain of branch A: the domain table would tell that cell."""
    alone = (pl.col("ai_class") == "A90") & (pl.col("district") == "440303")
    apart = domains.filter(~((pl.col("ai_class").str.starts_with("A")) & (pl.col("domain") == "R397"))).with_columns(
        domain=pl.when(alone).then(pl.lit("R397")).otherwise("domain")
    )
    found = cleared(apart, cells)
    assert all("core_branch_domain" not in year.shown for year in found)


def test_the_modelled_share_is_not_given_where_it_would_tell_who_left_the_domains_blank(
    units: pl.DataFrame, rows: pl.DataFrame, domains: pl.DataFrame
) -> None:
    """Public: modelled share of AI revenue. The difference from that of its domains is what blank returns earn."""
    activity = rows.filter(pl.col("indicator") == "ai_revenue")
    both = domain_model_shares(activity, domains, RULES)
    assert both["period"].to_list() == ["2024", "2025"]
    blank = units.filter(pl.col("responded") & ~pl.col("domain_answered") & (pl.col("ai_revenue_cny") > 0))
    lone = blank.filter(pl.col("ref_year") == 2025)["uscc"][0]
    told = pl.col("uscc").is_in(units.filter("responded")["uscc"].implode()) & (pl.col("uscc") != lone)
    few = domains.with_columns(observed=pl.when(pl.col("ref_year") == 2025).then(told).otherwise("observed"))
    assert domain_model_shares(activity, few, RULES)["period"].to_list() == ["2024"]
    none = domains.with_columns(observed=pl.when(pl.col("ref_year") == 2025).then(True).otherwise("observed"))
    assert domain_model_shares(activity, none, RULES)["period"].to_list() == ["2024", "2025"], "nobody to be told from"


# --- what readers see -------------------------------------------------------------------------------------------


def figures(units: pl.DataFrame, rows: pl.DataFrame, cells: pl.DataFrame, domains: pl.DataFrame) -> pl.DataFrame:
    own = pl.concat([c.cells() for c in cleared(domains, cells)])
    kinds: dict[str, Kind] = {"ai_enterprises": "count", "ai_revenue": "magnitude"}
    nested = nested_rows(clear_changes([], nested_contributions(units, rows), cells, kinds, RULES, 3))
    return quantity_rows(units, nested, cells, own, RULES)


def test_the_quality_table_agrees_with_the_cubes(
    units: pl.DataFrame, rows: pl.DataFrame, cells: pl.DataFrame, domains: pl.DataFrame
) -> None:
    table = figures(units, rows, cells, domains)
    assert table["label_zh"].null_count() == table["label_en"].null_count() == 0
    r30 = table.filter((pl.col("metric") == "member_count") & (pl.col("scope") == "30"))
    published = rows.filter(pl.col("indicator") == "ai_enterprises").group_by("ref_year").agg(pl.col("value").sum())
    headline = [float(v) for v in published.sort("ref_year")["value"]]
    assert r30.sort("period")["value"].to_list() == pytest.approx(headline, abs=1e-6)
    counts = table.filter(pl.col("metric") == "member_count")
    assert counts.select((pl.col("lower") <= pl.col("value")) & (pl.col("value") <= pl.col("upper"))).to_series().all()
    shares = table.filter(pl.col("metric") == "ai_share_rung").group_by("period").agg(pl.col("value").sum())
    assert shares["value"].to_list() == pytest.approx([1.0, 1.0], abs=5e-4)
    assert set(table.filter(pl.col("metric") == "ai_share_rung")["scope"]) - {"6"} == {"1-1", "1-2", "5"}


def test_figures_that_would_show_a_few_units_are_withheld(
    units: pl.DataFrame, rows: pl.DataFrame, cells: pl.DataFrame, domains: pl.DataFrame
) -> None:
    """In 2025 two groups lie between 10 and 30 %, and one unit alone says its share is an estimate."""
    this_year = pl.col("responded") & (pl.col("ref_year") == 2025)
    between = pl.col("ai_share").is_between(0.1, 0.3, closed="left")
    two = units.filter(this_year & between)["contributor"].unique(maintain_order=True)[:2].to_list()
    lone = units.filter(this_year & (pl.col("ai_revenue_cny") > 0))["uscc"][0]
    fewer = this_year & between & ~pl.col("contributor").is_in(two)
    few = units.with_columns(
        ai_share=pl.when(fewer).then(0.05).otherwise("ai_share"),
        membership_10=pl.when(fewer).then(0.0).otherwise("membership_10"),
        share_basis=pl.when(this_year & (pl.col("uscc") != lone)).then(pl.lit("1")).otherwise(pl.lit("2")),
    )
    table = figures(few, rows, cells, domains)
    ten = table.filter((pl.col("metric") == "member_count") & (pl.col("scope") == "10")).sort("period")
    assert [v is None for v in ten["value"]] == [False, True]
    assert "subtraction" in ten["note_en"][1] and "相减" in ten["note_zh"][1]
    others = table.filter((pl.col("metric") == "member_count") & (pl.col("scope") != "10"))
    assert others["value"].null_count() == 0
    answers = table.filter((pl.col("metric") == "ai_share_rung") & pl.col("scope").str.starts_with("1-"))
    withheld = answers.group_by("period").agg(pl.col("value").is_null().unique()).sort("period")
    assert withheld.rows() == [("2024", [False]), ("2025", [True])], (
        "the one answer, and the rest it could be told from"
    )


def test_no_interval_of_a_figure_that_is_not_published(
    units: pl.DataFrame, rows: pl.DataFrame, cells: pl.DataFrame, domains: pl.DataFrame
) -> None:
    hidden = cells.with_columns(
        status=pl.when(pl.col("ai_class") == "_T").then(pl.lit("secondary")).otherwise("status")
    )
    table = figures(units, rows, hidden, domains)
    assert not set(table["metric"]) & {"ai_revenue", "domain_revenue", "ai_share_rung"}
    counts = table.filter(pl.col("metric") == "member_count")
    assert counts["value"].null_count() == counts.height
