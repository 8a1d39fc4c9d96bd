"""What a source promises (来源数据契约): ``etl/sources/<id>/contract.yaml`` as frozen models.

A contract says who provides the data and on what legal basis, how its files are named and shaped, what each
Chinese header means here (identifier, type, unit, check), which rows contradict themselves, and how many rows
are to be expected. Readers (``etl.readers``) and the demo city are both written from it.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from etl.contract_file import FileSpec
from etl.methods.periods import Period
from warehouse.yaml_text import parse_yaml

SOURCES: Final = Path(__file__).parent / "sources"
MONEY_FACTORS: Final = {"CNY": 1, "CNY_1000": 1_000, "CNY_10K": 10_000, "CNY_1M": 1_000_000, "CNY_100M": 100_000_000}
"""Contract unit of a money column → yuan in one unit. Money is always stored in yuan."""
PERIOD_COLUMNS: Final = ("ref_year", "ref_period")
CHECKS: Final = ("uscc_checksum", "gbt_code", "district", "enum")

Check = Literal["uscc_checksum", "gbt_code", "district", "enum"]
Type = Literal["string", "int", "decimal", "date"]


class ContractError(ValueError):
    """A contract file that cannot be used: says which file, which place and what was expected."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Question(_Model):
    """A survey question as asked; shares of different versions or denominators are never one series.

    ``denominator`` says in words of whom the shares are, ``asked_of`` whether everybody was asked (``all``) or only those
    whom an earlier answer led there (``part``): a blank is then not a refusal.
    """

    wording: str
    version: str
    denominator: str
    asked_of: Literal["all", "part"]


class Column(_Model):
    """One column: ``header`` (merged heads joined by ``/``) as it stands in the file, ``to`` as we call it.

    ``required``: every row must have a value. ``optional``: the whole column may be absent. ``values``: allowed
    codes of an ``enum`` with their labels (a label in the file is read as its code). ``min``/``max`` are in the
    stored unit (yuan, persons). A ``decimal`` without a money unit keeps two places and refuses more. ``ditto``:
    marks that repeat the cell above (同上). ``pattern``: a regular expression a text must match. A survey's answer states
    its ``question``: wording, version of the wording, and of whom it is asked (the denominator of its shares).
    """

    header: str
    to: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    type: Type
    aliases: tuple[str, ...] = ()
    unit: str | None = None
    required: bool = False
    optional: bool = False
    min: int | None = None
    max: int | None = None
    pattern: str | None = None
    ditto: tuple[str, ...] = ()
    check: Check | None = None
    values: Mapping[str, str] = Field(default_factory=dict)
    identifying: bool = False
    note: str | None = None
    question: Question | None = None

    @field_validator("values", mode="before")
    @classmethod
    def _codes_are_text(cls, values: Any) -> Any:
        return {str(code): label for code, label in values.items()} if isinstance(values, Mapping) else values

    @property
    def is_money(self) -> bool:
        """Whether the unit is an amount of yuan."""
        return self.unit in MONEY_FACTORS

    @property
    def names(self) -> tuple[str, ...]:
        """The header and its aliases."""
        return (self.header, *self.aliases)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.check == "enum" and not self.values:
            raise ValueError(f"column {self.header}: check enum needs values (code: label)")
        if self.is_money and self.type != "decimal":
            raise ValueError(f"column {self.header}: unit {self.unit} needs type decimal, not {self.type}")
        if (self.min is not None or self.max is not None) and self.type not in ("int", "decimal"):
            raise ValueError(f"column {self.header}: min and max need a number, not {self.type}")
        return self


class RowRule(_Model):
    """A contradiction inside one row: ``sum`` (parts add up to total), ``within`` (parts add up to the total or less) or
    ``le`` (left is at most right).

    ``tolerance`` is in the stored unit. A missing operand is not zero: ``le`` then passes, and ``sum``, like ``within``,
    only asks that the known parts do not exceed the total.
    """

    id: str
    kind: Literal["sum", "within", "le"]
    expectation: str
    total: str | None = None
    parts: tuple[str, ...] = ()
    left: str | None = None
    right: str | None = None
    tolerance: int = Field(default=0, ge=0)

    @property
    def columns(self) -> tuple[str, ...]:
        """Identifiers the rule reads; the first is the one blamed."""
        names = (self.left, self.right) if self.kind == "le" else (self.total, *self.parts)
        return tuple(name for name in names if name)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        wanted = bool(self.left and self.right) if self.kind == "le" else bool(self.total and self.parts)
        if not wanted:
            raise ValueError(f"row rule {self.id}: sum and within need total and parts, le needs left and right")
        return self


class Expect(_Model):
    """How many accepted rows a file should hold, and how far they may move between two periods (percent)."""

    rows_min: int = Field(default=1, ge=0)
    rows_change_pct: float | None = Field(default=None, gt=0)


class Survey(_Model):
    """Legal identity of a survey form (表号、制定机关、批准/备案机关、批准文号、有效期至).

    ``due_days``: days after the end of the period until returns are due (报送期限).
    """

    table_no: str
    issued_by: str
    approved_by: str
    approval_no: str
    valid_until: date
    due_days: int | None = Field(default=None, ge=0)

    def due(self, period: Period) -> date:
        """Last day on which a return of the period is in time; ValueError where the contract names no ``due_days``."""
        if self.due_days is None:
            raise ValueError(
                f"form {self.table_no}: its contract names no survey.due_days; state it there, or give the day (--due)"
            )
        return period.end + timedelta(days=self.due_days)


class Contract(_Model):
    """One source.

    ``key`` names identifiers; ``ref_year`` (number) or ``ref_period`` (SDMX text) comes from the file name. ``is_core``: there
    is no release without it; another source may never have been received.
    """

    id: str
    title_zh: str
    title_en: str
    provider: str
    legal_basis: tuple[str, ...] = Field(min_length=1)
    frequency: Literal["A", "Q", "M", "irregular"]
    key: tuple[str, ...] = Field(min_length=1)
    file: FileSpec
    columns: tuple[Column, ...] = Field(min_length=1)
    rules: tuple[RowRule, ...] = ()
    expect: Expect = Expect()
    survey: Survey | None = None
    retention: str
    is_core: bool = False
    is_public: bool = False
    synthetic_in_demo: bool = True
    notes_zh: str | None = None
    notes_en: str | None = None

    @field_validator("columns", mode="before")
    @classmethod
    def _from_mapping(cls, columns: Any) -> Any:
        """YAML writes columns as header → spec."""
        if isinstance(columns, Mapping):
            return [{"header": str(header), **spec} for header, spec in columns.items()]
        return columns

    @property
    def period_column(self) -> Literal["ref_year", "ref_period"] | None:
        """The key column that rows get from the file name, if any."""
        return next((name for name in PERIOD_COLUMNS if name in self.key), None)

    @property
    def own_key(self) -> tuple[str, ...]:
        """The key columns that stand in the file itself."""
        return tuple(name for name in self.key if name not in PERIOD_COLUMNS)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Columns of the typed frame, in order."""
        return tuple(c.to for c in self.columns) + ((self.period_column,) if self.period_column else ())

    @property
    def identifying(self) -> tuple[str, ...]:
        """Identifiers that name a unit."""
        return tuple(c.to for c in self.columns if c.identifying)

    def column(self, identifier: str) -> Column:
        """The column stored under ``identifier``; KeyError with the known ones otherwise."""
        for column in self.columns:
            if column.to == identifier:
                return column
        raise KeyError(f"{self.id}: no column {identifier!r}; known: {', '.join(c.to for c in self.columns)}")

    def is_expired(self, on: date) -> bool:
        """Whether the survey form may no longer be used on that day (never for a source without a form)."""
        return self.survey is not None and on > self.survey.valid_until

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = set(self.identifiers)
        if len(known) != len(self.identifiers):
            raise ValueError("two columns share one identifier")
        names = [name for c in self.columns for name in c.names]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"headers or aliases used twice: {doubled}")
        wrong = [n for n in self.key if n not in known]
        wrong += [n for rule in self.rules for n in rule.columns if n not in known]
        if wrong:
            raise ValueError(f"key or rule names unknown identifiers {wrong}; known: {sorted(known)}")
        for name in self.own_key:
            if not self.column(name).required:
                raise ValueError(f"key column {name} must be required: true")
        if not self.own_key:
            raise ValueError("the key needs a column of the file itself")
        if self.period_column and "{ref_year}" not in self.file.pattern:
            raise ValueError(
                f"key holds {self.period_column}, so the file pattern {self.file.pattern} must capture {{ref_year}}"
            )
        return self


def _extended(spec: Any, where: str) -> Any:
    """The mapping with what it takes over from the contract it ``extends`` (its own entries stand, columns are added)."""
    if not isinstance(spec, dict) or "extends" not in spec:
        return spec
    path = SOURCES / str(spec["extends"]) / "contract.yaml"
    if not path.is_file():
        raise ContractError(f"{where}: extends {spec['extends']!r}, which is no source; name an existing one")
    base = parse_yaml(path.read_text(encoding="utf-8"))
    own = {k: v for k, v in spec.items() if k != "extends"}
    return base | own | {"columns": base["columns"] | own.get("columns", {})}


def parse_contract(text: str, where: str) -> Contract:
    """A contract from YAML text; ContractError names ``where`` and each wrong place."""
    try:
        return Contract.model_validate(_extended(parse_yaml(text), where))
    except yaml.YAMLError as error:
        raise ContractError(f"{where}: not valid YAML ({error}); correct the file") from error
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'contract'}: {e['msg']}" for e in error.errors())
        raise ContractError(f"{where}: {places}; correct the contract") from error


@cache
def load_contract(source_id: str) -> Contract:
    """The contract of one source; ContractError when there is none or it is wrong."""
    path = SOURCES / source_id / "contract.yaml"
    if not path.is_file():
        known = ", ".join(p.parent.name for p in sorted(SOURCES.glob("*/contract.yaml")))
        raise ContractError(f"no source {source_id!r}: expected one of {known}, or a new {source_id}/contract.yaml")
    contract = parse_contract(path.read_text(encoding="utf-8"), f"etl/sources/{source_id}/contract.yaml")
    if contract.id != source_id:
        raise ContractError(f"etl/sources/{source_id}/contract.yaml: id is {contract.id!r}, expected {source_id!r}")
    return contract


def list_contracts() -> tuple[Contract, ...]:
    """Every contract, by source id."""
    return tuple(load_contract(path.parent.name) for path in sorted(SOURCES.glob("*/contract.yaml")))


def public_files(source_id: str) -> tuple[Path, ...]:
    """Data files committed with a public source (``etl/sources/<id>/data``), empty for the others."""
    return tuple(sorted((SOURCES / source_id / "data").glob("*.csv")))
