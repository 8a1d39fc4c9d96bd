"""Everything officially released, by table and period: what a new release has to stand beside, and what it adds.

``AISTAT_HOME/ledger/<table>/<period>`` is a ledger as ``aistat protect --ledger`` keeps one (restricted: it holds withheld
figures). Every night protects beside what was officially released, so that a trial shows what an official release would;
only an official release is entered, before readers can see it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from etl.methods.disclosure.beside import Earlier
from etl.methods.disclosure.ledger import BOOK, CONFLICTS, Conflict, append, decisions, read, unpacked, write_conflicts
from warehouse.release import ReleaseRefused

FOLDER: Final = "ledger"


@dataclass(frozen=True)
class Place:
    """Where a table stands: ``core/ai_revenue``, and its period."""

    table: str
    period: str


@dataclass(frozen=True)
class Proposal:
    """A table as this run would release it: its entry (:func:`etl.methods.disclosure.ledger.packed`) and open conflicts."""

    entry: bytes
    data_hash: str
    conflicts: tuple[Conflict, ...]


@dataclass
class ReleaseLedger:
    """The ledger of an installation, and what the run under way proposes."""

    root: Path
    proposals: dict[Place, Proposal] = field(default_factory=dict)

    def folder(self, place: Place) -> Path:
        """Where the releases of a table and period are kept."""
        return self.root / FOLDER / place.table / place.period

    def state(self, place: Place) -> str:
        """Changes with every release entered and every decision of the officer; empty where there was no release."""
        files = [self.folder(place) / name for name in (BOOK, CONFLICTS)]
        found = [f.read_bytes() for f in files if f.exists()]
        return hashlib.sha256(b"\x1f".join(found)).hexdigest() if found else ""

    def earlier(self, place: Place) -> Earlier:
        """All official releases of a table and period, with the officer's decisions."""
        folder = self.folder(place)
        return Earlier(tuple(read(folder)), frozenset(decisions(folder)))

    def propose(self, place: Place, proposal: Proposal) -> None:
        """What this run would release; conflicts go to the officer's list."""
        self.proposals[place] = proposal
        if proposal.conflicts:
            folder = self.folder(place)
            write_conflicts(folder, proposal.conflicts, decisions(folder))

    def withdraw(self, place: Place) -> None:
        """Nothing of these tables is shown after all."""
        self.proposals.pop(place, None)

    def undecided(self) -> list[tuple[Place, Conflict]]:
        """Cells published before and unsafe now that nobody has decided about."""
        return [
            (place, conflict)
            for place, proposal in self.proposals.items()
            for conflict in proposal.conflicts
            if conflict.cell not in decisions(self.folder(place))
        ]

    def enter(self) -> int:
        """Enter all that this run releases officially; returns how many tables were new or had changed.

        Raises
        ------
        ReleaseRefused
            While a conflict is undecided.
        """
        if found := self.undecided():
            place, conflict = found[0]
            raise ReleaseRefused(
                f"需保密官决定 / {len(found)} cells published before are unsafe now, the first in {place.table} {place.period}: "
                f"{conflict.cell}; the officer writes 'hide' into the column decision of {self.folder(place) / CONFLICTS}"
            )
        count = 0
        for place, proposal in sorted(self.proposals.items(), key=lambda item: (item[0].table, item[0].period)):
            entry = unpacked(proposal.entry)
            earlier = self.earlier(place).entries
            if not earlier or earlier[-1].pattern_hash != entry.pattern_hash:
                append(self.folder(place), entry, place.table, proposal.data_hash)
                count += 1
        return count


_ACTIVE: ContextVar[ReleaseLedger | None] = ContextVar("release_ledger", default=None)


def active() -> ReleaseLedger | None:
    """The ledger of the run under way, if there is one."""
    return _ACTIVE.get()


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
