"""The code rule: what a declared GB/T class says for and against the AI leaves (log-odds)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.correspondence import load_correspondence
from taxonomy.scheme import load_scheme

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CodeRule:
    """Log-odds of every valid declared code of any level: ``codes`` ``(k,)``, ``values`` ``(k, leaves)``."""

    codes: tuple[str, ...]
    values: F64

    @cached_property
    def _index(self) -> pl.DataFrame:
        return pl.DataFrame({"code": self.codes, "at": np.arange(1, len(self.codes) + 1)})

    @cached_property
    def table(self) -> F64:
        """``values`` below a row of zeros for a code that is empty or unknown, shape ``(k + 1, leaves)``."""
        return np.vstack([np.zeros((1, self.values.shape[1])), self.values])

    def positions(self, codes: pl.Series) -> npt.NDArray[np.int64]:
        """Row of :attr:`table` for each declared code; 0 where it is empty or unknown."""
        joined = codes.rename("code").to_frame().join(self._index, on="code", how="left", maintain_order="left")
        return joined["at"].fill_null(0).to_numpy()


def build_code_rule(weights: Mapping[str, float], leaves: Sequence[str]) -> CodeRule:
    """From the correspondence: ``full``, ``partial`` and ``other`` (no link at all) weights.

    A declared division, group or section counts as partial for the leaves linked below it.
    """
    index = {leaf: i for i, leaf in enumerate(leaves)}
    links = [k for k in load_correspondence("ai_2026__gbt4754_2017") if k.from_code in index]
    scheme = load_scheme("gbt4754_2017")
    below: dict[str, set[int]] = {}
    full: dict[str, int] = {}
    for link in links:
        for code in (link.to_code, *(c.code for c in scheme.ancestors(link.to_code))):
            below.setdefault(code, set()).add(index[link.from_code])
        if link.coverage == "full":
            full[link.to_code] = index[link.from_code]
    values = []
    for entry in scheme.codes:
        row = np.full(len(index), 0.0 if entry.code in below else weights["other"])
        row[sorted(below.get(entry.code, ()))] = weights["partial"]
        if entry.code in full:
            row[full[entry.code]] = weights["full"]
        values.append(row)
    return CodeRule(tuple(c.code for c in scheme.codes), np.array(values))
