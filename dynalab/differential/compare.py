"""What two services answered to one request, and in what the answers differ.

Taken away before comparing, because no document promises it: request ids, times, ARNs and states of tables; the order
of sets, of items in a Scan, in a batch and among equal keys of an index; and capacity of reads whose pages end
elsewhere for that reason. Everything else counts, texts of errors included.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from dynalab.differential.tables import Body

SETS = frozenset({"SS", "NS", "BS"})
# Made by each service for itself, or told late: never the same in two.
OWN = frozenset(
    {"TableArn", "IndexArn", "TableId", "ItemCount", "IndexSizeBytes", "TableSizeBytes", "TableStatus", "IndexStatus"}
)
PARTS_MAX = 12


@dataclass(frozen=True, slots=True)
class Answer:
    """A service's answer: HTTP status and JSON body. `unordered`: its items have no order that two services share."""

    status: int
    body: Body
    unordered: bool = False

    @property
    def says(self) -> str:
        """ "ok", or the error's short name and text.

        >>> Answer(400, {"__type": "com.amazonaws.dynamodb.v20120810#X", "message": "no"}).says
        'X: no'
        """
        if self.status == 200:
            return "ok"
        code = str(self.body.get("__type", f"HTTP {self.status}")).rpartition("#")[2]
        text = self.body.get("message", self.body.get("Message", ""))
        return f"{code}: {text}"


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which an answer of `them` is not ours. `part` is a path into the body, list positions left out; for
    answers that are errors on one side or both it is empty.
    """

    them: str
    operation: str
    ours: str
    theirs: str
    part: str = ""


def compare(them: str, operation: str, ours: Answer, theirs: Answer) -> list[Difference]:
    """Every difference of two answers.

    >>> compare("moto", "GetItem", Answer(200, {}), Answer(200, {"Item": {}}))
    [Difference(them='moto', operation='GetItem', ours='absent', theirs='{}', part='Item')]
    """
    if ours.status != 200 or theirs.status != 200:
        found = [] if ours.says == theirs.says else [Difference(them, operation, ours.says, theirs.says)]
        if not found and ours.status != theirs.status:
            found = [Difference(them, operation, f"HTTP {ours.status}", f"HTTP {theirs.status}")]
        if not found and ours.body.get("Item") != theirs.body.get("Item"):
            sides = (_told(ours.body.get("Item")), _told(theirs.body.get("Item")))
            found = [Difference(them, operation, *sides, "error.Item")]
        return found
    parts: dict[str, tuple[str, str]] = {}
    _differences(tidy(ours), tidy(theirs), "", parts)
    return [Difference(them, operation, one, other, part) for part, (one, other) in parts.items()]


def _differences(one: object, other: object, path: str, found: dict[str, tuple[str, str]]) -> None:
    if one == other or len(found) >= PARTS_MAX:
        return
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys([*one, *other]):
            inner = f"{path}.{name}" if path else str(name)
            if name not in one or name not in other:
                found.setdefault(inner, (_told(one.get(name)), _told(other.get(name))))
            else:
                _differences(one[name], other[name], inner, found)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for mine, yours in zip(one, other, strict=True):
            _differences(mine, yours, path + "[]", found)
    else:
        found.setdefault(path, (_told(one), _told(other)))


def _told(part: object) -> str:
    return "absent" if part is None else json.dumps(part, ensure_ascii=False)[:300]


def tidy(answer: Answer) -> Body:
    """The body without what is not promised.

    >>> tidy(Answer(200, {"Items": [{"a": {"SS": ["y", "x"]}}]}))
    {'Items': [{'a': {'SS': ['x', 'y']}}]}
    """
    body = cast("Body", _sorted_sets(answer.body))
    for name in ("Table", "TableDescription"):
        if isinstance(described := body.get(name), dict):
            for member in ("AttributeDefinitions", "GlobalSecondaryIndexes"):
                if isinstance(listed := described.get(member), list):
                    described[member] = in_order(listed)
    if "Responses" in body:
        responses = cast("Mapping[str, list[object]]", body["Responses"])
        body["Responses"] = {table: in_order(items) for table, items in sorted(responses.items())}
    if isinstance(body.get("ConsumedCapacity"), list):
        by_table = cast("list[Body]", body["ConsumedCapacity"])
        body["ConsumedCapacity"] = sorted(by_table, key=lambda each: str(each.get("TableName")))
    if answer.unordered and "Items" in body:
        body["Items"] = in_order(cast("list[object]", body["Items"]))
    return body


def in_order(items: list[object]) -> list[object]:
    """Sorted by their JSON text: for what has no order of its own."""
    return sorted(items, key=lambda each: json.dumps(each, sort_keys=True))


def _sorted_sets(part: object) -> object:
    if isinstance(part, list):
        return [_sorted_sets(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        name: sorted(each) if name in SETS and isinstance(each, list) else _sorted_sets(each)
        for name, each in part.items()
        if name not in OWN and not name.endswith("DateTime")
    }
