"""Profile and drift gate: figures by hand, what is chance and what is not, sequential test by simulation."""

import json
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.integrate import quad

from taxonomy.classifier.drift import (
    Drift,
    chi_square_p,
    gate,
    gold_signals,
    labels_in_order,
    load_limits,
    log_e_value,
    psi,
    total_variation,
)
from taxonomy.classifier.profile import Profile, build_profile, novelty
from tests.taxonomy.quality_data import decision, decisions_and_truth, gold_of

PHRASES = [f"短语{i}甲乙" for i in range(500)]


def texts(n: int, seed: int, known: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    scopes = ["；".join(rng.choice(PHRASES[:known], size=5)) for _ in range(n)]
    codes = rng.choice(["65", "39", "62", "51"], p=[0.4, 0.3, 0.2, 0.1], size=n)
    return pl.DataFrame(
        {
            "name": [f"单位{i}" for i in range(n)],
            "business_scope": scopes,
            "main_products": [None] * n,
            "gbt_code": codes,
        },
        schema_overrides={"main_products": pl.String},
    )


@pytest.fixture(scope="module")
def profile() -> Profile:
    return build_profile([texts(2_000, 1)], [decisions_and_truth(2_000)[0]])


def test_psi_and_total_variation_by_hand() -> None:
    before, now = {"a": 500, "b": 500}, {"a": 800, "b": 200}
    p, q = np.array([500.5, 500.5]) / 1001, np.array([800.5, 200.5]) / 1001
    assert psi(before, now) == pytest.approx(float(((q - p) * np.log(q / p)).sum()))
    assert psi(before, before) == 0.0
    assert total_variation(before, now) == pytest.approx(0.3)
    # 2x2 chi-square: n (ad - bc)^2 / (products of margins) = 2000 (500*200 - 500*800)^2 / (1000 1000 1300 700) = 197.8
    assert chi_square_p(before, now) == pytest.approx(math.erfc(math.sqrt(197.802197802 / 2.0)), rel=1e-6)
    assert chi_square_p({"a": 5}, {"a": 9}) == 1.0


def test_rare_categories_are_pooled_so_that_one_unit_is_no_drift() -> None:
    before = {"a": 1_000, "b": 1_000}
    assert psi(before, {**before, "c": 1}) < 0.01


def test_a_profile_does_not_depend_on_how_frames_are_cut(profile: Profile) -> None:
    inputs, decisions = texts(2_000, 1), decisions_and_truth(2_000)[0]
    cut = build_profile(inputs.iter_slices(37), decisions.iter_slices(411))
    assert cut.as_dict() == profile.as_dict()
    assert Profile.from_dict(json.loads(json.dumps(profile.as_dict(), allow_nan=False))) == profile
    assert profile.units == 2_000 and profile.fill["main_products"] == 0.0 and profile.fill["business_scope"] == 1.0


def test_novelty_from_samples_is_near_the_share_of_new_phrases() -> None:
    _, decisions = None, decisions_and_truth(100)[0]
    before = build_profile([texts(3_000, 1, known=400)], [decisions], sketch=128)
    now = build_profile([texts(3_000, 2, known=500)], [decisions], sketch=128)
    assert len(before.phrases) == 128 and before.phrase_limit < 1 << 64
    share, sampled = novelty(before, now)
    assert share is not None and sampled > 1_000
    assert share == pytest.approx(0.2, abs=3 * math.sqrt(0.2 * 0.8 / 128)), "100 of 500 equally common phrases are new"
    assert novelty(before, before)[0] == 0.0


def test_the_first_run_passes_and_says_so(profile: Profile) -> None:
    found = gate(None, profile, load_limits())
    assert (found.status, found.blocks, found.signals) == ("ok", False, ())
    assert "首次运行" in found.reason_zh


def test_the_same_population_drawn_anew_is_no_drift(profile: Profile) -> None:
    again = build_profile([texts(2_000, 77)], [decisions_and_truth(2_000, seed=88)[0]])
    found = gate(profile, again, load_limits(), reference="r1")
    assert found.status == "ok", found.reason_en
    assert {s.name for s in found.signals} == set(load_limits().signals)


CHANGES = {
    "core_share": ("block", lambda p: replace(p, core=p.core * 2)),
    "unit_count": ("block", lambda p: replace(p, units=p.units * 2)),
    "field_fill": ("block", lambda p: replace(p, fill={**p.fill, "business_scope": 0.6})),
    "declared_code_mix": ("block", lambda p: replace(p, code_mix={"65": 100, "39": 1_700, "62": 200})),
    "route_mix": ("block", lambda p: replace(p, route_mix={"model": 200, "review": 1_800})),
    "class_mix": ("block", lambda p: replace(p, class_mix={**p.class_mix, "A1": 1_500})),
    "mean_probability": ("warn", lambda p: replace(p, mean_probability={**p.mean_probability, "model": 0.88})),
    "phrase_novelty": ("block", lambda p: replace(p, phrases={f"{i:016x}": 5 for i in range(400)})),
}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_each_signal_sees_its_own_change(profile: Profile, name: str) -> None:
    status, change = CHANGES[name]
    found = gate(profile, change(profile), load_limits(), reference="r1")
    own = next(s for s in found.signals if s.name == name)
    assert (own.status, found.status) == (status, status), own.detail_en
    assert own.detail_zh in found.reason_zh and own.detail_en in found.reason_en
    others = {s.name for s in found.signals if s.status != "ok"} - {name}
    assert others <= ({"core_share", "declared_code_mix"} if name == "unit_count" else set())


def test_a_large_change_of_few_units_is_chance(profile: Profile) -> None:
    before, now = replace(profile, units=300, core=2), replace(profile, units=300, core=4)
    core = next(s for s in gate(before, now, load_limits()).signals if s.name == "core_share")
    assert core.value == pytest.approx(math.log(2)) and core.status == "ok" and core.p_value is not None
    few = gate(replace(profile, units=50), replace(profile, units=60), load_limits())
    assert few.signals == () and "不作比较" in few.reason_zh


def test_a_changed_bundle_is_named_with_the_drift(profile: Profile) -> None:
    now = replace(profile, bundles=("b2",), core=profile.core * 3)
    found = gate(profile, now, load_limits(), reference="r1")
    assert found.blocks and "b1" in found.reason_en and "b2" in found.reason_en
    accepted = replace(found, accepted="换用新编码包")
    assert not accepted.blocks and accepted.status == "block"
    stored = json.loads(json.dumps(accepted.as_dict(), allow_nan=False))
    assert Drift.from_dict(stored).as_dict() == accepted.as_dict() == stored


def test_the_e_value_is_the_integral_it_says() -> None:
    for errors, n, promised in ((0, 10, 0.05), (3, 20, 0.05), (9, 30, 0.1)):

        def ratio(p: float, errors: int = errors, n: int = n, promised: float = promised) -> float:
            return float((p / promised) ** errors * ((1 - p) / (1 - promised)) ** (n - errors)) / (1 - promised)

        assert log_e_value(errors, n, promised) == pytest.approx(math.log(quad(ratio, promised, 1.0)[0]), rel=1e-6)
    with pytest.raises(ValueError, match="0 <= errors <= n"):
        log_e_value(3, 2, 0.05)


def test_looking_every_night_keeps_false_alarms_within_the_level_and_sees_a_broken_model() -> None:
    limits, rng = load_limits(), np.random.default_rng(20261123)

    def blocked(error: float, labels: int) -> bool:
        wrong = (rng.random(labels) < error).tolist()
        return next(s for s in gold_signals(wrong, limits) if s.name == "gold_sequential").status == "block"

    at_the_promise = sum(blocked(limits.promised_error, 300) for _ in range(500))
    assert at_the_promise <= 500 * limits.alpha_block + 3 * math.sqrt(500 * limits.alpha_block)
    assert sum(blocked(0.2, 300) for _ in range(50)) >= 48


def test_gold_signals_warn_on_the_window_and_need_labels() -> None:
    limits = load_limits()
    none = gold_signals([], limits)
    assert [s.status for s in none] == ["ok", "ok"] and all(s.value is None for s in none)
    window = gold_signals([False] * 400 + [True] * 12 + [False] * 88, limits)[0]
    assert window.status == "warn" and "12" in window.detail_en
    # P(X >= 12), X ~ Bin(100, .05)
    tail = sum(math.comb(100, k) * 0.05**k * 0.95 ** (100 - k) for k in range(12, 101))
    assert window.p_value == pytest.approx(tail)


def test_labels_come_in_order_with_equal_chances() -> None:
    units = [f"u{i:04d}" for i in range(3_000)]
    decisions = pl.DataFrame([decision(u, "A11", 0.9) for u in units], infer_schema_length=None)
    # Every second unit is wrong and was drawn five times as densely: taken as they come, 50 % would be wrong too often.
    inclusion = [0.5 if i % 2 else 0.1 for i in range(3_000)]
    rng = np.random.default_rng(2)
    drawn = [i for i in range(3_000) if rng.random() < inclusion[i]]
    gold = gold_of([units[i] for i in drawn], ["B11" if i % 2 else "A11" for i in drawn], [inclusion[i] for i in drawn])
    gold = gold.with_columns(decided_at=pl.Series([f"2026-01-{1 + i % 28:02d}" for i in range(len(drawn))]))
    wrong = labels_in_order(decisions, gold)
    assert 200 < len(wrong) < 400
    assert np.mean(wrong) == pytest.approx(0.5, abs=0.09)
    shuffled = gold.sample(fraction=1.0, shuffle=True, seed=3)
    assert labels_in_order(decisions, shuffled) == wrong
    locked = decisions.with_columns(route=pl.lit("lock"))
    assert labels_in_order(locked, gold) == []


def test_limits_that_make_no_sense_are_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    text = (load_limits.__wrapped__.__defaults__[0]).read_text(encoding="utf-8")
    path = tmp_path / "drift.yaml"
    path.write_text(text.replace("{warn: 0.15, block: 0.40}", "{warn: 0.5, block: 0.40}"), encoding="utf-8")
    with pytest.raises(ValueError, match="phrase_novelty"):
        load_limits(path)
    path.write_text(text.replace("alpha: 0.001", "beta: 1"), encoding="utf-8")
    with pytest.raises(ValueError, match="alpha"):
        load_limits.__wrapped__(path)
