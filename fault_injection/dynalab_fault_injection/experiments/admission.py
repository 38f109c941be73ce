"""What admission control does to a client that asks for more than it bought (ATC'22 §5; S33, S36, S37, S110).

Writes of one unit are sent at a fixed rate, each second's evenly spread, whatever comes back. Counted are the writes
that were carried out and those that were refused, second by second, and how long both took.

- `burst`: a table of few units is asked for five times as much. It is served until what it saved up is used, then it
  gets what it bought; and after a pause it has saved up again.
- `hot_key`: a table has bought enough for all its partitions. Writes of one key come to one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import click

from dynalab_fault_injection.simulator import Format, Simulation
from dynalab_impl import codec
from dynalab_impl.effects import Limits, RequestToken, Response, Topology, layout
from dynalab_impl.service import make_node
from dynalab_impl.storage import wal
from dynalab_model.operations import CreateTable, PutItem
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema

SECOND_NS = 1_000_000_000
TABLE = TableSchema("things", KeySchema(KeyAttribute("pk", "S")))
READY_NS = 8 * SECOND_NS  # the table is made, its groups have leaders, and these have heard what it bought


@dataclass(slots=True)
class Served:
    """What came of the writes, for each second in which some were sent; `sent` counts those."""

    seconds: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    done_ns: list[int] = field(default_factory=list)  # how long the writes took that were carried out
    refused_ns: list[int] = field(default_factory=list)


class Writers:
    """A client that writes at a fixed rate."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.began: dict[RequestToken, tuple[int, int]] = {}  # when, and the place in `served`
        self.served = Served()
        self.others: list[Response] = []
        simulation.clients.append(self)

    def on_wake(self, tag: int) -> None:
        raise AssertionError("nobody asked for a wake-up")

    def on_response(self, token: RequestToken, response: Response) -> None:
        if token not in self.began:
            self.others.append(response)
            return
        began_ns, place = self.began.pop(token)
        took_ns = self.simulation.now - began_ns
        served = self.served
        if response.status == 200:
            served.done[place] += 1
            served.done_ns.append(took_ns)
        else:
            assert response.error == "ProvisionedThroughputExceededException", response
            served.refused[place] += 1
            served.refused_ns.append(took_ns)

    def second(self, number: int, rate: int, key: Callable[[int], str]) -> None:
        """Send one second's writes; `key` names the key of each, counted from the first of all."""
        served, simulation = self.served, self.simulation
        served.seconds.append(number)
        served.sent.append(rate)
        served.done.append(0)
        served.refused.append(0)
        begin_ns, count = simulation.now, sum(served.sent) - rate
        for i in range(rate):
            simulation.run_until(begin_ns + i * SECOND_NS // rate)
            token = simulation.request(0, 0, PutItem("things", {"pk": {"S": key(count + i)}}))
            self.began[token] = simulation.now, len(served.sent) - 1
        simulation.run_until(begin_ns + SECOND_NS)


def _writers(write_units: int, partitions: int, seed: int) -> Writers:
    return writers_of(layout(3, 1, 1, partitions=partitions, limits=Limits()), write_units, seed)


def writers_of(topology: Topology, write_units: int, seed: int) -> Writers:
    """Writers of a table that has bought so much, on a cluster that is ready."""
    form = Format(codec.encode, codec.decode, wal.frame, wal.recover)
    simulation = Simulation(seed, topology, make_node, form)
    writers = Writers(simulation)
    simulation.start()
    simulation.run_until(READY_NS)
    bought = {"ReadCapacityUnits": 1, "WriteCapacityUnits": write_units}
    simulation.request(0, 0, CreateTable(TABLE, {"BillingMode": "PROVISIONED", "ProvisionedThroughput": bought}))
    simulation.run_until(2 * READY_NS)
    assert [answer.status for answer in writers.others] == [200], "no table"
    return writers


def burst(*, write_units: int = 4, factor: int = 5, busy_s: int = 90, pause_s: int = 100, seed: int = 1) -> Served:
    """A table of one partition is asked for `factor` times what it bought, with a pause between two such spells."""
    writers = _writers(write_units, 1, seed)
    for begin in (0, busy_s + pause_s):
        for second in range(begin, begin + busy_s):
            writers.second(second, factor * write_units, lambda i: f"k{i}")
        writers.simulation.run_until(writers.simulation.now + pause_s * SECOND_NS)
    return writers.served


def hot_key(*, hot: bool, write_units: int = 4_000, rate: int = 2_000, seconds: int = 3, seed: int = 1) -> Served:
    """`rate` writes a second to a table of four partitions that has bought more; `hot`: all of one key."""
    writers = _writers(write_units, 4, seed)
    for second in range(seconds):
        writers.second(second, rate, (lambda i: "the one") if hot else (lambda i: f"k{i}"))
    writers.simulation.run_until(writers.simulation.now + SECOND_NS)
    return writers.served


def table(runs: dict[str, Served]) -> list[str]:
    """Runs of `hot_key` as lines of a Markdown table. The first second is left out: it begins with full buckets."""
    lines = [
        "| Writes of | sent a second | carried out | refused | median of a write | median of a refusal |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, run in runs.items():
        count = len(run.sent) - 1
        done, refused = (sum(numbers[1:]) // count for numbers in (run.done, run.refused))
        cells = [f"{run.sent[0]:,}", f"{done:,}", f"{refused:,}", _median(run.done_ns), _median(run.refused_ns)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _median(durations_ns: list[int]) -> str:
    if not durations_ns:
        return "–"
    return f"{sorted(durations_ns)[len(durations_ns) // 2] / 1_000_000:.1f} ms"


def burst_table(run: Served) -> list[str]:
    """A run of `burst` as lines of a Markdown table: spans of seconds in which as many writes were carried out."""
    lines = ["| Seconds | sent a second | carried out a second |", "|---|--:|--:|"]
    begin = 0
    for place in range(1, len(run.sent) + 1):
        same = place < len(run.sent) and (
            run.done[place] == run.done[begin] and run.seconds[place] == run.seconds[place - 1] + 1
        )
        if not same:
            span = f"{run.seconds[begin]} to {run.seconds[place - 1]}" if place - begin > 1 else f"{run.seconds[begin]}"
            lines.append(f"| {span} | {run.sent[begin]} | {run.done[begin]} |")
            begin = place
    return lines


def measured(seed: int = 1) -> tuple[Served, dict[str, Served]]:
    """Both experiments as the course shows them."""
    runs = {"many keys": hot_key(hot=False, seed=seed), "one key": hot_key(hot=True, seed=seed)}
    return burst(seed=seed), runs


@click.command()
@click.option("--seed", default=1, show_default=True, help="Another seed draws other delays and clocks.")
def main(seed: int) -> None:
    """How a burst ends, and what becomes of a hot key."""
    spell, runs = measured(seed)
    click.echo("\n".join([*burst_table(spell), "", *table(runs)]))


if __name__ == "__main__":
    main()
