"""Stories of partitions as golden transcripts: what clients asked and got, and what the nodes told meanwhile.

`pytest tests/impl/test_partition_stories.py --rewrite-transcripts` writes them anew; read the difference first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynalab_impl import messages as m

from .conftest import SECOND, Lab

MakeLab = Callable[..., Lab]
HERE = Path(__file__).parents[2] / "docs" / "transcripts"  # the chapters show them
ITEMS = 12
QUIET = ("read-strong", "accepted", "redirected")  # one line a message, or a retry, would hide the story


class Telling:
    """A lab, and the lines of its story. Groups are named by their place: the parent, or a child of it."""

    def __init__(self, lab: Lab, title: str) -> None:
        self.lab = lab
        self.parent = lab.leader("k")[1]
        self.begin = lab.simulation.now
        self.heard = len(lab.told)
        self.lines = [title, ""]

    def place(self, group: str) -> str:
        rest = group.removeprefix(self.parent)
        return {"": "parent", ".0": "left child", ".1": "right child"}[rest]

    def flush(self) -> None:
        """Write down what the nodes have told since."""
        for at, who, event in self.lab.told[self.heard :]:
            if event.group.startswith(self.parent) and event.kind not in QUIET:
                told = f"{event.kind:15} {self.place(event.group):11} slot {event.slot}" if event.slot else ""
                told = told or f"{event.kind:15} {self.place(event.group)}"
                self.lines.append(f"{(at - self.begin) // 1_000_000:6} ms  {who.node}  {told}")
        self.heard = len(self.lab.told)

    def say(self, what: str) -> None:
        self.flush()
        self.lines.append(f"{(self.lab.simulation.now - self.begin) // 1_000_000:6} ms  > {what}")

    def text(self) -> str:
        self.flush()
        return "\n".join(self.lines) + "\n"


def put(lab: Lab, number: int, router: int = 0) -> Any:
    item = {"pk": {"S": "k"}, "sk": {"N": str(number)}, "v": {"S": str(number)}}
    return lab.send("PutItem", router, TableName="things", Item=item)


def page(lab: Lab, start: Any, router: int = 0) -> tuple[list[int], Any]:
    """One page of a Query over the whole item collection."""
    more = {} if start is None else {"ExclusiveStartKey": start}
    answer: Any = lab.call(
        "Query",
        router,
        TableName="things",
        KeyConditionExpression="pk = :k",
        ExpressionAttributeValues={":k": {"S": "k"}},
        ConsistentRead=True,
        Limit=4,
        **more,
    )
    assert answer.status == 200, answer
    return [int(item["sk"]["N"]) for item in answer.body["Items"]], answer.body.get("LastEvaluatedKey")


def split_under_load(make_lab: MakeLab) -> tuple[str, list[str]]:
    lab = make_lab(nodes_per_zone=1, routers=2, partitions=1)
    lab.create(sort_key=True)
    for router in (0, 1):
        for number in range(router, ITEMS, 2):
            token = put(lab, number, router)
            lab.run(SECOND // 20)
            assert lab.answers[token].status == 200
    told = Telling(lab, "A partition divides inside one item collection, while writes and a paged Query go on.")
    seen, start = page(lab, None)
    told.say(f"router r1: Query k, 4 a page: {seen}")
    leader, parent = lab.leader("k")
    told.say(f"split; router r2: put k/{ITEMS}, and 300 microseconds later put k/{ITEMS + 1}")
    lab.simulation.order(leader, m.SplitNow(parent))
    early = put(lab, ITEMS, router=1)
    lab.run(SECOND // 3333)
    late = put(lab, ITEMS + 1, router=1)
    lab.run(SECOND // 4)
    answers = [lab.answers[token].status for token in (early, late)]
    told.say(f"router r2: both puts answered: {answers}")
    while start is not None:
        more, start = page(lab, start)
        seen += more
        told.say(f"router r1: the next page: {more}")
    assert answers == [200, 200]
    assert seen == list(range(ITEMS + 2)), "none is skipped, none comes twice"
    return told.text(), [event.kind for _, _, event in lab.told]


def two_zone_loss(make_lab: MakeLab) -> tuple[str, list[str]]:
    lab = make_lab(nodes_per_zone=1, routers=1, partitions=1)
    lab.create()
    assert lab.put("k", "before").status == 200
    told = Telling(lab, "Two of three zones are lost; both come back.")
    leader, group = lab.leader("k")
    others = [index for index in lab.members(group) if index != leader]
    names = [lab.simulation.addresses[index].node for index in (leader, others[0])]
    told.say(f"crash {' and '.join(names)}")
    for index in (leader, others[0]):
        lab.simulation.crash(index)
    token = lab.send("PutItem", TableName="things", Item={"pk": {"S": "k"}, "v": {"S": "during"}})
    lab.run(6 * SECOND)
    refused = lab.answers[token]
    told.say(f"put k=during: {refused.status} {refused.error}")
    found = [lab.get("k", consistent=False) for _ in range(3)]
    told.say(f"three eventual reads: {', '.join(str(value) for value in found)}")
    told.say(f"restart {' and '.join(names)}")
    for index in (leader, others[0]):
        lab.simulation.restart(index)
    lab.run(6 * SECOND)
    value = lab.get("k")
    told.say(f"strong read: {value}")
    assert refused.status == 500 and found == ["before"] * 3
    assert value == "before", "acknowledged, so not lost; what was refused had not been logged by anybody"
    assert lab.put("k", "after").status == 200
    told.say("put k=after: acknowledged")
    return told.text(), [event.kind for _, _, event in lab.told]


STORIES = {"split-under-load": split_under_load, "two-zone-loss": two_zone_loss}


def compare(name: str, text: str, request: pytest.FixtureRequest) -> None:
    path = HERE / f"{name}.txt"
    if request.config.getoption("--rewrite-transcripts"):
        path.write_text(text)
    assert path.read_text() == text


@pytest.mark.claim("S34", "S19")
def test_a_partition_divides_under_load_and_nobody_notices(make_lab: MakeLab, request: pytest.FixtureRequest) -> None:
    text, kinds = split_under_load(make_lab)
    assert "moved" in kinds, "a router with an old map was told"
    assert "election-started" not in kinds[kinds.index("split-logged") :], "the children keep their leader"
    compare("split-under-load", text, request)


@pytest.mark.claim("S133", "S23")
def test_two_zones_are_lost_and_nothing_acknowledged_is(make_lab: MakeLab, request: pytest.FixtureRequest) -> None:
    text, _ = two_zone_loss(make_lab)
    compare("two-zone-loss", text, request)
