"""Unit-level evidence for the review desk (复核证据): a file of its own, mode 0600, opened by the desk's process alone.

The process that serves officials and the public neither imports this module (an import contract) nor holds the
permission on the files. One file a release, holding the units of its review queue and of the open gold tasks, no others.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from warehouse.connect import open_reader

TABLE: Final = "evidence_unit"
SCHEMA: Final = {
    "unit_id": pl.String,
    "name": pl.String,
    "business_scope": pl.String,
    "main_products": pl.String,
    "gbt_code": pl.String,
    "area": pl.String,
    "ai_class": pl.String,
    "route": pl.String,
    "p_ai": pl.Float64,
    "probability": pl.Float64,
    "candidates": pl.String,
    "evidence": pl.String,
    "bundle": pl.String,
    "text_hash": pl.String,
}


class NoEvidence(LookupError):
    """There is no evidence file for a batch, or the unit is not in it."""


@dataclass(frozen=True)
class Contribution:
    """One summand of a score: where it stands in the original text (characters), and how much it adds."""

    kind: str
    field: str
    text: str
    start: int
    end: int
    value: float


@dataclass(frozen=True)
class Doubt:
    """A unit as a reviewer may see it. ``candidates`` are (code, probability), best first."""

    unit_id: str
    name: str
    business_scope: str
    main_products: str
    gbt_code: str
    ai_class: str
    route: str
    p_ai: float | None
    probability: float | None
    candidates: tuple[tuple[str, float], ...]
    leaf: str
    bias: float
    score: float
    contributions: tuple[Contribution, ...]
    bundle: str
    text_hash: str


def evidence_folder(home: Path) -> Path:
    """Where the pipeline writes evidence files."""
    return home / "evidence"


def evidence_path(folder: Path, batch: str) -> Path:
    """File of a batch (:class:`NoEvidence` if that is not the name of one)."""
    if not batch or "/" in batch or batch.startswith("."):
        raise NoEvidence(f"{batch!r} is not the name of a batch")
    return folder / f"{batch}.duckdb"


class EvidenceStore:
    """Reads the evidence files of a folder; each view opens the file anew, so that a refreshed one is seen at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def unit(self, batch: str, unit_id: str) -> Doubt:
        """One unit of a batch.

        Raises
        ------
        NoEvidence
            If there is no file for the batch or the unit is not in it.
        """
        found = self.units(batch, [unit_id])
        if not found:
            raise NoEvidence(f"the evidence of {batch} does not hold this unit")
        return found[unit_id]

    def units(self, batch: str, unit_ids: Sequence[str]) -> dict[str, Doubt]:
        """Several units of a batch by id; those it does not hold are left out (:class:`NoEvidence` without a file)."""
        path = evidence_path(self._folder, batch)
        try:
            connection = open_reader(path)
        except FileNotFoundError as error:
            raise NoEvidence(f"no evidence for {batch}; the nightly job writes it after each release") from error
        with connection:
            query = f"SELECT * FROM {TABLE} WHERE unit_id IN (SELECT unnest(?))"
            rows = connection.execute(query, [list(unit_ids)]).pl()
        return {row["unit_id"]: _doubt(row) for row in rows.iter_rows(named=True)}


def _doubt(row: Mapping[str, Any]) -> Doubt:
    evidence = json.loads(row["evidence"] or "{}")
    texts = {k: row[k] or "" for k in ("name", "business_scope", "main_products", "gbt_code", "ai_class", "route")}
    contributions = tuple(
        Contribution(c["kind"], c["field"], c["text"], int(c["start"]), int(c["end"]), float(c["value"]))
        for c in evidence.get("contributions", [])
    )
    return Doubt(
        unit_id=row["unit_id"], **texts, p_ai=row["p_ai"], probability=row["probability"],
        candidates=tuple((c["code"], float(c["p"])) for c in json.loads(row["candidates"] or "[]")),
        leaf=evidence.get("class") or "", bias=float(evidence.get("bias") or 0.0),
        score=float(evidence.get("score") or 0.0), contributions=contributions, bundle=row["bundle"],
        text_hash=row["text_hash"],
    )  # fmt: skip
