"""What a gold unit is used for: to calibrate a bundle, or to judge it; never both, and never to train it.

Calibration looks at gold answers, so the same answers could not bound the error of the bundle they tuned. Each unit therefore
belongs to one part for good, by a hash of its id that knows nothing of its answer: a declared share may calibrate, the
rest judges. A random part of a simple random sample of a stratum is one itself, so the judging part supports the exact
bound of :mod:`taxonomy.classifier.promise` as the whole sample would, with fewer units. The calibrating part is not lost to the
promise: its units form strata of their own, coded in full, whose errors are counted and not inferred.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.calibrate import CORE_ONLY, NOT_CORE, Calibration, fit
from taxonomy.classifier.gold import NONE, permanent_random, unit_keys
from taxonomy.classifier.judged import is_core
from taxonomy.classifier.scoring import score

#: A stream of its own: parts must not follow the random numbers by which samples are drawn.
SPLIT_SEED: Final = 7_919_000_003


def calibrating(unit_ids: pl.Series, share: float) -> pl.Series:
    """Which units belong to the part that may calibrate (bool); the rest judges. The same for every sample and bundle."""
    return pl.Series("calibrating", permanent_random(unit_keys(unit_ids), SPLIT_SEED) < share, dtype=pl.Boolean)


def calibration_share(bundle: Bundle) -> float:
    """Share of gold that was set apart to calibrate a bundle; 0 where none was used."""
    used = bundle.training.get("calibration")
    return float(used["share"]) if used else 0.0


def judging(gold: pl.DataFrame, share: float) -> pl.DataFrame:
    """The part of a gold sample that judges a bundle calibrated on ``share`` of gold, its inclusion probabilities lowered alike."""
    if share == 0.0:
        return gold
    rest = gold.filter(~calibrating(gold["unit_id"], share))
    return rest.with_columns(pl.col("inclusion_probability") * (1.0 - share))


def truth_position(codes: Collection[str] | None, leaves: Sequence[str]) -> int | None:
    """What calibration can learn of a final label: position of its leaf, ``NOT_CORE``, ``CORE_ONLY`` (core, but coarser
    than a leaf or a set of leaves), or None where it is open, 无法判定, or both core and not."""
    if not codes:
        return None
    core = {code != NONE and is_core(code) for code in codes}
    if core == {False}:
        return NOT_CORE
    if core != {True}:
        return None
    (only, *more) = sorted(codes)
    return leaves.index(only) if not more and only in leaves else CORE_ONLY


def _weights(gold: pl.DataFrame) -> npt.NDArray[np.float64]:
    return np.asarray(1.0 / gold["inclusion_probability"].to_numpy(), dtype=np.float64)


def calibrated(bundle: Bundle, gold: pl.DataFrame, sample: str, share: float) -> Bundle:
    """The bundle with temperatures fitted on the calibrating part of a gold sample, under a hash of its own.

    Parameters
    ----------
    bundle
        What was trained, without any of these units.
    gold
        ``unit_id, inclusion_probability, codes`` and the columns :func:`taxonomy.classifier.scoring.score` reads.
    sample, share
        Name of the sample and the share that may calibrate; both are kept with the bundle.

    Returns
    -------
    Bundle
        The bundle as it was, where the part is too small to calibrate (:data:`taxonomy.classifier.calibrate.MIN_GOLD`).
    """
    part = gold.filter(calibrating(gold["unit_id"], share)).sort("unit_id")
    where = [truth_position(codes, bundle.leaves) for codes in part["codes"].to_list()]
    known = part.filter(pl.Series([w is not None for w in where], dtype=pl.Boolean))
    if known.height == 0:
        return bundle
    if "filing_text" not in known.columns:
        known = known.with_columns(filing_text=pl.lit(None, pl.String))
    leaf = np.array([w for w in where if w is not None], dtype=np.int64)
    found = fit(score(known, bundle).score, leaf, _weights(known))
    return bundle if found == Calibration() else _with(bundle, found, {"sample": sample, "share": share})


def _with(bundle: Bundle, found: Calibration, origin: dict[str, str | float]) -> Bundle:
    facts = {**origin, "units": found.gold}
    content = json.dumps([bundle.hash, found.as_dict(), facts], sort_keys=True)
    return replace(
        bundle,
        hash=hashlib.sha256(content.encode()).hexdigest()[:12],
        calibration=found,
        training={**bundle.training, "calibration": facts},
    )
