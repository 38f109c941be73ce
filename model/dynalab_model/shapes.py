"""Validators of requests, compiled from the service's own shapes (`shape_table`) when this module is imported.

Rules of this room:
- What the table knows is asked here and nowhere else: JSON types, what is required, enums, bounds, patterns. What it
  does not know (names of tables, members that go together, limits over a whole request) stands with its operation.
- The order is the service's: a wrong JSON type stops at once; then the table's name, alone; then every broken enum in
  one envelope; then every other broken constraint in one envelope (api.md §1 "Order of checks", §8 "Ordering").
- A valid request takes one pass, `fits`, that only says yes. Anything else is looked at again, slowly, for its words.
- Where the service is known to differ from its own model, the difference stands in a table here, with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias, cast

from dynalab_model.errors import DynamoError
from dynalab_model.fields import failure, refuse, wrong_type
from dynalab_model.shape_table import OPERATIONS, SHAPES
from dynalab_model.values import validate_value

Body: TypeAlias = Mapping[str, object]
Fits: TypeAlias = Callable[[object], bool]

# --- where the service differs from its model ------------------------------------------------------------------------

# Lines that replace the table's.
_REPLACED: dict[str, str] = {
    # Names and ARNs of tables have an order and words of their own: `fields.table_name`.
    "TableArn": "string",
    # Too many or too few tables, keys and writes of a batch are told in words of their own: `batches`.
    "BatchGetRequestMap": "map TableArn KeysAndAttributes",
    "BatchWriteItemRequestMap": "map TableArn WriteRequests",
    "KeyList": "list Key 1..",
    "WriteRequests": "list WriteRequest",
}

# Enums in the order in which the service prints them, as far as it was captured (api.md §8 "bad enum").
_PRINTED: dict[str, str] = {
    "ReturnConsumedCapacity": "INDEXES TOTAL NONE",
    "ReturnItemCollectionMetrics": "SIZE NONE",
    "ReturnValue": "ALL_NEW UPDATED_OLD ALL_OLD NONE UPDATED_NEW",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD NONE",
    "Select": "SPECIFIC_ATTRIBUTES COUNT ALL_ATTRIBUTES ALL_PROJECTED_ATTRIBUTES",
    "ConditionalOperator": "OR AND",
    "ComparisonOperator": "IN NULL BETWEEN LT NOT_CONTAINS EQ GT NOT_NULL NE LE BEGINS_WITH GE CONTAINS",
    "ScalarAttributeType": "B N S",
    "ProjectionType": "ALL INCLUDE KEYS_ONLY",
}

# Members that are told before the others of their structure.
_WRITES_FIRST = ("ReturnConsumedCapacity", "ReturnItemCollectionMetrics", "ReturnValues")
_TOLD_FIRST: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("PutItemInput", "UpdateItemInput", "DeleteItemInput"), _WRITES_FIRST),
    "BatchWriteItemInput": ("ReturnConsumedCapacity", "ReturnItemCollectionMetrics"),
    "ScanInput": ("Select", "ReturnConsumedCapacity"),
    "ProvisionedThroughput": ("WriteCapacityUnits", "ReadCapacityUnits"),
}

# Members whose failure is told with the member's own name and without the value: a Query's Limit, not a Scan's.
_TOLD_BARE = frozenset({"QueryInput.Limit"})

# Patterns of the model are Java's; what Python's own write otherwise.
_JAVA = ((r"\p{Print}", "[ -~]"), (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF"))

_VALUE = "AttributeValue"

# --- compiled shapes -------------------------------------------------------------------------------------------------

_NAMES: dict[str, tuple[type, str]] = {
    "string": (str, "String"),
    "enum": (str, "String"),
    "boolean": (bool, "Boolean"),
    "integer": (int, "Integer"),
    "long": (int, "Long"),
    "double": (float, "Double"),
    "timestamp": (float, "Date"),
    "blob": (str, "ByteBuffer"),
    "list": (list, "List"),
    "map": (dict, "Map"),
    "structure": (dict, "Map"),
}


@dataclass(slots=True)
class Told:
    """Broken constraints of one request: enums are told before all others."""

    enums: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a structure; `member` names it as a path does."""

    name: str
    path: str
    required: bool
    bare: bool
    shape: Shape


@dataclass(frozen=True, slots=True)
class Shape:
    """One line of the table, compiled. `fits` is None where the JSON type says it all."""

    name: str
    kind: str
    json_type: type
    type_name: str
    fits: Fits | None
    rules: tuple[tuple[Fits, str], ...] = ()
    members: tuple[Member, ...] = ()
    by_name: Mapping[str, Shape] = field(default_factory=dict)
    key: Shape | None = None
    element: Shape | None = None

    def is_typed(self, value: object) -> bool:
        """Whether the JSON type is this shape's; whole numbers are numbers too."""
        return type(value) is self.json_type or (self.json_type is float and type(value) is int)

    def check_types(self, value: object) -> None:
        """Refuse the first wrong JSON type inside, with a SerializationException."""
        if self.name == _VALUE:
            _check_value(value)
        elif not self.is_typed(value):
            raise DynamoError("SerializationException", wrong_type(self.type_name, value))
        elif self.kind == "structure":
            for name, part in cast(Body, value).items():
                member = self.by_name.get(name)
                if member is not None and part is not None:
                    member.check_types(part)
        elif self.element is not None:
            parts = list(cast(Body, value).values()) if self.kind == "map" else cast("list[object]", value)
            for part in parts:
                # The one null that is somebody else's: a name without a value has words of its own.
                if part is not None or self.kind == "list" or self.element.json_type is not str:
                    self.element.check_types(part)

    def tell(self, value: object, path: str, told: Told, bare: bool = False) -> None:
        """Add the broken constraints of a value whose types were checked."""
        broken = [rule for fits, rule in self.rules if not fits(value)]
        if value == "" and len(broken) > 1:
            broken = broken[-1:]  # of an empty text, only that it is short is told
        words = [failure(value, path, rule) for rule in broken]
        if bare:
            words = [f"Value at '{path}' failed to satisfy constraint: Member must {rule}" for rule in broken]
        (told.enums if self.kind == "enum" else told.others).extend(words)
        if self.kind == "structure":
            body = cast(Body, value)
            for member in self.members:
                part = body.get(member.name)
                where = f"{path}.{member.path}" if path else member.name if member.bare else member.path
                if part is not None:
                    member.shape.tell(part, where, told, member.bare)
                elif member.required:
                    told.others.append(failure(None, where, "not be null"))
        elif self.element is not None and self.element.name != _VALUE:
            self._tell_elements(value, path, told)

    def _tell_elements(self, value: object, path: str, told: Told) -> None:
        assert self.element is not None
        if self.kind == "map":
            parts = {f"{path}.{name}.member": part for name, part in cast(Body, value).items()}
            if self.key is not None:
                self._tell_all(list(cast(Body, value)), self.key, value, path, "Map keys", told)
        else:
            parts = {f"{path}.{number}.member": part for number, part in enumerate(cast("list[object]", value), 1)}
        if self.element.kind in ("structure", "list", "map"):
            for where, part in parts.items():
                self.element.tell(part, where, told)
        else:
            whose = "Map value" if self.kind == "map" else "Member"
            self._tell_all(
                [part for part in parts.values() if part is not None], self.element, value, path, whose, told
            )

    def _tell_all(self, parts: list[object], of: Shape, whole: object, path: str, whose: str, told: Told) -> None:
        """Texts and numbers inside a list or a map are told once, with the whole list and all that is asked of them."""
        if any(not fits(part) for part in parts for fits, _ in of.rules):
            rules = ", ".join(f"Member must {rule}" for _, rule in reversed(of.rules))
            words = failure(whole, path, f"satisfy constraint: [{rules}]").replace("Member must", whose + " must", 1)
            (told.enums if of.kind == "enum" else told.others).append(words)


def _check_value(value: object) -> None:
    try:
        validate_value(value)
    except DynamoError as error:
        if error.code == "SerializationException":
            raise  # everything else is told later, in its place


@cache
def shape(name: str) -> Shape:
    """The compiled shape of this name, or of a bare type.

    >>> told = Told()
    >>> shape("ListTablesInput").tell({"Limit": 0}, "", told)
    >>> told.others
    ["Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"]
    """
    kind, _, rest = (_REPLACED.get(name) or SHAPES.get(name) or name).partition(" ")
    of_type, type_name = _NAMES[kind]
    words, _, pattern = rest.partition("~ ")
    parts = words.split()
    if name == _VALUE:
        # What is inside attribute values is asked by `values`, which also brings them into their stored form.
        return Shape(name, kind, of_type, type_name, None)
    if kind == "enum":
        return _enum(name, tuple(parts))
    if kind == "structure":
        return _structure(name, parts)
    bounds = parts.pop() if parts and ".." in parts[-1] else ".."
    rules = _pattern_rules(pattern) + _bound_rules(bounds, of_type)
    fits = [fit for fit, _ in rules]
    if kind not in ("list", "map"):
        return Shape(name, kind, of_type, type_name, _all_fit(fits), rules)
    element = shape(parts[-1])
    key = shape(parts[0]) if kind == "map" and element.name != _VALUE else None
    if element.name != _VALUE:
        fits.append(_elements_fit(element, key))
    return Shape(name, kind, of_type, type_name, _all_fit(fits), rules, key=key, element=element)


def _enum(name: str, values: tuple[str, ...]) -> Shape:
    printed = tuple(_PRINTED[name].split()) if name in _PRINTED else values
    # A value that is new in the model must be given its place here before it can be told.
    assert sorted(printed) == sorted(values), f"{name} has other values than the order in which they are printed"
    fits = frozenset(values).__contains__
    return Shape(name, "enum", str, "String", fits, ((fits, f"satisfy enum value set: [{', '.join(printed)}]"),))


def _structure(name: str, parts: list[str]) -> Shape:
    members: list[Member] = []
    for part in parts:
        member, _, of = part.partition(":")
        plain = member.removeprefix("!")
        path = plain[0].lower() + plain[1:]
        members.append(Member(plain, path, member != plain, f"{name}.{plain}" in _TOLD_BARE, shape(of)))
    first = _TOLD_FIRST.get(name, ())
    members.sort(key=lambda member: first.index(member.name) if member.name in first else len(first))
    by_name = {member.name: member.shape for member in members}
    return Shape(name, "structure", dict, "Map", _members_fit(members), members=tuple(members), by_name=by_name)


def _members_fit(members: list[Member]) -> Fits:
    rules = {member.name: (member.shape.json_type, member.shape.fits) for member in members}
    required = frozenset(member.name for member in members if member.required)
    find = rules.get

    def fits(value: Any) -> bool:
        body: dict[str, object] = value
        for name, part in body.items():
            rule = find(name)
            if rule is None:
                continue
            of_type, inside = rule
            if part is None:
                if name in required:
                    return False
            elif type(part) is not of_type or (inside is not None and not inside(part)):
                return False
        return body.keys() >= required

    return fits


def _elements_fit(element: Shape, key: Shape | None) -> Fits:
    of_type, inside = element.json_type, element.fits
    key_fits = key.fits if key is not None else None

    def fits(value: object) -> bool:
        parts = cast("list[object]", value)
        if type(value) is dict:
            if key_fits is not None and not all(key_fits(name) for name in value):
                return False
            parts = list(value.values())
        return all(type(part) is of_type and (inside is None or inside(part)) for part in parts)

    return fits


def _all_fit(fits: list[Fits]) -> Fits | None:
    if len(fits) < 2:
        return fits[0] if fits else None
    return lambda value: all(fit(value) for fit in fits)


def _bound_rules(bounds: str, of_type: type) -> tuple[tuple[Fits, str], ...]:
    least, _, most = bounds.partition("..")
    rules: list[tuple[Fits, str]] = []
    what = "value" if of_type is int else "length"
    if least:
        rules.append((_at_least(int(least), of_type), f"have {what} greater than or equal to {least}"))
    if most:
        rules.append((_at_most(int(most), of_type), f"have {what} less than or equal to {most}"))
    return tuple(rules)


def _at_least(bound: int, of_type: type) -> Fits:
    if of_type is int:
        return lambda value: cast(int, value) >= bound
    return lambda value: len(cast(str, value)) >= bound


def _at_most(bound: int, of_type: type) -> Fits:
    if of_type is int:
        return lambda value: cast(int, value) <= bound
    return lambda value: len(cast(str, value)) <= bound


def _pattern_rules(pattern: str) -> tuple[tuple[Fits, str], ...]:
    if not pattern:
        return ()
    here = pattern
    for java, python in _JAVA:
        here = here.replace(java, python)
    match = re.compile(here).fullmatch
    return ((lambda value: match(cast(str, value)) is not None, f"satisfy regular expression pattern: {pattern}"),)


# --- requests --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """The validator of one operation's requests."""

    shape: Shape
    fits: Fits

    def check_types(self, body: Body) -> None:
        """Refuse the first wrong JSON type, also inside attribute values: they are told before everything else."""
        self.shape.check_types(body)

    def check(self, body: Body) -> None:
        """Refuse whatever the shapes do not allow: for an operation that names no table."""
        if not self.fits(body):
            self.shape.check_types(body)
            self._refuse(body)

    def check_named(self, body: Body, name: Callable[[Body], str]) -> str:
        """The same for an operation that names a table; `name` reads it, and is told before everything but types."""
        if self.fits(body):
            return name(body)
        self.shape.check_types(body)
        table = name(body)
        self._refuse(body)
        return table

    def _refuse(self, body: Body) -> None:
        told = Told()
        self.shape.tell(body, "", told)
        refuse(told.enums)
        refuse(told.others)


def _request(operation: str) -> Request:
    compiled = shape(OPERATIONS[operation])
    assert compiled.fits is not None, "a structure can be asked"
    return Request(compiled, compiled.fits)


REQUESTS: dict[str, Request] = {operation: _request(operation) for operation in OPERATIONS}
