"""The classifier under watch, night by night: profile, drift gate, change list, quality report.

``profiles/<release id>.json`` under ``AISTAT_HOME`` keeps, beside each release, the profile its successors are compared with and the
outcome of its own gate; ``quality/<release id>.json`` its quality report. Both are restricted and hold no unit.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from etl.adjusted import adjusted_rows
from etl.coding import DECIDED
from etl.promise import NO_GOLD, NightPromise, standing
from taxonomy.classifier.changes import Changes, change_list, joined
from taxonomy.classifier.drift import Drift, gate, gold_signals, labels_in_order, load_limits
from taxonomy.classifier.evaluate import QualityReport, RunFacts, evaluate
from taxonomy.classifier.gold_use import calibration_share, judging
from taxonomy.classifier.profile import Profile
from taxonomy.classifier.promise import Promise
from taxonomy.classifier.store import current_bundle
from warehouse.release import current_id
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import gold_units
from warehouse.write import WorkStore

CHANGE = "process_register__log_code_change"
CODE_UNIT = "process_register__code_unit"
CANDIDATE = ".candidate"
CHANGES = ".changes"
CHECKED = 100_000
"""Units, the first in order, whose evidence is checked."""
INPUTS = ("unit_id", "gbt_code", "input_hash")


@dataclass(frozen=True)
class Watch:
    """What a night leaves for the next: its profile, the gate's outcome, labels seen, changes since the last bundle."""

    profile: Profile
    drift: Drift
    labels: tuple[int, int]
    changes: Mapping[str, Any] | None
    promise: NightPromise = NO_GOLD

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "profile": self.profile.as_dict(), "drift": self.drift.as_dict(), "labels": list(self.labels),
            "changes": None if self.changes is None else dict(self.changes), "promise": self.promise.as_dict(),
        }  # fmt: skip


def _folder(root: Path) -> Path:
    return root / "profiles"


def _write(path: Path, body: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(body, ensure_ascii=False, sort_keys=True, allow_nan=False), encoding="utf-8")
    temporary.replace(path)


def read_watch(root: Path, name: str) -> Watch | None:
    """What a release left (or the candidate of the night), None if it left nothing.

    Raises
    ------
    ValueError
        If the file cannot be used; it names the file.
    """
    path = _folder(root) / f"{name}.json"
    if not path.is_file():
        return None
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        drift, profile = Drift.from_dict(body["drift"]), Profile.from_dict(body["profile"])
        promise = NightPromise.from_dict(body["promise"]) if "promise" in body else NO_GOLD
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"profiles/{path.name} cannot be used ({error}); delete it and run again") from error
    return Watch(profile, drift, (body["labels"][0], body["labels"][1]), body["changes"], promise)


def reference(root: Path) -> tuple[str, Watch | None]:
    """The release to compare with: the one being served; where it left no profile, the newest that did."""
    served = current_id(root)
    if served is not None and (found := read_watch(root, served)) is not None:
        return served, found
    names = sorted(p.stem for p in _folder(root).glob("r*.json")) if _folder(root).is_dir() else []
    return (names[-1], read_watch(root, names[-1])) if names else ("", None)


def gold_of(root: Path) -> pl.DataFrame | None:
    """The newest gold sample with its labels; None while there is none."""
    gold = gold_units(ReviewJournal(root))
    return gold if gold.height and gold["codes"].null_count() < gold.height else None


def watch(
    root: Path,
    now: Profile,
    *,
    wrong: Sequence[bool] | None = None,
    accepted: str = "",
    promise: NightPromise = NO_GOLD,
) -> Watch:
    """Compare a night's coding with the release being served, and leave the outcome as the candidate of the next release.

    ``now``: tonight's profile; ``wrong``: the newest gold labels (:func:`served_labels`), None without gold; ``promise`` what the night promises. The same profile and labels as those of
    the release keep its outcome: there is nothing new to judge, and the same content must give the same release.
    """
    limits = load_limits()
    name, last = reference(root)
    labels = (len(wrong or ()), sum(wrong or ()))
    if last is not None and (last.profile.as_dict(), last.labels) == (now.as_dict(), labels):
        drift, changes = last.drift, last.changes
    else:
        signals = gold_signals(wrong, limits, _promised(last)) if wrong is not None else ()
        drift = gate(None if last is None else last.profile, now, limits, reference=name, gold=signals)
        changes = _carried(root, now, last)
    if drift.blocks and accepted:
        drift = replace(drift, accepted=accepted)
    found = Watch(now, drift, labels, changes, promise)
    _write(_folder(root) / f"{CANDIDATE}.json", found.as_dict())
    return found


def promise_of(root: Path, release_id: str) -> Promise | None:
    """What the night that made a release promised; None when it promised nothing."""
    left = read_watch(root, release_id)
    return None if left is None else left.promise.promise


def _promised(last: Watch | None) -> float | None:
    return None if last is None or last.promise.promise is None else last.promise.promise.error


def served_labels(root: Path, decisions: pl.DataFrame, gold: pl.DataFrame) -> list[bool]:
    """The labels that test the promise of the release being served: those of units it lets the machine code alone.

    Tonight's promise is made of the same labels and would always pass; the one that stands published is at stake. A release
    that promised nothing has nothing to be tested: what gold does not support goes to people, which is no drift.
    """
    last = reference(root)[1]
    if last is None or last.promise.promise is None:
        return []
    stands = standing(decisions, last.promise.promise).filter("promised")
    return labels_in_order(stands, gold)


def _carried(root: Path, now: Profile, last: Watch | None) -> Mapping[str, Any] | None:
    """Changes since the last bundle: those last written if they led to this bundle, else those of the release."""
    path = _folder(root) / f"{CHANGES}.json"
    if path.is_file():
        body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if body["bundle"] == list(now.bundles):
            return body
    return None if last is None else last.changes


class ChangeLog:
    """Collects, chunk by chunk, what a new bundle changed."""

    def __init__(self) -> None:
        self._parts: list[Changes] = []

    def see(self, before: pl.DataFrame | None, now: pl.DataFrame) -> None:
        """A chunk of the register as it was coded and as it is; kept where the bundle is another one."""
        if before is None or not before.height or set(before["bundle"].unique()) == set(now["bundle"].unique()):
            return
        columns = [c for c in INPUTS if c in before.columns and c in now.columns]
        self._parts.append(
            change_list(before, now, inputs_before=before.select(columns), inputs_now=now.select(columns))
        )

    def record(self, root: Path, work: WorkStore, bundle: str) -> None:
        """Keep the change list (restricted, in the work store) and its summary, if there is one."""
        if not self._parts:
            return
        found = joined(self._parts)
        work.write(CHANGE, found.units)
        _write(_folder(root) / f"{CHANGES}.json", {"bundle": [bundle], **found.as_dict()})


def report_of(
    root: Path, work: WorkStore, vintage: str, *, synthetic: bool, suspects: Mapping[str, Any] | None = None
) -> QualityReport:
    """The quality report of the night that :func:`watch` looked at; ``suspects``: :meth:`etl.suspects.Suspects.as_dict`."""
    left = read_watch(root, CANDIDATE)
    facts = RunFacts(
        as_of=vintage,
        is_synthetic=synthetic,
        drift=None if left is None else left.drift.as_dict(),
        changes=None if left is None else left.changes,
        suspects=suspects,
        night=(NO_GOLD if left is None else left.promise).as_dict(),
    )
    checked = work.read(CODE_UNIT, rows=CHECKED)
    decisions, gold = work.read(CODE_UNIT, DECIDED, any_order=True), gold_of(root)
    facts = replace(facts, adjusted=adjusted_rows(decisions, gold)[0])
    if gold is not None:
        gold = judging(gold, calibration_share(current_bundle(root / "bundles")))
    return evaluate(decisions, gold, facts, evidence=checked)


def keep(root: Path, release_id: str, report: QualityReport) -> None:
    """Keep the candidate as the profile of a release, and the report beside it."""
    left = read_watch(root, CANDIDATE)
    if left is not None:
        _write(_folder(root) / f"{release_id}.json", left.as_dict())
    _write(root / "quality" / f"{release_id}.json", report.as_dict())
