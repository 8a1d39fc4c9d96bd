"""Sources: a folder each with its contract; the real public lists are committed beside theirs."""

import shutil
from pathlib import Path


def copy_public_data(inbox: Path) -> list[Path]:
    """Put the committed public lists into ``inbox/<source_id>/`` where they are absent or differ; returns those copied."""
    from etl.contract import list_contracts, public_files

    copied = []
    for contract in list_contracts():
        for source in public_files(contract.id):
            target = inbox / contract.id / source.name
            if target.is_file() and target.read_bytes() == source.read_bytes():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
            copied.append(target)
    return copied
