"""Key conditions: the part of a Query that says where to read (expressions.md §4).

One equality on the partition key, at most one condition on the sort key (keys of several attributes: `key_terms`).
The form is judged by the text alone (`terms`), the names and types by the schema of the table or index that is read.
"""

from __future__ import annotations

from functools import lru_cache

from dynalab_model.expressions.key_terms import bind_terms
from dynalab_model.expressions.terms import MIRRORED, TermsTemplate
from dynalab_model.expressions.texts import KEY_CONDITION
from dynalab_model.keys import KeyCondition
from dynalab_model.schema import KeySchema
from dynalab_model.values import Item

TEMPLATES_MAX = 1_024

_OPERATORS = frozenset({*MIRRORED, "BETWEEN", "begins_with"})


class KeyConditionTemplate:
    """A key condition with its names filled in, its values open, for any schema.

    >>> from dynalab_model.schema import KeyAttribute
    >>> template = key_condition_template("pk = :p AND :low <= sk", {})
    >>> schema = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))
    >>> template.bind({":p": {"S": "a"}, ":low": {"N": "7"}}, schema)
    KeyCondition(hash={'S': 'a'}, operator='>=', low={'N': '7'}, high=None, more_hash=(), equal=())
    """

    __slots__ = ("_template", "used_names", "used_values")

    def __init__(self, text: str, names: dict[str, str]) -> None:
        self._template = TermsTemplate(KEY_CONDITION, text, names, _OPERATORS)
        self.used_names = self._template.used_names
        self.used_values = self._template.used_values

    def check(self, values: Item) -> None:
        """Refuses a wrong form, and values that are not there or have the wrong type."""
        self._template.check(values)

    def bind(self, values: Item, schema: KeySchema) -> KeyCondition:
        """The condition on a table or index with these keys; raises ValidationException when it does not fit them."""
        self.check(values)
        terms = {
            name: (term.operator, [values[placeholder] for placeholder in term.values])
            for name, term in self._template.terms.items()
        }
        return bind_terms(terms, schema)


def key_condition_template(text: str, names: dict[str, str]) -> KeyConditionTemplate:
    """The compiled key condition, from a bounded cache; raises ValidationException with DynamoDB's texts."""
    return _template(text, tuple(names.items()))


@lru_cache(maxsize=TEMPLATES_MAX)
def _template(text: str, names: tuple[tuple[str, str], ...]) -> KeyConditionTemplate:
    return KeyConditionTemplate(text, dict(names))
