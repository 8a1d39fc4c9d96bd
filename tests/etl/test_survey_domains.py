"""Domains of use on the AI survey form: part of AI revenue or less, absent in older forms, blank is not zero."""

from decimal import Decimal

import polars as pl
import pytest

from etl.contract import ContractError, load_contract, parse_contract
from etl.quantities import domain_columns
from etl.reading.typed import type_rows
from taxonomy.scheme import load_scheme

SURVEY = load_contract("ai_survey_annual")
GOOD = "91440300708461136T"
FILLED = {"统一社会信用代码": GOOD, "单位详细名称": "甲", "主营业务收入": "1000", "人工智能业务收入/合计": "400",
          "人工智能业务收入/软件": "400"}  # fmt: skip


def typed(**domains: str) -> tuple[pl.DataFrame, list[str]]:
    row = {c.header: FILLED.get(c.header) for c in SURVEY.columns}
    row |= {f"按应用领域分的人工智能业务收入/{name}": value for name, value in domains.items()}
    found = type_rows(SURVEY, pl.DataFrame([row], schema=dict.fromkeys(row, pl.String)))
    return found.frame, found.issues["expectation"].to_list()


def test_the_form_asks_the_domains_of_the_catalogue() -> None:
    scheme, columns = load_scheme("ai_industry_2026"), domain_columns()
    assert len(columns) == 18
    for code, identifier in columns.items():
        column = SURVEY.column(identifier)
        assert column.header.split("/")[1] == scheme.get(code).name_zh
        assert (column.type, column.unit, column.min, column.optional) == ("decimal", "CNY_1000", 0, True)


def test_parts_may_leave_some_but_not_exceed_the_total() -> None:
    frame, issues = typed(医疗="100", 教育="50")
    assert issues == [] and frame["domain_r391_cny"][0] == Decimal("100000.00")
    assert frame["domain_r393_cny"][0] is None, "blank is not zero"
    assert typed(医疗="401")[1] == [], "the form's tolerance"
    _, issues = typed(医疗="300", 教育="102")
    assert len(issues) == 1 and "各应用领域之和不大于" in issues[0]


def test_a_form_of_before_the_domains_is_still_read() -> None:
    older = {c.header: FILLED.get(c.header) for c in SURVEY.columns if not c.to.startswith("domain_")}
    found = type_rows(SURVEY, pl.DataFrame([older], schema=dict.fromkeys(older, pl.String)))
    assert found.issues.height == 0 and found.frame["domain_r415_cny"][0] is None


def test_within_needs_a_total_and_parts() -> None:
    text = """
id: x
title_zh: 甲
title_en: X
provider: 甲
legal_basis: [甲]
frequency: A
key: [a]
file: {pattern: x.csv, format: csv}
columns: {甲: {to: a, type: int, required: true}, 乙: {to: b, type: int}}
rules: [{id: r, kind: within, expectation: e, left: a, right: b}]
retention: 甲
"""
    with pytest.raises(ContractError, match="sum and within need total and parts"):
        parse_contract(text, "x.yaml")
