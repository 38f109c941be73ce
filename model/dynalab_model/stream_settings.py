"""A table's stream among its settings: when it is enabled, when it is not any more, and which streams there were.

Rules: each enabling makes a new stream with a label of its own (S168); its view type never changes (S167). A stream
that was disabled is told of for as long as its records are kept. Pure functions of settings; times are milliseconds of
Unix time. The texts are ours where the service's are not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, cast

from dynalab_model.errors import DynamoError, resource_not_found_text
from dynalab_model.errors import validation as refused
from dynalab_model.streams import DISABLED, ENABLED, KEEP_NS, label_ms, label_of, stream_arn

Settings: TypeAlias = "Mapping[str, object]"

SPECIFICATION = "StreamSpecification"
LABEL = "LatestStreamLabel"
EARLIER = "EarlierStreams"  # [label, view type, when it was disabled], those whose records may still be read
_KEEP_MS = KEEP_NS // 1_000_000


def enabled(settings: Settings) -> tuple[str, str] | None:
    """Label and view type of the stream that is enabled.

    >>> enabled(begun({SPECIFICATION: {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}}, 0))
    ('1970-01-01T00:00:00.000', 'KEYS_ONLY')
    """
    given = cast("dict[str, str] | None", settings.get(SPECIFICATION))
    return None if given is None else (cast(str, settings[LABEL]), given["StreamViewType"])


def begun(settings: Settings, now_ms: int) -> dict[str, object]:
    """The settings of a table that is made now: its stream, if it is to have one, gets its label."""
    made = dict(settings)
    given = cast("dict[str, object] | None", made.get(SPECIFICATION))
    if given is None:
        return made
    if given["StreamEnabled"]:
        made[LABEL] = label_of(now_ms)
    else:
        del made[SPECIFICATION]
    return made


def specify(table: str, settings: dict[str, object], given: Mapping[str, object], now_ms: int) -> None:
    """Enable or disable a table's stream, in its settings; raises DynamoError.

    >>> settings = begun({}, 0)
    >>> specify("T", settings, {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}, 5)
    >>> specify("T", settings, {"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"}, 6)
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: Table already has an enabled stream: TableName: T
    """
    current = enabled(settings)
    if given["StreamEnabled"]:
        if current is not None:
            raise refused(f"Table already has an enabled stream: TableName: {table}")
        latest = cast("str | None", settings.get(LABEL))
        # A label is used once, however quickly one stream follows the other.
        settings[LABEL] = label_of(now_ms if latest is None else max(now_ms, label_ms(latest) + 1))
        settings[SPECIFICATION] = dict(given)
        return
    if current is None:
        raise refused(f"Table has no stream to disable: TableName: {table}")
    earlier = [one for one in _earlier(settings) if _is_kept(one, now_ms)]
    settings[EARLIER] = [*earlier, [*current, now_ms]]
    del settings[SPECIFICATION]


def streams_of(settings: Settings, now_ms: int) -> list[tuple[str, str, str]]:
    """(label, view type, status) of each stream whose records may be read, the oldest first.

    >>> settings = begun({SPECIFICATION: {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}}, 0)
    >>> specify("T", settings, {"StreamEnabled": False}, 1000)
    >>> [len(streams_of(settings, now_ms)) for now_ms in (1000, 86_400_999, 86_401_000)]
    [1, 1, 0]
    """
    streams = [(cast(str, one[0]), cast(str, one[1]), DISABLED) for one in _earlier(settings) if _is_kept(one, now_ms)]
    current = enabled(settings)
    return streams if current is None else [*streams, (*current, ENABLED)]


def find(table: str, label: str, settings: Settings | None, now_ms: int) -> tuple[str, str]:
    """View type and status of one stream; raises DynamoError if there is none of that label."""
    for known, view, status in [] if settings is None else streams_of(settings, now_ms):
        if known == label:
            return view, status
    raise no_such_stream(table, label)


def no_such_stream(table: str, label: str) -> DynamoError:
    """What is answered about a stream that is not there."""
    return resource_not_found_text(f"Stream: {stream_arn(table, label)}")


def _earlier(settings: Settings) -> list[list[str | int]]:
    return cast("list[list[str | int]]", settings.get(EARLIER) or [])


def _is_kept(earlier: list[str | int], now_ms: int) -> bool:
    return now_ms < cast(int, earlier[2]) + _KEEP_MS
