"""The audit of a suppression pattern: negative controls, rules in force, what the certificate shows."""

import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import polars as pl
from disclosure_tables import (
    COUNT_ONLY,
    members,
    table_of,
)

from etl.methods.disclosure import Pattern, audit, protect
from etl.methods.disclosure.linked import frame_hash


def big_pattern(seed: int = 7, n: int = 260) -> Pattern:
    random = np.random.default_rng(seed)
    regions, activities = ["N1", "N2", "S1", "S2"], ["a", "b", "c"]
    rows = [
        (regions[random.choice(4, p=[0.1, 0.2, 0.3, 0.4])], activities[random.choice(3, p=[0.02, 0.28, 0.7])],
         f"g{random.integers(0, 90)}", f"{np.exp(random.normal(5, 1)):.2f}", True)
        for _ in range(n)
    ]  # fmt: skip
    return protect(table_of(rows), COUNT_ONLY)


def tampered(pattern: Pattern, change: pl.Expr, rows: pl.Expr, *, consistent: bool = True) -> Pattern:
    """The pattern with ``change`` applied to some rows; its hash made to fit if ``consistent``."""
    name = change.meta.output_name()
    frame = pattern.frame.with_columns(pl.when(rows).then(change).otherwise(name).alias(name))
    return replace(pattern, frame=frame, hash=frame_hash(frame) if consistent else pattern.hash)


def test_audit_finds_every_secondary_published_after_all() -> None:
    pattern = big_pattern()
    assert audit(pattern).passed
    names: dict[frozenset[int], list[int]] = {m: [] for m in members(pattern)}
    for i, (m, s) in enumerate(zip(members(pattern), pattern.frame["status"], strict=True)):
        if s == "secondary":
            names[m].append(i)
    secondary = [cells for cells in names.values() if cells]
    assert secondary
    for cells in secondary:
        chosen = pl.int_range(pl.len()).is_in(cells)
        certificate = audit(tampered(pattern, pl.lit("published").alias("status"), chosen))
        assert not certificate.passed
        assert not certificate.checks["null_space"]["passed"]
        assert certificate.checks["null_space"]["determined_unsafe"]
        assert not certificate.checks["intervals"]["passed"]


def test_audit_finds_a_published_primary_and_other_changes() -> None:
    pattern = big_pattern()
    unsafe = pl.col("status") == "primary"
    more = (pl.col("value") + Decimal("0.01")).cast(pl.Decimal(24, 2))
    one_of_two = (pl.col("table") == "regions") & (pl.col("region") == "N")
    cases = {
        "primary": tampered(pattern, pl.lit("published").alias("status"), unsafe),
        "values": tampered(pattern, more, pl.col("region") == "N"),
        "intact": tampered(pattern, pl.lit("secondary").alias("status"), unsafe, consistent=False),
        "same_figure": tampered(pattern, pl.lit("secondary").alias("status"), one_of_two),
    }
    for name, case in cases.items():
        certificate = audit(case)
        assert not certificate.passed, name
        assert not certificate.checks[name]["passed"], name
    missing = replace(pattern, frame=pattern.frame[1:], hash=frame_hash(pattern.frame[1:]))
    assert audit(missing).checks["intact"]["missing"] == 1


def test_audit_uses_the_rules_in_force() -> None:
    pattern = big_pattern()
    assert audit(pattern, COUNT_ONLY).passed
    assert not audit(pattern, replace(COUNT_ONLY, min_contributors=30)).passed


def test_public_certificate_holds_neither_parameters_nor_cells() -> None:
    pattern = big_pattern()
    certificate = audit(pattern)
    assert json.loads(json.dumps(certificate.as_dict()))["data_hash"] == pattern.table.problem.hash
    counts = certificate.counts
    assert counts["cells"] == pattern.frame.height == sum(v for k, v in counts.items() if k != "cells")
    public = certificate.public_dict()
    text = json.dumps(public)
    assert public == {"passed": True}
    for secret in (
        "min_contributors",
        "p_percent",
        "width",
        certificate.pattern_hash,
        certificate.data_hash,
        'primary": 1',
    ):
        assert secret not in text  # fmt: skip
