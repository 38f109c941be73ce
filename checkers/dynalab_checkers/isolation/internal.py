"""What a transaction must see of itself: internal consistency, and no read of its own future.

Rules of this room:
- A transaction is judged alone; only what it did itself before an operation counts for that operation.
- Lists: a read must equal the last thing known about the key, be it read or appended; after a blind append only the
  end of the list is known. Registers: a read must equal the last value read or written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynalab_checkers.history import MISSING
from dynalab_checkers.isolation.transactions import Micro, Sightings, Transactions
from dynalab_checkers.words import show


def check_repeated_keys(transactions: Transactions, number: int, sightings: Sightings) -> None:
    """Judge one list-append transaction that names a key more than once."""
    micros = transactions.micros[number]
    later = _appended_later(micros)
    known: dict[str, tuple[bool, list[Any]]] = {}  # whole list (or only its end), elements
    for place, micro in enumerate(micros):
        key = micro[1]
        whole, elements = known.get(key, (False, []))
        if micro[0] == "append":
            known[key] = (whole, [*elements, micro[2]])
            continue
        value = (micro[2] if len(micro) > 2 else None) or []
        for element in value:
            if later.get((key, element), -1) > place:
                sightings.add(
                    "future-read",
                    key,
                    (number,),
                    f"{transactions.who(number)} read {show(element)} from {show(key)} before it appended that itself",
                )
        fits = value == elements if whole else value[len(value) - len(elements) :] == elements
        if key in known and (not fits or len(value) < len(elements)):
            dots = "" if whole else "... "
            sightings.add(
                "internal",
                key,
                (number,),
                f"{transactions.who(number)} read [{', '.join(map(show, value))}] from {show(key)}, "
                f"and what it had done before makes it expect [{dots}{', '.join(map(show, elements))}]",
            )
        known[key] = (True, value)


def _appended_later(micros: Sequence[Micro]) -> dict[tuple[str, Any], int]:
    return {(micro[1], micro[2]): place for place, micro in enumerate(micros) if micro[0] == "append"}


def check_register_steps(
    transactions: Transactions, number: int, steps: Sequence[tuple[str, str, Any]], sightings: Sightings
) -> None:
    """Judge one register transaction. `steps`: ("r" or "w", key, value), old values as reads, in program order."""
    known: dict[str, Any] = {}
    written_later: dict[tuple[str, Any], int] = {}
    for place, (kind, key, value) in enumerate(steps):
        if kind == "w" and value is not None:
            written_later[key, value] = place
    for place, (kind, key, value) in enumerate(steps):
        expected = known.get(key, MISSING)
        if kind == "r":
            if written_later.get((key, value), -1) > place and expected != value:
                sightings.add(
                    "future-read",
                    key,
                    (number,),
                    f"{transactions.who(number)} read {show(key)} = {show(value)} before it wrote that itself",
                )
            elif expected is not MISSING and expected != value:
                sightings.add(
                    "internal",
                    key,
                    (number,),
                    f"{transactions.who(number)} read {show(key)} = {show(value)}, "
                    f"and what it had done before makes it expect {show(expected)}",
                )
        known[key] = value
