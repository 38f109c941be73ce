"""Which answers a read may give, for each read mode, from the writes so far (consistency.md §2, rows 1, 2, 3, 4, 5
and 7).

Rules of the room:
- The subject is one item: its *version order*, that is the order in which its leader's log holds its writes. Before
  the first write the item is absent, which is the value None.
- One operation precedes another only if its completion is strictly earlier than the other's invocation.
- A write without acknowledgement may take effect at any time after its invocation, also long after its client gave
  up, or never. A write that certainly had no effect (a 4xx error) is not a version and is left out.
- These functions judge one read. What two reads say together (a read that saw an unacknowledged write fixes that it
  happened) is the work of the checkers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

V = TypeVar("V")
E = TypeVar("E")

STRONG = "strong"
EVENTUAL = "eventual"
INDEX = "index"

# For each mode: the promise in a sentence. The course prints this table.
PROMISES: dict[str, str] = {
    STRONG: "the latest state at some instant between call and return (linearizable)",
    EVENTUAL: "some committed state, however old; reads do not have to move forward",
    INDEX: "the projection of some committed state, however old; an old and a new entry may both show for a while",
}


@dataclass(frozen=True, slots=True)
class Version(Generic[V]):
    """One write of an item: the value it left (None is absent), when it was asked for, and when it was acknowledged,
    if ever.
    """

    value: V | None
    invoked_ns: int
    acknowledged_ns: int | None


def allowed_reads(versions: Sequence[Version[V]], mode: str, called_ns: int, returned_ns: int) -> list[V | None]:
    """The values that a read of one item may return, oldest first. `versions` are in version order.

    Strong (row 1): everything acknowledged before the call must be visible. Eventual (row 2): any prefix of the
    versions may be all that the replica has seen. Nothing may come from the future in either mode. For mode `index`
    this gives the base item's states whose projections may be seen; `allowed_entries` projects them.

    >>> writes = [Version("a", 0, 10), Version("b", 20, 30)]
    >>> allowed_reads(writes, STRONG, 40, 50), allowed_reads(writes, EVENTUAL, 40, 50)
    (['b'], [None, 'a', 'b'])
    >>> allowed_reads(writes, STRONG, 25, 28)       # the second write is still running
    ['a', 'b']
    """
    if mode not in PROMISES:
        raise ValueError(f"mode is one of {', '.join(PROMISES)}, not {mode!r}")
    if returned_ns < called_ns:
        raise ValueError("a read returns after its call")
    reach = _begun(versions, returned_ns)
    oldest = _acknowledged(versions, called_ns) if mode == STRONG else 0
    assert oldest <= reach, (
        "a write is acknowledged after its invocation, and so are all that precede it in version order"
    )
    values: list[V | None] = []
    for count in range(oldest, reach + 1):
        value = versions[count - 1].value if count else None
        if value not in values:
            values.append(value)
    return values


def _begun(versions: Sequence[Version[V]], by_ns: int) -> int:
    """How many versions may have taken effect by then: the log is a prefix, so the first not yet invoked ends it."""
    for count, version in enumerate(versions):
        if version.invoked_ns > by_ns:
            return count
    return len(versions)


def _acknowledged(versions: Sequence[Version[V]], before_ns: int) -> int:
    """How many versions certainly took effect before then. So did what precedes it in the log took
    effect too.
    """
    for count in range(len(versions), 0, -1):
        acknowledged_ns = versions[count - 1].acknowledged_ns
        if acknowledged_ns is not None and acknowledged_ns < before_ns:
            return count
    return 0


def condition_may_fail(
    versions: Sequence[Version[V]], holds: Callable[[V | None], bool], called_ns: int, returned_ns: int
) -> bool:
    """Whether a conditional write may answer that its condition was false (row 4): it judged some state that a strong
    read may see.

    With ALL_OLD the error carries the item that was found; that item must be one of `allowed_reads(..., STRONG, ...)`
    too.

    >>> locked = [Version("ann", 0, 10)]
    >>> condition_may_fail(locked, lambda owner: owner is None, 20, 30)
    True
    >>> condition_may_fail(locked, lambda owner: owner == "ann", 20, 30)
    False
    """
    return any(not holds(value) for value in allowed_reads(versions, STRONG, called_ns, returned_ns))


def condition_may_pass(
    versions: Sequence[Version[V]], holds: Callable[[V | None], bool], called_ns: int, returned_ns: int
) -> bool:
    """Whether a conditional write may succeed (row 4). A condition never passes on a stale copy.

    >>> condition_may_pass([Version("ann", 0, 10)], lambda owner: owner is None, 20, 30)
    False
    """
    return any(holds(value) for value in allowed_reads(versions, STRONG, called_ns, returned_ns))


def allowed_entries(
    versions: Sequence[Version[V]], project: Callable[[V], E | None], called_ns: int, returned_ns: int
) -> list[E]:
    """The index entries of one base item that an index read may show (row 7a); each may also be missing, whatever was
    acknowledged.

    `project` gives the entry of a base value, or None when the value is not in the index (sparse).

    >>> color = {"red": ("red", 1), "blue": ("blue", 1), "none": None}.get
    >>> allowed_entries([Version("red", 0, 1), Version("none", 2, 3), Version("blue", 9, None)], color, 5, 6)
    [('red', 1)]
    """
    entries: list[E] = []
    for value in allowed_reads(versions, INDEX, called_ns, returned_ns):
        entry = None if value is None else project(value)
        if entry is not None and entry not in entries:
            entries.append(entry)
    return entries


def converged_entries(bases: Iterable[V | None], project: Callable[[V], E | None]) -> list[E]:
    """What an index must hold once writes have stopped and the propagator has caught up (row 7b, 7c): exactly one
    entry an item.

    >>> converged_entries(["x", None, "-"], lambda value: None if value == "-" else value.upper())
    ['X']
    """
    entries = [project(value) for value in bases if value is not None]
    return [entry for entry in entries if entry is not None]


def strong_page_errors(
    histories: Mapping[str, Sequence[Version[V]]], page: Mapping[str, V], called_ns: int, returned_ns: int
) -> list[str]:
    """What is wrong with one page of a strong Query or Scan that covers all of `histories` (row 5); an empty list if
    nothing.

    Each item is judged alone, within the page's own interval: a page is not a snapshot. An item may be missing only
    if it may have been absent.

    >>> strong_page_errors({"k": [Version(1, 0, 5)]}, {}, 10, 20)
    ['k is missing, but must be one of [1]']
    """
    errors = [f"{key} was never written" for key in page if key not in histories]
    for key, versions in histories.items():
        allowed = allowed_reads(versions, STRONG, called_ns, returned_ns)
        value = page.get(key)
        if value not in allowed:
            said = "missing" if value is None else repr(value)
            errors.append(f"{key} is {said}, but must be one of {allowed}")
    return errors


def fresh_share(applied: Sequence[int], latest: int) -> Fraction:
    """The chance that an eventual read from a replica drawn evenly sees version `latest`; `applied` is each replica's
    newest version.

    An acknowledged write is on two of three replicas, so the share is at least two thirds however late the third one
    is (S25).

    >>> fresh_share([7, 7, 3], 7)
    Fraction(2, 3)
    """
    return Fraction(sum(version >= latest for version in applied), len(applied))
