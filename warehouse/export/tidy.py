"""The tidy form of a cube: one line per cell in official order, codes beside labels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from warehouse import format as fmt
from warehouse.catalogue import Dataset, Indicator
from warehouse.cube import Cube, cell_state
from warehouse.export.words import kind_of, kind_text, kind_warning, pick, stored_unit
from warehouse.read import Release

#: Columns after the dimensions (each dimension: its id, then id_label), in order.
CELL_COLUMNS = (
    *("period", "indicator", "indicator_label", "value", "unit", "unit_label", "symbol"),
    *("obs_status", "conf_status", "yoy_ratio", "yoy_note", "model_share"),
    *("revision_stage", "revision_stage_label"),
    *("vintage", "release_id", "data_kind"),
)


@dataclass(frozen=True)
class Record:
    """One cell. ``value`` is in the stored unit (yuan, persons); null: withheld (`x`) or missing (`..`)."""

    codes: tuple[str, ...]
    labels: tuple[str, ...]
    period: str
    indicator: Indicator
    value: Decimal | None
    symbol: str
    obs_status: str
    conf_status: str
    yoy_ratio: float | None
    yoy_note: str
    model_share: float | None
    vintage: str
    stage: str


@dataclass(frozen=True)
class Extract:
    """All an exporter needs: the cells and every word that must travel with them."""

    cube: Cube
    lang: str
    kind: str
    records: tuple[Record, ...]

    @property
    def dataset(self) -> Dataset:
        """The dataset's card."""
        return self.cube.dataset

    @property
    def title(self) -> str:
        """Title with the mark of simulated data before it and the periods behind it."""
        name = pick(self.lang, self.dataset.title_zh, self.dataset.title_en)
        mark = f"【{kind_text(self.kind, self.lang)}】" if self.kind == "simulated" else ""
        return f"{mark}{name}{pick(self.lang, f'（{self.span}）', f' ({self.span})')}" if self.span else f"{mark}{name}"

    @property
    def span(self) -> str:
        """First and last period: 2021-2025, or 2025; months as 2025-01—2025-11."""
        periods = self.cube.periods
        if not periods:
            return ""
        return periods[0] if len(periods) == 1 else f"{periods[0]}—{periods[-1]}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What kind of data it is, then the dataset's and the indicators' notes, each once."""
        own = [i.note_en if self.lang == "en" else i.note_zh for i in self.cube.indicators]
        given = self.dataset.notes_en if self.lang == "en" else self.dataset.notes_zh
        return tuple(dict.fromkeys([kind_warning(self.kind, self.lang), *given, *filter(None, own)]))

    @property
    def source(self) -> str:
        """The source line."""
        return pick(self.lang, self.dataset.source_zh, self.dataset.source_en)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the tidy columns."""
        dimensions = [name for d in self.dataset.dimension_ids for name in (d, f"{d}_label")]
        return (*dimensions, *CELL_COLUMNS)

    def rows(self) -> Iterator[tuple[str | Decimal | float | None, ...]]:
        """Tidy lines in the order of :attr:`columns`."""
        mark = kind_text(self.kind, self.lang)
        for record in self.records:
            card = record.indicator
            pairs = [text for pair in zip(record.codes, record.labels, strict=True) for text in pair]
            yield (
                *pairs,
                *(record.period, card.id, pick(self.lang, card.name_zh, card.name_en)),
                *(record.value, card.unit, stored_unit(card, self.lang), record.symbol),
                *(record.obs_status, record.conf_status),
                *(record.yoy_ratio, record.yoy_note, record.model_share),
                *(record.stage, self.cube.stages.get(record.stage, record.stage)),
                *(record.vintage, self.cube.release_id, mark),
            )


def _record(cube: Cube, row: Mapping[str, object], cards: Mapping[str, Indicator]) -> Record:
    names = cube.dataset.dimension_ids
    codes = tuple(str(row[name]) for name in names)
    value = row["value"]
    number = value if isinstance(value, Decimal) else None
    state = cell_state(number, str(row["conf_status"]))
    hidden = state == "withheld"
    ratio, share = row["yoy_ratio"], row["model_share"]
    return Record(
        codes=codes,
        labels=tuple(cube.label(name, code) for name, code in zip(names, codes, strict=True)),
        period=str(row["period"]),
        indicator=cards[str(row["indicator"])],
        value=None if hidden else number,
        symbol={"withheld": fmt.WITHHELD, "missing": fmt.MISSING}.get(state, ""),
        obs_status=str(row["obs_status"]),
        conf_status=str(row["conf_status"]),
        yoy_ratio=ratio if isinstance(ratio, float) and not hidden else None,
        yoy_note=fmt.yoy_note_text(str(row["yoy_note"] or ""), cube.selection.lang),
        model_share=share if isinstance(share, float) and not hidden else None,
        vintage=str(row["vintage"]),
        stage=str(row["revision_stage"] or ""),
    )


def extract(release: Release, cube: Cube) -> Extract:
    """The tidy form of a cube: indicators in display order, codes in official order, totals first."""
    dataset = cube.dataset
    cards = {i.id: i for i in cube.indicators}
    orders = [{code: n for n, code in enumerate(cube.labels[name])} for name in dataset.dimension_ids]
    shown = {indicator: n for n, indicator in enumerate(cards)}

    def place(record: Record) -> tuple[object, ...]:
        ranks = [order.get(code, len(order)) for order, code in zip(orders, record.codes, strict=True)]
        return (shown[record.indicator.id], record.period, *ranks)

    records = sorted((_record(cube, row, cards) for row in cube.frame.iter_rows(named=True)), key=place)
    return Extract(cube, cube.selection.lang, kind_of(release, dataset), tuple(records))
