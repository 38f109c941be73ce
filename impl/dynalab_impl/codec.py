"""Messages and records to bytes and back: pure, versioned, generated from the types of the fields.

The form is JSON (its C accelerator is in every Python, Pyodide included): a list [version, type name, field, field,
…]. Bytes travel as latin-1 text, which keeps their order; tuples as lists; a union by the name of its member. Fields
that came later (`entries.LATE`) are left out at the end where they say nothing: what was written before they came is
read, and what does not use them is as it was, to the byte.
Decoding builds only the types registered here, from fields of the expected kind; anything else is a `CodecError`.

>>> from dynalab_impl.messages import Commit
>>> decode(encode(Commit("g", (3, "n1"), 7)))
Commit(group='g', ballot=(3, 'n1'), commit_index=7)
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable
from typing import Any, TypeAlias, get_args, get_origin, get_type_hints

from dynalab_impl import messages, metadata, records, snapshot, transact_messages
from dynalab_impl.effects import Address, Message, Record
from dynalab_impl.entries import Write
from dynalab_model import operations, schema

_Encoder: TypeAlias = Callable[[Any], Any]

ENTRY_MEMORY_BYTES_MAX = 256 * 1024  # the others log an entry moments after the first: more is not worth keeping

# JSON already: these fields travel as they are.
_AS_IT_IS: dict[str, Any] = {"JSON": object, "Item": object, "AttributeValue": object}


class CodecError(ValueError):
    """Bytes that are not a message or record of this version or the one before."""


class _Plan:
    """How to encode and decode one dataclass: the names of its fields, and what to do with those that JSON cannot
    hold.
    """

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.name = cls.__name__
        self.names: list[str] = []
        # Most fields need no help: only the others are gone through, by their place behind the type's name.
        self.encoders: list[tuple[int, _Encoder]] = []
        self.decoders: list[tuple[int, _Encoder]] = []
        self.late: list[Any] = []  # what the last fields say where they say nothing: those that came later

    def fill(self) -> None:
        hints = get_type_hints(self.cls, localns=_AS_IT_IS)
        for place, field in enumerate(dataclasses.fields(self.cls)):
            encoder, decoder = _pair(hints[field.name])
            self.names.append(field.name)
            if encoder is not None:
                self.encoders.append((place + 1, encoder))
            if decoder is not None:
                self.decoders.append((place, decoder))
            if field.metadata.get("late"):
                self.late.append(field.default)

    def encode(self, value: object) -> list[Any]:
        out: list[Any] = [self.name, *[getattr(value, name) for name in self.names]]
        for place, encoder in self.encoders:
            out[place] = encoder(out[place])
        if self.late:
            for default in reversed(self.late):
                if out[-1] != default:
                    break
                out.pop()
        return out

    def decode(self, parts: list[Any]) -> Any:
        values = parts[1:]
        if self.late and 0 < len(self.names) - len(values) <= len(self.late):
            values += self.late[len(values) - len(self.names) :]
        if len(values) != len(self.names):
            raise CodecError(f"{self.name} has {len(self.names)} fields, not {len(values)}")
        for place, decoder in self.decoders:
            values[place] = decoder(values[place])
        return self.cls(*values)


_PLANS: dict[type, _Plan] = {}
_BY_NAME: dict[str, _Plan] = {}


def _encode_any(value: Any) -> Any:
    return None if value is None else _PLANS[type(value)].encode(value)


def _decode_any(parts: Any) -> Any:
    if parts is None:
        return None
    if type(parts) is list and parts and type(parts[0]) is str:
        plan = _BY_NAME.get(parts[0])
        if plan is not None:
            return plan.decode(parts)
    raise CodecError(f"not a known value: {str(parts)[:60]}")


def _encode_bytes(value: bytes) -> str:
    return value.decode("latin-1")


def _decode_bytes(value: str) -> bytes:
    return value.encode("latin-1")


def _decode_address(value: list[str] | None) -> Address | None:
    return None if value is None else Address(*value)


def _pair(hint: Any) -> tuple[_Encoder | None, _Encoder | None]:
    """Encoder and decoder for a field of this type."""
    if hint is bytes:
        return _encode_bytes, _decode_bytes
    if hint is Address:
        return None, _decode_address
    origin, args = get_origin(hint), get_args(hint)
    if origin in (typing.Union, types.UnionType):
        kinds = [a for a in args if a is not type(None)]
        if any(dataclasses.is_dataclass(a) for a in kinds):
            return _encode_any, _decode_any
        if kinds == [Address]:
            return None, _decode_address
        return None, None
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            encoder, decoder = _pair(args[0])
            if encoder is None and decoder is None:
                return None, tuple
            return _each(encoder, list), _each(decoder, tuple)
        return None, tuple
    if dataclasses.is_dataclass(hint):
        return _encode_any, _decode_any
    return None, None


def _each(one: _Encoder | None, make: Callable[[Any], Any]) -> _Encoder:
    if one is None:
        return make
    step = one
    return lambda values: make([step(value) for value in values])


def _register(module: types.ModuleType) -> None:
    for cls in vars(module).values():
        if isinstance(cls, type) and dataclasses.is_dataclass(cls) and cls not in _PLANS:
            _PLANS[cls] = _BY_NAME[cls.__name__] = _Plan(cls)


def register(*classes: type) -> None:
    """Let `encode` and `decode` know dataclasses of another room; their fields may hold each other."""
    plans = [_Plan(cls) for cls in classes]
    for plan in plans:
        _PLANS[plan.cls] = _BY_NAME[plan.name] = plan
    for plan in plans:
        plan.fill()


for _module in (schema, operations, messages, transact_messages, metadata, snapshot, records):
    _register(_module)
for _plan in list(_PLANS.values()):
    _plan.fill()


def json_writer(sort_keys: bool = False) -> Callable[[object], str]:
    """`JSONEncoder.encode`, without building its C accelerator anew for every value: that costs as much as a small
    item.

    The accelerator is the library's own, but its name is not promised; where it is missing or has changed, the
    library's way is taken.

    >>> json_writer(sort_keys=True)({"b": [1, None], "a": "é"})
    '{"a":"\\\\u00e9","b":[1,null]}'
    """
    # Values are trees, and checking them for cycles costs a third of the encoding.
    encoder = json.JSONEncoder(separators=(",", ":"), check_circular=False, sort_keys=sort_keys)
    sample: list[object] = [1, {"é": "\ud800", "a": {}}, 2.5, None, True]
    try:
        spell = json.encoder.encode_basestring_ascii
        make = getattr(json.encoder, "c_make_encoder")  # noqa: B009 - typeshed does not know it
        once = make(None, encoder.default, spell, None, ":", ",", sort_keys, False, True)
        if "".join(once(sample, 0)) == encoder.encode(sample):
            return lambda value: "".join(once(value, 0))
    except (AttributeError, TypeError):
        pass
    return encoder.encode


# Any plain value as JSON, in ASCII.
to_json = json_writer()


def encode(value: Message | Record) -> bytes:
    """One message or record as bytes."""
    plan = _PLANS[type(value)]
    return to_json([messages.VERSION, *plan.encode(value)]).encode()


class EntryMemory:
    """`encode` for a process that runs several members of a group: they log the same entries, each spelt out once.

    Entries are never changed after they were sent, so an entry that is the same object has the same text.

    >>> from dynalab_impl.messages import Barrier, Entry
    >>> record = records.AcceptedEntries("g", (3, "n1"), 1, (Entry((3, "n1"), 1, 5, ("", 0), 0, Barrier((3, "n1"))),))
    >>> EntryMemory().encode(record) == encode(record)
    True
    """

    __slots__ = ("_heads", "_texts", "_texts_bytes")

    def __init__(self) -> None:
        # By identity: the entry is kept beside its text, so that no other object gets its number.
        self._texts: dict[int, tuple[messages.Entry, str]] = {}
        self._texts_bytes = 0
        # Of each group's records, of its newest leader: all but their slots.
        self._heads: dict[str, tuple[messages.Ballot, str]] = {}

    def encode(self, record: Record) -> bytes:
        """What `encode` gives."""
        if type(record) is not records.AcceptedEntries:
            return encode(record)
        head = self._heads.get(record.group)
        if head is None or head[0] != record.ballot:
            head = record.ballot, to_json([messages.VERSION, "AcceptedEntries", record.group, record.ballot])[:-1]
            self._heads[record.group] = head
        if len(record.entries) == 1:
            entries = self._text(record.entries[0])
        else:
            entries = ",".join([self._text(entry) for entry in record.entries])
        return f"{head[1]},{record.first_slot},[{entries}]]".encode()

    def _text(self, entry: messages.Entry) -> str:
        known = self._texts.get(id(entry))
        if known is not None:
            return known[1]
        text = _write_text(entry, entry.command) if type(entry.command) is Write else to_json(_encode_any(entry))
        if self._texts_bytes > ENTRY_MEMORY_BYTES_MAX:
            self._texts.clear()
            self._heads.clear()
            self._texts_bytes = 0
        self._texts[id(entry)] = (entry, text)
        self._texts_bytes += len(text)
        return text


def _write_text(entry: messages.Entry, command: Write) -> str:
    """What most entries are, spelt out by hand: in half the time."""
    (number, node), (router, request) = entry.ballot, entry.request
    item = "null" if command.item is None else to_json(command.item)
    body = to_json(command.body) if command.body else "{}"
    return (
        f'["Entry",[{number},{_spell(node)}],{entry.slot},{entry.time_ns},[{_spell(router)},{request}],'
        f'{entry.expiry_ns},["Write",{_spell(command.key.decode("latin-1"))},{item},{body}]]'
    )


_spell = json.encoder.encode_basestring_ascii
_parse = json.JSONDecoder().raw_decode


def decode(data: bytes) -> Any:
    """The message or record that `encode` was given; raises CodecError."""
    try:
        text = data.decode()
        parts, end = _parse(text)
        if end < len(text):
            raise CodecError(f"more than one value: {data[end : end + 40]!s}")
    except ValueError as error:
        raise CodecError(f"not JSON: {error}") from error
    if not isinstance(parts, list) or len(parts) < 2 or parts[0] not in (messages.VERSION, messages.VERSION - 1):
        raise CodecError(f"not version {messages.VERSION} or {messages.VERSION - 1}: {data[:40]!s}")
    try:
        return _decode_any(parts[1:])
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise CodecError(f"malformed {parts[1]}: {error}") from error
