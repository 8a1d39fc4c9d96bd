"""Results kept by unit: made for changed units alone, anew under another version, never for units that do not match."""

from pathlib import Path

import polars as pl
import pytest

from etl.assets.process import CODE_UNIT
from etl.assets.register import REGISTER_CURRENT
from etl.unit_results import refresh_units
from warehouse.write import WorkStore

TABLE = "control_register__probe"


def store(home: Path, hashes: dict[str, str], order: tuple[str, ...] = ("a", "b", "c", "d")) -> WorkStore:
    work, units = WorkStore(home), [u for u in order if u in hashes]
    text = dict.fromkeys(("name", "business_scope", "main_products", "gbt_code"), pl.lit("x"))
    work.write(REGISTER_CURRENT, pl.DataFrame({"uscc": units}).with_columns(**text))
    work.write(CODE_UNIT, pl.DataFrame({"unit_id": sorted(units), "input_hash": [hashes[u] for u in sorted(units)]}))
    return work


def test_only_changed_units_are_made_again_and_the_table_stays_in_order(tmp_path: Path) -> None:
    seen: list[str] = []

    def make(units: pl.DataFrame) -> pl.DataFrame:
        seen.extend(units["unit_id"])
        return units.select("unit_id", size=pl.col("name").str.len_chars())

    work = store(tmp_path, {"a": "1", "b": "1", "d": "1"})
    assert refresh_units(work, TABLE, "v", make) == 3 and seen == ["a", "b", "d"]
    assert refresh_units(work, TABLE, "v", make) == 0 and len(seen) == 3, "nothing changed, nothing made"
    work = store(tmp_path, {"a": "1", "b": "2", "c": "1"})
    assert refresh_units(work, TABLE, "v", make) == 2 and seen[3:] == ["b", "c"]
    assert work.read(TABLE)["unit_id"].to_list() == ["a", "b", "c"], "the one that went is gone"
    kept = work.read(TABLE)
    assert refresh_units(work, TABLE, "v", make, full=True) == 3 and work.read(TABLE).equals(kept)
    assert refresh_units(work, TABLE, "another model", make) == 3


def test_another_code_of_ours_makes_all_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = store(tmp_path, {"a": "1"})
    assert refresh_units(work, TABLE, "v", lambda units: units.select("unit_id")) == 1
    monkeypatch.setattr("etl.remember._code", lambda: "a changed line")
    assert refresh_units(work, TABLE, "v", lambda units: units.select("unit_id")) == 1


def test_a_register_that_was_not_coded_is_refused(tmp_path: Path) -> None:
    work = store(tmp_path, {"a": "1", "b": "1"}, order=("b", "a"))
    with pytest.raises(ValueError, match="not hold the same units in the same order"):
        refresh_units(work, TABLE, "v", lambda units: units.select("unit_id"))
    assert not work.exists(TABLE)
