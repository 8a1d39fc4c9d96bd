"""Indicators of the further sources: read, protected, audited (GSBPM phases 6 and 7)."""

import json
from datetime import date

import dagster as dg
import polars as pl

from etl.assets.collect import receipt_table, table_name
from etl.assets.disseminate import crowding
from etl.assets.process import UNIT_YEAR
from etl.contract import load_contract
from etl.dissemination import HIDDEN, rules
from etl.progress import step
from etl.release_ledger import begin
from etl.resources import Stores, as_of
from etl.source_codes import code_rows, dimension_codes
from etl.source_cubes import ClearedSource, clear_source, crowded_sources
from etl.source_plan import Cluster, clusters
from etl.source_release import CELLS, CERTIFICATE, CODE_LIST, CODE_SCHEMA, cell_table, source_certificates
from etl.source_rows import Received
from taxonomy.scheme import load_scheme
from warehouse.catalogue import load_indicators
from warehouse.write import WorkStore

MEMBER_COLUMNS = ["uscc", "ref_year", "contributor", "district", "size", "membership", "is_signed"]


def source_clusters() -> dict[str, Cluster]:
    """The sources with published indicators."""
    return {c.source: c for c in clusters(load_indicators().values())}


def _groups(work: WorkStore, wanted: pl.Series) -> pl.DataFrame:
    """Enterprise group and industry section of the units the sources name."""
    sections = {c.code: c.parent for c in load_scheme("gbt4754_2017").codes if c.level_name == "division"}
    division = pl.col("gbt_code").str.slice(0, 2)
    rows = work.matching(table_name("register"), ["uscc", "group_uscc", "gbt_code"], wanted.alias("uscc"))
    return rows.select(
        "uscc",
        contributor=pl.coalesce("group_uscc", "uscc"),
        unit_section=division.replace_strict(sections, default=None, return_dtype=pl.String),
    )


def _periods(work: WorkStore, source: str) -> frozenset[str]:
    receipts = work.read(receipt_table(source)).filter(pl.col("status") == "accepted")
    return frozenset(receipts["ref_period"].drop_nulls().to_list())


def received_sources(work: WorkStore, vintage: date) -> dict[str, Received]:
    """What was received of every source with indicators; those nothing came from are left out."""
    rows = {s: work.read(table_name(s)) for s in source_clusters()}
    rows = {s: frame for s, frame in rows.items() if frame.height}
    named = [frame["uscc"] for frame in rows.values() if "uscc" in frame.columns]
    groups = _groups(work, pl.concat(named or [pl.Series([], dtype=pl.String)]).drop_nulls().unique())
    members = work.read(UNIT_YEAR, MEMBER_COLUMNS)
    return {
        s: Received(load_contract(s), frame, _periods(work, s), groups, members, vintage) for s, frame in rows.items()
    }


@dg.asset(
    name=CELLS,
    group_name="disseminate",
    deps=[UNIT_YEAR, table_name("register"), *(table_name(s) for s in source_clusters())],
    check_specs=[
        dg.AssetCheckSpec("audit_passed", asset=CELLS, blocking=True),
        dg.AssetCheckSpec("not_too_much_hidden", asset=CELLS),
    ],
    description="其他来源指标：汇总、保密处理与审计 / indicators of the further sources, protected and audited",
)
def source_cell_protected(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Every cell of the sources' cubes with its status (restricted), their certificates and code lists."""
    with step(CELLS) as notes:
        work, known = stores.work, source_clusters()
        limits = rules(stores.root / "secret" / "disclosure.yaml")
        cleared: list[ClearedSource] = []
        lists: list[dict[str, object]] = []
        begin("source")
        for source, received in received_sources(work, date.fromisoformat(as_of(context))).items():
            codes = dimension_codes(received, known[source])
            plain = {name: [code for code, *_ in own] for name, own in codes.items()}
            cleared.append(clear_source(known[source], received, plain, limits))
            lists += code_rows(known[source], codes)
        cells = cell_table(cleared)
        work.write(CELLS, cells)
        public = source_certificates(cleared, known)
        rows = [{"dataset": d, "json": json.dumps(c, sort_keys=True)} for d, c in public.items()]
        work.write(CERTIFICATE, pl.DataFrame(rows, schema={"dataset": pl.String, "json": pl.String}))
        work.write(CODE_LIST, pl.DataFrame(lists, schema=CODE_SCHEMA).unique(["scheme", "code"], maintain_order=True))
        failed = [c.source for c in cleared if not c.passed]
        hidden, absent = int(cells["status"].is_in(HIDDEN).sum()), sorted(set(known) - {c.source for c in cleared})
        notes.append(f"{cells.height:,} cells of {len(cleared)} sources, {hidden:,} withheld")
        notes += [f"not received: {', '.join(absent)}"] if absent else []
        return dg.MaterializeResult(
            metadata={"cells": cells.height, "withheld": hidden, "not_received": ", ".join(absent)},
            check_results=[
                dg.AssetCheckResult(
                    check_name="audit_passed", passed=not failed, description=", ".join(failed) or "all audits passed"
                ),
                crowding(crowded_sources(cells)),
            ],
        )
