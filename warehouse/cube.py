"""Selection → Cube → TableModel: the one projection behind screen, file and API."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal
from urllib.parse import parse_qsl, urlencode

import polars as pl

from warehouse import format as fmt
from warehouse.catalogue import TOTAL, Dataset, Indicator
from warehouse.read import Release, UnknownName
from warehouse.values import value

State = Literal["value", "zero", "missing", "withheld", "not_applicable"]
Mode = Literal["all", "latest", "from", "fixed"]
PERIOD = re.compile(r"[0-9]{4}(-[0-9]{2}|-Q[1-4])?")
LATEST = re.compile(r"[0-9]{1,4}")
MAX_LATEST = 1000


class SelectionError(ValueError):
    """A selection the release cannot answer: unknown code, period, indicator; says which and what is known."""


@dataclass(frozen=True)
class Periods:
    """Which periods: all, the latest ``n``, from one on, or a fixed list."""

    mode: Mode = "all"
    n: int = 1
    values: tuple[str, ...] = ()

    def encode(self) -> str:
        """As it stands in a URL."""
        if self.mode == "latest":
            return f"latest:{self.n}"
        if self.mode in ("from", "fixed"):
            return f"{self.mode}:{','.join(self.values)}"
        return "all"

    @classmethod
    def decode(cls, text: str) -> "Periods":
        """The inverse of :meth:`encode`."""
        mode, _, rest = text.partition(":")
        if mode == "all" and not rest:
            return cls()
        if mode == "latest" and LATEST.fullmatch(rest) and 0 < int(rest) <= MAX_LATEST:
            return cls("latest", int(rest))
        values = tuple(rest.split(","))
        valid = bool(values) and all(PERIOD.fullmatch(v) for v in values)
        if valid and (mode == "fixed" or (mode == "from" and len(values) == 1)):
            return cls(mode, values=values)  # type: ignore[arg-type]
        raise SelectionError(f"periods {text!r}; expected all, latest:N, from:PERIOD or fixed:PERIOD,PERIOD")

    def pick(self, known: Sequence[str]) -> list[str]:
        """The chosen ones of the known periods (ascending)."""
        if self.mode == "latest":
            return list(known)[-self.n :]
        if self.mode == "from":
            return [p for p in known if p >= self.values[0]]
        if self.mode == "fixed":
            unknown = [p for p in self.values if p not in known]
            if unknown:
                raise SelectionError(f"no period {', '.join(unknown)}; known: {', '.join(known)}")
            return [p for p in known if p in self.values]
        return list(known)


@dataclass(frozen=True)
class Selection:
    """What is asked for. ``filters`` keeps the codes of a dimension; a dimension left out keeps all its codes."""

    dataset: str
    indicators: tuple[str, ...] = ()
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    periods: Periods = field(default_factory=Periods)
    lang: str = "zh"

    def __post_init__(self) -> None:
        object.__setattr__(self, "filters", tuple(sorted((name, tuple(codes)) for name, codes in self.filters)))

    def to_query(self) -> str:
        """Canonical URL query: equal selections give equal text."""
        pairs = [("dataset", self.dataset)]
        if self.indicators:
            pairs.append(("indicators", ",".join(self.indicators)))
        pairs += [(f"f.{name}", ",".join(codes)) for name, codes in sorted(self.filters)]
        pairs += [("periods", self.periods.encode()), ("lang", self.lang)]
        return urlencode(pairs)

    @classmethod
    def from_query(cls, query: str) -> "Selection":
        """The inverse of :meth:`to_query`; unknown keys are refused by name."""
        values = dict(parse_qsl(query, keep_blank_values=True))
        dataset = values.pop("dataset", "")
        indicators = values.pop("indicators", "")
        periods = Periods.decode(values.pop("periods", "all"))
        lang = values.pop("lang", "zh")
        if lang not in ("zh", "en"):
            raise SelectionError(f"lang {lang!r}; expected zh or en")
        filters = {k[2:]: tuple(v.split(",")) for k, v in values.items() if k.startswith("f.")}
        unknown = [k for k in values if not k.startswith("f.")]
        if unknown:
            raise SelectionError(f"unknown parameter {', '.join(unknown)}")
        names = tuple(indicators.split(",")) if indicators else ()
        return cls(dataset, names, tuple(sorted(filters.items())), periods, lang)


@dataclass(frozen=True)
class Cube:
    """The answer: cells with values, statuses and everything that must be shown beside them."""

    selection: Selection
    dataset: Dataset
    indicators: tuple[Indicator, ...]
    periods: tuple[str, ...]
    frame: pl.DataFrame
    labels: Mapping[str, Mapping[str, str]]
    release_id: str
    vintage: str
    status: str
    is_synthetic: bool
    stages: Mapping[str, str] = field(default_factory=dict)

    def label(self, dimension: str, code: str) -> str:
        """Name of a code in the selection's language."""
        return self.labels[dimension].get(code, code)

    def period_stages(self) -> dict[str, str]:
        """Period → code of the stage its figures are at in this vintage, periods ascending; empty where none is kept."""
        rows = self.frame.select("period", "revision_stage").unique().sort("period", "revision_stage").rows()
        return {period: stage for period, stage in rows if stage}

    def stage_text(self, periods: Sequence[str] | None = None) -> str:
        """The stages in words: ``2023年：普查修订数；2024年—2025年：最终核实数`` of ``periods`` (left out: all it holds)."""
        known = [(p, s) for p, s in self.period_stages().items() if periods is None or p in periods]
        return fmt.stage_text([(p, self.stages.get(s, s)) for p, s in known], self.selection.lang)


def labels_of(release: Release, dataset: Dataset, lang: str) -> dict[str, dict[str, str]]:
    """dimension → code → name, the total included, in official order.

    A list whose names are Chinese in both languages (departments, places, as the sources give them) is read in English where
    there is a word for it.
    """
    total = "Total" if lang == "en" else "合计"
    found = {}
    for dimension in dataset.dimensions:
        codes = release.codes(dimension.scheme)
        names = {c.code: value(c.name_en, lang) if lang == "en" else c.name_zh for c in codes}
        found[dimension.id] = {TOTAL: total, **names}
    return found


def stage_names(release: Release, lang: str) -> dict[str, str]:
    """Code → what a figure at that stage is called; empty in a release that keeps no stages."""
    if "revision_stage" not in release.schemes():
        return {}
    return {c.code: c.name_en if lang == "en" else c.name_zh for c in release.codes("revision_stage")}


def read_cube(release: Release, selection: Selection) -> Cube:
    """Answer a selection from a release; every name in it is checked against the release first.

    Raises
    ------
    SelectionError
        If the selection names something the release does not hold.
    """
    try:
        dataset = release.dataset(selection.dataset)
    except UnknownName as error:
        raise SelectionError(str(error)) from error
    known = {i.id: i for i in release.indicators(dataset.id)}
    strange = [i for i in selection.indicators if i not in known]
    if strange:
        raise SelectionError(f"dataset {dataset.id} has no indicator {', '.join(strange)}; it has {', '.join(known)}")
    indicators = tuple(known[i] for i in selection.indicators) or tuple(known.values())
    frame = release.cube_frame(dataset.id).filter(pl.col("indicator").is_in([i.id for i in indicators]))
    labels = labels_of(release, dataset, selection.lang)
    for name, codes in selection.filters:
        if name not in labels:
            raise SelectionError(f"dataset {dataset.id} has no dimension {name!r}; it has {', '.join(labels)}")
        unknown = [c for c in codes if c not in labels[name]]
        if unknown:
            raise SelectionError(f"dimension {name} has no code {', '.join(unknown[:5])}")
        frame = frame.filter(pl.col(name).is_in(codes))
    periods = selection.periods.pick(release.periods(dataset.id))
    info = release.info
    return Cube(
        selection=selection,
        dataset=dataset,
        indicators=indicators,
        periods=tuple(periods),
        frame=frame.filter(pl.col("period").is_in(periods)),
        labels=labels,
        release_id=info.release_id,
        vintage=info.vintage,
        status=info.status,
        is_synthetic=release.is_synthetic(dataset.id),
        stages=stage_names(release, selection.lang),
    )


def cell_state(value: Decimal | None, conf_status: str) -> State:
    """Withheld, missing and zero are three things."""
    if conf_status == "C":
        return "withheld"
    if value is None:
        return "missing"
    return "zero" if value == 0 else "value"


@dataclass(frozen=True)
class Cell:
    """One cell as shown: ``text`` for people, ``value`` in the display unit for machines (null unless shown)."""

    text: str
    value: Decimal | None
    state: State
    obs_status: str = ""


ABSENT = Cell(fmt.NOT_APPLICABLE, None, "not_applicable")
#: Why there is no growth rate → what is shown; any other reason (no base, base zero) is *not applicable*.
NO_GROWTH = {"withheld": Cell(fmt.WITHHELD, None, "withheld"), "missing": Cell(fmt.MISSING, None, "missing")}


@dataclass(frozen=True)
class TableModel:
    """Rows × columns of cells with everything that stands around a published table."""

    title: str
    unit: str
    row_heads: tuple[tuple[str, str, int], ...]
    column_heads: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]
    source: str
    status: str
    vintage: str
    release_id: str
    is_synthetic: bool
    stage: str = ""


def shown_cell(row: Mapping[str, object], indicator: Indicator, measure: str, lang: str) -> Cell:
    """A cell of a release row: ``measure`` is ``value`` or ``yoy``."""
    state = cell_state(row["value"], str(row["conf_status"]))  # type: ignore[arg-type]
    status = str(row["obs_status"])
    if state == "withheld":
        return Cell(fmt.WITHHELD, None, state, status)
    if measure == "yoy" and state != "missing":
        ratio = row["yoy_ratio"]
        if ratio is None:
            return NO_GROWTH.get(str(row["yoy_note"]), ABSENT)
        change = fmt.percent(float(ratio))  # type: ignore[arg-type]
        return Cell(f"{change}", change, "zero" if change == 0 else "value", status)
    if state == "missing":
        return Cell(fmt.MISSING, None, state, status)
    value = Decimal(str(row["value"]))
    if state == "zero":
        return Cell("0", Decimal(0), state, status)
    return Cell(fmt.value_text(value, indicator), fmt.scaled(value, indicator), state, status)


def table_model(
    cube: Cube,
    release: Release,
    *,
    rows: str,
    columns: str,
    indicator: str,
    measure: str = "value",
    fixed: Mapping[str, str] | None = None,
) -> TableModel:
    """A two-way table of one indicator: ``rows`` and ``columns`` are dimension names or ``period``.

    Dimensions that are neither rows nor columns nor ``fixed`` stand at their total. Rows follow the official order
    with the total first; a cell the cube does not hold is *not applicable*, never blank or zero.

    Raises
    ------
    SelectionError
        If rows, columns, fixed or indicator name something the cube does not have.
    """
    lang = cube.selection.lang
    keep = dict(fixed or {})
    card = _checked(cube, rows, columns, indicator, keep)
    condition = pl.col("indicator") == indicator
    for name in cube.dataset.dimension_ids:
        if name not in (rows, columns):
            condition &= pl.col(name) == keep.get(name, TOTAL)
    if "period" not in (rows, columns):
        condition &= pl.col("period") == keep.get("period", cube.periods[-1] if cube.periods else "")
    frame = cube.frame.filter(condition)
    found = {(r[rows], r[columns]): r for r in frame.iter_rows(named=True)}
    row_heads = _heads(cube, release, rows, {k[0] for k in found})
    column_heads = _heads(cube, release, columns, {k[1] for k in found})
    cells = tuple(
        tuple(shown_cell(found[r, c], card, measure, lang) if (r, c) in found else ABSENT for c, _, _ in column_heads)
        for r, _, _ in row_heads
    )
    name = card.name_en if lang == "en" else card.name_zh
    return TableModel(
        title=name,
        unit="%" if measure == "yoy" else fmt.unit(card, lang),
        row_heads=row_heads,
        column_heads=tuple(label for _, label, _ in column_heads),
        cells=cells,
        notes=cube.dataset.notes_en if lang == "en" else cube.dataset.notes_zh,
        source=cube.dataset.source_en if lang == "en" else cube.dataset.source_zh,
        status=cube.status,
        vintage=cube.vintage,
        release_id=cube.release_id,
        is_synthetic=cube.is_synthetic,
        stage=cube.stage_text(frame["period"].unique().to_list()),
    )


def _checked(cube: Cube, rows: str, columns: str, indicator: str, fixed: Mapping[str, str]) -> Indicator:
    """The indicator's card, if every name of the table is one the cube has."""
    axes = (*cube.dataset.dimension_ids, "period")
    strange = [name for name in (rows, columns, *fixed) if name not in axes]
    if strange or rows == columns:
        raise SelectionError(f"rows {rows!r}, columns {columns!r}, fixed {list(fixed)}; expected of {', '.join(axes)}")
    for card in cube.indicators:
        if card.id == indicator:
            return card
    raise SelectionError(f"no indicator {indicator!r}; the cube has {', '.join(i.id for i in cube.indicators)}")


def _heads(cube: Cube, release: Release, name: str, present: set[str]) -> tuple[tuple[str, str, int], ...]:
    """(code, label, depth) of the members present, in official order, the total first with depth 0."""
    lang = cube.selection.lang
    if name == "period":
        return tuple((p, fmt.period_text(p, lang), 0) for p in cube.periods if p in present)
    heads = [(TOTAL, cube.label(name, TOTAL), 0)] if TOTAL in present else []
    for code in release.codes(cube.dataset.dimension(name).scheme):
        if code.code in present:
            heads.append((code.code, cube.label(name, code.code), code.level))
    return tuple(heads)
