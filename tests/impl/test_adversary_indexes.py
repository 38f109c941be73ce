"""Indexes that must not diverge for ever: answers of another leadership, tables of the same name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynalab_impl import messages as m
from dynalab_impl.effects import NOTHING, Address, Message
from dynalab_impl.partition import Partition
from dynalab_impl.propagator import Propagator
from dynalab_impl.replication.leading import begin
from dynalab_impl.replication.replica import Replica
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema

sys.path.insert(0, str(Path(__file__).parent))  # pytest imports test files by path, and their neighbours not at all
from explore_desk import HOSTS, TOPOLOGY, Desk

SECOND = 1_000_000_000
COLOURS = TableSchema(
    "t", KeySchema(KeyAttribute("pk", "S")), (IndexSchema("by-colour", KeySchema(KeyAttribute("colour", "S")), "ALL"),)
)
MEMBERS = tuple(m.Member(address, 1) for address in HOSTS)
BASE = m.GroupSpec("t/1.0", "t", "", b"", b"", MEMBERS, COLOURS)
INDEX = m.GroupSpec("t.by-colour/1.0", "t", "by-colour", b"", b"", MEMBERS, COLOURS)
MAP = m.TableMap(COLOURS, "ACTIVE", (BASE, INDEX))


class Outbox(Desk):
    """Keeps what was sent, wherever to."""

    __slots__ = ("messages",)

    def __init__(self) -> None:
        super().__init__(0, 0, TOPOLOGY)
        self.messages: list[Message] = []

    def send(self, to: Address, message: Message, after: int = NOTHING) -> None:
        self.messages.append(message)

    def requests(self) -> list[m.IndexRequest]:
        sent, self.messages = self.messages, []
        return [message for message in sent if isinstance(message, m.IndexRequest)]


def write(slot: int, key: str, colour: str) -> m.Entry:
    item: Any = {"pk": {"S": key}, "colour": {"S": colour}}
    return m.Entry((1, "x"), slot, slot, ("r", slot), 10**18, m.Write(key.encode(), item, {}))


@pytest.mark.claim("S27")
def test_an_answer_to_an_earlier_leadership_is_not_taken_for_another_change() -> None:
    """The first change is acknowledged, its leader leads again later, and the old answer comes once more."""
    outbox = Outbox()
    partition = Partition(BASE, TOPOLOGY.timing.dedup_ns)
    replica = Replica(BASE, HOSTS[0], 1, TOPOLOGY.timing, partition)
    replica.leading = begin((1, "x"), 1, 0, HOSTS[0], MEMBERS)
    partition.apply(write(1, "a", "red"))
    earlier = Propagator(BASE.group)
    earlier.pump(replica, MAP, {}, outbox)
    [first] = outbox.requests()
    partition.apply(m.Entry((1, "x"), 2, 2, m.NO_REQUEST, 0, m.Propagated(1)))
    partition.apply(write(3, "b", "blue"))

    later = Propagator(BASE.group)
    later.pump(replica, MAP, {}, outbox)
    [second] = outbox.requests()
    assert second.number != first.number, "the old answer would pass for the new one"
    later.on_reply(first.number, "", replica, outbox)
    assert later.flights, "the blue item would never reach the index"


@pytest.mark.claim("S27")
def test_the_index_of_a_table_whose_name_was_taken_before_is_fed(make_lab: Callable[..., Any]) -> None:
    """The propagators of the first table knew where its index lay, and run on nodes that lead the second one."""
    lab = make_lab(seed=2, nodes_per_zone=1)

    def red() -> list[str]:
        answer = lab.call(
            "Query",
            TableName="things",
            IndexName="by-colour",
            KeyConditionExpression="colour = :c",
            ExpressionAttributeValues={":c": {"S": "red"}},
        )
        return sorted(item["pk"]["S"] for item in answer.body["Items"])

    names = [f"k{i}" for i in range(9)]
    for _ in range(2):
        lab.create(index=True)
        for name in names:
            lab.put(name, 1, attributes={"colour": {"S": "red"}})
        lab.run(3 * SECOND)
        assert red() == names
        assert lab.call("DeleteTable", TableName="things").status == 200
        lab.run(5 * SECOND)
