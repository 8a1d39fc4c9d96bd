"""``aistat up`` as a newcomer starts it: the nightly job, the app, Dagster and the desk; a second start; a clean end."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import ROOT


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(address: str, process: "subprocess.Popen[str]", seconds: float) -> bytes:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"aistat up ended with {process.returncode}: {process.stdout.read()}")  # type: ignore[union-attr]
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:
                return answer.read()  # type: ignore[no-any-return]
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"{address} did not answer within {seconds} s")


def start(home: Path, ports: dict[str, int]) -> "subprocess.Popen[str]":
    environment = {**os.environ, "AISTAT_HOME": str(home), **{name: str(port) for name, port in ports.items()}}
    return subprocess.Popen(
        [sys.executable, "-m", "aistat", "up", "--size", "small"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_up_from_received_files_to_served_pages_twice(demo_inbox: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(demo_inbox, home)
    ports = {name: free_port() for name in ("AISTAT_PORT", "AISTAT_DAGSTER_PORT", "AISTAT_DESK_PORT")}
    seen = []
    for turn in range(2):
        process = start(home, ports)
        try:
            health = json.loads(answers(f"http://127.0.0.1:{ports['AISTAT_PORT']}/api/v1/health", process, 240))
            assert health["status"] == "ok" and health["simulated"]
            seen.append(health["release"])
            assert answers(f"http://127.0.0.1:{ports['AISTAT_DAGSTER_PORT']}/server_info", process, 120)
            assert "登录" in answers(f"http://127.0.0.1:{ports['AISTAT_DESK_PORT']}/login", process, 60).decode()
            time.sleep(1)
        finally:
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=60)[0]
        assert process.returncode == 0, output
        assert "就绪 / ready" in output and "analyst" in output, output
        assert ("输入未变" in output) == (turn == 1), output
    assert seen[0] == seen[1]
