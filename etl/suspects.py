"""The list of doubtful declared codes (申报行业代码疑误清单) of a night: unit level, for those who may see units, never released.

A sample of the distinct scopes of the newest full extract trains the text model (kept under ``models/`` by the hash of all it
depends on); then every unit with a scope and a code is looked at, in chunks, and again only when either changes.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from etl.assets.collect import receipt_table, table_name
from etl.assets.process import CODE_UNIT, UNIT_YEAR
from etl.assets.register import REGISTER_CURRENT
from etl.evidence import effect_sizes
from etl.remember import Memory, digest, remembered
from etl.unit_results import KEY, ROWS, refresh_units
from taxonomy.classifier.division import (
    SCHEME,
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
LOOKED: Final = "control_register__code_looked"
EXTRACT: Final = table_name("register")
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


def _drawn(work: WorkStore, size: int) -> pl.DataFrame:
    """Scopes of the newest full extract: the model is that of the month, whatever a night changes."""
    receipts = work.read(receipt_table("register"))

    def draw() -> dict[str, pl.DataFrame]:
        sample = ScopeSample(size)
        for chunk in work.batches(EXTRACT, COLUMNS[1:], rows=ROWS):
            sample.add(chunk)
        return {"sample": sample.units()}

    known = receipts.select("file", "sha256", "rows_accepted")
    if known["sha256"].null_count() or (known["sha256"] == "").any():
        return draw()["sample"]
    return remembered("scope_sample", (known, size), draw)["sample"]


def _looked_at(model: DivisionModel) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """What the model says of units, one row each: ``looked``, and :data:`SCHEMA` without ``gain`` where it contradicts."""
    rule, _ = load_rules()
    scheme = load_scheme(SCHEME)

    def look(units: pl.DataFrame) -> pl.DataFrame:
        own = with_text(units)
        found = suspect_codes(own, model.classes, model.probabilities(own), scheme, rule, base=model.base).drop("gain")
        looked = own.select("unit_id", looked=pl.lit(True))
        marked = units.select("unit_id").join(looked, on="unit_id", how="left", maintain_order="left")
        marked = marked.with_columns(pl.col("looked").fill_null(False))
        return marked.join(found, on="unit_id", how="left", maintain_order="left")

    return look


def by_worth(found: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Contradicted units in the order of what looking at them is worth: :data:`SCHEMA`.

    ``known``: ``unit_id, size``; an unknown size counts as the median of the known ones.
    """
    middle = known["size"].median()
    sized = found.join(known, on="unit_id", how="left", maintain_order="left")
    gain = pl.col("size").fill_null(1.0 if middle is None else middle) * pl.col("p_wrong")
    listed = sized.with_columns(gain=gain.round(6)).select(list(SCHEMA))
    return listed.sort("gain", "unit_id", descending=[True, False])


def list_key(work: WorkStore, version: str, known: pl.DataFrame) -> str:
    """Hash of what a list depends on: the model with its rules, texts and codes of the register, sizes.

    Of a register that is followed the number of its version stands for texts and codes; it says so within one store alone.
    """
    texts = work.version(CODE_UNIT)
    register = work.read(CODE_UNIT, KEY) if texts is None else texts
    return digest((version, register, known.sort("unit_id")))[:16]


def _stands(work: WorkStore, key: str, last: Suspects) -> bool:
    """Whether the list in the store is that of tonight's key; the store itself must say so, it may have been put back alone."""
    if last.key != key or not work.exists(SUSPECT):
        return False
    return work.version(CODE_UNIT) is None or work.seen(SUSPECT, CODE_UNIT, key) is not None


def refresh_suspects(root: Path, work: WorkStore, *, full: bool = False) -> tuple[Suspects, bool]:
    """Bring the list up to the register; returns what it came to, and whether anything had to be done.

    The model is that of the newest full extract, a unit is looked at again only where its text or code changed; ``full``:
    every unit is.
    """
    known = effect_sizes(work.read(UNIT_YEAR, ["uscc", "ref_year", "revenue_known"]))
    rule, training = load_rules()
    drawn = _drawn(work, training.sample)
    version = Memory(Path()).key("code_suspect", (model_key(drawn, training, rule.reliability), repr(rule)))
    key, last = list_key(work, version, known), last_list(root)
    if not full and last is not None and _stands(work, key, last):
        return last, False
    if drawn.height < training.minimum:
        work.write(SUSPECT, pl.DataFrame(schema=SCHEMA))
        done = Suspects(key, False, 0, 0, drawn.height)
    else:
        model = division_model(root / "models", drawn)
        refresh_units(work, LOOKED, version, _looked_at(model), full=full)
        found = work.read(LOOKED, [c for c in SCHEMA if c != "gain"], known="p_wrong", any_order=True)
        listed = by_worth(found, known)
        work.write(SUSPECT, listed)
        looked = int(work.tally(LOOKED, ["looked"]).filter("looked")["n"].sum())
        done = Suspects(key, True, looked, listed.height, drawn.height)
    # Last, so that a night that is cut short makes the list again.
    work.saw(SUSPECT, CODE_UNIT, work.version(CODE_UNIT), key)
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
