"""The page on protecting a table is run as written."""

import json
import re
import shlex
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml

from aistat.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "protect-a-table.md"
FOLDER = PAGE.with_suffix("")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_commands_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AISTAT_HOME", str(tmp_path / "home"))
    shutil.copytree(FOLDER, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    commands = [line for block in blocks("sh") for line in block.splitlines() if line]
    assert len(commands) == 2
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "aistat"
        assert main(words[1:]) == 0, command
    assert json.loads(capsys.readouterr().out)["passed"]
    out = pl.read_csv("out.csv", infer_schema=False)
    public = pl.read_csv("public.csv", infer_schema=False)
    assert out.height == public.height == 7 * 7 * 3
    assert public.columns == ["branch", "district", "size", "value"]
    assert (public["value"] == "保密").sum() == out["status"].is_in(["primary", "secondary"]).sum() > 0
    assert Path("certificate.json").exists() and Path("ledger/ledger.csv").exists()


def test_specification_on_the_page_is_the_file() -> None:
    shown = yaml.safe_load(blocks("yaml")[0])
    real = yaml.safe_load((FOLDER / "spec.yaml").read_text(encoding="utf-8"))
    assert {k: v for k, v in real.items() if k in shown} == shown
