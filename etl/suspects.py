"""The list of doubtful declared codes (申报行业代码疑误清单) of a night: unit level, for those who may see units, never released.

The register goes through in chunks: a sample of distinct scopes trains the text model (kept under ``models/`` by the hash of all
it depends on), then every unit with a scope and a code is looked at. A night whose register is as it was does neither.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from etl.assets.process import CODE_UNIT, UNIT_YEAR
from etl.assets.register import REGISTER_CURRENT
from taxonomy.classifier.division import (
    SCHEME,
    VERSION,
    DivisionModel,
    ScopeSample,
    load_divisions,
    load_rules,
    model_key,
    save_divisions,
    train_divisions,
    with_text,
)
from taxonomy.classifier.wrong_code import SCHEMA, suspect_codes
from taxonomy.scheme import load_scheme
from warehouse.write import WorkStore

SUSPECT: Final = "control_register__code_suspect"
COLUMNS: Final = ("uscc", "name", "business_scope", "gbt_code")
CHUNK_ROWS: Final = 20_000
"""Of units by 97 divisions in double precision: 16 MB an array, some ten of them at a time."""
SUMMARY: Final = ".suspects.json"


@dataclass(frozen=True)
class Suspects:
    """What a night's list came to: units looked at and listed, sampled scopes the model learned from; no unit in it.

    ``key``: hash of all the list depends on; ``made`` is false where the register is too small to learn from.
    """

    key: str
    made: bool
    checked: int
    listed: int
    learned_from: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without the key."""
        body = asdict(self)
        del body["key"]
        return body


def _path(root: Path) -> Path:
    return root / "profiles" / SUMMARY


def last_list(root: Path) -> Suspects | None:
    """The list last made; None where there is none (or it was left by another release of the code)."""
    try:
        return Suspects(**json.loads(_path(root).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def sizes(unit_year: pl.DataFrame) -> pl.DataFrame:
    """``unit_id, size`` where revenue is known: half the unit itself, half its latest revenue over the mean (as in review)."""
    known = unit_year.filter(pl.col("revenue_known").is_not_null()).sort("uscc", "ref_year")
    latest = known.group_by("uscc", maintain_order=True).agg(pl.col("revenue_known").last().cast(pl.Float64))
    relative = pl.col("revenue_known") / pl.col("revenue_known").mean()
    return latest.select(pl.col("uscc").alias("unit_id"), ((1.0 + relative) / 2.0).alias("size"))


def list_key(work: WorkStore, known: pl.DataFrame) -> str:
    """Hash of what a list depends on: texts and codes of the register (their hashes), sizes, rules, the standard."""
    rules = [repr(part) for part in load_rules()]
    digest = hashlib.sha256(json.dumps([VERSION, rules, [c.name_zh for c in load_scheme(SCHEME).codes]]).encode())
    for chunk in work.batches(CODE_UNIT, ["unit_id", "input_hash"]):
        digest.update("".join(chunk["unit_id"].to_list() + chunk["input_hash"].to_list()).encode())
    digest.update(known.sort("unit_id").write_csv().encode())
    return digest.hexdigest()[:16]


def division_model(folder: Path, sample: pl.DataFrame) -> DivisionModel:
    """The model of a sample: read if it was trained before, else trained and kept; models of other samples are removed."""
    rule, training = load_rules()
    path = folder / f"divisions-{model_key(sample, training, rule.reliability)}.npz"
    try:
        return load_divisions(path)
    except (OSError, ValueError, KeyError):
        model = train_divisions(sample, training, rule.reliability)
    save_divisions(model, path)
    for old in folder.glob("divisions-*.npz"):
        if old != path:
            old.unlink()
    return model


def _chunks(work: WorkStore) -> Iterator[pl.DataFrame]:
    for chunk in work.batches(REGISTER_CURRENT, COLUMNS, rows=CHUNK_ROWS):
        yield from chunk.rename({"uscc": "unit_id"}).iter_slices(CHUNK_ROWS)


def _listed(work: WorkStore, model: DivisionModel, known: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The list, the most worth looking at first, and how many units were looked at."""
    rule, _ = load_rules()
    scheme, middle = load_scheme(SCHEME), known["size"].median()
    found, checked = [pl.DataFrame(schema=SCHEMA)], 0
    for chunk in _chunks(work):
        units = with_text(chunk).join(known, on="unit_id", how="left", maintain_order="left")
        # One value for all unknown sizes, whatever the chunks are: the median of the known ones, as in review.
        units = units.with_columns(pl.col("size").fill_null(1.0 if middle is None else middle))
        checked += units.height
        found.append(suspect_codes(units, model.classes, model.probabilities(units), scheme, rule, base=model.base))
    return pl.concat(found).sort("gain", "unit_id", descending=[True, False]), checked


def refresh_suspects(root: Path, work: WorkStore) -> tuple[Suspects, bool]:
    """Bring the list up to the register; returns what it came to, and whether anything had to be done."""
    known = sizes(work.read(UNIT_YEAR, ["uscc", "ref_year", "revenue_known"]))
    key, last = list_key(work, known), last_list(root)
    if last is not None and last.key == key and work.exists(SUSPECT):
        return last, False
    _, training = load_rules()
    sample = ScopeSample(training.sample)
    for chunk in _chunks(work):
        sample.add(chunk)
    drawn = sample.units()
    if drawn.height < training.minimum:
        work.write(SUSPECT, pl.DataFrame(schema=SCHEMA))
        done = Suspects(key, False, 0, 0, drawn.height)
    else:
        listed, checked = _listed(work, division_model(root / "models", drawn), known)
        work.write(SUSPECT, listed)
        done = Suspects(key, True, checked, listed.height, drawn.height)
    # Last, so that a night that is cut short makes the list again.
    _keep(root, done)
    return done, True


def _keep(root: Path, done: Suspects) -> None:
    path = _path(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(asdict(done), sort_keys=True), encoding="utf-8")
    temporary.replace(path)


def for_people(work: WorkStore, area: str | None, limit: int) -> pl.DataFrame:
    """The head of the list with names and texts, of one district (its code) or of all (None), in order."""
    listed = work.read(SUSPECT)
    wanted = listed["unit_id"].implode()
    columns = [*COLUMNS, "operating_district", "registered_district"]
    texts = pl.concat(c.filter(pl.col("uscc").is_in(wanted)) for c in work.batches(REGISTER_CURRENT, columns))
    texts = texts.select(
        pl.col("uscc").alias("unit_id"), "name", "business_scope",
        pl.coalesce("operating_district", "registered_district").alias("area"),
    )  # fmt: skip
    joined = listed.join(texts, on="unit_id", how="inner", maintain_order="left")
    return joined.filter(pl.lit(True) if area is None else pl.col("area") == area).head(limit)
