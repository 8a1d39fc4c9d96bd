"""``aistat protect`` and ``aistat audit``: files, certificate, exit codes and the one line a mistake gets."""

import csv
import json
from pathlib import Path

import polars as pl
import pytest

from aistat.cli import main
from tests.etl.disclosure_vintages import SPEC, audit, protect, returns

SMALL = SPEC.replace("  size: {levels: [size]}\n", "")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AISTAT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_files_of_a_protection(tmp_path: Path, home: Path) -> None:
    frame = returns(5, 150).with_columns(ind2=pl.col("ind2").replace("I3", "=I3"))
    public, certificate = tmp_path / "p.csv", tmp_path / "c.json"
    assert protect(tmp_path, "t", frame, "--public", str(public), "--certificate", str(certificate), spec=SMALL) == 0
    out = pl.read_csv(tmp_path / "t.out.csv", infer_schema=False)
    assert out.columns == ["industry", "place", "value", "n", "status", "lower", "upper"]
    assert out.height == 15 * 5 == out.select("industry", "place").n_unique()
    withheld = out.filter(pl.col("status").is_in(["primary", "secondary"]))
    assert withheld["value"].null_count() == withheld.height > 0
    assert out.filter(pl.col("status") == "published")["value"].null_count() == 0
    assert (tmp_path / "t.out.csv").stat().st_mode & 0o077 == 0

    raw = public.read_bytes()
    assert raw.startswith("\ufeff".encode())
    rows = list(csv.reader(raw.decode("utf-8-sig").splitlines()))
    assert rows[0] == ["industry", "place", "value"]
    assert sum(r[2] == "保密" for r in rows) == withheld.height
    assert any(r[0] == "'=I3" for r in rows) and not any(r[0].startswith("=") for r in rows)

    sealed = json.loads(certificate.read_text(encoding="utf-8"))
    assert sealed["passed"] and sealed["key"] == "demo (public)"
    assert set(sealed["public"]) == {"passed", "id", "time"}
    assert all(c["passed"] for c in sealed["audit"]["checks"].values())
    assert "min_contributors" not in json.dumps(sealed)
    assert certificate.stat().st_mode & 0o077 == 0
    assert audit(tmp_path, "t") == 0


def test_certificates_bind_the_rules_to_the_key(tmp_path: Path, home: Path) -> None:
    codes = {}
    for name, percent, key in (("a", 10, ""), ("b", 12, ""), ("c", 10, "k" * 32)):
        if key:
            (home / "secret").mkdir(parents=True)
            (home / "secret" / "disclosure.key").write_text(key)
            (home / "secret" / "disclosure.key").chmod(0o600)
        path = tmp_path / f"{name}.json"
        spec = SMALL.replace("p_percent: 10", f"p_percent: {percent}")
        assert protect(tmp_path, name, returns(5, 150), "--certificate", str(path), spec=spec) == 0
        sealed = json.loads(path.read_text(encoding="utf-8"))
        codes[name] = sealed["rules"]
        assert sealed["key"] == ("live" if key else "demo (public)")
    assert len(set(codes.values())) == 3
    (home / "secret" / "disclosure.key").chmod(0o644)
    assert protect(tmp_path, "d", returns(5, 150), spec=SMALL) == 2


def test_a_table_down_to_a_level_is_protected_and_audited(tmp_path: Path, home: Path) -> None:
    tables = "tables: [{name: fine, dimensions: [industry]}, {name: coarse, dimensions: ['industry:1', place]}]\n"
    frame = returns(5, 150)
    assert protect(tmp_path, "t", frame, spec=SMALL + tables) == 0
    assert audit(tmp_path, "t") == 0
    rows = pl.read_csv(tmp_path / "t.out.csv", infer_schema=False).to_dicts()
    assert {r["industry"] for r in rows if r["place"] != "Total"} == {"Total", *frame["ind1"].unique()}
    assert {r["industry"] for r in rows if r["place"] == "Total"} >= set(frame["ind2"].unique())


def test_a_failure_leaves_no_public_file(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    public = tmp_path / "p.csv"
    public.write_text("stale")
    assert protect(tmp_path, "t", returns(5), "--public", str(public), "--time-limit", "0.001") == 1
    assert not public.exists() and not (tmp_path / "t.out.csv").exists()
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "--time-limit" in error and "nothing was written" in error


def test_what_fails_the_audit_is_not_written(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A search that leaves secondaries out is caught by the command itself."""
    from etl.methods.disclosure import beside

    real = beside.protect

    def careless(*arguments: object) -> object:
        found = real(*arguments)  # type: ignore[arg-type]
        found.hidden[~found.found.unsafe] = False
        return found

    monkeypatch.setattr(beside, "protect", careless)
    assert protect(tmp_path, "t", returns(5, 150), "--public", str(tmp_path / "p.csv"), spec=SMALL) == 1
    assert "null_space" in capsys.readouterr().err
    assert not (tmp_path / "p.csv").exists() and not (tmp_path / "t.out.csv").exists()


MISTAKES = {
    "unknown key": (SMALL + "colour: red\n", None, ["spec.yaml", "'colour'", "correct or remove"]),
    "mode": (SMALL.replace("microdata", "rows"), None, ["mode", "'rows'", "microdata or cells"]),
    "not yaml": ("mode: [microdata\n", None, ["line", "expected YAML"]),
    "column": (SMALL.replace("levels: [place]", "levels: [town]"), None, ["t.csv line 1", "'town'", "correct"]),
    "rule": (SMALL.replace("p_percent: 10", "p_percent: 700"), None, ["rules.p_percent", "700", "0 to 100"]),
    "rule kind": (SMALL.replace("min_contributors: 3", "min_contributors: 2.5"), None, ["whole number"]),
    "dominance": (SMALL.replace("p_percent: 10", "dominance: [75]"), None, ["rules.dominance", "pairs"]),
    "foreign key": (SMALL + "status: st\n", None, ["status", "cells"]),
    "hierarchy": (
        SMALL.replace("levels: [place]", "column: place, hierarchy: no.csv"),
        None,
        ["no.csv", "does not exist"],
    ),
    "public": (SMALL + "public: known.csv\n", None, ["known.csv", "does not exist"]),
    "table": (SMALL + "tables: [{name: t, dimensions: [moon]}]\n", None, ["tables[1].dimensions", "industry"]),
    "text for number": (SMALL, ("turnover", "12,5"), ["t.csv line 2", "column turnover", "'12,5'", "correct the row"]),
    "no code": (SMALL, ("place", ""), ["t.csv", "place"]),
    "two parents": (SMALL, ("ind2", "I1"), ["t.csv", "I1"]),
}


@pytest.mark.parametrize("name", list(MISTAKES))
def test_mistakes_get_one_line_and_two(
    name: str, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, change, words = MISTAKES[name]
    frame = returns(5, 150).with_columns(pl.col("turnover").cast(pl.String), ind1=pl.col("ind1"))
    if change:
        first = pl.int_range(pl.len()) == 0
        column, text = change
        frame = frame.with_columns(pl.when(first).then(pl.lit(text)).otherwise(column).alias(column))
        if name == "two parents":
            frame = frame.with_columns(ind1=pl.when(first).then(pl.lit("G9")).otherwise("ind1"))
    assert protect(tmp_path, "t", frame, spec=spec) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("aistat: ")
    for word in words:
        assert word in lines[0], lines[0]


def test_files_that_are_not_there(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "spec.yaml").write_text(SMALL)
    spec = str(tmp_path / "spec.yaml")
    assert main(["protect", str(tmp_path / "no.csv"), "--spec", spec, "-o", str(tmp_path / "o.csv")]) == 2
    assert main(["protect", str(tmp_path / "no.csv"), "--spec", "no.yaml", "-o", str(tmp_path / "o.csv")]) == 2
    assert main(["protect", "x.csv", "--spec", spec, "-o", str(tmp_path / "none" / "o.csv")]) == 2
    returns(5, 150).write_csv(tmp_path / "t.csv")
    assert main(["audit", str(tmp_path / "no.csv"), "--input", str(tmp_path / "t.csv"), "--spec", spec]) == 2
    assert all(
        "does not exist" in x or "no directory" in x for x in capsys.readouterr().err.splitlines() if "aistat:" in x
    )


VARIANTS = {
    "dominance": SMALL.replace("{min_contributors: 3, p_percent: 10}", "{dominance: [[1, 75], [2, 85]]}"),
    "exact": SMALL + "protection: exact\n",
    "linked": SMALL + "tables: [{name: a, dimensions: [industry]}, {name: b, dimensions: [place]}]\n",
    "counts": SMALL.replace("value: turnover\n", ""),
    "waiver": SMALL + "waivers: [H1]\n",
    "known": SMALL + "public: known.csv\n",
    "weighted": SMALL + "weight: w\n",
    "tree": SMALL.replace("levels: [place]", "column: place, hierarchy: place.csv, total: City"),
}


@pytest.mark.parametrize("name", list(VARIANTS))
def test_every_kind_of_specification_is_protected_and_audited(name: str, tmp_path: Path, home: Path) -> None:
    frame = returns(7, 200).with_columns(w=pl.lit("1.5"))
    (tmp_path / "known.csv").write_text("contributor,value\nH2,100\n")
    (tmp_path / "place.csv").write_text("child,parent\nN,\nS,\nP0,N\nP1,N\nP2,S\nP3,S\n")
    assert protect(tmp_path, "t", frame, spec=VARIANTS[name]) == 0
    assert audit(tmp_path, "t") == 0
    out = pl.read_csv(tmp_path / "t.out.csv", infer_schema=False)
    expected = {"linked": 15 + 5 - 1, "tree": 15 * 7}.get(name, 75)
    assert out.height == expected
    total = out.row(0, named=True)
    assert total["place"] == ("City" if name == "tree" else "Total")
    if name == "counts":
        assert total["value"] == "200"


def test_finished_table_round_trip(tmp_path: Path, home: Path) -> None:
    """A table with its totals, statuses and required protection as given."""
    lines = ["area,kind,v,st,lo,up"]
    values = {"a": (40, 60, 80), "b": (50, 20, 90), "c": (70, 30, 10)}
    table = {**values, "Total": tuple(map(sum, zip(*values.values(), strict=True)))}
    for area, row in table.items():
        for kind, v in zip(("x", "y", "z", "Total"), (*row, sum(row)), strict=True):
            mark = ("u", "5", "7") if (area, kind) == ("b", "y") else ("", "", "")
            lines.append(",".join((area, kind, str(v), *mark)))
    (tmp_path / "t.csv").write_text("\n".join(lines))
    (tmp_path / "spec.yaml").write_text(
        "mode: cells\nvalue: v\nstatus: st\nrequired: {lower: lo, upper: up}\ndimensions:\n"
        "  area: {levels: [area]}\n  kind: {levels: [kind]}\n"
    )
    arguments = [str(tmp_path / "t.csv"), "--spec", str(tmp_path / "spec.yaml"), "-o", str(tmp_path / "t.out.csv")]
    assert main(["protect", *arguments]) == 0
    cell = pl.read_csv(tmp_path / "t.out.csv").filter(area="b", kind="y").row(0, named=True)
    assert cell["status"] == "primary" and cell["lower"] <= 15 and cell["upper"] >= 27
    assert audit(tmp_path, "t") == 0
    lines[1] = lines[1].replace("40", "41")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    assert main(["protect", *arguments]) == 2
