"""Update expressions: compiled once per text and names, then applied without changing the item (expressions.md §6).

Two steps, and the order matters:
1. Every right-hand side is computed from the item *before* the update, so `SET a = b, b = a` swaps. The outcome of an
action is the
   value that its path shall have, or None where it shall have none.
2. The outcomes are laid over the item along a tree of paths. What no path touches is shared between the old item and
the new one. List
   indices mean the old list: elements leave after all else, and what lies beyond the end is appended in the order of
   its index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from dynalab_model.errors import invalid
from dynalab_model.expressions import static
from dynalab_model.expressions.condition import value_at
from dynalab_model.expressions.nodes import (
    Action,
    DocumentPath,
    Node,
    Operation,
    Path,
    Value,
    aliases_of,
    bare,
    check_names,
    check_overlaps,
    check_parentheses,
    check_reserved,
    paths_of,
    values_of,
    walk,
)
from dynalab_model.expressions.parser import parse_update
from dynalab_model.expressions.projection import branch_of, part_of
from dynalab_model.expressions.texts import UPDATE, refused, refused_whole
from dynalab_model.numbers import add, subtract
from dynalab_model.values import NESTING_MAX, AttributeValue, Item, nesting, value_type

TEMPLATES_MAX = 2_048

Source: TypeAlias = Callable[[Item, Item], AttributeValue]  # (item, values); raises when there is none
Outcome: TypeAlias = Callable[[Item, Item], AttributeValue | None]

# Steps of the paths, and at the end of each the number of its action.
Tree: TypeAlias = "dict[str | int, Tree | int]"

_LONG_TYPES = {
    "S": "STRING",
    "N": "NUMBER",
    "B": "BINARY",
    "SS": "STRING_SET",
    "NS": "NUMBER_SET",
    "BS": "BINARY_SET",
    "BOOL": "BOOLEAN",
    "NULL": "NULL",
    "L": "LIST",
    "M": "MAP",
}
_ADDABLE = frozenset({"N", "SS", "NS", "BS"})
_DELETABLE = frozenset({"SS", "NS", "BS"})

# What the 400 KB rule adds to an updated item without its key (api.md §4).
_UPDATE_BYTES = 3
_WRITING_BYTES = 19
_CLEARING_BYTES = 2
_INDEX_BYTES = 1
_ARITHMETIC_BYTES = 50


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """The item after the update; the paths of all actions in the old item; the paths that were written, in the new
    one.
    """

    item: Item
    touched_paths: tuple[DocumentPath, ...]
    written_paths: tuple[DocumentPath, ...]
    action_bytes: int


def updated_old(result: UpdateResult, before: Item | None) -> Item | None:
    """The image of ReturnValues=UPDATED_OLD: what the touched paths held; None when that is nothing."""
    return _image(before, result.touched_paths) if before else None


def updated_new(result: UpdateResult) -> Item | None:
    """The image of ReturnValues=UPDATED_NEW: what the written paths hold now; None when nothing was written."""
    return _image(result.item, result.written_paths)


class UpdateTemplate:
    """An update with its names filled in and its values open.

    >>> template = update_template("SET a = b, b = a", {})
    >>> template.apply({"a": {"N": "1"}, "b": {"N": "2"}}, {}).item
    {'a': {'N': '2'}, 'b': {'N': '1'}}
    """

    __slots__ = (
        "_broken",
        "_checks",
        "_outcomes",
        "_plain",
        "_tree",
        "action_bytes",
        "paths",
        "top_names",
        "used_names",
        "used_values",
    )

    def __init__(self, text: str, names: dict[str, str]) -> None:
        sections = parse_update(text)
        actions = [action for _, group in sections for action in group]
        roots: list[Node] = [root for action in actions for root in _roots(action)]
        written = paths_of(*roots)
        operations = [node for node in walk(*roots) if isinstance(node, Operation)]
        check_parentheses(UPDATE, *roots)
        check_reserved(UPDATE, written)
        _check_functions(operations)
        _check_sections([name for name, _ in sections])
        check_names(UPDATE, written, names)
        self.used_names = aliases_of(written)
        self.used_values = values_of(*roots)
        self.paths = tuple(action.path.resolve(names) for action in actions)
        self.top_names = frozenset(str(path[0]) for path in self.paths)
        self._checks, self._broken = _checks(actions, operations, list(self.paths), names)
        self._outcomes: list[Outcome] = [] if self._broken else [_outcome(action, names) for action in actions]
        self._tree = {} if self._broken else _tree(self.paths)
        self._plain = all(len(path) == 1 for path in self.paths)
        self.action_bytes = _UPDATE_BYTES + sum(map(_action_bytes, actions))

    def check(self, values: Item) -> None:
        """Refuses values that are not there or have the wrong type. Looks at no item."""
        static.check_values_defined(UPDATE, self.used_values, values)
        for check in self._checks:
            check(values)

    def check_keys(self, key_names: Iterable[str]) -> None:
        """Refuses an update that touches the key."""
        if not self.top_names.isdisjoint(key_names):
            keys = frozenset(key_names)
            raise invalid("update-key", name=next(str(path[0]) for path in self.paths if path[0] in keys))

    def apply(self, item: Item, values: Item) -> UpdateResult:
        """The item after the update. Raises ValidationException when an operand is missing or of a wrong type, or a
        path has no parent.
        """
        if self._broken:
            self.check(values)
        try:
            outcomes = [outcome(item, values) for outcome in self._outcomes]
        except KeyError as missing:
            raise static.undefined_value(UPDATE, str(missing.args[0])) from None
        for path, value in zip(self.paths, outcomes, strict=True):
            if value is not None and ("L" in value or "M" in value) and len(path) - 1 + nesting(value) > NESTING_MAX:
                raise invalid("nesting")
        if self._plain:
            after = dict(item)
            for path, value in zip(self.paths, outcomes, strict=True):
                if value is None:
                    after.pop(str(path[0]), None)
                else:
                    after[str(path[0])] = value
            written = tuple(path for path, value in zip(self.paths, outcomes, strict=True) if value is not None)
            return UpdateResult(after, self.paths, written, self.action_bytes)
        overlay = _Overlay(outcomes)
        return UpdateResult(
            overlay.members(item, self._tree, ()), self.paths, tuple(overlay.written), self.action_bytes
        )


def update_template(text: str, names: dict[str, str]) -> UpdateTemplate:
    """The compiled update, from a bounded cache; raises ValidationException with DynamoDB's texts."""
    return _template(text, tuple(names.items()))


@lru_cache(maxsize=TEMPLATES_MAX)
def _template(text: str, names: tuple[tuple[str, str], ...]) -> UpdateTemplate:
    return UpdateTemplate(text, dict(names))


class _Overlay:
    """Lays the outcomes over an item and notes where in the new item each written one lies."""

    __slots__ = ("outcomes", "written")

    def __init__(self, outcomes: list[AttributeValue | None]) -> None:
        self.outcomes = outcomes
        self.written: list[DocumentPath] = []

    def members(self, old: Item, tree: Tree, place: DocumentPath) -> Item:
        """A map, or the item itself."""
        new = dict(old)
        for step, below in tree.items():
            name = str(step)
            value = self._value(new.get(name), below, (*place, name))
            if value is None:
                new.pop(name, None)
            else:
                new[name] = value
        return new

    def _value(self, old: AttributeValue | None, below: Tree | int, place: DocumentPath) -> AttributeValue | None:
        if isinstance(below, int):
            outcome = self.outcomes[below]
            if outcome is not None:
                self.written.append(place)
            return outcome
        wire: dict[str, Any] = old or {}
        wanted = "M" if isinstance(next(iter(below)), str) else "L"
        if wanted not in wire:
            # Also below REMOVE, ADD and DELETE: what may be missing is the last step of a path, never its parent.
            raise refused_whole("bad-path")
        if wanted == "M":
            return {"M": self.members(wire["M"], below, place)}
        return {"L": self._elements(wire["L"], below, place)}

    def _elements(self, old: list[AttributeValue], tree: Tree, place: DocumentPath) -> list[AttributeValue]:
        changed: dict[int, AttributeValue | None] = {}
        beyond: list[Tree | int] = []
        removed = 0
        for index in sorted(step for step in tree if isinstance(step, int)):
            if index >= len(old):
                beyond.append(tree[index])
                continue
            value = self._value(old[index], tree[index], (*place, index - removed))
            changed[index] = value
            removed += value is None
        kept = [changed.get(index, element) for index, element in enumerate(old)]
        new = [element for element in kept if element is not None]
        for below in beyond:
            value = self._value(None, below, (*place, len(new)))
            if value is not None:
                new.append(value)
        return new


def _image(item: Item | None, paths: tuple[DocumentPath, ...]) -> Item | None:
    return (part_of(item, branch_of(paths)) or None) if item else None


def _roots(action: Action) -> list[Node]:
    return [action.path] if action.operand is None else [action.path, action.operand]


def _check_functions(operations: list[Operation]) -> None:
    for operation in operations:
        if operation.call and operation.name in static.CONDITION_FUNCTIONS:
            raise refused(UPDATE, "not-in-update", name=operation.name)
        if operation.call and operation.name not in static.UPDATE_FUNCTIONS:
            raise refused(UPDATE, "function", name=operation.name)


def _check_sections(names: list[str]) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise refused(UPDATE, "section", name=name)


def _checks(
    actions: list[Action], operations: list[Operation], paths: list[DocumentPath], names: dict[str, str]
) -> tuple[list[static.Check], bool]:
    """Overlaps, then operands of ADD and DELETE, then functions: all come behind the undefined values, so they wait
    as checks.
    """
    overlap = static.caught(lambda: check_overlaps(UPDATE, paths))
    if overlap is not None:
        return [static.failing(overlap)], True
    operands = [_section_check(action) for action in actions if action.section in ("ADD", "DELETE")]
    checks, broken = static.run_operand_checks(UPDATE, operations, names)
    return operands + checks, broken


def _section_check(action: Action) -> static.Check:
    assert isinstance(action.operand, Value)
    placeholder, section = action.operand.name, action.section
    allowed = _ADDABLE if section == "ADD" else _DELETABLE

    def check(values: Item) -> None:
        found = value_type(values[placeholder])
        if found not in allowed:
            raise refused(UPDATE, "type-operator", name=section, type=_LONG_TYPES[found])

    return check


def _action_bytes(action: Action) -> int:
    cost = _CLEARING_BYTES if action.section == "REMOVE" else _WRITING_BYTES
    cost += _INDEX_BYTES if isinstance(action.path.parts[-1], int) else 0
    top = None if action.operand is None else bare(action.operand)
    return cost + (_ARITHMETIC_BYTES if isinstance(top, Operation) and not top.call else 0)


def _tree(paths: tuple[DocumentPath, ...]) -> Tree:
    root: Tree = {}
    for number, path in enumerate(paths):
        branch = root
        for step in path[:-1]:
            below = branch.setdefault(step, {})
            assert isinstance(below, dict), "overlapping paths were refused"
            branch = below
        branch[path[-1]] = number
    return root


def _outcome(action: Action, names: dict[str, str]) -> Outcome:
    if action.operand is None:
        return lambda item, values: None
    if action.section == "SET":
        return _source(action.operand, names)
    path = action.path.resolve(names)
    assert isinstance(action.operand, Value)
    placeholder = action.operand.name
    change = _added if action.section == "ADD" else _deleted
    return lambda item, values: change(value_at(item, path), values[placeholder])


def _source(node: Node, names: dict[str, str]) -> Source:
    node = bare(node)
    if isinstance(node, Value):
        placeholder = node.name
        return lambda item, values: values[placeholder]
    if isinstance(node, Path):
        path = node.resolve(names)
        return lambda item, values: _existing(value_at(item, path))
    assert isinstance(node, Operation)
    if node.name == "if_not_exists":
        return _if_not_exists(node, names)
    left, right = (_source(operand, names) for operand in node.operands)
    if node.name == "list_append":
        return lambda item, values: {"L": _list(left(item, values)) + _list(right(item, values))}
    combine = add if node.name == "+" else subtract
    return lambda item, values: {"N": combine(_number(left(item, values)), _number(right(item, values)))}


def _if_not_exists(node: Operation, names: dict[str, str]) -> Source:
    tested = bare(node.operands[0])
    assert isinstance(tested, Path)
    path = tested.resolve(names)
    otherwise = _source(node.operands[1], names)

    def source(item: Item, values: Item) -> AttributeValue:
        found = value_at(item, path)
        return otherwise(item, values) if found is None else found

    return source


def _existing(value: AttributeValue | None) -> AttributeValue:
    if value is None:
        raise refused_whole("no-attribute")
    return value


def _number(value: AttributeValue) -> str:
    wire: dict[str, Any] = value
    if "N" not in wire:
        raise refused_whole("operand-type")
    return wire["N"]  # type: ignore[no-any-return]


def _list(value: AttributeValue) -> list[AttributeValue]:
    wire: dict[str, Any] = value
    if "L" not in wire:
        raise refused_whole("operand-type")
    return wire["L"]  # type: ignore[no-any-return]


def _added(old: AttributeValue | None, operand: AttributeValue) -> AttributeValue:
    kind = value_type(operand)
    if kind not in _ADDABLE:
        raise refused_whole("operand-type")
    if old is None:
        return operand
    if kind not in old:
        raise refused_whole("operand-type")
    a: dict[str, Any] = old
    b: dict[str, Any] = operand
    if kind == "N":
        return {"N": add(a["N"], b["N"])}
    present = set(a[kind])
    return {kind: a[kind] + [member for member in b[kind] if member not in present]}


def _deleted(old: AttributeValue | None, operand: AttributeValue) -> AttributeValue | None:
    kind = value_type(operand)
    if kind not in _DELETABLE:
        raise refused_whole("operand-type")
    if old is None:
        return None
    if kind not in old:
        raise refused_whole("operand-type")
    a: dict[str, Any] = old
    b: dict[str, Any] = operand
    leaving = set(b[kind])
    staying = [member for member in a[kind] if member not in leaving]
    return {kind: staying} if staying else None  # a set is never empty: the attribute goes
