"""Search conditions: which vectors of an index a SearchVectors looks at (expressions.md §1).

Equality alone, each on an attribute of its own at the top level, joined by AND: the index's HASH and INLINE_FILTER
attributes take no other operator (API reference: SearchVectors). What the service says of others has not been captured;
the words are those of key conditions, which have the same form.
"""

from __future__ import annotations

from functools import lru_cache

from dynalab_model.expressions.terms import TermsTemplate
from dynalab_model.expressions.texts import SEARCH_CONDITION

TEMPLATES_MAX = 256

_OPERATORS = frozenset({"="})


def search_condition_template(text: str, names: dict[str, str]) -> TermsTemplate:
    """The compiled search condition, from a bounded cache; raises ValidationException.

    >>> search_condition_template("color = :c AND #s = :s", {"#s": "size"}).used_values
    (':c', ':s')
    """
    return _template(text, tuple(names.items()))


@lru_cache(maxsize=TEMPLATES_MAX)
def _template(text: str, names: tuple[tuple[str, str], ...]) -> TermsTemplate:
    return TermsTemplate(SEARCH_CONDITION, text, dict(names), _OPERATORS)
