"""Indexes come and go while everything else happens at once: in the end each is the projection of its table.

Each seed draws its own story: writes, deletes, an index that is added and dropped again and again, nodes
that lose power, partitions that divide, messages that are lost, doubled or late. Then all is quiet.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from dynalab_impl import messages as m

from .test_global_indexes import SECOND, check_converged, definitions, led, shape

STEPS = 60
SEEDS = (0, 1, 2, 3, 148)  # in the last one an index goes whose divided partition is divided again
COLOURS = ("red", "green", "blue", None)
INDEXES = (("by-colour", ("colour",)), ("by-both", ("colour", "v")))


class Storm:
    """One story."""

    def __init__(self, make_lab: Callable[..., Any], seed: int) -> None:
        self.chance = random.Random(seed)
        self.lab = make_lab(seed=seed, partitions=2, log_records_max=400)
        self.lab.create()
        self.down: list[int] = []
        self.rules: list[Any] = []

    def write(self) -> None:
        key = {"pk": {"S": f"k{self.chance.randrange(25)}"}}
        if self.chance.random() < 0.2:
            self.lab.send("DeleteItem", TableName="things", Key=key)
            return
        colour = self.chance.choice(COLOURS)
        item = {**key, "v": {"S": f"{self.chance.randrange(4)}"}, **({"colour": {"S": colour}} if colour else {})}
        self.lab.send("PutItem", self.chance.randrange(2), TableName="things", Item=item)

    def change_indexes(self) -> None:
        """Ask for something that may be refused: whatever is under way decides."""
        name, keys = self.chance.choice(INDEXES)
        if self.chance.random() < 0.6:
            update = [{"Create": shape(name, *keys)}]
            types = definitions(**dict.fromkeys(keys, "S"))
            self.lab.send(
                "UpdateTable", TableName="things", GlobalSecondaryIndexUpdates=update, AttributeDefinitions=types
            )
        else:
            update = [{"Delete": {"IndexName": name}}]
            self.lab.send("UpdateTable", TableName="things", GlobalSecondaryIndexUpdates=update)

    def lose_power(self) -> None:
        if self.down:
            self.lab.simulation.restart(self.down.pop())
        else:
            self.down.append(self.chance.randrange(self.lab.simulation.storage_count))
            self.lab.simulation.crash(self.down[0])

    def divide(self) -> None:
        nodes = [(i, self.lab.simulation.hosts[i].node) for i in range(self.lab.simulation.storage_count)]
        whole = [
            (index, group)
            for index, node in nodes
            if node is not None
            for group, replica in node.replicas.items()
            if replica.is_leader and replica.spec.table == "things" and replica.state.split is None
        ]
        if whole and len(whole) < 12:
            index, group = self.chance.choice(whole)
            self.lab.simulation.order(index, m.SplitNow(group))

    def disturb(self) -> None:
        if self.rules:
            self.lab.simulation.network.remove_rule(self.rules.pop())
            return
        everybody = list(range(len(self.lab.simulation.hosts)))
        effect, more = self.chance.choice(
            [("loss", {}), ("duplicate", {"delay_ns": SECOND}), ("delay", {"delay_ns": SECOND // 5})]
        )
        names = self.chance.choice(
            [("IndexRequest",), ("IndexReply",), ("Alter", "Altered"), ("Host", "Drop"), ("Accept",)]
        )
        self.rules.append(self.lab.rule(effect, everybody, everybody, names=names, **more))

    def run(self) -> None:
        for _ in range(STEPS):
            for _ in range(self.chance.randrange(8)):
                self.write()
            self.chance.choice(
                [self.change_indexes] * 5 + [self.lose_power] * 2 + [self.divide, self.disturb, self.disturb]
            )()
            self.lab.run(self.chance.choice([SECOND // 100, SECOND // 10, SECOND // 2, SECOND]))
        for rule in self.rules:
            self.lab.simulation.network.remove_rule(rule)
        for index in self.down:
            self.lab.simulation.restart(index)

    def settle(self) -> None:
        """Until no index comes or goes and nothing is owed."""
        for _ in range(120):
            table = self.lab.call("DescribeTable", TableName="things").body["Table"]
            indexes = table.get("GlobalSecondaryIndexes", [])
            owed = [r for r in led(self.lab) if not r.spec.index and r.state.owed]
            if table["TableStatus"] == "ACTIVE" and not owed and all(i["IndexStatus"] == "ACTIVE" for i in indexes):
                break
            self.lab.run(SECOND // 2)
        else:
            raise AssertionError(f"never quiet: {table}, owed by {[r.spec.group for r in owed]}")
        self.lab.run(3 * SECOND)


@pytest.mark.parametrize("seed", SEEDS)
def test_indexes_that_come_and_go_in_a_storm_are_exact_afterwards(make_lab: Callable[..., Any], seed: int) -> None:
    storm = Storm(make_lab, seed)
    storm.run()
    storm.settle()
    check_converged(storm.lab)
    table = storm.lab.call("DescribeTable", TableName="things").body["Table"]
    names = {told["IndexName"] for told in table.get("GlobalSecondaryIndexes", [])}
    held = {r.spec.index for r in led(storm.lab) if r.spec.index}
    assert held == names, "partitions of indexes that went are dropped"
    kinds = storm.lab.kinds()
    assert "indexed" in kinds and "backfill-logged" in kinds
