"""The feed of a table with a Kinesis destination: a stream of its own, which no client sees, kept by the same rules as
those that clients enable (`stream_shards`), beside them.

Rules:
- *Whoever carries changes to the destination reads the feed.* It begins with ENABLING and ends with DISABLING, in one
  slot of each partition's log, like every change of a table's form; what it told stays for as long as a stream's does.
- *The precision is the shard's.* A change of it closes the shard and opens another behind it: a record that is told
  twice, by whichever leader, has the same time both times.
- *A time for each change.* Times go on by a microsecond at least, also where log time stands still, and from a shard to
  its children: consumers have nothing else to put an item's changes in order by.
- *With its table a feed goes*, and what nobody has carried by then with it.

Functions of a `Partition`, kept in a room of their own; one without a destination has an empty list, and nothing is
done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from dynalab_impl import stream_shards
from dynalab_impl.effects import JSON, Nanoseconds, Timing
from dynalab_impl.entries import Entry, Form, GroupSpec, StreamForm
from dynalab_impl.stream_shards import Shard, Shards
from dynalab_model import kinesis, streams
from dynalab_model.streams import Change
from dynalab_model.values import Item

if TYPE_CHECKING:
    from dynalab_impl.partition import Partition

MARK = "#feed"  # behind a partition's name, in whose place shards of its feed are named
MICROSECOND_NS = 1_000


def feed_form(settings: Mapping[str, object], form: Form | None, timing: Timing) -> StreamForm | None:
    """The feed that a table with these settings has; `form` is what the table looked like before."""
    found = kinesis.feeding(settings)
    if found is None:
        return None
    label, precision = found["Label"], found["ApproximateCreationDateTimePrecision"]
    before = None if form is None else form.feed
    if before is not None and before.label == label:
        return before if before.precision == precision else replace(before, precision=precision)
    began = 0 if form is None else form.version + 1
    return StreamForm(label, kinesis.VIEW, timing.stream_roll_s, timing.stream_keep_s, began, precision)


def is_of_feed(shard: Shard) -> bool:
    return bool(shard.stream.precision)


def parted(shards: Shards) -> tuple[Shards, Shards]:
    """The shards of clients' streams, and those of the feed."""
    return [one for one in shards if not is_of_feed(one)], [one for one in shards if is_of_feed(one)]


def pass_time(partition: Partition, entry: Entry) -> None:
    """An entry is about to be applied."""
    shards = partition.feed
    floor_ns, last = _latest_ns(shards), shards[-1]
    stream_shards.pass_time(shards, partition.spec.group + MARK, entry.slot, entry.time_ns)
    if shards and shards[-1] is not last:
        shards[-1].floor_ns = floor_ns


def note(partition: Partition, entry: Entry, before: Item | None, after: Item | None, identity: str) -> None:
    """An item has changed."""
    time_ns = max(entry.time_ns, _latest_ns(partition.feed) + MICROSECOND_NS)
    stream_shards.note(partition.feed, partition.schema, entry.slot, time_ns, before, after, identity)


def reform(partition: Partition, form: Form) -> None:
    """The table has this feed from the next slot on, or none."""
    shards, feed = partition.feed, form.feed
    slot, time_ns, group = partition.applied + 1, partition.log_time_ns, partition.spec.group + MARK
    last = shards[-1].stream if shards and not shards[-1].ended else None
    floor_ns, count = _latest_ns(shards), len(shards)
    if last is not None and feed is not None and last.label == feed.label and last.precision != feed.precision:
        parent = stream_shards.close_one(shards, slot, time_ns)
        stream_shards.open_one(shards, group, feed, slot, time_ns, parent)
    else:
        stream_shards.reform(shards, group, feed, slot - 1, time_ns)
    if len(shards) > count:
        shards[-1].floor_ns = floor_ns


def divide(partition: Partition, left: Partition, right: Partition) -> None:
    """Give the halves of a partition their parts of its feed."""
    halves = (_marked(left.spec), _marked(right.spec))
    feed = None if partition.form is None else partition.form.feed
    floor_ns = _latest_ns(partition.feed)
    left.feed, right.feed = stream_shards.divide(partition.feed, halves, partition.applied, partition.log_time_ns, feed)
    partition.feed = []
    for shards in (left.feed, right.feed):
        if shards and not shards[-1].ended:
            shards[-1].floor_ns = floor_ns


def _latest_ns(shards: Shards) -> Nanoseconds:
    """The time of the latest change of the last shard, or that behind which its times begin."""
    if not shards:
        return 0
    return shards[-1].changes[-1].time_ns if shards[-1].changes else shards[-1].floor_ns


def _marked(spec: GroupSpec) -> GroupSpec:
    return replace(spec, group=spec.group + MARK)


def record_body(change: Change, shard: Shard, table: str) -> dict[str, JSON]:
    """A record as its reader gets it: of a feed as Kinesis has it."""
    if not is_of_feed(shard):
        return cast("dict[str, JSON]", streams.record_body(change, shard.stream.view, shard.id))
    return cast("dict[str, JSON]", kinesis.record_body(change, shard.id, table, shard.stream.precision))
