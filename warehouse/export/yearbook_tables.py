"""Which tables a yearbook holds and what stands in each: the plan is data, cells are the table model's."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from warehouse import format as fmt
from warehouse.catalogue import Indicator
from warehouse.cube import ABSENT, Cell, Cube, Periods, Selection, TableModel, read_cube, table_model
from warehouse.export.words import kind_of, pick
from warehouse.read import Release

PLAN = Path(__file__).with_name("yearbook.yaml")


class YearbookError(ValueError):
    """A yearbook that cannot be made: says which year was asked for and which there are."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TablePlan(_Frozen):
    """One entry of the plan; may give several tables (one per indicator)."""

    dataset: str
    layout: Literal["growth", "cross", "months", "levels"]
    rows: str
    columns: str = ""
    indicators: tuple[str, ...] = ()
    period: Literal["year", "latest"] = "year"
    title_zh: str
    title_en: str


class Chapter(_Frozen):
    """A chapter of the plan."""

    title_zh: str
    title_en: str
    tables: tuple[TablePlan, ...]


class Plan(_Frozen):
    """The whole plan, with the words of the cover and the general notes."""

    title_zh: str
    title_en: str
    city_zh: str
    city_en: str
    legal_basis_zh: str
    legal_basis_en: str
    notes_zh: tuple[str, ...]
    notes_en: tuple[str, ...]
    chapters: tuple[Chapter, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Column:
    """A column of a printed table: its group head (or empty), its own head, places after the point."""

    group: str
    head: str
    decimals: int


@dataclass(frozen=True)
class BookTable:
    """One printed table. ``rows`` holds (label, depth, cells); cells run like ``columns``."""

    number: str
    chapter: str
    title: str
    unit: str
    kind: str
    row_head: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, int, tuple[Cell, ...]], ...]
    notes: tuple[str, ...]
    source: str


def load_plan() -> Plan:
    """The plan from ``yearbook.yaml``."""
    return Plan.model_validate(yaml.safe_load(PLAN.read_text(encoding="utf-8")))


def years(release: Release) -> list[int]:
    """Years a yearbook can be made for: those of the core cubes; of all cubes if there is no core cube."""
    annual = [d for d in release.datasets() if d.is_demo_data and d.frequency == "A"]
    core = [d for d in annual if "ai_class" in d.dimension_ids] or annual or release.datasets()
    return sorted({int(p[:4]) for d in core for p in release.periods(d.id)})


def check_year(release: Release, year: int) -> None:
    """Refuse a year without figures.

    Raises
    ------
    YearbookError
        Names the years there are.
    """
    known = years(release)
    if year not in known:
        there = ", ".join(map(str, known)) or "none"
        raise YearbookError(f"release {release.info.release_id} has no figures for {year}; years there: {there}")


def periods_for(release: Release, plan: TablePlan, year: int) -> list[str]:
    """Periods a plan's tables show, ascending; empty if the dataset has none of them."""
    known = release.periods(plan.dataset)
    if plan.period == "latest":
        return known[-1:]
    return [p for p in known if p[:4] == str(year)]


@dataclass(frozen=True)
class _Maker:
    """Makes the tables of one plan from one cube."""

    release: Release
    plan: TablePlan
    cube: Cube
    shown: tuple[str, ...]
    lang: str

    def name(self, card: Indicator) -> str:
        return pick(self.lang, card.name_zh, card.name_en)

    def model(self, card: Indicator, columns: str, measure: str = "value") -> TableModel:
        fixed = {"period": self.shown[-1]} if columns != "period" else {}
        return table_model(
            self.cube,
            self.release,
            rows=self.plan.rows,
            columns=columns,
            indicator=card.id,
            measure=measure,
            fixed=fixed,
        )

    def title(self, card: Indicator | None) -> str:
        words = pick(self.lang, self.plan.title_zh, self.plan.title_en)
        last = self.shown[0][:4] if self.plan.layout == "months" else self.shown[-1]
        when = fmt.period_text(last, self.lang)
        if card is not None:
            words = pick(self.lang, f"{words}：{self.name(card)}", f"{words}: {self.name(card)}")
        return pick(self.lang, f"{when}{words}", f"{words}, {when}")

    def matrix(self, card: Indicator, columns: str) -> "Body":
        """Rows × columns of one indicator; of periods only those shown."""
        model = self.model(card, columns)
        heads = [Column("", head, card.display.decimals) for head in model.column_heads]
        rows = [
            (label, depth, cells)
            for (_, label, depth), cells in zip(model.row_heads, model.cells, strict=True)
        ]  # fmt: skip
        return Body(self.title(card), fmt.unit(card, self.lang), tuple(heads), tuple(rows))

    def beside(self, cards: list[Indicator], growth: bool) -> "Body":
        """Indicators beside each other: the value alone, or this year, last year and the change."""
        year = self.shown[-1]
        columns: list[Column] = []
        found: dict[str, dict[int, Cell]] = {}
        heads: dict[str, tuple[str, int]] = {}
        for card in cards:
            values = self.model(card, "period")
            models = [(values, y) for y in ((year, str(int(year) - 1)) if growth else (year,))]
            group = f"{self.name(card)}{pick(self.lang, '（', ' (')}{values.unit}{pick(self.lang, '）', ')')}"
            columns += [
                Column(group if growth else "", self._head(group, y, growth), card.display.decimals) for _, y in models
            ]
            if growth:
                models.append((self.model(card, "period", "yoy"), year))
                columns.append(Column(group, pick(self.lang, "增长（%）", "Change (%)"), 1))
            start = len(columns) - len(models)
            for n, (model, period) in enumerate(models, start):
                place = {head: i for i, head in enumerate(model.column_heads)}.get(fmt.period_text(period, self.lang))
                for (code, label, depth), cells in zip(model.row_heads, model.cells, strict=True):
                    heads.setdefault(code, (label, depth))
                    found.setdefault(code, {})[n] = ABSENT if place is None else cells[place]
        rows = [(*heads[c], tuple(found[c].get(n, ABSENT) for n in range(len(columns)))) for c in self._order(heads)]
        return Body(self.title(None), "", tuple(columns), tuple(rows))

    def _head(self, group: str, period: str, growth: bool) -> str:
        return fmt.period_text(period, self.lang) if growth else group

    def _order(self, heads: dict[str, tuple[str, int]]) -> list[str]:
        return [code for code in self.cube.labels[self.plan.rows] if code in heads]

    def bodies(self) -> "Iterator[Body]":
        """The tables of the plan."""
        present = set(self.cube.frame["indicator"].unique())
        cards = [i for i in self.cube.indicators if i.id in present]
        if self.plan.layout in ("growth", "levels"):
            if cards:
                yield self.beside(cards, self.plan.layout == "growth")
            return
        for card in cards:
            yield self.matrix(card, self.plan.columns or "period")


@dataclass(frozen=True)
class Body:
    """What a maker gives: the table without number and notes."""

    title: str
    unit: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, int, tuple[Cell, ...]], ...]


def _maker(release: Release, plan: TablePlan, year: int, lang: str) -> _Maker | None:
    known = {d.id for d in release.datasets()}
    shown = periods_for(release, plan, year) if plan.dataset in known else []
    if not shown:
        return None
    wanted = set(shown)
    if plan.layout == "growth":
        wanted |= {str(year - 1)} & set(release.periods(plan.dataset))
    held = {i.id for i in release.indicators(plan.dataset)}
    indicators = tuple(i for i in plan.indicators if i in held)
    selection = Selection(plan.dataset, indicators, periods=Periods("fixed", values=tuple(sorted(wanted))), lang=lang)
    return _Maker(release, plan, read_cube(release, selection), tuple(shown), lang)


def _notes(cube: Cube, body: Body) -> tuple[str, ...]:
    dataset, lang = cube.dataset, cube.selection.lang
    given = dataset.notes_en if lang == "en" else dataset.notes_zh
    if stages := cube.stage_text():
        given = (*given, pick(lang, f"数据阶段：{stages}。", f"Stage of the figures: {stages}."))
    estimated = any(cell.obs_status == "E" for _, _, cells in body.rows for cell in cells)
    words = pick(
        lang,
        "表中含估计值（状态 E），逐格状态见“数据”页。",
        "Holds estimates (status E); the status of each cell is on the sheet Data.",
    )
    return (*given, words) if estimated else given


def book_tables(release: Release, plan: Plan, year: int, lang: str) -> Iterator[BookTable]:
    """Every table of the year, numbered chapter-table; plans without figures for the year give none."""
    number = 0
    for chapter in plan.chapters:
        bodies = [
            (maker, body)
            for item in chapter.tables
            if (maker := _maker(release, item, year, lang)) is not None
            for body in maker.bodies()
            if body.rows
        ]
        number += bool(bodies)
        for n, (maker, body) in enumerate(bodies, 1):
            dataset = maker.cube.dataset
            head = dataset.dimension(maker.plan.rows)
            yield BookTable(
                number=f"{number}-{n}",
                chapter=pick(lang, chapter.title_zh, chapter.title_en),
                title=body.title,
                unit=body.unit,
                kind=kind_of(release, dataset),
                row_head=pick(lang, head.name_zh, head.name_en),
                columns=body.columns,
                rows=body.rows,
                notes=_notes(maker.cube, body),
                source=pick(lang, dataset.source_zh, dataset.source_en),
            )
