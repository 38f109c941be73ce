"""Session guarantees: read your writes and monotonic reads, judged by the version order that the history itself shows.

Rules of this room:
1. The order of a key's versions comes from `key_order`. Nothing is guessed: a session is accused only if *no* order
   of the writes that fits the history keeps the guarantees of all the sessions.
2. Values are unique within a key. Where they repeat, or where the writes contradict each other, there is no version
   order and the verdict is unknown (the second is for `linearizability` to judge).
3. *Absent* is not unique: the initial state or any delete that had been invoked may have made it. A session that saw
   it is accused only if every candidate is too old.
4. A session is a process, or all processes that carry the same `session`. Only what had returned counts for it: a
   write of unknown outcome promises nothing to its writer.

What is promised (consistency.md §8): strong reads of the base table keep both guarantees, eventual and index reads
keep neither. So strong and unmarked reads are judged by default; ask for the others to see how often luck keeps them.

Two steps per key, O(n log n) together: every read against the last few things that its session had seen (`_look`),
then all of them together, by taking away writes that nothing comes before until none is left (`KeyOrder.arrange`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from dynalab_checkers.committed import show, strangers
from dynalab_checkers.history import MISSING, History, Missing, Operation, Scalar
from dynalab_checkers.key_order import Edges, KeyOrder, deed
from dynalab_checkers.verdict import Verdict

CHECKER = "sessions"
READ_YOUR_WRITES = "read-your-writes"
MONOTONIC_READS = "monotonic-reads"
GUARANTEES = (READ_YOUR_WRITES, MONOTONIC_READS)

# How many of its last reads and writes a session remembers per key. More than one is needed only where processes of
# one session overlap, or where two of its writes touch at one instant; forgetting can hide a fault, never invent one.
REMEMBERED_MAX = 4


@dataclass(slots=True)
class _Glimpse:
    """Something that a session knows: it wrote, or was shown, one of these versions."""

    operation: Operation
    versions: tuple[int, ...]


@dataclass(slots=True)
class _Session:
    reads: deque[_Glimpse] = field(default_factory=lambda: deque(maxlen=REMEMBERED_MAX))
    writes: deque[_Glimpse] = field(default_factory=lambda: deque(maxlen=REMEMBERED_MAX))


def check_sessions(
    history: History,
    *,
    guarantees: Collection[str] = GUARANTEES,
    flavours: Collection[str | None] = ("strong", None),
    real_time: bool = True,
    initial: Mapping[str, Scalar] | None = None,
) -> Verdict:
    """Judge read your writes and monotonic reads, for every session and key.

    `flavours` selects reads by their consistency (None: those that do not say); what a failed condition found counts
    as a strong read. `initial` gives the values that keys had before the history began, absent where it is silent.

    >>> history = History.from_events([
    ...     {"index": 0, "time": 10, "process": 0, "type": "invoke", "f": "write", "key": "k", "value": 7},
    ...     {"index": 1, "time": 20, "process": 0, "type": "ok", "f": "write", "key": "k", "value": 7, "old": None},
    ...     {"index": 2, "time": 30, "process": 0, "type": "invoke", "f": "read", "key": "k"},
    ...     {"index": 3, "time": 40, "process": 0, "type": "ok", "f": "read", "key": "k", "value": None}])
    >>> check_sessions(history).why
    'read-your-writes: process 0 read absent from k after its write of 7, but absent is what the key began with'
    """
    for guarantee in guarantees:
        assert guarantee in GUARANTEES, f"no such guarantee: {guarantee!r}"
    unknown = strangers(history)
    if unknown is not None:
        return Verdict("unknown", CHECKER, unknown)
    doubt: Verdict | None = None
    for key, operations in history.by_key().items():
        order = KeyOrder(operations, initial=(initial or {}).get(key), real_time=real_time)
        if order.problem:
            doubt = doubt or Verdict("unknown", CHECKER, f"no version order of {key}: {order.problem}", key)
            continue
        fault = _look(key, operations, order, guarantees, flavours)
        if fault is not None:
            return fault
    return doubt or Verdict("valid", CHECKER)


def _look(
    key: str,
    operations: Sequence[Operation],
    order: KeyOrder,
    guarantees: Collection[str],
    flavours: Collection[str | None],
) -> Verdict | None:
    """Each read against what its session knew, then all of them against every order of the blocks that is left."""
    edges: Edges = dict(order.ties)
    sessions: dict[tuple[bool, str | int], _Session] = {}
    for position, operation in enumerate(operations):
        linked = operation.session is not None
        name = operation.process if operation.session is None else operation.session
        session = sessions.setdefault((linked, name), _Session())
        if operation.f != "read" and operation.outcome == "ok" and READ_YOUR_WRITES in guarantees:
            session.writes.append(_Glimpse(operation, (order.of_write[position],)))
        value = _read_value(operation, flavours)
        if isinstance(value, Missing):
            continue
        floors = [floor for floor in (*session.reads, *session.writes) if _returned_before(floor.operation, operation)]
        definite = [floor for floor in floors if len(floor.versions) == 1]
        best = max(definite, key=lambda floor: order.called_ns(floor.versions[0]), default=None)
        possible = order.candidates(value, operation, None if best is None else best.versions[0])
        if possible is None:
            continue
        if not possible:
            assert best is not None, "without a floor nothing is left out"
            return _too_old(key, order, best, operation, order.newest_absence(operation))
        for floor in floors:
            left = tuple(one for one in possible if not all(order.before(one, known) for known in floor.versions))
            if not left:
                return _too_old(key, order, floor, operation, possible[0])
            possible = left
        if len(possible) == 1:
            block = order.versions[possible[0]].block
            for floor in floors:
                pair = order.versions[floor.versions[0]].block, block
                if len(floor.versions) == 1 and pair[0] != pair[1]:
                    edges[pair] = edges.get(pair) or (floor.operation, operation)
        if MONOTONIC_READS in guarantees:
            session.reads.append(_Glimpse(operation, possible))
    stuck = order.arrange(edges)[1]
    return _no_order(key, order.cycle(stuck, edges), edges) if stuck else None


def _too_old(key: str, order: KeyOrder, floor: _Glimpse, reader: Operation, version: int) -> Verdict:
    broken = MONOTONIC_READS if _reads(floor.operation) else READ_YOUR_WRITES
    reason, shown = order.proof(version, floor.versions[0])
    involved = {id(operation): operation for operation in (*shown, floor.operation, reader)}
    return Verdict(
        "invalid",
        CHECKER,
        f"{broken}: {_step(floor.operation, reader)}, but {reason}",
        key,
        sorted(involved.values(), key=lambda operation: operation.call_index),
        [reader],
        {"guarantee": broken},
    )


def _no_order(key: str, blocks: list[int], edges: Edges) -> Verdict:
    steps = [edges.get(pair) for pair in zip(blocks, [*blocks[1:], *blocks[:1]], strict=True)]
    blamed = [step for step in steps if step is not None]
    assert blamed, "the writes by themselves were found to fit"
    involved = {id(operation): operation for step in blamed for operation in step}
    broken = READ_YOUR_WRITES if all(not _reads(first) for first, _ in blamed) else MONOTONIC_READS
    told = ", while ".join(_step(first, second) for first, second in blamed)
    return Verdict(
        "invalid",
        CHECKER,
        f"{broken}: no order of the writes to {key} allows that {told}",
        key,
        sorted(involved.values(), key=lambda operation: operation.call_index),
        [second for _, second in blamed],
        {"guarantee": broken},
    )


def _step(first: Operation, second: Operation) -> str:
    who = f"process {second.process}" if second.session is None else f"session {second.session}"
    earlier = f"it had read {show(_read_value(first))}" if _reads(first) else f"its {deed(first)}"
    return f"{who} read {show(_read_value(second))} from {second.key} after {earlier}"


def _reads(operation: Operation) -> bool:
    return operation.f == "read" or operation.outcome == "fail"


def _read_value(operation: Operation, flavours: Collection[str | None] | None = None) -> Scalar | Missing:
    """What a read returned or a failed condition found, if it is of these flavours."""
    if operation.f != "read":
        # A condition is evaluated on the current item: as good as a strong read.
        return operation.found if flavours is None or "strong" in flavours else MISSING
    wanted = operation.outcome == "ok" and (flavours is None or operation.consistency in flavours)
    return operation.result if wanted else MISSING


def _returned_before(one: Operation, other: Operation) -> bool:
    if one.ret is None:
        return False
    return one.ret < other.call or (one.ret == other.call and one.process == other.process)
