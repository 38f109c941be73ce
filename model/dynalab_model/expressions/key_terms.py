"""Which terms a key takes: the part of a Query that expressions and KeyConditions share (expressions.md §4).

Rules: every attribute of the partition key by equality; of the sort key as many as are wanted, left to right without a
gap, all but the last by equality. Keys of several attributes belong to global indexes, and nobody has captured what
the service says of their mistakes: class and place are documented, the words are those of keys of one attribute each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from dynalab_model.errors import invalid
from dynalab_model.expressions.texts import refused_whole
from dynalab_model.keys import KeyCondition
from dynalab_model.schema import KeyAttribute, KeySchema
from dynalab_model.values import AttributeValue, value_size

_TERMS_MAX = 2  # of a key of one attribute each; a longer key takes as many as it has attributes

KeyTerm: TypeAlias = "tuple[str, list[AttributeValue]]"  # an operator of KeyCondition's, and its operands


def bind_terms(terms: Mapping[str, KeyTerm], schema: KeySchema) -> KeyCondition:
    """Where a Query reads, given the terms by attribute; raises ValidationException when they do not fit the keys.

    >>> key = KeySchema(KeyAttribute("a", "S"), KeyAttribute("x", "N"), more_range=(KeyAttribute("y", "N"),))
    >>> one, two = {"N": "1"}, {"N": "2"}
    >>> condition = bind_terms({"y": ("<", [two]), "a": ("=", [{"S": "k"}]), "x": ("=", [one])}, key)
    >>> condition.equal, condition.operator, condition.low
    (({'N': '1'},), '<', {'N': '2'})
    """
    if len(terms) > _TERMS_MAX and len(terms) > len(schema.names):
        raise refused_whole("length")
    hashes: list[AttributeValue] = []
    for attribute in schema.hashes:
        term = terms.get(attribute.name)
        if term is None:
            raise refused_whole("missed-key", name=attribute.name)
        operator, operands = term
        if operator != "=":
            raise refused_whole("unsupported")
        hashes.append(_key_value(operands[0], attribute))
    left = len(terms) - len(hashes)
    if not left:
        return KeyCondition(hashes[0], more_hash=tuple(hashes[1:]))
    if schema.range is None:
        raise refused_whole("unsupported")
    equal: list[AttributeValue] = []
    for attribute in schema.ranges:
        term = terms.get(attribute.name)
        if term is None:
            raise refused_whole("missed-key", name=attribute.name)
        operator, operands = term
        for operand in operands:
            _key_value(operand, attribute)
        if len(equal) == left - 1:
            high = operands[1] if len(operands) == 2 else None
            return KeyCondition(hashes[0], operator, operands[0], high, tuple(hashes[1:]), tuple(equal))
        if operator != "=":
            raise refused_whole("unsupported")  # only the last one may be a range
        equal.append(operands[0])
    raise AssertionError("more terms than the key has attributes")


def _key_value(value: AttributeValue, attribute: KeyAttribute) -> AttributeValue:
    if attribute.type not in value:
        raise refused_whole("key-type")
    if attribute.type != "N" and value_size(value) == 0:
        raise invalid("key-empty", kind="string" if attribute.type == "S" else "binary", name=attribute.name)
    return value
