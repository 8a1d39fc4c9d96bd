"""The work store in streams: chunks in and out, one transaction, the old content to the end."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from warehouse.connect import open_writable
from warehouse.keyed import KEPT_VERSIONS
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


def test_a_table_kept_by_key_is_shown_in_its_order_whatever_was_changed(tmp_path: Path) -> None:
    store = WorkStore(tmp_path)
    assert store.write_keyed("t", "n", [frame(3, 1), frame(5)]) == 3 and store.is_keyed("t")
    assert store.tables() == ["t"] and not store.exists("t__heap")
    store.change_rows("t", "n", pl.Series([3, 5]), iter([frame(4, 2), frame(3).with_columns(text=pl.lit("新"))]))
    expected = frame(1, 2, 3, 4).with_columns(text=pl.Series(["第1行", "第2行", "新", "第4行"]))
    assert store.read("t").equals(expected) and store.rows("t") == store.distinct("t", "n") == 4
    assert pl.concat(list(store.batches("t", rows=1))).equals(expected)
    assert pl.concat(list(store.batches("t", ["n"], any_order=True)))["n"].sort().to_list() == [1, 2, 3, 4]
    assert store.matching("t", ["n", "text"], pl.Series("n", [3, 9])).equals(expected[2:3])
    store.write("other", frame(1, 2))
    assert store.lacking("t", "other", ["n"])["n"].to_list() == [3, 4] and store.values("t", "n") == [1, 2, 3, 4]
    store.change_rows("t", "n", pl.Series([1, 2, 3, 4]), [frame()])
    assert store.read("t").equals(frame())


def test_changes_are_followed_from_the_version_that_was_seen(tmp_path: Path) -> None:
    store = WorkStore(tmp_path)
    assert store.version("t") is None and store.changed_since("t", 1) is None and store.seen("r", "t") is None
    store.saw("r", "t", None)
    store.write_keyed("t", "n", [frame(1, 2, 3)])
    first = store.version("t")
    assert first is not None and store.changed_since("t", first).is_empty()  # type: ignore[union-attr]
    assert store.changed_since("t", first - 1) is None and store.changed_since("t", first + 1) is None
    store.saw("r", "t", first, "rule 1")
    assert store.seen("r", "t", "rule 1") == first and store.seen("r", "t", "rule 2") is None
    store.change_rows("t", "n", pl.Series([2]), [frame()])
    store.change_rows("t", "n", pl.Series([3]), [frame(3, 4)])
    assert store.changed_since("t", first).to_list() == [2, 3, 4]  # type: ignore[union-attr]
    assert store.changed_since("t", first + 1).to_list() == [3, 4]  # type: ignore[union-attr]
    assert store.tables() == ["t"] and not store.exists("t__changed") and not store.exists("store__version")
    store.saw("r", "t", None)
    assert store.seen("r", "t", "rule 1") is None
    store.write_keyed("t", "n", [frame(1)])
    assert store.version("t") == first + 3 and store.changed_since("t", first + 2) is None, "written anew"
    store.write("t", frame(1))
    assert store.version("t") is None and store.changed_since("t", first + 3) is None
    store.write_keyed("t", "n", [frame(1)])
    assert store.version("t") == first + 4, "no version means two contents"


def test_a_table_without_a_log_begins_one_with_its_next_change(tmp_path: Path) -> None:
    store = WorkStore(tmp_path)
    store.write_keyed("t", "n", [frame(1, 2)])
    with open_writable(tmp_path / "work.duckdb") as connection:
        connection.execute("DROP TABLE t__changed")
    assert store.version("t") is None
    store.change_rows("t", "n", pl.Series([2]), [frame()])
    first = store.version("t")
    store.change_rows("t", "n", pl.Series([1]), [frame(1)])
    assert first == 2 and store.changed_since("t", 1) is None
    assert store.changed_since("t", first).to_list() == [1]  # type: ignore[union-attr]


def test_changes_are_forgotten_after_a_while(tmp_path: Path) -> None:
    store = WorkStore(tmp_path)
    with store.held():
        store.write_keyed("t", "n", [frame(0)])
        for n in range(1, KEPT_VERSIONS + 3):
            store.change_rows("t", "n", pl.Series([], dtype=pl.Int64), [frame(n)])
        now = store.version("t")
        assert now is not None and store.changed_since("t", now - KEPT_VERSIONS - 1) is None
        assert store.changed_since("t", now - KEPT_VERSIONS).len() == KEPT_VERSIONS  # type: ignore[union-attr]
        with store._open() as connection:
            assert connection.execute("SELECT count(*) FROM t__changed").fetchone() == (KEPT_VERSIONS,)


def test_a_table_kept_by_key_keeps_its_name(tmp_path: Path) -> None:
    store = WorkStore(tmp_path)
    store.write_keyed("t", "n", [frame(1)])
    with pytest.raises(ValueError, match="kept by key"):
        store.rename("t", "other")
    store.write("plain", frame(2))
    store.rename("plain", "t")
    assert store.read("t").equals(frame(2)) and store.version("t") is None and store.tables() == ["t"]


def test_rows_are_counted_and_told_apart_where_they_are(tmp_path: Path) -> None:
    store = WorkStore(tmp_path)
    store.write_keyed(
        "t", "n", [frame(1, 2, 3).with_columns(k=pl.Series(["x", None, "x"]), v=pl.Series([0.1, 0.2, None]))]
    )
    found = store.tally("t", ["k"], ["v"])
    assert found.rows() == [("x", 2, 0.1, 1), (None, 1, 0.2, 1)]
    store.write("other", store.read("t").with_columns(v=pl.Series([0.1, None, None])))
    assert store.differing("t", "other")["n"].to_list() == [2]


def test_a_change_that_breaks_leaves_the_rows_as_they_were(tmp_path: Path) -> None:
    store = WorkStore(tmp_path)
    store.write_keyed("t", "n", [frame(1, 2)])

    def broken() -> Iterator[pl.DataFrame]:
        yield frame(9)
        raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        store.change_rows("t", "n", pl.Series([1]), broken())
    assert store.read("t").equals(frame(1, 2)) and store.tables() == ["t"]


def test_a_table_changes_between_kept_by_key_and_plain(tmp_path: Path) -> None:
    store = WorkStore(tmp_path)
    store.write("t", frame(2, 1))
    assert not store.is_keyed("t")
    store.write_keyed("t", "n", [frame(2, 1)])
    assert store.read("t").equals(frame(1, 2))
    store.write("t", frame(3, 1))
    assert store.read("t").equals(frame(3, 1)) and not store.is_keyed("t")
    assert store.matching("t", ["n"], pl.Series("n", [2])).is_empty(), "no row of before shows through"


def test_equal_content_is_not_written_again_and_anything_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, written = WorkStore(tmp_path), []
    plain = WorkStore.write_stream

    def counted(self: WorkStore, table: str, *rest: object) -> int:
        written.append(table)
        return plain(self, table, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(WorkStore, "write_stream", counted)
    for content in (frame(1, 2), frame(1, 2), frame(2, 1), frame(2, 1).rename({"text": "t"}), frame(), frame(),
                    frame().cast({"n": pl.Int32}), frame(*range(50_000)), frame(*range(49_999), 7)):  # fmt: skip
        store.write("t", content)
        assert store.read("t").equals(content) and store.read("t").schema == content.schema
    assert len(written) == 7, "the second of two equal ones is left alone"
    store.alias("shown", "t")
    store.write("shown", store.read("t"))
    store.write("t", frame(1))
    assert store.rows("shown") == 50_000, "what showed another table holds its own rows now"
