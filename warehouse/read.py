"""The questions others may ask of a release. One :class:`Release` is one immutable view; resolve it once per request."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb
import polars as pl

from warehouse.catalogue import Dataset, Indicator
from warehouse.connect import open_reader

TABLES = frozenset(
    {
        "meta_source_run",
        "meta_quality",
        "meta_classifier_quality",
        "meta_quantity_quality",
        "meta_growth",
        "meta_demography",
        "meta_series",
        "meta_climate",
        "meta_process_quality",
        "meta_revision",
        "meta_revision_summary",
        "meta_editing",
        "public_published_figure",
        "public_filing",
        "public_plan_task",
    }
)


class NoRelease(LookupError):
    """There is nothing to serve yet, or not under that id."""


class UnknownName(LookupError):
    """A dataset, indicator, scheme or table that the release does not hold."""


@dataclass(frozen=True)
class Info:
    """What a release is: shown beside every figure."""

    release_id: str
    vintage: str
    status: str
    is_synthetic: bool
    pipeline_version: str


@dataclass(frozen=True)
class Code:
    """One code of a released code list."""

    code: str
    parent: str | None
    level: int
    level_name: str
    name_zh: str
    name_en: str
    definition_zh: str
    includes: str
    excludes: str
    legal_basis: str
    segment: str
    sort: int
    status: str
    basis: str = ""


class Release:
    """A read-only view of one release; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connection = open_reader(folder / "release.duckdb")
        self._lock = threading.Lock()
        self._frames: dict[str, pl.DataFrame] = {}

    def _all(self, table: str) -> pl.DataFrame:
        """A whole (small) table of the mart, read once; ``table`` comes from this module only."""
        with self._lock:
            frame = self._frames.get(table)
            if frame is None:
                try:
                    with self._connection.cursor() as cursor:
                        frame = cursor.sql(f"SELECT * FROM {table}").pl()
                except duckdb.CatalogException as error:
                    raise UnknownName(f"release {self._folder.name} holds no {table}") from error
                self._frames[table] = frame
        return frame

    @cached_property
    def info(self) -> Info:
        """Id, vintage, status of this release."""
        return Info(**self._all("meta_release").row(0, named=True))

    @cached_property
    def _datasets(self) -> Mapping[str, Dataset]:
        rows = self._all("meta_dataset")
        found = [Dataset.model_validate_json(text) for text in rows["json"]]
        return {d.id: d for d in sorted(found, key=lambda d: (d.sort, d.id))}

    @cached_property
    def _indicators(self) -> Mapping[str, Indicator]:
        rows = self._all("meta_indicator")
        found = [Indicator.model_validate_json(text) for text in rows["json"]]
        return {i.id: i for i in sorted(found, key=lambda i: (i.sort, i.id))}

    def datasets(self) -> list[Dataset]:
        """Datasets in display order."""
        return list(self._datasets.values())

    def dataset(self, dataset_id: str) -> Dataset:
        """One dataset (:class:`UnknownName` lists the known ones)."""
        try:
            return self._datasets[dataset_id]
        except KeyError as error:
            raise UnknownName(f"no dataset {dataset_id!r}; known: {', '.join(self._datasets)}") from error

    def is_synthetic(self, dataset_id: str) -> bool:
        """Whether a dataset of this release is simulated (模拟数据); real public lists never are."""
        return self.info.is_synthetic and self.dataset(dataset_id).is_demo_data

    def indicators(self, dataset_id: str | None = None) -> list[Indicator]:
        """Indicators in display order, of one dataset or all."""
        return [i for i in self._indicators.values() if dataset_id is None or dataset_id in i.datasets]

    def indicator(self, indicator_id: str) -> Indicator:
        """One indicator (:class:`UnknownName` lists the known ones)."""
        try:
            return self._indicators[indicator_id]
        except KeyError as error:
            raise UnknownName(f"no indicator {indicator_id!r}; known: {', '.join(self._indicators)}") from error

    @cached_property
    def _codes(self) -> Mapping[str, tuple[Code, ...]]:
        frame = self._all("meta_code").sort("scheme", "sort")
        lists: dict[str, list[Code]] = {}
        for row in frame.iter_rows(named=True):
            lists.setdefault(row.pop("scheme"), []).append(Code(**row))
        return {scheme: tuple(codes) for scheme, codes in lists.items()}

    def schemes(self) -> list[str]:
        """Code lists of this release."""
        return list(self._codes)

    def codes(self, scheme: str) -> tuple[Code, ...]:
        """A code list in official order (:class:`UnknownName` if it is not in the release)."""
        try:
            return self._codes[scheme]
        except KeyError as error:
            raise UnknownName(f"no code list {scheme!r}; known: {', '.join(self._codes)}") from error

    def cube_frame(self, dataset_id: str) -> pl.DataFrame:
        """Every cell of a dataset: its dimensions, period, indicator, value, statuses, growth, vintage, stage.

        A release made before stages were kept has none: ``revision_stage`` is empty there.
        """
        frame = self._all(f"disseminate_{self.dataset(dataset_id).id}")
        return frame if "revision_stage" in frame.columns else frame.with_columns(revision_stage=pl.lit(""))

    def periods(self, dataset_id: str) -> list[str]:
        """Periods a dataset holds, ascending."""
        return sorted(self.cube_frame(dataset_id)["period"].unique().to_list())

    def table(self, name: str) -> pl.DataFrame:
        """One of the public and process tables (:data:`TABLES`)."""
        if name not in TABLES:
            raise UnknownName(f"no table {name!r}; known: {', '.join(sorted(TABLES))}")
        return self._all(name)


_CACHE: dict[Path, Release] = {}
_CACHE_LOCK = threading.Lock()


def _open(folder: Path) -> Release:
    folder = folder.resolve()
    with _CACHE_LOCK:
        release = _CACHE.get(folder)
        if release is None:
            if not (folder / "release.duckdb").is_file():
                raise NoRelease(f"no release {folder.name!r}; 'aistat release list' shows those there are")
            release = _CACHE[folder] = Release(folder)
        return release


def open_release(home: Path, release_id: str) -> Release:
    """One release by id (:class:`NoRelease` if it is not there)."""
    if "/" in release_id or release_id.startswith("."):
        raise NoRelease(f"{release_id!r} is not a release id")
    return _open(home / "releases" / release_id)


def open_current(home: Path) -> Release:
    """The release being served now; follows the pointer without restart.

    Raises
    ------
    NoRelease
        If nothing has been released yet.
    """
    try:
        release_id = (home / "releases" / "current").read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise NoRelease(f"nothing has been released in {home.name} yet; run 'aistat run' first") from error
    return open_release(home, release_id)
