"""Tags of a table, from JSON: the same for CreateTable and TagResource (api.md §3 "Tags", §8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from dynalab_model.errors import limit_exceeded

TAGS_MAX = 50


def parse_tags(given: Sequence[object]) -> dict[str, str]:
    """Tags from their wire form, whose shapes were checked.

    >>> parse_tags([{"Key": "team", "Value": ""}])
    {'team': ''}
    """
    return {tag["Key"]: tag["Value"] for tag in cast("Sequence[dict[str, str]]", given)}


def check_tag_count(tags: dict[str, str]) -> None:
    """Refuse more tags than a table may have.

    >>> check_tag_count({"team": "red"})
    """
    if len(tags) > TAGS_MAX:
        raise limit_exceeded(f"Too many tags: a table has at most {TAGS_MAX}")  # our wording
