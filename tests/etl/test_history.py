"""A run's event log with kept connections: what Dagster's own connections read is what was written."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from etl.history import kept_connections
from etl.instance import prepare


@dg.asset
def some() -> int:
    return 1


@dg.asset
def other(some: int) -> int:
    raise ValueError(f"cannot use {some}")


def test_another_process_reads_all_events_while_and_after_they_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    prepare(tmp_path)
    with dg.DagsterInstance.get() as instance, dg.DagsterInstance.get() as watching:
        log = instance.event_log_storage
        assert isinstance(log, SqliteEventLogStorage)
        with kept_connections(instance):
            done = dg.materialize([some, other], instance=instance, raise_on_error=False)
            seen = watching.all_logs(done.run_id)
            assert watching.get_latest_materialization_event(dg.AssetKey("some")) is not None
        assert not done.success and "_connect" not in vars(log)
        after = watching.all_logs(done.run_id)
        assert [e.dagster_event_type for e in after] == [e.dagster_event_type for e in instance.all_logs(done.run_id)]
        assert len(after) == len(seen) > 10
        assert watching.get_latest_materialization_event(dg.AssetKey("other")) is None
        run = watching.get_run_by_id(done.run_id)
        assert run is not None and run.status == dg.DagsterRunStatus.FAILURE


def test_another_kind_of_log_is_left_as_it_is() -> None:
    with dg.DagsterInstance.ephemeral() as instance, kept_connections(instance):
        assert dg.materialize([some], instance=instance).success
