"""What an expression is made of, once parsed: paths, value placeholders and operations on them.

`end` is the offset behind a node's last character: where a syntax error is told that only the parser's caller can see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dynalab_model.expressions.reserved import is_reserved
from dynalab_model.expressions.texts import refused
from dynalab_model.values import NESTING_MAX

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
    """Refuses name placeholders that stand for nothing, and paths that go deeper than any value can."""
    for path in paths:
        if len(path.parts) > NESTING_MAX + 1:
            raise refused(kind, "deep", count=len(path.parts))
    for alias in aliases_of(paths):
        if alias not in names:
            raise refused(kind, "name", name=alias)


def check_parentheses(kind: str, *roots: Node) -> None:
    """Refuses a double pair of parentheses around the same thing."""
    for node in walk(*roots):
        if isinstance(node, Parentheses) and node.double:
            raise refused(kind, "parentheses")


def check_overlaps(kind: str, paths: list[DocumentPath]) -> None:
    """Refuses two paths of which one holds the other, then two that use one parent both as a map and as a list.

    One walk down a tree of steps, as a long projection has a thousand paths and comparing each with each would take a
    second.
    """
    root = _Step()
    conflict: tuple[DocumentPath, DocumentPath] | None = None
    for path in paths:
        step = root
        for part in path:
            sort, other = (0, 1) if isinstance(part, str) else (1, 0)
            rival = step.first_below[other]
            if rival is not None and conflict is None:
                conflict = (rival, path)
            if step.first_below[sort] is None:
                step.first_below[sort] = path
            step = step.below.setdefault(part, _Step())
            if step.ended is not None:
                raise refused(kind, "overlap", one=printed(step.ended), two=printed(path))
        through = next((one for one in step.first_below if one is not None), None)
        if through is not None:
            raise refused(kind, "overlap", one=printed(through), two=printed(path))
        step.ended = path
    if conflict is not None:
        raise refused(kind, "conflict", one=printed(conflict[0]), two=printed(conflict[1]))


class _Step:
    """A place in the tree: the path that ends here, and the first that goes on from here by name and by index."""

    __slots__ = ("below", "ended", "first_below")

    def __init__(self) -> None:
        self.below: dict[str | int, _Step] = {}
        self.ended: DocumentPath | None = None
        self.first_below: list[DocumentPath | None] = [None, None]


def printed(path: DocumentPath) -> str:
    """A path as messages show it.

    >>> printed(("a", 0, "b"))
    '[a, [0], b]'
    """
    return "[" + ", ".join(part if isinstance(part, str) else f"[{part}]" for part in path) + "]"
