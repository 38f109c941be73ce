"""Streams of changes: what a record is, how shards, numbers and iterators are written (architecture.md §13; S146–S148,
S164–S169).

Rules:
- *A record for each effective change, in the order of each item's changes.* A write that leaves an item as it was has
  none; a put over an item is a MODIFY.
- *Numbers come from the log.* A change in slot s of its partition's log has a number from `slot_number(s)` on, so
  numbers grow along an item's whole life, also where its partition is split: the children's logs go on.
- *Iterators are values.* One says all that is needed to go on reading, and nobody keeps it: it is a text of bounded
  length, with a version, and whatever a client makes of it is checked when it comes back.

Nothing here knows a partition or a clock; times come in as arguments, in nanoseconds of Unix time.
"""

from __future__ import annotations

import base64
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final, TypeAlias, cast

from dynalab_model.errors import DynamoError, trimmed_data_access, validation
from dynalab_model.operations import GetShardIterator
from dynalab_model.schema import TableSchema
from dynalab_model.tables import DEFAULT_REGION, arn, key_elements
from dynalab_model.values import Item, equal_values, item_size

JsonBody: TypeAlias = "dict[str, object]"

INSERT: Final = "INSERT"
MODIFY: Final = "MODIFY"
REMOVE: Final = "REMOVE"

# View type → whether a record shows the old image, and the new one. The keys it always shows.
VIEWS: dict[str, tuple[bool, bool]] = {
    "KEYS_ONLY": (False, False),
    "NEW_IMAGE": (False, True),
    "OLD_IMAGE": (True, False),
    "NEW_AND_OLD_IMAGES": (True, True),
}

ENABLED: Final = "ENABLED"
DISABLED: Final = "DISABLED"
FEED: Final = "feed-"  # what the label of a stream begins with that no client may name: it goes to Kinesis
SERVICE: Final = "dynamodb.amazonaws.com"  # who removes expired items

KEEP_NS: Final = 24 * 3600 * 1_000_000_000  # how long a record may be read (S147, S169)
ROLL_NS: Final = 4 * 3600 * 1_000_000_000  # a shard is closed after about so long (architecture.md §13)
ITERATOR_NS: Final = 15 * 60 * 1_000_000_000
RECORDS_MAX: Final = 1_000
RECORDS_BYTES_MAX: Final = 1 << 20
SHARDS_MAX: Final = 100  # of one answer of DescribeStream
READERS_MAX: Final = 2  # of one shard at a time

NUMBERS_A_SLOT: Final = 1_000  # a transaction changes at most a hundred items
_NUMBER_BASE: Final = 10**20  # numbers are written with 21 digits and no leading zeros

ITERATOR_KINDS = ("TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "AT_TIMESTAMP")
_ITERATOR_VERSION: Final = 1
_HOME_BYTES_MAX: Final = 900  # an iterator has at most 2,048 characters

_LABEL = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}"
_ARN = re.compile(
    rf"arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]{{12}}:table/([a-zA-Z0-9_.-]{{3,255}})/stream/((?:{FEED})?{_LABEL})"
)


# --- records --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One effective change of an item, with what its stream's view type shows of it. `identity` says who made it,
    where that was no client.
    """

    number: int
    name: str
    time_ns: int
    keys: Item
    old: Item | None
    new: Item | None
    identity: str = ""

    @property
    def size_bytes(self) -> int:
        """SizeBytes of the record: the keys and the images that it shows."""
        return sum(item_size(part) for part in (self.keys, self.old, self.new) if part is not None)


def event_name(before: Item | None, after: Item | None) -> str:
    """What a change is called; "" for one that changes nothing.

    >>> event_name(None, {"n": {"N": "1"}}), event_name({"n": {"N": "1"}}, {"n": {"N": "2"}}), event_name(None, None)
    ('INSERT', 'MODIFY', '')
    """
    if before is None:
        return "" if after is None else INSERT
    if after is None:
        return REMOVE
    same = before == after or (
        before.keys() == after.keys() and all(equal_values(before[name], after[name]) for name in before)
    )
    return "" if same else MODIFY


def change_of(
    schema: TableSchema,
    view: str,
    number: int,
    time_ns: int,
    before: Item | None,
    after: Item | None,
    identity: str = "",
) -> Change | None:
    """The change as a stream of this view type tells it; None for a write that leaves the item as it was.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> change = change_of(schema, "NEW_IMAGE", 7, 0, {"pk": {"S": "a"}}, {"pk": {"S": "a"}, "n": {"N": "1"}})
    >>> change.name, change.keys, change.old, change.new
    ('MODIFY', {'pk': {'S': 'a'}}, None, {'pk': {'S': 'a'}, 'n': {'N': '1'}})
    """
    name = event_name(before, after)
    if not name:
        return None
    shows_old, shows_new = VIEWS[view]
    image = cast(Item, before if after is None else after)
    keys = {attribute: image[attribute] for attribute in schema.key.names}
    return Change(number, name, time_ns, keys, before if shows_old else None, after if shows_new else None, identity)


def event_id(shard: str, number: int) -> str:
    """What one change is known by, however often it is told.

    >>> event_id("shardId-0", 7) == event_id("shardId-0", 7) != event_id("shardId-0", 8)
    True
    """
    return blake2b(f"{shard}/{number}".encode(), digest_size=16).hexdigest()


def record_body(change: Change, view: str, shard: str, region: str = DEFAULT_REGION) -> JsonBody:
    """A record of GetRecords (API reference: Record)."""
    told: JsonBody = {
        "ApproximateCreationDateTime": change.time_ns // 1_000_000_000,
        "Keys": change.keys,
    }
    if change.new is not None:
        told["NewImage"] = change.new
    if change.old is not None:
        told["OldImage"] = change.old
    told["SequenceNumber"] = number_text(change.number)
    told["SizeBytes"] = change.size_bytes
    told["StreamViewType"] = view
    body: JsonBody = {
        "eventID": event_id(shard, change.number),
        "eventName": change.name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": region,
        "dynamodb": told,
    }
    if change.identity:
        body["userIdentity"] = {"PrincipalId": change.identity, "Type": "Service"}
    return body


# --- numbers, labels, names -----------------------------------------------------------------------------------------


def slot_number(slot: int) -> int:
    """The first number of a log's slot.

    >>> slot_number(3) < slot_number(3) + 99 < slot_number(4)
    True
    """
    return slot * NUMBERS_A_SLOT


def number_text(number: int) -> str:
    """A sequence number as clients see it: 21 digits, to be compared as integers.

    >>> number_text(7001), number_of(number_text(7001))
    ('100000000000000007001', 7001)
    """
    return str(_NUMBER_BASE + number)


def number_of(text: str) -> int:
    """The number that a client gives back; raises DynamoError for what cannot be one."""
    if not text.isascii() or not text.isdigit() or len(text) > 40 or int(text) < _NUMBER_BASE:
        raise validation(f"Invalid SequenceNumber: {text}")  # ours
    return int(text) - _NUMBER_BASE


def shard_id(origin: str, first: int) -> str:
    """The name of the shard that begins at this number in the log named `origin`. Sorted, parents come before their
    children.

    >>> shard_id("things/3.0", 12000)
    'shardId-00000000000000012000-000c3dfa9e785f55'
    """
    return f"shardId-{first:020d}-{blake2b(f'{origin}/{first}'.encode(), digest_size=8).hexdigest()}"


def label_of(time_ms: int) -> str:
    """A stream's label: when it was enabled.

    >>> label_of(1_432_155_070_252)
    '2015-05-20T20:51:10.252'
    """
    seconds, ms = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}"


def label_ms(label: str) -> int:
    """When a stream was enabled, in milliseconds.

    >>> label_ms("2015-05-20T20:51:10.252")
    1432155070252
    """
    label = label.removeprefix(FEED)
    whole = datetime.strptime(label[:-4], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return int(whole.timestamp()) * 1000 + int(label[-3:])


def stream_arn(table: str, label: str) -> str:
    """A stream's ARN.

    >>> stream_arn("Orders", "2015-05-20T20:51:10.252")
    'arn:aws:dynamodb:us-east-1:000000000000:table/Orders/stream/2015-05-20T20:51:10.252'
    """
    return f"{arn(table)}/stream/{label}"


def stream_of(text: str) -> tuple[str, str]:
    """Table and label of an ARN; raises DynamoError for anything else.

    >>> stream_of(stream_arn("Orders", "2015-05-20T20:51:10.252"))
    ('Orders', '2015-05-20T20:51:10.252')
    """
    found = _ARN.fullmatch(text)
    if found is None:
        raise validation(f"Invalid StreamArn: {text}")  # ours
    return found.group(1), found.group(2)


# --- iterators ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Iterator:
    """A place in a shard: the next record is the first one with a number greater than `after`.

    `home` is the first key of the partition that has the shard: it stays with whichever partition holds that key.
    None: it did not fit, and must be looked for. `reader` tells one reader from another.
    """

    table: str
    label: str
    shard: str
    after: int
    issued_ns: int
    home: bytes | None = b""
    reader: int = 0


def iterator_text(iterator: Iterator) -> str:
    """An iterator as clients carry it.

    >>> iterator = Iterator("Orders", "2015-05-20T20:51:10.252", shard_id("g", 0), -1, 5)
    >>> iterator_of(iterator_text(iterator)) == iterator
    True
    """
    home = iterator.home
    if home is not None and len(home) > _HOME_BYTES_MAX:
        home = None
    parts = (iterator.shard, iterator.after, iterator.issued_ns, iterator.reader, int(home is not None))
    packed = base64.urlsafe_b64encode("/".join(map(str, parts)).encode() + b"/" + (home or b"")).decode()
    return f"{stream_arn(iterator.table, iterator.label)}|{_ITERATOR_VERSION}|{packed}"


def iterator_of(text: str) -> Iterator:
    """The iterator that a client gives back; raises DynamoError for anything that was never one.

    >>> iterator_of("made up")
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: Invalid ShardIterator
    """
    name, _, rest = text.partition("|")
    version, _, packed = rest.partition("|")
    try:
        if version != str(_ITERATOR_VERSION):
            raise ValueError("not of this version")
        table, label = stream_of(name)
        parts = base64.b64decode(packed, altchars=b"-_", validate=True).split(b"/", 5)
        if len(parts) != 6:
            raise ValueError("not of so many parts")
        shard, home = parts[0].decode("ascii"), parts[5]
        after, issued_ns, reader, has_home = (int(part) for part in parts[1:5])
    except (ValueError, DynamoError) as error:  # whatever a client made of it
        raise validation("Invalid ShardIterator") from error  # ours
    return Iterator(table, label, shard, after, issued_ns, home if has_home else None, reader)


# --- descriptions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """A shard as it is described: `ended` is its last number, 0 while it is open."""

    id: str
    parent: str
    first: int
    ended: int

    def body(self) -> JsonBody:
        """As DescribeStream tells it."""
        numbers: JsonBody = {"StartingSequenceNumber": number_text(self.first)}
        if self.ended:
            numbers["EndingSequenceNumber"] = number_text(self.ended)
        body: JsonBody = {"ShardId": self.id, "SequenceNumberRange": numbers}
        if self.parent:
            body["ParentShardId"] = self.parent
        return body


def describe_stream(
    schema: TableSchema, label: str, view: str, status: str, shards: Sequence[ShardInfo], page: Mapping[str, object]
) -> JsonBody:
    """DescribeStream's answer, with a page of the shards in the order of their names. `page` may hold the request's
    Limit, ExclusiveStartShardId, and ChildrenOf: then only the children of that shard are told.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schema = TableSchema("T01", KeySchema(KeyAttribute("pk", "S")))
    >>> shards = [ShardInfo(shard_id("g", 0), "", 0, 9000), ShardInfo(shard_id("g", 9000), shard_id("g", 0), 9000, 0)]
    >>> told = describe_stream(schema, label_of(0), "NEW_IMAGE", ENABLED, shards, {"Limit": 1})["StreamDescription"]
    >>> len(told["Shards"]), told["LastEvaluatedShardId"] == shards[0].id
    (1, True)
    """
    start = cast("str | None", page.get("ExclusiveStartShardId"))
    children_of = cast("str | None", page.get("ChildrenOf"))
    limit = cast("int | None", page.get("Limit")) or SHARDS_MAX
    rest = sorted((one for one in shards if start is None or one.id > start), key=lambda one: one.id)
    if children_of is not None:
        rest = [one for one in rest if one.parent == children_of]
    body: JsonBody = {
        "StreamArn": stream_arn(schema.name, label),
        "StreamLabel": label,
        "StreamStatus": status,
        "StreamViewType": view,
        "CreationRequestDateTime": label_ms(label) / 1000,
        "TableName": schema.name,
        "KeySchema": key_elements(schema.key),
        "Shards": [one.body() for one in rest[:limit]],
    }
    if len(rest) > limit:
        body["LastEvaluatedShardId"] = rest[limit - 1].id
    return {"StreamDescription": body}


def list_streams(streams: Sequence[tuple[str, str]], start: str | None, limit: int) -> JsonBody:
    """A page of ListStreams: (table, label) in the order of their ARNs, after the ARN `start`.

    >>> list_streams([("T01", "2015-05-20T20:51:10.252")], None, 1)["Streams"][0]["StreamLabel"]
    '2015-05-20T20:51:10.252'
    """
    named = sorted((stream_arn(table, label), table, label) for table, label in streams)
    rest = [one for one in named if start is None or one[0] > start]
    told = [{"StreamArn": name, "TableName": table, "StreamLabel": label} for name, table, label in rest[:limit]]
    body: JsonBody = {"Streams": told}
    if len(rest) > limit:
        body["LastEvaluatedStreamArn"] = rest[limit - 1][0]
    return body


# --- reading --------------------------------------------------------------------------------------------------------


def place(
    shard: ShardInfo,
    op: GetShardIterator,
    trimmed: int,
    last: int,
    numbers: Sequence[int],
    times_ns: Sequence[int],
    now_ns: int,
) -> int:
    """The number behind which an iterator begins to read; raises DynamoError.

    `trimmed` is the last number that is not kept any more, `last` the latest of the shard so far; `numbers` and
    `times_ns` are those of the changes that are kept.

    >>> shard = ShardInfo(shard_id("g", 0), "", 1000, 0)
    >>> def begin(kind, number=0, time_ns=0):
    ...     op = GetShardIterator("T01", label_of(0), shard.id, kind, number, time_ns)
    ...     return place(shard, op, 2000, 5000, [3000, 5000], [30, 50], 60)
    >>> begin("TRIM_HORIZON"), begin("LATEST"), begin("AT_SEQUENCE_NUMBER", 3000), begin("AT_TIMESTAMP", time_ns=31)
    (2000, 5000, 2999, 3000)
    >>> begin("AFTER_SEQUENCE_NUMBER", 1000)
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: TrimmedDataAccessException: The data you are trying to access has been trimmed.
    """
    oldest = max(trimmed, shard.first - 1)
    if op.kind == "TRIM_HORIZON":
        return oldest
    if op.kind == "LATEST":
        return max(oldest, last)
    if op.kind == "AT_TIMESTAMP":
        if op.time_ns > now_ns:
            raise validation("Timestamp must not be in the future")  # ours
        kept = bisect_left(times_ns, op.time_ns)
        return oldest if kept == 0 else numbers[kept - 1]
    if op.number < shard.first or (shard.ended and op.number > shard.ended):
        raise validation(f"Invalid SequenceNumber: {number_text(op.number)} is not in the shard")  # ours
    after = op.number - 1 if op.kind == "AT_SEQUENCE_NUMBER" else op.number
    if after < trimmed:
        raise trimmed_data_access()
    return after


def page_of(changes: Sequence[Change], limit: int, bytes_max: int = RECORDS_BYTES_MAX) -> list[Change]:
    """The first of the changes, so many that they keep to the limit and to 1 MB; one at least if there is one.

    >>> changes = [Change(n, REMOVE, 0, {"pk": {"S": "x" * 400}}, None, None) for n in range(9)]
    >>> len(page_of(changes, 1000)), len(page_of(changes, 4)), len(page_of(changes, 1000, 1000))
    (9, 4, 2)
    """
    told: list[Change] = []
    size_bytes = 0
    for change in changes[:limit]:
        size_bytes += change.size_bytes
        if told and size_bytes > bytes_max:
            break
        told.append(change)
    return told
