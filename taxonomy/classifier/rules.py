"""The code rule: what a declared GB/T class says for and against the AI leaves (log-odds)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taxonomy.classifier.training import leaves
from taxonomy.correspondence import load_correspondence
from taxonomy.scheme import load_scheme


@dataclass(frozen=True)
class CodeRule:
    """Log-odds by declared code, shape ``(leaves,)`` each; ``known`` holds every valid code of any level."""

    values: Mapping[str, npt.NDArray[np.float64]]
    known: frozenset[str]

    def rows(self, codes: list[str | None]) -> npt.NDArray[np.float64]:
        """Log-odds of many declared codes, shape ``(n, leaves)``; zero where the code is empty or unknown."""
        blank = np.zeros(len(leaves()))
        return np.array([self.values.get(c, blank) if c else blank for c in codes]).reshape(len(codes), len(blank))


def build_code_rule(weights: Mapping[str, float]) -> CodeRule:
    """From the correspondence: ``full``, ``partial`` and ``other`` (no link at all) weights.

    A declared division, group or section counts as partial for the leaves linked below it.
    """
    index = {leaf: i for i, leaf in enumerate(leaves())}
    links = [k for k in load_correspondence("ai_2026__gbt4754_2017") if k.from_code in index]
    scheme = load_scheme("gbt4754_2017")
    below: dict[str, set[int]] = {}
    full: dict[str, int] = {}
    for link in links:
        for code in (link.to_code, *(c.code for c in scheme.ancestors(link.to_code))):
            below.setdefault(code, set()).add(index[link.from_code])
        if link.coverage == "full":
            full[link.to_code] = index[link.from_code]
    values = {}
    for entry in scheme.codes:
        row = np.full(len(index), 0.0 if entry.code in below else weights["other"])
        row[sorted(below.get(entry.code, ()))] = weights["partial"]
        if entry.code in full:
            row[full[entry.code]] = weights["full"]
        values[entry.code] = row
    return CodeRule(values, frozenset(values))
