"""Build the synthetic city: source files with their faults, and the truth beside them."""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from etl.demo.accounts import THOUSAND, build_accounts
from etl.demo.adoption import adoption_frame
from etl.demo.city import City, DemoFile
from etl.demo.domains import truth_domains
from etl.demo.further import truth_further, write_further
from etl.demo.returns import choose_responses, register_rows, with_size, yearly_returns
from etl.demo.scenario import LABEL, Scenario, Size, load_scenario
from etl.demo.units import AI, BRANCH, LOOK, build_units
from etl.demo.writer import DemoWriter

Progress = Callable[[str], None]


def _silent(_: str) -> None:
    return None


def truth_units(units: pl.DataFrame) -> pl.DataFrame:
    """``unit.parquet``: what each unit truly is; a local branch has a leaf but is not an enterprise."""
    role = pl.col("role")
    return units.select(
        "uscc",
        true_leaf=pl.when(role.is_in([AI, BRANCH])).then("activity"),
        is_ai=role == AI,
        group="group_uscc",
        role=role,
        text_mode="mode",
        unit_kind="unit_kind",
    ).sort("uscc")


def truth_unit_years(accounts: pl.DataFrame) -> pl.DataFrame:
    """``unit_year.parquet``: AI enterprises and look-alikes by year; null when not alive; money in yuan."""
    figures = {
        "operating_revenue_cny": pl.col("operating_revenue") * THOUSAND,
        "main_revenue_cny": pl.col("main_revenue") * THOUSAND,
        "ai_revenue_cny": pl.col("ai_revenue") * THOUSAND,
        "employed_persons": pl.col("employed_persons"),
        "rd_staff_persons": pl.col("rd_staff_persons"),
    }
    return (
        accounts.filter(pl.col("role").is_in([AI, LOOK]))
        .select(
            "uscc",
            "ref_year",
            leaf=pl.when(pl.col("role") == AI).then("activity"),
            district="operating_district",
            size=pl.when("alive").then("size"),
            alive="alive",
            member="member",
            responded="in_survey",
            **{name: pl.when("alive").then(value) for name, value in figures.items()},
        )
        .sort("uscc", "ref_year")
    )


def truth_totals(unit_years: pl.DataFrame) -> pl.DataFrame:
    """``totals.parquet``: true headline figures; AI revenue over all units, the rest over members."""
    member = pl.col("member")
    wide = unit_years.group_by("ref_year").agg(
        ai_enterprises=member.sum().cast(pl.Float64),
        ai_revenue=pl.col("ai_revenue_cny").sum().cast(pl.Float64),
        operating_revenue=pl.col("operating_revenue_cny").filter(member).sum().cast(pl.Float64),
        employed_persons=pl.col("employed_persons").filter(member).sum().cast(pl.Float64),
        rd_staff=pl.col("rd_staff_persons").filter(member).sum().cast(pl.Float64),
    )
    return (
        wide.unpivot(index="ref_year", variable_name="indicator", value_name="value")
        .with_columns(label=pl.lit(LABEL))
        .sort("ref_year", "indicator")
    )


def write_truth(folder: Path, frames: dict[str, pl.DataFrame]) -> None:
    """One labelled Parquet file a table."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet", metadata={"label": LABEL})


def write_returns(writer: DemoWriter, accounts: pl.DataFrame, scenario: Scenario, say: Progress) -> None:
    """Write the yearly returns; ``accounts`` comes from :func:`true_accounts`."""
    for year in scenario.years:
        say(f"写 {year} 年报 / writing the returns of {year}")
        for source_id, frame in yearly_returns(accounts, year).items():
            writer.write(DemoFile(source_id, frame, year, {}))


def truth_accounts(accounts: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The truth tables that follow from the accounts alone."""
    unit_years = truth_unit_years(accounts)
    return {"unit_year": unit_years, "totals": truth_totals(unit_years), "domains": truth_domains(accounts)}


def true_accounts(units: pl.DataFrame, scenario: Scenario, seed: int) -> pl.DataFrame:
    """True figures by unit and year with size class and who answers, of the units that matter."""
    return choose_responses(with_size(build_accounts(units, scenario, seed)), scenario, seed)


def generate(inbox: Path, truth_dir: Path, size: Size, seed: int, progress: Progress | None = None) -> None:
    """Write the city's sources to ``inbox/<source_id>/`` and the truth to ``truth_dir``.

    The same size and seed give the same rows; older files are replaced. ValueError for an unknown size.
    """
    say = progress or _silent
    scenario = load_scenario(size)
    say(f"名录单位 / register units: {scenario.size['register']:,}")
    units = build_units(scenario, seed)
    accounts = true_accounts(units, scenario, seed)
    month = str(scenario["register_month"])
    say(f"写名录 / writing register_{month}.csv")
    writer = DemoWriter(inbox, seed)
    register = register_rows(units, accounts, scenario, seed)
    writer.write(DemoFile("register", register, int(month[:4]), {"month": int(month[5:])}))
    write_returns(writer, accounts, scenario, say)
    city = City(scenario, seed, units, accounts)
    write_further(writer, city, say)
    write_truth(
        truth_dir,
        {
            "unit": truth_units(units),
            **truth_accounts(accounts),
            **truth_further(city, adoption_frame(city)),
            **writer.truth(),
        },
    )
