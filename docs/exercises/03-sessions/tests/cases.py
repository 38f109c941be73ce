"""The questions of exercise 03. The histories of task 1 stand in task.md alone; every verdict is the checker's."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dynalab.grade import JSON, Case, Judge, MalformedExercise
from dynalab_checkers.history import History
from dynalab_checkers.sessions import MONOTONIC_READS, READ_YOUR_WRITES, check_sessions

TASK = Path(__file__).resolve().parents[1] / "task.md"
STEP = re.compile(r"(ann|bob|cem) (writes|reads) (-|\d)(?:>(\d))?")
CLIENTS = ("ann", "bob", "cem")
MILLISECOND = 1_000_000
REPLICAS = 3
WRITES = 30
Event = dict[str, Any]


def completed(time: int, process: int, f: str, value: Any, **told: Any) -> list[Event]:
    """An operation of one millisecond from `time` (milliseconds) on."""
    base: Event = {"process": process, "f": f, "key": "k", "consistency": "eventual"}
    asked = {"value": value} if f == "write" else {}
    return [
        {**base, **asked, "type": "invoke", "time": time * MILLISECOND},
        {**base, "value": value, **told, "type": "ok", "time": (time + 1) * MILLISECOND},
    ]


def numbered(events: list[Event]) -> list[Event]:
    return [{"index": index, **event} for index, event in enumerate(events)]


def task_histories() -> dict[str, History]:
    """The histories of task.md by their letters."""
    found: dict[str, History] = {}
    for letter, line in re.findall(r"^([a-h]): (.*)$", TASK.read_text(encoding="utf-8"), flags=re.MULTILINE):
        events: list[Event] = []
        for place, (client, verb, first, second) in enumerate(STEP.findall(line)):
            process = CLIENTS.index(client)
            value = None if first == "-" else int(first)
            if verb == "writes":
                events += completed(3 * place, process, "write", int(second), old=value)
            else:
                events += completed(3 * place, process, "read", value)
        found[letter] = History.from_events(numbered(events))
    if sorted(found) != list("abcdefgh"):
        raise MalformedExercise(f"{TASK} must hold the histories a to h")
    return found


def judge_broken(letter: str, history: History) -> Judge:
    verdict = check_sessions(history, flavours=("eventual",), real_time=False)
    expected = str(verdict.details.get("guarantee", "none"))

    def judge(got: JSON) -> str | None:
        if not isinstance(got, dict):
            return f"the answer must be a dictionary of letters, not {got!r}"
        if got.get(letter) == expected:
            return None
        reason = verdict.why or "every session saw and made versions that never went back"
        return f"history {letter} is {expected}, not {got.get(letter)!r}: {reason}"

    return judge


def run(seed: int, sticky: bool, own: bool) -> list[Event]:
    """Three replicas, the last of which lags. `sticky`: a session keeps to one replica; `own`: it then waits there
    until its own last write has arrived.
    """
    rng = random.Random(seed)
    arrived: list[list[int]] = [[] for _ in range(REPLICAS)]  # when each version reached each replica
    home = {process: rng.randrange(REPLICAS) for process in range(4)}
    last: dict[int, int] = {}
    events: list[Event] = []
    time = 0
    for value in range(1, WRITES + 1):
        writer = rng.randrange(4)
        events += completed(time, writer, "write", value, old=value - 1 or None)
        last[writer] = value
        lag = rng.randrange(3, 30)
        for replica, times in enumerate(arrived):
            at = time + 1 + (lag if replica == REPLICAS - 1 else 0)
            times.append(max(at, times[-1]) if times else at)
        time += 2
        for _ in range(rng.randrange(1, 4)):
            reader = rng.choice((writer, rng.randrange(4)))
            replica = home[reader] if sticky else rng.randrange(REPLICAS)
            shown = sum(at <= time for at in arrived[replica])
            if own and shown < last.get(reader, 0):
                shown = last[reader]
            events += completed(time, reader, "read", shown or None)
            time += 2
    return numbered(events)


def judge_kept(events: list[Event], story: str) -> Judge:
    history = History.from_events(events)
    verdicts = {
        name: check_sessions(history, guarantees=[name], flavours=("eventual",))
        for name in (READ_YOUR_WRITES, MONOTONIC_READS)
    }
    expected = [name for name, verdict in verdicts.items() if verdict.verdict == "valid"]

    def judge(got: JSON) -> str | None:
        if got == expected:
            return None
        for name, verdict in verdicts.items():
            if isinstance(got, list) and (name in got) != (name in expected):
                return f"{story}: {verdict.why or f'every session kept {name}'}"
        return f"{story}: the answer is {expected}, not {got!r}"

    return judge


def cases(seeds: list[int]) -> Iterator[Case]:
    """All questions: 8 + 12 points."""
    for letter, history in task_histories().items():
        yield Case(f"predict-{letter}", 1, "broken", [], judge_broken(letter, history))
    settings = ((False, False), (True, True), (True, False), (False, True))
    for number, (seed, (sticky, own)) in enumerate(zip(seeds, settings, strict=True), start=1):
        events = run(seed, sticky, own)
        story = f"sessions that {'keep to a replica' if sticky else 'read anywhere'}"
        story += " and wait for their own writes" if own else ""
        asked: list[JSON] = [events]  # type: ignore[list-item]
        yield Case(f"check-{number}", 3, "kept", asked, judge_kept(events, story))
