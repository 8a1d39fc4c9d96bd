"""Calibration of weights to known totals: linear (GREG), raking, bounded."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, eye, hstack, vstack

from etl.methods.refusals import refuse_duplicates, refuse_row, refused
from etl.methods.registry import method
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method
from etl.methods.weighting.distances import Distance, factor

FloatArray = NDArray[np.float64]
EXACT = 1e-9
"""Largest miss of a total, relative to it (to 1 where the total is smaller)."""


class Infeasible(ValueError):
    """No weights with the wanted property meet the totals; the message says what would."""


@dataclass(frozen=True)
class Calibrated:
    """``weight`` and ``g`` (new over design weight), shape ``(n,)``; ``miss`` largest relative miss of a total."""

    weight: FloatArray
    g: FloatArray
    iterations: int
    miss: float


@method("weighting.calibrate")
def calibrate(
    weight: FloatArray,
    x: FloatArray,
    totals: FloatArray,
    *,
    distance: Distance = "linear",
    bounds: tuple[float, float] | None = None,
    scale: FloatArray | None = None,
    names: Sequence[str] | None = None,
    max_iterations: int = 200,
) -> Calibrated:
    r"""Weights nearest to the design weights that reproduce known totals.

    .. math:: w_i = d_i\, F(q_i\, x_i^\top \lambda), \qquad \sum_i w_i x_i = t

    ``linear`` F(u) = 1 + u (regression estimator, weights may be negative), ``raking`` F(u) = exp u (positive,
    multiplicative), ``logit`` strictly between the bounds. Bounds with ``linear`` or ``raking`` cut F (truncated
    method). Solved by damped Newton steps on the convex dual; totals are met to 1e-9 (relative).

    Parameters
    ----------
    weight
        Shape ``(n,)``: design weights :math:`d`, positive.
    x
        Shape ``(n, k)``: calibration variables, no gaps; redundant columns are welcome if their totals agree.
    totals
        Shape ``(k,)``: population totals :math:`t` in the units of ``x``.
    bounds
        Lower and upper bound of :math:`g = w / d`, lower < 1 < upper; needed for ``logit``.
    scale
        Shape ``(n,)``: :math:`q`, default 1; :math:`q_i = 1 / x_i` with one variable gives the ratio estimator.
    names
        Of the variables, for messages.

    Raises
    ------
    Infeasible
        If the totals contradict each other or cannot be met within the bounds; says which total is off, and the
        narrowest bounds that would do.
    ValueError
        If shapes disagree, values are missing, weights are not positive or bounds do not enclose 1.
    """
    d, x, t = (np.asarray(a, dtype=np.float64) for a in (weight, x, totals))
    q = np.ones_like(d) if scale is None else np.asarray(scale, dtype=np.float64)
    labels = [f"x{j + 1}" for j in range(t.size)] if names is None else list(names)
    _check(d, x, t, q, distance, bounds)
    found = _solved(d, x, t, q, distance, bounds, max_iterations)
    if not found.miss <= EXACT:
        _explain(d, x, t, q, found.g, labels, distance, bounds, max_iterations)
    return found


def _solved(
    d: FloatArray,
    x: FloatArray,
    t: FloatArray,
    q: FloatArray,
    distance: Distance,
    bounds: tuple[float, float] | None,
    max_iterations: int,
) -> Calibrated:
    """The weights the steps come to, whatever they miss."""
    # columns in units of their size: the steps are then free of units of measure
    unit = np.maximum(np.abs(d[:, None] * x).sum(axis=0), np.abs(t))
    unit[unit == 0] = 1.0
    z, goal, multiplier = x / unit, t / unit, np.zeros(t.size)
    steps = 0
    while steps < max_iterations:
        found = factor(distance, q * (z @ multiplier), bounds)
        if _miss(d * found.value, x, t) <= EXACT / 100:
            break
        moved = _step(d, z, q, goal, multiplier, goal - (d * found.value) @ z, distance, bounds)
        if moved is None:
            break
        multiplier, steps = moved, steps + 1
    g = factor(distance, q * (z @ multiplier), bounds).value
    g = _polish(d, z, g, goal, distance, bounds)
    return Calibrated(d * g, g, steps, _miss(d * g, x, t))


def _check(
    d: FloatArray, x: FloatArray, t: FloatArray, q: FloatArray, distance: str, bounds: tuple[float, float] | None
) -> None:
    if x.ndim != 2 or x.shape != (d.size, t.size) or q.shape != d.shape or not t.size:
        raise ValueError(f"weights {d.shape}, variables {x.shape} and totals {t.shape} do not fit together")
    if not (np.isfinite(x).all() and np.isfinite(t).all()):
        raise ValueError("a calibration variable or total is missing; impute it before")
    if not ((d > 0) & np.isfinite(d)).all() or not ((q > 0) & np.isfinite(q)).all():
        raise ValueError("design weights have to be known and positive")
    if bounds is None and distance == "logit":
        raise ValueError("method logit needs bounds, such as 0.5,2")
    if bounds is not None and not 0 <= bounds[0] < 1 < bounds[1]:
        raise ValueError(f"bounds {bounds[0]:g} and {bounds[1]:g} have to enclose 1, the lower one not negative")


def _miss(weight: FloatArray, x: FloatArray, t: FloatArray) -> float:
    return float((np.abs(weight @ x - t) / np.maximum(np.abs(t), 1.0)).max())


def _dual(d: FloatArray, q: FloatArray, u: FloatArray, distance: Distance, bounds: tuple[float, float] | None) -> float:
    return float((d / q) @ factor(distance, u, bounds).integral)


def _step(
    d: FloatArray,
    z: FloatArray,
    q: FloatArray,
    goal: FloatArray,
    multiplier: FloatArray,
    gradient: FloatArray,
    distance: Distance,
    bounds: tuple[float, float] | None,
) -> FloatArray | None:
    """The next multiplier, by Newton with ridge and line search; None where the dual cannot be lowered any more."""
    u = q * (z @ multiplier)
    slope = factor(distance, u, bounds).slope
    hessian = (z * (d * q * slope)[:, None]).T @ z
    now = _dual(d, q, u, distance, bounds) - multiplier @ goal
    for ridge in (0.0, 1e-10, 1e-6, 1e-3, 1.0):
        matrix = hessian + ridge * np.eye(len(goal))
        direction = np.linalg.pinv(matrix, rcond=1e-13, hermitian=True) @ gradient
        gain = float(gradient @ direction)
        if not np.isfinite(gain) or gain <= 0:
            continue
        length = 1.0
        while length > 1e-12:
            new = multiplier + length * direction
            value = _dual(d, q, q * (z @ new), distance, bounds) - new @ goal
            if np.isfinite(value) and value <= now - 1e-4 * length * gain + 1e-15 * abs(now):
                return np.asarray(new)
            length /= 2
    return None


def _polish(
    d: FloatArray, z: FloatArray, g: FloatArray, goal: FloatArray, distance: str, bounds: tuple[float, float] | None
) -> FloatArray:
    """Remove what rounding left of the miss by a linear step over the weights that lie inside their bounds."""
    low = bounds[0] if bounds else (0.0 if distance == "raking" else -np.inf)
    high = bounds[1] if bounds else np.inf
    for _ in range(3):
        left = goal - (d * g) @ z
        if np.abs(left).max() < 1e-16:
            break
        inside = (g > low) & (g < high)
        base = d * g * inside if distance == "raking" else d * inside
        spread = (z * base[:, None]).T @ z
        ratio = base / d
        moved = g + ratio * (z @ (np.linalg.pinv(spread, rcond=1e-13, hermitian=True) @ left))
        if not ((moved >= low) & (moved <= high)).all() or np.abs(moved - g).max(initial=0) > 1e-6:
            break
        g = moved
    return g


def _explain(
    d: FloatArray,
    x: FloatArray,
    t: FloatArray,
    q: FloatArray,
    g: FloatArray,
    names: Sequence[str],
    distance: Distance,
    bounds: tuple[float, float] | None,
    max_iterations: int,
) -> None:
    """Raise with the reason: contradiction, bounds too narrow (and which would do), or no convergence."""
    reached = (d * g) @ x
    worst = int((np.abs(reached - t) / np.maximum(np.abs(t), 1)).argmax())
    off = f"total {names[worst]} would be {reached[worst]:.10g} instead of {t[worst]:.10g}"
    scaled = (x * d[:, None]) / np.maximum(np.abs(t), 1.0)
    aim = t / np.maximum(np.abs(t), 1.0)
    solution, *_ = np.linalg.lstsq(scaled.T, aim, rcond=None)
    if np.abs(scaled.T @ solution - aim).max() > 1e-7:
        raise Infeasible(f"the totals contradict each other or the sample has no unit for one of them: {off}; "
                         "check the totals file, join classes that have no unit in the sample")  # fmt: skip
    low, high = bounds if bounds is not None else (0.0 if distance == "raking" else -np.inf, np.inf)
    if feasible(scaled, aim, low, high):
        raise Infeasible(f"no convergence: {off}; widen the bounds, join small classes or use method linear")
    if bounds is None:
        raise Infeasible(f"no positive weights, as method {distance} gives them, meet the totals: {off}; "
                         "check the totals; method linear would need negative weights")  # fmt: skip
    tried = (
        wider
        for wider in outward(narrowest_bounds(scaled, aim))
        if _solved(d, x, t, q, distance, wider, max_iterations).miss <= EXACT
    )
    found = next(tried, None)
    cure = f"the narrowest bounds about 1 that do are {found[0]:.4f} and {found[1]:.4f}" if found else (
        "no weights without a negative one do; method linear without bounds allows these")  # fmt: skip
    raise Infeasible(f"no weights within bounds {low:g} and {high:g} meet the totals: {off}; {cure}")


def outward(width: float) -> Iterator[tuple[float, float]]:
    """Bounds of four digits about 1 that hold ``1 - width`` and ``1 + width``, wider and wider; none if it is ``inf``.

    The linear programme is exact to 1e-7, and the interval of method logit is open: not the first may do.
    """
    for slack in (1e-6, 1e-4, 1e-3, 1e-2, 1e-1) if np.isfinite(width) else ():
        low, high = 1 - width - slack, 1 + width + slack
        yield max(math.floor(low * 1e4) / 1e4, 0.0), math.ceil(high * 1e4) / 1e4


def feasible(contribution: FloatArray, goal: FloatArray, low: float, high: float) -> bool:
    """Whether any g between the bounds meets the totals (linear programme); arguments as :func:`narrowest_bounds`."""
    solved = linprog(np.zeros(len(contribution)), A_eq=contribution.T, b_eq=goal, bounds=(low, high), method="highs")
    return bool(solved.status == 0)


def narrowest_bounds(contribution: FloatArray, goal: FloatArray) -> float:
    """Smallest r such that some g with ``max(0, 1 - r) <= g <= 1 + r`` meets the totals; ``inf`` where none does.

    ``contribution`` shape ``(n, k)``: design weight times variable; ``goal`` shape ``(k,)``.
    """
    n = len(contribution)
    one = csr_matrix(np.ones((n, 1)))
    upper = vstack([hstack([eye(n), -one]), hstack([-eye(n), -one])]).tocsr()
    equal = np.hstack([contribution.T, np.zeros((len(goal), 1))])
    solved = linprog(
        np.append(np.zeros(n), 1.0), A_ub=upper, b_ub=np.concatenate([np.ones(n), -np.ones(n)]), A_eq=equal, b_eq=goal,
        bounds=(0, None), method="highs",
    )  # fmt: skip
    return float(solved.x[n]) if solved.status == 0 else np.inf


METHODS = ("linear", "raking", "logit", "bounded")


@table_method(
    "calibrate_weights",
    "校准权数 / calibration of weights",
    [
        Column("unit", "text", "单位 / unit, once"),
        Column("design_weight", "number", "设计权数 / design weight, positive"),
        Column("x\\d+", "number", "校准变量 x1 … xk / calibration variables", pattern=True),
    ],
    [
        Parameter("totals", "table", "各变量总体总量：variable,total 或一行 x1…xk / known totals", required=True),
        Parameter("method", "choice", "方法 / method; bounded = linear cut at the bounds", "linear", METHODS),
        Parameter("bounds", "numbers", "新旧权数之比的下限、上限，如 0.5,2 / bounds of new over design weight"),
    ],
)
def run_calibrate(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows ``unit, design_weight, g_weight, calibrated_weight`` in the order of the input."""
    refuse_duplicates("calibrate_weights", frame, "unit")
    names = [c for c in frame.columns if c not in ("unit", "design_weight")]
    bounds = parameters["bounds"]
    if bounds is not None and len(bounds) != 2:
        raise BadInput(
            f"calibrate_weights: parameter bounds has {len(bounds)} numbers; two are expected, such as 0.5,2"
        )
    asked = parameters["method"]
    if asked == "bounded" and bounds is None:
        raise BadInput("calibrate_weights: method bounded needs bounds; add --param bounds=0.5,2")
    not_positive = frame["design_weight"] <= 0
    refuse_row("calibrate_weights", frame, not_positive, "design_weight is not positive", "unit", "design_weight")
    x, d = frame.select(names).to_numpy().astype(np.float64), frame["design_weight"].to_numpy()
    with refused("calibrate_weights"):
        known = read_totals(parameters["totals"], names)
        found = calibrate(
            d, x, known, distance="linear" if asked == "bounded" else asked,
            bounds=tuple(bounds) if bounds else None, names=names,
        )  # fmt: skip
    reached = found.weight @ x
    rows = frame.select("unit", "design_weight").with_columns(
        g_weight=pl.Series(found.g), calibrated_weight=pl.Series(found.weight)
    )
    result = {
        "method": asked, "units": rows.height, "iterations": found.iterations, "max_relative_error": found.miss,
        "g_min": float(found.g.min()), "g_max": float(found.g.max()),
        "negative_weights": int((found.g < -EXACT).sum()),
        "totals": {n: {"target": float(k), "design": float(d @ x[:, j]), "calibrated": float(reached[j])}
                   for j, (n, k) in enumerate(zip(names, known, strict=True))},
    }  # fmt: skip
    return MethodResult(result, rows)


def read_totals(table: pl.DataFrame, names: Sequence[str]) -> FloatArray:
    """Totals of ``names`` from a frame of strings: two columns (variable, total), or one row with a column for each.

    Raises
    ------
    ValueError
        If a variable has no total, more than one, or it is not a number, or a total belongs to no variable.
    """
    numbers = [c for c in table.columns if _number(c) is not None]
    if numbers:
        raise ValueError(f"the totals file has no header line: it begins with {', '.join(table.columns)}; "
                         "write variable,total above the first total")  # fmt: skip
    if table.height == 1 and set(table.columns) & set(names):
        pairs = list(table.row(0, named=True).items())
    elif {"variable", "total"} <= set(table.columns) or table.width == 2:
        chosen = ["variable", "total"] if {"variable", "total"} <= set(table.columns) else table.columns
        pairs = list(table.select(chosen).iter_rows())
    else:
        raise ValueError("the totals file needs columns variable and total, or one row with a column for each variable")
    given: dict[str, float] = {}
    for name, text in pairs:
        key, total = str(name or "").strip(), _number(text)
        if key in given:
            raise ValueError(f"the totals file gives {key} twice")
        if total is None or not key:
            said = "empty" if text is None else repr(text)
            raise ValueError(f"the totals file: the total of {key or 'a line without a variable'} is {said}; variable and "
                             "total are expected in this order, the total a number")  # fmt: skip
        given[key] = total
    lost, extra = [n for n in names if n not in given], [n for n in given if n not in names]
    if lost or extra:
        raise ValueError(
            f"variables of the input and the totals file differ: no total for {lost}, no column for {extra}"
        )
    return np.array([given[n] for n in names])


def _number(text: Any) -> float | None:
    try:
        return found if math.isfinite(found := float(text)) else None
    except (TypeError, ValueError):
        return None
