"""Carrying out a statement: one ordinary request after the other, and the answer that they add up to.

A `Run` sends nothing: whoever has one carries out `request`, hands its body to `take`, and goes on until `request` is
None. The reference state machine and the routers do the same. State is plain data.

Pages: `Limit` counts the items that are evaluated; one answer covers at most ten partition keys (measured), and ends
where a request's own page ended, or with a megabyte of items. `NextToken` says where the next page begins. It is
opaque, and bound to the statement and its parameters.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

from dynalab_model.batches import added_up
from dynalab_model.errors import DynamoError, duplicate_item
from dynalab_model.operations import DeleteItem, ExecuteStatement, GetItem, PutItem, Query, Scan, UpdateItem
from dynalab_model.pages import PAGE_BYTES
from dynalab_model.partiql.texts import refused
from dynalab_model.partiql.translate import Request, Translation, translate
from dynalab_model.schema import TableSchema
from dynalab_model.values import Item, item_size, validate_item

KEYS_OF_A_PAGE_MAX = 10

Response: TypeAlias = "dict[str, object]"


@dataclass(slots=True)
class Run:
    """A statement on its way: `place` is the request that is next, `left` how many more items may be evaluated."""

    op: ExecuteStatement
    requests: tuple[Request, ...]
    points: bool
    key: Item | None
    place: int = 0
    start_key: Item | None = None
    left: int | None = None
    done: int = 0
    ended: bool = False
    items: list[Item] = field(default_factory=list)
    items_bytes: int = 0
    last_key: Item | None = None
    consumed: Response | None = None

    @property
    def request(self) -> Request | None:
        """What is to be carried out next; None when the answer is complete."""
        if self.ended:
            return None
        request = self.requests[self.place]
        if isinstance(request, Query | Scan) and not self.points:
            return replace(request, limit=self.left, start_key=self.start_key)
        return request

    def take(self, body: Response) -> None:
        """The body that `request` came to."""
        request = self.requests[self.place]
        self._charge(body)
        if isinstance(request, PutItem | UpdateItem | DeleteItem):
            self._add([body["Attributes"]] if "Attributes" in body else [])
            self.ended = True
            return
        self.done += 1
        if isinstance(request, GetItem):
            found = [body["Item"]] if "Item" in body else []
            self._add(found)
            self._evaluated(len(found))
        else:
            self._add(cast("list[object]", body["Items"]))
            self._evaluated(cast(int, body["ScannedCount"]))
            self.last_key = None if self.points else cast("Item | None", body.get("LastEvaluatedKey"))
        if self.last_key is not None:
            self.ended = True
            return
        self.start_key = None
        self.place += 1
        full = self.done >= KEYS_OF_A_PAGE_MAX or self.left == 0 or self.items_bytes >= PAGE_BYTES
        self.ended = full or self.place == len(self.requests)

    def _add(self, items: list[object]) -> None:
        given = cast("list[Item]", items)
        self.items += given
        self.items_bytes += sum(map(item_size, given))

    def _evaluated(self, count: int) -> None:
        if self.left is not None:
            self.left = max(0, self.left - count)

    def _charge(self, body: Response) -> None:
        one = cast("Response | None", body.get("ConsumedCapacity"))
        if one is not None:
            self.consumed = one if self.consumed is None else added_up(self.consumed, one)

    def _is_read(self) -> bool:
        return isinstance(self.requests[0], GetItem | Query | Scan)

    def error(self, code: str) -> DynamoError | None:
        """What the statement says for an error of its request; None: the same."""
        inserting = isinstance(self.requests[0], PutItem)
        return duplicate_item() if inserting and code == "ConditionalCheckFailedException" else None

    def response(self) -> Response:
        """The body of ExecuteStatement: `Items` is always there, for a write too."""
        assert self.ended, "the answer is not complete"
        body: Response = {"Items": self.items}
        if self.last_key is not None:
            body["LastEvaluatedKey"] = self.last_key
        if self.last_key is not None or (self._is_read() and self.place < len(self.requests)):
            body["NextToken"] = _token(self.op, self.place, self.last_key)
        if self.consumed is not None:
            body["ConsumedCapacity"] = self.consumed
        return body


def begin(schema: TableSchema, op: ExecuteStatement) -> Run:
    """A statement on this table, ready to go; raises DynamoError.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> run = begin(TableSchema("T", KeySchema(KeyAttribute("pk", "S"))), ExecuteStatement("T", "SELECT * FROM T"))
    >>> type(run.request).__name__
    'Scan'
    >>> run.take({"Items": [{"pk": {"S": "a"}}], "Count": 1, "ScannedCount": 1})
    >>> run.request, run.response()
    (None, {'Items': [{'pk': {'S': 'a'}}]})
    """
    translation = translate(schema, op)
    run = Run(op, translation.requests, translation.points, translation.key, left=op.limit)
    if op.next_token is not None:
        run.place, run.start_key = _place(op, translation)
    return run


def _digest(op: ExecuteStatement) -> str:
    text = json.dumps([op.statement, op.parameters], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _token(op: ExecuteStatement, place: int, start_key: Item | None) -> str:
    text = json.dumps([_digest(op), place, start_key], separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).decode()


def _place(op: ExecuteStatement, translation: Translation) -> tuple[int, Item | None]:
    """Where a NextToken says to go on; refused when it is not one that this statement gave."""
    requests, points = translation.requests, translation.points
    assert op.next_token is not None
    try:
        digest, place, start_key = json.loads(urlsafe_b64decode(op.next_token.encode()))
        start_key = None if start_key is None else validate_item(start_key)
    except (ValueError, TypeError, RecursionError, DynamoError):
        raise refused("token") from None
    known = type(place) is int and 0 <= place < len(requests) and isinstance(requests[place], GetItem | Query | Scan)
    if digest != _digest(op) or not known or (start_key is not None and points):
        raise refused("token")
    return place, start_key
