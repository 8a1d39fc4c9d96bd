"""Simulation of sampling and estimation on the demo city; writes ``docs/quality/evidence/estimation.json``.

Population, design, seeds and promises stand in ``simulation_estimation.yaml``, committed before the first run.
``--try N`` runs N replicates with other seeds and prints, for development; it writes nothing.
"""

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from scipy.stats import binom

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
SCENARIO = Path(__file__).with_name("simulation_estimation.yaml")
PROVES = (
    "etl/methods/sampling/*.py", "etl/methods/weighting/*.py", "etl/methods/estimation/*.py", "etl/demo/accounts.py",
    "etl/demo/scenario.yaml", "etl/demo/units.py", "tests/benchmarks/prove_estimation.py",
    "tests/benchmarks/simulation_estimation.yaml",
)  # fmt: skip

from etl.demo.generate import true_accounts  # noqa: E402
from etl.demo.scenario import load_scenario  # noqa: E402
from etl.demo.units import AI, build_units  # noqa: E402
from etl.methods.estimation.below_threshold import below_by_sample, whole_total  # noqa: E402
from etl.methods.estimation.bootstrap import bootstrap_weights  # noqa: E402
from etl.methods.estimation.design import StratifiedSample, stratified_sample  # noqa: E402
from etl.methods.estimation.domain import domain_estimates  # noqa: E402
from etl.methods.estimation.estimate import Estimate  # noqa: E402
from etl.methods.estimation.expansion import expansion_total  # noqa: E402
from etl.methods.estimation.nonresponse import nonresponse_total  # noqa: E402
from etl.methods.estimation.ratio import ratio_total  # noqa: E402
from etl.methods.estimation.value_added import ai_value_added, net_taxes, value_added_by_income  # noqa: E402
from etl.methods.estimation.variance import calibrated_total  # noqa: E402
from etl.methods.sampling.allocation import neyman_allocation, take_all_boundary  # noqa: E402
from etl.methods.sampling.random_numbers import permanent_random_numbers  # noqa: E402
from etl.methods.sampling.selection import select  # noqa: E402
from etl.methods.weighting.calibration import calibrate  # noqa: E402
from etl.methods.weighting.nonresponse import nonresponse_adjustment  # noqa: E402
from etl.methods.weighting.winsor import optimal_l_value, winsorise  # noqa: E402
from tests.benchmarks.proof import write  # noqa: E402

TAKE_ALL = "all"
KINDS = ("t", "normal", "log", "skewness")


@dataclass(frozen=True)
class Population:
    """The fixed population: one entry a unit in every array; ``frame`` holds identifiers and classes."""

    frame: pl.DataFrame
    y: np.ndarray
    x: np.ndarray
    staff: np.ndarray
    ai: np.ndarray
    value_added: np.ndarray
    share: np.ndarray
    group: np.ndarray
    size: np.ndarray
    district: np.ndarray


@dataclass(frozen=True)
class Design:
    """Stratum of each unit, units and sample size of each stratum."""

    strata: np.ndarray
    units: dict[str, int]
    sizes: dict[str, int]


def population(settings: dict[str, Any]) -> Population:
    """Units alive in both years, sorted by identifier."""
    scenario = load_scenario(settings["city"])
    units = build_units(scenario, settings["city_seed"])
    accounts = true_accounts(units, scenario, settings["city_seed"]).filter("alive")
    then = accounts.filter(pl.col("ref_year") == settings["frame_year"]).select(
        "uscc", x="operating_revenue", staff="employed_persons"
    )
    now = accounts.filter(pl.col("ref_year") == settings["year"]).join(then, on="uscc").sort("uscc")
    role = pl.when(pl.col("role") == AI).then(pl.col("activity").str.head(1)).otherwise("role")
    now = now.with_columns(group=role.replace({"E": "D"}))
    column = {c: now[c].cast(pl.Float64).to_numpy() for c in
              ("operating_revenue", "x", "staff", "ai_revenue", "main_revenue", "payroll", "taxes_and_surcharges",
               "vat_payable", "depreciation", "total_profit")}  # fmt: skip
    taxes = net_taxes(column["taxes_and_surcharges"], column["vat_payable"], np.zeros(now.height))
    added = value_added_by_income(column["payroll"], taxes, column["depreciation"], column["total_profit"])
    return Population(
        now.select("uscc"), column["operating_revenue"], column["x"], column["staff"], column["ai_revenue"], added,
        column["ai_revenue"] / column["main_revenue"], now["group"].to_numpy(), now["size"].to_numpy(),
        now["operating_district"].to_numpy(),
    )  # fmt: skip


def plan(
    people: Population,
    settings: dict[str, Any],
    sample: int,
    threshold: float | None = None,
    minimum: int | None = None,
) -> Design:
    """Take-all stratum by size (or all above a threshold), group by size class below it, exact Neyman allocation."""
    facts = settings["design"]
    boundary = take_all_boundary(people.x, facts["take_all_cv"])[0] if threshold is None else threshold
    classes = np.searchsorted(np.array(facts["size_cuts_thousand_cny"], dtype=float), people.x, side="right")
    strata = np.array([f"{g}{c}" for g, c in zip(people.group, classes, strict=True)], dtype=object)
    strata[people.x >= boundary] = TAKE_ALL
    names, code = np.unique(strata.astype(str), return_inverse=True)
    units = np.bincount(code).astype(float)
    deviation = np.array([people.x[code == h].std(ddof=1) if units[h] > 1 else 0.0 for h in range(len(names))])
    total = sample if threshold is None else int(units[names == TAKE_ALL][0]) + sample
    found = neyman_allocation(units, deviation, total, minimum=minimum or facts["minimum"], take_all=names == TAKE_ALL)
    pairs = list(zip(names.tolist(), units.astype(int).tolist(), found.size.tolist(), strict=True))
    return Design(strata.astype(str), {n: u for n, u, _ in pairs}, {n: k for n, _, k in pairs})


Result = tuple[Estimate, tuple[float, float] | None]
"""An estimate and, for the bootstrap, its own limits."""


class Replicate:
    """One draw of the sample and everything that is estimated from it."""

    def __init__(
        self, people: Population, design: Design, rows: np.ndarray, settings: dict[str, Any], seed: int
    ) -> None:
        self.people, self.design, self.rows, self.settings = people, design, rows, settings
        self.rng = np.random.default_rng([settings["answer_seed"], seed])
        self.seed = seed
        self.sample = stratified_sample(design.strata[rows].tolist(), design.units)
        self.y, self.x = people.y[rows], people.x[rows]

    def expansion(self) -> Result:
        """Total revenue."""
        return expansion_total(self.y, self.sample), None

    def separate_ratio(self) -> Result:
        """By stratum, to the revenue of the frame year."""
        totals = {h: float(self.people.x[self.design.strata == h].sum()) for h in self.design.units}
        return ratio_total(self.y, self.x, self.sample, totals).estimate, None

    def combined_ratio(self) -> Result:
        """One ratio for the units of a group below the take-all boundary."""
        groups = np.where(self.design.strata == TAKE_ALL, TAKE_ALL, self.people.group)
        totals = {str(g): float(self.people.x[groups == g].sum()) for g in np.unique(groups.astype(str))}
        return ratio_total(self.y, self.x, self.sample, totals, groups[self.rows].tolist()).estimate, None

    def variables(self) -> np.ndarray:
        """Calibration variables of the whole population: units by group, revenue and staff of the frame year."""
        names = np.unique(self.people.group)
        return np.column_stack([self.people.group[:, None] == names, self.people.x, self.people.staff]).astype(float)

    def calibrated(self, distance: Any, bounds: tuple[float, float] | None = None) -> Result:
        """Revenue with weights calibrated to units by group, revenue and staff of the frame year."""
        every = self.variables()
        z, d = every[self.rows], self.sample.weight
        weight = calibrate(d, z, every.sum(axis=0), distance=distance, bounds=bounds).weight
        return calibrated_total(self.y, z, d, weight, self.sample), None

    def calibrated_linear(self) -> Result:
        """Regression estimator."""
        return self.calibrated("linear")

    def calibrated_raking(self) -> Result:
        """Multiplicative."""
        return self.calibrated("raking")

    def calibrated_logit(self) -> Result:
        """Bounded."""
        low, high = self.settings["estimators"]["calibrated_logit"]["bounds"]
        return self.calibrated("logit", (low, high))

    def nonresponse(self) -> Result:
        """Units answer by size; response groups are stratum and size class, then stratum, group, all."""
        chance = np.array([self.settings["design"]["response"][s] for s in self.people.size[self.rows]])
        answered = self.rng.random(len(self.rows)) < chance
        strata = self.design.strata[self.rows]
        outcome: Any = np.where(answered, "respondent", "nonrespondent").tolist()
        group = np.where(strata == TAKE_ALL, TAKE_ALL, self.people.group[self.rows])
        driver = [f"{h}/{s}" for h, s in zip(strata, self.people.size[self.rows], strict=True)]
        levels = [driver, strata.tolist(), group.tolist(), ["all"] * len(strata)]
        found = nonresponse_adjustment(self.sample.weight, outcome, levels, min_respondents=2)
        return nonresponse_total(self.y, found.weight, answered, found.group, self.sample, lonely="centre"), None

    def ai_revenue(self) -> Result:
        """AI revenue of all units."""
        return expansion_total(self.people.ai[self.rows], self.sample), None

    def domain(self, district: str, what: str) -> Result:
        """Revenue of one district, total or mean."""
        label = np.where(self.people.district[self.rows] == district, "in", "out").tolist()
        found = {d.domain: d for d in domain_estimates(self.y, label, self.sample)}
        if "in" not in found:
            return Estimate(0.0, 0.0, math.inf, 0, "domain_total"), None
        return getattr(found["in"], what), None

    def domain_total(self) -> Result:
        """The largest district."""
        return self.domain(self.settings["estimators"]["domain_total"]["district"], "total")

    def domain_mean(self) -> Result:
        """Mean revenue in the largest district."""
        return self.domain(self.settings["estimators"]["domain_mean"]["district"], "mean")

    def small_domain_total(self) -> Result:
        """A district with few units in the sample."""
        return self.domain(self.settings["estimators"]["small_domain_total"]["district"], "total")

    def ai_value_added(self) -> Result:
        """Value added times a share that is answered with an error."""
        share = self.people.share[self.rows]
        half = np.minimum(self.settings["design"]["share_error"], np.minimum(share, 1 - share))
        answered = np.clip(share + half * self.rng.uniform(-1, 1, len(share)), 0, 1)
        value_added = self.people.value_added[self.rows]
        return ai_value_added(value_added, answered, half / math.sqrt(3), self.sample).estimate, None

    def bootstrapped(self, statistic: Callable[[np.ndarray], Any], estimate: Estimate) -> Result:
        """The estimate with the variance of the rescaled bootstrap; limits by Student from that variance."""
        number = self.settings["design"]["bootstrap_replicates"]
        drawn = bootstrap_weights(self.sample.weight, self.sample, number, seed=self.seed)
        values = statistic(drawn)
        variance = float(((values - estimate.value) ** 2).mean())
        found = Estimate(estimate.value, variance, estimate.degrees, estimate.units, "bootstrap", estimate.skewness)
        return found, found.interval(self.settings["level"], "t")

    def bootstrap_expansion(self) -> Result:
        """Rao-Wu."""
        return self.bootstrapped(lambda w: self.y @ w, self.expansion()[0])

    def bootstrap_ratio(self) -> Result:
        """Rao-Wu of one ratio over all units."""
        total = float(self.people.x.sum())
        one = ratio_total(self.y, self.x, self.sample, {"all": total}, ["all"] * len(self.rows)).estimate
        return self.bootstrapped(lambda w: total * (self.y @ w) / (self.x @ w), one)

    def winsorised(self) -> Result:
        """Expansion with winsorised weights; L from the same sample's frame-year revenue."""
        d, strata = self.sample.weight, self.design.strata[self.rows].tolist()
        mean = (self.sample.sums(self.x) / self.sample.count)[self.sample.code]
        level = optimal_l_value(self.x, mean, d)
        one = np.ones(len(d))
        outlier = winsorise(self.y, d, one, level * one, strata).outlier_weight
        return expansion_total(self.y * outlier, self.sample), None


def whole(people: Population, design: Design, rows: np.ndarray) -> Result:
    """Units above the threshold are all asked, those below are sampled."""
    strata = design.strata[rows]
    above, below = strata == TAKE_ALL, strata != TAKE_ALL
    parts = []
    for inside in (above, below):
        kept = set(strata[inside].tolist())
        sample: StratifiedSample = stratified_sample(strata[inside].tolist(), {h: design.units[h] for h in kept})
        parts.append(expansion_total(people.y[rows][inside], sample))
    return whole_total(parts[0], below_by_sample(parts[1])).estimate, None


def truths(people: Population, settings: dict[str, Any]) -> dict[str, float]:
    """The true value of what each estimator estimates."""
    facts = settings["estimators"]
    inside = {n: people.district == facts[n]["district"] for n in facts if "district" in facts[n]}
    special = {
        "ai_revenue": people.ai.sum(), "ai_value_added": (people.value_added * people.share).sum(),
        "domain_total": people.y[inside["domain_total"]].sum(), "domain_mean": people.y[inside["domain_mean"]].mean(),
        "small_domain_total": people.y[inside["small_domain_total"]].sum(),
    }  # fmt: skip
    return {name: float(special.get(name, people.y.sum())) for name in facts}


def simulate(settings: dict[str, Any], replicates: int) -> dict[str, Any]:
    """Every estimator in every replicate; figures and verdicts."""
    people = population(settings)
    facts, usual = settings["estimators"], settings["design"]["sample"]
    designs = {
        "usual": plan(people, settings, usual),
        "few_units": plan(people, settings, facts["few_units"]["sample"], minimum=facts["few_units"]["minimum"]),
        "whole_total": plan(people, settings, usual // 3, facts["whole_total"]["threshold_thousand_cny"]),
    }
    true = truths(people, settings)
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in facts}
    identifiers = people.frame["uscc"].to_list()
    for number in range(replicates):
        numbers = permanent_random_numbers(identifiers, settings["seed"] + number)
        rows = {k: np.flatnonzero(select(numbers, d.strata.tolist(), d.sizes)) for k, d in designs.items()}
        usual_one = Replicate(people, designs["usual"], rows["usual"], settings, number)
        for name in facts:
            if name == "whole_total":
                result = whole(people, designs[name], rows[name])
            elif name == "few_units":
                result = Replicate(people, designs[name], rows[name], settings, number).expansion()
            else:
                result = getattr(usual_one, name)()
            found[name].append(_row(result, settings["level"]))
    out = {
        name: measured(np.array(rows_), true[name], facts[name], settings, replicates) for name, rows_ in found.items()
    }
    kept = [all(out[n]["checks"].values()) for n in facts if facts[n]["promised"]]
    sizes = {k: {"strata": len(d.units), "sample": sum(d.sizes.values()), "take_all": d.sizes[TAKE_ALL]}
             for k, d in designs.items()}  # fmt: skip
    return {"promises_kept": all(kept), "population": people.frame.height, "designs": sizes, "estimators": out}


def _row(result: Result, level: float) -> tuple[float, ...]:
    estimate, own = result
    limits: list[float] = []
    for kind in KINDS:
        usable = kind != "log" or estimate.value > 0
        limits += estimate.interval(level, kind) if usable else (math.nan, math.nan)  # type: ignore[arg-type]
    return (estimate.value, estimate.standard_error, *limits, *(own or (math.nan, math.nan)))


def measured(
    rows: np.ndarray, truth: float, facts: dict[str, Any], settings: dict[str, Any], replicates: int
) -> dict[str, Any]:
    """Bias, errors and coverage in percent of the truth, and the verdicts about the published interval."""
    error = 100 * (rows[:, 0] / truth - 1)
    limits = {k: rows[:, 2 + 2 * i : 4 + 2 * i] for i, k in enumerate((*KINDS, "bootstrap"))}
    covered = {
        k: int(((v[:, 0] <= truth) & (truth <= v[:, 1])).sum()) for k, v in limits.items() if np.isfinite(v).any()
    }
    promises, level = settings["promises"], settings["level"]
    tail = (1 - promises["coverage_range"]) / 2
    low, high = (int(binom.ppf(q, replicates, level)) for q in (tail, 1 - tail))
    monte_carlo = float(error.std(ddof=1)) / replicates**0.5
    limit = max(100 * promises["bias"], promises["monte_carlo_errors"] * monte_carlo)
    own = limits[facts["interval"]]
    checks = {"bias": bool(abs(error.mean()) <= limit), "coverage": bool(low <= covered[facts["interval"]] <= high)}
    return {
        "promised": facts["promised"], "interval": facts["interval"], "replicates": replicates,
        "bias_pct": round(float(error.mean()), 3), "bias_se_pct": round(monte_carlo, 3),
        "bias_limit_pct": round(limit, 3),
        "rmse_pct": round(float(np.sqrt((error**2).mean())), 3),
        "standard_error_pct": round(float(error.std(ddof=1)), 3),
        "mean_estimated_standard_error_pct": round(float(100 * rows[:, 1].mean() / truth), 3),
        "coverage": round(covered[facts["interval"]] / replicates, 4),
        "coverage_range": [round(low / replicates, 4), round(high / replicates, 4)],
        "truth_below_interval": round(float((truth < own[:, 0]).mean()), 4),
        "truth_above_interval": round(float((truth > own[:, 1]).mean()), 4),
        "coverage_by_interval": {k: round(c / replicates, 4) for k, c in covered.items()}, "checks": checks,
    }  # fmt: skip


def main() -> int:
    """Run and write the file; exit code 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--try", dest="trial", type=int, help="so many replicates with development seeds; writes nothing"
    )
    trial = parser.parse_args().trial
    settings = yaml.safe_load(SCENARIO.read_text(encoding="utf-8"))
    started = time.perf_counter()
    if trial:
        settings |= {"seed": 555_000_000, "answer_seed": 555}
        print(json.dumps(simulate(settings, trial), indent=1, ensure_ascii=False))
        print(f"{time.perf_counter() - started:.0f} s")
        return 0
    found = simulate(settings, settings["replicates"])
    seeds = {k: settings[k] for k in ("city", "city_seed", "seed", "answer_seed", "replicates", "level")}
    evidence = {"python": platform.python_version(), "cpus": os.cpu_count(), "settings": seeds, **found,
                "seconds": math.ceil(time.perf_counter() - started)}  # fmt: skip
    write("estimation", evidence, PROVES)
    print(json.dumps(evidence, indent=1, ensure_ascii=False))
    return 0 if found["promises_kept"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
