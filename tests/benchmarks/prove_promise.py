"""The error promise under repeated sampling; writes ``docs/quality/evidence/promise.json``.

Populations, seeds and the criterion stand in ``simulation_promise.yaml``, committed before the first run.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from scipy.stats import beta, binom

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from taxonomy.classifier.gold import GoldPlan, draw_sample, stratify, unit_keys  # noqa: E402
from taxonomy.classifier.promise import choose_thresholds  # noqa: E402

SETTINGS = Path(__file__).with_name("simulation_promise.yaml")
TARGET = ROOT / "docs" / "quality" / "evidence" / "promise.json"
CODED = ("taxonomy/classifier/gold.py", "taxonomy/classifier/promise.py", "tests/benchmarks/simulation_promise.yaml")


def settings() -> dict[str, Any]:
    """The simulation's settings."""
    return yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))


def wrong_probability(confidence: np.ndarray, pieces: list[list[float]]) -> np.ndarray:
    """P(wrong) of each unit from the scenario's pieces."""
    found = np.zeros(len(confidence))
    for start, base, slope in pieces:
        found = np.where(confidence >= start, base + slope * (1.0 - confidence), found)
    return np.clip(found, 0.0, 1.0)


def population(rules: dict[str, Any], scenario: str) -> pl.DataFrame:
    """A fixed population: decision columns, ``unit_key`` and whether each code is ``wrong``."""
    card = rules["scenarios"][scenario]
    rng = np.random.default_rng(card["seed"])
    parts = []
    for group, count in rules["groups"].items():
        confidence = np.round(0.5 + 0.5 * beta.ppf(rng.random(count), *rules["beta"][group]), 6)
        wrong = rng.random(count) < wrong_probability(confidence, card["wrong"])
        parts.append(
            pl.DataFrame({"probability": confidence, "wrong": wrong}).with_columns(
                ai_class=pl.lit(None if group == "none" else f"{group}11", pl.String),
                p_ai=(1.0 - pl.col("probability")) if group == "none" else pl.col("probability"),
            )
        )
    frame = pl.concat(parts).with_row_index("n")
    frame = frame.with_columns(
        unit_id=pl.format("u{}", "n"),
        route=pl.lit("model"),
        bundle=pl.lit("b"),
        text_hash=pl.lit(""),
        scope_hash=pl.lit(""),
    )
    return frame.with_columns(unit_key=pl.Series(unit_keys(frame["unit_id"])))


def replicate(
    units: pl.DataFrame, frame: pl.DataFrame, rules: dict[str, Any], seed: int, method: str
) -> dict[str, Any]:
    """One draw: coded share, the true error of what is coded alone, and whether any group exceeds the promise."""
    sample = draw_sample(units, GoldPlan(seed=seed, **rules["gold"]))
    gold = sample.units.join(units.select("unit_id", correct=~pl.col("wrong")), on="unit_id", how="left")
    promise = choose_thresholds(
        gold,
        frame,
        error=rules["error"],
        confidence=rules["confidence"],
        method=method,  # type: ignore[arg-type]
    )
    coded = wrong = 0
    exceeded = False
    for group in promise.groups:
        if group.threshold is None:
            continue
        above = frame.filter((pl.col("group") == group.group) & (pl.col("confidence") >= group.threshold))
        bad = int(above["wrong"].sum())
        exceeded |= bad > rules["error"] * above.height
        coded, wrong = coded + above.height, wrong + bad
    return {"coded": coded, "wrong": wrong, "any_group": exceeded, "gold": sample.units.height}


def run(scenario: str, method: str, rules: dict[str, Any], replicates: int) -> dict[str, Any]:
    """All replicates of a scenario."""
    units = population(rules, scenario)
    frame, _ = stratify(units, GoldPlan(seed=0, **rules["gold"]))
    frame = frame.rename({"probability": "confidence"}).select("group", "stratum", "confidence", "wrong")
    first = rules["first_gold_seed"]
    found = [replicate(units, frame, rules, first + k, method) for k in range(replicates)]
    limit = int(binom.ppf(rules["criterion_quantile"], replicates, 1.0 - rules["confidence"]))
    overall = sum(r["wrong"] > rules["error"] * r["coded"] for r in found)
    any_group = sum(r["any_group"] for r in found)
    errors = [r["wrong"] / r["coded"] for r in found if r["coded"]]
    return {
        "scenario": scenario, "method": method, "replicates": replicates, "gold_units": found[0]["gold"],
        "error_if_all_were_coded": round(float(frame["wrong"].mean()), 4),  # type: ignore[arg-type]
        "exceeded_overall": overall, "exceeded_any_group": any_group, "allowed": limit,
        "exceeded_any_group_share": round(any_group / replicates, 4),
        "mean_share_coded": round(float(np.mean([r["coded"] for r in found])) / units.height, 4),
        "mean_true_error_of_coded": round(float(np.mean(errors)), 4) if errors else None,
        "passed": overall <= limit and any_group <= limit,
    }  # fmt: skip


def main() -> int:
    """Run what the settings ask for and write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, help="fewer than the settings say: nothing is written")
    args = parser.parse_args()
    rules = settings()
    replicates = args.replicates or rules["replicates"]
    started = time.perf_counter()
    code = {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in CODED}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    results = []
    for method, scenarios in rules["methods"].items():
        for scenario in scenarios:
            results.append(run(scenario, method, rules, replicates))
            print(json.dumps(results[-1]), flush=True)
    evidence = {
        "commit": commit.stdout.strip(),
        "code": code,
        "python": platform.python_version(), "cpus": os.cpu_count(), "seconds": round(time.perf_counter() - started),
        "error": rules["error"], "confidence": rules["confidence"], "results": results,
        "passed": all(r["passed"] for r in results),
    }  # fmt: skip
    if replicates >= rules["replicates"]:
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        TARGET.write_text(json.dumps(evidence, indent=1) + "\n", encoding="utf-8")
    return 0 if evidence["passed"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
