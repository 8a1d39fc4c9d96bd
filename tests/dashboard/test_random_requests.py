"""Random requests: nothing withheld in any answer; ``make prove`` asks ten thousand of the city."""

from pathlib import Path

import numpy as np
import pytest

from dashboard.app import create_app
from tests.benchmarks.random_requests import Asker, Secrets, significant
from tests.dashboard.test_server import PASSWORD, ROLES, log_in
from warehouse.journal import Journal

SEED, REQUESTS = 20221101, 90


@pytest.fixture(scope="module")
def asker(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Asker:
    home = tmp_path_factory.mktemp("asked")
    for name in ("releases", "work.duckdb", "demo.json"):
        (home / name).symlink_to(demo_home / name)
    journal = Journal(home)
    server, clients = create_app(home).server, {}
    for role in ROLES:
        journal.add_user(role, PASSWORD, role)
        clients[role] = server.test_client()
        assert log_in(clients[role], role) == 302
    return Asker(home, clients, SEED)


def test_a_withheld_value_is_found_in_any_unit_and_a_released_one_is_not() -> None:
    secrets = Secrets(np.sort(np.array([1234567.89, 123.456789, 98765432.0])))
    assert secrets.found_in(b'{"y":[1,1234567.89,5]}') == [1234567.89]
    assert secrets.found_in("为 123.456789 万元".encode()) == [123.456789]
    assert secrets.found_in(b"98765432.00;98765433") == [98765432.0]
    assert secrets.found_in(b"1234567.9 123.46") == []
    assert [significant(v) for v in (120.0, 0.00123456, 1e9, 98765.4)] == [2, 6, 1, 6]


def test_random_requests_show_released_cells_and_nothing_withheld(asker: Asker) -> None:
    assert asker.secrets.values.size > 200
    for _ in range(REQUESTS):
        asker.ask()
    found = asker.outcome
    assert found.wrong == []
    assert found.statuses[200] > REQUESTS / 2 and set(found.statuses) & {400, 403, 404}
    assert len(found.requests) == 6 and found.cells > 500


def test_the_check_could_fail(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """One withheld value slipped into the answer to any page is noticed."""
    secret = float(asker.secrets.values[-1])
    monkeypatch.setattr(asker, "_draw", lambda *_: (f'{{"text":"{secret:.2f}"}}'.encode(), 200))
    body, _, _ = asker._page(asker.clients["analyst"], "analyst")
    assert asker.secrets.found_in(body)
