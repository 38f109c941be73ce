"""The questions of exercise 09: keys and queries are carried out by the reference model, prices are the model's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import cast

from dynalab.grade import JSON, Case, Judge
from dynalab_model.capacity import read_units, write_units
from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.requests import parse

Object = dict[str, JSON]
STATES = ("INFO", "WARNING1", "WARNING10", "WARNING2")


def ask(state: State, name: str, body: dict[str, object]) -> tuple[State, dict[str, object]]:
    """One request to the model. Raises DynamoError."""
    state, answer = apply(state, parse(name, body), 0)
    if isinstance(answer, DynamoError):
        raise answer
    return state, answer


# --- task 1 -----------------------------------------------------------------------------------------------------------


def wanted(entries: list[Object], question: Object) -> list[Object]:
    """The entries that a question asks for, oldest first, or newest first where there is a limit."""
    found = [each for each in entries if all(each[name] == question[name] for name in ("device", "state"))]
    if "from" in question:
        found = [each for each in found if str(question["from"]) <= str(each["at"]) <= str(question["until"])]
    found.sort(key=lambda each: str(each["at"]), reverse="limit" in question)
    return found[: cast("int", question.get("limit", len(found)))]


def filled(keys: list[list[str]]) -> State:
    """A table with an item for each key; `n` is the entry's place."""
    schema = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    types = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    create = {"TableName": "Log", "KeySchema": schema, "AttributeDefinitions": types, "BillingMode": "PAY_PER_REQUEST"}
    state, _ = ask(State(), "CreateTable", cast("dict[str, object]", create))
    for place, (pk, sk) in enumerate(keys):
        item = {"pk": {"S": pk}, "sk": {"S": sk}, "n": {"N": str(place)}}
        state, _ = ask(state, "PutItem", {"TableName": "Log", "Item": item})
    return state


def answered(state: State, query: Object, question: Object) -> list[int]:
    """The places of the entries that a query reads; without a filter these are the ones that it returns."""
    values = cast("dict[str, str]", query["values"])
    body: dict[str, object] = {
        "TableName": "Log",
        "KeyConditionExpression": query["condition"],
        "ExpressionAttributeValues": {f":{name}": {"S": value} for name, value in values.items()},
        "ScanIndexForward": bool(query.get("forward", True)),
    }
    if "limit" in question:
        body["Limit"] = question["limit"]
    _, answer = ask(state, "Query", body)
    items = cast("list[dict[str, dict[str, str]]]", answer["Items"])
    assert len(items) == answer["ScannedCount"]
    return [int(each["n"]["N"]) for each in items]


def judge_plan(entries: list[Object], questions: list[Object]) -> Judge:
    def judge(got: JSON) -> str | None:
        try:
            assert isinstance(got, dict)
            keys, queries = cast("list[list[str]]", got["keys"]), cast("list[Object]", got["queries"])
            assert len(keys) == len(entries) and len(queries) == len(questions)
            if len({(pk, sk) for pk, sk in keys}) < len(keys):
                return "two entries have the same key: one of them overwrites the other"
            state = filled(keys)
            for query, question in zip(queries, questions, strict=True):
                places = answered(state, query, question)
                sentence = judged(entries, question, [entries[place] for place in places])
                if sentence:
                    return sentence
        except DynamoError as error:
            return f"the service refuses it: {error}"
        except (AssertionError, AttributeError, KeyError, TypeError, ValueError):
            return "a dict is wanted, with a key [pk, sk] for each entry and a query for each question"
        return None

    return judge


def judged(entries: list[Object], question: Object, found: list[Object]) -> str | None:
    """What is wrong with this answer to the question, or None."""
    expected = wanted(entries, question)
    times, right_times = ([str(each["at"]) for each in part] for part in (found, expected))
    same = times == right_times
    if "limit" in question and not same:
        return f"for {question} it returns entries of {times}, and the newest are those of {right_times}"
    ids, right = (sorted(str(each["id"]) for each in part) for part in (found, expected))
    if ids != right and "limit" not in question:  # of entries of the same time any may be the newest
        return f"for {question} it reads and returns {len(found)} entries, and {len(expected)} are right"
    if "from" in question and not same:
        return f"for {question} the right entries come in the wrong order"
    if any(each["device"] != question["device"] or each["state"] != question["state"] for each in found):
        return f"for {question} it returns an entry of another device or state"
    return None


def plan_cases(seeds: list[int]) -> Iterator[Case]:
    for number, seed in enumerate(seeds, start=1):
        rng = random.Random(seed)
        entries: list[Object] = []
        for place in range(400):
            state = STATES[0] if rng.randrange(5) else rng.choice(STATES[1:])
            at = f"2022-03-{rng.randrange(10, 30)}T{rng.randrange(24):02}:{rng.choice((0, 30)):02}"
            entries.append({"device": f"d{rng.randrange(1, 4)}", "state": state, "at": at, "id": place})
        questions: list[Object] = []
        for asked in range(9):
            # A third asks for the state whose name begins another one's.
            picked = rng.choice([each for each in entries if asked >= 3 or each["state"] == "WARNING1"])
            question: Object = {"device": picked["device"], "state": picked["state"]}
            if asked % 3 == 1:
                question["limit"] = rng.randrange(1, 5)
            if asked % 3 == 2:
                times = sorted((str(picked["at"]), str(rng.choice(entries)["at"])))
                question |= {"from": times[0], "until": times[1]}
            questions.append(question)
        arguments = cast("list[JSON]", [entries, questions])
        yield Case(f"plan-{number}", 3, "plan", arguments, judge_plan(entries, questions))


# --- task 2 -----------------------------------------------------------------------------------------------------------


def price(request: Object) -> float:
    """What the model says that it costs."""
    if request["f"] == "write":
        return write_units(cast("int", request["before"]), cast("int", request["after"]))
    sizes, strong = request["bytes"], bool(request["strong"])
    if request["f"] == "batch":
        return sum(read_units(size, strong) for size in cast("list[int]", sizes))
    total = sum(cast("list[int]", sizes)) if request["f"] == "query" else cast("int", sizes)
    return read_units(total, strong)


def judge_units(requests: list[Object]) -> Judge:
    prices = [price(request) for request in requests]

    def judge(got: JSON) -> str | None:
        if not isinstance(got, list) or len(got) != len(requests):
            return f"one number for each of the {len(requests)} requests is wanted"
        for request, units, told in zip(requests, prices, got, strict=True):
            if told != units or isinstance(told, bool):
                return f"{request!r:.200} costs {units:g} units, not {told!r}"
        return None

    return judge


def unit_cases(seeds: list[int]) -> Iterator[Case]:
    rng = random.Random(seeds[0])
    both = (True, False)
    kinds: dict[str, list[Object]] = {
        "writes": [{"f": "write", "before": b, "after": a} for b, a in ((0, 512), (0, 7_680), (10_240, 0), (0, 0))],
        "large-item": [
            {"f": "write", "before": 307_200, "after": 358_400},
            {"f": "write", "before": 9_000, "after": 9},
        ],
        "gets": [{"f": "get", "bytes": b, "strong": s} for b in (0, 1_536, 4_096, 4_097, 102_400) for s in both],
        "batches": [{"f": "batch", "bytes": [100] * n, "strong": s} for n in (1, 100) for s in both],
        "queries": [
            {"f": "query", "bytes": [100] * n, "returned": n // 50, "strong": s} for n in (0, 40, 41, 100) for s in both
        ],
    }
    for name, requests in kinds.items():
        drawn = [
            {**each, "bytes": [rng.randrange(1, 20_000) for _ in range(9)]} for each in requests if name == "queries"
        ]
        asked = [*requests, *cast("list[Object]", drawn)]
        yield Case(f"units-{name}", 2, "units", cast("list[JSON]", [asked]), judge_units(asked))


def cases(seeds: list[int]) -> Iterator[Case]:
    yield from plan_cases(seeds)
    yield from unit_cases(seeds)
