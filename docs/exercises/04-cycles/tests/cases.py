"""The questions of exercise 04. The histories of task 1 stand in task.md alone; every verdict is the checker's."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dynalab.grade import JSON, Case, Judge, MalformedExercise
from dynalab_checkers.history import History
from dynalab_checkers.isolation import check_transactions
from dynalab_checkers.verdict import Verdict

TASK = Path(__file__).resolve().parents[1] / "task.md"
NAMES = ("G0", "G1c", "G-single-item", "G-nonadjacent-item", "G2-item")  # the worst first
TRIED_MAX = 1000
Transaction = list[list[Any]]


def task_histories() -> dict[str, list[Transaction]]:
    """The histories of task.md by their letters."""
    found: dict[str, list[Transaction]] = {}
    for letter, line in re.findall(r"^([a-h]): (.*)$", TASK.read_text(encoding="utf-8"), flags=re.MULTILINE):
        found[letter] = []
        for body in re.findall(r"\(([^)]*)\)", line):
            steps: Transaction = []
            for key, value, listed in re.findall(r"([xy])(?:\+(\d)|=\[([\d ]*)\])", body):
                steps.append(["append", key, int(value)] if value else ["r", key, [int(n) for n in listed.split()]])
            found[letter].append(steps)
    if sorted(found) != list("abcdefgh"):
        raise MalformedExercise(f"{TASK} must hold the histories a to h")
    return found


def judged(transactions: list[Transaction]) -> Verdict:
    """The checker's verdict on transactions that all overlap."""
    events: list[dict[str, Any]] = []
    for process, steps in enumerate(transactions):
        asked = [step[:2] + ([None] if step[0] == "r" else step[2:]) for step in steps]
        events.append({"process": process, "type": "invoke", "f": "txn", "value": asked, "time": process})
    for process, steps in enumerate(transactions):
        events.append({"process": process, "type": "ok", "f": "txn", "value": steps, "time": 100 + process})
    history = History.from_events({**event, "index": index} for index, event in enumerate(events))
    return check_transactions(history, model="serializable")


def told(verdict: Verdict) -> str:
    """The contradiction on one line."""
    said = verdict.details.get("explanations")
    lines = str(said[0]).split("Then:")[-1].split("\n") if isinstance(said, list) and said else [verdict.why]
    return " ".join(line.strip(" -") for line in lines if line.strip())


def judge_name(letter: str, transactions: list[Transaction]) -> Judge:
    verdict = judged(transactions)
    found = verdict.details["anomalies"]
    assert isinstance(found, dict)
    expected = next((name for name in NAMES if name in found), "none")

    def judge(got: JSON) -> str | None:
        if not isinstance(got, dict):
            return f"the answer must be a dictionary of letters, not {got!r}"
        if got.get(letter) == expected:
            return None
        reason = told(verdict) if expected != "none" else "an order of its transactions explains every read"
        return f"history {letter} shows {expected}, not {got.get(letter)!r}: {reason}"

    return judge


def replay(transactions: list[Transaction], order: list[int]) -> str | None:
    """None if every read returns what it returned, when the transactions run in this order; else a sentence."""
    lists: dict[str, list[int]] = {}
    for number in order:
        for name, key, value in transactions[number]:
            if name == "append":
                lists.setdefault(key, []).append(value)
            elif lists.get(key, []) != value:
                return f"transaction {number} would read {key} = {lists.get(key, [])}, and it read {value}"
    return None


def draw(rng: random.Random, whole: bool) -> list[Transaction]:
    """Transactions of a store that gives each a snapshot: the newest if `whole`, else one that may be older."""
    lists: list[dict[str, list[int]]] = [{"x": [], "y": [], "z": []}]
    transactions: list[Transaction] = []
    for element in range(1, rng.randrange(4, 6)):
        seen = lists[-1] if whole else lists[rng.randrange(max(0, len(lists) - 2), len(lists))]
        new = {key: list(value) for key, value in lists[-1].items()}
        read, written = rng.sample("xyz", 2)
        steps: Transaction = [["r", read, list(seen[read])]]
        steps.insert(rng.randrange(2), ["append", written, element])
        new[written].append(element)
        lists.append(new)
        transactions.append(steps)
    transactions.append([["r", key, lists[-1][key]] for key in "xyz"])
    rng.shuffle(transactions)
    return transactions


def drawn(seed: int, wanted: str) -> list[Transaction]:
    """The first transactions from this seed on that the checker judges so."""
    rng = random.Random(seed)
    for _ in range(TRIED_MAX):
        transactions = draw(rng, wanted == "valid")
        verdict = judged(transactions)
        found = verdict.details["anomalies"]
        assert isinstance(found, dict)
        # Elements that nobody appended are another fault; the exercise is about orders.
        if verdict.verdict == wanted and set(found) <= {*NAMES}:
            return transactions
    raise MalformedExercise(f"no {wanted} history in {TRIED_MAX} draws from seed {seed}")


def judge_order(transactions: list[Transaction]) -> Judge:
    verdict = judged(transactions)

    def judge(got: JSON) -> str | None:
        if got is None:
            return None if verdict.verdict == "invalid" else "there is an order that explains every read"
        if not isinstance(got, list) or sorted(map(str, got)) != sorted(map(str, range(len(transactions)))):
            return f"the answer must be None or an order of the positions 0 to {len(transactions) - 1}, not {got!r}"
        wrong = replay(transactions, [int(str(number)) for number in got])
        if wrong is None:
            assert verdict.verdict == "valid", "the checker found a cycle in a history that replays"
            return None
        return f"in the order {got} {wrong}" + (f"; there is no order: {told(verdict)}" if verdict.why else "")

    return judge


def cases(seeds: list[int]) -> Iterator[Case]:
    """All questions: 8 + 12 points."""
    for letter, transactions in task_histories().items():
        yield Case(f"predict-{letter}", 1, "anomalies", [], judge_name(letter, transactions))
    for number, seed in enumerate(seeds, start=1):
        for wanted, points in (("valid", 1), ("invalid", 2)):
            transactions = drawn(seed, wanted)
            asked: list[JSON] = [transactions]  # type: ignore[list-item]
            yield Case(f"order-{number}-{wanted}", points, "serial_order", asked, judge_order(transactions))
