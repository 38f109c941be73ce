"""Conditions and filters: compiled once per text and names, then evaluated as plain closures (expressions.md §3, §8).

The rule that decides most corner cases: an operand that is missing makes a comparison false, only `<>` true; so do
types that differ. NOT then inverts. A condition on an absent item sees an item without attributes.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

from dynalab_model.expressions import static
from dynalab_model.expressions.nodes import (
    DocumentPath,
    Node,
    Operation,
    Path,
    Value,
    aliases_of,
    bare,
    check_names,
    check_parentheses,
    check_reserved,
    paths_of,
    values_of,
    walk,
)
from dynalab_model.expressions.parser import parse_condition
from dynalab_model.expressions.texts import CONDITION, refused, refused_whole
from dynalab_model.values import AttributeValue, Item, compare, equal_values

TEMPLATES_MAX = 2_048

Test: TypeAlias = Callable[[Item, Item], bool]  # (item, values)
Operand: TypeAlias = Callable[[Item, Item], AttributeValue | None]  # None when missing

_NO_ITEM: Item = {}


class ConditionTemplate:
    """A condition with its names filled in and its values open.

    >>> template = condition_template("a = :v", {})
    >>> template.check({":v": {"N": "1"}})
    >>> template.holds({"a": {"N": "1"}}, {":v": {"N": "1"}}), template.holds(None, {":v": {"N": "1"}})
    (True, False)
    """

    __slots__ = ("_broken", "_checks", "_test", "kind", "paths", "used_names", "used_values")

    def __init__(self, kind: str, text: str, names: dict[str, str]) -> None:
        root = parse_condition(kind, text)
        written = paths_of(root)
        operations = checked_operations(kind, root)
        check_reserved(kind, written)
        check_names(kind, written, names)
        self.kind = kind
        self.used_names = aliases_of(written)
        self.used_values = values_of(root)
        self.paths = tuple(path.resolve(names) for path in written)
        self._checks, self._broken = static.run_operand_checks(kind, operations, names)
        self._test: Test = _never if self._broken else _test(root, names)

    def check(self, values: Item) -> None:
        """Refuses values that are not there or have the wrong type. Looks at no item."""
        static.check_values_defined(self.kind, self.used_values, values)
        for check in self._checks:
            check(values)

    def holds(self, item: Item | None, values: Item) -> bool:
        """Whether the condition is true of the item (None: of no item). Values of a wrong type make it false: `check`
        refuses them.
        """
        if self._broken:
            self.check(values)
        try:
            return self._test(_NO_ITEM if item is None else item, values)
        except KeyError as missing:
            raise static.undefined_value(self.kind, str(missing.args[0])) from None

    def check_filter(self, key_names: tuple[str, ...]) -> None:
        """Refuses a Query's filter that looks at the key."""
        for path in self.paths:
            if path[0] in key_names:
                raise refused_whole("filter-key", name=path[0])


def condition_template(text: str, names: dict[str, str], kind: str = CONDITION) -> ConditionTemplate:
    """The compiled condition, from a bounded cache; raises ValidationException with DynamoDB's texts."""
    return _template(kind, text, tuple(names.items()))


@lru_cache(maxsize=TEMPLATES_MAX)
def _template(kind: str, text: str, names: tuple[tuple[str, str], ...]) -> ConditionTemplate:
    return ConditionTemplate(kind, text, dict(names))


def checked_operations(kind: str, root: Node) -> list[Operation]:
    """The operations in the order of the text, after the checks of parentheses, function names and their places."""
    check_parentheses(kind, root)
    operations = [node for node in walk(root) if isinstance(node, Operation)]
    for operation in operations:
        if not operation.call:
            continue
        if operation.name in static.UPDATE_FUNCTIONS:
            raise refused(kind, "not-in-condition", name=operation.name)
        if operation.name not in static.CONDITION_FUNCTIONS:
            raise refused(kind, "function", name=operation.name)
    _check_places(kind, root)
    return operations


def _check_places(kind: str, root: Node) -> None:
    """`size` gives a value and stands where values stand; every other function is a condition and stands where
    conditions stand.
    """
    stack = [(root, True)]
    while stack:
        node, is_condition = stack.pop()
        inner = bare(node)
        if isinstance(inner, Operation):
            if inner.call and is_condition == (inner.name == "size"):
                raise refused(kind, "misuse", name=inner.name)
            inside = inner.name in ("AND", "OR", "NOT") and not inner.call
            stack.extend((operand, inside) for operand in reversed(inner.operands))


def operand_of(node: Node, names: dict[str, str]) -> Operand:
    """What reads a path, a value or a size."""
    node = bare(node)
    if isinstance(node, Value):
        placeholder = node.name
        return lambda item, values: values[placeholder]
    if isinstance(node, Path):
        return _path_operand(node.resolve(names))
    assert isinstance(node, Operation) and node.name == "size"
    inner = operand_of(node.operands[0], names)
    return lambda item, values: _size(inner(item, values))


def _path_operand(path: DocumentPath) -> Operand:
    if len(path) == 1:
        name = str(path[0])
        return lambda item, values: item.get(name)
    return lambda item, values: value_at(item, path)


def value_at(item: Item, path: DocumentPath) -> AttributeValue | None:
    """The value at a path, None when any step of it is missing or of another type.

    >>> value_at({"a": {"L": [{"N": "7"}]}}, ("a", 0)), value_at({"a": {"S": "x"}}, ("a", "b"))
    ({'N': '7'}, None)
    """
    found: Any = item.get(str(path[0]))
    for step in path[1:]:
        if found is None:
            return None
        if isinstance(step, str):
            found = found["M"].get(step) if "M" in found else None
        elif "L" in found and step < len(found["L"]):
            found = found["L"][step]
        else:
            return None
    return found  # type: ignore[no-any-return]


def _test(node: Node, names: dict[str, str]) -> Test:
    node = bare(node)
    assert isinstance(node, Operation)
    name, operands = node.name, node.operands
    if not node.call and name in ("AND", "OR"):
        tests = [_test(operand, names) for operand in operands]
        return _all(tests) if name == "AND" else _any(tests)
    if not node.call and name == "NOT":
        inner = _test(operands[0], names)
        return lambda item, values: not inner(item, values)
    if name in ("attribute_exists", "attribute_not_exists"):
        return _existence(bare(operands[0]), names, name == "attribute_exists")
    return _TESTS[name](*(operand_of(operand, names) for operand in operands))


def _all(tests: list[Test]) -> Test:
    if len(tests) == 2:
        one, two = tests
        return lambda item, values: one(item, values) and two(item, values)
    return lambda item, values: all(test(item, values) for test in tests)


def _any(tests: list[Test]) -> Test:
    if len(tests) == 2:
        one, two = tests
        return lambda item, values: one(item, values) or two(item, values)
    return lambda item, values: any(test(item, values) for test in tests)


def _existence(node: Node, names: dict[str, str], wanted: bool) -> Test:
    assert isinstance(node, Path)
    path = node.resolve(names)
    if len(path) > 1:
        return lambda item, values: (value_at(item, path) is not None) is wanted
    name = str(path[0])
    if wanted:
        return lambda item, values: name in item
    return lambda item, values: name not in item


def _equality(wanted: bool) -> Callable[[Operand, Operand], Test]:
    def build(left: Operand, right: Operand) -> Test:
        def test(item: Item, values: Item) -> bool:
            a, b = left(item, values), right(item, values)
            # A missing operand is equal to nothing, not even to another missing one.
            return (a is not None and b is not None and (a == b or equal_values(a, b))) is wanted

        return test

    return build


def _ordering(accepted: tuple[int, ...]) -> Callable[[Operand, Operand], Test]:
    def build(left: Operand, right: Operand) -> Test:
        def test(item: Item, values: Item) -> bool:
            a, b = left(item, values), right(item, values)
            return a is not None and b is not None and compare(a, b) in accepted

        return test

    return build


def _between(tested: Operand, low: Operand, high: Operand) -> Test:
    def test(item: Item, values: Item) -> bool:
        value, lower, upper = tested(item, values), low(item, values), high(item, values)
        if value is None or lower is None or upper is None:
            return False
        return compare(value, lower) in (0, 1) and compare(value, upper) in (-1, 0)

    return test


def _in(tested: Operand, *options: Operand) -> Test:
    def test(item: Item, values: Item) -> bool:
        value = tested(item, values)
        found = [option(item, values) for option in options]
        return value is not None and any(other is not None and equal_values(value, other) for other in found)

    return test


def _begins_with(whole: Operand, start: Operand) -> Test:
    def test(item: Item, values: Item) -> bool:
        a: dict[str, Any] = whole(item, values) or {}
        b: dict[str, Any] = start(item, values) or {}
        if "S" in a and "S" in b:
            return bool(a["S"].startswith(b["S"]))
        return "B" in a and "B" in b and b64decode(a["B"]).startswith(b64decode(b["B"]))

    return test


def _contains(whole: Operand, part: Operand) -> Test:
    def test(item: Item, values: Item) -> bool:
        a: dict[str, Any] = whole(item, values) or {}
        b = part(item, values)
        return b is not None and _holds_part(a, b)

    return test


def _holds_part(whole: dict[str, Any], part: AttributeValue) -> bool:
    wire: dict[str, Any] = part
    for kind, content in whole.items():
        if kind == "S":
            return "S" in wire and wire["S"] in content
        if kind == "B":
            return "B" in wire and b64decode(wire["B"]) in b64decode(content)
        if kind in ("SS", "NS", "BS"):
            return kind[0] in wire and any(equal_values({kind[0]: member}, part) for member in content)
        if kind == "L":
            return any(equal_values(element, part) for element in content)
    return False


def _attribute_type(tested: Operand, wanted: Operand) -> Test:
    def test(item: Item, values: Item) -> bool:
        value, name = tested(item, values), wanted(item, values)
        return value is not None and name is not None and name.get("S") in value

    return test


def _size(value: AttributeValue | None) -> AttributeValue | None:
    """Characters of a string in UTF-16 units (as measured), bytes of a binary, members of all that has members; else
    nothing.
    """
    wire: dict[str, Any] = value or {}
    for kind, content in wire.items():
        if kind == "S":
            return {"N": str(len(content) if content.isascii() else len(content.encode("utf-16-le")) // 2)}
        if kind == "B":
            return {"N": str(len(b64decode(content)))}
        if kind in ("SS", "NS", "BS", "L", "M"):
            return {"N": str(len(content))}
    return None


def _never(_item: Item, _values: Item) -> bool:
    raise AssertionError("a template whose check fails is never evaluated")


_TESTS: dict[str, Callable[..., Test]] = {
    "=": _equality(True),
    "<>": _equality(False),
    "<": _ordering((-1,)),
    "<=": _ordering((-1, 0)),
    ">": _ordering((1,)),
    ">=": _ordering((0, 1)),
    "BETWEEN": _between,
    "IN": _in,
    "begins_with": _begins_with,
    "contains": _contains,
    "attribute_type": _attribute_type,
}
