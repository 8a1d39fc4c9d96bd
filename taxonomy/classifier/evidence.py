"""Evidence of a decision: what spoke for the class, where it stands in the text, and how much; it adds up exactly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

MICRO: Final = 1_000_000
I64 = npt.NDArray[np.int64]
KIND_ORDER: Final = ("code", "dictionary", "lexicon", "model", "unit")
COLUMNS: Final = ("row", "kind", "field", "text", "start", "end", "micro")


@dataclass(frozen=True)
class Parts:
    """Contributions to the best leaf of each row, in millionths of log-odds.

    ``table`` has :data:`COLUMNS`, one row a contribution that is not zero, in the order shown; ``bias`` one value a row.
    """

    table: pl.DataFrame
    bias: I64

    def sums(self, without: str | None = None) -> dict[str, I64]:
        """Sum of contributions by kind, shape ``(n,)`` each; those of the field ``without`` left out."""
        found = {kind: np.zeros(len(self.bias), dtype=np.int64) for kind in KIND_ORDER}
        table = self.table if without is None else self.table.filter(pl.col("field") != without)
        for kind, values in found.items():
            part = table.filter(pl.col("kind") == kind)
            np.add.at(values, part["row"].to_numpy(), part["micro"].to_numpy())
        return found


def evidence_json(parts: Parts, leaves: Sequence[str], best: I64) -> pl.Series:
    """JSON per row: ``{class, bias, score, contributions: [{kind, field, text, start, end, value}]}``.

    ``bias`` plus the contributions equals ``score``; positions are characters of the original text.
    """
    n = len(best)
    table = parts.table
    listed = (
        # numpy divides each value by itself; polars may multiply by a reciprocal, depending on the length of the column.
        table.with_columns(value=pl.Series(table["micro"].to_numpy() / MICRO, dtype=pl.Float64))
        .group_by("row", maintain_order=True)
        .agg(pl.struct("kind", "field", "text", "start", "end", "value").alias("contributions"))
    )
    score = parts.bias + sum(parts.sums().values())
    rows = pl.DataFrame(
        {
            "row": np.arange(n, dtype=np.uint32),
            "class": pl.Series(np.array(leaves)[best].tolist(), dtype=pl.String),
            "bias": parts.bias / MICRO,
            "score": score / MICRO,
        }
    ).join(listed, on="row", how="left", maintain_order="left")
    empty = pl.lit([], dtype=rows.schema["contributions"])
    rows = rows.with_columns(pl.col("contributions").fill_null(empty))
    return rows.select(
        pl.struct("class", "bias", "score", "contributions").struct.json_encode().alias("evidence")
    ).to_series()
