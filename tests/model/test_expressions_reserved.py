"""Reserved words (facts: expressions.md §13)."""

from __future__ import annotations

import pytest

from dynalab_model.errors import DynamoError
from dynalab_model.expressions import condition_holds
from dynalab_model.expressions.reserved import RESERVED, is_reserved


def test_there_are_573_reserved_words() -> None:
    assert len(RESERVED) == 573
    assert all(word == word.upper() and word.isascii() for word in RESERVED)


@pytest.mark.parametrize("word", ["name", "Status", "COUNT", "ttl", "data", "key", "size", "year", "user", "token"])
def test_a_reserved_word_needs_a_placeholder_in_any_case(word: str) -> None:
    with pytest.raises(DynamoError, match=f"Attribute name is a reserved keyword; reserved keyword: {word}"):
        condition_holds(f"attribute_exists({word})", {}, {}, {word: {"S": "x"}})
    assert condition_holds("attribute_exists(#w)", {"#w": word}, {}, {word: {"S": "x"}})


@pytest.mark.parametrize("word", ["pk", "sk", "remove", "username", "names2", "id", "v"])
def test_other_words_stand_for_themselves(word: str) -> None:
    assert not is_reserved(word)
    assert condition_holds(f"attribute_exists({word})", {}, {}, {word: {"S": "x"}})
