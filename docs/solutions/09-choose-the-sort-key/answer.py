"""A right answer to exercise 09."""

from __future__ import annotations


def plan(entries: list, questions: list) -> dict:
    """State before date, each ended by a separator; the id makes the key unique."""
    keys = [[each["device"], f"{each['state']}#{each['at']}#{each['id']:06}"] for each in entries]
    return {"keys": keys, "queries": [_query(question) for question in questions]}


def _query(question: dict) -> dict:
    values = {"p": question["device"], "s": question["state"] + "#"}
    if "from" not in question:
        return {"condition": "pk = :p AND begins_with(sk, :s)", "values": values, "forward": "limit" not in question}
    # "$" is the byte after "#": the upper bound lies behind every id of that time.
    low, high = (f"{question['state']}#{question[end]}{mark}" for end, mark in (("from", "#"), ("until", "$")))
    bounds = {"p": question["device"], "a": low, "b": high}
    return {"condition": "pk = :p AND sk BETWEEN :a AND :b", "values": bounds, "forward": True}


def units(requests: list) -> list:
    """Writes by the larger size, reads by fours, a query by its sum."""
    return [_units(request) for request in requests]


def _units(request: dict) -> float:
    if request["f"] == "write":
        return max(1, -(-max(request["before"], request["after"]) // 1024))
    sizes = request["bytes"]
    if request["f"] == "query":
        sizes = sum(sizes)
    whole = sum(max(1, -(-size // 4096)) for size in (sizes if isinstance(sizes, list) else [sizes]))
    return whole if request["strong"] else whole / 2
