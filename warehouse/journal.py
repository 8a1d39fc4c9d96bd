"""The journal: users, and an audit log whose entries are chained by hash. SQLite by default, PostgreSQL by URL."""

import atexit
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from warehouse.access import User, roles

METADATA = sa.MetaData()
USERS = sa.Table(
    "user",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("password_hash", sa.String(256), nullable=False),
    sa.Column("role", sa.String(32), nullable=False),
    sa.Column("organisation", sa.String(32), nullable=False, default=""),
    sa.Column("area", sa.String(32), nullable=False, default="city"),
    sa.Column("is_demo", sa.Boolean, nullable=False, default=False),
    sa.Column("disabled", sa.Boolean, nullable=False, default=False),
    sa.Column("failures", sa.Integer, nullable=False, default=0),
    sa.Column("locked_until", sa.String(32), nullable=False, default=""),
    sa.Column("created_at", sa.String(32), nullable=False),
)
AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("user", sa.String(64), nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)
MAX_FAILURES = 5
LOCK_MINUTES = 15
MIN_PASSWORD = 10
TURN = 6713_2026
"""Key of PostgreSQL's advisory lock of the journal's writers."""
HASHER = PasswordHasher()


@lru_cache(maxsize=1)
def _nobody() -> str:
    """A hash to verify against when there is no such user, so that both answers take as long; made at the first log-in."""
    return HASHER.hash("nobody has this password")


class JournalError(ValueError):
    """A user that cannot be added, or does not exist; says what is expected."""


@dataclass(frozen=True)
class Account:
    """A demo account as printed at start."""

    name: str
    password: str
    role: str


@dataclass(frozen=True)
class UserRow:
    """A user as an administrator sees one."""

    name: str
    role: str
    organisation: str
    area: str
    is_demo: bool
    disabled: bool
    created_at: str


def take_turn(connection: sa.Connection) -> None:
    """Let one writer in at a time until the transaction ends: each entry of the log is chained to the one before.

    SQLite has taken its write lock at the start. On PostgreSQL it is a lock of the transaction's own, which needs no
    privilege on a table; whatever is read afterwards is what the writer before has committed.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(TURN)))


@lru_cache(maxsize=8)
def _engine(url: str) -> sa.Engine:
    engine = sa.create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if url.startswith("sqlite"):

        @sa.event.listens_for(engine, "connect")
        def _settings(connection, _record) -> None:  # type: ignore[no-untyped-def]
            connection.isolation_level = None
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA busy_timeout=10000")

        @sa.event.listens_for(engine, "begin")
        def _take_the_write_lock(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        take_turn(connection)
        METADATA.create_all(connection)
    # SQLite writes its log back into the file when the last connection closes: whoever copies the file finds everything.
    atexit.register(engine.dispose)
    return engine


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Journal:
    """Append-only records of what people do, and who they are."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._engine = _engine(os.environ.get("AISTAT_JOURNAL_URL") or f"sqlite:///{root / 'journal.db'}")

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            take_turn(connection)
            yield connection

    # --- users -----------------------------------------------------------------------------------------------------

    def add_user(
        self, name: str, password: str, role: str, *, organisation: str = "", area: str = "city", is_demo: bool = False
    ) -> None:
        """Add a local account.

        Raises
        ------
        JournalError
            If the name is taken, the role unknown, or the password shorter than ten characters.
        """
        if role not in roles() or role == "public":
            known = ", ".join(r for r in roles() if r != "public")
            raise JournalError(f"role {role!r} is unknown; expected one of {known}")
        if len(password) < MIN_PASSWORD:
            raise JournalError(f"the password needs at least {MIN_PASSWORD} characters")
        if not name.isidentifier() or len(name) > 64:
            raise JournalError(f"{name!r} is not a user name; letters, digits and _ only, not a digit first")
        with self._begin() as connection:
            if connection.execute(sa.select(USERS.c.name).where(USERS.c.name == name)).first():
                raise JournalError(f"a user {name!r} exists already")
            connection.execute(
                USERS.insert().values(
                    name=name, password_hash=HASHER.hash(password), role=role, organisation=organisation, area=area,
                    is_demo=is_demo, disabled=False, failures=0, locked_until="", created_at=_now(),
                )
            )  # fmt: skip
            self._append(connection, name, "user_added", {"role": role})

    def users(self) -> list[UserRow]:
        """All accounts by name, without passwords."""
        columns = [USERS.c[f] for f in UserRow.__dataclass_fields__]
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(*columns).order_by(USERS.c.name)).mappings().all()
        return [UserRow(**row) for row in rows]

    def user(self, name: str) -> User | None:
        """An account that may still be used."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(USERS).where(USERS.c.name == name)).mappings().first()
        if row is None or row["disabled"]:
            return None
        return User(row["name"], row["role"], row["organisation"], row["area"])

    def disable(self, name: str) -> None:
        """Close an account (:class:`JournalError` if there is none)."""
        with self._begin() as connection:
            done = connection.execute(USERS.update().where(USERS.c.name == name).values(disabled=True))
            if done.rowcount == 0:
                raise JournalError(f"no user {name!r}; 'aistat user list' shows them")
            self._append(connection, name, "user_disabled", {})

    def has_demo_accounts(self) -> bool:
        """Whether an account of the demo city is usable."""
        return any(u.is_demo and not u.disabled for u in self.users())

    def log_in(self, name: str, password: str) -> User | None:
        """The user if name and password fit; five failures lock the account for a quarter of an hour."""
        nobody = _nobody()  # before it is known whether it is needed, so that the first log-in does not tell either
        with self._begin() as connection:
            row = connection.execute(sa.select(USERS).where(USERS.c.name == name)).mappings().first()
            locked = row is not None and row["locked_until"] > _now()
            fits = _verify(row["password_hash"] if row else nobody, password)
            if row is None or locked or row["disabled"] or not fits:
                self._failed(connection, row, name, locked=bool(locked))
                return None
            connection.execute(USERS.update().where(USERS.c.name == name).values(failures=0, locked_until=""))
            self._append(connection, name, "log_in", {})
        return User(row["name"], row["role"], row["organisation"], row["area"])

    def _failed(self, connection: sa.Connection, row: sa.RowMapping | None, name: str, *, locked: bool) -> None:
        if row is not None and not locked:
            failures = row["failures"] + 1
            until = ""
            if failures >= MAX_FAILURES:
                until = (datetime.now(UTC) + timedelta(minutes=LOCK_MINUTES)).isoformat(timespec="seconds")
                failures = 0
            connection.execute(
                USERS.update().where(USERS.c.name == row["name"]).values(failures=failures, locked_until=until)
            )
        self._append(connection, name[:64] if row is not None else "?", "log_in_failed", {"locked": locked})

    # --- audit -----------------------------------------------------------------------------------------------------

    def append(self, user: str, action: str, detail: dict[str, object] | None = None) -> None:
        """Record what somebody did (an export, a draft, a rollback)."""
        with self._begin() as connection:
            self._append(connection, user, action, detail or {})

    def _append(self, connection: sa.Connection, user: str, action: str, detail: dict[str, object]) -> None:
        last = connection.execute(sa.select(AUDIT.c.hash).order_by(AUDIT.c.id.desc()).limit(1)).scalar()
        entry = {"at": _now(), "user": user, "action": action, "detail": json.dumps(detail, sort_keys=True)}
        connection.execute(AUDIT.insert().values(**entry, previous=last or "", hash=_chain(last or "", entry)))

    def audit(self, limit: int = 200) -> list[dict[str, str]]:
        """The newest entries first."""
        query = sa.select(AUDIT.c.at, AUDIT.c.user, AUDIT.c.action, AUDIT.c.detail)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(AUDIT.c.id.desc()).limit(limit)).mappings().all()
        return [dict(row) for row in rows]

    def last(self, actions: Sequence[str]) -> dict[str, str] | None:
        """The newest entry of any of some actions: ``at, user, action, detail``."""
        query = sa.select(AUDIT.c.at, AUDIT.c.user, AUDIT.c.action, AUDIT.c.detail).where(AUDIT.c.action.in_(actions))
        with self._engine.connect() as connection:
            row = connection.execute(query.order_by(AUDIT.c.id.desc()).limit(1)).mappings().first()
        return None if row is None else dict(row)

    def audit_is_intact(self) -> bool:
        """Whether every entry still carries the hash of its content and of the one before."""
        previous = ""
        with self._engine.connect() as connection:
            for row in connection.execute(sa.select(AUDIT).order_by(AUDIT.c.id)).mappings():
                entry = {k: row[k] for k in ("at", "user", "action", "detail")}
                if row["previous"] != previous or row["hash"] != _chain(previous, entry):
                    return False
                previous = row["hash"]
        return True


def _chain(previous: str, entry: dict[str, str]) -> str:
    return hashlib.sha256((previous + json.dumps(entry, sort_keys=True, ensure_ascii=False)).encode()).hexdigest()


def _verify(stored: str, password: str) -> bool:
    try:
        return HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def create_demo_accounts(root: Path) -> list[Account]:
    """Accounts of a demo home, one a role, with passwords made for this home; the same ones at every start.

    The passwords stand in ``secret/demo_accounts.json`` (mode 0600), so that each start can print them.
    """
    path = root / "secret" / "demo_accounts.json"
    if path.exists():
        return [Account(**a) for a in json.loads(path.read_text(encoding="utf-8"))]
    organisations = {"official": "产业主管", "analyst": "统计", "admin": "其他"}
    accounts = [Account(role, secrets.token_urlsafe(9), role) for role in organisations]
    journal = Journal(root)
    for account in accounts:
        if journal.user(account.name) is None:
            journal.add_user(
                account.name, account.password, account.role, organisation=organisations[account.role], is_demo=True
            )
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump([a.__dict__ for a in accounts], file)
    return accounts
