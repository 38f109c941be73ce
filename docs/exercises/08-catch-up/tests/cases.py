"""The questions of exercise 08, judged by a follower written down here and, for its log, by the implementation's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field

from dynalab.grade import JSON, Case, Judge
from dynalab_impl.messages import NO_REQUEST, Entry, Write
from dynalab_impl.replication.log import Log

Pair = tuple[str, int]


# --- task 1 -----------------------------------------------------------------------------------------------------------


def missing(base: int, last: int, match: int, most: int) -> list[JSON] | None:
    if match >= last:
        return None
    if match < base:
        return ["snapshot", last]
    return ["entries", match + 1, min(most, last - match)]


def lack_cases() -> Iterator[Case]:
    asked = [
        ("a follower that has everything", (10, 20, 20, 5)),
        ("one that lacks the last entry", (10, 20, 19, 5)),
        ("one that lacks more than a message holds", (10, 20, 12, 5)),
        ("one whose next entry is the oldest that is held", (10, 20, 10, 50)),
        ("one whose next entry was just let go", (10, 20, 9, 50)),
        ("a new disk, and a leader that holds its whole log", (0, 7, 0, 5)),
    ]
    for number, (words, arguments) in enumerate(asked, start=1):
        wanted = missing(*arguments)

        def judge(got: JSON, wanted: list[JSON] | None = wanted, words: str = words) -> str | None:
            return None if got == wanted else f"{words} is sent {wanted}, not {got!r:.200}"

        yield Case(f"lacks-{number}", 1, "lacks", list(arguments), judge)


# --- task 2 -----------------------------------------------------------------------------------------------------------


def entry(slot: int, pair: Pair) -> Entry:
    return Entry((1, "n1"), slot, 0, NO_REQUEST, 0, Write(pair[0].encode(), {"v": {"N": str(pair[1])}}, {}))


def pair_of(held: Entry) -> list[JSON]:
    command = held.command
    assert isinstance(command, Write) and command.item is not None
    return [command.key.decode(), int(str(command.item["v"]["N"]))]


@dataclass(slots=True)
class Follower:
    """What a right answer does."""

    rows: dict[str, JSON]
    log: Log
    commit: int
    matched: int
    slot: int = -1
    gathered: dict[str, JSON] = field(default_factory=dict)
    next: int = 0

    def as_json(self) -> dict[str, JSON]:
        held: list[JSON] = [pair_of(one) for one in self.log.after(self.log.base)]
        rows: dict[str, JSON] = dict(sorted(self.rows.items()))
        return {"rows": rows, "base": self.log.base, "log": held, "commit": self.commit, "matched": self.matched}

    def entries(self, first: int, pairs: list[Pair], commit: int) -> list[JSON]:
        if first <= self.matched + 1:
            fresh = [entry(first + i, pair) for i, pair in enumerate(pairs)][self.matched + 1 - first :]
            if fresh:
                self.log.store(self.matched + 1, fresh)
                self.matched = fresh[-1].slot
            while self.commit < min(commit, self.matched):
                self.commit += 1
                key, value = pair_of(self.log.entry(self.commit))
                self.rows[str(key)] = value
        return ["accepted", self.matched]

    def piece(self, slot: int, number: int, rows: dict[str, JSON], last: bool) -> list[JSON]:
        if slot <= self.commit:
            return ["accepted", self.matched]
        if slot != self.slot:
            self.slot, self.gathered, self.next = slot, {}, 0
        if number > self.next:
            self.slot = -1
            return ["again", slot]
        if number == self.next:
            self.gathered.update(rows)
            self.next += 1
            if last:
                self.rows, self.slot = dict(self.gathered), -1
                self.log.trim(slot)
                self.commit, self.matched = slot, max(self.matched, slot)
        return ["taken", slot, number]

    def restart(self) -> None:
        self.slot, self.matched = -1, self.commit


@dataclass(slots=True)
class Story:
    """A follower, what it is told, and what a right one answers."""

    follower: Follower
    words: str
    start: JSON = None
    messages: list[JSON] = field(default_factory=list)
    answers: list[JSON] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start = deepcopy(self.follower.as_json())

    def entries(self, first: int, pairs: list[Pair], commit: int) -> None:
        sent: list[JSON] = [[key, value] for key, value in pairs]
        self.messages.append(["entries", first, sent, commit])
        self.answers.append(self.follower.entries(first, pairs, commit))

    def piece(self, slot: int, number: int, rows: dict[str, JSON], last: bool) -> None:
        self.messages.append(["piece", slot, number, dict(rows), last])
        self.answers.append(self.follower.piece(slot, number, rows, last))

    def restart(self) -> None:
        self.messages.append(["restart"])
        self.follower.restart()
        self.answers.append(None)

    def judge(self, got: JSON) -> str | None:
        if not isinstance(got, list) or len(got) != 2:
            return f"[follower, answers] is wanted, not {got!r:.80}"
        follower, answers = got
        if not isinstance(answers, list) or len(answers) != len(self.messages):
            return f"one answer for each of the {len(self.messages)} messages is wanted"
        for number, (message, wanted, answer) in enumerate(zip(self.messages, self.answers, answers, strict=True)):
            if answer != wanted:
                return f"{self.words}: message {number}, {message!r:.150}, is answered by {wanted}, not {answer!r:.80}"
        wanted_end = self.follower.as_json()
        if not isinstance(follower, dict):
            return f"the follower is a dict, not {follower!r:.80}"
        for name, value in wanted_end.items():
            if follower.get(name) != value:
                return f"{self.words}: {name!r} is {value!r:.200} in the end, not {follower.get(name)!r:.200}"
        return None


def log_of(pairs: list[Pair], base: int = 0) -> Log:
    log = Log(base)
    for number, pair in enumerate(pairs, start=base + 1):
        log.append(entry(number, pair))
    return log


def told() -> Iterator[Story]:
    """Stories told by hand: each fails for one mistake."""
    a: list[Pair] = [("a", 1), ("b", 2), ("a", 3), ("c", 4)]
    story = Story(Follower({}, log_of([]), 0, 0), "entries in order")
    story.entries(1, a[:2], 1)
    story.entries(3, a[2:], 4)
    yield story
    story = Story(Follower({"a": 1}, log_of(a[:1]), 1, 1), "a message is missing in between")
    story.entries(3, a[2:], 4)
    story.entries(2, a[1:], 4)
    yield story
    story = Story(Follower({"a": 1}, log_of(a[:1]), 1, 1), "copies, and an older one comes last")
    story.entries(2, a[1:], 3)
    story.entries(2, a[1:], 3)
    story.entries(2, a[1:2], 1)
    yield story
    story = Story(
        Follower({"a": 1}, log_of([a[0], ("b", 99), ("b", 98)]), 1, 1),
        "an earlier leader's entry gives way, and the one behind it stays",
    )
    story.entries(2, a[1:2], 3)
    yield story
    story = Story(Follower({"a": 1}, log_of(a), 1, 1), "what stands behind `matched` is not known to be the leader's")
    story.entries(2, [], 4)
    yield story
    story = Story(Follower({"a": 1}, log_of(a[:1]), 1, 1), "a snapshot in two pieces, then the entries behind it")
    story.piece(7, 0, {"a": 5, "x": 6}, False)
    story.piece(7, 0, {"a": 5, "x": 6}, False)
    story.piece(7, 1, {"z": 7}, True)
    story.entries(8, [("x", 8)], 8)
    yield story
    story = Story(Follower({"a": 1, "gone": 2}, log_of(a[:2]), 2, 2), "keys that the snapshot lacks were deleted")
    story.piece(5, 0, {"a": 1}, True)
    yield story
    story = Story(Follower({"a": 1}, log_of(a), 1, 1), "entries behind the snapshot stay: they may have been chosen")
    story.piece(3, 0, {"a": 3, "b": 2}, True)
    story.entries(4, [], 4)
    yield story
    story = Story(Follower({}, log_of([]), 0, 0), "a piece is missing")
    story.piece(6, 0, {"a": 1}, False)
    story.piece(6, 2, {"c": 3}, True)
    story.piece(6, 1, {"b": 2}, False)
    story.piece(6, 0, {"a": 1}, False)
    story.piece(6, 1, {"b": 2}, False)
    story.piece(6, 2, {"c": 3}, True)
    yield story
    story = Story(Follower({}, log_of([]), 0, 0), "a newer snapshot begins while one comes in")
    story.piece(6, 0, {"old": 1}, False)
    story.piece(9, 0, {"a": 1}, False)
    story.piece(9, 1, {"b": 2}, True)
    yield story
    story = Story(Follower({"a": 1}, log_of(a[:3]), 1, 1), "entries arrive before the snapshot is complete")
    story.piece(3, 0, {"a": 3}, False)
    story.entries(2, a[1:], 4)
    story.piece(3, 1, {"b": 2}, True)
    yield story
    story = Story(
        Follower({"a": 1}, log_of(a[:1]), 1, 1), "it restarts between two pieces, and behind accepted entries"
    )
    story.entries(2, a[1:], 2)
    story.piece(9, 0, {"a": 5}, False)
    story.restart()
    story.piece(9, 1, {"b": 6}, True)
    story.entries(5, [("c", 5)], 5)
    yield story


def drawn(rng: random.Random, words: str) -> Story:
    """A leader with a log and snapshots, over a link that loses, doubles and delays."""
    pairs: list[Pair] = [(rng.choice("abcdef"), number) for number in range(1, 41)]

    def rows(slot: int) -> dict[str, JSON]:
        return dict(pairs[:slot])

    start = rng.randrange(6)
    wrong: list[Pair] = [(rng.choice("abcdef"), 100 + number) for number in range(rng.randrange(6))]
    story = Story(Follower(rows(start), log_of(pairs[:start] + wrong), start, start), words)
    late: list[int] = []
    for _ in range(60):
        draw = rng.randrange(12)
        known = story.follower.matched
        if draw == 0:
            story.restart()
        elif draw == 1 and late:
            first = rng.choice(late)
            story.entries(first, pairs[first - 1 : first + 2], first)
        elif draw < 4:
            slot = min(40, known + rng.randrange(1, 6))
            number = rng.randrange(3)
            image = rows(slot)
            keys = [key for i, key in enumerate(sorted(image)) if i % 3 == number]
            story.piece(slot, number, {key: image[key] for key in keys}, number == 2)
        else:
            first = max(1, min(40, known + rng.choice((1, 1, 1, 0, -1, 3))))
            late.append(first)
            story.entries(first, pairs[first - 1 : first + rng.randrange(4)], rng.randrange(41))
    return story


def follow_cases(seeds: list[int]) -> Iterator[Case]:
    rng = random.Random(seeds[0])
    stories = [*told(), *(drawn(rng, f"over a bad link, {number}") for number in range(1, 5))]
    for number, story in enumerate(stories, start=1):
        yield Case(f"follow-{number}", 1, "follow", [story.start, story.messages], story.judge)


# --- task 3 -----------------------------------------------------------------------------------------------------------

ENOUGH = 100_000


def counted(base: int, last: int, match: int, rows: int, piece: int, most: int, rate: int) -> int | None:
    """Message by message."""
    sent = 0
    while match < last:
        if sent > ENOUGH:
            return None
        if match < base:
            reached = last
            for _ in range(max(1, -(-rows // piece))):
                sent += 1
                last += rate
            match = reached
        else:
            sent += 1
            if last - match <= most:
                break
            match += most
            last += rate
    return sent


def judge_count(arguments: tuple[int, ...]) -> Judge:
    wanted = counted(*arguments)
    base, last, match, rows, piece, most, rate = arguments
    words = (
        f"the leader holds slots {base + 1} to {last}, the follower is at {match}; {rows} rows, {piece} a piece; "
        f"{most} entries a message, and {rate} more meanwhile"
    )

    def judge(got: JSON) -> str | None:
        return None if got == wanted and not isinstance(got, bool) else f"{words}: {wanted}, not {got!r:.80}"

    return judge


def count_cases(seeds: list[int]) -> Iterator[Case]:
    asked: list[tuple[int, ...]] = [
        (0, 20, 20, 9, 3, 5, 2),
        (0, 20, 3, 9, 3, 5, 0),
        (10, 20, 3, 9, 3, 5, 0),
        (10, 20, 3, 10, 3, 5, 2),
        (10, 20, 3, 0, 3, 5, 0),
        (0, 20, 3, 9, 3, 5, 5),
    ]
    rng = random.Random(seeds[1])
    for _ in range(2):
        last, most = rng.randrange(500, 900), rng.randrange(20, 40)
        asked.append((last // 2, last, rng.randrange(100), rng.randrange(2_000), 50, most, rng.randrange(1, most)))
    for number, arguments in enumerate(asked, start=1):
        yield Case(f"count-{number}", 1, "messages_needed", list(arguments), judge_count(arguments))


def cases(seeds: list[int]) -> Iterator[Case]:
    yield from lack_cases()
    yield from follow_cases(seeds)
    yield from count_cases(seeds)
