"""Find numbers in finished text: digits of any script, Chinese numerals that state quantities, 翻番, 三成."""

import re
import unicodedata
from dataclasses import dataclass

HANZI = "零〇一二三四五六七八九十百千万亿兆两廿卅壹贰叁肆伍陆柒捌玖拾佰仟"
UNITS = (
    "个百分点|百分点|分之|万亿元|亿元|万元|千元|元|万人|万家|余家|多家|家|人次|人|项|件|个|台|名|户|位|所|次|成|倍|番"
    "|单元格|%|‰|％"
)
WORDS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion "
    "trillion dozen half twice double doubled doubles triple tripled thrice percent quarter third threefold "
    "twofold tenfold"
).replace(" ", "|")
DIRECTION = r"(?:增长|下降|上升|减少|up|down)?\s*"

_DIGITS = re.compile(rf"{DIRECTION}[-−–]?\d[\d,，]*(?:[.．]\d+)?\s*(?:{UNITS}|百万|[万亿]+)?")
_HANZI = re.compile(
    rf"{DIRECTION}(?:百分之[{HANZI}点]+|[{HANZI}]+分之[{HANZI}]+|[{HANZI}]+(?:点[{HANZI}]+)?[多余来几]?(?:{UNITS})"
    rf"|翻[一两三四]?番|过半|减半|半数|[{HANZI}]*[十百千万亿拾佰仟][{HANZI}]+|[{HANZI}]{{2,}})"
)
_WORDS = re.compile(rf"\b(?:{WORDS})\b|\bper cent\b", re.IGNORECASE)
#: Chinese words made of numeral characters that state no quantity.
_IDIOMS = re.compile(
    "万一|千万(?=不|要|别)|一一|十分(?!之)|百千万工程|一个(?:或多个)?(?!百分点)|另一个|每一个|任一个|同一个|一次性|再次|一家之言"
)
#: A quantity written out in a template: digits or Chinese numerals with a unit.
_QUANTITY = re.compile(rf"\d[\d,]*(?:\.\d+)?\s*(?:{UNITS}|[万亿])|\d+\.\d|百分之|翻番|[{HANZI}]+(?:{UNITS})")


@dataclass(frozen=True)
class Numeral:
    """A number as printed, with the word of direction before it and the unit behind it."""

    text: str
    start: int
    end: int


def find_numerals(text: str) -> list[Numeral]:
    """Every number in a paragraph or cell, left to right; nothing is excused here, the template does that."""
    plain = "".join(_plain(c) for c in text)
    found = []
    taken = [False] * len(plain)
    for pattern, source in ((_DIGITS, plain), (_HANZI, _without_idioms(plain)), (_WORDS, plain)):
        for match in pattern.finditer(source):
            if not any(taken[match.start() : match.end()]):
                found.append(Numeral(text[match.start() : match.end()].strip(), match.start(), match.end()))
                taken[match.start() : match.end()] = [True] * (match.end() - match.start())
    return sorted(found, key=lambda n: n.start)


def literal_quantities(text: str) -> list[str]:
    """Quantities written out in a template text (article numbers, headings and dates are none)."""
    return [m.group() for m in _QUANTITY.finditer(_without_idioms(text))]


def _plain(char: str) -> str:
    """Digits of any script, circled, Roman, raised, and unreadable symbols as a plain digit."""
    if char.isascii() or char in HANZI:
        return char
    if char == "\ufffd" or unicodedata.category(char) in ("Nd", "Nl", "No"):
        value = unicodedata.numeric(char, 0.0)
        return str(int(value)) if 0 <= value <= 9 else "0"
    return char


def _without_idioms(text: str) -> str:
    return _IDIOMS.sub(lambda m: "·" * len(m.group()), text)
