"""Link the frame and the returns into one row per unit and year (GSBPM 5.1, 5.7)."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from taxonomy.scheme import load_scheme
from taxonomy.size import size_class_expr

LEGAL_UNIT = "1"
SURVEY_BRANCHES = {"hardware": "A", "software": "B", "application": "C", "integration": "D"}
RULE_R30 = 0.30
SIZE_UNKNOWN = "W"
ITEMS = ("edited_items", "imputed_items")


@dataclass(frozen=True)
class Returns:
    """The rows of the four enterprise sources as their contracts type them: accepted (register) and edited (returns).

    Edited rows name in :data:`ITEMS` what was changed (:mod:`etl.editing`); rows without those columns were not edited.
    """

    register: pl.DataFrame
    ai_survey: pl.DataFrame
    finance: pl.DataFrame
    labour: pl.DataFrame


def years(returns: Returns) -> list[int]:
    """Reference years for which an AI survey was received."""
    return sorted(returns.ai_survey["ref_year"].unique().to_list())


def frame_by_year(returns: Returns, codes: pl.DataFrame) -> pl.DataFrame:
    """Nominated or surveyed legal units alive at the end of each year, with what the classifier said of them.

    ``codes`` has ``unit_id, nominated, p_ai, route, candidate_leaves`` (leaf codes, best first). The frame is the
    units nominated by the classifier plus every unit that signed a survey return in some year: filings, boards and
    lists may nominate, only the return confirms (classification.md §3). Sorted by ``uscc, ref_year``.
    """
    surveyed = returns.ai_survey.select("uscc").unique().with_columns(ever_surveyed=pl.lit(True))
    codes = codes.join(surveyed, left_on="unit_id", right_on="uscc", how="left").filter(
        pl.col("nominated") | pl.col("ever_surveyed").fill_null(False)
    )
    units = returns.register.filter(pl.col("unit_kind") == LEGAL_UNIT).join(
        codes, left_on="uscc", right_on="unit_id", how="inner", validate="1:1"
    )
    alive = [
        units.filter(
            (pl.col("opening_date") <= pl.date(year, 12, 31))
            & (pl.col("closing_date").is_null() | (pl.col("closing_date") > pl.date(year, 12, 31)))
        ).with_columns(ref_year=pl.lit(year, pl.Int64))
        for year in years(returns)
    ]
    return pl.concat(alive).sort("uscc", "ref_year")


def _attach_returns(frame: pl.DataFrame, returns: Returns) -> pl.DataFrame:
    """Left-join survey, finance and labour; ``responded`` marks a signed survey return with a usable share.

    A share needs both amounts as returned or corrected; one that was imputed confirms nothing.
    """
    key = ["uscc", "ref_year"]
    linked = frame.rename({"employed_persons": "register_employed_persons"})
    for source in (returns.ai_survey, returns.finance, returns.labour):
        extra = [c for c in source.columns if c in linked.columns and c not in (*key, *ITEMS)]
        own = source.drop("name", *extra, strict=False).rename({c: f"_{c}" for c in ITEMS}, strict=False)
        linked = linked.join(own, on=key, how="left", validate="1:1", maintain_order="left")
        linked = _with_items(linked, extra)
    share = pl.col("ai_revenue_cny").cast(pl.Float64) / pl.col("main_revenue_cny").cast(pl.Float64)
    return linked.with_columns(
        ai_share=pl.when(pl.col("main_revenue_cny") > 0).then(share),
        responded=(pl.col("main_revenue_cny") > 0).fill_null(False)
        & pl.col("ai_revenue_cny").is_not_null()
        & ~imputed("main_revenue_cny")
        & ~imputed("ai_revenue_cny"),
    ).with_columns(member=pl.when("responded").then((pl.col("ai_share") >= RULE_R30).cast(pl.Float64)))


def _with_items(linked: pl.DataFrame, left_out: list[str]) -> pl.DataFrame:
    """Add a source's changed items to those of the sources before it, but for the columns it does not bring."""
    added = []
    for name in ITEMS:
        known = pl.col(name).fill_null("") if name in linked.columns else pl.lit("")
        own = pl.col(f"_{name}").fill_null("") if f"_{name}" in linked.columns else pl.lit("")
        items = pl.concat_str([known, pl.lit(" "), own]).str.split(" ").list.set_difference([*left_out, ""])
        added.append(items.list.sort().list.join(" ").alias(name))
    return linked.with_columns(added).drop([f"_{c}" for c in ITEMS], strict=False)


def imputed(variable: str) -> pl.Expr:
    """Whether editing filled the variable in for want of an answer, in rows linked here."""
    return pl.col("imputed_items").str.split(" ").list.contains(variable)


def _main_branch() -> pl.Expr:
    """Branch letter with the largest surveyed AI revenue; null without a return or with no AI revenue."""
    columns = {f"ai_revenue_{name}_cny": letter for name, letter in SURVEY_BRANCHES.items()}
    largest = pl.max_horizontal(*columns)
    branch: pl.Expr = pl.lit(None, pl.String)
    for column, letter in reversed(columns.items()):
        branch = pl.when((pl.col(column) == largest) & (largest > 0)).then(pl.lit(letter)).otherwise(branch)
    return branch


def residual_leaf() -> Mapping[str, str]:
    """Branch letter → its residual leaf (A → A90)."""
    scheme = load_scheme("ai_industry_2026")
    return {c.code[0]: c.code for c in scheme.at_level(3) if c.code.endswith("90")}


def _assign_leaf(linked: pl.DataFrame) -> pl.DataFrame:
    """One leaf per unit and year: the signed branch wins over the classifier; then the best candidate in it."""
    linked = linked.with_columns(surveyed_branch=_main_branch())
    in_branch = pl.col("candidate_leaves").list.eval(pl.element().filter(pl.element().is_not_null()))
    first_in_branch = pl.struct("surveyed_branch", in_branch.alias("leaves")).map_elements(
        lambda r: next((c for c in r["leaves"] or [] if c.startswith(r["surveyed_branch"] or "")), None),
        return_dtype=pl.String,
    )
    fallback = pl.coalesce("surveyed_branch", pl.lit("E")).replace_strict(residual_leaf())
    return linked.with_columns(leaf=pl.coalesce(first_in_branch, fallback))


def unit_year(returns: Returns, frame: pl.DataFrame) -> pl.DataFrame:
    """Units of the frame (:func:`frame_by_year`) with their returns, one row per ``(uscc, ref_year)``, sorted."""
    linked = _assign_leaf(_attach_returns(frame, returns))
    staff = pl.coalesce("employed_persons", "register_employed_persons")
    revenue = pl.coalesce("operating_revenue_cny", "main_revenue_cny")
    return (
        linked.with_columns(
            contributor=pl.coalesce("group_uscc", "uscc"),
            district=pl.coalesce("operating_district", "registered_district"),
            staff_known=staff,
            revenue_known=revenue,
        )
        .with_columns(
            size=size_class_expr(
                pl.col("gbt_code"), pl.col("staff_known"), pl.col("revenue_known"), pl.col("total_assets_cny")
            ).fill_null(SIZE_UNKNOWN)
        )
        .sort("uscc", "ref_year")
    )
