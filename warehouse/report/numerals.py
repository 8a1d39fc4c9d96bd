"""Find numerals in Chinese running text: digits, percentages, Chinese numerals, 成, 倍, 翻番."""

import re
from dataclasses import dataclass

FULL_WIDTH = str.maketrans("０１２３４５６７８９．，％－＋", "0123456789.,%-+")
HANZI = "零〇一二三四五六七八九十百千万亿两"
UNITS = "个百分点|百分点|分之|万亿元|亿元|万元|千元|元|万人|万家|家|人次|人|项|件|个|台|名|户|位|所|次|亿|万|成|倍|番|%|‰"

_DIGITS = re.compile(rf"(?<![A-Za-z0-9_.])[-−]?\d[\d,]*(?:\.\d+)?\s*(?P<unit>{UNITS})?")
_HANZI = re.compile(rf"(?P<body>[{HANZI}]+(?:点[{HANZI}]+)?|半)(?P<unit>{UNITS})|翻[一两三四]?番|过半|减半")

#: Numerals that state structure or dates, not quantities. Order matters: they are blanked out first.
STRUCTURE = (
    re.compile(rf"第[{HANZI}\d]+[条款项章节部分次轮批届]"),
    re.compile(rf"^\s*[{HANZI}]+、"),
    re.compile(rf"（[{HANZI}\d]+）"),
    re.compile(r"^\s*\d+\.(?!\d)"),
    re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?"),
    re.compile(r"(?:19|20)\d{2}\s*(?:[—-]\s*(?:19|20)\d{2}\s*)?年(?:度)?(?:\d{1,2}月(?:\d{1,2}日)?)?"),
    re.compile(r"\d{1,2}月\d{1,2}日"),
    re.compile(r"[A-Z]{1,4}(?:/T)?\s?\d{3,5}(?:\.\d+)?[—-]\d{4}"),
    re.compile(r"〔\d{4}〕\d+号"),
    re.compile(r"(?:附件|附表|图|表)\s?\d+(?:-\d+)?"),
    re.compile(r"\b(?:B1|B2|I|P|E|F|T|C|N)-\d+\b"),
    re.compile(r"\bF[0-9a-f]{10}\b"),
    re.compile(r"\br\d{8}-[0-9a-f]{6,}\b"),
    re.compile(r"\b[0-9a-f]{12,64}\b"),
    re.compile(r"(?:Art\.|Arts\.|条例)\s?\d+(?:\s?[-、,]\s?\d+)*"),
    re.compile(r"[A-E]\d{0,2}(?=\s)"),
    re.compile(r"R\d{2,3}(?=\s)"),
    re.compile(r"\bR30\b|\bAI\d*\b"),
    re.compile(r"(?:一方面|一定|一致|一轮|一种|一些|一律|一般|统一|同一|单一|逐一|之一|第一|进一步|一个或多个|万一)"),
    re.compile(r"[四]舍[五]入"),
)


@dataclass(frozen=True)
class Numeral:
    """A quantity as printed: ``text`` with its unit, position in the text, and its plain digits when it has any."""

    text: str
    start: int
    end: int
    digits: str | None
    unit: str


def blank_structure(text: str) -> str:
    """The text with structural numerals (articles, headings, dates, document numbers) replaced by spaces."""
    text = text.translate(FULL_WIDTH)
    for pattern in STRUCTURE:
        text = pattern.sub(lambda m: " " * len(m.group()), text)
    return text


def find_numerals(text: str) -> list[Numeral]:
    """Every quantity in one paragraph or cell, left to right."""
    plain = blank_structure(text)
    found = []
    for match in _DIGITS.finditer(plain):
        digits = re.match(r"[-−]?[\d,]*(?:\.\d+)?", match.group())
        body = digits.group().replace(",", "").replace("−", "-") if digits else ""
        found.append(Numeral(match.group().strip(), match.start(), match.end(), body, match.group("unit") or ""))
    for match in _HANZI.finditer(plain):
        found.append(Numeral(match.group(), match.start(), match.end(), None, match.groupdict().get("unit") or ""))
    return sorted(found, key=lambda n: n.start)
