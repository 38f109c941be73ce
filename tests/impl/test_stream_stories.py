"""A reader of a stream while a partition divides and its leader dies, as a golden transcript.

`pytest tests/impl/test_stream_stories.py --rewrite-transcripts` writes it anew; read the difference first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynalab_impl import messages as m

from .conftest import SECOND, Lab
from .test_streams import Reader, arn_of, contents, enable

HERE = Path(__file__).parents[2] / "docs" / "transcripts"  # the chapter shows it
SHOWN = ("split-logged", "split-applied", "leader-elected", "leader-serving", "moved")


class Told:
    """The lines of the story. Shards have short names, in the order in which the reader meets them."""

    def __init__(self, lab: Lab, reader: Reader) -> None:
        self.lab, self.reader = lab, reader
        self.begin, self.heard, self.read = lab.simulation.now, len(lab.told), 0
        self.names: dict[str, str] = {}
        self.ended: dict[str, bool] = {}
        self.lines = ["A consumer reads a table's stream while its partition divides and a leader dies.", ""]
        self.group = lab.leader("k0")[1]

    def line(self, who: str, text: str, at: int | None = None) -> None:
        at_ms = ((self.lab.simulation.now if at is None else at) - self.begin) // 1_000_000
        self.lines.append(f"{at_ms:6} ms  {who:8} {text}")

    def nodes(self) -> None:
        """What nodes have told since."""
        for at, who, event in self.lab.told[self.heard :]:
            if event.kind in SHOWN and event.group.startswith(self.group):
                place = {"": "the partition", ".0": "its left child", ".1": "its right child"}
                self.line(who.node, f"{event.kind} ({place[event.group.removeprefix(self.group)]})", at)
        self.heard = len(self.lab.told)

    def do(self, what: str) -> None:
        self.nodes()
        self.line("writer", what)

    def step(self) -> None:
        """The consumer looks for shards and reads each one that it may read."""
        self.reader.step()
        self.nodes()
        for shard, parent in self.reader.parents.items():
            if shard not in self.names:
                self.names[shard] = "ABCDEFG"[len(self.names)]
                child = f", child of {self.names[parent]}" if parent else ""
                self.line("reader", f"finds shard {self.names[shard]}{child}")
        told = self.reader.told[self.read :]
        self.read = len(self.reader.told)
        for shard, name in self.names.items():
            mine = [record for where, record in told if where == shard]
            shown = ", ".join(f"{record['dynamodb']['Keys']['pk']['S']} {record['eventName']}" for record in mine)
            if mine:
                self.line("reader", f"reads {name}: {shown}")
            if shard in self.reader.places and self.reader.places[shard] is None and shard not in self.ended:
                self.ended[shard] = True
                self.line("reader", f"has read {name} to its end")


def split_under_a_reader(make_lab: Callable[..., Lab]) -> str:
    lab = make_lab(partitions=1, nodes_per_zone=1, routers=1)
    lab.create()
    enable(lab)
    reader = Reader(lab, arn_of(lab))
    for number in range(4):
        lab.put(f"k{number}", 0)
    story = Told(lab, reader)
    story.step()
    story.do("puts k0 and k1")
    lab.put("k0", 1)
    lab.put("k1", 1)
    index, group = lab.leader("k0")
    story.do("the partition is told to divide; then puts k2, k3 and k1")
    lab.simulation.order(index, m.SplitNow(group))
    lab.put("k2", 1)
    lab.put("k3", 1)
    lab.put("k1", 2)
    story.step()
    story.step()
    index, _ = lab.leader("k1")
    story.do(f"{lab.simulation.addresses[index].node} is killed; puts k1 and k0, which the next leader takes")
    lab.simulation.crash(index)
    lab.put("k1", 3)
    lab.put("k0", 2)
    lab.run(SECOND)
    story.step()
    lab.call("DeleteItem", TableName="things", Key={"pk": {"S": "k3"}})
    story.do("has deleted k3")
    story.step()
    reader.judge(contents(lab))
    story.line(
        "judge", f"{len(reader.told)} records: each change once, in the order of its item; folded they are the table"
    )
    return "\n".join(story.lines) + "\n"


@pytest.mark.claim("S148", "S170")
def test_the_story_of_a_split_under_a_reader_is_told_as_written(
    make_lab: Callable[..., Any], request: pytest.FixtureRequest
) -> None:
    told = split_under_a_reader(make_lab)
    path = HERE / "split-under-a-reader.txt"
    if request.config.getoption("--rewrite-transcripts"):
        path.write_text(told)
    assert path.read_text() == told
