"""Indicators of further sources: what the YAML files say, periods, sums, ratios, and what is withheld."""

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from etl.contract import load_contract
from etl.methods.disclosure import RuleSet
from etl.source_codes import listed
from etl.source_cubes import clear_source
from etl.source_plan import clusters
from etl.source_rows import coarser, period_end, place
from tests.etl.source_data import application, cell, centre, cleared, received
from warehouse.catalogue import Indicator, MetadataError, load_datasets, load_indicators
from warehouse.source_spec import SourceSpec

SOURCE_INDICATORS = [i for i in load_indicators().values() if i.view == "source"]
QUARTER = ("2026-07", "2026-08", "2026-09")
TYPE = "compute_type_quarter"


# --- metadata -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indicator", SOURCE_INDICATORS, ids=lambda i: i.id)
def test_an_indicator_names_columns_and_questions_of_its_contract(indicator: Indicator) -> None:
    spec = indicator.source
    assert spec is not None
    contract = load_contract(spec.id)
    assert spec.columns <= set(contract.identifiers)
    assert spec.id in indicator.sources and indicator.legal_basis
    if spec.question is not None:
        asked = contract.column(spec.question.column).question
        assert asked is not None
        assert (spec.question.version, spec.question.denominator) == (asked.version, asked.denominator)
        assert asked.wording in indicator.note_zh and asked.denominator in indicator.note_zh
        assert asked.version in indicator.note_zh and asked.version in indicator.note_en


def test_unprotected_cubes_come_only_from_sources_that_name_nobody() -> None:
    known = load_datasets()
    open_sources = {i.source.id for i in SOURCE_INDICATORS if i.source and not known[i.datasets[0]].protected}
    assert open_sources == {
        "public_data",
        "scenarios",
        "plan_tasks",
        "talent_programmes",
        "parks",
        "occupation_employment",
    }
    assert not any(load_contract(s).identifying for s in open_sources)


def test_code_lists_are_those_of_the_contracts() -> None:
    checked = 0
    for cluster in clusters(SOURCE_INDICATORS):
        contract = load_contract(cluster.source)
        for name, dimension in cluster.dimensions.items():
            columns = {p.spec.dims[name].column if name in p.spec.dims else name for p in cluster.plans}
            for column in columns & set(contract.identifiers):
                values = contract.column(column).values
                if values and dimension.scheme in listed():
                    codes = {c: zh for c, zh, _ in listed()[dimension.scheme]}
                    part = any(p.spec.dims[name].extract for p in cluster.plans if name in p.spec.dims)
                    assert codes.items() <= values.items() and (part or codes == dict(values)), (name, column)
                    checked += 1
    assert checked >= 14


@pytest.mark.parametrize(
    "wrong",
    [
        {"aggregation": "sum"}, {"aggregation": "share", "variable": "a"}, {"aggregation": "mean", "variable": "a"},
        {"aggregation": "ratio", "variable": "a"}, {"aggregation": "distinct"}, {"aggregation": "median", "variable": "a"},
        {"aggregation": "cv", "variable": "w", "of": {}}, {"aggregation": "sum", "variable": "a", "formula": "x"},
    ],
)  # fmt: skip
def test_an_incomplete_description_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SourceSpec.model_validate({"id": "compute_centres", **wrong})


# --- periods --------------------------------------------------------------------------------------------------------


def test_periods_lie_in_longer_ones_and_end_with_them() -> None:
    assert [coarser("2026-08", f) for f in "MQA"] == ["2026-08", "2026-Q3", "2026"]
    assert [coarser(p, "A") for p in ("2025-Q4", "2025")] == ["2025", "2025"]
    assert [period_end(p) for p in ("2024-02", "2026-Q3", "2025")] == [
        date(2024, 2, 29), date(2026, 9, 30), date(2025, 12, 31),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="cannot be split"):
        coarser("2025", "Q")


def spec(name: str, **changes: Any) -> SourceSpec:
    own = load_indicators()[name].source
    assert own is not None
    return own.model_copy(update=changes)


def test_flows_need_every_month_and_stocks_the_last_one() -> None:
    rows = [centre(1, "U1", m) for m in ("2026-01", "2026-02", "2026-03", "2026-05", "2026-06", "2026-08")]
    source = received("compute_centres", rows)
    flow = place(source, spec("compute_energy"), "Q")
    assert flow.periods == ("2026-Q1",) and flow.rows.height == 3
    stock = place(source, spec("compute_capacity"), "Q")
    assert stock.periods == ("2026-Q1", "2026-Q2")
    assert stock.rows["raw"].to_list() == ["2026-03", "2026-06"]
    last = place(source, spec("compute_capacity", aggregation="last", period="flow"), "Q")
    assert last.rows["raw"].to_list() == ["2026-03"]


def test_a_file_without_a_row_is_a_period_with_zeros_and_the_future_is_not_published() -> None:
    rows = [centre(1, "U1", m) for m in (*QUARTER, "2026-10", "2026-11", "2026-12")]
    source = received("compute_centres", rows[:2] + rows[3:], periods=QUARTER)
    assert place(source, spec("compute_energy"), "Q").periods == ("2026-Q3",)


def test_events_count_by_their_date_and_unfinished_years_are_provisional() -> None:
    rows = [
        {"scenario_id": "A", "batch": "2025-1", "domain": "R1", "department": "甲", "published_on": date(2025, 3, 1)},
        {"scenario_id": "B", "batch": "2026-1", "domain": "R2", "department": "乙", "published_on": date(2026, 3, 1),
         "signed_on": date(2026, 9, 2), "matched_on": date(2026, 5, 1)},
        {"scenario_id": "C", "batch": "2026-2", "domain": "R2", "department": "乙", "published_on": date(2026, 12, 1)},
    ]  # fmt: skip
    found = cleared(received("scenarios", rows, periods=["2025-12", "2026-09"]))
    published = found.frame.filter(indicator="scenarios_published", dataset="scenarios_domain_year", domain="_T")
    assert dict(published.select("period", "provisional").iter_rows()) == {"2025": False, "2026": True}
    assert cell(found, "scenarios_domain_year", "scenarios_published", "2026", domain="_T") == (1.0, "published")
    assert cell(found, "scenarios_domain_year", "scenarios_signed", "2026", domain="R2") == (1.0, "published")
    assert cell(found, "scenarios_domain_year", "scenarios_signed_share", "2025", domain="_T") == (0.0, "published")
    assert cell(found, "scenarios_domain_year", "scenarios_signed_share", "2026", domain="R1") == (None, "")


# --- values ---------------------------------------------------------------------------------------------------------


def many_centres() -> list[dict[str, Any]]:
    """Eight centres of eight groups in two types, three months of unequal sizes."""
    return [
        centre(
            n, f"U{n}", month, centre_type="1" if n < 4 else "3", capacity_pflops=100 + n, available_pflops=90 + n,
            utilisation_pct=40 + 5 * n, pue=str(1.2 + n / 100), energy_kwh=1000 + 10 * n + m, renewable_kwh=300 + 10 * n,
        )
        for n in range(8) for m, month in enumerate(QUARTER)
    ]  # fmt: skip


def test_sums_means_ratios_and_shares_equal_a_calculation_by_hand() -> None:
    rows = many_centres()
    found = cleared(received("compute_centres", rows))
    assert found.passed and found.audits
    assert set(found.frame["centre_type"]) == {"_T", "1"}, "the other types are in the total, and no zeros"
    last = [r for r in rows if r["ref_period"] == "2026-09"]
    value = {i: cell(found, TYPE, i, "2026-Q3", centre_type="_T")[0] for i in (
        "compute_capacity", "compute_utilisation", "compute_pue", "compute_energy", "compute_renewable_share")}  # fmt: skip
    assert value["compute_capacity"] == sum(r["capacity_pflops"] for r in last)
    weight = np.array([r["available_pflops"] for r in last])
    assert value["compute_utilisation"] == round(float(weight @ [r["utilisation_pct"] for r in last] / weight.sum()), 2)
    energy = sum(r["energy_kwh"] for r in rows)
    assert value["compute_energy"] == energy
    it = sum(round(r["energy_kwh"] / float(r["pue"]), 2) for r in rows)
    assert value["compute_pue"] == round(energy / it, 2)
    assert value["compute_renewable_share"] == round(100 * sum(r["renewable_kwh"] for r in rows) / energy, 2)


def test_a_gap_is_missing_and_no_row_is_zero() -> None:
    rows = [
        {"round_id": f"R{n}", "uscc": f"U{n}", "ref_period": f"2025-Q{q}", "closed_on": date(2025, 3 * q, 1), "stage": s,
         "amount_cny": a}
        for n, (q, s, a) in enumerate([(1, "1", 10_000), (2, "1", 20_000), (3, "1", 15_000), (4, "1", 12_000), (1, "2", None)])
    ]  # fmt: skip
    found = cleared(received("investment", rows))
    stage = "funding_stage_year"
    assert cell(found, stage, "funding_amount", "2025", stage="2")[1] == "missing"
    assert cell(found, stage, "funding_amount", "2025", stage="3") == (0.0, "empty")
    assert cell(found, stage, "funding_amount", "2025", stage="_T") == (57_000.0, "published")


def test_members_enter_with_their_membership() -> None:
    rows = [{"uscc": f"U{n}", "ref_year": 2025, "inventions_valid": 10, "software_rights": 4} for n in range(6)]
    members = [
        {"uscc": f"U{n}", "ref_year": 2025, "contributor": f"U{n}", "district": "440305", "size": "S",
         "membership": 0.5 if n == 0 else 1.0, "is_signed": n > 0}
        for n in range(5)
    ]  # fmt: skip
    found = cleared(received("ip", rows, members=members))
    assert cell(found, "innovation_district_year", "inventions_valid", "2025", district="_T") == (45.0, "published")


# --- disclosure -----------------------------------------------------------------------------------------------------


def test_fewer_than_three_groups_are_withheld_with_every_ratio_that_needs_them() -> None:
    rows = many_centres()
    groups = {f"U{n}": "G" if n < 4 else f"U{n}" for n in range(8)}  # type 1 is one enterprise group
    found = cleared(received("compute_centres", rows, groups=groups))
    hidden = {"primary", "secondary"}
    for indicator in (
        "compute_capacity",
        "compute_utilisation",
        "compute_pue",
        "compute_energy",
        "compute_renewable_share",
    ):
        one = cell(found, TYPE, indicator, "2026-Q3", centre_type="1")
        assert one[1] in hidden, indicator
    assert (
        cell(cleared(received("compute_centres", rows)), TYPE, "compute_capacity", "2026-Q3", centre_type="1")[1]
        == "published"
    )


def test_units_without_a_code_are_one_contributor() -> None:
    rows = [
        {"carrier_id": f"C{n}", "uscc": None, "ref_year": 2025, "carrier_type": "1", "carrier_level": "3", "rnd_cny": 9}
        for n in range(5)
    ]
    found = cleared(received("carriers", rows))
    assert cell(found, "carriers_type_year", "innovation_carriers", "2025", carrier_type="_T")[1] == "primary"


def test_the_one_that_did_not_is_protected_as_well() -> None:
    """A share of nine in ten tells of the tenth: the complement is a cell of the same tables."""
    tier = "applications_tier_quarter"
    rows = [application(n, f"U{n}", done="2" if n == 9 else "1") for n in range(10)]
    one = cleared(received("applications", rows))
    assert cell(one, tier, "applications_assessed_share", "2026-Q3", risk_tier="H")[1] in ("primary", "secondary")
    assert cell(one, tier, "ai_applications", "2026-Q3", risk_tier="H") == (10.0, "published")
    rows = [application(n, f"U{n}", done="2" if n >= 7 else "1") for n in range(10)]
    three = cleared(received("applications", rows))
    assert cell(three, tier, "applications_assessed_share", "2026-Q3", risk_tier="H") == (70.0, "published")


def test_units_in_several_cells_are_counted_once_and_only_in_the_total() -> None:
    service = "testing_service_year"
    rows = [
        {"body_id": f"B{n}", "uscc": f"U{n}", "service": s, "ref_year": 2025, "reports": 5}
        for n in range(4) for s in ("1", "2")
    ]  # fmt: skip
    found = cleared(received("testing_services", rows))
    assert cell(found, service, "testing_bodies", "2025", service="_T") == (4.0, "published")
    bodies = found.frame.filter(pl.col("indicator") == "testing_bodies")
    assert bodies["service"].to_list() == ["_T"], "by service most of it would be withheld, and the parts do not add up"
    alone = [r for r in rows if (r["service"] == "1") == (r["uscc"] in ("U0", "U1", "U2"))] + [
        {"body_id": f"C{n}", "uscc": f"V{n}", "service": "2", "ref_year": 2025, "reports": 5} for n in range(2)
    ]
    apart = cleared(received("testing_services", alone))
    assert cell(apart, service, "testing_bodies", "2025", service="_T") == (6.0, "published")


def random_applications(seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        application(
            n, f"U{rng.integers(14)}", str(rng.choice(["H", "M", "L"])), "2" if rng.random() < 0.3 else "1",
            domain=str(rng.choice(["R1", "R2", "R3", "R4", "R5"])),
        )
        for n in range(40)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_no_share_is_shown_whose_parts_are_fewer_than_three_groups(seed: int) -> None:
    """Straight from the rows: inside, outside and whole of each share shown."""
    rows = random_applications(seed)
    found = cleared(received("applications", rows))
    assert found.passed
    columns = {"assessed": "assessed_before", "disclosed": "disclosed_before", "followed": "followed_up"}
    shown = found.frame.filter(pl.col("status") == "published")
    for row in shown.filter(pl.col("indicator").str.ends_with("_share")).iter_rows(named=True):
        column = columns[row["indicator"].split("_")[1]]
        dim = "risk_tier" if row["risk_tier"] else "domain"
        own = [r for r in rows if row[dim] in ("_T", r[dim]) and r[column] in ("1", "2")]
        parts = [[r for r in own if r[column] == done] for done in ("1", "2")]
        assert all(len({r["uscc"] for r in part}) not in (1, 2) for part in (*parts, own)), row
        assert float(row["value"]) == round(100 * len(parts[0]) / len(own), 2)


def test_cubes_of_a_source_that_names_units_may_not_be_open() -> None:
    cluster = next(c for c in clusters(SOURCE_INDICATORS) if c.source == "parks")
    named = received("carriers", [{"carrier_id": "C", "ref_year": 2025, "carrier_type": "1", "carrier_level": "1"}])
    with pytest.raises(MetadataError, match="protected: true"):
        clear_source(cluster, named, {"district": []}, RuleSet())


def test_one_source_has_one_frequency() -> None:
    cards = [i for i in SOURCE_INDICATORS if i.id in ("compute_capacity", "compute_energy")]
    mixed = [cards[0], cards[1].model_copy(update={"datasets": ("parks_district_year",)})]
    with pytest.raises(MetadataError, match="one frequency"):
        clusters(mixed)


# --- the survey -----------------------------------------------------------------------------------------------------


def answers() -> list[dict[str, Any]]:
    """Forty units in two strata of weights 2 and 5; every fourth says yes, every tenth does not know."""
    rows = []
    for n in range(40):
        band = "大" if n < 16 else "小"
        uses = "1" if n % 4 == 0 else "9" if n % 10 == 1 else "2"
        yes = uses == "1"
        rows.append({
            "uscc": f"U{n}", "name": f"单位{n}", "ref_year": 2025, "stratum": f"I-{band}",
            "design_weight": 2 if band == "大" else 5, "uses_ai": uses, "plans_ai": "1" if n % 3 else "2",
            "tech_image": ("1" if n % 8 else "2") if yes else None, "purpose": str(1 + n % 2) if yes else None,
            "obstacle": str(1 + n % 2), "employment_effect": "2" if yes else None,
        })  # fmt: skip
    return rows


def test_do_not_know_is_neither_yes_nor_no() -> None:
    rows = answers()
    found = cleared(received("adoption_survey", rows, groups={r["uscc"]: r["uscc"] for r in rows}))
    total = sum(r["design_weight"] for r in rows)
    shares = {}
    for code, name in (("1", "rate"), ("2", "no_share"), ("9", "unknown_share")):
        weight = sum(r["design_weight"] for r in rows if r["uses_ai"] == code)
        shares[name] = cell(found, "adoption_band_year", f"adoption_{name}", "2025", band="_T")
        assert shares[name] == (round(100 * weight / total, 2), "published")
    assert abs(sum(v or 0 for v, _ in shares.values()) - 100) < 0.02


def test_shares_of_users_have_users_below_the_line() -> None:
    rows = answers()
    found = cleared(received("adoption_survey", rows, groups={r["uscc"]: r["uscc"] for r in rows}))
    users = [r for r in rows if r["purpose"]]
    weight = sum(r["design_weight"] for r in users)
    image = sum(r["design_weight"] for r in users if r["tech_image"] == "1")
    assert cell(found, "adoption_band_year", "adoption_image_share", "2025", band="_T")[0] == round(
        100 * image / weight, 2
    )
    first = sum(r["design_weight"] for r in users if r["purpose"] == "1")
    assert cell(found, "adoption_purpose_year", "adoption_purpose_share", "2025", purpose="1")[0] == round(
        100 * first / weight, 2
    )
    assert cell(found, "adoption_purpose_year", "adoption_purpose_share", "2025", purpose="_T")[0] == 100.0


def test_another_version_of_a_question_is_refused() -> None:
    own = load_indicators()["adoption_rate"]
    assert own.source is not None and own.source.question is not None
    asked = own.source.question.model_copy(update={"version": "2023-1"})
    other = own.model_copy(update={"source": own.source.model_copy(update={"question": asked})})
    cluster = clusters([other])[0]
    with pytest.raises(MetadataError, match="version 2023-1"):
        clear_source(cluster, received("adoption_survey", answers()), {}, RuleSet())


def test_breakdowns_on_few_sampled_persons_are_withheld_two_at_a_time() -> None:
    rows = [
        {"occupation": f"{o}-01", "age_group": "Y25T34", "sex": s, "ref_year": 2025, "employed_persons": 1000,
         "monthly_wage_cny": 6000 + 1000 * o, "sample_persons": 10 if (o, s) == (3, "F") else 40 + 10 * o}
        for o in (1, 2, 3) for s in ("M", "F")
    ]  # fmt: skip
    found = cleared(received("occupation_employment", rows))
    status = {
        (o, s): cell(found, "occupation_sex_year", "occupation_wage", "2025", occupation=o, sex=s)[1]
        for o in ("_T", "1", "2", "3") for s in ("_T", "M", "F")
    }  # fmt: skip
    withheld = {k for k, v in status.items() if v == "primary"}
    assert withheld == {("3", "F"), ("3", "M"), ("1", "F"), ("1", "M")}
    assert cell(found, "occupation_sex_year", "occupation_wage", "2025", occupation="_T", sex="_T") == (
        8000.0,
        "published",
    )
