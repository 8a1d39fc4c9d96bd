"""An official release: who may ask, the request in the journal, the refusal row by row, the answer; toy code lists pass."""

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from aistat.cli import main
from etl import domains, official, reference
from etl.assets import disseminate
from etl.clearing import clear_table
from etl.instance import prepare
from etl.methods.disclosure import RuleSet
from etl.release_ledger import Place, ReleaseLedger, keeping
from etl.resources import AS_OF_TAG, OFFICIAL_TAG, Stores
from taxonomy.scheme import Scheme, load_scheme
from tests.conftest import AS_OF, aistat
from tests.warehouse.sample_release import VINTAGE, official_content, sample_content
from warehouse.journal import Journal
from warehouse.read import open_current
from warehouse.release import ReleaseRefused, current_id

PASSWORD = "a long password"


def set_up(home: Path) -> Path:
    """Rules of disclosure control of its own, an approver and an analyst."""
    (home / "secret").mkdir(parents=True, exist_ok=True)
    shutil.copy(
        Path(reference.__file__).parents[1] / "warehouse" / "metadata" / "disclosure.yaml", home / official.RULES
    )
    for name, role in (("qian", "approver"), ("li", "analyst")):
        Journal(home).add_user(name, PASSWORD, role, organisation="统计")
    return home


def actions(home: Path) -> list[str]:
    return [e["action"] for e in Journal(home).audit() if e["action"].startswith("official")]


def test_who_may_ask_for_an_official_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AISTAT_HOME", str(tmp_path))
    monkeypatch.delenv("AISTAT_JOURNAL_URL", raising=False)
    (tmp_path / "inbox").mkdir()
    assert main(["run", "--official", "--user", "qian"]) == 2
    assert "没有正式的保密规则" in capsys.readouterr().err
    set_up(tmp_path)
    for name in (["--user", "li"], ["--user", "nobody"], []):
        assert main(["run", "--official", *name]) == 2
        assert "approver" in capsys.readouterr().err
    (tmp_path / "demo.json").write_text("{}")
    assert main(["run", "--official", "--user", "qian"]) == 2
    assert "只能模拟发布" in capsys.readouterr().err
    assert actions(tmp_path) == [], "nothing was asked for, nothing was run"


def proposed(home: Path) -> None:
    """One table that disclosure control has proposed for the next official release."""
    rows = pl.DataFrame(
        {"size": ["S1"] * 4, "contributor": list("abcd"), "value": [4, 3, 3, 3], "observed": [True] * 4}
    )
    with keeping(ReleaseLedger(home)):
        clear_table(
            rows, {"t": ("size",)}, {"size": {"S1": None}}, RuleSet(), 1, place=Place("core/ai_revenue", "2025")
        )


def test_a_request_has_one_answer(tmp_path: Path) -> None:
    set_up(tmp_path)
    with pytest.raises(ReleaseRefused, match="no open request"):
        official.publish_as_asked(tmp_path, official_content(), "qian")
    assert official.request(tmp_path, "qian", VINTAGE) == "qian"
    assert official.open_request(tmp_path, "2026-04-30") is None, "a request is for one vintage"
    for stranger in ("", "li"):
        with pytest.raises(ReleaseRefused, match="no open request"):
            official.publish_as_asked(tmp_path, official_content(), stranger)
    proposed(tmp_path)
    info = official.publish_as_asked(tmp_path, official_content(), "qian")
    assert info.status == "official" and current_id(tmp_path) == info.release_id
    assert json.loads(Journal(tmp_path).audit(1)[0]["detail"]) == {"vintage": VINTAGE, "release": info.release_id}
    with pytest.raises(ReleaseRefused, match="no open request"):
        official.publish_as_asked(tmp_path, official_content(), "qian")
    assert actions(tmp_path) == [official.GRANTED, official.REQUESTED]
    assert official.publish_as_asked(tmp_path, sample_content(synthetic=False)).status == "trial"


def test_a_refusal_lists_every_row_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AISTAT_PROGRESS", "1")
    set_up(tmp_path)
    official.request(tmp_path, "qian", VINTAGE)
    content = official_content(basis="inferred_from_totals")
    with pytest.raises(ReleaseRefused, match="size_2017: 4 row"):
        official.publish_as_asked(tmp_path, content, "qian")
    assert not (tmp_path / "releases").exists() and official.open_request(tmp_path, VINTAGE) is None
    detail = json.loads(Journal(tmp_path).audit(1)[0]["detail"])
    codes = content.reference["meta_code"]
    assert detail["rows"] == dict(codes["scheme"].value_counts().iter_rows())
    said = capsys.readouterr().err
    assert f"{codes.height:,} 行依据不足" in said and "size_2017 L: basis is inferred" in said and "more" in said
    assert "应为 / expected" in said and "办法 / what to do" in said and official.LISTING in said
    with (tmp_path / official.LISTING).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(r["source"], r["key"]) for r in rows} == set(codes.select("scheme", "code").iter_rows())
    assert all(r["problem"] == "basis is inferred" and r["expected"] and r["to_do"] for r in rows)


@pytest.fixture(scope="module")
def real_home(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that is not the demo's (its files serve as received ones), after a night whose official release was refused."""
    home = tmp_path_factory.mktemp("official") / "home"
    shutil.copytree(demo_home, home)
    (home / "demo.json").unlink()
    set_up(home)
    done = aistat("run", "--as-of", AS_OF, "--official", "--user", "qian", home=home, check=False)
    assert done.returncode == 1, done.stderr
    (home / "said.txt").write_text(done.stderr, encoding="utf-8")
    return home


@pytest.mark.slow
def test_today_s_catalogue_is_a_draft_and_an_official_release_of_it_is_refused(real_home: Path) -> None:
    said = (real_home / "said.txt").read_text(encoding="utf-8")
    assert "FAILED disseminate_city__log_release" in said
    assert "ai_industry_2026 A: status draft: not adopted" in said and "办法 / what to do" in said
    assert open_current(real_home).info.status == "simulated", "the last release stays served"
    assert (real_home / official.LISTING).is_file()
    assert not list((real_home / "ledger").glob("*/**/ledger.csv")), "what was refused is not in the ledger"
    assert actions(real_home)[:2] == [official.REFUSED, official.REQUESTED]


def adopted(name: str) -> Scheme:
    """A toy: the code list as if it had been checked and adopted."""
    scheme = load_scheme(name)
    codes = [replace(c, status="in_force", attributes={**c.attributes, "basis": "official"}) for c in scheme.codes]
    return replace(scheme, codes=tuple(codes))


@pytest.mark.slow
def test_with_adopted_code_lists_the_asset_releases_officially(
    real_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AISTAT_HOME", str(real_home))
    monkeypatch.setenv("DAGSTER_HOME", os.environ.get("DAGSTER_HOME", ""))
    prepare(tmp_path)
    monkeypatch.setattr(reference, "load_scheme", adopted)
    monkeypatch.setattr(domains, "load_scheme", adopted)
    official.request(real_home, "qian", AS_OF)
    tags = {AS_OF_TAG: AS_OF, OFFICIAL_TAG: "qian"}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([disseminate.release], resources={"stores": Stores()}, tags=tags, instance=instance)
    assert done.success
    release = open_current(real_home)
    assert (release.info.status, release.info.is_synthetic) == ("official", False)
    assert actions(real_home)[0] == official.GRANTED
    entered = {
        p.parent.relative_to(real_home / "ledger").parts[0] for p in (real_home / "ledger").glob("*/**/ledger.csv")
    }
    assert entered == {"core", "demography", "domain", "growth", "nested", "quarter", "source"}, (
        "every protected table stands in the ledger"
    )
    # The same run without a request in the journal is no way round.
    with dg.DagsterInstance.ephemeral() as instance:
        again = dg.materialize(
            [disseminate.release], resources={"stores": Stores()}, tags=tags, instance=instance, raise_on_error=False
        )
    assert not again.success and current_id(real_home) == release.info.release_id
