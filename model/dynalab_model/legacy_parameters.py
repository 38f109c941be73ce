"""Parameters from before expressions, from JSON to `operations.Legacy` (expressions.md §9): Expected,
AttributeUpdates, KeyConditions, QueryFilter, ScanFilter, ConditionalOperator, AttributesToGet.

Rules: what needs no table is refused here, in the service's words; what the terms mean is `legacy`. Whether styles are
mixed is `placeholders`' question. What one member alone can break was told before, by `shapes`; the rest is told one by
one: attribute values, counts of arguments, their types, and ConditionalOperator last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, cast

from dynalab_model.errors import INVALID, validation
from dynalab_model.operations import AttributeUpdate, Legacy, Term
from dynalab_model.values import AttributeValue, compare, validate_item, value_type

Members: TypeAlias = Mapping[str, Mapping[str, object]]

KEY_OPERATORS = frozenset({"EQ", "LE", "LT", "GE", "GT", "BEGINS_WITH", "BETWEEN"})

_ARGUMENTS = {"NULL": 0, "NOT_NULL": 0, "BETWEEN": 2}  # IN takes any number from one on, the others take one
_ORDERED = frozenset({"S", "N", "B"})
_TYPES: dict[str, frozenset[str]] = {
    **dict.fromkeys(("LE", "LT", "GE", "GT", "IN", "BETWEEN", "CONTAINS", "NOT_CONTAINS"), _ORDERED),
    "BEGINS_WITH": frozenset({"S", "B"}),
}
_ADDABLE = frozenset({"N", "SS", "NS", "BS", "L"})
_DELETABLE = frozenset({"SS", "NS", "BS"})


def attributes_to_get(body: Mapping[str, object]) -> tuple[str, ...]:
    """AttributesToGet, () when absent.

    >>> attributes_to_get({"AttributesToGet": ["a", "a"]})
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: One or more parameter values were invalid: Duplicate value \
in attribute name: a
    """
    wanted = cast("list[str]", body.get("AttributesToGet") or [])
    for number, name in enumerate(wanted):
        if name in wanted[:number]:
            raise validation(f"{INVALID}Duplicate value in attribute name: {name}")
    return tuple(wanted)


def parse_legacy(body: Mapping[str, object], parameters: tuple[str, ...]) -> Legacy | None:
    """What these parameters say, None when there is none of them. Call after the request's shape was checked.

    >>> parse_legacy({"Expected": {"a": {"Value": {"N": "1"}}}}, ("Expected",)).terms
    (Term(name='a', operator='EQ', operands=({'N': '1'},)),)
    """
    if all(body.get(parameter) is None for parameter in (*parameters, "ConditionalOperator")):
        return None
    legacy = Legacy()
    filtering: Members = {}
    for parameter in parameters:
        if parameter == "AttributesToGet":
            legacy.attributes = attributes_to_get(body)
            continue
        members = cast("Members", body.get(parameter) or {})
        if parameter == "AttributeUpdates":
            legacy.updates = tuple(_update(name, member) for name, member in members.items())
        elif parameter == "KeyConditions":
            legacy.keys = tuple(_key_condition(name, member) for name, member in members.items())
        else:
            build = _expected if parameter == "Expected" else _condition
            filtering = members
            legacy.terms = tuple(build(name, member) for name, member in members.items())
    legacy.any_term = _any_term(body, len(filtering))
    return legacy


def _any_term(body: Mapping[str, object], count: int) -> bool:
    operator = body.get("ConditionalOperator")
    if operator is None:
        return False
    if count == 0:
        raise validation(f"{INVALID}ConditionalOperator cannot be used without Filter or Expected")
    if count == 1:
        raise validation(
            f"{INVALID}ConditionalOperator can only be used when Filter or Expected has two or more elements"
        )
    return operator == "OR"


def _value(value: object) -> AttributeValue:
    return validate_item({"v": value})["v"]


def _term(name: str, operator: str, given: object) -> Term:
    """A term from its operator and its list of operands, which are checked here."""
    operands = tuple(_value(value) for value in cast("list[object]", given or []))
    wanted = _ARGUMENTS.get(operator, 1)
    if len(operands) < wanted or (operator != "IN" and len(operands) > wanted):
        raise validation(f"{INVALID}Invalid number of argument(s) for the {operator} ComparisonOperator")
    kinds = [value_type(operand) for operand in operands]
    if any(kind != kinds[0] for kind in kinds):
        raise validation(f"{INVALID}AttributeValues inside AttributeValueList must be of same type")
    allowed = _TYPES.get(operator)
    if kinds and allowed is not None and kinds[0] not in allowed:
        raise validation(f"{INVALID}ComparisonOperator {operator} is not valid for {kinds[0]} AttributeValue type")
    if operator == "BETWEEN" and compare(operands[0], operands[1]) == 1:
        raise validation(
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
        )
    return Term(name, operator, operands)


def _condition(name: str, member: Mapping[str, object]) -> Term:
    return _term(name, cast(str, member["ComparisonOperator"]), member.get("AttributeValueList"))


def _key_condition(name: str, member: Mapping[str, object]) -> Term:
    term = _condition(name, member)
    if term.operator not in KEY_OPERATORS:
        raise validation("Attempted conditional constraint is not an indexable operation")
    return term


def _expected(name: str, member: Mapping[str, object]) -> Term:
    value, exists = member.get("Value"), member.get("Exists")
    operator, operands = cast("str | None", member.get("ComparisonOperator")), member.get("AttributeValueList")
    if operands is not None and value is not None:
        raise validation(f"{INVALID}Value and AttributeValueList cannot be used together for Attribute: {name}")
    if operator is not None:
        if exists is not None:
            raise validation(f"{INVALID}Exists and ComparisonOperator cannot be used together for Attribute: {name}")
        if operator not in ("NULL", "NOT_NULL") and operands is None and value is None:
            raise validation(
                f"{INVALID}Value or AttributeValueList must be used with ComparisonOperator: {operator} for Attribute: "
                f"{name}"
            )
        return _term(name, operator, [value] if value is not None else operands)
    if operands is not None:
        raise validation(
            f"{INVALID}AttributeValueList can only be used with a ComparisonOperator for Attribute: {name}"
        )
    if exists is False:
        if value is not None:
            raise validation(f"{INVALID}Value cannot be used when Exists is false for Attribute: {name}")
        return Term(name, "NULL")
    if value is None:
        told = "null" if exists is None else "true"
        raise validation(f"{INVALID}Value must be provided when Exists is {told} for Attribute: {name}")
    return Term(name, "EQ", (_value(value),))


def _update(name: str, member: Mapping[str, object]) -> AttributeUpdate:
    action, value = cast("str | None", member.get("Action")) or "PUT", member.get("Value")
    if value is None:
        if action != "DELETE":
            raise validation(f"{INVALID}Only DELETE action is allowed when no attribute value is specified")
        return AttributeUpdate(name, action)
    checked = _value(value)
    kind = value_type(checked)
    if action == "ADD" and kind not in _ADDABLE:
        raise validation(f"{INVALID}ADD action is not supported for the type {kind}")
    if action == "DELETE" and kind not in _DELETABLE:
        raise validation(f"{INVALID}DELETE action with value is not supported for the type {kind}")
    return AttributeUpdate(name, action, checked)
