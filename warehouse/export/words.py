"""Words that stand in every export, in both languages, and what kind of data a dataset holds."""

import re
from decimal import Decimal

from warehouse.catalogue import Dataset, Indicator
from warehouse.read import Info, Release

SIMULATED = "模拟数据"
KINDS = {
    "simulated": {"zh": SIMULATED, "en": "simulated data"},
    "public": {"zh": "真实公开数据", "en": "real public data"},
    "trial": {"zh": "试行统计数据", "en": "trial statistics"},
    "official": {"zh": "正式发布数据", "en": "official statistics"},
}
RELEASES = {
    "simulated": {"zh": "模拟发布", "en": "simulated release"},
    "trial": {"zh": "试行发布", "en": "trial release"},
    "official": {"zh": "正式发布", "en": "official release"},
}
WARNINGS = {
    "simulated": {
        "zh": "模拟数据：由演示城市生成，不是真实统计，不得引用。",
        "en": "Simulated data: generated for a demonstration city, not real statistics, not to be quoted.",
    },
    "public": {"zh": "真实公开数据：由公开名单汇总。", "en": "Real public data: compiled from public lists."},
    "trial": {
        "zh": "试行统计数据：方法试行，可能修订。",
        "en": "Trial statistics: the method is on trial; figures may change.",
    },
    "official": {
        "zh": "正式发布数据：所用分类目录和对照表已批准、已核对。",
        "en": "Official statistics: the classifications and correspondences used are adopted and checked.",
    },
}
STORED_UNITS = {
    "CNY": ("元", "CNY"),
    "PERSON": ("人", "persons"),
    "UNIT": ("家", "units"),
    "ITEM": ("项", "items"),
    "PCT": ("%", "%"),
    "PFLOPS": ("PFLOPS（FP16）", "PFLOPS (FP16)"),
    "KWH": ("千瓦时", "kWh"),
    "SQM": ("平方米", "m²"),
    "RATIO": ("比值", "ratio"),
}
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def pick(lang: str, zh: str, en: str) -> str:
    """The wording of a language; everything but ``en`` is Chinese."""
    return en if lang == "en" else zh


def release_kind(info: Info) -> str:
    """``simulated``, ``official`` or ``trial``: a synthetic release is simulated whatever it says, and what does not say
    official is on trial."""
    if info.is_synthetic:
        return "simulated"
    return "official" if info.status == "official" else "trial"


def release_text(info: Info, lang: str) -> str:
    """模拟发布, 试行发布 or 正式发布."""
    return RELEASES[release_kind(info)]["en" if lang == "en" else "zh"]


def kind_of(release: Release, dataset: Dataset) -> str:
    """``simulated``, ``public``, ``trial`` or ``official``: what a reader must know before using a figure."""
    return release_kind(release.info) if dataset.is_demo_data else "public"


def kind_text(kind: str, lang: str) -> str:
    """The short mark of a kind of data: 模拟数据, 真实公开数据."""
    return KINDS[kind]["en" if lang == "en" else "zh"]


def kind_warning(kind: str, lang: str) -> str:
    """The sentence of a kind of data."""
    return WARNINGS[kind]["en" if lang == "en" else "zh"]


def stored_unit(indicator: Indicator, lang: str) -> str:
    """Name of the unit values are stored in (元, not 亿元)."""
    return STORED_UNITS[indicator.unit][lang == "en"]


def exact(value: Decimal) -> str:
    """A stored value written exactly, without exponent and without idle zeros: 12, 1234.5."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def safe_text(text: str) -> str:
    """Text no spreadsheet takes for a formula: an apostrophe before ``= + - @``, tab, return."""
    if text and text[0] in "=+-@\t\r\n＝＋－＠" and not _NUMBER.fullmatch(text):
        return "'" + text
    return text
