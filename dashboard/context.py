"""What a page needs to be drawn: one release, who asks, in which language, with which parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from dashboard.text import LANGUAGES, words
from dashboard.text.citations import english
from warehouse.access import User, may
from warehouse.read import Release
from warehouse.values import value


@dataclass(frozen=True)
class Context:
    """One request for a page; the release is resolved once, so a page never mixes two."""

    release: Release
    user: User
    lang: str
    path: str
    params: Mapping[str, str]

    def t(self, key: str, **values: object) -> str:
        """A word of the interface."""
        text = words(self.lang)[key]
        return text.format(**values) if values else text

    def name(self, thing: Any, field: str = "name") -> str:
        """``name_zh`` or ``name_en`` of anything that has both."""
        return str(getattr(thing, f"{field}_{self.lang}"))

    def value(self, text: str) -> str:
        """A Chinese value of the data in the reader's language, where there is a word for it."""
        return value(text, self.lang)

    def cited(self, text: str) -> str:
        """Articles of the regulation in the reader's language."""
        return self.value(english(text)) if self.lang == "en" else text

    def choice(self, key: str, known: Sequence[str], default: str) -> str:
        """A parameter's value if it is one of the known ones, else the default."""
        value = self.params.get(key, default)
        return value if value in known else default

    def link(self, path: str | None = None, **changes: str | None) -> str:
        """Address of a page in this language; with no path, of this page with parameters changed."""
        params = {} if path and path != self.path else dict(self.params)
        params |= {k: v for k, v in changes.items() if v is not None}
        params = {k: v for k, v in params.items() if k not in changes or changes[k] is not None}
        params.pop("lang", None)
        query = {**({"lang": self.lang} if self.lang != "zh" else {}), **params}
        return (path or self.path) + (f"?{urlencode(sorted(query.items()))}" if query else "")

    def other_language(self) -> str:
        """Address of this very page in the other language."""
        other = next(lang for lang in LANGUAGES if lang != self.lang)
        params = {k: v for k, v in self.params.items() if k != "lang"}
        if other != "zh":
            params["lang"] = other
        return self.path + (f"?{urlencode(sorted(params.items()))}" if params else "")

    def may(self, permission: str) -> bool:
        """Whether the user holds a permission."""
        return may(self.user, permission)


def parse_query(search: str | None) -> dict[str, str]:
    """Parameters of an address; the last of several equal ones counts."""
    return dict(parse_qsl((search or "").lstrip("?"), keep_blank_values=False))
