"""How many disks must hold a write before the client is told: one, two of three, or all (PACELC's *else*; S99).

One client writes, one write after the other, and asks an eventual read for each at the moment of its answer. The link
from the leader to one of the others is slow. Nothing fails, and still one must choose: what is waited for on a write
is what a read need not fear.

The service's own rule is two of three (`Leading.committable`); the others are laid over it here, for the experiment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import click

from dynalab_fault_injection.implementation import implementation_format
from dynalab_fault_injection.simulator import LinkRule, Simulation
from dynalab_impl.effects import RequestToken, Response, layout
from dynalab_impl.messages import Entry, Member, Write
from dynalab_impl.partition import Partition
from dynalab_impl.records import AcceptedEntries
from dynalab_impl.replication.leading import Leading
from dynalab_impl.replication.replica import Replica
from dynalab_impl.service import make_node
from dynalab_impl.storage_node import StorageNode
from dynalab_model.operations import CreateTable, GetItem, Operation, PutItem
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import AttributeValue, Item

SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000
STEP_NS = 10_000
TABLE = TableSchema("things", KeySchema(KeyAttribute("pk", "S")))
KEY: Item = {"pk": {"S": "a"}}
WRITES = 300
SLOW_NS, SLOW_SPREAD_BITS = 4 * MILLISECOND_NS, 22  # 4 to 8 ms to the slow member


@dataclass(slots=True)
class Waited:
    """What a run measured: how long writes took, how many reads were stale, and on how many disks each write was."""

    acks: int
    took_ns: list[int] = field(default_factory=list)
    stale: int = 0
    disks: list[int] = field(default_factory=list)  # that had the write when the client was told

    def took_ms(self, percent: int) -> float:
        """A percentile of the latency of writes."""
        return sorted(self.took_ns)[(len(self.took_ns) - 1) * percent // 100] / MILLISECOND_NS


@contextmanager
def _waiting_for(acks: int) -> Iterator[None]:
    """A leader takes a write for committed when so many disks have it."""

    def committable(self: Leading, members: tuple[Member, ...]) -> int:
        matches = sorted([self.durable_slot, *(peer.match for peer in self.voters(members))], reverse=True)
        return matches[acks - 1] if len(matches) >= acks else 0

    own = Leading.committable
    Leading.committable = committable  # type: ignore[method-assign]
    try:
        yield
    finally:
        Leading.committable = own  # type: ignore[method-assign]


class _Client:
    """Sends one request after the other, and notes when each is answered."""

    def __init__(self, seed: int) -> None:
        self.simulation = Simulation(seed, layout(3, 1, 1, partitions=1), make_node, implementation_format())
        self.simulation.clients.append(self)
        self.answers: dict[RequestToken, Response] = {}
        self.simulation.start()

    def on_wake(self, tag: int) -> None:
        raise AssertionError("nobody asked for a wake-up")

    def on_response(self, token: RequestToken, response: Response) -> None:
        self.answers[token] = response

    def call(self, operation: Operation) -> tuple[Response, int]:
        """The answer, and how long it took."""
        began_ns = self.simulation.now
        token = self.simulation.request(0, 0, operation)
        while token not in self.answers:
            self.simulation.run_until(self.simulation.now + STEP_NS)
        return self.answers.pop(token), self.simulation.now - began_ns

    def replicas(self) -> dict[int, Replica]:
        """The replicas of the one partition, by machine."""
        found: dict[int, Replica] = {}
        for index in range(self.simulation.storage_count):
            node = self.simulation.hosts[index].node
            assert isinstance(node, StorageNode)
            for group, replica in node.replicas.items():
                if group.startswith("things/"):
                    found[index] = replica
        return found


def waited(acks: int, seed: int = 1, writes: int = WRITES) -> Waited:
    """One run in which every write waits for so many disks."""
    with _waiting_for(acks):
        client = _Client(seed)
        client.simulation.run_until(3 * SECOND_NS)
        client.call(CreateTable(TABLE, {"BillingMode": "PAY_PER_REQUEST"}))
        client.simulation.run_until(client.simulation.now + 6 * SECOND_NS)
        replicas = client.replicas()
        leader = next(index for index, replica in replicas.items() if replica.is_leader)
        slow = next(index for index in replicas if index != leader)
        network = client.simulation.network
        links = network.links([leader], [slow])
        network.add_rule(LinkRule("delay", links, delay_ns=SLOW_NS, spread_bits=SLOW_SPREAD_BITS))
        run = Waited(acks)
        for number in range(writes):
            value: AttributeValue = {"N": str(number)}
            _, took_ns = client.call(PutItem("things", {**KEY, "v": value}))
            run.took_ns.append(took_ns)
            run.disks.append(_on_disk(client, number))
            answer, _ = client.call(GetItem("things", KEY))
            read = answer.body.get("Item")
            run.stale += not isinstance(read, dict) or read.get("v") != value
        return run


def _on_disk(client: _Client, number: int) -> int:
    """On how many disks the write of this number is: it was taken, and is not among what still waits for its sync."""
    count = 0
    for index, replica in client.replicas().items():
        state = replica.state
        assert isinstance(state, Partition)
        taken = [stored.item for stored in state.items.values()]
        taken += _items(replica.log.after(max(replica.log.base, state.applied)))
        waiting: list[Item] = []
        for record in client.simulation.hosts[index].disk.unsynced():
            if isinstance(record, AcceptedEntries):
                waiting += _items(record.entries)
        count += _has(taken, number) and not _has(waiting, number)
    return count


def _items(entries: Sequence[Entry]) -> list[Item]:
    commands = [entry.command for entry in entries]
    return [command.item for command in commands if isinstance(command, Write) and command.item is not None]


def _has(items: list[Item], number: int) -> bool:
    return any(item.get("v") == {"N": str(number)} for item in items)


def measured(seed: int = 1, writes: int = WRITES) -> list[Waited]:
    """All three rules, with the same seed."""
    return [waited(acks, seed, writes) for acks in (1, 2, 3)]


def table(runs: list[Waited]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [
        "| Disks waited for | write p50 | write p99 | eventual reads that missed it | disks that had it, at least |",
        "|---|--:|--:|--:|--:|",
    ]
    for run in runs:
        stale = f"{100 * run.stale / len(run.took_ns):.0f} %"
        lines.append(
            f"| {run.acks} | {run.took_ms(50):.1f} ms | {run.took_ms(99):.1f} ms | {stale} | {min(run.disks)} |"
        )
    return lines


@click.command()
@click.option("--seed", default=1, show_default=True, help="Another seed draws other delays.")
def main(seed: int) -> None:
    """Latency, stale reads and copies, when a write waits for one, two or three disks."""
    click.echo("\n".join(table(measured(seed))))


if __name__ == "__main__":
    main()
