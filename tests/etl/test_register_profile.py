"""The profile of the register follows a night's changes, and is that of a pass over all units."""

from pathlib import Path

import polars as pl
import pytest

from etl.assets.process import CODE_UNIT
from etl.assets.register import REGISTER_CURRENT
from etl.register_profile import MARK, register_profile
from taxonomy.classifier.profile import SPACE, Profile, Tallies, build_profile, profile_of
from tests.taxonomy.quality_data import decisions_and_truth
from warehouse.write import WorkStore

UNITS = 400


def register(night: int, units: int = UNITS) -> pl.DataFrame:
    """Unit i says phrases of its own and common ones; another night changes every seventh."""
    turn = [night if i % 7 == 0 else 0 for i in range(units)]
    return pl.DataFrame(
        {
            "uscc": [f"u{i:05d}" for i in range(units)],
            "name": [f"单位{i}" for i in range(units)],
            "business_scope": [
                None if i % 11 == 3 else f"软件开发；独有短语{i}之{t}；软件开发" for i, t in enumerate(turn)
            ],
            "main_products": ["" if i % 3 else f"产品{i % 40}号" for i in range(units)],
            "gbt_code": [None if i % 13 == 5 else ("6513" if t else "3911") for i, t in enumerate(turn)],
        }
    )


def codes(night: int, units: int = UNITS) -> pl.DataFrame:
    made, _ = decisions_and_truth(units, share_core=0.2)
    changed = pl.int_range(units) % 7 == 0
    at = pl.when(changed).then(pl.lit(str(night))).otherwise(pl.lit("0"))
    return made.sort("unit_id").with_columns(unit_id=register(0, units)["uscc"], input_hash=at)


def plain(night: int, sketch: int) -> Profile:
    return build_profile(register(night).iter_slices(37), codes(night).iter_slices(53), sketch)


@pytest.mark.parametrize("sketch", [20, 2048])
def test_changed_units_alone_are_looked_at_and_the_profile_is_that_of_all(tmp_path: Path, sketch: int) -> None:
    work = WorkStore(tmp_path)
    work.write(REGISTER_CURRENT, register(0))
    work.write_keyed(CODE_UNIT, "unit_id", [codes(0)])
    assert register_profile(work, sketch) == plain(0, sketch)
    limited = work.first(MARK, "bits") != 64
    assert limited == (sketch == 20), "few phrases of many are kept where few are asked"
    version = work.version(MARK)
    assert register_profile(work, sketch) == plain(0, sketch) and work.version(MARK) == version
    work.write(REGISTER_CURRENT, register(1))
    gone = codes(1).filter(pl.col("input_hash") == "1")
    work.change_rows(CODE_UNIT, "unit_id", gone["unit_id"], [gone])
    assert register_profile(work, sketch) == plain(1, sketch) != plain(0, sketch)
    followed = work.changed_since(MARK, version)
    assert followed is not None and followed.equals(gone["unit_id"].sort())
    assert register_profile(work, sketch, full=True) == plain(1, sketch)


def test_too_few_phrases_below_the_limit_raise_it(tmp_path: Path) -> None:
    work = WorkStore(tmp_path)
    work.write(REGISTER_CURRENT, register(0))
    work.write_keyed(CODE_UNIT, "unit_id", [codes(0)])
    register_profile(work, 5)
    low = work.first(MARK, "bits")
    assert register_profile(work, 120) == plain(0, 120)
    assert isinstance(low, int) and work.first(MARK, "bits") in (low + 4, 64)


def test_a_limit_that_hides_phrases_is_refused() -> None:
    decided = pl.DataFrame(
        {"ai_class": ["A101"], "segment": ["core"], "route": ["model"], "bundle": ["b"], "n": [1], "probability": [0.9],
         "probability_n": [1]}
    )  # fmt: skip
    inputs = pl.DataFrame({"filled": [1], "division": ["-"], "n": [1]})
    few = Tallies(inputs, pl.DataFrame({"item": [7], "n": [2]}), SPACE // 2, decided)
    with pytest.raises(ValueError, match="raise the limit"):
        profile_of(few, 2)
