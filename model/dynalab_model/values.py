"""Attribute values and items, in DynamoDB's own wire form: `{"S": "a"}`, `{"N": "1"}`, `{"B": base64}`, `{"SS":
[...]}`, `{"M": {...}}`.

Rules of this room:
- Nothing is translated: what came over the wire, validated and normalised, is what is stored and sent back. So a
  small item costs no conversion.
- A value that passed `validate_value` has exactly one type, numbers in normal form, canonical base64 and sets without
  repetition. All other functions rely on that.
- Values are never changed after validation; whoever needs another one builds it and shares the parts that stay.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any, TypeAlias

from dynalab_model.errors import DynamoError, invalid, serialization
from dynalab_model.numbers import compare_numbers, normalise, number_bytes

AttributeValue: TypeAlias = dict[str, "str | bool | list[str] | list[AttributeValue] | dict[str, AttributeValue]"]
Item: TypeAlias = dict[str, AttributeValue]

# Inside these rooms a value is read without asking its shape again.
_Wire: TypeAlias = dict[str, Any]

TYPES = ("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M")
ITEM_BYTES_MAX = 409_600  # 400 KB, names included (S32)
NESTING_MAX = 32
NAME_BYTES_MAX = 65_535
CONTAINER_BYTES = 3
ELEMENT_BYTES = 1
_NAMES_MAX = 4096  # names that are remembered: the same come again and again
_NAME_CHARACTERS_MAX = 255  # of one that is remembered

_SET_MEMBER = {"SS": "S", "NS": "N", "BS": "B"}


def value_type(value: AttributeValue) -> str:
    """The one type of a value.

    >>> value_type({"N": "1"})
    'N'
    """
    for kind in value:
        return kind
    raise AssertionError("a validated value has one type")


def validate_value(value: object, *, depth: int = 0) -> AttributeValue:
    """The value in its stored form, or ValidationException / SerializationException with DynamoDB's texts (api.md §8).

    `depth` is the number of lists and maps around it. The argument is not changed; unchanged parts are shared with
    the result.

    >>> validate_value({"N": "1E1"})
    {'N': '10'}
    >>> validate_value({"N": "ten"})
    Traceback (most recent call last):
    dynalab_model.errors.DynamoError: ValidationException: The parameter cannot be converted to a numeric value: ten
    """
    if type(value) is not dict:
        raise _wrong_shape(value, "unexpected")
    if len(value) != 1:
        value = _only_member(value)
    for kind, content in value.items():
        check = _VALIDATORS.get(kind)
        if check is None or content is None:
            raise invalid("value-empty")
        stored = check(content, depth)
        return value if stored is content else {kind: stored}
    raise invalid("value-empty")


def validate_item(item: object) -> Item:
    """An item, or a key, or expression values: a map of names to values, each validated.

    >>> validate_item({"pk": {"S": "a"}, "n": {"N": "007"}})
    {'pk': {'S': 'a'}, 'n': {'N': '7'}}
    """
    if type(item) is not dict:
        raise _wrong_shape(item, "unexpected")
    return _attributes(item, 0)


def weighed_item(item: object) -> tuple[Item, int]:
    """`validate_item` and `item_size`, in one walk: every put comes by here.

    >>> weighed_item({"pk": {"S": "a"}, "n": {"N": "007"}})
    ({'pk': {'S': 'a'}, 'n': {'N': '7'}}, 6)
    """
    if type(item) is not dict:
        raise _wrong_shape(item, "unexpected")
    size_bytes = 0
    known_names = _names
    changed: Item | None = None
    for name, value in item.items():
        size_bytes += known_names.get(name) or _check_name(name)
        if type(value) is dict and len(value) == 1:
            text = value.get("S")
            if type(text) is str and text.isascii():  # most attributes
                size_bytes += len(text)
                continue
            text = value.get("N")
            if type(text) is str and normalise(text) == text:
                size_bytes += number_bytes(text)
                continue
        stored = validate_value(value)
        size_bytes += value_size(stored)
        if stored is not value:
            if changed is None:
                changed = dict(item)
            changed[name] = stored
    return (item if changed is None else changed), size_bytes


def item_size(item: Item) -> int:
    """Bytes of an item for the 400 KB rule and for capacity: names and values, without the 100 bytes that billing
    adds (api.md §4).

    >>> item_size({"pk": {"S": "ab"}, "n": {"N": "123"}})
    8
    """
    total = 0
    known_names = _names
    for name, value in item.items():
        total += known_names.get(name) or len(name.encode())
        text: Any = value.get("S")  # most attributes are strings, and every write comes by here
        if text is not None:
            total += len(text) if text.isascii() else len(text.encode())
            continue
        text = value.get("N")
        total += value_size(value) if text is None else number_bytes(text)
    return total


def value_size(value: AttributeValue, number_size: Callable[[str], int] = number_bytes) -> int:
    """Bytes of one value (api.md §4). `number_size` may be replaced, as its formula changed over the years.

    >>> value_size({"L": [{"S": "abc"}, {"BOOL": True}]})
    9
    """
    wire: _Wire = value
    for kind, content in wire.items():
        if kind == "S":
            return len(content) if content.isascii() else len(content.encode())
        if kind == "N":
            return number_size(content)
        if kind == "B":
            return binary_bytes(content)
        if kind in ("BOOL", "NULL"):
            return 1
        if kind == "SS":
            return sum(len(member.encode()) for member in content)
        if kind == "NS":
            return sum(number_size(member) for member in content)
        if kind == "BS":
            return sum(binary_bytes(member) for member in content)
        if kind == "L":
            return CONTAINER_BYTES + sum(ELEMENT_BYTES + value_size(element, number_size) for element in content)
        names = sum(len(name.encode()) for name in content)
        return CONTAINER_BYTES + names + sum(ELEMENT_BYTES + value_size(part, number_size) for part in content.values())
    raise AssertionError("a validated value has one type")


def binary_bytes(text: str) -> int:
    """Raw bytes that canonical base64 text stands for.

    >>> binary_bytes("YWI=")
    2
    """
    padding = 2 if text.endswith("==") else 1 if text.endswith("=") else 0
    return len(text) // 4 * 3 - padding


def raw_bytes(text: str) -> bytes:
    """The bytes of a validated B value."""
    return b64decode(text)


def equal_values(left: AttributeValue, right: AttributeValue) -> bool:
    """Deep equality: type-strict, numbers by value, sets and maps without order, lists in order (expressions.md §3).

    >>> equal_values({"SS": ["a", "b"]}, {"SS": ["b", "a"]}), equal_values({"N": "1"}, {"S": "1"})
    (True, False)
    """
    if left == right:
        return True
    a: _Wire = left
    b: _Wire = right
    for kind, content in a.items():
        if kind not in b:
            return False
        other = b[kind]
        if kind == "N":
            return compare_numbers(content, other) == 0
        if kind in ("SS", "BS"):
            return len(content) == len(other) and set(content) == set(other)
        if kind == "NS":
            return len(content) == len(other) and set(map(normalise, content)) == set(map(normalise, other))
        if kind == "L":
            return len(content) == len(other) and all(map(equal_values, content, other))
        if kind == "M":
            return content.keys() == other.keys() and all(equal_values(content[name], other[name]) for name in content)
        return False
    return False


def compare(left: AttributeValue, right: AttributeValue) -> int | None:
    """-1, 0 or 1 in key order (S and B by unsigned bytes, N by value); None when the two cannot be ordered.

    >>> compare({"N": "9"}, {"N": "10"}), compare({"S": "9"}, {"S": "10"}), compare({"S": "a"}, {"N": "1"})
    (-1, 1, None)
    """
    a: _Wire = left
    b: _Wire = right
    if "S" in a and "S" in b:
        one: str = a["S"]
        two: str = b["S"]
        # Code points and UTF-8 bytes sort alike, so no encoding is needed.
        return (one > two) - (one < two)
    if "N" in a and "N" in b:
        return compare_numbers(a["N"], b["N"])
    if "B" in a and "B" in b:
        first, second = b64decode(a["B"]), b64decode(b["B"])
        return (first > second) - (first < second)
    return None


def nesting(value: AttributeValue) -> int:
    """How many lists and maps lie inside each other at the deepest place.

    >>> nesting({"S": "a"}), nesting({"L": [{"M": {"a": {"S": "b"}}}]})
    (0, 2)
    """
    wire: _Wire = value
    if "L" in wire:
        return 1 + max(map(nesting, wire["L"]), default=0)
    if "M" in wire:
        return 1 + max(map(nesting, wire["M"].values()), default=0)
    return 0


def _only_member(value: _Wire) -> _Wire:
    """The one type of a value that has none, several, or members that we do not know (which are ignored)."""
    known = {kind: content for kind, content in value.items() if kind in _VALIDATORS and content is not None}
    if not known:
        raise invalid("value-empty")
    if len(known) > 1:
        raise invalid("value-many")
    return known


def _string(content: object, _depth: int = 0) -> str:
    if type(content) is not str:
        raise _wrong_shape(content, "not-string")
    if not content.isascii():
        check_encodable(content)
    return content


def _number(content: object, _depth: int = 0) -> str:
    if type(content) is not str:
        raise _wrong_shape(content, "not-string")
    return normalise(content)


def _binary(content: object, _depth: int = 0) -> str:
    if type(content) is not str:
        raise _wrong_shape(content, "not-blob")
    if len(content) % 4:
        raise serialization("base64-length", length=len(content))
    try:
        raw = b64decode(content, validate=True)
    except (Base64Error, ValueError):
        raise serialization("base64-character") from None
    canonical = b64encode(raw).decode()
    return content if canonical == content else canonical


def _boolean(content: object, _depth: int) -> bool:
    if type(content) is not bool:
        raise _wrong_shape(content, "not-boolean")
    return content


def _null(content: object, depth: int) -> bool:
    if not _boolean(content, depth):
        raise invalid("null-false")
    return True


def _set(kind: str, member_of: Callable[[object], str]) -> Callable[[object, int], list[str]]:
    def check(content: object, _depth: int) -> list[str]:
        if type(content) is not list:
            raise _wrong_shape(content, "unexpected")
        if not content:
            raise invalid("set-empty-" + kind)
        members = [member_of(member) for member in content]
        if len(set(members)) != len(members):
            raise invalid("set-twice-" + kind, members=", ".join(members))
        return content if members == content else members

    return check


def _list(content: object, depth: int) -> list[AttributeValue]:
    if type(content) is not list:
        raise _wrong_shape(content, "unexpected")
    if depth >= NESTING_MAX:
        raise invalid("nesting")
    elements = [validate_value(element, depth=depth + 1) for element in content]
    return content if all(new is old for new, old in zip(elements, content, strict=True)) else elements


def _map(content: object, depth: int) -> Item:
    if type(content) is not dict:
        raise _wrong_shape(content, "unexpected")
    if depth >= NESTING_MAX:
        raise invalid("nesting")
    return _attributes(content, depth + 1)


def _attributes(members: _Wire, depth: int) -> Item:
    changed: Item | None = None
    for name, value in members.items():
        if name not in _names:
            _check_name(name)
        stored = validate_value(value, depth=depth)
        if stored is not value:
            if changed is None:
                changed = dict(members)
            changed[name] = stored
    return members if changed is None else changed


_VALIDATORS: dict[str, Callable[[object, int], Any]] = {
    "S": _string,
    "N": _number,
    "B": _binary,
    "BOOL": _boolean,
    "NULL": _null,
    "SS": _set("SS", _string),
    "NS": _set("NS", _number),
    "BS": _set("BS", _binary),
    "L": _list,
    "M": _map,
}


_names: dict[str, int] = {}  # that were checked, and their bytes


def _check_name(name: str) -> int:
    """The bytes of an attribute's name, or why it cannot be one."""
    if not name:
        raise invalid("name-empty")
    check_encodable(name)
    size_bytes = len(name.encode())
    if size_bytes > NAME_BYTES_MAX:
        raise invalid("name-long")
    if len(name) <= _NAME_CHARACTERS_MAX:
        if len(_names) >= _NAMES_MAX:
            _names.clear()
        _names[name] = size_bytes
    return size_bytes


def check_encodable(text: str) -> None:
    """JSON can spell half of a surrogate pair; such a text has no bytes, hence no size and no order."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise serialization("surrogate") from None


def _wrong_shape(found: object, otherwise: str) -> DynamoError:
    """SerializationException that says what the JSON had instead."""
    if isinstance(found, dict):
        return serialization("structure")
    if isinstance(found, list):
        return serialization("list")
    if otherwise == "unexpected":
        return serialization("unexpected")
    if isinstance(found, bool):
        return serialization(otherwise, found="TRUE_VALUE" if found else "FALSE_VALUE")
    return serialization(otherwise, found="STRING_VALUE" if isinstance(found, str) else "NUMBER_VALUE")
