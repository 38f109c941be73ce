"""What the lab tells of a cluster besides its faults: the busy keys that routers have counted, and what has come to the
data streams of Kinesis destinations.

Rules: functions from nodes and data streams to JSON; a query that cannot be answered raises BadQuery, in words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias, cast
from urllib.parse import parse_qs

from dynalab.consumers.kinesis import DataStream
from dynalab_impl.effects import JSON, Node
from dynalab_impl.router import Router
from dynalab_impl.watching import Place

Body: TypeAlias = "dict[str, JSON]"

TOLD_MAX: Final = 25  # keys of a graph
RECORDS_MAX: Final = 1_000  # of one read

TITLES: Final[Mapping[str, str]] = {
    "PKC": "most accessed partition keys",
    "SKC": "most accessed items",
    "PKT": "most throttled partition keys",
    "SKT": "most throttled items",
}


class BadQuery(ValueError):
    """A query that cannot be answered; the text says what to write instead."""


def insights(nodes: Iterable[Node], query: bytes) -> Body:
    """`?table=T` and `&limit=N`: the graphs of all tables, or of one, with their keys and how often they were counted.
    `over` is by how much a count may be too high, where there were more keys than a graph holds.
    """
    asked = _parsed(query, ("table", "limit"))
    table, limit = asked.get("table"), _number(asked, "limit", TOLD_MAX)
    counted: dict[Place, dict[str, tuple[int, int]]] = {}
    for node in nodes:
        counters = node.counters if isinstance(node, Router) else None
        for place, top in {} if counters is None else dict(counters.graphs).items():
            whole = counted.setdefault(place, {})
            for key, count, over in top.most():
                before, over_before = whole.get(key, (0, 0))
                whole[key] = before + count, over_before + over
    graphs: list[Body] = []
    for place in sorted(counted):
        name, index, graph = place
        if table not in (None, name):
            continue
        most = sorted(counted[place].items(), key=lambda one: (-one[1][0], one[0]))[:limit]
        keys = [{"key": json.loads(key), "count": count, "over": over} for key, (count, over) in most]
        graphs.append({"table": name, "index": index, "graph": graph, "title": TITLES[graph], "keys": cast(JSON, keys)})
    return {"insights": cast(JSON, graphs)}


def kinesis(streams: Mapping[str, DataStream], query: bytes) -> Body:
    """Without a query the data streams that there are; with `?arn=ARN`, `&after=NUMBER` and `&limit=N` the records of
    one behind a number.
    """
    asked = _parsed(query, ("arn", "after", "limit"))
    if "arn" not in asked:
        return {"streams": [{"arn": arn, "records": stream.number} for arn, stream in sorted(streams.items())]}
    stream = streams.get(asked["arn"])
    if stream is None:
        raise BadQuery(f"no table has sent anything to {asked['arn']!r} yet")
    records = stream.read(_number(asked, "after", 0), _number(asked, "limit", RECORDS_MAX))
    return {"Records": cast(JSON, records)}


def _parsed(query: bytes, known: tuple[str, ...]) -> dict[str, str]:
    given = {name: values[-1] for name, values in parse_qs(query.decode("latin-1"), keep_blank_values=True).items()}
    for name in given:
        if name not in known:
            raise BadQuery(f"there is no {name!r} here; there are {', '.join(known)}")
    return given


def _number(asked: Mapping[str, str], name: str, default: int) -> int:
    value = asked.get(name, str(default))
    if not value.isdecimal() or len(value) > 56:
        raise BadQuery(f"{name} is a number, not {value!r}")
    return int(value)
