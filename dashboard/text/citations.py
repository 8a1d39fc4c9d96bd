"""Articles of the regulation cited in Chinese, for an English reader."""

import re

DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")}
NUMBER = "[零一二三四五六七八九十百]+"
PART = re.compile(rf"第(?P<first>{NUMBER})条?(?:至第?(?P<last>{NUMBER})条?)?条?")
LAW = "条例"


def number(text: str) -> int:
    """A Chinese number below 1000: 二十八 is 28, 一百零二 is 102."""
    total = 0
    digit = 0
    for sign in text:
        if sign in DIGITS:
            digit = DIGITS[sign]
            continue
        total += (digit or 1) * {"十": 10, "百": 100}[sign]
        digit = 0
    return total + digit


def english(text: str) -> str:
    """``条例第三条、第三十八至四十二条`` as *Regulation Arts. 3, 38-42*; any other text unchanged."""
    if not text.startswith(LAW):
        return text
    found = [PART.fullmatch(part) for part in text.removeprefix(LAW).split("、")]
    shown = []
    for match in found:
        if match is None:
            return text
        last = f"-{number(match['last'])}" if match["last"] else ""
        shown.append(f"{number(match['first'])}{last}")
    many = len(shown) > 1 or "-" in shown[0]
    return f"Regulation {'Arts.' if many else 'Art.'} {', '.join(shown)}"
