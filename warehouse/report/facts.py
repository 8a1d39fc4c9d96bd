"""Facts: the only numbers a draft may contain, each read from a cell (or two) of one release."""

import hashlib
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

import polars as pl

from warehouse import format as fmt
from warehouse.catalogue import TOTAL, Indicator
from warehouse.read import Release

Kind = Literal["level", "growth", "share", "model", "cells"]
Style = Literal["text", "number"]
KINDS: tuple[Kind, ...] = ("level", "growth", "share", "model", "cells")
SYMBOL = {"withheld": fmt.WITHHELD, "missing": fmt.MISSING}
REASONS = {
    "zh": {**fmt.YOY_NOTES_ZH, "absent": "本次发布无该项", "whole_not_positive": "合计不为正", "no_share": "未列示"},
    "en": {**fmt.YOY_NOTES_EN, "absent": "not in this release", "whole_not_positive": "total is not positive",
           "no_share": "not shown"},
}  # fmt: skip


class FactUnavailable(LookupError):
    """A number the release does not show; ``reason`` is withheld, missing, absent, base_zero, …"""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def withheld(self) -> bool:
        """Whether it exists but is confidential."""
        return self.reason == "withheld"

    @property
    def symbol(self) -> str:
        """What stands in a table instead: x, .. or —."""
        return SYMBOL.get(self.reason, fmt.NOT_APPLICABLE)

    def text(self, lang: str) -> str:
        """The reason in words."""
        return REASONS[lang].get(self.reason, self.reason)


@dataclass(frozen=True)
class FactKey:
    """What a fact states, enough to read it again from its release.

    ``kind`` level: the value of a cell; growth: its ratio to the same cell a year before, minus one; share:
    the cell over the cell with every dimension at its total; model: the part of the cell that rests on
    estimation; cells: how many cells of a dataset and period are published (``conf_status`` F) or withheld (C).
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


@dataclass(frozen=True)
class Fact:
    """One number with everything that stands behind it; ``value`` is as stored (ratios as ratios)."""

    key: FactKey
    value: Decimal
    card: Indicator | None
    obs_status: str
    vintage: str
    release_id: str
    is_synthetic: bool
    stage: str = ""

    @property
    def id(self) -> str:
        """Name of the fact."""
        return self.key.id

    def unit(self, lang: str) -> str:
        """Unit of what is printed."""
        if self.key.kind == "level" and self.card is not None:
            return fmt.unit(self.card, lang)
        return ("个" if lang == "zh" else "cells") if self.key.kind == "cells" else "%"

    def printed(self, style: Style, lang: str) -> str:
        """The exact characters: 3120家, 增长20.4%, 下降5.4%, 持平, 24.1% in text; bare digits in tables."""
        kind = self.key.kind
        if kind == "growth" and style == "text":
            return fmt.growth_text(float(self.value), lang)
        if kind in ("growth", "share", "model"):
            digits = f"{fmt.percent(float(self.value))}"
            return digits if style == "number" else f"{digits}{'%' if lang == 'zh' else ' %'}"
        if kind == "cells" or self.card is None:
            return f"{self.value:.0f}" if style == "number" else f"{self.value:.0f}{self.unit(lang)}"
        return self._level(self.card, style, lang)

    def _level(self, card: Indicator, style: Style, lang: str) -> str:
        if self.value == 0:
            digits = "0"
        else:
            digits = fmt.value_text(self.value, card, grouping=style == "number" or lang == "en")
        if style == "number":
            return digits
        if digits == fmt.TOO_SMALL:
            least = Decimal(1).scaleb(-card.display.decimals)
            digits = f"{'不足' if lang == 'zh' else 'less than '}{least}"
        unit = self.unit(lang)
        if lang == "zh":
            return f"{digits}{unit}"
        return f"{digits} {'× ' if unit[:1].isdigit() else ''}{unit}"


@dataclass
class FactBook:
    """Reads facts from one release and remembers which were used, in order of first use."""

    release: Release
    used: dict[str, Fact] = field(default_factory=dict)
    _cells: dict[str, dict[tuple[str, ...], dict[str, object]]] = field(default_factory=dict)

    def _cell(self, key: FactKey) -> dict[str, object]:
        names = self.release.dataset(key.dataset).dimension_ids
        index = self._cells.get(key.dataset)
        if index is None:
            rows = self.release.cube_frame(key.dataset).iter_rows(named=True)
            index = {(r["indicator"], r["period"], *(r[n] for n in names)): r for r in rows}
            self._cells[key.dataset] = index
        fixed = dict(key.dimensions)
        cell = index.get((key.indicator, key.period, *(fixed.get(n, TOTAL) for n in names)))
        if cell is None or set(fixed) - set(names):
            raise FactUnavailable("absent")
        return cell

    def _level(self, key: FactKey) -> tuple[Decimal, dict[str, object]]:
        cell = self._cell(key)
        if cell["conf_status"] == "C":
            raise FactUnavailable("withheld")
        if cell["value"] is None:
            raise FactUnavailable("missing")
        return Decimal(str(cell["value"])), cell

    def _ratio(self, key: FactKey) -> tuple[Decimal, dict[str, object]]:
        value, cell = self._level(key)
        if key.kind == "share":
            whole, _ = self._level(FactKey("level", key.dataset, key.indicator, key.period))
            if whole <= 0:
                raise FactUnavailable("whole_not_positive")
            return value / whole, cell
        ratio = cell["yoy_ratio" if key.kind == "growth" else "model_share"]
        if ratio is None:
            raise FactUnavailable(str(cell["yoy_note"] or "base_missing") if key.kind == "growth" else "no_share")
        return Decimal(repr(ratio)), cell

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
        card, status, stage = None, "A", ""
        if key.kind == "cells":
            value = self._count(key)
        else:
            card = self.release.indicator(key.indicator)
            value, cell = self._level(key) if key.kind == "level" else self._ratio(key)
            status, stage = str(cell["obs_status"]), str(cell["revision_stage"] or "")
        info = self.release.info
        synthetic = self.release.is_synthetic(key.dataset)
        fact = Fact(key, value, card, status, info.vintage, info.release_id, synthetic, stage)
        self.used[fact.id] = fact
        return fact

    def _count(self, key: FactKey) -> Decimal:
        frame = self.release.cube_frame(key.dataset).filter(pl.col("period") == key.period)
        wanted = dict(key.dimensions)["conf_status"]
        return Decimal(frame.filter(pl.col("conf_status") == wanted).height)
