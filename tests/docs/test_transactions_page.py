"""The requests of docs/reference/transactions.md and what they are answered, as a golden transcript.

Model and replicated service are asked both, and must agree. `pytest tests/docs/test_transactions_page.py
--rewrite-transcripts` writes it anew; read the difference first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynalab.differential.lockstep import Pair
from dynalab_model.errors import DynamoError

FILE = Path(__file__).parents[2] / "docs" / "transcripts" / "transactions.txt"

CREATE: dict[str, object] = {
    "TableName": "Owned",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("player", "what")],
    "KeySchema": [{"AttributeName": "player", "KeyType": "HASH"}, {"AttributeName": "what", "KeyType": "RANGE"}],
}


def of(what: str) -> dict[str, Any]:
    return {"TableName": "Owned", "Key": {"player": {"S": "Hammer57"}, "what": {"S": what}}}


def put(what: str, amount: int) -> dict[str, Any]:
    return {"Put": {"TableName": "Owned", "Item": {**of(what)["Key"], "n": {"N": str(amount)}}}}


def update(what: str, change: str, **more: Any) -> dict[str, Any]:
    return {"Update": {**of(what), "UpdateExpression": change, **more}}


def pay(operator: str) -> dict[str, Any]:
    price = {":price": {"N": "400"}}
    return update(
        "coins",
        "SET n = n - :price",
        ConditionExpression=f"n {operator} :price",
        ExpressionAttributeValues=price,
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )


HEAL = update("health", "SET n = :full", ExpressionAttributeValues={":full": {"N": "100"}})
ALIVE = {
    "ConditionCheck": {
        **of("health"),
        "ConditionExpression": "n > :zero",
        "ExpressionAttributeValues": {":zero": {"N": "0"}},
    }
}
READ = [{"Get": of(what)} for what in ("coins", "health", "sword")]
STEPS: list[tuple[str, str, dict[str, Any]]] = [
    ("put coins = 400, health = 10", "TransactWriteItems", {"TransactItems": [put("coins", 400), put("health", 10)]}),
    ("health = 100, coins - 400 if coins > 400", "TransactWriteItems", {"TransactItems": [HEAL, pay(">")]}),
    (
        "health = 100, coins - 400 if coins >= 400; token t",
        "TransactWriteItems",
        {"TransactItems": [HEAL, pay(">=")], "ClientRequestToken": "t"},
    ),
    (
        "the same again; token t",
        "TransactWriteItems",
        {"TransactItems": [HEAL, pay(">=")], "ClientRequestToken": "t"},
    ),
    ("put sword = 1; token t", "TransactWriteItems", {"TransactItems": [put("sword", 1)], "ClientRequestToken": "t"}),
    ("read coins, health and sword", "TransactGetItems", {"TransactItems": READ}),
    ("put sword = 1, if health > 0", "TransactWriteItems", {"TransactItems": [put("sword", 1), ALIVE]}),
    (
        "put sword = 1, change a part of a key, delete a key that is not whole",
        "TransactWriteItems",
        {
            "TransactItems": [
                put("sword", 1),
                update("health", "SET #w = #w + :one", ExpressionAttributeNames={"#w": "what"},
                       ExpressionAttributeValues={":one": {"N": "1"}}),
                {"Delete": {"TableName": "Owned", "Key": {"player": {"S": "Hammer57"}}}},
            ]
        },
    ),
    ("two actions on coins", "TransactWriteItems", {"TransactItems": [put("coins", 1), pay(">=")]}),
    (
        "INSERT of a shield; DELETE of the sword if n = 1",
        "ExecuteTransaction",
        {
            "TransactStatements": [
                {"Statement": "INSERT INTO Owned VALUE {'player': 'Hammer57', 'what': 'shield'}"},
                {"Statement": "DELETE FROM Owned WHERE player = 'Hammer57' AND what = 'sword' AND n = 1"},
            ]
        },
    ),
]  # fmt: skip


def told(pair: Pair, title: str, operation: str, body: dict[str, Any]) -> str:
    """One request: what it was answered, reason by reason, and what it cost."""
    answer = pair.call(operation, {**body, "ReturnConsumedCapacity": "TOTAL"})
    lines = [f"> {title}"]
    if isinstance(answer, DynamoError):
        lines.append(f"  ! {answer.code}" + ("" if answer.extra else f": {answer.message}"))
        reasons: Any = answer.extra.get("CancellationReasons", ())
        for reason in reasons:
            lines.append(f"    {reason['Code']}" + (f": {reason['Message']}" if "Message" in reason else ""))
            if "Item" in reason:
                lines.append(f"      it is {reason['Item']['n']['N']}")
        return "\n".join(lines)
    result: Any = answer
    for member in result.get("Responses", ()) if operation == "TransactGetItems" else ():
        lines.append(f"  = {member['Item']['n']['N']}" if member else "  = nothing")
    (consumed,) = result["ConsumedCapacity"]
    access = "Write" if "WriteCapacityUnits" in consumed else "Read"
    lines.append(f"  {consumed['CapacityUnits']:g} {access.lower()} units")
    return "\n".join(lines)


def test_the_page_shows_what_transactions_answer(request: pytest.FixtureRequest) -> None:
    pair = Pair()
    pair.call("CreateTable", CREATE)
    pair.wait_active("Owned")
    text = "\n\n".join(told(pair, *step) for step in STEPS) + "\n"
    if request.config.getoption("--rewrite-transcripts"):
        FILE.write_text(text)
    assert text == FILE.read_text(), "rewrite the transcript and read what changed"
