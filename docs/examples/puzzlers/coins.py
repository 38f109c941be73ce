"""Health for coins (S68–S72): two items that change together or not at all, and a condition that is wrong by one.

The player Hammer57 buys health for 400 coins. What he has lies in two items, so neither may change without the other.
"""

from __future__ import annotations

from collections.abc import Iterator

from meter import Body, Database, Plain, Refused, item, padded, run, table, wire

PRICE = 400
PLAYER = "Hammer57"
ACTIONS_MAX = 100


def set_to(key: dict[str, Plain], update: str, condition: str = "", **values: int) -> Body:
    """One action of a transaction: an Update."""
    asked: Body = {"TableName": "Game", "Key": item(key), "UpdateExpression": update}
    if condition:
        asked["ConditionExpression"] = condition
    asked["ExpressionAttributeValues"] = {f":{name}": wire(value) for name, value in values.items()}
    return {"Update": asked}


def buy(db: Database, condition: str) -> str:
    """Buy health if the condition on the coins holds; what came of it."""
    actions = [
        set_to({"player": PLAYER, "what": "health"}, "SET amount = :full", full=100),
        set_to({"player": PLAYER, "what": "coins"}, "SET amount = amount - :price", condition, price=PRICE),
    ]
    try:
        db.call("TransactWriteItems", TransactItems=actions)
    except Refused as refused:
        return refused.reasons()
    return "bought"


def try_with(db: Database, coins: int, condition: str) -> tuple[str, int, int]:
    """Begin with so many coins: the answer, and health and coins afterwards."""
    db.put("Game", player=PLAYER, what="health", amount=20)
    db.put("Game", player=PLAYER, what="coins", amount=coins)
    answer = buy(db, condition)
    held = [db.get("Game", {"player": PLAYER, "what": what}) for what in ("health", "coins")]
    health, left = (int(str(one["amount"])) for one in held if one is not None)
    return answer, health, left


def on_one_item(db: Database) -> str:
    """Both updates under one key: this is what the example in the guide shows, read to the letter."""
    key: dict[str, Plain] = {"player": PLAYER, "what": "everything"}
    actions = [set_to(key, "SET health = :full", full=100), set_to(key, "SET coins = coins - :price", price=PRICE)]
    try:
        db.call("TransactWriteItems", TransactItems=actions)
    except Refused as refused:
        return str(refused)
    raise AssertionError("two actions on one item were taken")


def many(db: Database, count: int) -> str:
    """A transaction of so many puts."""
    puts = [{"Put": {"TableName": "Game", "Item": item({"player": "crowd", "what": f"{n}"})}} for n in range(count)]
    try:
        db.call("TransactWriteItems", TransactItems=puts)
    except Refused as refused:
        return refused.error
    return "done"


def price_of_three(db: Database) -> tuple[float, float]:
    """Units of three puts of 500 bytes, one by one and in a transaction."""
    rows = [padded(500, player="price", what=f"{number}") for number in range(3)]
    with db.bill() as alone:
        for row in rows:
            db.put("Game", **row)
    with db.bill() as together:
        db.call("TransactWriteItems", TransactItems=[{"Put": {"TableName": "Game", "Item": item(row)}} for row in rows])
    return alone.units, together.units


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    db.create("Game", "player", "what")
    rows: list[tuple[object, ...]] = [("coins, condition", "health", "coins left", "answer")]
    for coins, condition in ((401, "amount > :price"), (400, "amount > :price"), (400, "amount >= :price")):
        answer, health, left = try_with(db, coins, condition)
        rows.append((f"{coins}, {condition}", health, left, answer))
    yield from table(*rows)
    yield f"both on one item: {on_one_item(db)}"
    yield f"{ACTIONS_MAX} actions: {many(db, ACTIONS_MAX)}; {ACTIONS_MAX + 1}: {many(db, ACTIONS_MAX + 1)}"
    alone, together = price_of_three(db)
    yield f"three puts of 500 bytes: {alone:g} units one by one, {together:g} in a transaction"


if __name__ == "__main__":
    run(puzzler)
