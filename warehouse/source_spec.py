"""How an indicator is read from the rows of one source: the ``source:`` part of its YAML file, checked on loading."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Aggregation = Literal["sum", "count", "distinct", "last", "mean", "share", "ratio", "cv"]
Where = Mapping[str, tuple[str, ...]]
KNOWN, UNKNOWN = "known", "unknown"
RATIOS = frozenset({"mean", "share", "ratio", "cv"})


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _tuples(value: Any) -> Any:
    """``{status: "3"}`` and ``{status: ["3", "4"]}`` both as tuples."""
    if not isinstance(value, Mapping):
        return value
    return {k: tuple(v) if isinstance(v, list | tuple) else (v,) for k, v in value.items()}


class Term(_Frozen):
    """What a row contributes: ``variable`` (one where left out) over ``over``, of the rows that ``where`` keeps.

    ``where``: column → allowed values, or ``known`` / ``unknown``.
    """

    variable: str | None = None
    over: str | None = None
    where: Where = Field(default_factory=dict)

    _where = field_validator("where", mode="before")(_tuples)


class DimensionSource(_Frozen):
    """Where a dimension's code comes from: a column of the source, or (``of: unit``) of the linked unit.

    ``extract``: a regular expression whose first group is the code.
    """

    column: str
    of: Literal["row", "unit"] = "row"
    extract: str | None = None


class Question(_Frozen):
    """Which question of a survey: answers to another wording or denominator are not this indicator."""

    column: str
    version: str
    denominator: str


class Sample(_Frozen):
    """Least number of sampled persons a cell must rest on; below it the breakdown is for internal use."""

    column: str
    least: int = Field(gt=0)


class SourceSpec(_Frozen):
    """How an indicator of view ``source`` is computed.

    Attributes
    ----------
    id : the source (``etl/sources/<id>``).
    aggregation :
        ``sum`` Σ variable; ``count`` rows; ``distinct`` contributors; ``last`` Σ of each unit's last value in the period;
        ``mean`` Σ weight·variable / Σ weight; ``share`` 100 × the part of ``of`` that is ``variable``/``where``, or with
        ``across`` each code's part of that dimension's total; ``ratio`` variable / ``of`` (unscaled); ``cv`` the
        coefficient of variation (per cent) of the share of the same description, from the strata of the design.
    scope : ``members`` links AI enterprises of the year and weighs each by its membership.
    contributor : column of the unit that answered; its enterprise group is the contributor of disclosure control.
    period : ``flow`` adds up whole periods only; ``stock`` is the state at the end of the period; ``cumulated`` is a value
        the source itself adds up from the start of the year (the last report of a period holds).
    date : the date column that places a row in a period, where the file's period does not.
    """

    id: str
    aggregation: Aggregation
    variable: str | None = None
    over: str | None = None
    weight: str | None = None
    where: Where = Field(default_factory=dict)
    of: Term | None = None
    across: str | None = None
    stratum: str | None = None
    contributor: str | None = None
    scope: Literal["all", "members"] = "all"
    period: Literal["flow", "stock", "cumulated"] = "flow"
    date: str | None = None
    dims: Mapping[str, DimensionSource] = Field(default_factory=dict)
    question: Question | None = None
    sample: Sample | None = None

    _where = field_validator("where", mode="before")(_tuples)

    @model_validator(mode="after")
    def _complete(self) -> "SourceSpec":
        kind = self.aggregation
        if kind in ("sum", "last", "mean", "ratio") and self.variable is None:
            raise ValueError(f"aggregation {kind} needs variable")
        if kind == "distinct" and self.contributor is None:
            raise ValueError("aggregation distinct needs contributor: what is counted once")
        if kind == "ratio" and self.of is None:
            raise ValueError("aggregation ratio needs of: its denominator")
        if kind in ("share", "cv") and (self.of is None) == (self.across is None):
            raise ValueError(f"aggregation {kind} needs of (its denominator) or across (a dimension), not both")
        if kind == "cv" and (self.stratum is None or self.variable is None):
            raise ValueError("aggregation cv needs stratum and variable (the design weight)")
        if kind == "mean" and self.weight is None:
            raise ValueError("aggregation mean needs weight: a column, or one for equal weights")
        return self

    @property
    def columns(self) -> frozenset[str]:
        """Every column of the source the indicator names."""
        names = {self.variable, self.over, self.stratum, self.contributor, self.date, *self.where}
        names |= {self.weight} - {"one"}
        if self.of is not None:
            names |= {self.of.variable, self.of.over, *self.of.where}
        names |= {d.column for d in self.dims.values() if d.of == "row"}
        names |= {self.question.column} if self.question else set()
        names |= {self.sample.column} if self.sample else set()
        return frozenset(n for n in names if n is not None)
