"""How a storage node serves the streams of the partitions that it leads.

Rules:
- *Leaders alone, under their lease,* from what is applied. What is applied is committed, so a record that was read is
  never taken back; and who leads next has it, under the same number. LATEST is behind everything that was acknowledged.
- *Parent before child by itself.* A child has records only behind its parent's Split, and who serves it has applied
  that: by then the parent shard is closed and whole. Whoever reads a shard to its end has met all of it.
- *Age by the clock.* Records that are older than they may be are gone for readers, also where no entry has come since.
  A clock that is far ahead of most members' is held back, as for log time.

These functions are methods of `StorageNode`, kept in a room of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynalab_impl import feeds
from dynalab_impl import messages as m
from dynalab_impl.effects import JSON, NOTHING, Address, Effects, Nanoseconds
from dynalab_impl.jsons import as_json
from dynalab_impl.partition import Partition
from dynalab_impl.stream_messages import FindShard, ListShards, ReadShard
from dynalab_impl.stream_shards import SECOND, Shard
from dynalab_model import streams
from dynalab_model.errors import TEXTS, DynamoError, limit_exceeded, trimmed_data_access
from dynalab_model.events import Event
from dynalab_model.operations import GetShardIterator
from dynalab_model.stream_settings import no_such_stream

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode

READER_NS = SECOND  # a reader counts for so long after its last read
READ_SHARDS_MAX = 10_000  # shards whose readers are remembered


def on_list_shards(node: StorageNode, sender: Address, message: ListShards, effects: Effects) -> None:
    state = _leading(node, sender, message, effects)
    if state is not None:
        now_ns = _age_now_ns(node, state, effects)
        shards = [
            [shard.id, shard.parent, shard.first, shard.ended]
            for shard in [*state.shards, *state.feed]
            if shard.stream.label == message.label and not _is_gone(shard, now_ns)
        ]
        effects.send(sender, m.Answer(message.number, 200, {"Shards": as_json(shards)}), NOTHING)


def on_find_shard(node: StorageNode, sender: Address, message: FindShard, effects: Effects) -> None:
    state = _leading(node, sender, message, effects)
    if state is None:
        return
    shard = _shard(state, message.label, message.shard, _age_now_ns(node, state, effects))
    if shard is None:
        effects.send(sender, m.Answer(message.number, 200, {}), NOTHING)
        return
    kept, trimmed = shard.kept_from(_age_now_ns(node, state, effects) - shard.stream.keep_s * SECOND)
    last = shard.ended or streams.slot_number(state.applied + 1) - 1
    numbers = [change.number for change in shard.changes[kept:]]
    times_ns = [change.time_ns for change in shard.changes[kept:]]
    asked = GetShardIterator("", message.label, message.shard, message.kind, message.at, message.time_ns)
    try:
        after = streams.place(shard.info, asked, trimmed, last, numbers, times_ns, effects.wall_ns)
    except DynamoError as error:
        _refuse(sender, message.number, error, effects)
        return
    effects.send(sender, m.Answer(message.number, 200, {"After": after}), NOTHING)


def on_read_shard(node: StorageNode, sender: Address, message: ReadShard, effects: Effects) -> None:
    state = _leading(node, sender, message, effects)
    if state is None:
        return
    try:
        body = _records(node, state, message, effects)
    except DynamoError as error:
        _refuse(sender, message.number, error, effects)
        return
    effects.tell(Event("stream-read", message.group))
    effects.send(sender, m.Answer(message.number, 200, body), NOTHING)


def _records(node: StorageNode, state: Partition, message: ReadShard, effects: Effects) -> dict[str, JSON]:
    now_ns = _age_now_ns(node, state, effects)
    shard = _shard(state, message.label, message.shard, now_ns)
    if shard is None:
        if all(other.stream.label != message.label for other in [*state.shards, *state.feed]):
            raise no_such_stream(state.spec.table, message.label)
        raise trimmed_data_access()
    if node.admission is not None and not _may_read(node, message, effects.now_ns):
        raise limit_exceeded(TEXTS["too-many-readers"])
    kept, trimmed = shard.kept_from(now_ns - shard.stream.keep_s * SECOND)
    if message.after < trimmed:
        raise trimmed_data_access()
    first = max(kept, shard.behind(message.after))
    told = streams.page_of(shard.changes[first : first + message.limit], message.limit)
    records = [feeds.record_body(change, shard, state.spec.table) for change in told]
    after = told[-1].number if told else message.after
    done = bool(shard.ended) and first + len(told) == len(shard.changes)
    return {"Records": as_json(records), "After": after, "Done": done}


def _may_read(node: StorageNode, message: ReadShard, now_ns: Nanoseconds) -> bool:
    """Whether this is one of the few readers of the shard, if readers are counted at all."""
    place = f"{message.group} {message.shard}"
    readers = {
        reader: last_ns
        for reader, last_ns in node.readers.pop(place, {}).items()
        if now_ns - last_ns < READER_NS and reader != message.reader
    }
    if len(node.readers) >= READ_SHARDS_MAX:
        node.readers.pop(next(iter(node.readers)))
    node.readers[place] = readers
    if len(readers) >= streams.READERS_MAX:
        return False
    readers[message.reader] = now_ns
    return True


def _leading(
    node: StorageNode, sender: Address, message: ListShards | FindShard | ReadShard, effects: Effects
) -> Partition | None:
    """The partition's state, if this node may serve it; else the sender is told where to go."""
    replica = node.serving(sender, message.group, message.number, effects, deleted_too=True)
    if replica is None:
        return None
    assert isinstance(replica.state, Partition)
    return replica.state


def _age_now_ns(node: StorageNode, state: Partition, effects: Effects) -> Nanoseconds:
    """Now, for the age of records: the clock, or log time where that is ahead of it."""
    lead = node.replicas[state.spec.group].leading
    return max(0 if lead is None else lead.wall_ns(effects.wall_ns), state.log_time_ns)


def _shard(state: Partition, label: str, name: str, now_ns: Nanoseconds) -> Shard | None:
    """The shard of that name, unless all of it is too old."""
    for shard in [*state.shards, *state.feed]:
        if shard.id == name and shard.stream.label == label and not _is_gone(shard, now_ns):
            return shard
    return None


def _is_gone(shard: Shard, now_ns: Nanoseconds) -> bool:
    return bool(shard.ended) and shard.closed_ns <= now_ns - shard.stream.keep_s * SECOND


def _refuse(sender: Address, number: int, error: DynamoError, effects: Effects) -> None:
    effects.send(sender, m.Answer(number, error.status, as_json(error.body()), error.code), NOTHING)
