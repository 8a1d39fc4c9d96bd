"""Code the register with the classifier, unit by unit, only where something changed; in chunks, in constant memory.

A unit's input is its texts and its declared code; their SipHash (:mod:`etl.siphash`) is stored beside the decision. A
unit whose input and bundle are as they were keeps its decision, so that the result always equals a full pass.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from etl.compact import compact
from etl.filing_text import FILING_TEXT, with_filing_text
from etl.remember import Memory
from etl.siphash import siphash128
from taxonomy.classifier.batch import code_batch
from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.decide import nominated
from taxonomy.classifier.gold import with_text_hashes
from taxonomy.classifier.store import current_bundle
from taxonomy.scheme import load_scheme
from warehouse.write import WorkStore

INPUT: Final = ["unit_id", "name", "business_scope", "main_products", "gbt_code"]
LOCKS: Final = {"unit_id": pl.String, "code": pl.String, "text_hash": pl.String}
"""Adjudicated codes and the text each was about: they stand until the text changes (a code of `none` included)."""
KEPT: Final = ["unit_id", "ai_class", "segment", "p_ai", "probability", "route", "candidates", "evidence", "bundle"]
CODED: Final = [*KEPT, "nominated", "candidate_leaves", "input_hash"]
DECIDED: Final = [c for c in KEPT if c != "evidence"]
"""Columns of a decision without its evidence, which is most of the bytes of a register of millions."""
STATE: Final = ["unit_id", "input_hash"]
BATCH_ROWS: Final = 50_000
MOST_CHANGED: Final = 0.1
"""Where a larger part of the units changed, the table is written anew."""


@dataclass(frozen=True)
class Pass:
    """What one pass over the register did: units, how many coded anew, nominated, and without a route (must be 0)."""

    units: int
    fresh: int
    nominated: int
    undecided: int


def load_bundle(directory: Path) -> Bundle:
    """The bundle in use: the promoted one, else that of the installed taxonomy (built when it is not there yet)."""
    directory.mkdir(parents=True, exist_ok=True)
    return current_bundle(directory)


def _locked(frame: pl.DataFrame, locks: pl.DataFrame | None) -> pl.DataFrame:
    """Add ``locked_class``: the adjudicated code of units whose text is still the one it was about."""
    if locks is None or locks.height == 0:
        return frame.with_columns(locked_class=pl.lit(None, pl.String))
    hashed = with_text_hashes(frame.join(locks.select("unit_id"), on="unit_id", how="semi"))
    valid = hashed.join(locks, on=["unit_id", "text_hash"], how="inner").select("unit_id", locked_class="code")
    return frame.join(valid, on="unit_id", how="left", validate="1:1", maintain_order="left")


def coding_input(
    register: pl.DataFrame, locks: pl.DataFrame | None = None, filings: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The columns the classifier reads, with a hash of them per unit (missing and empty differ); ``locks``: :data:`LOCKS`,
    ``filings``: :func:`etl.filing_text.filing_texts`."""
    frame = _locked(register.select(pl.col("uscc").alias("unit_id"), *INPUT[1:]), locks)
    frame = with_filing_text(frame, filings)
    read = [*INPUT[1:], "locked_class"]
    parts = [*(pl.col(c).fill_null("\x00") for c in read), pl.col(FILING_TEXT)]
    text = frame.select(pl.concat_str(parts, separator="\x1f", ignore_nulls=True)).to_series()
    return frame.with_columns(siphash128(text).alias("input_hash"))


def _code(frame: pl.DataFrame, bundle: Bundle) -> pl.DataFrame:
    records: list[pa.RecordBatch] = []
    for batch in frame.select(*INPUT, "locked_class", FILING_TEXT).iter_slices(BATCH_ROWS):
        records += batch.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks().to_batches()
    if not records:
        records = [pa.RecordBatch.from_pylist([], schema=pa.schema([(c, pa.string()) for c in INPUT]))]
    coded = pl.concat([pl.from_arrow(pa.Table.from_batches([code_batch(r, bundle)])) for r in records])
    assert isinstance(coded, pl.DataFrame)
    return coded


def with_leaves(codes: pl.DataFrame, none_below: float) -> pl.DataFrame:
    """Add ``nominated`` and ``candidate_leaves`` (core leaves: the class shown first, then its candidates in order)."""
    core = [c.code for c in load_scheme("ai_industry_2026").at_level(3) if c.segment == "core"]
    ranked = pl.col("candidates").fill_null("[]").str.json_decode(pl.List(pl.Struct({"code": pl.String})))
    codes_in_order = ranked.list.eval(pl.element().struct.field("code"))
    leaves = (
        pl.concat_list(pl.concat_list("ai_class"), codes_in_order)
        .list.eval(pl.element().filter(pl.element().is_in(core)))
        .list.unique(maintain_order=True)
    )
    return codes.with_columns(nominated(codes, none_below), candidate_leaves=leaves)


def _code_chunk(units: pl.DataFrame, bundle: Bundle, previous: pl.DataFrame | None) -> tuple[pl.DataFrame, int]:
    """Decisions of a chunk in the order of ``unit_id``; ``previous`` holds those there were of the same units."""
    todo, kept = units, None
    if previous is not None and previous.height:
        valid = previous.filter(pl.col("bundle") == bundle.hash)
        same = valid.join(units, on=["unit_id", "input_hash"], how="semi")
        todo = units.join(same, on="unit_id", how="anti")
        kept = same.select(CODED)
    if todo.height == 0 and kept is not None:
        return kept.sort("unit_id"), 0
    fresh = with_leaves(_code(todo, bundle).select(KEPT), bundle.parameters.none_below).join(
        todo.select("unit_id", "input_hash"), on="unit_id", how="left", validate="1:1"
    )
    return pl.concat([fresh, *([kept] if kept is not None else [])]).sort("unit_id"), todo.height


class _Window:
    """Rows of frames that come in the order of ``unit_id``, handed out up to a given unit."""

    def __init__(self, frames: Iterable[pl.DataFrame]) -> None:
        self._frames = iter(frames)
        self._held: pl.DataFrame | None = None

    def up_to(self, unit: str) -> pl.DataFrame | None:
        """Rows not handed out yet whose ``unit_id`` is at most ``unit``; None when there are no frames at all."""
        while self._held is None or self._held.height == 0 or self._held["unit_id"][-1] <= unit:
            following = next(self._frames, None)
            if following is None:
                break
            self._held = following if self._held is None else pl.concat([self._held, following])
        if self._held is None:
            return None
        due = int((self._held["unit_id"] <= unit).sum())
        head, self._held = self._held.head(due), self._held.slice(due)
        return head

    def rest(self) -> Iterator[pl.DataFrame]:
        """Rows not handed out yet."""
        if self._held is not None:
            yield self._held
        yield from self._frames


def _in_order(register: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Frames with rows; ValueError where they do not come in the order of ``uscc``."""
    last = ""
    for chunk in register:
        if chunk.height == 0:
            continue
        if not chunk["uscc"].is_sorted() or chunk["uscc"][0] < last:
            raise ValueError("the register must come in the order of uscc to be coded chunk by chunk; sort it first")
        last = chunk["uscc"][-1]
        yield chunk


def code_chunks(
    register: Iterable[pl.DataFrame],
    bundle: Bundle,
    previous: Iterable[pl.DataFrame] = (),
    *,
    reuse: bool = True,
    locks: pl.DataFrame | None = None,
    filings: pl.DataFrame | None = None,
    seen: Callable[[pl.DataFrame | None, pl.DataFrame], None] | None = None,
) -> Iterator[tuple[pl.DataFrame, int]]:
    """Decisions chunk by chunk, and how many of each chunk had to be coded anew.

    ``register`` comes in the order of ``uscc``, ``previous`` (an earlier result) in the order of ``unit_id``; the chunks
    of one need not match those of the other. Without ``reuse`` everything is coded anew; ``seen`` is shown what a chunk
    was before (None: nothing) and is now. ValueError when the register is not in order.
    """
    window = _Window(previous)
    for chunk in _in_order(register):
        before = window.up_to(chunk["uscc"][-1])
        frame, anew = _code_chunk(coding_input(chunk, locks, filings), bundle, before if reuse else None)
        if seen is not None:
            seen(before, frame)
        yield frame, anew


def code_units(
    register: pl.DataFrame, bundle: Bundle, previous: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, int]:
    """Codes of every register unit, and how many had to be coded anew.

    ``previous`` is the last result of this function; a unit whose texts, declared code and bundle are unchanged
    keeps its decision (the result equals a full pass, which is tested).
    """
    before = [previous.sort("unit_id")] if previous is not None and previous.height else []
    coded = list(code_chunks(register.sort("uscc").iter_slices(BATCH_ROWS), bundle, before))
    if not coded:
        return _code_chunk(coding_input(register), bundle, None)
    return pl.concat([frame for frame, _ in coded]), sum(fresh for _, fresh in coded)


@dataclass(frozen=True)
class _Changes:
    """Units to be coded (as :func:`coding_input` gives them), and those whose decision there is goes (changed ones too)."""

    todo: list[pl.DataFrame]
    gone: pl.Series

    @property
    def fresh(self) -> int:
        return sum(units.height for units in self.todo)


def _compared(
    work: WorkStore, register: str, codes: str, locks: pl.DataFrame | None, filings: pl.DataFrame | None
) -> _Changes | None:
    """What came, went or changed since ``codes`` was made; reads no evidence. None: so much that a pass over all is better."""
    window, found = _Window(work.batches(codes, STATE)), _Changes([], pl.Series([], dtype=pl.String))
    most, gone = _most(work, codes), [found.gone]
    for chunk in _in_order(work.batches(register, ["uscc", *INPUT[1:]])):
        before, now = window.up_to(chunk["uscc"][-1]), coding_input(chunk, locks, filings)
        if before is None or found.fresh > most:
            return None
        if not before.equals(now.select(STATE)):
            found.todo.append(compact(now.join(before, on=STATE, how="anti", maintain_order="left")))
            gone.append(compact(before.join(now, on=STATE, how="anti").select("unit_id"))["unit_id"])
    gone += [rest["unit_id"] for rest in window.rest()]
    return _Changes([units for units in found.todo if units.height], pl.concat(gone))


def _most(work: WorkStore, codes: str) -> int:
    return max(int(work.rows(codes) * MOST_CHANGED), BATCH_ROWS)


def _lock_table(codes: str) -> str:
    """Table of the locks that ``codes`` was made with."""
    return f"{codes}_lock"


def _relocked(work: WorkStore, codes: str, locks: pl.DataFrame | None) -> pl.Series:
    """Units whose lock came, went or changed since ``codes`` was made."""
    none = pl.DataFrame(schema=LOCKS)
    before = work.read(_lock_table(codes)) if work.exists(_lock_table(codes)) else none
    now = none if locks is None else locks.select(list(LOCKS))
    both = [a.join(b, on=list(LOCKS), how="anti", nulls_equal=True) for a, b in ((before, now), (now, before))]
    return pl.concat(both)["unit_id"].unique()


def _basis(filings: pl.DataFrame | None) -> str:
    """What every decision rests on besides its unit and bundle: the filings, and our code."""
    return Memory(Path()).key("code_register", (filings,))


def _followed(
    work: WorkStore, register: str, codes: str, locks: pl.DataFrame | None, filings: pl.DataFrame | None
) -> _Changes | None:
    """As :func:`_compared`, from the changes of the register and the locks alone; None where they are not known."""
    changed = work.changed_since(register, work.seen(codes, register, _basis(filings)))
    if changed is None:
        return None
    units = pl.concat([changed, _relocked(work, codes, locks)]).unique()
    if units.len() > _most(work, codes):
        return None
    rows = work.matching(register, ["uscc", *INPUT[1:]], units.alias("uscc"))
    before, now = work.matching(codes, STATE, units.alias("unit_id")), coding_input(rows, locks, filings)
    todo = now.join(before, on=STATE, how="anti", maintain_order="left")
    parts = list(todo.iter_slices(BATCH_ROWS)) if todo.height else []
    return _Changes(parts, before.join(now, on=STATE, how="anti")["unit_id"])


def _changes(
    work: WorkStore, register: str, codes: str, locks: pl.DataFrame | None, filings: pl.DataFrame | None
) -> _Changes | None:
    found = _followed(work, register, codes, locks, filings)
    return _compared(work, register, codes, locks, filings) if found is None else found


def _apply(work: WorkStore, codes: str, bundle: Bundle, changes: _Changes) -> None:
    """Replace the decisions of the units that changed; nothing is written where none did."""
    if not changes.todo and changes.gone.is_empty():
        return

    def frames() -> Iterator[pl.DataFrame]:
        yield next(work.batches(codes, any_order=True)).clear()
        for units in changes.todo:
            yield _code_chunk(units, bundle, None)[0]

    work.change_rows(codes, "unit_id", changes.gone, frames())


def code_register(
    work: WorkStore,
    register: str,
    codes: str,
    bundle: Bundle,
    *,
    full: bool = False,
    locks: pl.DataFrame | None = None,
    filings: pl.DataFrame | None = None,
    seen: Callable[[pl.DataFrame | None, pl.DataFrame], None] | None = None,
) -> Pass:
    """Bring the table ``codes`` of the work store up to the table ``register``, chunk by chunk (or by the units that changed, a tenth at most).

    Both are in the order of their unit's code. Nothing is written when nothing changed; ``full`` codes everything anew;
    ``seen`` as in :func:`code_chunks`; ``locks`` (:data:`LOCKS`) stand over the classifier; ``filings``
    as in :func:`coding_input`.
    """
    standing = not full and work.is_keyed(codes) and set(work.values(codes, "bundle")) <= {bundle.hash}
    version = work.version(register)
    changes = _changes(work, register, codes, locks, filings) if standing else None
    if changes is None or changes.fresh or changes.gone.len():
        # Not followed until all of it is noted again: a night that is cut off, and what it brought taken back, would leave its rows.
        work.saw(codes, register, None)
    if changes is None:
        fresh = _anew(work, register, codes, bundle, reuse=not full, locks=locks, filings=filings, seen=seen)
    else:
        _apply(work, codes, bundle, changes)
        fresh = changes.fresh
    if locks is not None or work.exists(_lock_table(codes)):
        work.write(_lock_table(codes), pl.DataFrame(schema=LOCKS) if locks is None else locks.select(list(LOCKS)))
    work.saw(codes, register, version, _basis(filings))
    return _passed(work, codes, fresh)


def _anew(
    work: WorkStore, register: str, codes: str, bundle: Bundle, *, reuse: bool, locks: pl.DataFrame | None,
    filings: pl.DataFrame | None, seen: Callable[[pl.DataFrame | None, pl.DataFrame], None] | None,
) -> int:  # fmt: skip
    """Write the table ``codes`` in one pass over the register; how many units were coded and not kept."""
    fresh, known = 0, work.exists(codes)

    def frames() -> Iterator[pl.DataFrame]:
        nonlocal fresh
        chunks = work.batches(register, ["uscc", *INPUT[1:]], rows=BATCH_ROWS)
        before = work.batches(codes, CODED, rows=BATCH_ROWS) if known else iter(())
        done = False
        for frame, anew in code_chunks(chunks, bundle, before, reuse=reuse, locks=locks, filings=filings, seen=seen):
            fresh, done = fresh + anew, True
            yield frame
        if not done:
            yield code_units(work.read(register), bundle)[0]

    work.write_keyed(codes, "unit_id", frames())
    return fresh


def _passed(work: WorkStore, codes: str, fresh: int) -> Pass:
    counts = work.tally(codes, ["nominated", "route"])
    return Pass(
        units=int(counts["n"].sum()),
        fresh=fresh,
        nominated=int(counts.filter("nominated")["n"].sum()),
        undecided=int(counts.filter(pl.col("route").is_null())["n"].sum()),
    )
