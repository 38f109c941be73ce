"""The questions of exercise 05, judged by the arithmetic of the chapter and by the rule of the implementation."""

from __future__ import annotations

import random
from collections.abc import Iterator

from dynalab.grade import JSON, Case, Judge
from dynalab_impl.replication.quorum import quorum_value

MILLION = 1_000_000
SECOND = 1_000_000_000


def judge_wait(lease_ns: int, drift_ppm: int) -> Judge:
    asked = f"a lease of {lease_ns} ns at {drift_ppm} ppm"

    # In true time: lease / (1 - e) on the slowest clock, wait / (1 + e) on the fastest; compared as whole numbers.
    def judge(got: JSON) -> str | None:
        if not isinstance(got, int) or isinstance(got, bool):
            return f"the wait for {asked} must be an integer, not {got!r}"
        if got * (MILLION - drift_ppm) < lease_ns * (MILLION + drift_ppm):
            return f"{got} ns is too short for {asked}: two leaders can serve at once"
        needed = -(-lease_ns * (MILLION + drift_ppm) // (MILLION - drift_ppm))
        if got > needed + needed // 1000 + 1:
            return f"{got} ns is longer than needed for {asked} by {got - needed} ns"
        return None

    return judge


def wait_cases(seeds: list[int]) -> Iterator[Case]:
    rng = random.Random(seeds[0])
    asked = [(1_500_000_000, 0), (1_500_000_000, 200), (10**18, 200), (1_000_000_000, 100_000)]
    asked += [(rng.randrange(SECOND // 10, 60 * SECOND), rng.randrange(1, 50_000)) for _ in range(4)]
    for number, (lease_ns, drift_ppm) in enumerate(asked, start=1):
        yield Case(f"wait-{number}", 1, "wait_ns", [lease_ns, drift_ppm], judge_wait(lease_ns, drift_ppm))


def lease_end(renewals: list[tuple[int, list[str]]], members: int, zone: str, lease_ns: int) -> int | None:
    """By the function that leaders of the implementation use."""
    newest: dict[str, int] = {}
    for sent_ns, followers in renewals:
        for follower in followers:
            newest[follower] = max(newest.get(follower, sent_ns), sent_ns)
    later = max([sent_ns for sent_ns, _ in renewals], default=0) + 1
    values = [(sent_ns, follower.split("/")[0]) for follower, sent_ns in newest.items()]
    start_ns = quorum_value([*values, (later, zone)], members, zones=2)
    return None if start_ns is None else start_ns + lease_ns


def judge_end(expected: int | None, words: str) -> Judge:
    def judge(got: JSON) -> str | None:
        if got == expected and not isinstance(got, bool):
            return None
        return f"{words}: " + ("there is no lease" if expected is None else f"the lease ends at {expected}, not {got}")

    return judge


def end_cases(seeds: list[int]) -> Iterator[Case]:
    by_hand: list[tuple[str, list[tuple[int, list[str]]], int, str]] = [
        ("one follower of two is enough", [(100, ["z2/n2"]), (200, [])], 3, "z1"),
        ("nobody has answered", [(100, []), (200, [])], 3, "z1"),
        ("a majority within one zone is no quorum", [(100, ["z1/n4"])], 3, "z1"),
        ("a later renewal counts for the earlier ones", [(100, ["z2/n2"]), (200, ["z3/n3"])], 5, "z1"),
        ("each follower counts with its newest", [(100, ["z2/n2", "z3/n3"]), (200, ["z2/n2"])], 5, "z1"),
    ]
    for number, (words, renewals, members, zone) in enumerate(by_hand, start=1):
        expected = lease_end(renewals, members, zone, 1000)
        arguments = [[list(r) for r in renewals], members, zone, 1000]
        yield Case(f"end-{number}", 1, "lease_ends_ns", arguments, judge_end(expected, words))
    rng = random.Random(seeds[1])
    for number in range(1, 8):
        members = rng.choice((3, 5, 7))
        followers = [f"z{rng.randrange(1, 4)}/n{i + 2}" for i in range(members - 1)]
        drawn = []
        for k in range(6):
            chosen = [f for f in followers if rng.randrange(3) == 0]
            drawn.append((100 * (k + 1) + rng.randrange(50), chosen))
        expected = lease_end(drawn, members, "z1", 1000)
        arguments = [[list(r) for r in drawn], members, "z1", 1000]
        yield Case(f"end-drawn-{number}", 1, "lease_ends_ns", arguments, judge_end(expected, f"renewals {drawn}"))


def cases(seeds: list[int]) -> Iterator[Case]:
    yield from wait_cases(seeds)
    yield from end_cases(seeds)
