"""One cell is released in one version only: exact, rounded or with noise. Two versions side by side undo the protection."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from etl.methods.disclosure.problem import ProblemError
from etl.methods.disclosure.textfile import append_rows, read_rows

Version = Literal["exact", "rounded", "cell_key"]
COUNTS: Final = "counts.csv"
HEADER: Final = ("release", "period", "version", "cell", "value", "data_hash")
VERSIONS: Final[Mapping[str, Version]] = {v: v for v in ("exact", "rounded", "cell_key")}
#: Cells a refusal names.
NAMED: Final = 5


@dataclass(frozen=True)
class Shown:
    """A cell as a release shows it; ``cell``: key as of the ledger, ``data_hash``: of the data behind it."""

    period: str
    cell: str
    version: Version
    value: str
    data_hash: str
    release: str


def clashes(new: Iterable[Shown], earlier: Iterable[Shown]) -> list[tuple[Shown, Shown]]:
    """New and earlier showing of every cell of a period that stands in two versions.

    Another version is one, and so is another value of the same data rounded or perturbed anew (another seed, secret or
    set of tables). Exact values of one data set cannot differ; revisions have other data.
    """
    known: dict[tuple[str, str], list[Shown]] = {}
    for cell in earlier:
        known.setdefault((cell.period, cell.cell), []).append(cell)
    found = []
    for cell in new:
        for before in known.get((cell.period, cell.cell), ()):
            anew = cell.version != "exact" and cell.data_hash == before.data_hash and cell.value != before.value
            if cell.version != before.version or anew:
                found.append((cell, before))
                break
    return found


def one_version(new: Iterable[Shown], earlier: Iterable[Shown]) -> None:
    """Refuse a release that would show a cell in a second version.

    Raises
    ------
    ProblemError
        With the first cells, the version and the release they stand in.
    """
    found = clashes(new, earlier)
    if found:
        named = ", ".join(f"{n.cell} ({b.version}, {b.release})" for n, b in found[:NAMED])
        more = f" … {len(found) - NAMED:,} more" if len(found) > NAMED else ""
        raise ProblemError(
            f"同一单元只能以一种形式发布 / {len(found):,} cells asked for as {found[0][0].version} were released otherwise: "
            f"{named}{more}; expected one version of a cell; leave these cells out or release them as before"
        )


def read_counts(folder: Path) -> list[Shown]:
    """Every rounded or perturbed count released.

    Raises
    ------
    ProblemError
        For a line with another version.
    """
    path = folder / COUNTS
    if not path.exists():
        return []
    found = []
    for line, row in enumerate(read_rows(path, HEADER).select(HEADER).rows(named=True), 2):
        if row["version"] not in VERSIONS:
            raise ProblemError(
                f"台账有误 / {path} line {line}, column version: {row['version']!r}; expected rounded or cell_key; "
                "restore the ledger from backup"
            )
        version = VERSIONS[row["version"]]
        text = {k: row[k] or "" for k in HEADER}
        found.append(Shown(text["period"], text["cell"], version, text["value"], text["data_hash"], text["release"]))
    return found


def write_counts(folder: Path, cells: Sequence[Shown]) -> None:
    """Append released counts; the file is the owner's alone."""
    folder.mkdir(parents=True, exist_ok=True)
    append_rows(
        folder / COUNTS, HEADER, ((c.release, c.period, c.version, c.cell, c.value, c.data_hash) for c in cells)
    )
