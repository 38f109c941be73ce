"""Random conditions against a second evaluator that shares nothing with the first (facts: expressions.md §12).

The oracle works on plain Python values (Decimal, str, bytes, frozenset, tuple, dict) that are made beside the wire
form, and walks the structure from which the text was written, so it knows neither grammar nor templates nor closures.
Three-valued on purpose: a value, MISSING, or a pair whose types do not fit.
"""

from __future__ import annotations

from base64 import b64encode
from decimal import Decimal
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dynalab_model.errors import DynamoError
from dynalab_model.expressions import condition_template
from dynalab_model.values import Item, validate_item

MISSING = object()

ORDERED = (str, Decimal, bytes)

# A value of the oracle: (type, content). Types keep 1, "1", b"1" and True apart.
Typed = tuple[str, Any]

NAMES = ["a", "b", "c", "name", "x-y"]
ALIASES = {"#n": "name", "#x": "x-y"}
SPELLING = {"a": "a", "b": "b", "c": "c", "name": "#n", "x-y": "#x"}

scalars: st.SearchStrategy[Typed] = st.one_of(
    st.text(st.sampled_from("abé😀"), max_size=3).map(lambda text: ("S", text)),
    st.sampled_from(["0", "1", "1.0", "-1", "2", "1e1", "9" * 38, "9" * 37 + "8", "1e-130"]).map(
        lambda text: ("N", Decimal(text))
    ),
    st.binary(max_size=2).map(lambda raw: ("B", raw)),
    st.booleans().map(lambda truth: ("BOOL", truth)),
    st.just(("NULL", None)),
    st.frozensets(st.sampled_from("abc"), min_size=1).map(lambda members: ("SS", members)),
    st.frozensets(st.sampled_from([Decimal(1), Decimal(2), Decimal("1.5")]), min_size=1).map(lambda m: ("NS", m)),
    st.frozensets(st.sampled_from([b"", b"a", b"\xff"]), min_size=1).map(lambda members: ("BS", members)),
)
values: st.SearchStrategy[Typed] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda elements: ("L", tuple(elements))),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=2).map(lambda members: ("M", members)),
    ),
    max_leaves=6,
)
items = st.dictionaries(st.sampled_from(NAMES), values, max_size=4)


def wire(value: Typed) -> dict[str, Any]:
    """The wire form, spelled on purpose in the less usual way where there are two."""
    kind, content = value
    if kind in ("S", "BOOL"):
        return {kind: content}
    if kind == "N":
        return {"N": f"{content:e}"}
    if kind == "NULL":
        return {"NULL": True}
    if kind == "B":
        return {"B": b64encode(content).decode()}
    if kind == "SS":
        return {"SS": sorted(content, reverse=True)}
    if kind == "NS":
        return {"NS": [str(number) for number in sorted(content)]}
    if kind == "BS":
        return {"BS": [b64encode(raw).decode() for raw in sorted(content)]}
    if kind == "L":
        return {"L": [wire(element) for element in content]}
    return {"M": {name: wire(part) for name, part in content.items()}}


paths = st.tuples(st.sampled_from(NAMES), st.lists(st.sampled_from([*NAMES, 0, 1, 2]), max_size=2)).map(
    lambda drawn: ("path", (drawn[0], *drawn[1]))
)
leaves = st.one_of(paths, paths, values.map(lambda value: ("value", value)))
operands = st.one_of(leaves, leaves, leaves.map(lambda inner: ("size", inner)))
tests = st.one_of(
    st.tuples(st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), operands, operands),
    st.tuples(st.just("BETWEEN"), operands, operands, operands),
    st.tuples(st.just("IN"), operands, st.lists(operands, min_size=1, max_size=3).map(tuple)),
    st.tuples(st.sampled_from(["attribute_exists", "attribute_not_exists"]), paths),
    st.tuples(st.just("attribute_type"), paths, st.sampled_from(["S", "N", "NULL", "L", "SS"])),
    st.tuples(st.sampled_from(["begins_with", "contains"]), operands, operands),
)
conditions = st.recursive(
    tests,
    lambda inner: st.one_of(st.tuples(st.just("NOT"), inner), st.tuples(st.sampled_from(["AND", "OR"]), inner, inner)),
    max_leaves=5,
)


class Writer:
    """Writes a structure as text with the fewest parentheses, and collects its values."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def value(self, value: Typed) -> str:
        name = f":v{len(self.values)}"
        self.values[name] = wire(value)
        return name

    def operand(self, operand: Any) -> str:
        kind, content = operand
        if kind == "value":
            return self.value(content)
        if kind == "size":
            return f"size({self.operand(content)})"
        text = SPELLING[content[0]]
        for step in content[1:]:
            text += f"[{step}]" if isinstance(step, int) else "." + SPELLING[step]
        return text

    def condition(self, node: Any, binding: int = 0) -> str:
        """`binding` is how tightly the surrounding operator binds: OR 1, AND 2, NOT 3."""
        operator = node[0]
        if operator in ("OR", "AND"):
            own = 1 if operator == "OR" else 2
            text = f"{self.condition(node[1], own)} {operator} {self.condition(node[2], own)}"
            return f"({text})" if own < binding else text
        if operator == "NOT":
            return f"NOT {self.condition(node[1], 3)}"
        if operator == "BETWEEN":
            low, high = self.operand(node[2]), self.operand(node[3])
            return f"{self.operand(node[1])} BETWEEN {low} AND {high}"
        if operator == "IN":
            return f"{self.operand(node[1])} IN ({', '.join(self.operand(option) for option in node[2])})"
        if operator == "attribute_type":
            return f"attribute_type({self.operand(node[1])}, {self.value(('S', node[2]))})"
        if operator in ("attribute_exists", "attribute_not_exists"):
            return f"{operator}({self.operand(node[1])})"
        if operator in ("begins_with", "contains"):
            return f"{operator}({self.operand(node[1])}, {self.operand(node[2])})"
        return f"{self.operand(node[1])} {operator} {self.operand(node[2])}"


def look(item: dict[str, Typed], operand: Any) -> Any:
    kind, content = operand
    if kind == "value":
        return content
    if kind == "size":
        inner = look(item, content)
        if inner is MISSING or inner[0] in ("N", "BOOL", "NULL"):
            return MISSING
        return "N", Decimal(sum(1 + (ord(c) > 0xFFFF) for c in inner[1]) if inner[0] == "S" else len(inner[1]))
    found: Any = ("M", item)
    for step in content:
        if isinstance(step, int):
            if found[0] != "L" or step >= len(found[1]):
                return MISSING
        elif found[0] != "M" or step not in found[1]:
            return MISSING
        found = found[1][step]
    return found


def judge(item: dict[str, Typed], node: Any) -> bool:
    operator = node[0]
    if operator == "NOT":
        return not judge(item, node[1])
    if operator == "AND":
        return judge(item, node[1]) and judge(item, node[2])
    if operator == "OR":
        return judge(item, node[1]) or judge(item, node[2])
    first = look(item, node[1])
    if operator == "attribute_exists":
        return first is not MISSING
    if operator == "attribute_not_exists":
        return first is MISSING
    if operator == "attribute_type":
        return first is not MISSING and first[0] == node[2]
    if operator == "IN":
        return first is not MISSING and any(first == look(item, option) for option in node[2])
    others = [look(item, other) for other in node[2:]]
    if operator == "<>":
        return first is MISSING or others[0] is MISSING or first != others[0]
    if first is MISSING or MISSING in others:
        return False
    if operator == "=":
        return bool(first == others[0])
    if operator == "begins_with":
        return first[0] in "SB" and first[0] == others[0][0] and bool(first[1].startswith(others[0][1]))
    if operator == "contains":
        return judge_contains(first, others[0])
    if any(other[0] != first[0] for other in others) or not isinstance(first[1], ORDERED):
        return False
    one, two = (key(first), key(others[0]))
    if operator == "BETWEEN":
        return bool(two <= one <= key(others[1]))
    return bool({"<": one < two, "<=": one <= two, ">": one > two, ">=": one >= two}[operator])


def key(value: Typed) -> Any:
    return value[1].encode() if isinstance(value[1], str) else value[1]


def judge_contains(whole: Typed, part: Typed) -> bool:
    kind, content = whole
    if kind in ("S", "B"):
        return bool(part[0] == kind and part[1] in content)
    if kind in ("SS", "NS", "BS"):
        return bool(part[0] == kind[0] and part[1] in content)
    return kind == "L" and part in content


@settings(max_examples=400)
@given(items, conditions)
def test_two_evaluators_agree_on_every_condition(item: dict[str, Typed], condition: Any) -> None:
    writer = Writer()
    text = writer.condition(condition)
    stored: Item = validate_item({name: wire(value) for name, value in item.items()})
    given_values: Item = validate_item(writer.values)
    try:
        template = condition_template(text, ALIASES)
        template.check(given_values)
    except DynamoError as refused:
        # Operands of the request itself that can never fit are refused; the oracle has no opinion about those.
        assert any(
            reason in refused.message
            for reason in ("operand type", "same data type", "greater than or equal", "must be distinct")
        ), refused.message
        assume(False)
    assert template.holds(stored, given_values) is judge(item, condition)


SHREDS = [*"ab:#[]().,=<>+- 09_'!\n", " AND ", " OR ", " NOT ", " BETWEEN ", " IN ", "size(", "a = :b", "contains("]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(SHREDS), max_size=12).map("".join))
def test_any_text_is_compiled_or_refused_and_nothing_else(text: str) -> None:
    try:
        condition_template(text, ALIASES)
    except DynamoError as refused:
        assert refused.code == "ValidationException" and refused.message.startswith("Invalid ConditionExpression: ")
