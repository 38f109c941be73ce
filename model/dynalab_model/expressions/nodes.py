"""What an expression is made of, once parsed: paths, value placeholders and operations on them.

`end` is the offset behind a node's last character: where a syntax error is told that only the parser's caller can see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dynalab_model.expressions.reserved import is_reserved
from dynalab_model.expressions.texts import refused

# A path with its placeholders filled in: names and list indices.
DocumentPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Path:
    """A document path as written; a part is a name, a `#placeholder` or a list index."""

    parts: DocumentPath
    end: int

    def resolve(self, names: Mapping[str, str]) -> DocumentPath:
        """The path with every placeholder filled in; they were checked before."""
        return tuple(names[part] if isinstance(part, str) and part[0] == "#" else part for part in self.parts)


@dataclass(frozen=True, slots=True)
class Value:
    """A `:placeholder`."""

    name: str
    end: int


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator (`=`, `AND`, `BETWEEN`, `+`, …) or, with `call`, a function, and its operands."""

    name: str
    operands: tuple[Node, ...]
    end: int
    call: bool = False


@dataclass(frozen=True, slots=True)
class Parentheses:
    """Something in parentheses; `double` when there was a second pair around the same thing."""

    inner: Node
    double: bool
    end: int


Node: TypeAlias = Path | Value | Operation | Parentheses


@dataclass(frozen=True, slots=True)
class Action:
    """One action of an update: `section` is SET, REMOVE, ADD or DELETE; REMOVE has no operand."""

    section: str
    path: Path
    operand: Node | None


def bare(node: Node) -> Path | Value | Operation:
    """The node without the parentheses around it."""
    while isinstance(node, Parentheses):
        node = node.inner
    return node


def walk(*roots: Node) -> Iterator[Node]:
    """Every node in the order of the text, operators before their operands. Keeps its own stack: expressions nest
    deeply.
    """
    stack: list[Node] = list(reversed(roots))
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, Operation):
            stack.extend(reversed(node.operands))
        elif isinstance(node, Parentheses):
            stack.append(node.inner)


def paths_of(*roots: Node) -> list[Path]:
    """The paths in the order of the text."""
    return [node for node in walk(*roots) if isinstance(node, Path)]


def values_of(*roots: Node) -> tuple[str, ...]:
    """The value placeholders in the order of the text, each once."""
    return tuple(dict.fromkeys(node.name for node in walk(*roots) if isinstance(node, Value)))


def aliases_of(paths: list[Path]) -> tuple[str, ...]:
    """The name placeholders in the order of the text, each once."""
    return tuple(dict.fromkeys(p for path in paths for p in path.parts if isinstance(p, str) and p[0] == "#"))


def check_reserved(kind: str, paths: list[Path]) -> None:
    """Refuses names that need a placeholder."""
    for path in paths:
        for part in path.parts:
            if isinstance(part, str) and part[0] != "#" and is_reserved(part):
                raise refused(kind, "reserved", name=part)


def check_names(kind: str, paths: list[Path], names: Mapping[str, str]) -> None:
    """Refuses name placeholders that stand for nothing."""
    for alias in aliases_of(paths):
        if alias not in names:
            raise refused(kind, "name", name=alias)


def check_parentheses(kind: str, *roots: Node) -> None:
    """Refuses a double pair of parentheses around the same thing."""
    for node in walk(*roots):
        if isinstance(node, Parentheses) and node.double:
            raise refused(kind, "parentheses")


def check_overlaps(kind: str, paths: list[DocumentPath]) -> None:
    """Refuses two paths of which one holds the other, then two that use one parent both as a map and as a list."""
    for number, two in enumerate(paths):
        for one in paths[:number]:
            shared = min(len(one), len(two))
            if one[:shared] == two[:shared]:
                raise refused(kind, "overlap", one=printed(one), two=printed(two))
    for number, two in enumerate(paths):
        for one in paths[:number]:
            for a, b in zip(one, two, strict=False):
                if a != b:
                    if type(a) is not type(b):
                        raise refused(kind, "conflict", one=printed(one), two=printed(two))
                    break


def printed(path: DocumentPath) -> str:
    """A path as messages show it.

    >>> printed(("a", 0, "b"))
    '[a, [0], b]'
    """
    return "[" + ", ".join(part if isinstance(part, str) else f"[{part}]" for part in path) + "]"
