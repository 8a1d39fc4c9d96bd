"""``aistat method``: declared columns and parameters are checked in one place, the answer is plain JSON."""

import json
from pathlib import Path

import polars as pl
import pytest

from aistat.cli import main
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, TableMethod, names_in, run_table

TABLE = "id,value,value_prev\na,105.4,100\nb,3,0\nc,,5\n"


def run(tmp_path: Path, text: str | bytes, *extra: str, method: str = "growth_yoy") -> int:
    source = tmp_path / "in.csv"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    return main(["method", "run", method, "--input", str(source), "-o", str(tmp_path / "out.json"), *extra])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_a_csv_goes_in_and_json_comes_out(tmp_path: Path, encoding: str) -> None:
    assert run(tmp_path, TABLE.replace("a,", "甲,").encode(encoding)) == 0
    answer = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert answer["result"] == {"rows": 3, "without_growth": 2}
    assert [(r["id"], r["reason"]) for r in answer["rows"]] == [("甲", None), ("b", "base_zero"), ("c", "missing")]
    assert answer["rows"][0]["growth_ratio"] == pytest.approx(0.054)


@pytest.mark.parametrize(
    "text",
    [
        TABLE + "\n",
        TABLE + "\n  \n\n",
        TABLE.replace("\n", "\r\n") + ",,\r\n,,\r\n",
        "id, value , value_prev\n" + TABLE.partition("\n")[2],
        "".join(f"{line},,\n" for line in TABLE.splitlines()),
        'id,value,value_prev\na,"105.4",100\nb,3,0\n"c",,5',
    ],
)
def test_blank_lines_below_and_blanks_in_the_header_do_not_matter(tmp_path: Path, text: str) -> None:
    assert run(tmp_path, text) == 0
    answer = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [(r["id"], r["reason"]) for r in answer["rows"]] == [("a", None), ("b", "base_zero"), ("c", "missing")]


@pytest.mark.parametrize(
    ("text", "extra", "said"),
    [
        ("id,value\na,1\n", [], "column value_prev"),
        ("id,value,value_prev\na,1,x\n", [], "line 2, column value_prev: 'x' is not a number"),
        ("id,value,value_prev\n,1,2\n", [], "line 2, column id: empty"),
        (TABLE, ["--param", "k=1"], "parameter k is not known"),
        (TABLE, ["--param", "k"], "expected NAME=VALUE"),
        ("", [], "is empty"),
        ("id,value,value_prev\n", [], "the table is empty: a header line and no row"),
        ("id,value,value_prev\na,1,2\nb,3\n", [], "line 3 has 2 cells, the header 3"),
        ("id,value,value_prev\na,1,2\nb,3,4,5\n", [], "line 3 has 4 cells, the header 3"),
        ("id,value,value_prev\na,1,2\n\nb,3,4\n", [], "line 3 has 0 cells"),
        ("\nid,value,value_prev\na,1,2\n", [], "line 1 is blank"),
        ("id,value,value_prev,value\na,1,2,3\n", [], "column value stands twice in the header"),
        ("id,value,value_prev,\na,1,2,3\n", [], "column 4 has values but no name"),
        ("id;value;value_prev\na;1;2\n", [], "separated by semicolons; commas are expected"),
        ("id\tvalue\tvalue_prev\na\t1\t2\n", [], "separated by tabs; commas are expected"),
        ('{"id": ["a"]}', [], "is JSON; a CSV is expected"),
        (b"PK\x03\x04\x14\x00", [], "is an Excel workbook (xlsx), not a CSV; save it as CSV UTF-8"),
        ("ID,value,value_prev\na,1,2\n", [], "column 'ID' is not known; 'id' is: rename the column"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, extra: list[str], said: str
) -> None:
    assert run(tmp_path, text, *extra) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1


def test_an_unknown_method_and_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, TABLE, method="growth_xxx") == 2 and "growth_yoy" in capsys.readouterr().err
    out = str(tmp_path / "o.json")
    assert main(["method", "run", "growth_yoy", "--input", str(tmp_path / "no.csv"), "-o", out]) == 2
    assert main(["method", "run", "growth_yoy", "-o", out]) == 2 and "--input" in capsys.readouterr().err


def test_list_and_show_say_what_is_expected(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["method", "list"]) == 0 and "growth_yoy" in capsys.readouterr().out
    assert main(["method", "show", "growth_yoy"]) == 0
    said = capsys.readouterr().out
    assert "value_prev" in said and "docs/methods/growth_yoy.md" in said


def _echo(frame: pl.DataFrame, parameters: object) -> MethodResult:
    return MethodResult({"parameters": parameters, "types": [str(t) for t in frame.dtypes]}, frame)


TOY = TableMethod(
    "toy", "toy",
    (Column("x\\d+", "number", "x", pattern=True), Column("on", "flag", "f", required=False, nullable=True),
     Column("t", "period", "t")),
    (Parameter("n", "integer", "n", 3, least=0), Parameter("c", "choice", "c", "a", ("a", "b")), Parameter("l", "numbers", "l"),
     Parameter("f", "table", "f")),
    _echo,
)  # fmt: skip


def test_a_choice_is_known_in_any_case_and_a_flag_as_spreadsheets_write_it() -> None:
    frame = pl.DataFrame({"x1": ["1", "2"], "t": ["2025", "2026"], "on": ["1.0", "0.0"]})
    found = run_table(TOY, frame, {"c": "B"})
    assert found.result["parameters"]["c"] == "b" and found.rows["on"].to_list() == [True, False]


@pytest.mark.parametrize("cell", ["old1;old2", "old1；old2", "old1, old2", "old1，old2,", " old1、 old2"])
def test_names_in_one_cell_may_stand_apart_in_any_punctuation(cell: str) -> None:
    assert names_in(cell) == ["old1", "old2"] and names_in(None) == []


def test_columns_and_parameters_are_cast_as_declared() -> None:
    frame = pl.DataFrame({"x2": ["1"], "other": ["?"], "on": ["是"], "t": ["2025-Q3"], "x10": ["2e3"]})
    found = run_table(TOY, frame, {"l": "1,2.5", "c": "b", "f": pl.DataFrame({"k": ["v"]})})
    assert found.rows.to_dicts() == [{"x2": 1.0, "x10": 2000.0, "on": True, "t": "2025-Q3"}]
    assert found.result["parameters"]["n"] == 3 and found.result["parameters"]["l"] == [1.0, 2.5]


@pytest.mark.parametrize(
    ("cells", "parameters", "said"),
    [
        ({"x1": ["inf"], "t": ["2025"]}, {}, "is not a number"),
        ({"x1": ["1"], "t": ["2025-13"]}, {}, "is not a period"),
        ({"x1": ["1"], "t": ["2025"], "on": ["maybe"]}, {}, "1/0"),
        ({"x1": [], "t": []}, {}, "the table is empty"),
        ({"t": ["2025"]}, {}, "a column x… of x is missing; found: t;"),
        ({"x1": ["1"], "t": ["2025"]}, {"n": "x"}, "not a whole number"),
        ({"x1": ["1"], "t": ["2025"]}, {"c": "z"}, "not one of a, b"),
        ({"x1": ["1"], "t": ["2025"]}, {"f": "z"}, "not a table"),
        ({"x1": ["1"], "t": ["2025"]}, {"n": "1.5"}, "'1.5' is not a whole number, such as 3"),
        ({"x1": ["1"], "t": ["2025"]}, {"n": "-1"}, "parameter n: -1 is below 0"),
        ({"x1": ["1"], "t": ["2025"]}, {"l": "a,b"}, "'a,b' is not a list of numbers with commas between"),
        ({"x1": ["1"], "t": ["2025"], "On": ["1"]}, {}, "column 'On' is not known; 'on' is"),
        ({"x1": ["1"], "t": ["2025"], " on": ["1"]}, {}, "column ' on' is not known; 'on' is"),
        ({"x1": ["1"], "X2": ["1"], "t": ["2025"]}, {}, "column 'X2' is not known; 'x2' is"),
    ],
)
def test_what_does_not_fit_is_refused(cells: dict[str, list[str]], parameters: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        run_table(TOY, pl.DataFrame(cells), parameters)
