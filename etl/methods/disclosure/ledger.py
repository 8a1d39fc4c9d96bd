"""Everything ever released of a statistic: what was shown, what was withheld, and what it takes to audit it again."""

import csv
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from etl.methods.disclosure.loading import Loaded
from etl.methods.disclosure.outfile import amount
from etl.methods.disclosure.problem import ProblemError
from etl.methods.disclosure.textfile import append_rows, read_rows
from etl.methods.disclosure.versions import Shown, Version, one_version, read_counts, write_counts

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
BOOK: Final = "ledger.csv"
CONFLICTS: Final = "conflicts.csv"
HEADER: Final = (
    "release",
    "table",
    "period",
    "vintage",
    "cell",
    "value",
    "status",
    "rounding",
    "data_hash",
    "pattern_hash",
)
HIDE: Final = "hide"
"""The decision there is on a cell that was published and is unsafe now; to publish it takes a waiver or a status in the input."""


@dataclass(frozen=True)
class Entry:
    """A release as it has to be audited: nodes as in :class:`problem.Problem`, values in units of ``10 ** -scale``.

    ``variables``: key → variable (-1: structural zero); ``published``: shape ``(variables,)``; ``unsafe`` and required
    ``up``, ``down``, ``width`` as they were audited.
    """

    release: str
    period: str
    pattern_hash: str
    scale: int
    negative: bool
    variables: dict[str, int]
    relations: csr_array
    values: IntArray
    floors: IntArray
    published: BoolArray
    unsafe: BoolArray
    up: FloatArray
    down: FloatArray
    width: FloatArray

    @property
    def size(self) -> int:
        """Number of nodes."""
        return int(self.values.size)


def key_text(names: Sequence[str], totals: Sequence[str], key: Sequence[str]) -> str:
    """A cell's key: the dimensions that are not totalled, whatever others a table has."""
    parts = [f"{n}={c}" for n, t, c in sorted(zip(names, totals, key, strict=True)) if c != t]
    return "|".join(parts) or "total"


def cell_keys(loaded: Loaded) -> dict[str, int]:
    """Variable of every cell of the input, by key."""
    dims = loaded.problem.dims
    names, totals = [d.name for d in dims], [d.codes[0] for d in dims]
    rows = loaded.problem.cells.select(*names, "variable").rows()
    return {key_text(names, totals, row[:-1]): row[-1] for row in rows}


def entry_of(
    loaded: Loaded, published: BoolArray, unsafe: BoolArray, asked: tuple[FloatArray, FloatArray, FloatArray],
    release: str = "new", pattern_hash: str = "",
) -> Entry:  # fmt: skip
    """The entry of a pattern over the input."""
    problem = loaded.problem
    return Entry(
        release, loaded.spec.period, pattern_hash, problem.scale, problem.negative, cell_keys(loaded), problem.relations,
        problem.node_values, problem.node_floors, published, unsafe, *asked,
    )  # fmt: skip


def read(folder: Path) -> list[Entry]:
    """Every release, oldest first.

    Raises
    ------
    ProblemError
        For a ledger whose files do not belong together.
    """
    path = folder / BOOK
    if not path.exists():
        return []
    listed = list(dict.fromkeys(read_rows(path, HEADER)["release"].to_list()))
    entries = []
    for release in listed:
        file = folder / f"{release}.npz"
        if not file.exists():
            raise ProblemError(
                f"台账不全 / {file} is missing; expected it beside {path}; restore the ledger from backup"
            )
        entries.append(unpacked(file.read_bytes(), str(release)))
    return entries


def unpacked(content: bytes, release: str = "new") -> Entry:
    """The entry of :func:`packed`."""
    with np.load(BytesIO(content)) as saved:
        relations = csr_array((saved["data"], saved["indices"], saved["indptr"]), shape=tuple(saved["shape"].tolist()))
        return Entry(
            release, str(saved["period"]), str(saved["pattern_hash"]), int(saved["scale"]), bool(saved["negative"]),
            dict(zip(saved["keys"].tolist(), saved["variable"].tolist(), strict=True)), relations, saved["values"],
            saved["floors"], saved["published"], saved["unsafe"], saved["up"], saved["down"], saved["width"],
        )  # fmt: skip


def append(folder: Path, entry: Entry, tables: str, data_hash: str) -> str:
    """Enter a release; returns its number. Files are the owner's alone: they hold withheld figures.

    Raises
    ------
    ProblemError
        For cells that were released rounded or perturbed.
    """
    one_version(exact_cells(entry), read_counts(folder))
    folder.mkdir(parents=True, exist_ok=True)
    earlier = read(folder)
    release = f"r{len(earlier) + 1:04d}"
    vintage = 1 + sum(e.period == entry.period for e in earlier)
    temporary = folder / f".{release}.tmp.npz"
    temporary.write_bytes(packed(entry))
    temporary.chmod(0o600)
    temporary.replace(folder / f"{release}.npz")
    _write_book(folder, entry, release, vintage, tables, data_hash)
    return release


def packed(entry: Entry) -> bytes:
    """An entry as a file; holds withheld figures."""
    keys, stream = list(entry.variables), BytesIO()
    np.savez_compressed(
        stream, period=entry.period, pattern_hash=entry.pattern_hash, scale=entry.scale, negative=entry.negative,
        keys=np.array(keys), variable=np.array([entry.variables[k] for k in keys]), data=entry.relations.data,
        indices=entry.relations.indices, indptr=entry.relations.indptr, shape=np.array(entry.relations.shape),
        values=entry.values, floors=entry.floors, published=entry.published, unsafe=entry.unsafe, up=entry.up,
        down=entry.down, width=entry.width,
    )  # fmt: skip
    return stream.getvalue()


def _write_book(folder: Path, entry: Entry, release: str, vintage: int, tables: str, data_hash: str) -> None:
    def line(key: str, variable: int) -> tuple[object, ...]:
        shown = variable < 0 or bool(entry.published[variable])
        value = amount(int(entry.values[variable]) if variable >= 0 else 0, entry.scale) if shown else ""
        return (
            release, tables, entry.period, vintage, key, value, "published" if shown else "hidden",
            amount(1, entry.scale), data_hash, entry.pattern_hash,
        )  # fmt: skip

    append_rows(folder / BOOK, HEADER, (line(key, variable) for key, variable in entry.variables.items()))


def exact_cells(entry: Entry) -> list[Shown]:
    """The cells an entry shows, structural zeros among them."""
    return [
        Shown(entry.period, key, "exact", "", "", entry.release)
        for key, variable in entry.variables.items()
        if variable < 0 or entry.published[variable]
    ]


def append_counts(folder: Path, period: str, version: Version, values: Mapping[str, int], data_hash: str) -> str:
    """Enter rounded or perturbed counts, value by cell key; returns the number of the release.

    Raises
    ------
    ProblemError
        For cells that an earlier release of the period shows in another version.
    """
    earlier = read_counts(folder)
    release = f"c{len({c.release for c in earlier}) + 1:04d}"
    cells = [Shown(period, cell, version, str(value), data_hash, release) for cell, value in values.items()]
    one_version(cells, [*earlier, *(c for entry in read(folder) for c in exact_cells(entry))])
    write_counts(folder, cells)
    return release


@dataclass(frozen=True)
class Conflict:
    """An unsafe cell that an earlier release of the same period showed."""

    cell: str
    variable: int
    release: str
    revised: bool


def conflicts(entries: Sequence[Entry], new: Entry) -> list[Conflict]:
    """Newly unsafe cells that were published: for the officer to decide."""
    found: dict[str, Conflict] = {}
    for entry in entries:
        if entry.period != new.period:
            continue
        for key, variable in new.variables.items():
            if variable < 0 or not new.unsafe[variable] or key not in entry.variables:
                continue
            earlier = entry.variables[key]
            if earlier >= 0 and entry.published[earlier]:
                revised = not _equal(entry, earlier, new, variable)
                found[key] = Conflict(key, variable, entry.release, revised)
    return list(found.values())


def _equal(a: Entry, i: int, b: Entry, j: int) -> bool:
    left = 0 if i < 0 else int(a.values[i]) * 10 ** max(0, b.scale - a.scale)
    right = 0 if j < 0 else int(b.values[j]) * 10 ** max(0, a.scale - b.scale)
    return left == right


def decisions(folder: Path) -> set[str]:
    """Cells that the officer decided to hide from now on.

    Raises
    ------
    ProblemError
        For any other decision.
    """
    path = folder / CONFLICTS
    if not path.exists():
        return set()
    frame = read_rows(path, ("cell", "decision"))
    found: set[str] = set()
    for line, (cell, decision) in enumerate(frame.select("cell", "decision").rows(), 2):
        if decision is None:
            continue
        if decision != HIDE:
            raise ProblemError(
                f"决定有误 / {path} line {line}, column decision: {decision!r}; expected {HIDE} or nothing; to publish the "
                "cell give it a waiver or status z in the specification"
            )
        found.add(cell)
    return found


def write_conflicts(folder: Path, found: Sequence[Conflict], taken: Collection[str]) -> Path:
    """The list for the officer, decisions kept."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CONFLICTS
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("cell", "published_in", "revised_since", "decision"))
        for c in found:
            writer.writerow((c.cell, c.release, "yes" if c.revised else "no", HIDE if c.cell in taken else ""))
    return path


def ratchet(entries: Sequence[Entry], new: Entry) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Variables of the new release hidden before, published before, and published before with the same value."""
    size = new.unsafe.size
    hidden, shown, same = (np.zeros(size, dtype=np.bool_) for _ in range(3))
    for entry in entries:
        if entry.period != new.period:
            continue
        for key, variable in new.variables.items():
            earlier = entry.variables.get(key)
            if variable < 0 or earlier is None:
                continue
            if earlier >= 0 and not entry.published[earlier]:
                hidden[variable] = True
                continue
            shown[variable] = True
            same[variable] |= _equal(entry, earlier, new, variable)
    return hidden & ~same, shown, same
