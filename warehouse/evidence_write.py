"""Writes the evidence file of a release (for etl alone; the desk only reads)."""

import os
from pathlib import Path
from typing import Final

import polars as pl

from warehouse.connect import open_writable
from warehouse.evidence import SCHEMA, TABLE, evidence_path

KEPT: Final = 2


def write_evidence_file(folder: Path, batch: str, units: pl.DataFrame) -> Path:
    """Write the evidence of a batch: complete under its name or not at all, mode 0600 in a folder of mode 0700.

    Older files than the one before it are removed: evidence is kept as long as somebody may still be answering.

    Raises
    ------
    ValueError
        If columns are missing or a unit stands twice.
    """
    missing = set(SCHEMA) - set(units.columns)
    if missing or units["unit_id"].n_unique() != units.height:
        raise ValueError(f"evidence of {batch}: columns missing {sorted(missing)}, or a unit stands twice")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    path = evidence_path(folder, batch)
    building = folder / f".building-{os.getpid()}.duckdb"
    building.unlink(missing_ok=True)
    frame = units.select(pl.col(c).cast(t) for c, t in SCHEMA.items()).sort("unit_id")
    with open_writable(building) as connection:
        building.chmod(0o600)
        connection.register("incoming", frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
        connection.execute(f"CREATE TABLE {TABLE} AS SELECT * FROM incoming").fetchall()
        connection.unregister("incoming")
        connection.execute("CHECKPOINT").fetchall()
    building.replace(path)
    files = sorted((p for p in folder.glob("r*.duckdb") if p != path), key=lambda p: (p.stat().st_mtime_ns, p.name))
    for old in files[: max(len(files) - (KEPT - 1), 0)]:
        old.unlink()
    return path
