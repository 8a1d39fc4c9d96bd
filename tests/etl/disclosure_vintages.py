"""Two vintages of a 375-cell table: 40 of 1,300 returns revised, 6 out, 5 in; and how a test runs the two commands."""

from pathlib import Path

import numpy as np
import polars as pl

from aistat.cli import main

SPEC = """\
mode: microdata
period: "2025"
dimensions:
  industry: {levels: [ind1, ind2]}
  place: {levels: [place]}
  size: {levels: [size]}
value: turnover
contributor: holding
rules: {min_contributors: 3, p_percent: 10}
"""


def returns(seed: int, count: int = 1300) -> pl.DataFrame:
    """Returns of one period: 10 industries in 4 groups, 4 places, 4 sizes (15 x 5 x 5 cells), a sixth in holdings."""
    random = np.random.default_rng(seed)
    industry = random.choice(10, count, p=np.array([18, 16, 14, 12, 11, 9, 8, 6, 4, 2]) / 100)
    size = random.choice(4, count, p=[0.5, 0.28, 0.15, 0.07])
    held = random.random(count) < 1 / 6
    holding = random.integers(0, 40, count)
    return pl.DataFrame(
        {
            "ind1": [f"G{i % 4}" for i in industry],
            "ind2": [f"I{i}" for i in industry],
            "place": [f"P{p}" for p in random.choice(4, count, p=[0.4, 0.3, 0.2, 0.1])],
            "size": [f"S{s}" for s in size],
            "turnover": np.rint(np.exp(random.normal(4 + 1.4 * size, 1.0))).astype(np.int64) + 1,
            "holding": [
                f"H{h}" if inside else f"U{i}" for i, (h, inside) in enumerate(zip(holding, held, strict=True))
            ],
        }
    )


def revised(first: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The next vintage."""
    random = np.random.default_rng(seed)
    order = random.permutation(first.height)
    change, out = order[:40], set(order[40:46].tolist())
    turnover = first["turnover"].to_numpy().copy()
    turnover[change] = np.rint(turnover[change] * np.exp(random.normal(0, 0.3, 40))).astype(np.int64) + 1
    kept = first.with_columns(turnover=pl.Series(turnover)).filter([i not in out for i in range(first.height)])
    entries = returns(seed + 1, 5).with_columns(holding=pl.Series([f"N{i}" for i in range(5)]))
    return pl.concat([kept, entries])


def files(folder: Path, frame: pl.DataFrame, name: str, spec: str = SPEC) -> list[str]:
    """Write input and specification; the arguments common to both commands."""
    frame.write_csv(folder / f"{name}.csv")
    (folder / "spec.yaml").write_text(spec, encoding="utf-8")
    return [str(folder / f"{name}.csv"), "--spec", str(folder / "spec.yaml")]


def protect(folder: Path, name: str, frame: pl.DataFrame, *more: str, spec: str = SPEC) -> int:
    """``aistat protect`` to ``<name>.out.csv``."""
    return main(["protect", *files(folder, frame, name, spec), "-o", str(folder / f"{name}.out.csv"), *more])


def audit(folder: Path, name: str, *more: str, pattern: str | None = None) -> int:
    """``aistat audit`` of ``<pattern>.out.csv`` against ``<name>.csv``."""
    out = folder / f"{pattern or name}.out.csv"
    return main(["audit", str(out), "--input", str(folder / f"{name}.csv"), "--spec", str(folder / "spec.yaml"), *more])
