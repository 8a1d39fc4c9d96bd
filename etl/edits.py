"""Edits of a source (审核关系): derived from its contract, and those of ``etl/sources/<id>/edits.yaml``."""

from collections.abc import Mapping
from functools import cache
from math import isfinite
from typing import Any, Final

from etl.contract import SOURCES, Column, Contract, ContractError, RowRule, load_contract
from etl.methods.editing.expressions import EditError
from etl.methods.editing.linear import LinearEdit, linear_edits
from etl.methods.editing.rules import Edit, unique
from warehouse.yaml_text import parse_yaml

FIELDS: Final = {"id", "expression", "severity", "source", "tolerance"}


def contract_edits(contract: Contract) -> tuple[Edit, ...]:
    """Ranges, allowed codes and row rules of a contract as hard edits, in the stored unit (yuan, persons)."""
    found = [edit for column in contract.columns for edit in _of_column(contract, column)]
    return tuple(found + [_of_rule(contract, rule) for rule in contract.rules])


def _of_column(contract: Contract, column: Column) -> list[Edit]:
    where = f"contract {contract.id}, {column.header}"
    parts = [f"{column.to} >= {column.min}"] if column.min is not None else []
    parts += [f"{column.to} <= {column.max}"] if column.max is not None else []
    given = f"if not is_missing({column.to}) then " if column.optional else ""  # may be left out: never localised
    found = [Edit(f"range_{column.to}", given + " and ".join(parts), "hard", where)] if parts else []
    if column.check == "enum":
        codes = " or ".join(f"{column.to} = '{code}'" for code in column.values)
        found.append(Edit(f"codes_{column.to}", codes if len(column.values) > 1 else f"({codes})", "hard", where))
    return found


def _of_rule(contract: Contract, rule: RowRule) -> Edit:
    parts = " + ".join(rule.parts)
    if rule.kind == "sum":
        expression = f"{parts} = {rule.total}"
    elif rule.kind == "within":  # conditional, so that nothing is localised by it: a blank part means none, not missing
        expression = f"if {rule.total} >= 0 then {parts} <= {rule.total}"
    else:
        expression = f"{rule.left} <= {rule.right}"
    source = f"contract {contract.id}: {rule.expectation}"
    return Edit(rule.id, expression, "hard", source, float(rule.tolerance))


@cache
def written_edits(source_id: str) -> dict[str, Any]:
    """What ``edits.yaml`` of a source holds: ``edits``, a list, and ``plan`` (see :mod:`etl.editing_plan`); without a file nothing.

    Raises
    ------
    ContractError
        If it holds something else.
    """
    path = SOURCES / source_id / "edits.yaml"
    written = parse_yaml(path.read_text(encoding="utf-8")) if path.is_file() else {}
    found = {"edits": written} if isinstance(written, list) else written
    if not isinstance(found, dict) or set(found) - {"edits", "plan"} or not isinstance(found.get("edits", []), list):
        raise ContractError(
            f"etl/sources/{source_id}/edits.yaml: expected edits: (a list with id, expression, severity, source) and plan:"
        )
    return found


@cache
def load_edits(source_id: str) -> tuple[Edit, ...]:
    """All edits of a source: the contract's first, then the file's; without a file the contract's alone.

    Raises
    ------
    ContractError
        If the file cannot be used; it says which edit and why.
    """
    contract = load_contract(source_id)
    where = f"etl/sources/{source_id}/edits.yaml"
    written = written_edits(source_id).get("edits", [])
    edits = contract_edits(contract)
    try:
        for entry in written:
            unknown = set(entry) - FIELDS
            if unknown or not {"id", "expression", "severity", "source"} <= set(entry):
                raise EditError(f"{entry.get('id', entry)}: expected id, expression, severity, source and tolerance")
            edits += (Edit(**entry),)
        _known_columns(contract, edits)
        return unique(edits)
    except EditError as error:
        raise ContractError(f"{where}: {error}; correct the file") from None


@cache
def upper_limits(source_id: str) -> Mapping[str, tuple[LinearEdit, ...]]:
    """Item → soft edits that let it be no more than a combination of other items (R&D staff at most all staff)."""
    found: dict[str, tuple[LinearEdit, ...]] = {}
    for edit in load_edits(source_id):
        try:
            rows = linear_edits([edit]) if edit.severity == "soft" else ()
        except EditError:  # not linear: of no use here
            continue
        for row in rows:
            for name, factor in row.coefficients.items():
                if factor > 0 and isfinite(row.upper) and len(row.coefficients) > 1:
                    found[name] = (*found.get(name, ()), row)
    return found


def _known_columns(contract: Contract, edits: tuple[Edit, ...]) -> None:
    for edit in edits:
        lost = [v for v in edit.variables if v not in contract.identifiers]
        if lost:
            raise EditError(f"edit {edit.id}: {lost[0]} is no column of {contract.id}")
