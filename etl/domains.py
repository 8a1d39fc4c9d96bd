"""AI revenue by domain of use (Arts. 39-41): who uses the output. Runs across the classification, never a level of it."""

from collections.abc import Mapping

import polars as pl

from etl.in_order import added
from etl.quantities import ARTICLES, domain_columns
from etl.strata import floats, structure_strata
from etl.years import YEAR, by_year, years_of
from taxonomy.scheme import load_scheme

SCHEME = "sales_domain"
OTHER = "X"
INDICATOR = "ai_revenue_by_domain"
MONEY = pl.Decimal(20, 2)
UNIT = ["uscc", "ref_year"]
ROW = "contribution"


def domain_parents() -> Mapping[str, str | None]:
    """Parent of every domain code: articles (R39, R40, R41) above domains, ``X`` for revenue in none of them."""
    scheme = load_scheme("ai_industry_2026")
    return {**dict.fromkeys(ARTICLES), **{c: scheme.get(c).parent for c in domain_columns()}, OTHER: None}


def domain_codes() -> list[dict[str, object]]:
    """Rows of the code list, named as the catalogue names its related part, which is where the law lists the domains."""
    scheme = load_scheme("ai_industry_2026")
    rows: list[dict[str, object]] = []
    for sort, (code, parent) in enumerate(domain_parents().items()):
        if code == OTHER:
            whole = scheme.get("R")  # the remainder of the list is adopted with the list
            names = {"name_zh": "其他及未列明领域", "name_en": "Other or not stated"}
            names |= {"basis": whole.basis, "status": whole.status}
            names |= {
                "definition_zh": "不属于条例第三十九至四十一条所列领域的收入",
                "legal_basis": "条例第三十八条、第四十二条等",
            }
        else:
            own = scheme.get(code)
            names = {"name_zh": own.name_zh, "name_en": own.name_en, "definition_zh": own.definition_zh}
            names |= {"legal_basis": scheme.get(parent or code).legal_basis, "basis": own.basis, "status": own.status}
        level = 1 if parent is None else 2
        rows.append({"code": code, "parent": parent, "level": level, "sort": sort, **names})
    return rows


def _profiles(units: pl.DataFrame) -> pl.DataFrame:
    """Domain shares of every unit and year: ``uscc, ref_year, domain, part, is_answer``; parts sum to 1.

    A block that was filled in gives the unit's own shares; else the ratio of respondents in branch × size × year (with
    fall-back). Units for which no stratum has enough answers put all in ``X``.
    """
    columns = domain_columns()
    total = units.select(pl.when("domain_answered").then("ai_revenue_cny")).to_series()
    strata = structure_strata(units)
    parts = []
    for code, column in columns.items():
        answer = units.select(pl.when("domain_answered").then(pl.col(column).fill_null(0))).to_series()
        rate = pl.Series(strata.ratio(answer, total).ratio).fill_nan(None).fill_null(0.0)
        own = pl.Series(floats(answer)) / pl.Series(floats(total))
        answered = units["domain_answered"] & (total > 0).fill_null(False)
        parts.append(pl.select(pl.when(answered).then(own).otherwise(rate).alias(code)).to_series())
    wide = units.select(*UNIT, is_answer="domain_answered").with_columns(parts)
    inside = added(map(pl.col, columns))
    wide = wide.with_columns(pl.col(list(columns)) / pl.max_horizontal(inside, 1.0))
    wide = wide.with_columns((1.0 - inside).clip(0.0).alias(OTHER))
    return wide.unpivot(
        [*columns, OTHER], index=[*UNIT, "is_answer"], variable_name="domain", value_name="part"
    ).filter(pl.col("part") > 0)


def needed() -> tuple[str, ...]:
    """Columns of ``units`` that :func:`domain_contributions` reads."""
    return (*UNIT, "leaf", "size", "ai_revenue_cny", "domain_answered", *domain_columns().values())


def domain_contributions(units: pl.DataFrame, activity: pl.DataFrame) -> pl.DataFrame:
    """Contributions to AI revenue by domain, from those to AI revenue by branch.

    Every row of ``activity`` (:func:`etl.analysis.contributions` of the indicator ``ai_revenue``) is split over the domains of
    its unit, in cents, the remainder going to the largest: so each total by class, district or size is that of
    ``ai_revenue`` to the cent. A unit states branches and domains apart; within it they are taken to be independent.

    Returns ``indicator, ref_year, uscc, contributor, ai_class (leaf), district, size, domain, value, observed``; observed only where
    the unit signed and filled in its domains.
    """
    by_own = {year: activity.filter(pl.col(YEAR) == year) for year in years_of(units)}

    def of_year(known: pl.DataFrame, year: int) -> pl.DataFrame:
        found = _split(by_own[year], _profiles(known).filter(pl.col(YEAR) == year))
        return found.sort("uscc", "ai_class", "domain")

    return by_year("domains", units, of_year, lambda year: (by_own[year],), needed())


def _split(activity: pl.DataFrame, profiles: pl.DataFrame) -> pl.DataFrame:
    rows = activity.drop_nulls("value").with_row_index(ROW)
    split = rows.join(profiles, on=UNIT, how="inner", maintain_order="left")
    cents = (pl.col("value").cast(pl.Float64) * pl.col("part") * 100).floor().cast(pl.Int64)
    split = split.with_columns(whole=(pl.col("value") * 100).cast(pl.Int64), cents=cents)
    split = split.with_columns(left=pl.col("whole") - pl.col("cents").sum().over(ROW))
    first = pl.struct(-pl.col("part"), "domain").rank("ordinal").over(ROW) == 1
    split = split.with_columns(cents=pl.when(first).then(pl.col("cents") + pl.col("left")).otherwise("cents"))
    return (
        split.filter(pl.col("cents") > 0)
        .with_columns(
            value=(pl.col("cents").cast(pl.Decimal(22, 2)) / 100).cast(MONEY),
            observed=pl.col("observed") & pl.col("is_answer"),
            indicator=pl.lit(INDICATOR),
        )
        .select(
            "indicator", "ref_year", "uscc", "contributor", "ai_class", "district", "size", "domain", "value",
            "observed",
        )
    )  # fmt: skip
