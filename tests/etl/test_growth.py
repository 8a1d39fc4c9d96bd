"""Growth rates: hand calculation, every reason for none, and the column variant against the scalar one."""

from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.methods.growth import Growth, yoy, yoy_expr
from etl.methods.registry import method, methods


def test_hand_calculation() -> None:
    assert yoy(Decimal("105.40"), Decimal("100.00")).ratio == pytest.approx(0.054)
    assert yoy(94.6, 100).ratio == pytest.approx(-0.054)
    assert yoy(100, 100) == Growth(0.0, None)
    assert yoy(0, 5) == Growth(-1.0, None)
    assert yoy(-5, 5) == Growth(-2.0, None)  # a loss after a profit


@pytest.mark.parametrize(
    ("current", "previous", "withheld", "reason"),
    [
        (1.0, 2.0, True, "withheld"),
        (None, None, True, "withheld"),
        (None, 2.0, False, "missing"),
        (1.0, None, False, "missing"),
        (float("nan"), 2.0, False, "missing"),
        (1.0, float("inf"), False, "missing"),
        (1.0, 0.0, False, "base_zero"),
        (0.0, Decimal("0.00"), False, "base_zero"),
        (1.0, -2.0, False, "base_not_positive"),
    ],
)
def test_reasons(current: Any, previous: Any, withheld: bool, reason: str) -> None:
    assert yoy(current, previous, withheld=withheld) == Growth(None, reason)  # type: ignore[arg-type]


VALUE = st.none() | st.decimals(-(10**12), 10**12, places=2) | st.just(Decimal("0.00"))


@given(st.lists(st.tuples(VALUE, VALUE, st.none() | st.booleans()), min_size=1, max_size=30))
def test_columns_agree_with_scalars(rows: list[tuple[Any, Any, bool | None]]) -> None:
    schema = {"now": pl.Decimal(24, 2), "base": pl.Decimal(24, 2), "hidden": pl.Boolean}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    found = frame.select(g=yoy_expr(pl.col("now"), pl.col("base"), pl.col("hidden"))).unnest("g").rows()
    expected = [yoy(now, base, withheld=hidden is not False) for now, base, hidden in rows]
    assert [(g.ratio is None, g.reason) for g in expected] == [(r is None, reason) for r, reason in found]
    for growth, (ratio, _) in zip(expected, found, strict=True):
        assert ratio == (None if growth.ratio is None else pytest.approx(growth.ratio, rel=1e-12, abs=1e-12))
        assert (ratio is None) != (growth.reason is None)


def test_without_a_flag_nothing_is_withheld() -> None:
    frame = pl.DataFrame({"now": [110.0, 5.0], "base": [100.0, 0.0]})
    rows = frame.select(g=yoy_expr(pl.col("now"), pl.col("base"))).unnest("g").rows()
    assert rows[0] == (pytest.approx(0.1), None)
    assert rows[1] == (None, "base_zero")


def test_methods_are_found_by_identifier() -> None:
    found = methods()
    assert found["growth.yoy"] is yoy
    assert {"disclosure.protect", "disclosure.audit"} <= set(found)
    assert list(found) == sorted(found)


def test_an_identifier_is_given_once() -> None:
    with pytest.raises(ValueError, match=r"growth\.yoy.*already"):

        @method("growth.yoy")
        def other() -> None: ...
