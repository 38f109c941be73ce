"""The Kinesis data stream that a table's changes go to: enabling, updating and disabling it, and what a record of it
holds (operations.md §5; api.md §2 "Kinesis"; S149).

Rules:
- *One stream a table.* A second one is refused while the first is not DISABLED; what was disabled goes on being told.
- *States follow one another* as `STEPS` says. The first part of a step is a request's, the second comes by itself, when
  whoever carries it out knows of it everywhere: `settled` says what it leaves.
- *A record has no number*, only the time of its change, as exactly as the destination was told to: at least once, in no
  order (consistency.md, row 20).

Pure functions of a table's settings; times are milliseconds of Unix time where nothing else is said. Which error a
request in the wrong state gets is inferred, and so are the texts: the service's documents name ResourceInUseException,
ResourceNotFoundException and LimitExceededException, and do not say when.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias, cast

from dynalab_model.errors import INVALID, DynamoError, resource_not_found_text, table_in_use, validation
from dynalab_model.fields import named_table
from dynalab_model.operations import ChangeDestination, ReadSettings
from dynalab_model.shapes import REQUESTS
from dynalab_model.streams import FEED, Change, JsonBody, event_id, label_ms, label_of
from dynalab_model.tables import DEFAULT_REGION

Settings: TypeAlias = "Mapping[str, object]"
Destination: TypeAlias = "dict[str, str]"

SETTING: Final = "KinesisDestinations"  # the destinations of a table, the latest last
VIEW: Final = "NEW_AND_OLD_IMAGES"
DISABLED_MAX: Final = 10  # so many that were disabled are remembered; our choice

MILLISECOND: Final = "MILLISECOND"
NS_OF: Final[Mapping[str, int]] = {MILLISECOND: 1_000_000, "MICROSECOND": 1_000}  # of one unit of time

# Action → the state that it needs, the one that it leads to at once, and the one that follows by itself.
STEPS: Final[Mapping[str, tuple[str, str, str]]] = {
    "ENABLE": ("DISABLED", "ENABLING", "ACTIVE"),
    "UPDATE": ("ACTIVE", "UPDATING", "ACTIVE"),
    "DISABLE": ("ACTIVE", "DISABLING", "DISABLED"),
}
_FOLLOWING = {during: after for _, during, after in STEPS.values()}

OPERATIONS: Final[Mapping[str, str]] = {
    "EnableKinesisStreamingDestination": "ENABLE",
    "UpdateKinesisStreamingDestination": "UPDATE",
    "DisableKinesisStreamingDestination": "DISABLE",
}
_STREAM_ARN = re.compile(r"arn:[a-z-]+:kinesis:[a-z0-9-]+:[0-9]{12}:stream/[a-zA-Z0-9_.-]{1,128}")


def parse_change(name: str, body: JsonBody) -> ChangeDestination:
    """Enable, Update or DisableKinesisStreamingDestination from its JSON body; raises DynamoError. What is no ARN of a
    Kinesis stream is refused in our words, the missing configuration of an update in words that were seen.

    >>> arn = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
    >>> parse_change("EnableKinesisStreamingDestination", {"TableName": "Orders", "StreamArn": arn}).precision
    ''
    """
    table = REQUESTS[name].check_named(body, named_table)
    action, stream = OPERATIONS[name], cast(str, body["StreamArn"])
    if _STREAM_ARN.fullmatch(stream) is None:
        raise validation(f"Invalid StreamArn: {stream}")
    member = "UpdateKinesisStreamingConfiguration" if action == "UPDATE" else "EnableKinesisStreamingConfiguration"
    given = cast("dict[str, str] | None", body.get(member)) or {}
    precision = given.get("ApproximateCreationDateTimePrecision") or ""
    if action == "UPDATE" and not precision:
        raise validation(
            "Streaming destination cannot be updated with given parameters: UpdateKinesisStreamingConfiguration cannot "
            "be null or contain only null values"
        )
    return ChangeDestination(table, action, stream, precision)


def destinations(settings: Settings) -> list[Destination]:
    """A table's destinations, the latest last: at most one of them is not DISABLED. One that was enabled again is there
    twice: what was kept for it the first time has a label of its own.
    """
    return cast("list[Destination]", settings.get(SETTING) or [])


def change(op: ChangeDestination, settings: Settings, now_ms: int) -> tuple[dict[str, object], JsonBody]:
    """The settings that a request leaves, and its answer; raises DynamoError.

    >>> arn = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
    >>> settings, body = change(ChangeDestination("Orders", "ENABLE", arn), {}, 0)
    >>> body["DestinationStatus"]
    'ENABLING'
    >>> change(ChangeDestination("Orders", "DISABLE", arn), settings, 1)
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ResourceInUseException: Attempt to change a resource which is still in use: \
Table is being updated: Orders
    >>> change(ChangeDestination("Orders", "DISABLE", arn), settled(settings), 1)[1]["DestinationStatus"]
    'DISABLING'
    """
    known = destinations(settings)
    needed, during, _ = STEPS[op.action]
    if any(one["DestinationStatus"] in _FOLLOWING for one in known):
        raise table_in_use(op.table, "updated")
    if op.action == "ENABLE":
        if any(one["DestinationStatus"] != needed for one in known):
            raise _not_in_state(op)
        latest_ms = max((label_ms(one["Label"]) for one in known), default=-1)
        label = FEED + label_of(max(now_ms, latest_ms + 1))  # a label is used once
        made = {
            "StreamArn": op.stream,
            "DestinationStatus": during,
            "ApproximateCreationDateTimePrecision": op.precision or MILLISECOND,
            "Label": label,
        }
        changed = [*known[-DISABLED_MAX:], made]
    else:
        found = next((one for one in reversed(known) if one["StreamArn"] == op.stream), None)
        if found is None:
            raise resource_not_found_text(f"KinesisDataStreamDestination: {op.stream}")
        if found["DestinationStatus"] != needed:
            raise _not_in_state(op)
        if op.action == "UPDATE" and found["ApproximateCreationDateTimePrecision"] == op.precision:
            raise validation(f"{INVALID}Precision is already set to the desired value of {op.precision}")
        made = {**found, "DestinationStatus": during}
        if op.action == "UPDATE":
            made["ApproximateCreationDateTimePrecision"] = op.precision
        changed = [made if one is found else one for one in known]
    body: JsonBody = {"TableName": op.table, "StreamArn": op.stream, "DestinationStatus": during}
    if op.precision:
        member = (
            "UpdateKinesisStreamingConfiguration" if op.action == "UPDATE" else "EnableKinesisStreamingConfiguration"
        )
        body[member] = {"ApproximateCreationDateTimePrecision": op.precision}
    return {**settings, SETTING: changed}, body


def is_changing(settings: Settings) -> bool:
    """Whether a step is under way that ends by itself."""
    return any(one["DestinationStatus"] in _FOLLOWING for one in destinations(settings))


def settled(settings: Settings) -> dict[str, object]:
    """The settings when the step that was under way has ended."""
    known = [
        {**one, "DestinationStatus": _FOLLOWING.get(one["DestinationStatus"], one["DestinationStatus"])}
        for one in destinations(settings)
    ]
    return {**settings, SETTING: known}


def feeding(settings: Settings) -> Destination | None:
    """The destination that changes are kept for now: from the first moment of ENABLING to that of DISABLING."""
    for one in destinations(settings):
        if one["DestinationStatus"] not in ("DISABLING", "DISABLED"):
            return one
    return None


def describe(op: ReadSettings, status: str, settings: Settings) -> JsonBody:
    """What DescribeKinesisStreamingDestination answers: also destinations that were disabled."""
    latest: dict[str, Destination] = {}
    for one in destinations(settings):
        latest.pop(one["StreamArn"], None)
        latest[one["StreamArn"]] = {name: value for name, value in one.items() if name != "Label"}
    return {"TableName": op.table, "KinesisDataStreamDestinations": list(latest.values())}


def record_body(change: Change, shard: str, table: str, precision: str, region: str = DEFAULT_REGION) -> JsonBody:
    """A change as the service puts it into a Kinesis stream (developer guide, "Kinesis Data Streams for DynamoDB").

    >>> change = Change(1, "REMOVE", 1_700_000_000_123_456_789, {"pk": {"S": "a"}}, {"pk": {"S": "a"}}, None)
    >>> told = record_body(change, "shard", "Orders", "MICROSECOND")["dynamodb"]
    >>> told["ApproximateCreationDateTime"], told["SizeBytes"]
    (1700000000123456, 6)
    """
    told: JsonBody = {
        "ApproximateCreationDateTime": change.time_ns // NS_OF[precision],
        "ApproximateCreationDateTimePrecision": precision,
        "Keys": change.keys,
    }
    if change.new is not None:
        told["NewImage"] = change.new
    if change.old is not None:
        told["OldImage"] = change.old
    told["SizeBytes"] = change.size_bytes
    identity = {"principalId": change.identity, "type": "Service"} if change.identity else None
    return {
        "awsRegion": region,
        "eventID": event_id(shard, change.number),
        "eventName": change.name,
        "userIdentity": identity,
        "recordFormat": "application/json",
        "tableName": table,
        "dynamodb": told,
        "eventSource": "aws:dynamodb",
    }


def _not_in_state(op: ChangeDestination) -> DynamoError:
    needed = "DISABLED or ENABLE_FAILED" if op.action == "ENABLE" else STEPS[op.action][0]
    return validation(
        f"Table is not in a valid state to {op.action.lower()} Kinesis Streaming Destination: "
        f"{op.action.capitalize()}KinesisStreamingDestination must be {needed} to perform {op.action} operation."
    )
