"""What pages ask of a release, in a few words."""

from collections.abc import Mapping

from dashboard.context import Context
from warehouse.catalogue import TOTAL, Indicator
from warehouse.cube import Cell, Cube, Periods, Selection, TableModel, read_cube, shown_cell, table_model

CORE = ("ai_enterprises", "ai_revenue", "operating_revenue", "employed_persons", "rd_staff")


def cube(
    ctx: Context,
    dataset: str,
    indicator: str | None = None,
    filters: Mapping[str, tuple[str, ...]] | None = None,
    periods: Periods | None = None,
) -> Cube:
    """A cube of the release in the reader's language."""
    selection = Selection(
        dataset,
        (indicator,) if indicator else (),
        tuple(sorted((filters or {}).items())),
        periods or Periods(),
        ctx.lang,
    )
    return read_cube(ctx.release, selection)


def core_indicators(ctx: Context) -> list[tuple[str, str]]:
    """(id, name) of the headline indicators."""
    return [(i, ctx.name(ctx.release.indicator(i))) for i in CORE]


def years(ctx: Context, dataset: str = "core_leaf_year") -> list[str]:
    """Periods of a dataset, newest first."""
    return ctx.release.periods(dataset)[::-1]


def branches(ctx: Context) -> list[tuple[str, str]]:
    """(code, name) of the core branches."""
    codes = ctx.release.codes("ai_industry_2026")
    return [(c.code, ctx.name(c)) for c in codes if c.level == 1 and c.segment == "core"]


def two_way(
    ctx: Context,
    found: Cube,
    rows: str,
    columns: str,
    *,
    measure: str = "value",
    fixed: Mapping[str, str] | None = None,
) -> TableModel:
    """The table model of a cube of one indicator."""
    return table_model(
        found, ctx.release, rows=rows, columns=columns, indicator=found.indicators[0].id, measure=measure, fixed=fixed
    )


def city_cell(ctx: Context, indicator: Indicator, period: str, measure: str = "value") -> Cell | None:
    """The city total of a headline indicator in a year."""
    found = cube(ctx, "core_leaf_year", indicator.id, {"ai_class": (TOTAL,)}, Periods("fixed", values=(period,)))
    for row in found.frame.iter_rows(named=True):
        return shown_cell(row, indicator, measure, ctx.lang)
    return None


def city_row(ctx: Context, indicator: Indicator) -> dict[str, dict[str, object]]:
    """period → the whole released row of the city total."""
    found = cube(ctx, "core_leaf_year", indicator.id, {"ai_class": (TOTAL,)})
    return {row["period"]: row for row in found.frame.sort("period").iter_rows(named=True)}
