"""The Dagster instance of an installation: its settings file, orphaned runs, one run in this process."""

import os
from datetime import datetime
from pathlib import Path

import dagster as dg

from etl.resources import AS_OF_TAG, CITY_TIME, DRIFT_TAG, FULL_TAG, INBOX_TAG, OFFICIAL_TAG

PID_TAG = "aistat/pid"
SETTINGS = """\
telemetry:
  enabled: false
run_monitoring:
  enabled: true
  poll_interval_seconds: 30
  start_timeout_seconds: 180
run_retries:
  enabled: true
  max_retries: 2
concurrency:
  runs:
    max_concurrent_runs: 1
"""


def prepare(root: Path) -> Path:
    """Write ``dagster/dagster.yaml`` under the installation and point this process at it; returns the folder."""
    folder = root / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "dagster.yaml"
    if not settings.exists() or settings.read_text() != SETTINGS:
        settings.write_text(SETTINGS)
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    return folder


def _alive(pid: str | None) -> bool:
    if not pid or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sweep_orphans(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs of dead processes as failed (a killed in-process run would stay STARTED for ever)."""
    running = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    swept = []
    for run in instance.get_runs(running):
        if PID_TAG in run.tags and not _alive(run.tags[PID_TAG]):
            instance.report_run_failed(run, "the process of this run ended without finishing it")
            swept.append(run.run_id)
    return swept


def run_nightly(
    root: Path,
    *,
    as_of: str | None = None,
    full: bool = False,
    inbox: Path | None = None,
    accept_drift: str | None = None,
    official: str | None = None,
) -> bool:
    """Run the nightly job in this process and record it in the installation's Dagster history.

    ``accept_drift``: why a drift that would block the release is a real change; it goes into the audit log.
    ``official``: who asks for an official release; the request is recorded in the journal before the run starts.

    Returns whether every asset and blocking check passed.
    """
    prepare(root)
    from etl.definitions import defs
    from etl.history import kept_connections
    from etl.official import request

    with dg.DagsterInstance.get() as instance, kept_connections(instance):
        sweep_orphans(instance)
        vintage = as_of or datetime.now(CITY_TIME).date().isoformat()
        tags = {
            PID_TAG: str(os.getpid()),
            AS_OF_TAG: vintage,
            FULL_TAG: "true" if full else "false",
        }
        if inbox is not None:
            tags[INBOX_TAG] = str(inbox)
        if accept_drift:
            tags[DRIFT_TAG] = accept_drift
        if official:
            tags[OFFICIAL_TAG] = request(root, official, vintage)
        result = defs.resolve_job_def("nightly").execute_in_process(
            instance=instance,
            raise_on_error=False,
            tags=tags,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        for event in result.all_events:
            if event.is_failure and event.step_key is not None:
                _explain(event)
    return bool(result.success)


def _explain(event: dg.DagsterEvent) -> None:
    from etl.progress import say

    data = event.step_failure_data
    error = data.error if data else None
    cause = (error.cause or error) if error else None
    reason = cause.message.strip().splitlines()[-1] if cause else event.message
    say(f"  FAILED {event.step_key}: {reason}")
