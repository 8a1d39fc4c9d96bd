"""The drift gate in Dagster: first run, unchanged night, a drift that stops the run, a person's word that lets it pass."""

import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from etl.assets.process import CODE_UNIT
from etl.assets.register import REGISTER_CURRENT
from etl.assets.watch import no_drift
from etl.classifier_quality import CHANGE, ChangeLog, keep, read_watch, report_of
from etl.resources import DRIFT_TAG, Stores
from taxonomy.classifier.quality_table import quality_rows
from tests.taxonomy.quality_data import decisions_and_truth
from warehouse.journal import Journal
from warehouse.write import WorkStore


def register(n: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "uscc": [f"u{i:05d}" for i in range(n)],
            "name": [f"单位{i}" for i in range(n)],
            "business_scope": [f"软件开发；短语{i % 90}" for i in range(n)],
            "main_products": [None] * n,
            "gbt_code": ["6513"] * n,
        },
        schema_overrides={"main_products": pl.String},
    )


def fill(home: Path, share_core: float, n: int = 1_500) -> pl.DataFrame:
    work = WorkStore(home)
    codes, _ = decisions_and_truth(n, share_core=share_core)
    work.write(REGISTER_CURRENT, register(n))
    work.write(CODE_UNIT, codes.sort("unit_id").with_columns(input_hash=pl.lit("h")))
    return codes


@dg.asset(name=CODE_UNIT)
def coded() -> None:
    """Stands for the classifier's asset; the test fills its table."""


@dg.asset(name="process_enterprise__unit_year", deps=[CODE_UNIT])
def after() -> None:
    """What rests on the codes."""


def night(accept: str = "") -> tuple[dg.ExecuteInProcessResult, bool]:
    """One run, and whether what rests on the codes was made."""
    tags = {DRIFT_TAG: accept} if accept else {}
    done = dg.materialize([coded, after, no_drift], resources={"stores": Stores()}, raise_on_error=False, tags=tags)
    made = {e.asset_key.to_user_string() for e in done.get_asset_materialization_events() if e.asset_key}
    return done, "process_enterprise__unit_year" in made


def check(done: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    return done.get_asset_check_evaluations()[0]


def release(home: Path, name: str) -> None:
    """What the release asset does with the gate's outcome."""
    (home / "releases").mkdir(exist_ok=True)
    keep(home, name, report_of(home, WorkStore(home), "2026-03-31", synthetic=True))
    (home / "releases" / "current").write_text(name)


def test_the_gate_from_the_first_run_to_an_accepted_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path
    monkeypatch.setenv("AISTAT_HOME", str(home))
    monkeypatch.delenv("AISTAT_JOURNAL_URL", raising=False)
    fill(home, 0.2)
    done, went_on = night()
    assert went_on and check(done).passed and "首次运行" in str(check(done).description)
    release(home, "r20260331-aaaa")
    first = quality_rows(report_of(home, WorkStore(home), "2026-03-31", synthetic=True))

    # The same content keeps its outcome, so that it gives the same release.
    done, went_on = night()
    assert went_on and "首次运行" in str(check(done).description)
    again = quality_rows(report_of(home, WorkStore(home), "2026-03-31", synthetic=True))
    assert again.equals(first)

    fill(home, 0.6)
    done, went_on = night()
    assert not done.success and not went_on
    assert check(done).severity == dg.AssetCheckSeverity.ERROR and "核心产业比重" in str(check(done).description)
    assert read_watch(home, "r20260331-aaaa").profile.core < read_watch(home, ".candidate").profile.core  # type: ignore[union-attr]
    assert not night()[1], "it stays stopped the night after"

    done, went_on = night(accept="普查后名录整体更新")
    assert done.success and went_on
    assert not check(done).passed and check(done).severity == dg.AssetCheckSeverity.WARN
    entries = [e for e in Journal(home).audit() if e["action"] == "drift_accepted"]
    assert len(entries) == 1
    detail = json.loads(entries[0]["detail"])
    assert detail["reason"] == "普查后名录整体更新" and detail["reference"] == "r20260331-aaaa"
    assert Journal(home).audit_is_intact()
    release(home, "r20260401-bbbb")
    assert night()[1], "the accepted change is the new reference"
    body = json.loads((home / "quality" / "r20260401-bbbb.json").read_text())
    assert body["reproducibility"]["drift"]["accepted"] == "普查后名录整体更新"
    table = quality_rows(report_of(home, WorkStore(home), "2026-03-31", synthetic=True))
    assert "普查后名录整体更新" not in table.write_csv(), "the reason is for the audit log, not for the release"
    state = table.filter(pl.col("metric") == "drift")
    assert state["value"].to_list() == [2.0] and "已确认" in state["note_zh"][0]


def test_accepting_without_drift_accepts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISTAT_HOME", str(tmp_path))
    monkeypatch.delenv("AISTAT_JOURNAL_URL", raising=False)
    fill(tmp_path, 0.2, n=300)
    assert night(accept="以防万一")[1]
    assert read_watch(tmp_path, ".candidate").drift.accepted == ""  # type: ignore[union-attr]
    assert Journal(tmp_path).audit() == []


def test_a_new_bundle_leaves_a_change_list_in_the_work_store_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AISTAT_HOME", str(tmp_path))
    before = fill(tmp_path, 0.2)
    night()
    release(tmp_path, "r20260331-aaaa")
    now = decisions_and_truth(1_500, seed=6)[0].with_columns(bundle=pl.lit("b2"))
    work = WorkStore(tmp_path)
    log = ChangeLog()
    log.see(before, now)
    log.record(tmp_path, work, "b2")
    work.write(CODE_UNIT, now.sort("unit_id").with_columns(input_hash=pl.lit("h")))
    listed = work.read(CHANGE)
    assert listed.height > 100 and set(listed["bundle_now"]) == {"b2"}
    night()
    found = read_watch(tmp_path, ".candidate")
    assert found is not None and found.changes is not None and found.changes["changed"] == listed.height
    # The night after, with the same bundle, the list still stands.
    quiet = ChangeLog()
    quiet.see(now, now)
    quiet.record(tmp_path, work, "b2")
    assert work.read(CHANGE).height == listed.height
    for path in (tmp_path / "profiles").iterdir():
        assert "u00" not in path.read_text(encoding="utf-8"), path.name


def test_a_broken_profile_says_which_file(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "r1.json").write_text("{}")
    with pytest.raises(ValueError, match=r"profiles/r1\.json"):
        read_watch(tmp_path, "r1")
    assert read_watch(tmp_path, "r2") is None
