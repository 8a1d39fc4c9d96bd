"""From contributions to cleared cubes: protect all tables of an indicator and year jointly, audit, shape (GSBPM phase 7)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from etl.clearing import clear_table
from etl.methods.disclosure import Certificate, RuleSet
from etl.methods.disclosure.dimension import from_parents
from etl.methods.growth import yoy_expr
from etl.release_ledger import Place
from taxonomy.scheme import load_scheme
from warehouse.catalogue import Indicator, load_datasets, load_indicators, load_yaml

TOTAL = "_T"
DIMENSIONS = ("ai_class", "district", "size")
#: dataset → the dimensions it shows (the rest are totals); ``ai_class:1`` shows branches and the total only. By size, classes
#: of the third level would be withheld for more than :data:`MOST_HIDDEN` (38 % of the revenue cells in the demo city); of the second
#: for revenue and persons of AI enterprises (39 to 42 %): these are not among the datasets of those indicators.
CUBES: Mapping[str, tuple[str, ...]] = {
    "core_leaf_year": ("ai_class",),
    "core_leaf_size": ("ai_class:2", "size"),
    "core_branch_district": ("ai_class:1", "district"),
    "core_branch_size": ("ai_class:1", "size"),
}
HIDDEN = ("primary", "secondary")
MOST_HIDDEN = 0.35
"""A cube that withholds more of a level than this says little and is redesigned, not published."""


def branch(column: str = "ai_class") -> pl.Expr:
    """The branch of a class."""
    return pl.col(column).str.slice(0, 1)


@dataclass(frozen=True)
class Cleared:
    """Result of one indicator and year: every cell with its status (restricted) and the audit's certificate."""

    indicator: str
    period: str
    frame: pl.DataFrame
    certificate: Certificate

    def cells(self) -> pl.DataFrame:
        """All cells, the hidden ones with their values: restricted."""
        return self.frame.select("table", *DIMENSIONS, "value", "n", "status").with_columns(
            indicator=pl.lit(self.indicator), period=pl.lit(self.period)
        )


def cubes_of(indicator: Indicator) -> Mapping[str, tuple[str, ...]]:
    """The core cubes that show an indicator."""
    return {dataset: dims for dataset, dims in CUBES.items() if dataset in indicator.datasets}


def hierarchies() -> Mapping[str, Mapping[str, str | None]]:
    """Parent of every code, by dimension."""
    core = {c.code: c.parent for c in load_scheme("ai_industry_2026").codes if c.segment == "core"}
    district = {c.code: None for c in load_scheme("district_sz").codes if c.level_name != "overlay_zone"}
    size: dict[str, str | None] = dict.fromkeys(c.code for c in load_scheme("size_2017").codes)
    return {"ai_class": core, "district": district, "size": size}


def crowded_levels(cells: pl.DataFrame) -> pl.DataFrame:
    """``table, indicator, level, share`` of the levels of which more than :data:`MOST_HIDDEN` is withheld, all periods together.

    ``cells`` as :meth:`Cleared.cells`; ``level``: depth by dimension, as ``ai_class 2 × size 1``; ``share`` of the cells that are not
    empty.
    """
    depths = {dim: _depths(dim, parents) for dim, parents in hierarchies().items()}
    level = [pl.col(d).replace_strict(depths[d], return_dtype=pl.Int64).alias(d) for d in DIMENSIONS]
    shown = [pl.when(pl.col(d) > 0).then(pl.format(d + " {}", d)) for d in DIMENSIONS]
    hidden = cells.filter(pl.col("status") != "empty").select(
        "table", "indicator", *level, hidden=pl.col("status").is_in(HIDDEN)
    )
    return crowded(hidden.with_columns(level=pl.concat_str(shown, separator=" × ", ignore_nulls=True)))


def crowded(cells: pl.DataFrame) -> pl.DataFrame:
    """``table, indicator, level, share`` of the levels of which too much is ``hidden``."""
    shares = cells.group_by("table", "indicator", "level").agg(share=pl.col("hidden").mean())
    return shares.filter(pl.col("share") > MOST_HIDDEN).sort("table", "indicator", "level")


def crowding_text(found: pl.DataFrame) -> str:
    """What is crowded, for the check of that name; says so where nothing is."""
    crowded_ones = [f"{t} {i} ({level}): {share:.0%}" for t, i, level, share in found.iter_rows()]
    return "; ".join(crowded_ones) or f"at most {MOST_HIDDEN:.0%} of every level withheld"


def _depths(name: str, parents: Mapping[str, str | None]) -> dict[str, int]:
    """Steps of every code below the total."""
    dimension = from_parents(name, parents.items(), TOTAL)
    return dict(zip(dimension.codes, dimension.depth.tolist(), strict=True))


def rules(live: Path) -> RuleSet:
    """The rules in force: ``live`` (``secret/disclosure.yaml`` of the installation) if it is there, else the demo parameters.

    Raises
    ------
    ValueError
        If the live file does not hold ``rules:`` with known parameters.
    """
    settings = yaml.safe_load(live.read_text(encoding="utf-8")) if live.is_file() else load_yaml("disclosure")
    try:
        given: dict[str, Any] = dict(settings["rules"])  # type: ignore[call-overload]
        pairs = tuple((int(n), float(k)) for n, k in given.pop("dominance", ()))
        return RuleSet(**given, dominance=pairs)
    except (TypeError, KeyError) as error:
        raise ValueError(
            f"{live.name}: expected 'rules:' with parameters such as min_contributors, p_percent"
        ) from error


def clear(
    contributions: pl.DataFrame, indicators: Sequence[Indicator], limits: RuleSet, seed: int
) -> Iterator[Cleared]:
    """Protect and audit every indicator and year, in order.

    ``contributions`` as :func:`etl.analysis.contributions` returns them; gaps (null) are left out and counted there.
    """
    known = contributions.filter(pl.col("value").is_not_null())
    for indicator in indicators:
        rows = known.filter(pl.col("indicator") == indicator.id)
        for year in sorted(rows["ref_year"].unique().to_list()):
            micro = rows.filter(pl.col("ref_year") == year).select(*DIMENSIONS, "contributor", "value", "observed")
            place = Place(f"core/{indicator.id}", str(year))
            own = cubes_of(indicator)
            cleared = clear_table(micro, own, hierarchies(), limits, seed, kind=indicator.kind, place=place)
            yield Cleared(indicator.id, str(year), cleared.frame, cleared.certificate)


def model_shares(contributions: pl.DataFrame) -> pl.DataFrame:
    """Share of the city total that rests on a model: ``indicator, period, model_share``."""
    modelled = pl.col("value").filter(~pl.col("observed")).sum().cast(pl.Float64)
    return (
        contributions.drop_nulls("value")
        .group_by("indicator", pl.col("ref_year").cast(pl.String).alias("period"))
        .agg((modelled / pl.col("value").sum().cast(pl.Float64)).round(4).alias("model_share"))
        .sort("indicator", "period")
    )


def with_growth(cells: pl.DataFrame, dims: Sequence[str]) -> pl.DataFrame:
    """Growth on the same period of last year, only where both are shown."""
    year, within = pl.col("period").str.slice(0, 4), pl.col("period").str.slice(4)
    key = [*dims, "indicator"]
    previous = cells.select(
        *key,
        ((year.cast(pl.Int64) + 1).cast(pl.String) + within).alias("period"),
        pl.col("value").alias("previous"),
        (pl.col("conf_status") == "C").alias("previous_hidden"),
    )
    joined = cells.join(previous, on=[*key, "period"], how="left", maintain_order="left")
    either = (pl.col("conf_status") == "C") | pl.col("previous_hidden").fill_null(False)
    growth = joined.with_columns(growth=yoy_expr(pl.col("value"), pl.col("previous"), either)).unnest("growth")
    note = pl.when(pl.col("previous").is_null() & ~either).then(pl.lit("base_missing")).otherwise("reason")
    return growth.with_columns(yoy_ratio=pl.col("ratio"), yoy_note=note.fill_null(""))


def cube_frames(
    cells: pl.DataFrame, shares: pl.DataFrame, vintage: str, *,
    cubes: Iterable[str] = tuple(CUBES), dimensions: Sequence[str] = DIMENSIONS,
) -> dict[str, pl.DataFrame]:  # fmt: skip
    """Release frames of the protected datasets ``cubes`` from all cells of :meth:`Cleared.cells` (over ``dimensions``).

    Hidden cells lose value and growth here; the share resting on a model is given for city totals alone, where it
    tells nothing about a respondent.
    """
    hidden = pl.col("status").is_in(HIDDEN)
    at_total = pl.all_horizontal(pl.col(d) == TOTAL for d in dimensions)
    shaped = cells.join(shares, on=["indicator", "period"], how="left", maintain_order="left").with_columns(
        value=pl.when(~hidden).then(pl.col("value").cast(pl.Decimal(24, 2))),
        obs_status=pl.when(pl.col("status") == "empty").then(pl.lit("A")).otherwise(pl.lit("E")),
        conf_status=pl.when(hidden).then(pl.lit("C")).otherwise(pl.lit("F")),
        model_share=pl.when(at_total & ~hidden).then("model_share"),
        vintage=pl.lit(vintage),
    )
    frames = {}
    for dataset in cubes:
        dims = load_datasets()[dataset].dimension_ids
        own = with_growth(shaped.filter(pl.col("table") == dataset), dims)
        frames[dataset] = own.select(
            *dims, "period", "indicator", "value", "obs_status", "conf_status", "yoy_ratio", "yoy_note", "model_share",
            "vintage",
        )  # fmt: skip
    return frames


def certificates(cleared: Sequence[Cleared]) -> dict[str, dict[str, object]]:
    """Public certificate of each protected dataset: passed only if every indicator and year did."""
    passed = bool(cleared) and all(c.certificate.passed for c in cleared)
    shown = load_indicators()
    parts = {
        dataset: [
            {"indicator": c.indicator, "period": c.period, **c.certificate.public_dict()}
            for c in cleared if dataset in shown[c.indicator].datasets
        ]
        for dataset in CUBES
    }  # fmt: skip
    return {dataset: {"passed": passed, "jointly_with": sorted(CUBES), "tables": parts[dataset]} for dataset in CUBES}
