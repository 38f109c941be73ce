"""What is wrong with a small history, named by brute force: every order of versions, every cycle. Knows no checker.

A history that shows itself wrong without a graph is named so. Any other has, for every order of the versions of each
key (and every meaning of a read of absence), its worst cycle; the history is named by the mildest of these, since that
one is there whatever the order was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, permutations, product
from typing import Any, Final, TypeAlias

from dynalab_checkers.history import History, Operation
from tests.checkers.isolation.oracles import before, happened

WW: Final = "ww"
WR: Final = "wr"
RW: Final = "rw"
SUFFIXES: Final = ("", "-process", "-realtime")
# Cycles from the worst to the mildest; those that need no order of time come before those that do.
CYCLES: Final = ("G0", "G1c", "G-single", "long fork", "write skew")
NAMES: Final = (
    "internal, future read",
    "G1a",
    "G1b",
    "incompatible order",
    "lost update",
    *(name + suffix for suffix in SUFFIXES for name in CYCLES),
    "only read absence in vain",
)

Edge: TypeAlias = tuple[str, int]  # its kind, and the stage that it needs: 0, 1 (process), 2 (real time)


def name_anomaly(history: History) -> str:
    """The name of what is wrong with a history that is not strictly serializable; an element of NAMES."""
    return _alone(history) or _by_cycle(history)


def _alone(history: History) -> str:
    ok = [operation for operation in history if operation.outcome == "ok"]
    if not all(map(_consistent, ok)):
        return "internal, future read"
    failed = {made for one in history if one.outcome == "fail" for made in _written(one)}
    if any(made in failed for operation in ok for made in _seen(operation)):
        return "G1a"
    half = {(made, id(one)) for one in history if one.outcome != "fail" for made in _overwritten(one)}
    if any(made in {each for each, who in half if who != id(one)} for one in ok for made in _last_seen(one)):
        return "G1b"
    bases = [(key, repr(value)) for one in ok for key, value in _first_reads(one).items() if key in _last_writes(one)]
    told = [base for base in bases if base[1] not in ("None", "[]") or not _deletes(history)]
    return "lost update" if len(set(told)) < len(told) and not _by_no_order(history) else ""


def _by_no_order(history: History) -> bool:
    return all(next(_graphs(list(chosen)), None) is None for chosen in happened(history))


def _by_cycle(history: History) -> str:
    mildest = -1
    for chosen in happened(history):
        for graph in _graphs(list(chosen)):
            mildest = max(mildest, _worst_cycle(graph, len(chosen)))
    if mildest < 0:
        return "only read absence in vain" if _deletes(history) else "incompatible order"
    assert mildest < len(SUFFIXES) * len(CYCLES), "there is a choice without a cycle: nothing is wrong"
    return CYCLES[mildest % len(CYCLES)] + SUFFIXES[mildest // len(CYCLES)]


def _graphs(chosen: list[Operation]) -> Iterator[dict[tuple[int, int], set[Edge]]]:
    """The dependencies of every order of versions that the reads allow."""
    orders = [list(_key_graphs(chosen, key)) for key in "xy"]
    times: dict[tuple[int, int], set[Edge]] = {}
    for one, other in permutations(range(len(chosen)), 2):
        if before(chosen[one], chosen[other]):
            same = chosen[one].process == chosen[other].process
            times[one, other] = {("order", 1 if same else 2)}
    for choice in product(*orders):
        graph = {pair: set(edges) for pair, edges in times.items()}
        for pair, kind in (edge for edges in choice for edge in edges):
            graph.setdefault(pair, set()).add((kind, 0))
        yield graph


def _key_graphs(chosen: Sequence[Operation], key: str) -> Iterator[list[tuple[tuple[int, int], str]]]:
    writers = [number for number, operation in enumerate(chosen) if key in _last_writes(operation)]
    reads = [
        (number, _first_reads(operation)[key])
        for number, operation in enumerate(chosen)
        if operation.outcome == "ok" and key in _first_reads(operation)
    ]
    for order in permutations(writers):
        states: list[Any] = [None]
        for writer in order:
            last = _last_writes(chosen[writer])[key]
            states.append([*(states[-1] or []), *last] if isinstance(last, list) else last)
        places = [
            [place for place, state in enumerate(states) if (state or None) == (value or None)] for _, value in reads
        ]
        for seen in product(*places):
            edges = [((one, other), WW) for one, other in pairwise(order)]
            for (reader, _), place in zip(reads, seen, strict=True):
                if place and order[place - 1] != reader:
                    edges.append(((order[place - 1], reader), WR))
                if place < len(order) and order[place] != reader:
                    edges.append(((reader, order[place]), RW))
            # Who reads its own write before it makes it stands in no order.
            if all(not place or order[place - 1] != reader for (reader, _), place in zip(reads, seen, strict=True)):
                yield edges


def _worst_cycle(graph: dict[tuple[int, int], set[Edge]], count: int) -> int:
    """The worst cycle, as a place among suffixes and CYCLES; beyond all, if there is none."""
    worst = len(SUFFIXES) * len(CYCLES)
    for size in range(2, count + 1):
        for ring in permutations(range(count), size):
            if ring[0] != min(ring):
                continue
            pairs = [(ring[place - 1], ring[place]) for place in range(size)]
            if all(pair in graph for pair in pairs):
                for edges in product(*(sorted(graph[pair]) for pair in pairs)):
                    worst = min(worst, _rank(edges))
    return worst


def _rank(edges: Sequence[Edge]) -> int:
    kinds = [kind for kind, _ in edges]
    several = kinds.count(RW)
    if several > 1:
        name = 4 if any(kinds[place - 1] == kinds[place] == RW for place in range(len(kinds))) else 3
    else:
        name = 2 if several else 1 if WR in kinds else 0
    return max(stage for _, stage in edges) * len(CYCLES) + name


def _micros(operation: Operation) -> list[list[Any]]:
    value: Any = operation.value
    return list(value)


def _steps(operation: Operation) -> list[tuple[str, str, Any]]:
    """Reads ("r") and writes ("w", or "a" for appends) in program order; what a write replaced is a read before it."""
    steps: list[tuple[str, str, Any]] = []
    for kind, key, *rest in _micros(operation):
        if kind == "r":
            steps.append(("r", key, rest[0]))
            continue
        old = rest[0 if kind == "d" else 1 :]
        if old and operation.outcome == "ok":
            steps.append(("r", key, old[0]))
        steps.append(("a" if kind == "append" else "w", key, None if kind == "d" else rest[0]))
    return steps


def _consistent(operation: Operation) -> bool:
    """Whether it saw itself: every read is what its first read and its own writes make of the key."""
    known: dict[str, Any] = {}
    blind: set[str] = set()
    own = {(key, value) for kind, key, value in _steps(operation) if kind != "r" and value is not None}
    for kind, key, value in _steps(operation):
        if kind == "r":
            if key in blind and isinstance(known[key], list):
                if (value or [])[len(value or []) - len(known[key]) :] != known[key]:
                    return False
            elif key in known:
                if (known[key] or None) != (value or None):
                    return False
            elif any((key, each) in own for each in _elements(value)):
                return False
            blind.discard(key)
            known[key] = value
        elif kind == "a":
            if key not in known:
                blind.add(key)
            known[key] = [*(known.get(key) or []), value]
        else:
            known[key] = value
    return True


def _elements(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _first_reads(operation: Operation) -> dict[str, Any]:
    """What it read of each key before it wrote it; of a list that it appended to first, what stood before that."""
    first: dict[str, Any] = {}
    written: set[str] = set()
    own = [(key, value) for kind, key, value in _steps(operation) if kind == "a"]
    for kind, key, value in _steps(operation):
        if kind == "r" and key not in first and (key not in written or isinstance(value, list)):
            first[key] = [each for each in value if (key, each) not in own] if isinstance(value, list) else value
        elif kind != "r":
            written.add(key)
    return first


def _last_writes(operation: Operation) -> dict[str, Any]:
    """What it leaves in each key: the last value of a register, its own elements of a list."""
    last: dict[str, Any] = {}
    for kind, key, value in _steps(operation):
        if kind == "a":
            last.setdefault(key, []).append(value)
        elif kind == "w":
            last[key] = value
    return last


def _written(operation: Operation) -> list[tuple[str, Any]]:
    return [(key, value) for kind, key, value in _steps(operation) if kind != "r" and value is not None]


def _overwritten(operation: Operation) -> list[tuple[str, Any]]:
    """What it wrote and was not its last."""
    made = _written(operation)
    last = {key: value[-1] if isinstance(value, list) else value for key, value in _last_writes(operation).items()}
    return [(key, value) for key, value in made if last[key] != value]


def _seen(operation: Operation) -> list[tuple[str, Any]]:
    return [(key, each) for kind, key, value in _steps(operation) if kind == "r" for each in _elements(value)]


def _last_seen(operation: Operation) -> list[tuple[str, Any]]:
    return [(key, _elements(value)[-1]) for key, value in _first_reads(operation).items() if _elements(value)]


def _deletes(history: History) -> bool:
    return any(micro[0] == "d" for operation in history for micro in _micros(operation))
