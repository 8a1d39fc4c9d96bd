"""What a change of a total is made of: the same units, entries, exits, reclassification, revision (可比口径).

Two kinds of change can be told apart on request: units that stay but cross the threshold of a list (升规纳统, 退规), and
units that continue others (合并、分立、换码).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.growth.yoy import Growth, yoy
from etl.methods.registry import method

FloatArray = NDArray[np.float64]
Component = Literal[
    "continuing", "entry", "exit", "reclassification", "revision", "listed", "delisted", "succession"
]  # fmt: skip
COMPONENTS: tuple[Component, ...] = ("continuing", "entry", "exit", "reclassification", "revision")
APART: tuple[Component, ...] = ("listed", "delisted", "succession")
"""Empty unless the units say who is on the list, and who continues whom."""


@dataclass(frozen=True)
class Waterfall:
    """``total`` = the sum of :data:`COMPONENTS` and :data:`APART`; ``exit`` is not positive for positive values.

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
    listed: float = 0.0
    delisted: float = 0.0
    succession: float = 0.0

    @property
    def staying(self) -> float:
        """Units that are there in both periods, or continued by others: the same ones, and what was told apart of them."""
        return math.fsum((self.continuing, self.listed, self.delisted, self.succession))

    @property
    def growth(self) -> Growth:
        """Growth of the published totals: moves with the list of units."""
        return yoy(self.current, self.previous)

    @property
    def comparable(self) -> Growth:
        """Growth of the same units in the same class, on the same side of the list's threshold (可比口径增速)."""
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
        split or change of code share one). Optional: ``listed``, ``listed_prev`` (Boolean: on the list of units above the
        threshold; null: not known), ``linked`` (Boolean: it continues or is continued by another unit in the period).

    Returns
    -------
    Decomposition
        By group of linked units: in both periods and the same class → ``continuing``; another class, or in scope but
        outside the classes in one period → ``reclassification`` (the whole change, so that the identity holds without a
        price for moving); only in the later period → ``entry``; only in the earlier → ``exit``. A group's class is that
        of its largest member of the period. ``revision`` is ``value_prev`` minus ``published_prev``.

        Before all this, a group with a ``linked`` member is ``succession``, and one in scope in both periods whose place on
        the list changed is ``listed`` or ``delisted``: its earlier figure was measured another way, so that a change of
        branch or scope is no finding.

    Raises
    ------
    ValueError
        If a unit stands twice, or belongs to a period without a value for it.
    """
    _check(units)
    marked, groups = _groups(units)
    terms = {
        (name, component, term): np.asarray(amounts.to_numpy(), dtype=np.float64)
        for name, component, term, amounts in _flows(marked).group_by("class", "component", "term").agg("amount").rows()
        for amounts in [pl.Series(amounts, dtype=pl.Float64)]
    }
    names = sorted({name for name, _, _ in terms})
    counts = groups.group_by("component").len()
    whole = _waterfall(terms, names, dict(counts.drop_nulls().iter_rows()))
    by_class = _class_counts(groups)
    return Decomposition(whole, {name: _waterfall(terms, [name], by_class.get(name, {})) for name in names})


def assignments(units: pl.DataFrame) -> pl.DataFrame:
    """What :func:`decompose` takes each unit for: ``unit, component, class (of its group), class_prev, here, here_prev``.

    ``units`` and errors as there; ``component`` is null for a unit that is in neither period's total. Whoever publishes
    the decomposition needs it to tell how many respondents stand behind an amount.
    """
    _check(units)
    marked, _ = _groups(units)
    own = pl.col("unit", "component", "here", "here_prev")
    return marked.select(own, pl.col("to").alias("class"), pl.col("fro").alias("class_prev"))


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


BASIS = ("listed", "listed_prev", "linked")


def _with_basis(units: pl.DataFrame) -> pl.DataFrame:
    """The optional columns, null where they are not given."""
    absent = [pl.lit(None, pl.Boolean).alias(name) for name in BASIS if name not in units.columns]
    return units.with_columns(absent)


def _groups(units: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Units with membership and their group's classes and component; groups: ``group, to, fro, component``."""
    member = _with_basis(units).with_columns(
        here=pl.col("active") & pl.col("class").is_not_null(),
        here_prev=pl.col("active_prev") & pl.col("class_prev").is_not_null(),
    )
    several = pl.col("group").is_duplicated()
    alone = member.filter(~several).select(
        "group",
        now="here",
        before="here_prev",
        alive="active",
        alive_prev="active_prev",
        to="class",
        fro="class_prev",
        **{name: name for name in BASIS},
    )
    grouped = pl.concat([alone, _joined(member.filter(several))])
    both, moved = pl.col("now") & pl.col("before"), pl.col("to").eq_missing(pl.col("fro"))
    counted, alive = pl.col("now") | pl.col("before"), pl.col("alive") & pl.col("alive_prev")
    component = (
        pl.when(counted & pl.col("linked"))
        .then(pl.lit("succession"))
        .when(counted & alive & pl.col("listed") & ~pl.col("listed_prev"))
        .then(pl.lit("listed"))
        .when(counted & alive & ~pl.col("listed") & pl.col("listed_prev"))
        .then(pl.lit("delisted"))
        .when(both & moved)
        .then(pl.lit("continuing"))
        .when(both | (pl.col("now") & pl.col("alive_prev")) | (pl.col("before") & pl.col("alive")))
        .then(pl.lit("reclassification"))
        .when(pl.col("now"))
        .then(pl.lit("entry"))
        .when(pl.col("before"))
        .then(pl.lit("exit"))
    )
    groups = grouped.select(
        "group",
        to=pl.when("now").then("to"),
        fro=pl.when("before").then("fro"),
        component=component,
    )
    return member.join(groups, on="group", how="left"), groups


def _class_counts(groups: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Groups of each component that were in a class in either period."""
    moved = groups.filter(~pl.col("to").eq_missing(pl.col("fro"))).select("component", pl.col("fro").alias("class"))
    both = pl.concat([groups.select("component", pl.col("to").alias("class")), moved]).drop_nulls()
    found: dict[str, dict[str, int]] = {}
    for name, component, count in both.group_by("class", "component").len().iter_rows():
        found.setdefault(name, {})[component] = count
    return found


def _joined(member: pl.DataFrame) -> pl.DataFrame:
    """Linked units as one: in a period if any is; the class is that of the largest member of the period."""
    size = [
        pl.when(pl.col(h)).then(pl.col(v).abs()).fill_null(-1.0).alias(f"size_{v}")
        for h, v in (("here", "value"), ("here_prev", "value_prev"))
    ]
    return (
        member.with_columns(size)
        .group_by("group", maintain_order=True)
        .agg(
            now=pl.col("here").any(),
            before=pl.col("here_prev").any(),
            alive=pl.col("active").any(),
            alive_prev=pl.col("active_prev").any(),
            to=pl.col("class").sort_by("size_value").last(),
            fro=pl.col("class_prev").sort_by("size_value_prev").last(),
            **{name: pl.col(name).any(ignore_nulls=False) for name in BASIS},
        )
    )


def _flows(marked: pl.DataFrame) -> pl.DataFrame:
    """Signed terms: ``class, component, term (now|before|published), amount``."""
    now = marked.filter(pl.col("here")).select(
        pl.col("to").alias("class"), "component", term=pl.lit("now"), amount=pl.col("value")
    )
    before = marked.filter(pl.col("here_prev")).select(
        pl.col("fro").alias("class"), "component", term=pl.lit("before"), amount=-pl.col("value_prev")
    )
    published = marked.filter(pl.col("published_prev").is_not_null()).select(
        pl.coalesce("fro", "to", pl.lit("?")).alias("class"),
        pl.col("component").fill_null("revision"),
        term=pl.lit("published"),
        amount=-pl.col("published_prev"),
    )
    return pl.concat([now, before, published])


def _waterfall(
    terms: Mapping[tuple[str, str, str], FloatArray], names: Sequence[str], units: Mapping[str, int]
) -> Waterfall:
    """The waterfall of some classes together."""

    every = (*COMPONENTS, *APART)

    def amounts(kinds: Sequence[str], components: Sequence[str] = every) -> FloatArray:
        found = [terms[k] for n in names for c in components for t in kinds if (k := (n, c, t)) in terms]
        return np.concatenate(found) if found else np.empty(0)

    changes = {c: math.fsum(amounts(("now", "before"), [c])) for c in every if c != "revision"}
    return Waterfall(
        total=math.fsum(amounts(("now", "published"))),
        continuing=changes["continuing"],
        entry=changes["entry"],
        exit=changes["exit"],
        reclassification=changes["reclassification"],
        revision=math.fsum([*amounts(("published",)), *-amounts(("before",))]),
        previous=-math.fsum(amounts(("published",))) + 0.0,
        current=math.fsum(amounts(("now",))),
        base=-math.fsum(amounts(("before",), ["continuing"])) + 0.0,
        units={c: int(units.get(c, 0)) for c in every if c in COMPONENTS[:-1] or c in units},
        listed=changes["listed"],
        delisted=changes["delisted"],
        succession=changes["succession"],
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
