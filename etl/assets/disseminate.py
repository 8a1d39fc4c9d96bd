"""Clear, check and release (GSBPM phase 7). Only what passes here can reach a reader."""

import json

import dagster as dg
import polars as pl

from etl import fingerprint
from etl.assets.analyse import CONTRIBUTION, core_indicators
from etl.assets.collect import receipt_table, table_name
from etl.assets.process import CODE_UNIT, UNIT_YEAR
from etl.classifier_quality import keep, report_of
from etl.contract import list_contracts
from etl.dissemination import HIDDEN, certificates, clear, cube_frames, model_shares, rules
from etl.progress import step
from etl.public_cubes import code_lists, filing_cubes, listed_cube
from etl.reference import code_table, filing_list, quality_table, run_table
from etl.resources import Stores, as_of
from etl.suspects import SUSPECT, last_list
from taxonomy.classifier.evaluate import QualityReport
from taxonomy.classifier.quality_table import quality_rows
from warehouse.release import ReleaseContent, publish
from warehouse.version import VERSION

GROUP = "disseminate"
PROTECTED = "disseminate_core__cell_protected"
CERTIFICATE = "disseminate_core__log_certificate"
RELEASE = "disseminate_city__log_release"
AUDIT_SEED = 20221101
CORRESPONDENCES = ("ai_2026__gbt4754_2017",)


@dg.asset(
    name=PROTECTED,
    group_name=GROUP,
    deps=[CONTRIBUTION],
    check_specs=[dg.AssetCheckSpec("audit_passed", asset=PROTECTED, blocking=True)],
    description="保密处理：初级与补充保密、独立审计 / primary and secondary suppression, audited",
)
def cell_protected(stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Every cell with its status (restricted), and the certificates."""
    with step(PROTECTED) as notes:
        work = stores.work
        cleared = list(
            clear(
                work.read(CONTRIBUTION),
                core_indicators(),
                rules(stores.root / "secret" / "disclosure.yaml"),
                AUDIT_SEED,
            )
        )
        cells = pl.concat([c.cells() for c in cleared])
        work.write(PROTECTED, cells)
        public = certificates(cleared)
        rows = [{"dataset": d, "json": json.dumps(c, sort_keys=True)} for d, c in public.items()]
        work.write(CERTIFICATE, pl.DataFrame(rows))
        shown = cells.filter(pl.col("status") != "empty")
        share = float(shown["status"].is_in(HIDDEN).cast(pl.Float64).sum()) / max(shown.height, 1)
        failed = [f"{c.indicator} {c.period}" for c in cleared if not c.certificate.passed]
        notes.append(f"{cells.height:,} cells, {share:.0%} of the non-empty withheld, {len(cleared)} audits passed")
        return dg.MaterializeResult(
            metadata={"cells": cells.height, "withheld_share": share},
            check_results=[
                dg.AssetCheckResult(
                    check_name="audit_passed", passed=not failed, description=", ".join(failed) or "all audits passed"
                )
            ],
        )


def _content(stores: Stores, vintage: str, report: QualityReport) -> ReleaseContent:
    work = stores.work
    contributions, cells = work.read(CONTRIBUTION), work.read(PROTECTED)
    shares = model_shares(contributions)
    filings = work.read(table_name("algorithm_filings"))
    listed = work.read(table_name("listed_companies"))
    contracts = list_contracts()
    receipts = [work.read(receipt_table(c.id)) for c in contracts]
    cubes = {
        **cube_frames(cells, shares, vintage),
        **filing_cubes(filings, vintage),
        "listed_city": listed_cube(listed, vintage),
    }
    proof = {r["dataset"]: json.loads(r["json"]) for r in work.read(CERTIFICATE).iter_rows(named=True)}
    codes = work.read(CODE_UNIT, ["route", "nominated", "bundle"])
    return ReleaseContent(
        vintage=vintage,
        status="simulated" if stores.is_demo else "trial",
        is_synthetic=stores.is_demo,
        cubes=cubes,
        certificates=proof,
        reference={
            "meta_code": code_table(code_lists(filings, listed)),
            "meta_source_run": run_table(receipts, contracts),
            "meta_quality": quality_table(
                codes, work.read(UNIT_YEAR), shares, cells, contributions["value"].null_count()
            ),
            "meta_classifier_quality": quality_rows(report),
            "public_published_figure": work.read(table_name("published_figures")),
            "public_filing": filing_list(filings),
        },
        pipeline_version=VERSION,
        lineage={"bundle": str(codes["bundle"][0]) if codes.height else ""},
        correspondences=CORRESPONDENCES,
    )


@dg.asset(
    name=RELEASE,
    group_name=GROUP,
    deps=[PROTECTED, SUSPECT, *(table_name(s) for s in ("algorithm_filings", "listed_companies", "published_figures"))],
    description="发布：一个新目录，检查后原子切换 / one new directory, checked, swapped in atomically",
)
def release(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Build the release and point readers to it; the same content changes nothing."""
    with step(RELEASE) as notes:
        vintage = as_of(context)
        listed = last_list(stores.root)
        suspects = None if listed is None else listed.as_dict()
        report = report_of(stores.root, stores.work, vintage, synthetic=stores.is_demo, suspects=suspects)
        info = publish(stores.root, _content(stores, vintage, report))
        keep(stores.root, info.release_id, report)
        fingerprint.record(stores.root, info.release_id)
        notes.append(f"{info.release_id}{' (unchanged)' if info.unchanged else ''}")
        return dg.MaterializeResult(metadata={"release": info.release_id, "unchanged": info.unchanged})
