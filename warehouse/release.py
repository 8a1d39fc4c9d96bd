"""Build a release in a directory of its own, check it, and swap it in by one atomic rename of the pointer."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from taxonomy.basis import BasisRefused, Refusal, require_official
from warehouse.catalogue import Dataset, load_datasets, load_indicators
from warehouse.connect import open_writable

POINTER = "current"
STATUSES = ("trial", "simulated", "official")
STAGES = "revision_stage"
"""Code list of the stages a figure goes through (快报数 …), and the column that says the stage of each observation."""
CELL_COLUMNS = {
    "period": pl.String(),
    "indicator": pl.String(),
    "value": pl.Decimal(24, 2),
    "obs_status": pl.String(),
    "conf_status": pl.String(),
    "yoy_ratio": pl.Float64(),
    "yoy_note": pl.String(),
    "model_share": pl.Float64(),
    "vintage": pl.String(),
    "revision_stage": pl.String(),
}
CODE_COLUMNS = (
    *("scheme", "code", "parent", "level", "level_name", "name_zh", "name_en", "definition_zh"),
    *("includes", "excludes", "legal_basis", "segment", "sort", "status", "basis"),
)
PERIOD = re.compile(r"[0-9]{4}(-[0-9]{2}|-Q[1-4])?")
REFERENCE_TABLES = frozenset(
    {
        "meta_code",
        "meta_source_run",
        "meta_quality",
        "meta_classifier_quality",
        "meta_quantity_quality",
        "meta_growth",
        "meta_demography",
        "meta_series",
        "meta_climate",
        "meta_process_quality",
        "meta_revision",
        "meta_revision_summary",
        "meta_editing",
        "public_published_figure",
        "public_filing",
        "public_plan_task",
    }
)


class ReleaseRefused(RuntimeError):
    """The content may not be released; says which table and why. ``rows``: those of weak basis, if that is the reason."""

    def __init__(self, message: str, rows: tuple[Refusal, ...] = ()) -> None:
        super().__init__(message)
        self.rows = rows


@dataclass(frozen=True)
class ReleaseContent:
    """Everything one release holds: cleared cubes by dataset, their certificates, and reference tables.

    ``correspondences`` are the ids of those the coding of units rests on; an official release is refused if one is weak.
    """

    vintage: str
    status: str
    is_synthetic: bool
    cubes: Mapping[str, pl.DataFrame]
    certificates: Mapping[str, Mapping[str, Any]]
    reference: Mapping[str, pl.DataFrame]
    pipeline_version: str
    lineage: Mapping[str, str] = field(default_factory=dict)
    correspondences: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReleaseInfo:
    """What the manifest says of a release; ``unchanged`` when publishing found the same content already there."""

    release_id: str
    vintage: str
    status: str
    is_synthetic: bool
    created_at: str
    folder: Path
    unchanged: bool = False


def releases_folder(home: Path) -> Path:
    """Where releases live."""
    return home / "releases"


def current_id(home: Path) -> str | None:
    """Id of the release being served, if any."""
    try:
        return (releases_folder(home) / POINTER).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


# --- checks before anything is written -------------------------------------------------------------------------


def cube_table(dataset_id: str) -> str:
    """Name of a dataset's table in the mart and of its Parquet file."""
    return f"disseminate_{dataset_id}"


def _check_cube(dataset: Dataset, frame: pl.DataFrame, codes: Mapping[str, set[str]]) -> None:
    name = dataset.id
    expected = [*dataset.dimension_ids, *CELL_COLUMNS]
    if frame.columns != expected:
        raise ReleaseRefused(f"{name}: columns are {frame.columns}, expected {expected}")
    wrong = [c for c, kind in CELL_COLUMNS.items() if frame.schema[c] != kind]
    if wrong:
        raise ReleaseRefused(f"{name}: columns of the wrong type: {[(c, str(frame.schema[c])) for c in wrong]}")
    key = [*dataset.dimension_ids, "period", "indicator"]
    if frame.select(pl.struct(key).is_duplicated().any()).item():
        raise ReleaseRefused(f"{name}: a cell stands twice")
    hidden = frame.filter(pl.col("conf_status") == "C")
    if hidden.select(pl.any_horizontal(pl.col("value", "yoy_ratio", "model_share").is_not_null()).any()).item():
        raise ReleaseRefused(f"{name}: a withheld cell still carries a number")
    if not set(frame["conf_status"].unique()) <= {"F", "C"}:
        raise ReleaseRefused(f"{name}: conf_status must be F or C")
    gap = pl.col("value").is_null() & (pl.col("conf_status") == "F")
    if frame.select((gap != (pl.col("obs_status") == "M").fill_null(False)).any()).item():
        raise ReleaseRefused(f"{name}: a cell without value must be withheld (C) or missing (M), and only such a cell")
    if frame.select(pl.col("yoy_ratio", "model_share").is_finite().not_().any()).row(0) != (False, False):
        raise ReleaseRefused(f"{name}: yoy_ratio and model_share must be finite numbers or null")
    strange_periods = [p for p in frame["period"].unique() if p is None or not PERIOD.fullmatch(p)]
    if strange_periods:
        raise ReleaseRefused(f"{name}: periods {strange_periods[:5]}; expected 2025, 2025-Q3 or 2025-11")
    known = {i.id for i in load_indicators().values() if name in i.datasets}
    unknown = set(frame["indicator"].unique()) - known
    if unknown:
        raise ReleaseRefused(f"{name}: indicators {sorted(unknown)} do not name this dataset")
    stages = set(frame["revision_stage"].unique()) - codes.get(STAGES, set())
    if stages:
        raise ReleaseRefused(f"{name}: stages {sorted(map(str, stages))} are not in scheme {STAGES}")
    for dimension in dataset.dimensions:
        used = set(frame[dimension.id].unique())
        if any("," in str(code) for code in used):
            raise ReleaseRefused(f"{name}: a code of {dimension.id} holds a comma, which a selection cannot carry")
        strange = used - codes.get(dimension.scheme, set()) - {"_T"}
        if strange:
            raise ReleaseRefused(f"{name}: codes {sorted(map(str, strange))[:5]} are not in scheme {dimension.scheme}")


def _check_basis(content: ReleaseContent) -> None:
    """Refuse an official release whose code lists or correspondences rest on memory, inference or a draft."""
    if not content.correspondences:
        raise ReleaseRefused("an official release names the correspondences its coding rests on; none is named")
    columns = content.reference["meta_code"].select("scheme", "code", "basis", "status").fill_null("")
    try:
        require_official(correspondences=content.correspondences, rows=columns.iter_rows())
    except BasisRefused as error:
        raise ReleaseRefused(str(error), error.rows) from error


def _check(content: ReleaseContent) -> None:
    if content.status not in STATUSES:
        raise ReleaseRefused(f"status {content.status!r}; expected one of {STATUSES}")
    if content.is_synthetic != (content.status == "simulated"):
        raise ReleaseRefused("synthetic figures can only be released as 'simulated', and only they")
    missing = {"meta_code"} - set(content.reference)
    strange = set(content.reference) - REFERENCE_TABLES
    if missing or strange:
        raise ReleaseRefused(f"reference tables: missing {sorted(missing)}, not allowed {sorted(strange)}")
    meta_code = content.reference["meta_code"]
    if set(meta_code.columns) != set(CODE_COLUMNS):
        raise ReleaseRefused(f"meta_code: columns are {meta_code.columns}, expected {list(CODE_COLUMNS)}")
    if content.status == "official":
        _check_basis(content)
    codes = {s: set(f["code"]) for (s,), f in meta_code.partition_by("scheme", as_dict=True).items()}
    datasets = load_datasets()
    for dataset_id, frame in content.cubes.items():
        if dataset_id not in datasets:
            raise ReleaseRefused(f"{dataset_id}: no such dataset in warehouse/metadata/datasets")
        dataset = datasets[dataset_id]
        _check_cube(dataset, frame, {str(k): v for k, v in codes.items()})
        certificate = content.certificates.get(dataset_id)
        if dataset.protected and (certificate is None or certificate.get("passed") is not True):
            raise ReleaseRefused(f"{dataset_id}: no passed certificate of disclosure control; it cannot be released")


# --- building ----------------------------------------------------------------------------------------------------


def _tables(content: ReleaseContent) -> dict[str, pl.DataFrame]:
    datasets = load_datasets()
    tables = {}
    for dataset_id, frame in content.cubes.items():
        key = ["indicator", "period", *datasets[dataset_id].dimension_ids]
        tables[cube_table(dataset_id)] = frame.sort(key)
    for name, frame in content.reference.items():
        tables[name] = frame
    tables["meta_dataset"] = pl.DataFrame(
        [{"dataset_id": d, "json": datasets[d].model_dump_json()} for d in content.cubes], schema=["dataset_id", "json"]
    )
    shown = {i.id: i for i in load_indicators().values() if set(i.datasets) & set(content.cubes)}
    tables["meta_indicator"] = pl.DataFrame(
        [{"indicator_id": i, "json": card.model_dump_json()} for i, card in shown.items()],
        schema=["indicator_id", "json"],
    )
    return tables


def _write_parquet(frame: pl.DataFrame, path: Path) -> str:
    frame.write_parquet(path, compression="zstd", compression_level=3, statistics=True, row_group_size=100_000)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _content_hash(content: ReleaseContent, hashes: Mapping[str, str]) -> str:
    body = {
        "vintage": content.vintage,
        "status": content.status,
        "pipeline_version": content.pipeline_version,
        "files": dict(sorted(hashes.items())),
    }
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _build_mart(path: Path, tables: Mapping[str, pl.DataFrame], release: pl.DataFrame) -> None:
    with open_writable(path) as connection:
        for name, frame in {**tables, "meta_release": release}.items():
            connection.register("incoming", frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming").fetchall()
            connection.unregister("incoming")
        connection.execute("CHECKPOINT").fetchall()


def _sweep(folder: Path) -> None:
    """Remove half-built directories of processes that are gone."""
    for leftover in folder.glob(".building-*"):
        pid = leftover.name.rsplit("-", 1)[-1]
        if not pid.isdigit() or not Path(f"/proc/{pid}").exists() or int(pid) == os.getpid():
            shutil.rmtree(leftover, ignore_errors=True)


def publish(home: Path, content: ReleaseContent, entering: Callable[[], object] | None = None) -> ReleaseInfo:
    """Check, write and serve a release; the same content as the current release changes nothing.

    A trial release never takes the place of an official one: it is written, and served only when somebody says so
    (:func:`rollback`).

    A reader sees the old release until the pointer is replaced, then the new one; a crash at any moment leaves the
    old one served and at most a hidden building directory, which the next call removes.

    ``entering`` is called when everything has been checked and built, before any reader can see it; what it raises ends
    the release.

    Raises
    ------
    ReleaseRefused
        If a table breaks its metadata or a protected dataset has no passed certificate. Nothing is written then.
    """
    if (home / "demo.json").exists() and not content.is_synthetic:
        raise ReleaseRefused(f"{home} holds the demo city; it can only be released as 'simulated' (模拟发布)")
    _check(content)
    folder = releases_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    building = folder / f".building-{os.getpid()}"
    files = building / "files"
    files.mkdir(parents=True)
    tables = _tables(content)
    hashes = {name: _write_parquet(frame, files / f"{name}.parquet") for name, frame in sorted(tables.items())}
    release_id = f"r{content.vintage.replace('-', '')}-{_content_hash(content, hashes)[:8]}"
    enter = entering or (lambda: None)
    if (folder / release_id).is_dir():
        shutil.rmtree(building)
        enter()
        unchanged = current_id(home) == release_id
        _serve(home, release_id, content.status)
        return _with(show(home, release_id), unchanged)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    meta = {
        "release_id": release_id,
        "vintage": content.vintage,
        "status": content.status,
        "is_synthetic": content.is_synthetic,
        "pipeline_version": content.pipeline_version,
    }
    _build_mart(building / "release.duckdb", tables, pl.DataFrame([meta]))
    _write_documents(building, content, meta, hashes, {n: f.height for n, f in tables.items()}, created)
    for path in building.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
            _sync(path)
    _sync(building)
    enter()
    building.replace(folder / release_id)
    _sync(folder)
    _serve(home, release_id, content.status)
    return show(home, release_id)


def _serve(home: Path, release_id: str, status: str) -> None:
    served = current_id(home)
    if status == "trial" and served is not None and show(home, served).status == "official":
        return
    _point_to(releases_folder(home), release_id)


def _with(info: ReleaseInfo, unchanged: bool) -> ReleaseInfo:
    return ReleaseInfo(**{**info.__dict__, "unchanged": unchanged})


def _write_documents(
    building: Path,
    content: ReleaseContent,
    meta: Mapping[str, Any],
    hashes: Mapping[str, str],
    rows: Mapping[str, int],
    created: str,
) -> None:
    manifest = {
        **meta,
        "created_at": created,
        "lineage": dict(content.lineage),
        "files": {name: {"sha256": digest, "rows": rows[name]} for name, digest in hashes.items()},
    }
    certificate = {"release_id": meta["release_id"], "datasets": {k: dict(v) for k, v in content.certificates.items()}}
    for name, body in (("manifest.json", manifest), ("certificate.json", certificate)):
        (building / name).write_text(json.dumps(body, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")


def _point_to(folder: Path, release_id: str) -> None:
    temporary = folder / f".{POINTER}.{os.getpid()}"
    temporary.write_text(release_id, encoding="utf-8")
    _sync(temporary)
    temporary.replace(folder / POINTER)
    _sync(folder)


# --- looking and going back --------------------------------------------------------------------------------------


def show(home: Path, release_id: str) -> ReleaseInfo:
    """One release.

    Raises
    ------
    LookupError
        If there is no such release.
    """
    folder = releases_folder(home) / release_id
    try:
        if "/" in release_id or release_id.startswith("."):
            raise FileNotFoundError(release_id)
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise LookupError(f"no release {release_id!r}; 'aistat release list' shows those there are") from error
    names = ("release_id", "vintage", "status", "is_synthetic", "created_at")
    return ReleaseInfo(folder=folder, **{name: manifest[name] for name in names})


def list_releases(home: Path) -> list[ReleaseInfo]:
    """Every complete release, newest vintage first."""
    folder = releases_folder(home)
    if not folder.is_dir():
        return []
    names = [p.name for p in folder.iterdir() if (p / "manifest.json").exists() and not p.name.startswith(".")]
    return sorted(
        (show(home, name) for name in names),
        key=lambda info: (info.vintage, info.created_at, info.release_id),
        reverse=True,
    )


def rollback(home: Path, release_id: str) -> ReleaseInfo:
    """Serve an earlier release again; nothing is deleted."""
    info = show(home, release_id)
    _point_to(releases_folder(home), release_id)
    return info
