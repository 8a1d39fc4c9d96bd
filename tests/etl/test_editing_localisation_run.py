"""``error_localisation`` on the command line: weights in every form, refusals, reasons."""

import json
from pathlib import Path

import numpy as np
import pytest

from aistat.cli import main
from etl.methods.editing.expressions import EditError
from etl.methods.editing.linear import linear_edits
from etl.methods.editing.localisation import Localiser
from etl.methods.editing.rules import edits_from_lines
from etl.methods.editing.weights import weights_from_text


def test_weights_in_every_form() -> None:
    names = ["a", "b"]
    assert (
        weights_from_text("a=2;b=0.5", names) == weights_from_text('{"a": 2, "b": 0.5}', names) == {"a": 2.0, "b": 0.5}
    )
    assert weights_from_text("2, 0.5", names) == {"a": 2.0, "b": 0.5} and weights_from_text(" ", names) == {}
    assert weights_from_text("variable,weight\nb,0.5\na,2\n", names) == {"a": 2.0, "b": 0.5}
    assert (
        weights_from_text("a=2\nb=Inf", names)
        == weights_from_text('{"a": 2, "b": "Inf"}', names)
        == {"a": 2, "b": np.inf}
    )
    table = ["a", "note", "b"]
    assert (
        weights_from_text("2,9,0.5", names, table) == weights_from_text("2,0.5", names, table) == {"a": 2.0, "b": 0.5}
    )
    assert weights_from_text("a=2;note=9", names, table) == {"a": 2.0}
    with pytest.raises(EditError, match="positive weight"):
        Localiser(linear_edits(edits_from_lines(["a <= b"])), names, {"a": 0.0})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1", "1 numbers; expected 2, of the columns named in the edits"),
        ("a", "JSON object"),
        ("a=x", "a: 'x'; expected a positive"),
        ("{a", "JSON object"),
        ("a=1=2", "JSON object"),
        ("a=1;a=2", "a stands twice"),
        ('{"a": 1, "a": 2}', "a stands twice"),
        ("variable,weight\na,1\na,2", "a stands twice"),
        ("q=1", "q is no column of the table; found: a, b"),
        ('{"a": null}', "a: None; expected a positive"),
        ('{"a": [1]}', "a: .*expected a positive"),
        ('{"a": {"b": 1}}', "a: .*expected a positive"),
        ('{"a": true}', "a: True; expected a positive"),
        ("a=0", "expected a positive"),
        ("a=-inf", "expected a positive"),
        ("a=nan", "expected a positive"),
    ],
)
def test_weights_that_cannot_be_are_refused(text: str, said: str) -> None:
    with pytest.raises(EditError, match=f"weights.*{said}"):
        weights_from_text(text, ["a", "b"])


def localised(tmp_path: Path, table: str, rules: str, *extra: str) -> int:
    (tmp_path / "in.csv").write_text(table, encoding="utf-8")
    (tmp_path / "e.txt").write_text(rules, encoding="utf-8")
    call = ["method", "run", "error_localisation", "--input", str(tmp_path / "in.csv"), "-o", str(tmp_path / "o.json")]
    return main([*call, "--param", f"edits={tmp_path / 'e.txt'}", *(x for e in extra for x in ("--param", e))])


def test_weights_come_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = "id,x,y,note\nr,1,2,n\n"
    for name, text in (
        ("w.csv", "variable,weight\nx,3\n"),
        ("w.json", '{"x": 3}'),
        ("w.txt", "x=3"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        for path in (str(tmp_path / name), f"@{tmp_path / name}"):
            assert localised(tmp_path, table, "x = y", f"weights={path}") == 0
            assert json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))["rows"][0]["variables"] == ["y"]
    assert localised(tmp_path, table, "x = y", "weights=@nowhere.csv") == 2
    assert "--param weights" in (said := capsys.readouterr().err) and "nowhere.csv: No such file" in said
    assert localised(tmp_path, table, "x = y", "weights=nowhere.csv") == 2
    assert "existing file" in capsys.readouterr().err
    assert localised(tmp_path, table, "x = y", "weights=" + "x" * 5000) == 2


def test_the_reason_of_a_record_without_solution(tmp_path: Path) -> None:
    assert localised(tmp_path, "id,x,y\nr,1,2\ns,2,2\n", "x = y", "weights=x=Inf;y=inf") == 0
    first, second = json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))["rows"]
    assert first["status"] == "infeasible" and "weight Inf (x, y)" in first["reason"]
    assert second["status"] == "consistent" and second["reason"] is None
    assert localised(tmp_path, "id,x\nr,1\n", "x > 2\nx < 2\n") == 0
    answer = json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))
    assert "contradict each other" in answer["rows"][0]["reason"]


@pytest.mark.parametrize(
    ("table", "rules", "extra", "said"),
    [
        ("id,x\n1,1\n2,2\n", "id >= 2\nx > 0", [], "edit e1 reads id"),
        ("id,x\na,1\na,2\n", "x > 0", [], "id a is there 2 times"),
        ("id,x\na,1\n", "x > 0", ["time_limit=-1"], "time_limit -1"),
        ("id,a-b\nr,1\n", "a-b > 0", [], "'a-b' cannot be written in an edit: rename it"),
    ],
)
def test_what_the_runner_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, rules: str, extra: list[str], said: str
) -> None:
    assert localised(tmp_path, table, rules, *extra) == 2
    assert said in (error := capsys.readouterr().err) and len(error.strip().splitlines()) == 1


def test_edits_written_in_place_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert localised(tmp_path, "id,x\nr,1\n", "x > 0") == 0
    call = ["method", "run", "error_localisation", "--input", str(tmp_path / "in.csv"), "-o", str(tmp_path / "o.json")]
    assert main([*call, "--param", "edits=x + y == z"]) == 2
    said = capsys.readouterr().err
    assert "the path of a file is expected" in said and "one a line: [id:] a*x + b*y <= c" in said


def test_the_runner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.csv").write_text(
        "id,name,p,c,t\nu1,甲,755,125,200\nu2,乙,75,125,200\nu3,丙,,125,200\n", encoding="utf-8"
    )
    (tmp_path / "e.txt").write_text("# 平衡\nbalance: p + c = t\nshare: c >= 0.6*t\n\np >= 0\n", encoding="utf-8")
    out = tmp_path / "o.json"
    call = ["method", "run", "error_localisation", "--input", str(tmp_path / "in.csv"), "-o", str(out)]
    assert main([*call, "--param", f"edits={tmp_path / 'e.txt'}", "--param", "weights=p=1;c=2"]) == 0
    answer = json.loads(out.read_text(encoding="utf-8"))
    first, second, third = answer["rows"]
    assert (first["id"], first["variables"], first["objective"], first["status"]) == ("u1", ["p"], 1.0, "optimal")
    assert first["failed_edits"] == ["balance"] and first["repair"][0]["value"] == pytest.approx(75)
    assert (second["variables"], second["status"]) == ([], "consistent")
    assert (third["variables"], third["missing"]) == (["p"], ["p"])
    assert answer["result"]["changed"] == {"p": 2, "c": 0, "t": 0}
    (tmp_path / "bad.txt").write_text("p + c = q\n")
    assert main([*call, "--param", f"edits={tmp_path / 'bad.txt'}"]) == 2 and "column q" in capsys.readouterr().err
    assert main(call) == 2 and "edits" in capsys.readouterr().err
