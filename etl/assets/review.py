"""After the release: the review queue and the evidence of its units, for the desk alone (GSBPM overarching: quality)."""

from datetime import date

import dagster as dg

from etl.assets.disseminate import RELEASE
from etl.assets.process import CODE_UNIT, UNIT_YEAR
from etl.assets.register import REGISTER_CURRENT
from etl.classifier_quality import promise_of
from etl.evidence import queue_plan, refresh_queue, write_evidence
from etl.progress import step
from etl.resources import Stores, as_of
from warehouse.release import current_id
from warehouse.review_journal import ReviewJournal

GROUP = "control"
QUEUE = "control_review__log_queue"


@dg.asset(
    name=QUEUE,
    group_name=GROUP,
    deps=[RELEASE, CODE_UNIT, UNIT_YEAR, REGISTER_CURRENT],
    description="复核队列与证据文件 / review queue and evidence file",
)
def review_queue(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Queue the doubts by effect on the figures, and write the evidence file of the release."""
    with step(QUEUE) as notes:
        release_id = current_id(stores.root)
        if release_id is None:
            raise RuntimeError("there is no release to queue doubts for; the release asset runs before this one")
        journal, plan = ReviewJournal(stores.root), queue_plan(date.fromisoformat(as_of(context)))
        queue = refresh_queue(stores.work, journal, release_id, plan, promise_of(stores.root, release_id))
        stores.work.write(QUEUE, queue)
        shown = write_evidence(stores.root, release_id, journal)
        notes.append(f"{queue.height:,} tasks, evidence of {shown:,} units")
        return dg.MaterializeResult(metadata={"tasks": queue.height, "evidence_units": shown})
