"""The work store in streams: chunks in and out, one transaction, the old content to the end."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from warehouse.write import WorkStore


def frame(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"n": numbers, "text": [f"第{n}行" for n in numbers]}, schema={"n": pl.Int64, "text": pl.String}
    )


@pytest.fixture(autouse=True, params=["opened each time", "held"])
def _kept_open(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """All holds whether a run keeps the file open or not."""
    if request.param == "held":
        with WorkStore(tmp_path).held():
            yield
    else:
        yield


def test_chunks_in_and_out_keep_order_and_types(tmp_path: Path) -> None:
    store = WorkStore(tmp_path)
    assert store.write_stream("t", iter([frame(), frame(3, 1), frame(2)])) == 3
    assert store.read("t").equals(frame(3, 1, 2)) and store.rows("t") == 3
    assert pl.concat(list(store.batches("t", rows=1))).equals(frame(3, 1, 2))
    assert store.read("t", ["text"]).equals(frame(3, 1, 2).select("text"))
    assert pl.concat(list(store.batches("t", ["text"]))).columns == ["text"]


def test_a_stream_is_sorted_on_request(tmp_path: Path) -> None:
    store = WorkStore(tmp_path)
    store.write_stream("t", [frame(3, 1), frame(2)], order_by=["n"])
    assert store.read("t").equals(frame(1, 2, 3)) and store.tables() == ["t"]


def test_a_table_can_be_rewritten_from_itself(tmp_path: Path) -> None:
    store = WorkStore(tmp_path)
    store.write("t", frame(*range(5000)))
    doubled = (part.with_columns(pl.col("n") * 2) for part in store.batches("t", rows=2048))
    assert store.write_stream("t", doubled) == 5000
    assert store.read("t")["n"].to_list() == [2 * n for n in range(5000)]


def test_a_stream_that_breaks_leaves_the_old_table(tmp_path: Path) -> None:
    store = WorkStore(tmp_path)
    store.write("t", frame(1, 2))

    def broken() -> Iterator[pl.DataFrame]:
        yield frame(9)
        raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        store.write_stream("t", broken())
    assert store.read("t").equals(frame(1, 2)) and store.tables() == ["t"]
    with pytest.raises(ValueError, match="no frame for t__incoming"):
        store.write_stream("t", [])
    assert store.read("t").equals(frame(1, 2))


def test_no_rows_and_no_table(tmp_path: Path) -> None:
    store = WorkStore(tmp_path)
    store.write("t", frame())
    assert [part.schema for part in store.batches("t")] == [frame().schema] and store.rows("t") == 0
    with pytest.raises(LookupError, match="no table absent"):
        list(store.batches("absent"))


def test_what_is_held_is_let_go_and_another_store_is_another_file(tmp_path: Path) -> None:
    other = WorkStore(tmp_path / "other")
    with other.held(), other.held():
        other.write("t", frame(1))
        assert not WorkStore(tmp_path).exists("t") and other.exists("t")
    assert other.tables() == ["t"] and not other.exists("t__incoming")
