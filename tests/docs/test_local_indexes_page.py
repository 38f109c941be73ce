"""The requests of docs/reference/local-indexes.md and what they are answered, as a golden transcript.

Model and replicated service are asked both, and must agree. `pytest tests/docs/test_local_indexes_page.py
--rewrite-transcripts` writes it anew; read the difference first.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dynalab.differential.lockstep import Pair
from dynalab_model.errors import DynamoError

FILE = Path(__file__).parents[2] / "docs" / "transcripts" / "local-indexes.txt"

CREATE: dict[str, object] = {
    "TableName": "Thread",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": kind} for name, kind in (("forum", "S"), ("subject", "S"), ("at", "N"))
    ],
    "KeySchema": [{"AttributeName": "forum", "KeyType": "HASH"}, {"AttributeName": "subject", "KeyType": "RANGE"}],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "by_time",
            "KeySchema": [{"AttributeName": "forum", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
}
TEXT = {"S": "…" * 300}  # three bytes each
UPDATE = {"Key": {"forum": {"S": "S3"}, "subject": {"S": "keys"}}}
QUERY = {
    "IndexName": "by_time",
    "KeyConditionExpression": "forum = :f",
    "ExpressionAttributeValues": {":f": {"S": "S3"}},
    "ConsistentRead": True,
}
STEPS: list[tuple[str, str, dict[str, Any]]] = [
    *(
        (
            f"put {subject}" + (f" at {at}" if at else ", without a time"),
            "PutItem",
            {
                "Item": {"forum": {"S": "S3"}, "subject": {"S": subject}, "body": TEXT}
                | ({"at": {"N": str(at)}} if at else {})
            },
        )
        for subject, at in (("limits", 30), ("keys", 10), ("buckets", 20), ("drafts", 0))
    ),
    ("query by_time", "Query", QUERY),
    ("query by_time, the newest two", "Query", {**QUERY, "ScanIndexForward": False, "Limit": 2}),
    ("query by_time for all attributes", "Query", {**QUERY, "Select": "ALL_ATTRIBUTES"}),
    (
        "move keys to 40",
        "UpdateItem",
        {**UPDATE, "UpdateExpression": "SET #a = :a", "ExpressionAttributeNames": {"#a": "at"},
         "ExpressionAttributeValues": {":a": {"N": "40"}}},
    ),
    (
        "change the text of keys",
        "UpdateItem",
        {**UPDATE, "UpdateExpression": "SET body = :b", "ExpressionAttributeValues": {":b": {"S": "short"}}},
    ),
    ("query by_time", "Query", QUERY),
    ("delete keys", "DeleteItem", {**UPDATE, "ReturnItemCollectionMetrics": "SIZE"}),
]  # fmt: skip


def told(pair: Pair, title: str, operation: str, body: dict[str, Any]) -> str:
    """One request: the rows that it showed, where it goes on, and what it cost."""
    answer = pair.call(operation, {"TableName": "Thread", **body, "ReturnConsumedCapacity": "INDEXES"})
    assert not isinstance(answer, DynamoError), answer
    result: Any = answer
    lines = [f"> {title}"]
    for item in result.get("Items", ()):
        shown = " ".join(str(next(iter(item[name].values()))) for name in ("at", "subject"))
        lines.append(f"  = {shown}" + (", with its text" if "body" in item else ""))
    if "LastEvaluatedKey" in result:
        lines.append(f"  goes on behind {json.dumps(result['LastEvaluatedKey'])}")
    if "ItemCollectionMetrics" in result:
        low, high = result["ItemCollectionMetrics"]["SizeEstimateRangeGB"]
        lines.append(f"  the collection has {low:g} to {high:g} GB")
    consumed = result["ConsumedCapacity"]
    entries = consumed.get("LocalSecondaryIndexes", {"by_time": {"CapacityUnits": 0}})["by_time"]["CapacityUnits"]
    lines.append(f"  units: {consumed['Table']['CapacityUnits']:g} for the table, {entries:g} for the index")
    return "\n".join(lines)


def test_the_page_shows_what_local_indexes_do(request: pytest.FixtureRequest) -> None:
    pair = Pair()
    pair.call("CreateTable", CREATE)
    pair.wait_active("Thread")
    text = "\n\n".join(told(pair, *step) for step in STEPS) + "\n"
    if request.config.getoption("--rewrite-transcripts"):
        FILE.write_text(text)
    assert text == FILE.read_text(), "rewrite the transcript and read what changed"
