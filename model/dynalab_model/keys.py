"""Keys as bytes that sort the way DynamoDB sorts: hash ‖ partition key ‖ sort key.

Rules of this room:
- Comparing two keys' bytes is comparing the keys: first the hash of the partition key (which spreads, S17), then the
  partition key itself (two keys may share a hash), then the sort key in its own order (S19). So an item collection is
  one range of bytes.
- A component is a tag (its type), a body that keeps the order, and an end mark that sorts before every continuation.
  No component's bytes are a prefix of another's: components can be put one after the other without lengths.
- The hash function is our own choice (the service publishes none). Nothing but `hash_bytes` knows it, and
  `replaced_hash` puts another in its place, so that a page of a book can be reproduced (S18).
- A key of several attributes (global indexes alone) is the components of its attributes one after the other; the hash
  of several partition key attributes is that of one binary made of their components.

Strings and binaries: the byte 00 is written as 01 01 and 01 as 01 02, so that the end mark 00 stands nowhere else.
Numbers: a sign byte, the decimal exponent of the first digit in one byte (-130 … 125 are 256 values), digits two by
two as 1 … 100, end mark 00; for negative numbers all these bytes are complemented.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import md5
from typing import Any

from dynalab_model.errors import invalid
from dynalab_model.numbers import EXPONENT_MIN, normalise
from dynalab_model.schema import KeySchema
from dynalab_model.values import AttributeValue, Item

HASH_BYTES = 8
PARTITION_KEY_BYTES_MAX = 2_048
SORT_KEY_BYTES_MAX = 1_024

_NEGATIVE, _ZERO, _POSITIVE = b"N\x01", b"N\x02", b"N\x03"
_COMPLEMENT = bytes(255 - byte for byte in range(256))


@dataclass(frozen=True, slots=True)
class KeyCondition:
    """What a Query asks for: one partition key value and, perhaps, a condition on the sort key.

    `operator` is None, =, <, <=, >, >=, BETWEEN or begins_with; `low` is its operand, `high` the second one of BETWEEN.
    With keys of several attributes, `more_hash` holds the rest of the partition key, and `equal` the values of the sort
    key's attributes in front of the one that the operator is about.
    """

    hash: AttributeValue
    operator: str | None = None
    low: AttributeValue | None = None
    high: AttributeValue | None = None
    more_hash: tuple[AttributeValue, ...] = ()
    equal: tuple[AttributeValue, ...] = ()

    @property
    def hashes(self) -> tuple[AttributeValue, ...]:
        """The values of all attributes of the partition key."""
        return (self.hash, *self.more_hash)


@lru_cache(maxsize=4096)  # keys come again and again, at every router and node
def _md5_of(tagged: bytes) -> bytes:
    return md5(tagged, usedforsecurity=False).digest()[:HASH_BYTES]


def _md5_hash(value: AttributeValue) -> bytes:
    text: Any = value.get("S")
    return _md5_of(_tagged(value) if text is None else b"S" + text.encode())


_hash: Callable[[AttributeValue], bytes] = _md5_hash


def hash_bytes(partition_key_value: AttributeValue) -> bytes:
    """Where a partition key value lies in the key space: eight bytes of MD5 over its type and its bytes.

    >>> hash_bytes({"S": "a"}).hex(), hash_bytes({"N": "1"}) == hash_bytes({"S": "1"})
    ('e55bb1ae59b6a648', False)
    """
    return _hash(partition_key_value)


@contextmanager
def replaced_hash(function: Callable[[AttributeValue], bytes]) -> Iterator[None]:
    """Use another hash inside a `with` block; for lessons and tests only, as data written under one hash is lost
    under another.

    >>> with replaced_hash(lambda value: bytes([0x7B] * 8)):
    ...     hash_bytes({"N": "1"}).hex()
    '7b7b7b7b7b7b7b7b'
    """
    global _hash
    before = _hash
    _hash = function
    try:
        yield
    finally:
        _hash = before


def encode_component(value: AttributeValue) -> bytes:
    """One key attribute as bytes that sort like the values of its type and end by themselves.

    >>> encode_component({"S": "a"}), encode_component({"B": "YQBi"})
    (b'Sa\\x00', b'Ba\\x01\\x01b\\x00')
    >>> encode_component({"N": "-5"}) < encode_component({"N": "-4.5"}) < encode_component({"N": "0.001"})
    True
    """
    wire: dict[str, Any] = value
    if "S" in wire:
        raw: bytes = wire["S"].encode()
        return b"S%b\x00" % (_escaped(raw) if b"\x00" in raw or b"\x01" in raw else raw)
    if "N" in wire:
        return _encode_number(wire["N"])
    assert "B" in wire, "only S, N and B can be keys"
    return b"B" + _escaped(b64decode(wire["B"])) + b"\x00"


def item_key(schema: KeySchema, item: Item) -> bytes:
    """The place of an item, given the item or its key: hash ‖ partition key ‖ sort key.

    Raises ValidationException when a key attribute is missing or of another type.

    >>> from dynalab_model.schema import KeyAttribute
    >>> schema = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))
    >>> key = item_key(schema, {"pk": {"S": "a"}, "sk": {"N": "1"}, "other": {"BOOL": True}})
    >>> key[:8] == hash_bytes({"S": "a"}), key[8:11]
    (True, b'Sa\\x00')
    """
    value = item.get(schema.hash.name)
    if value is None or schema.hash.type not in value:
        raise invalid("key-schema")
    key = _hash(value) + encode_component(value)
    if schema.range is None:
        return key
    value = item.get(schema.range.name)
    if value is None or schema.range.type not in value:
        raise invalid("key-schema")
    return key + encode_component(value)


def index_key(index: KeySchema, table: KeySchema, item: Item) -> bytes | None:
    """The place of an item in a global index: hash ‖ index key ‖ table key; None when the item is not in the index
    (sparse, S30).

    The table key stands at the end since index keys need not be unique.
    """
    values: list[AttributeValue] = []
    for attribute in index.hashes:
        value = item.get(attribute.name)
        if value is None or attribute.type not in value:
            return None
        values.append(value)
    key = collection_prefix(*values)
    for attribute in index.ranges:
        value = item.get(attribute.name)
        if value is None or attribute.type not in value:
            return None
        key += encode_component(value)
    for name in table.names:
        key += encode_component(item[name])
    return key


def encode_components(values: Sequence[AttributeValue]) -> bytes:
    """Several key attributes as bytes that sort like the first ones, then like the second ones, and so on.

    >>> encode_components([{"S": "a"}, {"N": "0"}])
    b'Sa\\x00N\\x02'
    """
    return b"".join([encode_component(value) for value in values])


def collection_prefix(partition_key_value: AttributeValue, *more: AttributeValue) -> bytes:
    """What the keys of one item collection begin with: hash ‖ partition key. `more` are the further attributes of a
    partition key of several.

    >>> collection_prefix({"S": "a"}, {"S": "b"}) == collection_prefix({"S": "ab"}, {"S": ""})
    False
    """
    key = encode_component(partition_key_value)
    if not more:
        return _hash(partition_key_value) + key
    key += encode_components(more)
    return _hash({"B": b64encode(key).decode()}) + key


def collection_of(key: bytes) -> bytes:
    """What the keys of a key's item collection begin with; the key itself when it is no whole key, and so lies in no
    collection.

    >>> name = encode_component({"S": "a"})
    >>> collection_of(collection_prefix({"S": "a"}) + name) == collection_prefix({"S": "a"})
    True
    >>> [collection_of(b"12345678" + encode_component({"N": n}) + name)[8:].hex() for n in ("0", "-5", "1E-130")]
    ['4e02', '4e017dccff', '4e03000b00']
    """
    body = key[HASH_BYTES:]
    if body.startswith(_ZERO):
        return key[: HASH_BYTES + len(_ZERO)]
    # A number's exponent may look like an end mark; it stands behind the sign.
    number = body.startswith((_NEGATIVE, _POSITIVE))
    mark = body.find(b"\xff" if body.startswith(_NEGATIVE) else b"\x00", 3 if number else 1)
    return key if mark < 0 else key[: HASH_BYTES + mark + 1]


def key_range(schema: KeySchema, condition: KeyCondition) -> tuple[bytes, bytes]:
    """The keys that a Query reads: the low end is inside, the high end outside. Holds for tables and for indexes.

    >>> from dynalab_model.schema import KeyAttribute
    >>> schema = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "S"))
    >>> low, high = key_range(schema, KeyCondition({"S": "a"}, "begins_with", {"S": "2024-"}))
    >>> low <= item_key(schema, {"pk": {"S": "a"}, "sk": {"S": "2024-12"}}) < high
    True
    """
    prefix = collection_prefix(*condition.hashes)
    operator = condition.operator
    if operator is None:
        return prefix, prefix_end(prefix)
    assert schema.range is not None and condition.low is not None
    assert len(condition.equal) < len(schema.ranges)
    prefix += encode_components(condition.equal)
    if operator == "begins_with":
        start = prefix + encode_component(condition.low)[:-1]  # without the end mark: everything that goes on from here
        return start, prefix_end(start)
    low = prefix + encode_component(condition.low)
    if operator == "=":
        return low, prefix_end(low)
    if operator == "<":
        return prefix, low
    if operator == "<=":
        return prefix, prefix_end(low)
    if operator == ">":
        return prefix_end(low), prefix_end(prefix)
    if operator == ">=":
        return low, prefix_end(prefix)
    assert operator == "BETWEEN" and condition.high is not None
    # A request whose bounds are the wrong way round was refused; here it would be a range with nothing in it.
    return low, max(low, prefix_end(prefix + encode_component(condition.high)))


def successor(key: bytes) -> bytes:
    """The smallest byte string greater than `key`: where a read goes on after it.

    >>> successor(b"a")
    b'a\\x00'
    """
    return key + b"\x00"


def prefix_end(prefix: bytes) -> bytes:
    """The smallest byte string greater than everything that begins with `prefix`.

    >>> prefix_end(b"ab"), prefix_end(b"a\\xff")
    (b'ac', b'b')
    """
    stripped = prefix.rstrip(b"\xff")
    assert stripped, "no end: the prefix is all FF"
    return stripped[:-1] + bytes((stripped[-1] + 1,))


def _tagged(value: AttributeValue) -> bytes:
    wire: dict[str, Any] = value
    if "S" in wire:
        return b"S" + wire["S"].encode()  # type: ignore[no-any-return]
    if "N" in wire:
        return b"N" + wire["N"].encode()  # type: ignore[no-any-return]
    assert "B" in wire, "only S, N and B can be keys"
    return b"B" + b64decode(wire["B"])


def _escaped(raw: bytes) -> bytes:
    return raw.replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01")


def short_form(key: bytes) -> bytes:
    """A whole key without its escapes, in hardly more bytes than its values have: to be kept, not compared. Escapes may
    double a key; `long_form` brings them back.

    >>> key = collection_prefix({"B": "AAAA"}) + encode_component({"N": "1"})
    >>> len(key), len(short_form(key)), long_form(short_form(key)) == key
    (21, 19, True)
    """
    out, at = [key[:HASH_BYTES]], HASH_BYTES
    while key[at : at + 1] in (b"S", b"B"):
        end = key.index(b"\x00", at)  # an end mark stands nowhere else
        body = key[at + 1 : end].replace(b"\x01\x01", b"\x00").replace(b"\x01\x02", b"\x01")
        out += [key[at : at + 1], len(body).to_bytes(2, "big"), body]
        at = end + 1
    return b"".join([*out, key[at:]])  # numbers have no escapes


def long_form(short: bytes) -> bytes:
    """The key of which this is the short form."""
    out, at = [short[:HASH_BYTES]], HASH_BYTES
    while short[at : at + 1] in (b"S", b"B"):
        end = at + 3 + int.from_bytes(short[at + 1 : at + 3], "big")
        out += [short[at : at + 1], _escaped(short[at + 3 : end]), b"\x00"]
        at = end
    return b"".join([*out, short[at:]])


def _encode_number(text: str) -> bytes:
    text = normalise(text)
    if text == "0":
        return _ZERO
    negative = text.startswith("-")
    whole, _, fraction = text[negative:].partition(".")
    if whole == "0":
        digits = fraction.lstrip("0")
        first = len(digits) - len(fraction) - 1
    else:
        digits = (whole + fraction).rstrip("0")
        first = len(whole) - 1
    if len(digits) % 2:
        digits += "0"
    pairs = [int(digits[at : at + 2]) + 1 for at in range(0, len(digits), 2)]
    body = bytes((first - EXPONENT_MIN, *pairs, 0))
    return _NEGATIVE + body.translate(_COMPLEMENT) if negative else _POSITIVE + body
