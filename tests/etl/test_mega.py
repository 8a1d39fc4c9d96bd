"""The mega register: the same whatever is made at a time, distinct, valid, readable, with its faults written down."""

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aistat.cli import main
from etl.contract import list_contracts, load_contract
from etl.demo.codes import BODIES
from etl.demo.mega import CODE_BITS, STEM_BITS, UNITS_MAX, generate_mega, scatter_bits
from etl.demo.scenario import LABEL, forbidden_names
from etl.reading import read_file
from etl.uscc import valid

SEED, UNITS = 11, 20_000
FILE = "register_2025-12.csv"


@pytest.fixture(scope="module")
def mega(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mega")
    generate_mega(root / "inbox", root / "truth", SEED, units=UNITS, chunk_units=20_000)
    return root


@pytest.fixture(scope="module")
def register(mega: Path) -> pl.DataFrame:
    text = (mega / "inbox" / "register" / FILE).read_bytes().decode("gb18030")
    heads = {c.header: c.to for c in load_contract("register").columns}
    return pl.read_csv(text.encode(), infer_schema=False).rename(heads)


def test_the_files_do_not_depend_on_how_many_units_are_made_at_a_time(mega: Path, tmp_path: Path) -> None:
    generate_mega(tmp_path / "inbox", tmp_path / "truth", SEED, units=UNITS, chunk_units=5_000)
    names = [f"inbox/register/{FILE}", "inbox/register_delta/register_delta_2026-03-31.csv"]
    names += ["inbox/adoption_survey/adoption_survey_2025.csv"]
    names += [f"truth/{name}.parquet" for name in ("unit", "faults", "unit_year", "adoption", "source_totals")]
    for name in names:
        assert (mega / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_another_seed_and_more_units(mega: Path, tmp_path: Path) -> None:
    """More units continue the same register: the blocks before do not change."""
    generate_mega(tmp_path / "more" / "inbox", tmp_path / "more" / "truth", SEED, units=UNITS + 5_000)
    longer = (tmp_path / "more" / "inbox" / "register" / FILE).read_bytes()
    shorter = (mega / "inbox" / "register" / FILE).read_bytes()
    assert longer.startswith(shorter) and len(longer) > len(shorter)
    generate_mega(tmp_path / "other" / "inbox", tmp_path / "other" / "truth", SEED + 1, units=UNITS)
    other = (tmp_path / "other" / "inbox" / "register" / FILE).read_bytes()
    assert not set(other.split(b"\r\n")[1:]) & set(shorter.split(b"\r\n")[1:-1])


def test_codes_and_names_are_distinct_and_nobodys(mega: Path, register: pl.DataFrame) -> None:
    truth = pl.read_parquet(mega / "truth" / "unit.parquet")
    faults = pl.read_parquet(mega / "truth" / "faults.parquet").filter(pl.col("source_id") == "register")
    assert truth.height == truth["uscc"].n_unique() == UNITS
    assert valid(truth["uscc"]).all()
    twice = faults.filter(pl.col("kind").is_in(["duplicate_row", "duplicate_unit"])).height
    assert register.height == UNITS + twice
    second = faults.filter(pl.col("kind") == "duplicate_unit")["written"]
    assert second.len() == second.n_unique() > 5 and valid(second).all() and not set(second) & set(truth["uscc"])
    assert register["name"].n_unique() == UNITS
    assert not set(register["name"]) & forbidden_names()
    assert pl.read_parquet_metadata(mega / "truth" / "unit.parquet")["label"] == LABEL


def test_a_bijection_scatters_without_collision() -> None:
    index = np.arange(200_000)
    keys = tuple(np.array([3, 5, 7, 11], dtype=np.uint64))
    for bits in (STEM_BITS, CODE_BITS):
        seen = scatter_bits(index, bits, keys)
        assert np.unique(seen).size == index.size and seen.min() >= 0 and seen.max() < 2**bits
    assert 2**CODE_BITS <= BODIES and 2**STEM_BITS == UNITS_MAX
    whole = scatter_bits(np.arange(2**12), 12, keys)
    assert np.array_equal(np.sort(whole), np.arange(2**12)), "every value once"


def test_the_mix_is_as_set_and_the_units_that_matter_send_returns(mega: Path) -> None:
    truth = pl.read_parquet(mega / "truth" / "unit.parquet")
    share = dict(truth.group_by("role").len().with_columns(pl.col("len") / UNITS).iter_rows())
    assert share["ordinary"] > 0.97 and 0.007 < share["look"] < 0.013 and 0.0003 < share["ai"] < 0.002
    kinds = dict(truth.group_by("unit_kind").len().with_columns(pl.col("len") / UNITS).iter_rows())
    assert 0.15 < kinds["3"] < 0.5 and kinds["1"] > 0.4
    years = pl.read_parquet(mega / "truth" / "unit_year.parquet")
    assert set(years["uscc"]) == set(truth.filter(pl.col("role").is_in(["ai", "look"]))["uscc"])
    survey = read_file(load_contract("ai_survey_annual"), mega / "inbox/ai_survey_annual/ai_survey_annual_2025.xlsx")
    assert set(survey.frame["uscc"]) <= set(truth["uscc"])
    assert survey.frame.height > 100


def test_the_reader_sets_aside_exactly_the_faults(mega: Path) -> None:
    result = read_file(load_contract("register"), mega / "inbox" / "register" / FILE)
    faults = pl.read_parquet(mega / "truth" / "faults.parquet").filter(pl.col("file") == FILE)
    shows = faults.filter(pl.col("expected_outcome") == "quarantine")
    assert result.receipt.rows_quarantined == shows.height >= 40
    assert faults["fault_id"].n_unique() == faults.height, "numbered through all blocks"
    twice = faults.filter(pl.col("kind").is_in(["duplicate_row", "duplicate_unit"])).height
    assert result.receipt.rows_in == UNITS + twice
    groups = result.frame["group_uscc"].drop_nulls()
    assert set(groups) <= set(pl.read_parquet(mega / "truth" / "unit.parquet")["uscc"])


def test_every_source_is_written_and_the_register_moves_on(mega: Path, register: pl.DataFrame) -> None:
    written = {p.name for p in (mega / "inbox").iterdir()}
    assert written == {c.id for c in list_contracts() if c.synthetic_in_demo}
    contract = load_contract("register_delta")
    files = sorted((mega / "inbox" / "register_delta").iterdir())
    assert len(files) == 9
    results = [read_file(contract, file) for file in files]
    faults = pl.read_parquet(mega / "truth" / "faults.parquet").filter(pl.col("expected_outcome") == "quarantine")
    logged = Counter(faults.filter(pl.col("source_id") == "register_delta")["file"])
    assert {r.receipt.file: r.receipt.rows_quarantined for r in results if r.receipt.rows_quarantined} == dict(logged)
    moved = pl.concat([r.frame for r in results])
    known, born = set(register["uscc"]), moved.filter(pl.col("change") == "1")["uscc"]
    assert born.len() > 10 and not set(born) & known
    assert set(moved.filter(pl.col("change") != "1")["uscc"]) <= set(
        pl.read_parquet(mega / "truth" / "unit.parquet")["uscc"]
    )


def test_the_adoption_sample_is_drawn_from_the_whole_register(mega: Path, register: pl.DataFrame) -> None:
    living = register.filter((pl.col("unit_kind") == "1") & pl.col("closing_date").is_null())["uscc"]
    truth = pl.read_parquet(mega / "truth" / "adoption.parquet").filter(pl.col("ref_year") == 2025)
    units = dict(truth.select("stratum", "units").iter_rows())
    assert abs(units["_T"] - living.len()) < 0.005 * UNITS
    path = mega / "inbox" / "adoption_survey" / "adoption_survey_2025.csv"
    rows = read_file(load_contract("adoption_survey"), path).frame
    weights = dict(rows.group_by("stratum").agg(pl.col("design_weight").cast(pl.Float64).max()).iter_rows())
    silent = pl.read_parquet(mega / "truth" / "nonresponse.parquet").filter(
        (pl.col("source_id") == "adoption_survey") & (pl.col("period") == "2025")
    )
    assert not set(silent["uscc"]) & set(rows["uscc"])
    assert all(1 <= w <= units[s] for s, w in weights.items())


@pytest.mark.parametrize("units", [100, UNITS_MAX + 1])
def test_sizes_out_of_range_are_refused(tmp_path: Path, units: int) -> None:
    with pytest.raises(ValueError, match="expected 20,000 to"):
        generate_mega(tmp_path / "inbox", tmp_path / "truth", SEED, units=units)
    assert not list(tmp_path.iterdir())


def test_the_command_takes_units_for_mega_alone_and_within_its_range(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", str(tmp_path / "a"), "--units", "30000"]) == 2 and "--size mega" in capsys.readouterr().err
    assert main(["demo", str(tmp_path / "b"), "--size", "mega", "--units", "10"]) == 2
    assert "20,000" in capsys.readouterr().err and not (tmp_path / "b" / "inbox").exists()
