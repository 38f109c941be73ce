"""A differential run: seeded requests to every service, answers compared, differences judged.

After every write the touched items are read back from every service and compared as well, and a service that came to
another state is brought to ours before the next request: one difference is one difference, and not a hundred that
follow from it. What an emulator cannot hold at all is deleted everywhere.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from dynalab.differential.caller import DIED, Caller
from dynalab.differential.chance import seeded
from dynalab.differential.compare import Answer, Difference, compare
from dynalab.differential.judge import Judgement, judge
from dynalab.differential.requests import WRITES, Request, Requests
from dynalab.differential.table_requests import of_tables
from dynalab.differential.tables import SHAPES, Body, TableShape

BAD_ONE_IN = 12
MISSING_TABLE_ONE_IN = 60
TABLES_ONE_IN = 25
EXAMPLES_MAX = 3


@dataclass(slots=True)
class Example:
    """A difference, the request that showed it, and both answers."""

    difference: Difference
    request: Request
    ours: Answer
    theirs: Answer


@dataclass(slots=True)
class Report:
    """What a run came to. `judged` counts differences by (judgement, emulator); `unjudged` keeps every kind once."""

    requests: int = 0
    answered: int = 0
    equal: Counter[str] = field(default_factory=Counter)
    judged: Counter[tuple[str, str]] = field(default_factory=Counter)
    unjudged: dict[tuple[str, ...], list[Example]] = field(default_factory=dict)
    unjudged_count: int = 0
    repaired: Counter[str] = field(default_factory=Counter)

    def add(self, example: Example, judgements: Sequence[Judgement]) -> None:
        """Count a difference under its judgement."""
        found = judge(example.difference, json.dumps(example.request[1]), judgements)
        if found is not None:
            self.judged[found.name, example.difference.them] += 1
            return
        self.unjudged_count += 1
        d = example.difference
        kind = (d.them, d.operation, d.part or d.ours[:60], "" if d.part else d.theirs[:60])
        examples = self.unjudged.setdefault(kind, [])
        if len(examples) < EXAMPLES_MAX:
            examples.append(example)


async def run(
    ours: Caller,
    others: Sequence[Caller],
    judgements: Sequence[Judgement],
    *,
    requests: int,
    seed: int,
    settle: Callable[[], Awaitable[None]],
    shapes: tuple[TableShape, ...] = SHAPES,
    progress: Callable[[int], None] = lambda done: None,
) -> Report:
    """Ask so many requests of everybody. `settle` waits until our indexes have what their tables owe them."""
    report, chance = Report(), seeded(seed)
    makes = Requests(shapes, bad_one_in=BAD_ONE_IN, missing_table_one_in=MISSING_TABLE_ONE_IN)
    everybody = (ours, *others)
    for caller in everybody:
        for shape in shapes:
            await caller.create(shape)
    while report.requests < requests:
        request = name, body = of_tables(chance) if chance.one_in(TABLES_ONE_IN) else makes.make(chance)
        if "IndexName" in body:
            await settle()
        answers = await asyncio.gather(*(caller.ask(name, body) for caller in everybody))
        report.requests += 1
        report.answered += answers[0].status == 200
        if name == "Query" and "IndexName" not in body and answers[0].status == 200:
            makes.went(request, answers[0].body)
        assert answers[0].status != DIED, f"our own service gave no answer to {name} {body}"
        for caller, answer in zip(others, answers[1:], strict=True):
            if answer.status == DIED:
                await caller.revive(ours, shapes)
        if name == "CreateTable" and "TableName" in body and any(answer.status == 200 for answer in answers):
            await asyncio.gather(*(caller.delete(str(body["TableName"])) for caller in everybody))
        states = await _states(everybody, shapes, name, body) if name in WRITES else [{} for _ in everybody]
        for caller, answer, state in zip(others, answers[1:], states[1:], strict=True):
            differences = compare(caller.name, name, answers[0], answer)
            for each in differences:
                report.add(Example(each, request, answers[0], answer), judgements)
            report.equal[caller.name] += not differences
            for place, item in states[0].items():
                told = compare(caller.name, "state", item, state[place])
                if told:
                    if not differences:
                        for each in told:
                            report.add(Example(each, request, item, state[place]), judgements)
                    report.repaired[caller.name] += 1
                    await _repair(everybody, caller, place, item)
        progress(report.requests)
    return report


Place = tuple[str, str]  # table, and the key as text


def _touched(shapes: tuple[TableShape, ...], operation: str, body: Body) -> dict[Place, Body]:
    """The keys that a write is about, if it has any."""
    by_name = {shape.name: shape for shape in shapes}
    pairs: list[tuple[object, object]] = []
    if operation == "BatchWriteItem":
        for table, writes in cast("dict[str, list[dict[str, Body]]]", body["RequestItems"]).items():
            for write in writes:
                (kind, part), *_ = write.items()
                pairs.append((table, part["Item" if kind == "PutRequest" else "Key"]))
    else:
        pairs.append((body.get("TableName"), body.get("Item", body.get("Key"))))
    found: dict[Place, Body] = {}
    for named, attributes in pairs:
        shape = by_name.get(str(named))
        if shape is not None and isinstance(attributes, dict) and all(key in attributes for key in shape.keys):
            key: Body = {each: attributes[each] for each in shape.keys}
            found[shape.name, str(key)] = key
    return found


async def _states(
    everybody: Sequence[Caller], shapes: tuple[TableShape, ...], name: str, body: Body
) -> list[dict[Place, Answer]]:
    """What everybody holds under the keys of a write; a key that we refuse to read is left out."""
    states: list[dict[Place, Answer]] = [{} for _ in everybody]
    for place, key in _touched(shapes, name, body).items():
        read: Body = {"TableName": place[0], "Key": key, "ConsistentRead": True}
        answers = await asyncio.gather(*(caller.once("GetItem", read) for caller in everybody))
        if answers[0].status != 200:  # no key: who stored something under it drops it again
            for caller in everybody[1:]:
                await caller.once("DeleteItem", {"TableName": place[0], "Key": key})
        else:
            for state, answer in zip(states, answers, strict=True):
                state[place] = Answer(answer.status, {**answer.body, "Key": key}) if answer.status == 200 else answer
    return states


async def _repair(everybody: Sequence[Caller], caller: Caller, place: Place, ours: Answer) -> None:
    """Bring an emulator to our item; where it cannot hold that, nobody holds it."""
    table, item = place[0], ours.body.get("Item")
    delete: Body = {"TableName": table, "Key": ours.body["Key"]}
    if item is not None:
        put = await caller.once("PutItem", {"TableName": table, "Item": item})
        held = await caller.once("GetItem", {**delete, "ConsistentRead": True})
        if put.status == 200 and not compare(caller.name, "state", Answer(200, {"Item": item}), held):
            return
        for each in everybody:
            await each.once("DeleteItem", delete)
    else:
        await caller.once("DeleteItem", delete)
