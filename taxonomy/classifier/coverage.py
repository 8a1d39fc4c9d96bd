"""What the machine did with the whole frame: coverage by route, automation against accuracy, plain counts, evidence that adds up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.intervals import Measure, known, unknown
from taxonomy.classifier.judged import NONE, NOT_CODED, SCHEME, Judged, shown_class
from taxonomy.classifier.reliability import ROUTES
from taxonomy.scheme import load_scheme

GRID: Final = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995)
TARGETS: Final = (0.80, 0.85, 0.90, 0.95, 0.97, 0.99)
EVIDENCE_ROWS: Final = 20_000
TOLERANCE: Final = 1e-6
CANDIDATE: Final = pl.List(pl.Struct({"code": pl.String, "p": pl.Float64}))
CONTRIBUTION: Final = pl.Struct(
    {"kind": pl.String, "field": pl.String, "text": pl.String, "start": pl.Int64, "end": pl.Int64, "value": pl.Float64}
)
EVIDENCE: Final = pl.Struct(
    {"class": pl.String, "bias": pl.Float64, "score": pl.Float64, "contributions": pl.List(CONTRIBUTION)}
)


def best_confidence(decisions: pl.DataFrame) -> pl.Series:
    """Probability of the best answer of every decision: of the class shown or, where none was, of candidates and *none*."""
    frame = decisions.select("probability", "p_ai", "candidates", shown_class()).with_row_index("row")
    # Candidates are read only where nothing was shown: text of every row would cost minutes on a whole register.
    left = frame.filter(pl.col("shown").is_null() | pl.col("probability").is_null())
    forced = left.select("row", _forced(left).alias("forced"))
    joined = frame.join(forced, on="row", how="left", maintain_order="left")
    return joined.select(pl.coalesce("forced", "probability").alias("confidence")).to_series()


def _forced(left: pl.DataFrame) -> pl.Series:
    """Probability of the best answer among candidates and *none*."""
    related = [c.code for c in load_scheme(SCHEME).codes if c.segment == "related"]
    code, p = pl.element().struct.field("code"), pl.element().struct.field("p")
    frame = left.select("p_ai", pl.col("candidates").fill_null("[]").str.json_decode(CANDIDATE).alias("c"))
    frame = frame.with_columns(
        best=pl.col("c").list.eval(p).list.max().fill_null(0.0),
        related=pl.col("c").list.eval(pl.when(code.is_in(related)).then(p).otherwise(0.0)).list.sum().fill_null(0.0),
        says_none=pl.col("c").list.eval(code == NONE).list.any().fill_null(False),
    )
    rest = (1.0 - pl.col("p_ai").fill_null(0.0) - pl.col("related")).clip(0.0, 1.0)
    return frame.select(pl.max_horizontal("best", pl.when("says_none").then(0.0).otherwise(rest))).to_series()


def by_route(decisions: pl.DataFrame) -> list[dict[str, Any]]:
    """Units and their share by route, all routes named; mean probability of the class shown."""
    found = {
        route: (count, mean)
        for route, count, mean in decisions.group_by("route").agg(pl.len(), pl.col("probability").mean()).iter_rows()
    }
    total = max(decisions.height, 1)
    names = [*ROUTES, *sorted(set(found) - set(ROUTES))]
    return [
        {
            "route": route, "n": int(found.get(route, (0, None))[0]),
            "share": known(found.get(route, (0, None))[0] / total), "mean_probability": known(found.get(route, (0, None))[1]),
        }
        for route in names
    ]  # fmt: skip


@dataclass(frozen=True)
class CurvePoint:
    """With everything coded whose confidence is at least ``threshold``: share of the frame coded, accuracy of it on gold."""

    threshold: float
    automation: float
    accuracy: Measure

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "threshold": self.threshold,
            "automation": known(self.automation),
            "accuracy": self.accuracy.as_dict(),
        }


def automation_curve(
    decisions: pl.DataFrame, judged: Judged | None, grid: Sequence[float] = GRID
) -> tuple[CurvePoint, ...]:
    """Automation against accuracy, by threshold.

    What is uncodable is never automated, at any threshold: the novelty gate has no price. Accuracy counts 无法判定 as
    wrong, as the error promise does.
    """
    confidence = best_confidence(decisions).to_numpy()
    codable = (decisions["route"] != "uncodable").to_numpy()
    total = max(decisions.height, 1)
    points = []
    for threshold in grid:
        automation = float((codable & (confidence >= threshold)).sum() / total)
        accuracy = unknown("no_gold")
        if judged is not None:
            kept = np.array([r != "uncodable" for r in judged.route], dtype=bool) & (judged.confidence >= threshold)
            accuracy = judged.design.share(judged.right, kept)
        points.append(CurvePoint(threshold, automation, accuracy))
    return tuple(points)


def automation_at(curve: Sequence[CurvePoint], targets: Sequence[float] = TARGETS) -> list[dict[str, Any]]:
    """The most that can be automated at a wanted accuracy: by its estimate, and by its lower limit (what gold supports)."""
    rows = []
    for target in targets:
        row: dict[str, Any] = {"accuracy": target}
        for name in ("value", "low"):
            fit = [
                p
                for p in curve
                if getattr(p.accuracy, name) is not None and getattr(p.accuracy, name) >= target and p.automation > 0
            ]
            best = max(fit, key=lambda p: (p.automation, -p.threshold), default=None)
            key = "estimate" if name == "value" else "supported"
            row[key] = None if best is None else {"automation": known(best.automation), "threshold": best.threshold}
        rows.append(row)
    return rows


def plain_counts(decisions: pl.DataFrame) -> dict[str, Any]:
    """Counts as coded, without correction for misclassification: a quality figure, never the published count."""
    frame = decisions.with_columns(shown_class())
    core = (pl.col("segment") == "core").fill_null(False)
    branch = pl.col("shown").str.slice(0, 1)
    branches = frame.filter(core).group_by(branch.alias("b")).len().sort("b")
    counted = frame.select(
        core.sum().alias("core"),
        (pl.col("segment") == "related").sum().alias("related"),
        (pl.col("shown") == NONE).sum().alias("none"),
        pl.col("route").is_in(NOT_CODED).sum().alias("not_coded"),
        pl.col("p_ai").fill_null(0.0).sum().alias("expected_core"),
    ).row(0, named=True)
    return {
        "units": decisions.height,
        **{k: int(counted[k]) for k in ("core", "related", "none", "not_coded")},
        "expected_core": known(float(counted["expected_core"])),
        "core_by_branch": {str(b): int(n) for b, n in branches.iter_rows()},
    }


def decoded_evidence(decisions: pl.DataFrame) -> pl.DataFrame:
    """``unit_id`` and the evidence as columns ``class, bias, score, contributions``; rows without evidence are left out."""
    rows = decisions.select("unit_id", "evidence").filter(pl.col("evidence").is_not_null() & (pl.col("evidence") != ""))
    return rows.with_columns(pl.col("evidence").str.json_decode(EVIDENCE)).unnest("evidence")


def evidence_quality(decisions: pl.DataFrame, rows: int = EVIDENCE_ROWS) -> dict[str, Any]:
    """Whether evidence adds up, and what it rests on, over at most ``rows`` decisions taken evenly from the frame.

    ``adds_up``: share with ``bias + Σ contributions = score`` to a millionth; ``explained``: coded units with at least one
    contribution; ``by_kind``: share of each kind in the sum of absolute contributions.
    """
    if "evidence" not in decisions.columns or decisions["evidence"].null_count() == decisions.height:
        none = unknown("no_evidence").as_dict()
        return {"checked": 0, "adds_up": none, "explained": none, "contributions": none, "by_kind": {}}
    step = max(1, -(-decisions.height // rows))
    taken = decisions.sort("unit_id").gather_every(step)
    parts = decoded_evidence(taken).with_columns(
        total=pl.col("contributions").list.eval(pl.element().struct.field("value")).list.sum().fill_null(0.0),
        count=pl.col("contributions").list.len().fill_null(0),
    )
    coded = parts.join(taken.filter(shown_class().is_not_null()).select("unit_id"), on="unit_id", how="semi")
    adds = ((parts["bias"] + parts["total"] - parts["score"]).abs() <= TOLERANCE).fill_null(False)
    kinds = (
        parts.select("contributions")
        .explode("contributions")
        .drop_nulls()
        .unnest("contributions")
        .group_by("kind")
        .agg(pl.col("value").abs().sum())
        .sort("kind")
    )
    total = float(kinds["value"].sum()) or 1.0
    return {
        "checked": parts.height,
        "adds_up": _plain(adds.to_numpy()),
        "explained": _plain((coded["count"] > 0).to_numpy()),
        "contributions": _plain(parts["count"].to_numpy()),
        "by_kind": {str(k): known(v / total) for k, v in kinds.iter_rows()},
    }


def _plain(values: npt.NDArray[Any]) -> dict[str, Any]:
    """Mean of what was counted, not estimated: no interval."""
    n = len(values)
    return (Measure(float(values.mean()), n=n, effective_n=float(n)) if n else unknown("empty")).as_dict()
