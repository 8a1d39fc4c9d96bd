"""Linking the text of algorithm filings to units by name; the pass over the register reads it."""

from pathlib import Path

import polars as pl
import pytest

from etl.coding import code_register, coding_input
from etl.filing_text import filing_texts, with_filing_text
from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.store import ensure_bundle
from tests.etl.test_coding import CODES, REGISTER, register
from warehouse.write import WorkStore

TEXT = "语音识别开放平台(网站)；大语言模型训练；人工智能芯片设计"


@pytest.fixture(scope="module")
def bundle(bundles: Path) -> Bundle:
    return ensure_bundle(bundles)


def filings() -> pl.DataFrame:
    rows = [
        ("深圳市第１号科技有限公司", "语音识别开放平台(网站)", "大语言模型训练", "b"),
        ("深圳市第1号 科技有限公司", "语音识别开放平台(网站)", "人工智能芯片设计", "c"),
        ("深圳市第2号科技有限公司", None, " ", "a"),
        ("北京某公司", "平台", "推荐", "d"),
    ]
    return pl.DataFrame(rows, schema=["company", "product", "purpose", "filing_no"], orient="row")


def test_texts_of_a_company_are_joined_once_in_the_order_of_filings() -> None:
    found = dict(filing_texts(filings()).iter_rows())
    assert found == {"深圳市第1号科技有限公司": TEXT, "北京某公司": "平台；推荐"}
    assert filing_texts(filings().reverse()).sort("company").equals(filing_texts(filings()).sort("company"))


def test_units_get_the_text_by_name_and_keep_their_hash_without_one() -> None:
    texts = filing_texts(filings())
    units = register(4)
    linked = with_filing_text(units, texts)
    assert linked["filing_text"].to_list() == [None, TEXT, None, None]
    assert linked.drop("filing_text").equals(units)
    assert with_filing_text(units, None)["filing_text"].null_count() == 4
    plain, filed = coding_input(units), coding_input(units, filings=texts)
    assert (plain["input_hash"] == filed["input_hash"]).to_list() == [True, False, True, True]


def test_a_new_filing_recodes_its_unit_alone_and_codes_nothing(bundle: Bundle, tmp_path: Path) -> None:
    work = WorkStore(tmp_path)
    work.write(REGISTER, register(12))
    code_register(work, REGISTER, CODES, bundle)
    before = work.read(CODES)
    done = code_register(work, REGISTER, CODES, bundle, filings=filing_texts(filings()))
    after = work.read(CODES)
    assert done.fresh == 1
    changed = after.join(before, on=["unit_id", "input_hash"], how="anti")
    assert changed["unit_id"].to_list() == ["914400000000000001"]
    assert before.row(1, named=True)["segment"] == "none"
    assert changed.row(0, named=True)["route"] == "review" and changed.row(0, named=True)["segment"] is None
    assert code_register(work, REGISTER, CODES, bundle, filings=filing_texts(filings())).fresh == 0
