"""The questions of exercise 06, judged by what the routers of the implementation use."""

from __future__ import annotations

import random
from collections.abc import Iterator

from dynalab.grade import JSON, Case, Judge
from dynalab_impl.messages import GroupSpec
from dynalab_impl.routes import Ranges, Routes
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema

SCHEMA = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
MANY = 100_000


def spec(low: str, high: str, name: str) -> GroupSpec:
    return GroupSpec(name, "T", "", low.encode(), high.encode(), (), SCHEMA)


# --- task 1 -----------------------------------------------------------------------------------------------------------


def judge_places(lows: list[str], keys: list[str]) -> Judge:
    ranges = Ranges()
    numbers = {}
    for number, (low, high) in enumerate(zip(lows, [*lows[1:], ""], strict=True)):
        numbers[str(number)] = number
        ranges.put(spec(low, high, str(number)))

    def judge(got: JSON) -> str | None:
        if not isinstance(got, list) or len(got) != len(keys):
            return f"one number for each of the {len(keys)} keys is wanted"
        for key, place in zip(keys, got, strict=True):
            found = ranges.floor(key.encode())
            assert found is not None
            wanted = numbers[found.group]
            if place != wanted or isinstance(place, bool):
                return f"key {key} lies in partition {wanted}, which begins at {lows[wanted]!r}, not in {place!r}"
        return None

    return judge


def find_cases(seeds: list[int]) -> Iterator[Case]:
    rng = random.Random(seeds[0])
    slide = ["", "55", "aa"]
    orders = ["7b", "48", "cd"]
    yield Case("find-slide", 1, "find", [slide, orders], judge_places(slide, orders))
    edges = ["00", "54", "55", "56", "a9", "aa", "ff"]
    yield Case("find-edges", 2, "find", [slide, edges], judge_places(slide, edges))
    yield Case("find-one", 1, "find", [[""], edges], judge_places([""], edges))
    for number in (1, 2):
        drawn = sorted({f"{rng.getrandbits(16):04x}" for _ in range(30)} - {"0000"})
        lows = ["", *drawn]
        keys = [f"{rng.getrandbits(16):04x}" for _ in range(20)] + rng.sample(drawn, 5)
        yield Case(f"find-drawn-{number}", 1, "find", [lows, keys], judge_places(lows, keys))
    lows = ["", *(f"{n * 80:08x}" for n in range(1, MANY))]
    keys = [f"{rng.randrange(MANY * 80):08x}" for _ in range(MANY)]
    yield Case("find-many", 2, "find", [lows, keys], judge_places(lows, keys))


# --- task 2 -----------------------------------------------------------------------------------------------------------


def learnt(known: list[list[str]], new: list[str]) -> list[list[str]]:
    """By the structure that routers and the catalog use."""
    ranges = Ranges()
    for low, high, name in [*known, new]:
        ranges.put(spec(low, high, name))
    return [[one.low.decode(), one.high.decode(), one.group] for one in ranges.specs]


def judge_ranges(known: list[list[str]], new: list[str], words: str) -> Judge:
    wanted = learnt(known, new)

    def judge(got: JSON) -> str | None:
        if got == wanted:
            return None
        return f"{words}: after {new} the router should believe {wanted}, not {got!r:.300}"

    return judge


def learn_cases(seeds: list[int]) -> Iterator[Case]:
    whole = [["", "55", "a"], ["55", "aa", "b"], ["aa", "", "c"]]
    by_hand: list[tuple[str, list[list[str]], list[str]]] = [
        ("nothing was known", [], ["55", "aa", "b"]),
        ("a hole is filled", [whole[0], whole[2]], whole[1]),
        ("the lower child of a split takes its parent's place", whole, ["55", "80", "b0"]),
        ("a merged range covers two older ones", whole, ["55", "", "d"]),
    ]
    for number, (words, known, new) in enumerate(by_hand, start=1):
        yield Case(f"learn-{number}", 1, "learn", [known, new], judge_ranges(known, new, words))
    rng = random.Random(seeds[1])
    for number in range(1, 5):
        known: list[list[str]] = []
        for i in range(12):
            ends = sorted(rng.sample(range(1, 255), 2))
            known = learnt(known, [f"{ends[0]:02x}", f"{ends[1]:02x}", f"p{i}"])
        ends = sorted(rng.sample(range(1, 255), 2))
        new = [f"{ends[0]:02x}", "" if number == 4 else f"{ends[1]:02x}", "new"]
        yield Case(f"learn-drawn-{number}", 1, "learn", [known, new], judge_ranges(known, new, "as drawn"))


# --- task 3 -----------------------------------------------------------------------------------------------------------


def asked(requests: list[list[int]], capacity: int, refresh: bool) -> list[list[int]]:
    """By the cache that routers use."""
    caches: dict[int, Routes] = {}
    counts: dict[int, int] = {}
    for router, partition in requests:
        cache = caches.setdefault(router, Routes(capacity))
        low, high = f"{partition:04x}", f"{partition + 1:04x}"
        counts.setdefault(router, 0)
        if cache.find("T", "", low.encode()) is None:
            cache.put(spec(low, high, low), 0)
            counts[router] += 1
        elif refresh:
            counts[router] += 1
    return [[router, counts[router]] for router in sorted(counts)]


def judge_counts(requests: list[list[int]], capacity: int, refresh: bool, words: str) -> Judge:
    wanted = asked(requests, capacity, refresh)

    def judge(got: JSON) -> str | None:
        if got == wanted:
            return None
        way = "with a refresh on every hit" if refresh else "asking on misses only"
        return f"{words}, {way}: the routers ask {wanted}, not {got!r:.300}"

    return judge


def load_cases(seeds: list[int]) -> Iterator[Case]:
    by_hand = [
        ("one partition, ten times", [[1, 7]] * 10, 5),
        ("a cache of two and three partitions in turn", [[1, n % 3] for n in range(12)], 2),
        ("what was just used stays", [[1, n] for n in (1, 2, 1, 3, 1, 4, 1, 2)], 2),
        ("two routers, each with a cache of its own", [[n % 2, n // 4] for n in range(24)], 10),
    ]
    for number, (words, requests, capacity) in enumerate(by_hand, start=1):
        for refresh in (False, True):
            arguments = [requests, capacity, refresh]
            name = f"load-{number}-{'refresh' if refresh else 'miss'}"
            yield Case(name, 1, "questions", arguments, judge_counts(requests, capacity, refresh, words))
    rng = random.Random(seeds[2])
    for number in range(1, 4):
        # First two routers serve, then six more join.
        requests = [[rng.randrange(2 if n < 300 else 8), rng.randrange(40)] for n in range(900)]
        capacity = rng.choice((10, 40))
        words = f"900 requests for 40 partitions, a cache of {capacity}, six routers join after 300"
        for refresh in (False, True):
            name = f"load-join-{number}-{'refresh' if refresh else 'miss'}"
            arguments = [requests, capacity, refresh]
            yield Case(name, 1, "questions", arguments, judge_counts(requests, capacity, refresh, words))


def cases(seeds: list[int]) -> Iterator[Case]:
    yield from find_cases(seeds)
    yield from learn_cases(seeds)
    yield from load_cases(seeds)
