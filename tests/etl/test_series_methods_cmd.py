"""The methods of growth, indices, benchmarking and season through ``aistat method run``: CSV in, JSON out."""

import json
from pathlib import Path
from typing import Any

import pytest

from aistat.cli import main

INPUTS = {
    "growth_decomposition": (
        "unit,value,value_prev,status,status_prev,class,class_prev\na,12,10,in,in,x,x\nb,5,,in,out,x,\nc,,4,out,in,,x\nd,3,2,in,in,y,x\n",
        [],
        {"total": 4.0, "continuing": 2.0, "entry": 5.0, "exit": -4.0, "reclassification": 1.0},
    ),
    "chain_index": (
        "item,period,price,quantity\na,2024,10,2\nb,2024,5,4\na,2025,11,2\nb,2025,5,5\n",
        ["formula=laspeyres", "base=2024"],
        {"formula": "laspeyres", "base": ["2024"], "items": 2},
    ),
    "denton": (
        "series,period,value\nlow,2024,400\nhigh,2024-Q1,1\nhigh,2024-Q2,1\nhigh,2024-Q3,1\nhigh,2024-Q4,1\n",
        ["variant=additive"],
        {"benchmarks": 1, "variant": "additive"},
    ),
    "genhol_cny": (None, ["from=2025", "to=2025", "start=0", "end=6", "frequency=4", "centre=mean"], {"days": 7}),
    "growth_rates": ("period,value\n2024-02,30\n2025-02,33\n", ["amounts=cumulated"], {"rows": 2}),
    "contributions": ("id,value,value_prev\na,60,50\nb,55,50\n", [], {"reason": None}),
}


def answer(tmp_path: Path, method: str, text: str | None, parameters: list[str]) -> dict[str, Any]:
    arguments = ["method", "run", method, "-o", str(tmp_path / "out.json")]
    if text is not None:
        (tmp_path / "in.csv").write_text(text, encoding="utf-8")
        arguments += ["--input", str(tmp_path / "in.csv")]
    assert main([*arguments, *(x for p in parameters for x in ("--param", p))]) == 0
    found: dict[str, Any] = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("method", list(INPUTS))
def test_a_file_goes_through(tmp_path: Path, method: str) -> None:
    text, parameters, expected = INPUTS[method]
    found = answer(tmp_path, method, text, parameters)
    assert {k: found["result"][k] for k in expected} == expected and found["rows"]


def test_rows_carry_the_names_of_the_page(tmp_path: Path) -> None:
    index = answer(tmp_path, "chain_index", *INPUTS["chain_index"][:2])["rows"]
    assert index[1]["index"] == pytest.approx(100 * (22 + 20) / 40) and index[1]["link"] == pytest.approx(1.05)
    quarters = answer(tmp_path, "genhol_cny", *INPUTS["genhol_cny"][:2])["rows"]
    assert quarters == [{"period": f"2025-Q{k}", "value": 0.75 if k == 1 else -0.25} for k in range(1, 5)]
    assert [r["value"] for r in answer(tmp_path, "denton", *INPUTS["denton"][:2])["rows"]] == [100.0] * 4
    both = answer(tmp_path, "growth_rates", *INPUTS["growth_rates"][:2])["rows"][1]
    assert both["label"] == "2025年1—2月" and both["yoy"] == pytest.approx(0.1) and both["yoy_reason"] is None


def test_a_short_series_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "\n".join(f"2025-{m:02d},{m}" for m in range(1, 13))
    (tmp_path / "in.csv").write_text(f"period,value\n{lines}\n", encoding="utf-8")
    out = str(tmp_path / "o.json")
    assert main(["method", "run", "seasonal_x13", "--input", str(tmp_path / "in.csv"), "-o", out]) == 2
    error = capsys.readouterr().err
    assert "12 periods, 36 (3 years) are the least" in error and len(error.strip().splitlines()) == 1


def test_changes_of_the_spec_may_come_as_a_file(tmp_path: Path) -> None:
    months = [
        f"{y}-{m:02d},{100 + y - 2015 + 10 * (m % 3) + (y * m) % 5}" for y in range(2015, 2021) for m in range(1, 13)
    ]
    (tmp_path / "spec.txt").write_text("# fixed\narima.model=(0 1 1)(0 1 1)\noutlier=none\n", encoding="utf-8")
    text = "period,value\n" + "\n".join(months) + "\n"
    found = answer(tmp_path, "seasonal_x13", text, [f"spec_file={tmp_path / 'spec.txt'}", "transform=log"])
    assert found["result"]["model"] == "(0 1 1)(0 1 1)" and "automdl" not in found["result"]["spec"]
    assert len(found["rows"]) == 72 and {"seasonally_adjusted", "trend", "seasonal", "irregular"} <= set(
        found["rows"][0]
    )
