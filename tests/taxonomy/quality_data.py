"""Decisions with a known truth, made by chance from a seed: what a report on them must say can be worked out apart from it."""

import json

import numpy as np
import polars as pl

LEAVES = ("A11", "A12", "A21", "B11", "C11", "D11")
ANSWERS = (*LEAVES, "none")


def decisions_and_truth(n: int = 2_000, seed: int = 5, share_core: float = 0.2) -> tuple[pl.DataFrame, list[str]]:
    """``n`` decisions whose best answer is right with its own probability, and their true codes."""
    rng = np.random.default_rng(seed)
    each = [share_core / len(LEAVES)] * len(LEAVES)
    rows, truth = [], []
    for number in range(n):
        true = str(rng.choice(ANSWERS, p=[*each, 1.0 - share_core]))
        p = float(rng.choice([0.55, 0.75, 0.9, 0.97]))
        others = [a for a in ANSWERS if a != true]
        said = true if rng.random() < p else str(rng.choice(others))
        rows.append(decision(f"u{number:05d}", said, p, "model" if p >= 0.8 else "review"))
        truth.append(true)
    return pl.DataFrame(rows, infer_schema_length=None), truth


def decision(unit: str, said: str, p: float, route: str = "model", bundle: str = "b1") -> dict[str, object]:
    """One row of decisions whose best answer is ``said`` with probability ``p``; a second candidate gets half the rest."""
    second = next(leaf for leaf in LEAVES if leaf != said)
    rest = round((1.0 - p) / 2.0, 6)
    first = [] if said == "none" else [{"code": said, "p": p}]
    core = round(1.0 - p if said == "none" else p + rest, 6)
    coded = route not in ("review", "uncodable")
    evidence = {
        "class": said,
        "bias": -1.0,
        "score": 1.5,
        "contributions": [
            {"kind": "lexicon", "field": "scope", "text": "机器人", "start": 0, "end": 3, "value": 2.0},
            {"kind": "code", "field": "gbt_code", "text": "", "start": 0, "end": 0, "value": 0.5},
        ],
    }
    return {
        "unit_id": unit, "name": f"单位{unit}", "ai_class": said if coded and said != "none" else None,
        "segment": (("none" if said == "none" else "core") if coded else None), "p_ai": core, "probability": p,
        "route": route, "candidates": json.dumps([*first, {"code": second, "p": rest}]),
        "evidence": json.dumps(evidence, ensure_ascii=False), "bundle": bundle, "warning": None,
    }  # fmt: skip


def gold_of(units: list[str], truth: list[str], inclusion: list[float] | float = 0.5) -> pl.DataFrame:
    """Gold with these truths; strata by inclusion probability."""
    p = inclusion if isinstance(inclusion, list) else [inclusion] * len(units)
    return pl.DataFrame(
        {
            "unit_id": units,
            "codes": [[t] for t in truth],
            "inclusion_probability": p,
            "stratum": [f"{v:.6f}" for v in p],
        }
    )
