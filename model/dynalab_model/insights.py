"""CloudWatch Contributor Insights of tables and their global indexes: whether busy keys are counted, and which (S45).

Rules:
- *Of a table and of each global index by itself.* A local index has none; one that goes takes its own along.
- *Two modes.* ACCESSED_AND_THROTTLED_KEYS counts what was read and written and what was refused, THROTTLED_KEYS what
  was refused alone. Each is a set of rules, one a graph; a graph of partition and sort key needs a sort key.
- *On, in two steps.* ENABLING and DISABLING end by themselves, when everybody who counts knows (`settled`).

Pure functions of a table's settings; times are milliseconds of Unix time. Names of rules are the developer guide's
("PKC": partition key, consumed), texts are ours. That asking for what is there already changes nothing, and that a
table is listed from its first enabling on, is inferred.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias, cast

from dynalab_model.errors import resource_not_found, resource_not_found_text, validation
from dynalab_model.fields import named_table, table_name
from dynalab_model.operations import ListContributorInsights, ReadSettings, UpdateContributorInsights
from dynalab_model.schema import KeySchema, TableSchema
from dynalab_model.shapes import REQUESTS

Settings: TypeAlias = "Mapping[str, object]"
JsonBody: TypeAlias = "dict[str, object]"
Watched: TypeAlias = "dict[str, str | int]"  # Status, Mode, SinceMs (of enabling), ChangedMs

SETTING: Final = "ContributorInsights"  # "" for the table or the index's name → Watched
ALL: Final = "ACCESSED_AND_THROTTLED_KEYS"
THROTTLED: Final = "THROTTLED_KEYS"
LISTED_MAX: Final = 100

# Graph → (what is counted, whether the sort key counts), as in the names of rules.
GRAPHS: Final[Mapping[str, tuple[str, bool]]] = {
    "PKC": ("accessed", False),
    "SKC": ("accessed", True),
    "PKT": ("throttled", False),
    "SKT": ("throttled", True),
}
_FOLLOWING = {"ENABLING": "ENABLED", "DISABLING": "DISABLED"}
_RULE_MAX = 128


# --- requests -------------------------------------------------------------------------------------------------------


def parse_update(body: JsonBody) -> UpdateContributorInsights:
    """An UpdateContributorInsights operation from its JSON body.

    >>> parse_update({"TableName": "Orders", "ContributorInsightsAction": "ENABLE"})
    UpdateContributorInsights(table='Orders', enabled=True, index='', mode='')
    """
    table = REQUESTS["UpdateContributorInsights"].check_named(body, named_table)
    index, mode = body.get("IndexName") or "", body.get("ContributorInsightsMode") or ""
    return UpdateContributorInsights(
        table, body["ContributorInsightsAction"] == "ENABLE", cast(str, index), cast(str, mode)
    )


def parse_list(body: JsonBody) -> ListContributorInsights:
    """A ListContributorInsights operation from its JSON body; the texts are ours.

    >>> parse_list({"NextToken": "made up"})
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: Invalid NextToken
    """
    REQUESTS["ListContributorInsights"].check(body)
    table = table_name(body) if body.get("TableName") is not None else ""
    limit = cast("int | None", body.get("MaxResults"))
    if limit is not None and limit < 1:
        raise validation("MaxResults must be greater than 0")
    token = cast("str | None", body.get("NextToken"))
    after = ("", "")
    if token is not None:
        try:
            name, index = base64.b64decode(token, altchars=b"-_", validate=True).decode("ascii").split("/")
        except ValueError:
            raise validation("Invalid NextToken") from None
        after = (name, index)
    return ListContributorInsights(table, after, LISTED_MAX if limit is None else limit)


# --- settings -------------------------------------------------------------------------------------------------------


def watched(settings: Settings) -> dict[str, Watched]:
    """What is or was watched of a table: "" is the table, the others are indexes."""
    return cast("dict[str, Watched]", settings.get(SETTING) or {})


def modes(settings: Settings) -> dict[str, str]:
    """What is to be counted now: "" or an index → mode.

    >>> from dynalab_model.schema import KeyAttribute
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> settings, _ = change(UpdateContributorInsights("T", True), schema, {}, 0)
    >>> modes(settings), modes(change(UpdateContributorInsights("T", False), schema, settings, 1)[0])
    ({'': 'ACCESSED_AND_THROTTLED_KEYS'}, {})
    """
    return {name: str(one["Mode"]) for name, one in watched(settings).items() if _is_on(one)}


def change(
    op: UpdateContributorInsights, schema: TableSchema, settings: Settings, now_ms: int
) -> tuple[dict[str, object], JsonBody]:
    """The settings that a request leaves, and its answer; raises DynamoError for an index that is not there."""
    check_index(schema, op.index)
    known = watched(settings).get(op.index)
    mode = op.mode or ALL
    status = "DISABLED"
    new = known
    if op.enabled and (known is None or not _is_on(known) or known["Mode"] != mode):
        since_ms = known["SinceMs"] if known is not None and _is_on(known) else now_ms
        new = {"Status": "ENABLING", "Mode": mode, "SinceMs": since_ms, "ChangedMs": now_ms}
    elif not op.enabled and known is not None and _is_on(known):
        new = {**known, "Status": "DISABLING", "ChangedMs": now_ms}
    made = dict(settings)
    if new is not None:
        made[SETTING] = {**watched(settings), op.index: new}
        status, mode = str(new["Status"]), str(new["Mode"])
    body: JsonBody = {"TableName": op.table, "ContributorInsightsStatus": status, "ContributorInsightsMode": mode}
    return made, body | ({"IndexName": op.index} if op.index else {})


def check_index(schema: TableSchema, index: str) -> None:
    """Raise DynamoError unless this is "" or a global index of the table."""
    if index and all(one.name != index for one in schema.indexes):
        raise resource_not_found_text(f"Table: {schema.name}, index: {index}")


def is_changing(settings: Settings) -> bool:
    """Whether a step is under way that ends by itself."""
    return any(one["Status"] in _FOLLOWING for one in watched(settings).values())


def settled(settings: Settings) -> dict[str, object]:
    """The settings when the steps that were under way have ended."""
    known = {
        name: {**one, "Status": _FOLLOWING.get(str(one["Status"]), one["Status"])}
        for name, one in watched(settings).items()
    }
    return {**settings, SETTING: known}


def forget_indexes(settings: dict[str, object], schema: TableSchema) -> None:
    """Drop what was said of indexes that the table does not have any more."""
    known = watched(settings)
    names = ("", *(index.name for index in schema.indexes))
    if any(name not in names for name in known):
        settings[SETTING] = {name: one for name, one in known.items() if name in names}


# --- what is told ---------------------------------------------------------------------------------------------------


def graphs(mode: str, key: KeySchema) -> list[str]:
    """The graphs of a table or index with this key, by the short names of their rules.

    >>> from dynalab_model.schema import KeyAttribute
    >>> graphs(ALL, KeySchema(KeyAttribute("pk", "S"))), graphs(THROTTLED, KeySchema(KeyAttribute("pk", "S")))
    (['PKC', 'PKT'], ['PKT'])
    """
    return [
        name
        for name, (counts, sort) in GRAPHS.items()
        if (mode == ALL or counts == "throttled") and (key.range is not None or not sort)
    ]


def describe(op: ReadSettings, schema: TableSchema, settings: Settings) -> JsonBody:
    """What DescribeContributorInsights answers; raises DynamoError for an index that is not there."""
    check_index(schema, op.argument)
    body: JsonBody = {"TableName": op.table}
    if op.argument:
        body["IndexName"] = op.argument
    one = watched(settings).get(op.argument)
    if one is None:
        return body | {"ContributorInsightsStatus": "DISABLED"}
    index = schema.index(op.argument) if op.argument else None
    if one["Status"] != "DISABLED":
        key = schema.key if index is None else index.key
        resource = f"{schema.name}-{op.argument}" if op.argument else schema.name
        body["ContributorInsightsRuleList"] = [
            _rule(name, resource, int(one["SinceMs"])) for name in graphs(str(one["Mode"]), key)
        ]
    body["ContributorInsightsStatus"] = one["Status"]
    body["LastUpdateDateTime"] = int(one["ChangedMs"]) / 1000
    return body | {"ContributorInsightsMode": one["Mode"]}


def listed(tables: Iterable[tuple[str, Settings]], op: ListContributorInsights) -> JsonBody:
    """A page of ListContributorInsights, by table and index; raises DynamoError for a table that is not there.

    >>> on = {"ContributorInsights": {"": {"Status": "ENABLED", "Mode": THROTTLED, "SinceMs": 0, "ChangedMs": 0}}}
    >>> page = listed([("Orders", on), ("Carts", on)], ListContributorInsights(limit=1))
    >>> page["ContributorInsightsSummaries"][0]["TableName"], parse_list({"NextToken": page["NextToken"]}).after
    ('Carts', ('Carts', ''))
    """
    known = {name: settings for name, settings in tables if op.table in ("", name)}
    if op.table and not known:
        raise resource_not_found(op.table)
    places = sorted((name, index) for name, settings in known.items() for index in watched(settings))
    rest = [place for place in places if place > op.after]
    told: list[JsonBody] = []
    for name, index in rest[: op.limit]:
        one = watched(known[name])[index]
        place = {"TableName": name} | ({"IndexName": index} if index else {})
        told.append({**place, "ContributorInsightsStatus": one["Status"], "ContributorInsightsMode": one["Mode"]})
    body: JsonBody = {"ContributorInsightsSummaries": told}
    if len(rest) > op.limit:
        body["NextToken"] = base64.urlsafe_b64encode("/".join(rest[op.limit - 1]).encode()).decode()
    return body


def _is_on(one: Watched) -> bool:
    return one["Status"] in ("ENABLING", "ENABLED")


def _rule(graph: str, resource: str, since_ms: int) -> str:
    head, tail = f"DynamoDBContributorInsights-{graph}-", f"-{since_ms}"
    return head + resource[: _RULE_MAX - len(head) - len(tail)] + tail
