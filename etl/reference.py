"""Reference tables of a release: code lists, receipts, quality figures, the public lists themselves."""

from collections.abc import Mapping, Sequence

import polars as pl

from etl import domains
from etl.contract import Contract
from taxonomy.scheme import Code, load_scheme

SCHEMES = ("ai_industry_2026", "district_sz", "size_2017")
CODE_SCHEMA = {
    "scheme": pl.String, "code": pl.String, "parent": pl.String, "level": pl.Int64, "level_name": pl.String,
    "name_zh": pl.String, "name_en": pl.String, "definition_zh": pl.String, "includes": pl.String,
    "excludes": pl.String, "legal_basis": pl.String, "segment": pl.String, "sort": pl.Int64, "status": pl.String,
    "basis": pl.String,
}  # fmt: skip


def _code_row(scheme: str, code: Code) -> dict[str, object]:
    return {
        "scheme": scheme, "code": code.code, "parent": code.parent, "level": code.level, "level_name": code.level_name,
        "name_zh": code.name_zh, "name_en": code.name_en, "definition_zh": code.definition_zh,
        "includes": "；".join(code.includes), "excludes": "；".join(code.excludes), "legal_basis": code.legal_basis,
        "segment": code.segment, "sort": code.sort, "status": code.status,
        "basis": code.basis,
    }  # fmt: skip


def code_table(
    public: Mapping[str, Sequence[tuple[str, str, str]]], own: Mapping[str, Sequence[tuple[str, str, str]]]
) -> pl.DataFrame:
    """Every code list the released datasets use; ``own`` are those of the sources' forms and registers."""
    rows = [_code_row(scheme, code) for scheme in SCHEMES for code in load_scheme(scheme).codes]
    plain: dict[str, object] = dict.fromkeys(CODE_SCHEMA, "")
    common = {"scheme": domains.SCHEME, "level_name": domains.SCHEME, "segment": "related"}
    rows += [plain | common | row for row in domains.domain_codes()]
    marks = {"public": ("public", "public_list"), "own": ("in_force", "source_contract")}
    for kind, scheme, codes in [("public", *p) for p in public.items()] + [("own", *o) for o in own.items()]:
        status, basis = marks[kind]
        for sort, (code, zh, en) in enumerate(codes):
            row: dict[str, object] = dict.fromkeys(CODE_SCHEMA, "")
            row |= {"scheme": scheme, "code": code, "parent": None, "level": 1, "level_name": scheme}
            row |= {"name_zh": zh, "name_en": en, "sort": sort, "status": status, "basis": basis}
            rows.append(row)
    return pl.DataFrame(rows, schema=CODE_SCHEMA).sort("scheme", "sort")


def run_table(receipts: Sequence[pl.DataFrame], contracts: Sequence[Contract]) -> pl.DataFrame:
    """What came, what was taken, what was refused, by file (no row of a file, no unit)."""
    titles = pl.DataFrame(
        {
            "source_id": [c.id for c in contracts],
            "title": [c.title_zh for c in contracts],
            "title_en": [c.title_en for c in contracts],
            "is_public": [c.is_public for c in contracts],
        }
    )
    return (
        pl.concat(receipts)
        .drop("delivery", strict=False)
        .join(titles, on="source_id", how="left")
        .sort("source_id", "file")
    )


def quality_table(
    codes: pl.DataFrame, units: pl.DataFrame, shares: pl.DataFrame, cells: pl.DataFrame, gaps: int
) -> pl.DataFrame:
    """First quality figures: ``metric, scope, value, note``; no unit, no count below the confidentiality threshold.

    ``codes``: ``route, nominated, n`` units.
    """
    rows: list[tuple[str, str, float, str]] = []
    total = codes["n"].sum()
    for route, count in codes.group_by("route").agg(pl.col("n").sum()).sort("route").iter_rows():
        rows.append(("route_share", str(route), round(count / total, 4), ""))
    rows.append(("register_units", "", float(total), ""))
    rows.append(("nominated_units", "", float(codes.filter("nominated")["n"].sum()), ""))
    by_year = units.group_by("ref_year").agg(pl.len().alias("n"), pl.col("responded").mean().alias("rate"))
    for year, count, rate in by_year.sort("ref_year").iter_rows():
        rows.append(("frame_units", str(year), float(count), ""))
        rows.append(("survey_coverage", str(year), round(rate, 4), ""))
    rows += [("model_share", f"{i}|{p}", s, "") for i, p, s in shares.iter_rows()]
    hidden = pl.col("status").is_in(["primary", "secondary"])
    by_table = cells.filter(pl.col("status") != "empty").group_by("table").agg(hidden.mean().alias("share"))
    rows += [("withheld_share", str(t), round(s, 4), "") for t, s in by_table.sort("table").iter_rows()]
    rows.append(("contribution_gaps", "", float(gaps), ""))
    schema = {"metric": pl.String, "scope": pl.String, "value": pl.Float64, "note": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("metric", "scope")


def filing_list(received: pl.DataFrame) -> pl.DataFrame:
    """Shenzhen's filings as announced (public)."""
    columns = [
        "batch",
        "filing_type",
        "company",
        "algorithm_name",
        "role_or_class",
        "filing_no",
        "district",
        "source_url",
    ]
    return received.filter(pl.col("is_shenzhen") == "1").select(columns).sort("batch", "filing_no", descending=True)
