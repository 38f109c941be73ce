"""DynamoDB's expressions: conditions and filters, updates, projections, key conditions, search conditions.

Rules of this room:
- An expression is text. It is compiled once per text and names into a template that is found again in a bounded
  cache; values are bound at evaluation. Templates are closures over names and numbers; nothing of a request stays in
  them.
- What can be refused without looking at an item is refused by `check_expressions`, before anything is read.
- Evaluation is pure: it changes no item, no value, and depends on nothing else.

    >>> condition_holds("attribute_not_exists(pk)", {}, {}, None)
    True
    >>> apply_update("ADD n :one", {}, {":one": {"N": "1"}}, {"n": {"N": "41"}}).item
    {'n': {'N': '42'}}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dynalab_model.expressions.condition import ConditionTemplate, condition_template
from dynalab_model.expressions.key_condition import KeyConditionTemplate, key_condition_template
from dynalab_model.expressions.projection import ProjectionTemplate, projection_template
from dynalab_model.expressions.search_condition import search_condition_template
from dynalab_model.expressions.terms import TermsTemplate
from dynalab_model.expressions.texts import CONDITION, FILTER, refused_whole
from dynalab_model.expressions.update import UpdateResult, UpdateTemplate, update_template, updated_new, updated_old
from dynalab_model.keys import KeyCondition
from dynalab_model.schema import KeySchema
from dynalab_model.values import Item

__all__ = [
    "ConditionTemplate",
    "KeyCondition",
    "KeyConditionTemplate",
    "ProjectionTemplate",
    "UpdateResult",
    "UpdateTemplate",
    "apply_update",
    "check_expressions",
    "check_filter_keys",
    "condition_holds",
    "condition_template",
    "key_condition_template",
    "parse_key_condition",
    "project",
    "projection_template",
    "update_template",
    "updated_new",
    "updated_old",
    "used_names",
    "used_values",
]


def condition_holds(
    text: str, names: dict[str, str], values: Item, item: Item | None, *, kind: str = CONDITION
) -> bool:
    """Whether a condition (or filter: `kind`) is true of an item; None is the absent item.

    >>> condition_holds("#v = :old", {"#v": "v"}, {":old": {"N": "1"}}, {"v": {"N": "1"}})
    True
    """
    return condition_template(text, names, kind).holds(item, values)


def apply_update(
    text: str, names: dict[str, str], values: Item, item: Item, key_names: Iterable[str] = ()
) -> UpdateResult:
    """The item after an update; for an absent item pass its key alone. Raises ValidationException, also for touching
    `key_names`.

    >>> item = {"p": {"M": {"c": {"S": "old"}, "d": {"S": "x"}}}}
    >>> result = apply_update("SET p.c = :v", {}, {":v": {"S": "new"}}, item)
    >>> updated_new(result)
    {'p': {'M': {'c': {'S': 'new'}}}}
    """
    template = update_template(text, names)
    template.check_keys(key_names)
    return template.apply(item, values)


def project(text: str, names: dict[str, str], item: Item) -> Item:
    """The part of an item that a projection names.

    >>> project("a.b, c", {}, {"a": {"M": {"b": {"N": "1"}, "x": {"N": "2"}}}, "d": {"N": "3"}})
    {'a': {'M': {'b': {'N': '1'}}}}
    """
    return projection_template(text, names).of(item)


def parse_key_condition(text: str, names: dict[str, str], values: Item, schema: KeySchema) -> KeyCondition:
    """Where a Query reads, in a table or index with these keys.

    >>> from dynalab_model.schema import KeyAttribute
    >>> parse_key_condition("pk = :p", {}, {":p": {"S": "a"}}, KeySchema(KeyAttribute("pk", "S"))).hash
    {'S': 'a'}
    """
    return key_condition_template(text, names).bind(values, schema)


def check_filter_keys(text: str, names: dict[str, str], key_names: Sequence[str]) -> None:
    """Refuses a Query's filter that looks at a key attribute of what is read. (A Scan's filter may.)"""
    condition_template(text, names, FILTER).check_filter(tuple(key_names))


def check_expressions(
    *,
    names: dict[str, str] | None = None,
    values: Item | None = None,
    update: str | None = None,
    condition: str | None = None,
    key_condition: str | None = None,
    search_condition: str | None = None,
    filter: str | None = None,
    projection: str | None = None,
) -> None:
    """All that can be refused without a table: each expression in DynamoDB's order, then names and values that nobody
    uses.

    >>> check_expressions(names={"#x": "a"}, condition="attribute_exists(name)")
    Traceback (most recent call last):
    dynalab_model.errors.DynamoError: ValidationException: Invalid ConditionExpression: Attribute name is a reserved \
keyword; reserved keyword: name
    """
    names, values = names or {}, values or {}
    used: set[str] = set()
    for template in _templates(names, update, condition, key_condition, filter, projection, search_condition):
        if not isinstance(template, ProjectionTemplate):
            template.check(values)
            used.update(template.used_values)
        used.update(template.used_names)
    for text, given in (("unused-names", names), ("unused-values", values)):
        if not used.issuperset(given):
            raise refused_whole(text, names=", ".join(name for name in given if name not in used))


def used_names(
    names: dict[str, str],
    update: str | None = None,
    condition: str | None = None,
    key_condition: str | None = None,
    filter: str | None = None,
    projection: str | None = None,
) -> set[str]:
    """The `#` placeholders that the expressions use."""
    templates = _templates(names, update, condition, key_condition, filter, projection)
    return {name for template in templates for name in template.used_names}


def used_values(
    names: dict[str, str],
    update: str | None = None,
    condition: str | None = None,
    key_condition: str | None = None,
    filter: str | None = None,
) -> set[str]:
    """The `:` placeholders that the expressions use."""
    templates = _templates(names, update, condition, key_condition, filter, None)
    return {name for t in templates if not isinstance(t, ProjectionTemplate) for name in t.used_values}


def _templates(
    names: dict[str, str],
    update: str | None,
    condition: str | None,
    key_condition: str | None,
    filter: str | None,
    projection: str | None,
    search_condition: str | None = None,
) -> Iterable[UpdateTemplate | ConditionTemplate | KeyConditionTemplate | TermsTemplate | ProjectionTemplate]:
    """Compiled one after the other, in the order in which DynamoDB reports their errors."""
    if update is not None:
        yield update_template(update, names)
    if condition is not None:
        yield condition_template(condition, names)
    if key_condition is not None:
        yield key_condition_template(key_condition, names)
    if search_condition is not None:
        yield search_condition_template(search_condition, names)
    if filter is not None:
        yield condition_template(filter, names, FILTER)
    if projection is not None:
        yield projection_template(projection, names)
