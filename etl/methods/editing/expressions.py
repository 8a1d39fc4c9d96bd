"""Expressions of edits: parsed by hand into frozen trees, never evaluated as code.

Grammar (loosest first)::

    rule       := 'if' rule 'then' rule | disjunction
    disjunction:= conjunction ('or' conjunction)*
    conjunction:= negation ('and' negation)*
    negation   := 'not'* comparison
    comparison := sum (('<=' | '<' | '>=' | '>' | '==' | '=' | '!=') sum)?
    sum        := product (('+' | '-') product)*
    product    := sign (('*' | '/') sign)*
    sign       := ('-' | '+')* atom
    atom       := number | 'text' | name | function '(' rule (',' rule)* ')' | '(' rule ')'

Names may hold Chinese letters. Functions: ``abs``, ``min``, ``max``, ``log``, ``sqrt``, ``is_missing``. Full-width signs
(``＋ ＝ ＜ （``) are read as the plain ones; what follows ``#`` is a comment.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from etl.methods.tabular import BadInput

FUNCTIONS: Final = {"abs": (1, 1), "log": (1, 1), "sqrt": (1, 1), "is_missing": (1, 1), "min": (2, 9), "max": (2, 9)}
KEYWORDS: Final = ("if", "then", "and", "or", "not")
COMPARISONS: Final = ("<=", ">=", "==", "!=", "<", ">", "=")
DEEPEST: Final = 60
#: Signs (``+ - * / and or not``) of one expression: a tree may grow as deep, and what reads it goes down level by level.
MOST_SIGNS: Final = 300
_COUNTED: Final = ("+", "-", "*", "/", "and", "or", "not")
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d]\w*)|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign><=|>=|==|!=|[<>=+\-*/(),≤≥≠]))"
)
_BARE: Final = re.compile(r"'[^']*'|\"[^\"]*\"|[^'\"]+|.", re.DOTALL)
_PLAIN: Final = str.maketrans("（）＋－＊／＝＜＞！，：；＃．×÷−", "()+-*/=<>!,:;#.*/-")
_WRONG: Final = (
    (r"=>", ">="), (r"=<", "<="), (r"<>", "!="), (r"&+", "and"), (r"\|+", "or"), (r"!(?!=)", "not"),
    (r"\b(?!(?:and|or|not|if|then)\b)(?i:and|or|not|if|then)\b", ""),
    (r"\b\d[\d.]*(?![eE][+-]?\d)(?=[^\W\d])", "*"),
)  # fmt: skip
_NAMES: Final = "a name holds letters, digits and _ only: rename a column that has other signs"
_SAME_SIGN: Final = {"≤": "<=", "≥": ">=", "≠": "!=", "=": "=="}


class EditError(BadInput):
    """An expression that cannot be read or used: says which one, where, and what was expected."""


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Text:
    """A constant text."""

    value: str


@dataclass(frozen=True)
class Name:
    """A variable."""

    name: str


@dataclass(frozen=True)
class Call:
    """An operator or function (``-`` with one argument is the sign) on its arguments."""

    function: str
    arguments: "tuple[Node, ...]"


Node = Number | Text | Name | Call


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def parse(expression: str) -> Node:
    """The tree of ``expression``.

    Raises
    ------
    EditError
        With the place (counted from 1) where reading stopped.
    """
    reader = _Reader(expression)
    tree = reader.rule()
    if reader.token.kind != "end":
        raise reader.error("an operator or the end")
    return tree


def plain(text: str) -> str:
    """``text`` with full-width signs as plain ones and without a comment; quoted texts stay as they are."""
    kept: list[str] = []
    for part in _BARE.findall(text):
        bare, comment, _ = (part, "", "") if part[0] in "'\"" else part.translate(_PLAIN).partition("#")
        kept.append(bare)
        if comment:
            break
    return "".join(kept)


def _hint(expression: str) -> str:
    """The right form of what other languages write, if something of the kind stands in the expression."""
    bare = "".join(" " * len(part) if part[0] in "'\"" else part for part in _BARE.findall(expression))
    for pattern, right in _WRONG:
        found = re.search(pattern, bare)
        if found:
            wrong = found[0]
            if right == "*":
                return f"; write '{wrong}*…' for a product"
            return f"; write {right or wrong.lower()!r} for {wrong!r}"
    return ""


def names(node: Node) -> tuple[str, ...]:
    """Variables of a tree, each once, in order of appearance."""
    return tuple(dict.fromkeys(_names(node)))


def _names(node: Node) -> Iterator[str]:
    if isinstance(node, Name):
        yield node.name
    elif isinstance(node, Call):
        for argument in node.arguments:
            yield from _names(argument)


def is_condition(node: Node) -> bool:
    """Whether a tree is true or false rather than a number."""
    return isinstance(node, Call) and node.function in (*COMPARISONS, "if", "and", "or", "not", "is_missing")


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, expression: str) -> None:
        self.expression = plain(expression)
        self.depth = self.signs = 0
        self._tokens = self._cut()
        self.token = next(self._tokens)

    def _cut(self) -> Iterator[_Token]:
        at = 0
        while self.expression[at:].strip():
            found = _TOKEN.match(self.expression, at)
            if found is None or found.lastgroup is None:
                raise EditError(
                    f"edit {self.expression!r}: character {at + 1}: {self.expression[at:].strip()[0]!r} is not known"
                    + (_hint(self.expression) or f"; {_NAMES}")
                )
            text = found.group(found.lastgroup)
            kind = "keyword" if text in KEYWORDS else found.lastgroup
            yield _Token(kind, _SAME_SIGN.get(text, text) if kind == "sign" else text, found.start(found.lastgroup))
            at = found.end()
        yield _Token("end", "", len(self.expression))

    def error(self, expected: str) -> EditError:
        found = self.token.text or "the end"
        hint = _hint(self.expression) or (f"; {_NAMES}" if self.token.kind == "name" else "")
        return EditError(
            f"edit {self.expression!r}: character {self.token.at + 1}: found {found!r}, expected {expected}{hint}"
        )

    def _next(self) -> _Token:
        token = self.token
        self.signs += token.kind in ("sign", "keyword") and token.text in _COUNTED
        if self.signs > MOST_SIGNS:
            raise EditError(
                f"edit {self.expression[:40]!r}…: more than {MOST_SIGNS} signs ({' '.join(_COUNTED)}); "
                "split it: one edit for each part of 'and', subtotals of a long sum in columns of their own"
            )
        if token.kind != "end":
            self.token = next(self._tokens)
        return token

    def _is(self, *texts: str) -> bool:
        return self.token.kind in ("sign", "keyword") and self.token.text in texts

    def _want(self, text: str) -> None:
        if not self._is(text):
            raise self.error(repr(text))
        self._next()

    def rule(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise EditError(f"edit {self.expression[:40]!r}…: nested deeper than {DEEPEST}; split it")
        if self._is("if"):
            self._next()
            premise = self._condition(self.rule())
            self._want("then")
            tree: Node = Call("if", (premise, self._condition(self.rule())))
        else:
            tree = self._chain(("or",), lambda: self._chain(("and",), self._negation, boolean=True), boolean=True)
        self.depth -= 1
        return tree

    def _condition(self, node: Node) -> Node:
        if not is_condition(node):
            raise self.error("a comparison before this place")
        return node

    def _chain(self, signs: tuple[str, ...], part, *, boolean: bool = False) -> Node:  # type: ignore[no-untyped-def]
        tree: Node = part()
        while self._is(*signs):
            if boolean:
                self._condition(tree)
            sign = self._next().text
            right = part()
            tree = Call(sign, (tree, self._condition(right) if boolean else right))
        return tree

    def _negation(self) -> Node:
        turns = 0
        while self._is("not"):
            self._next()
            turns += 1
        tree = self._condition(self._comparison()) if turns else self._comparison()
        return Call("not", (tree,)) if turns % 2 else tree

    def _comparison(self) -> Node:
        left = self._sum()
        if not self._is(*COMPARISONS):
            return left
        sign = self._next().text
        right = self._sum()
        if self._is(*COMPARISONS):
            raise self.error("one comparison only; write 'a <= b and b <= c'")
        return Call(sign, (left, right))

    def _sum(self) -> Node:
        return self._chain(("+", "-"), lambda: self._chain(("*", "/"), self._sign))

    def _sign(self) -> Node:
        minus = False
        while self._is("+", "-"):
            minus ^= self._next().text == "-"
        inner = self._atom()
        return Call("-", (inner,)) if minus else inner

    def _atom(self) -> Node:
        token = self.token
        if token.kind == "number":
            return Number(float(self._next().text))
        if token.kind == "text":
            return Text(self._next().text[1:-1])
        if token.kind == "name":
            self._next()
            return self._call(token) if self._is("(") else Name(token.text)
        if self._is("("):
            self._next()
            tree = self.rule()
            self._want(")")
            return tree
        raise self.error("a number, a variable or '('")

    def _call(self, token: _Token) -> Node:
        if token.text not in FUNCTIONS:
            raise EditError(
                f"edit {self.expression!r}: character {token.at + 1}: function {token.text!r} is not known; "
                f"expected one of {', '.join(FUNCTIONS)}{_hint(self.expression) or f'; {_NAMES}'}"
            )
        self._next()
        arguments = [self.rule()]
        while self._is(","):
            self._next()
            arguments.append(self.rule())
        self._want(")")
        low, high = FUNCTIONS[token.text]
        if not low <= len(arguments) <= high:
            raise EditError(f"edit {self.expression!r}: {token.text} takes {low} to {high} arguments")
        return Call(token.text, tuple(arguments))
