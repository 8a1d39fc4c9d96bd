"""``make bench``: speed as ratios in one run, the peer beside it."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def seconds(run: Callable[[], object], repeat: int = 3) -> float:
    """Best of some runs."""
    best = float("inf")
    for _ in range(repeat):
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


def main() -> int:
    """The linear stage: our kernel against scikit-learn's hashing and scipy's product, equal scores."""
    from taxonomy.classifier.linear import reference_scores
    from taxonomy.classifier.store import ensure_bundle
    from taxonomy.scheme import load_scheme
    from warehouse.home import home

    model = ensure_bundle(home() / "bundles").model
    phrases = [c.name_zh for c in load_scheme("gbt4754_2017").codes] * 20
    series = pl.Series(phrases)
    model.scores(series)
    ours = seconds(lambda: model.scores(series))
    peer = seconds(lambda: reference_scores(model, phrases))
    print(
        f"linear stage, {len(phrases):,} phrases: kernel {ours:.2f} s, scikit-learn {peer:.2f} s, ratio {peer / ours:.1f}x"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
