"""One more release of a table beside all earlier ones: ratchet, conflicts, and the audit of all releases together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl.methods.disclosure.ledger import Conflict, Entry, cell_keys, conflicts, entry_of, ratchet
from etl.methods.disclosure.problem import Problem, ProblemError
from etl.methods.disclosure.protection import Options, protect
from etl.methods.disclosure.verify.joint import check, join, largest_revision
from etl.methods.disclosure.verify.report import Auditor
from etl.methods.disclosure.vintages import harden

BoolArray = NDArray[np.bool_]


class NotCertified(ProblemError):
    """No pattern was certified in time; ``open`` names cells without a certificate."""

    def __init__(self, open_cells: Sequence[str]) -> None:
        super().__init__(f"时限内无合格方案 / no certified pattern in time, open: {'; '.join(open_cells[:3])}")
        self.open = tuple(open_cells)


class StayExposed(ProblemError):
    """Whatever more is hidden, the releases together give ``cells`` away."""

    def __init__(self, cells: Sequence[str]) -> None:
        super().__init__(f"与以往发布合看泄露 / with earlier releases these cells stay exposed: {'; '.join(cells[:3])}")
        self.cells = tuple(cells)


@dataclass(frozen=True)
class Earlier:
    """All releases of a table, oldest first, and the cells the officer decided to hide although they were published."""

    entries: tuple[Entry, ...] = ()
    accepted: frozenset[str] = frozenset()

    def accepting(self, found: Sequence[Conflict]) -> "Earlier":
        """The same with further cells taken for known."""
        return replace(self, accepted=self.accepted | {c.cell for c in found})


def entry_with(auditor: Auditor, published: BoolArray, pattern_hash: str = "") -> Entry:
    """The entry of a choice of published variables, shape ``(variables,)``."""
    size, asked = auditor.problem.size, auditor.asked
    sides = (asked.up[:size], asked.down[:size], asked.width[:size])
    return entry_of(auditor.loaded, published, auditor.unsafe, sides, pattern_hash=pattern_hash)


def joint_checks(auditor: Auditor, new: Entry, earlier: Earlier) -> dict[str, dict[str, Any]]:
    """Checks of a release together with all others of its period; none where it is the first."""
    others = [e for e in earlier.entries if not new.pattern_hash or e.pattern_hash != new.pattern_hash]
    same = [e for e in others if e.period == new.period]
    if not same:
        return {}
    joint = join([*same, new], largest_revision([*others, new]), sorted(earlier.accepted))
    return check(joint, auditor.interval, auditor.seed, auditor.progress)


def new_conflicts(auditor: Auditor, earlier: Earlier) -> list[Conflict]:
    """Cells that are unsafe now and were published: the officer's to decide."""
    nothing = np.zeros(auditor.problem.size, dtype=np.bool_)
    return conflicts(earlier.entries, entry_with(auditor, nothing))


def hidden_beside(auditor: Auditor, problem: Problem, earlier: Earlier, options: Options) -> BoolArray:
    """Variables to hide so that neither this release nor all together give an unsafe cell away, shape ``(variables,)``.

    What was hidden stays hidden unless it is known by now; what was shown with the same value is shown again. Revised
    cells above exposed ones are hidden besides.

    Parameters
    ----------
    auditor
        Of the table: says what is unsafe.
    problem
        The table's, with what is decided elsewhere.

    Raises
    ------
    NotCertified, StayExposed
        Where there is no such pattern; ProblemError where protection is impossible.
    """
    if not earlier.entries:
        return _certified(problem, auditor, options)
    before, shown, same = ratchet(earlier.entries, entry_with(auditor, np.zeros(problem.size, dtype=np.bool_)))
    fixed = same & ~auditor.unsafe & (problem.given == "")
    problem = replace(problem, given=np.where(fixed, "z", problem.given).astype("<U1"))
    options = replace(
        options, earlier=np.flatnonzero(shown).tolist(), withheld=np.flatnonzero(before).tolist()
    )  # fmt: skip
    hidden = _certified(problem, auditor, options) | before

    def exposed(chosen: BoolArray) -> list[str]:
        checks = joint_checks(auditor, entry_with(auditor, ~chosen), earlier)
        return sorted({name.split(": ", 1)[1] for found in checks.values() for name in found["names"]})

    hardened, left = harden(problem, hidden, cell_keys(auditor.loaded), same, exposed)
    if left:
        raise StayExposed(left)
    return hardened


def _certified(problem: Problem, auditor: Auditor, options: Options) -> BoolArray:
    protection = protect(problem, auditor.loaded.spec.rules, options)
    if not protection.report.certified:
        raise NotCertified(protection.report.open)
    return protection.hidden
