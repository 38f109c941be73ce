"""Messages and records as bytes: whole there and back, and nothing else is accepted."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import types
import typing
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynalab_impl import codec, messages, metadata, records, transact_messages
from dynalab_impl.codec import CodecError, decode, encode
from dynalab_impl.effects import Address, Message, Record
from dynalab_model import operations, schema

KINDS = [
    cls
    for module in (messages, metadata, records, transact_messages)
    for cls in vars(module).values()
    if isinstance(cls, type) and issubclass(cls, (Message, Record)) and cls not in (Message, Record)
]

JSON = st.recursive(
    st.text(max_size=5) | st.booleans() | st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
ITEMS = st.dictionaries(st.text(max_size=4), st.fixed_dictionaries({"S": st.text(max_size=4)}), max_size=2)
BY_NAME: dict[str, Any] = {"JSON": JSON, "Item": ITEMS}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value that a field of this type can hold."""
    simple = {int: st.integers(), str: st.text(max_size=5), bool: st.booleans(), bytes: st.binary(max_size=6)}
    if hint in simple:
        return simple[hint]
    if hint is Address:
        return st.builds(Address, st.just("r1"), st.sampled_from(["z1", "z2"]), st.text(max_size=3))
    if hint is object:
        return JSON
    origin, args = get_origin(hint), get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([st.none() if a is type(None) else values_of(a) for a in args])
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return st.lists(values_of(args[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*[values_of(a) for a in args])
    if origin is dict or hint is dict:
        return ITEMS
    assert dataclasses.is_dataclass(hint), hint
    return instances_of(hint)


def instances_of(cls: Any) -> st.SearchStrategy[Any]:
    fields: dict[str, Any] = {}
    hints = typing.get_type_hints(cls, localns={"JSON": object, "Item": dict, "AttributeValue": object})
    for field in dataclasses.fields(cls):
        fields[field.name] = st.deferred(lambda hint=hints[field.name]: values_of(hint))  # type: ignore[misc]
    if cls is messages.Held:
        # Markers lie beside a marker, never beside those: else one drawn at random may have no end.
        flat = st.builds(cls, **{**fields, "beside": st.just(())})
        fields["beside"] = st.lists(flat, max_size=2).map(tuple)
    return st.builds(cls, **fields)


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
@settings(max_examples=20)
@given(data=st.data())
def test_every_message_and_record_comes_back_as_it_was(kind: type, data: st.DataObject) -> None:
    value = data.draw(instances_of(kind))
    assert decode(encode(value)) == value


@settings(max_examples=20)
@given(record=st.deferred(lambda: instances_of(records.AcceptedEntries)), times=st.integers(1, 3))
def test_an_entry_that_was_spelt_out_before_gives_the_same_bytes(record: records.AcceptedEntries, times: int) -> None:
    memory = codec.EntryMemory()
    for _ in range(times):
        assert memory.encode(record) == encode(record)
    other = records.AcceptedEntries("other", (9, "n9"), record.first_slot, record.entries[:1])
    assert memory.encode(other) == encode(other), "only entries are remembered, not what is around them"


@settings(max_examples=50)
@given(entry=st.deferred(lambda: instances_of(messages.Entry)), write=st.deferred(lambda: instances_of(messages.Write)))
def test_a_write_that_is_spelt_out_by_hand_gives_the_same_bytes(entry: messages.Entry, write: messages.Write) -> None:
    entry.command = write
    record = records.AcceptedEntries("g", (1, "n"), entry.slot, (entry,))
    assert codec.EntryMemory().encode(record) == encode(record)
    assert decode(encode(record)) == record


def test_the_memory_for_entries_is_bounded() -> None:
    memory = codec.EntryMemory()
    for slot in range(1, 12):
        command = messages.Write(b"k", {"a": {"S": "x" * (codec.ENTRY_MEMORY_BYTES_MAX // 4)}}, {})
        record = records.AcceptedEntries(
            "g", (1, "n"), slot, (messages.Entry((1, "n"), slot, 1, ("r", 1), 2, command),)
        )
        assert memory.encode(record) == encode(record)
        assert sum(len(text) for _, text in memory._texts.values()) <= 2 * codec.ENTRY_MEMORY_BYTES_MAX


@given(JSON)
def test_json_is_spelt_as_the_library_spells_it(value: object) -> None:
    assert codec.to_json(value) == json.dumps(value, separators=(",", ":"))
    in_order = codec.json_writer(sort_keys=True)
    assert in_order(value) == json.dumps(value, separators=(",", ":"), sort_keys=True)
    with pytest.raises(TypeError):
        codec.to_json([object()])


def test_every_operation_and_schema_has_a_plan() -> None:
    wanted = [c for m in (operations, schema) for c in vars(m).values() if dataclasses.is_dataclass(c)]
    assert wanted and all(c in codec._PLANS for c in wanted)


def test_the_version_before_is_read_and_others_are_refused() -> None:
    data = encode(messages.Commit("g", (1, "n"), 2))
    older = data.replace(b"[1,", b"[0,", 1)
    assert decode(older) == messages.Commit("g", (1, "n"), 2)
    with pytest.raises(CodecError, match="version"):
        decode(data.replace(b"[1,", b"[2,", 1))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        b'[1,"Unheard"]',
        b'[1,"Commit","g"]',
        b"\xff\xfe",
        b'[1,["Commit"],1]',
        b'[1,"Accept",1,2,3,4,5]',
    ],
)
def test_malformed_bytes_are_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_codec_error(data: bytes) -> None:
    with contextlib.suppress(CodecError):
        decode(data)
