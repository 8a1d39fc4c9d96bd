"""Profile of a run (概况): what drift is measured against. A small JSON without any unit, kept beside the releases.

Phrases are kept as a coordinated sample: those whose hash lies below a threshold, with their counts. Two profiles sample
the same phrases, so the share of new ones can be told from the samples alone.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import polars as pl

from taxonomy.classifier.judged import NONE, shown_class

FIELDS: Final = ("name", "business_scope", "main_products", "gbt_code")
TEXTS: Final = ("business_scope", "main_products")
PHRASE: Final = r"[^\s;；,，。、:：()（）\[\]【】|/]{2,}"
SLICE_ROWS: Final = 50_000
SPACE: Final = 1 << 64


@dataclass(frozen=True)
class Profile:
    """Counts and means of a run's inputs and decisions.

    ``fill``: share of units that fill each field; ``code_mix``: units by declared division (section letter, or ``-`` where
    none); ``class_mix``: units by class shown, ``-`` where left to people; ``phrases``: hash (hex) → occurrences for
    the hashes below ``phrase_limit``.
    """

    units: int
    bundles: tuple[str, ...]
    fill: Mapping[str, float]
    code_mix: Mapping[str, int]
    class_mix: Mapping[str, int]
    core: int
    route_mix: Mapping[str, int]
    mean_probability: Mapping[str, float]
    phrase_limit: int
    phrases: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "bundles": list(self.bundles), "phrase_limit": str(self.phrase_limit)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Profile":
        """The profile of :meth:`as_dict`.

        Raises
        ------
        ValueError
            If a part is missing.
        """
        try:
            parts = {name: data[name] for name in cls.__dataclass_fields__}
        except KeyError as error:
            raise ValueError(
                f"a profile without {error.args[0]!r}; delete the file and the next run makes it"
            ) from None
        return cls(**{**parts, "bundles": tuple(data["bundles"]), "phrase_limit": int(data["phrase_limit"])})


def hash64(phrase: str) -> int:
    """A text's 64-bit hash (BLAKE2b), the same on every machine."""
    return int.from_bytes(hashlib.blake2b(phrase.encode(), digest_size=8).digest(), "big")


def phrase_sketch(texts: pl.DataFrame, size: int) -> tuple[int, dict[str, int]]:
    """Limit and sampled phrase counts of text columns: the ``size`` phrases of smallest hash, occurrences counted."""
    limit, found = SPACE, dict[int, int]()
    columns = [c for c in TEXTS if c in texts.columns]
    for part in texts.select(columns).iter_slices(SLICE_ROWS):
        phrases = pl.concat(
            [part[c].drop_nulls().str.to_lowercase().str.extract_all(PHRASE).explode() for c in columns]
        )
        counts = phrases.drop_nulls().value_counts()
        for phrase, count in counts.iter_rows():
            if (number := hash64(phrase)) < limit:
                found[number] = found.get(number, 0) + count
        if len(found) > size:
            limit = sorted(found)[size]
            found = {k: n for k, n in found.items() if k < limit}
    return limit, {f"{k:016x}": found[k] for k in sorted(found)}


def _counts(values: pl.Series) -> dict[str, int]:
    table = values.value_counts()
    return {str(k): int(n) for k, n in sorted(table.iter_rows(), key=lambda r: str(r[0]))}


def _filled(frame: pl.DataFrame, field: str) -> float:
    if field not in frame.columns or frame.height == 0:
        return 0.0
    return round(float((frame[field].fill_null("").str.strip_chars() != "").to_numpy().mean()), 6)


def build_profile(inputs: pl.DataFrame, decisions: pl.DataFrame, sketch: int = 2048) -> Profile:
    """Profile of a run.

    Parameters
    ----------
    inputs
        What was coded: ``name, business_scope, main_products, gbt_code`` (absent ones count as never filled).
    decisions
        Columns ``ai_class, segment, probability, route, bundle`` of the same units.
    """
    code = inputs["gbt_code"] if "gbt_code" in inputs.columns else pl.Series("gbt_code", [None] * inputs.height)
    division = code.cast(pl.String).fill_null("").str.strip_chars().str.slice(0, 2).replace("", "-")
    shown = decisions.select(shown_class()).to_series().fill_null("-")
    classes = shown.to_frame().select(
        pl.when(pl.col("shown").is_in(["-", NONE])).then("shown").otherwise(pl.col("shown").str.slice(0, 2))
    )
    means = decisions.group_by("route").agg(pl.col("probability").mean()).drop_nulls().sort("route")
    limit, phrases = phrase_sketch(inputs, sketch)
    return Profile(
        units=decisions.height,
        bundles=tuple(sorted(decisions["bundle"].drop_nulls().unique().to_list())),
        fill={field: _filled(inputs, field) for field in FIELDS},
        code_mix=_counts(division),
        class_mix=_counts(classes.to_series()),
        core=int((decisions["segment"] == "core").fill_null(False).sum()),
        route_mix=_counts(decisions["route"]),
        mean_probability={str(r): round(float(p), 6) for r, p in means.iter_rows()},
        phrase_limit=limit,
        phrases=phrases,
    )


def novelty(before: Profile, now: Profile) -> tuple[float | None, int]:
    """Share of phrase occurrences of ``now`` that ``before`` did not have, and the occurrences it was told from."""
    limit = min(before.phrase_limit, now.phrase_limit)
    sampled = _below(now.phrases.items(), limit)
    known = {k for k, _ in _below(before.phrases.items(), limit)}
    total = sum(n for _, n in sampled)
    return (sum(n for k, n in sampled if k not in known) / total if total else None), total


def _below(items: Iterable[tuple[str, int]], limit: int) -> list[tuple[str, int]]:
    return [(k, n) for k, n in items if int(k, 16) < limit]
