"""Indicators and datasets as data: one YAML file each, checked on loading."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warehouse.source_spec import SourceSpec
from warehouse.yaml_text import parse_yaml

METADATA = Path(__file__).parent / "metadata"
TOTAL = "_T"


class MetadataError(ValueError):
    """A metadata file is wrong; says which file, which field, what was expected."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Display(_Frozen):
    """How values are shown: value / ``factor``, ``decimals`` places, the unit's names."""

    unit_zh: str
    unit_en: str
    factor: int = 1
    decimals: int = 0


class Indicator(_Frozen):
    """One indicator, everything said about it."""

    id: str
    theme: str
    name_zh: str
    name_en: str
    definition_zh: str
    definition_en: str
    unit: Literal["CNY", "PERSON", "UNIT", "ITEM", "PCT", "PFLOPS", "KWH", "SQM", "RATIO"]
    display: Display
    view: Literal["enterprise", "activity", "public", "source"]
    kind: Literal["count", "magnitude"]
    variable: str | None = None
    auxiliary: str | None = None
    source: SourceSpec | None = None
    datasets: tuple[str, ...] = Field(strict=False)
    growth: Literal["yoy", "none"] = "yoy"
    additive: bool = True
    totals_only: bool = False
    """By the dimensions of its datasets most of it would be withheld: only their totals are published."""
    sort: int = 100
    legal_basis: str
    sources: tuple[str, ...] = Field(strict=False)
    method_zh: str
    method_en: str
    note_zh: str = ""
    note_en: str = ""


class Dimension(_Frozen):
    """A dimension of a dataset and the code list it takes its codes from; ``levels`` limits them."""

    id: str
    scheme: str
    name_zh: str
    name_en: str
    levels: tuple[int, ...] = Field(default=(), strict=False)


class Dataset(_Frozen):
    """A published cube."""

    id: str
    title_zh: str
    title_en: str
    dimensions: tuple[Dimension, ...] = Field(strict=False)
    frequency: Literal["A", "Q", "M"]
    protected: bool
    is_demo_data: bool
    source_zh: str
    source_en: str
    notes_zh: tuple[str, ...] = Field(default=(), strict=False)
    notes_en: tuple[str, ...] = Field(default=(), strict=False)
    legal_basis: str
    sort: int = 100

    @property
    def dimension_ids(self) -> tuple[str, ...]:
        """Names of the dimensions besides period and indicator, in order."""
        return tuple(d.id for d in self.dimensions)

    def dimension(self, name: str) -> Dimension:
        """One dimension by id (KeyError with the known ones)."""
        for dimension in self.dimensions:
            if dimension.id == name:
                return dimension
        raise KeyError(f"dataset {self.id} has no dimension {name!r}; it has {', '.join(self.dimension_ids)}")


def _load(path: Path, model: type[BaseModel]) -> BaseModel:
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
        return model.model_validate(data)
    except yaml.YAMLError as error:
        raise MetadataError(f"{path.name}: not valid YAML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise MetadataError(f"{path.relative_to(METADATA.parent)}: {problems}") from error


@lru_cache(maxsize=4)
def load_datasets(folder: Path = METADATA / "datasets") -> Mapping[str, Dataset]:
    """Every dataset by id, in display order."""
    found: dict[str, Dataset] = {}
    for path in sorted(folder.glob("*.yaml")):
        dataset = _load(path, Dataset)
        assert isinstance(dataset, Dataset)
        if dataset.id != path.stem:
            raise MetadataError(f"{path.name}: the id is {dataset.id!r}; file name and id must agree")
        found[dataset.id] = dataset
    return dict(sorted(found.items(), key=lambda item: (item[1].sort, item[0])))


@lru_cache(maxsize=4)
def load_indicators(folder: Path = METADATA / "indicators") -> Mapping[str, Indicator]:
    """Every indicator by id, in display order; each names only datasets that exist."""
    datasets = load_datasets()
    found: dict[str, Indicator] = {}
    for path in sorted(folder.rglob("*.yaml")):
        indicator = _load(path, Indicator)
        assert isinstance(indicator, Indicator)
        where = path.relative_to(METADATA.parent)
        if indicator.id != path.stem or indicator.theme != path.parent.name:
            raise MetadataError(f"{where}: id and theme must agree with file and folder name")
        if (indicator.view == "source") != (indicator.source is not None):
            raise MetadataError(f"{where}: view source and the part 'source:' go together")
        if indicator.id in found:
            raise MetadataError(f"{where}: the indicator {indicator.id!r} stands in two files")
        unknown = [d for d in indicator.datasets if d not in datasets]
        if unknown:
            raise MetadataError(f"{where}: datasets {unknown} do not exist; known: {', '.join(datasets)}")
        found[indicator.id] = indicator
    return dict(sorted(found.items(), key=lambda item: (item[1].sort, item[0])))


def indicators_of(dataset_id: str) -> list[Indicator]:
    """Indicators a dataset shows, in display order."""
    return [i for i in load_indicators().values() if dataset_id in i.datasets]


def load_yaml(name: str) -> dict[str, object]:
    """One of the plain metadata files (``roles``, ``disclosure``, …)."""
    path = METADATA / f"{name}.yaml"
    data = parse_yaml(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise MetadataError(f"{path.name}: a mapping was expected")
    return data
