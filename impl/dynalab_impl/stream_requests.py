"""What a router does for streams: it asks the catalog which streams there are, and walks a table's partitions for the
shards that they hold.

These functions work on a `Router`, kept in a room of their own. A client request becomes a few of the router's own, one
after the other: about the stream (the catalog), then each partition in the order of its keys. Partitions may be split
during the walk: a closed shard stays with the half that holds the partition's first key, so none is missed, and none is
told twice.

An iterator says where its shard lies, so GetRecords asks one partition: whichever holds that key now. It is read by the
clock of the router: a quarter of an hour after it was given it has expired.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from dynalab_impl.batching import Part
from dynalab_impl.effects import JSON, NOTHING, Effects, Response
from dynalab_impl.jsons import as_json
from dynalab_impl.pending import Pending
from dynalab_impl.stream_messages import FindShard, ListShards, Question, ReadShard, StreamStep
from dynalab_impl.table_entry import DESCRIBE_STREAM
from dynalab_model import streams
from dynalab_model.errors import expired_iterator, resource_not_found_text
from dynalab_model.operations import DescribeStream, GetRecords, GetShardIterator, ReadSettings, StreamOperation
from dynalab_model.stream_settings import no_such_stream

if TYPE_CHECKING:
    from dynalab_impl.router import Router

READER_BITS = 32


@dataclass(slots=True)
class Walk:
    """A request about a stream: what is known of the stream, and of its shards so far. `iterator` is that of a
    GetRecords.
    """

    asked: Pending
    operation: StreamOperation
    label: str
    table: str  # under which its partitions are found: another name than the client's when the table has gone
    known: dict[str, JSON] = field(default_factory=dict)
    shards: list[streams.ShardInfo] = field(default_factory=list)
    iterator: streams.Iterator | None = None


def begin(router: Router, pending: Pending, effects: Effects) -> None:
    """Take a request of the streams' service apart."""
    operation = cast(StreamOperation, pending.operation)
    if not isinstance(operation, GetRecords):
        _ask_catalog(router, Walk(pending, operation, operation.label, operation.table), effects)
        return
    iterator = streams.iterator_of(operation.iterator)
    if effects.wall_ns >= iterator.issued_ns + streams.ITERATOR_NS:
        router.finish_with(pending, expired_iterator(), effects)
        return
    walk = Walk(pending, operation, iterator.label, operation.table, iterator=iterator)
    _hold(router, walk)
    if iterator.home is None:
        _ask(router, walk, b"", _find(walk, iterator.shard, "TRIM_HORIZON"), effects)
    else:
        _read(router, walk, iterator, iterator.home, effects)


def take(router: Router, part: Pending, outcome: Part, effects: Effects) -> None:
    """One question has its answer."""
    walk = cast(Walk, router.batches.pop(part.batch))
    if outcome.error == "ResourceNotFoundException" and walk.iterator is not None and not walk.known:
        _ask_catalog(router, walk, effects)  # the table may have gone, and its stream not
        return
    if outcome.status != 200:
        _fail(router, walk, outcome, effects)
        return
    operation, body, spec = walk.operation, outcome.body, part.spec
    if isinstance(part.operation, ReadSettings):
        walk.known, walk.table = body, str(body["Table"])
        if walk.iterator is not None and walk.iterator.home is not None:
            _hold(router, walk)
            _read(router, walk, walk.iterator, walk.iterator.home, effects)
        else:
            _go_on(router, walk, b"", effects)
        return
    assert spec is not None, "a partition has answered"
    if isinstance(operation, DescribeStream):
        walk.shards += [streams.ShardInfo(*shard) for shard in as_json(body["Shards"])]
        if spec.high:
            _go_on(router, walk, spec.high, effects)
            return
        assert spec.schema is not None
        page: dict[str, object] = {
            "ExclusiveStartShardId": operation.start,
            "Limit": operation.limit,
            "ChildrenOf": operation.children_of,
        }
        view, status = str(walk.known["StreamViewType"]), str(walk.known["StreamStatus"])
        told = streams.describe_stream(spec.schema, walk.label, view, status, walk.shards, page)
        _answer(walk, as_json(told), effects)
    elif "Records" in body:
        assert walk.iterator is not None
        answer: dict[str, JSON] = {"Records": body["Records"]}
        if not body["Done"]:
            place = replace(walk.iterator, after=as_json(body["After"]), issued_ns=effects.wall_ns)
            answer["NextShardIterator"] = streams.iterator_text(place)
        _answer(walk, answer, effects)
    elif "After" in body:
        _found(router, walk, as_json(body["After"]), spec.low, effects)
    elif spec.high:
        _go_on(router, walk, spec.high, effects)
    else:
        shard = (
            operation.shard if isinstance(operation, GetShardIterator) else cast(streams.Iterator, walk.iterator).shard
        )
        error = resource_not_found_text(f"Shard: {shard}")
        _fail(router, walk, Part(error.status, as_json(error.body()), error.code), effects)


def _found(router: Router, walk: Walk, after: int, low: bytes, effects: Effects) -> None:
    """The partition that begins at `low` holds the shard."""
    operation, iterator = walk.operation, walk.iterator
    if iterator is not None:
        _hold(router, walk)
        _read(router, walk, iterator, low, effects)
        return
    assert isinstance(operation, GetShardIterator)
    reader = effects.random_bits(READER_BITS)
    place = streams.Iterator(operation.table, walk.label, operation.shard, after, effects.wall_ns, low, reader)
    _answer(walk, {"ShardIterator": streams.iterator_text(place)}, effects)


def _go_on(router: Router, walk: Walk, key: bytes, effects: Effects) -> None:
    """Ask the partition that holds this key."""
    operation = walk.operation
    _hold(router, walk)
    if isinstance(operation, DescribeStream):
        _ask(router, walk, key, ListShards("", 0, walk.label), effects)
    elif isinstance(operation, GetShardIterator):
        question = FindShard("", 0, walk.label, operation.shard, operation.kind, operation.number, operation.time_ns)
        _ask(router, walk, key, question, effects)
    else:
        assert walk.iterator is not None
        _ask(router, walk, key, _find(walk, walk.iterator.shard, "TRIM_HORIZON"), effects)


def _find(walk: Walk, shard: str, kind: str) -> FindShard:
    return FindShard("", 0, walk.label, shard, kind, 0, 0)


def _read(router: Router, walk: Walk, iterator: streams.Iterator, home: bytes, effects: Effects) -> None:
    limit = cast(GetRecords, walk.operation).limit
    question = ReadShard("", 0, walk.label, iterator.shard, iterator.after, limit, iterator.reader)
    _ask(router, walk, home, question, effects)


def _ask(router: Router, walk: Walk, key: bytes, question: Question, effects: Effects) -> None:
    router.bind(router.part_of(walk.asked, 0, StreamStep(walk.table, key, question)), effects)


def _ask_catalog(router: Router, walk: Walk, effects: Effects) -> None:
    _hold(router, walk)
    about = ReadSettings(DESCRIBE_STREAM, walk.operation.table, walk.label)
    router.ask_catalog(router.part_of(walk.asked, 0, about), effects)


def _hold(router: Router, walk: Walk) -> None:
    """The request waits for an answer to one of its own."""
    router.pending.pop(walk.asked.number, None)
    router.batches[walk.asked.number] = walk


def _answer(walk: Walk, body: dict[str, JSON], effects: Effects) -> None:
    effects.reply(walk.asked.token, Response(200, body, None), NOTHING)


def _fail(router: Router, walk: Walk, outcome: Part, effects: Effects) -> None:
    """What went wrong, in the words of streams where the table was not there any more."""
    text = str(outcome.body.get("message", ""))
    if outcome.error == "ResourceNotFoundException" and not text.endswith(" not found"):
        error = no_such_stream(walk.operation.table, walk.label)
        outcome = Part(error.status, as_json(error.body()), error.code)
    effects.reply(walk.asked.token, Response(outcome.status, outcome.body, outcome.error or None), NOTHING)
