"""Two vintages of a 375-cell table: each protected apart they give figures away; with the ledger they do not."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_array

from tests.etl.disclosure_vintages import audit, protect, returns, revised

KEY = ["industry", "place", "size"]
HIDDEN = ("primary", "secondary")
Cell = tuple[str, str, str]


@pytest.fixture(scope="module")
def vintages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """First vintage in the ledger; the second protected without it (``naive``) and with it (``second``)."""
    folder = tmp_path_factory.mktemp("ledger")
    first = returns(3)
    second = revised(first, 103)
    ledger = ["--ledger", str(folder / "ledger")]
    assert protect(folder, "first", first, *ledger) == 0
    assert protect(folder, "naive", second) == 0
    assert protect(folder, "second", second, *ledger) == 0
    return folder


def table(folder: Path, name: str, rows: str) -> dict[Cell, tuple[float, bool]]:
    """Value and whether it is hidden, by key; values added up from the rows."""
    frame = pl.read_csv(folder / f"{rows}.csv")
    out = {}
    for *key, status in pl.read_csv(folder / f"{name}.out.csv").select(*KEY, "status").rows():
        part = frame
        for code, columns in zip(key, (("ind1", "ind2"), ("place",), ("size",)), strict=True):
            if code != "Total":
                part = part.filter(pl.any_horizontal([pl.col(c) == code for c in columns]))
        out[tuple(key)] = (float(part["turnover"].sum()), status in HIDDEN)
    return out


def sums() -> list[tuple[Cell, list[Cell]]]:
    """Every sum of the table: its cell and its parts."""
    below = {"Total": [f"G{g}" for g in range(4)]} | {f"G{g}": [f"I{i}" for i in range(g, 10, 4)] for g in range(4)}
    trees = [below, {"Total": [f"P{p}" for p in range(4)]}, {"Total": [f"S{s}" for s in range(4)]}]
    codes = [["Total", *[c for parts in t.values() for c in parts]] for t in trees]
    found = []
    for d, tree in enumerate(trees):
        others = [codes[e] if e != d else list(tree) for e in range(3)]
        for a in others[0]:
            for b in others[1]:
                for c in others[2]:
                    key = (a, b, c)
                    parts = [(*key[:d], part, *key[d + 1 :]) for part in tree[key[d]]]
                    found.append((key, parts))
    return found


def bounds(folder: Path, second: str, cells: list[tuple[int, Cell]]) -> list[tuple[float, float]]:
    """Intervals of cells (vintage, key) with both vintages known: own system, scipy's solver.

    Unrevised cells are equal; of cells that were revised the difference is at most the largest revision (twice its own
    for the cell revised most); a cell that is empty in one vintage says nothing of the other.
    """
    both = [table(folder, "first", "first"), table(folder, second, "second")]
    keys = list(both[0])
    at = {(t, k): t * len(keys) + i for t in range(2) for i, k in enumerate(keys)}
    change = {k: both[1][k][0] - both[0][k][0] for k in keys}
    most = max(abs(c) for c in change.values())
    rows, columns, data, right = [], [], [], []
    limit_rows: list[tuple[Cell, float, float]] = []

    def equation(terms: list[tuple[int, float]], total: float) -> None:
        for column, factor in terms:
            rows.append(len(right))
            columns.append(column)
            data.append(factor)
        right.append(total)

    for t in range(2):
        for key, parts in sums():
            equation([(at[t, key], -1.0), *[(at[t, p], 1.0) for p in parts]], 0.0)
        for key in keys:
            value, hidden = both[t][key]
            if not hidden:
                equation([(at[t, key], 1.0)], value)
    for key in keys:
        if change[key] == 0:
            equation([(at[0, key], -1.0), (at[1, key], 1.0)], 0.0)
        elif both[0][key][0] and both[1][key][0]:
            limit = max(most, 2 * abs(change[key]))
            limit_rows.append((key, -limit, limit))
    equal = csr_array((data, (rows, columns)), shape=(len(right), 2 * len(keys)))
    upper = np.zeros((2 * len(limit_rows), 2 * len(keys)))
    caps = []
    for i, (key, _, high) in enumerate(limit_rows):
        upper[2 * i, at[1, key]], upper[2 * i, at[0, key]] = 1.0, -1.0
        upper[2 * i + 1, at[1, key]], upper[2 * i + 1, at[0, key]] = -1.0, 1.0
        caps += [high, high]
    result = []
    for t, key in cells:
        found = []
        for sign in (1.0, -1.0):
            cost = np.zeros(2 * len(keys))
            cost[at[t, key]] = sign
            answer = linprog(cost, A_ub=csr_array(upper), b_ub=caps, A_eq=equal, b_eq=right, bounds=(0, None))
            found.append(sign * answer.fun if answer.status == 0 else sign * -np.inf)
        result.append((found[0], found[1]))
    return result


def unsafe(folder: Path, rows: str) -> dict[Cell, float]:
    """Unsafe cells and the distance their bounds must keep, from the rows."""
    frame = pl.read_csv(folder / f"{rows}.csv")
    found = {}
    for key in table(folder, "first", rows):
        part = frame
        for code, columns in zip(key, (("ind1", "ind2"), ("place",), ("size",)), strict=True):
            if code != "Total":
                part = part.filter(pl.any_horizontal([pl.col(c) == code for c in columns]))
        x = part.group_by("holding").agg(pl.col("turnover").sum())["turnover"].sort(descending=True).to_list()
        lack = 0.1 * x[0] - sum(x[2:]) if x else 0.0
        if x and (len(x) < 3 or lack > 1e-9):
            found[key] = max(0.0, float(np.ceil(lack - 1e-9)))
    return found


def printed(folder: Path, name: str, *more: str) -> tuple[int, dict[str, dict[str, object]]]:
    with contextlib.redirect_stdout(io.StringIO()) as text:
        code = audit(folder, "second", *more, pattern=name)
    return code, json.loads(text.getvalue())["checks"]


def test_apart_each_passes_together_they_fail(vintages: Path) -> None:
    code, checks = printed(vintages, "naive")
    assert code == 0 and all(c["passed"] for c in checks.values())
    code, checks = printed(vintages, "naive", "--ledger", str(vintages / "ledger"))
    assert code == 1 and not checks["ledger_null_space"]["passed"]
    exposed = checks["ledger_null_space"]["names"][0]  # type: ignore[index]
    release, _, key = exposed.partition(": ")
    codes = dict(part.split("=") for part in key.split("|"))
    cell = tuple(codes.get(d, "Total") for d in KEY)
    low, high = bounds(vintages, "naive", [(0 if release == "r0001" else 1, cell)])[0]  # type: ignore[list-item]
    assert high - low < 1.0


def test_with_the_ledger_no_cell_of_either_is_closer_than_the_rule(vintages: Path) -> None:
    code, checks = printed(vintages, "second", "--ledger", str(vintages / "ledger"))
    assert code == 0 and all(c["passed"] for c in checks.values())
    wanted = [(t, k, d) for t, rows in enumerate(("first", "second")) for k, d in unsafe(vintages, rows).items()]
    true = [table(vintages, "first", "first"), table(vintages, "second", "second")]
    assert all(true[t][k][1] for t, k, _ in wanted)
    for (t, key, distance), (low, high) in zip(
        wanted, bounds(vintages, "second", [(t, k) for t, k, _ in wanted]), strict=True
    ):
        value = true[t][key][0]
        assert high - low >= max(1.0, 0.01 * value) - 0.1, (t, key)
        assert high >= value + distance - 0.1 and low <= value - distance + 0.1, (t, key)


def test_ledger_holds_both_and_what_was_hidden_stays_hidden(vintages: Path) -> None:
    book = pl.read_csv(vintages / "ledger" / "ledger.csv", infer_schema=False)
    assert book["release"].unique().sort().to_list() == ["r0001", "r0002"]
    assert book.filter(release="r0001").height == 375
    assert book.filter(pl.col("release") == "r0002")["vintage"].unique().to_list() == ["2"]
    first, second = table(vintages, "first", "first"), table(vintages, "second", "second")
    reopened = [k for k in first if first[k][1] and not second[k][1] and second[k][0]]
    assert not reopened
    assert (vintages / "ledger" / "ledger.csv").stat().st_mode & 0o077 == 0


def test_a_cell_unsafe_now_and_published_before_goes_to_the_officer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = returns(1)
    second = revised(first, 101)
    ledger = tmp_path / "ledger"
    assert protect(tmp_path, "first", first, "--ledger", str(ledger)) == 0
    assert protect(tmp_path, "second", second, "--ledger", str(ledger)) == 1
    assert "conflicts.csv" in capsys.readouterr().err and not (tmp_path / "second.out.csv").exists()
    listed = pl.read_csv(ledger / "conflicts.csv", infer_schema=False)
    assert listed["decision"].null_count() == listed.height > 0
    listed.with_columns(decision=pl.lit("maybe")).write_csv(ledger / "conflicts.csv")
    assert protect(tmp_path, "second", second, "--ledger", str(ledger)) == 2
    listed.with_columns(decision=pl.lit("hide")).write_csv(ledger / "conflicts.csv")
    assert protect(tmp_path, "second", second, "--ledger", str(ledger)) == 0
