"""``aistat user``: local accounts."""

import argparse
import getpass
import sys

from aistat.errors import UserError
from aistat.home import home


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``user`` to the command line."""
    parser = subparsers.add_parser("user", help="用户 / users")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser(
        "add", help="新增（密码从终端或标准输入读取） / add; the password is asked for or read from stdin"
    )
    add.add_argument("name")
    add.add_argument("--role", required=True)
    add.add_argument("--organisation", default="")
    add.add_argument("--area", default="city")
    add.set_defaults(func=add_user)
    commands.add_parser("list", help="全部 / all").set_defaults(func=list_users)
    disable = commands.add_parser("disable", help="停用 / close an account")
    disable.add_argument("name")
    disable.set_defaults(func=disable_user)


def add_user(args: argparse.Namespace) -> int:
    """Add an account."""
    from warehouse.journal import Journal, JournalError

    password = getpass.getpass("密码 / password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    try:
        Journal(home()).add_user(args.name, password, args.role, organisation=args.organisation, area=args.area)
    except JournalError as error:
        raise UserError(str(error)) from error
    print(f"已新增 / added {args.name} ({args.role})")
    return 0


def list_users(_: argparse.Namespace) -> int:
    """Accounts by name."""
    from warehouse.journal import Journal

    for user in Journal(home()).users():
        marks = " ".join(w for w, on in (("demo", user.is_demo), ("disabled", user.disabled)) if on)
        print(f"{user.name:<16}{user.role:<16}{user.organisation:<10}{user.area:<8}{marks}")
    return 0


def disable_user(args: argparse.Namespace) -> int:
    """Close an account."""
    from warehouse.journal import Journal, JournalError

    try:
        Journal(home()).disable(args.name)
    except JournalError as error:
        raise UserError(str(error)) from error
    print(f"已停用 / disabled {args.name}")
    return 0
