"""Rows of a further source placed in periods, linked with their enterprise group, and coded in the cube's dimensions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from etl.contract import Contract
from etl.methods.periods import parse
from warehouse.catalogue import Dimension, MetadataError
from warehouse.source_spec import KNOWN, UNKNOWN, SourceSpec, Where

NOT_STATED: Final = "unknown"
"""Code of a dimension where the row says nothing; never released, so that it cannot be mistaken for a category."""
NO_GROUP: Final = "?"
"""One contributor for all rows whose unit is not stated: the cautious reading."""
PER_YEAR: Final = {"A": 1, "Q": 4, "M": 12}


@dataclass(frozen=True)
class Received:
    """What was received of one source, and what its rows are linked with.

    Attributes
    ----------
    rows : accepted rows as the contract types them.
    periods : periods of the files received (a file without a row is a period with zeros).
    groups : ``uscc, contributor``: the enterprise group of register units.
    members : ``uscc, ref_year, contributor, district, size, membership, is_signed`` of AI enterprises.
    vintage : periods that end later are not published.
    """

    contract: Contract
    rows: pl.DataFrame
    periods: frozenset[str]
    groups: pl.DataFrame
    members: pl.DataFrame
    vintage: date


@dataclass(frozen=True)
class Placed:
    """Rows with ``period, raw, contributor, observed, factor`` (and ``unit_district, unit_size`` of members).

    ``provisional``: periods the lists received do not yet reach the end of.
    """

    rows: pl.DataFrame
    periods: tuple[str, ...]
    provisional: frozenset[str]


def coarser(period: str, frequency: str) -> str:
    """The year, quarter or month a period lies in.

    Raises
    ------
    ValueError
        If the period is longer than that.
    """
    found = parse(period)
    if found.frequency < PER_YEAR[frequency]:
        raise ValueError(f"period {period} cannot be split into {frequency}; publish the source by a longer period")
    year, within = found.year, (found.within - 1) * PER_YEAR[frequency] // found.frequency + 1
    return {"A": f"{year}", "Q": f"{year}-Q{within}", "M": f"{year}-{within:02d}"}[frequency]


def period_end(period: str) -> date:
    """Last day of a period."""
    return parse(period).end


def _whole(periods: frozenset[str], frequency: str) -> set[str]:
    """Coarser periods all of whose parts were received."""
    parts: dict[str, set[str]] = {}
    for period in periods:
        parts.setdefault(coarser(period, frequency), set()).add(period)
    return {
        whole for whole, found in parts.items()
        if len(found) == parse(next(iter(found))).frequency // PER_YEAR[frequency]
    }  # fmt: skip


def _closing(periods: frozenset[str], frequency: str) -> set[str]:
    """Periods that end with the coarser period they lie in: those that say its closing state."""
    return {p for p in periods if period_end(p) == period_end(coarser(p, frequency))}


def keep(where: Where) -> pl.Expr:
    """The condition of a ``where``; null never matches a value."""
    condition = pl.lit(True)
    for column, allowed in where.items():
        here = pl.col(column)
        if allowed == (KNOWN,):
            condition &= here.is_not_null()
        elif allowed == (UNKNOWN,):
            condition &= here.is_null()
        else:
            condition &= here.cast(pl.String).is_in(list(allowed)).fill_null(False)
    return condition


def check_columns(contract: Contract, spec: SourceSpec, where: str) -> None:
    """Refuse an indicator that names columns the contract has not, or another version of a question.

    Raises
    ------
    MetadataError
        Says which indicator, which column, what is there.
    """
    strange = spec.columns - set(contract.identifiers)
    if strange:
        raise MetadataError(f"{where}: source {contract.id} has no {sorted(strange)}; it has {contract.identifiers}")
    if spec.question is not None:
        asked = contract.column(spec.question.column).question
        if asked is None or (asked.version, asked.denominator) != (spec.question.version, spec.question.denominator):
            raise MetadataError(
                f"{where}: question {spec.question.column} version {spec.question.version} is not what the contract asks; "
                "answers to another wording or denominator are another indicator"
            )


def _in_time(received: Received, spec: SourceSpec) -> pl.DataFrame:
    """Rows with ``raw``, the period they are of (the month of their date where the spec names one)."""
    rows, column = received.rows, spec.date or received.contract.period_column
    if column is None:
        raise MetadataError(f"source {spec.id} has no period in its key; name the date column of the indicator")
    if spec.date is None:
        return rows.with_columns(raw=pl.col(column).cast(pl.String))
    dated = rows.filter(pl.col(column) <= received.vintage)
    return dated.with_columns(raw=pl.col(column).dt.strftime("%Y-%m"))


def _event_periods(
    received: Received, raw: frozenset[str], frequency: str
) -> tuple[set[str], frozenset[str]]:  # fmt: skip
    """Periods from the first event to the end of the lists (or the vintage), and those not yet over there."""
    if not raw:
        return set(), frozenset()
    listed = [p for p in received.periods if period_end(p) <= received.vintage]
    reach = max(map(period_end, listed), default=date.min)
    at, last = parse(coarser(min(raw), frequency)), parse(coarser(max([*raw, *listed], key=period_end), frequency))
    shown = {str(at.shift(n)) for n in range(last.ordinal - at.ordinal + 1)}
    return shown, frozenset(p for p in shown if period_end(p) > reach)


def place(received: Received, spec: SourceSpec, frequency: str) -> Placed:
    """The rows an indicator may use, by period of the cube; periods not over at the vintage are left out."""
    rows = _in_time(received, spec)
    raw = frozenset(rows["raw"].unique().to_list())
    provisional: frozenset[str] = frozenset()
    if spec.date is not None:
        shown, provisional = _event_periods(received, raw, frequency)
        used = raw
    else:
        known = raw | received.periods
        used = known if spec.period == "flow" else frozenset(_closing(known, frequency))
        shown = _whole(known, frequency) if spec.period == "flow" else {coarser(p, frequency) for p in used}
        shown = {p for p in shown if period_end(p) <= received.vintage}
    target = {p: coarser(p, frequency) for p in used if coarser(p, frequency) in shown}
    placed = rows.filter(pl.col("raw").is_in(sorted(target))).with_columns(
        period=pl.col("raw").replace_strict(target, return_dtype=pl.String, default=None)
    )
    if spec.aggregation == "last":
        own = [*received.contract.own_key, "period"]
        placed = placed.sort("raw", maintain_order=True).unique(own, keep="last", maintain_order=True)
    return Placed(_linked(received, spec, placed), tuple(sorted(shown)), provisional)


def _linked(received: Received, spec: SourceSpec, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with contributor, observed and factor; AI enterprises alone where the scope says so."""
    if spec.scope == "members":
        linked = rows.with_columns(ref_year=pl.col("period").str.slice(0, 4).cast(pl.Int64)).join(
            received.members.rename({"district": "unit_district", "size": "unit_size"}), on=["uscc", "ref_year"]
        )
        return linked.with_columns(observed=pl.col("is_signed"), factor=pl.col("membership").fill_null(0.0))
    plain = rows.with_columns(observed=pl.lit(True), factor=pl.lit(1.0))
    if spec.contributor is None:
        return plain.with_columns(contributor=pl.lit(NO_GROUP))
    groups = received.groups.rename({"uscc": spec.contributor})
    linked = plain.join(groups, on=spec.contributor, how="left", maintain_order="left")
    return linked.with_columns(contributor=pl.coalesce("contributor", spec.contributor, pl.lit(NO_GROUP)))


def coded(rows: pl.DataFrame, dimensions: Mapping[str, Dimension], spec: SourceSpec) -> pl.DataFrame:
    """Rows with one column ``d_<dimension>`` a dimension of the cubes; a gap is :data:`NOT_STATED`."""
    codes = []
    for name in dimensions:
        source = spec.dims.get(name)
        column = name if source is None else f"unit_{source.column}" if source.of == "unit" else source.column
        code = pl.col(column).cast(pl.String).str.replace_all(",", "，")
        if source is not None and source.extract:
            code = code.str.extract(source.extract, 1)
        codes.append(code.fill_null(NOT_STATED).alias(f"d_{name}"))
    return rows.with_columns(codes)
