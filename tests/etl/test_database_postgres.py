"""A source read from a real PostgreSQL server through its contract; nothing can be written there, no password is told."""

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from etl.collect import collect_into, collect_source
from etl.contract import load_contract
from etl.demo.city import City
from etl.demo.files import headers
from etl.demo.generate import true_accounts
from etl.demo.quarterly import finance_quarterly
from etl.demo.scenario import load_scenario
from etl.demo.units import build_units
from etl.demo.writer import DemoWriter
from warehouse.write import WorkStore

SOURCE = load_contract("finance_quarterly")


@pytest.fixture(scope="module")
def files() -> list:  # type: ignore[type-arg]
    """The first two quarters as the bureau would hold them (the second correction-free)."""
    scenario = load_scenario("small")
    units = build_units(scenario, 5)
    city = City(scenario, 5, units, true_accounts(units, scenario, 5))
    found = [f for f in finance_quarterly(city) if "revision" not in f.part]
    return found[:2]


@pytest.fixture()
def database(postgres_url: str, files: list, monkeypatch: pytest.MonkeyPatch) -> str:  # type: ignore[type-arg]
    """A table as a bureau keeps it: numeric money in thousand yuan, real dates, one row too many that is broken."""
    engine = sa.create_engine(postgres_url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS b203"))
        connection.execute(sa.text("CREATE SEQUENCE IF NOT EXISTS s203"))
        names = [c.to for c in SOURCE.columns]
        kinds = {"string": "text", "decimal": "numeric(20,2)", "date": "date"}
        columns = ", ".join(f"{c.to} {kinds[c.type]}" for c in SOURCE.columns)
        connection.execute(sa.text(f"CREATE TABLE b203 ({columns}, period text)"))
        insert = sa.text(f"INSERT INTO b203 VALUES ({', '.join(':' + n for n in names)}, :period)")
        for file in files:
            rows = file.frame.with_columns(period=pl.lit(f"{file.year}-Q{file.part['quarter']}")).to_dicts()
            connection.execute(insert, rows)
        connection.execute(insert, {**rows[0], "uscc": "914403007084611360"})
    heads = ", ".join(f'{c.to} AS "{c.header}"' for c in SOURCE.columns)
    monkeypatch.setenv("BUREAU_DB", postgres_url)
    engine.dispose()
    return f"SELECT {heads}, period AS 期别 FROM b203"


def settings(home: Path, sql: str) -> None:
    text = f"finance_quarterly:\n  url: env:BUREAU_DB\n  sql: >-\n    {sql}\n  period_column: 期别\n"
    (home / "sources.yaml").write_text(text, encoding="utf-8")


def test_the_database_gives_what_the_files_give(tmp_path: Path, database: str, files: list) -> None:  # type: ignore[type-arg]
    settings(tmp_path, database)
    store = WorkStore(tmp_path)
    found = collect_into(SOURCE, tmp_path / "inbox", tmp_path / "quarantine", store, "collect_finance", tmp_path)
    (receipt,) = found.receipts
    rows = sum(f.frame.height for f in files)
    assert receipt.status == "accepted", receipt.message
    assert (receipt.status, receipt.rows_in, receipt.rows_accepted, receipt.rows_quarantined) == (
        "accepted",
        rows + 1,
        rows,
        1,
    )
    writer = DemoWriter(tmp_path / "files", 5, with_faults=False)
    for file in files:
        writer.write(file)
    by_file = collect_source(SOURCE, tmp_path / "files" / SOURCE.id, tmp_path / "q2").frame
    assert store.read("collect_finance").equals(by_file), "one contract, one result"
    assert isinstance(by_file["operating_revenue_ytd_cny"][0], Decimal) and headers(SOURCE, files[0].frame)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("writes", "ReadOnlySqlTransaction"),
        ("DELETE FROM b203 RETURNING uscc", "SyntaxError"),
        ("SELECT * FROM b204", "UndefinedTable"),
        ("SELECT uscc AS 统一社会信用代码, period AS 期别 FROM b203", "columns missing"),
    ],
)
def test_what_fails_is_refused_without_the_address(
    tmp_path: Path, database: str, postgres_url: str, sql: str, said: str
) -> None:
    settings(tmp_path, database.replace(" FROM", ", nextval('s203') AS x FROM") if sql == "writes" else sql)
    store = WorkStore(tmp_path)
    found = collect_into(SOURCE, tmp_path / "inbox", tmp_path / "quarantine", store, "collect_finance", tmp_path)
    (receipt,) = found.receipts
    assert receipt.status == "refused" and said in receipt.message, receipt.message
    assert postgres_url not in receipt.message and "host" not in receipt.message
    assert store.rows("collect_finance") == 0
    with sa.create_engine(postgres_url, poolclass=sa.pool.NullPool).connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM b203")).scalar() > 0, "nothing was written there"  # type: ignore[operator]


def test_a_server_that_is_gone_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str) -> None:
    monkeypatch.setenv("BUREAU_DB", "postgresql+psycopg://reader:secretword@/nothing?host=/tmp/no-such-folder")
    settings(tmp_path, "SELECT 1")
    found = collect_into(SOURCE, tmp_path, tmp_path / "q", WorkStore(tmp_path), "collect_finance", tmp_path)
    assert found.receipts[0].status == "refused" and "secretword" not in str(found.receipts)
