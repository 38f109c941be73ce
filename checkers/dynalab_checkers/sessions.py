"""Session guarantees, judged by the order of each key's versions that the history itself shows.

| guarantee | a session that | then |
|---|---|---|
| read-your-writes | had written a version | reads that one or a newer one |
| monotonic-reads | had read a version | reads that one or a newer one |
| monotonic-writes | had written a version | makes newer ones |
| writes-follow-reads | had read a version | makes newer ones |
| consistent-prefix | reads | sees what the key held after some prefix of its writes |

Rules of this room:
1. The order of a key's versions comes from `session_line` (where it is total, or one that keeps everything is found) or
   from `key_order`. A session is accused only if *no* order of the writes that fits the history keeps the guarantees
   of all sessions.
2. Values are unique within a key. Where they repeat there is no version order and the verdict is unknown. Where the
   writes contradict each other in real time, what they replaced is judged alone; without a fault there, unknown too
   (it is for `linearizability` to judge).
3. *Absent* is not unique: the initial state or any delete that had been invoked may have made it. A session that saw
   it is accused only if every candidate is too old.
4. A session is a process, or all processes that carry the same `session`. Only what had returned counts for it: a
   write of unknown outcome promises nothing to its writer.
5. Guarantees are judged key by key. What a session did to one key binds nobody on another (consistency.md §8: "per
   item"); for that, record transactions and ask `isolation`.

What is promised (consistency.md §8): strong reads of the base table keep all of them; eventual and index reads keep
only the consistent prefix. So strong and unmarked reads are judged by default; ask for the others to see how often
luck keeps them. With `real_time`, an order that fits keeps both guarantees of writes already, so they can only be
broken where the writes contradict real time, or where it does not count (several regions, last writer wins).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dynalab_checkers.collector import collector_paused
from dynalab_checkers.committed import check_committed, show, strangers, written
from dynalab_checkers.history import MISSING, History, Missing, Operation, Scalar
from dynalab_checkers.key_order import Edges, KeyOrder, deed, returned_before
from dynalab_checkers.session_chains import chain_up
from dynalab_checkers.session_line import Line, StepBack, Walk, a_line_holds, lined, walk
from dynalab_checkers.verdict import Verdict

CHECKER = "sessions"
READ_YOUR_WRITES = "read-your-writes"
MONOTONIC_READS = "monotonic-reads"
MONOTONIC_WRITES = "monotonic-writes"
WRITES_FOLLOW_READS = "writes-follow-reads"
CONSISTENT_PREFIX = "consistent-prefix"
# The guarantee that binds what a session knows ("read" or "write") to what it does then.
BINDS = {
    ("write", "read"): READ_YOUR_WRITES,
    ("read", "read"): MONOTONIC_READS,
    ("write", "write"): MONOTONIC_WRITES,
    ("read", "write"): WRITES_FOLLOW_READS,
}
# Those judged by default. The consistent prefix is no promise to a session but to each read; `committed` holds its
# larger half in every campaign.
GUARANTEES = tuple(BINDS.values())
ALL_GUARANTEES = (*GUARANTEES, CONSISTENT_PREFIX)

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
    reads: list[_Glimpse] = field(default_factory=list)
    writes: list[_Glimpse] = field(default_factory=list)


def check_sessions(
    history: History,
    *,
    guarantees: Collection[str] = GUARANTEES,
    flavours: Collection[str | None] = ("strong", None),
    real_time: bool = True,
    initial: Mapping[str, Scalar] | None = None,
) -> Verdict:
    """Judge session guarantees, for every session and key. O(n log n), and linear where versions stand in a line.

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
        assert guarantee in ALL_GUARANTEES, f"no such guarantee: {guarantee!r}"
    unknown = strangers(history)
    if unknown is not None:
        return Verdict("unknown", CHECKER, unknown)
    # What is known of a million operations is lists of small objects, and no cycle among them.
    with collector_paused():
        return _check(history, guarantees, flavours, real_time, initial or {})


def _check(
    history: History,
    guarantees: Collection[str],
    flavours: Collection[str | None],
    real_time: bool,
    initial: Mapping[str, Scalar],
) -> Verdict:
    if CONSISTENT_PREFIX in guarantees:
        fault = _prefix(history, flavours, initial)
        if fault is not None:
            return fault
    doubt: Verdict | None = None
    for key, operations in history.by_key().items():
        start = initial.get(key)
        found = _judge_key(key, operations, start, guarantees, flavours, real_time)
        if found is not None and found.verdict == "unknown" and real_time:
            # What contradicts real time may still go back along what was replaced.
            closer = _judge_key(key, operations, start, guarantees, flavours, False)
            found = closer if closer is not None and closer.verdict == "invalid" else found
        if found is not None and found.verdict == "invalid":
            return found
        doubt = doubt or found
    return doubt or Verdict("valid", CHECKER)


def _judge_key(
    key: str,
    operations: Sequence[Operation],
    initial: Scalar,
    guarantees: Collection[str],
    flavours: Collection[str | None],
    real_time: bool,
) -> Verdict | None:
    """The fault or the doubt about one key, None without any."""
    chains = chain_up(operations, initial=initial, real_time=real_time)
    walks = list(_walks(guarantees))
    if chains is not None and chains.only_order():
        line = lined(chains, chains.chains)
        for floors, judged in walks:
            found = walk(line, operations, flavours, floors, judged, real_time=real_time)
            if isinstance(found, StepBack):
                return _went_back(key, line, found, initial)
            if found is Walk.DOUBT:
                break
        else:
            return None
    elif chains is not None and a_line_holds(chains, operations, walks, flavours=flavours, real_time=real_time):
        return None
    order = KeyOrder(operations, initial=initial, real_time=real_time)
    if order.problem:
        return Verdict("unknown", CHECKER, f"no version order of {key}: {order.problem}", key)
    return _look(key, operations, order, guarantees, flavours)


def _walks(guarantees: Collection[str]) -> Iterator[tuple[list[str], list[str]]]:
    """What to remember and what to judge, in as few walks as keep the guarantees apart."""
    binding = {then: [known for known in ("read", "write") if BINDS[known, then] in guarantees] for then in BOTH}
    if binding["read"] == binding["write"]:
        yield binding["read"], [*BOTH]
        return
    for then in BOTH:
        if binding[then]:
            yield binding[then], [then]


BOTH = ("read", "write")


def _look(
    key: str,
    operations: Sequence[Operation],
    order: KeyOrder,
    guarantees: Collection[str],
    flavours: Collection[str | None],
) -> Verdict | None:
    """Each operation against what its session knew, then all against every order of the blocks that is left."""
    edges: Edges = dict(order.ties)
    sessions: dict[tuple[bool, str | int], _Session] = {}
    by_read = [known for known in BOTH if BINDS[known, "read"] in guarantees]
    by_write = [known for known in BOTH if BINDS[known, "write"] in guarantees]
    for position, operation in enumerate(operations):
        linked = operation.session is not None
        name = operation.process if operation.session is None else operation.session
        session = sessions.setdefault((linked, name), _Session())
        value = _read_value(operation, flavours)
        if isinstance(value, Missing):
            version = order.of_write.get(position)
            if version is None:
                continue
            floors = _floors(session, by_write, operation)
            if order.real_time:  # it has put this write behind all that had settled
                floors = [floor for floor in floors if order.settled_ns(floor.versions[0]) >= operation.call]
            possible = [version]
        else:
            floors = _floors(session, by_read, operation)
            best: _Glimpse | None = None
            if value is None:  # only absence has more than one candidate
                definite = [floor for floor in floors if len(floor.versions) == 1]
                best = max(definite, key=lambda floor: order.called_ns(floor.versions[0]), default=None)
            candidates = order.candidates(value, operation, None if best is None else best.versions[0])
            if candidates is None:
                continue
            if not candidates:
                assert best is not None, "without a floor nothing is left out"
                return _too_old(key, order, best, operation, order.newest_absence(operation))
            possible = list(candidates)
        # What is too old stands at the end. Something too old may hide behind what is not: that says less, not more.
        while floor := _floor_above(possible[-1], floors, order):
            last = possible.pop()
            if not possible:
                return _too_old(key, order, floor, operation, last)
        if len(possible) == 1:
            block = order.versions[possible[0]].block
            for floor in floors:
                pair = order.versions[floor.versions[0]].block, block
                if len(floor.versions) == 1 and pair[0] != pair[1] and not order.before(floor.versions[0], possible[0]):
                    edges[pair] = edges.get(pair) or (floor.operation, operation)
        if not isinstance(value, Missing):
            _remember(session.reads, _Glimpse(operation, tuple(possible)), order, linked)
        elif operation.outcome == "ok":
            _remember(session.writes, _Glimpse(operation, tuple(possible)), order, linked)
    stuck = order.arrange(edges)[1]
    return _no_order(key, order.cycle(stuck, edges), edges) if stuck else None


def _remember(known: list[_Glimpse], new: _Glimpse, order: KeyOrder, linked: bool) -> None:
    """Note what a session has learnt. What is certainly older asks for nothing more, unless processes overlap."""
    version = new.versions[0]
    if not linked and len(new.versions) == 1:
        for glimpse in known:
            old = glimpse.versions
            if len(old) == 1 and (old[0] == version or order.before(old[0], version)):
                known.remove(glimpse)
                break
    known.append(new)
    del known[:-REMEMBERED_MAX]


def _floors(session: _Session, kinds: list[str], operation: Operation) -> list[_Glimpse]:
    known = session.reads if kinds == ["read"] else session.writes if kinds == ["write"] else []
    if len(kinds) == 2:
        known = session.reads + session.writes
    return [floor for floor in known if returned_before(floor.operation, operation)]


def _floor_above(version: int, floors: list[_Glimpse], order: KeyOrder) -> _Glimpse | None:
    """The first of these glimpses that certainly was of something newer."""
    for floor in floors:
        if all(order.before(version, known) for known in reversed(floor.versions)):  # the oldest ones stand at the end
            return floor
    return None


def _too_old(key: str, order: KeyOrder, floor: _Glimpse, later: Operation, version: int) -> Verdict:
    reason, shown = order.proof(version, floor.versions[0])
    return _accuse(key, floor.operation, later, reason, shown)


def _went_back(key: str, line: Line, step: StepBack, initial: Scalar) -> Verdict:
    """The sentence for a step back along a line."""
    old, new = line.writers[step.to], line.writers[step.known]
    assert new is not None, "nothing is older than the initial version"
    if old is None:
        return _accuse(key, step.earlier, step.later, f"{show(initial)} is what the key began with", [])
    apart = step.known - step.to
    if line.blocks[step.to] != line.blocks[step.known]:
        reason = f"the {deed(old)} was over when the {deed(new)} began"
        if not returned_before(old, new):
            reason = f"the {deed(old)} had taken effect before the {deed(new)}"
    elif apart == 1:
        reason = f"the {deed(new)} replaced {show(written(old))}"
    else:
        reason = f"the {deed(new)} came {apart} versions later, each replacing the last"
    return _accuse(key, step.earlier, step.later, reason, [old, new])


def _accuse(key: str, earlier: Operation, later: Operation, reason: str, shown: Sequence[Operation]) -> Verdict:
    broken = BINDS[_kind(earlier), _kind(later)]
    involved = {id(operation): operation for operation in (*shown, earlier, later)}
    return Verdict(
        "invalid",
        CHECKER,
        f"{broken}: {_step(earlier, later)}, but {reason}",
        key,
        sorted(involved.values(), key=lambda operation: operation.call_index),
        [later],
        {"guarantee": broken},
    )


def _no_order(key: str, blocks: list[int], edges: Edges) -> Verdict:
    steps = [edges.get(pair) for pair in zip(blocks, [*blocks[1:], *blocks[:1]], strict=True)]
    blamed = [step for step in steps if step is not None]
    assert blamed, "the writes by themselves were found to fit"
    involved = {id(operation): operation for step in blamed for operation in step}
    kinds = {BINDS[_kind(first), _kind(second)] for first, second in blamed}
    # Where several guarantees are needed for the contradiction, the one that reading alone would show stands first.
    broken = next(
        name for name in (MONOTONIC_READS, READ_YOUR_WRITES, WRITES_FOLLOW_READS, MONOTONIC_WRITES) if name in kinds
    )
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


def _prefix(history: History, flavours: Collection[str | None], initial: Mapping[str, Scalar]) -> Verdict | None:
    """What each read saw must have been written, and written in an order that all of them can share."""
    verdict = check_committed(history, flavours=flavours, initial=initial)
    if verdict.verdict == "invalid":
        details = {**verdict.details, "guarantee": CONSISTENT_PREFIX}
        why = f"{CONSISTENT_PREFIX}: {verdict.why}"
        return Verdict("invalid", CHECKER, why, verdict.key, verdict.operations, verdict.highlight, details)
    for key, operations in history.by_key().items():
        if chain_up(operations, initial=initial.get(key), real_time=False) is not None:
            continue  # nothing was replaced twice, or in a circle
        order = KeyOrder(operations, initial=initial.get(key), real_time=False)
        if order.forked:
            why = f"{CONSISTENT_PREFIX}: {key} has no order of writes: {order.problem}"
            blamed = order.forked
            return Verdict("invalid", CHECKER, why, key, blamed, blamed[-1:], {"guarantee": CONSISTENT_PREFIX})
    return None


def _step(first: Operation, second: Operation) -> str:
    who = f"process {second.process}" if second.session is None else f"session {second.session}"
    earlier = f"it had read {show(_read_value(first))}" if _kind(first) == "read" else f"its {deed(first)}"
    if _kind(second) == "write":
        return f"{who} made the {deed(second)} to {second.key} after {earlier}"
    return f"{who} read {show(_read_value(second))} from {second.key} after {earlier}"


def _kind(operation: Operation) -> str:
    return "read" if operation.f == "read" or operation.outcome == "fail" else "write"


def _read_value(operation: Operation, flavours: Collection[str | None] | None = None) -> Scalar | Missing:
    """What a read returned or a failed condition found, if it is of these flavours."""
    if operation.f != "read":
        # A condition is evaluated on the current item: as good as a strong read.
        return operation.found if flavours is None or "strong" in flavours else MISSING
    wanted = operation.outcome == "ok" and (flavours is None or operation.consistency in flavours)
    return operation.result if wanted else MISSING
