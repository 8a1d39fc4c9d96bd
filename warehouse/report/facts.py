"""Facts: the only numbers a draft may contain, each read from one cell (or two) of one release."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

import polars as pl

from warehouse.catalogue import Indicator
from warehouse.read import Release

Kind = Literal["level", "growth", "share"]
TOTAL = "_T"
GRADE_DESCRIPTIVE = "D"


class FactUnavailable(LookupError):
    """A number the release does not hold: withheld (保密), missing (暂缺) or not applicable; says which."""


@dataclass(frozen=True)
class FactKey:
    """What a fact states, enough to read it again from its release.

    ``kind`` level: the value of a cell; growth: its ratio to the same cell a year before, minus one; share: the cell
    over the cell of the same indicator whose ``of`` dimensions are totals.
    """

    kind: Kind
    dataset: str
    indicator: str
    period: str
    dimensions: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """Short, stable name: the same statement has the same id in every release."""
        body = json.dumps([self.kind, self.dataset, self.indicator, self.period, list(self.dimensions)])
        return "F" + hashlib.sha256(body.encode()).hexdigest()[:10]

    def to_json(self) -> dict[str, object]:
        """Plain data for the trace part of a document."""
        return {
            "kind": self.kind,
            "dataset": self.dataset,
            "indicator": self.indicator,
            "period": self.period,
            "dimensions": [list(d) for d in self.dimensions],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "FactKey":
        """The inverse of :meth:`to_json`.

        Raises
        ------
        ValueError
            If a field is missing or of the wrong shape.
        """
        try:
            dimensions = tuple((str(a), str(b)) for a, b in data["dimensions"])  # type: ignore[attr-defined]
            kind = str(data["kind"])
            if kind not in ("level", "growth", "share"):
                raise ValueError(f"unknown kind of fact {kind!r}")
            return cls(kind, str(data["dataset"]), str(data["indicator"]), str(data["period"]), dimensions)  # type: ignore[arg-type]
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a fact key: {data!r}") from error


@dataclass(frozen=True)
class Fact:
    """One number with everything that stands behind it; ``value`` is in display units, already rounded."""

    key: FactKey
    value: Decimal
    decimals: int
    unit_zh: str
    obs_status: str
    vintage: str
    release_id: str
    source_zh: str
    is_synthetic: bool
    grade: str = GRADE_DESCRIPTIVE

    @property
    def id(self) -> str:
        """Name of the fact."""
        return self.key.id

    @property
    def number(self) -> str:
        """Digits as printed, without unit."""
        return f"{abs(self.value) if self.key.kind == 'growth' else self.value:.{self.decimals}f}"

    @property
    def text(self) -> str:
        """The wording: 3120家, 增长20.4%, 下降5.4%, 持平, 24.1%."""
        if self.key.kind == "growth":
            if self.value == 0:
                return "持平"
            return f"{'增长' if self.value > 0 else '下降'}{self.number}%"
        return f"{self.number}{self.unit_zh}"


def round_half_up(value: Decimal, decimals: int) -> Decimal:
    """四舍五入 to ``decimals`` places."""
    return value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)


@dataclass
class FactBook:
    """Reads facts from one release and remembers which were used, in order of first use."""

    release: Release
    used: dict[str, Fact] = field(default_factory=dict)
    _frames: dict[str, pl.DataFrame] = field(default_factory=dict)

    def _cell(self, key: FactKey) -> dict[str, object]:
        frame = self._frames.get(key.dataset)
        if frame is None:
            frame = self._frames[key.dataset] = self.release.cube_frame(key.dataset)
        fixed = dict(key.dimensions)
        condition = (pl.col("indicator") == key.indicator) & (pl.col("period") == key.period)
        for dimension in self.release.dataset(key.dataset).dimension_ids:
            condition &= pl.col(dimension) == fixed.get(dimension, TOTAL)
        rows = frame.filter(condition)
        if rows.height != 1:
            raise FactUnavailable(f"{key.dataset}: {key.indicator} {key.period} {fixed or ''} 无该项")
        return rows.row(0, named=True)

    def _number(self, key: FactKey) -> tuple[Decimal, str]:
        cell = self._cell(key)
        if cell["conf_status"] == "C":
            raise FactUnavailable("保密")
        if key.kind == "growth":
            ratio = cell["yoy_ratio"]
            if ratio is None:
                raise FactUnavailable(str(cell["yoy_note"] or "无可比基期"))
            return Decimal(repr(ratio)) * 100, str(cell["obs_status"])
        if cell["value"] is None:
            raise FactUnavailable("暂缺")
        return Decimal(str(cell["value"])), str(cell["obs_status"])

    def get(self, key: FactKey) -> Fact:
        """The fact a key names.

        Raises
        ------
        FactUnavailable
            If the cell is withheld, missing, absent, or its denominator is not positive.
        """
        known = self.used.get(key.id)
        if known is not None:
            return known
        indicator = self.release.indicator(key.indicator)
        value, status = self._number(key)
        if key.kind == "share":
            whole, _ = self._number(FactKey("level", key.dataset, key.indicator, key.period))
            if whole <= 0:
                raise FactUnavailable("合计不为正")
            value = value / whole * 100
        fact = self._fact(key, indicator, value, status)
        self.used[fact.id] = fact
        return fact

    def _fact(self, key: FactKey, indicator: Indicator, value: Decimal, status: str) -> Fact:
        if key.kind == "level":
            decimals, unit = indicator.display.decimals, indicator.display.unit_zh
            value = value / Decimal(str(indicator.display.factor))
        else:
            decimals, unit = 1, "%"
        info = self.release.info
        return Fact(
            key=key,
            value=round_half_up(value, decimals),
            decimals=decimals,
            unit_zh=unit,
            obs_status=status,
            vintage=info.vintage,
            release_id=info.release_id,
            source_zh=self.release.dataset(key.dataset).source_zh,
            is_synthetic=self.release.dataset(key.dataset).is_synthetic,
        )
