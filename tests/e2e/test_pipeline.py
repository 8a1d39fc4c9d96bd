"""The main job from files to a release, on the small demo city and the real public lists."""

import csv
import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import polars as pl

from tests.conftest import AS_OF, ROOT, aistat
from warehouse.read import open_current
from warehouse.write import WorkStore

FILINGS = ROOT / "etl" / "sources" / "algorithm_filings" / "data" / "algorithm_filings.csv"


def current(home: Path) -> str:
    return (home / "releases" / "current").read_text().strip()


def parquet_hashes(home: Path) -> dict[str, str]:
    files = sorted((home / "releases" / current(home) / "files").glob("*.parquet"))
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_the_run_publishes_one_complete_release(demo_home: Path) -> None:
    folder = demo_home / "releases" / current(demo_home)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["vintage"] == AS_OF
    certificate = json.loads((folder / "certificate.json").read_text())
    assert certificate
    release = open_current(demo_home)
    assert {d.id for d in release.datasets()} >= {
        "core_leaf_year", "core_leaf_size", "core_branch_district", "core_branch_size", "filings_district_month",
    }  # fmt: skip
    assert release.info.is_synthetic


def test_a_second_night_changes_nothing_and_one_that_computes_all_anew_gives_the_same_bytes(
    demo_home: Path, tmp_path: Path
) -> None:
    twin = tmp_path / "home"
    shutil.copytree(demo_home, twin)
    done = aistat("run", "--as-of", AS_OF, home=twin)
    assert " 0 coded anew" in done.stderr
    assert parquet_hashes(twin) == parquet_hashes(demo_home)
    full = aistat("run", "--as-of", AS_OF, "--full", home=twin)
    assert " 0 coded anew" not in full.stderr
    assert parquet_hashes(twin) == parquet_hashes(demo_home)
    assert current(twin) == current(demo_home)


def test_filings_equal_a_count_made_from_the_file_by_other_means(demo_home: Path) -> None:
    with FILINGS.open(encoding="utf-8-sig", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["is_shenzhen"] == "1"]
    assert len(rows) == 1020
    assert len({r["company"] for r in rows}) == 573
    release = open_current(demo_home)
    cells = release.cube_frame("filings_district_month").filter(
        (pl.col("indicator") == "filings") & (pl.col("filing_type") == "_T")
    )
    by_place = Counter((r["region_code"], r["batch"]) for r in rows)
    inner = cells.filter(pl.col("district") != "_T")
    found = {(d, p): int(v) for d, p, v in inner.select("district", "period", "value").iter_rows() if v}
    assert found == dict(by_place)
    total = cells.filter(pl.col("district") == "_T")
    assert sum(int(v) for v in total["value"]) == 1020


def test_a_broken_file_is_refused_whole_and_the_run_goes_on(demo_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(demo_home, home)
    returns = sorted((home / "inbox" / "finance_annual").glob("*.xlsx"))
    returns[0].write_bytes(returns[0].read_bytes()[:2000])
    done = aistat("run", "--as-of", AS_OF, home=home)
    assert "REFUSED" in done.stderr
    assert returns[0].name in done.stderr
    receipts = open_current(home).table("meta_source_run")
    refused = receipts.filter(pl.col("status") == "refused")
    assert refused["file"].to_list() == [returns[0].name]
    listed = aistat("quarantine", "list", home=home).stdout
    assert returns[0].name in listed


def test_rows_in_equal_rows_accepted_plus_quarantined(demo_home: Path) -> None:
    receipts = open_current(demo_home).table("meta_source_run")
    assert receipts.height >= 7
    assert (receipts["rows_in"] == receipts["rows_accepted"] + receipts["rows_quarantined"]).all()
    assert receipts["rows_quarantined"].sum() > 0, "the demo city holds faults; none was caught"


def hidden_values(home: Path) -> set[str]:
    """Every withheld value of the protected cubes that no published cell happens to equal, as text."""
    cells = WorkStore(home).read("disseminate_core__cell_protected")
    published = set(cells.filter(pl.col("status") == "published")["value"].to_list())
    hidden = cells.filter(pl.col("status").is_in(["primary", "secondary"]))["value"].to_list()
    return {f"{v:.2f}" for v in hidden if v not in published and v >= 10_000}


def test_no_withheld_value_stands_anywhere_in_the_release(demo_home: Path) -> None:
    hidden = hidden_values(demo_home)
    assert len(hidden) > 50
    folder = demo_home / "releases" / current(demo_home)
    for file in sorted((folder / "files").glob("*.parquet")):
        for column in pl.read_parquet(file).iter_columns():
            if column.dtype.is_numeric():
                texts = {f"{v:.2f}" for v in column.drop_nulls().to_list()}
                assert not texts & hidden, (file.name, column.name)
    for file in folder.rglob("*.json"):
        text = file.read_text()
        assert not [v for v in hidden if v in text], file.name


def test_work_store_and_release_are_apart(demo_home: Path) -> None:
    names = {f.name for f in (demo_home / "releases" / current(demo_home) / "files").iterdir()}
    assert not [n for n in names if n.startswith(("process_", "collect_register", "analyse_"))]
