"""Projections: a list of paths, and the part of an item that they cover (expressions.md §5).

A nested path keeps the maps and lists around it with only that member in them; the list that comes out is packed, in
the order of the indices. Missing paths are silently absent. The same walk gives the images of
ReturnValues=UPDATED_OLD and UPDATED_NEW.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeAlias

from dynalab_model.expressions.nodes import (
    DocumentPath,
    aliases_of,
    check_names,
    check_overlaps,
    check_reserved,
)
from dynalab_model.expressions.parser import parse_projection
from dynalab_model.expressions.texts import PROJECTION
from dynalab_model.values import AttributeValue, Item

TEMPLATES_MAX = 1_024

# Steps that are kept, and below each what is kept of it; an empty branch keeps everything.
Branch: TypeAlias = "dict[str | int, Branch]"


class ProjectionTemplate:
    """A projection with its names filled in.

    >>> template = projection_template("a[2], a[0]", {})
    >>> template.of({"a": {"L": [{"N": "0"}, {"N": "1"}, {"N": "2"}]}})
    {'a': {'L': [{'N': '0'}, {'N': '2'}]}}
    """

    __slots__ = ("_branch", "_plain", "paths", "used_names")

    def __init__(self, text: str, names: dict[str, str]) -> None:
        written = parse_projection(text)
        check_reserved(PROJECTION, written)
        check_names(PROJECTION, written, names)
        self.used_names = aliases_of(written)
        self.paths = tuple(path.resolve(names) for path in written)
        check_overlaps(PROJECTION, list(self.paths))
        self._branch = branch_of(self.paths)
        self._plain = tuple(str(path[0]) for path in self.paths) if all(len(path) == 1 for path in self.paths) else None

    def of(self, item: Item) -> Item:
        """The part of the item; the item itself is not changed, and what is kept whole is shared with it."""
        if self._plain is not None:
            return {name: item[name] for name in self._plain if name in item}
        return part_of(item, self._branch)


def projection_template(text: str, names: dict[str, str]) -> ProjectionTemplate:
    """The compiled projection, from a bounded cache; raises ValidationException with DynamoDB's texts."""
    return _template(text, tuple(names.items()))


@lru_cache(maxsize=TEMPLATES_MAX)
def _template(text: str, names: tuple[tuple[str, str], ...]) -> ProjectionTemplate:
    return ProjectionTemplate(text, dict(names))


def branch_of(paths: Iterable[DocumentPath]) -> Branch:
    """The paths as a tree of steps."""
    root: Branch = {}
    for path in paths:
        branch = root
        for step in path:
            branch = branch.setdefault(step, {})
    return root


def part_of(item: Item, branch: Branch) -> Item:
    """The attributes that a branch keeps, in its order."""
    kept: Item = {}
    for name, below in branch.items():
        value = item.get(str(name))
        part = None if value is None else _part(value, below)
        if part is not None:
            kept[str(name)] = part
    return kept


def _part(value: AttributeValue, branch: Branch) -> AttributeValue | None:
    if not branch:
        return value
    wire: dict[str, Any] = value
    # One parent is used either as a map or as a list: anything else was refused.
    if "M" in wire and isinstance(next(iter(branch)), str):
        members = part_of(wire["M"], branch)
        return {"M": members} if members else None
    if "L" in wire and isinstance(next(iter(branch)), int):
        elements: list[AttributeValue] = wire["L"]
        inside = [index for index in branch if isinstance(index, int) and index < len(elements)]
        parts = [_part(elements[index], branch[index]) for index in sorted(inside)]
        packed = [part for part in parts if part is not None]
        return {"L": packed} if packed else None
    return None
