"""The demo city's settings and phrase pools as frozen values, and its random streams."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import yaml

HERE: Final = Path(__file__).parent
SOURCES: Final = HERE.parent / "sources"
LABEL: Final = "模拟数据"
BRANCHES: Final = ("A", "B", "C", "D")

Size = Literal["small", "city"]


@dataclass(frozen=True)
class Activity:
    """What one kind of unit says of itself: plausible class codes, name words, scope phrases, products."""

    id: str
    kind: Literal["ai", "look", "ordinary"]
    gbt: tuple[str, ...]
    names: tuple[str, ...]
    scope: tuple[str, ...]
    products: tuple[str, ...]
    weight: float = 1.0
    sole: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """Settings of ``scenario.yaml`` with the numbers of one city size."""

    settings: Mapping[str, Any]
    size: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.settings[name]

    @property
    def years(self) -> list[int]:
        """Reference years, ascending."""
        return list(self.settings["years"])


def load_scenario(size: str) -> Scenario:
    """The scenario of one city size; ValueError names the known sizes."""
    settings = yaml.safe_load((HERE / "scenario.yaml").read_text(encoding="utf-8"))
    if size not in settings["sizes"]:
        raise ValueError(f"no demo city of size {size!r}: expected one of {', '.join(settings['sizes'])}")
    return Scenario(settings, settings["sizes"][size])


def _pool(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((HERE / "phrases" / f"{name}.yaml").read_text(encoding="utf-8"))
    return loaded


@cache
def activities() -> tuple[Activity, ...]:
    """Every activity: AI leaves, look-alikes, ordinary ones, in a fixed order."""
    kinds = {"ai_hardware": "ai", "ai_software": "ai", "ai_application": "ai", "ai_integration": "ai"}
    found = []
    for file, kind in {**kinds, "lookalike": "look", "ordinary": "ordinary"}.items():
        for name, spec in _pool(file).items():
            lists = {key: tuple(spec[key]) for key in ("gbt", "names", "scope", "products")}
            extra = {"weight": spec.get("weight", 1.0), "sole": spec.get("sole", 0.0)}
            found.append(Activity(name, kind, **lists, **extra))  # type: ignore[arg-type]
    return tuple(found)


@cache
def common() -> Mapping[str, list[str]]:
    """Phrases any unit may write, vague phrases, and the parts of names."""
    return _pool("common")


@cache
def forbidden_names() -> frozenset[str]:
    """Names of real companies in the committed public lists: no demo unit may bear one."""
    found: set[str] = set()
    for file in sorted(SOURCES.glob("*/data/*.csv")):
        with file.open(encoding="utf-8-sig", newline="") as handle:
            for row in csv.DictReader(handle):
                found |= {row[c] for c in ("company", "name", "full_name") if row.get(c)}
    return frozenset(found)


def stream(seed: int, part: str) -> np.random.Generator:
    """An independent PCG64 stream for one part of the city, so that parts do not disturb one another."""
    return np.random.Generator(np.random.PCG64([seed, *part.encode()]))


def weighted(rng: np.random.Generator, weights: Sequence[float], n: int) -> np.ndarray:
    """``n`` positions drawn in proportion to ``weights`` (int64)."""
    cumulated = np.cumsum(np.asarray(weights, dtype=np.float64))
    return np.searchsorted(cumulated, rng.random(n) * cumulated[-1], side="right")
