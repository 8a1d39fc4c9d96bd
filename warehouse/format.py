"""How numbers are written: scaling, rounding (四舍五入), growth wording, periods, symbols. The only place that does it."""

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby

from warehouse.catalogue import Indicator

WITHHELD, MISSING, NOT_APPLICABLE, TOO_SMALL = "x", "..", "—", "…"
SYMBOLS_ZH = {WITHHELD: "保密", MISSING: "暂缺", NOT_APPLICABLE: "无该项", TOO_SMALL: "不足最小单位", "0": "零"}
SYMBOLS_EN = {
    WITHHELD: "confidential",
    MISSING: "not available",
    NOT_APPLICABLE: "not applicable",
    TOO_SMALL: "less than half the last digit",
    "0": "zero",
}
STATUS_ZH = {"A": "正常值", "E": "估计值", "P": "初步数", "M": "暂缺", "R": "修订数"}
STATUS_EN = {"A": "normal", "E": "estimated", "P": "provisional", "M": "missing", "R": "revised"}
YOY_NOTES_ZH = {
    "base_zero": "基期为零",
    "base_not_positive": "基期为负",
    "base_missing": "无基期",
    "withheld": "保密",
    "missing": "暂缺",
    "": "",
}
YOY_NOTES_EN = {
    "base_zero": "base is zero",
    "base_not_positive": "base is negative",
    "base_missing": "no base period",
    "withheld": "confidential",
    "missing": "not available",
    "": "",
}
TIMES_FROM = Decimal(100)


def round_half_up(value: Decimal, decimals: int) -> Decimal:
    """四舍五入 to ``decimals`` places; what rounds to zero has no sign."""
    rounded = value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    return rounded if rounded else abs(rounded)


def scaled(value: Decimal, indicator: Indicator) -> Decimal:
    """A stored value in the indicator's display unit, rounded to its places."""
    return round_half_up(Decimal(value) / indicator.display.factor, indicator.display.decimals)


def value_text(value: Decimal, indicator: Indicator, *, grouping: bool = True) -> str:
    """Digits of a value in its display unit, without the unit: 3,120 or 1234.56; `…` when it rounds to zero."""
    shown = scaled(value, indicator)
    if shown == 0 and value != 0:
        return TOO_SMALL
    return f"{shown:{',' if grouping else ''}.{indicator.display.decimals}f}"


def unit(indicator: Indicator, lang: str) -> str:
    """The display unit's name."""
    return indicator.display.unit_en if lang == "en" else indicator.display.unit_zh


def percent(ratio: float) -> Decimal:
    """A ratio in percent with one place: 0.1234 → 12.3."""
    return round_half_up(Decimal(repr(ratio)) * 100, 1)


def growth_text(ratio: float, lang: str = "zh") -> str:
    """增长12.3% / 下降5.4% / 持平 / 增长1.03倍; up 12.3 % / down 5.4 % / unchanged / up 103.0 %."""
    change = percent(ratio)
    if change == 0:
        return "持平" if lang == "zh" else "unchanged"
    if change >= TIMES_FROM and lang == "zh":
        return f"增长{round_half_up(Decimal(repr(ratio)), 2)}倍"
    if lang == "zh":
        return f"{'增长' if change > 0 else '下降'}{abs(change)}%"
    return f"{'up' if change > 0 else 'down'} {abs(change)} %"


def growth_sign(ratio: float | None) -> str:
    """▲, ▼, － or nothing; never the only carrier of the direction."""
    if ratio is None:
        return ""
    change = percent(ratio)
    return "▲" if change > 0 else ("▼" if change < 0 else "－")


def period_text(period: str, lang: str = "zh") -> str:
    """SDMX time as words: 2025 → 2025年, 2025-11 → 2025年11月, 2025-Q3 → 2025年三季度."""
    if lang == "en":
        return period
    if match := re.fullmatch(r"(\d{4})", period):
        return f"{match[1]}年"
    if match := re.fullmatch(r"(\d{4})-(\d{2})", period):
        return f"{match[1]}年{int(match[2])}月"
    if match := re.fullmatch(r"(\d{4})-Q([1-4])", period):
        return f"{match[1]}年{'一二三四'[int(match[2]) - 1]}季度"
    return period


def stage_text(stages: Sequence[tuple[str, str]], lang: str = "zh") -> str:
    """(period, name of its stage), periods ascending → one phrase a run: 2023年：普查修订数；2024年—2025年：最终核实数."""
    runs = [(name, [p for p, _ in own]) for name, own in groupby(stages, key=lambda s: s[1])]
    spans = [
        (name, "—".join(period_text(p, lang) for p in dict.fromkeys((periods[0], periods[-1])))) for name, periods in runs
    ]  # fmt: skip
    colon, between = ("：", "；") if lang == "zh" else (": ", "; ")
    return between.join(f"{span}{colon}{name}" for name, span in spans)


def symbols(lang: str) -> dict[str, str]:
    """Symbol → meaning, for legends."""
    return SYMBOLS_EN if lang == "en" else SYMBOLS_ZH


def status_text(status: str, lang: str) -> str:
    """Words of an observation status."""
    return (STATUS_EN if lang == "en" else STATUS_ZH).get(status, status)


def yoy_note_text(note: str, lang: str) -> str:
    """Why there is no growth rate, in words."""
    return (YOY_NOTES_EN if lang == "en" else YOY_NOTES_ZH).get(note, note)
