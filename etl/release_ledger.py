"""Everything officially released, by table and period: what a new release has to stand beside, and what it adds.

``AISTAT_HOME/ledger/<table>/<period>`` is a ledger as ``aistat protect --ledger`` keeps one (restricted: it holds withheld
figures). Every night protects beside what was officially released, so that a trial shows what an official release would;
only an official release is entered, before readers can see it.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from etl.methods.disclosure.beside import Earlier
from etl.methods.disclosure.ledger import BOOK, CONFLICTS, Conflict, append, decisions, read, unpacked, write_conflicts
from warehouse.release import ReleaseRefused

FOLDER: Final = "ledger"
PROPOSED: Final = ".proposed"


@dataclass(frozen=True)
class Place:
    """Where a table stands: ``core/ai_revenue``, and its period."""

    table: str
    period: str


@dataclass(frozen=True)
class Proposal:
    """A table as it would be released: its entry (:func:`etl.methods.disclosure.ledger.packed`) and open conflicts."""

    entry: bytes
    data_hash: str
    conflicts: tuple[Conflict, ...]


class ReleaseLedger:
    """The ledger of an installation, and what is proposed for its next official release (files, unit level)."""

    def __init__(self, root: Path) -> None:
        self.root = root / FOLDER

    def folder(self, place: Place) -> Path:
        """Where the releases of a table and period are kept."""
        return self.root / place.table / place.period

    def state(self, place: Place) -> str:
        """Changes with every release entered and every decision of the officer; empty where there was no release."""
        files = [self.folder(place) / name for name in (BOOK, CONFLICTS)]
        found = [f.read_bytes() for f in files if f.exists()]
        return hashlib.sha256(b"\x1f".join(found)).hexdigest() if found else ""

    def earlier(self, place: Place) -> Earlier:
        """All official releases of a table and period, with the officer's decisions."""
        folder = self.folder(place)
        return Earlier(tuple(read(folder)), frozenset(decisions(folder)))

    def begin(self, group: str) -> None:
        """Tables of a group (the first word of their names) are about to be proposed anew."""
        shutil.rmtree(self.root / PROPOSED / group, ignore_errors=True)

    def propose(self, place: Place, proposal: Proposal) -> None:
        """What would be released; conflicts go to the officer's list."""
        file = self._proposal(place)
        file.parent.mkdir(parents=True, exist_ok=True)
        said = {"data_hash": proposal.data_hash, "conflicts": [asdict(c) for c in proposal.conflicts]}
        for path, content in ((file, proposal.entry), (file.with_suffix(".json"), json.dumps(said).encode())):
            path.touch(mode=0o600)
            path.write_bytes(content)
        if proposal.conflicts:
            folder = self.folder(place)
            write_conflicts(folder, proposal.conflicts, decisions(folder))

    def withdraw(self, place: Place) -> None:
        """Nothing of these tables is shown after all."""
        for suffix in (".npz", ".json"):
            self._proposal(place).with_suffix(suffix).unlink(missing_ok=True)

    def _proposal(self, place: Place) -> Path:
        return self.root / PROPOSED / place.table / f"{place.period}.npz"

    def proposals(self) -> dict[Place, Proposal]:
        """All that is proposed, in order of table and period."""
        found = {}
        base = self.root / PROPOSED
        for file in sorted(base.rglob("*.npz")):
            said = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
            conflicts = tuple(Conflict(**c) for c in said["conflicts"])
            place = Place(file.parent.relative_to(base).as_posix(), file.stem)
            found[place] = Proposal(file.read_bytes(), said["data_hash"], conflicts)
        return found

    def enter(self) -> int:
        """Enter all that is proposed, since it is released officially; returns how many tables were new or had changed.

        Raises
        ------
        ReleaseRefused
            While a conflict is undecided, or where nothing is proposed.
        """
        proposals = self.proposals()
        if not proposals:
            raise ReleaseRefused(
                f"没有可入台账的表 / {self.root}: no table is proposed for release; run the whole nightly job first (aistat run)"
            )
        self._refuse_undecided(proposals)
        count = 0
        for place, proposal in proposals.items():
            entry, earlier = unpacked(proposal.entry), self.earlier(place).entries
            if not earlier or earlier[-1].pattern_hash != entry.pattern_hash:
                append(self.folder(place), entry, place.table, proposal.data_hash)
                count += 1
        return count

    def _refuse_undecided(self, proposals: Mapping[Place, Proposal]) -> None:
        found = [
            (place, conflict)
            for place, proposal in proposals.items()
            for conflict in proposal.conflicts
            if conflict.cell not in decisions(self.folder(place))
        ]
        if found:
            place, conflict = found[0]
            raise ReleaseRefused(
                f"需保密官决定 / {len(found)} cells published before are unsafe now, the first in {place.table} {place.period}: "
                f"{conflict.cell}; the officer writes 'hide' into the column decision of {self.folder(place) / CONFLICTS}"
            )


_ACTIVE: ContextVar[ReleaseLedger | None] = ContextVar("release_ledger", default=None)


def active() -> ReleaseLedger | None:
    """The ledger of the run under way, if there is one."""
    return _ACTIVE.get()


def begin(group: str) -> None:
    """Tables of a group are about to be proposed anew by the run under way."""
    if (ledger := active()) is not None:
        ledger.begin(group)


def withdraw(place: Place) -> None:
    """Nothing of these tables is shown by the run under way."""
    if (ledger := active()) is not None:
        ledger.withdraw(place)


@contextmanager
def keeping(ledger: ReleaseLedger) -> Iterator[ReleaseLedger]:
    """Within, tables are protected beside what the ledger holds and proposed to it."""
    token = _ACTIVE.set(ledger)
    try:
        yield ledger
    finally:
        _ACTIVE.reset(token)
