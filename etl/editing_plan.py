"""How a source is edited, as data: ``etl/editing.yaml`` for all, ``plan`` of ``etl/sources/<id>/edits.yaml`` for one."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from etl.contract import MONEY_FACTORS, Contract, ContractError, list_contracts, load_contract
from etl.edits import written_edits
from warehouse.yaml_text import parse_yaml

COMMON: Final = Path(__file__).parent / "editing.yaml"
REGISTER: Final = "register"
RECEIVED: Final = "received."


class Other(BaseModel):
    """A column of another source (``finance_annual.payroll_cny``) or, without a source, of the same one.

    The other source's edited rows, where it has any; ``received.finance_annual.payroll_cny`` takes the rows as received, so
    that two sources can bear witness to each other.
    """

    model_config = ConfigDict(frozen=True)
    source: str
    column: str
    is_received: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        source, _, column = text.rpartition(".")
        is_received = source.startswith(RECEIVED)
        return {"source": source.removeprefix(RECEIVED), "column": column, "is_received": is_received}

    @property
    def table(self) -> str:
        """Name under which the rows are handed to editing: the source, or ``received.<source>``; empty for the own rows."""
        return RECEIVED + self.source if self.is_received else self.source


class EditingPlan(BaseModel):
    """What editing does with one source.

    ``variables``: items edited one by one. ``witnesses``: what else knows of an item, by item. ``impute``: items filled in
    where a respondent left them out, with their auxiliary (none: only from the unit's own periods). ``totals``: items
    whose published total editing is judged by. Thresholds: see ``etl/editing.yaml``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    source_id: str
    variables: tuple[str, ...] = Field(min_length=1)
    witnesses: Mapping[str, tuple[Other, ...]] = Field(default_factory=dict)
    impute: Mapping[str, Other | None] = Field(default_factory=dict)
    totals: tuple[str, ...]
    lags: tuple[int, ...]
    form_errors: Mapping[float, float]
    item_errors: Mapping[float, float]
    transposed: float = Field(ge=0, lt=1)
    other: float = Field(ge=0, lt=1)
    confidence: float = Field(gt=0.5, lt=1)
    confidence_large: float = Field(ge=0.5, lt=1)
    missed: float = Field(ge=0, le=1)
    repeated: float = Field(ge=0, lt=1)
    doubt: float = Field(gt=0, lt=1)
    hold_share: float = Field(gt=0, le=1)
    spread_floor: float = Field(gt=0)
    spread_default: float = Field(gt=0)
    trim: float = Field(ge=0, lt=50)
    min_pairs: int = Field(ge=1)
    review_score: float = Field(gt=0)
    warn_rate: float = Field(gt=0, le=1)

    @property
    def contract(self) -> Contract:
        """The source's contract."""
        return load_contract(self.source_id)

    @property
    def money(self) -> tuple[str, ...]:
        """Columns that a wrong unit of the whole form falls on: every amount."""
        return tuple(c.to for c in self.contract.columns if c.is_money)

    @property
    def period(self) -> str:
        """The key column that holds the period."""
        return str(self.contract.period_column)

    def step(self, variable: str) -> float:
        """One unit of the form in the stored unit: 1,000 for thousand yuan, 1 for persons."""
        return float(MONEY_FACTORS.get(self.contract.column(variable).unit or "", 1))

    def is_signed(self, variable: str) -> bool:
        """Whether an item may be negative (profit, VAT): values near zero are then nothing unusual."""
        return self.contract.column(variable).min is None

    @property
    def needs(self) -> tuple[Other, ...]:
        """Columns of other sources that the plan reads."""
        named = [o for known in self.witnesses.values() for o in known]
        named += [o for o in self.impute.values() if o is not None]
        return tuple(dict.fromkeys(o for o in named if o.source))

    @model_validator(mode="after")
    def _known(self) -> "EditingPlan":
        known = {c.to for c in self.contract.columns if c.type in ("int", "decimal")}
        lost = [v for v in (*self.variables, *self.totals, *self.witnesses, *self.impute) if v not in known]
        if lost or self.contract.period_column is None or self.contract.own_key != ("uscc",):
            raise ValueError(
                f"{lost or self.contract.key}: expected numbers of {self.source_id}, one row a uscc and period"
            )
        strange = [o for o in self.needs if o.column not in load_contract(o.source).identifiers]
        if strange:
            raise ValueError(f"{strange[0].column} is no column of {strange[0].source}")
        if sum(self.form_errors.values()) + self.other >= 0.5 or sum(self.item_errors.values()) + self.other >= 0.5:
            raise ValueError("prior probabilities of errors add up to a half or more")
        return self


@cache
def load_plan(source_id: str) -> EditingPlan | None:
    """The plan of a source; ``None`` if the source is not edited.

    Raises
    ------
    ContractError
        If the plan cannot be used; it says where and why.
    """
    own = written_edits(source_id).get("plan")
    if own is None:
        return None
    common = parse_yaml(COMMON.read_text(encoding="utf-8"))
    try:
        return EditingPlan(source_id=source_id, **(common | own))
    except (ValidationError, TypeError, KeyError) as error:
        raise ContractError(f"etl/sources/{source_id}/edits.yaml: plan: {error}; correct the file") from error


@cache
def edited_sources() -> tuple[str, ...]:
    """Sources that are edited, each after those its plan reads."""
    plans = {c.id: plan for c in list_contracts() if (plan := load_plan(c.id)) is not None}
    found: list[str] = []

    def visit(source: str, above: tuple[str, ...]) -> None:
        if source in above:
            raise ContractError(f"editing plans read each other in a circle: {' → '.join((*above, source))}")
        if source in plans and source not in found:
            for needed in (o.source for o in plans[source].needs if not o.is_received):
                visit(needed, (*above, source))
            found.append(source)

    for source in plans:
        visit(source, ())
    return tuple(found)
