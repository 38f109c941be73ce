"""Tags of a table, from JSON: the same for CreateTable and TagResource (api.md §3 "Tags", §8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from dynalab_model.errors import INVALID, limit_exceeded, validation
from dynalab_model.values import check_encodable

TAGS_MAX = 50
RESERVED = "aws:"  # keys that the service gives itself
TAGS_BYTES_MAX = 10 * 1024  # of all keys and values of a table


def parse_tags(given: Sequence[object]) -> dict[str, str]:
    """Tags from their wire form, whose shapes were checked.

    >>> parse_tags([{"Key": "team", "Value": ""}])
    {'team': ''}
    """
    tags = {tag["Key"]: tag["Value"] for tag in cast("Sequence[dict[str, str]]", given)}
    for text in (*tags, *tags.values()):
        check_encodable(text)
    for key in tags:
        if key.startswith(RESERVED):  # these words are ours
            raise validation(f"{INVALID}Tag keys that begin with {RESERVED} are reserved: {key}")
    return tags


def check_tags(tags: dict[str, str]) -> None:
    """Refuse more tags than a table may have, or larger ones. (The words are ours.)

    >>> check_tags({"team": "red"})
    """
    if len(tags) > TAGS_MAX:
        raise limit_exceeded(f"Too many tags: a table has at most {TAGS_MAX}")
    if sum(len(key.encode()) + len(value.encode()) for key, value in tags.items()) > TAGS_BYTES_MAX:
        raise limit_exceeded(f"Too large: all tags of a table have at most {TAGS_BYTES_MAX} bytes")
