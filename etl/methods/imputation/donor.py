"""Nearest-neighbour donor (最近邻供者插补): a missing value comes from the most alike record, if the result passes the edits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.editing.linear import LinearEdit, linear_edits, linear_system
from etl.methods.editing.rules import edits_from_lines, numeric
from etl.methods.refusals import refuse_duplicates
from etl.methods.registry import method
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
SCALES: Final = ("rank", "none")
TRIED_AT_ONCE: Final = 16


@dataclass(frozen=True)
class Donors:
    """``donor``: row of the donor, -1 where none (shape ``(n,)``); ``distance`` (``nan``), ``tried``; ``values`` filled."""

    donor: IntArray
    distance: FloatArray
    tried: IntArray
    values: FloatArray


@method("imputation.donor")
def impute_donor(
    targets: FloatArray,
    match: FloatArray,
    *,
    scale: str = "rank",
    passes: Sequence[LinearEdit] = (),
    names: Sequence[str] = (),
    most_tried: int = 50,
    most_uses: int = 0,
) -> Donors:
    r"""Fill missing targets of each row by those of the nearest complete row.

    .. math:: D(i, d) = \max_k |z_{ik} - z_{dk}|, \qquad z = rank/(n+1) \text{ (scale rank) or the value itself}

    Parameters
    ----------
    targets
        Shape ``(n, p)``; ``nan`` missing. Donors are rows without a missing target that pass the edits.
    match
        Shape ``(n, q)``: variables that say how alike two rows are; a recipient with a missing one gets no donor.
    passes
        Edits over ``names`` (the columns of ``targets``) that the filled row must satisfy; else the next nearest is tried,
        ``most_tried`` at most.
    most_uses
        Times a donor may be used (0: no limit), in the order of the rows.

    Ties go to the donor that stands first. Source: Statistics Canada, Banff, donor imputation (minimax distance of ranks).

    Raises
    ------
    BadInput
        If shapes or options do not fit.
    """
    if scale not in SCALES or most_tried < 1 or most_uses < 0 or targets.shape[0] != match.shape[0]:
        raise BadInput(f"impute_donor: scale {scale!r}, most_tried {most_tried}, most_uses {most_uses}; see the page")
    size = targets.shape[0]
    _refuse_others(passes, names)
    system = linear_system(passes, names or [""] * targets.shape[1])
    alike: NDArray[np.bool_] = np.asarray(np.isfinite(match).all(axis=1))
    complete = np.isfinite(targets).all(axis=1) & alike
    donors = np.flatnonzero(complete & ~system.fails(np.nan_to_num(targets)).any(axis=1))
    found = Donors(np.full(size, -1), np.full(size, np.nan), np.zeros(size, dtype=np.int64), targets.copy())
    if not donors.size:
        return found
    from scipy.spatial import cKDTree  # half a second to load with its company; most nights have no donor to look for

    placed, unit = _placed(match, alike, scale)
    tree = cKDTree(placed[donors])
    uses = np.zeros(size, dtype=np.int64)
    for i in np.flatnonzero(~np.isfinite(targets).all(axis=1) & alike):
        for d, distance in _nearest(tree, placed[i], donors):
            if most_uses and uses[d] >= most_uses:
                continue
            found.tried[i] += 1
            filled = np.where(np.isfinite(targets[i]), targets[i], targets[d])
            if not system.fails(filled).any():
                found.donor[i], found.distance[i], found.values[i] = d, distance / unit, filled
                uses[d] += 1
                break
            if found.tried[i] >= most_tried:
                break
    return found


def _refuse_others(passes: Sequence[LinearEdit], names: Sequence[str]) -> None:
    for edit in passes:
        lost = [v for v in edit.coefficients if v not in names]
        if lost:
            raise BadInput(f"impute_donor: edit {edit.id} reads {lost[0]}, which is not a target ({', '.join(names)})")


def _placed(match: FloatArray, alike: NDArray[np.bool_], scale: str) -> tuple[FloatArray, float]:
    """Values or ranks, and what distances are divided by: of undivided ranks equal distances are exactly equal."""
    if scale == "none":
        return match, 1.0
    from scipy.stats import rankdata  # as the tree

    placed = np.full(match.shape, np.nan)
    for k in range(match.shape[1]):
        placed[alike, k] = rankdata(match[alike, k])
    return placed, float(alike.sum() + 1)


def _nearest(tree: "cKDTree", point: FloatArray, donors: IntArray):  # type: ignore[no-untyped-def]
    """Donors from the nearest on, equal distances in the order of rows."""
    seen, reach = 0, min(TRIED_AT_ONCE, donors.size)
    while seen < donors.size:
        distances, places = tree.query(point, k=range(1, reach + 1), p=np.inf)
        edge = np.inf if reach == donors.size else distances[-1]
        if reach < donors.size and distances[0] == edge:
            reach = min(donors.size, 4 * reach)
            continue
        order = np.lexsort((places, distances))
        inside = [(int(donors[places[j]]), float(distances[j])) for j in order if distances[j] < edge]
        yield from inside[seen:]
        seen = len(inside)
        if reach == donors.size:
            return
        reach = min(donors.size, 4 * reach)


def _text_list(text: str, columns: Sequence[str], what: str) -> list[str]:
    names = [n.strip() for n in text.split(",") if n.strip()]
    lost = [n for n in names if n not in columns]
    twice = [n for n in names if names.count(n) > 1]
    if twice:
        raise BadInput(f"impute_donor: {what} names {twice[0]} twice")
    if lost or not names:
        raise BadInput(f"impute_donor: {what} names {lost[0] if lost else 'nothing'}; columns: {', '.join(columns)}")
    return names


@table_method(
    "impute_donor",
    "最近邻供者插补 / nearest-neighbour donor",
    [
        Column("id", "text", "记录 / record"),
        Column("cell", "text", "插补类（同类内找供者）/ donors come from the same cell", required=False),
        Column("(?!(id|cell)$).+", "text", "变量 / variables", True, True, pattern=True),
    ],
    [
        Parameter("targets", "text", "待插补变量 / variables to impute a,b", required=True),
        Parameter("match", "text", "匹配变量 / variables that say how alike c,d", required=True),
        Parameter(
            "edits", "lines", "插补后须满足的审核关系 / linear edits of the targets that the result must satisfy"
        ),
        Parameter("scale", "choice", "距离的尺度 / scale of the distance", default="rank", choices=SCALES),
        Parameter("most_tried", "integer", "最多试供者数 / donors tried at most", default=50),
        Parameter("most_uses", "integer", "一供者最多用次数（0 不限）/ uses of a donor, 0 no limit", default=0),
    ],
)
def run_impute_donor(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows (one a value imputed or left missing): ``id, variable, value, donor, distance, tried``."""
    refuse_duplicates("impute_donor", frame, "id")
    columns = [c for c in frame.columns if c not in ("id", "cell")]
    targets = _text_list(parameters["targets"], columns, "targets")
    match = _text_list(parameters["match"], columns, "match")
    edits = linear_edits(edits_from_lines(parameters["edits"])) if parameters["edits"] else ()
    table = numeric(frame.select(list(dict.fromkeys(targets + match))), targets + match, "impute_donor")
    table = table.with_columns(frame["id"], cell=frame["cell"] if "cell" in frame.columns else pl.lit("all"))
    rows: list[dict[str, Any]] = []
    for part in table.with_row_index("_row").partition_by("cell", maintain_order=True):
        given = part.select(targets).cast(pl.Float64).to_numpy().astype(np.float64)
        alike = part.select(match).cast(pl.Float64).to_numpy().astype(np.float64)
        options = {k: parameters[k] for k in ("scale", "most_tried", "most_uses")}
        found = impute_donor(given, alike, passes=edits, names=targets, **options)
        rows += _described(part, targets, given, found)
    rows.sort(key=lambda r: r.pop("_row"))
    done = [r for r in rows if r["donor"] is not None]
    return MethodResult(
        result={"values_missing": len(rows), "imputed": len(done), "donors_used": len({r["donor"] for r in done})},
        rows=pl.DataFrame(rows, schema=_SCHEMA),
    )


_SCHEMA: Mapping[str, Any] = {
    "id": pl.String, "variable": pl.String, "value": pl.Float64, "donor": pl.String, "distance": pl.Float64, "tried": pl.Int64,
}  # fmt: skip


def _described(part: pl.DataFrame, targets: Sequence[str], given: FloatArray, found: Donors) -> list[dict[str, Any]]:
    ids, places = part["id"].to_list(), part["_row"].to_list()
    return [
        {
            "_row": places[i],
            "id": ids[i],
            "variable": targets[j],
            "value": float(found.values[i, j]) if found.donor[i] >= 0 else None,
            "donor": ids[found.donor[i]] if found.donor[i] >= 0 else None,
            "distance": float(found.distance[i]) if found.donor[i] >= 0 else None,
            "tried": int(found.tried[i]),
        }
        for i, j in zip(*np.nonzero(np.isnan(given)), strict=True)
    ]
