"""Deterministic correction and prorating (确定性修正、按比例调整): one solution, or none and the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.editing.linear import LinearEdit, linear_system
from etl.methods.editing.rules import ROUNDING, numeric
from etl.methods.registry import method
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

FloatArray = NDArray[np.float64]
Marker = Literal["C", "T", "N", "M", "S"]
SAME: Final = 1e-9
RESERVED: Final = ("id", "marker", "total", "predictive", "original_total", "difference")


@method("editing.deterministic")
def deterministic_values(record: Mapping[str, float | None], edits: Sequence[LinearEdit]) -> dict[str, float]:
    """Missing values that equalities leave only one value for (a missing part of a balance, the total of known parts).

    Parameters
    ----------
    record
        Value by variable; ``None`` is missing.
    edits
        Linear edits; only equalities (their middle, where they have a tolerance) with exactly one missing variable decide it; repeated until no
        further value follows.

    Returns
    -------
    dict
        Values found, by variable; never one that an inequality of a single variable forbids.
    """
    known = {k: v for k, v in record.items() if v is not None}
    found: dict[str, float] = {}
    again = True
    while again:
        again = False
        for edit in (e for e in edits if e.is_equality):
            open_ = [v for v in edit.coefficients if v not in known]
            if len(open_) != 1 or open_[0] not in record:
                continue
            rest = sum(c * known[v] for v, c in edit.coefficients.items() if v != open_[0])
            value = ((edit.lower + edit.upper) / 2 - rest) / edit.coefficients[open_[0]] + 0.0
            if _allowed(open_[0], value, edits):
                known[open_[0]] = found[open_[0]] = value
                again = True
    return found


def _allowed(variable: str, value: float, edits: Sequence[LinearEdit]) -> bool:
    alone = [e for e in edits if set(e.coefficients) == {variable}]
    return not linear_system(alone, [variable]).fails(np.array([value])).any()


@method("editing.prorate")
def prorate(
    components: FloatArray, total: float, *, weights: FloatArray | None = None, decimals: int | None = None
) -> FloatArray:
    r"""Components moved in proportion so that they add up to the total.

    .. math:: x_j' = x_j + w_j|x_j|\,\frac{T - \sum_k x_k}{\sum_k w_k|x_k|}

    With equal weights this is :math:`x_j\,T/\sum x` for components of one sign. Zero and missing components stay as they
    are; a component of weight 0 is not moved.

    Parameters
    ----------
    components, weights
        Shape ``(k,)``; ``nan`` missing; weights not negative (a heavier one takes more of the difference), all 1 if not given.
    decimals
        Round to this many places and still add up: the remainders go to the components with the largest rest.

    Raises
    ------
    BadInput
        If nothing can be moved (all movable components zero), a component would change its sign, or the total has more
        places than ``decimals``.

    Source: Statistics Canada, Banff, prorating; Bankier, JOS 1986 for weights that say how far a component may be trusted.
    """
    known = np.where(np.isnan(components), 0.0, components)
    share = np.abs(known) * (np.ones(known.shape) if weights is None else weights)
    gap = total - known.sum()
    if decimals is not None and abs(round(total, decimals) - total) > ROUNDING * abs(total):
        raise BadInput(f"prorate: total {total} has more than {decimals} decimals, and parts rounded to {decimals} cannot "
                       "add up to it; give more decimals or correct the total")  # fmt: skip
    same = abs(gap) <= ROUNDING * (abs(total) + np.abs(known).sum())
    if share.sum() == 0 and not same:
        raise BadInput(f"prorate: no component can be moved to reach {total}; give one a value or correct the total")
    moved = known if same else known + share * gap / share.sum()
    if (moved * known < 0).any():
        raise BadInput(f"prorate: a component would change its sign to reach {total}; the record needs a look")
    moved = moved if decimals is None else _rounded(moved, total, decimals, share > 0)
    return np.where(np.isnan(components), np.nan, moved)


def _rounded(values: FloatArray, total: float, decimals: int, movable: NDArray[np.bool_]) -> FloatArray:
    step = 10.0**-decimals
    steps = np.where(movable, np.floor(values / step + SAME), values / step)
    left = round((total - steps.sum() * step) / step)
    rest = np.where(movable, values / step - steps, -np.inf)
    order = np.argsort(-rest, kind="stable")[: max(left, 0)]
    steps[order] += 1
    return np.asarray(np.round(steps * step, decimals))


@dataclass(frozen=True)
class TotalsAndComponents:
    """``marker``: ``C`` components corrected, ``T`` total corrected, ``N`` consistent, ``M`` to be looked at, ``S`` stopped."""

    marker: Marker
    total: float
    components: tuple[float, ...]
    difference: float | None


@method("editing.totals_and_components")
def totals_and_components(
    total: float,
    components: Sequence[float],
    *,
    amend_total: bool,
    predictive: float | None = None,
    absolute: float | None = None,
    percentage: float | None = None,
) -> TotalsAndComponents:
    """Total and parts made to agree when they differ by little; otherwise left for a person.

    The sum of parts is compared with ``predictive`` (default: the total). Within ``absolute`` or, else, when the predictive
    value lies within ``percentage`` (a share, 0.1) of the sum, the total (``amend_total``) or the parts are corrected.
    Sums and differences are those of the decimal numbers given. ``N``: the total is the sum, whatever the predictive value.
    ``M`` too where a part would change its sign. ``S``: a positive total whose parts add up to zero.

    Raises
    ------
    BadInput
        If neither threshold is given, one is negative or ``percentage`` is 1 or more.

    Source: ONS Statistical Methods Library, Totals and Components.
    """
    if absolute is None and percentage is None:
        raise BadInput("prorate: give absolute or percentage, the difference up to which a correction is made")
    if min(absolute or 0.0, percentage or 0.0) < 0:
        raise BadInput(f"prorate: absolute={absolute}, percentage={percentage}; expected at least 0")
    if percentage is not None and percentage >= 1:
        raise BadInput(f"prorate: percentage={percentage:g} is {percentage:.0%}; expected less than 1 (0.1 is 10 %)")
    parts, given = tuple(components), sum(map(_exact, components), Decimal(0))
    expected = _exact(total if predictive is None else predictive)
    if total > 0 and given == 0:
        return TotalsAndComponents("S", total, parts, None)
    gap = abs(expected - given)
    difference = float(gap)
    if _exact(total) == given:
        return TotalsAndComponents("N", total, parts, difference)
    near = absolute is not None and gap <= _exact(absolute)
    if not near and percentage is not None:
        near = given * (1 - _exact(percentage)) <= expected <= given * (1 + _exact(percentage))
    if near and amend_total:
        return TotalsAndComponents("T", float(given), parts, difference)
    if near and total > 0:
        try:
            return TotalsAndComponents("C", total, tuple(prorate(np.array(parts), total).tolist()), difference)
        except BadInput:  # a part would change its sign
            pass
    return TotalsAndComponents("M", total, parts, difference)


def _exact(value: float) -> Decimal:
    """The decimal number as written: 0.1 + 0.2 is 0.3."""
    return Decimal(repr(float(value)))


@table_method(
    "prorate",
    "按比例调整分项 / components prorated to their total",
    [
        Column("id", "text", "记录 / record"),
        Column("total", "number", "合计 / total"),
        Column("predictive", "number", "对照值（默认为合计）/ compared with, default the total", False, True),
        Column("(?!(id|total|predictive)$).+", "text", "分项 / components", True, True, pattern=True),
    ],
    [
        Parameter("components", "text", "分项名称 / names a,b,c", required=True),
        Parameter("amend_total", "flag", "改合计而非分项 / correct the total, not the parts", default=False),
        Parameter("absolute", "number", "绝对差上限 / largest absolute difference corrected"),
        Parameter("percentage", "number", "相对差上限（0.1 为 10%）/ largest relative difference corrected"),
        Parameter("decimals", "integer", "小数位（四舍五入后仍相等）/ places, still adding up"),
    ],
)
def run_prorate(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``id, marker, total, <components>, original_total, difference``; result: counts by marker."""
    names = [n.strip() for n in parameters["components"].split(",") if n.strip()]
    lost = [n for n in names if n not in frame.columns]
    if lost or not names:
        raise BadInput(
            f"prorate: components names {lost[0] if lost else 'nothing'}; columns: {', '.join(frame.columns)}"
        )
    odd = [n for n in names if n in RESERVED or names.count(n) > 1]
    if odd:
        raise BadInput(f"prorate: components names {odd[0]}, which " + (
            "is no component or a column of the result; rename the column" if odd[0] in RESERVED else "stands there twice"))  # fmt: skip
    values = numeric(frame.select(names), names, "prorate").cast(pl.Float64)
    expected = frame["predictive"] if "predictive" in frame.columns else [None] * frame.height
    rows = [
        _prorated(identifier, total, wanted, dict(zip(names, parts, strict=True)), parameters)
        for identifier, total, wanted, parts in zip(
            frame["id"], frame["total"], expected, values.iter_rows(), strict=True
        )
    ]
    markers = [r["marker"] for r in rows]
    return MethodResult(
        result={m: markers.count(m) for m in ("C", "T", "N", "M", "S")},
        rows=pl.DataFrame(rows, infer_schema_length=None),
    )


def _prorated(
    identifier: str, total: float, wanted: float | None, given: Mapping[str, float | None], options: Mapping[str, Any]
) -> dict[str, Any]:
    known = {n: v for n, v in given.items() if v is not None}
    found = totals_and_components(
        total,
        tuple(known.values()),
        amend_total=options["amend_total"],
        predictive=wanted,
        absolute=options["absolute"],
        percentage=options["percentage"],
    )
    if found.marker in ("C", "T") and len(known) < len(given):  # what is missing is not zero: a person looks
        found = TotalsAndComponents("M", total, tuple(known.values()), found.difference)
    parts = found.components
    if found.marker == "C" and options["decimals"] is not None:
        try:
            parts = tuple(prorate(np.array(list(known.values())), total, decimals=options["decimals"]).tolist())
        except BadInput as error:
            raise BadInput(f"{error} (id {identifier})") from None
    corrected = {**given, **dict(zip(known, parts, strict=True))}
    return {
        "id": identifier, "marker": found.marker, "total": found.total, **corrected,
        "original_total": total, "difference": found.difference,
    }  # fmt: skip
