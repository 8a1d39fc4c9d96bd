"""Which file formats there are, and the one call that makes a file of a release."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from warehouse.cube import Periods, Selection, SelectionError, read_cube
from warehouse.export.tidy import Extract, extract
from warehouse.export.words import SIMULATED
from warehouse.read import Release

LANGUAGES = ("zh", "en")
_FORMATS = ("csv", "parquet", "json-stat", "xlsx")
_FOUND: dict[str, "Exporter"] = {}


class ExportError(ValueError):
    """A file that cannot be made: unknown format, dataset, period or language; says what is known."""


@dataclass(frozen=True)
class Exporter:
    """One file format: name, media type, file ending, names for people, and its writer."""

    format: str
    media_type: str
    extension: str
    name_zh: str
    name_en: str
    write: Callable[[Extract], bytes]


@dataclass(frozen=True)
class Exported:
    """A finished file: a name that says what it holds, its media type and its bytes."""

    filename: str
    media_type: str
    content: bytes


def exporter(
    name: str, *, media_type: str, extension: str, name_zh: str, name_en: str
) -> Callable[[Callable[[Extract], bytes]], Callable[[Extract], bytes]]:
    """Register the decorated function as the writer of a format."""

    def register(write: Callable[[Extract], bytes]) -> Callable[[Extract], bytes]:
        if name in _FOUND:
            raise ValueError(f"the format {name!r} is registered twice")
        _FOUND[name] = Exporter(name, media_type, extension, name_zh, name_en, write)
        return write

    return register


@lru_cache(maxsize=1)
def exporters() -> Mapping[str, Exporter]:
    """Every format by name, in display order: csv, parquet, json-stat, xlsx."""
    for name in _FORMATS:
        importlib.import_module(f"warehouse.export.{name.replace('-', '_')}")
    return MappingProxyType({name: _FOUND[name] for name in _FORMATS})


def chosen_periods(release: Release, dataset_id: str, period: str | None) -> Periods:
    """A period, or every month and quarter of a year; None is all of them.

    Raises
    ------
    ExportError
        If the dataset holds nothing for it; names the periods it holds.
    """
    if period is None:
        return Periods()
    known = release.periods(dataset_id)
    hit = tuple(p for p in known if p == period or p.startswith(f"{period}-"))
    if not hit:
        raise ExportError(f"{dataset_id} has no period {period!r}; it has {', '.join(known) or 'none'}")
    return Periods("fixed", values=hit)


def filename(data: Extract, extension: str) -> str:
    """模拟数据_深圳AI产业_core_leaf_year_2021—2025_v2026-03-31.csv; the mark only if simulated."""
    mark = SIMULATED if data.kind == "simulated" else None
    parts = [mark, "深圳AI产业", data.dataset.id, data.span or None, f"v{data.cube.vintage}"]
    return f"{'_'.join(p for p in parts if p)}.{extension}"


def export_selection(release: Release, selection: Selection, fmt: str) -> Exported:
    """A file of exactly what a selection shows.

    Raises
    ------
    ExportError
        If there is no such format.
    warehouse.cube.SelectionError
        If the selection names something the release does not hold.
    """
    try:
        chosen = exporters()[fmt]
    except KeyError as error:
        raise ExportError(f"no format {fmt!r}; known: {', '.join(exporters())}") from error
    data = extract(release, read_cube(release, selection))
    return Exported(filename(data, chosen.extension), chosen.media_type, chosen.write(data))


def export(release: Release, dataset_id: str, fmt: str, period: str | None = None, lang: str = "zh") -> Exported:
    """A whole dataset, or one period of it, as a file.

    Raises
    ------
    ExportError
        If format, dataset, period or language are unknown.
    """
    if lang not in LANGUAGES:
        raise ExportError(f"language {lang!r}; expected zh or en")
    known = [d.id for d in release.datasets()]
    if dataset_id not in known:
        raise ExportError(f"no dataset {dataset_id!r}; known: {', '.join(known)}")
    periods = chosen_periods(release, dataset_id, period)
    try:
        return export_selection(release, Selection(dataset_id, periods=periods, lang=lang), fmt)
    except SelectionError as error:
        raise ExportError(str(error)) from error
