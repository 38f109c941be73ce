"""The questions of exercise 02. The histories of task 1 stand in task.md alone; every verdict is the checker's."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dynalab.grade import JSON, Case, Judge, MalformedExercise
from dynalab_checkers.history import History
from dynalab_checkers.linearizability import check_register

TASK = Path(__file__).resolve().parents[1] / "task.md"
OPERATION = re.compile(r"(\d+) (write|read|cas) (\d+)(?:>(\d+))? \[(\d+),(\d+|\?)\]")
DRAWN = 12  # histories in one question
Small = dict[str, Any]


def task_histories() -> dict[str, list[Small]]:
    """The histories of task.md by their letters."""
    found: dict[str, list[Small]] = {}
    for letter, line in re.findall(r"^([a-h]): (.*)$", TASK.read_text(encoding="utf-8"), flags=re.MULTILINE):
        operations: list[Small] = []
        for process, f, value, new, call, ret in OPERATION.findall(line):
            operations.append(
                {
                    "process": int(process),
                    "f": f,
                    "value": [int(value), int(new)] if new else int(value),
                    "call": int(call),
                    "ret": None if ret == "?" else int(ret),
                }
            )
        found[letter] = operations
    if sorted(found) != list("abcdefgh"):
        raise MalformedExercise(f"{TASK} must hold the histories a to h")
    return found


def history(operations: list[Small]) -> History:
    """Small operations as a history; times in milliseconds."""
    events: list[dict[str, Any]] = []
    for one in operations:
        asked = {} if one["f"] == "read" else {"value": one["value"]}
        base = {"process": one["process"], "f": one["f"], "key": "k"}
        events.append({**base, **asked, "type": "invoke", "time": one["call"] * 1_000_000})
        if one["ret"] is not None:
            events.append({**base, "value": one["value"], "type": "ok", "time": one["ret"] * 1_000_000})
    # What touches is concurrent, but a client returns before it calls again.
    events.sort(key=lambda event: (event["time"], event["type"] == "invoke"))
    return History.from_events({**event, "index": index} for index, event in enumerate(events))


def judge_pair(pair: str, histories: dict[str, list[Small]]) -> Judge:
    def judge(got: JSON) -> str | None:
        if not isinstance(got, dict):
            return f"the answer must be a dictionary of letters, not {got!r}"
        for letter in pair:
            verdict = check_register(history(histories[letter]))
            if got.get(letter) != verdict.verdict:
                reason = f": {verdict.why}" if verdict.why else ", because an order of its operations explains it"
                return f"history {letter} is {verdict.verdict}, not {got.get(letter)!r}{reason}"
        return None

    return judge


def draw(rng: random.Random) -> list[Small]:
    """A small history that some register might have shown: each operation takes effect somewhere, nearly always."""
    clock = [rng.randrange(5) for _ in range(3)]
    operations: list[Small] = []
    for value in range(1, rng.randrange(5, 7)):
        process = rng.randrange(3)
        call = clock[process] + rng.randrange(1, 6)
        ret = call + rng.randrange(2, 20)
        clock[process] = ret
        f = rng.choice(("write", "read"))
        operations.append({"process": process, "f": f, "value": value, "call": call, "ret": ret})
    written = [one["value"] for one in operations if one["f"] == "write"]
    for one in operations:
        if one["f"] == "read":
            one["value"] = rng.choice([None, *written])
    last = {one["process"]: one for one in operations}
    for one in last.values():
        if one["f"] == "write" and rng.randrange(3) == 0:
            one["ret"] = None
    return operations


def batch(seed: int) -> list[list[Small]]:
    """As many linearizable histories as others, shuffled."""
    rng = random.Random(seed)
    chosen: dict[str, list[list[Small]]] = {"valid": [], "invalid": []}
    while min(len(kind) for kind in chosen.values()) < DRAWN // 2:
        operations = draw(rng)
        if any(one["f"] == "read" for one in operations):
            chosen.setdefault(check_register(history(operations)).verdict, []).append(operations)
    both = chosen["valid"][: DRAWN // 2] + chosen["invalid"][: DRAWN // 2]
    rng.shuffle(both)
    return both


def judge_batch(histories: list[list[Small]]) -> Judge:
    verdicts = [check_register(history(operations)) for operations in histories]
    expected = [place for place, verdict in enumerate(verdicts) if verdict.verdict == "invalid"]

    def judge(got: JSON) -> str | None:
        if got == expected:
            return None
        places = [place for place in got if isinstance(place, int)] if isinstance(got, list) else []
        if not isinstance(got, list) or len(places) != len(got):
            return f"the answer must be a list of positions, not {got!r}"
        missed = [place for place in expected if place not in places]
        if missed:
            return f"it missed {histories[missed[0]]} at position {missed[0]}: {verdicts[missed[0]].why}"
        wrong = [place for place in places if place not in expected]
        if wrong:
            shown = histories[wrong[0]] if 0 <= wrong[0] < len(histories) else "nothing"
            return f"it accused position {wrong[0]}, {shown}, but an order of its operations explains it"
        return f"the positions must be in ascending order, each once: {expected}, not {got}"

    return judge


def cases(seeds: list[int]) -> Iterator[Case]:
    """All questions: 8 + 12 points."""
    histories = task_histories()
    for pair in ("ab", "cd", "ef", "gh"):
        yield Case(f"predict-{pair}", 2, "verdicts", [], judge_pair(pair, histories))
    for number, seed in enumerate(seeds, start=1):
        drawn = batch(seed)
        asked: list[JSON] = [drawn]  # type: ignore[list-item]
        yield Case(f"check-{number}", 3, "violations", asked, judge_batch(drawn))
