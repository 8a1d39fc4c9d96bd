"""The frame of a reference year, frozen once the year is finally verified (年度名录定格): the register of today is not that of 2021.

Until its final verification (``revision.yaml``) a year takes units, attributes and codes from the register as it stands. From
then on it keeps those of the night it became final, so that a move or a new classification of today does not rewrite the past;
corrected and late returns still come in. A person may reopen a year, with a reason, for a census or a wrong code.

Unit level: ``frames/`` lies with the work store, is an input like the inbox (``aistat run --full`` reads it too), and is never
released.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import polars as pl

from etl.stages import stage_of
from etl.years import YEAR, years_of
from warehouse.catalogue import load_yaml

FOLDER: Final = "frames"
REOPENED: Final = "reopened"
REMEDY: Final = "restore it from a backup, or 'aistat frame reopen' the year to take the register as it stands"


class FrameDamaged(ValueError):
    """A frozen frame that is not what was frozen; says what to do."""


@dataclass(frozen=True)
class FrozenYear:
    """A year's frozen frame: vintage of the night it was frozen, its units, SHA-256 of the file."""

    year: int
    frozen: str
    units: int
    sha256: str


def closed_years(years: Sequence[int], vintage: str) -> list[int]:
    """Years whose figures are final at a vintage: finally verified, or revised by a census."""
    settings: dict[str, Any] = load_yaml("revision")
    last = {settings["stages"][-1]["id"], settings["census"]["id"]}
    return [y for y in years if stage_of(str(y), vintage, settings)[0] in last]


def frozen_years(root: Path) -> list[FrozenYear]:
    """The years frozen in an installation, ascending."""
    listings = sorted((root / FOLDER).glob("*.json"))
    return [FrozenYear(**json.loads(path.read_text(encoding="utf-8"))) for path in listings]


def _path(root: Path, year: int) -> Path:
    return root / FOLDER / f"{year}.parquet"


def _read(root: Path, year: int) -> pl.DataFrame | None:
    """The frozen frame of a year; None where there is none.

    Raises
    ------
    FrameDamaged
        If the file is not the one that was frozen.
    """
    listing = _path(root, year).with_suffix(".json")
    if not listing.is_file():
        return None
    expected = FrozenYear(**json.loads(listing.read_text(encoding="utf-8")))
    try:
        content = _path(root, year).read_bytes()
    except OSError as error:
        raise FrameDamaged(
            f"{_path(root, year)}: the frozen frame of {year} cannot be read ({error}); {REMEDY}"
        ) from error
    if hashlib.sha256(content).hexdigest() != expected.sha256:
        raise FrameDamaged(f"{_path(root, year)}: not the frame that was frozen on {expected.frozen}; {REMEDY}")
    return pl.read_parquet(BytesIO(content))


def _write(root: Path, year: int, frame: pl.DataFrame, vintage: str) -> None:
    """The frame first, what it is last: a night cut short in between leaves none."""
    buffer = BytesIO()
    frame.write_parquet(buffer)
    listing = FrozenYear(year, vintage, frame.height, hashlib.sha256(buffer.getvalue()).hexdigest())
    (root / FOLDER).mkdir(mode=0o700, exist_ok=True)
    for path, content in (
        (_path(root, year), buffer.getvalue()),
        (_path(root, year).with_suffix(".json"), json.dumps(asdict(listing), sort_keys=True).encode()),
    ):
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.touch(mode=0o600)
        temporary.write_bytes(content)
        temporary.replace(path)


def _as_now(frozen: pl.DataFrame, live: pl.DataFrame) -> pl.DataFrame:
    """A frozen frame in today's columns: one that was not there then is empty."""
    return frozen.select(
        (pl.col(name) if name in frozen.columns else pl.lit(None)).cast(kind).alias(name)
        for name, kind in live.schema.items()
    )


def frozen(root: Path, live: pl.DataFrame, answered: pl.DataFrame, vintage: str) -> pl.DataFrame:
    """The frame with its closed years as they were frozen; closed years not frozen yet are.

    Parameters
    ----------
    live
        Units by ``ref_year`` as the register has them now (:func:`etl.link.frame_by_year`).
    answered
        ``uscc, ref_year`` of the returns there are: a unit that answers late for a closed year joins its frame with
        today's attributes, so that no return is lost.

    Raises
    ------
    FrameDamaged
        If a frozen frame is not what was frozen.
    """
    parts, years = [], years_of(live)
    closed = closed_years(years, vintage)
    for year in years:
        own = live.filter(pl.col(YEAR) == year)
        if year in closed:
            kept = _read(root, year)
            if kept is None:
                _write(root, year, own, vintage)
            else:
                late = own.join(answered, on=["uscc", YEAR], how="semi").join(kept, on=["uscc", YEAR], how="anti")
                own = pl.concat([_as_now(kept, own), late])
        parts.append(own)
    return pl.concat(parts).sort("uscc", YEAR) if parts else live


def reopen(root: Path, year: int) -> FrozenYear:
    """Put a year's frozen frame aside (it is kept under ``frames/reopened/``); the next night takes the register as it stands.

    Raises
    ------
    LookupError
        If the year is not frozen.
    """
    listing = _path(root, year).with_suffix(".json")
    if not listing.is_file():
        known = ", ".join(str(f.year) for f in frozen_years(root)) or "none"
        raise LookupError(f"the frame of {year} is not frozen; frozen years: {known}")
    found = FrozenYear(**json.loads(listing.read_text(encoding="utf-8")))
    aside = root / FOLDER / REOPENED
    aside.mkdir(mode=0o700, exist_ok=True)
    stem = f"{year}-{found.frozen}-{found.sha256[:8]}"
    listing.replace(aside / f"{stem}.json")
    if _path(root, year).exists():
        _path(root, year).replace(aside / f"{stem}.parquet")
    return found
