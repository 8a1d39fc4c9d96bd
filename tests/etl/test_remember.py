"""Remembered results: equal to computed ones, known by all they depend on, never a damaged one."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from etl import remember
from etl.clearing import clear_table
from etl.methods.disclosure import RuleSet
from etl.remember import Memory, as_json, from_json, remembered, remembering
from tests.etl.disclosure_tables import HIERARCHIES, LINKED, contributions, groups

FRAME = pl.DataFrame({"n": [1, None, 3], "text": ["甲", "乙", None]})


@pytest.fixture()
def memory(tmp_path: Path) -> Iterator[Memory]:
    with remembering(Memory(tmp_path)) as found:
        yield found


def made_by(*parts: object) -> tuple[pl.DataFrame, list[int]]:
    calls: list[int] = []

    def make() -> dict[str, pl.DataFrame]:
        calls.append(1)
        return {"frame": FRAME}

    return remembered("k", parts, make)["frame"], calls


def test_the_same_inputs_give_the_same_frame_without_computing(memory: Memory) -> None:
    first, calls = made_by(FRAME, {"a": [1, 2]}, RuleSet(), None, np.arange(3))
    again, none = made_by(FRAME.clone(), {"a": (1, 2)}, RuleSet(), None, np.arange(3))
    assert calls == [1] and none == [] and (memory.made, memory.taken) == (1, 1)
    assert again.equals(first) and again.schema == first.schema


@pytest.mark.parametrize(
    "other",
    [
        (FRAME.with_columns(n=pl.lit(1)), 1.0), (FRAME.rename({"n": "m"}), 1.0), (FRAME[::-1], 1.0), (FRAME, 1.5),
        (FRAME.with_columns(pl.col("n").cast(pl.Int32)), 1.0), (FRAME, "1.0"), (FRAME, 1.0, None), (RuleSet(), 1.0),
    ],
)  # fmt: skip
def test_another_input_is_another_result(memory: Memory, other: tuple[object, ...]) -> None:
    made_by(FRAME, 1.0)
    assert made_by(*other)[1] == [1]


def test_other_code_is_another_result(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    made_by(FRAME)
    monkeypatch.setattr(remember, "_code", lambda: "changed")
    assert made_by(FRAME)[1] == [1]


def test_a_full_run_computes_anew_and_keeps(tmp_path: Path) -> None:
    with remembering(Memory(tmp_path, read=False)):
        assert made_by(1)[1] == [1]
        assert made_by(1)[1] == [1]
    with remembering(Memory(tmp_path)):
        assert made_by(1)[1] == []
    assert made_by(1)[1] == [1], "outside a run nothing is remembered"


@pytest.mark.parametrize("ending", [".frame.arrow", ".json"])
@pytest.mark.parametrize("spoil", ["torn", "changed", "gone"])
def test_a_damaged_entry_is_computed_anew(tmp_path: Path, memory: Memory, ending: str, spoil: str) -> None:
    made_by(FRAME)
    (path,) = (p for p in tmp_path.rglob("*") if p.name.endswith(ending))
    content = path.read_bytes()
    if spoil == "gone":
        path.unlink()
    else:
        half, flipped = len(content) // 2, bytes([content[-10] ^ 1])
        path.write_bytes(content[:half] if spoil == "torn" else content[:-10] + flipped + content[-9:])
    frame, calls = made_by(FRAME)
    assert calls == [1] and frame.equals(FRAME)


def test_what_nobody_asked_for_is_removed(tmp_path: Path, memory: Memory) -> None:
    made_by(1)
    memory.purge()
    assert made_by(1)[1] == []
    memory.purge(now=time.time() + 31 * 86_400)
    assert list(tmp_path.rglob("*.*")) == [] and made_by(1)[1] == [1]


def test_what_has_no_content_is_refused(memory: Memory) -> None:
    with pytest.raises(TypeError, match="no content"):
        made_by(object())


def test_values_come_back() -> None:
    value = {"a": [1, 2.5, None, True], "文": "字"}
    assert from_json(as_json(value)) == value


def test_a_cleared_table_is_the_same_remembered(memory: Memory) -> None:
    micro = contributions([*groups("N1", "a", [5, 6, 7]), *groups("N2", "a", [70]), *groups("S1", "b", [9, 9, 9, 9])])
    calls = [clear_table(micro, LINKED, HIERARCHIES, RuleSet(), 1) for _ in range(2)]
    assert (memory.made, memory.taken) == (1, 1)
    assert calls[0].frame.equals(calls[1].frame) and calls[0].certificate == calls[1].certificate
    assert clear_table(micro, LINKED, HIERARCHIES, RuleSet(min_contributors=5), 1).frame.height and memory.made == 2
