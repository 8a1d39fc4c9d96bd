"""Business demography of the register and of the AI enterprises in it: what dates, links and staff say (GSBPM phase 5).

Births and deaths are read off the dates of the register. A unit that carries on another one (change of code, merger,
split) is no birth, and the one it carries on no death (*Eurostat-OECD Manual on Business Demography Statistics*, 2007).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from etl.link import LEGAL_UNIT
from etl.methods.demography import growth_population, high_growth

ALL, AI = "legal_units", "ai_enterprises"
LINK_DAYS: Final = 366
"""A link makes a continuation when it lies within a year of the opening or the closing."""
AI_FROM: Final = 0.5
MANY: Final = 100
DATES: Final = ("opened", "closed", "is_continuation", "is_continued", "ended")
GROWTH: Final = {"high_growth_10": 0.1, "high_growth_20": 0.2}
GROWING: Final = (*GROWTH, "gazelles")


def lives(register: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Legal units with what their dates mean.

    Parameters
    ----------
    register
        ``uscc, unit_kind, opening_date, closing_date, group_uscc``.
    links
        ``predecessor_uscc, successor_uscc, event_date``.

    Returns
    -------
    pl.DataFrame
        ``uscc, contributor, opened, closed`` (years; ``closed`` null while alive), ``is_continuation``, ``is_continued`` and
        ``ended``: the year in which the business ended, that of the last of its heirs where it has any, null while it goes on.
        An heir carries a business on where it opened for it, in the year of the closing at most one later: a unit that was
        there before takes over without being survival (as in :mod:`etl.methods.demography`).
    """
    units = register.filter(pl.col("unit_kind") == LEGAL_UNIT)
    near = pl.duration(days=LINK_DAYS)
    came = links.join(units.select("uscc", "opening_date"), left_on="successor_uscc", right_on="uscc")
    came = came.filter((pl.col("event_date") - pl.col("opening_date")).abs() <= near)
    went = links.join(units.select("uscc", "closing_date"), left_on="predecessor_uscc", right_on="uscc")
    went = went.filter((pl.col("event_date") - pl.col("closing_date")).abs() <= near)
    known = units.select(
        "uscc", contributor=pl.coalesce("group_uscc", "uscc"), opened=pl.col("opening_date").dt.year(),
        closed=pl.col("closing_date").dt.year(),
        is_continuation=pl.col("uscc").is_in(came["successor_uscc"].unique().implode()),
        is_continued=pl.col("uscc").is_in(went["predecessor_uscc"].unique().implode()),
    )  # fmt: skip
    new = went.join(came, on=["predecessor_uscc", "successor_uscc", "event_date"])
    new = new.filter(pl.col("opening_date").dt.year() <= pl.col("closing_date").dt.year() + 1)
    heirs = new.group_by("predecessor_uscc").agg(pl.col("successor_uscc").unique())
    ended = _ends(known, dict(heirs.iter_rows()))
    return known.join(ended, on="uscc", how="left").with_columns(
        ended=pl.when(pl.col("uscc").is_in(heirs["predecessor_uscc"].implode())).then("heirs_ended").otherwise("closed")
    ).drop("heirs_ended")  # fmt: skip


def _ends(known: pl.DataFrame, heirs: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """``uscc, heirs_ended`` of the units with heirs: the year the last of them and of theirs closed (null: one is alive)."""
    named = {*heirs, *(unit for those in heirs.values() for unit in those)}
    closed = dict(known.filter(pl.col("uscc").is_in(list(named))).select("uscc", "closed").iter_rows())
    rows = []
    for unit in sorted(heirs):
        reached, todo = {unit}, [unit]
        while todo:
            later = [heir for heir in heirs.get(todo.pop(), ()) if heir not in reached]
            reached.update(later)
            todo += later
        years = [closed[at] for at in reached]
        rows.append((unit, None if None in years else max(years)))
    return pl.DataFrame(rows, schema={"uscc": pl.String, "heirs_ended": pl.Int32}, orient="row")


def active(year: int) -> pl.Expr:
    """Alive at some time of the year."""
    return (pl.col("opened") <= year) & (pl.col("closed").is_null() | (pl.col("closed") >= year))


def pooled(units: pl.DataFrame, key: Sequence[str] = DATES) -> pl.DataFrame:
    """Units of :func:`lives` without their codes, ``n`` of them a row; all that follows depends on the ``key`` alone.

    Where more than a thousand contributors share the key they are pooled in a hundred, for only few matter to the rule of
    frequency: a register of millions becomes a table of thousands. ``units`` may be pooled already (by more).
    """
    counted = units if "n" in units.columns else units.with_columns(n=pl.lit(1, pl.Int64))
    many = pl.col("contributor").n_unique().over(key) > 10 * MANY
    return (
        counted.with_columns(many=many)
        .with_columns(
            contributor=pl.when("many")
            .then(pl.format("pool{}", pl.col("contributor").hash() % MANY))
            .otherwise("contributor")
        )
        .group_by(*key, "contributor", maintain_order=True)
        .agg(n=pl.col("n").sum())
    )


def _growing(staff: pl.DataFrame, units: pl.DataFrame) -> pl.DataFrame:
    """``year, contributor, n`` and :data:`GROWING`: the units of :func:`growth_population`; flags of what they did.

    ``staff``: ``unit, year, size`` by the labour returns.
    """
    events = staff.join(
        units.select(pl.col("uscc").alias("unit"), "opened", "is_continuation", "contributor"), on="unit"
    )
    born = (pl.col("opened") == pl.col("year")) & ~pl.col("is_continuation")
    events = events.with_columns(entry=pl.when(born).then(pl.lit("birth")))
    eligible = growth_population(events)
    for name, threshold in GROWTH.items():
        fast = high_growth(events, threshold)
        eligible = eligible.join(
            fast.select("unit", "year", pl.lit(True).alias(name), pl.col("is_gazelle").alias(f"gazelle_{name}")),
            on=["unit", "year"], how="left",
        )  # fmt: skip
    eligible = eligible.with_columns(gazelles=pl.col("gazelle_high_growth_20"), n=pl.lit(1, pl.Int64))
    flags = [pl.col(g).fill_null(False) for g in GROWING]
    return eligible.select("year", "contributor", "n", *flags).sort(pl.all())


def moves(places: pl.DataFrame, delta: pl.DataFrame) -> pl.DataFrame:
    """``uscc, year`` of the legal units whose district of operation in the nightly changes is another than in the full extract."""
    place = pl.coalesce("operating_district", "registered_district")
    before = places.select("uscc", origin=place)
    now = delta.filter(pl.col("unit_kind") == LEGAL_UNIT).select(
        "uscc", place=place, year=pl.col("ref_period").str.slice(0, 4).cast(pl.Int64)
    )
    moved = now.join(before, on="uscc").filter(pl.col("place") != pl.col("origin"))
    return moved.select("uscc", "year").unique().sort("uscc", "year")


def _moving(units: pl.DataFrame, moved: pl.DataFrame, year: int, upto: str) -> pl.DataFrame:
    """``year, upto``, units active in it as :func:`pooled` and ``moves``: whether they went to another district."""
    gone = pl.col("uscc").is_in(moved.filter(pl.col("year") == year)["uscc"].implode())
    here = units.filter(active(year))
    sides = [pooled(here.filter(c)).with_columns(moves=pl.lit(v)) for c, v in ((gone, True), (~gone, False))]
    return pl.concat(sides).with_columns(year=pl.lit(year, pl.Int64), upto=pl.lit(upto))


def ai_units(units: pl.DataFrame) -> pl.Series:
    """Codes of the units of the frame (nominated or surveyed) that were AI enterprises in some year.

    Confirmed members, and units without a return whose probability of being one is at least one half.
    """
    return units.filter(pl.col("membership") >= AI_FROM)["uscc"].unique().sort()


def demography_counts(
    register: pl.DataFrame, places: pl.DataFrame, delta: pl.DataFrame, links: pl.DataFrame, units: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    """All that the figures of business demography are counted from (restricted: a unit in no group is its own contributor).

    Parameters
    ----------
    register
        As for :func:`lives`: the newest full extract.
    places, delta
        ``uscc, operating_district, registered_district`` in that extract of the units in the nightly changes after it, and
        the changes (also ``unit_kind, ref_period``): they only show moves.
    units
        ``uscc, ref_year, membership, employed_persons`` of the frame.

    Returns
    -------
    dict
        ``lives`` (:func:`pooled` by ``population``), ``moving`` (units active in a ``year`` of changes by ``population``, with ``moves``
        and the month ``upto`` which the changes go) and ``growing`` (AI enterprises of which high growth to ``year`` can be told, with :data:`GROWING`).
    """
    everyone = lives(register, links)
    own = everyone.filter(pl.col("uscc").is_in(ai_units(units).implode()))
    staff = units.filter(pl.col("membership") >= AI_FROM).drop_nulls("employed_persons").select(
        pl.col("uscc").alias("unit"), pl.col("ref_year").alias("year"), pl.col("employed_persons").alias("size")
    )  # fmt: skip
    moved = moves(places, delta)
    changed = {p[:4]: p[:7] for p in delta["ref_period"].drop_nulls().unique().sort()}
    populations: Mapping[str, pl.DataFrame] = {ALL: everyone, AI: own}
    named = {name: pl.lit(name).alias("population") for name in populations}
    moving = [_moving(own.clear(), moved, 0, "").with_columns(named[AI])]
    moving += [
        _moving(u, moved, int(year), upto).with_columns(named[p])
        for p, u in populations.items() for year, upto in changed.items()
    ]  # fmt: skip
    return {
        "lives": pl.concat([pooled(u).with_columns(named[p]) for p, u in populations.items()]),
        "moving": pl.concat(moving),
        "growing": _growing(staff, own),
    }
