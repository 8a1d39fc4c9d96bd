"""How numbers are worded."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse import format as fmt
from warehouse.catalogue import load_indicators

REVENUE, STAFF = (load_indicators()[name] for name in ("ai_revenue", "rd_staff"))


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [
        ("2.675", 2, "2.68"),
        ("0.25", 1, "0.3"),
        ("-0.25", 1, "-0.3"),
        ("2.5", 0, "3"),
        ("-0.04", 1, "0.0"),
        ("1e3", 1, "1000.0"),
    ],
)
def test_rounding_is_half_up_and_zero_has_no_sign(value: str, decimals: int, expected: str) -> None:
    assert f"{fmt.round_half_up(Decimal(value), decimals):f}" == expected


@pytest.mark.parametrize(
    ("value", "indicator", "expected"),
    [
        ("123456789012.34", REVENUE, "1,234.57"),
        ("500000", REVENUE, "0.01"),
        ("499999.99", REVENUE, "…"),
        ("-499999.99", REVENUE, "…"),
        ("0", REVENUE, "0.00"),
        ("-250000000", REVENUE, "-2.50"),
        ("3120", STAFF, "3,120"),
        ("0.40", STAFF, "…"),
    ],
)
def test_values_in_display_units(value: str, indicator: object, expected: str) -> None:
    assert fmt.value_text(Decimal(value), indicator) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ratio", "zh", "en"),
    [
        (0.1234, "增长12.3%", "up 12.3 %"),
        (-0.054, "下降5.4%", "down 5.4 %"),
        (0.0, "持平", "unchanged"),
        (-0.0004, "持平", "unchanged"),
        (0.0005, "增长0.1%", "up 0.1 %"),
        (1.03, "增长1.03倍", "up 103.0 %"),
        (-1.0, "下降100.0%", "down 100.0 %"),
    ],
)
def test_growth_in_words(ratio: float, zh: str, en: str) -> None:
    assert (fmt.growth_text(ratio), fmt.growth_text(ratio, "en")) == (zh, en)


@given(st.floats(-1, 0.99))
def test_words_and_sign_agree(ratio: float) -> None:
    words = {"▲": "增长", "▼": "下降", "－": "持平"}
    assert fmt.growth_text(ratio).startswith(words[fmt.growth_sign(ratio)])
    assert "-" not in fmt.growth_text(ratio)


@pytest.mark.parametrize(
    ("period", "text"),
    [("2025", "2025年"), ("2025-11", "2025年11月"), ("2025-03", "2025年3月"), ("2025-Q3", "2025年三季度")],
)
def test_periods_in_words(period: str, text: str) -> None:
    assert fmt.period_text(period) == text
    assert fmt.period_text(period, "en") == period


def test_symbols_are_different_and_have_words_in_both_languages() -> None:
    assert set(fmt.symbols("zh")) == set(fmt.symbols("en")) == {"x", "..", "—", "…", "0"}
    assert len(set(fmt.symbols("zh").values())) == 5
    assert fmt.status_text("E", "zh") == "估计值"
    assert fmt.yoy_note_text("base_zero", "zh") == "基期为零"
    assert fmt.growth_sign(None) == ""
