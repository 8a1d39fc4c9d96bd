"""Cell-key noise: exactly no bias, the variance asked for, the same contributors the same noise, one version of a cell."""

import hashlib
import hmac
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import binom

from aistat.cli import main
from etl.methods.disclosure.cell_key import cell_key, record_keys
from etl.methods.disclosure.ledger import append_counts
from etl.methods.disclosure.noise import SLOTS, PerturbationTable, perturbation_table
from etl.methods.disclosure.problem import ProblemError
from etl.methods.disclosure.versions import Shown, clashes, one_version
from tests.etl.disclosure_vintages import SPEC, protect, returns

SECRET = b"a secret of the bureau"
CHOICES = [(2, 1.0, 0), (2, 1.5, 1), (3, 2.25, 2), (3, 2.05, 2), (3, 2.9, 2), (5, 3.0, 2), (10, 9.0, 4), (1, 0.5, 0)]


@pytest.mark.parametrize(("largest", "variance", "blocked"), CHOICES)
def test_noise_has_no_bias_the_variance_asked_for_and_blocked_counts_never_stand(
    largest: int, variance: float, blocked: int
) -> None:
    table = perturbation_table(largest, variance, blocked)
    assert (table.slots >= 0).all() and (table.slots.sum(axis=1) == SLOTS).all()
    assert (table.slots @ table.noise == 0).all()
    assert table.variances[0] == 0 and table.variances[1:] == pytest.approx(variance, abs=1e-6)
    assert table.slots[0, largest] == SLOTS
    for count in range(1, table.classes):
        stands = count + table.noise[table.slots[count] > 0]
        assert (stands >= 0).all() and not ((stands > 0) & (stands <= blocked)).any()
    assert np.abs(table.slots[-1] - table.slots[-1, ::-1]).max() <= 2 * largest**2


@pytest.mark.parametrize(("largest", "variance", "blocked"), CHOICES)
def test_no_other_noise_of_that_mean_and_variance_has_more_entropy(largest: int, variance: float, blocked: int) -> None:
    """Logarithms of the probabilities are orthogonal to every change that keeps sum, mean and variance."""
    table = perturbation_table(largest, variance, blocked)
    for row in table.probabilities[1:]:
        noise, share = table.noise[row > 0], row[row > 0]
        facts = np.stack([np.ones(noise.size), noise, noise**2])
        changes = np.linalg.svd(facts)[2][3:]
        assert np.abs(changes @ np.log(share)).max(initial=0) < 1e-3


def test_published_probabilities() -> None:
    """R package ptable 1.0.0 (Enderle), introduction: D = 2, V = 1 prints 0.0638 for -2 and 0.383 for no change of 2.

    Its row for 1 asks besides that -1 be no likelier than 0 and gives up the variance for it (0.932); ours keeps it.
    """
    table = perturbation_table(2, 1.0, 0)
    assert table.classes == 3
    printed = [0.0638, (1 - 0.383 - 2 * 0.0638) / 2, 0.383, (1 - 0.383 - 2 * 0.0638) / 2, 0.0638]
    assert table.probabilities[2] == pytest.approx(printed, abs=5e-4)
    assert table.variances[1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("largest", "variance", "blocked", "said"),
    [
        (2, 1.0, 2, "blocked < deviation"),
        (3, 2.0, 2, "more than 2 and less than 3"),
        (2, 2.0, 1, "more than 1 and less than 2"),
        (20, 15.0, 10, "more than 30 and less than 20: no variance fits"),
        (3, 4.0, -1, "blocked < deviation"),
    ],
)
def test_noise_that_cannot_be_is_refused(largest: int, variance: float, blocked: int, said: str) -> None:
    with pytest.raises(ProblemError, match=said):
        perturbation_table(largest, variance, blocked)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(0, 8), st.floats(0.01, 0.99))
def test_any_variance_between_the_bounds_is_met(largest: int, blocked: int, part: float) -> None:
    """Bounds by all pairs of values whose mean can be 0, count by count."""
    if blocked >= largest:
        return
    low, high = 0.0, float(largest**2)
    for count in range(1, largest + blocked + 2):
        noise = [v for v in range(-largest, largest + 1) if count + v == 0 or count + v > blocked]
        spreads = [-a * b for a in noise for b in noise if a <= 0 <= b]
        low, high = max(low, min(spreads)), min(high, max(spreads))
    variance = low + part * (high - low)
    if not low < variance < high:
        with pytest.raises(ProblemError, match="no variance fits"):
            perturbation_table(largest, variance, blocked)
        return
    table = perturbation_table(largest, variance, blocked)
    assert (table.slots >= 0).all() and (table.slots.sum(axis=1) == SLOTS).all()
    assert (table.slots @ table.noise == 0).all()
    assert table.variances[1:] == pytest.approx(variance, abs=1e-6)


def test_record_keys_are_hmacs_and_need_a_long_secret() -> None:
    first = hmac.new(SECRET, "甲公司".encode(), hashlib.sha256).digest()[:8]
    assert record_keys(["甲公司", "b"], SECRET)[0] == int.from_bytes(first, "big")
    assert (record_keys(["甲公司"], SECRET) != record_keys(["甲公司"], SECRET + b"!")).all()
    with pytest.raises(ProblemError, match="expected 16"):
        record_keys(["a"], b"short")


def simulated(table: PerturbationTable, count: int, cells: int) -> NDArray[np.int64]:
    """Noise of cells of ``count`` distinct contributors each."""
    keys = record_keys([f"{count}-{i}" for i in range(count * cells)], SECRET)
    rows = np.repeat(np.arange(cells), count)
    members = csr_array((np.ones(rows.size), (rows, np.arange(rows.size))), shape=(cells, rows.size))
    found = cell_key(members, keys, table)
    assert (found.counts == count).all() and (found.perturbed == found.counts + found.noise).all()
    return found.noise


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 9])
def test_frequencies_of_simulated_noise_lie_within_binomial_bounds(count: int) -> None:
    table = perturbation_table()
    cells = 8000
    noise = simulated(table, count, cells)
    row = table.probabilities[min(count, table.classes - 1)]
    for value, share in zip(table.noise, row, strict=True):
        times = int((noise == value).sum())
        assert binom.ppf(1e-5, cells, share) <= times <= binom.isf(1e-5, cells, share)


@st.composite
def units(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    code = st.integers(0, 2)
    return draw(st.lists(st.tuples(code, code, code), min_size=1, max_size=25))


@settings(max_examples=25, deadline=None)
@given(units())
def test_the_same_contributors_get_the_same_noise_in_any_table(drawn: list[tuple[int, int, int]]) -> None:
    """Two cross tables that share the first dimension; contributors in another order and repeated in the second."""
    table = perturbation_table()
    names = [f"u{i}" for i in range(len(drawn))]
    noise: dict[frozenset[str], set[int]] = {}
    for other, order, times in ((1, 1, 1), (2, -1, 2)):
        mine = names[::order]
        keys = record_keys(mine, SECRET)
        cells: dict[tuple[int, ...], list[int]] = {}
        for place, name in enumerate(mine):
            unit = drawn[int(name[1:])]
            for key in ((), (unit[0],), (unit[0], unit[other], other)):
                cells.setdefault(key, []).extend([place] * times)
        rows = [r for r, places in enumerate(cells.values()) for _ in places]
        columns = [p for places in cells.values() for p in places]
        members = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(cells), len(mine)))
        found = cell_key(members, keys, table)
        for places, moved, count in zip(cells.values(), found.noise, found.counts, strict=True):
            who = frozenset(mine[p] for p in places)
            assert count == len(who)
            noise.setdefault(who, set()).add(int(moved))
    assert all(len(values) == 1 for values in noise.values())


def test_as_many_keys_as_contributors() -> None:
    with pytest.raises(ProblemError, match="expected as many"):
        cell_key(csr_array(np.ones((1, 2))), record_keys(["a"], SECRET), perturbation_table())


TABLE = "contributor,dim_class,dim_place\n" + "".join(f"u{i},c{i % 3},p{i % 4 // 3}\n" for i in range(30))


def run(folder: Path, *extra: str, method: str = "cell_key", table: str = TABLE) -> int:
    (folder / "secret").write_bytes(SECRET + b"\n")
    (folder / "in.csv").write_text(table, encoding="utf-8")
    command = ["method", "run", method, "--input", str(folder / "in.csv"), "-o", str(folder / "out.json")]
    given = ["--param", f"secret={folder / 'secret'}"] if method == "cell_key" else []
    return main([*command, *given, *(part for pair in extra for part in ("--param", pair))])


def test_command_line_tells_no_true_count_unless_asked(tmp_path: Path) -> None:
    assert run(tmp_path) == 0
    text = (tmp_path / "out.json").read_text(encoding="utf-8")
    answer = json.loads(text)
    assert set(answer["rows"][0]) == {"table", "dim_class", "dim_place", "perturbed"}
    assert SECRET.decode() not in text
    assert answer["result"]["additive"] is False and "do not add up" in answer["result"]["note"]
    stated = answer["result"]["distributions"]
    assert [d["count"] for d in stated] == ["0", "1", "2", "3", "4", "5", ">=6"]
    for row in stated:
        assert sum(row["noise"].values()) == pytest.approx(1)
        assert sum(int(v) * p for v, p in row["noise"].items()) == pytest.approx(0, abs=1e-12)
    assert not {r["perturbed"] for r in answer["rows"]} & {1, 2}

    assert run(tmp_path, "internal=1") == 0
    inside = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["rows"]
    assert [r["perturbed"] for r in inside] == [r["perturbed"] for r in answer["rows"]]
    assert all(r["count"] + r["noise"] == r["perturbed"] and r["distribution"] == min(r["count"], 6) for r in inside)
    assert inside[0]["count"] == 30


def test_bad_secrets_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content, said in (("short\n", "expected 16 or more"), ("a" * 20 + "\n" + "b" * 20 + "\n", "2 lines")):
        (tmp_path / "bad").write_text(content)
        assert run(tmp_path, method="small_count_rounding") == 0
        command = ["method", "run", "cell_key", "--input", str(tmp_path / "in.csv"), "-o", str(tmp_path / "o.json")]
        assert main([*command, "--param", f"secret={tmp_path / 'bad'}"]) == 2
        error = capsys.readouterr().err
        assert said in error and content.split()[0] not in error


def shown(version: str, value: str = "3", data: str = "d", cell: str = "a=1", period: str = "2025") -> Shown:
    return Shown(period, cell, version, value, data, "r1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("new", "earlier", "clash"),
    [
        (shown("cell_key"), shown("exact"), True),
        (shown("exact"), shown("cell_key"), True),
        (shown("rounded"), shown("cell_key"), True),
        (shown("rounded"), shown("rounded"), False),
        (shown("rounded"), shown("rounded", "6"), True),
        (shown("rounded"), shown("rounded", "6", "other"), False),
        (shown("exact", ""), shown("exact", "5"), False),
        (shown("cell_key"), shown("exact", cell="a=2"), False),
        (shown("cell_key"), shown("exact", period="2024"), False),
    ],
)
def test_what_counts_as_a_second_version(new: Shown, earlier: Shown, clash: bool) -> None:
    assert bool(clashes([new], [earlier])) is clash
    if clash:
        with pytest.raises(ProblemError, match="a=1"):
            one_version([new], [earlier])


def test_a_ledger_refuses_noise_beside_exact_figures_and_the_reverse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AISTAT_HOME", str(tmp_path / "home"))
    frame = returns(5, 150)
    spec = SPEC.replace("  size: {levels: [size]}\n", "")
    counts = frame.select("place", contributor=pl.int_range(pl.len())).rename({"place": "dim_place"}).write_csv()

    exact = tmp_path / "exact"
    assert protect(tmp_path, "t", frame, "--ledger", str(exact), spec=spec) == 0
    capsys.readouterr()
    assert run(tmp_path, f"ledger={exact}", "period=2025", table=counts) == 2
    assert "place=P0 (exact, r0001)" in capsys.readouterr().err
    assert not (exact / "counts.csv").exists()
    assert run(tmp_path, f"ledger={exact}", "period=2024", table=counts) == 0

    noisy = tmp_path / "noisy"
    assert run(tmp_path, f"ledger={noisy}", "period=2025", table=counts) == 0
    assert run(tmp_path, f"ledger={noisy}", "period=2025", table=counts) == 0
    assert (noisy / "counts.csv").stat().st_mode & 0o077 == 0
    capsys.readouterr()
    assert protect(tmp_path, "second", frame, "--ledger", str(noisy), spec=spec) == 1
    assert "place=P0 (cell_key, c0001)" in capsys.readouterr().err
    assert not (tmp_path / "second.out.csv").exists()
    assert run(tmp_path, f"ledger={noisy}", "period=2025", table=counts, method="small_count_rounding") == 2
    with pytest.raises(ProblemError, match="place=P1"):
        append_counts(noisy, "2025", "rounded", {"place=P1": 3}, "x")
