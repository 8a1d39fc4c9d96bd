"""Versions side by side and the concordance between them, on a toy classification that is not a real history."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy.concordance import (
    Concordance,
    ConcordanceError,
    Step,
    check_concordance,
    convert_counts,
    list_concordances,
    load_concordance,
    read_concordance,
)
from taxonomy.scheme import Scheme, SchemeError, check, read_scheme
from taxonomy.versions import check_all_families, check_family, families, scheme_at

TOY = Path(__file__).parent / "toy"
OLD, NEW = read_scheme(TOY / "toy_2020.yaml"), read_scheme(TOY / "toy_2024.yaml")
STEPS = read_concordance(TOY / "toy_2020__toy_2024.csv", OLD, NEW)


def with_code(scheme: Scheme, code: str, **changes: object) -> Scheme:
    return replace(scheme, codes=tuple(replace(c, **changes) if c.code == code else c for c in scheme.codes))  # type: ignore[arg-type]


def test_the_version_of_a_day_is_the_one_in_force() -> None:
    both = (NEW, OLD)
    assert [s.id for s in families(both)["toy"]] == ["toy_2020", "toy_2024"]
    days = {"2020-01-01": OLD, "2023-12-31": OLD, "2024-01-01": NEW, "2999-01-01": NEW}
    assert {day: scheme_at("toy", day, both) for day in days} == days
    with pytest.raises(SchemeError, match=r"0 versions of 'toy'.*toy_2020 2020-01-01–2023-12-31"):
        scheme_at("toy", "2019-12-31", both)
    with pytest.raises(SchemeError, match="no family 'nace'"):
        scheme_at("nace", "2024-01-01", both)


def test_shipped_families_follow_cleanly() -> None:
    assert check_all_families() == []
    assert scheme_at("ai_industry", "2026-06-30").id == "ai_industry_2026"
    assert scheme_at("gbt4754", "2020-01-01").id == "gbt4754_2017"
    with pytest.raises(SchemeError, match="0 versions"):
        scheme_at("digital_economy", "2020-12-31")


def test_versions_must_not_overlap() -> None:
    assert check_family([OLD, NEW], [STEPS]) == []
    open_ended = replace(OLD, valid_to="")
    assert any("overlap" in p for p in check_family([open_ended, NEW], [STEPS]))
    assert any("overlap" in p for p in check_family([replace(OLD, valid_to="2024-01-01"), NEW], [STEPS]))


def test_a_retired_code_has_a_successor_that_exists() -> None:
    retired = with_code(OLD, "P4", status="retired")
    assert any("P4 is retired but names no successor" in p for p in check(retired))
    ended = with_code(OLD, "P4", valid_to="2021-12-31")
    assert any("P4 is retired but names no successor" in p for p in check(ended))
    followed = with_code(retired, "P4", attributes={"successors": ("P3",)})
    assert check(followed) == [] and check_family([followed, NEW], [STEPS]) == []
    lost = with_code(retired, "P4", attributes={"successors": ("P99",)})
    assert any("successor P99" in p for p in check_family([lost, NEW], [STEPS]))
    circular = with_code(retired, "P4", attributes={"successors": ("P4",)})
    assert any("its own successor" in p for p in check(circular))


def test_a_code_the_next_version_drops_needs_a_row_in_the_concordance() -> None:
    problems = check_family([OLD, NEW])
    assert {p.split(":")[1].split()[0] for p in problems} == {"P2", "P3", "P4", "P5"}


def test_dates_out_of_order_are_found() -> None:
    wrong = with_code(OLD, "P1", valid_to="2019-01-01", attributes={"successors": ("P2",)})
    assert any("before it starts" in p for p in check(wrong))
    assert any("expected a date" in p for p in check(with_code(OLD, "P1", valid_from="2020/1/1")))


def test_counts_convert_exactly_and_add_up() -> None:
    """By hand: 0.35 and 0.65 of 101 are 35.35 and 65.65; 3 + 4 merge; 5 leave."""
    found = convert_counts(STEPS, {"P1": 10, "P2": 101, "P3": 3, "P4": 4, "P5": 5})
    assert found == {
        "P1": Decimal(10), "P6": Decimal("35.35"), "P7": Decimal("65.65"), "P8": Decimal(7), "": Decimal(5),
    }  # fmt: skip
    assert list(found) == ["P1", "P6", "P7", "P8", ""]
    assert sum(found.values()) == 123


amounts = st.decimals(min_value=-(10**15), max_value=10**15, places=2, allow_nan=False)
figures = st.dictionaries(st.sampled_from(["P1", "P2", "P3", "P4", "P5"]), amounts)


@settings(max_examples=60, deadline=None)
@given(figures, figures)
def test_conversion_is_additive_and_keeps_the_total(a: dict[str, Decimal], b: dict[str, Decimal]) -> None:
    both = {k: a.get(k, Decimal(0)) + b.get(k, Decimal(0)) for k in {*a, *b}}
    left, right, whole = (convert_counts(STEPS, x) for x in (a, b, both))
    assert sum(whole.values()) == sum(both.values())
    for code in whole:
        assert whole[code] == left.get(code, 0) + right.get(code, 0)


def test_candidates_restrict_double_coding() -> None:
    assert [(s.to_code, s.share) for s in STEPS.candidates("P2")] == [("P7", Decimal("0.65")), ("P6", Decimal("0.35"))]
    assert [s.to_code for s in STEPS.candidates("P5")] == [""]
    assert {s.from_code for s in STEPS.predecessors("P8")} == {"P3", "P4"}
    assert STEPS.predecessors("P9") == ()
    with pytest.raises(KeyError, match="does not speak of 'P99'"):
        STEPS.candidates("P99")


def test_a_split_of_unknown_shares_can_be_coded_but_not_converted() -> None:
    unknown = tuple(replace(s, share=None) if s.from_code == "P2" else s for s in STEPS.steps)
    table = Concordance("toy", OLD, NEW, unknown)
    assert check_concordance(table) == []
    assert {s.to_code for s in table.candidates("P2")} == {"P6", "P7"}
    assert convert_counts(table, {"P1": 2}) == {"P1": 2}
    with pytest.raises(ConcordanceError, match="shares of P2 are unknown"):
        convert_counts(table, {"P2": 2})


def test_a_float_or_an_unknown_code_is_not_converted() -> None:
    with pytest.raises(TypeError, match="count of P1 is float"):
        convert_counts(STEPS, {"P1": 0.1})  # type: ignore[dict-item]
    with pytest.raises(ConcordanceError, match="does not speak of 'P'"):
        convert_counts(STEPS, {"P": 1})


@pytest.mark.parametrize(
    ("index", "changes", "message"),
    [
        (1, {"share": Decimal("0.36")}, "shares of P2 sum to 1.01"),
        (1, {"share": Decimal("0.349999")}, "sum to 0.999999"),
        (1, {"share": None}, "shares of P2 must all be given"),
        (1, {"share_source": ""}, "has no share_source"),
        (0, {"relation": "1:n"}, "relation is '1:n', but the rows make it 1:1"),
        (3, {"relation": "1:1"}, "the rows make it n:1"),
        (0, {"share": Decimal("1.5")}, "at most 1"),
        (0, {"share": None}, "one row: 1"),
        (0, {"to_code": "P99"}, "P99 is not in toy_2024"),
        (0, {"to_code": "P"}, "P is not a leaf of toy_2024"),
        (6, {"share": Decimal(1)}, "without old code has no share"),
        (4, {"from_code": "P3"}, "stands 2 times"),
        (5, {"from_code": "P1"}, "says nothing of P5"),
    ],
)
def test_a_wrong_concordance_is_found(index: int, changes: dict[str, object], message: str) -> None:
    assert check_concordance(STEPS) == []
    steps = list(STEPS.steps)
    steps[index] = replace(steps[index], **changes)  # type: ignore[arg-type]
    problems = check_concordance(Concordance("toy", OLD, NEW, tuple(steps)))
    assert any(message in p for p in problems), problems


def test_crossing_splits_and_mergers_are_n_to_m() -> None:
    crossing = tuple(replace(s, relation="n:m") if (s.from_code, s.to_code) == ("P2", "P7") else s for s in STEPS.steps)
    half = {"relation": "n:m", "share": Decimal("0.5"), "share_source": "toy"}
    steps = (*(replace(s, **half) if s.from_code == "P3" else s for s in crossing),  # type: ignore[arg-type]
             Step("P3", "P7", "n:m", Decimal("0.5"), "toy"))  # fmt: skip
    assert check_concordance(Concordance("toy", OLD, NEW, steps)) == []


def test_files_that_cannot_be_read_say_what_was_expected(tmp_path: Path) -> None:
    bad = tmp_path / "toy_2020__toy_2024.csv"
    bad.write_text("from,to,share\nP1,P1,1\n", encoding="utf-8")
    with pytest.raises(ConcordanceError, match="expected from,to,relation,share,share_source"):
        read_concordance(bad, OLD, NEW)
    bad.write_text("from,to,relation,share,share_source\nP1,P1,1:1,half,\n", encoding="utf-8")
    with pytest.raises(ConcordanceError, match="line 2: share 'half' is not a number"):
        read_concordance(bad, OLD, NEW)
    with pytest.raises(ConcordanceError, match="no concordance 'a__b'"):
        load_concordance("a__b")


def test_shipped_concordances_load() -> None:
    for name in list_concordances():
        assert load_concordance(name).steps
