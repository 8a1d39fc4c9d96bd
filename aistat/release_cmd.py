"""``aistat release``: the releases there are, and going back to one."""

import argparse
import json

from aistat.errors import UserError
from aistat.home import home


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``release`` to the command line."""
    parser = subparsers.add_parser("release", help="发布版本 / releases")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="全部版本 / all of them").set_defaults(func=list_all)
    show = commands.add_parser("show", help="一个版本 / one of them")
    show.add_argument("id", nargs="?", help="缺省为当前版本 / the current one if left out")
    show.set_defaults(func=show_one)
    back = commands.add_parser("rollback", help="恢复到较早的版本 / serve an earlier one")
    back.add_argument("id")
    back.set_defaults(func=roll_back)


def list_all(_: argparse.Namespace) -> int:
    """Releases, newest first; the one being served is marked."""
    from warehouse.release import current_id, list_releases

    served = current_id(home())
    found = list_releases(home())
    for info in found:
        mark = "*" if info.release_id == served else " "
        print(f"{mark} {info.release_id}  {info.vintage}  {info.status:<10} {info.created_at}")
    if not found:
        print("尚无发布 / nothing released yet; run 'aistat run'")
    return 0


def show_one(args: argparse.Namespace) -> int:
    """The manifest of a release."""
    from warehouse.release import current_id, releases_folder, show

    release_id = args.id or current_id(home())
    if release_id is None:
        raise UserError("nothing released yet; run 'aistat run' first")
    try:
        info = show(home(), release_id)
    except LookupError as error:
        raise UserError(str(error)) from error
    manifest = json.loads((releases_folder(home()) / info.release_id / "manifest.json").read_text(encoding="utf-8"))
    for key in ("release_id", "vintage", "status", "is_synthetic", "created_at", "pipeline_version"):
        print(f"{key:<18}{manifest[key]}")
    for name, facts in manifest["files"].items():
        print(f"  {name:<44}{facts['rows']:>9,}  {facts['sha256'][:16]}")
    return 0


def roll_back(args: argparse.Namespace) -> int:
    """Serve an earlier release; nothing is deleted."""
    from warehouse.journal import Journal
    from warehouse.release import rollback

    try:
        info = rollback(home(), args.id)
    except LookupError as error:
        raise UserError(str(error)) from error
    Journal(home()).append("command line", "rollback", {"release": info.release_id})
    print(f"现在提供 / now serving {info.release_id} ({info.vintage})")
    return 0
