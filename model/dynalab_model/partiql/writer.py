"""From the nodes of a statement to DynamoDB's expressions: text, names and values.

This is where PartiQL's meaning differs from that of expressions (expressions.md §10): a comparison with a missing
attribute is false, `<>` too, so `a <> 'x'` is written as `attribute_exists(a) AND a <> 'x'`. NOT then inverts, so
`NOT a = 'x'` is true where `a` is missing. Every name gets a placeholder: it may be a reserved word, or hold dots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from dynalab_model.errors import DynamoError, invalid
from dynalab_model.partiql.nodes import Action, Constant, Literal, Missing, Node, Operation, Parameter, Path
from dynalab_model.partiql.texts import refused
from dynalab_model.values import AttributeValue, Item, validate_item, validate_value

_LOGICAL = frozenset({"AND", "OR", "NOT"})
_EXISTENCE = {"IS MISSING": "attribute_not_exists", "IS NOT MISSING": "attribute_exists"}
_SECTIONS = {"set_add": "ADD", "set_delete": "DELETE"}
_SETS = {"S": "SS", "N": "NS", "B": "BS"}


class Writer:
    """Writes the expressions of one request, which share their placeholders.

    >>> from dynalab_model.partiql.parser import parse_statement
    >>> writer = Writer(({"N": "7"},))
    >>> writer.condition(parse_statement("SELECT * FROM T WHERE \\"my.size\\" <> ? OR b IS MISSING").statement.where)
    '(attribute_exists(#n0) AND #n0 <> :v0) OR attribute_not_exists(#n1)'
    >>> writer.names, writer.values
    ({'#n0': 'my.size', '#n1': 'b'}, {':v0': {'N': '7'}})
    """

    __slots__ = ("_aliases", "_parameters", "names", "values")

    def __init__(self, parameters: Sequence[AttributeValue]) -> None:
        self._parameters = parameters
        self._aliases: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.values: Item = {}

    def path(self, path: Path) -> str:
        """A document path."""
        written = ""
        for part in path.parts:
            if isinstance(part, int):
                written += f"[{part}]"
            else:
                written += ("." if written else "") + self.name(part)
        return written

    def name(self, name: str) -> str:
        """The placeholder of an attribute's name."""
        alias = self._aliases.get(name)
        if alias is None:
            alias = self._aliases[name] = f"#n{len(self.names)}"
            self.names[alias] = name
        return alias

    def projection(self, paths: Sequence[Path]) -> str | None:
        """A ProjectionExpression; None for `*`."""
        return ", ".join(map(self.path, paths)) or None

    def value(self, node: Literal) -> str:
        """The placeholder of a literal's value."""
        alias = f":v{len(self.values)}"
        self.values[alias] = bound(node, self._parameters)
        return alias

    def operand(self, node: Node) -> str:
        """A path, a value, or a function or sum of them."""
        if isinstance(node, Path):
            return self.path(node)
        if not isinstance(node, Operation):
            return self.value(node)
        operands = [self.operand(operand) for operand in node.operands]
        return f"{node.name}({', '.join(operands)})" if node.call else f" {node.name} ".join(operands)

    def condition(self, node: Node) -> str:
        """A ConditionExpression or FilterExpression."""
        assert isinstance(node, Operation), "the parser lets no other condition through"
        name = node.name
        if name in ("AND", "OR"):
            return f" {name} ".join(map(self.part, node.operands))
        if name == "NOT":
            return f"NOT {self.part(node.operands[0])}"
        if name in _EXISTENCE:
            return f"{_EXISTENCE[name]}({self.operand(node.operands[0])})"
        if name == "<>":
            return self._unequal(node)
        if name == "BETWEEN":
            tested, low, high = map(self.operand, node.operands)
            return f"{tested} BETWEEN {low} AND {high}"
        if name == "IN":
            tested, *choices = map(self.operand, node.operands)
            return f"{tested} IN ({', '.join(choices)})"
        return self.operand(node)

    def part(self, node: Node) -> str:
        """A condition as a member of a larger one: in parentheses where it needs them, never in two pairs."""
        written = self.condition(node)
        assert isinstance(node, Operation)
        compound = node.name in _LOGICAL or (node.name == "<>" and " AND " in written)
        return f"({written})" if compound else written

    def update(self, actions: Sequence[Action]) -> str:
        """An UpdateExpression. `set_add` and `set_delete` are ADD and DELETE there."""
        sections: dict[str, list[str]] = {}
        for action in actions:
            path, operand = self.path(action.path), action.operand
            if operand is None:
                sections.setdefault("REMOVE", []).append(path)
            elif isinstance(operand, Operation) and operand.name in _SECTIONS:
                sections.setdefault(_SECTIONS[operand.name], []).append(
                    f"{path} {self._set_operand(action.path, operand)}"
                )
            else:
                sections.setdefault("SET", []).append(f"{path} = {self.operand(operand)}")
        return " ".join(f"{section} {', '.join(written)}" for section, written in sections.items())

    def _set_operand(self, path: Path, call: Operation) -> str:
        first, *rest = call.operands
        if first != path or len(rest) != 1 or isinstance(rest[0], Path | Operation):
            raise refused("set-function", name=call.name)
        return self.value(rest[0])

    def _unequal(self, node: Operation) -> str:
        guards: list[str] = []
        for operand in node.operands:
            if isinstance(operand, Path):
                guards.append(f"attribute_exists({self.path(operand)})")
            elif isinstance(operand, Operation):
                # The size of what has none is missing too; every other size is at least 0.
                guards.append(f"{self.operand(operand)} >= {self.value(Constant({'N': '0'}))}")
        left, right = map(self.operand, node.operands)
        return " AND ".join([*guards, f"{left} <> {right}"])


def bound(node: Literal, parameters: Sequence[AttributeValue]) -> AttributeValue:
    """The value of a literal, in stored form; raises DynamoDB's errors for values.

    >>> from dynalab_model.partiql.nodes import Collection
    >>> bound(Collection("SET", (Constant({"N": "1.0"}), Parameter(0))), ({"N": "2"},))
    {'NS': ['1', '2']}
    """
    return validate_value(_wire(node, parameters))


def bound_item(node: Literal, parameters: Sequence[AttributeValue]) -> Item:
    """The item that an INSERT names."""
    value = _wire(node, parameters)
    if "M" not in value:
        raise refused("item-not-a-map")
    return validate_item(value["M"])


def _wire(node: Literal, parameters: Sequence[AttributeValue]) -> AttributeValue:
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Parameter):
        return parameters[node.place]
    if isinstance(node, Missing):
        raise refused("missing-value")
    if node.kind == "M":
        # As in PartiQL, a member that is MISSING is not there.
        members = zip(node.names, node.members, strict=True)
        return {"M": {name: _wire(member, parameters) for name, member in members if not isinstance(member, Missing)}}
    values = [_wire(member, parameters) for member in node.members]
    return {"L": values} if node.kind == "L" else _set(values)


def _set(values: list[AttributeValue]) -> AttributeValue:
    kinds = list(dict.fromkeys(kind for value in values for kind in value))
    if not kinds:
        raise invalid("set-empty-SS")
    if len(kinds) > 1 or kinds[0] not in _SETS:
        raise refused("set-members")
    members: list[Any] = [cast("dict[str, Any]", value)[kinds[0]] for value in values]
    return cast(AttributeValue, {_SETS[kinds[0]]: members})


def plain(error: DynamoError) -> DynamoError:
    """The error of an expression that a statement became, without the name of a parameter that the client never sent.

    >>> from dynalab_model.errors import validation
    >>> plain(validation("Invalid FilterExpression: Syntax error")).message
    'Syntax error'
    """
    for kind in ("FilterExpression", "ConditionExpression", "UpdateExpression", "ProjectionExpression"):
        error.message = error.message.removeprefix(f"Invalid {kind}: ")
    return error
