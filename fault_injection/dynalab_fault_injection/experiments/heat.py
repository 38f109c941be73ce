"""What a split does for a hot partition, and for a hot item (ATC'22 §4; S43, S44, S136).

A table of one partition is asked for half as much again as a partition may take, second after second. It has bought
enough, so nothing but the partition's own limit refuses a write. When the partition was hot for some seconds without a
pause, its leader asks for a split between the keys that it has seen. The limits are a twenty-fifth of the real ones,
and the seconds a tenth: what happens is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import click

from dynalab_fault_injection.experiments.admission import Served, Writers, writers_of
from dynalab_impl.effects import Limits, layout
from dynalab_impl.splitting import moved
from dynalab_impl.storage_node import StorageNode

PARTITION_WRITES = 40  # a second
RATE = 60
HOT_S = 6  # hot for so long: divide
SECONDS = 24
BOUGHT = 10_000
FOUR = ("foo", "bar", "baz", "qux")
SPAN_S = 3


@dataclass(slots=True)
class Heated:
    """What came of the writes in each second, and in how many partitions the table was at its end."""

    served: Served
    partitions: list[int]


def _partitions(writers: Writers) -> int:
    """Of the table, as their leaders know them."""
    count = 0
    for host in writers.simulation.hosts:
        node = host.node
        if isinstance(node, StorageNode):
            led = [replica for replica in node.replicas.values() if replica.is_leader and moved(replica) is None]
            count += sum(replica.spec.table == "things" for replica in led)
    return count


def heated(keys: tuple[str, ...], *, seconds: int = SECONDS, seed: int = 1) -> Heated:
    """Write to these keys in turn. A dozen cold items lie beside them."""
    limits = Limits(
        partition_read=3 * PARTITION_WRITES, partition_write=PARTITION_WRITES, burst_s=0, node_partitions=20
    )
    writers = writers_of(layout(3, 1, 1, partitions=1, limits=limits, split_after_s=HOT_S), BOUGHT, seed)
    writers.second(-1, 12, lambda i: f"cold{i}")
    run = Heated(Served(), [])
    writers.served = run.served
    for second in range(seconds):
        writers.second(second, RATE, lambda i: keys[i % len(keys)])
        run.partitions.append(_partitions(writers))
    writers.simulation.run_until(writers.simulation.now + 1_000_000_000)
    return run


def measured(seed: int = 1) -> dict[str, Heated]:
    """Both runs as the course shows them."""
    return {"four keys": heated(FOUR, seed=seed), "one key": heated(("hot",), seed=seed)}


def table(runs: dict[str, Heated]) -> list[str]:
    """The runs side by side in spans of seconds, as lines of Markdown: writes a second, and partitions at the end."""
    names = [f"{name}: {what}" for name in runs for what in ("carried out", "refused", "partitions")]
    lines = [f"| Seconds | {' | '.join(names)} |", f"|---|{'--:|' * len(names)}"]
    length = len(next(iter(runs.values())).partitions)
    for begin in range(0, length, SPAN_S):
        end = min(begin + SPAN_S, length)
        cells: list[int] = []
        for run in runs.values():
            done, refused = (
                sum(numbers[begin:end]) // (end - begin) for numbers in (run.served.done, run.served.refused)
            )
            cells += [done, refused, run.partitions[end - 1]]
        lines.append(f"| {begin} to {end - 1} | {' | '.join(str(cell) for cell in cells)} |")
    return lines


@click.command()
@click.option("--seed", default=1, show_default=True, help="Another seed draws other delays and clocks.")
def main(seed: int) -> None:
    """A hot partition that divides, and a hot item that ends alone."""
    click.echo("\n".join(table(measured(seed))))


if __name__ == "__main__":
    main()
