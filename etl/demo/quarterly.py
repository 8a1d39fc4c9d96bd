"""Quarterly returns (cumulated) and what enterprises report once a year on R&D and rights."""

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import polars as pl

from etl.demo.city import City, DemoFile, makes, whole
from etl.demo.faults import due_date

SEASON = np.array([0.205, 0.245, 0.250, 0.300])
"""Shares of the quarters in a year's revenue; the first is short of the days around New Year."""
SENT_WITHIN = 18
"""Days before the due day on which returns come in."""


def cumulated_share(city: City, rows: pl.DataFrame, year: int, quarter: int, part: str) -> np.ndarray:
    """Share of the year's value reached by the end of a quarter, one number a unit, the same in every run."""
    rng = city.rng(f"season {part}")
    units = city.accounts["uscc"].unique().sort()
    noise = np.exp(rng.normal(0, 0.10, (units.len(), 4))) * SEASON
    noise = np.cumsum(noise / noise.sum(axis=1, keepdims=True), axis=1)
    noise[:, 3] = 1.0
    at = units.search_sorted(rows["uscc"]).to_numpy()
    grown = city.scenario["growth_under_way"] if year > city.years[-1] else 1.0
    return np.asarray(noise[at, quarter - 1] * grown)


def revenue_so_far(year: pl.Series, share: np.ndarray) -> pl.Series:
    """Whole thousands reached: the year's value (``(n,)``) times the share reached, cut off; part and whole stay in order."""
    return whole(np.floor(year.to_numpy() * share))


def staff_so_far(city: City, staff: pl.Series, year: int, quarter: int) -> pl.Series:
    """AI staff at the end of a quarter: the year's; in the year under way it grows half as fast as revenue."""
    if year <= city.years[-1]:
        return staff
    return whole(staff.to_numpy() * (1 + (city.scenario["growth_under_way"] - 1) / 2 * quarter / 4))


def _submitted(rng: np.random.Generator, year: int, quarter: int, n: int, source_id: str) -> pl.Series:
    """Day each return came in, before the due day; those that come late are made so by ``faults.yaml``."""
    due = due_date(source_id, year, quarter)
    return pl.Series([(due - timedelta(days=int(d))).isoformat() for d in rng.integers(0, SENT_WITHIN, n)])


@makes("ai_survey_quarterly")
def ai_survey_quarterly(city: City) -> Iterator[DemoFile]:
    """Cumulated AI and main revenue of the annual survey's respondents."""
    for year, quarter in city.quarters():
        rng = city.rng(f"ai quarterly {year}Q{quarter}")
        rows = city.alive(year).filter("in_survey")
        share = cumulated_share(city, rows, year, quarter, "ai")
        before = cumulated_share(city, rows, year - 1, quarter, "ai")
        previous = rows.select("uscc").join(
            city.alive(year - 1).select("uscc", pl.col("main_revenue").alias("m"), pl.col("ai_revenue").alias("a")),
            on="uscc", how="left", maintain_order="left",
        )  # fmt: skip
        has_last, none = year > city.years[0], pl.lit(None, pl.Int64)
        frame = rows.select(
            "uscc", "name",
            main_revenue_ytd_cny=revenue_so_far(rows["main_revenue"], share),
            main_revenue_ytd_prev_cny=(previous["m"] * pl.Series(before)).round(0).cast(pl.Int64) if has_last else none,
            ai_revenue_ytd_cny=revenue_so_far(rows["ai_revenue"], share),
            ai_revenue_ytd_prev_cny=(previous["a"] * pl.Series(before)).round(0).cast(pl.Int64) if has_last else none,
            ai_employed_persons=staff_so_far(city, rows["ai_employed_persons"], year, quarter),
            submitted_on=_submitted(rng, year, quarter, rows.height, "ai_survey_quarterly"),
        )  # fmt: skip
        yield DemoFile("ai_survey_quarterly", frame, year, {"quarter": quarter})


@makes("finance_quarterly")
def finance_quarterly(city: City) -> Iterator[DemoFile]:
    """Cumulated statements of the units above scale."""
    money = ["operating_revenue", "operating_cost", "total_profit", "payroll", "vat_payable"]
    for year, quarter in city.quarters():
        rng = city.rng(f"finance quarterly {year}Q{quarter}")
        rows = city.alive(year).filter("in_finance")
        share = cumulated_share(city, rows, year, quarter, "finance")
        frame = rows.select("uscc", "name").with_columns(
            *[pl.Series(f"{c}_ytd_cny", np.rint(rows[c].to_numpy() * share).astype(np.int64)) for c in money],
            total_assets_cny=rows["total_assets"],
            submitted_on=_submitted(rng, year, quarter, rows.height, "finance_quarterly"),
        )
        yield DemoFile("finance_quarterly", frame, year, {"quarter": quarter})


@makes("rnd_annual")
def rnd_annual(city: City) -> Iterator[DemoFile]:
    """R&D staff, spending and patents of the units that report their accounts or the AI survey."""
    for year in city.years:
        rng = city.rng(f"rnd {year}")
        rows = city.alive(year).filter((pl.col("in_survey") | pl.col("in_finance")) & (pl.col("rd_staff_persons") > 0))
        n, staff = rows.height, rows["rd_staff_persons"].to_numpy()
        spending = staff * rng.uniform(250, 700, n)
        applied = rng.poisson(staff * 0.06)
        yield DemoFile(
            "rnd_annual",
            rows.select("uscc", "name").with_columns(
                rnd_persons=pl.Series(staff),
                rnd_full_time_persons=whole(np.floor(staff * rng.uniform(0.6, 0.98, n))),
                rnd_intramural_cny=whole(spending),
                rnd_government_cny=whole(
                    np.floor(spending * np.where(rng.random(n) < 0.3, rng.uniform(0.01, 0.2, n), 0))
                ),
                rnd_extramural_cny=whole(spending * rng.uniform(0, 0.15, n)),
                patents_applied=whole(applied),
                invention_patents_applied=whole(np.floor(applied * rng.uniform(0.5, 0.9, n))),
                invention_patents_valid=whole(applied * rng.uniform(1.5, 5, n)),
                new_product_sales_cny=whole(rows["operating_revenue"].to_numpy() * rng.uniform(0, 0.6, n)),
            ),
            year,
            {},
        )


@makes("ip")
def intellectual_property(city: City) -> Iterator[DemoFile]:
    """Patents and software rights of AI enterprises that have any."""
    for year in city.years:
        rng = city.rng(f"ip {year}")
        rows = city.alive(year).filter(pl.col("member"))
        staff = rows["rd_staff_persons"].to_numpy()
        granted, software = rng.poisson(staff * 0.04), rng.poisson(0.5 + staff * 0.05)
        inventions = rng.binomial(granted, 0.6)
        frame = rows.select("uscc").with_columns(
            patents_granted=whole(granted), inventions_granted=whole(inventions),
            inventions_valid=whole(inventions * rng.uniform(2, 6, rows.height)),
            pct_applications=whole(rng.binomial(granted, 0.08)), software_rights=whole(software),
        )  # fmt: skip
        yield DemoFile("ip", frame.filter(pl.sum_horizontal(pl.exclude("uscc")) > 0), year, {})


@makes("tech_contracts", "support_funds")
def contracts_and_funds(city: City) -> Iterator[DemoFile]:
    """Technology contracts sold, public support received, by AI enterprises."""
    for year in city.years:
        rng = city.rng(f"contracts {year}")
        codes = city.alive(year).filter(pl.col("member"))["uscc"].to_numpy()
        n = max(round(codes.size * 0.4), 3)
        amount = np.exp(rng.normal(5.0, 1.2, n)) + 5
        yield DemoFile(
            "tech_contracts",
            pl.DataFrame({
                "contract_no": [f"{year}4403{i:06d}" for i in range(1, n + 1)], "uscc": rng.choice(codes, n),
                "contract_type": rng.choice(["1", "2", "3", "4", "5"], n, p=[0.42, 0.03, 0.05, 0.08, 0.42]),
                "buyer_place": rng.choice(["1", "2", "3", "4"], n, p=[0.45, 0.2, 0.3, 0.05]),
                "contract_cny": whole(amount), "technology_cny": whole(np.floor(amount * rng.uniform(0.5, 1.0, n))),
            }), year, {},
        )  # fmt: skip
        m = max(round(codes.size * 0.12), 3)
        approved = np.rint(np.exp(rng.normal(4.6, 0.9, m)) / 10) * 10 + 10
        paid = np.floor(approved * np.where(rng.random(m) < 0.8, 1.0, rng.uniform(0, 0.9, m)))
        yield DemoFile(
            "support_funds",
            pl.DataFrame({
                "grant_no": [f"ZC{year}{i:05d}" for i in range(1, m + 1)], "uscc": rng.choice(codes, m),
                "fund_type": rng.choice(["1", "2", "3", "4", "5", "9"], m, p=[0.4, 0.15, 0.2, 0.1, 0.05, 0.1]),
                "approved_cny": whole(approved), "paid_cny": whole(paid),
            }), year, {},
        )  # fmt: skip


@makes("investment")
def funding_rounds(city: City) -> Iterator[DemoFile]:
    """Funding rounds; one in eight does not disclose its amount."""
    number = 0
    for year, quarter in city.quarters():
        rng = city.rng(f"investment {year}Q{quarter}")
        codes = city.alive(year).filter(pl.col("member"))["uscc"].to_numpy()
        n = max(int(rng.poisson(60 * city.scale)), 2)
        start = date(year, quarter * 3 - 2, 1)
        amount = [None if rng.random() < 0.125 else round(float(np.exp(rng.normal(8.3, 1.3)))) for _ in range(n)]
        frame = pl.DataFrame({
            "round_id": [f"RZ{number + i:06d}" for i in range(1, n + 1)], "uscc": rng.choice(codes, n),
            "closed_on": [(start + timedelta(days=int(d))).isoformat() for d in rng.integers(0, 89, n)],
            "stage": rng.choice(["1", "2", "3", "4", "5", "6", "9"], n, p=[0.34, 0.28, 0.14, 0.08, 0.1, 0.01, 0.05]),
            "amount_cny": pl.Series(amount, dtype=pl.Int64),
        })  # fmt: skip
        number += n
        yield DemoFile("investment", frame, year, {"quarter": quarter})
