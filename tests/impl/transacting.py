"""Words for tests of transactions: actions as a client writes them, and what is left of them in the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynalab_impl.effects import RequestToken, Response
from dynalab_impl.ledger import LEDGER, LedgerEntry, entry_of

from .conftest import SECOND, Lab


def put(key: str, value: int | str, **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": "things", "Item": {"pk": {"S": key}, "v": {"S": str(value)}}, **more}}


def add(key: str, more: int) -> dict[str, Any]:
    values = {":n": {"N": str(more)}}
    return update(key, "ADD n :n", ExpressionAttributeValues=values)


def update(key: str, expression: str, **more: Any) -> dict[str, Any]:
    return {"Update": {"TableName": "things", "Key": {"pk": {"S": key}}, "UpdateExpression": expression, **more}}


def delete(key: str, **more: Any) -> dict[str, Any]:
    return {"Delete": {"TableName": "things", "Key": {"pk": {"S": key}}, **more}}


def check(key: str, condition: str, **more: Any) -> dict[str, Any]:
    fields = {"TableName": "things", "Key": {"pk": {"S": key}}, "ConditionExpression": condition}
    return {"ConditionCheck": {**fields, **more}}


def send(lab: Lab, actions: Sequence[dict[str, Any]], router: int = 0, **more: Any) -> RequestToken:
    return lab.send("TransactWriteItems", router, TransactItems=list(actions), **more)


def write(lab: Lab, *actions: dict[str, Any], router: int = 0, wait_ns: int = 8 * SECOND, **more: Any) -> Response:
    return lab.call("TransactWriteItems", router, wait_ns, TransactItems=list(actions), **more)


def gets(keys: Sequence[str]) -> list[dict[str, Any]]:
    return [{"Get": {"TableName": "things", "Key": {"pk": {"S": key}}}} for key in keys]


def read(lab: Lab, *keys: str, router: int = 0) -> Response:
    return lab.call("TransactGetItems", router, TransactItems=gets(keys))


def values(answer: Response) -> list[str | None]:
    """The attribute `v` of what a read transaction found."""
    assert answer.status == 200, answer
    found: Any = answer.body["Responses"]
    return [one["Item"]["v"]["S"] if "Item" in one else None for one in found]


def codes(answer: Response) -> list[str]:
    """The reasons of a cancelled transaction."""
    assert answer.error == "TransactionCanceledException", answer
    reasons: Any = answer.body["CancellationReasons"]
    return [reason["Code"] for reason in reasons]


def agree(lab: Lab, keys: Sequence[str], router: int = 0, tries: int = 100) -> list[str | None]:
    """What a read transaction finds once nothing holds the keys any more."""
    for _ in range(tries):
        answer = read(lab, *keys, router=router)
        if answer.status == 200:
            return values(answer)
        lab.run(SECOND // 10)
    raise AssertionError(f"{keys} are never free")


def replicas(lab: Lab) -> list[Any]:
    """Every replica of a partition that a running node hosts, and that was not divided."""
    found: list[Any] = []
    for host in lab.simulation.hosts[: lab.simulation.storage_count]:
        for replica in {} if host.node is None else host.node.replicas.values():  # type: ignore[attr-defined]
            if hasattr(replica.state, "held") and replica.state.split is None and replica.has_state:
                found.append(replica)
    return found


def markers(lab: Lab) -> list[tuple[str, bytes, str]]:
    """Everything that is held: group, key and transaction."""
    return [(r.spec.group, key, held.txn) for r in replicas(lab) for key, held in r.state.held.items()]


def entries(lab: Lab) -> list[LedgerEntry]:
    """The ledger, as its leaders have it."""
    leading = [r for r in replicas(lab) if r.spec.table == LEDGER and r.is_leader]
    found = [entry_of(stored.item) for replica in leading for stored in replica.state.items.values()]
    return [entry for entry in found if entry is not None]
