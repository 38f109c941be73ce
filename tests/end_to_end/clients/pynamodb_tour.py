"""PynamoDB: models, conditions, indexes, batches, versions, transactions. `python pynamodb_tour.py URL`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from pynamodb.attributes import (
    JSONAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    NumberSetAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
    VersionAttribute,
)
from pynamodb.connection import Connection
from pynamodb.exceptions import DeleteError, DoesNotExist, PutError, TransactWriteError, UpdateError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model
from pynamodb.transactions import TransactGet, TransactWrite

URL = sys.argv[1]


class Access:
    """What a Model's Meta needs to find the endpoint."""

    region = "us-east-1"
    host = URL
    aws_access_key_id = "any"
    aws_secret_access_key = "any"


class ByState(GlobalSecondaryIndex["Order"]):
    class Meta:
        index_name = "by-state"
        projection = AllProjection()

    state = UnicodeAttribute(hash_key=True)
    total = NumberAttribute(range_key=True)


class ByDay(GlobalSecondaryIndex["Order"]):
    class Meta:
        index_name = "by-day"
        projection = KeysOnlyProjection()

    day = UnicodeAttribute(hash_key=True)


class Address(MapAttribute[str, str]):
    street = UnicodeAttribute()
    town = UnicodeAttribute(null=True)


class Order(Model):
    class Meta(Access):
        table_name = "orders"
        billing_mode = "PAY_PER_REQUEST"

    customer = UnicodeAttribute(hash_key=True)
    number = NumberAttribute(range_key=True)
    state = UnicodeAttribute(default="open")
    total = NumberAttribute(default=0)
    day = UnicodeAttribute(null=True)
    tags = UnicodeSetAttribute(null=True)
    sizes = NumberSetAttribute(null=True)
    lines: ListAttribute[object] = ListAttribute(null=True)
    address = Address(null=True)
    note = JSONAttribute(null=True)
    ordered = UTCDateTimeAttribute(null=True)
    until = TTLAttribute(null=True)
    by_state = ByState()
    by_day = ByDay()


class Account(Model):
    class Meta(Access):
        table_name = "accounts"
        read_capacity_units = 5
        write_capacity_units = 5

    name = UnicodeAttribute(hash_key=True)
    balance = NumberAttribute(default=0)
    version = VersionAttribute()


def refused(kind: type[Exception], code: str, call: object) -> None:
    """The call must end in this error."""
    try:
        call()  # type: ignore[operator]
    except kind as error:
        assert error.cause_response_code == code, error  # type: ignore[attr-defined]
        return
    raise AssertionError(f"{kind.__name__} was expected")


def tables() -> None:
    for model in (Order, Account):
        assert not model.exists()
        model.create_table(wait=True)
        assert model.exists()
    described = Order.describe_table()
    assert described["TableStatus"] == "ACTIVE"
    assert sorted(index["IndexName"] for index in described["GlobalSecondaryIndexes"]) == ["by-day", "by-state"]
    assert Account.describe_table()["ProvisionedThroughput"]["ReadCapacityUnits"] == 5


def items() -> None:
    ordered = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
    order = Order("ann", 1, total=30, tags={"a", "b"}, sizes={1, 2.5}, day="mon", ordered=ordered, until=ordered)
    order.lines = ["tea", 3, {"milk": True}]
    order.address = Address(street="Elm", town="Ulm")
    order.note = {"deep": [1, {"deeper": None}]}
    order.save()
    found = Order.get("ann", 1, consistent_read=True)
    read, written = dict(found.attribute_values), dict(order.attribute_values)
    assert read.pop("address").as_dict() == written.pop("address").as_dict() == {"street": "Elm", "town": "Ulm"}
    assert read == written, (read, written)
    assert found.sizes == {1, 2.5} and found.ordered == ordered
    try:
        Order.get("ann", 99)
    except DoesNotExist:
        pass
    else:
        raise AssertionError("an absent item is an error of PynamoDB")

    refused(PutError, "ConditionalCheckFailedException", lambda: order.save(Order.customer.does_not_exist()))
    order.save(Order.total == 30)
    order.save((Order.total.between(10, 40)) & Order.tags.contains("a") & ~(Order.state == "paid"))

    order.update([Order.total.add(5), Order.state.set("paid"), Order.day.remove(), Order.tags.delete({"b"})])
    assert (order.total, order.state, order.day, order.tags) == (35, "paid", None, {"a"})
    order.update([Order.total.set(Order.total - 5), Order.lines.set(Order.lines.append(["honey"]))])
    assert order.total == 30 and order.lines[-1] == "honey"
    order.update([Order.address.town.set("Bonn"), Order.day.set(Order.day | "tue")], Order.state == "paid")
    assert order.address.town == "Bonn" and order.day == "tue"
    refused(
        UpdateError,
        "ConditionalCheckFailedException",
        lambda: order.update([Order.state.set("lost")], Order.state == "open"),
    )
    refused(DeleteError, "ConditionalCheckFailedException", lambda: order.delete(Order.total > 1000))
    order.delete(Order.total == 30)
    assert Order.count() == 0


def queries() -> None:
    with Order.batch_write() as batch:  # 60 items: more than a batch may hold
        for number in range(60):
            batch.save(Order("bob", number, state="open" if number % 3 else "paid", total=number, day="fri"))
    assert Order.count("bob") == 60
    assert Order.count("bob", Order.number < 10, filter_condition=Order.state == "paid") == 4
    assert [o.number for o in Order.query("bob", Order.number.between(5, 8), consistent_read=True)] == [5, 6, 7, 8]
    newest = Order.query("bob", scan_index_forward=False, limit=3)
    assert [o.number for o in newest] == [59, 58, 57]
    pages = Order.query("bob", page_size=7)
    assert len(list(pages)) == 60 and pages.last_evaluated_key is None
    first = Order.query("bob", limit=10)
    assert len(list(first)) == 10
    rest = Order.query("bob", last_evaluated_key=first.last_evaluated_key)
    assert [o.number for o in rest] == list(range(10, 60))
    bare = next(iter(Order.query("bob", Order.number == 3, attributes_to_get=["total"])))
    assert bare.total == 3 and bare.number is None

    assert len(list(Order.scan(Order.state == "paid", consistent_read=True))) == 20
    halves = [{o.number for o in Order.scan(segment=segment, total_segments=2)} for segment in range(2)]
    assert not halves[0] & halves[1] and halves[0] | halves[1] == set(range(60))

    # An index follows its table: a user waits for it, or asks the table.
    while Order.by_state.count("paid") < 20 or len(list(Order.by_day.query("fri"))) < 60:
        pass
    totals = [o.total for o in Order.by_state.query("paid", Order.total >= 30)]
    assert totals == [30, 33, 36, 39, 42, 45, 48, 51, 54, 57]
    assert {(o.customer, o.number) for o in Order.by_day.query("fri")} == {("bob", n) for n in range(60)}

    wanted = [("bob", number) for number in range(0, 60, 2)] + [("nobody", 1)]
    assert {o.number for o in Order.batch_get(wanted, consistent_read=True)} == set(range(0, 60, 2))
    with Order.batch_write() as batch:
        for number in range(60):
            batch.delete(Order("bob", number))
    assert Order.count() == 0


def versions() -> None:
    account = Account("ann", balance=10)
    account.save()
    other = Account.get("ann", consistent_read=True)
    assert account.version == other.version == 1
    other.update([Account.balance.add(5)])
    assert other.version == 2
    account.balance = 0
    refused(PutError, "ConditionalCheckFailedException", account.save)  # it was changed behind our back
    account.refresh(consistent_read=True)
    assert (account.balance, account.version) == (15, 2)
    refused(DeleteError, "ConditionalCheckFailedException", lambda: Account("ann", version=1).delete())
    account.delete()
    assert Account.count() == 0


def transactions() -> None:
    connection = Connection(region="us-east-1", host=URL)
    connection.session.set_credentials("any", "any")
    ann, bob = Account("ann", balance=100), Account("bob", balance=0)
    with TransactWrite(connection=connection, client_request_token="open") as together:
        together.save(ann, condition=Account.name.does_not_exist())
        together.save(bob)
    for left in (60, 20):
        with TransactWrite(connection=connection) as together:
            take = [Account.balance.add(-40)]
            together.update(Account("ann"), take, condition=Account.balance >= 40, add_version_condition=False)
            together.update(Account("bob"), [Account.balance.add(40)], add_version_condition=False)
        with TransactGet(connection=connection) as read:
            futures = [read.get(Account, name) for name in ("ann", "bob")]
        assert [future.get().balance for future in futures] == [left, 100 - left]
    try:
        with TransactWrite(connection=connection) as together:
            together.update(Account("bob"), [Account.balance.add(40)], add_version_condition=False)
            together.condition_check(Account, "ann", condition=Account.balance >= 40)
    except TransactWriteError as error:
        assert error.cause_response_code == "TransactionCanceledException"
        reasons = error.cancellation_reasons
        assert [reason and reason.code for reason in reasons] == [
            "ConditionalCheckFailed",
            None,
        ]  # checks are sent first
    else:
        raise AssertionError("twenty are not enough")
    assert [Account.get(name, consistent_read=True).balance for name in ("ann", "bob")] == [20, 80]


def gone() -> None:
    for model in (Order, Account):
        model.delete_table()
    while Order.exists() or Account.exists():
        pass


if __name__ == "__main__":
    for part in (tables, items, queries, versions, transactions, gone):
        part()
        print(part.__name__)
