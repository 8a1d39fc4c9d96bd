"""What the desk shows of a task: text cut into marked pieces, contributions in order, codes to choose from. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from taxonomy.classifier.gold import NONE
from taxonomy.scheme import load_scheme
from warehouse.evidence import Contribution, Doubt

FIELDS = {
    "name": ("name",),
    "business_scope": ("scope", "business_scope"),
    "main_products": ("product", "main_products"),
}
# Log-odds at which a mark takes the next shade.
SHADES = (0.5, 1.5, 3.0)


@dataclass(frozen=True)
class Piece:
    """A piece of an original text; ``mark`` is empty, or ``plus-1`` … ``plus-4``, ``minus-1`` … by what it adds."""

    text: str
    mark: str
    value: float


@dataclass(frozen=True)
class Choice:
    """A code to choose: its name, and the model's probability where it may be shown."""

    code: str
    name: str
    definition: str
    probability: float | None = None


def _mark(value: float) -> str:
    if value == 0.0:
        return ""
    shade = 1 + sum(abs(value) >= limit for limit in SHADES)
    return f"{'plus' if value > 0 else 'minus'}-{shade}"


def pieces(text: str, parts: Iterable[Contribution]) -> tuple[Piece, ...]:
    """Cut a text at the spans of contributions to it; a piece carries the sum of what covers it.

    The pieces joined are the text, whatever the spans are (those outside the text are cut to it).
    """
    spans = [(max(p.start, 0), min(p.end, len(text)), p.value) for p in parts]
    spans = [s for s in spans if s[0] < s[1]]
    cuts = sorted({0, len(text), *(s[0] for s in spans), *(s[1] for s in spans)})
    found = []
    for start, end in pairwise(cuts):
        value = sum(v for a, b, v in spans if a <= start and end <= b)
        found.append(Piece(text[start:end], _mark(value), round(value, 3)))
    return tuple(found)


def marked_texts(doubt: Doubt, *, blind: bool) -> dict[str, tuple[Piece, ...]]:
    """Each text of a unit in pieces; a blind task gets them without any mark."""
    shown: dict[str, tuple[Piece, ...]] = {}
    for field, names in FIELDS.items():
        parts = [] if blind else [c for c in doubt.contributions if c.field in names]
        shown[field] = pieces(getattr(doubt, field), parts)
    return shown


def ordered(contributions: Sequence[Contribution]) -> list[Contribution]:
    """Contributions, the weightiest first."""
    return sorted(contributions, key=lambda c: (-abs(c.value), c.field, c.start, c.kind))


def _choice(code: str, lang: str, probability: float | None = None) -> Choice:
    if code == NONE:
        name = "非人工智能核心产业" if lang == "zh" else "not core AI industry"
        return Choice(NONE, name, "", probability)
    scheme = load_scheme("ai_industry_2026")
    if code not in scheme:
        return Choice(code, "", "", probability)
    found = scheme.get(code)
    zh = lang == "zh"
    definition = found.definition_zh if zh else (found.definition_en or found.definition_zh)
    return Choice(code, found.name_zh if zh else found.name_en, definition, probability)


def choices(doubt: Doubt, lang: str, *, blind: bool) -> tuple[Choice, ...]:
    """The candidates of the model, then *none*; a blind task offers none of them."""
    if blind:
        return ()
    candidates = [_choice(code, lang, p) for code, p in doubt.candidates if code != NONE]
    none = None if doubt.p_ai is None else 1.0 - doubt.p_ai
    return (*candidates, _choice(NONE, lang, none))


@cache
def catalogue(lang: str) -> tuple[tuple[Choice, tuple[Choice, ...]], ...]:
    """All codes that may be an answer, by branch: (branch, its classes and leaves)."""
    scheme = load_scheme("ai_industry_2026")
    found = []
    for branch in scheme.children():
        below = [
            c.code for c in scheme.codes if c.level > 1 and branch.code in {a.code for a in scheme.ancestors(c.code)}
        ]
        found.append((_choice(branch.code, lang), tuple(_choice(code, lang) for code in below)))
    return tuple(found)


def declared(code: str, lang: str) -> str:
    """The declared GB/T 4754 code with its name, if the code is known."""
    scheme = load_scheme("gbt4754_2017")
    return f"{code} {scheme.get(code).name_zh}" if code in scheme else code
