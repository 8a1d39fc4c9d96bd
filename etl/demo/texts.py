"""Names, business scopes and products, gathered from the phrase pools for all units at once."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from etl.demo.scenario import Scenario, activities, common, forbidden_names, stream

MAIN, SECOND, SIDE, LICENSED, PRODUCTS = 8, 2, 3, 2, 3
VAGUE, WEAK, SIDE_POOL, LICENSED_POOL = -4, -3, -2, -1
"""Positions, from the end, of the pools any unit may draw from."""


def pick(
    rng: np.random.Generator, pools: Sequence[Sequence[str]], pool: np.ndarray, count: np.ndarray
) -> list[pl.Series]:
    """Draw ``count[i]`` different phrases for unit i from ``pools[pool[i]]``; null beyond."""
    pool = pool % len(pools)
    sizes = np.array([len(p) for p in pools])
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    words = pl.Series([phrase for p in pools for phrase in p], dtype=pl.String)
    width = int(sizes.max())
    keys = rng.random((len(pool), width), dtype=np.float32)
    keys[np.arange(width)[None, :] >= sizes[pool][:, None]] = 2.0
    order = np.argsort(keys, axis=1)
    most = int(count.max(initial=0))
    columns = []
    for j in range(min(most, width)):
        wanted = (j < count) & (j < sizes[pool])
        position = pl.Series(np.where(wanted, offsets[pool] + order[:, j], 0))
        columns.append(pl.select(pl.when(pl.Series(wanted)).then(words.gather(position))).to_series())
    return columns


def _join(columns: list[pl.Series], separator: str) -> pl.Expr:
    """Phrases of each unit joined; null where there is none."""
    text = pl.concat_str([pl.lit(c) for c in columns], separator=separator, ignore_nulls=True)
    return pl.when(text != "").then(text)


def _pools() -> list[Sequence[str]]:
    words = common()
    return [a.scope for a in activities()] + [words[k] for k in ("vague_scope", "weak_scope", "side", "licensed")]


def scopes(rng: np.random.Generator, units: pl.DataFrame, activity: np.ndarray, scenario: Scenario) -> pl.Series:
    """Business scopes: main phrases, one or two of another sort, side business, licensed items."""
    n, mode, limits = units.height, units["mode"].to_numpy(), scenario["scope_phrases"]
    astray = (mode == "vague") | (mode == "weak")
    is_ai = np.isin(units["role"].to_numpy(), ["ai", "branch"])
    pools = _pools()
    first = np.where(astray, VAGUE, activity)
    second = np.where(mode == "vague", WEAK, np.where(mode == "weak", activity, VAGUE))
    leaves = np.array([i for i, a in enumerate(activities()) if a.kind == "ai"])
    second = np.where(mode == "claims", leaves[rng.integers(0, leaves.size, n)], second)
    extra = np.where(astray, 1, np.where(is_ai, rng.integers(0, SECOND + 1, n), 0))
    extra = np.where(mode == "claims", rng.integers(2, SECOND + 2, n), extra)
    main = np.where(units["unit_kind"].to_numpy() == "3", 3, rng.integers(limits["min"], limits["max"] + 1, n))
    columns = pick(rng, pools, first, np.minimum(main, MAIN)) + pick(rng, pools, second, extra)
    columns += pick(rng, pools, np.full(n, SIDE_POOL), rng.integers(0, SIDE + 1, n))
    licensed = pick(rng, pools, np.full(n, LICENSED_POOL), np.maximum(rng.integers(-3, LICENSED + 1, n), 0))
    style = pl.lit(pl.Series(rng.integers(0, 5, n)))
    semicolon, extra_text = _join(columns, "；"), _join(licensed, "；").fill_null("无")
    official = pl.format("一般经营项目是：{}。许可经营项目是：{}。", semicolon, extra_text)
    with_comma = pl.format("一般经营项目是：{}，许可经营项目是：{}", _join(columns, "，"), extra_text)
    return pl.select(
        pl.when(style <= 1).then(official).when(style == 2).then(with_comma)
        .when(style == 3).then(pl.format("{}。", _join(columns, "、"))).otherwise(semicolon)
    ).to_series()  # fmt: skip


def products(rng: np.random.Generator, units: pl.DataFrame, activity: np.ndarray, scenario: Scenario) -> pl.Series:
    """One to three main products of some units, null for the others."""
    chance = np.full(units.height, float(scenario["products_share"]))
    mode = units["mode"].to_numpy()
    chance[mode == "weak"] = 0.3
    chance[mode == "vague"] = 0.0
    count = np.where(rng.random(units.height) < chance, rng.integers(1, PRODUCTS + 1, units.height), 0)
    return pl.select(_join(pick(rng, [a.products for a in activities()], activity, count), "、")).to_series()


def _stems(rng: np.random.Generator, n: int) -> pl.Series:
    """Invented words of three signs, sometimes two, from the pool of single signs."""
    signs = np.array(common()["syllables"])
    drawn = signs[rng.integers(0, len(signs), (n, 3))]
    short = rng.random(n) < 0.12
    third = np.where(short, "", drawn[:, 2])
    return pl.Series(np.char.add(np.char.add(drawn[:, 0], drawn[:, 1]), third))


def choice(rng: np.random.Generator, words: Sequence[str], n: int) -> pl.Series:
    """``n`` words drawn with equal chance."""
    return pl.Series(np.array(words)[rng.integers(0, len(words), n)])


def name_parts(
    rng: np.random.Generator, units: pl.DataFrame, activity: np.ndarray
) -> tuple[pl.Series, pl.Series, pl.Expr]:
    """What stands before and after the stem of a name: city, trade word, legal form of company, branch or shop."""
    n, words = units.height, common()
    plain = np.isin(units["mode"].to_numpy(), ["vague", "weak"])
    is_ai = np.isin(units["role"].to_numpy(), ["ai", "branch"])
    plain |= is_ai & (rng.random(n) < 0.45)
    pools = [*(a.names for a in activities()), words["vague_names"]]
    word = pick(rng, pools, np.where(plain, len(pools) - 1, activity), np.ones(n, dtype=np.int64))[0]
    kind = pl.lit(units["unit_kind"])
    form = choice(rng, words["forms"], n)
    sole, branch = choice(rng, words["sole_forms"], n), choice(rng, words["branch_forms"], n)
    tail = pl.when(kind == "3").then(sole).when(kind == "2").then(branch).otherwise(form)
    city = pl.Series(np.where(rng.random(n) < 0.85, "深圳市", "深圳"))
    return city, word, tail


def _names(rng: np.random.Generator, units: pl.DataFrame, activity: np.ndarray) -> pl.Series:
    """Company, branch and shop names, all different, none of them that of a company in the public lists."""
    city, word, tail = name_parts(rng, units, activity)
    stem = _stems(rng, units.height)
    for _ in range(30):
        names = pl.select(pl.concat_str(pl.lit(city), pl.lit(stem), pl.lit(word), tail)).to_series()
        again = (~names.is_first_distinct() | names.is_in(list(forbidden_names()))).to_numpy()
        if not again.any():
            return names
        stem = pl.select(pl.when(pl.Series(again)).then(_stems(rng, units.height)).otherwise(stem)).to_series()
    raise RuntimeError("names of the demo city do not become distinct; add syllables to etl/demo/phrases/common.yaml")


def add_texts(units: pl.DataFrame, activity: np.ndarray, scenario: Scenario, seed: int) -> pl.DataFrame:
    """Add ``name, business_scope, main_products`` to the units of :func:`etl.demo.units.build_units`."""
    rng = stream(seed, "texts")
    return units.with_columns(
        name=_names(rng, units, activity),
        business_scope=scopes(rng, units, activity, scenario),
        main_products=products(rng, units, activity, scenario),
    )
