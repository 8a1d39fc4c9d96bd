"""Coding in chunks: equal to one full pass, whatever changed, whatever the chunks; and the hash that decides."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from etl.coding import Pass, code_chunks, code_register, code_units, coding_input, with_leaves
from etl.filing_text import filing_texts
from etl.siphash import siphash128
from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.gold import with_text_hashes
from taxonomy.scheme import load_scheme
from tests.conftest import ROOT
from warehouse.write import WorkStore

SCOPES = ["工业机器人的研发、生产", "餐饮服务；食品销售", "大模型应用开发", "智能机器人销售；电子产品销售", None, ""]
GBT = ["3491", "6210", "6513", "5179", None]
REGISTER, CODES = "collect_register__rows_received", "process_register__code_unit"

# SipHash-2-4-128, key 00 01 … 0f, message 00 01 … of the length given: vectors.h of the authors' reference code.
PUBLISHED = {
    0: "a3817f04ba25a8e66df67214c7550293", 1: "da87c1d86b99af44347659119b22fc45",
    7: "a1f1ebbed8dbc153c0b84aa61ff08239", 8: "3b62a9ba6258f5610f83e264f31497b4",
    15: "5493e99933b0a8117e08ec0f97cfc3d9", 16: "6ee2a4ca67b054bbfd3315bf85230577",
    31: "29 39b0183223fafc1723de4f52c43d35".replace(" ", ""), 63: "5150d1772f50834a503e069a973fbd7c",
}  # fmt: skip


def register(n: int = 60) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "uscc": [f"9144{number:014d}" for number in range(n)],
            "name": [f"深圳市第{number}号科技有限公司" for number in range(n)],
            "business_scope": [SCOPES[number % len(SCOPES)] for number in range(n)],
            "main_products": [None if number % 3 else "六轴机械臂" for number in range(n)],
            "gbt_code": [GBT[number % len(GBT)] for number in range(n)],
        }
    )


def test_the_hash_is_the_published_one() -> None:
    texts = pl.Series([bytes(range(n)).decode("ascii") for n in PUBLISHED])
    assert siphash128(texts).to_list() == list(PUBLISHED.values())


def test_the_hash_sees_slices_nulls_and_is_stable_across_processes() -> None:
    texts = pl.Series(["中文" * 40, None, "", "a", "中文" * 40])
    digests = siphash128(texts)
    assert digests[1] is None and digests[0] == digests[4] and digests[2] == PUBLISHED[0]
    assert siphash128(texts.slice(3, 2)).to_list() == digests.to_list()[3:]
    assert siphash128(pl.concat([texts, texts])).to_list() == digests.to_list() * 2
    assert siphash128(pl.Series([], dtype=pl.String)).to_list() == []
    other = "import polars as pl; from etl.siphash import siphash128; print(siphash128(pl.Series(['中文' * 40]))[0])"
    done = subprocess.run([sys.executable, "-c", other], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digests[0]
    with pytest.raises(ValueError, match="16 bytes"):
        siphash128(texts, b"short")


def test_each_field_counts_and_missing_is_not_empty() -> None:
    rows = [("u", "甲", None, None, None), ("u", "甲", "", None, None), ("u", "甲", None, "", None),
            ("u", "甲", None, None, ""), ("u", None, "甲", None, None), ("u", "甲", "乙", None, None)]  # fmt: skip
    schema = dict.fromkeys(["uscc", "name", "business_scope", "main_products", "gbt_code"], pl.String)
    assert coding_input(pl.DataFrame(rows, schema=schema, orient="row"))["input_hash"].n_unique() == len(rows)


def changed(frame: pl.DataFrame) -> pl.DataFrame:
    """Some units gone, some new, some with another scope or code."""
    number = pl.int_range(pl.len())
    other = frame.with_columns(
        business_scope=pl.when(number % 10 == 4).then(pl.lit("人脸识别设备的研发")).otherwise("business_scope"),
        gbt_code=pl.when(number % 17 == 5).then(pl.lit("6513")).otherwise("gbt_code"),
    ).filter(number % 9 != 2)
    new = register(8).with_columns(uscc=pl.format("9143{}", pl.col("uscc").str.slice(4)))
    return pl.concat([other, new])


def chunked(frame: pl.DataFrame, rows: int, key: str) -> Iterator[pl.DataFrame]:
    return frame.sort(key).iter_slices(rows)


@pytest.mark.parametrize(("rows", "before_rows"), [(7, 100), (100, 7), (13, 13), (1, 5)])
def test_chunks_give_what_a_full_pass_gives(bundle: Bundle, rows: int, before_rows: int) -> None:
    first, fresh = code_units(register(), bundle)
    assert fresh == 60
    now = changed(register())
    whole, _ = code_units(now, bundle)
    parts = list(code_chunks(chunked(now, rows, "uscc"), bundle, chunked(first, before_rows, "unit_id")))
    assert pl.concat([frame for frame, _ in parts]).equals(whole)
    held = first.join(coding_input(now), on=["unit_id", "input_hash"], how="semi").height
    assert sum(anew for _, anew in parts) == now.height - held
    assert code_units(now, bundle, first)[0].equals(whole)
    assert code_units(register().sample(fraction=1.0, shuffle=True, seed=1), bundle, first)[1] == 0


def test_decisions_of_another_bundle_are_not_kept(bundle: Bundle) -> None:
    first, _ = code_units(register(), bundle)
    other, fresh = code_units(register(), bundle, first.with_columns(bundle=pl.lit("0" * 12), route=pl.lit("lock")))
    assert fresh == 60 and other.equals(first)


def test_an_unordered_register_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="order of uscc"):
        list(code_chunks([register().reverse()], bundle))
    with pytest.raises(ValueError, match="order of uscc"):
        list(code_chunks([register()[30:], register()[:30]], bundle))


def test_leaves_are_the_class_shown_then_the_candidates(bundle: Bundle) -> None:
    coded, _ = code_units(register(), bundle)
    core = {c.code for c in load_scheme("ai_industry_2026").at_level(3) if c.segment == "core"}
    for row in coded.iter_rows(named=True):
        ranked = [row["ai_class"], *(c["code"] for c in json.loads(row["candidates"] or "[]"))]
        assert row["candidate_leaves"] == list(dict.fromkeys(c for c in ranked if c in core))
    bare = coded.head(1).with_columns(candidates=pl.lit(None, pl.String), ai_class=pl.lit(None, pl.String))
    assert with_leaves(bare, 0.1)["candidate_leaves"].to_list() == [[]]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_store_is_brought_up_to_date_and_left_alone_when_nothing_changed(tmp_path: Path, bundle: Bundle) -> None:
    work = WorkStore(tmp_path)
    work.write(REGISTER, register())
    first = code_register(work, REGISTER, CODES, bundle)
    assert (first.units, first.fresh, first.undecided) == (60, 60, 0) and first.nominated > 5
    assert work.read(CODES).equals(code_units(register(), bundle)[0])
    before = digest(tmp_path / "work.duckdb")
    assert code_register(work, REGISTER, CODES, bundle) == Pass(60, 0, first.nominated, 0)
    assert digest(tmp_path / "work.duckdb") == before, "nothing is written when nothing changed"
    now = changed(register()).sort("uscc")
    work.write(REGISTER, now)
    again = code_register(work, REGISTER, CODES, bundle)
    assert 0 < again.fresh < now.height == again.units
    assert work.read(CODES).equals(code_units(now, bundle)[0])
    full = code_register(work, REGISTER, CODES, bundle, full=True)
    assert full.fresh == now.height and work.read(CODES).equals(code_units(now, bundle)[0])
    work.write(REGISTER, now.clear())
    assert code_register(work, REGISTER, CODES, bundle) == Pass(0, 0, 0, 0)
    assert work.tables() == sorted([REGISTER, CODES])


def keyed(tmp_path: Path, units: pl.DataFrame) -> WorkStore:
    work = WorkStore(tmp_path)
    work.write_keyed(REGISTER, "uscc", [units])
    return work


def locks_of(units: pl.DataFrame, *numbers: int) -> pl.DataFrame:
    columns = ["unit_id", "name", "business_scope", "main_products"]
    hashes = with_text_hashes(coding_input(units).select(columns))[list(numbers)]
    return hashes.select("unit_id", "text_hash", code=pl.lit("B22"))


FILED = filing_texts(
    pl.DataFrame(
        {"company": ["深圳市第1号科技有限公司"], "product": ["大模型"], "purpose": ["对话"], "filing_no": ["1"]}
    )
)


@pytest.mark.parametrize("what", ["locks", "filings"])
def test_what_a_night_cut_off_used_and_the_next_takes_back_is_gone(
    what: str, tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = register(12)
    work, brought = keyed(tmp_path, units), {"locks": locks_of(units, 1, 2), "filings": FILED}[what]
    nothing = brought.clear()
    code_register(work, REGISTER, CODES, bundle, **{what: nothing})
    before, plain = work.read(CODES), WorkStore.saw

    def cut(self: WorkStore, reader: str, table: str, version: int | None, basis: str = "") -> None:
        if version is not None:
            raise RuntimeError("cut off")
        plain(self, reader, table, version, basis)

    with monkeypatch.context() as patch:
        patch.setattr(WorkStore, "saw", cut)
        with pytest.raises(RuntimeError, match="cut off"):
            code_register(work, REGISTER, CODES, bundle, **{what: brought})
    assert not work.read(CODES).equals(before), "it was used"
    code_register(work, REGISTER, CODES, bundle, **{what: nothing})
    assert work.read(CODES).equals(before)


def test_locks_that_go_and_come_again_are_seen(tmp_path: Path, bundle: Bundle) -> None:
    units = register(12)
    work, locks = keyed(tmp_path, units), locks_of(units, 1)
    for given in (locks, None, locks, locks.clear(), locks):
        code_register(work, REGISTER, CODES, bundle, locks=given)
        locked = work.read(CODES).filter(route="lock")["unit_id"].to_list()
        assert locked == ([] if given is None else given["unit_id"].to_list())


def test_an_adjudicated_code_stands_until_the_text_changes(bundle: Bundle) -> None:
    units = register(12)
    hashes = with_text_hashes(coding_input(units).select("unit_id", "name", "business_scope", "main_products"))
    first, second = hashes["unit_id"][1], hashes["unit_id"][2]
    locks = pl.DataFrame(
        {"unit_id": [first, second], "code": ["B22", "none"], "text_hash": hashes["text_hash"][1:3].to_list()}
    )
    plain = dict(code_units(units, bundle)[0].select("unit_id", "input_hash").iter_rows())
    locked = pl.concat([f for f, _ in code_chunks([units.sort("uscc")], bundle, locks=locks)])
    rows = {r["unit_id"]: r for r in locked.iter_rows(named=True)}
    assert (rows[first]["ai_class"], rows[first]["route"]) == ("B22", "lock")
    assert (rows[second]["segment"], rows[second]["route"]) == ("none", "lock")
    changed = {u for u in plain if plain[u] != rows[u]["input_hash"]}
    assert changed == {first, second}, "a lock is part of the input: exactly those units are coded anew"
    edited = units.with_columns(business_scope=pl.col("business_scope") + "。新增业务")
    after = pl.concat([f for f, _ in code_chunks([edited.sort("uscc")], bundle, locks=locks)])
    assert "lock" not in after["route"].to_list()
