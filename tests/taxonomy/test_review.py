"""The review queue: order by effect, an unbiased random part, seeded gold, blind double tasks; the same every time."""

import numpy as np
import polars as pl
import pytest

from taxonomy.classifier.gold import unit_keys
from taxonomy.classifier.review import QueueError, QueueFrame, QueuePlan, build_queue, may_be_drawn, random_inclusion


def frame(n: int = 4_000, seed: int = 1) -> pl.DataFrame:
    """A frame with 15 % doubts and sizes that are heavy-tailed, some not known."""
    rng = np.random.default_rng(seed)
    route = np.where(rng.random(n) < 0.15, "review", "model")
    probability = np.where(route == "review", rng.uniform(0.3, 0.85, n), rng.uniform(0.85, 1.0, n))
    size = np.exp(rng.normal(3, 2, n))
    return pl.DataFrame({"route": route, "probability": probability, "size": size}).with_row_index("n").select(
        pl.format("U{}", "n").alias("unit_id"), "route", "probability",
        size=pl.when(pl.col("n") % 10 != 0).then("size"), weight=pl.lit(1.0),
        text_hash=pl.format("t{}", "n"), bundle=pl.lit("b1"),
    )  # fmt: skip


GOLD = [f"U{i}" for i in range(0, 400, 2)]
PLAN = QueuePlan(seed=5, capacity=400)


def test_parts_have_their_shares_and_the_queue_is_full() -> None:
    queue = build_queue(frame(), PLAN, GOLD)
    kinds = dict(queue["kind"].value_counts().iter_rows())
    assert queue.height == 400 and queue["position"].to_list() == list(range(1, 401))
    assert kinds["seed"] == 20 and 20 <= kinds["random"] <= 62 and sum(kinds.values()) == 400
    assert queue["unit_id"].n_unique() == 400
    assert set(queue.filter(pl.col("kind") == "seed")["unit_id"]) <= set(GOLD)
    assert not set(queue.filter(pl.col("kind") != "seed")["unit_id"]) & set(GOLD), "gold is never asked as a doubt"


def test_doubts_stand_by_effect_on_the_figure() -> None:
    units = frame()
    queue = build_queue(units, PLAN)
    doubts = queue.filter(pl.col("kind") == "effect")
    assert (np.diff(doubts["effect"].to_numpy()) <= 0).all()
    median = units["size"].median()
    checked = doubts.join(units, on="unit_id").with_columns(
        expected=pl.col("weight") * pl.col("size").fill_null(median) * (1 - pl.col("probability"))
    )
    assert np.allclose(checked["effect"], checked["expected"])
    asked = set(queue["unit_id"])
    left = units.filter((pl.col("route") == "review") & ~pl.col("unit_id").is_in(list(asked)))
    best_left = left.select((pl.col("size").fill_null(median) * (1 - pl.col("probability"))).max()).item()
    assert best_left <= doubts["effect"].min(), "nothing with a greater effect was left out"


def test_an_uncodable_unit_has_full_error_probability() -> None:
    units = frame(50).with_columns(route=pl.lit("uncodable"), probability=pl.lit(None, pl.Float64), size=pl.lit(2.0))
    queue = build_queue(units, QueuePlan(seed=1, capacity=50))
    assert (queue["p_error"] == 1.0).all() and (queue["effect"] == 2.0).all()


def test_the_same_queue_whatever_the_order_of_rows() -> None:
    shuffled = frame().sample(fraction=1.0, shuffle=True, seed=3)
    assert build_queue(frame(), PLAN, GOLD).equals(build_queue(shuffled, PLAN, GOLD[::-1]))
    assert not build_queue(frame(), PLAN).equals(build_queue(frame(), QueuePlan(seed=6, capacity=400)))


def test_blind_tasks() -> None:
    queue = build_queue(frame(), PLAN, GOLD)
    asked = queue.filter(pl.col("kind") != "seed")
    share = (asked["coders_needed"] == 2).mean()
    assert 0.05 < share < 0.16
    hidden = (pl.col("kind") != "effect") | (pl.col("coders_needed") == 2)
    assert queue.filter(pl.col("blind") != hidden).height == 0
    assert queue.filter((pl.col("kind") == "seed") & (pl.col("coders_needed") != 1)).height == 0


def test_the_random_part_gives_an_unbiased_estimate_of_the_error_of_the_whole_frame() -> None:
    units = frame(2_000)
    rng = np.random.default_rng(8)
    wrong = units.select("unit_id").with_columns(wrong=pl.Series(rng.random(2_000) < 0.1))
    true = wrong["wrong"].sum()
    found = []
    for seed in range(300):
        queue = build_queue(units, QueuePlan(seed=seed * 10, capacity=600, share_random=0.2))
        random = queue.filter(pl.col("kind") == "random").join(wrong, on="unit_id")
        found.append((random["wrong"] / random["inclusion_probability"]).sum())
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - true) < 3.5 * error
    assert random_inclusion(2_000, QueuePlan(seed=0, capacity=600, share_random=0.2)) == pytest.approx(0.06)


def test_places_of_random_and_seed_tasks_tell_nothing() -> None:
    queue = build_queue(frame(), QueuePlan(seed=5, capacity=1_000, share_random=0.2), GOLD)
    places = queue.filter(pl.col("kind") != "effect")["position"].to_numpy()
    assert abs(places.mean() / queue.height - 0.5) < 0.06 and places.min() < 60 and places.max() > queue.height - 60


def test_units_coded_outside_the_promise_are_doubts_too_and_locks_never() -> None:
    units = frame(300).with_columns(route=pl.lit("model"), promised=pl.int_range(pl.len()) >= 30)
    queue = build_queue(units, QueuePlan(seed=2, capacity=100, share_random=0.0))
    assert set(queue["unit_id"]) == {f"U{i}" for i in range(30)}
    locked = units.with_columns(route=pl.lit("lock"), promised=pl.lit(False))
    assert build_queue(locked, QueuePlan(seed=2, capacity=100)).height == 0


def test_what_cannot_be_queued_is_said() -> None:
    with pytest.raises(QueueError, match="weight"):
        build_queue(frame().drop("weight"), PLAN)
    with pytest.raises(QueueError, match="twice"):
        build_queue(pl.concat([frame(5), frame(5)]), PLAN)
    with pytest.raises(QueueError, match="room"):
        build_queue(frame(), QueuePlan(seed=1, share_random=0.97, share_seed=0.05))


def test_doubts_and_drawable_units_stand_for_the_whole_frame() -> None:
    units = frame()
    gold = units["unit_id"].sample(30, seed=3).to_list()
    reserved = [u for u in units["unit_id"].sample(40, seed=4).to_list() if u not in gold]
    whole, apart = QueueFrame.of(units), len(gold) + len(reserved)
    drawable = pl.Series(may_be_drawn(unit_keys(units["unit_id"]), PLAN, whole.unlocked, apart))
    doubt = units["route"].is_in(["review", "uncodable"])
    some = units.filter(drawable | doubt | units["unit_id"].is_in([*gold, *reserved]))
    assert some.height < units.height
    expected = build_queue(units, PLAN, gold, reserved)
    assert build_queue(some, PLAN, gold, reserved, whole).equals(expected)
    assert not build_queue(some, PLAN, gold, reserved).equals(expected), "the part alone is another frame"
