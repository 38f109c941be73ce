"""Streams on the reference machine: what changed from one state to the next, in one shard for each stream.

Rules: records follow from states. `follow` compares the items before and after an operation, so no operation says
anything of streams, and what left an item as it was has no record. A stream that was disabled, or whose table has gone,
is read for another 24 hours (S168); a record that is older than that has been trimmed (S147, S169). There is one shard,
always open while the stream is enabled: partitions, and so lineage, are the implementation's. What goes to a Kinesis
destination is kept like a stream that no client sees.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

from dynalab_model import kinesis, stream_settings, streams
from dynalab_model.errors import expired_iterator, resource_not_found_text, trimmed_data_access, validation
from dynalab_model.operations import DescribeStream, GetRecords, GetShardIterator, ListStreams
from dynalab_model.state import Response, State, Stream, Table


def follow(before: State, after: State, now_ns: int, identity: str = "") -> State:
    """The state after an operation, with the records of what it changed and the streams that it began or ended.
    `identity` says who changed items, where that was no client.
    """
    known = {name: _kept(stream, now_ns) for name, stream in after.streams.items() if _is_kept(stream, now_ns)}
    enabled: dict[tuple[str, str], Table] = {}
    for table in after.tables.values():
        current = stream_settings.enabled(table.settings)
        if current is not None:
            label, view = current
            enabled[table.schema.name, label] = table
            known.setdefault((table.schema.name, label), Stream(table.schema, label, view))
        feed = kinesis.feeding(table.settings)
        if feed is not None:
            enabled[table.schema.name, feed["Label"]] = table
            known.setdefault((table.schema.name, feed["Label"]), Stream(table.schema, feed["Label"], kinesis.VIEW))
    for name, stream in known.items():
        table_now = enabled.get(name)
        if table_now is None:
            known[name] = stream if stream.disabled_ns is not None else replace(stream, disabled_ns=now_ns)
            continue
        table_before = before.tables.get(name[0])
        if table_before is not None and table_before.items is not table_now.items:
            known[name] = _with_changes(stream, table_before, table_now, now_ns, identity)
    return after if known == after.streams else replace(after, streams=known)


def _with_changes(stream: Stream, before: Table, after: Table, now_ns: int, identity: str) -> Stream:
    changes, counted = list(stream.changes), stream.counted
    for key in sorted({*before.items, *after.items}):
        old, new = before.items.get(key), after.items.get(key)
        number = streams.slot_number(counted + 1)
        change = streams.change_of(stream.schema, stream.view, number, now_ns, old, new, identity)
        if change is not None:
            changes.append(change)
            counted += 1
    return replace(stream, changes=tuple(changes), counted=counted)


def _is_kept(stream: Stream, now_ns: int) -> bool:
    return stream.disabled_ns is None or now_ns < stream.disabled_ns + streams.KEEP_NS


def _kept(stream: Stream, now_ns: int) -> Stream:
    """The stream without the records that are too old."""
    horizon_ns = now_ns - streams.KEEP_NS
    old = [change for change in stream.changes if change.time_ns <= horizon_ns]
    return replace(stream, changes=stream.changes[len(old) :], trimmed=old[-1].number) if old else stream


# --- operations -----------------------------------------------------------------------------------------------------


def list_streams(state: State, op: ListStreams, now_ns: int) -> tuple[State, Response]:
    """The streams of a table, or of all."""
    named = [name for name in state.streams if op.table in ("", name[0]) and not name[1].startswith(streams.FEED)]
    return state, streams.list_streams(named, op.start, op.limit)


def describe_stream(state: State, op: DescribeStream, now_ns: int) -> tuple[State, Response]:
    """A stream and its one shard."""
    stream = _stream(state, op.table, op.label)
    status = streams.ENABLED if stream.disabled_ns is None else streams.DISABLED
    page: dict[str, object] = {"ExclusiveStartShardId": op.start, "Limit": op.limit, "ChildrenOf": op.children_of}
    return state, streams.describe_stream(stream.schema, stream.label, stream.view, status, [_shard(stream)], page)


def get_shard_iterator(state: State, op: GetShardIterator, now_ns: int) -> tuple[State, Response]:
    """A place in the shard."""
    stream = _stream(state, op.table, op.label)
    shard = _shard(stream)
    if op.shard != shard.id:
        raise resource_not_found_text(f"Shard: {op.shard}")
    times = [change.time_ns for change in stream.changes]
    numbers = [change.number for change in stream.changes]
    after = streams.place(shard, op, stream.trimmed, stream.last, numbers, times, now_ns)
    iterator = streams.Iterator(op.table, op.label, shard.id, after, now_ns)
    return state, {"ShardIterator": streams.iterator_text(iterator)}


def get_records(state: State, op: GetRecords, now_ns: int) -> tuple[State, Response]:
    """The records behind an iterator, and the next iterator; none behind the last record of a stream that has ended."""
    iterator = streams.iterator_of(op.iterator)
    if now_ns >= iterator.issued_ns + streams.ITERATOR_NS:
        raise expired_iterator()
    stream = _stream(state, iterator.table, iterator.label)
    shard = _shard(stream)
    if iterator.shard != shard.id:
        raise validation("Invalid ShardIterator")
    if iterator.after < stream.trimmed:
        raise trimmed_data_access()
    first = bisect_left([change.number for change in stream.changes], iterator.after + 1)
    told = streams.page_of(stream.changes[first:], op.limit)
    after = told[-1].number if told else iterator.after
    body: Response = {"Records": [streams.record_body(change, stream.view, shard.id) for change in told]}
    if stream.disabled_ns is None or after < stream.last:
        body["NextShardIterator"] = streams.iterator_text(replace(iterator, after=after, issued_ns=now_ns))
    return state, body


def _stream(state: State, table: str, label: str) -> Stream:
    stream = state.streams.get((table, label))
    if stream is None:
        raise stream_settings.no_such_stream(table, label)
    return stream


def _shard(stream: Stream) -> streams.ShardInfo:
    first = streams.slot_number(1)
    name = streams.shard_id(streams.stream_arn(stream.schema.name, stream.label), first)
    return streams.ShardInfo(name, "", first, max(stream.last, first) if stream.disabled_ns is not None else 0)
