"""What ``aistat protect`` and ``aistat audit`` share: reading, progress, the audit with its ledger."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aistat.errors import CheckFailed, UserError

if TYPE_CHECKING:
    from etl.methods.disclosure.beside import Earlier
    from etl.methods.disclosure.ledger import Entry
    from etl.methods.disclosure.loading import Loaded
    from etl.methods.disclosure.verify.pattern import Pattern
    from etl.methods.disclosure.verify.report import Auditor, Report

Progress = Callable[[str, int, int], None]
#: Seconds between two lines of progress.
PAUSE = 5.0


class Ticker:
    """Progress on standard error: one line a stage, and one now and then while it lasts."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.last, self.stage = self.began, ""

    def say(self, text: str) -> None:
        """A line with the seconds since the beginning."""
        print(f"[{time.monotonic() - self.began:7.1f} s] {text}", file=sys.stderr, flush=True)

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.last >= PAUSE:
            self.last = now
            self.say(f"{stage}: {max(done, 0):,} / {total:,}")


def load_input(path: Path, spec_path: Path, ticker: Ticker) -> "Loaded":
    """Specification and input; UserError where either cannot be used."""
    from etl.methods.disclosure.loading import load
    from etl.methods.disclosure.problem import ProblemError
    from etl.methods.disclosure.spec import read_spec

    try:
        loaded = load(path, read_spec(spec_path))
    except ProblemError as error:
        raise UserError(_line(error)) from None
    for note in loaded.notes:
        ticker.say(f"注意 / note: {note}")
    ticker.say(f"已读入 / read {path}: {loaded.problem.cells.height:,} cells")
    return loaded


def read_ledger(folder: Path | None) -> list["Entry"]:
    """Releases of the ledger, none without one; UserError where it cannot be used."""
    from etl.methods.disclosure.ledger import read
    from etl.methods.disclosure.problem import ProblemError

    try:
        return [] if folder is None else read(folder)
    except ProblemError as error:
        raise UserError(_line(error)) from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def entry_from(auditor: "Auditor", pattern: "Pattern", pattern_hash: str) -> "Entry":
    """A pattern as the ledger knows it."""
    from etl.methods.disclosure.beside import entry_with
    from etl.methods.disclosure.verify.pattern import lay

    return entry_with(auditor, lay(pattern, auditor.problem).published, pattern_hash)


def full_audit(
    auditor: "Auditor", pattern: "Pattern", pattern_hash: str, entries: list["Entry"], folder: Path | None
) -> tuple["Report", dict[str, Any]]:
    """The audit of a pattern alone, and with every release of its period where a ledger is kept."""
    report = auditor.audit(pattern)
    if folder is not None:
        new = entry_from(auditor, pattern, pattern_hash)
        _one_version(new, folder)
        report.checks |= with_ledger(auditor, new, entries, folder)
    return report, report.as_dict()


def _one_version(new: "Entry", folder: Path) -> None:
    """CheckFailed for cells that the ledger has rounded or with noise."""
    from etl.methods.disclosure.ledger import exact_cells
    from etl.methods.disclosure.problem import ProblemError
    from etl.methods.disclosure.versions import one_version, read_counts

    try:
        one_version(exact_cells(new), read_counts(folder))
    except ProblemError as error:
        raise CheckFailed(_line(error)) from None


def with_ledger(auditor: "Auditor", new: "Entry", entries: list["Entry"], folder: Path) -> dict[str, dict[str, Any]]:
    """Checks of a release together with all others of its period; none where it is the first."""
    from etl.methods.disclosure.beside import joint_checks

    return joint_checks(auditor, new, earlier_of(entries, folder))


def earlier_of(entries: list["Entry"], folder: Path) -> "Earlier":
    """The releases of a ledger with what the officer decided; UserError for a decision there is not."""
    from etl.methods.disclosure.beside import Earlier
    from etl.methods.disclosure.ledger import decisions
    from etl.methods.disclosure.problem import ProblemError

    try:
        return Earlier(tuple(entries), frozenset(decisions(folder)))
    except ProblemError as error:
        raise UserError(_line(error)) from None


def write(path: Path, content: bytes, restricted: bool = True) -> None:
    """Write a file whole or not at all; restricted ones are readable by their owner only."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.chmod(0o600 if restricted else 0o644)
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"无法写入 / cannot write {path}: {error.strerror}; choose another path") from None


def writable(*paths: Path | None) -> None:
    """UserError before the work begins where a result could not be written."""
    for path in paths:
        if path is not None and not path.resolve().parent.is_dir():
            raise UserError(
                f"目录不存在 / no directory {path.resolve().parent} for {path.name}; make it or choose another"
            )
