"""The questions of exercise 01, by the rules of task.md; task 3 has histories by hand and from the simulator."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from dynalab.grade import JSON, Case, Judge, MalformedExercise
from dynalab_fault_injection.planted_bugs import run_with
from dynalab_fault_injection.run import run_one

Event = dict[str, Any]
SEEDS_TRIED_MAX = 100


def quorum(holders: list[str], members: list[str]) -> bool:
    """A majority that spans two zones."""
    return 2 * len(holders) > len(members) and len({name.split("/")[0] for name in holders}) >= 2


def judge_quorum(holders: list[str], members: list[str]) -> Judge:
    expected = quorum(holders, members)
    zones = sorted({name.split("/")[0] for name in holders})

    def judge(got: JSON) -> str | None:
        if got is expected:
            return None
        if got not in (True, False):
            return f"the answer to holders {holders} of {members} must be true or false, not {got!r}"
        if got and 2 * len(holders) <= len(members):
            return f"it acknowledged with {len(holders)} of {len(members)}: the others can elect a leader without it"
        if got:
            return f"it acknowledged with all holders in {zones}: the loss of that zone loses the write"
        return f"it refused holders {holders} of {members}, a majority in the zones {zones}"

    return judge


def quorum_cases(seeds: list[int]) -> Iterator[Case]:
    three = ["z1/n1", "z2/n2", "z3/n3"]
    lopsided = ["z1/n1", "z1/n4", "z2/n2"]
    yield Case("quorum-two-of-three", 1, "may_acknowledge", [three[:2], three], judge_quorum(three[:2], three))
    yield Case("quorum-leader-alone", 1, "may_acknowledge", [three[:1], three], judge_quorum(three[:1], three))
    yield Case("quorum-one-zone", 1, "may_acknowledge", [lopsided[:2], lopsided], judge_quorum(lopsided[:2], lopsided))
    yield Case("quorum-nobody", 1, "may_acknowledge", [[], three], judge_quorum([], three))
    rng = random.Random(seeds[0])
    for number in (1, 2):
        size = rng.choice((4, 5, 7))
        members = [f"z{rng.randrange(1, 4)}/n{i + 1}" for i in range(size)]
        holders = rng.sample(members, size // 2 if number == 1 else size // 2 + 1)
        yield Case(f"quorum-drawn-{number}", 1, "may_acknowledge", [holders, members], judge_quorum(holders, members))


def fresh_cases(seeds: list[int]) -> Iterator[Case]:
    for reads in (1, 2, 3 + seeds[0] % 5, 20):
        expected = [2**reads, 3**reads]

        def judge(got: JSON, reads: int = reads, expected: list[int] = expected) -> str | None:
            if got == expected:
                return None
            return f"{reads} reads in a row are all fresh with probability (2/3)^{reads}, that is {expected}, not {got}"

        name = f"fresh-{reads}"
        yield Case(name, 1, "all_fresh", [reads], judge)


def removes(event: Event) -> bool:
    """Whether this event invokes a delete, conditional or not."""
    return event["type"] == "invoke" and (event["f"] == "delete" or (event["f"] == "cas" and event["value"][1] is None))


def steps_back(events: list[Event]) -> dict[int, str]:
    """Every strong read that went back, by its completion's index, with a sentence: the definition, written plainly."""
    calls: dict[int, Event] = {}
    done: list[tuple[Event, Event]] = []
    for event in events:
        if event["type"] == "invoke":
            calls[event["process"]] = event
        else:
            done.append((calls[event["process"]], event))
    writes: list[tuple[str, Any, Event, Event]] = []
    writer: dict[tuple[str, Any], Event] = {}  # values are unique; several operations may write null
    for call, ret in done:
        if ret["type"] == "ok" and call["f"] in ("write", "cas"):
            value = call["value"][1] if call["f"] == "cas" else call["value"]
            writes.append((call["key"], value, call, ret))
            writer[call["key"], value] = ret
    found: dict[int, str] = {}
    for call, ret in done:
        if call["f"] != "read" or ret["type"] != "ok" or call.get("consistency", "strong") != "strong":
            continue
        key, got = call["key"], ret.get("value")
        deletes = any(removes(e) and e["key"] == key and e["time"] <= ret["time"] for e in events)
        for other, value, write_call, write_ret in writes:
            if other != key or value == got or write_ret["time"] >= call["time"]:
                continue
            source = writer.get((key, got))
            behind = (got is None and not deletes) or (
                got is not None and source is not None and source["time"] < write_call["time"]
            )
            if behind:
                found[ret["index"]] = (
                    f"the read that completed at index {ret['index']} returned {got!r}, although the write of "
                    f"{value!r} had been acknowledged at index {write_ret['index']}, before it began"
                )
                break
    return found


def judge_history(events: list[Event], story: str) -> Judge:
    expected = steps_back(events)

    def judge(got: JSON) -> str | None:
        if not expected:
            return None if got is None else f"{story}: it accused the event {got}, but no read went back"
        if isinstance(got, int) and not isinstance(got, bool) and got in expected:
            return None
        sentence = next(iter(expected.values()))
        return f"{story}: it answered {got!r}, but {sentence}"

    return judge


def history(*rows: tuple[int, int, str, str, Any], key: str = "k") -> list[Event]:
    """From rows (time, process, type, f, value): the events of one key; a read is strong unless its f is "eventual"."""
    events: list[Event] = []
    for index, (time, process, kind, f, value) in enumerate(rows):
        event: Event = {
            "index": index,
            "time": time,
            "process": process,
            "type": kind,
            "f": f,
            "key": key,
            "value": value,
        }
        if f in ("read", "eventual"):
            event |= {"f": "read", "consistency": "eventual" if f == "eventual" else "strong"}
        events.append(event)
    return events


def small_histories() -> Iterator[tuple[str, str, list[Event]]]:
    w1 = ((10, 1, "invoke", "write", 1), (20, 1, "ok", "write", 1))
    w2 = ((30, 1, "invoke", "write", 2), (40, 1, "ok", "write", 2))
    yield (
        "lost",
        "a write of 1, a write of 2, a read of 1",
        history(*w1, *w2, (50, 2, "invoke", "read", None), (60, 2, "ok", "read", 1)),
    )
    yield (
        "overlap",
        "the read began while the write of 2 was still running",
        history(*w1, w2[0], (35, 2, "invoke", "read", None), w2[1], (60, 2, "ok", "read", 1)),
    )
    yield (
        "eventual",
        "an eventual read may be old",
        history(*w1, *w2, (50, 2, "invoke", "eventual", None), (60, 2, "ok", "read", 1)),
    )
    yield "unknown", "the write of 1 timed out, so it may have taken effect later", history(
        (10, 3, "invoke", "write", 1), (20, 3, "info", "write", 1), *w2,
        (50, 2, "invoke", "read", None), (60, 2, "ok", "read", 1),
    )  # fmt: skip
    yield (
        "vanished",
        "an acknowledged write, no delete, and a read that found nothing",
        history(*w1, (50, 2, "invoke", "read", None), (60, 2, "ok", "read", None)),
    )


def simulated_histories(seeds: list[int]) -> Iterator[tuple[str, str, list[Event]]]:
    """The healthy system under faults, and two without a safety rule, from the first seed on that shows it."""
    for number, seed in enumerate(seeds[:2], start=1):
        story = f"the healthy system, seed {seed}, partition and node-crash"
        yield f"healthy-{number}", story, run_one(seed, "register", ("partition", "node-crash")).history
    for bug in ("acknowledge-before-quorum", "read-after-lease"):
        for seed in range(seeds[2], seeds[2] + SEEDS_TRIED_MAX):
            events = run_with(bug, seed).history
            if steps_back(events):
                yield f"bug-{bug}", f"the system with the bug {bug}, seed {seed}", events
                break
        else:
            raise MalformedExercise(f"{bug} shows no step back in {SEEDS_TRIED_MAX} seeds from {seeds[2]} on")


def cases(seeds: list[int]) -> Iterator[Case]:
    """All questions: 6 + 4 + 10 points."""
    yield from quorum_cases(seeds)
    yield from fresh_cases(seeds)
    for name, story, events in small_histories():
        yield Case(f"check-{name}", 1, "first_step_back", [events], judge_history(events, story))
    points = {"healthy-1": 1, "healthy-2": 1, "bug-acknowledge-before-quorum": 1, "bug-read-after-lease": 2}
    for name, story, events in simulated_histories(seeds):
        yield Case(f"check-{name}", points[name], "first_step_back", [events], judge_history(events, story))
