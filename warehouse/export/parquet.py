"""Parquet: the tidy columns with types; title, notes, source and kind of data as file metadata."""

import io
import json

import polars as pl

from warehouse.export.registry import exporter
from warehouse.export.tidy import Extract
from warehouse.export.words import kind_text

TYPES: dict[str, pl.DataType] = {
    "value": pl.Decimal(24, 2), "yoy_ratio": pl.Float64(), "model_share": pl.Float64()
}  # fmt: skip


def _metadata(data: Extract) -> dict[str, str]:
    return {
        "aistat.title": data.title,
        "aistat.dataset": data.dataset.id,
        "aistat.data_kind": kind_text(data.kind, data.lang),
        "aistat.release_id": data.cube.release_id,
        "aistat.vintage": data.cube.vintage,
        "aistat.status": data.cube.status,
        "aistat.source": data.source,
        "aistat.legal_basis": data.dataset.legal_basis,
        "aistat.stages": data.cube.stage_text(),
        "aistat.notes": json.dumps(data.notes, ensure_ascii=False),
    }


@exporter(
    "parquet",
    media_type="application/vnd.apache.parquet",
    extension="parquet",
    name_zh="Parquet",
    name_en="Parquet",
)
def write_parquet(data: Extract) -> bytes:
    """Values as DECIMAL(24,2) in the stored unit; the same release gives the same bytes."""
    schema = {name: TYPES.get(name, pl.String()) for name in data.columns}
    frame = pl.DataFrame(list(data.rows()), schema=schema, orient="row")
    stream = io.BytesIO()
    frame.write_parquet(stream, compression="zstd", compression_level=3, metadata=_metadata(data))
    return stream.getvalue()
