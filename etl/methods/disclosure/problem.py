"""The common input of search and audit: cells of linked tables as sums of atoms, sparse and on whole numbers."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

from etl.methods.disclosure.dimension import Dimension

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Kind = Literal["magnitude", "frequency"]
#: Statuses given with a finished table: unsafe, safe, forced published, must be hidden, none given.
GIVEN = ("", "u", "s", "z", "m")
#: Totals must stay exact in 64 bits and their doubles visible to a linear programme.
LIMIT = 2**60


class ProblemError(ValueError):
    """Input that cannot be turned into a problem: what, where, expected, what to do."""


@dataclass(frozen=True)
class Problem:
    """Cells of linked tables over a common refinement.

    A *variable* is a set of atoms that at least one cell sums; cells of the same set share it. An *atom* is the sum
    of all finest combinations that no cell tells apart. *Nodes* are the variables followed by the atoms that are no
    cell by themselves; ``relations`` ties them and holds all that additivity says.

    Attributes
    ----------
    dims : dimensions in order.
    cells : one row a cell: ``table``, one column a dimension (code or total), ``depth`` (steps below the totals,
        summed), ``variable`` (-1: structural zero).
    incidence : shape ``(variables, atoms)``, 0/1.
    atoms : value of every atom in units of ``10 ** -scale``, shape ``(atoms,)``.
    floors : part of every atom that everybody knows (public contributions), same shape and units.
    parts : shape ``(atoms, groups)``: contributions before weighting, same units; no columns for a finished table.
    groups : name of every contributor; ``known`` and ``waived``: shape ``(groups,)``.
    relations : shape ``(relations, nodes)``: 1 for parts, -1 for their sum.
    bare : atoms that are nodes of their own, in order of node.
    depth : least depth of the cells of a variable, shape ``(variables,)``.
    given : status given with a finished table (``GIVEN``), shape ``(variables,)``.
    upper, lower : required protection as given, -1 where none, shape ``(variables,)``.
    offered : whether some cell of the variable may be published at all, shape ``(variables,)``.
    silent : variables nobody's answer can be learned from, whatever the rules say, shape ``(variables,)``.
    """

    dims: tuple[Dimension, ...]
    cells: pl.DataFrame
    incidence: csr_array
    atoms: IntArray
    floors: IntArray
    parts: csr_array
    groups: tuple[str, ...]
    known: BoolArray
    waived: BoolArray
    relations: csr_array
    bare: IntArray
    depth: IntArray
    given: NDArray[np.str_]
    upper: IntArray
    lower: IntArray
    kind: Kind
    negative: bool
    weighted: bool
    scale: int
    offered: BoolArray
    silent: BoolArray
    hash: str = field(default="", compare=False)

    @cached_property
    def values(self) -> IntArray:
        """Value of every variable in units, shape ``(variables,)``."""
        values: IntArray = self.incidence @ self.atoms
        return values

    @cached_property
    def node_values(self) -> IntArray:
        """Value of every node in units, shape ``(nodes,)``."""
        return np.concatenate([self.values, self.atoms[self.bare]])

    @cached_property
    def node_floors(self) -> IntArray:
        """What everybody knows a node to be at least (meaningless with negative values), shape ``(nodes,)``."""
        floors: IntArray = self.incidence @ self.floors
        return np.concatenate([floors, self.floors[self.bare]])

    @property
    def size(self) -> int:
        """Number of variables."""
        return int(self.incidence.shape[0])

    def name(self, variable: int) -> str:
        """The first cell of a variable, for messages: ``table: dim=code, …``."""
        row = self.cells.filter(pl.col("variable") == variable).row(0, named=True)
        return f"{row['table']}: " + ", ".join(f"{d.name}={row[d.name]}" for d in self.dims)
