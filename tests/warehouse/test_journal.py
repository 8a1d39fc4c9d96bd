"""Users, lock-out, and the chained audit log."""

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from warehouse.access import Forbidden, User, may, require, roles
from warehouse.journal import MAX_FAILURES, Journal, JournalError, create_demo_accounts


def test_a_user_logs_in_with_the_right_password_only(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add_user("li", "a long password", "official", organisation="统计")
    assert journal.log_in("li", "a long password") == User("li", "official", "统计", "city")
    assert journal.log_in("li", "another password") is None
    assert journal.log_in("nobody", "a long password") is None
    journal.disable("li")
    assert journal.log_in("li", "a long password") is None


def test_five_failures_lock_the_account(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add_user("li", "a long password", "official")
    for _ in range(MAX_FAILURES):
        assert journal.log_in("li", "wrong password") is None
    assert journal.log_in("li", "a long password") is None, "locked: even the right password is refused"


@pytest.mark.parametrize(
    ("name", "password", "role", "says"),
    [("li", "short", "official", "10 characters"), ("li", "a long password", "king", "expected one of"),
     ("l i", "a long password", "official", "not a user name"), ("old", "a long password", "admin", "exists already")],
)  # fmt: skip
def test_bad_accounts_are_refused(tmp_path: Path, name: str, password: str, role: str, says: str) -> None:
    journal = Journal(tmp_path)
    journal.add_user("old", "a long password", "admin")
    with pytest.raises(JournalError, match=says):
        journal.add_user(name, password, role)


def test_the_audit_log_shows_tampering(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    threads = [threading.Thread(target=journal.append, args=("li", "export", {"n": i})) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.audit()) == 8 and journal.audit_is_intact()
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'journal.db'}")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE audit SET detail = '{}' WHERE id = 3"))
    engine.dispose()
    assert not journal.audit_is_intact()


def test_demo_accounts_are_the_same_at_every_start(tmp_path: Path) -> None:
    first = create_demo_accounts(tmp_path)
    assert create_demo_accounts(tmp_path) == first
    assert {a.role for a in first} == {"official", "analyst", "admin"}
    assert (tmp_path / "secret" / "demo_accounts.json").stat().st_mode & 0o077 == 0
    assert all(Journal(tmp_path).log_in(a.name, a.password) for a in first)
    assert Journal(tmp_path).has_demo_accounts()


def test_permissions() -> None:
    official, admin = User("a", "official"), User("b", "admin")
    assert may(official, "page:overview") and not may(official, "page:quality") and not may(None, "page:overview")
    assert may(admin, "users") and not may(User("x", "nobody"), "page:overview")
    with pytest.raises(Forbidden):
        require(official, "users")
    assert require(admin, "users") is admin
    assert set(roles()) >= {"official", "analyst", "admin"}
