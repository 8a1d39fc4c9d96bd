"""Declared codes that the unit's own text contradicts: a list for people, its length for the quality report."""

import dagster as dg

from etl.assets.process import CODE_UNIT, UNIT_YEAR
from etl.assets.register import REGISTER_CURRENT
from etl.progress import step
from etl.resources import Stores, is_full
from etl.suspects import SUSPECT, refresh_suspects


@dg.asset(
    name=SUSPECT,
    group_name="control",
    deps=[CODE_UNIT, UNIT_YEAR, REGISTER_CURRENT],
    description="申报行业代码疑误清单（受限） / doubtful declared codes, restricted",
)
def code_suspect(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """List the units whose text contradicts their declared division; an unchanged register keeps its list."""
    with step(SUSPECT) as notes:
        done, anew = refresh_suspects(stores.root, stores.work, full=is_full(context))
        state = "" if anew else " (unchanged)"
        notes.append(f"{done.listed:,} of {done.checked:,} units{state}")
        if not done.made:
            notes.append("too few units to learn from: no list")
        return dg.MaterializeResult(metadata={"listed": done.listed, "checked": done.checked, "anew": anew})
