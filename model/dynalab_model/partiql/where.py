"""What a WHERE clause says about the key: which partition keys it names, and which range of the sort key.

Rules: only what every matching item must satisfy counts. A term that the request's key says in full is *said* and
leaves the filter; every other term stays in it, also when it helped to find the key. A partition key may be named by
`=`, by IN, or by an OR whose every branch names it; whatever else is said of it, the statement is a scan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dynalab_model.partiql.nodes import Literal, Node, Operation, Path
from dynalab_model.partiql.texts import refused
from dynalab_model.partiql.writer import bound
from dynalab_model.values import AttributeValue, compare

PARTITION_KEYS_MAX = 50

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LOWER = frozenset({">", ">="})
_UPPER = frozenset({"<", "<="})


@dataclass(frozen=True, slots=True)
class SortTerm:
    """A condition on the sort key that a key condition can say, its values bound."""

    operator: str
    values: tuple[AttributeValue, ...]


def terms_of(where: Node | None) -> list[Operation]:
    """The conditions that must all hold."""
    if where is None:
        return []
    assert isinstance(where, Operation), "the parser lets no other condition through"
    if where.name != "AND":
        return [where]
    return [term for operand in where.operands for term in terms_of(operand)]


def equal_value(term: Operation, name: str) -> Literal | None:
    """The literal that a term sets an attribute equal to."""
    if term.name != "=":
        return None
    for here, there in (term.operands, term.operands[::-1]):
        if here == Path((name,)) and not isinstance(there, Path | Operation):
            return there
    return None


def partition_keys(
    terms: Sequence[Operation], name: str, parameters: Sequence[AttributeValue]
) -> tuple[list[AttributeValue], Operation | None]:
    """The partition keys that the terms allow, each once, in the order in which they are named; none means all. With
    them the term that is thereby said.
    """
    for term in terms:
        literal = equal_value(term, name)
        if literal is not None:
            return [bound(literal, parameters)], term
    for term in terms:
        literals = _candidates(term, name)
        if literals is not None:
            values = _distinct(bound(literal, parameters) for literal in literals)
            if len(values) > PARTITION_KEYS_MAX:
                raise refused("in-keys", limit=PARTITION_KEYS_MAX)
            return values, term if term.name == "IN" else None
    return [], None


def _candidates(node: Node, name: str) -> list[Literal] | None:
    """The literals of which an attribute must be one, or None if it may be anything."""
    if not isinstance(node, Operation):
        return None
    if node.name == "=":
        literal = equal_value(node, name)
        return None if literal is None else [literal]
    if node.name == "IN":
        tested, *choices = node.operands
        literals = [choice for choice in choices if not isinstance(choice, Path | Operation)]
        return literals if tested == Path((name,)) and len(literals) == len(choices) else None
    found = [_candidates(operand, name) for operand in node.operands if node.name in ("AND", "OR")]
    named = [literals for literals in found if literals is not None]
    if node.name == "AND":
        return named[0] if named else None
    return [literal for literals in named for literal in literals] if named and len(named) == len(found) else None


def _distinct(values: Iterator[AttributeValue]) -> list[AttributeValue]:
    return list({str(value): value for value in values}.values())


def sort_term(
    terms: Sequence[Operation], name: str, parameters: Sequence[AttributeValue]
) -> tuple[SortTerm | None, Operation | None]:
    """What a key condition can say of the sort key, and the term that is thereby said in full.

    `sk > :a AND sk < :b` reads BETWEEN, and both terms stay in the filter for the two ends.
    """
    found = [(term, said) for term in terms if (said := _sort_term(term, name, parameters)) is not None]
    for term, said in found:
        if said.operator in ("=", "BETWEEN", "begins_with"):
            return said, term
    low = next(((term, said) for term, said in found if said.operator in _LOWER), None)
    high = next(((term, said) for term, said in found if said.operator in _UPPER), None)
    if low is not None and high is not None:
        bounds = (*low[1].values, *high[1].values)
        if compare(*bounds) in (-1, 0):
            return SortTerm("BETWEEN", bounds), None
    one = low or high
    return (None, None) if one is None else (one[1], one[0])


def _sort_term(term: Operation, name: str, parameters: Sequence[AttributeValue]) -> SortTerm | None:
    literal = equal_value(term, name)
    if literal is not None:
        return SortTerm("=", (bound(literal, parameters),))
    first, *rest = term.operands
    literals = [operand for operand in rest if not isinstance(operand, Path | Operation)]
    key = Path((name,))
    if term.name in _MIRRORED and rest == [key] and not isinstance(first, Path | Operation):
        return SortTerm(_MIRRORED[term.name], (bound(first, parameters),))
    if first != key or len(literals) != len(rest) or term.name not in (*_MIRRORED, "BETWEEN", "begins_with"):
        return None
    return SortTerm(term.name, tuple(bound(literal, parameters) for literal in literals))
