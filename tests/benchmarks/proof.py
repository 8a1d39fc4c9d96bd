"""Evidence files: what was measured, by which commit, and the hashes of the code it is about."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SAID = 20_000
"""Characters of what a failed command said last that are shown."""
FOLDER = ROOT / "docs" / "quality" / "evidence"


def measured(home: Path, *arguments: str, read: Callable[[str], dict[str, Any]] = lambda _: {}) -> dict[str, Any]:
    """One ``aistat`` command in a process of its own: wall and CPU seconds, peak MiB, and what is ``read`` from what it says.

    SystemExit where it fails.
    """
    started = time.perf_counter()
    command = [sys.executable, "-m", "aistat", *arguments]
    environment = {**os.environ, "AISTAT_HOME": str(home)}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode(errors="replace")
    if process.returncode:
        raise SystemExit(f"{text[-SAID:]}\naistat {' '.join(arguments)} ended with {process.returncode}")
    return {
        "wall_s": round(time.perf_counter() - started, 1),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mib": round(usage.ru_maxrss / 1024),
        **read(text),
    }


def hashes(patterns: Sequence[str]) -> dict[str, str]:
    """SHA-256 of every file that a pattern (relative to the repository) names."""
    paths = sorted({p for pattern in patterns for p in ROOT.glob(pattern) if p.is_file()})
    return {p.relative_to(ROOT).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()[:16] for p in paths}


def write(name: str, evidence: dict[str, Any], proves: Sequence[str]) -> Path:
    """Write ``docs/quality/evidence/<name>.json`` with the commit and what it proves; returns the path."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    body = {"commit": commit.stdout.strip(), **evidence, "proves": hashes(proves)}
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def outdated(path: Path) -> list[str]:
    """Files that are no longer what the evidence was made from."""
    body = json.loads(path.read_text(encoding="utf-8"))
    proved: dict[str, str] = body.get("proves", {})
    return [name for name, digest in proved.items() if hashes([name]).get(name) != digest]
