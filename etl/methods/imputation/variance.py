"""What imputation adds to the variance of a total (插补方差), by repeated imputation with resampled links and residuals."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.imputation.links import KINDS, LinkOptions, matched_pairs, responses, trimmed
from etl.methods.imputation.ratio_of_means import Imputed
from etl.methods.registry import method
from etl.methods.tabular import BadInput

FloatArray = NDArray[np.float64]
LEAST_PAIRS: Final = 3
_KIND: Final = {"f": "forward", "b": "backward", "c": "construction"}
TOTALS_SCHEMA: Final = {
    "cell": pl.String,
    "period": pl.String,
    "rows": pl.Int64,
    "imputed": pl.Int64,
    "total": pl.Float64,
    "imputed_total": pl.Float64,
    "imputed_share": pl.Float64,
    "imputation_se": pl.Float64,
}


@method("imputation.ratio_variance")
def ratio_imputation_variance(y: FloatArray, x: FloatArray, x_missing: FloatArray) -> float:
    r"""Variance of the error of the imputed total in one step, under the ratio model.

    With :math:`y_i = \beta x_i + \epsilon_i`, :math:`Var(\epsilon_i) = \sigma^2 x_i` and
    :math:`\hat y_m = x_m \sum_r y/\sum_r x`:

    .. math:: V = \hat\sigma^2\Big(X_m + X_m^2/X_r\Big), \qquad \hat\sigma^2 = \frac{1}{n-1}\sum_r \frac{(y_i-\hat\beta x_i)^2}{x_i}

    Parameters
    ----------
    y, x
        Respondents, shape ``(n,)``, at least two, x positive.
    x_missing
        Auxiliary values of the imputed units.

    Source: Särndal (1992), Survey Methodology 18, 241-252 (ratio imputation).
    """
    if y.size < 2 or not (x > 0).all():
        raise BadInput("imputation variance: at least two respondents with a positive auxiliary value are needed")
    residual = y - y.sum() / x.sum() * x
    sigma2 = float((residual**2 / x).sum() / (y.size - 1))
    return float(sigma2 * (x_missing.sum() + x_missing.sum() ** 2 / x.sum()))


@dataclass(frozen=True)
class _Pool:
    """Resampled links, shape ``(replicates,)``, and residuals in units of the root of what they are multiplied with."""

    links: FloatArray
    residuals: FloatArray


@method("imputation.variance")
def imputation_totals(
    found: Imputed, options: LinkOptions | None = None, *, replicates: int = 200, seed: int = 1
) -> pl.DataFrame:
    """Totals by cell and period, how much of them is imputed, and the standard error that brings.

    Each replicate draws the pairs (responders) of every link anew, with replacement, and adds to each imputed value a
    residual of those pairs times the root of the value it is made from; values made from imputed ones take those of the
    replicate. ``imputation_se`` is the standard deviation of the imputed total over replicates: the error of links and the
    scatter of units. It is null where a value rests on a given or default link, on fewer than three pairs or on a negative
    value: what is not known is not zero.

    Returns
    -------
    pl.DataFrame
        :data:`TOTALS_SCHEMA`, sorted by cell and period; ``rows`` are sampled rows with a value.

    Source: approximate Bayesian bootstrap, Rubin and Schenker (1986), JASA 81, 366-374; residuals as in the ratio model.
    """
    options = options or LinkOptions()
    rows = found.rows.filter("sampled")
    values = rows.filter(pl.col("value").is_not_null())
    imputed = pl.col("marker").str.contains("^(f|b|c)")
    table = values.group_by("cell", "period").agg(
        rows=pl.len().cast(pl.Int64),
        imputed=imputed.sum().cast(pl.Int64),
        total=pl.col("value").sum(),
        imputed_total=pl.col("value").filter(imputed).sum(),
    )
    errors = _standard_errors(values, found, options, replicates, seed) if replicates else {}
    error = pl.struct("cell", "period").map_elements(
        lambda s: errors.get((s["cell"], s["period"])), return_dtype=pl.Float64
    )
    table = table.with_columns(
        imputed_share=pl.when(pl.col("total") != 0).then(pl.col("imputed_total") / pl.col("total")),
        imputation_se=pl.when(pl.col("imputed") == 0).then(0.0).otherwise(error) if replicates else None,
    )
    return table.select(TOTALS_SCHEMA.keys()).cast(TOTALS_SCHEMA).sort("cell", "period")  # type: ignore[arg-type]


def _standard_errors(
    values: pl.DataFrame, found: Imputed, options: LinkOptions, replicates: int, seed: int
) -> dict[tuple[str, str], float | None]:
    generator = np.random.default_rng(seed)
    pools = _Pools(found, options, replicates, generator)
    totals: dict[tuple[str, str], FloatArray] = defaultdict(lambda: np.zeros(replicates))
    known: dict[tuple[str, str], FloatArray] = {}
    for row in _in_order_of_making(values).iter_rows(named=True):
        given = row["auxiliary"] if row["marker"] == "c" else row["_base_value"]
        base = known.get((row["unit"], row["_base"]), np.full(replicates, given, dtype=np.float64))
        pool = pools.of(_KIND[row["marker"][0]], row["link_cell"], row["step"])
        made = np.full(replicates, np.nan)
        if pool is not None and np.isfinite(base).all() and (base >= 0).all():
            drawn = generator.integers(0, pool.residuals.size, replicates)
            made = base * pool.links + np.sqrt(base) * pool.residuals[drawn]
        known[row["unit"], row["period"]] = np.maximum(made, 0.0) if row["value"] >= 0 else made
        totals[row["cell"], row["period"]] += known[row["unit"], row["period"]]
    return {k: float(t.std(ddof=1)) if np.isfinite(t).all() else None for k, t in totals.items()}


def _in_order_of_making(values: pl.DataFrame) -> pl.DataFrame:
    """Imputed rows so that each stands after the one it was made from (``_base``, ``_base_value``; null for ``c``)."""
    backward, built = pl.col("marker") == "bir", pl.col("marker") == "c"
    group = ["unit", "cell"]
    near = values.sort("unit", "cell", "step").with_columns(
        pl.col(c).shift(n).over(group).alias(f"_{c}{n}") for c in ("period", "value") for n in (1, -1)
    )
    near = near.with_columns(
        pl.when(backward).then(f"_{c}-1").when(~built).then(f"_{c}1").alias(name)
        for c, name in (("period", "_base"), ("value", "_base_value"))
    )
    made = near.filter(pl.col("link").is_not_null())
    return made.sort(pl.when(backward).then(-pl.col("step")).otherwise(pl.col("step") + 10**6), maintain_order=True)


class _Pools:
    """Pairs of each link, drawn once a link."""

    def __init__(self, found: Imputed, options: LinkOptions, replicates: int, generator: np.random.Generator) -> None:
        self._replicates, self._generator = replicates, generator
        cells = found.links.select(pl.col("cell").unique())["cell"]
        levels = pl.DataFrame(
            [{"cell": c, "source": s} for c in cells for s in options.chain(c)],
            schema={"cell": pl.String, "source": pl.String},
        )
        self._pairs: dict[str, dict[tuple[str, int], tuple[FloatArray, FloatArray]]] = {}
        for kind in KINDS:
            pairs = matched_pairs(responses(found.prepared.filter("sampled"), kind), levels, kind)
            if kind != "construction" and (options.trim_lower or options.trim_upper):
                pairs = trimmed(pairs, options)
            self._pairs[kind] = {
                (str(source), int(step)): (part["top"].to_numpy(), part["bottom"].to_numpy())
                for (source, step), part in pairs.partition_by(["source", "step"], as_dict=True).items()
            }
        self._pools: dict[tuple[str, str, int], _Pool | None] = {}

    def of(self, kind: str, cell: str, step: int) -> _Pool | None:
        key = (kind, cell, step)
        if key not in self._pools:
            self._pools[key] = self._draw(*self._pairs[kind].get((cell, step), (np.array([]), np.array([]))))
        return self._pools[key]

    def _draw(self, top: FloatArray, bottom: FloatArray) -> _Pool | None:
        if top.size < LEAST_PAIRS or (bottom < 0).any() or not (bottom > 0).any():
            return None
        size = top.size
        draws = self._generator.multinomial(size, np.full(size, 1.0 / size), size=self._replicates)
        below = draws @ bottom
        link = top.sum() / bottom.sum()
        links = np.where(below > 0, (draws @ top) / np.where(below > 0, below, 1.0), link)
        used = bottom > 0
        residuals = (top[used] - link * bottom[used]) / np.sqrt(bottom[used]) * np.sqrt(size / (size - 1))
        return _Pool(links, residuals - residuals.mean())
