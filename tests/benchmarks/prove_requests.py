"""``make prove``: ten thousand random requests to the city's pages, exports and endpoints; ``evidence/requests.json``."""

import io
import logging
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.benchmarks.proof import measured, write  # noqa: E402
from tests.benchmarks.random_requests import Asker  # noqa: E402

SEED, CITY_SEED, REQUESTS, AS_OF = 20221102, 20221101, 10_000, "2026-10-31"
ROLES = ("official", "analyst", "admin")
PROVES = ("dashboard/*.py", "dashboard/pages/*.py", "dashboard/components/*.py", "dashboard/figures/*.py", "warehouse/read.py",
          "warehouse/cube.py", "warehouse/export/*.py", "warehouse/access.py")  # fmt: skip


def main(requests: int = REQUESTS, home: Path | None = None) -> int:
    """Build the city, release it, ask; an existing ``home`` saves the first two."""
    from dashboard.app import create_app
    from tests.dashboard.test_server import PASSWORD, log_in
    from warehouse.journal import Journal

    log = io.StringIO()
    logging.getLogger().addHandler(logging.StreamHandler(log))
    with tempfile.TemporaryDirectory(prefix="aistat-prove-") as folder:
        if home is None:
            home = Path(folder) / "home"
            measured(home, "demo", str(home), "--size", "city", "--seed", str(CITY_SEED))
            measured(home, "run", "--as-of", AS_OF)
        journal, server, clients = Journal(home), create_app(home).server, {}
        for role in ROLES:
            name = f"prove_{role}"
            if journal.user(name) is None:
                journal.add_user(name, PASSWORD, role)
            clients[role] = server.test_client()
            log_in(clients[role], name)
        asker = Asker(home, clients, SEED)
        started = time.perf_counter()
        for number in range(requests):
            asker.ask()
            if number % 500 == 499:
                print(number + 1, len(asker.outcome.wrong), f"{time.perf_counter() - started:.0f} s", flush=True)
        in_log = asker.secrets.found_in(log.getvalue().encode())
    found = asker.outcome
    evidence = {
        "made": time.strftime("%Y-%m-%d"), "seed": SEED, "requests": requests, "by_kind": dict(sorted(found.requests.items())),
        "statuses": {str(k): v for k, v in sorted(found.statuses.items())}, "withheld_numbers_looked_for": int(asker.secrets.values.size),
        "exported_cells_compared": found.cells, "wrong": found.wrong[:50], "wrong_total": len(found.wrong),
        "withheld_numbers_in_log": len(in_log), "seconds": round(time.perf_counter() - started, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }  # fmt: skip
    print(write("requests", evidence, PROVES))
    return 1 if found.wrong or in_log else 0


if __name__ == "__main__":
    raise SystemExit(main())
