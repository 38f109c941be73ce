"""Terms on single attributes, joined by AND: what key conditions and search conditions are made of (expressions.md §1,
§4).

Rules: a term compares one attribute, named at the top level, with values of the request; an attribute has one term.
Which operators there are is the place's own. The form is judged by the text alone, and told after missing values and
wrong operands, before the types of values.
"""

from __future__ import annotations

from dataclasses import dataclass

from dynalab_model.expressions import static
from dynalab_model.expressions.condition import checked_operations
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
from dynalab_model.expressions.texts import refused
from dynalab_model.values import Item

MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Term:
    """One condition on one attribute; `values` are the placeholders of its operands."""

    name: str
    operator: str
    values: tuple[str, ...]


class TermsTemplate:
    """Terms with their names filled in and their values open; `operators` are those of the place.

    >>> template = TermsTemplate("SearchConditionExpression", "a = :a AND :b = b", {}, frozenset({"="}))
    >>> [(term.name, term.operator) for term in template.terms.values()]
    [('a', '='), ('b', '=')]
    """

    __slots__ = ("_checks", "_kind", "_operators", "terms", "used_names", "used_values")

    def __init__(self, kind: str, text: str, names: dict[str, str], operators: frozenset[str]) -> None:
        root = parse_condition(kind, text)
        written = paths_of(root)
        operations = [node for node in walk(root) if isinstance(node, Operation)]
        check_parentheses(kind, root)
        for operation in operations:
            if operation.call and operation.name not in static.CONDITION_FUNCTIONS:
                raise refused(kind, "function", name=operation.name)
        if any(operation.call and operation.name == "size" for operation in operations):
            raise refused(kind, "key-size")
        checked_operations(kind, root)
        check_reserved(kind, written)
        check_names(kind, written, names)
        self.used_names = aliases_of(written)
        self.used_values = values_of(root)
        self.terms: dict[str, Term] = {}
        self._kind = kind
        self._operators = operators
        self._checks, broken = static.run_operand_checks(kind, operations, names)
        if not broken:
            form = static.caught(lambda: self._collect(root, names))
            if form is not None:
                # The form is judged before the types of the operands.
                self._checks = [static.failing(form)]

    def check(self, values: Item) -> None:
        """Refuses a wrong form, and values that are not there or have the wrong type."""
        static.check_values_defined(self._kind, self.used_values, values)
        for check in self._checks:
            check(values)

    def _collect(self, root: Node, names: dict[str, str]) -> None:
        stack = [root]
        while stack:
            node = bare(stack.pop())
            assert isinstance(node, Operation)
            if node.name == "AND" and not node.call:
                stack.extend(reversed(node.operands))
                continue
            term = self._term(node, names)
            if term.name in self.terms:
                raise refused(self._kind, "key-twice")
            self.terms[term.name] = term

    def _term(self, node: Operation, names: dict[str, str]) -> Term:
        operator = node.name
        if operator not in self._operators:
            raise refused(self._kind, "key-operator", name=operator)
        operands = [bare(operand) for operand in node.operands]
        paths = [operand for operand in operands if isinstance(operand, Path)]
        if any(len(path.parts) > 1 for path in paths):
            raise refused(self._kind, "key-nested")
        if len(paths) > 1:
            raise refused(self._kind, "key-two-names")
        if not paths:
            raise refused(self._kind, "key-no-name")
        if operands[0] is not paths[0]:
            if operator not in MIRRORED:
                raise refused(self._kind, "key-first", name=operator)
            operator = MIRRORED[operator]
        placeholders = tuple(operand.name for operand in operands if isinstance(operand, Value))
        return Term(str(paths[0].resolve(names)[0]), operator, placeholders)
