"""Change list (变更清单): units whose class or route is not what it was, and why. Restricted: unit level.

What moved is told from evidence: contributions are summed by kind on both sides and the kind with the largest difference is
named, with its largest single contribution. Evidence speaks for the best class of its own side; where the class changed,
the difference is between what spoke for the old class then and for the new one now.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from taxonomy.classifier.coverage import decoded_evidence
from taxonomy.classifier.judged import NONE, shown_class

BIAS: Final = "bias"
LEFT: Final = "-"
REASONS: Final = ("text", "declared_code", "input", "bundle", "lock", "unexplained")
SCHEMA: Final[dict[str, Any]] = {
    "unit_id": pl.String, "class_before": pl.String, "class_now": pl.String, "route_before": pl.String,
    "route_now": pl.String, "reasons": pl.List(pl.String), "score_before": pl.Float64, "score_now": pl.Float64,
    "moved_kind": pl.String, "moved_by": pl.Float64, "moved_text": pl.String, "bundle_before": pl.String,
    "bundle_now": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class Changes:
    """``units``: one row a changed unit, columns of :data:`SCHEMA`, sorted by unit; ``compared`` units stood on both sides."""

    units: pl.DataFrame
    compared: int
    added: int
    gone: int

    def as_dict(self, limit: int = 50) -> dict[str, Any]:
        """JSON-ready summary without any unit: by reason, by kind that moved, the commonest moves of class."""
        frame = self.units
        moves = (
            frame.filter(pl.col("class_before") != pl.col("class_now"))
            .group_by("class_before", "class_now")
            .len()
            .sort(["len", "class_before", "class_now"], descending=[True, False, False])
            .head(limit)
        )
        reasons = frame.select(pl.col("reasons").explode()).drop_nulls()["reasons"].value_counts()
        kinds = frame["moved_kind"].drop_nulls().value_counts()
        return {
            "compared": self.compared, "added": self.added, "gone": self.gone, "changed": frame.height,
            "class_changed": int((frame["class_before"] != frame["class_now"]).sum()),
            "by_reason": dict(sorted(reasons.iter_rows())),
            "by_kind": dict(sorted(kinds.iter_rows())),
            "moves": [{"from": a, "to": b, "n": n} for a, b, n in moves.iter_rows()],
        }  # fmt: skip


def joined(parts: Iterable[Changes]) -> Changes:
    """Changes of several parts of a register as one."""
    found = list(parts)
    frames = [p.units for p in found] or [pl.DataFrame(schema=SCHEMA)]
    return Changes(
        pl.concat(frames).sort("unit_id"),
        sum(p.compared for p in found), sum(p.added for p in found), sum(p.gone for p in found),
    )  # fmt: skip


def _side(decisions: pl.DataFrame, inputs: pl.DataFrame | None, side: str) -> pl.DataFrame:
    frame = decisions.select("unit_id", shown_class().fill_null(LEFT).alias("class"), "route", "bundle")
    known = [c for c in ("text_hash", "gbt_code", "input_hash") if inputs is not None and c in inputs.columns]
    if inputs is not None and known:
        frame = frame.join(inputs.select("unit_id", *known), on="unit_id", how="left", validate="1:1")
    return frame.rename({c: f"{c}_{side}" for c in frame.columns if c != "unit_id"})


def _differs(frame: pl.DataFrame, column: str) -> pl.Expr:
    if f"{column}_before" not in frame.columns or f"{column}_now" not in frame.columns:
        return pl.lit(False)
    return pl.col(f"{column}_before").ne_missing(pl.col(f"{column}_now"))


def _reasons(frame: pl.DataFrame) -> pl.Expr:
    """Reasons of each row as a list; ``input`` where only the hash of the whole input is known to differ."""
    text, code = _differs(frame, "text_hash"), _differs(frame, "gbt_code")
    locked = (pl.col("route_before") == "lock") | (pl.col("route_now") == "lock")
    found = {
        "text": text, "declared_code": code, "input": _differs(frame, "input_hash") & ~text & ~code,
        "bundle": _differs(frame, "bundle"), "lock": locked & (pl.col("route_before") != pl.col("route_now")),
    }  # fmt: skip
    named = pl.concat_list([pl.when(test).then(pl.lit(name)) for name, test in found.items()]).list.drop_nulls()
    # Never empty: same texts, same bundle, another decision would break replay, and must be seen.
    return pl.when(named.list.len() > 0).then(named).otherwise(pl.lit(["unexplained"]))


def _contributions(decisions: pl.DataFrame, side: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Score of each unit, and its contributions (the bias among them): ``unit_id, kind, field, text, value``."""
    if "evidence" not in decisions.columns:
        decisions = decisions.with_columns(evidence=pl.lit(None, pl.String))
    parts = decoded_evidence(decisions)
    rows = parts.select("unit_id", "contributions").explode("contributions").drop_nulls().unnest("contributions")
    bias = parts.select("unit_id", kind=pl.lit(BIAS), field=pl.lit(""), text=pl.lit(""), value=pl.col("bias"))
    both = pl.concat([rows.select("unit_id", "kind", "field", "text", "value"), bias])
    return parts.select("unit_id", pl.col("score").alias(f"score_{side}")), both


def _largest(before: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
    """The kind that moved most in each unit, by how much, and its largest single move: ``unit_id, moved_…``."""
    both = pl.concat([before.with_columns(value=-pl.col("value")), now])
    kinds = both.group_by("unit_id", "kind").agg(pl.col("value").sum().round(6).alias("moved_by"))
    kind = (
        kinds.filter(pl.col("moved_by") != 0.0)
        .sort([pl.col("unit_id"), pl.col("moved_by").abs(), pl.col("kind")], descending=[False, True, False])
        .unique("unit_id", keep="first", maintain_order=True)
    )
    single = both.group_by("unit_id", "kind", "text").agg(pl.col("value").sum().round(6).alias("by"))
    text = (
        single.join(kind.select("unit_id", "kind"), on=["unit_id", "kind"], how="semi")
        .sort([pl.col("unit_id"), pl.col("by").abs(), pl.col("text")], descending=[False, True, False])
        .unique("unit_id", keep="first", maintain_order=True)
    )
    return kind.join(text.select("unit_id", pl.col("text").alias("moved_text")), on="unit_id", how="left").rename(
        {"kind": "moved_kind"}
    )


def change_list(
    before: pl.DataFrame,
    now: pl.DataFrame,
    *,
    inputs_before: pl.DataFrame | None = None,
    inputs_now: pl.DataFrame | None = None,
) -> Changes:
    """Compare two runs.

    Parameters
    ----------
    before, now
        Decisions (columns of ``batch.OUTPUT``; ``evidence`` may be absent, then nothing is said of what moved).
    inputs_before, inputs_now
        ``unit_id`` and any of ``text_hash``, ``gbt_code``, ``input_hash``: what tells a changed text or declared code from a
        changed bundle. Left out, only bundle and lock are told.

    Returns
    -------
    Changes
        Units on both sides whose class or route differs. ``none`` is a class; ``-`` stands for left to people.
    """
    one, two = _side(before, inputs_before, "before"), _side(now, inputs_now, "now")
    both = one.join(two, on="unit_id", how="inner", validate="1:1")
    changed = both.filter(
        (pl.col("class_before") != pl.col("class_now")) | (pl.col("route_before") != pl.col("route_now"))
    )
    changed = changed.with_columns(reasons=_reasons(changed))
    wanted = changed.select("unit_id")
    score_before, parts_before = _contributions(before.join(wanted, on="unit_id", how="semi"), "before")
    score_now, parts_now = _contributions(now.join(wanted, on="unit_id", how="semi"), "now")
    told = parts_before.select("unit_id").unique().join(parts_now.select("unit_id").unique(), on="unit_id")
    moved = _largest(*(p.join(told, on="unit_id", how="semi") for p in (parts_before, parts_now)))
    frame = changed
    for part in (score_before, score_now, moved):
        frame = frame.join(part, on="unit_id", how="left", validate="1:1")
    return Changes(
        frame.select(pl.col(c).cast(t) for c, t in SCHEMA.items()).sort("unit_id"),
        both.height,
        two.height - both.height,
        one.height - both.height,
    )


def describe(row: Mapping[str, Any], lang: str = "zh") -> str:
    """One sentence on a changed unit."""
    words = {
        "zh": {LEFT: "待复核", NONE: "非人工智能", "text": "文字变更", "declared_code": "申报代码变更", "input": "输入变更",
               "bundle": "编码包更换", "lock": "人工裁定", "unexplained": "原因不明，应重放核对"},
        "en": {LEFT: "left to people", NONE: "not AI", "text": "text changed", "declared_code": "declared code changed",
               "input": "input changed", "bundle": "bundle changed", "lock": "decided by a person",
               "unexplained": "unexplained: replay it"},
    }[lang]  # fmt: skip
    why = ("、" if lang == "zh" else ", ").join(words[r] for r in row["reasons"])
    step = " → ".join(words.get(row[c], row[c]) for c in ("class_before", "class_now"))
    if row["moved_kind"] is None:
        return f"{step}：{why}" if lang == "zh" else f"{step}: {why}"
    text = f"“{row['moved_text']}”" if row["moved_text"] else ""
    tail = f"{row['moved_kind']}{text} {row['moved_by']:+.2f}"
    return f"{step}：{why}；变动最大 {tail}" if lang == "zh" else f"{step}: {why}; moved most: {tail}"
