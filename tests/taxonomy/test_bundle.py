"""Bundles: self-contained, tamper-evident, promoted and rolled back; trained with labels; frozen decisions."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from taxonomy.classifier import bundle as bundles_module
from taxonomy.classifier.bundle import ALGORITHM, Bundle, BundleError, build_bundle, content_hash
from taxonomy.classifier.calibrate import Calibration
from taxonomy.classifier.linear import BITS, LinearModel
from taxonomy.classifier.store import current_bundle, list_bundles, load, promote, rollback, save
from tests.taxonomy.test_classifier import CASES, coded

GOLDEN = Path(__file__).parent / "frozen_decisions.json"


def labelled(n: int = 30) -> pl.DataFrame:
    """Units whose label follows from their text, with words no scheme text holds."""
    rows = [(f"甲{i}科技有限公司", "灵犀云控平台研发；软件开发", None, "B31") for i in range(n)]
    rows += [(f"乙{i}商行有限公司", "日用百货零售；餐饮服务", None, "none") for i in range(n)]
    return pl.DataFrame(rows, schema=["name", "business_scope", "main_products", "ai_class"], orient="row")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return build_bundle(labelled())


def test_a_stored_bundle_replays_without_the_installed_files(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(bundle, tmp_path)
    monkeypatch.setattr(bundles_module, "ROOT", tmp_path / "nothing")
    again = load(folder)
    assert coded(CASES, again).equals(coded(CASES, bundle))  # type: ignore[arg-type]


def test_a_changed_bundle_and_one_of_another_algorithm_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    folder = save(bundle, tmp_path)
    head = folder / "bundle.json"
    text = head.read_text(encoding="utf-8")
    head.write_text(text.replace(f'"algorithm": {ALGORITHM}', '"algorithm": 1'), encoding="utf-8")
    with pytest.raises(BundleError, match="algorithm 1"):
        load(folder)
    head.write_text(text, encoding="utf-8")
    data = folder / "data.json"
    data.write_text(data.read_text(encoding="utf-8").replace("人工智能", "人工智障"), encoding="utf-8")
    with pytest.raises(BundleError, match="not what was stored"):
        load(folder)
    with pytest.raises(BundleError, match="no usable bundle"):
        load(tmp_path / "absent")


def test_promote_and_roll_back(bundle: Bundle, trained: Bundle, tmp_path: Path) -> None:
    save(bundle, tmp_path)
    save(trained, tmp_path, "with labels")
    assert bundle.hash == content_hash() != trained.hash == content_hash(labelled())
    assert current_bundle(tmp_path).hash == bundle.hash
    promote(tmp_path, bundle.hash)
    promote(tmp_path, trained.hash)
    assert current_bundle(tmp_path).hash == trained.hash
    assert {i.hash: i.is_current for i in list_bundles(tmp_path)} == {bundle.hash: False, trained.hash: True}
    assert rollback(tmp_path) == bundle.hash == current_bundle(tmp_path).hash
    with pytest.raises(BundleError, match="before this one"):
        rollback(tmp_path)
    with pytest.raises(BundleError, match="no usable bundle"):
        promote(tmp_path, "0" * 12)


def test_labels_teach_the_unit_model_and_the_dictionary(bundle: Bundle, trained: Bundle) -> None:
    row = [("x", "丙科技有限公司", "灵犀云控平台研发", None, None)]
    before, after = coded(row, bundle), coded(row, trained)  # type: ignore[arg-type]
    assert after["p_ai"][0] > before["p_ai"][0]
    assert trained.training["labels"] == 60 and trained.training["positives"] == 30
    entry = trained.dictionary["灵犀云控平台研发"]
    assert (entry.leaf, entry.purity, entry.support) == ("B31", 1.0, 30)
    assert "软件开发" not in trained.dictionary, "a generic phrase learns nothing"
    kinds = {c["kind"] for c in json.loads(after["evidence"][0])["contributions"]}
    assert {"dictionary", "unit"} <= kinds


def test_labels_are_checked() -> None:
    with pytest.raises(BundleError, match="ai_class"):
        build_bundle(pl.DataFrame({"name": ["a"], "business_scope": ["b"]}))
    with pytest.raises(BundleError, match="Z99"):
        build_bundle(pl.DataFrame({"name": ["a"], "business_scope": ["b"], "ai_class": ["Z99"]}))


def test_the_order_of_labels_changes_nothing(trained: Bundle) -> None:
    again = build_bundle(labelled().sample(fraction=1.0, shuffle=True, seed=3))
    assert again.hash == trained.hash
    assert coded(CASES, again).drop("evidence").equals(coded(CASES, trained).drop("evidence"))  # type: ignore[arg-type]


def test_calibration_changes_how_sure_not_what(bundle: Bundle) -> None:
    cool = replace(bundle, calibration=Calibration(core=2.0, leaf=1.5, gold=100))
    plain, calibrated = coded(CASES, bundle), coded(CASES, cool)  # type: ignore[arg-type]
    sure = plain["p_ai"].is_not_nan() & (plain["p_ai"] > 0.5)
    assert (calibrated["p_ai"].filter(sure) < plain["p_ai"].filter(sure)).all()
    firsts = [[json.loads(c)[0]["code"] for c in frame["candidates"]] for frame in (plain, calibrated)]
    assert firsts[0] == firsts[1]


def by_hand(bundle: Bundle) -> Bundle:
    """A bundle whose weights are made, not trained: equal on every machine."""
    random = np.random.default_rng(20221101)
    slot = np.full(2**BITS, -1, dtype=np.int32)
    used = random.choice(2**BITS, 2**BITS // 2, replace=False)
    slot[used] = np.arange(len(used), dtype=np.int32)
    weights = np.round(random.normal(0, 1.5, (len(used), len(bundle.model.classes))), 3)
    return replace(bundle, hash="byhand", model=LinearModel(bundle.model.classes, slot, weights))


def test_decisions_of_this_algorithm_are_frozen(bundle: Bundle) -> None:
    """A change of code that changes a decision raises ``ALGORITHM`` and freezes anew (delete the file, run, review)."""
    decided = coded(CASES, by_hand(bundle))  # type: ignore[arg-type]
    found = {
        "algorithm": ALGORITHM,
        "inputs": content_hash(),
        "rows": decided.select("unit_id", "ai_class", "route", "candidates", "secondary").rows(),
        "evidence": hashlib.sha256("\n".join(decided["evidence"]).encode()).hexdigest(),
    }
    text = json.dumps(found, ensure_ascii=False, indent=1)
    if not GOLDEN.exists():
        GOLDEN.write_text(text + "\n", encoding="utf-8")
    frozen = json.loads(GOLDEN.read_text(encoding="utf-8"))
    if frozen["inputs"] != found["inputs"]:
        pytest.fail(
            "the taxonomy's files changed: delete tests/taxonomy/frozen_decisions.json, run, review the difference"
        )
    assert json.loads(text) == frozen
