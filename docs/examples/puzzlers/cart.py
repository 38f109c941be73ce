"""The shopping cart (S48–S51): one item with a nested list, or an item collection?

A user has a cart of 300 KB, six lines of 50 KB. One more line of 50 KB is added, then the quantity of one line is
changed, then the cart is read.
"""

from __future__ import annotations

from collections.abc import Iterator

from meter import KB, Database, Plain, Refused, Row, item, padded, run, table, wire

LINE_BYTES = 50 * KB


def line(number: int) -> Row:
    """A line of the cart as a row of a collection: 50 KB."""
    return padded(LINE_BYTES, shopper="ann", what=f"Cart#{number:03}", quantity=1)


def nested(number: int) -> dict[str, Plain]:
    """A line as a map in a list. The map and its place in the list count, too: seven lines and the key are 350 KB."""
    return padded(LINE_BYTES - 16, quantity=1, number=number)


def as_one_item(db: Database) -> list[float]:
    """Units for adding a line, for changing a quantity, for reading the cart."""
    db.create("CartItem", "shopper")
    lines: list[Plain] = [nested(number) for number in range(6)]
    db.put("CartItem", shopper="ann", entries=lines)
    key: Row = {"shopper": "ann"}
    units = []
    with db.bill() as bill:
        added: list[Plain] = [nested(6)]
        db.update("CartItem", key, "SET entries = list_append(entries, :more)", more=added)
    units.append(bill.units)
    with db.bill() as bill:
        db.update("CartItem", key, "SET entries[3].quantity = :two", two=2)
    units.append(bill.units)
    with db.bill() as bill:
        found = db.get("CartItem", key, strong=False)
    units.append(bill.units)
    assert found is not None and len(found["entries"]) == 7  # type: ignore[arg-type]
    return units


def too_large(db: Database) -> str:
    """The two more lines that no longer fit into 400 KB."""
    added = [wire(nested(number)) for number in (7, 8)]
    try:
        db.call(
            "UpdateItem",
            TableName="CartItem",
            Key=item({"shopper": "ann"}),
            UpdateExpression="SET entries = list_append(entries, :more)",
            ExpressionAttributeValues={":more": {"L": added}},
        )
    except Refused as refused:
        return str(refused)
    raise AssertionError("an item above 400 KB was taken")


def as_collection(db: Database) -> list[float]:
    """The same three things, and then everything that is known of the user in one request."""
    db.create("Users", "shopper", "what")
    db.load("Users", [line(number) for number in range(6)])
    db.put("Users", shopper="ann", what="Address#home", city="Riga")
    db.put("Users", shopper="ann", what="Order#2022-11-25#1", total=90)
    units = []
    with db.bill() as bill:
        db.put("Users", **line(6))
    units.append(bill.units)
    # A quantity is small: what is large (a picture, a description) belongs into a row that does not change.
    db.put("Users", shopper="ann", what="Cart#100", quantity=1)
    with db.bill() as bill:
        db.update("Users", {"shopper": "ann", "what": "Cart#100"}, "SET quantity = :two", two=2)
    units.append(bill.units)
    with db.bill() as bill:
        cart = db.query("Users", "shopper = :u AND begins_with(what, :p)", {"u": "ann", "p": "Cart#"})
    units.append(bill.units)
    assert [str(each["what"])[:5] for each in cart] == ["Cart#"] * 8
    return units


def everything(db: Database) -> tuple[int, list[str]]:
    """One query for all that is known of a user: requests, and the kinds of rows in the order they came."""
    with db.bill() as bill:
        found = db.query("Users", "shopper = :u", {"u": "ann"})
    return bill.requests, list(dict.fromkeys(str(each["what"]).partition("#")[0] for each in found))


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    one, many = as_one_item(db), as_collection(db)
    yield from table(
        ("units", "one item", "collection"),
        ("add a line of 50 KB", one[0], many[0]),
        ("change a quantity", one[1], many[1]),
        ("read the cart, eventually", one[2], many[2]),
    )
    yield f"two more lines in one item: {too_large(db)}"
    requests, kinds = everything(db)
    yield f"everything about the user: {requests} request, {', '.join(kinds)}"


if __name__ == "__main__":
    run(puzzler)
