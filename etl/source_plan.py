"""Which quantities the indicators of a source are made of: those of one quantity are protected together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, Literal

from warehouse.catalogue import Dataset, Dimension, Indicator, MetadataError, load_datasets
from warehouse.source_spec import KNOWN, SourceSpec, Term, Where

Code = Literal["_T", "of", "in"]
EQUAL: Final = "one"


@dataclass(frozen=True)
class Quantity:
    """What is added up: ``variable`` × ``times`` / ``over`` of every row (one where no variable is named).

    Indicators of one quantity show the same contributions, so that their cells are related by sums.
    """

    variable: str | None = None
    times: str | None = None
    over: str | None = None
    distinct: bool = False
    placed: tuple[object, ...] = ()

    @property
    def name(self) -> str:
        """What it is called among the quantities of an indicator: the columns, and a mark where rows are chosen by their place."""
        words = [
            self.variable or "rows",
            self.times,
            self.over and f"per-{self.over}",
            "distinct" if self.distinct else None,
        ]
        mark = sha256(repr(self.placed).encode()).hexdigest()[:8] if self.placed else None
        return "-".join(w for w in (*words, mark) if w)


@dataclass(frozen=True)
class Part:
    """Rows of a quantity in three parts: inside, in the whole but not inside, outside the whole.

    ``of`` and ``inside`` are conditions; ``split`` instead divides each row's own value: the column is its inside.
    """

    of: tuple[tuple[str, tuple[str, ...]], ...] = ()
    inside: tuple[tuple[str, tuple[str, ...]], ...] = ()
    split: str | None = None


@dataclass(frozen=True)
class Reading:
    """One cell value of an indicator: a code of a part of a quantity."""

    quantity: Quantity
    part: Part | None = None
    code: Code = "_T"


@dataclass(frozen=True)
class Plan:
    """An indicator as readings: numerator, or numerator over denominator × ``factor``."""

    indicator: Indicator
    spec: SourceSpec
    numerator: Reading
    denominator: Reading | None = None
    factor: float = 1.0


@dataclass(frozen=True)
class Cluster:
    """Indicators of one source that are in cubes of one frequency and one protection, with those cubes."""

    source: str
    frequency: str
    protected: bool
    datasets: tuple[Dataset, ...]
    plans: tuple[Plan, ...]

    @property
    def dimensions(self) -> Mapping[str, Dimension]:
        """Every dimension of the cubes."""
        return {d.id: d for dataset in self.datasets for d in dataset.dimensions}


def _pairs(where: Where) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(sorted((k, tuple(v)) for k, v in where.items()))


def _placed(spec: SourceSpec) -> tuple[object, ...]:
    """What decides which rows a quantity has and whose they are."""
    dims = tuple(sorted((k, v.column, v.of, v.extract) for k, v in spec.dims.items()))
    return (spec.scope, spec.contributor, spec.period, spec.date, spec.aggregation == "last", dims)


def _whole(quantity: Quantity, where: Where) -> Reading:
    return Reading(quantity) if not where else Reading(quantity, Part(of=_pairs(where)), "of")


def _share(indicator: Indicator, spec: SourceSpec, of: Term, base: Quantity) -> Plan:
    """``in`` over ``of`` of one part; a share of another variable splits each row's value."""
    quantity = replace(base, variable=of.variable, over=of.over)
    if of.variable == spec.variable:
        part = Part(of=_pairs(of.where), inside=_pairs(spec.where))
    elif spec.where or spec.variable is None:
        raise MetadataError(f"{indicator.id}: a share of another variable takes no where of its own; put it into of")
    else:
        part = Part(of=_pairs({**of.where, spec.variable: (KNOWN,)}), split=spec.variable)
    return Plan(indicator, spec, Reading(quantity, part, "in"), Reading(quantity, part, "of"), 100.0)


def plan(indicator: Indicator) -> Plan:
    """Readings of an indicator of view ``source``.

    Raises
    ------
    MetadataError
        If its description cannot be read; says which and why.
    """
    spec = indicator.source
    if spec is None:
        raise MetadataError(f"{indicator.id} is no indicator of a source")
    base = Quantity(spec.variable, None, spec.over, spec.aggregation == "distinct", _placed(spec))
    if spec.aggregation in ("share", "cv"):
        if spec.of is not None:
            return _share(indicator, spec, spec.of, base)
        return Plan(indicator, spec, _whole(base, spec.where), _whole(base, spec.where), 100.0)
    if spec.aggregation == "mean":
        weight = None if spec.weight == EQUAL else spec.weight
        known = {**spec.where, str(spec.variable): (KNOWN,)}
        numerator = _whole(replace(base, times=weight), spec.where)
        return Plan(indicator, spec, numerator, _whole(replace(base, variable=weight), known))
    if spec.aggregation == "ratio" and spec.of is not None:
        below = replace(base, variable=spec.of.variable, over=spec.of.over)
        return Plan(indicator, spec, _whole(base, spec.where), _whole(below, spec.of.where))
    if spec.aggregation in ("count", "distinct"):
        base = replace(base, variable=spec.variable if spec.aggregation == "count" else None)
    return Plan(indicator, spec, _whole(base, spec.where))


def clusters(indicators: Iterable[Indicator]) -> list[Cluster]:
    """The indicators of view ``source`` by source; each source publishes at one frequency, protected or not.

    Two frequencies of one protected source would be sums of the same contributions that no table relates.

    Raises
    ------
    MetadataError
        If a source would be published at two frequencies, or partly protected.
    """
    found: dict[str, list[Indicator]] = {}
    for indicator in indicators:
        if indicator.view == "source" and indicator.source is not None:
            found.setdefault(indicator.source.id, []).append(indicator)
    return [_cluster(source, cards) for source, cards in sorted(found.items())]


def _cluster(source: str, cards: Sequence[Indicator]) -> Cluster:
    known = load_datasets()
    datasets = tuple(known[d] for d in dict.fromkeys(d for card in cards for d in card.datasets))
    ways = {(d.frequency, d.protected) for d in datasets}
    if len(ways) != 1:
        raise MetadataError(f"source {source}: its cubes have {sorted(ways)}; one frequency and one protection needed")
    frequency, protected = ways.pop()
    return Cluster(source, frequency, protected, datasets, tuple(plan(c) for c in cards))
