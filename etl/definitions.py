"""The code location: assembles assets, checks, the nightly job and its schedule; nothing else."""

import dagster as dg

from etl.assets import (
    analyse,
    collect,
    disseminate,
    duplicates,
    editing,
    process,
    quantities,
    register,
    review,
    series,
    sources,
    suspects,
    watch,
)
from etl.resources import Stores

collect_assets = collect.collect_assets()
all_assets = [
    *collect_assets,
    *editing.editing_assets(),
    *dg.load_assets_from_modules(
        [register, duplicates, process, analyse, quantities, series, sources, suspects, disseminate, review]
    ),
]

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.all(),
    executor_def=dg.in_process_executor,
    description="每晚作业：接收→编码→估计→保密处理→发布 / files in, one release out",
)

nightly_schedule = dg.ScheduleDefinition(
    name="nightly_schedule",
    job=nightly,
    cron_schedule="30 2 * * *",
    execution_timezone="Asia/Shanghai",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

defs = dg.Definitions(
    assets=all_assets,
    asset_checks=[watch.no_drift],
    jobs=[nightly],
    schedules=[nightly_schedule],
    resources={"stores": Stores()},
)
