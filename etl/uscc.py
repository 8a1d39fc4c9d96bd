"""Unified social credit codes (统一社会信用代码): check digits of GB 32100-2015 and GB 11714-1997.

A code has 18 signs: registration authority and kind (2), the authority's area code (6), organisation code
(8 + its own check sign) and a final check sign. The area is the place of the *authority*, never of operation.
A code that fails is suspect: it is reported, never repaired.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
LENGTH: Final = 18
_WEIGHTS: Final = np.array([pow(3, i, 31) for i in range(17)], dtype=np.int64)
_ORG_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORG_WEIGHTS: Final = np.array([3, 7, 9, 10, 5, 8, 4, 2], dtype=np.int64)
_ORG_CHECKS: Final = "0X987654321"  # index = weighted sum mod 11
_KINDS: Final = {
    "1": "1239", "2": "19", "3": "123459", "4": "19", "5": "1239", "6": "129",
    "7": "129", "8": "19", "9": "1239", "A": "19", "N": "1239", "Y": "1",
}  # fmt: skip

PROBLEMS: Final = {
    1: "长度不是 18 位 / not 18 signs",
    2: "含有不允许的字符（I O S V Z 或其他） / a sign outside the alphabet",
    3: "登记管理部门或机构类别码不存在 / unknown authority or kind",
    4: "登记管理机关行政区划码不是 6 位数字 / area code is not 6 digits",
    5: "组织机构代码校验位不符（GB 11714） / organisation code check sign differs",
    6: "末位校验码不符（GB 32100-2015） / last check sign differs",
}


def _lookup(alphabet: str) -> npt.NDArray[np.int64]:
    table = np.full(256, -1, dtype=np.int64)
    for index, sign in enumerate(alphabet):
        table[ord(sign)] = index
    return table


_VALUE, _ORG_VALUE = _lookup(ALPHABET), _lookup(_ORG_ALPHABET)
_ORG_CHECK_BYTES: Final = np.frombuffer(_ORG_CHECKS.encode(), dtype=np.uint8)
_PAIR_OK: Final = np.zeros((256, 256), dtype=np.bool_)
for _authority, _kinds in _KINDS.items():
    for _kind in _kinds:
        _PAIR_OK[ord(_authority), ord(_kind)] = True


def normalise(codes: pl.Expr) -> pl.Expr:
    """Upper-case and without white space: the harmless part of what people type. ``codes`` is text in NFKC form."""
    return codes.str.replace_all(r"\s+", "").str.to_uppercase()


def problem_codes(codes: pl.Series) -> npt.NDArray[np.int8]:
    """Number of the first problem of each code (see ``PROBLEMS``), 0 where it is valid or null.

    ``codes`` is a String series of length n, already normalised; the result has shape ``(n,)``.
    """
    named = codes.alias("code").to_frame()
    sizes = named.select(pl.col("code").str.len_bytes().cast(pl.Int64).fill_null(-1)).to_series().to_numpy()
    result = np.where(sizes < 0, 0, 1).astype(np.int8)
    rows = np.flatnonzero(sizes == LENGTH)
    if rows.size == 0:
        return result
    whole = codes if rows.size == len(codes) else codes.gather(rows)
    joined = "".join(whole.to_list()).encode()
    signs = np.frombuffer(joined, dtype=np.uint8).reshape(rows.size, LENGTH)
    values = _VALUE[signs]
    org = _ORG_VALUE[signs[:, 8:16]] @ _ORG_WEIGHTS % 11
    last = (31 - values[:, :17] @ _WEIGHTS % 31) % 31
    tests = (
        (2, (values < 0).any(axis=1)),
        (3, ~_PAIR_OK[signs[:, 0], signs[:, 1]]),
        (4, (values[:, 2:8] > 9).any(axis=1)),
        (5, _ORG_CHECK_BYTES[org] != signs[:, 16]),
        (6, last != values[:, 17]),
    )
    found = np.zeros(rows.size, dtype=np.int8)
    for number, failed in tests:
        found[(found == 0) & failed] = number
    result[rows] = found
    return result


def valid(codes: pl.Series) -> pl.Series:
    """Boolean series: True where both check signs, the alphabet and the kind are right; null stays null."""
    ok = pl.Series(codes.name, problem_codes(codes) == 0)
    return pl.select(pl.when(codes.is_not_null()).then(ok)).to_series().alias(codes.name)


def is_valid(code: str) -> bool:
    """Whether one code is valid (used as it stands, without normalising)."""
    return bool(problem_codes(pl.Series([code], dtype=pl.String))[0] == 0)


def organisation_check(body: str) -> str:
    """Check sign of an organisation code body of 8 signs (GB 11714). ValueError on another length or sign."""
    if len(body) != 8 or any(sign not in _ORG_ALPHABET for sign in body):
        raise ValueError(f"organisation code body {body!r}: expected 8 signs of 0-9 A-Z")
    return _ORG_CHECKS[int(np.array([_ORG_ALPHABET.index(s) for s in body]) @ _ORG_WEIGHTS) % 11]


def build(kind: str, area: str, body: str) -> str:
    """A valid code from the kind (``91``), the authority's area (6 digits) and an organisation body (8 signs).

    ValueError when the parts cannot make a valid code.
    """
    head = kind + area + body + organisation_check(body)
    if len(head) != 17 or any(sign not in ALPHABET for sign in head):
        raise ValueError(f"kind {kind!r}, area {area!r}, body {body!r}: expected 2 + 6 + 8 signs of {ALPHABET}")
    total = int(np.array([ALPHABET.index(sign) for sign in head]) @ _WEIGHTS)
    code = head + ALPHABET[(31 - total % 31) % 31]
    if not is_valid(code):
        raise ValueError(f"{code}: {PROBLEMS[int(problem_codes(pl.Series([code]))[0])]}")
    return code
