"""A failing run's smallest history, in words and as a picture.

A checker of histories makes what it found small by itself, with its own judgement as the test
(`dynalab_checkers.reduce`); here that part is drawn, with the run's fault windows behind it. A violation of the state
at the end (an index that does not match its base) has no such part: then the last writes of the item that differs are
shown, with the read that found it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dynalab_checkers.history import History, Json, Operation
from dynalab_checkers.picture import Band, render
from dynalab_fault_injection.judges import Judgement
from dynalab_fault_injection.run import RunResult

LAST_WRITES = 6  # shown for an item whose copies differ


@dataclass(slots=True)
class Smallest:
    """The part of a history that shows a violation, those of it to mark, a sentence, a picture, and the events."""

    operations: list[Operation]
    highlight: list[Operation]
    sentence: str
    svg: str = ""
    events: list[dict[str, Json]] = field(default_factory=list)


def smallest(run: RunResult, checker: str = "") -> Smallest:
    """What a checker found (the first that says invalid, if none is named), drawn."""
    judgement = next((j for j in run.verdicts if j.verdict == "invalid" and checker in ("", j.checker)), None)
    assert judgement is not None, "there is no violation to shrink"
    if judgement.operations:
        found = Smallest(judgement.operations, judgement.highlight, judgement.why)
    else:
        found = _last_writes(run, judgement)
    start = min((o.call for o in found.operations), default=0)
    end = max((o.ret if o.ret is not None else o.call for o in found.operations), default=0)
    bands = [Band(b.start_ns, b.end_ns, b.name) for b in run.bands if b.bit and b.start_ns <= end and b.end_ns >= start]
    title = f"{run.workload}, seed {run.seed}: {judgement.checker}"
    found.svg = render(found.operations, highlight=found.highlight, bands=bands, title=title, sentence=found.sentence)
    found.events = list(History(found.operations).events())
    return found


def _last_writes(run: RunResult, judgement: Judgement) -> Smallest:
    history = History.from_events(run.history)
    of_key = history.by_key().get(judgement.key or "", [])
    writes = [o for o in of_key if o.f != "read" and o.outcome != "fail"][-LAST_WRITES:]
    reads = [o for o in of_key if o.f == "read" and o.consistency == "strong" and o.outcome == "ok"][-1:]
    operations = sorted([*writes, *reads], key=lambda o: o.call_index)
    return Smallest(operations, writes[-1:], judgement.why)
