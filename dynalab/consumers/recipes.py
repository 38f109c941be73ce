"""Functions for triggers, as guides give them: counting, archiving, a mail for everybody who is new. Each takes a
boto3-like DynamoDB client, so that it runs against the real service as well.

`CountTasksNaively` is the guide's, and wrong twice (S177, S178): it has no answer to a delete, and it counts again what
is handed to it again. `TaskCounter` is what it takes to be right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, cast

from dynalab.consumers.reading import Record, change_of, error_code, number_of

Event: TypeAlias = "Mapping[str, object]"

DELTAS = {"INSERT": 1, "MODIFY": 0, "REMOVE": -1}
EXPIRY_IDENTITY = "dynamodb.amazonaws.com"


class TableClient(Protocol):
    """What is needed of boto3's `client("dynamodb")`."""

    def put_item(self, **arguments: object) -> Mapping[str, object]: ...

    def update_item(self, **arguments: object) -> Mapping[str, object]: ...


def records_of(event: Event) -> Sequence[Record]:
    """The records of a batch."""
    return cast("Sequence[Record]", event["Records"])


def by_service(record: Record) -> bool:
    """Whether the service made the change by itself: an item has expired (S81)."""
    identity = cast("Mapping[str, str] | None", record.get("userIdentity"))
    return identity is not None and identity.get("principalId", identity.get("PrincipalId")) == EXPIRY_IDENTITY


@dataclass(frozen=True, slots=True)
class CountTasksNaively:
    """todoTaskCount as the guide has it: one more for every new image (S177). Wrong: see the module."""

    client: TableClient
    table: str = "todoTaskCount"

    def __call__(self, event: Event) -> None:
        for record in records_of(event):
            image = cast("Mapping[str, object] | None", change_of(record).get("NewImage"))
            if image is not None:
                self.client.update_item(
                    TableName=self.table,
                    Key={"ListId": image["ListId"]},
                    UpdateExpression="ADD tasks :one",
                    ExpressionAttributeValues={":one": {"N": "1"}},
                )


@dataclass(slots=True)
class TaskCounter:
    """todoTaskCount that is right: it knows deletes, and remembers in the count's own item which change of each task it
    has counted.

    A task's records come in the order of their numbers, and two tasks of a list may come in any: their shards may be
    two. So there is a number for each task. The same record again finds it there, and its condition fails. Count and
    number change in one write, so nothing can come between them. The number of a task that is gone must stay for as
    long as records may come again.
    """

    client: TableClient
    table: str = "todoTaskCount"
    counted: int = 0
    seen_before: int = 0

    def __call__(self, event: Event) -> None:
        for record in records_of(event):
            delta = DELTAS[str(record["eventName"])]
            if not delta:
                continue
            keys = cast("Mapping[str, Mapping[str, str]]", change_of(record)["Keys"])
            try:
                self.client.update_item(
                    TableName=self.table,
                    Key={"ListId": keys["ListId"]},
                    UpdateExpression="ADD tasks :delta SET #counted = :number",
                    ConditionExpression="attribute_not_exists(#counted) OR #counted < :number",
                    ExpressionAttributeNames={"#counted": f"counted {keys['TaskId']['S']}"},
                    ExpressionAttributeValues={":delta": {"N": str(delta)}, ":number": {"N": number_of(record)}},
                )
                self.counted += 1
            except Exception as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                self.seen_before += 1


@dataclass(frozen=True, slots=True)
class Archiver:
    """Puts what has expired into another table (S80, S81, S180), and only that: who deletes by hand wants it gone. A
    put of the same item again changes nothing.
    """

    client: TableClient
    table: str = "todoListTaskArchived"

    def __call__(self, event: Event) -> None:
        for record in records_of(event):
            if record["eventName"] == "REMOVE" and by_service(record):
                self.client.put_item(TableName=self.table, Item=change_of(record)["OldImage"])


@dataclass(slots=True)
class WelcomeMail:
    """A mail for each new account, none for a changed one (S77). `send` may be called twice for one account when a
    batch comes again: a mail is sent at least once, or it must know what it has sent, as here: as long as this object
    lives.
    """

    send: Callable[[Mapping[str, object]], None]
    sent: dict[str, bool] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        for record in records_of(event):
            event_id = str(record["eventID"])
            if record["eventName"] == "INSERT" and event_id not in self.sent:
                self.send(cast("Mapping[str, object]", change_of(record)["NewImage"]))
                self.sent[event_id] = True
