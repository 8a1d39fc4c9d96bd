"""Valid social credit codes for units that do not exist: an authority area no authority uses."""

from typing import Final

import numpy as np
import polars as pl

from etl.uscc import ALPHABET, organisation_check

AREA: Final = "440399"
"""No registration authority has this area code, so a demo code cannot be that of a real unit."""
BODIES: Final = 31**7
"""Organisation bodies there are (M and seven signs)."""
_SIGNS: Final = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)
_WEIGHTS: Final = np.array([pow(3, i, 31) for i in range(17)], dtype=np.int64)
_ORG_WEIGHTS: Final = np.array([3, 7, 9, 10, 5, 8, 4, 2], dtype=np.int64)
_POSITION: Final = {sign: index for index, sign in enumerate(ALPHABET)}
_ORG_VALUES: Final = np.array([int(s) if s.isdigit() else ord(s) - 55 for s in ALPHABET], dtype=np.int64)


def _org_checks() -> np.ndarray:
    """Position in the alphabet of the GB 11714 check sign for each weighted sum modulo 11."""
    table = np.zeros(11, dtype=np.int64)
    for digit in range(10):
        for other in range(10):
            body = f"{digit}{other}000000"
            total = (digit * 3 + other * 7) % 11
            table[total] = _POSITION[organisation_check(body)]
    return table


def make_codes(rng: np.random.Generator, kinds: pl.Series) -> pl.Series:
    """One distinct valid code a unit; ``kinds`` holds the first two signs (``91``, ``92``)."""
    n = len(kinds)
    return codes_of(rng.permutation(np.unique(rng.integers(0, BODIES, size=n + n // 10 + 100)))[:n], kinds)


def codes_of(drawn: np.ndarray, kinds: pl.Series) -> pl.Series:
    """The valid codes of given organisation bodies: ``drawn`` holds distinct integers in ``[0, BODIES)``."""
    n = len(kinds)
    body = np.zeros((n, 8), dtype=np.int64)
    body[:, 0] = _POSITION["M"]
    for place in range(7):
        body[:, 7 - place] = drawn // 31**place % 31
    head = np.array([[_POSITION[s] for s in kind + AREA] for kind in ("91", "92")], dtype=np.int64)
    signs = np.zeros((n, 18), dtype=np.int64)
    signs[:, :8] = head[(kinds == "92").to_numpy().astype(np.int64)]
    signs[:, 8:16] = body
    signs[:, 16] = _org_checks()[_ORG_VALUES[body] @ _ORG_WEIGHTS % 11]
    signs[:, 17] = (31 - signs[:, :17] @ _WEIGHTS % 31) % 31
    text = _SIGNS[signs].tobytes().decode()
    return pl.Series("uscc", [text[i : i + 18] for i in range(0, 18 * n, 18)], dtype=pl.String)
