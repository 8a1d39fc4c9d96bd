"""The gold programme: what a probability sample, double coding, set-valued truth and the leakage test must hold."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from taxonomy.classifier.gold import (
    Answer,
    GoldError,
    GoldPlan,
    LeakageError,
    allocate,
    assert_no_leakage,
    assign_coders,
    at_level,
    draw_sample,
    is_right,
    match,
    permanent_random,
    rule_on,
    stale,
    stratify,
    text_hash,
    unit_keys,
    with_text_hashes,
)
from taxonomy.scheme import load_scheme


def decisions(n: int = 3_000, seed: int = 3) -> pl.DataFrame:
    """Decision columns of made-up units: 6 % coded AI, some doubtful, two locked, the rest none."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["A11", "B21", "C1", "none", "review"], n, p=[0.02, 0.02, 0.02, 0.84, 0.1])
    probability = np.round(0.5 + 0.5 * rng.beta(4, 1, n), 6)
    is_none = kind == "none"
    frame = pl.DataFrame({"kind": kind, "probability": probability}).with_row_index("n")
    return frame.select(
        pl.format("U{}", "n").alias("unit_id"),
        ai_class=pl.when(pl.col("kind").is_in(["none", "review"]).not_()).then("kind"),
        p_ai=pl.when(pl.Series(is_none)).then(1 - pl.col("probability")).otherwise("probability"),
        probability="probability",
        route=pl.when(pl.col("kind") == "review")
        .then(pl.lit("review"))
        .when(pl.col("n") < 2)
        .then(pl.lit("lock"))
        .otherwise(pl.lit("model")),
        bundle=pl.lit("b1"), text_hash=pl.format("t{}", "n"), scope_hash=pl.format("s{}", "n"),
    )  # fmt: skip


def test_permanent_random_numbers_are_uniform_stable_and_independent_between_seeds() -> None:
    keys = unit_keys(f"9144030{i:011d}" for i in range(20_000))
    first, second = permanent_random(keys, 1), permanent_random(keys, 2)
    assert kstest(first, "uniform").pvalue > 0.001 and kstest(second, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert (permanent_random(keys[::-1].copy(), 1)[::-1] == first).all(), (
        "a unit's number does not depend on the others"
    )
    assert len(np.unique(first)) == len(first)


def test_the_sample_does_not_depend_on_row_order_and_stores_its_inclusion_probabilities() -> None:
    frame, plan = decisions(), GoldPlan(seed=11, size=400)
    sample = draw_sample(frame, plan)
    again = draw_sample(frame.sample(fraction=1.0, shuffle=True, seed=9), plan)
    assert sample.units.equals(again.units) and sample.strata.equals(again.strata)
    assert sample.units["unit_id"].n_unique() == sample.units.height == sample.strata["drawn"].sum()
    assert not set(sample.units["unit_id"]) & {"U0", "U1"}, "locked units carry a person's code already"
    assert "doubt" in set(sample.units["group"]) and "none" in set(sample.units["group"])
    by_stratum = sample.units.group_by("stratum").agg(pl.col("inclusion_probability").first(), n=pl.len())
    joined = by_stratum.join(sample.strata, on="stratum")
    assert (joined["n"] == joined["drawn"]).all()
    assert np.allclose(joined["inclusion_probability"], joined["drawn"] / joined["population"])


def test_inclusion_probabilities_are_true() -> None:
    frame = decisions(600)
    draws, total = 300, 0
    hits = np.zeros(600)
    position = {u: i for i, u in enumerate(frame["unit_id"])}
    for seed in range(draws):
        units = draw_sample(frame, GoldPlan(seed=seed, size=150, minimum=5, core_in_none=0)).units
        for unit in units["unit_id"]:
            hits[position[unit]] += 1
        total += float((1 / units["inclusion_probability"]).sum())
    assert total / draws == pytest.approx(598), "weights add up to the frame in every draw"
    pi = draw_sample(frame, GoldPlan(seed=0, size=150, minimum=5, core_in_none=0)).strata
    framed, _ = stratify(frame, GoldPlan(seed=0))
    wanted = framed.join(pi.select("stratum", p=pl.col("drawn") / pl.col("population")), on="stratum")
    observed = np.array([hits[position[u]] / draws for u in wanted["unit_id"]])
    p = wanted["p"].to_numpy()
    inner = p < 1
    z = (observed - p)[inner] / np.sqrt(p * (1 - p) / draws)[inner]
    assert (observed[~inner] == 1).all()
    assert np.abs(z).max() < 4.5 and abs(z.std() - 1) < 0.15


def test_a_new_period_keeps_the_units_whose_stratum_did_not_change() -> None:
    frame, plan = decisions(), GoldPlan(seed=11, size=400)
    before = set(draw_sample(frame, plan).units["unit_id"])
    after = set(draw_sample(frame.head(2_940), plan).units["unit_id"])
    assert len(before & after) > 0.9 * len(after)


def test_enough_expected_core_units_among_those_predicted_not_ai() -> None:
    sample = draw_sample(decisions(), GoldPlan(seed=1, size=200, core_in_none=30))
    assert sample.reliable and sample.expected_core_in_none >= 30
    none = sample.strata.filter(pl.col("group") == "none")
    assert (none["drawn"] <= none["population"]).all()
    unreachable = draw_sample(decisions(), GoldPlan(seed=1, size=200, core_in_none=1e6))
    assert not unreachable.reliable
    assert (
        (unreachable.strata.filter(pl.col("group") == "none").select(pl.col("drawn") == pl.col("population")))
        .to_series()
        .all()
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5_000), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12),
    st.integers(0, 3_000), st.integers(0, 60),
)  # fmt: skip
def test_allocation_spends_the_size_and_never_more_than_there_is(
    rows: list[tuple[int, float, float]], size: int, minimum: int
) -> None:
    strata = pl.DataFrame(
        {"population": [r[0] for r in rows], "mean_error": [r[1] for r in rows], "mean_p_ai": [r[2] for r in rows]},
        schema_overrides={"population": pl.Int64},
    ).with_columns(group=pl.lit("A"))
    drawn = allocate(strata, GoldPlan(seed=0, size=size, minimum=minimum))
    population = strata["population"].to_numpy()
    least = np.minimum(population, minimum)
    assert (drawn <= population).all() and (drawn >= least).all()
    assert drawn.sum() == max(least.sum(), min(size, population.sum()))


def test_a_unit_may_not_stand_twice() -> None:
    with pytest.raises(GoldError, match="twice"):
        draw_sample(pl.concat([decisions(10), decisions(10)]), GoldPlan(seed=1))


def test_each_unit_gets_two_different_coders_and_pairs_work_equally() -> None:
    units = [f"U{i}" for i in range(301)]
    pairs = assign_coders(units, ["li", "wang", "zhao", "li"], seed=4)
    assert pairs["unit_id"].to_list() == units
    assert (pairs["coder_1"] != pairs["coder_2"]).all()
    counts = pairs.select(pl.concat_list("coder_1", "coder_2").list.sort().list.join("+").alias("pair"))[
        "pair"
    ].value_counts()
    assert counts.height == 3 and counts["count"].max() - counts["count"].min() <= 1
    assert assign_coders(units, ["zhao", "wang", "li"], seed=4).equals(pairs)
    with pytest.raises(GoldError, match="two different coders"):
        assign_coders(units, ["li"], seed=4)


CODE = frozenset({"A11"})


@pytest.mark.parametrize(
    ("first", "second", "status", "codes"),
    [
        (Answer("code", CODE), Answer("code", CODE), "agreed", CODE),
        (Answer("code", frozenset({"A11", "A12"})), Answer("code", frozenset({"A12", "A11"})), "agreed", frozenset({"A11", "A12"})),
        (Answer("code", CODE), Answer("code", frozenset({"A11", "A12"})), "adjudicate", CODE),
        (Answer("code", CODE), Answer("code", frozenset({"B11"})), "adjudicate", frozenset()),
        (Answer("undecidable"), Answer("undecidable"), "agreed", frozenset()),
        (Answer("undecidable"), Answer("code", CODE), "adjudicate", frozenset()),
        (Answer("refer"), Answer("code", CODE), "adjudicate", frozenset()),
    ],
)  # fmt: skip
def test_the_adjudication_rule(first: Answer, second: Answer, status: str, codes: frozenset[str]) -> None:
    for one, two in ((first, second), (second, first)):
        ruling = rule_on(one, two)
        assert (ruling.status, ruling.codes) == (status, codes)
        assert (ruling.status == "adjudicate") == bool(ruling.reason_zh and ruling.reason_en)


def test_set_valued_truth() -> None:
    assert match({"A11"}, {"A11"}).kind == "OO" and match({"A11"}, {"A11"}).exact
    many = match({"A11"}, {"A11", "A12"})
    assert (many.kind, many.hit, many.exact, many.overlap) == ("OM", True, False, 0.5)
    assert match({"A11", "A12"}, {"B11"}) == match({"A12", "A11"}, {"B11"}) and not match({"A11", "A12"}, {"B11"}).hit
    assert match({"A11", "A12"}, {"A12", "A13"}).kind == "MM"
    assert match({"A11", "A12"}, {"A12", "A13"}).overlap == pytest.approx(1 / 3)
    with pytest.raises(GoldError, match="at least one"):
        match(set(), {"A11"})


def test_a_shown_class_is_right_when_a_true_code_is_it_or_lies_below() -> None:
    assert is_right("A1", {"A11"}) and is_right("A", {"A11"}) and is_right("A11", {"A11", "B11"})
    assert not is_right("A11", {"A1"}), "a coarser truth confirms nothing finer"
    assert is_right(None, {"none"}) and is_right("none", {"none"}) and not is_right(None, {"A11"})
    assert not is_right("A1", {"none"}) and not is_right("A1", {"B11"})


def test_levels_follow_the_scheme() -> None:
    scheme = load_scheme("ai_industry_2026")
    for code in scheme.codes:
        chain = [code.code, *(c.code for c in scheme.ancestors(code.code))][::-1]
        assert [at_level(code.code, level) for level in (1, 2, 3)] == [*chain, *[None] * (3 - len(chain))]
    assert at_level("none", 3) == "none"


def test_expiry() -> None:
    gold = pl.DataFrame(
        {
            "unit_id": ["a", "b", "c", "d"], "text_hash": ["1", "2", "3", "4"],
            "decided_at": ["2026-01-10T08:00:00+00:00", "2024-01-01T08:00:00+00:00", "2026-01-10", "2026-01-10"],
        }
    )  # fmt: skip
    current = pl.DataFrame({"unit_id": ["a", "b", "c"], "text_hash": ["1", "2", "changed"]})
    found = stale(gold, date(2026, 3, 31), 365, current)
    assert found["stale_reason"].to_list() == [None, "expired", "text_changed", "gone"]


def test_text_hashes_see_through_width_and_space_but_not_through_words() -> None:
    assert text_hash("ＡＩ 软件开发", None) == text_hash("ai软件开发", "")
    assert text_hash("软件", "开发") != text_hash("软件开发", "")
    frame = with_text_hashes(pl.DataFrame({"name": ["甲", "乙"], "business_scope": ["软件开发", None]}))
    assert frame["scope_hash"].to_list() == [text_hash("软件开发"), None] and frame["text_hash"].n_unique() == 2


def test_leakage_is_refused_by_unit_and_by_scope() -> None:
    units = pl.DataFrame(
        {
            "unit_id": ["g1", "g2"],
            "name": ["甲公司", "乙公司"],
            "business_scope": ["人工智能芯片设计；集成电路", "餐饮服务"],
        }
    )
    gold = with_text_hashes(units)
    assert_no_leakage([text_hash("软件开发")], gold)
    with pytest.raises(LeakageError, match=r"1 gold units .*g2"):
        assert_no_leakage([text_hash("乙公司", "餐饮服务", None)], gold)
    with pytest.raises(LeakageError, match="g1"):
        assert_no_leakage([text_hash("人工智能芯片设计; 集成电路")], gold)


AWKWARD = st.one_of(
    st.none(), st.text(max_size=12), st.text("ＡＢ ａ\t\u3000\x1c\x1f\x85\xa0\u200b\u2028ß㎡①ﬁ〓^_智\n", max_size=12)
)


@given(st.lists(st.tuples(AWKWARD, AWKWARD, AWKWARD), max_size=8))
def test_hashes_of_a_column_are_those_of_its_texts(rows: list[tuple[str | None, str | None, str | None]]) -> None:
    names = ("name", "business_scope", "main_products")
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    hashed = with_text_hashes(frame)
    assert hashed["text_hash"].to_list() == [text_hash(*row) for row in rows]
    assert hashed["scope_hash"].to_list() == [text_hash(scope) if scope else None for _, scope, _ in rows]
