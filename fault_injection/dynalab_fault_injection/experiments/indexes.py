"""What an index with too little capacity does: to those who read it, and to the table that feeds it (S63, S93, S94).

Writes are sent at a fixed rate, each of them an item of one unit that is new to the index. Looked at, second by second:
how many changes are on their way to the index, how old the oldest of them is, and how many writes were refused.

- `lag`: the table has bought plenty, its index so much or so little. While the writes go on an index with too little
  falls behind by ever more; afterwards it catches up.
- `back_pressure`: all items have the same key in the index, so all of its writes come to one partition, and that may
  take so many a second whatever was bought. When the backlog is full the table's writes are throttled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import click

from dynalab_fault_injection.simulator import Format, Simulation
from dynalab_impl import codec, index_duties
from dynalab_impl.effects import Limits, RequestToken, Response, Topology, layout
from dynalab_impl.partition import Partition
from dynalab_impl.service import make_node
from dynalab_impl.storage import wal
from dynalab_impl.storage_node import StorageNode
from dynalab_model.keys import index_key
from dynalab_model.operations import CreateTable, PutItem
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import Item

SECOND_NS = 1_000_000_000
SLICE_NS = 100_000  # between two looks at what has arrived
READY_NS = 8 * SECOND_NS  # the table is made, its groups have leaders, and these have heard what it bought
INDEX = IndexSchema("by-status", KeySchema(KeyAttribute("status", "S")), "KEYS_ONLY")
TABLE = TableSchema("events", KeySchema(KeyAttribute("pk", "S")), (INDEX,))
PLENTY = 10_000

# The service's limits of a partition, a tenth of them: a run of seconds instead of minutes shows the same.
TENTH = Limits(partition_read=300, partition_write=100, burst_s=0)
TENTH_BACKLOG = 200


@dataclass(slots=True)
class Second:
    """One second: writes sent and what came of them, and how far the index was behind at its end."""

    sent: int = 0
    done: int = 0
    refused: int = 0
    queued: int = 0
    lag_ms: int = 0


@dataclass(slots=True)
class Followed:
    """A run: its seconds, and how long after the last write the index held everything (None: not within the run)."""

    seconds: list[Second] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    caught_up_s: int | None = None


class Writers:
    """A client that writes at a fixed rate and looks at the index's queue."""

    def __init__(self, topology: Topology, index_units: int, seed: int) -> None:
        form = Format(codec.encode, codec.decode, wal.frame, wal.recover)
        self.simulation = Simulation(seed, topology, make_node, form)
        self.began: dict[RequestToken, Second] = {}
        self.followed = Followed()
        self.others: list[Response] = []
        self.count = 0
        self.simulation.clients.append(self)
        self.simulation.start()
        self.simulation.run_until(READY_NS)
        bought = {"ReadCapacityUnits": 1, "WriteCapacityUnits": PLENTY}
        settings: dict[str, object] = {
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": bought,
            "IndexThroughput": {INDEX.name: {"ReadCapacityUnits": 1, "WriteCapacityUnits": index_units}},
        }
        self.simulation.request(0, 0, CreateTable(TABLE, settings))
        self.simulation.run_until(2 * READY_NS)
        assert [answer.status for answer in self.others] == [200], "no table"

    def on_wake(self, tag: int) -> None:
        raise AssertionError("nobody asked for a wake-up")

    def on_response(self, token: RequestToken, response: Response) -> None:
        second = self.began.pop(token, None)
        if second is None:
            self.others.append(response)
        elif response.status == 200:
            second.done += 1
        else:
            second.refused += 1
            error = str(response.error)
            self.followed.errors[error] = self.followed.errors.get(error, 0) + 1

    def second(self, rate: int, statuses: int) -> Second:
        """One second's writes, evenly spread, of items with so many statuses."""
        simulation, second = self.simulation, Second(rate)
        begin_ns = simulation.now
        for i in range(rate):
            simulation.run_until(begin_ns + i * SECOND_NS // rate)
            item: Item = {"pk": {"S": f"e{self.count}"}, "status": {"S": f"s{self.count % statuses}"}}
            self.began[simulation.request(0, 0, PutItem("events", item))] = second
            self.count += 1
        simulation.run_until(begin_ns + SECOND_NS)
        second.queued, lag_ns = self.queue()
        second.lag_ms = lag_ns // 1_000_000
        self.followed.seconds.append(second)
        return second

    def queue(self) -> tuple[int, int]:
        """Changes on their way to the index, and the age of the oldest."""
        queued, most_ns = 0, 0
        for index in range(self.simulation.storage_count):
            host = self.simulation.hosts[index]
            if isinstance(host.node, StorageNode):
                changes, lag_ns = index_duties.queues(host.node, host.wall_ns).get(("events", INDEX.name), (0, 0))
                queued, most_ns = queued + changes, max(most_ns, lag_ns)
        return queued, most_ns

    def arrivals(self, rate: int, seconds: int) -> list[int]:
        """How long after its acknowledgement each write is read in the index, in nanoseconds. Looked at ten
        times a millisecond; what was there before the acknowledgement counts as nothing.
        """
        simulation, took_ns = self.simulation, []
        acknowledged: dict[bytes, int] = {}
        sent: dict[bytes, Second] = {}
        begin_ns, number = simulation.now, 0
        while simulation.now < begin_ns + seconds * SECOND_NS or sent:
            assert simulation.now < begin_ns + 10 * seconds * SECOND_NS, "changes that never arrive"
            while number < rate * seconds and simulation.now >= begin_ns + number * SECOND_NS // rate:
                item: Item = {"pk": {"S": f"a{number}"}, "status": {"S": f"s{number % 50}"}}
                second = Second(1)
                self.began[simulation.request(0, 0, PutItem("events", item))] = second
                key = index_key(INDEX.key, TABLE.key, item)
                assert key is not None
                sent[key] = second
                number += 1
            simulation.run_until(simulation.now + SLICE_NS)
            partitions = self.index_leaders()
            for key, second in list(sent.items()):
                if second.done:
                    acknowledged.setdefault(key, simulation.now)
                    if any(key in partition.items for partition in partitions):
                        took_ns.append(simulation.now - acknowledged[key])
                        del sent[key]
        return sorted(took_ns)

    def index_leaders(self) -> list[Partition]:
        """The index's partitions, as their leaders have applied them."""
        nodes = [self.simulation.hosts[index].node for index in range(self.simulation.storage_count)]
        replicas = [one for node in nodes if isinstance(node, StorageNode) for one in node.replicas.values()]
        states = [one.state for one in replicas if one.spec.index == INDEX.name and one.is_leader]
        return [state for state in states if isinstance(state, Partition)]

    def follow(self, seconds: int) -> None:
        """Write no more, and wait for the index."""
        for waited_s in range(1, seconds + 1):
            if self.second(0, 1).queued == 0:
                self.followed.caught_up_s = waited_s
                return


def lag(*, units: int, rate: int = 40, busy_s: int = 20, seed: int = 1) -> Followed:
    """An index that bought so many units, of a table that is written at `rate`."""
    topology = replace(layout(3, 1, 1, partitions=1, limits=Limits(burst_s=0)), partitions_per_index=1)
    writers = Writers(topology, units, seed)
    for _ in range(busy_s):
        writers.second(rate, 8)
    writers.follow(200)
    return writers.followed


def back_pressure(*, constant: bool, rate: int = 150, busy_s: int = 25, seed: int = 1) -> Followed:
    """An index of a key that is the same in all items, or of many, under more writes than one partition may take."""
    topology = layout(3, 1, 1, partitions=2, limits=TENTH, index_backlog_max=TENTH_BACKLOG)
    writers = Writers(replace(topology, partitions_per_index=4), PLENTY, seed)
    for _ in range(busy_s):
        writers.second(rate, 1 if constant else 1_000)
    writers.follow(60)
    return writers.followed


def arrival_lags(rate: int, *, seconds: int = 4, seed: int = 1) -> list[int]:
    """How long after its acknowledgement each write is read in an index that has enough, sorted, in nanoseconds."""
    return Writers(layout(3, 3, 1), PLENTY, seed).arrivals(rate, seconds)


def lag_table(runs: dict[int, Followed]) -> list[str]:
    """Runs of `lag` by what their index bought, as lines of a Markdown table."""
    first = next(iter(runs.values()))
    busy = sum(1 for second in first.seconds if second.sent)
    marks = [mark for mark in (5, 10, 20) if mark <= busy]
    head = " | ".join(f"lag after {mark} s" for mark in marks)
    lines = [
        f"| The index may write a second | {head} | on their way then | all there after |",
        "|--:|" + "--:|" * (len(marks) + 2),
    ]
    for units, run in runs.items():
        lags = " | ".join(f"{run.seconds[mark - 1].lag_ms:,} ms" for mark in marks)
        end = "–" if run.caught_up_s is None else f"{run.caught_up_s} s"
        lines.append(f"| {units} | {lags} | {run.seconds[busy - 1].queued:,} | {end} |")
    return lines


def pressure_table(runs: dict[str, Followed], marks: tuple[int, ...] = (1, 5, 10, 15, 20, 25)) -> list[str]:
    """Runs of `back_pressure` as lines of a Markdown table: single seconds, without those that are as before."""
    lines = [
        "| Key in the index | second | sent | carried out | throttled | on their way |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, run in runs.items():
        shown: Second | None = None
        for mark in marks:
            one = run.seconds[mark - 1]
            if one != shown or mark == marks[-1]:
                lines.append(f"| {name} | {mark} | {one.sent} | {one.done} | {one.refused} | {one.queued:,} |")
            shown = one
    return lines


def measured(seed: int = 1) -> tuple[dict[int, Followed], dict[str, Followed]]:
    """Both experiments as the course shows them."""
    lags = {units: lag(units=units, seed=seed) for units in (10, 20, 30, 40, 80)}
    names = {"many values": False, "the same in all items": True}
    return lags, {name: back_pressure(constant=constant, seed=seed) for name, constant in names.items()}


@click.command()
@click.option("--seed", default=1, show_default=True, help="Another seed draws other delays and clocks.")
def main(seed: int) -> None:
    """How far an index falls behind, and how it slows its table down."""
    lags, pressures = measured(seed)
    click.echo("\n".join([*lag_table(lags), "", *pressure_table(pressures)]))


if __name__ == "__main__":
    main()
