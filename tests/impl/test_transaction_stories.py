"""Two transactions as golden transcripts: one that is cancelled, and one whose coordinator dies in the middle.

`pytest tests/impl/test_transaction_stories.py --rewrite-transcripts` writes them anew; read the difference first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import SECOND, Lab

MakeLab = Callable[..., Lab]
HERE = Path(__file__).parents[2] / "docs" / "transcripts"  # the chapters show them
TOLD = ("transaction-", "item-", "token-", "read-transaction", "write-conflicted")
CHAPTER = HERE.parents[0] / "chapters" / "all-or-nothing.md"


class Telling:
    """A lab, and the lines of its story."""

    def __init__(self, lab: Lab, title: str) -> None:
        self.lab = lab
        self.begin = lab.simulation.now
        self.heard = len(lab.told)
        self.names = {lab.leader(key)[1]: f"the partition of {key}" for key in ("health", "coins")}
        self.lines = [title, ""]

    def stamp(self, at: int) -> str:
        return f"{(at - self.begin) // 1_000_000:6} ms"

    def flush(self) -> None:
        """Write down what the nodes have told since."""
        for at, who, event in self.lab.told[self.heard :]:
            if event.kind.startswith(TOLD):
                where = self.names.get(event.group, "" if event.group else event.detail)
                why = event.detail if event.kind == "item-refused" else ""
                line = f"{self.stamp(at)}  {who.node:8} {event.kind:22} {where} {why}"
                self.lines.append(line.rstrip())
        self.heard = len(self.lab.told)

    def say(self, what: str) -> None:
        self.flush()
        self.lines.append(f"{self.stamp(self.lab.simulation.now)}  > {what}")

    def text(self) -> str:
        self.flush()
        return "\n".join(self.lines) + "\n"


def prepared_lab(make_lab: MakeLab, coins: int) -> Lab:
    """Two items in two partitions, and a ledger that has been used."""
    lab = make_lab(nodes_per_zone=1, routers=2, partitions=4)
    lab.create()
    assert lab.leader("health")[1] != lab.leader("coins")[1]
    for router in (0, 1):
        for key, value in (("health", 20), ("coins", coins)):
            put = {"Put": {"TableName": "things", "Item": item(key, value)}}
            assert lab.call("TransactWriteItems", router, TransactItems=[put]).status == 200
    lab.run(2 * SECOND)
    return lab


def item(key: str, value: int) -> dict[str, Any]:
    return {"pk": {"S": key}, "v": {"N": str(value)}}


def buy(condition: str) -> dict[str, Any]:
    health = {"UpdateExpression": "SET v = :full", "ExpressionAttributeValues": {":full": {"N": "100"}}}
    coins = {
        "UpdateExpression": "SET v = v - :price",
        "ConditionExpression": condition,
        "ExpressionAttributeValues": {":price": {"N": "400"}},
    }
    updates = [("health", health), ("coins", coins)]
    actions = [{"Update": {"TableName": "things", "Key": {"pk": {"S": key}}, **more}} for key, more in updates]
    return {"TransactItems": actions, "ClientRequestToken": "purchase-1"}


def reasons(answer: Any) -> list[str]:
    return [reason["Code"] for reason in answer.body["CancellationReasons"]]


def held(lab: Lab, router: int = 0) -> list[int]:
    """Both items, by two single reads."""
    found: list[Any] = [
        lab.call("GetItem", router, TableName="things", Key={"pk": {"S": key}}, ConsistentRead=True).body["Item"]
        for key in ("health", "coins")
    ]
    return [int(one["v"]["N"]) for one in found]


def together(lab: Lab, router: int = 0) -> Any:
    gets = [{"Get": {"TableName": "things", "Key": {"pk": {"S": key}}}} for key in ("health", "coins")]
    return lab.call("TransactGetItems", router, TransactItems=gets)


def cancelled_transaction(make_lab: MakeLab) -> str:
    lab = prepared_lab(make_lab, 400)
    told = Telling(lab, "Health for 400 coins, with a condition that is wrong by one: v > :price.")
    told.say("router1: TransactWriteItems, token purchase-1")
    answer = lab.call("TransactWriteItems", **buy("v > :price"))
    told.say(f"{answer.error}: {reasons(answer)}")
    assert reasons(answer) == ["None", "ConditionalCheckFailed"]
    lab.run(SECOND // 10)
    told.say(f"health and coins: {held(lab)}")
    assert held(lab) == [20, 400]
    told.say("router2: the same once more, with the same token")
    again = lab.call("TransactWriteItems", 1, **buy("v > :price"))
    told.say(f"{again.error}: {reasons(again)}")
    assert again.body == answer.body
    told.say("router2: another request with that token")
    other = lab.call("TransactWriteItems", 1, **buy("v >= :price"))
    told.say(str(other.error))
    assert other.error == "IdempotentParameterMismatchException" and held(lab) == [20, 400]
    return told.text()


def recovered_transaction(make_lab: MakeLab) -> str:
    lab = prepared_lab(make_lab, 400)
    told = Telling(lab, "Its coordinator dies when both items are prepared. The client asks another router.")
    told.say("router1: TransactWriteItems, token purchase-1")
    lab.send("TransactWriteItems", 0, **buy("v >= :price"))
    while lab.kinds()[told.heard :].count("item-prepared") < 2:
        lab.run(10_000)
    lab.run(SECOND // 1000)
    lab.simulation.crash(lab.simulation.storage_count)
    told.say("router1 crashes")
    told.say(f"router2: GetItem, twice: {held(lab, 1)}")
    assert held(lab, 1) == [20, 400], "a single read is never blocked"
    refused = lab.call("PutItem", 1, TableName="things", Item=item("coins", 9))
    told.say(f"router2: PutItem coins: {refused.error}")
    read = together(lab, 1)
    told.say(f"router2: TransactGetItems: {read.error}, {reasons(read)}")
    assert refused.error == "TransactionConflictException" and reasons(read) == ["TransactionConflict"] * 2
    early = lab.call("TransactWriteItems", 1, **buy("v >= :price"))
    told.say(f"router2: TransactWriteItems, token purchase-1: {early.error}")
    assert early.error == "TransactionInProgressException"
    lab.run(12 * SECOND)
    told.say(f"router2: GetItem, twice: {held(lab, 1)}")
    assert held(lab, 1) == [100, 0]
    late = lab.call("TransactWriteItems", 1, **buy("v >= :price"))
    told.say(f"router2: TransactWriteItems, token purchase-1: {late.status}, and nothing is done again")
    assert late.status == 200 and held(lab, 1) == [100, 0] and together(lab, 1).status == 200
    return told.text()


STORIES = {"cancelled-transaction": cancelled_transaction, "recovered-transaction": recovered_transaction}


@pytest.mark.claim("S70", "S101")
@pytest.mark.parametrize("name", STORIES)
def test_the_story_of_a_transaction_is_told_as_it_stands_in_the_chapter(
    name: str, make_lab: MakeLab, request: pytest.FixtureRequest
) -> None:
    text = STORIES[name](make_lab)
    file = HERE / f"{name}.txt"
    if request.config.getoption("--rewrite-transcripts"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), "read the difference, then write it anew"
    assert f'--8<-- "transcripts/{name}.txt"' in CHAPTER.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60, "short enough to read"
