"""Transactions in virtual time: what they cost beside single operations, with more items, and under contention.

What the paper says (ATC'23), to be held beside these figures: a write transaction takes about four times as long as a
PutItem, a read transaction a bit less than twice as long as a GetItem; latency grows with the number of items; with
uniform keys almost nothing is cancelled. The items have 900 bytes, as there. The figures are the same on every machine.
"""

from __future__ import annotations

from random import Random

from dynalab.bench.report import Figure
from dynalab.bench.virtual import MILLISECOND, SECOND, TABLE, Bench
from dynalab_impl.effects import RequestToken, layout

SECTION = "transactions, virtual time"
CONTENTION = "contention, virtual time"
KEYS = 2_000
SEED = 15


def _item(key: str) -> dict[str, object]:
    return {"pk": {"S": key}, "v": {"S": "x" * 880}}


def put_all(bench: Bench, keys: list[str]) -> RequestToken:
    """One write transaction that puts an item under each of these keys."""
    actions = [{"Put": {"TableName": TABLE, "Item": _item(key)}} for key in keys]
    return bench.send("TransactWriteItems", TransactItems=actions)


def get_all(bench: Bench, keys: list[str]) -> RequestToken:
    """One read transaction of these keys."""
    gets = [{"Get": {"TableName": TABLE, "Key": {"pk": {"S": key}}}} for key in keys]
    return bench.send("TransactGetItems", TransactItems=gets)


def get(bench: Bench, key: str) -> RequestToken:
    """One strongly consistent read."""
    return bench.send("GetItem", TableName=TABLE, Key={"pk": {"S": key}}, ConsistentRead=True)


def _ready(seed: int = 1) -> Bench:
    """A cluster whose routers know all partitions and whose ledger is there."""
    bench = Bench(layout(partitions=9), seed)
    for number in range(40):
        bench.put(f"w{number}")
        bench.run(SECOND // 200)
    for number in range(2):
        assert bench.wait(put_all(bench, [f"w{number}", f"w{number + 2}"])) == 200
    bench.run(SECOND)
    return bench


def _took_ms(bench: Bench, tokens: list[RequestToken], share: float) -> float:
    """A quantile of the latencies of those that succeeded."""
    took = sorted(bench.took_ns[token] for token in tokens if bench.status.get(token) == 200)
    return took[min(len(took) - 1, int(len(took) * share))] / MILLISECOND


def beside_single_operations(items: tuple[int, ...] = (3, 10, 30, 100), count: int = 60) -> list[Figure]:
    """Latency one after the other, on a cluster that does nothing else: of single operations, and of transactions over
    so many items.
    """
    bench = _ready()
    random = Random(SEED)

    def keys(number: int) -> list[str]:
        return [f"k{key}" for key in random.sample(range(KEYS), number)]

    def measured(ask: str, number: int) -> list[RequestToken]:
        tokens: list[RequestToken] = []
        for _ in range(count):
            chosen = keys(number)
            if ask == "put":
                tokens.append(bench.put(chosen[0]))
            elif ask == "get":
                tokens.append(get(bench, chosen[0]))
            else:
                tokens.append(put_all(bench, chosen) if ask == "write" else get_all(bench, chosen))
            bench.run(SECOND // 10)
        return tokens

    single = {name: _took_ms(bench, measured(ask, 1), 0.5) for name, ask in (("PutItem", "put"), ("GetItem", "get"))}
    figures = [
        Figure(SECTION, name, 1_000 / took, "a second, one after the other", f"p50 {took:.2f} ms")
        for name, took in single.items()
    ]
    for name, ask, against in (("TransactWriteItems", "write", "PutItem"), ("TransactGetItems", "read", "GetItem")):
        for number in items:
            tokens = measured(ask, number)
            p50, p99 = _took_ms(bench, tokens, 0.5), _took_ms(bench, tokens, 0.99)
            ratio = p50 / single[against]
            detail = f"p50 {p50:.2f} ms, p99 {p99:.2f} ms: {ratio:.1f} times a {against}"
            figures.append(
                Figure(SECTION, f"{name}, {number} items", 1_000 / p50, "a second, one after the other", detail)
            )
    return figures


def contention(
    keys: tuple[int, ...] = (10_000, 1_000, 100), rate: int = 600, seconds: int = 1, items: int = 10
) -> list[Figure]:
    """The share of transactions that is cancelled, against how many keys so many of them a second share."""
    figures: list[Figure] = []
    for count in keys:
        bench = _ready()
        random = Random(SEED)
        tokens: dict[str, list[RequestToken]] = {"TransactWriteItems": [], "TransactGetItems": []}
        for number in range(rate * seconds):
            chosen = [f"k{key}" for key in random.sample(range(count), items)]
            if number % 2:
                tokens["TransactGetItems"].append(get_all(bench, chosen))
            else:
                tokens["TransactWriteItems"].append(put_all(bench, chosen))
            bench.run(SECOND // rate)
        bench.run(6 * SECOND)
        for name, asked in tokens.items():
            cancelled = sum(bench.status.get(token) == 400 for token in asked)
            unanswered = sum(bench.status.get(token) not in (200, 400) for token in asked)
            detail = f"{100 * cancelled / len(asked):.1f} % of {len(asked)} cancelled, {items} items each"
            subject = f"{name}, {count:,} keys"
            if unanswered:
                figures.append(Figure(CONTENTION, subject, None, "", "", f"{unanswered} were not answered"))
            else:
                figures.append(Figure(CONTENTION, subject, float(rate // 2), "a second", detail))
    return figures
