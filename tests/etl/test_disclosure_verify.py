"""The independent audit against one linear programme a cell by another solver, and the attacks of the Handbook."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.optimize import linprog

from etl.methods.disclosure.loading import Loaded, load
from etl.methods.disclosure.spec import read_spec
from etl.methods.disclosure.verify.pattern import Pattern, lay, read_pattern
from etl.methods.disclosure.verify.report import Auditor
from tests.etl.disclosure_vintages import audit, protect, returns

SMALL = """\
mode: microdata
dimensions:
  industry: {levels: [ind1, ind2]}
  place: {levels: [place]}
value: turnover
contributor: holding
rules: {min_contributors: 3, p_percent: 10}
"""
NEAR = 1e-6


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Loaded, Pattern]:
    """A table of 75 cells and its pattern, protected once."""
    folder = tmp_path_factory.mktemp("small")
    assert protect(folder, "t", returns(11, 120), spec=SMALL) == 0
    loaded = load(folder / "t.csv", read_spec(folder / "spec.yaml"))
    return loaded, read_pattern(folder / "t.out.csv", loaded.problem)


def with_shown(loaded: Loaded, pattern: Pattern, rows: list[int]) -> Pattern:
    """The pattern with some withheld rows shown, and nothing stated of the others."""
    from decimal import Decimal

    values = dict(zip(pattern.keys, true_values(loaded, pattern), strict=True))
    status, value = list(pattern.status), list(pattern.value)
    for row in rows:
        status[row], value[row] = "published", Decimal(int(values[pattern.keys[row]]))
    nothing = np.full(len(status), np.nan)
    return Pattern(pattern.keys, status, value, pattern.n, nothing, nothing)


def members(loaded: Loaded, pattern: Pattern) -> np.ndarray:
    """Cells x rows of the input, by comparing codes."""
    frame = loaded.frame
    own = {"industry": ["ind1", "ind2"], "place": ["place"]}
    inside = np.ones((len(pattern.keys), frame.height), dtype=bool)
    for i, columns in enumerate(own.values()):
        for k, key in enumerate(pattern.keys):
            if key[i] != "Total":
                inside[k] &= np.any([(frame[c] == key[i]).to_numpy() for c in columns], axis=0)
    return inside


def true_values(loaded: Loaded, pattern: Pattern) -> np.ndarray:
    """Value of every cell, added up from the rows."""
    return members(loaded, pattern) @ loaded.frame["turnover"].cast(pl.Float64).to_numpy()


def by_one_programme_a_cell(loaded: Loaded, pattern: Pattern) -> set[tuple[str, ...]]:
    """Keys of unsafe cells whose interval is too close: own rules, own system over finest cells, scipy's solver."""
    inside = members(loaded, pattern)
    turnover = loaded.frame["turnover"].cast(pl.Float64).to_numpy()
    holding = loaded.frame["holding"].to_numpy()
    atoms, place = np.unique(inside, axis=1, return_inverse=True)
    amount = np.bincount(place.ravel(), weights=turnover, minlength=atoms.shape[1])
    shown = np.array([s in ("published", "empty") for s in pattern.status])
    failed = set()
    for cell, key in enumerate(pattern.keys):
        names, index = np.unique(holding[inside[cell]], return_inverse=True)
        x = np.sort(np.bincount(index.ravel(), weights=turnover[inside[cell]], minlength=names.size))[::-1]
        if not x.size:
            continue
        lack = 0.1 * x[0] - x[2:].sum()
        if not (x.size < 3 or lack > NEAR):
            continue
        if shown[cell]:
            failed.add(key)
            continue
        distance, value = max(np.ceil(lack - NEAR), 0.0), x.sum()
        bounds = []
        for sign in (1.0, -1.0):
            answer = linprog(
                sign * atoms[cell].astype(float), A_eq=atoms[shown].astype(float), b_eq=atoms[shown] @ amount,
                bounds=(0, None), method="highs",
            )  # fmt: skip
            bounds.append(np.inf if answer.status == 3 else sign * answer.fun)
        low, high = bounds[0], abs(bounds[1])
        wide = high - low >= max(1.0, np.ceil(0.01 * value - NEAR)) - 0.01
        if not (high >= value + distance - 0.01 and low <= value - distance + 0.01 and wide):
            failed.add(key)
    return failed


def verdict(auditor: Auditor, pattern: Pattern) -> set[tuple[str, ...]]:
    """Keys of the unsafe cells the last audit found too close or shown."""
    laid = lay(pattern, auditor.problem)
    bad = set(auditor.verdict.targets[auditor.verdict.failed].tolist())
    bad |= set(np.flatnonzero(auditor.unsafe & laid.published).tolist())
    return {key for key, variable in zip(pattern.keys, laid.variable.tolist(), strict=True) if variable in bad}


def opened(loaded: Loaded, pattern: Pattern, seed: int) -> Pattern:
    """The pattern with 1 % of its secondaries (one at least) shown; seed 0: as it is."""
    secondary = [i for i, s in enumerate(pattern.status) if s == "secondary"]
    count = max(1, round(len(secondary) / 100)) if seed else 0
    chosen = np.random.default_rng(seed).choice(secondary, count, replace=False)
    return with_shown(loaded, pattern, chosen.tolist())


@pytest.mark.parametrize("seed", range(21))
def test_verdict_equals_one_programme_a_cell(small: tuple[Loaded, Pattern], seed: int) -> None:
    loaded, pattern = small
    changed = opened(loaded, pattern, seed)
    auditor = Auditor(loaded, seed)
    report = auditor.audit(changed, failures=None, control=False)
    expected = by_one_programme_a_cell(loaded, changed)
    assert verdict(auditor, changed) == expected
    outsiders = all(report.checks[name]["passed"] for name in ("primary", "null_space", "intervals"))
    assert outsiders == (not expected)
    if seed == 0:
        assert not expected


def test_the_power_is_tested_by_patterns_that_fail(small: tuple[Loaded, Pattern]) -> None:
    failing = sum(bool(by_one_programme_a_cell(small[0], opened(*small, seed))) for seed in range(1, 21))
    assert failing >= 5


def test_bounds_stated_are_what_an_attacker_finds(small: tuple[Loaded, Pattern]) -> None:
    loaded, pattern = small
    inside = members(loaded, pattern)
    atoms, place = np.unique(inside, axis=1, return_inverse=True)
    amount = np.bincount(place.ravel(), weights=loaded.frame["turnover"].cast(pl.Float64).to_numpy())
    shown = ~pattern.withheld
    for cell in np.flatnonzero(pattern.withheld):
        for sign, stated in ((1.0, pattern.lower[cell]), (-1.0, pattern.upper[cell])):
            answer = linprog(
                sign * atoms[cell].astype(float), A_eq=atoms[shown].astype(float), b_eq=atoms[shown] @ amount,
                bounds=(0, None), method="highs",
            )  # fmt: skip
            if answer.status == 3:
                assert np.isnan(stated)
            else:
                assert abs(sign * answer.fun - stated) <= 1.01


def altered(folder: Path, name: str, change: pl.Expr) -> dict[str, object]:
    """The audit's result after a change to the officer's file."""
    frame = pl.read_csv(folder / f"{name}.out.csv", infer_schema=False).with_columns(change)
    frame.write_csv(folder / "changed.out.csv")
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = audit(folder, name, pattern="changed")
    result = json.loads(printed.getvalue())
    assert code == (0 if result["passed"] else 1)
    return {k: c["passed"] for k, c in result["checks"].items()}


def test_each_fault_is_found_by_its_check(tmp_path: Path) -> None:
    assert protect(tmp_path, "t", returns(11, 120), spec=SMALL) == 0
    first = pl.int_range(pl.len()) == 0
    hidden = pl.col("status").is_in(["primary", "secondary"])
    same = altered(tmp_path, "t", pl.col("value"))
    assert all(same.values())
    assert not altered(tmp_path, "t", pl.when(first).then(pl.lit("1")).otherwise("value").alias("value"))["values"]
    assert not altered(tmp_path, "t", pl.when(first).then(pl.lit("1")).otherwise("n").alias("n"))["contributors"]
    assert not altered(tmp_path, "t", pl.when(first).then(pl.lit("x")).otherwise("status").alias("status"))["statuses"]
    assert not altered(tmp_path, "t", pl.when(first).then(pl.lit("?")).otherwise("place").alias("place"))["keys"]
    assert not altered(tmp_path, "t", pl.when(hidden).then(pl.lit("0")).otherwise("value").alias("value"))["values"]
    wide = pl.when(hidden & pl.col("upper").is_not_null()).then(pl.lit("99999999")).otherwise("upper").alias("upper")
    assert not altered(tmp_path, "t", wide)["stated"]


def test_a_missing_line_and_a_doubled_one_are_found(tmp_path: Path) -> None:
    assert protect(tmp_path, "t", returns(11, 120), spec=SMALL) == 0
    frame = pl.read_csv(tmp_path / "t.out.csv", infer_schema=False)
    for rows in (frame[1:], pl.concat([frame, frame[:1]])):
        rows.write_csv(tmp_path / "changed.out.csv")
        assert audit(tmp_path, "t", pattern="changed") == 1


def handbook(folder: Path, spec: str, rows: list[tuple[str, ...]], **trees: list[tuple[str, str]]) -> None:
    """Files of a finished frequency table."""
    for name, pairs in trees.items():
        lines = ["child,parent", *(",".join(p) for p in pairs)]
        (folder / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "spec.yaml").write_text(spec, encoding="utf-8")
    (folder / "t.csv").write_text("\n".join(",".join(r) for r in rows), encoding="utf-8")


def test_geographical_differencing_of_the_handbook(tmp_path: Path) -> None:
    """Handbook on SDC, "Disclosure risks" of frequency tables: the 2001 area lies in the 1991 one, less a strip of 2, 1 …"""
    spec = (
        "mode: cells\ncount: n\nrules: {min_contributors: 3}\ndimensions:\n"
        "  area: {column: area_, hierarchy: area.csv, total: ED1991}\n"
        "  hours: {column: hours_, hierarchy: hours.csv}\n  sex: {column: sex_, hierarchy: sex.csv}\n"
    )
    old = {"30+": (52, 55), "16-30": (130, 140), "15-": (39, 49)}
    new = {"30+": (50, 54), "16-30": (128, 140), "15-": (39, 49)}
    rows = [("area_", "hours_", "sex_", "n")]
    for area, table in (
        ("ED1991", old), ("OA2001", new), ("strip", {h: tuple(a - b for a, b in zip(old[h], new[h], strict=True)) for h in old}),
    ):  # fmt: skip
        for hours in (*old, "Total"):
            m, f = table[hours] if hours in table else tuple(sum(c) for c in zip(*table.values(), strict=True))
            rows += [(area, hours, s, str(v)) for s, v in (("M", m), ("F", f), ("Total", m + f))]
    handbook(
        tmp_path,
        spec,
        rows,
        area=[("OA2001", ""), ("strip", "")],
        hours=[(h, "") for h in old],
        sex=[("M", ""), ("F", "")],
    )
    loaded = load(tmp_path / "t.csv", read_spec(tmp_path / "spec.yaml"))
    keys = [r[:-1] for r in loaded.problem.cells.select("area", "hours", "sex", "variable").rows()]
    naive = naive_pattern(loaded, keys, lambda key: key[0] == "strip")
    checks = Auditor(loaded).audit(naive, control=False).checks
    assert checks["null_space"]["determined_unsafe"] >= 3
    code = run_protect(tmp_path)
    assert code == 0
    out = {r[:3]: r[5] for r in pl.read_csv(tmp_path / "t.out.csv", infer_schema=False).rows()}
    hidden = ("primary", "secondary")
    assert out["strip", "30+", "F"] in hidden
    assert out["ED1991", "30+", "F"] in hidden or out["OA2001", "30+", "F"] in hidden


def run_protect(folder: Path, *more: str) -> int:
    """``aistat protect`` of the files in a folder."""
    from aistat.cli import main

    return main(
        ["protect", str(folder / "t.csv"), "--spec", str(folder / "spec.yaml"), "-o", str(folder / "t.out.csv"), *more]
    )


def naive_pattern(loaded: Loaded, keys: list[tuple[str, ...]], withheld: object) -> Pattern:
    """Everything shown but the cells named: as two tables published apart would leave it."""
    from decimal import Decimal

    variables = [r[-1] for r in loaded.problem.cells.select("variable").rows()]
    hide = [v >= 0 and withheld(k) for k, v in zip(keys, variables, strict=True)]  # type: ignore[operator]
    status = ["empty" if v < 0 else "primary" if h else "published" for v, h in zip(variables, hide, strict=True)]
    amounts = [0 if v < 0 else int(loaded.problem.values[v]) for v in variables]
    value = [None if h else Decimal(a) for a, h in zip(amounts, hide, strict=True)]
    nothing = np.full(len(keys), np.nan)
    return Pattern(keys, status, value, list(amounts), nothing, nothing)


def test_linking_of_the_handbook(tmp_path: Path) -> None:
    """The same chapter: totals and males of three tables give the one woman who lives and works in the area."""
    spec = (
        "mode: cells\ncount: n\nrules: {min_contributors: 3}\ndimensions:\n"
        "  where: {column: where_, hierarchy: where.csv}\n  sex: {column: sex_, hierarchy: sex.csv}\n"
    )
    counts = {"both": (21, 1), "lives": (58, 5), "works": (23, 4)}
    rows = [("where_", "sex_", "n")]
    for where, (m, f) in [*counts.items(), ("Total", tuple(sum(c) for c in zip(*counts.values(), strict=True)))]:
        rows += [(where, "M", str(m)), (where, "F", str(f)), (where, "Total", str(m + f))]
    handbook(tmp_path, spec, rows, where=[(w, "") for w in counts], sex=[("M", ""), ("F", "")])
    loaded = load(tmp_path / "t.csv", read_spec(tmp_path / "spec.yaml"))
    keys = [r[:-1] for r in loaded.problem.cells.select("where", "sex", "variable").rows()]
    naive = naive_pattern(loaded, keys, lambda key: key[1] == "F")
    checks = Auditor(loaded).audit(naive, control=False).checks
    assert checks["null_space"]["names"] == ["where=both, sex=F"]
    assert run_protect(tmp_path) == 0
    out = {r[:2]: r[4] for r in pl.read_csv(tmp_path / "t.out.csv", infer_schema=False).rows()}
    assert out["both", "F"] == "primary"
    assert sum(s in ("primary", "secondary") for s in out.values()) >= 4


def test_forced_figures_that_expose_an_unsafe_one_fail_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spec.yaml").write_text(
        "mode: cells\nvalue: v\nstatus: st\ndimensions:\n  a: {column: a_, hierarchy: a.csv}\n", encoding="utf-8"
    )
    (tmp_path / "a.csv").write_text("child,parent\nx,\ny,\nz,\n", encoding="utf-8")
    (tmp_path / "t.csv").write_text("a_,v,st\nTotal,60,z\nx,10,u\ny,20,z\nz,30,z\n", encoding="utf-8")
    public = tmp_path / "p.csv"
    assert run_protect(tmp_path, "--public", str(public)) == 1
    assert not public.exists() and not (tmp_path / "t.out.csv").exists()
    assert "a=y" in capsys.readouterr().err  # a forced figure that does it
