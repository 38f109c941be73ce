"""Money between accounts (S100–S102): what a condition guards, what a transaction guards, and two ways to take turns.

Two clients act in the worst order, every time: both read before either writes.
"""

from __future__ import annotations

from collections.abc import Iterator

from meter import Body, Database, Refused, item, run, table, wire

BEGAN_WITH = 100
WITHDRAWN = 80
LEASE_S = 30


def balance(db: Database, account: str) -> int:
    """What lies in an account."""
    found = db.get("Accounts", {"account": account})
    return 0 if found is None else int(str(found["balance"]))


def change(db: Database, account: str, amount: int, condition: str = "", **values: int) -> bool:
    """Add to a balance, if the condition holds."""
    try:
        db.call("UpdateItem", **update_of(account, amount, condition, **values))
    except Refused:
        return False
    return True


def update_of(account: str, amount: int, condition: str = "", **values: int) -> Body:
    """The request that adds to a balance."""
    named = {":change": wire(amount), **{f":{name}": wire(value) for name, value in values.items()}}
    asked: Body = {
        "TableName": "Accounts",
        "Key": item({"account": account}),
        "UpdateExpression": "SET balance = balance + :change",
        "ExpressionAttributeValues": named,
    }
    return {**asked, "ConditionExpression": condition} if condition else asked


def both_withdraw(db: Database, how: str) -> tuple[int, int]:
    """Two clients who both saw 100 withdraw 80 each: how much cash came out, and what the account says."""
    db.put("Accounts", account="ann", balance=BEGAN_WITH, version=1)
    seen = [balance(db, "ann"), balance(db, "ann")]
    paid = 0
    for saw in seen:
        if how == "write what I computed":
            db.put("Accounts", account="ann", balance=saw - WITHDRAWN, version=1)
            done = True
        elif how == "subtract":
            done = saw >= WITHDRAWN and change(db, "ann", -WITHDRAWN)
        elif how == "subtract if enough is left":
            done = change(db, "ann", -WITHDRAWN, "balance >= :least", least=WITHDRAWN)
        else:
            done = withdraw_by_version(db, version=1, left=saw - WITHDRAWN)
        paid += WITHDRAWN if done else 0
    return paid, balance(db, "ann")


def withdraw_by_version(db: Database, version: int, left: int) -> bool:
    """Optimistic: write what was computed, if nobody has written since it was read."""
    row = {"account": "ann", "balance": left, "version": version + 1}
    try:
        db.call(
            "PutItem",
            TableName="Accounts",
            Item=item({**row}),
            ConditionExpression="version = :seen",
            ExpressionAttributeValues={":seen": wire(version)},
        )
    except Refused:
        return False
    return True


def move(db: Database, together: bool, client_dies: bool) -> str:
    """Move 80 from Ann to Bob; the client may die after its first request. The total afterwards."""
    db.put("Accounts", account="ann", balance=BEGAN_WITH)
    db.put("Accounts", account="bob", balance=0)
    take = update_of("ann", -WITHDRAWN, "balance >= :least", least=WITHDRAWN)
    give = update_of("bob", WITHDRAWN)
    if together:
        db.call("TransactWriteItems", TransactItems=[{"Update": take}, {"Update": give}])
    else:
        db.call("UpdateItem", **take)
        if not client_dies:
            db.call("UpdateItem", **give)
    ann, bob = balance(db, "ann"), balance(db, "bob")
    return f"{ann} + {bob} = {ann + bob}"


def lock(db: Database, owner: str, now_s: int) -> bool:
    """Pessimistic: hold the lock item before anything is read. A lock whose lease has run out may be taken."""
    row = {"account": "lock#ann", "balance": 0, "owner": owner, "until": now_s + LEASE_S}
    try:
        db.call(
            "PutItem",
            TableName="Accounts",
            Item=item({**row}),
            ConditionExpression="attribute_not_exists(account) OR #until <= :now",
            ExpressionAttributeNames={"#until": "until"},
            ExpressionAttributeValues={":now": wire(now_s)},
        )
    except Refused:
        return False
    return True


def unlock(db: Database, owner: str) -> bool:
    """Give the lock back, if it is still one's own."""
    try:
        db.call(
            "DeleteItem",
            TableName="Accounts",
            Key=item({"account": "lock#ann"}),
            ConditionExpression="#owner = :me",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":me": wire(owner)},
        )
    except Refused:
        return False
    return True


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    db.create("Accounts", "account")
    ways = ("write what I computed", "subtract", "subtract if enough is left", "write if the version is the same")
    yield from table(
        (f"two withdraw {WITHDRAWN} of {BEGAN_WITH}", "cash", "balance"),
        *[(how, *both_withdraw(db, how)) for how in ways],
    )
    yield ""
    yield from table(
        ("80 from Ann to Bob", "total"),
        ("two requests", move(db, together=False, client_dies=False)),
        ("two requests, the client dies between them", move(db, together=False, client_dies=True)),
        ("one transaction", move(db, together=True, client_dies=False)),
    )
    yield ""
    first, second = lock(db, "till 1", 0), lock(db, "till 2", 10)
    yield f"a lock for {LEASE_S} s: till 1 at 0 s {first}, till 2 at 10 s {second}"
    late, gives_back = lock(db, "till 2", LEASE_S), unlock(db, "till 1")
    yield f"till 1 falls asleep: till 2 at {LEASE_S} s {late}"
    yield f"till 1 wakes up and gives back a lock that it does not hold any more: {gives_back}"


if __name__ == "__main__":
    run(puzzler)
