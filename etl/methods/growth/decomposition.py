"""What a change of a total is made of: the same units, entries, exits, reclassification, revision (可比口径)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from etl.methods.growth.yoy import Growth, yoy
from etl.methods.registry import method

Component = Literal["continuing", "entry", "exit", "reclassification", "revision"]
COMPONENTS: tuple[Component, ...] = ("continuing", "entry", "exit", "reclassification", "revision")


@dataclass(frozen=True)
class Waterfall:
    """``total`` = ``continuing + entry + exit + reclassification + revision``; ``exit`` is not positive for positive values.

    ``previous`` and ``current`` are the two totals compared (``previous`` as first published), ``base`` the earlier
    amount of the continuing units, ``units`` the linked units behind each component. Each amount is the exactly
    rounded sum of its terms, so the identity holds to a few units in the last place.
    """

    total: float
    continuing: float
    entry: float
    exit: float
    reclassification: float
    revision: float
    previous: float
    current: float
    base: float
    units: Mapping[str, int]

    @property
    def growth(self) -> Growth:
        """Growth of the published totals: moves with the list of units."""
        return yoy(self.current, self.previous)

    @property
    def comparable(self) -> Growth:
        """Growth of the same units in the same class (可比口径增速)."""
        return yoy(self.base + self.continuing, self.base)

    def points(self, component: Component) -> float | None:
        """Contribution of one component to the growth of the total, in percentage points; None where there is none."""
        return None if self.growth.ratio is None else 100.0 * getattr(self, component) / self.previous


@dataclass(frozen=True)
class Decomposition:
    """``whole`` and the same for every class, by name; in a class ``reclassification`` is arrivals less departures.

    Classes add up to ``whole`` component by component.
    """

    whole: Waterfall
    classes: Mapping[str, Waterfall]


@method("growth.decompose")
def decompose(units: pl.DataFrame) -> Decomposition:
    """Split the change of a total (and of each class) by what happened to the units.

    Parameters
    ----------
    units
        One row a unit: ``unit`` (text, once), ``value``, ``value_prev`` (same unit of measure and prices), ``active``,
        ``active_prev`` (Boolean: it belongs to the population of that period), ``class``, ``class_prev`` (null: outside
        the classes of this table, e.g. not an AI unit), ``published_prev`` (what was published for the earlier period;
        null: it was not in the published figure), ``group`` (text: units that continue each other after a merger,
        split or change of code share one).

    Returns
    -------
    Decomposition
        By group of linked units: in both periods and the same class → ``continuing``; another class, or in scope but
        outside the classes in one period → ``reclassification`` (the whole change, so that the identity holds without a
        price for moving); only in the later period → ``entry``; only in the earlier → ``exit``. A group's class is that
        of its largest member of the period. ``revision`` is ``value_prev`` minus ``published_prev``.

    Raises
    ------
    ValueError
        If a unit stands twice, or belongs to a period without a value for it.
    """
    _check(units)
    marked = _groups(units)
    flows = _flows(marked)
    names = sorted({str(c) for c in flows["class"].to_list()})
    return Decomposition(_waterfall(flows, None), {name: _waterfall(flows, name) for name in names})


def _check(units: pl.DataFrame) -> None:
    twice = units.filter(pl.col("unit").is_duplicated())
    if twice.height:
        raise ValueError(f"unit {twice['unit'][0]} stands more than once; one row a unit")
    for value, active in (("value", "active"), ("value_prev", "active_prev")):
        bad = units.filter(pl.col(active) & pl.col(value).is_null())
        if bad.height:
            raise ValueError(
                f"unit {bad['unit'][0]} belongs to the population but has no {value} ({bad.height} such units); "
                "impute it first, missing is not zero"
            )


def _groups(units: pl.DataFrame) -> pl.DataFrame:
    """Membership of each period with the class of the group, and the component each group belongs to."""
    member = units.with_columns(
        here=pl.col("active") & pl.col("class").is_not_null(),
        here_prev=pl.col("active_prev") & pl.col("class_prev").is_not_null(),
    )
    size = [
        pl.when(pl.col(h)).then(pl.col(v).abs()).fill_null(-1.0).alias(f"size_{v}")
        for h, v in (("here", "value"), ("here_prev", "value_prev"))
    ]
    grouped = (
        member.with_columns(size)
        .group_by("group", maintain_order=True)
        .agg(
            now=pl.col("here").any(),
            before=pl.col("here_prev").any(),
            alive=pl.col("active").any(),
            alive_prev=pl.col("active_prev").any(),
            to=pl.col("class").sort_by("size_value").last(),
            fro=pl.col("class_prev").sort_by("size_value_prev").last(),
        )
    )
    both, moved = pl.col("now") & pl.col("before"), pl.col("to").eq_missing(pl.col("fro"))
    component = (
        pl.when(both & moved)
        .then(pl.lit("continuing"))
        .when(both | (pl.col("now") & pl.col("alive_prev")) | (pl.col("before") & pl.col("alive")))
        .then(pl.lit("reclassification"))
        .when(pl.col("now"))
        .then(pl.lit("entry"))
        .when(pl.col("before"))
        .then(pl.lit("exit"))
    )
    return member.join(grouped.select("group", "to", "fro", component=component), on="group", how="left")


def _flows(marked: pl.DataFrame) -> pl.DataFrame:
    """Signed terms: ``class, component, group, term (now|before|published), amount``."""
    now = marked.filter(pl.col("here")).select(
        "group", "component", pl.col("to").alias("class"), pl.lit("now").alias("term"), pl.col("value").alias("amount")
    )
    before = marked.filter(pl.col("here_prev")).select(
        "group",
        "component",
        pl.col("fro").alias("class"),
        pl.lit("before").alias("term"),
        (-pl.col("value_prev")).alias("amount"),
    )
    published = marked.filter(pl.col("published_prev").is_not_null()).select(
        "group",
        "component",
        pl.coalesce("fro", "to", pl.lit("?")).alias("class"),
        pl.lit("published").alias("term"),
        (-pl.col("published_prev")).alias("amount"),
    )
    return pl.concat([now, before, published])


def _waterfall(flows: pl.DataFrame, name: str | None) -> Waterfall:
    part = flows if name is None else flows.filter(pl.col("class") == name)
    amounts = {
        (c, t): a.to_numpy()
        for c, t, a in part.group_by("component", "term").agg("amount").iter_rows()
        for a in [pl.Series(a, dtype=pl.Float64)]
    }
    terms = {t: [v for (_, k), a in amounts.items() if k == t for v in a] for t in ("now", "before", "published")}
    changes = {
        c: math.fsum(np.concatenate([amounts.get((c, t), np.empty(0)) for t in ("now", "before")]))
        for c in COMPONENTS[:-1]
    }
    units = part.filter(pl.col("term") != "published").group_by("component").agg(pl.col("group").n_unique())
    counts = dict(units.iter_rows())
    return Waterfall(
        total=math.fsum([*terms["now"], *terms["published"]]),
        continuing=changes["continuing"],
        entry=changes["entry"],
        exit=changes["exit"],
        reclassification=changes["reclassification"],
        revision=math.fsum([*terms["published"], *(-v for v in terms["before"])]),
        previous=-math.fsum(terms["published"]) + 0.0,
        current=math.fsum(terms["now"]),
        base=-math.fsum(amounts.get(("continuing", "before"), np.empty(0))) + 0.0,
        units={c: int(counts.get(c, 0)) for c in COMPONENTS[:-1]},
    )


def link_groups(units: list[str], predecessors: list[list[str]]) -> list[str]:
    """A group name for every unit: units joined by a chain of predecessor links share one (union-find).

    ``predecessors[i]`` names units that unit ``i`` continues; a name that is not in ``units`` links nothing by itself
    but joins those who share it (two units that continue one that is gone).
    """
    parent: dict[str, str] = {u: u for u in units}

    def root(u: str) -> str:
        while parent.setdefault(u, u) != u:
            parent[u] = parent[parent[u]]
            u = parent[u]
        return u

    for unit, before in zip(units, predecessors, strict=True):
        for name in before:
            parent[root(name)] = root(unit)
    return [root(u) for u in units]
