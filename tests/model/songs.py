"""The reference state machine with a table of songs, for the tests of PartiQL."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.requests import parse


class Machine:
    """The reference state machine with a table of songs; `rows` are artist, year and more attributes."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.state = State()
        definitions = [("artist", "S"), ("year", "N"), ("genre", "S")]
        self(
            "CreateTable",
            TableName="Songs",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "artist", "KeyType": "HASH"},
                {"AttributeName": "year", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in definitions],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by-genre",
                    "KeySchema": [
                        {"AttributeName": "genre", "KeyType": "HASH"},
                        {"AttributeName": "year", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        for row in rows:
            self("PutItem", TableName="Songs", Item=row)

    def __call__(self, operation: str, **body: object) -> Any:
        self.state, answer = apply(self.state, parse(operation, body), 0)
        if isinstance(answer, DynamoError):
            raise answer
        return answer

    def execute(self, statement: str, *parameters: dict[str, Any], **body: object) -> Any:
        given = {"Parameters": list(parameters)} if parameters else {}
        return self("ExecuteStatement", Statement=statement, **given, **body)

    def select(self, statement: str, *parameters: dict[str, Any], **body: object) -> list[Any]:
        """The years of the songs that a SELECT gives."""
        items = self.execute(statement, *parameters, **body)["Items"]
        return [int(item["year"]["N"]) for item in items]

    def refused(self, statement: str, *parameters: dict[str, Any], **body: object) -> str:
        with pytest.raises(DynamoError) as caught:
            self.execute(statement, *parameters, **body)
        return f"{caught.value.code}: {caught.value.message}"

    def batch(self, *statements: str, **body: object) -> Any:
        return self("BatchExecuteStatement", Statements=[{"Statement": one} for one in statements], **body)

    def get(self, artist: str, year: int) -> Any:
        return self("GetItem", TableName="Songs", Key=key(artist, year)).get("Item")


def key(artist: str, year: int) -> dict[str, Any]:
    return {"artist": {"S": artist}, "year": {"N": str(year)}}


def song(artist: str, year: int, **more: Any) -> dict[str, Any]:
    return {**key(artist, year), **more}


def some_songs() -> Machine:
    """Three songs of one artist, one of another."""
    return Machine(
        song("abba", 1974, genre={"S": "pop"}, stars={"N": "5"}, tags={"SS": ["a", "b"]}),
        song("abba", 1976, genre={"S": "disco"}, stars={"N": "4"}),
        song("abba", 1980, stars={"S": "five"}, info={"M": {"label": {"S": "Polar"}, "takes": {"L": [{"N": "3"}]}}}),
        song("blur", 1994, genre={"S": "pop"}, stars={"NULL": True}),
    )
