"""What a statement is made of, once parsed. Values, never changed; parameters are still open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dynalab_model.values import AttributeValue


@dataclass(frozen=True, slots=True)
class Path:
    """A document path: names and list indices."""

    parts: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal of a type that holds no others, in wire form, its number not yet in normal form."""

    value: AttributeValue


@dataclass(frozen=True, slots=True)
class Parameter:
    """A question mark; `place` counts them from 0."""

    place: int


@dataclass(frozen=True, slots=True)
class Missing:
    """The literal MISSING: what is not there."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A literal list (`kind` L), map (M, with `names`) or set (SET); `depth` counts the collections inside each
    other.
    """

    kind: str
    members: tuple[Literal, ...]
    names: tuple[str, ...] = ()
    depth: int = 1


Literal: TypeAlias = Constant | Parameter | Missing | Collection


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator (`=`, `AND`, `BETWEEN`, `IS MISSING`, `+`, …) or, with `call`, a function in lower case."""

    name: str
    operands: tuple[Node, ...]
    call: bool = False
    depth: int = 1


Node: TypeAlias = Path | Literal | Operation


@dataclass(frozen=True, slots=True)
class Action:
    """One action of an UPDATE; no operand means REMOVE."""

    path: Path
    operand: Node | None


@dataclass(frozen=True, slots=True)
class Ordering:
    """One term of ORDER BY."""

    path: Path
    forward: bool


@dataclass(frozen=True, slots=True)
class Select:
    """No `paths` means `*`."""

    table: str
    index: str | None
    paths: tuple[Path, ...]
    where: Node | None
    order: tuple[Ordering, ...]


@dataclass(frozen=True, slots=True)
class Insert:
    table: str
    item: Literal


@dataclass(frozen=True, slots=True)
class Update:
    """`returning` is a value of ReturnValues."""

    table: str
    actions: tuple[Action, ...]
    where: Node | None
    returning: str = "NONE"


@dataclass(frozen=True, slots=True)
class Delete:
    table: str
    where: Node | None
    returning: str = "NONE"


@dataclass(frozen=True, slots=True)
class Exists:
    """The condition check of a transaction; no other request takes it."""

    select: Select

    @property
    def table(self) -> str:
        return self.select.table


Statement: TypeAlias = Select | Insert | Update | Delete | Exists


@dataclass(frozen=True, slots=True)
class Parsed:
    """A statement and how many parameters it wants."""

    statement: Statement
    parameters: int
