"""Simulation of quality-adjusted counts; writes ``docs/quality/evidence/misclassification.json``.

Seeds, scenarios and promises stand in ``simulation_misclassification.yaml``, committed before the first run. Each replicate
draws a gold sample from a fixed population and runs the pipeline as it is: shift test, chosen estimator, interval.
"""

import hashlib
import json
import math
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.optimize import brentq
from scipy.stats import binom, norm

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
SCENARIOS = Path(__file__).with_name("simulation_misclassification.yaml")
TARGET = ROOT / "docs" / "quality" / "evidence" / "misclassification.json"

from etl.methods.misclassification import (  # noqa: E402
    Adjusted,
    Gold,
    GoldDesign,
    GoldSizes,
    adjusted_counts,
    adjusted_totals,
    allocate_gold,
    change,
    moments,
    tally,
    tally_sizes,
)

AI, NONE = 0, 1


class Strata:
    """Laws of the strata within AI and not AI, from the score model of the scenario file."""

    def __init__(self, facts: dict[str, Any]) -> None:
        cut = norm.ppf(facts["specificity"])
        gap = cut + norm.ppf(facts["sensitivity"])
        rate = facts.get("gold_rate", facts["rate"])
        cuts, predicted = [-np.inf, cut, np.inf], [NONE, AI]
        if bands := facts.get("bands"):

            def above(score: float) -> float:
                return float(rate * norm.sf(score - gap) + (1 - rate) * norm.sf(score))

            positive = above(cut)
            low = brentq(lambda c: above(c) - positive - bands["doubtful_not_ai"] * (1 - positive), -8, cut)
            high = brentq(lambda c: positive - above(c) - bands["doubtful_ai"] * positive, cut, 20)
            cuts, predicted = [-np.inf, low, cut, high, np.inf], [NONE, NONE, AI, AI]
        self.law = np.stack([np.diff(norm.cdf(np.array(cuts) - gap)), np.diff(norm.cdf(cuts))], axis=1)
        self.predicted = np.array(predicted)

    def rates(self, rate: float) -> np.ndarray:
        """Expected share of AI by stratum."""
        joint = self.law * [rate, 1 - rate]
        return np.asarray(joint[:, 0] / joint.sum(axis=1))

    def population(self, rate: float, units: int, rng: np.random.Generator) -> np.ndarray:
        """Units by stratum and truth, exactly ``rate * units`` of them AI: ``(H, 2)``."""
        number = round(rate * units)
        return np.stack([rng.multinomial(number, self.law[:, 0]), rng.multinomial(units - number, self.law[:, 1])], 1)


def plan(strata: Strata, rate: float, population: np.ndarray, settings: dict[str, Any]) -> GoldDesign:
    """Allocation with planning rates that are wrong by the stated factor of the odds."""
    odds = strata.rates(rate) / (1 - strata.rates(rate)) * settings["planning_odds_factor"]
    not_ai = strata.predicted == NONE
    units = population.sum(axis=1)
    return allocate_gold(units, odds / (1 + odds), settings["gold"], not_ai, min_cases=settings["min_cases"])


def sample(population: np.ndarray, size: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Truths of a simple random sample without replacement in each stratum, ``(H, K)``."""
    return np.stack([rng.multivariate_hypergeometric(row, n) for row, n in zip(population, size, strict=True)])


def scenario(facts: dict[str, Any], settings: dict[str, Any], replicates: int) -> dict[str, Any]:
    """One scenario: bias, RMSE, coverage, what the pipeline chose."""
    strata = Strata(facts)
    worlds, rng = np.random.default_rng(facts["population_seed"]), np.random.default_rng(facts["seed"])
    old_rate, units = facts.get("gold_rate", facts["rate"]), settings["units"]
    fresh = "gold_rate" not in facts

    def draw_worlds() -> tuple[np.ndarray, np.ndarray]:
        then = strata.population(old_rate, units, worlds)
        return then, then if fresh else strata.population(facts["rate"], units, worlds)

    then, now = draw_worlds()
    design = plan(strata, old_rate, then, settings)
    rows, choices, notes = [], [], []
    for replicate in range(replicates):
        if facts.get("redraw_population") and replicate:
            then, now = draw_worlds()
        counts = sample(then, design.size, rng)
        gold = Gold(counts, then.sum(axis=1), strata.predicted, 0 if fresh else 1, design.expected_cases)
        result = adjusted_counts(
            gold, now.sum(axis=1), known=counts if fresh else None, alpha=settings["alpha"], level=settings["level"],
            draws=settings["draws"], min_cases=settings["min_cases"], seed=replicate,
        )  # fmt: skip
        found = result.estimate()
        rows.append((now[:, AI].sum(), found.plain, found.adjusted, found.lower, found.upper))
        choices.append(f"{result.estimator}/{result.reason}")
        notes.extend(result.notes)
    summary = measured(np.array(rows, dtype=float))
    return {
        "promised": bool(facts.get("promised")), "gold_by_stratum": design.size.tolist(),
        "expected_cases": round(design.expected_cases, 2), "design_reliable": design.reliable,
        "chosen": {c: choices.count(c) for c in sorted(set(choices))},
        "marked": {n: notes.count(n) for n in sorted(set(notes))}, **summary,
    }  # fmt: skip


def measured(rows: np.ndarray) -> dict[str, Any]:
    """Figures of replicates ``(truth, plain, adjusted, lower, upper)``, in percent of the truth."""
    truth, plain, adjusted, lower, upper = rows.T
    error = 100 * (adjusted / truth - 1)
    return {
        "replicates": len(rows), "plain_bias_pct": round(float(100 * (plain / truth - 1).mean()), 2),
        "plain_rmse_pct": round(float(100 * np.sqrt(((plain / truth - 1) ** 2).mean())), 2),
        "bias_pct": round(float(error.mean()), 3), "bias_se_pct": round(float(error.std(ddof=1) / len(rows) ** 0.5), 3),
        "rmse_pct": round(float(np.sqrt((error**2).mean())), 2),
        "covered": int(((lower <= truth) & (truth <= upper)).sum()),
        "coverage": round(float(((lower <= truth) & (truth <= upper)).mean()), 4),
        "truth_below_interval": round(float((truth < lower).mean()), 4),
        "truth_above_interval": round(float((truth > upper).mean()), 4),
        "mean_width_pct": round(float(100 * ((upper - lower) / truth).mean()), 2),
    }  # fmt: skip


def judge(found: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The promises, each with what was found."""
    promises, n = settings["promises"], found["replicates"]
    tail = (1 - promises["coverage_range"]) / 2
    low, high = (int(binom.ppf(q, n, settings["level"])) for q in (tail, 1 - tail))
    limit = max(100 * promises["bias"], promises["monte_carlo_errors"] * found["bias_se_pct"])
    checks = {
        "coverage": low <= found["covered"] <= high,
        "bias": abs(found["bias_pct"]) <= limit,
        "rmse_below_plain": found["rmse_pct"] < found["plain_rmse_pct"],
    }
    return {"coverage_range": [round(low / n, 4), round(high / n, 4)], "bias_limit_pct": round(limit, 2), **checks}


def totals(facts: dict[str, Any], settings: dict[str, Any], replicates: int) -> dict[str, Any]:
    """Totals by ratio to a lognormal size, gold of the current frame."""
    strata = Strata(facts)
    worlds, rng = np.random.default_rng(facts["population_seed"]), np.random.default_rng(facts["seed"])
    cells = strata.population(facts["rate"], settings["units"], worlds)
    design = plan(strata, facts["rate"], cells, settings)
    truth = [np.repeat([AI, NONE], row) for row in cells]
    sizes = [
        np.exp(worlds.normal(0, facts["log_sd"], len(t))) * np.where(t == AI, facts["ai_factor"], 1) for t in truth
    ]
    x, x2 = (np.array([(s**power).sum() for s in sizes]) for power in (1, 2))
    true_total = sum(float(s[t == AI].sum()) for s, t in zip(sizes, truth, strict=True))
    count = len(cells)
    rows = []
    for replicate in range(replicates):
        drawn = [rng.choice(len(t), n, replace=False, shuffle=False) for t, n in zip(truth, design.size, strict=True)]
        stratum = np.repeat(np.arange(count), design.size)
        y = np.concatenate([t[i] for t, i in zip(truth, drawn, strict=True)])
        size = np.concatenate([s[i] for s, i in zip(sizes, drawn, strict=True)])
        found: GoldSizes = tally_sizes(stratum, y, size, count, 2)
        gold = Gold(tally(stratum, y, count, 2), cells.sum(axis=1), strata.predicted, 0, design.expected_cases)
        counts = adjusted_counts(gold, gold.frame, known=gold.counts, draws=settings["draws"], seed=replicate)
        known = found.sums[:, :, None]
        result = adjusted_totals(
            counts, gold, found, x, x2, known=known, known_squares=found.squares[:, None], seed=replicate
        )
        total = result.estimate()
        rows.append((true_total, total.plain, total.adjusted, total.lower, total.upper))
    return measured(np.array(rows))


def growth(facts: dict[str, Any], settings: dict[str, Any], replicates: int) -> dict[str, Any]:
    """Growth between two years from one gold sample of the first; in percentage points, not relative.

    Fixed populations repeat the draw of gold only; redrawn ones also which units happen to be AI, which the interval
    allows for as well.
    """
    cases = (("misclassification", False), ("misclassification", True), ("calibration", False))
    return {f"{e}{'_redrawn' if r else ''}": growth_case(facts, settings, replicates, e, r) for e, r in cases}


def growth_case(
    facts: dict[str, Any], settings: dict[str, Any], replicates: int, estimator: Any, redrawn: bool
) -> dict[str, Any]:
    """Growth with one estimator for the second year."""
    strata = Strata(facts)
    worlds, rng = np.random.default_rng(facts["population_seed"]), np.random.default_rng(facts["seed"])
    then, now = (strata.population(facts[r], settings["units"], worlds) for r in ("gold_rate", "rate"))
    design = plan(strata, facts["gold_rate"], then, settings)
    rows = []
    for replicate in range(replicates):
        if redrawn and replicate:
            then, now = (strata.population(facts[r], settings["units"], worlds) for r in ("gold_rate", "rate"))
        counts = sample(then, design.size, rng)
        first = Gold(counts, then.sum(axis=1), strata.predicted, 0, design.expected_cases)
        second = Gold(counts, then.sum(axis=1), strata.predicted, 1, design.expected_cases)
        before = adjusted_counts(first, first.frame, known=counts, draws=settings["draws"], seed=replicate)
        after = adjusted_counts(second, now.sum(axis=1), estimator=estimator, draws=settings["draws"], seed=replicate)
        found = change(before, after)
        truth = now[:, AI].sum() / then[:, AI].sum() - 1
        rows.append((truth, found.growth, *found.growth_interval, found.plain_growth, apart(before, after)))
    truth, value, lower, upper, plain, separate = 100 * np.array(rows).T
    return {
        "true_growth_pct": round(float(truth.mean()), 2), "plain_growth_pct": round(float(plain.mean()), 2),
        "mean_growth_pct": round(float(value.mean()), 2),
        "rmse_points": round(float(np.sqrt(((value - truth) ** 2).mean())), 2),
        "coverage": round(float(((lower <= truth) & (truth <= upper)).mean()), 4),
        "mean_width_points": round(float((upper - lower).mean()), 2),
        "width_if_errors_were_separate_points": round(float(separate.mean()), 2),
    }  # fmt: skip


def apart(before: Adjusted, after: Adjusted) -> float:
    """Width of the interval of growth if the draws of the two years were paired at random."""
    old, new = before.sum_draws(), np.roll(after.sum_draws(), len(after.draws) // 2)
    low, high = np.quantile(new / old, [0.025, 0.975])
    return float(high - low)


def classes(facts: dict[str, Any], settings: dict[str, Any], replicates: int) -> dict[str, Any]:
    """Four leaves, two branches and none; one stratum per predicted class; figures of each level."""
    shares, law = np.array(facts["shares"]), np.array(facts["predicted"])
    worlds, rng = np.random.default_rng(facts["population_seed"]), np.random.default_rng(facts["seed"])
    numbers = np.rint(shares * settings["units"]).astype(int)
    population = np.stack([worlds.multinomial(m, p) for m, p in zip(numbers, law, strict=True)], axis=1)
    predicted = np.arange(len(shares))
    right = (law * shares[:, None]).T.diagonal() / (law * shares[:, None]).sum(axis=0)
    rate = np.append(right[:-1], 1 - right[-1])
    design = allocate_gold(population.sum(axis=1), rate, settings["gold"], predicted == len(shares) - 1)
    names, groups = facts["names"], facts["branches"]
    branches = list(dict.fromkeys(groups))
    figures: dict[str, list[int]] = {name: [k] for k, name in enumerate(names[:-1])}
    figures |= {b: [k for k, g in enumerate(groups) if g == b] for b in branches[:-1]}
    figures["AI"] = list(range(len(names) - 1))
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in figures}
    for replicate in range(replicates):
        counts = sample(population, design.size, rng)
        gold = Gold(counts, population.sum(axis=1), predicted, 0, design.expected_cases)
        result = adjusted_counts(gold, gold.frame, known=counts, draws=settings["draws"], seed=replicate)
        for name, parts in figures.items():
            found = result.estimate(parts)
            truth = population[:, parts].sum()
            rows[name].append((truth, found.plain, found.adjusted, found.lower, found.upper))
    return {name: measured(np.array(found)) for name, found in rows.items()}


def note(facts: dict[str, Any], settings: dict[str, Any], replicates: int) -> list[dict[str, Any]]:
    """The table of the design note: estimators by themselves, simple or equally divided gold sample."""
    rng = np.random.default_rng(facts["seed"])
    return [note_row(row, facts["tolerance"], settings, replicates, rng) for row in facts["rows"]]


def note_row(
    row: dict[str, Any],
    tolerance: dict[str, float],
    settings: dict[str, Any],
    replicates: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """One row of the table: what the note says and what comes out."""
    strata, n = Strata(row), settings["gold"]
    shifted = "gold_rate" in row
    old_rate = row.get("gold_rate", row["rate"])
    names = ("plain", "misclassification", "misclassification_weighted", "calibration_simple", "calibration_stratified")
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(replicates):
        then = strata.population(old_rate, settings["units"], rng)
        now = strata.population(row["rate"], settings["units"], rng) if shifted else then
        frame, units, truth = then.sum(axis=1), now.sum(axis=1), now[:, AI].sum()
        whole = rng.multivariate_hypergeometric(then.ravel(), n).reshape(then.shape)
        simple = Gold(whole, frame, strata.predicted, int(shifted))
        # The estimator of the literature takes gold as it is; ours weights it by the known sizes of the strata.
        textbook = Gold(whole, whole.sum(axis=1), strata.predicted, 1)
        halves = Gold(sample(then, np.array([n // 2, n // 2]), rng), frame, strata.predicted, int(shifted))
        used = (textbook, simple, simple, halves)
        for name, gold in zip(names[1:], used, strict=True):
            estimator: Any = name.partition("_")[0]
            result = adjusted_counts(gold, units, estimator=estimator, draws=2)
            found[name].append(100 * (result.estimate().adjusted / truth - 1))
        found["plain"].append(100 * (units[strata.predicted == AI].sum() / truth - 1))
    out: dict[str, Any] = {k: row[k] for k in ("rate", "gold_rate", "sensitivity", "specificity") if k in row}
    for name, errors in found.items():
        bias, rmse = float(np.mean(errors)), float(np.sqrt(np.mean(np.square(errors))))
        out[name] = {"bias_pct": round(bias, 1), "rmse_pct": round(rmse, 1)}
        if f"{name}_bias" in row:
            out[name]["note_bias"] = row[f"{name}_bias"]
            out[name]["agrees"] = abs(bias - row[f"{name}_bias"]) <= tolerance["bias_points"]
        if f"{name}_rmse" in row:
            out[name]["note_rmse"] = row[f"{name}_rmse"]
            out[name]["agrees"] = abs(rmse / row[f"{name}_rmse"] - 1) <= tolerance["rmse_relative"]
    if not shifted:
        formula = moments(row["rate"], row["sensitivity"], row["specificity"], n)
        out["formula_pct"] = {
            "plain_bias": round(100 * formula.plain_bias, 1),
            "misclassification_error": round(100 * formula.misclassification_error, 1),
            "calibration_error": round(100 * formula.calibration_error, 1),
        }
    return out


def simulate(replicates: int | None = None) -> dict[str, Any]:
    """All scenarios with the seeds of the file; ``replicates`` fewer than the file says is for trying the code out."""
    settings = yaml.safe_load(SCENARIOS.read_text(encoding="utf-8"))
    number = settings["replicates"] if replicates is None else replicates
    results: dict[str, Any] = {}
    for name, facts in settings["scenarios"].items():
        found = scenario(facts, settings, number)
        if found["promised"]:
            found["promises"] = judge(found, settings)
        results[name] = found
    kept = [all(v for v in r["promises"].values() if isinstance(v, bool)) for r in results.values() if r["promised"]]
    return {
        "promises_kept": all(kept),
        "settings": {k: v for k, v in settings.items() if not isinstance(v, dict)} | {"replicates": number},
        "seeds": {
            k: [v["population_seed"], v["seed"]]
            for k, v in (settings["scenarios"] | {n: settings[n] for n in ("totals", "growth", "classes")}).items()
        }
        | {"note": [settings["note"]["seed"]]},
        "scenarios": results,
        "totals": totals(settings["totals"], settings, number),
        "growth": growth(settings["growth"], settings, number),
        "classes": classes(settings["classes"], settings, number),
        "note": note(settings["note"], settings, number),
    }


def fingerprint() -> str:
    """Of the code and the scenarios the evidence is about: evidence of other code proves nothing."""
    digest = hashlib.sha256()
    for path in [*sorted((ROOT / "etl" / "methods" / "misclassification").glob("*.py")), Path(__file__), SCENARIOS]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def main() -> int:
    """Run the simulation and write the file; exit code 1 when a promise is not kept."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    started = time.perf_counter()
    evidence = {
        "commit": commit.stdout.strip(),
        "code_sha256": fingerprint(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        **simulate(),
    }
    evidence["seconds"] = math.ceil(time.perf_counter() - started)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(evidence, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(evidence, indent=1, ensure_ascii=False))
    return 0 if evidence["promises_kept"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
