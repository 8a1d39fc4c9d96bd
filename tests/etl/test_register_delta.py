"""Nightly changes on the monthly full extract: the last change of each unit counts, older ones do not."""

from pathlib import Path

import polars as pl
import pytest

from etl.assets.collect import receipt_table, table_name
from etl.assets.register import DELTA, REGISTER_CURRENT, full_extract_until, update_register
from etl.collect import schema
from etl.contract import load_contract
from warehouse.write import WorkStore


def rows(source: str, given: list[dict[str, str]]) -> pl.DataFrame:
    types = schema(load_contract(source))
    full = [{**dict.fromkeys(types), **row} for row in given]
    frame = pl.DataFrame(full, schema=dict.fromkeys(types, pl.String), orient="row")
    return frame.with_columns(pl.col("closing_date").str.to_date()).cast(types)  # type: ignore[arg-type]


def receive(store: WorkStore, sha256: str) -> None:
    receipts = {"ref_period": ["2025-11", "2025-12"], "status": ["accepted", "accepted"]}
    store.write(
        receipt_table("register"), pl.DataFrame(receipts).with_columns(sha256=pl.lit(sha256), delivery=pl.lit(""))
    )


def change(uscc: str, name: str, day: str, kind: str = "2") -> dict[str, str]:
    return {"uscc": uscc, "name": name, "change": kind, "ref_period": f"2026-01-{day}"}


@pytest.fixture()
def work(tmp_path: Path) -> WorkStore:
    store = WorkStore(tmp_path)
    store.write(table_name("register"), rows("register", [{"uscc": u, "name": f"old {u}"} for u in "abcd"]))
    receive(store, "one")
    store.write(DELTA, rows("register_delta", []))
    return store


def test_without_changes_the_extract_is_shown_not_copied(work: WorkStore) -> None:
    assert update_register(work) == (4, 0)
    assert work.read(REGISTER_CURRENT)["name"].to_list() == [f"old {u}" for u in "abcd"]
    assert REGISTER_CURRENT in work.tables() and work.exists(REGISTER_CURRENT)


def test_the_last_change_after_the_extract_stands(work: WorkStore) -> None:
    update_register(work)
    work.write(
        DELTA,
        rows(
            "register_delta",
            [
                {"uscc": "a", "name": "too old", "change": "2", "ref_period": "2025-12-31"},
                {"uscc": "b", "name": "new b", "change": "2", "ref_period": "2026-01-02"},
                {"uscc": "b", "name": "newer b", "change": "2", "ref_period": "2026-01-09"},
                {"uscc": "c", "name": "gone", "change": "3", "ref_period": "2026-01-03"},
                {"uscc": "d", "name": "gone", "change": "3", "ref_period": "2026-01-03", "closing_date": "2025-12-30"},
                {"uscc": "0", "name": "born", "change": "1", "ref_period": "2026-01-03"},
            ],
        ),
    )
    assert update_register(work) == (5, 4)
    found = work.read(REGISTER_CURRENT)
    assert found["uscc"].to_list() == ["0", "a", "b", "c", "d"]
    assert found["name"].to_list() == ["born", "old a", "newer b", "gone", "gone"]
    assert found["closing_date"].cast(pl.String).to_list() == [None, None, None, "2026-01-03", "2025-12-30"]
    assert found.schema == pl.Schema(schema(load_contract("register")))
    work.write(DELTA, rows("register_delta", []))
    assert update_register(work) == (4, 0)


def names(work: WorkStore) -> dict[str, str]:
    return dict(work.read(REGISTER_CURRENT, ["uscc", "name"]).iter_rows())


def test_a_night_changes_the_rows_it_brings_and_no_other(work: WorkStore, monkeypatch: pytest.MonkeyPatch) -> None:
    derived: list[str] = []
    plain = WorkStore.derive

    def counted(self: WorkStore, table: str, *rest: object, key: str = "") -> int:
        derived.extend([table] if key else [])
        return plain(self, table, *rest, key=key)  # type: ignore[arg-type]

    monkeypatch.setattr(WorkStore, "derive", counted)
    first = [change("b", "new b", "02"), change("e", "born", "02", "1")]
    work.write(DELTA, rows("register_delta", first))
    assert update_register(work) == (5, 2) and derived == [REGISTER_CURRENT]
    version = work.version(REGISTER_CURRENT)
    assert update_register(work) == (5, 2) and work.version(REGISTER_CURRENT) == version, (
        "nothing came, nothing changed"
    )
    second = [*first, change("b", "newest b", "03"), change("c", "new c", "03")]
    work.write(DELTA, rows("register_delta", second))
    assert update_register(work) == (5, 3) and len(derived) == 1
    assert work.changed_since(REGISTER_CURRENT, version).to_list() == ["b", "c"]  # type: ignore[union-attr]
    followed = work.read(REGISTER_CURRENT)
    assert update_register(work, full=True) == (5, 3) and len(derived) == 2
    assert work.read(REGISTER_CURRENT).equals(followed), "as put together anew"
    work.write(DELTA, rows("register_delta", second[1:]))
    assert update_register(work) == (5, 3) and names(work)["b"] == "newest b" and len(derived) == 2
    work.write(DELTA, rows("register_delta", [second[1], second[3]]))
    assert update_register(work) == (5, 2) and names(work)["b"] == "old b", (
        "a change taken back leaves the extract's row"
    )
    assert len(derived) == 3


def test_another_extract_and_a_night_cut_off_are_not_followed(work: WorkStore, monkeypatch: pytest.MonkeyPatch) -> None:
    work.write(DELTA, rows("register_delta", [change("b", "new b", "02")]))
    update_register(work)
    work.write(table_name("register"), rows("register", [{"uscc": u, "name": f"other {u}"} for u in "abc"]))
    receive(work, "two")
    assert update_register(work) == (3, 1)
    assert names(work) == {"a": "other a", "b": "new b", "c": "other c"}
    work.write(DELTA, rows("register_delta", [change("b", "newer b", "03"), change("c", "new c", "03")]))
    plain = WorkStore.rename

    def cut(self: WorkStore, table: str, to: str) -> None:
        raise RuntimeError("cut off")

    monkeypatch.setattr(WorkStore, "rename", cut)
    with pytest.raises(RuntimeError, match="cut off"):
        update_register(work)
    monkeypatch.setattr(WorkStore, "rename", plain)
    assert update_register(work) == (3, 2)
    assert names(work) == {"a": "other a", "b": "newer b", "c": "new c"}


@pytest.mark.parametrize(
    "brought, left",
    [
        ([change("b", "new b", "02"), change("c", "wrong c", "03")], {"b": "new b", "c": "old c"}),
        ([change("b", "wrong b", "03")], {"b": "new b", "c": "old c"}),
    ],
)
def test_what_a_night_cut_off_applied_and_the_next_takes_back_is_gone(
    work: WorkStore, monkeypatch: pytest.MonkeyPatch, brought: list[dict[str, str]], left: dict[str, str]
) -> None:
    first = [change("b", "new b", "02")]
    work.write(DELTA, rows("register_delta", first))
    update_register(work)
    work.write(DELTA, rows("register_delta", brought))
    with monkeypatch.context() as patch:
        patch.setattr(WorkStore, "rename", lambda *_: (_ for _ in ()).throw(RuntimeError("cut off")))
        with pytest.raises(RuntimeError, match="cut off"):
            update_register(work)
    assert names(work) != {"a": "old a", "d": "old d", **left}, "it was applied"
    work.write(DELTA, rows("register_delta", first))
    update_register(work)
    assert names(work) == {"a": "old a", "d": "old d", **left}


def test_a_column_that_only_the_changes_have_does_not_stop_the_night(work: WorkStore) -> None:
    first = [change("b", "new b", "02")]
    work.write(DELTA, rows("register_delta", first))
    update_register(work)
    work.write(DELTA, rows("register_delta", first).with_columns(source=pl.lit("x")))
    assert update_register(work) == (4, 1) and names(work)["b"] == "new b"


def test_the_month_of_the_extract_comes_from_its_receipt() -> None:
    receipts = pl.DataFrame({"ref_period": ["2024-02", "2024-03"], "status": ["accepted", "refused"]})
    assert full_extract_until(receipts) == "2024-02-29" and full_extract_until(receipts.clear()) == ""


def test_a_missing_query_is_named(work: WorkStore) -> None:
    with pytest.raises(LookupError, match=r"process/process_nothing__rows\.sql"):
        work.derive("process_nothing__rows")
