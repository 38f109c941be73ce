"""What a table, and each of its global indexes, is told of throughput beside the units that it buys: ceilings of reads
and writes on demand (OnDemandThroughput), and what it sustains from the first second on (WarmThroughput); operations.md
§1.

Rules: pure functions of settings. The table stands under the name "", an index under its own. A ceiling that is not set
is none. Warm throughput shows everywhere and never falls: on demand it begins with what a new table sustains, and with
bought units with those (our reading); asking for less than there is is refused. It is told, and nothing is made of it.
Whoever admits requests holds a table and its indexes to their ceilings, as to units that were bought.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias, cast

from dynalab_model.errors import INVALID, validation

Settings: TypeAlias = "Mapping[str, object]"
Units: TypeAlias = "dict[str, int]"

TABLE: Final = ""
# Where settings keep it: of the table, and of its indexes by name.
_CEILING_MEMBERS: Final = ("OnDemandThroughput", "IndexOnDemandThroughput")
_WARM_MEMBERS: Final = ("WarmThroughput", "IndexWarmThroughput")
CEILINGS: Final = ("MaxReadRequestUnits", "MaxWriteRequestUnits")
WARM: Final = ("ReadUnitsPerSecond", "WriteUnitsPerSecond")
NEW_ON_DEMAND: Final[Mapping[str, int]] = {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000}
NO_CEILING: Final = -1


def parse_ceilings(part: Mapping[str, object], *, liftable: bool) -> Units | None:
    """The OnDemandThroughput of a table or an index in a request; None without one. Raises ValidationException.

    `liftable`: the request changes what is there, and may take a ceiling away by -1.

    >>> parse_ceilings({"OnDemandThroughput": {"MaxReadRequestUnits": 5}}, liftable=False)
    {'MaxReadRequestUnits': 5}
    """
    given = cast("Mapping[str, int | None] | None", part.get("OnDemandThroughput"))
    if given is None:
        return None
    asked = {name: units for name in CEILINGS if (units := given.get(name)) is not None}
    for name, units in asked.items():
        if units < 1 and not (liftable and units == NO_CEILING):
            raise validation(f"Given value {units} for {name} is out of bounds")
    return asked


def check_ceilings(on_demand: bool, index: str) -> None:
    """Refuse ceilings where units are bought. (That it is refused was measured; the words are ours.)

    >>> check_ceilings(True, TABLE)
    """
    if not on_demand:
        whose = f" for index: {index}" if index else ""
        raise validation(f"{INVALID}OnDemandThroughput cannot be specified{whose} when BillingMode is PROVISIONED")


def set_ceilings(settings: dict[str, object], index: str, changes: Mapping[str, int]) -> None:
    """Lay new ceilings over those that are there.

    >>> settings = {"OnDemandThroughput": {"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": 6}}
    >>> set_ceilings(settings, "", {"MaxReadRequestUnits": -1})
    >>> settings
    {'OnDemandThroughput': {'MaxWriteRequestUnits': 6}}
    """
    merged = {**_read(settings, _CEILING_MEMBERS, index), **changes}
    _write(settings, _CEILING_MEMBERS, index, {n: units for n, units in merged.items() if units != NO_CEILING})


def ceilings(settings: Settings, index: str) -> Units:
    """What the table or the index may use at most, in request units a second; what has no ceiling is not in it.

    >>> ceilings({"OnDemandThroughput": {"MaxWriteRequestUnits": 6}}, TABLE)
    {'MaxWriteRequestUnits': 6}
    """
    return _read(settings, _CEILING_MEMBERS, index)


def lift_ceilings(settings: dict[str, object]) -> None:
    """Units are bought from now on: table and indexes have no ceilings any more.

    >>> lift_ceilings({})
    """
    for member in _CEILING_MEMBERS:
        settings.pop(member, None)


def parse_warm(part: Mapping[str, object]) -> Units | None:
    """The WarmThroughput of a table or an index in a request; None without one.

    >>> parse_warm({"WarmThroughput": {"ReadUnitsPerSecond": 20_000}})
    {'ReadUnitsPerSecond': 20000}
    """
    given = cast("Mapping[str, int | None] | None", part.get("WarmThroughput"))
    return None if given is None else {name: units for name in WARM if (units := given.get(name)) is not None}


def warm(settings: Settings, index: str) -> Units:
    """What the table or the index sustains at once.

    >>> warm({"BillingMode": "PAY_PER_REQUEST"}, TABLE)
    {'ReadUnitsPerSecond': 12000, 'WriteUnitsPerSecond': 4000}
    """
    return _higher(_by_mode(settings, index), _read(settings, _WARM_MEMBERS, index))


def set_warm(settings: dict[str, object], index: str, asked: Mapping[str, int]) -> None:
    """Raise what the table or the index sustains; refuses to lower it.

    >>> set_warm({"BillingMode": "PAY_PER_REQUEST"}, "by_c", {"ReadUnitsPerSecond": 1})
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: One or more parameter values were invalid: Requested \
ReadUnitsPerSecond for WarmThroughput for index by_c is lower than current WarmThroughput, decreasing WarmThroughput \
is not supported
    """
    current = warm(settings, index)
    for name, units in asked.items():
        if units < current[name]:
            whose = f"index {index}" if index else "table"
            raise validation(
                f"{INVALID}Requested {name} for WarmThroughput for {whose} is lower than current WarmThroughput, "
                "decreasing WarmThroughput is not supported"
            )
    _write(settings, _WARM_MEMBERS, index, {**current, **asked})


def keep_warm(settings: dict[str, object], before: Mapping[str, Units]) -> None:
    """After a change of units or of the billing mode: nothing sustains less than it did. `before` is by index.

    >>> settings = {"ProvisionedThroughput": {"ReadCapacityUnits": 2, "WriteCapacityUnits": 9}}
    >>> keep_warm(settings, {"": {"ReadUnitsPerSecond": 5, "WriteUnitsPerSecond": 5}})
    >>> warm(settings, "")
    {'ReadUnitsPerSecond': 5, 'WriteUnitsPerSecond': 9}
    """
    for index, units in before.items():
        now = _by_mode(settings, index)
        if _higher(now, units) != now:
            _write(settings, _WARM_MEMBERS, index, _higher(now, units))


def forget(settings: dict[str, object], index: str) -> None:
    """An index went: another one of its name begins anew.

    >>> settings = {"IndexWarmThroughput": {"by_c": {"ReadUnitsPerSecond": 20_000}}}
    >>> forget(settings, "by_c")
    >>> settings
    {}
    """
    _write(settings, _CEILING_MEMBERS, index, {})
    _write(settings, _WARM_MEMBERS, index, {})


def described(settings: Settings, index: str, status: str) -> dict[str, object]:
    """What a description of the table or the index tells of both.

    >>> described({"BillingMode": "PAY_PER_REQUEST"}, TABLE, "ACTIVE")["WarmThroughput"]["Status"]
    'ACTIVE'
    """
    told = ceilings(settings, index)
    body: dict[str, object] = {"OnDemandThroughput": told} if told else {}
    return {**body, "WarmThroughput": {**warm(settings, index), "Status": status}}


def _read(settings: Settings, members: tuple[str, str], index: str) -> Units:
    table, by_index = members
    found = settings.get(table) if not index else cast("Settings", settings.get(by_index) or {}).get(index)
    return cast("Units", found or {})


def _write(settings: dict[str, object], members: tuple[str, str], index: str, units: Units) -> None:
    """Put these units into the settings; none take the member away. What is there is replaced, never changed."""
    table, by_index = members
    member, value = table, cast("Mapping[str, object]", units)
    if index:
        others = {n: u for n, u in cast("Settings", settings.get(by_index) or {}).items() if n != index}
        member, value = by_index, {**others, index: units} if units else others
    settings.pop(member, None)
    if value:
        settings[member] = value


def _by_mode(settings: Settings, index: str) -> Units:
    """What the billing mode alone gives."""
    if settings.get("BillingMode") == "PAY_PER_REQUEST":
        return dict(NEW_ON_DEMAND)
    bought = settings.get("ProvisionedThroughput")
    if index:
        bought = cast("Mapping[str, object]", settings.get("IndexThroughput") or {}).get(index)
    units = cast("Mapping[str, int]", bought or {})
    return {
        "ReadUnitsPerSecond": units.get("ReadCapacityUnits", 0),
        "WriteUnitsPerSecond": units.get("WriteCapacityUnits", 0),
    }


def _higher(one: Mapping[str, int], other: Mapping[str, int]) -> Units:
    return {name: max(one[name], other.get(name, 0)) for name in WARM}
