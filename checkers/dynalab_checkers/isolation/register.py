"""Registers: who read what from whom, and which writes committed. The order of versions is `register_order`'s.

Rules of this room:
- Written values are unique within a key, and differ from its initial value; a key where they are not is left out and
  said so. Absence is not unique: every delete makes it anew, and a read of it says something only if one version alone
  can be meant.
- The value that a write replaced counts as a read just before it, and more: nothing came between the two.
- A transaction that found a key absent, and left it absent, changed nothing: it is a read of absence. One that deleted
  and did not know what it found may have changed nothing, too: under snapshot isolation it conflicts with nobody.
- A conditional write that succeeded read what it asked for; also one of unknown outcome whose effect was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dynalab_checkers.history import MISSING, Missing, Scalar
from dynalab_checkers.isolation.graph import Graph
from dynalab_checkers.isolation.internal import check_register_steps
from dynalab_checkers.isolation.transactions import FAIL, INFO, OK, Micro, Sightings, Transactions
from dynalab_checkers.words import Token, show, token

INITIAL = 0  # the version that a key began with
NO_VERSION = -1
_ABSENT = "absent"


@dataclass(slots=True)
class Access:
    """What one transaction did to one key, seen from outside: its first read, and its last write."""

    transaction: int
    read: int = NO_VERSION
    write: int = NO_VERSION
    replaced: int = NO_VERSION  # the version that its first write said it replaced
    absent: bool = False  # it read absence first, and several versions can be meant


@dataclass(slots=True)
class Versions:
    """The versions of one key. Lists are indexed by version; version 0 is the initial one, which nobody wrote."""

    key: str
    initial: Scalar = None
    writer: list[int] = field(default_factory=lambda: [-1])
    value: list[Token] = field(default_factory=lambda: [None])
    by_value: dict[Token, int] = field(default_factory=dict)
    aborted: dict[Token, int] = field(default_factory=dict)
    intermediate: dict[Token, int] = field(default_factory=dict)
    tombstones: list[int] = field(default_factory=list)
    accesses: list[Access] = field(default_factory=list)
    block: list[int] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    before: list[int] = field(default_factory=list)

    def doubtful(self) -> set[int]:
        """Deletes that may have changed nothing: their transactions did not see a value before."""
        sure = {access.write for access in self.accesses if access.read >= 0 and self.value[access.read] is not None}
        return {version for version in self.tombstones if version not in sure}


@dataclass(slots=True)
class Registers:
    """What a register history shows. `steps[t]`: the transaction's reads and writes, old values as reads."""

    transactions: Transactions
    graph: Graph
    sightings: Sightings = field(default_factory=Sightings)
    unclear: list[str] = field(default_factory=list)
    committed: bytearray = field(default_factory=bytearray)
    dependencies: int = 0
    keys: dict[str, Versions] = field(default_factory=dict)
    touched: list[dict[str, Access]] = field(default_factory=list)
    ambiguous: int = 0

    def partial(self) -> bool:
        """Whether the order of some key's versions may not have been seen in full."""
        return self.ambiguous > 0 or any(len(set(versions.block)) > 2 for versions in self.keys.values())

    def writers_of_keys(self) -> Iterable[tuple[str, Sequence[int]]]:
        """The writers of every key between which there may be no order."""
        for key, versions in self.keys.items():
            if len(set(versions.block)) > 1:
                doubtful = versions.doubtful()
                sure = [writer for number, writer in enumerate(versions.writer) if number and number not in doubtful]
                yield key, [writer for writer in sure if self.committed[writer]]

    def because(self, source: int, target: int, kind: int, one: str, other: str) -> str:
        """Why an edge is there, in words; `one` and `other` are the names of its ends."""
        from dynalab_checkers.isolation.register_order import because

        return because(self, source, target, kind, one, other)


def read_registers(transactions: Transactions, initial: Mapping[str, Scalar] | None = None) -> Registers:
    """Versions and accesses of every key, and all anomalies that need no order."""
    found = Registers(transactions, Graph(len(transactions)))
    found.committed = bytearray(len(transactions))
    all_steps = [_steps(found, number) for number in range(len(transactions))]
    repeating = _collect_writes(found, all_steps, dict(initial or {}))
    for key, value in repeating.items():
        found.unclear.append(f"{show(value)} was written to {show(key)} twice, so its versions cannot be told apart")
        del found.keys[key]
    found.touched = [{} for _ in all_steps]
    status = transactions.status
    for number, steps in enumerate(all_steps):
        if status[number] == OK:
            found.committed[number] = 1
            if len(steps) > 1 and len({key for _, key, _ in steps}) < len(steps):
                check_register_steps(transactions, number, [(s[0].lower(), s[1], s[2]) for s in steps], found.sightings)
            _read_accesses(found, number, steps)
    seen = [number for number, outcome in enumerate(status) if outcome == INFO and found.committed[number]]
    for number in seen:  # grows: what a condition found must have happened, too
        seen += _accesses_of_unsure(found, number, all_steps[number])
    return found


_Step = tuple[str, str, Any]


def _steps(found: Registers, number: int) -> list[_Step]:
    """Micro-operations as reads ("r"), writes ("w"), and reads that a write brought back ("R": what it replaced)."""
    steps: list[_Step] = []
    happened = found.transactions.status[number] == OK
    for micro in found.transactions.micros[number]:
        kind, key = micro[0], micro[1]
        if kind == "r":
            if happened:
                _add(found, steps, "r", key, micro[2] if len(micro) > 2 else None)
        elif kind in ("w", "d", "cas"):
            written = {"w": 2, "d": -1, "cas": 3}[kind]
            least = {"w": 3, "d": 2, "cas": 4}[kind]
            if kind == "cas" and found.transactions.status[number] != FAIL:
                _add(found, steps, "R", key, micro[2])
            elif happened and len(micro) > least:
                _add(found, steps, "R", key, micro[least])
            _add(found, steps, "w", key, None if written < 0 else micro[written])
        else:
            found.unclear.append(f"{show(kind)} is no operation of a register history")
    return steps


def _add(found: Registers, steps: list[_Step], kind: str, key: str, value: Any) -> None:
    if isinstance(value, (list, dict)):
        found.unclear.append(f"{show(key)} holds a {type(value).__name__}, which is no value of a register")
    else:
        steps.append((kind, key, token(value)))


def _collect_writes(found: Registers, all_steps: list[list[_Step]], initial: dict[str, Scalar]) -> dict[str, Token]:
    """Versions of all keys. Returns the keys whose values repeat."""
    repeating: dict[str, Token] = {}
    status = found.transactions.status
    keys = found.keys
    for number, steps in enumerate(all_steps):
        last: dict[str, Token] = {}
        missing: set[str] = set()  # keys that it found absent
        for kind, key, value in steps:
            versions = keys.get(key)
            if versions is None:
                first = token(initial.get(key))
                versions = keys[key] = Versions(key, initial.get(key))
                versions.value[0] = first
                if first is not None:
                    versions.by_value[first] = INITIAL
            if kind != "w":
                if value is None and key not in last:
                    missing.add(key)
                continue
            if key in last and last[key] is not None and last[key] != value:
                table = versions.aborted if status[number] == FAIL else versions.intermediate
                _claim(versions, table, last[key], number, repeating)
            last[key] = value
        for key, value in last.items():
            versions = keys[key]
            if status[number] == FAIL:
                if value is not None:
                    _claim(versions, versions.aborted, value, number, repeating)
                continue
            if value is None:
                if key in missing:
                    continue
                versions.tombstones.append(len(versions.writer))
            else:
                # Written, overwritten and written again by one transaction: it is its last value after all.
                _claim(versions, versions.intermediate, value, number, repeating)
                del versions.intermediate[value]
                versions.by_value[value] = len(versions.writer)
            versions.writer.append(number)
            versions.value.append(value)
    return repeating


def _claim(versions: Versions, table: dict[Token, int], value: Token, number: int, repeating: dict[str, Token]) -> None:
    """Note who wrote a value. If another one did, too, or the key began with it, the key's values repeat."""
    owners = (versions.aborted.get(value, number), versions.intermediate.get(value, number))
    if value in versions.by_value or owners != (number, number):
        repeating[versions.key] = value
    table[value] = number


def _version(found: Registers, versions: Versions, number: int, value: Token) -> int:
    """The version that a read of this value saw, and what is wrong with having seen it."""
    sightings, who = found.sightings, found.transactions.who
    key = versions.key
    if value is None:
        candidates = absences(versions, number)
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            found.ambiguous += 1
            return NO_VERSION
    version = versions.by_value.get(value, NO_VERSION)
    if version >= 0:
        return version
    if value in versions.aborted:
        writer = versions.aborted[value]
        sightings.add(
            "G1a",
            key,
            (number, writer),
            f"{who(number)} read {show(key)} = {show(value)}, which {who(writer)} had written, and that one failed",
        )
    elif value in versions.intermediate:
        writer = versions.intermediate[value]
        if writer != number:
            sightings.add(
                "G1b",
                key,
                (number, writer),
                f"{who(number)} read {show(key)} = {show(value)}, which is not the last that {who(writer)} wrote",
            )
            found.committed[writer] = 1
    else:
        sightings.add(
            "garbage-read",
            key,
            (number,),
            f"{who(number)} read {show(key)} = {show(value)}, which nobody had written",
        )
    return NO_VERSION


def absences(versions: Versions, number: int) -> list[int]:
    """The versions that a transaction can mean which read absence before it wrote the key itself."""
    first = [INITIAL] if versions.value[INITIAL] is None else []
    return first + [version for version in versions.tombstones if versions.writer[version] != number]


def _read_accesses(found: Registers, number: int, steps: list[_Step]) -> None:
    """What an acknowledged transaction did to each key; the writers of what it read have committed."""
    touched = found.touched[number]
    written: set[str] = set()
    for kind, key, value in steps:
        versions = found.keys.get(key)
        if versions is None:
            continue
        access = touched.get(key)
        fresh = access is None
        if access is None:
            access = touched[key] = Access(number)
            versions.accesses.append(access)
        if kind == "w":
            written.add(key)
            access.write = _own(versions, number, value)
            continue
        if key in written:
            continue  # it sees itself: `internal` judges that
        version = _version(found, versions, number, value)
        if fresh:
            access.read = version
            access.absent = value is None and version == NO_VERSION
        if kind == "R":
            access.replaced = version
        if version > INITIAL:
            writer = versions.writer[version]
            found.committed[writer] = 1
        elif value in versions.aborted and any(step[0] == "w" and step[1] == key for step in steps):
            aborted = versions.aborted[value]
            found.sightings.add(
                "dirty-update",
                key,
                (aborted, number),
                f"{found.transactions.who(number)} wrote {show(key)} on top of {show(value)}, which "
                f"{found.transactions.who(aborted)} had written, and that one failed",
            )


def _accesses_of_unsure(found: Registers, number: int, steps: list[_Step]) -> list[int]:
    """What a transaction of unknown outcome, which somebody saw, must have written, and what its conditions found.

    Returns the transactions of unknown outcome that have thereby been seen.
    """
    unseen: list[int] = []
    touched = found.touched[number]
    for kind, key, value in steps:
        versions = found.keys.get(key)
        if versions is None:
            continue
        fresh = key not in touched
        if fresh:
            touched[key] = Access(number)
            versions.accesses.append(touched[key])
        access = touched[key]
        if kind == "w":
            access.write = _own(versions, number, value)
        elif fresh:
            access.read = access.replaced = _version(found, versions, number, value)
            access.absent = value is None and access.read == NO_VERSION
            writer = versions.writer[access.read] if access.read > INITIAL else number
            if not found.committed[writer]:
                found.committed[writer] = 1
                unseen.append(writer)
    return unseen


def _own(versions: Versions, number: int, value: Token) -> int:
    """The version that a write of the transaction made; none if it was not its last."""
    if value is None:
        return next((v for v in versions.tombstones if versions.writer[v] == number), NO_VERSION)
    version = versions.by_value.get(value, NO_VERSION)
    return version if version > INITIAL and versions.writer[version] == number else NO_VERSION


def micro_values(micro: Micro) -> tuple[str, str]:
    """A micro-operation in words: its name and what it did.

    >>> micro_values(["r", "x", [1, 2]]), micro_values(["w", "x", 3, 1])
    (('read', 'x = [1, 2]'), ('write', 'x = 3'))
    """
    kind, key = micro[0], micro[1]
    if kind == "r":
        value = micro[2] if len(micro) > 2 else None
        shown = "[" + ", ".join(map(show, value)) + "]" if isinstance(value, list) else show(value)
        return "read", f"{key} = {shown}"
    if kind == "cas":
        return "write", f"{key} = {show(micro[3])} if it is {show(micro[2])}"
    if kind == "d":
        return "delete", str(key)
    return ("append", f"{show(micro[2])} to {key}") if kind == "append" else ("write", f"{key} = {show(micro[2])}")


assert not isinstance(None, Missing) and MISSING is not None  # null is a value here, and absence of a field is not
