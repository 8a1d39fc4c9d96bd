"""What an asset may touch: the stores of this installation, held under the run lock."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
from threadpoolctl import threadpool_limits

from etl.release_ledger import ReleaseLedger, keeping
from etl.remember import Memory, remembering
from warehouse.connect import run_lock
from warehouse.home import home
from warehouse.write import WorkStore

AS_OF_TAG = "aistat/as_of"
FULL_TAG = "aistat/full"
INBOX_TAG = "aistat/inbox"
DRIFT_TAG = "aistat/accept_drift"
OFFICIAL_TAG = "aistat/official"
CITY_TIME = ZoneInfo("Asia/Shanghai")


class Stores(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The installation's folders; only one run at a time may hold them."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Stores"]:
        """Hold the run lock from the first asset of a run to its last."""
        self.root.mkdir(parents=True, exist_ok=True)
        # Threads of linear algebra spin on matrices as small as ours: one is several times faster.
        memory = Memory(self.root / "cache" / "results", read=not is_full(context))
        blas, ledger = threadpool_limits(limits=1, user_api="blas"), ReleaseLedger(self.root)
        with run_lock(self.root), self.work.held(), blas, remembering(memory), keeping(ledger):
            yield self
            memory.purge()

    @property
    def root(self) -> Path:
        """``AISTAT_HOME``."""
        return home()

    @property
    def work(self) -> WorkStore:
        """The restricted work store."""
        return WorkStore(self.root)

    @property
    def quarantine(self) -> Path:
        """Where rejected rows are kept with their reasons."""
        return self.root / "quarantine"

    @property
    def bundles(self) -> Path:
        """Classifier bundles by hash."""
        return self.root / "bundles"

    def inbox(self, context: dg.AssetExecutionContext) -> Path:
        """The folder of received files: ``inbox/`` unless the run was started with another."""
        return Path(context.run.tags.get(INBOX_TAG) or self.root / "inbox")

    @property
    def is_demo(self) -> bool:
        """Whether this home holds the synthetic city."""
        return (self.root / "demo.json").exists()


def as_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> str:
    """The vintage of this run: its tag, else today's date in the city (ISO)."""
    return context.run.tags.get(AS_OF_TAG) or datetime.now(CITY_TIME).date().isoformat()


def is_full(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext | dg.InitResourceContext) -> bool:
    """Whether everything is to be computed again, whatever has not changed."""
    return context.run is not None and context.run.tags.get(FULL_TAG) == "true"


def official_asked_by(context: dg.AssetExecutionContext) -> str:
    """Who asked for an official release by this run; empty when nobody did. The journal must hold the request."""
    return context.run.tags.get(OFFICIAL_TAG, "").strip()


def accepted_drift(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> str:
    """Why a person says that a drift which would block is a real change; empty when nobody does."""
    return context.run.tags.get(DRIFT_TAG, "").strip()
