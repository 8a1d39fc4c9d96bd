"""The part of ``aistat model train`` that gold takes: calibration, never training."""

from typing import TYPE_CHECKING

from aistat.errors import CheckFailed
from aistat.home import home

if TYPE_CHECKING:
    import polars as pl

    from taxonomy.classifier.bundle import Bundle


def calibrated_bundle(built: "Bundle", labels: "pl.DataFrame | None") -> "tuple[Bundle, str]":
    """The bundle with its temperatures from the gold of this installation's journal, and a line that says what gold did.

    Raises
    ------
    CheckFailed
        If gold units are among the training labels.
    """
    from datetime import date

    from etl.calibration import calibrate_on_gold
    from taxonomy.classifier.gold import LeakageError
    from warehouse.connect import run_lock

    if not (home() / "work.duckdb").is_file():
        return built, ""
    try:
        with run_lock(home()):
            found = calibrate_on_gold(built, home(), labels, date.today())
    except LeakageError as error:
        raise CheckFailed(str(error)) from error
    return found.bundle, f"\n{found.said_zh} / {found.said_en}"
