"""The questions of exercise 10. How many shards do is measured: by throttles of the replicated service."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import cast

from dynalab.grade import JSON, Case, Judge
from dynalab_fault_injection.simulator import Format, Simulation
from dynalab_impl import codec
from dynalab_impl.effects import Limits, RequestToken, Response, layout
from dynalab_impl.service import make_node
from dynalab_impl.storage import wal
from dynalab_model.requests import parse

SECOND_NS = 1_000_000_000
READY_NS = 8 * SECOND_NS
SECONDS = 4

# --- task 1 -----------------------------------------------------------------------------------------------------------


def judge_keys(votes: list[list[str]], shards: int) -> Judge:
    wanted = [f"{candidate}_{zlib.crc32(voter.encode()) % shards}" for candidate, voter in votes]

    def judge(got: JSON) -> str | None:
        if not isinstance(got, list) or len(got) != len(votes):
            return f"one key for each of the {len(votes)} votes is wanted"
        for vote, key, right in zip(votes, got, wanted, strict=True):
            if key != right:
                return f"the vote {vote} is counted at {right!r} by all other programs, and not at {key!r}"
        return None

    return judge


def key_cases(seeds: list[int]) -> Iterator[Case]:
    rng = random.Random(seeds[0])
    for name, shards, voters in (("few", 10, 4_000), ("many", 200, 10_000)):
        votes = [[f"Candidate{rng.choice('AB')}", f"zoë {rng.getrandbits(40)}"] for _ in range(voters)]
        assert max(Counter(zlib.crc32(voter.encode()) % shards for _, voter in votes).values()) < 2 * voters / shards
        yield Case(f"keys-{name}", 2, "keys", cast("list[JSON]", [votes, shards]), judge_keys(votes, shards))


# --- task 2 -----------------------------------------------------------------------------------------------------------


class Election:
    """Votes for one candidate, in virtual time; counts what was taken and what was refused."""

    def __init__(self, seed: int, rate: int, limit: int, partitions: int) -> None:
        limits = Limits(partition_write=limit, partition_read=3 * limit, node_partitions=partitions)
        form = Format(codec.encode, codec.decode, wal.frame, wal.recover)
        self.simulation = Simulation(seed, layout(3, 1, 1, partitions=partitions, limits=limits), make_node, form)
        self.simulation.clients.append(self)
        self.rate = rate
        self.statuses: Counter[int] = Counter()
        self.simulation.start()
        self.simulation.run_until(READY_NS)
        key, kind = {"AttributeName": "key", "KeyType": "HASH"}, {"AttributeName": "key", "AttributeType": "S"}
        table = {"TableName": "Votes", "KeySchema": [key], "AttributeDefinitions": [kind]}
        self.simulation.request(0, 0, parse("CreateTable", {**table, "BillingMode": "PAY_PER_REQUEST"}))
        self.simulation.run_until(2 * READY_NS)
        assert self.statuses.pop(200) == 1, "no table"

    def on_wake(self, tag: int) -> None:
        raise AssertionError("nobody asked for a wake-up")

    def on_response(self, token: RequestToken, response: Response) -> None:
        self.statuses[response.status] += 1

    def hold(self, shards: int) -> tuple[int, int]:
        """Votes that were sent, and votes that were refused."""
        began_ns, sent = self.simulation.now, SECONDS * self.rate
        for number in range(sent):
            self.simulation.run_until(began_ns + number * SECOND_NS // self.rate)
            key = f"CandidateA_{zlib.crc32(f'voter {number}'.encode()) % shards}"
            body = {"TableName": "Votes", "Key": {"key": {"S": key}}, "UpdateExpression": "ADD votes :one"}
            values = {"ExpressionAttributeValues": {":one": {"N": "1"}}}
            self.simulation.request(0, 0, parse("UpdateItem", {**body, **values}))
        self.simulation.run_until(self.simulation.now + SECOND_NS)
        assert self.statuses[200] + self.statuses[400] == sent, self.statuses
        return sent, self.statuses[400]


def judge_shards(seed: int, rate: int, limit: int, partitions: int) -> Judge:
    most = 40 * rate // limit

    def judge(got: JSON) -> str | None:
        if not isinstance(got, int) or isinstance(got, bool) or not 1 <= got <= most:
            return f"a number of shards from 1 to {most} is wanted, not {got!r}"
        sent, refused = Election(seed, rate, limit, partitions).hold(got)
        if refused * 100 > sent:
            return f"with {got} shards {refused} of {sent} votes were refused: one in a hundred is the most"
        return None

    return judge


def shard_cases(seeds: list[int]) -> Iterator[Case]:
    for number, (rate, limit, partitions) in enumerate(((300, 20, 48), (200, 10, 64), (300, 30, 32)), start=1):
        arguments: list[JSON] = [rate, limit, partitions]
        yield Case(f"shards-{number}", 3, "shards", arguments, judge_shards(seeds[1], rate, limit, partitions))


# --- task 3 -----------------------------------------------------------------------------------------------------------


def judge_totals(rounds: list[list[list[int]]], shards: int, words: str) -> Judge:
    best, wanted = [0] * shards, []
    for read in rounds:
        for shard, votes in read:
            best[shard] = max(best[shard], votes)
        wanted.append(sum(best))

    def judge(got: JSON) -> str | None:
        if not isinstance(got, list) or len(got) != len(rounds):
            return f"one total for each of the {len(rounds)} rounds is wanted"
        for number, (total, right) in enumerate(zip(got, wanted, strict=True), start=1):
            if total != right:
                return f"{words}: after round {number} at least {right} votes are known, and the total says {total!r}"
        return None

    return judge


def total_cases(seeds: list[int]) -> Iterator[Case]:
    by_hand = [
        ("all are read", 2, [[[0, 1], [1, 2]], [[0, 4], [1, 2]]], 1),
        ("a throttled read", 2, [[[0, 3], [1, 2]], [[0, 4]], [[0, 5], [1, 9]]], 2),
        ("a replica that is behind", 2, [[[0, 3], [1, 2]], [[0, 1], [1, 4]], [[0, 6], [1, 4]]], 2),
    ]
    for number, (words, shards, rounds, points) in enumerate(by_hand, start=1):
        arguments = cast("list[JSON]", [rounds, shards])
        yield Case(f"totals-{number}", points, "totals", arguments, judge_totals(rounds, shards, words))
    rng = random.Random(seeds[2])
    held = [0] * 20
    rounds = []
    for _ in range(30):
        before = list(held)
        held = [votes + rng.randrange(9) for votes in held]
        rounds.append([[n, rng.choice((held[n], held[n], before[n]))] for n in range(20) if rng.randrange(5)])
    arguments = cast("list[JSON]", [rounds, 20])
    yield Case("totals-drawn", 2, "totals", arguments, judge_totals(rounds, 20, "as drawn"))


def cases(seeds: list[int]) -> Iterator[Case]:
    yield from key_cases(seeds)
    yield from shard_cases(seeds)
    yield from total_cases(seeds)
