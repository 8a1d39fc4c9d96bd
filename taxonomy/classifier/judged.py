"""Decisions beside their gold truth: who was judged, what was shown, what else stood on the list, at each level."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import polars as pl

from taxonomy.classifier.intervals import BOOL, F64, Design
from taxonomy.scheme import load_scheme

NONE: Final = "none"
CODED: Final = ("lock", "code", "phrase", "rule", "model", "parent")
NOT_CODED: Final = ("review", "uncodable")
LEVELS: Final = ("branch", "class", "leaf")
SCHEME: Final = "ai_industry_2026"
NEEDED: Final = ("unit_id", "ai_class", "segment", "p_ai", "probability", "route", "candidates", "bundle")


class JudgeError(ValueError):
    """Decisions or gold that cannot be compared; says what is missing and what to do."""


@cache
def _chains() -> Mapping[str, tuple[str | None, str | None, str | None]]:
    """Code → its branch, class and leaf (None below its own level); *none* stands at each level."""
    scheme = load_scheme(SCHEME)
    found: dict[str, tuple[str | None, str | None, str | None]] = {NONE: (NONE, NONE, NONE)}
    for code in scheme.codes:
        up = [a.code for a in reversed(scheme.ancestors(code.code))] + [code.code]
        padded: list[str | None] = [*up, None, None][:3]
        found[code.code] = (padded[0], padded[1], padded[2])
    return found


def ancestor_at(code: str, level: str) -> str | None:
    """A code's ancestor at ``branch``, ``class`` or ``leaf`` level; None when the code is coarser.

    Raises
    ------
    JudgeError
        If the catalogue does not hold the code.
    """
    try:
        return _chains()[code][LEVELS.index(level)]
    except KeyError:
        raise JudgeError(f"code {code!r} is not in {SCHEME}; gold and decisions must use its codes or 'none'") from None


def is_core(code: str) -> bool:
    """Whether a code is core AI industry."""
    return code != NONE and load_scheme(SCHEME).get(code).segment == "core"


def is_right(shown: str, truth: Collection[str]) -> bool:
    """Whether the class shown is true: a true code equals it or lies below it."""
    return any(shown == code or (code != NONE and shown in _chains()[code]) for code in truth)


def shown_class() -> pl.Expr:
    """The class a decision shows: its code, ``none``, or null when it was left to a person."""
    coded = pl.col("route").is_in(CODED)
    return pl.when(coded).then(pl.col("ai_class").fill_null(NONE)).alias("shown")


# --- gold as it may be given -----------------------------------------------------------------------------------------


def _codes(value: Any) -> list[str] | None:
    """Codes of one gold answer: a list, a JSON list, or codes separated by a mark; None: not final, []: 无法判定."""
    if value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        if not text or text == "null":
            return None
        found = json.loads(text) if text.startswith("[") else [c for c in re.split(r"[;；,，|\s]+", text) if c]
        return [str(c) for c in found]
    return [str(c) for c in value]


def read_gold(gold: pl.DataFrame) -> pl.DataFrame:
    """Gold in the form used here: ``unit_id, stratum, inclusion_probability, codes`` and, if there, ``codes_1, codes_2``.

    ``codes`` may be a list column, or text (a JSON list, or codes separated by ``;``, ``|`` or a comma); a ``code`` column does
    as well. Null or empty text: no final label yet; an empty list, or ``kind`` *undecidable*: 无法判定. Without
    ``stratum`` all units are one stratum; a missing inclusion probability is an error, not one.

    Raises
    ------
    JudgeError
        If a column is missing, a unit stands twice, or an inclusion probability is not in (0, 1].
    """
    names = {"code": "codes"} if "codes" not in gold.columns and "code" in gold.columns else {}
    frame = gold.rename(names)
    missing = [c for c in ("unit_id", "inclusion_probability", "codes") if c not in frame.columns]
    if missing:
        raise JudgeError(f"gold lacks {', '.join(missing)}; expected unit_id, inclusion_probability, codes (or code)")
    if frame["unit_id"].n_unique() != frame.height:
        raise JudgeError("a unit stands twice in gold; give one row a unit with its final codes")
    inclusion = frame["inclusion_probability"].cast(pl.Float64)
    if inclusion.null_count() or not ((inclusion > 0.0) & (inclusion <= 1.0)).all():
        raise JudgeError("inclusion_probability must be above 0 and at most 1 for every gold unit")
    wanted = [c for c in ("codes", "codes_1", "codes_2") if c in frame.columns]
    lists = {c: pl.Series(c, [_codes(v) for v in frame[c].to_list()], dtype=pl.List(pl.String)) for c in wanted}
    if "kind" in frame.columns:
        undecidable = (frame["kind"] == "undecidable").fill_null(False).to_list()
        codes = [[] if bad else c for bad, c in zip(undecidable, lists["codes"].to_list(), strict=True)]
        lists["codes"] = pl.Series("codes", codes, dtype=pl.List(pl.String))
    stratum = frame["stratum"].cast(pl.String).fill_null("") if "stratum" in frame.columns else pl.lit("")
    kept = frame.select(pl.col("unit_id").cast(pl.String), stratum.alias("stratum"), inclusion)
    return kept.with_columns(list(lists.values()))


@dataclass(frozen=True)
class Coders:
    """What the two blind coders said of every gold unit that both have answered, settled or not, with its design weight.

    Units that wait for a ruling are among them: without those on which coders differ, agreement would be overstated.
    """

    first: tuple[tuple[str, ...], ...]
    second: tuple[tuple[str, ...], ...]
    design: Design


def _coders(gold: pl.DataFrame) -> Coders | None:
    if not {"codes_1", "codes_2"} <= set(gold.columns):
        return None
    both = gold.drop_nulls(["codes_1", "codes_2"]).sort("unit_id")
    one, two = (tuple(tuple(codes) for codes in both[c].to_list()) for c in ("codes_1", "codes_2"))
    return Coders(one, two, _design(both)) if one else None


def _design(frame: pl.DataFrame) -> Design:
    stratum = frame["stratum"].rank("dense").cast(pl.Int64).to_numpy() - 1
    return Design(1.0 / frame["inclusion_probability"].to_numpy(), stratum)


# --- judged units ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """Gold units with a final label and a decision, in the order of their ids.

    ``truth``: sets of codes, empty for 无法判定; ``shown``: class shown or None; ``ranked``: the answers the classifier would give, with their
    probability, best first; ``confidence``: P(the
    class shown), or that of the best answer where nothing was shown. ``waiting`` gold units have no final
    label, ``unmatched`` ones no decision: they are counted and judged nowhere.
    """

    unit_id: tuple[str, ...]
    truth: tuple[frozenset[str], ...]
    shown: tuple[str | None, ...]
    route: tuple[str, ...]
    ranked: tuple[tuple[tuple[str, float], ...], ...]
    confidence: F64
    p_ai: F64
    design: Design
    coders: Coders | None
    waiting: int
    unmatched: int

    def __len__(self) -> int:
        return len(self.unit_id)

    @property
    def answer(self) -> tuple[str, ...]:
        """The class shown or, where none was, the best answer: what the machine would have said alone."""
        return tuple(s if s is not None else r[0][0] for s, r in zip(self.shown, self.ranked, strict=True))

    @property
    def decided(self) -> BOOL:
        """Units with a true code (not 无法判定)."""
        return np.array([bool(t) for t in self.truth], dtype=bool)

    @property
    def coded(self) -> BOOL:
        """Which units the machine coded."""
        return np.array([s is not None for s in self.shown], dtype=bool)

    @property
    def right(self) -> BOOL:
        """Whether the answer is right at the level it was given."""
        return np.array([is_right(a, t) for a, t in zip(self.answer, self.truth, strict=True)], dtype=bool)

    def truth_at(self, level: str) -> tuple[frozenset[str], ...]:
        """True codes at a level; empty where every true code is coarser."""
        return tuple(frozenset(c for t in truth if (c := ancestor_at(t, level))) for truth in self.truth)

    def shown_at(self, level: str) -> tuple[str | None, ...]:
        """Class shown at a level; None where nothing or only something coarser was shown."""
        return tuple(None if s is None else ancestor_at(s, level) for s in self.shown)

    def answers_at(self, level: str) -> tuple[tuple[str, ...], ...]:
        """Answers at a level, best first: the class shown there, then the others by summed probability, ties by code."""
        found = []
        for shown, ranked in zip(self.shown_at(level), self.ranked, strict=True):
            sums: dict[str, float] = {}
            for code, p in ranked:
                if (up := ancestor_at(code, level)) is not None:
                    sums[up] = sums.get(up, 0.0) + p
            order = sorted(sums, key=lambda c: (-sums[c], c))
            found.append((shown, *(c for c in order if c != shown)) if shown is not None else tuple(order))
        return tuple(found)


def ranked_answers(candidates: str | None, p_ai: float | None) -> tuple[tuple[str, float], ...]:
    """Candidates of a decision with *none* among them, best first.

    P(none) is what candidates say of it or, left unsaid, what is missing to one: ``1 - p_ai`` less the related candidates.
    """
    listed = {str(c["code"]): float(c["p"]) for c in json.loads(candidates or "[]")}
    if NONE not in listed:
        related = sum(p for code, p in listed.items() if not is_core(code))
        listed[NONE] = max(0.0, 1.0 - (p_ai or 0.0) - related)
    return tuple(sorted(listed.items(), key=lambda item: (-item[1], item[0])))


def check_decisions(decisions: pl.DataFrame) -> None:
    """Refuse decisions that lack a column or hold a unit twice (:class:`JudgeError`)."""
    missing = [c for c in NEEDED if c not in decisions.columns]
    if missing:
        raise JudgeError(f"decisions lack {', '.join(missing)}; expected the output of 'aistat classify'")
    if decisions["unit_id"].n_unique() != decisions.height:
        raise JudgeError("a unit stands twice in the decisions; one decision a unit was expected")


def judge(decisions: pl.DataFrame, gold: pl.DataFrame) -> Judged:
    """Join decisions (columns of ``batch.OUTPUT``) and gold (:func:`read_gold` is applied) on ``unit_id``.

    Raises
    ------
    JudgeError
        As in :func:`read_gold` and :func:`check_decisions`, or if a true code is not in the catalogue.
    """
    check_decisions(decisions)
    final = read_gold(gold)
    waiting = final["codes"].null_count()
    labelled = final.drop_nulls("codes")
    joined = labelled.join(decisions.select(NEEDED).with_columns(shown_class()), on="unit_id", how="inner")
    unmatched = labelled.height - joined.height
    decided = joined.sort("unit_id")
    shown = decided["shown"].to_list()
    ranked = [ranked_answers(c, p) for c, p in decided.select("candidates", "p_ai").iter_rows()]
    given = [p if s is not None and p is not None else r[0][1]
             for s, p, r in zip(shown, decided["probability"].to_list(), ranked, strict=True)]  # fmt: skip
    truth = tuple(frozenset(codes) for codes in decided["codes"].to_list())
    for code in frozenset().union(*truth) if truth else ():
        ancestor_at(code, "branch")
    return Judged(
        unit_id=tuple(decided["unit_id"].to_list()),
        truth=truth,
        shown=tuple(shown),
        route=tuple(decided["route"].to_list()),
        ranked=tuple(ranked),
        confidence=np.array(given, dtype=np.float64),
        p_ai=decided["p_ai"].fill_null(0.0).to_numpy().astype(np.float64),
        design=_design(decided),
        coders=_coders(final),
        waiting=waiting,
        unmatched=unmatched,
    )


def one_value(codes: Sequence[str] | frozenset[str] | None, level: str) -> str | None:
    """The one value of an answer at a level; None when there is no answer, it is coarser, or a set that differs there."""
    if not codes:
        return None
    values = {ancestor_at(code, level) for code in codes}
    return values.pop() if len(values) == 1 else None
