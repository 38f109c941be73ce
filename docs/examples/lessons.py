"""The small histories of the chapters, their verdicts and their pictures. `make lessons` writes all of them again.

    python docs/examples/lessons.py             writes docs/examples/histories/*.jsonl and docs/assets/lessons/*

Rules of this room:
- A chapter shows nothing that was drawn or judged by hand: the picture is made from the history, the sentence below it
  is the checker's, and a test holds both against what stands in docs/.
- What a chapter judges, its reader can judge: `Lesson.command` is the line of `dynalab check` that says the same.
- A history is as small as it can be: no operation can be left out of an invalid one (tested).
- Times are in milliseconds, and no two events are at one instant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dynalab_checkers.check import check_history
from dynalab_checkers.history import MISSING, History, Json, Operation, Scalar, write_jsonl
from dynalab_checkers.isolation import Cycle
from dynalab_checkers.isolation.graph import KIND_NAMES, STAGE_NAMES
from dynalab_checkers.judges import USUAL, Question
from dynalab_checkers.picture import render
from dynalab_checkers.verdict import Verdict

DOCS = Path(__file__).resolve().parents[1]
HISTORIES = DOCS / "examples" / "histories"
PICTURES = DOCS / "assets" / "lessons"
MILLISECOND = 1_000_000

Event = dict[str, Json]
Pair = tuple[Event, Event]


@dataclass(frozen=True, slots=True)
class Promise:
    """What a history is held against: a model of `dynalab check`, and what it is asked besides."""

    model: str
    question: Question = USUAL

    def options(self) -> list[str]:
        """The same for the command line.

        >>> " ".join(session("monotonic-writes", real_time=False).options())
        '--model sessions --guarantee monotonic-writes --reads strong --no-real-time'
        """
        asked = self.question
        told = [] if self.model == "register" else ["--model", self.model]
        told += [word for name in asked.guarantees for word in ("--guarantee", name)]
        told += [word for name in asked.reads for word in ("--reads", name)]
        told += [] if asked.real_time else ["--no-real-time"]
        told += [] if asked.versions_max is None else ["--versions-max", str(asked.versions_max)]
        told += [] if asked.level == USUAL.level else ["--level", asked.level]
        return told


@dataclass(frozen=True, slots=True)
class Lesson:
    """One history: where it is told, what it is held against, and what must come out."""

    name: str
    title: str
    verdict: str
    promise: Promise
    pairs: tuple[Pair, ...]

    def judge(self, history: History) -> Verdict:
        """The verdict on this history, or on a part of it."""
        return check_history(history, self.promise.model, question=self.promise.question)

    def command(self) -> list[str]:
        """The command that judges the file of this lesson, from the root of the repository."""
        return ["dynalab", "check", *self.promise.options(), f"docs/examples/histories/{self.name}.jsonl"]

    def history(self) -> History:
        """The operations, in the order of time."""
        return History.from_events(self.events())

    def events(self) -> list[Event]:
        """The events as JSON lines hold them."""
        ordered = sorted((event for pair in self.pairs for event in pair if event), key=_time)
        return [{"index": index, **event} for index, event in enumerate(ordered)]


def _time(event: Event) -> int:
    time = event["time"]
    assert isinstance(time, int), "milliseconds were made nanoseconds"
    return time


def _pair(process: int, f: str, start: int, end: int | None, asked: Event, told: Event, kind: str = "ok") -> Pair:
    begun: Event = {"time": start * MILLISECOND, "process": process, "type": "invoke", "f": f, **asked}
    if end is None:
        return begun, {}
    return begun, {"time": end * MILLISECOND, "process": process, "type": kind, "f": f, **told}


def write(process: int, start: int, end: int | None, value: Scalar, *old: Scalar) -> Pair:
    """A write of x; `old` is what it replaced, if it says so. Without an end it is of unknown outcome."""
    asked: Event = {"key": "x", "value": value}
    return _pair(process, "write", start, end, asked, {**asked, "old": old[0]} if old else asked)


def read(process: int, start: int, end: int, value: Scalar, consistency: str = "strong") -> Pair:
    """A read of x that returned `value`."""
    flavour: Event = {"key": "x", "consistency": consistency}
    return _pair(process, "read", start, end, flavour, {**flavour, "value": value})


def cas(process: int, start: int, end: int, old: Scalar, new: Scalar, kind: str = "ok") -> Pair:
    """A conditional write of x: `new`, if it is `old`."""
    asked: Event = {"key": "x", "value": [old, new]}
    return _pair(process, "cas", start, end, asked, asked, kind)


def txn(process: int, start: int, end: int, *micros: list[Json], kind: str = "ok") -> Pair:
    """A transaction: ["append", key, value], ["r", key, what it read], ["w", key, value]."""
    asked: list[Json] = [[*micro[:2], None] if micro[0] == "r" else micro for micro in micros]
    return _pair(process, "txn", start, end, {"value": asked}, {"value": list(micros)}, kind)


def session(guarantee: str, real_time: bool = True, reads: str = "strong") -> Promise:
    """One session guarantee."""
    return Promise("sessions", Question(guarantees=(guarantee,), reads=(reads,), real_time=real_time))


def isolation(level: str, model: str = "list-append") -> Promise:
    """One isolation level."""
    return Promise(model, Question(level=level))


REGISTER = Promise("register")
FRESH = Promise("staleness", Question(versions_max=1))

LESSONS = (
    # What is a consistent history?
    Lesson("by-hand", "Three clients, one register", "valid", REGISTER, (
        write(0, 0, 10, 1), write(1, 12, 40, 2), read(0, 16, 22, 1), read(2, 25, 34, 2), read(0, 30, 46, 2),
    )),
    Lesson("stale-read", "A read goes back", "invalid", REGISTER, (
        write(0, 0, 10, 1), write(0, 14, 24, 2), read(1, 28, 36, 1),
    )),
    Lesson("inversion", "New, then old, while the write still runs", "invalid", REGISTER, (
        write(0, 0, 8, 1), write(0, 12, 50, 2), read(1, 16, 26, 2), read(2, 30, 40, 1),
    )),
    Lesson("overlap", "Old, then new, while the write still runs", "valid", REGISTER, (
        write(0, 0, 8, 1), write(0, 12, 50, 2), read(1, 16, 26, 1), read(2, 30, 40, 2),
    )),
    Lesson("unknown", "A write that timed out takes effect later", "valid", REGISTER, (
        write(0, 0, 8, 1), write(1, 12, None, 2), read(2, 18, 26, 1), read(2, 32, 40, 2),
    )),
    Lesson("unknown-undone", "A write that timed out cannot be undone", "invalid", REGISTER, (
        write(0, 0, 8, 1), write(1, 12, None, 2), read(2, 18, 26, 2), read(2, 32, 40, 1),
    )),
    Lesson("two-winners", "Two conditional writes win the same race", "invalid", REGISTER, (
        write(0, 0, 8, 1), cas(1, 12, 30, 1, 2), cas(2, 16, 34, 1, 3),
    )),
    # Sessions
    Lesson("read-your-writes", "Read your writes", "invalid", session("read-your-writes"), (
        write(0, 0, 10, 1, None), read(0, 16, 26, None),
    )),
    Lesson("monotonic-reads", "Monotonic reads", "invalid", session("monotonic-reads"), (
        write(0, 0, 10, 1, None), read(1, 14, 22, 1), read(1, 28, 36, None),
    )),
    Lesson("monotonic-writes", "Monotonic writes", "invalid", session("monotonic-writes", real_time=False), (
        write(0, 0, 10, 1, 2), write(0, 16, 26, 2, None),
    )),
    Lesson("writes-follow-reads", "Writes follow reads", "invalid", session("writes-follow-reads", real_time=False), (
        write(1, 0, 10, 1, 2), read(0, 14, 22, 1), write(0, 28, 38, 2, None),
    )),
    Lesson("consistent-prefix", "Consistent prefix", "invalid", session("consistent-prefix", reads="eventual"), (
        cas(0, 0, 10, 1, 2, "fail"), read(1, 16, 26, 2, "eventual"),
    )),
    Lesson("bounded-staleness", "Bounded staleness: at most one version behind", "invalid", FRESH, (
        write(0, 0, 8, 1, None), write(0, 12, 20, 2, 1), read(1, 26, 36, None, "eventual"),
    )),
    # Cycles
    Lesson("g0", "G0: writes interleave", "invalid", isolation("read-uncommitted"), (
        txn(0, 0, 20, ["append", "x", 1], ["append", "y", 1]),
        txn(1, 4, 24, ["append", "x", 2], ["append", "y", 2]),
        txn(2, 30, 44, ["r", "x", [1, 2]], ["r", "y", [2, 1]]),
    )),
    Lesson("g1a", "G1a: a read of what was never committed", "invalid", isolation("read-committed"), (
        txn(0, 0, 16, ["append", "x", 1], kind="fail"), txn(1, 20, 34, ["r", "x", [1]]),
    )),
    Lesson("g1b", "G1b: a read of the middle of a transaction", "invalid", isolation("read-committed"), (
        txn(0, 0, 24, ["append", "x", 1], ["append", "x", 2]), txn(1, 8, 30, ["r", "x", [1]]),
    )),
    Lesson("g1c", "G1c: each saw the other's write", "invalid", isolation("read-committed"), (
        txn(0, 0, 24, ["append", "x", 1], ["r", "y", [1]]), txn(1, 4, 28, ["append", "y", 1], ["r", "x", [1]]),
    )),
    Lesson("lost-update", "Lost update", "invalid", isolation("snapshot-isolation", "rw-register"), (
        txn(0, 0, 24, ["r", "x", None], ["w", "x", 1]), txn(1, 4, 28, ["r", "x", None], ["w", "x", 2]),
    )),
    Lesson("g-single", "G-single: read skew", "invalid", isolation("snapshot-isolation"), (
        txn(0, 0, 24, ["append", "x", 1], ["append", "y", 1]), txn(1, 4, 28, ["r", "x", [1]], ["r", "y", []]),
    )),
    Lesson("long-fork", "G-nonadjacent: long fork", "invalid", isolation("snapshot-isolation"), (
        txn(0, 0, 30, ["append", "x", 1]),
        txn(1, 2, 32, ["append", "y", 1]),
        txn(2, 4, 34, ["r", "x", [1]], ["r", "y", []]),
        txn(3, 6, 36, ["r", "x", []], ["r", "y", [1]]),
    )),
    Lesson("write-skew", "G2-item: write skew", "invalid", isolation("serializable"), (
        txn(0, 0, 24, ["r", "y", []], ["append", "x", 1]), txn(1, 4, 28, ["r", "x", []], ["append", "y", 1]),
    )),
    Lesson("write-skew-allowed", "Write skew under snapshot isolation", "valid", isolation("snapshot-isolation"), (
        txn(0, 0, 24, ["r", "y", []], ["append", "x", 1]), txn(1, 4, 28, ["r", "x", []], ["append", "y", 1]),
    )),
    Lesson("stale-snapshot", "Serializable, and yet out of date", "invalid", isolation("strict-serializable"), (
        txn(0, 0, 10, ["append", "x", 1]), txn(1, 16, 26, ["r", "x", []]),
    )),
)  # fmt: skip


# Here nothing but what was replaced orders the versions.
WITH_REPLACED = ("monotonic-writes", "writes-follow-reads")
# Their point is what was read; the cycle that follows from it would be another lesson.
WITHOUT_GRAPH = ("g1b", "write-skew-allowed")


def told(operation: Operation, replaced: bool = False) -> Operation:
    """A transaction as pictures tell it, its steps in place of its name; a write with what it replaced, if asked."""
    if replaced and operation.f == "write" and operation.old is not MISSING:
        return replace(operation, f=f"w {operation.value} over {'∅' if operation.old is None else operation.old}")
    if operation.f != "txn" or not isinstance(operation.value, list):
        return operation
    steps = [step(micro) for micro in operation.value if isinstance(micro, list)]
    return replace(operation, f=" · ".join(steps))


def step(micro: list[Json]) -> str:
    """One step of a transaction in a few characters.

    >>> step(["append", "x", 1]), step(["r", "x", [1, 2]]), step(["r", "y", []]), step(["w", "x", 7])
    ('x+1', 'x=[1 2]', 'y=[]', 'x:=7')
    """
    name, key, value = micro[0], micro[1], micro[2] if len(micro) > 2 else None
    shown = f"[{' '.join(map(str, value))}]" if isinstance(value, list) else "∅" if value is None else str(value)
    return f"{key}{ {'append': '+', 'w': ':='}.get(str(name), '=') }{shown}"


def picture(lesson: Lesson) -> str:
    """The history as a picture, with the checker's sentence below it."""
    history = lesson.history()
    verdict = lesson.judge(history)
    marked = {operation.call_index for operation in verdict.highlight}
    round_trip = cycle(verdict)
    if round_trip is not None and lesson.name not in WITHOUT_GRAPH:
        marked |= {history.operations[number].call_index for number in round_trip.transactions()}
    operations = [told(operation, lesson.name in WITH_REPLACED) for operation in history]
    highlight = [operation for operation in operations if operation.call_index in marked]
    return render(operations, highlight=highlight, title=lesson.title, sentence=verdict.why)


def cycle(verdict: Verdict) -> Cycle | None:
    """The first cycle that a verdict speaks of."""
    found = verdict.details.get("cycles")
    return found[0] if isinstance(found, list) and found and isinstance(found[0], Cycle) else None


def graph_source(lesson: Lesson) -> str:
    """The first cycle of a lesson in the dot language; empty if it has none."""
    history = lesson.history()
    found = cycle(lesson.judge(history))
    if found is None:
        return ""
    names = {number: f"T{place}" for place, number in enumerate(found.transactions(), 1)}
    lines = [f'digraph "{lesson.name}" {{', '  rankdir=LR; bgcolor="transparent"; nodesep=0.4; ranksep=1.1;']
    lines.append(
        '  node [shape=box, style=rounded, margin="0.3,0.12", fontname="Helvetica,Arial,sans-serif", fontsize=13];'
    )
    lines.append('  edge [fontname="Helvetica,Arial,sans-serif", fontsize=11];')
    for number, name in names.items():
        shown = told(history.operations[number])
        lines.append(f'  {name} [label="{name}\\n{shown.f} (client {shown.process})"];')
    for edge in found.edges:
        kind = STAGE_NAMES[edge.stage] or KIND_NAMES[edge.kind]
        lines.append(f'  {names[edge.source]} -> {names[edge.target]} [label="{kind}"];')
    return "\n".join([*lines, "}"])


def explanation(lesson: Lesson) -> str:
    """The contradiction of a lesson's cycle in words, or what was seen without a graph; empty if there is none."""
    verdict = lesson.judge(lesson.history())
    said = verdict.details.get("explanations")
    return str(said[0]) if isinstance(said, list) and said else ""


def write_all() -> None:
    """Write every history, picture, graph and explanation."""
    from dynalab.site.drawing import draw

    for folder in (HISTORIES, PICTURES):
        folder.mkdir(parents=True, exist_ok=True)
    for lesson in LESSONS:
        write_jsonl(HISTORIES / f"{lesson.name}.jsonl", lesson.events())
        (PICTURES / f"{lesson.name}.svg").write_text(picture(lesson), encoding="utf-8")
        source = graph_source(lesson)
        if source and lesson.name not in WITHOUT_GRAPH:
            (PICTURES / f"{lesson.name}-cycle.svg").write_text(draw(source) + "\n", encoding="utf-8")
            (PICTURES / f"{lesson.name}-cycle.txt").write_text(explanation(lesson) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_all()
