"""Records what the clients of an endpoint did and saw, as a history that `dynalab check` reads.

Rules of this room:

1. A history says what clients saw: a 500 is `info`, whatever happened inside; a 4xx is `fail`.
2. Single-item operations on whole items are recorded: PutItem, UpdateItem, DeleteItem, and GetItem without a
   projection. A process is a connection; after an `info` it goes on under a new id, in the same session.
3. Writes are asked for the old item even if the client did not want it (it is taken out of the answer again): with old
   values the order of versions is known, and judging is fast. An item is recorded as the value of its only attribute
   besides the key if that is a string or a whole number, else as a digest.
4. An UpdateItem whose outcome or result is unknown wrote an unknown value: the history of its key is left out from then
   on, and `left_out` names the key, as for keys that a batch or a statement wrote. Guessing would accuse the service
   falsely.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from copy import copy
from time import monotonic_ns
from typing import TypeAlias, cast

from dynalab.endpoint.service import Answer
from dynalab_impl.effects import JSON, Response
from dynalab_model.errors import DynamoError
from dynalab_model.items import apply_write
from dynalab_model.operations import (
    BatchExecuteStatement,
    BatchWriteItem,
    DeleteItem,
    ExecuteStatement,
    GetItem,
    Operation,
    PutItem,
    UpdateItem,
    WriteOperation,
)
from dynalab_model.partiql import translate
from dynalab_model.schema import TableSchema
from dynalab_model.values import AttributeValue, Item

EVENTS_MAX = 1_000_000
Scalar: TypeAlias = str | int | None
_Event: TypeAlias = dict[str, JSON]


class Recorder:
    """Events in the order in which they happened. `schemas` must hold the tables whose operations are to be
    recorded.
    """

    def __init__(self) -> None:
        self.schemas: dict[str, TableSchema] = {}
        self.clear()

    def clear(self) -> None:
        """Forget the events, and begin a new history at time zero. What is still under way is not part of it."""
        self._events: list[_Event] = []
        self._began_ns = monotonic_ns()
        self._era = getattr(self, "_era", 0) + 1
        self._free: dict[int, list[int]] = {}  # connection → idle process ids
        self._processes = 0
        self.left_out: set[str] = set()
        self.dropped = 0  # invocations that came after EVENTS_MAX

    def watch(self, operation: Operation, connection: int, answer: Answer) -> Answer:
        """Record an invocation; what to call with the response instead of `answer`. May change what the operation
        returns.
        """
        self._leave_out(operation)
        if not isinstance(operation, GetItem | PutItem | UpdateItem | DeleteItem):
            return answer
        schema = self.schemas.get(operation.table)
        if schema is None or (isinstance(operation, GetItem) and (operation.projection or operation.legacy)):
            return answer
        if len(self._events) >= EVENTS_MAX:
            self.dropped += 1
            return answer
        key_item = operation.item if isinstance(operation, PutItem) else operation.key
        if any(name not in key_item for name in schema.key.names):
            return answer  # the service will refuse it
        key = _key(schema, key_item)
        process = self._take_process(connection)
        event: _Event = {"f": _FUNCTIONS[type(operation)], "key": key}
        if isinstance(operation, GetItem):
            event["consistency"] = "strong" if operation.consistent else "eventual"
        elif isinstance(operation, PutItem):
            event["value"] = digest(schema, operation.item)
        self._add(event, process, "invoke", connection)
        era, asked = self._era, copy(operation)
        if not isinstance(operation, GetItem):
            operation.return_values = operation.return_on_failure = "ALL_OLD"

        def answered(response: Response) -> None:
            if era == self._era:
                self._complete(operation, schema, response, event, process, connection)
            answer(response if isinstance(asked, GetItem) else _as_asked(asked, schema, response))

        return answered

    def _leave_out(self, operation: Operation) -> None:
        """Writes of a batch and of statements are not recorded, so nothing may be said of their keys."""
        for write in self._writes(operation):
            schema = self.schemas.get(write.table)
            key_item = write.item if isinstance(write, PutItem) else write.key
            if schema is not None and all(name in key_item for name in schema.key.names):
                self.left_out.add(_key(schema, key_item))

    def _writes(self, operation: Operation) -> Iterator[WriteOperation]:
        if isinstance(operation, BatchWriteItem):
            yield from operation.writes
        elif isinstance(operation, BatchExecuteStatement):
            for member in operation.statements:
                if isinstance(member, ExecuteStatement):
                    yield from self._writes(member)
        elif isinstance(operation, ExecuteStatement) and operation.table in self.schemas:
            try:
                requests = translate(self.schemas[operation.table], operation).requests
            except DynamoError:
                return  # the service will refuse it
            yield from (one for one in requests if isinstance(one, PutItem | UpdateItem | DeleteItem))

    def lines(self) -> Iterator[str]:
        """The history as JSON lines."""
        hidden = self.left_out | {str(event["key"]) for event in self._events if event["f"] == "update"}
        # `index` counts the lines that are written: one that is left out leaves no gap.
        index = 0
        for event in self._events:
            if event["key"] not in hidden:
                yield json.dumps({"index": index, **event})
                index += 1

    def __len__(self) -> int:
        return len(self._events)

    def _complete(
        self,
        operation: GetItem | PutItem | UpdateItem | DeleteItem,
        schema: TableSchema,
        response: Response,
        invocation: _Event,
        process: int,
        connection: int,
    ) -> None:
        body = response.body
        if response.status >= 500:
            if isinstance(operation, UpdateItem):
                self.left_out.add(str(invocation["key"]))
            self._add({"f": invocation["f"], "key": invocation["key"]}, process, "info", connection)
            return  # the process id is not used again
        self._free.setdefault(connection, []).append(process)
        event: _Event = {"f": invocation["f"], "key": invocation["key"]}
        if response.status != 200:
            if response.error == "ConditionalCheckFailedException":
                met = cast("Item | None", body.get("Item"))
                event["found"] = None if met is None else digest(schema, met)
            if isinstance(operation, UpdateItem):
                # It certainly wrote nothing, so any value will do; a name of its own is never mistaken for another.
                invocation.update({"f": "write", "value": f"refused-{process}-{invocation['time']}"})
                event.update({"f": "write", "value": invocation["value"]})
            self._add(event, process, "fail", connection)
            return
        if isinstance(operation, GetItem):
            found = body.get("Item")
            event["value"] = None if found is None else digest(schema, cast(Item, found))
        else:
            old = cast("Item | None", body.get("Attributes"))
            event["old"] = None if old is None else digest(schema, old)
            if isinstance(operation, UpdateItem):
                after = apply_write(schema, operation, old).item
                invocation.update({"f": "write", "value": None if after is None else digest(schema, after)})
                event["f"] = "write"
            if event["f"] == "write":
                event["value"] = invocation["value"]
        self._add(event, process, "ok", connection)

    def _add(self, event: _Event, process: int, kind: str, connection: int) -> None:
        event.update({"time": monotonic_ns() - self._began_ns, "process": process, "type": kind, "session": connection})
        self._events.append(event)

    def _take_process(self, connection: int) -> int:
        # Pipelined requests of one connection overlap, and operations of a process must not.
        free = self._free.get(connection)
        if free:
            return free.pop()
        self._processes += 1
        return self._processes


def _key(schema: TableSchema, item: Item) -> str:
    return "/".join([schema.name, *(str(_scalar(item[name])) for name in schema.key.names)])


def digest(schema: TableSchema, item: Item) -> Scalar:
    """A short value that stands for the item; equal items give equal values.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schema = TableSchema("t", KeySchema(KeyAttribute("pk", "S"), None))
    >>> digest(schema, {"pk": {"S": "k"}, "v": {"N": "7"}}), digest(schema, {"pk": {"S": "k"}, "v": {"S": "seven"}})
    (7, 'seven')
    """
    rest = [value for name, value in item.items() if name not in schema.key.names]
    if len(rest) == 1:
        short = _scalar(rest[0])
        if not isinstance(short, str) or not short.startswith("sha256:"):
            return short
    return _hashed(item)


def _scalar(value: AttributeValue) -> str | int:
    ((kind, content),) = value.items()
    if kind == "N" and isinstance(content, str) and content.lstrip("-").isdigit() and len(content) <= 15:
        return int(content)
    if kind == "S" and isinstance(content, str) and len(content) <= 64:
        return content
    return _hashed(value)


def _hashed(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]


def _as_asked(operation: PutItem | UpdateItem | DeleteItem, schema: TableSchema, response: Response) -> Response:
    """The answer without what only the recorder asked for."""
    body = dict(response.body)
    if response.status == 200:
        old = cast("Item | None", body.pop("Attributes", None))
        # The same pure function gave the service its answer, from the same item.
        attributes = None if operation.return_values == "NONE" else apply_write(schema, operation, old).attributes
        if attributes:
            body["Attributes"] = cast(JSON, attributes)
    elif operation.return_on_failure == "NONE":
        body.pop("Item", None)
    return Response(response.status, body, response.error)


_FUNCTIONS: dict[type, str] = {GetItem: "read", PutItem: "write", DeleteItem: "delete", UpdateItem: "update"}
