"""The reference machine behind boto3's method names: what consumers are handed here. Time is moved by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynalab_model.database import State, apply, sweep
from dynalab_model.errors import DynamoError
from dynalab_model.requests import parse

SECOND = 1_000_000_000
BEGIN = 1_700_000_000


class Refused(Exception):
    """As botocore's ClientError: `response["Error"]["Code"]`."""

    def __init__(self, error: DynamoError) -> None:
        super().__init__(str(error))
        self.response = {"Error": {"Code": error.code, "Message": error.message}}


class Machine:
    """Both services in one: `put_item` as well as `get_records`."""

    def __init__(self) -> None:
        self.state, self.seconds = State(), float(BEGIN)

    def clock(self) -> float:
        return self.seconds

    def call(self, name: str, **body: Any) -> dict[str, Any]:
        self.state, answer = apply(self.state, parse(name, body), int(self.seconds * SECOND))
        if isinstance(answer, DynamoError):
            raise Refused(answer)
        return answer

    def sweep(self) -> None:
        """The service removes what has expired."""
        self.state = sweep(self.state, int(self.seconds * SECOND))

    def table(self, name: str, *keys: str, view: str | None = None, kinds: str = "S", ttl: str = "") -> str:
        """Make a table; its stream's ARN is given back."""
        roles = ("HASH", "RANGE")
        more: dict[str, Any] = {}
        if view is not None:
            more["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
        self.call(
            "CreateTable",
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": key, "KeyType": role} for key, role in zip(keys, roles, strict=False)],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": kinds} for key in keys],
            **more,
        )
        if ttl:
            expiry = {"Enabled": True, "AttributeName": ttl}
            self.call("UpdateTimeToLive", TableName=name, TimeToLiveSpecification=expiry)
        return str(self.call("DescribeTable", TableName=name)["Table"].get("LatestStreamArn", ""))

    def items(self, name: str) -> list[dict[str, Any]]:
        return list(self.call("Scan", TableName=name, ConsistentRead=True)["Items"])

    def put_item(self, **arguments: object) -> Mapping[str, object]:
        return self.call("PutItem", **arguments)

    def update_item(self, **arguments: object) -> Mapping[str, object]:
        return self.call("UpdateItem", **arguments)

    def delete_item(self, **arguments: object) -> Mapping[str, object]:
        return self.call("DeleteItem", **arguments)

    def describe_stream(self, **arguments: object) -> Mapping[str, object]:
        return self.call("DescribeStream", **arguments)

    def get_shard_iterator(self, **arguments: object) -> Mapping[str, object]:
        return self.call("GetShardIterator", **arguments)

    def get_records(self, **arguments: object) -> Mapping[str, object]:
        return self.call("GetRecords", **arguments)
