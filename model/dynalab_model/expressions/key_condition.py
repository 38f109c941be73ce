"""Key conditions: the part of a Query that says where to read (expressions.md §4).

One equality on the partition key, at most one condition on the sort key (keys of several attributes: `key_terms`).
The form is judged by the text alone, the names and types by the schema of the table or index that is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from dynalab_model.expressions import static
from dynalab_model.expressions.condition import checked_operations
from dynalab_model.expressions.key_terms import bind_terms
from dynalab_model.expressions.nodes import (
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
from dynalab_model.expressions.texts import KEY_CONDITION, refused
from dynalab_model.keys import KeyCondition
from dynalab_model.schema import KeySchema
from dynalab_model.values import Item

TEMPLATES_MAX = 1_024

_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class _Term:
    """One condition on one attribute; `values` are the placeholders of its operands."""

    name: str
    operator: str
    values: tuple[str, ...]


class KeyConditionTemplate:
    """A key condition with its names filled in, its values open, for any schema.

    >>> from dynalab_model.schema import KeyAttribute
    >>> template = key_condition_template("pk = :p AND :low <= sk", {})
    >>> schema = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))
    >>> template.bind({":p": {"S": "a"}, ":low": {"N": "7"}}, schema)
    KeyCondition(hash={'S': 'a'}, operator='>=', low={'N': '7'}, high=None, more_hash=(), equal=())
    """

    __slots__ = ("_checks", "_terms", "used_names", "used_values")

    def __init__(self, text: str, names: dict[str, str]) -> None:
        root = parse_condition(KEY_CONDITION, text)
        written = paths_of(root)
        operations = [node for node in walk(root) if isinstance(node, Operation)]
        check_parentheses(KEY_CONDITION, root)
        for operation in operations:
            if operation.call and operation.name not in static.CONDITION_FUNCTIONS:
                raise refused(KEY_CONDITION, "function", name=operation.name)
        if any(operation.call and operation.name == "size" for operation in operations):
            raise refused(KEY_CONDITION, "key-size")
        checked_operations(KEY_CONDITION, root)
        check_reserved(KEY_CONDITION, written)
        check_names(KEY_CONDITION, written, names)
        self.used_names = aliases_of(written)
        self.used_values = values_of(root)
        self._checks, broken = static.run_operand_checks(KEY_CONDITION, operations, names)
        self._terms: dict[str, _Term] = {}
        if not broken:
            form = static.caught(lambda: self._collect(root, names))
            if form is not None:
                # The form is judged before the types of the operands.
                self._checks = [static.failing(form)]

    def check(self, values: Item) -> None:
        """Refuses a wrong form, and values that are not there or have the wrong type."""
        static.check_values_defined(KEY_CONDITION, self.used_values, values)
        for check in self._checks:
            check(values)

    def bind(self, values: Item, schema: KeySchema) -> KeyCondition:
        """The condition on a table or index with these keys; raises ValidationException when it does not fit them."""
        self.check(values)
        terms = {
            name: (term.operator, [values[placeholder] for placeholder in term.values])
            for name, term in self._terms.items()
        }
        return bind_terms(terms, schema)

    def _collect(self, root: Node, names: dict[str, str]) -> None:
        stack = [root]
        while stack:
            node = bare(stack.pop())
            assert isinstance(node, Operation)
            if node.name == "AND" and not node.call:
                stack.extend(reversed(node.operands))
                continue
            term = _term(node, names)
            if term.name in self._terms:
                raise refused(KEY_CONDITION, "key-twice")
            self._terms[term.name] = term


def key_condition_template(text: str, names: dict[str, str]) -> KeyConditionTemplate:
    """The compiled key condition, from a bounded cache; raises ValidationException with DynamoDB's texts."""
    return _template(text, tuple(names.items()))


@lru_cache(maxsize=TEMPLATES_MAX)
def _template(text: str, names: tuple[tuple[str, str], ...]) -> KeyConditionTemplate:
    return KeyConditionTemplate(text, dict(names))


def _term(node: Operation, names: dict[str, str]) -> _Term:
    operator = node.name
    if operator not in _MIRRORED and operator not in ("BETWEEN", "begins_with"):
        raise refused(KEY_CONDITION, "key-operator", name=operator)
    operands = [bare(operand) for operand in node.operands]
    paths = [operand for operand in operands if isinstance(operand, Path)]
    if any(len(path.parts) > 1 for path in paths):
        raise refused(KEY_CONDITION, "key-nested")
    if len(paths) > 1:
        raise refused(KEY_CONDITION, "key-two-names")
    if not paths:
        raise refused(KEY_CONDITION, "key-no-name")
    if operands[0] is not paths[0]:
        if operator not in _MIRRORED:
            raise refused(KEY_CONDITION, "key-first", name=operator)
        operator = _MIRRORED[operator]
    placeholders = tuple(operand.name for operand in operands if isinstance(operand, Value))
    return _Term(str(paths[0].resolve(names)[0]), operator, placeholders)
