"""Unsafe cells (初级保护): too few contributing groups, or one that can estimate another too well."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.disclosure.table import Table


@dataclass(frozen=True)
class Rules:
    """Parameters of the rules; live ones are confidential and stay out of public documents.

    ``min_contributors`` distinct groups among the observed contributions of a cell; ``p_percent`` of the p%
    rule; ``frequency_only`` leaves the p% rule out; ``min_width_percent`` is the least width, in per cent of
    its value, of the interval an outsider can compute for an unsafe cell; ``singletons`` protects other
    unsafe cells from a group that is alone in one (magnitudes only).
    """

    min_contributors: int = 3
    p_percent: float = 10.0
    frequency_only: bool = False
    min_width_percent: float = 1.0
    singletons: bool = True

    def __post_init__(self) -> None:
        if self.min_contributors < 1 or not (0 <= self.p_percent <= 100 and 0 <= self.min_width_percent <= 100):
            raise ValueError(f"expected min_contributors of 1 or more and percentages within 0-100, got {self}")

    def as_dict(self) -> Mapping[str, Any]:
        """The parameters, for the restricted certificate."""
        return asdict(self)


@dataclass(frozen=True)
class Primary:
    """Findings for every variable, all of shape ``(variables,)``.

    ``n`` observed contributors; ``unsafe``; ``owner`` number of the group that is the only contributor, else
    -1.
    """

    n: NDArray[np.int64]
    unsafe: NDArray[np.bool_]
    owner: NDArray[np.int64]


def _by_group(table: Table) -> pl.DataFrame:
    """Observed cents of every (variable, contributor)."""
    variable, atom = np.nonzero(table.incidence)
    members = pl.DataFrame({"variable": variable.astype(np.int64), "atom": atom.astype(np.int64)})
    observed = table.parts.filter("observed")
    return (
        members.join(observed, on="atom")
        .group_by("variable", "contributor")
        .agg(pl.col("cents").sum())
        .sort("variable", "cents", "contributor", descending=[False, True, False])
    )


def dominated(total: int, x1: int, x2: int, p_percent: float) -> bool:
    r"""The p% rule: :math:`X - x_1 - x_2 < \tfrac{p}{100} x_1`, exactly, on whole numbers.

    The second largest contributor, who knows its own value, could estimate the largest to within p per cent
    (Hundepool et al., *Handbook on Statistical Disclosure Control*, primary cell suppression, p% rule).
    """
    return 100 * (total - x1 - x2) < Fraction(str(p_percent)) * x1


def find_primary(table: Table, rules: Rules) -> Primary:
    """Apply the rules to every variable of the table.

    A variable without any observed contribution is safe: its value is a model's, computed from other units,
    not an answer anyone gave. Modelled parts never help an unsafe cell: both rules look at the observed part
    alone.
    """
    size = table.incidence.shape[0]
    n, unsafe = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.bool_)
    owner = np.full(size, -1, dtype=np.int64)
    number = {name: i for i, name in enumerate(table.parts["contributor"].unique().sort())}
    p_rule = table.kind == "magnitude" and not rules.frequency_only
    stats = (
        _by_group(table)
        .group_by("variable", maintain_order=True)
        .agg(
            n=pl.len(),
            first=pl.col("contributor").get(0),
            total=pl.col("cents").sum(),
            x1=pl.col("cents").get(0),
            x2=pl.col("cents").get(1, null_on_oob=True).fill_null(0),
        )
    )
    spoken = np.zeros(size, dtype=np.bool_)
    spoken[
        table.cells.filter(pl.Series(table.answers(table.cells)) & (pl.col("variable") >= 0))["variable"].to_numpy()
    ] = True
    for variable, groups, first, total, x1, x2 in stats.iter_rows():
        n[variable] = groups
        owner[variable] = number[first] if groups == 1 else -1
        few = groups < rules.min_contributors
        unsafe[variable] = spoken[variable] and (few or (p_rule and dominated(total, x1, x2, rules.p_percent)))
    return Primary(n, unsafe, owner)
