"""Stories of indexes and of expiry as golden transcripts: what clients asked and were shown, and what the nodes told.

`pytest tests/impl/test_index_stories.py --rewrite-transcripts` writes them anew; read the difference first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynalab_fault_injection.simulator.simulation import WALL_EPOCH_NS

from .conftest import SECOND, Lab

MakeLab = Callable[..., Lab]
HERE = Path(__file__).parents[2] / "docs" / "transcripts"  # the chapters show them
INDEX_EVENTS = (
    "reformed",
    "backfill-logged",
    "index-applied",
    "index-ignored",
    "index-done",
    "indexed",
    "leader-elected",
    "leader-serving",
)
SWEEP_EVENTS = ("reformed", "swept", "expiring", "condition-failed")


class Telling:
    """A lab, and the lines of its story: what happens in a table of one partition and in its index."""

    def __init__(self, lab: Lab, title: str, kinds: tuple[str, ...]) -> None:
        self.lab = lab
        self.kinds = kinds
        self.begin = lab.simulation.now
        self.heard = len(lab.told)
        self.lines = [title, ""]

    def flush(self) -> None:
        """Write down what the nodes have told since."""
        for at, who, event in self.lab.told[self.heard :]:
            if event.kind in self.kinds and event.group != "catalog":
                place = "catalog" if not event.group else "the index" if "by-colour" in event.group else "the table"
                slot = f" slot {event.slot}" if event.slot else ""
                self.line(at, who.node, f"{event.kind} ({place}){slot}")
        self.heard = len(self.lab.told)

    def line(self, at: int, who: str, what: str) -> None:
        self.lines.append(f"{(at - self.begin) // 1_000_000:6} ms  {who:8} {what}")

    def say(self, what: str) -> None:
        self.flush()
        self.line(self.lab.simulation.now, "client", what)

    def compare(self, name: str, request: pytest.FixtureRequest) -> None:
        self.flush()
        text, path = "\n".join(self.lines) + "\n", HERE / f"{name}.txt"
        if request.config.getoption("--rewrite-transcripts"):
            path.write_text(text)
        assert path.read_text() == text


def small(make_lab: MakeLab) -> Lab:
    """Three nodes; one partition of the table, and one of each index."""
    lab = make_lab(nodes_per_zone=1, routers=1, partitions=1)
    lab.create()
    return lab


def put(lab: Lab, key: str, colour: Any) -> None:
    assert lab.put(key, 0, attributes={"colour": colour}).status == 200


def shown(lab: Lab, colour: str) -> str:
    answer: Any = lab.call(
        "Query",
        TableName="things",
        IndexName="by-colour",
        KeyConditionExpression="colour = :c",
        ExpressionAttributeValues={":c": {"S": colour}},
    )
    if answer.status != 200:
        return str(answer.body["message"])
    return ", ".join(sorted(item["pk"]["S"] for item in answer.body["Items"])) or "nothing"


def phase(lab: Lab) -> str:
    table: Any = lab.call("DescribeTable", TableName="things").body["Table"]
    index = table["GlobalSecondaryIndexes"][0]
    filling = f", Backfilling {str(index['Backfilling']).lower()}" if "Backfilling" in index else ""
    return f"the table is {table['TableStatus']}, the index {index['IndexStatus']}{filling}"


@pytest.mark.claim("S27", "S29", "S30")
def test_an_index_is_filled_while_a_newer_write_overtakes_it_and_a_leader_dies(
    make_lab: MakeLab, request: pytest.FixtureRequest
) -> None:
    lab = small(make_lab)
    for key in ("k1", "k2"):
        put(lab, key, {"S": "red"})
    put(lab, "k3", {"N": "5"})
    told = Telling(
        lab, "An index is made of a table that is in use; what was there before is on its way.", INDEX_EVENTS
    )
    everybody = list(range(lab.simulation.storage_count))
    rule = lab.rule("cut", everybody, everybody, names=("IndexRequest",), both_ways=True)
    told.say("UpdateTable: an index by colour; its messages are cut for now")
    answer = lab.call(
        "UpdateTable",
        TableName="things",
        AttributeDefinitions=[{"AttributeName": "colour", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "by-colour",
                    "KeySchema": [{"AttributeName": "colour", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )
    assert answer.status == 200
    told.say(f"told: {phase(lab)}")
    lab.run(SECOND)
    told.say(f"told: {phase(lab)}")
    told.say(f"Query red: {shown(lab, 'red')}")
    put(lab, "k2", {"S": "blue"})
    told.say("puts k2 again: it is blue now")
    leader, _ = lab.leader("k1")
    told.say(f"{lab.simulation.addresses[leader].node} is killed; the messages go through again")
    lab.simulation.crash(leader)
    lab.simulation.network.remove_rule(rule)
    lab.run(6 * SECOND)
    told.say(f"told: {phase(lab)}")
    told.say(f"Query red: {shown(lab, 'red')}; blue: {shown(lab, 'blue')}")
    assert (shown(lab, "red"), shown(lab, "blue")) == ("k1", "k2")
    refused: Any = lab.put("k3", 0, attributes={"colour": {"N": "5"}})
    assert refused.status == 400
    told.say(f"puts k3 again: {refused.body['message']}")
    told.compare("new-index", request)


@pytest.mark.claim("S79", "S182")
def test_an_item_expires_and_a_renewed_one_stays(make_lab: MakeLab, request: pytest.FixtureRequest) -> None:
    lab = small(make_lab)
    specification = {"Enabled": True, "AttributeName": "expires"}
    told = Telling(lab, "Two sessions expire in three seconds; one of them is renewed.", SWEEP_EVENTS)
    lab.call("UpdateTimeToLive", TableName="things", TimeToLiveSpecification=specification)
    told.say("UpdateTimeToLive: by expires")
    lab.run(SECOND)
    at = (WALL_EPOCH_NS + lab.simulation.now) // SECOND + 3
    for key in ("s1", "s2"):
        assert lab.put(key, 0, attributes={"expires": {"N": str(at)}}).status == 200
    told.say("puts s1 and s2, which expire in three seconds")
    lab.run(2 * SECOND)
    renewed = lab.call(
        "UpdateItem",
        TableName="things",
        Key={"pk": {"S": "s2"}},
        UpdateExpression="SET expires = :later",
        ConditionExpression="attribute_exists(pk)",
        ExpressionAttributeValues={":later": {"N": str(at + 60)}},
    )
    assert renewed.status == 200
    told.say("renews s2 for a minute")
    lab.run(at * SECOND - WALL_EPOCH_NS - lab.simulation.now + SECOND // 100)
    told.say(f"s1 has expired; it is read: {lab.get('s1') is not None}")
    lab.run(2 * SECOND)
    told.say(f"s1 is read: {lab.get('s1') is not None}; s2 is read: {lab.get('s2') is not None}")
    assert (lab.get("s1"), lab.get("s2")) == (None, "0")
    told.compare("expiry", request)
