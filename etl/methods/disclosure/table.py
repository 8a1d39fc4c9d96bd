"""From contributions to the linked tables of one statistic: cells, and the atoms they are sums of."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

TOTAL: Final = "_T"
MONEY: Final = pl.Decimal(24, 2)
CENTS_LIMIT: Final = 2**62
Kind = Literal["magnitude", "count"]
Parents = Mapping[str, str | None]
Offers = Mapping[str, Collection[str]]


@dataclass(frozen=True)
class Table:
    """Linked tables over one set of contributions; the common input of protection and audit.

    Attributes
    ----------
    dims : all dimensions used by any table, in order of first use.
    cells : one row per cell: ``table``, ``dims`` (``_T`` where totalled), ``depth`` (0 is the grand total),
        ``offered`` (whether it may be published at all) and ``variable`` (row of ``incidence``; -1 for an empty
        cell). Cells that sum the same atoms share a variable.
    atoms : non-empty combinations of leaf codes: ``atom``, ``dims``, ``cents`` (Int64, value × 100, positive).
    parts : contributions summed by group: ``atom``, ``contributor``, ``observed``, ``cents``.
    incidence : shape ``(variables, atoms)``, True where the variable includes the atom.
    hierarchies : parent of every code by dimension, as given.
    kind : ``magnitude`` (frequency and p% rule) or ``count`` (frequency rule only).
    unanswered : by dimension, codes under which nobody answered anything.
    hash : SHA-256 of the tables asked for and the contributions, whatever the order of the rows.
    """

    dims: tuple[str, ...]
    cells: pl.DataFrame
    atoms: pl.DataFrame
    parts: pl.DataFrame
    incidence: NDArray[np.bool_]
    hierarchies: Mapping[str, Parents]
    kind: Kind
    hash: str
    unanswered: Offers

    def answers(self, cells: pl.DataFrame) -> NDArray[np.bool_]:
        """Which cells (rows with ``dims``) hold something anybody answered, shape ``(cells,)``."""
        silent = [pl.col(d).is_in(list(codes)) for d, codes in self.unanswered.items() if d in self.dims]
        if not silent:
            return np.ones(cells.height, dtype=np.bool_)
        return cells.select(~pl.any_horizontal(silent)).to_series().to_numpy()

    @property
    def cents(self) -> NDArray[np.int64]:
        """Value × 100 of every variable, shape ``(variables,)``: exact integer sums of atoms."""
        cents: NDArray[np.int64] = self.incidence @ self.atoms["cents"].to_numpy().astype(np.int64)
        return cents


def _split(item: str) -> tuple[str, int | None]:
    """``"ai_class:1"`` → ("ai_class", 1): show the codes down to depth 1; without a suffix all levels."""
    dim, _, level = item.partition(":")
    if level and not level.isdigit():
        raise ValueError(f"dimension {item!r}: expected name or name:level with a whole number after the colon")
    return dim, int(level) if level else None


def _lineage(code: str, parents: Parents, dim: str) -> list[str]:
    """The code and its ancestors from the root down, without the total."""
    line = [code]
    while (parent := parents[line[-1]]) is not None and parent != TOTAL:
        if parent not in parents or parent in line:
            raise ValueError(
                f"hierarchy of {dim!r}: parent {parent!r} of {line[-1]!r} is not a code of it, or a circle"
            )
        line.append(parent)
    return line[::-1]


def _closure(dim: str, level: int | None, parents: Parents) -> pl.DataFrame:
    """Every (code, shown code above it or itself, depth of the shown code), with the total at depth 0."""
    rows = [
        (code, shown, depth)
        for code in parents
        for depth, shown in enumerate([TOTAL, *_lineage(code, parents, dim)])
        if level is None or depth <= level
    ]
    return pl.DataFrame(
        rows, schema={dim: pl.String, f"{dim}__shown": pl.String, f"{dim}__depth": pl.Int64}, orient="row"
    )


def _check_micro(micro: pl.DataFrame, dims: Sequence[str], hierarchies: Mapping[str, Parents]) -> None:
    for dim in dims:
        if dim not in hierarchies:
            raise ValueError(f"no hierarchy given for dimension {dim!r}")
        parents = hierarchies[dim]
        inner = {p for p in parents.values() if p is not None}
        wrong = [c for c in micro[dim].unique().to_list() if c is None or c not in parents or c in inner]
        if wrong:
            raise ValueError(
                f"dimension {dim!r}: {sorted(map(str, wrong))[:5]} are not leaf codes of its hierarchy; "
                "code every contribution to a leaf (a residual one where nothing else is known)"
            )


def _cents(micro: pl.DataFrame, value: str | None) -> pl.Expr:
    if value is None:
        return pl.lit(100, dtype=pl.Int64)
    dtype = micro.schema[value]
    if not (dtype.is_integer() or (isinstance(dtype, pl.Decimal) and dtype.scale <= 2)):
        raise ValueError(f"column {value!r} is {dtype}; expected whole numbers or Decimal with at most 2 places")
    return (pl.col(value).cast(pl.Decimal(36, 2)) * 100).cast(pl.Int64)


def _parts(
    micro: pl.DataFrame, dims: Sequence[str], value: str | None, contributor: str, observed: str | None
) -> pl.DataFrame:
    """Positive contributions summed by atom, group and kind of knowledge, in canonical order."""
    rows = micro.select(
        *dims,
        contributor=pl.col(contributor).cast(pl.String),
        observed=pl.lit(True) if observed is None else pl.col(observed),
        cents=_cents(micro, value),
    ).drop_nulls("cents")
    if rows["observed"].null_count() or rows.filter("observed")["contributor"].null_count():
        raise ValueError("every observed contribution needs a contributor, and every contribution a known 'observed'")
    if rows.height and int(rows["cents"].min()) < 0:  # type: ignore[arg-type]
        raise ValueError("a contribution is negative; this rule set is for magnitudes of zero or more")
    if rows.height and float(rows["cents"].cast(pl.Float64).sum()) >= CENTS_LIMIT:
        raise ValueError("the total exceeds 46 million billion: values seem to be in the wrong unit")
    key = [*dims, "contributor", "observed"]
    return rows.filter(pl.col("cents") > 0).group_by(key).agg(pl.col("cents").sum()).sort(key, nulls_last=True)


def _grid(
    name: str,
    shown: Sequence[tuple[str, int | None]],
    dims: Sequence[str],
    hierarchies: Mapping[str, Parents],
    offers: Offers,
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """All cells of one table, empty ones too, and the closures of its dimensions."""
    closures = [_closure(dim, level, hierarchies[dim]) for dim, level in shown]
    grid = pl.DataFrame({"table": [name], "depth": [0], "offered": [True]}, schema_overrides={"depth": pl.Int64})
    for closure, (dim, _) in zip(closures, shown, strict=True):
        codes = closure.select(pl.col(f"{dim}__shown").alias(dim), f"{dim}__depth").unique().sort(dim)
        grid = grid.join(codes, how="cross")
        if dim in offers:
            grid = grid.with_columns(offered=pl.col("offered") & pl.col(dim).is_in(list(offers[dim])))
        else:
            grid = grid.with_columns(depth=pl.col("depth") + pl.col(f"{dim}__depth"))
    rest = [pl.lit(TOTAL).alias(d) for d in dims if d not in dict(shown)]
    return grid.with_columns(rest).select("table", *dims, "depth", "offered"), closures


def _members(
    atoms: pl.DataFrame, name: str, shown: Sequence[tuple[str, int | None]], dims: Sequence[str],
    closures: Sequence[pl.DataFrame],
) -> pl.DataFrame:  # fmt: skip
    """Pairs (cell of the table, atom in it)."""
    pairs = atoms.select("atom", *dims)
    for closure, (dim, _) in zip(closures, shown, strict=True):
        pairs = pairs.join(closure, on=dim, how="inner")
    return pairs.select(
        "atom",
        pl.lit(name).alias("table"),
        *(pl.col(f"{d}__shown").alias(d) if d in dict(shown) else pl.lit(TOTAL).alias(d) for d in dims),
    )


def _variables(cells: pl.DataFrame, members: pl.DataFrame, atoms: int) -> tuple[pl.DataFrame, NDArray[np.bool_]]:
    """Number the distinct sets of atoms in order of first cell; empty cells get -1."""
    incidence = np.zeros((cells.height, atoms), dtype=np.bool_)
    incidence[members["cell"].to_numpy(), members["atom"].to_numpy()] = True
    seen: dict[bytes, int] = {}
    variable = [seen.setdefault(row.tobytes(), len(seen)) if row.any() else -1 for row in incidence]
    first: list[int] = [variable.index(v) for v in range(len(seen))]
    return cells.with_columns(variable=pl.Series(variable, dtype=pl.Int64)), incidence[first]


def _cells(
    shown: Mapping[str, Sequence[tuple[str, int | None]]],
    atoms: pl.DataFrame,
    dims: Sequence[str],
    hierarchies: Mapping[str, Parents],
    offers: Offers,
) -> tuple[pl.DataFrame, NDArray[np.bool_]]:
    """Cells of all tables in order of table and codes, and the incidence of their variables."""
    grids, pairs = [], []
    for name in sorted(shown):
        grid, closures = _grid(name, shown[name], dims, hierarchies, offers)
        grids.append(grid)
        pairs.append(_members(atoms, name, shown[name], dims, closures))
    key = ["table", *dims]
    cells = pl.concat(grids).sort(key).with_row_index("cell").with_columns(pl.col("cell").cast(pl.Int64))
    members = pl.concat(pairs).join(cells.select("cell", *key), on=key)
    cells, incidence = _variables(cells, members, atoms.height)
    return cells.drop("cell"), incidence


def _hash(tables: Mapping[str, Sequence[str]], kind: str, parts: pl.DataFrame, dims: Sequence[str]) -> str:
    head = repr((sorted((k, tuple(v)) for k, v in tables.items()), kind, tuple(dims)))
    return sha256(
        head.encode() + parts.select(*dims, "contributor", "observed", "cents").write_csv().encode()
    ).hexdigest()


def build_table(
    micro: pl.DataFrame,
    tables: Mapping[str, Sequence[str]],
    hierarchies: Mapping[str, Parents],
    value: str | None,
    contributor: str,
    observed: str | None = None,
    kind: Kind = "magnitude",
    offers: Offers | None = None,
    unanswered: Offers | None = None,
) -> Table:
    """Cells of all tables and the atoms behind them.

    Parameters
    ----------
    micro
        One row per contribution: leaf codes of the dimensions, ``contributor`` (enterprise group), ``value``
        (Decimal with at most 2 places or whole numbers, never negative; null is a gap and adds nothing) and
        ``observed`` (Boolean; False for a modelled contribution, which adds to the value but is nobody's
        answer).
    tables
        Name → dimensions shown. ``dim:k`` shows codes down to depth k of the hierarchy only (roots have
        depth 1). Every table holds all shown levels, all totals and all empty cells; dimensions not listed
        are totalled.
    hierarchies
        By dimension, child → parent; a root has the parent ``None`` or ``_T``.
    value
        Column of the values; ``None`` counts every contribution as one.
    kind
        ``count`` for memberships: the dominance rule has no meaning there.
    offers
        By dimension, the codes (``_T`` too) that are published where a table shows the dimension; cells of its
        other codes are protected where they are unsafe and never published. For dimensions that split a figure
        into parts (a share's numerator): they count as no detail, so that ``depth`` leaves them out.
    unanswered
        By dimension, codes of those who left the item blank: nothing anybody said can be learned from such a cell, so
        that it is not unsafe by itself (a cell of the same contributions under another code still is).

    Raises
    ------
    ValueError
        For unknown or inner codes, gaps in codes or contributors, negative values, floats.
    """
    shown = {name: [_split(item) for item in items] for name, items in tables.items()}
    dims = tuple(dict.fromkeys(dim for items in shown.values() for dim, _ in items))
    _check_micro(micro, dims, hierarchies)
    parts = _parts(micro, dims, value, contributor, observed)
    atoms = (
        parts.group_by(dims).agg(pl.col("cents").sum()).sort(dims).with_row_index("atom") if dims else _single(parts)
    )
    atoms = atoms.with_columns(pl.col("atom").cast(pl.Int64))
    cells, incidence = _cells(shown, atoms, dims, hierarchies, offers or {})
    linked = parts.join(atoms.select("atom", *dims), on=dims) if dims else parts.with_columns(atom=pl.lit(0, pl.Int64))
    digest = _hash(tables, kind, parts, dims)
    silent = {d: frozenset(codes) for d, codes in (unanswered or {}).items()}
    return Table(dims, cells, atoms, linked.drop(dims), incidence, hierarchies, kind, digest, silent)


def _single(parts: pl.DataFrame) -> pl.DataFrame:
    """The one atom of tables without any dimension (none if there is no contribution)."""
    total: dict[str, Any] = {"atom": [0], "cents": [int(parts["cents"].sum())]}
    return pl.DataFrame(total, schema={"atom": pl.UInt32, "cents": pl.Int64}).filter(pl.col("cents") > 0)
