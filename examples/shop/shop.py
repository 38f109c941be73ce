"""A shop that takes orders, and money for them. The bank knows an order by the name of its payment.

`Shop` has a bug. `RepairedShop` does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE, INDEX = "orders", "by-payment"


class UnknownOrder(Exception):
    """Nobody placed an order for that payment: the money goes back."""


class Shop:
    """Orders by id, and through a global index by payment."""

    def __init__(self, client: DynamoDBClient) -> None:
        self.client = client

    def open(self) -> None:
        """Make the table."""
        self.client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "payment")],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": INDEX,
                    "KeySchema": [{"AttributeName": "payment", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
        self.client.get_waiter("table_exists").wait(TableName=TABLE, WaiterConfig={"Delay": 0.1})

    def place(self, order: str, payment: str) -> None:
        """A customer orders, and is sent to the bank at once."""
        item = {"id": {"S": order}, "payment": {"S": payment}, "state": {"S": "open"}}
        self.client.put_item(TableName=TABLE, Item=item)

    def find(self, payment: str) -> str:
        """The order that this payment is for. Raises UnknownOrder."""
        found = self.client.query(
            TableName=TABLE,
            IndexName=INDEX,
            KeyConditionExpression="payment = :p",
            ExpressionAttributeValues={":p": {"S": payment}},
        )["Items"]
        if not found:
            raise UnknownOrder(payment)
        return found[0]["id"]["S"]

    def pay(self, payment: str) -> None:
        """The bank says that the money came."""
        self.client.update_item(
            TableName=TABLE,
            Key={"id": {"S": self.find(payment)}},
            UpdateExpression="SET #s = :paid",
            ExpressionAttributeNames={"#s": "state"},
            ExpressionAttributeValues={":paid": {"S": "paid"}},
        )

    def state(self, order: str) -> str:
        """`open` or `paid`."""
        item = self.client.get_item(TableName=TABLE, Key={"id": {"S": order}}, ConsistentRead=True)["Item"]
        return item["state"]["S"]


class RepairedShop(Shop):
    """An item per payment says which order it is for: a table can be read strongly, an index never can."""

    def place(self, order: str, payment: str) -> None:
        # The pointer first: one that leads to no order yet harms nobody, an order that no payment finds does.
        self.client.put_item(TableName=TABLE, Item={"id": {"S": f"payment#{payment}"}, "order": {"S": order}})
        super().place(order, payment)

    def find(self, payment: str) -> str:
        key = {"id": {"S": f"payment#{payment}"}}
        found = self.client.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")
        if found is None:
            raise UnknownOrder(payment)
        return found["order"]["S"]
