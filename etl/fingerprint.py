"""Whether anything that a release depends on has changed since it was made."""

import hashlib
import json
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CODE_FOLDERS = ("taxonomy", "warehouse", "etl")
CODE_SUFFIXES = {".py", ".yaml", ".csv", ".sql"}


def _digest_files(paths: list[Path], base: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        stat = path.stat()
        digest.update(f"{path.relative_to(base)}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def fingerprint(root: Path) -> dict[str, str]:
    """Names, sizes and times of the received files and of the code and metadata that read them."""
    inbox = root / "inbox"
    received = [p for p in inbox.rglob("*") if p.is_file()] if inbox.is_dir() else []
    code = [
        p
        for folder in CODE_FOLDERS
        for p in (REPOSITORY / folder).rglob("*")
        if p.is_file() and p.suffix in CODE_SUFFIXES
    ]
    return {"inbox": _digest_files(received, root), "code": _digest_files(code, REPOSITORY)}


def _path(root: Path) -> Path:
    return root / "last_run.json"


def record(root: Path, release_id: str) -> None:
    """Remember what the release was made from."""
    temporary = _path(root).with_suffix(".tmp")
    temporary.write_text(json.dumps({"release": release_id, **fingerprint(root)}, indent=1))
    temporary.replace(_path(root))


def inputs_changed(root: Path) -> bool:
    """Whether the current release was made from other files or other code than those there now."""
    from warehouse.release import current_id

    try:
        last = json.loads(_path(root).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return True
    made_from = {key: value for key, value in last.items() if key != "release"}
    return current_id(root) is None or made_from != fingerprint(root)
