"""At which stage a released figure is: flash, preliminary, final, census revision (GSBPM 7.2; ``revision.yaml``)."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import polars as pl

from etl.methods.periods import parse

SCHEME: Final = "revision_stage"
"""Code list of the stages in a release, and the column of every cube."""
HEADLINE: Final = "core_leaf_year"


def _stage(period: str, vintage: str, settings: Mapping[str, Any], dataset: str) -> Mapping[str, Any]:
    if dataset in settings["unstaged"]["datasets"]:
        found: Mapping[str, Any] = settings["unstaged"]
        return found
    end, day = parse(period).end, date.fromisoformat(vintage)
    for census in settings["censuses"]:
        first, last = census["years"]
        released = date.fromisoformat(str(census["released"]))
        if dataset in census["datasets"] and first <= end.year <= last and day >= released:
            return settings["census"]  # type: ignore[no-any-return]
    age = (day - end).days
    stages = settings["stages"]
    return next((s for s in stages if s["to_days"] is None or age <= s["to_days"]), stages[-1])


def stage_of(
    period: str, vintage: str, settings: Mapping[str, Any], dataset: str = HEADLINE
) -> tuple[str, str, str]:  # fmt: skip
    """Stage of a figure (id, Chinese, English) by the age of its period at the release, or a census's results.

    ``settings`` as ``warehouse/metadata/revision.yaml``. A census revises the years and datasets it names in every release
    from the day of its results on; a dataset of a public list is at no stage (``_Z``).
    """
    own = _stage(period, vintage, settings, dataset)
    return own["id"], own["zh"], own["en"]


def stage_codes(settings: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The code list: code, and what a figure at that stage is called in Chinese and English, in order."""
    rows = [*settings["stages"], settings["census"], settings["unstaged"]]
    return [(s["id"], s["figure_zh"], s["figure_en"]) for s in rows]


def with_stages(
    cubes: Mapping[str, pl.DataFrame], vintage: str, settings: Mapping[str, Any]
) -> dict[str, pl.DataFrame]:  # fmt: skip
    """Released cubes (by dataset) with the last column ``revision_stage`` of each observation.

    The stage follows from dataset, period and vintage alone, so it tells nothing about a cell and stands beside withheld
    ones too. It is kept with the observation, not with the period: a file cut from the cube still says it.
    """
    found = {}
    for dataset, frame in cubes.items():
        periods = frame["period"].unique().to_list()
        stages = {p: _stage(p, vintage, settings, dataset)["id"] for p in periods}
        found[dataset] = frame.with_columns(
            pl.col("period").replace_strict(stages, return_dtype=pl.String).alias(SCHEME)
        )
    return found
