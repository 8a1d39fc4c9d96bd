"""A release is complete or not there at all, and refuses content that breaks its metadata."""

import json
import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tests.warehouse.sample_release import VINTAGE, official_content, publish_sample, sample_content, with_cube
from warehouse.read import NoRelease, UnknownName, open_current, open_release
from warehouse.release import ReleaseRefused, current_id, list_releases, publish, rollback, show

LEAF = "core_leaf_year"


def leaf() -> pl.DataFrame:
    return sample_content().cubes[LEAF]


def changed(where: pl.Expr, **values: object) -> pl.DataFrame:
    """The leaf cube with columns set in the cells of a condition."""
    frame = leaf()
    return frame.with_columns(
        pl.when(where).then(pl.lit(v).cast(frame.schema[c])).otherwise(pl.col(c)).alias(c) for c, v in values.items()
    )


def test_a_published_release_reads_back_exactly(tmp_path: Path) -> None:
    info = publish_sample(tmp_path)
    release = open_current(tmp_path)
    assert release.info.release_id == info.release_id == current_id(tmp_path)
    assert (release.info.vintage, release.info.status, release.info.is_synthetic) == (
        VINTAGE,
        "simulated",
        True,
    )
    content = sample_content()
    for name, frame in content.cubes.items():
        key = [*release.dataset(name).dimension_ids, "period", "indicator"]
        assert release.cube_frame(name).sort(key).equals(frame.sort(key)), name
    assert [c.code for c in release.codes("size_2017")] == ["L", "M", "S", "W"]
    assert release.table("meta_source_run")["rows_in"].to_list() == [10]
    assert release.is_synthetic(LEAF)
    assert not release.is_synthetic("filings_district_month")


def test_manifest_names_every_file_with_its_hash(tmp_path: Path) -> None:
    import hashlib

    folder = publish_sample(tmp_path).folder
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    files = {p.stem: hashlib.sha256(p.read_bytes()).hexdigest() for p in (folder / "files").iterdir()}
    assert {name: entry["sha256"] for name, entry in manifest["files"].items()} == files
    assert manifest["files"]["disseminate_core_leaf_year"]["rows"] == leaf().height
    assert not [p for p in folder.rglob("*") if p.is_file() and p.stat().st_mode & 0o222]


CELL = (pl.col("ai_class") == "A") & (pl.col("period") == "2025")
HIDDEN = pl.col("conf_status") == "C"
BAD_CUBES = {
    "a withheld cell still carries a number": lambda: changed(HIDDEN, value=Decimal("777123456.78")),
    "a withheld cell still carries": lambda: changed(HIDDEN, yoy_ratio=0.1),
    "withheld cell still": lambda: changed(HIDDEN, model_share=0.5),
    r"codes \['Z9'\] are not in scheme": lambda: changed(CELL, ai_class="Z9"),
    "holds a comma": lambda: changed(CELL, ai_class="A,B"),
    r"indicators \['filings'\] do not name this dataset": lambda: changed(CELL, indicator="filings"),
    "conf_status must be F or C": lambda: changed(CELL, conf_status="N"),
    "must be withheld .C. or missing .M.": lambda: changed(CELL, value=None),
    "and only such a cell": lambda: changed(CELL, obs_status="M"),
    "finite": lambda: changed(CELL, yoy_ratio=float("nan")),
    "periods": lambda: changed(CELL, period="25"),
    "a cell stands twice": lambda: pl.concat([leaf(), leaf().head(1)]),
    "columns are": lambda: leaf().drop("model_share"),
    "wrong type": lambda: leaf().with_columns(pl.col("value").cast(pl.Float64)),
}


@pytest.mark.parametrize("message", BAD_CUBES)
def test_a_bad_cube_is_refused_and_nothing_is_written(message: str, tmp_path: Path) -> None:
    frame = BAD_CUBES[message]()
    if message.endswith("do not name this dataset"):
        frame = frame.unique(["ai_class", "period", "indicator"], maintain_order=True)
    with pytest.raises(ReleaseRefused, match=message):
        publish(tmp_path, with_cube(sample_content(), LEAF, frame))
    assert not (tmp_path / "releases").exists()


@pytest.mark.parametrize("certificate", [None, {"passed": False}, {"passed": "yes"}, {}])
def test_a_protected_cube_needs_a_passed_certificate(certificate: dict[str, object] | None, tmp_path: Path) -> None:
    content = sample_content()
    others = {k: v for k, v in content.certificates.items() if k != LEAF}
    given = others if certificate is None else {**others, LEAF: certificate}
    with pytest.raises(ReleaseRefused, match="core_leaf_year: no passed certificate"):
        publish(tmp_path, replace(content, certificates=given))
    assert current_id(tmp_path) is None


def test_wrong_frames_around_the_cubes_are_refused(tmp_path: Path) -> None:
    content = sample_content()
    reference = dict(content.reference)
    cases = {
        "status 'final'": replace(content, status="final"),
        "only be released as 'simulated'": replace(content, status="trial"),
        "missing .'meta_code'": replace(content, reference={}),
        "not allowed .'unit_level'": replace(content, reference={**reference, "unit_level": pl.DataFrame()}),
        "meta_code: columns": replace(content, reference={"meta_code": reference["meta_code"].drop("sort")}),
        "no such dataset": with_cube(content, "nothing", leaf()),
    }
    for message, wrong in cases.items():
        with pytest.raises(ReleaseRefused, match=message):
            publish(tmp_path, wrong)


def test_the_same_content_changes_nothing(tmp_path: Path) -> None:
    first = publish_sample(tmp_path)
    second = publish_sample(tmp_path)
    assert (first.unchanged, second.unchanged) == (False, True)
    assert second.release_id == first.release_id
    assert second.created_at == first.created_at
    assert len(list_releases(tmp_path)) == 1


def test_rollback_serves_the_older_one_and_deletes_nothing(tmp_path: Path) -> None:
    first = publish_sample(tmp_path)
    second = publish(tmp_path, replace(sample_content(), vintage="2026-04-30"))
    assert current_id(tmp_path) == second.release_id
    assert [i.release_id for i in list_releases(tmp_path)] == [second.release_id, first.release_id]
    held = open_current(tmp_path)
    rollback(tmp_path, first.release_id)
    assert open_current(tmp_path).info.release_id == first.release_id
    assert held.info.release_id == second.release_id, "a view once resolved stays the same release"
    assert len(list_releases(tmp_path)) == 2
    again = publish(tmp_path, replace(sample_content(), vintage="2026-04-30"))
    assert (again.unchanged, current_id(tmp_path)) == (False, second.release_id)


@pytest.mark.parametrize("name", ["r20200101-00000000", "../releases", ".building-1", "current"])
def test_unknown_releases_are_named(name: str, tmp_path: Path) -> None:
    publish_sample(tmp_path)
    with pytest.raises(LookupError, match="no release"):
        rollback(tmp_path, name)
    with pytest.raises(NoRelease):
        open_release(tmp_path, name)
    with pytest.raises(LookupError):
        show(tmp_path, name)


def test_the_pointer_moves_only_after_the_release_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = publish_sample(tmp_path)
    later = replace(sample_content(), vintage="2026-04-30")

    def power_cut(*_: object) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as cut:
        cut.setattr("warehouse.release._write_documents", power_cut)
        with pytest.raises(OSError, match="power cut"):
            publish(tmp_path, later)
    assert current_id(tmp_path) == first.release_id
    assert [i.release_id for i in list_releases(tmp_path)] == [first.release_id]
    assert (tmp_path / "releases" / f".building-{os.getpid()}").is_dir()
    done = publish(tmp_path, later)
    assert current_id(tmp_path) == done.release_id
    assert not list((tmp_path / "releases").glob(".*"))


def test_readers_get_only_tables_meant_for_them(tmp_path: Path) -> None:
    publish_sample(tmp_path)
    release = open_current(tmp_path)
    with pytest.raises(UnknownName, match=r"known: .*meta_quality"):
        release.table("meta_release; DROP TABLE meta_code")
    with pytest.raises(UnknownName, match="holds no public_filing"):
        release.table("public_filing")
    with pytest.raises(UnknownName, match="known: core_leaf_year"):
        release.dataset("core_leaf")
    with pytest.raises(NoRelease, match="nothing has been released"):
        open_current(tmp_path / "empty")


def test_an_official_release_rests_on_checked_code_lists_only(tmp_path: Path) -> None:
    """The rule of classification.md §4: recalled, inferred or unverified rows are refused, as is a draft."""
    for wrong in ("recalled", "name_unverified", "inferred_from_totals", ""):
        with pytest.raises(ReleaseRefused, match="size_2017: 4 row"):
            publish(tmp_path, official_content(basis=wrong))
    with pytest.raises(ReleaseRefused, match="status draft: not adopted"):
        publish(tmp_path, official_content(status="draft"))
    with pytest.raises(ReleaseRefused, match=r"isic4__gbt4754_2017: 208 row.*inferred"):
        publish(tmp_path, replace(official_content(), correspondences=("isic4__gbt4754_2017",)))
    with pytest.raises(ReleaseRefused, match="none is named"):
        publish(tmp_path, replace(official_content(), correspondences=()))
    assert not (tmp_path / "releases").exists()
    assert publish(tmp_path, official_content()).status == "official"


def test_synthetic_figures_are_neverofficial_content(tmp_path: Path) -> None:
    with pytest.raises(ReleaseRefused, match="only be released as 'simulated'"):
        publish(tmp_path, replace(official_content(), is_synthetic=True))


def test_the_refusal_holds_every_row(tmp_path: Path) -> None:
    with pytest.raises(ReleaseRefused) as caught:
        publish(tmp_path, official_content(basis="recalled"))
    codes = official_content().reference["meta_code"]
    assert {(r.source, r.key) for r in caught.value.rows} == set(codes.select("scheme", "code").iter_rows())
    assert {r.reason for r in caught.value.rows} == {"basis is recalled"}


def test_a_home_of_the_demo_city_releases_nothing_but_simulated(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text("{}")
    for content in (official_content(), sample_content(synthetic=False)):
        with pytest.raises(ReleaseRefused, match="模拟发布"):
            publish(tmp_path, content)
    assert publish_sample(tmp_path).status == "simulated"


def test_a_trial_release_does_not_take_the_place_of_an_official_one(tmp_path: Path) -> None:
    trial = publish(tmp_path, replace(sample_content(synthetic=False), vintage="2026-02-28"))
    official = publish(tmp_path, official_content())
    assert current_id(tmp_path) == official.release_id, "an official one takes the place of a trial one"
    night = publish(tmp_path, replace(sample_content(synthetic=False), vintage="2026-04-30"))
    assert night.folder.is_dir() and current_id(tmp_path) == official.release_id
    again = publish(tmp_path, replace(sample_content(synthetic=False), vintage="2026-04-30"))
    assert (again.release_id, current_id(tmp_path)) == (night.release_id, official.release_id)
    rollback(tmp_path, night.release_id)
    assert current_id(tmp_path) == night.release_id, "somebody may say so"
    assert publish(tmp_path, replace(sample_content(synthetic=False), vintage="2026-02-28")).unchanged is False
    assert current_id(tmp_path) == trial.release_id


def test_a_trial_release_keeps_weak_rows_and_carries_their_mark(tmp_path: Path) -> None:
    content = sample_content(synthetic=False)
    codes = content.reference["meta_code"].with_columns(basis=pl.lit("recalled"))
    info = publish(tmp_path, replace(content, reference={**content.reference, "meta_code": codes}))
    assert {c.basis for c in open_release(tmp_path, info.release_id).codes("size_2017")} == {"recalled"}
