"""What the parameters from before expressions mean (expressions.md §9): conditions and filters, updates, key
conditions, and lists of attributes.

Rules: an evaluator of its own over `operations.Legacy`, without a detour by text; the primitives (equality, order,
sums, sets) are the expressions' own. Pure: no item is changed, only top-level attributes are reached, and an absent
item is an item without attributes. Operands were checked by `legacy_parameters`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dynalab_model.errors import invalid, validation
from dynalab_model.expressions.key_terms import bind_terms
from dynalab_model.expressions.texts import refused_whole
from dynalab_model.expressions.update import UpdateResult
from dynalab_model.keys import KeyCondition
from dynalab_model.numbers import add
from dynalab_model.operations import AttributeUpdate, Legacy, Term
from dynalab_model.schema import KeySchema
from dynalab_model.values import AttributeValue, Item, compare, equal_values, raw_bytes, value_type

_ORDER: dict[str, tuple[int, ...]] = {"LT": (-1,), "LE": (-1, 0), "GT": (1,), "GE": (0, 1)}
_KEY_OPERATORS = {
    "EQ": "=",
    "LT": "<",
    "LE": "<=",
    "GT": ">",
    "GE": ">=",
    "BETWEEN": "BETWEEN",
    "BEGINS_WITH": "begins_with",
}
_MISMATCH = "Type mismatch for attribute to update"

# What the 400 KB rule adds for an update (api.md §4): the same prices as for the actions of an expression.
_UPDATE_BYTES = 3
_WRITING_BYTES = 19
_CLEARING_BYTES = 2


def terms_hold(legacy: Legacy, item: Item | None) -> bool:
    """Whether Expected or a filter is true of an item (None: of no item). Without terms it is.

    >>> counted = Term("n", "GT", ({"N": "1"},)), Term("done", "NULL")
    >>> terms_hold(Legacy(counted), {"n": {"N": "2"}}), terms_hold(Legacy(counted, any_term=True), None)
    (True, True)
    >>> terms_hold(Legacy(counted), {"n": {"N": "2"}, "done": {"NULL": True}})
    False
    """
    if not legacy.terms:
        return True
    values = item or {}
    results = (_holds(term, values.get(term.name)) for term in legacy.terms)
    return any(results) if legacy.any_term else all(results)


def _holds(term: Term, value: AttributeValue | None) -> bool:
    operator, operands = term.operator, term.operands
    if operator == "NULL":
        return value is None
    if operator == "NOT_NULL":
        return value is not None
    if operator in ("NE", "NOT_CONTAINS"):
        # The negations are true of an attribute that is missing or of another type.
        return not _holds(Term(term.name, "EQ" if operator == "NE" else "CONTAINS", operands), value)
    if value is None:
        return False
    if operator in ("EQ", "IN"):
        return any(equal_values(value, operand) for operand in operands)
    if operator in _ORDER:
        return compare(value, operands[0]) in _ORDER[operator]
    if operator == "BETWEEN":
        return compare(value, operands[0]) in (0, 1) and compare(value, operands[1]) in (-1, 0)
    if operator == "BEGINS_WITH":
        return _begins_with(value, operands[0])
    assert operator == "CONTAINS", operator
    return _contains(value, operands[0])


def _begins_with(value: AttributeValue, start: AttributeValue) -> bool:
    whole: dict[str, Any] = value
    part: dict[str, Any] = start
    if "S" in part:
        return "S" in whole and bool(whole["S"].startswith(part["S"]))
    return "B" in whole and raw_bytes(whole["B"]).startswith(raw_bytes(part["B"]))


def _contains(value: AttributeValue, part: AttributeValue) -> bool:
    whole: dict[str, Any] = value
    kind = value_type(value)
    wire: dict[str, Any] = part
    if kind == "S":
        return "S" in wire and wire["S"] in whole["S"]
    if kind == "B":
        return "B" in wire and raw_bytes(wire["B"]) in raw_bytes(whole["B"])
    if kind in ("SS", "NS", "BS"):
        return kind[0] in wire and any(equal_values({kind[0]: member}, part) for member in whole[kind])
    return kind == "L" and any(equal_values(element, part) for element in whole["L"])


# --- AttributeUpdates -----------------------------------------------------------------------------------------------


def check_update_keys(updates: Iterable[AttributeUpdate], key_names: Sequence[str]) -> None:
    """Refuse an update that touches the key.

    >>> check_update_keys([AttributeUpdate("a", "DELETE")], ("pk",))
    """
    for update in updates:
        if update.name in key_names:
            raise invalid("update-key", name=update.name)


def apply_updates(updates: Sequence[AttributeUpdate], item: Item) -> UpdateResult:
    """The item after AttributeUpdates; for an absent item pass its key alone.

    >>> apply_updates([AttributeUpdate("n", "ADD", {"N": "2"}), AttributeUpdate("old", "DELETE")],
    ...               {"n": {"N": "40"}, "old": {"S": "x"}}).item
    {'n': {'N': '42'}}
    """
    after = dict(item)
    written: list[tuple[str, ...]] = []
    action_bytes = _UPDATE_BYTES
    for update in updates:
        value = _outcome(update, item.get(update.name))
        action_bytes += _CLEARING_BYTES if update.action == "DELETE" and update.value is None else _WRITING_BYTES
        if value is None:
            after.pop(update.name, None)
        else:
            after[update.name] = value
            written.append((update.name,))
    touched = tuple((update.name,) for update in updates)
    return UpdateResult(after, touched, tuple(written), action_bytes)


def _outcome(update: AttributeUpdate, old: AttributeValue | None) -> AttributeValue | None:
    """The value that the attribute shall have, None where it shall have none."""
    if update.action == "PUT" or update.value is None:
        return update.value
    kind = value_type(update.value)
    if old is None:
        return update.value if update.action == "ADD" else None
    if kind not in old:
        raise validation(_MISMATCH)
    present: dict[str, Any] = old
    operand: dict[str, Any] = update.value
    if kind == "N":
        return {"N": add(present["N"], operand["N"])}
    if kind == "L":
        return {"L": present["L"] + operand["L"]}
    if update.action == "ADD":
        return _set(kind, [*present[kind], *(m for m in operand[kind] if m not in present[kind])])
    staying = [member for member in present[kind] if member not in operand[kind]]
    return _set(kind, staying) if staying else None  # a set is never empty: the attribute goes


def _set(kind: str, members: list[str]) -> AttributeValue:
    wire: Any = {kind: members}
    return wire  # type: ignore[no-any-return]


# --- KeyConditions --------------------------------------------------------------------------------------------------


def bind_key_conditions(terms: Sequence[Term], schema: KeySchema) -> KeyCondition:
    """Where a Query reads, in a table or index with these keys.

    >>> from dynalab_model.schema import KeyAttribute
    >>> bind_key_conditions([Term("pk", "EQ", ({"S": "a"},))], KeySchema(KeyAttribute("pk", "S"))).hash
    {'S': 'a'}
    """
    if not terms:
        raise refused_whole("length")
    return bind_terms({term.name: (_KEY_OPERATORS[term.operator], list(term.operands)) for term in terms}, schema)


def check_query_filter_keys(terms: Sequence[Term], key_names: Sequence[str]) -> None:
    """Refuse a QueryFilter that looks at a key attribute of what is read.

    >>> check_query_filter_keys([Term("a", "NOT_NULL")], ("pk",))
    """
    for term in terms:
        if term.name in key_names:
            raise validation(
                f"QueryFilter can only contain non-primary key attributes: Primary key attribute: {term.name}"
            )


# --- AttributesToGet ------------------------------------------------------------------------------------------------


def pick(attributes: Sequence[str], item: Item) -> Item:
    """The attributes of these names, as far as they are there.

    >>> pick(["b", "c"], {"a": {"N": "1"}, "b": {"N": "2"}})
    {'b': {'N': '2'}}
    """
    return {name: item[name] for name in attributes if name in item}
