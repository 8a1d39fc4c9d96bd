"""Clear, check and release (GSBPM phase 7). Only what passes here can reach a reader."""

import json
from datetime import date

import dagster as dg
import polars as pl

from etl import fingerprint
from etl.assets.analyse import CONTRIBUTION, core_indicators
from etl.assets.collect import receipt_table, table_name
from etl.assets.editing import SUMMARY as EDITING
from etl.assets.process import CODE_UNIT, UNIT_YEAR
from etl.classifier_quality import keep, report_of
from etl.clearing import AUDIT_SEED
from etl.contract import list_contracts
from etl.dissemination import (
    HIDDEN,
    certificates,
    clear,
    crowded_levels,
    crowding_text,
    cube_frames,
    model_shares,
    rules,
)
from etl.domain_cubes import CUBES as DOMAIN_CUBES
from etl.domain_cubes import DIMS as DOMAIN_DIMS
from etl.domain_cubes import SAME_REVENUE, domain_model_shares
from etl.official import publish_as_asked
from etl.plan_register import plan_register
from etl.progress import step
from etl.public_cubes import code_lists, filing_cubes, listed_cube
from etl.reference import code_table, filing_list, quality_table, run_table
from etl.release_ledger import begin
from etl.resources import Stores, as_of, official_asked_by
from etl.series_tables import ASSETS as SERIES_ASSETS
from etl.series_tables import SCHEMES, reference_tables
from etl.series_tables import certificates as series_certificates
from etl.series_tables import cubes as series_cubes
from etl.source_release import CELLS as SOURCE_CELLS
from etl.source_release import CERTIFICATE as SOURCE_CERTIFICATE
from etl.source_release import CODE_LIST, source_cubes
from etl.source_release import code_lists as source_lists
from etl.stages import SCHEME, stage_codes, with_stages
from etl.suspects import SUSPECT, last_list
from taxonomy.classifier.evaluate import QualityReport
from taxonomy.classifier.quality_table import quality_rows
from warehouse.catalogue import load_yaml
from warehouse.release import ReleaseContent, current_id
from warehouse.version import VERSION

GROUP = "disseminate"
PROTECTED = "disseminate_core__cell_protected"
CERTIFICATE = "disseminate_core__log_certificate"
DOMAIN_PROTECTED = "disseminate_domain__cell_protected"
DOMAIN_CERTIFICATE = "disseminate_domain__log_certificate"
QUANTITY = "disseminate_core__cell_quantity"
DOMAIN_CONTRIBUTION = "analyse_domain__est_contribution_year"
RELEASE = "disseminate_city__log_release"
CORRESPONDENCES = ("ai_2026__gbt4754_2017",)


@dg.asset(
    name=PROTECTED,
    group_name=GROUP,
    deps=[CONTRIBUTION],
    check_specs=[
        dg.AssetCheckSpec("audit_passed", asset=PROTECTED, blocking=True),
        dg.AssetCheckSpec("not_too_much_hidden", asset=PROTECTED),
    ],
    description="保密处理：初级与补充保密、独立审计 / primary and secondary suppression, audited",
)
def cell_protected(stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Every cell with its status (restricted), and the certificates."""
    with step(PROTECTED) as notes:
        work = stores.work
        begin("core")
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
        notes.append(
            f"{cells.height:,} cells, {share:.0%} of the non-empty withheld, {len(cleared) - len(failed)} audits passed"
        )
        if whole := [f"{c.indicator} {c.period}" for c in cleared if not c.certificate.certified]:
            notes.append(f"整表不公布（无合格方案）/ withheld whole, no certified pattern: {', '.join(whole)}")
        return dg.MaterializeResult(
            metadata={"cells": cells.height, "withheld_share": share},
            check_results=[
                dg.AssetCheckResult(
                    check_name="audit_passed", passed=not failed, description=", ".join(failed) or "all audits passed"
                ),
                crowding(crowded_levels(cells)),
            ],
        )


def crowding(found: pl.DataFrame) -> dg.AssetCheckResult:
    """A warning for the levels to be redesigned, as :func:`etl.dissemination.crowded` lists them."""
    return dg.AssetCheckResult(
        check_name="not_too_much_hidden", passed=found.is_empty(), severity=dg.AssetCheckSeverity.WARN,
        description=crowding_text(found),
    )  # fmt: skip


def _content(stores: Stores, vintage: str, report: QualityReport, status: str) -> ReleaseContent:
    work = stores.work
    contributions, cells = work.read(CONTRIBUTION), work.read(PROTECTED)
    domain_cells = work.read(DOMAIN_PROTECTED)
    shares = model_shares(contributions)
    domain_shares = domain_model_shares(
        contributions.filter(pl.col("indicator") == SAME_REVENUE),
        work.read(DOMAIN_CONTRIBUTION),
        rules(stores.root / "secret" / "disclosure.yaml"),
    )
    source_cells = work.read(SOURCE_CELLS)
    filings = work.read(table_name("algorithm_filings"))
    listed = work.read(table_name("listed_companies"))
    contracts = list_contracts()
    receipts = [work.read(receipt_table(c.id)) for c in contracts]
    cubes = {
        **cube_frames(cells, shares, vintage),
        **cube_frames(domain_cells, domain_shares, vintage, cubes=DOMAIN_CUBES, dimensions=DOMAIN_DIMS),
        **source_cubes(source_cells, vintage),
        **filing_cubes(filings, vintage),
        "listed_city": listed_cube(listed, vintage),
        **series_cubes(work, vintage),
    }
    certificates_read = pl.concat([work.read(t) for t in (CERTIFICATE, DOMAIN_CERTIFICATE, SOURCE_CERTIFICATE)])
    proof = {r["dataset"]: json.loads(r["json"]) for r in certificates_read.iter_rows(named=True)}
    proof |= series_certificates(work)
    codes = work.tally(CODE_UNIT, ["bundle", "nominated", "route"])
    stages = load_yaml("revision")
    return ReleaseContent(
        vintage=vintage,
        status=status,
        is_synthetic=stores.is_demo,
        cubes=with_stages(cubes, vintage, stages),
        certificates=proof,
        reference={
            "meta_code": code_table(
                {**code_lists(filings, listed), **SCHEMES},
                {**source_lists(work.read(CODE_LIST)), SCHEME: stage_codes(stages)},
            ),
            "meta_source_run": run_table(receipts, contracts),
            "meta_quality": quality_table(
                codes,
                work.read(UNIT_YEAR),
                pl.concat([shares, domain_shares]),
                pl.concat(
                    [c.select("table", "status") for c in (cells, domain_cells)]
                    + [source_cells.select(pl.col("dataset").alias("table"), "status")]
                ),
                contributions["value"].null_count(),
            ),
            "meta_quantity_quality": work.read(QUANTITY),
            "meta_editing": work.read(EDITING),
            "meta_classifier_quality": quality_rows(report),
            "public_published_figure": work.read(table_name("published_figures")),
            "public_filing": filing_list(filings),
            **reference_tables(work),
            "public_plan_task": plan_register(work.read(table_name("plan_tasks")), cells, date.fromisoformat(vintage)),
        },
        pipeline_version=VERSION,
        lineage={"bundle": str(codes["bundle"][0]) if codes.height else ""},
        correspondences=CORRESPONDENCES,
    )


@dg.asset(
    name=RELEASE,
    group_name=GROUP,
    deps=[
        PROTECTED,
        DOMAIN_PROTECTED,
        QUANTITY,
        SUSPECT,
        *SERIES_ASSETS,
        SOURCE_CELLS,
        EDITING,
        *(table_name(s) for s in ("algorithm_filings", "listed_companies", "published_figures")),
    ],
    description="发布：一个新目录，检查后原子切换 / one new directory, checked, swapped in atomically",
)
def release(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Build the release and point readers to it; the same content changes nothing."""
    with step(RELEASE) as notes:
        vintage = as_of(context)
        listed = last_list(stores.root)
        suspects = None if listed is None else listed.as_dict()
        report = report_of(stores.root, stores.work, vintage, synthetic=stores.is_demo, suspects=suspects)
        asked_by = official_asked_by(context)
        status = "simulated" if stores.is_demo else "official" if asked_by else "trial"
        info = publish_as_asked(stores.root, _content(stores, vintage, report, status), asked_by)
        keep(stores.root, info.release_id, report)
        fingerprint.record(stores.root, info.release_id)
        notes.append(f"{info.release_id} {info.status}{' (unchanged)' if info.unchanged else ''}")
        if current_id(stores.root) != info.release_id:
            notes.append(
                "正式发布继续提供；要提供本版 / the official release stays served; to serve this one: aistat release rollback"
            )
        return dg.MaterializeResult(metadata={"release": info.release_id, "unchanged": info.unchanged})
