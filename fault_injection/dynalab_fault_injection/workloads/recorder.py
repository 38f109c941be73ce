"""Writes a history while it happens: the JSON lines of the checkers, with virtual time.

A process id is used until one of its operations ends in `info`; the client then goes on under a fresh id in the same
session, because an operation of unknown outcome never ends. What is recorded also goes into the trace, so a run's
hash covers what its clients saw.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dynalab_checkers.history import Json
from dynalab_fault_injection.simulator import Simulation

_PLAIN = (int, str, type(None))


@dataclass(slots=True)
class Recorder:
    """The history of one run."""

    simulation: Simulation
    events: list[dict[str, Json]] = field(default_factory=list)
    completed: int = 0  # operations that ended in ok or fail
    _processes: int = 0

    def new_process(self) -> int:
        """A process id that nobody had before."""
        self._processes += 1
        return self._processes - 1

    def invoke(self, process: int, f: str, key: str, session: str, fields: dict[str, Json]) -> dict[str, Json]:
        """An operation begins; hand the result to `complete`."""
        return self._add(process, "invoke", f, key, {**fields, "session": session})

    def complete(self, invocation: dict[str, Json], kind: str, fields: dict[str, Json]) -> None:
        """It ended in ok, fail or info."""
        process, f, key = invocation["process"], invocation["f"], invocation.get("key", "")
        assert isinstance(process, int) and isinstance(f, str) and isinstance(key, str)
        if kind != "info":
            self.completed += 1
        self._add(process, kind, f, key, fields)

    def _add(self, process: int, kind: str, f: str, key: str, fields: dict[str, Json]) -> dict[str, Json]:
        index, now = len(self.events), self.simulation.now
        event: dict[str, Json] = {"index": index, "time": now, "process": process, "type": kind, "f": f}
        # The trace has names and values one after the other.
        line = f"('index', {index}, 'time', {now}, 'process', {process}, 'type', {kind!a}, 'f', {f!a}"
        if key:
            event["key"] = key
            line += f", 'key', {key!a}"
        named = len(event)
        event.update(fields)
        assert len(event) == named + len(fields), "an event's own fields have other names"
        for name, value in fields.items():
            # Text of plain values: a dictionary keeps its order, so this is the same in every run.
            line += f", {name!a}, {value if isinstance(value, _PLAIN) else str(value)!a}"
        self.events.append(event)
        self.simulation.trace.pending.append(line + ")")
        return event
