"""Write the files of the further sources: everything besides the register and the four annual returns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from etl.contract import load_contract
from etl.demo import administrative, events, quarterly, social
from etl.demo.city import City, DemoFile, makers
from etl.demo.files import headers, write_csv, write_xlsx

MODULES = (administrative, events, quarterly, social)
"""Imported for the makers they register."""


def write_file(inbox: Path, file: DemoFile) -> Path:
    """Write one file in its source's own format; KeyError for a column the contract does not have."""
    contract = load_contract(file.source_id)
    path = inbox / file.source_id / contract.file.name(file.year, **file.part)
    columns: list[list[Any]] = [file.frame[name].to_list() for name in file.frame.columns]
    if contract.file.format == "csv":
        write_csv(path, headers(contract, file.frame), columns)
    else:
        write_xlsx(path, contract, file.year, headers(contract, file.frame), columns)
    return path


def write_further(inbox: Path, city: City, say: Callable[[str], None]) -> dict[str, int]:
    """Write every further source; rows by source."""
    rows: dict[str, int] = {}
    for maker in makers():
        for file in maker(city):
            write_file(inbox, file)
            rows[file.source_id] = rows.get(file.source_id, 0) + file.frame.height
    say(f"其他来源 / further sources: {len(rows)}, {sum(rows.values()):,} rows")
    return rows


def truth_further(city: City) -> dict[str, pl.DataFrame]:
    """Truth tables by name: quarterly AI revenue, continuations of units, effects of the experiments."""
    effects = pl.DataFrame([{"outcome": k, "effect": v} for k, v in social.EFFECT.items()])
    return {"links": events.truth_links(city), "experiment_effects": effects}
