"""Protocol stories as golden transcripts: what was done, then what the nodes told, short enough to review.

`pytest tests/impl/test_transcripts.py --rewrite-transcripts` writes them anew; read the difference first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SECOND = 1_000_000_000
HERE = Path(__file__).parents[2] / "docs" / "transcripts"  # the chapters show them
QUIET = ("read-strong", "read-eventual", "redirected")  # one line a retry would hide the story

Story = Callable[[Any, Callable[[str], None]], None]


def failover(lab: Any, say: Callable[[str], None]) -> None:
    """The leader of a partition dies with its machine, and comes back."""
    lab.put("a", "before")
    leader, _ = lab.leader("a")
    say(f"crash {lab.simulation.addresses[leader].node}")
    lab.simulation.crash(leader)
    say("put a=after")
    assert lab.put("a", "after").status == 200
    say(f"acknowledged; restart {lab.simulation.addresses[leader].node}")
    lab.simulation.restart(leader)
    lab.run(2 * SECOND)


def wiped_replica(lab: Any, say: Callable[[str], None]) -> None:
    """A follower loses its disk and comes back under a new incarnation."""
    lab.put("a", "before")
    leader, group = lab.leader("a")
    follower = next(i for i in lab.members(group) if i != leader)
    say(f"crash {lab.simulation.addresses[follower].node}, new disk, restart")
    lab.simulation.crash(follower)
    lab.simulation.wipe(follower)
    lab.simulation.restart(follower)
    lab.run(2 * SECOND)


def cut_off_leader(lab: Any, say: Callable[[str], None]) -> None:
    """A leader is cut off from everybody, goes on for as long as its lease, and is deposed when the cut heals."""
    lab.put("a", "before")
    leader, _ = lab.leader("a")
    others = [i for i in range(len(lab.simulation.hosts)) if i != leader]
    say(f"cut {lab.simulation.addresses[leader].node} off")
    rule = lab.rule("cut", [leader], others, both_ways=True)
    assert lab.put("a", "during").status == 200
    say("put a=during is acknowledged; heal")
    lab.simulation.network.remove_rule(rule)
    lab.run(2 * SECOND)


def snapshot_catch_up(lab: Any, say: Callable[[str], None]) -> None:
    """A follower is away for longer than its leader's log reaches back."""
    lab.put("a", "before")
    leader, group = lab.leader("a")
    follower = next(i for i in lab.members(group) if i != leader)
    name = lab.simulation.addresses[follower].node
    say(f"crash {name}; 400 puts, which the others write into snapshots")
    lab.simulation.crash(follower)
    heard = len(lab.told)
    for i in range(400):
        assert lab.put("a", i).status == 200
    lab.run(3 * SECOND)
    written = sum(1 for _, _, e in lab.told[heard:] if e.kind == "snapshot-written" and e.group == group)
    del lab.told[heard:]
    say(f"{written} snapshots written; restart {name}")
    lab.simulation.restart(follower)
    lab.run(2 * SECOND)


def log_replica(lab: Any, say: Callable[[str], None]) -> None:
    """A follower dies; a node of its zone holds the log in its seat until it is back and has caught up."""
    lab.put("a", "before")
    leader, group = lab.leader("a")
    follower = next(i for i in lab.members(group) if i != leader)
    name = lab.simulation.addresses[follower].node
    say(f"crash {name}")
    lab.simulation.crash(follower)
    lab.run(SECOND)
    say("put a=during")
    assert lab.put("a", "during").status == 200
    say(f"acknowledged; restart {name}")
    lab.simulation.restart(follower)
    lab.run(2 * SECOND)


def hand_over(lab: Any, say: Callable[[str], None]) -> None:
    """A leader is asked to stop: it hands over, and the next one waits for no lease."""
    lab.put("a", "before")
    leader, _ = lab.leader("a")
    name = lab.simulation.addresses[leader].node
    say(f"ask {name} to stop")
    lab.simulation.ask_to_stop(leader)
    lab.run(SECOND // 10)
    assert lab.simulation.hosts[leader].node.may_stop()
    say(f"stop {name}; put a=after")
    lab.simulation.stop(leader)
    assert lab.put("a", "after").status == 200
    say("acknowledged")


SPARED = ("log-replica", "hand-over")  # told on six nodes, so that there is a spare one in each zone

STORIES: dict[str, tuple[Story, int]] = {
    "failover": (failover, 20_000),
    "log-replica": (log_replica, 20_000),
    "hand-over": (hand_over, 20_000),
    "wiped-replica": (wiped_replica, 20_000),
    "cut-off-leader": (cut_off_leader, 20_000),
    "snapshot-catch-up": (snapshot_catch_up, 100),
}


def transcript(make_lab: Callable[..., Any], story: Story, log_records_max: int, nodes_per_zone: int = 1) -> str:
    """Tell one story on a cluster of three nodes (or more) with one partition."""
    lab = make_lab(nodes_per_zone=nodes_per_zone, routers=1, partitions=1, log_records_max=log_records_max)
    lab.create()
    group = lab.leader("a")[1]
    begin, heard = lab.simulation.now, len(lab.told)
    lines: list[str] = [(story.__doc__ or "").strip(), ""]

    def flush() -> None:
        nonlocal heard
        for at, who, event in lab.told[heard:]:
            if event.group == group and event.kind not in QUIET:
                at_ms = (at - begin) // 1_000_000
                step = f"{event.kind:18} ballot {event.ballot} slot {event.slot}"
                lines.append(f"{at_ms:6} ms  {who.node}  {step}")
        heard = len(lab.told)

    def say(what: str) -> None:
        nonlocal heard
        heard = min(heard, len(lab.told))
        flush()
        lines.append(f"{(lab.simulation.now - begin) // 1_000_000:6} ms  > {what}")

    story(lab, say)
    flush()
    return "\n".join(lines) + "\n"


@pytest.mark.claim("S22", "S23", "S104", "S140")
@pytest.mark.parametrize("name", STORIES)
def test_the_story_is_told_as_written(name: str, make_lab: Callable[..., Any], request: pytest.FixtureRequest) -> None:
    told = transcript(make_lab, *STORIES[name], nodes_per_zone=2 if name in SPARED else 1)
    path = HERE / f"{name}.txt"
    if request.config.getoption("--rewrite-transcripts"):
        path.write_text(told)
    assert path.read_text() == told
