"""Ratio-of-means imputation (比率均值插补): each missing value gets a value, a marker and the link that made it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from etl.methods.imputation.links import KINDS, LinkOptions, imputation_links, length_of, month_of
from etl.methods.refusals import refuse_row
from etl.methods.registry import method
from etl.methods.tabular import BadInput

#: r returned; mc manual construction; fir, fic, fimc forward from a return, a construction, a manual construction;
#: bir backward from a return; c constructed.
MARKERS: Final = ("r", "mc", "fir", "bir", "fimc", "c", "fic")
_FORWARD: Final = {"r": "fir", "fir": "fir", "mc": "fimc", "fimc": "fimc", "c": "fic", "fic": "fic"}
VALUE_SCHEMA: Final = {
    "row": pl.Int64,
    "value": pl.Float64,
    "marker": pl.String,
    "link": pl.Float64,
    "from_row": pl.Int64,
}


LinkMaker = Callable[[pl.DataFrame, LinkOptions, pl.DataFrame | None, pl.DataFrame], pl.DataFrame]
"""As :func:`etl.methods.imputation.links.imputation_links`."""


@dataclass(frozen=True)
class Imputed:
    """``rows``: the input with ``value, marker, link, link_count, link_cell, link_default, from_period`` and all links;

    ``links``: one row a cell and step (:data:`etl.methods.imputation.links.LINK_SCHEMA`) with its ``period``.
    """

    rows: pl.DataFrame
    links: pl.DataFrame
    prepared: pl.DataFrame


@method("imputation.ratio_of_means")
def impute_ratio_of_means(
    frame: pl.DataFrame, options: LinkOptions | None = None, given_links: pl.DataFrame | None = None,
    units: pl.Series | None = None, links_of: LinkMaker = imputation_links,
) -> Imputed:  # fmt: skip
    """Impute a target over periods from the unit's own neighbouring periods or its auxiliary value.

    A value is, first that applies: returned (``r``); manual (``mc``); forward from a return (``fir``); backward from a
    return (``bir``); forward from a manual value (``fimc``); constructed (``c``) where the period before gives nothing, and
    forward from that (``fic``). Runs break where a period is missing or the unit changes its cell; a manual value also
    stops runs from returns on its other side.

    Parameters
    ----------
    frame
        ``unit, period, cell, target, auxiliary`` (values null where missing) and optionally ``manual`` (value put by hand),
        ``sampled`` (false: neither imputed nor used), ``usable`` (false: not used in links), ``back_marker`` (marker of a
        row imputed in an earlier run: kept as it is; only ``r`` enters links; nothing is imputed backward over it).
    given_links
        ``cell, period`` and any of ``forward, backward, construction``: of cells of the frame, each period once.
    units
        The units whose values are asked for; the rows, and the links, are theirs alone. All units enter the links.
    links_of
        Makes the links; one that keeps those of periods that did not change, say.

    Returns
    -------
    Imputed
        Rows in the order of the input. ``value`` is null (marker null) for a unit not sampled, or where nothing can be
        imputed: no value to go from and no auxiliary value.

    Raises
    ------
    BadInput
        If a unit stands twice in a period, periods do not fit the periodicity, a back marker is unknown, or a given link stands
        twice, is negative or of a cell that is not there.

    Source: ONS Statistical Methods Library and Monthly Business Survey results system, ratio of means (markers and order).
    """
    options = options or LinkOptions()
    prepared = _prepared(frame, options)
    given = None if given_links is None else _given(given_links, frame["cell"], options)
    answering = prepared.filter("sampled")
    if units is not None:
        prepared = prepared.filter(pl.col("unit").is_in(units.implode()))
    links = links_of(answering, options, given, prepared.filter("sampled").select("cell", "step"))
    joined = prepared.join(links, on=["cell", "step"], how="left", maintain_order="left")
    values = _values(joined.sort("unit", "cell", "step"))
    rows = _described(joined, values)
    names = pl.concat([t.select("step", "period") for t in (prepared, given) if t is not None])
    names = names.unique("step", keep="first", maintain_order=True)
    return Imputed(rows, links.join(names, on="step", how="left"), prepared)


def steps(periods: pl.Series, periodicity: int, where: str = "input") -> pl.Series:
    """Whole periods since year 0, of ``periodicity`` months each.

    Raises
    ------
    BadInput
        If years, quarters and months stand together, periods are longer than the periodicity, or two lie less than it apart.
    """
    names = periods.unique(maintain_order=True).to_list()
    lengths = {length_of(name): name for name in reversed(names)}
    if len(lengths) > 1:
        (one, first), (other, second), *_ = lengths.items()
        raise BadInput(
            f"{where}: period {first} is {one} months long, {second} is {other}; keep years, quarters or months alone"
        )
    for length, name in lengths.items():
        if periodicity % length:
            raise BadInput(f"{where}: period {name} is {length} months long, periodicity is {periodicity}; "
                           f"set periodicity={length}, or the months between two periods")  # fmt: skip
    for name in names:
        if (month_of(name) - month_of(names[0])) % periodicity:
            raise BadInput(f"{where}: periods {names[0]} and {name} are not a multiple of {periodicity} months apart; "
                           "set periodicity to the months between two periods")  # fmt: skip
    return periods.replace_strict(names, [month_of(name) // periodicity for name in names]).cast(pl.Int64)


def _prepared(frame: pl.DataFrame, options: LinkOptions) -> pl.DataFrame:
    absent = {"manual": pl.Float64, "sampled": pl.Boolean, "usable": pl.Boolean, "back_marker": pl.String}
    filled = frame.with_columns(pl.lit(None, dtype=t).alias(c) for c, t in absent.items() if c not in frame.columns)
    filled = filled.with_columns(
        pl.col("sampled", "usable").fill_null(True), step=steps(filled["period"], options.periodicity)
    )
    twice = filled.filter(pl.struct("unit", "step").is_duplicated())
    if twice.height:
        raise BadInput(
            f"unit {twice['unit'][0]} stands twice in period {twice['period'][0]}; keep one row a unit and period"
        )
    unknown = filled.filter(~pl.col("back_marker").is_in(MARKERS))
    if unknown.height:
        raise BadInput(f"marker {unknown['back_marker'][0]!r} is not one of {', '.join(MARKERS)}")
    returned = pl.col("back_marker").is_null() | (pl.col("back_marker") == "r")
    return filled.with_row_index("row").with_columns(
        pl.col("row").cast(pl.Int64),
        y=pl.when(returned).then(pl.col("target")),
        x=pl.col("auxiliary"),
    )


def _given(links: pl.DataFrame, cells: pl.Series, options: LinkOptions) -> pl.DataFrame:
    """Links with their step, each of a cell of the input, once, not negative."""
    found = links.with_columns(step=steps(links["period"], options.periodicity, "links"))
    other = ~found["cell"].is_in(cells.unique().implode())
    refuse_row(
        "links", found, other, "no such cell in the input; take the line out or correct the cell", "cell", "period"
    )
    twice = found.select("cell", "step").is_duplicated()
    refuse_row("links", found, twice, "the cell has more than one line for the period; keep one", "cell", "period")
    for kind in (k for k in KINDS if k in found.columns):
        refuse_row("links", found, found[kind] < 0, f"{kind} is negative; 0 or more is expected", "cell", "period")
    return found


@dataclass
class _Run:
    """Rows of one unit in one cell in consecutive periods, worked on in place."""

    rows: list[int]
    target: list[float | None]
    manual: list[float | None]
    auxiliary: list[float | None]
    back: list[str | None]
    links: list[tuple[float, float, float]]

    def __post_init__(self) -> None:
        size = len(self.rows)
        self.value: list[float | None] = [None] * size
        self.marker: list[str | None] = [None] * size
        self.link: list[float | None] = [None] * size
        self.origin: list[int | None] = [None] * size

    def fill(self) -> None:
        """Markers in their order of precedence."""
        size = range(len(self.rows))
        for i in size:
            if self.target[i] is not None:
                self._set(i, self.target[i], self.back[i] or "r")
            elif self.manual[i] is not None:
                self._set(i, self.manual[i], "mc")
        for i in size:
            self._forward(i, ("r", "fir"))
        for i in reversed(size):
            if i + 1 < len(self.rows) and self.marker[i + 1] in ("r", "bir"):
                self._from(i, i + 1, self.links[i][1], "bir")
        for i in size:
            self._forward(i, ("mc", "fimc"))
        for i in size:
            self._forward(i, ("c", "fic"))
            if self.value[i] is None and self.auxiliary[i] is not None:
                self._set(i, self.auxiliary[i] * self.links[i][2], "c", self.links[i][2])  # type: ignore[operator]

    def _forward(self, i: int, sources: tuple[str, str]) -> None:
        if i and self.marker[i - 1] in sources:
            self._from(i, i - 1, self.links[i][0], _FORWARD[self.marker[i - 1]])  # type: ignore[index]

    def _from(self, i: int, j: int, link: float, marker: str) -> None:
        if self.value[i] is None:
            self._set(i, self.value[j] * link, marker, link)  # type: ignore[operator]
            self.origin[i] = self.rows[j] if self.origin[j] is None else self.origin[j]

    def _set(self, i: int, value: float | None, marker: str, link: float | None = None) -> None:
        self.value[i], self.marker[i], self.link[i] = value, marker, link


def _values(ordered: pl.DataFrame) -> pl.DataFrame:
    """:data:`VALUE_SCHEMA` of every sampled row of a table sorted by unit, cell and step."""
    found: dict[str, list[Any]] = {name: [] for name in VALUE_SCHEMA}
    sampled = ordered.filter("sampled").with_columns(_new().cum_sum().alias("__run"))
    # A run without a gap is its own returned values.
    open_ = (pl.col("target").is_null() | pl.col("back_marker").is_not_null()).any().over("__run")
    whole = sampled.filter(~open_).select(
        *(pl.col(c).cast(VALUE_SCHEMA[n]).alias(n) for n, c in (("row", "row"), ("value", "target"))),
        *(pl.lit(m, VALUE_SCHEMA[n]).alias(n) for n, m in (("marker", "r"), ("link", None), ("from_row", None))),
    )
    for run in runs(sampled.filter(open_)):
        run.fill()
        parts: tuple[list[Any], ...] = (run.rows, run.value, run.marker, run.link, run.origin)
        for name, part in zip(VALUE_SCHEMA, parts, strict=True):
            found[name].extend(part)
    return pl.concat([whole.select(list(VALUE_SCHEMA)), pl.DataFrame(found, schema=VALUE_SCHEMA)])


def _new() -> pl.Expr:
    """Where another unit, another cell or a period after a gap begins."""
    return (
        (pl.col("unit") != pl.col("unit").shift())
        | (pl.col("cell") != pl.col("cell").shift())
        | (pl.col("step") != pl.col("step").shift() + 1)
    ).fill_null(True)


def runs(ordered: pl.DataFrame) -> Sequence[_Run]:
    """Runs without a gap, in the order of the table."""
    starts = ordered.select(_new()).to_series().arg_true().to_list()
    target = ordered["target"].to_list()
    parts = [ordered[c].to_list() for c in ("row", "manual", "auxiliary", "back_marker")]
    links = list(zip(*(ordered[k].to_list() for k in ("forward", "backward", "construction")), strict=True))
    row, manual, auxiliary, back = parts
    return [
        _Run(row[a:b], target[a:b], manual[a:b], auxiliary[a:b], back[a:b], links[a:b])
        for a, b in zip(starts, [*starts, ordered.height][1:], strict=True)
    ]


def _described(joined: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
    rows = joined.join(values, on="row", how="left", maintain_order="left")
    origin = rows.select(from_row="row", from_period="period", from_value="value")
    rows = rows.join(origin, on="from_row", how="left", maintain_order="left")
    kind = {"f": "forward", "b": "backward", "c": "construction"}
    first = pl.col("marker").str.slice(0, 1)
    made = pl.col("link").is_not_null()

    def used(prefix: str) -> pl.Expr:
        return pl.coalesce(pl.when(made & (first == k)).then(pl.col(f"{prefix}_{v}")) for k, v in kind.items())

    return rows.with_columns(link_count=used("count"), link_cell=used("cell"), link_default=used("default")).drop(
        "row", "from_row", "y", "x"
    )
