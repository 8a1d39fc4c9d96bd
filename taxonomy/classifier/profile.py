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


class PhraseSketch:
    """The ``size`` phrases of smallest hash, with their occurrences; fed frame by frame, in constant memory."""

    def __init__(self, size: int) -> None:
        self._size, self.limit, self._found = size, SPACE, dict[int, int]()

    def add(self, texts: pl.DataFrame) -> None:
        """Count the phrases of the text columns of a frame."""
        columns = [c for c in TEXTS if c in texts.columns]
        for part in texts.select(columns).iter_slices(SLICE_ROWS):
            found = [part[c].drop_nulls().str.to_lowercase().str.extract_all(PHRASE).explode() for c in columns]
            for phrase, count in pl.concat(found).drop_nulls().value_counts().iter_rows():
                if (number := hash64(phrase)) < self.limit:
                    self._found[number] = self._found.get(number, 0) + count
            # The limit only falls, so that a phrase that stays was counted from the start.
            if len(self._found) > self._size:
                self.limit = sorted(self._found)[self._size]
                self._found = {k: n for k, n in self._found.items() if k < self.limit}

    def counts(self) -> dict[str, int]:
        """Hash (hex) → occurrences, sorted."""
        return {f"{k:016x}": self._found[k] for k in sorted(self._found)}


class _Tally:
    """Counts by name, added up frame by frame."""

    def __init__(self) -> None:
        self.counts = dict[str, int]()

    def add(self, values: pl.Series) -> None:
        for name, n in values.value_counts().iter_rows():
            self.counts[str(name)] = self.counts.get(str(name), 0) + int(n)

    def sorted(self) -> dict[str, int]:
        return dict(sorted(self.counts.items()))


def _filled(frame: pl.DataFrame, field: str) -> int:
    return int((frame[field].fill_null("").str.strip_chars() != "").sum()) if field in frame.columns else 0


def _division(frame: pl.DataFrame) -> pl.Series:
    if "gbt_code" not in frame.columns:
        return pl.repeat("-", frame.height, eager=True)
    return frame["gbt_code"].cast(pl.String).fill_null("").str.strip_chars().str.slice(0, 2).replace("", "-")


def _class() -> pl.Expr:
    shown = shown_class().fill_null("-")
    return pl.when(shown.is_in(["-", NONE])).then(shown).otherwise(shown.str.slice(0, 2)).alias("class")


def build_profile(inputs: Iterable[pl.DataFrame], decisions: Iterable[pl.DataFrame], sketch: int = 2048) -> Profile:
    """Profile of a run.

    Parameters
    ----------
    inputs
        Frames of what was coded: ``name, business_scope, main_products, gbt_code`` (absent ones count as never filled).
    decisions
        Frames of the decisions: ``ai_class, segment, probability, route, bundle``. The two need not be cut alike.
    """
    phrases, codes, fill, rows = PhraseSketch(sketch), _Tally(), dict.fromkeys(FIELDS, 0), 0
    for frame in inputs:
        phrases.add(frame)
        codes.add(_division(frame))
        fill = {field: n + _filled(frame, field) for field, n in fill.items()}
        rows += frame.height
    classes, routes, bundles = _Tally(), _Tally(), set[str]()
    core, sums = 0, dict[str, list[float]]()
    for frame in decisions:
        classes.add(frame.select(_class()).to_series())
        routes.add(frame["route"])
        bundles |= set(frame["bundle"].drop_nulls().unique().to_list())
        core += int((frame["segment"] == "core").fill_null(False).sum())
        known = frame.filter(pl.col("probability").is_not_null())
        for route, total, n in known.group_by("route").agg(pl.col("probability").sum(), pl.len()).iter_rows():
            sums.setdefault(str(route), []).extend((float(total), float(n)))
    return Profile(
        units=sum(routes.counts.values()),
        bundles=tuple(sorted(bundles)),
        fill={field: round(n / max(rows, 1), 6) for field, n in fill.items()},
        code_mix=codes.sorted(),
        class_mix=classes.sorted(),
        core=core,
        route_mix=routes.sorted(),
        mean_probability={r: round(sum(v[::2]) / sum(v[1::2]), 6) for r, v in sorted(sums.items())},
        phrase_limit=phrases.limit,
        phrases=phrases.counts(),
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
