"""Tags of a table, from JSON: the same for CreateTable and TagResource (api.md §3 "Tags", §8)."""

from __future__ import annotations

from dynalab_model.errors import DynamoError, limit_exceeded
from dynalab_model.fields import check_types, failure, length_failures, refuse, wrong_type

TAGS_MAX = 50
TAG_KEY_LENGTH_MAX = 128
TAG_VALUE_LENGTH_MAX = 256


def parse_tags(given: list[object]) -> dict[str, str]:
    """Tags from their wire form.

    >>> parse_tags([{"Key": "team", "Value": ""}])
    {'team': ''}
    """
    tags: dict[str, str] = {}
    failures: list[str] = []
    for number, tag in enumerate(given, 1):
        if type(tag) is not dict:
            raise DynamoError("SerializationException", wrong_type(dict, tag))
        check_types(tag, {"Key": str, "Value": str})
        key, value = tag.get("Key"), tag.get("Value")
        path = f"tags.{number}.member"
        if key is None or value is None:
            missing = [name for name, part in (("key", key), ("value", value)) if part is None]
            failures += [failure(None, f"{path}.{name}", "not be null") for name in missing]
            continue
        failures += length_failures(key, f"{path}.key", 1, TAG_KEY_LENGTH_MAX)
        failures += length_failures(value, f"{path}.value", 0, TAG_VALUE_LENGTH_MAX)
        tags[key] = value
    refuse(failures)
    return tags


def check_tag_count(tags: dict[str, str]) -> None:
    """Refuse more tags than a table may have.

    >>> check_tag_count({"team": "red"})
    """
    if len(tags) > TAGS_MAX:
        raise limit_exceeded(f"Too many tags: a table has at most {TAGS_MAX}")  # our wording
