"""What readers may know of editing: rates, hits of rules and effects by source and period; no unit, no small count."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl
import yaml

from etl.editing_plan import EditingPlan
from etl.edits import load_edits
from etl.methods.disclosure import RuleSet, is_safe

SCHEMA: Final = {
    "metric": pl.String, "source_id": pl.String, "period": pl.String, "scope": pl.String, "value": pl.Float64,
    "note_zh": pl.String, "note_en": pl.String, "label_zh": pl.String, "label_en": pl.String, "source_zh": pl.String,
    "source_en": pl.String,
}  # fmt: skip
FEW: Final = ("单位过少，不公布", "too few units, withheld")
WORDS: Final = Path(__file__).parent / "editing_words.yaml"
Row = tuple[str, str, str, float | None, str, str]


@dataclass(frozen=True)
class SourceEdited:
    """One source: rows received and edited (same order), changes, follow-up list, ``uscc, group_uscc`` of its units."""

    plan: EditingPlan
    received: pl.DataFrame
    edited: pl.DataFrame
    changes: pl.DataFrame
    followup: pl.DataFrame
    groups: pl.DataFrame


@cache
def words() -> dict[str, tuple[str, str]]:
    """Names of rules and reasons, Chinese and English."""
    found = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    return {key: (zh, en) for part in found.values() for key, (zh, en) in part.items()}


def _counted(metric: str, period: str, counts: dict[str, int], least: int) -> Iterator[Row]:
    """Counts of units; one too small is withheld, and the next smallest with it, lest it follow from a total."""
    small = {scope for scope, n in counts.items() if 0 < n < least}
    if len(small) == 1 and len(counts) > 1:
        small.add(min((s for s in counts if s not in small), key=lambda s: (counts[s], s)))
    for scope, n in sorted(counts.items()):
        yield (metric, period, scope, None, *FEW) if scope in small else (metric, period, scope, float(n), "", "")


def _effect(now: pl.DataFrame, name: str, limits: RuleSet) -> tuple[float | None, str, str]:
    """Total after over total before, minus 1; withheld where few groups, or one of them, make the difference.

    ``now``: one period, with ``before`` and ``after`` columns of the item and ``contributor``.
    """
    moved = now.select("contributor", d=(pl.col(f"{name}_after").fill_null(0) - pl.col(f"{name}_before").fill_null(0)))
    moved = moved.filter(pl.col("d") != 0).group_by("contributor").agg(pl.col("d").sum().abs())
    sizes = [round(100 * x) for x in moved["d"].to_list()]
    first, last = (float(now[f"{name}_{k}"].sum() or 0.0) for k in ("before", "after"))
    if not sizes:
        return 0.0, "", ""
    if not is_safe(sizes, limits):
        return (None, *FEW)
    return (round(last / first - 1, 4), "", "") if first else (None, "修改前合计为零", "total before is zero")


def _period_rows(one: SourceEdited, joined: pl.DataFrame, period: str, limits: RuleSet) -> Iterator[Row]:
    plan, least = one.plan, limits.min_contributors
    rows = joined.filter(pl.col("period") == period)
    changes, listed = (f.filter(pl.col("period") == period) for f in (one.changes, one.followup))
    if rows["contributor"].n_unique() < least:
        return
    yield "returns", period, "", float(rows.height), "", ""
    given = sum(rows[f"{v}_before"].count() for v in plan.variables)
    edited = changes.filter(pl.col("original").is_not_null() & pl.col("variable").is_in(plan.variables))
    filled = changes.filter(flag="imputed")
    for metric, part, whole in (
        ("editing_rate", edited, given), ("imputation_rate", filled, rows.height * len(plan.variables)),
    ):  # fmt: skip
        few = 0 < part["uscc"].n_unique() < least
        yield (
            metric,
            period,
            "",
            None if few or not whole else round(part.height / whole, 5),
            *(FEW if few else ("", "")),
        )
    by_rule = dict(changes.group_by("rule").agg(pl.col("uscc").n_unique()).iter_rows())
    yield from _counted("rule_units", period, by_rule, least)
    asked = listed.filter("needs_review")
    by_reason = dict(asked.group_by("reason").agg(pl.col("uscc").n_unique()).iter_rows())
    yield from _counted("followup_units", period, by_reason, least)
    for name in plan.totals:
        yield "effect", period, name, *_effect(rows, name, limits)


def _joined(one: SourceEdited) -> pl.DataFrame:
    """Values before and after side by side, with the period as text and the group the unit belongs to."""
    names = list(one.plan.variables)
    before = one.received.select(
        "uscc", pl.col(one.plan.period).cast(pl.String).alias("period"), *_named(names, "before")
    )
    after = one.edited.select(_named(names, "after"))
    groups = one.groups.select("uscc", contributor=pl.coalesce("group_uscc", "uscc"))
    rows = pl.concat([before, after], how="horizontal").join(groups, on="uscc", how="left", maintain_order="left")
    return rows.with_columns(pl.coalesce("contributor", "uscc").alias("contributor"))


def _named(names: Sequence[str], ending: str) -> list[pl.Expr]:
    return [pl.col(v).cast(pl.Float64).alias(f"{v}_{ending}") for v in names]


def _label(plan: EditingPlan, scope: str) -> tuple[str, str]:
    """What a rule, a reason, an edit or an item is called."""
    if scope in words():
        return words()[scope]
    for edit in load_edits(plan.source_id):
        if edit.id == scope:
            zh, _, en = edit.source.partition(" / ")
            return zh, en or zh
    known = {c.to: c.header for c in plan.contract.columns}
    return known.get(scope, scope), scope


def editing_table(sources: Sequence[SourceEdited], limits: RuleSet) -> pl.DataFrame:
    """The table ``meta_editing`` of a release (:data:`SCHEMA`).

    ``returns``; ``editing_rate`` (returned values changed over values returned); ``imputation_rate`` (values imputed over
    values asked); ``rule_units`` (units by rule) and ``followup_units`` (units by reason, those that need a person);
    ``effect`` (total after over before, minus 1, by item). A period with fewer groups than the rules of disclosure ask is
    left out; a count or an effect that rests on fewer, or on one of them alone, is null with the reason.
    """
    found = []
    for one in sources:
        plan = one.plan
        titles = plan.contract.title_zh, plan.contract.title_en
        joined = _joined(one)
        for period in sorted(joined["period"].unique().to_list()):
            for metric, when, scope, value, zh, en in _period_rows(one, joined, period, limits):
                found.append((metric, plan.source_id, when, scope, value, zh, en, *_label(plan, scope), *titles))
    rows = pl.DataFrame(found, schema=SCHEMA, orient="row")
    return rows.sort("metric", "source_id", "period", "scope")
