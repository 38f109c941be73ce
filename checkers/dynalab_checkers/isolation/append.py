"""List-append: the longest read of a key is its version order (Elle, VLDB 2020).

Rules of this room:
- A version is known by its position: version n is what the first n elements of the longest read make. Other reads are
  compared with the longest as slices, so that their elements cost no step of ours each.
- An append that nobody read comes after the last one that somebody read; among themselves such appends are unordered.
- Only what committed has edges: `ok`, and `info` if any of its elements was read.
- An old value that an append returned is a read of the list just before it.
- Elements of a key are unique; a key with an element that was appended twice is left out and said so.
- Steps: linear in the history, the elements of reads included (compared at the speed of a slice).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias

from dynalab_checkers.isolation.graph import ITEM, RW, WR, WW, Fan, Graph
from dynalab_checkers.isolation.internal import check_repeated_keys
from dynalab_checkers.isolation.transactions import FAIL, INFO, OK, Micro, Sightings, Transactions
from dynalab_checkers.words import show

Elements: TypeAlias = list[Any]
_NOTHING: Elements = []


@dataclass(slots=True)
class Appends:
    """What a list-append history shows: the graph, the anomalies that need none, and the version order of each key."""

    transactions: Transactions
    graph: Graph
    sightings: Sightings = field(default_factory=Sightings)
    unclear: list[str] = field(default_factory=list)
    committed: bytearray = field(default_factory=bytearray)
    dependencies: int = 0
    longest: dict[str, Elements] = field(default_factory=dict)
    writers: dict[str, dict[Any, int]] = field(default_factory=dict)
    # Beside `longest`: the transaction that appended each element; -1 if none that committed did, or not first there.
    order: dict[str, list[int]] = field(default_factory=dict)
    # Transactions with an append that nobody read, by key.
    unread: dict[str, list[int]] = field(default_factory=dict)
    intermediate: dict[str, set[Any]] = field(default_factory=dict)
    odd: set[str] = field(default_factory=set)

    def writers_of_keys(self) -> Iterable[tuple[str, Sequence[int]]]:
        """The writers of every key between which no order was seen."""
        return self.unread.items()

    def because(self, source: int, target: int, kind: int, one: str, other: str) -> str:
        """Why an edge is there, in words; `one` and `other` are the names of its ends."""
        return _because(self, source, target, kind, one, other)


def analyse_appends(transactions: Transactions) -> Appends:
    """Graph and anomalies of a list-append history."""
    found = Appends(transactions, Graph(len(transactions)))
    repeated = _collect(found)
    found.committed = bytearray(len(transactions))
    _settle(found)
    for key in found.longest:
        _order_versions(found, key)
    _read_edges(found, _order_unread(found))
    for number in repeated:
        if transactions.status[number] == OK:
            check_repeated_keys(transactions, number, found.sightings)
    _lost_updates(found, repeated)
    found.dependencies = found.graph.dependencies()
    return found


def _collect(found: Appends) -> list[int]:
    """Longest reads and writers of all keys. Returns the transactions that name a key more than once."""
    longest, writers = found.longest, found.writers
    all_micros = found.transactions.micros
    repeated: list[int] = []
    twice: dict[str, Any] = {}
    for number, status in enumerate(found.transactions.status):
        micros = all_micros[number]
        if status == OK:
            for micro in micros:
                if len(micro) == 4:
                    micros = all_micros[number] = _with_old_values(micros)
                    break
        several = len(micros) > 1
        if several and len({micro[1] for micro in micros}) < len(micros):
            repeated.append(number)
            _note_intermediate(found.intermediate, micros)
        for micro in micros:
            kind = micro[0]
            key = micro[1]
            if kind == "r":
                value = micro[2] if len(micro) > 2 else None
                if status == OK and value is not None:
                    if type(value) is not list:
                        found.unclear.append(f"a read of {show(key)} returned {show(value)}, which is no list")
                        micro[2:] = []
                    elif len(value) > len(longest.get(key, _NOTHING)):
                        longest[key] = value
            elif kind == "append":
                of_key = writers.get(key)
                if of_key is None:
                    writers[key] = {micro[2]: number}
                elif micro[2] in of_key:
                    twice[key] = micro[2]
                else:
                    of_key[micro[2]] = number
            else:
                found.unclear.append(f"{show(kind)} is no operation of a list-append history")
                break
    for key, element in twice.items():
        found.unclear.append(f"{show(element)} was appended to {show(key)} twice, so its versions cannot be told apart")
        found.odd.add(key)
        longest.pop(key, None)
        writers.pop(key, None)
    for key in writers:
        longest.setdefault(key, _NOTHING)
    return repeated


def _with_old_values(micros: Sequence[Micro]) -> list[Micro]:
    """An append that returned the list it found is a read and an append."""
    plain: list[Micro] = []
    for micro in micros:
        if micro[0] == "append" and len(micro) == 4:
            plain.append(["r", micro[1], micro[3]])
            plain.append(micro[:3])
        else:
            plain.append(micro)
    return plain


def _note_intermediate(intermediate: dict[str, set[Any]], micros: Sequence[Micro]) -> None:
    last: dict[str, Any] = {}
    for micro in micros:
        if micro[0] == "append":
            if micro[1] in last:
                intermediate.setdefault(micro[1], set()).add(last[micro[1]])
            last[micro[1]] = micro[2]


def _settle(found: Appends) -> None:
    """Who committed: those that returned ok, and those of unknown outcome whose elements were read."""
    status = found.transactions.status
    committed = found.committed
    for number, outcome in enumerate(status):
        if outcome == OK:
            committed[number] = 1
    if INFO not in status:
        return
    for key, elements in found.longest.items():
        get = found.writers.get(key, {}).get
        for writer in map(get, elements):
            if writer is not None and status[writer] == INFO:
                committed[writer] = 1
    # A read that is no prefix of the longest may hold elements that the longest does not.
    for number, micros in enumerate(found.transactions.micros):
        if status[number] == OK:
            for micro in micros:
                if micro[0] == "r" and len(micro) > 2 and micro[2] and micro[1] not in found.odd:
                    elements = found.longest[micro[1]]
                    if elements is not micro[2] and elements[: len(micro[2])] != micro[2]:
                        of_key = found.writers.get(micro[1], {})
                        for element in micro[2]:
                            writer = of_key.get(element)
                            if writer is not None and status[writer] == INFO:
                                committed[writer] = 1


def _order_versions(found: Appends, key: str) -> None:
    """The order of a key's versions: ww edges between neighbours, and what is wrong in the longest read itself."""
    elements = found.longest[key]
    of_key = found.writers.get(key, {})
    status = found.transactions.status
    order = [-1 if writer is None else writer for writer in map(of_key.get, elements)]
    if -1 in order or len(set(elements)) != len(elements) or any(status[writer] == FAIL for writer in order):
        found.odd.add(key)
        _judge_odd_order(found, key, order)
    found.order[key] = order
    successors = found.graph.successors
    before = -1
    for writer in order:
        if writer != before and writer >= 0:
            if before >= 0:
                successors[before].append(writer << 5 | WW)
            before = writer
    if key in found.intermediate:
        _program_order(found, key, order)


def _judge_odd_order(found: Appends, key: str, order: list[int]) -> None:
    """Blank what must not be in a version order: elements seen before, aborted ones, ones that nobody appended."""
    elements = found.longest[key]
    status = found.transactions.status
    seen: set[Any] = set()
    aborted = -1
    for place, element in enumerate(elements):
        writer = order[place]
        if element in seen:
            order[place] = -1
        elif writer >= 0 and status[writer] == FAIL:
            aborted = writer
            order[place] = -1
        elif writer >= 0 and aborted >= 0:
            found.sightings.add(
                "dirty-update",
                key,
                (aborted, writer),
                f"{found.transactions.who(writer)} appended {show(element)} to {show(key)} on top of what "
                f"{found.transactions.who(aborted)}, which failed, had left there",
            )
            aborted = -1
        seen.add(element)


def _program_order(found: Appends, key: str, order: Sequence[int]) -> None:
    """A transaction's own appends to a key stand in the order in which it made them."""
    elements = found.longest[key]
    place = {element: at for at, element in reversed(list(enumerate(elements)))}
    for writer in sorted({writer for writer in order if writer >= 0}):
        own = [micro[2] for micro in found.transactions.micros[writer] if micro[0] == "append" and micro[1] == key]
        for one, other in pairwise(own):
            # An unread element comes after all that were read, so it must not be followed by one of its own
            # transaction that was read.
            if other in place and place.get(one, len(elements)) > place[other]:
                found.sightings.add(
                    "incompatible-order",
                    key,
                    (writer,),
                    f"{found.transactions.who(writer)} appended {show(one)} to {show(key)} before {show(other)}, "
                    f"and it was read behind that",
                )
                break


def _order_unread(found: Appends) -> dict[str, Fan]:
    """Appends that nobody read come last: edges into them from the last writer, and fans for the readers to use."""
    fans: dict[str, Fan] = {}
    committed = found.committed
    for key, of_key in found.writers.items():
        order = found.order[key]
        if len(of_key) == len(order) and key not in found.odd:
            continue
        read = set(found.longest[key])
        # A transaction with several unread appends to the key is one node.
        unread = list(dict.fromkeys(w for element, w in of_key.items() if element not in read and committed[w]))
        if not unread:
            continue
        found.unread[key] = unread
        fans[key] = Fan(found.graph, unread)
        last = next((writer for writer in reversed(order) if writer >= 0), -1)
        if last >= 0:
            fans[key].reach(last, WW)
    return fans


def _read_edges(found: Appends, fans: dict[str, Fan]) -> None:
    """wr and rw edges of every read, and the reads of what nobody may read. The hot loop."""
    longest, orders, odd, intermediate = found.longest, found.order, found.odd, found.intermediate
    successors = found.graph.successors
    status = found.transactions.status
    for number, micros in enumerate(found.transactions.micros):
        if status[number]:
            continue
        for micro in micros:
            if micro[0] != "r":
                continue
            key = micro[1]
            value = (micro[2] if len(micro) > 2 else None) or _NOTHING
            order = orders.get(key)
            if order is None:
                continue  # nobody ever appended to it, or its elements are not unique
            length = len(value)
            if key in odd or (value is not longest[key] and longest[key][:length] != value):
                length = _odd_read(found, number, key, value)
                if length < 0:
                    continue
            if length:
                writer = order[length - 1]
                if writer != number:
                    if writer >= 0:
                        successors[writer].append(number << 5 | WR)
                    if key in intermediate and value[-1] in intermediate[key]:
                        _intermediate_read(found, number, key, value)
            if length < len(order):
                writer = order[length]
                if writer < 0:
                    writer = next((later for later in order[length:] if later >= 0), number)
                if writer != number:
                    successors[number].append(writer << 5 | RW)
            elif key in fans:
                fans[key].reach(number, RW)


def _odd_read(found: Appends, number: int, key: str, value: Elements) -> int:
    """A read that is no prefix of the longest, or of a key where something is wrong. Returns the version it saw.

    -1 if that cannot be said.
    """
    sightings, transactions = found.sightings, found.transactions
    of_key = found.writers.get(key, {})
    who = transactions.who
    if len(set(value)) != len(value):
        sightings.add("duplicate-elements", key, (number,), f"{who(number)} read {show_list(value)} from {show(key)}")
    for element in value:
        writer = of_key.get(element)
        if writer is None:
            sightings.add(
                "garbage-read",
                key,
                (number,),
                f"{who(number)} read {show(element)} from {show(key)}, which nobody had appended",
            )
        elif transactions.status[writer] == FAIL:
            sightings.add(
                "G1a",
                key,
                (number, writer),
                f"{who(number)} read {show(element)} from {show(key)}, which {who(writer)} "
                f"had appended, and that one failed",
            )
    elements = found.longest[key]
    length = len(value)
    if elements[:length] == value:
        return length
    sightings.add(
        "incompatible-order",
        key,
        (number,),
        f"{who(number)} read {show_list(value)} from {show(key)}, and others read {show_list(elements)}",
    )
    last = of_key.get(value[-1])
    return elements.index(value[-1]) + 1 if last is not None and value[-1] in elements else -1


def _intermediate_read(found: Appends, number: int, key: str, value: Elements) -> None:
    writer = found.writers[key].get(value[-1])
    if writer is None or writer == number:
        return
    who = found.transactions.who
    found.sightings.add(
        "G1b",
        key,
        (number, writer),
        f"{who(number)} read {show_list(value)} from {show(key)}: {show(value[-1])} is not the last that "
        f"{who(writer)} appended",
    )


def _lost_updates(found: Appends, repeated: Sequence[int]) -> None:
    """Transactions that read the same version of a key, and then appended to it."""
    status, micros = found.transactions.status, found.transactions.micros
    bases: dict[tuple[str, int], list[int]] = {}
    for number in repeated:
        if status[number] != OK:
            continue
        read: dict[str, int] = {}
        for micro in micros[number]:
            if micro[1] in found.odd:
                continue
            if micro[0] == "r":
                read.setdefault(micro[1], len(micro[2] or _NOTHING) if len(micro) > 2 else 0)
            elif micro[0] == "append":
                base = read.get(micro[1])
                if base is None:
                    read[micro[1]] = -1  # an append first: what is read afterwards is its own
                elif base >= 0:
                    bases.setdefault((micro[1], base), []).append(number)
                    read[micro[1]] = -1
    for (key, base), numbers in bases.items():
        if len(numbers) > 1:
            found.sightings.add(
                "lost-update",
                key,
                tuple(numbers),
                f"{len(numbers)} transactions read the same {base} elements of {show(key)} and then appended to it",
            )


def show_list(elements: Sequence[Any], most: int = 12) -> str:
    """A list in a sentence; long ones are cut at the front, where they agree.

    >>> show_list([1, 2, 3]), show_list(range(40), most=3)
    ('[1, 2, 3]', '[... 37, 38, 39]')
    """
    shown = ", ".join(show(element) for element in elements[-most:])
    return f"[... {shown}]" if len(elements) > most else f"[{shown}]"


def _because(found: Appends, source: int, target: int, kind: int, one: str, other: str) -> str:
    """The reason of an edge, looked up again in the two transactions that it joins."""
    micros = found.transactions.micros
    own = [(micro[1], micro[2]) for micro in micros[target] if micro[0] == "append"]
    if kind == WR:
        for micro in micros[target]:
            value = micro[2] if micro[0] == "r" and len(micro) > 2 else None
            if value and found.writers.get(micro[1], {}).get(value[-1]) == source:
                return f"{other} observed {one}'s append of {show(value[-1])} to {micro[1]}"
        return f"{other} observed what {one} appended"
    if kind == RW:
        for micro in micros[source]:
            value = ((micro[2] if len(micro) > 2 else None) or _NOTHING) if micro[0] == "r" else None
            for key, element in own:
                if value is None or key != micro[1] or element in value:
                    continue
                if _follows(found, key, len(value), target):
                    saw = f"{one} read {key} as {show_list(value)}"
                    return f"{saw} and did not observe {other}'s append of {show(element)}"
        return f"{one} did not observe what {other} appended"
    for key, element in own:
        order, elements = found.order.get(key, []), found.longest.get(key, _NOTHING)
        if element in elements:
            at = elements.index(element)
            earlier = next((place for place in range(at - 1, -1, -1) if order[place] >= 0), -1)
            if earlier >= 0 and order[earlier] == source:
                return f"{one} appended {show(elements[earlier])} to {key} just before {other} appended {show(element)}"
        elif target in found.unread.get(key, ()) and [writer for writer in order if writer >= 0][-1:] == [source]:
            first = f"{one}'s append of {show(elements[-1])} to {key} was read"
            return f"{first}, and {other}'s append of {show(element)} was not yet there"
    return f"{one} appended before {other}"


def _follows(found: Appends, key: str, length: int, target: int) -> bool:
    order = found.order.get(key, [])
    following = next((writer for writer in order[length:] if writer >= 0), -1)
    return following == target or (following < 0 and target in found.unread.get(key, ()))


assert ITEM == 0, "the edges of this room are written without a stage"
