"""Many short histories of a few transactions on three keys, with messages held back at random and clocks that differ:
for each of them some serial order must explain what was read and what is left in the end. All orders are tried, so the
judge is as plain as the promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

import pytest

from dynalab_impl import messages as m
from dynalab_impl.effects import RequestToken
from dynalab_impl.transaction_rules import RULES, promised_order

from .conftest import SECOND, Lab
from .transacting import check, delete, gets, put, send, values, write

MS = SECOND // 1000
ROUTERS = 3
ROUNDS = 25  # of one cluster, each with keys of its own
HELD_BACK = ("PrepareItem", "CommitItem", "ReadItem", "WriteWhole")

Step: TypeAlias = tuple[str, str, str | None]  # "r" or "w", key, value


@dataclass(slots=True)
class Done:
    """An operation that happened: what it read and wrote, and when."""

    steps: list[Step]
    began_ns: int
    ended_ns: int


def explains(done: Sequence[Done], final: dict[str, str | None], strict: bool) -> bool:
    """Whether there is an order in which every read finds what was written last; if `strict`, one that keeps to time.

    >>> first, second = Done([("w", "a", "1")], 0, 1), Done([("w", "a", "2")], 2, 3)
    >>> explains([first, second], {"a": "1"}, strict=False), explains([first, second], {"a": "1"}, strict=True)
    (True, False)
    """
    tried: set[tuple[tuple[str | None, ...], tuple[int, ...]]] = set()

    def goes_on(state: dict[str, str | None], left: tuple[int, ...]) -> bool:
        if not left:
            return all(state.get(key) == value for key, value in final.items())
        mark = (tuple(state.get(key) for key in final), left)
        if mark in tried:
            return False
        tried.add(mark)
        for number in left:
            one = done[number]
            if strict and any(done[other].ended_ns < one.began_ns for other in left):
                continue
            if all(kind == "w" or state.get(key) == value for kind, key, value in one.steps):
                after = {**state, **{key: value for kind, key, value in one.steps if kind == "w"}}
                if goes_on(after, tuple(other for other in left if other != number)):
                    return True
        return False

    return goes_on({}, tuple(range(len(done))))


@dataclass(slots=True)
class Round:
    """One history: what was asked for, by token of the request."""

    lab: Lab
    random: Random
    name: str
    asked: dict[RequestToken, tuple[int, list[Step]]] = field(default_factory=dict)
    ended: dict[RequestToken, int] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)  # what the keys had before

    def keys(self) -> list[str]:
        return [f"{self.name}{letter}" for letter in "abc"]

    def ask(self, token: RequestToken, steps: list[Step]) -> None:
        self.asked[token] = (self.lab.simulation.now, steps)

    def pass_time(self, milliseconds: int) -> None:
        for _ in range(milliseconds):
            self.lab.run(MS)
            for token in self.asked:
                if token in self.lab.answers:
                    self.ended.setdefault(token, self.lab.simulation.now)

    def put_alone(self, key: str, value: str) -> None:
        item = {"pk": {"S": key}, "v": {"S": value}}
        router = self.random.randrange(ROUTERS)
        self.ask(self.lab.send("PutItem", router, TableName="things", Item=item), [("w", key, value)])

    def hold_back(self) -> list[Any]:
        lab, random = self.lab, self.random
        first, rules = lab.simulation.storage_count, []
        for router in range(ROUTERS):
            for name in HELD_BACK:
                if random.random() < 0.3:
                    leader = lab.leader(random.choice(self.keys()))[0]
                    delay_ns = random.randrange(1, 120) * MS
                    rules.append(lab.rule("delay", [first + router], [leader], names=(name,), delay_ns=delay_ns))
        return rules

    def action(self, key: str, value: str) -> tuple[dict[str, Any], list[Step]]:
        """Mostly what looks at nothing: that is what the rules are about."""
        draw, known = self.random.random(), self.known.get(key)
        seen = {"ExpressionAttributeValues": {":seen": {"S": known}}}
        if draw < 0.7:
            return put(key, value), [("w", key, value)]
        if draw < 0.78:
            return delete(key), [("w", key, None)]
        if known is None:
            return check(key, "attribute_not_exists(pk)"), [("r", key, None)]
        if draw < 0.9:
            return check(key, "v = :seen", **seen), [("r", key, known)]
        return put(key, value, ConditionExpression="v = :seen", **seen), [("r", key, known), ("w", key, value)]

    def operation(self, number: int) -> None:
        random, value = self.random, f"{self.name}.{number}"
        some = random.sample(self.keys(), random.choice([2, 2, 3]))
        router, draw = random.randrange(ROUTERS), random.random()
        if draw < 0.55:
            parts = [self.action(key, value) for key in some]
            more = {"ClientRequestToken": value} if random.random() < 0.5 else {}
            token = send(self.lab, [action for action, _ in parts], router, **more)
            self.ask(token, [step for _, steps in parts for step in steps])
        elif draw < 0.8:
            token = self.lab.send("TransactGetItems", router, TransactItems=gets(some))
            self.ask(token, [("r", key, None) for key in some])
        else:
            self.put_alone(some[0], value)

    def play(self) -> tuple[list[Done], dict[str, str | None]]:
        """What happened, and what is left."""
        lab, random = self.lab, self.random
        for key in self.keys():
            if random.random() < 0.8:
                self.put_alone(key, f"{key}.0")
                self.known[key] = f"{key}.0"
        self.pass_time(random.choice([50, 500]))
        rules = self.hold_back()
        for number in range(1, 8):
            self.operation(number)
            self.pass_time(random.randrange(60))
        while len(self.ended) < len(self.asked):
            self.pass_time(1)
        for rule in rules:
            lab.simulation.network.remove_rule(rule)
        lab.run(SECOND // 5)
        return [one for token in self.asked for one in self.outcome(token)], {key: lab.get(key) for key in self.keys()}

    def outcome(self, token: RequestToken) -> list[Done]:
        answer, (began_ns, steps) = self.lab.answers[token], self.asked[token]
        assert answer.status in (200, 400), answer
        if answer.status == 400:
            return []
        if "Responses" in answer.body:
            found = zip(steps, values(answer), strict=True)
            steps = [("r", key, value) for (_, key, _), value in found]
        return [Done(steps, began_ns, self.ended[token])]


# The last seed of the rule for many prepared, and that of all rules, once showed histories without a serial order.
@pytest.mark.claim("S70")
@pytest.mark.parametrize(
    ("names", "seeds"),
    [((), (0, 1, 2)), *(((name,), (0, 29)) for name in RULES), (tuple(RULES), (0, 1, 19))],
    ids=["no rules", *RULES, "all rules"],
)
def test_every_short_history_has_a_serial_order(names: tuple[str, ...], seeds: tuple[int, ...]) -> None:
    happened = 0
    for seed in seeds:
        random = Random(seed)
        lab = Lab(seed, nodes_per_zone=1, routers=ROUTERS, partitions=1 << seed % 3, transaction_rules=names)
        lab.create()
        assert write(lab, put("warm", 1), ClientRequestToken="warm").status == 200
        shifts = [0] * len(lab.simulation.hosts)
        for number in range(ROUNDS):
            for place, host in enumerate(lab.simulation.hosts):
                shift_ns = random.choice([0, 0, 60, 300]) * random.randrange(-100, 101) * MS // 100
                host.wall_shift_ns += shift_ns - shifts[place]
                shifts[place] = shift_ns
            one = Round(lab, random, f"{seed}.{number}")
            done, final = one.play()
            happened += len(done)
            strict = promised_order(names) == "strict-serializable"
            assert explains(done, final, strict), (seed, number, done, final)
            if random.random() < 0.1:
                leader, group = lab.leader(one.keys()[0])
                lab.simulation.order(leader, m.SplitNow(group))
    assert happened > 250
