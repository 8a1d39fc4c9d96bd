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
COUNTED: Final = ("ai_class", "segment", "route", "bundle")
"""Columns of a decision that are counted."""
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


def _filled() -> pl.Expr:
    """One bit a field of :data:`FIELDS`, the first the lowest: whether it says anything."""
    says = (pl.col(f).cast(pl.String).fill_null("").str.strip_chars() != "" for f in FIELDS)
    return pl.sum_horizontal(s.cast(pl.Int64) * 2**i for i, s in enumerate(says)).cast(pl.UInt8).alias("filled")


def _phrases(units: pl.DataFrame, limit: int) -> pl.Series:
    """Each unit's phrases as hashes, those below ``limit``, with every occurrence."""
    words = [pl.col(c).cast(pl.String).fill_null("").str.to_lowercase().str.extract_all(PHRASE) for c in TEXTS]
    one = units.select(pl.concat_list(words).alias("phrase")).with_row_index("at").explode("phrase").drop_nulls()
    distinct = one["phrase"].unique()
    numbers = pl.DataFrame(
        {"phrase": distinct, "number": [hash64(p) for p in distinct]}, schema_overrides={"number": pl.UInt64}
    )
    if limit < SPACE:
        numbers = numbers.filter(pl.col("number") < pl.lit(limit, pl.UInt64))
    kept = one.join(numbers, on="phrase").group_by("at").agg(pl.col("number").sort())
    rows = pl.DataFrame({"at": pl.int_range(units.height, dtype=pl.get_index_type(), eager=True)})
    return rows.join(kept, on="at", how="left", maintain_order="left")["number"].fill_null([])


def marks(units: pl.DataFrame, limit: int = SPACE) -> pl.DataFrame:
    """What a profile takes of each unit's input: ``unit_id`` (if there), ``filled``, ``division``, ``phrases`` (hashes below ``limit``).

    ``units``: :data:`FIELDS`, absent ones count as never filled.
    """
    whole = units.with_columns(pl.lit(None, pl.String).alias(f) for f in FIELDS if f not in units.columns)
    division = pl.col("gbt_code").cast(pl.String).fill_null("").str.strip_chars().str.slice(0, 2).replace("", "-")
    ids = [c for c in ("unit_id",) if c in units.columns]
    return whole.select(*ids, _filled(), division=division).with_columns(phrases=_phrases(whole, limit))


def _class() -> pl.Expr:
    shown = shown_class().fill_null("-")
    return pl.when(shown.is_in(["-", NONE])).then(shown).otherwise(shown.str.slice(0, 2)).alias("name")


def _counts(groups: pl.DataFrame, name: pl.Expr) -> dict[str, int]:
    return dict(groups.group_by(name.alias("name")).agg(pl.col("n").sum()).sort("name").iter_rows())


def _means(decided: pl.DataFrame) -> dict[str, float]:
    sums = decided.group_by("route").agg(pl.col("probability", "probability_n").sum()).sort("route")
    return {str(route): round(total / n, 6) for route, total, n in sums.iter_rows() if n}


@dataclass(frozen=True)
class Tallies:
    """Counts of a run that a profile is made of, each with the units or occurrences ``n``.

    ``inputs``: ``filled, division, n`` and ``phrases``: ``item, n``, of :func:`marks`, its phrases those below ``limit``;
    ``decisions``: ``ai_class, segment, route, bundle, n, probability`` (sum of the known ones), ``probability_n``.
    """

    inputs: pl.DataFrame
    phrases: pl.DataFrame
    limit: int
    decisions: pl.DataFrame

    def suffices(self, sketch: int) -> bool:
        """Whether the phrases below the limit hold the ``sketch`` smallest of all."""
        return self.limit >= SPACE or self.phrases.height > sketch


def profile_of(run: Tallies, sketch: int = 2048) -> Profile:
    """The profile of a run from its counts; the ``sketch`` phrases of smallest hash stand for all. ValueError where they are not there."""
    if not run.suffices(sketch):
        raise ValueError(
            f"{run.phrases.height} phrases below the limit, more than {sketch} are needed; raise the limit"
        )
    phrases = dict(run.phrases.sort("item").select("item", "n").iter_rows())
    limit = sorted(phrases)[sketch] if len(phrases) > sketch else SPACE
    rows = int(run.inputs["n"].sum())
    fill = {f: int(run.inputs.filter((pl.col("filled") // 2**i) % 2 == 1)["n"].sum()) for i, f in enumerate(FIELDS)}
    decided = run.decisions
    return Profile(
        units=int(decided["n"].sum()),
        bundles=tuple(sorted(decided["bundle"].drop_nulls().unique().to_list())),
        fill={field: round(n / max(rows, 1), 6) for field, n in fill.items()},
        code_mix=_counts(run.inputs, pl.col("division")),
        class_mix=_counts(decided, _class()),
        core=int(decided.filter(pl.col("segment") == "core")["n"].sum()),
        route_mix=_counts(decided, pl.col("route").cast(pl.String).fill_null("None")),
        mean_probability=_means(decided),
        phrase_limit=limit,
        phrases={f"{k:016x}": n for k, n in phrases.items() if k < limit},
    )


def build_profile(inputs: Iterable[pl.DataFrame], decisions: Iterable[pl.DataFrame], sketch: int = 2048) -> Profile:
    """Profile of a run from its units, all at once; a night makes it from counts (:func:`profile_of`).

    Parameters
    ----------
    inputs
        Frames of what was coded: ``name, business_scope, main_products, gbt_code`` (absent ones count as never filled).
    decisions
        Frames of the decisions: ``ai_class, segment, probability, route, bundle``. The two need not be cut alike.
    """
    marked = pl.concat([marks(frame) for frame in inputs])
    known = pl.col("probability")
    decided = pl.concat([f.select(*COUNTED, known) for f in decisions])
    return profile_of(
        Tallies(
            marked.group_by("filled", "division").agg(n=pl.len()),
            marked.select(item=pl.col("phrases").explode()).drop_nulls().group_by("item").agg(n=pl.len()),
            SPACE,
            decided.group_by(COUNTED).agg(n=pl.len(), probability_n=known.count(), probability=known.sum()),
        ),
        sketch,
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
