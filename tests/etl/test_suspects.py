"""Doubtful declared codes: found where codes were spoilt, never by a unit's own word, and not made anew without need."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from etl.assets.collect import receipt_table
from etl.assets.process import CODE_UNIT, UNIT_YEAR
from etl.assets.register import REGISTER_CURRENT
from etl.evidence import effect_sizes
from etl.suspects import COLUMNS, EXTRACT, LOOKED, SUSPECT, for_people, last_list, list_key, refresh_suspects
from taxonomy.classifier.division import (
    DivisionModel,
    ScopeSample,
    divisions,
    fold_of,
    load_divisions,
    load_rules,
    model_key,
    save_divisions,
    scope_keys,
    train_divisions,
    with_text,
)
from taxonomy.classifier.unit import phrases_of_units
from warehouse.write import WorkStore

REGISTER = REGISTER_CURRENT
RULE, TRAINING = load_rules()


@pytest.fixture(scope="module")
def register(demo_home: Path) -> pl.DataFrame:
    """The demo city's register (simulated)."""
    return WorkStore(demo_home).read(REGISTER)


@pytest.fixture(scope="module")
def sample(register: pl.DataFrame) -> pl.DataFrame:
    taken = ScopeSample(400)
    taken.add(register)
    return taken.units()


@pytest.fixture(scope="module")
def model(sample: pl.DataFrame) -> DivisionModel:
    return train_divisions(sample, TRAINING, RULE.reliability)


def test_the_sample_does_not_depend_on_chunks_and_holds_each_scope_once(register: pl.DataFrame) -> None:
    found = []
    for rows in (137, 1_000, 5_000):
        taken = ScopeSample(300)
        for chunk in pl.concat([register, register]).iter_slices(rows):
            taken.add(chunk)
        found.append(taken.units())
    assert found[0].equals(found[1]) and found[1].equals(found[2])
    assert found[0]["key"].n_unique() == 300 and set(found[0]["division"]) <= set(divisions())
    assert found[0].unique(["key", "division"]).height == found[0].height
    every = np.unique(
        scope_keys(register.filter(pl.col("gbt_code").str.slice(0, 2).is_in(divisions()))["business_scope"])
    )
    assert found[0]["key"].max() == every[299], "the three hundred smallest keys"


def test_a_unit_never_judges_itself(sample: pl.DataFrame, model: DivisionModel) -> None:
    """Another declared code of a unit, and of all units with its scope, leaves what its text is said to say as it was."""
    probe = sample.filter(fold_of(sample["key"].to_numpy()) == 0).head(1)
    other = next(d for d in divisions() if d != probe["division"][0])
    changed = sample.with_columns(
        division=pl.when(pl.col("key") == probe["key"][0]).then(pl.lit(other)).otherwise("division")
    )
    again = train_divisions(changed, TRAINING, RULE.reliability)
    text = phrases_of_units(probe.select("name", "business_scope"))

    def said(by: DivisionModel, fold: int) -> np.ndarray:  # type: ignore[type-arg]
        return by.models[fold].with_scale(1.0).scores(text, 1)

    assert (said(again, 0) == said(model, 0)).all(), "its own half is judged by a model that has not seen it"
    assert (said(again, 1) != said(model, 1)).any(), "the other model has: the test could fail"
    p = model.probabilities(probe)
    assert p.sum() == pytest.approx(1.0) and p.argmax() == said(model, 0).argmax()


def test_a_stored_model_is_the_same_model(sample: pl.DataFrame, model: DivisionModel, tmp_path: Path) -> None:
    save_divisions(model, tmp_path / "m.npz")
    again = load_divisions(tmp_path / "m.npz")
    units = sample.head(50)
    assert (again.probabilities(units) == model.probabilities(units)).all() and again.base == model.base
    assert sum(model.base.values()) == pytest.approx(1.0) and again.learned_from == sample.height
    key = model_key(sample, TRAINING, 0.9)
    assert key == model_key(sample.clone(), TRAINING, 0.9) != model_key(sample.head(399), TRAINING, 0.9)
    assert key != model_key(sample, TRAINING, 0.8)


def test_units_without_a_scope_or_a_code_are_not_looked_at() -> None:
    units = pl.DataFrame(
        {"gbt_code": ["6513", None, "65", " "], "business_scope": ["软件开发", "软件开发", "  ", "餐饮"]}
    )
    assert with_text(units)["gbt_code"].to_list() == ["6513"]


@pytest.fixture(scope="module")
def home(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo city's work store in which every twentieth unit has the code of a butcher or a shipyard."""
    copy = tmp_path_factory.mktemp("suspects") / "home"
    copy.mkdir()
    shutil.copy(demo_home / "work.duckdb", copy / "work.duckdb")
    work = WorkStore(copy)
    number = pl.int_range(pl.len())
    spoilt = pl.when(number % 40 == 0).then(pl.lit("1351")).when(number % 40 == 20).then(pl.lit("3731"))
    for table in (EXTRACT, REGISTER):
        work.write(table, work.read(table).with_columns(gbt_code=spoilt.otherwise("gbt_code")))
    codes = work.read(CODE_UNIT)
    hashes = pl.when(number % 20 == 0).then(pl.lit("spoilt")).otherwise("input_hash")
    work.write_keyed(CODE_UNIT, "unit_id", [codes.with_columns(input_hash=hashes)])
    return copy


def test_spoilt_codes_are_found_and_a_quiet_night_does_nothing(home: Path) -> None:
    work = WorkStore(home)
    done, anew = refresh_suspects(home, work)
    assert anew and done.made and last_list(home) == done
    listed = work.read(SUSPECT)
    units = work.read(REGISTER)["uscc"].to_list()
    spoilt = set(units[::20])
    hit = listed["unit_id"].is_in(spoilt)
    assert hit.sum() > 0.7 * len(spoilt), "most texts of the city are of other trades"
    assert (listed.height - hit.sum()) / (len(units) - len(spoilt)) < 0.1
    assert listed.filter(hit)["p_wrong"].median() > listed.filter(~hit)["p_wrong"].median()  # type: ignore[operator]
    assert listed["gain"].is_sorted(descending=True) and done.listed == listed.height <= done.checked <= len(units)
    # Nothing moved: neither list nor model is touched.
    (path,) = (home / "models").glob("divisions-*.npz")
    before = path.stat().st_mtime_ns
    assert refresh_suspects(home, work) == (done, False)
    # A night that lost its summary makes the list again, by the model that is there.
    (home / "profiles" / ".suspects.json").write_text("{}")
    assert refresh_suspects(home, work) == (done, True) and path.stat().st_mtime_ns == before
    assert work.read(SUSPECT).equals(listed), "the same register gives the same list"
    body = done.as_dict()
    assert set(body) == {"made", "checked", "listed", "learned_from"}, "counts alone leave the work store"


def test_a_changed_text_or_size_is_a_new_list(home: Path) -> None:
    work = WorkStore(home)
    known = effect_sizes(work.read(UNIT_YEAR))
    key = list_key(work, "model", known)
    assert key == list_key(work, "model", known.reverse())
    assert key != list_key(work, "model", known.with_columns(pl.col("size") + 0.5))
    assert key != list_key(work, "another model", known)


def test_only_changed_units_are_looked_at_again_and_the_list_is_that_of_a_full_look(home: Path) -> None:
    work = WorkStore(home)
    refresh_suspects(home, work)
    before = work.read(LOOKED)
    codes = work.read(CODE_UNIT)
    one, gone = codes["unit_id"][7], codes["unit_id"][8]
    work.write(REGISTER, work.read(REGISTER).filter(pl.col("uscc") != gone).with_columns(
        gbt_code=pl.when(pl.col("uscc") == one).then(pl.lit("1351")).otherwise("gbt_code")))  # fmt: skip
    now = codes.filter(pl.col("unit_id") == one).with_columns(input_hash=pl.lit("new"))
    work.change_rows(CODE_UNIT, "unit_id", pl.Series([one, gone]), [now])
    assert refresh_suspects(home, work)[1]
    after, listed = work.read(LOOKED), work.read(SUSPECT)
    assert after["unit_id"].to_list() == [u for u in before["unit_id"] if u != gone]
    changed = after.join(before, on=["unit_id", "input_hash"], how="anti")
    assert changed["unit_id"].to_list() == [one]
    refresh_suspects(home, work, full=True)
    assert work.read(LOOKED).equals(after) and work.read(SUSPECT).equals(listed)


def test_a_store_put_back_alone_does_not_keep_the_list_of_another_night(home: Path) -> None:
    work = WorkStore(home)
    refresh_suspects(home, work)
    saved = home / "saved.duckdb"
    shutil.copy(home / "work.duckdb", saved)
    codes = work.read(CODE_UNIT)

    def night(number: int) -> bool:
        row = codes[number : number + 1]
        work.write(REGISTER, work.read(REGISTER).with_columns(
            gbt_code=pl.when(pl.col("uscc") == row["unit_id"][0]).then(pl.lit("1351")).otherwise("gbt_code")))  # fmt: skip
        work.change_rows(CODE_UNIT, "unit_id", row["unit_id"], [row.with_columns(input_hash=pl.lit("other"))])
        return refresh_suspects(home, work)[1]

    assert night(31)
    shutil.copy(saved, home / "work.duckdb")
    assert night(33), "the number of the version is the same, the register is not"
    listed = work.read(SUSPECT)
    refresh_suspects(home, work, full=True)
    assert work.read(SUSPECT).equals(listed)


def test_people_see_their_district(home: Path) -> None:
    work = WorkStore(home)
    refresh_suspects(home, work)
    every = for_people(work, None, 10_000)
    assert every["unit_id"].to_list() == work.read(SUSPECT)["unit_id"].to_list() and every["name"].null_count() == 0
    area = every["area"].drop_nulls()[0]
    own = for_people(work, area, 10_000)
    assert 0 < own.height < every.height and set(own["area"]) == {area} and for_people(work, None, 3).height == 3


def test_a_small_register_teaches_nothing(tmp_path: Path, register: pl.DataFrame) -> None:
    work = WorkStore(tmp_path)
    few = register.head(40)
    work.write(REGISTER, few)
    work.write(EXTRACT, few)
    work.write(receipt_table("register"), pl.DataFrame({"file": ["a"], "sha256": ["b"], "rows_accepted": [40]}))
    work.write(CODE_UNIT, few.select(pl.col("uscc").alias("unit_id"), pl.lit("h").alias("input_hash")))
    empty = {"uscc": pl.String, "ref_year": pl.Int64, "revenue_known": pl.Float64}
    work.write(UNIT_YEAR, pl.DataFrame(schema=empty))
    done, _ = refresh_suspects(tmp_path, work)
    assert not done.made and done.listed == 0 and work.read(SUSPECT).height == 0
    assert set(COLUMNS) <= set(register.columns)
