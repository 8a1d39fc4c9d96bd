"""An official release (正式发布): who may ask for it, the request in the journal, the answer, and what was refused, row by row."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from etl.progress import say
from etl.release_ledger import ReleaseLedger
from taxonomy.basis import Refusal
from warehouse.access import may
from warehouse.catalogue import load_datasets
from warehouse.journal import Journal
from warehouse.release import ReleaseContent, ReleaseInfo, ReleaseRefused, publish

PERMISSION: Final = "release"
REQUESTED, GRANTED, REFUSED = "official_requested", "official_released", "official_refused"
LISTING: Final = "official_refused.csv"
SHOWN: Final = 5
RULES: Final = Path("secret") / "disclosure.yaml"
EXPECTED: Final = "依据已核对且目录已批准 / a checked basis, of an adopted code list"
REMEDY: Final = (
    "对照正式文本核对后改 basis 和 status，或不带 --official 发布试行 / check the row against the official text and set its "
    "basis and status, or release as trial without --official"
)


class OfficialRefused(ValueError):
    """This installation or this user may not ask for an official release; says what was expected."""


def require_request(root: Path, name: str | None) -> str:
    """The name of a user who may ask for an official release of this installation.

    Raises
    ------
    OfficialRefused
        If the installation holds the demo city, no rules of disclosure control were set for it, or the user may not.
    """
    if (root / "demo.json").exists():
        raise OfficialRefused(
            f"{root}: 演示城市只能模拟发布 / holds the demo city, which is only ever released as simulated"
        )
    if not (root / RULES).is_file():
        raise OfficialRefused(
            f"{root / RULES}: 没有正式的保密规则 / no rules of disclosure control; the confidentiality officer sets them "
            "(form: warehouse/metadata/disclosure.yaml); the demo parameters do for a trial release only"
        )
    user = Journal(root).user(name) if name else None
    if user is None or not may(user, PERMISSION):
        raise OfficialRefused(
            f"--user {name or '(none)'}: 不是可以请求正式发布的用户 / not a user with permission {PERMISSION!r}; "
            "'aistat user add NAME --role approver' makes one"
        )
    return user.name


def request(root: Path, name: str, vintage: str) -> str:
    """Record the request in the journal; returns the name (:class:`OfficialRefused` as :func:`require_request`)."""
    asked_by = require_request(root, name)
    Journal(root).append(asked_by, REQUESTED, {"vintage": vintage})
    return asked_by


def open_request(root: Path, vintage: str) -> str | None:
    """Who asked for an official release of a vintage and has no answer yet."""
    newest = Journal(root).last((REQUESTED, GRANTED, REFUSED))
    if newest is None or newest["action"] != REQUESTED or json.loads(newest["detail"])["vintage"] != vintage:
        return None
    return newest["user"]


def publish_as_asked(root: Path, content: ReleaseContent, asked_by: str = "") -> ReleaseInfo:
    """:func:`warehouse.release.publish`; an official release needs its open request, and gets an answer in the journal.

    Its tables are entered in the ledger of releases before readers see them.

    Raises
    ------
    ReleaseRefused
        If the journal holds no such request, or the content may not be released. Rows of weak basis are then listed in
        ``official_refused.csv`` of the installation, the first of each source on the screen.
    """
    if content.status != "official":
        return publish(root, content)
    if not asked_by or open_request(root, content.vintage) != asked_by:
        raise ReleaseRefused(
            f"no open request of {asked_by or 'anybody'} for an official release of {content.vintage} in the journal; "
            "ask for it by 'aistat run --official --user NAME'"
        )
    protected = any(load_datasets()[name].protected for name in content.cubes)
    try:
        info = publish(root, content, ReleaseLedger(root).enter if protected else None)
    except ReleaseRefused as error:
        counts = dict(Counter(row.source for row in error.rows))
        Journal(root).append(asked_by, REFUSED, {"vintage": content.vintage, "rows": counts})
        if error.rows:
            _tell(error.rows, write_listing(root, error.rows))
        raise
    Journal(root).append(asked_by, GRANTED, {"vintage": content.vintage, "release": info.release_id})
    return info


def write_listing(root: Path, rows: Sequence[Refusal]) -> Path:
    """Every refused row with what is wrong, what was expected and what to do; returns the file (UTF-8 with BOM)."""
    path = root / LISTING
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["source", "key", "basis", "problem", "expected", "to_do"])
        writer.writerows([r.source, r.key, r.basis, r.reason, EXPECTED, REMEDY] for r in rows)
    return path


def _tell(rows: Sequence[Refusal], listing: Path) -> None:
    say(
        f"  正式发布被拒绝：{len(rows):,} 行依据不足 / an official release is refused: {len(rows):,} rows of weak basis"
    )
    for source, count in Counter(row.source for row in rows).items():
        for row in [r for r in rows if r.source == source][:SHOWN]:
            say(f"    {row}")
        if count > SHOWN:
            say(f"    … {source}: {count - SHOWN:,} more")
    say(f"  应为 / expected: {EXPECTED}")
    say(f"  办法 / what to do: {REMEDY}")
    say(f"  全部 / all of them: {listing}")
