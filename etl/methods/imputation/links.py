"""Links of ratio-of-means imputation: by cell and period, with trimming, least counts and fall-back cells."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from etl.methods.registry import method
from etl.methods.tabular import PERIOD, BadInput, Column, typed_columns

KINDS: Final = ("forward", "backward", "construction")
LINK_SCHEMA: Final = {
    "cell": pl.String,
    "step": pl.Int64,
    **{
        name: dtype
        for kind in KINDS
        for name, dtype in (
            (kind, pl.Float64),
            (f"count_{kind}", pl.Int64),
            (f"default_{kind}", pl.Boolean),
            (f"cell_{kind}", pl.String),
        )
    },
}


SUMS: Final = {"source": pl.String, "step": pl.Int64, "top": pl.Float64, "bottom": pl.Float64, "count": pl.Int64}


@dataclass(frozen=True)
class LinkOptions:
    """How links are made.

    ``periodicity``: months between periods of one unit (1, 3, 12). ``trim_lower``, ``trim_upper``: percent of the matched
    pairs with the smallest and largest growth left out, in links of more than ``trim_above`` pairs. ``min_count``: pairs
    (responders for construction) a link needs; else the link of the cell's parent in ``parents`` is taken. ``weight`` mixes
    a link with that of ``weight_lag`` months before: w now, 1-w then (1: no mixing).
    """

    periodicity: int = 1
    trim_lower: float = 0.0
    trim_upper: float = 0.0
    trim_above: int = 0
    min_count: int = 1
    parents: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0
    weight_lag: int = 12

    def __post_init__(self) -> None:
        for name, fits, expected in (
            ("trim_lower", 0 <= self.trim_lower < 50, "0 to below 50 percent"),
            ("trim_upper", 0 <= self.trim_upper < 50, "0 to below 50 percent"),
            ("trim_above", self.trim_above >= 0, "0 or more pairs"),
            ("min_count", self.min_count >= 1, "1 or more pairs"),
            ("weight", 0 < self.weight <= 1, "0 < weight <= 1"),
            ("periodicity", self.periodicity >= 1, "1 or more months"),
            ("weight_lag", self.weight_lag >= 1, "1 or more months"),
        ):
            if not fits:
                raise BadInput(f"imputation links: {name} {getattr(self, name)}; expected {expected}")
        if self.weight < 1 and self.weight_lag % self.periodicity:
            raise BadInput(
                f"imputation links: weight_lag {self.weight_lag} is no multiple of the periodicity, {self.periodicity} months"
            )

    def chain(self, cell: str) -> tuple[str, ...]:
        """The cell, its parent, its parent's parent, …; BadInput for a circle."""
        found = [cell]
        while (parent := self.parents.get(found[-1])) is not None:
            if parent in found:
                raise BadInput(f"imputation links: fall-back of cell {cell} comes back to {parent}; break the circle")
            found.append(parent)
        return tuple(found)


def month_of(period: str) -> int:
    """Months since year 0 of the first month of a period; BadInput if it is none."""
    found = re.fullmatch(PERIOD, period)
    if found is None:
        raise BadInput(f"period {period!r} is not YYYYMM (or YYYY-MM, YYYY-Qn, YYYY)")
    year, month, quarter = found.groups()
    return int(year) * 12 + (int(month) - 1 if month else 3 * (int(quarter) - 1) if quarter else 0)


def length_of(period: str) -> int:
    """Months of a period (1, 3, 12); BadInput if it is none."""
    month_of(period)
    return 3 if "Q" in period else 12 if len(period) == 4 else 1


def months_of(periods: pl.Series) -> pl.Series:
    """:func:`month_of` of every period, Int64, of the same name."""
    texts = periods.cast(pl.String)
    return texts.replace_strict({p: month_of(p) for p in texts.unique().to_list()}, return_dtype=pl.Int64)


@method("imputation.links")
def imputation_links(
    frame: pl.DataFrame, options: LinkOptions | None = None, given: pl.DataFrame | None = None,
    wanted: pl.DataFrame | None = None,
) -> pl.DataFrame:  # fmt: skip
    r"""Forward, backward and construction links of every cell and period (插补联系系数).

    .. math::
        f_{c,t} = \frac{\sum_{i\in M_t} y_{i,t}}{\sum_{i\in M_t} y_{i,t-1}}, \quad
        b_{c,t} = \frac{\sum_{i\in M_{t+1}} y_{i,t}}{\sum_{i\in M_{t+1}} y_{i,t+1}}, \quad
        k_{c,t} = \frac{\sum_{i\in R_t} y_{i,t}}{\sum_{i\in R_t} x_{i,t}}

    :math:`M_t`: units that responded in t and in t-1, in the same cell; :math:`R_t`: responders of t with an auxiliary value.

    Parameters
    ----------
    frame
        ``unit, step (whole periods), cell, y (response, else null), x (auxiliary), usable (may enter links)``; one row a
        unit and step.
    given
        ``cell, step`` and any of the three links: taken instead of the computed ones where not null (count 0).
    wanted
        ``cell, step`` of the links asked for, those of all rows unless given. Responses are summed for these alone, but a link
        that falls back is summed over every cell of its source.

    Returns
    -------
    pl.DataFrame
        :data:`LINK_SCHEMA`, sorted by cell and step: each link, the pairs it rests on, whether it is the default 1 (no pair
        or a denominator of zero at every level), and the cell it was taken from.

    Source: ONS, ratio of means imputation (Statistical Methods Library, Monthly Business Survey); fall-back cells are ours.
    """
    options = options or LinkOptions()
    wanted = (frame if wanted is None else wanted).select("cell", "step").unique()
    if given is not None:
        wanted = pl.concat([wanted, given.select("cell", "step")]).unique()
    chains = {cell: options.chain(cell) for cell in pl.concat([frame["cell"], wanted["cell"]]).unique()}
    levels = pl.DataFrame(
        [{"cell": c, "level": i, "source": s} for c, chain in chains.items() for i, s in enumerate(chain)],
        schema={"cell": pl.String, "level": pl.Int64, "source": pl.String},
    )
    for kind in KINDS:
        sums = _sums_asked(frame, wanted, levels, kind, options)
        wanted = wanted.join(_chosen(wanted, levels, sums, kind, options), on=["cell", "step"], how="left")
    wanted = _mixed(_replaced(wanted, given), options)
    return wanted.select(LINK_SCHEMA.keys()).cast(LINK_SCHEMA).sort("cell", "step")  # type: ignore[arg-type]


def _good(options: LinkOptions) -> pl.Expr:
    return (pl.col("count") >= options.min_count) & (pl.col("bottom") != 0)


def _sums_asked(
    frame: pl.DataFrame, wanted: pl.DataFrame, levels: pl.DataFrame, kind: str, options: LinkOptions
) -> pl.DataFrame:
    """Sums of the sources that the wanted links come to: a level is asked only for links the one before does not give."""
    asked, found = wanted.select("cell", "step"), [pl.DataFrame(schema=SUMS)]
    answered = responses(frame, kind)
    if answered.is_empty():
        return found[0]
    for level in levels["level"].unique().sort().to_list():
        own = levels.filter(level=level).select("cell", "source")
        here = asked.join(own, on="cell")
        reached = here.select("source", "step").unique()
        members = (
            levels.select("cell", "source").unique().join(reached.select("source").unique(), on="source", how="semi")
        )
        sums = _sums(answered, members, kind, options, reached)
        found.append(sums)
        given = here.join(sums.filter(_good(options)), on=["source", "step"], how="semi")
        asked = here.select("cell", "step").join(given, on=["cell", "step"], how="anti")
        if asked.is_empty():
            break
    return pl.concat(found).unique(["source", "step"])


def responses(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    """The rows that may enter a link: a response, usable, for construction with an auxiliary value."""
    answered = frame.filter(pl.col("y").is_not_null() & pl.col("usable"))
    return answered.filter(pl.col("x").is_not_null()) if kind == "construction" else answered


def matched_pairs(answered: pl.DataFrame, levels: pl.DataFrame, kind: str) -> pl.DataFrame:
    """``source, step, top, bottom``: what each link's sums run over, one row a unit and level.

    ``answered``: :func:`responses` of the kind. ``levels``: ``cell, source``, each pair once. A unit that changed its cell
    is a pair of the cells' common sources alone.
    """
    if kind == "construction":
        given = answered.select("cell", "step", top="y", bottom="x")
        return given.join(levels, on="cell").select("source", "step", "top", "bottom")
    ordered = answered.select("unit", "step", "cell", "y").sort("unit", "step")
    before = ordered.select(pl.all().shift().name.suffix("_before"))
    follows = (pl.col("unit") == pl.col("unit_before")) & (pl.col("step") == pl.col("step_before") + 1)
    pairs = pl.concat([ordered, before], how="horizontal").filter(follows)
    now, then = ("", "_before") if kind == "forward" else ("_before", "")
    pairs = pairs.select("cell", "cell_before", step=f"step{now}", top=f"y{now}", bottom=f"y{then}")
    other = levels.rename({"cell": "cell_before"})
    moved = pairs.filter(pl.col("cell") != pl.col("cell_before")).join(levels, on="cell")
    stayed = pairs.filter(pl.col("cell") == pl.col("cell_before")).join(levels, on="cell")
    found = [stayed, moved.join(other, on=["cell_before", "source"], how="semi")]
    return pl.concat([f.select("source", "step", "top", "bottom") for f in found])


def _sums(
    answered: pl.DataFrame, levels: pl.DataFrame, kind: str, options: LinkOptions, reached: pl.DataFrame
) -> pl.DataFrame:
    """``source, step, top, bottom, count`` of the links reached (``source, step``) by responses that may enter them."""
    steps = reached["step"].unique()
    other = {"forward": steps - 1, "backward": steps + 1}.get(kind, steps)
    cell, step = levels["cell"].unique(), pl.concat([steps, other]).unique()
    near = answered.filter(pl.col("step").is_in(step.implode()) & pl.col("cell").is_in(cell.implode()))
    pairs = matched_pairs(near, levels, kind).join(reached, on=["source", "step"], how="semi")
    if kind != "construction" and (options.trim_lower or options.trim_upper):
        pairs = trimmed(pairs, options)
    return pairs.group_by("source", "step").agg(
        top=pl.col("top").sum(), bottom=pl.col("bottom").sum(), count=pl.len().cast(pl.Int64)
    )


def trimmed(pairs: pl.DataFrame, options: LinkOptions) -> pl.DataFrame:
    """Pairs without the smallest and largest growths of each link (0/0 counts as growth 1, x/0 as the largest)."""
    growth = (
        pl.when((pl.col("top") == 0) & (pl.col("bottom") == 0)).then(1.0).otherwise(pl.col("top") / pl.col("bottom"))
    )
    group = ["source", "step"]
    # Of equal growths the pair that counts most goes first, at either end: it must not hang on the order of the rows.
    size = pl.when(growth < 1).then(-pl.col("bottom")).otherwise("bottom")
    ordered = pairs.with_columns(_growth=growth, _size=size).sort(*group, "_growth", "_size", "top")
    ranked = ordered.with_columns(_place=pl.int_range(1, pl.len() + 1).over(group), _count=pl.len().over(group))
    low = (pl.col("_count") * options.trim_lower / 100).floor()
    high = (pl.col("_count") * options.trim_upper / 100).floor()
    inside = (pl.col("_place") > low) & (pl.col("_place") <= pl.col("_count") - high)
    return ranked.filter(inside | (pl.col("_count") <= options.trim_above)).select(pairs.columns)


def _chosen(
    wanted: pl.DataFrame, levels: pl.DataFrame, sums: pl.DataFrame, kind: str, options: LinkOptions
) -> pl.DataFrame:
    reach = wanted.select("cell", "step").join(levels, on="cell").join(sums, on=["source", "step"], how="left")
    best = reach.filter(_good(options)).sort("level").group_by("cell", "step", maintain_order=True).first()
    own = reach.filter(level=0).select("cell", "step", own=pl.col("count").fill_null(0))
    found = own.join(best, on=["cell", "step"], how="left")
    return found.select(
        "cell",
        "step",
        (pl.col("top") / pl.col("bottom")).fill_null(1.0).alias(kind),
        pl.coalesce("count", "own").alias(f"count_{kind}"),
        pl.col("bottom").is_null().alias(f"default_{kind}"),
        pl.coalesce("source", "cell").alias(f"cell_{kind}"),
    )


def _replaced(links: pl.DataFrame, given: pl.DataFrame | None) -> pl.DataFrame:
    if given is None:
        return links
    here = [k for k in KINDS if k in given.columns]
    joined = links.join(
        given.select("cell", "step", *(pl.col(k).alias(f"_{k}") for k in here)), on=["cell", "step"], how="left"
    )
    for kind in here:
        is_given = pl.col(f"_{kind}").is_not_null()
        joined = joined.with_columns(
            pl.coalesce(f"_{kind}", kind).alias(kind),
            pl.when(is_given).then(0).otherwise(pl.col(f"count_{kind}")).alias(f"count_{kind}"),
            pl.when(is_given).then(False).otherwise(pl.col(f"default_{kind}")).alias(f"default_{kind}"),
            pl.when(is_given).then(pl.lit("given")).otherwise(pl.col(f"cell_{kind}")).alias(f"cell_{kind}"),
        )
    return joined.drop(f"_{k}" for k in here)


def _mixed(links: pl.DataFrame, options: LinkOptions) -> pl.DataFrame:
    if options.weight == 1.0:
        return links
    lag = options.weight_lag // options.periodicity
    before = links.select("cell", *(pl.col(k).alias(f"_{k}") for k in KINDS), step=pl.col("step") + lag)
    joined = links.join(before, on=["cell", "step"], how="left")
    w = options.weight
    return joined.with_columns(
        pl.when(pl.col(f"_{k}").is_not_null())
        .then(w * pl.col(k) + (1 - w) * pl.col(f"_{k}"))
        .otherwise(pl.col(k))
        .alias(k)
        for k in KINDS
    )


def parents_from_table(table: pl.DataFrame | None) -> dict[str, str]:
    """Fall-back cells of a table ``cell, parent``; BadInput if a column is missing or a cell has two parents."""
    if table is None:
        return {}
    columns = (Column("cell", "text", "插补类 / cell"), Column("parent", "text", "后备类 / its parent", nullable=True))
    typed = typed_columns("fallback", columns, table, "columns cell, parent are expected")
    found: dict[str, str] = {}
    for cell, parent in typed.drop_nulls("parent").select("cell", "parent").iter_rows():
        if found.setdefault(cell, parent) != parent:
            raise BadInput(f"fallback: cell {cell} has two parents: {found[cell]} and {parent}; keep one")
    return found
