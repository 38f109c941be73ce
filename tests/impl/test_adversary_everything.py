"""All that hangs on the log at once: two tables that are made, changed and deleted under their names again and again,
while transactions, tokens, streams, expiry, an index, splits, power cuts and lost messages go on. Then all is quiet.
"""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest

from dynalab_impl import messages as m
from dynalab_impl.effects import Timing
from dynalab_impl.transaction_rules import RULES
from dynalab_model.errors import DynamoError

from .conftest import SECOND, Lab
from .transacting import entries, markers, replicas

STEPS = 150
NAMES = ("one", "two")
SHAPES = ([("pk", "S")], [("pk", "S"), ("sk", "S")], [("id", "N")])
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
INDEX = {
    "IndexName": "by-colour",
    "KeySchema": [{"AttributeName": "colour", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}
LOST = ("PrepareItem", "CommitItem", "Alter", "IndexRequest", "Accept", "Find", "Drop")
STATE = ("items", "held", "shards", "owed", "form", "deleted_ns", "deleted_slot", "backfills", "dedup", "tombstones")


class Storm:
    """One story, drawn by its seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.lab = Lab(
            seed=seed,
            partitions=1 + seed % 2,
            nodes_per_zone=1 + seed % 2,
            log_records_max=self.chance.choice([40, 400]),
            archive=seed % 3 == 0,
            scrub=seed % 3 == 1,
            timing=Timing(stream_roll_s=5, sweep_ns=SECOND // 5),
            index_backlog_max=self.chance.choice([20, 2_000]),
            transaction_rules=self.chance.choice([(), tuple(RULES)]),
        )
        self.storage = self.lab.simulation.storage_count
        self.down: list[int] = []
        self.rules: list[Any] = []
        for name in NAMES:
            self.make(name)
            self.lab.run(2 * SECOND)

    def send(self, name: str, **body: Any) -> None:
        """Whatever comes of it; some of it is no request."""
        with suppress(DynamoError):
            self.lab.send(name, self.chance.randrange(2), **body)

    def make(self, name: str) -> None:
        keys = self.chance.choice(SHAPES)
        more: dict[str, Any] = {"StreamSpecification": STREAM} if self.chance.random() < 0.5 else {}
        kinds = [{"AttributeName": key, "AttributeType": kind} for key, kind in keys]
        if self.chance.random() < 0.8:
            more["GlobalSecondaryIndexes"] = [INDEX]
            kinds.append({"AttributeName": "colour", "AttributeType": "S"})
        roles = zip(keys, ("HASH", "RANGE"), strict=False)
        schema = [{"AttributeName": key, "KeyType": role} for (key, _), role in roles]
        more |= {"KeySchema": schema, "AttributeDefinitions": kinds, "BillingMode": "PAY_PER_REQUEST"}
        self.send("CreateTable", TableName=name, **more)

    def alter(self, name: str) -> None:
        kind = self.chance.randrange(3)
        if kind == 0:
            expiry = {"Enabled": self.chance.random() < 0.7, "AttributeName": "e"}
            self.send("UpdateTimeToLive", TableName=name, TimeToLiveSpecification=expiry)
        elif kind == 1:
            stream = self.chance.choice([STREAM, {"StreamEnabled": False}])
            self.send("UpdateTable", TableName=name, StreamSpecification=stream)
        else:
            change = self.chance.choice([{"Delete": {"IndexName": "by-colour"}}, *3 * [{"Create": INDEX}]])
            kinds = [{"AttributeName": "colour", "AttributeType": "S"}]
            self.send("UpdateTable", TableName=name, GlobalSecondaryIndexUpdates=[change], AttributeDefinitions=kinds)

    def item(self) -> dict[str, Any]:
        """One that fits every shape; some have expired."""
        draw = self.chance.choice
        keys = {"pk": {"S": draw("abcdef")}, "sk": {"S": draw("xy")}, "id": {"N": draw("0123")}}
        return {**keys, "colour": {"S": draw(["red", "blue"])}, "e": {"N": draw(["1", *3 * ["8000000000"]])}}

    def transact(self) -> None:
        count = self.chance.randrange(1, 4)
        puts = [{"Put": {"TableName": self.chance.choice(NAMES), "Item": self.item()}} for _ in range(count)]
        token = {"ClientRequestToken": f"t{self.chance.randrange(5)}"} if self.chance.random() < 0.3 else {}
        self.send("TransactWriteItems", TransactItems=puts, **token)

    def divide(self) -> None:
        nodes: list[Any] = [host.node for host in self.lab.simulation.hosts[: self.storage]]
        led = [
            (index, group)
            for index, node in enumerate(nodes)
            if node is not None
            for group, replica in node.replicas.items()
            if replica.is_leader and group != "catalog"
        ]
        if led:
            index, group = self.chance.choice(led)
            self.lab.simulation.order(index, m.SplitNow(group))

    def disturb(self) -> None:
        if self.chance.random() < 0.5:
            if self.down:
                self.lab.simulation.restart(self.down.pop())
            elif self.chance.random() < 0.5:
                self.down.append(self.chance.randrange(self.storage))
                self.lab.simulation.crash(self.down[0])
            else:  # a router, with what it has just begun in its hands
                self.transact()
                self.lab.run(self.chance.randrange(SECOND // 100))
                self.down.append(self.storage + self.chance.randrange(2))
                self.lab.simulation.crash(self.down[0])
        elif self.rules:
            self.lab.simulation.network.remove_rule(self.rules.pop())
        else:
            effect, name = self.chance.choice(["cut", "loss", "duplicate"]), self.chance.choice(LOST)
            to = [self.chance.randrange(self.storage)]
            self.rules.append(self.lab.rule(effect, list(range(self.storage + 2)), to, names=(name,)))

    def step(self) -> None:
        at, name = self.chance.random(), self.chance.choice(NAMES)
        if at < 0.14:
            self.make(name)
        elif at < 0.16:
            self.send("DeleteTable", TableName=name)
        elif at < 0.21:
            self.alter(name)
        elif at < 0.65:
            self.transact()
        elif at < 0.80:
            self.send("PutItem", TableName=name, Item=self.item())
        elif at < 0.84:
            self.divide()
        else:
            self.disturb()
        self.lab.run(self.chance.choice([SECOND // 50, SECOND // 5, SECOND, 2 * SECOND]))

    def quiet(self) -> None:
        for rule in self.rules:
            self.lab.simulation.network.remove_rule(rule)
        for host in self.down:
            self.lab.simulation.restart(host)
        self.lab.run(40 * SECOND)


def check_replicas(lab: Lab) -> None:
    by_group: dict[str, list[Any]] = {}
    for replica in replicas(lab):
        if not replica.log_only:
            by_group.setdefault(replica.spec.group, []).append(replica.state)
    for states in by_group.values():
        latest = max(state.applied for state in states)
        first, *others = (state for state in states if state.applied == latest)
        for other in others:
            assert all(getattr(first, name) == getattr(other, name) for name in STATE)


def check_indexes(lab: Lab, table: str) -> None:
    """Of a table that has one; all items have the index's key."""
    told: Any = lab.call("DescribeTable", TableName=table).body.get("Table") or {}
    if told.get("TableStatus") != "ACTIVE" or "GlobalSecondaryIndexes" not in told:
        return
    assert [index["IndexStatus"] for index in told["GlobalSecondaryIndexes"]] == ["ACTIVE"]
    items: Any = lab.call("Scan", TableName=table, ConsistentRead=True).body["Items"]
    indexed: Any = lab.call("Scan", TableName=table, IndexName="by-colour").body["Items"]
    assert sorted(map(repr, map(sorted, map(dict.items, items)))) == sorted(
        map(repr, map(sorted, map(dict.items, indexed)))
    )


@pytest.mark.parametrize("seed", range(8))
def test_after_a_storm_nothing_is_held_nothing_unfinished_and_all_copies_agree(seed: int) -> None:
    storm = Storm(seed)
    for _ in range(STEPS):
        storm.step()
    storm.quiet()
    lab = storm.lab
    assert markers(lab) == [] and all(entry.finished for entry in entries(lab))
    assert {"transaction-decided", "split-applied", "table-gone", "reformed"} <= set(lab.kinds()), "a storm it was"
    check_replicas(lab)
    for name in NAMES:
        check_indexes(lab, name)
        described: Any = lab.call("DescribeTable", TableName=name)
        assert described.status == 400 or described.body["Table"]["TableStatus"] == "ACTIVE"
