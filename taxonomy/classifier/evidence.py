"""Evidence of a decision: what spoke for the class, where it stands in the text, and how much; it adds up exactly."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.normalize import FIELDS

MICRO: Final = 1_000_000
I64 = npt.NDArray[np.int64]
KIND_ORDER: Final = ("code", "dictionary", "lexicon", "model")


@dataclass(frozen=True)
class Parts:
    """Contributions to the best leaf of each row, in millionths of log-odds.

    ``phrases`` has ``row, field, start, phrase`` per occurrence; ``by_kind`` one array per kind of the same length;
    ``code`` and ``bias`` one value per row.
    """

    phrases: pl.DataFrame
    by_kind: Mapping[str, I64]
    code: I64
    bias: I64

    def sums(self, n: int) -> dict[str, I64]:
        """Sum of contributions by kind, shape ``(n,)`` each; the code rule included."""
        row = self.phrases["row"].to_numpy()
        found = {"code": self.code}
        for kind, values in self.by_kind.items():
            total = np.zeros(n, dtype=np.int64)
            np.add.at(total, row, values)
            found[kind] = total
        return found

    def table(self) -> pl.DataFrame:
        """One row per contribution that is not zero: ``row, kind, field, text, start, end, value``."""
        fields = pl.Enum(list(FIELDS))
        occurrences = self.phrases.select(
            "row",
            pl.col("field").cast(pl.UInt32).replace_strict(dict(enumerate(FIELDS)), return_dtype=fields).alias("field"),
            pl.col("phrase").alias("text"),
            "start",
            (pl.col("start") + pl.col("phrase").str.len_chars()).alias("end"),
        ).with_columns(pl.col("field").cast(pl.String))
        parts = [
            occurrences.with_columns(kind=pl.lit(kind), micro=pl.Series(values)).filter(pl.col("micro") != 0)
            for kind, values in self.by_kind.items()
        ]
        code = pl.DataFrame(
            {"row": np.arange(len(self.code), dtype=np.uint32), "micro": self.code},
        ).filter(pl.col("micro") != 0)
        code = code.with_columns(
            kind=pl.lit("code"), field=pl.lit("gbt_code"), text=pl.lit(""), start=pl.lit(0, pl.UInt32),
            end=pl.lit(0, pl.UInt32),
        )  # fmt: skip
        columns = ["row", "kind", "field", "text", "start", "end", "micro"]
        return pl.concat([p.select(columns) for p in (*parts, code)], how="vertical_relaxed").sort(
            "row", "kind", "field", "start"
        )


def evidence_json(parts: Parts, leaves: tuple[str, ...], best: npt.NDArray[np.int64]) -> pl.Series:
    """JSON per row: ``{class, bias, score, contributions: [{kind, field, text, start, end, value}]}``.

    ``bias`` plus the contributions equals ``score``; positions are characters of the original text.
    """
    n = len(best)
    table = parts.table()
    listed = (
        # numpy divides each value by itself; polars may multiply by a reciprocal, depending on the length of the column.
        table.with_columns(value=pl.Series(table["micro"].to_numpy() / MICRO, dtype=pl.Float64))
        .group_by("row", maintain_order=True)
        .agg(pl.struct("kind", "field", "text", "start", "end", "value").alias("contributions"))
    )
    score = parts.bias + sum(parts.sums(n).values())
    rows = pl.DataFrame(
        {
            "row": np.arange(n, dtype=np.uint32),
            "class": pl.Series([leaves[i] for i in best], dtype=pl.String),
            "bias": parts.bias / MICRO,
            "score": score / MICRO,
        }
    ).join(listed, on="row", how="left", maintain_order="left")
    empty = pl.lit([], dtype=rows.schema["contributions"])
    rows = rows.with_columns(pl.col("contributions").fill_null(empty))
    return rows.select(
        pl.struct("class", "bias", "score", "contributions").struct.json_encode().alias("evidence")
    ).to_series()
