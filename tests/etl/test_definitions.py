"""The code location loads, its assets follow the naming of phases, its schedule is the promised one."""

import re
import subprocess
import sys
from pathlib import Path

from etl.definitions import defs
from tests.conftest import ROOT

PHASES = {"collect", "process", "analyse", "disseminate", "control"}
KINDS = {"rows", "unit", "obs", "assn", "code", "flag", "weight", "est", "cell", "series", "log"}


def test_workspace_validates() -> None:
    command = [str(Path(sys.executable).parent / "dagster"), "definitions", "validate", "-w", "workspace.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]


def test_assets_are_named_and_grouped_by_phase() -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        name = key.to_user_string()
        group = graph.get(key).group_name
        assert group in PHASES, name
        match = re.fullmatch(r"([a-z]+)_[a-z_]+__([a-z]+)(_[a-z_]+)?", name)
        assert match and match[1] == group and match[2] in KINDS, name


def test_blocking_checks_stand_before_the_release() -> None:
    checks = {key.name for key in defs.resolve_asset_graph().asset_check_keys}
    assert {"rows_conserved", "form_in_force", "audit_passed", "nothing_negative", "one_row_a_unit_year"} <= checks


def test_the_nightly_schedule() -> None:
    schedule = defs.resolve_schedule_def("nightly_schedule")
    assert schedule.cron_schedule == "30 2 * * *" and schedule.execution_timezone == "Asia/Shanghai"
    assert schedule.default_status.value == "RUNNING"
