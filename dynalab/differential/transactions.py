"""Transactions on the tables of `tables`: actions that may meet, statements that mean the same, and tokens that come
again, with the same request or with another.

`Transactions` remembers the requests that had a token; everything else is a function of the choices alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dynalab.differential.chance import Chance
from dynalab.differential.expressions import Expressions
from dynalab.differential.requests import Request
from dynalab.differential.statements import Statement, statement
from dynalab.differential.tables import Body, TableShape
from dynalab.differential.values import item, key

ACTIONS_MAX = 5
REMEMBERED = 4
LIKELY = ("attribute_not_exists(absent)", "attribute_exists(v) OR attribute_not_exists(v)", "attribute_exists(v)")
KINDS = ("Put", "Update", "Delete", "ConditionCheck")


@dataclass(slots=True)
class Transactions:
    """Makes transactions. `bad_one_in`: how seldom a value is one that must be refused; 0 is never."""

    shapes: tuple[TableShape, ...]
    bad_one_in: int = 0
    tokens: int = 0
    asked: list[Request] = field(default_factory=list)  # with a token, newest last

    def make(self, chance: Chance) -> Request:
        """The next request: one time in five one that was there before."""
        if self.asked and chance.one_in(5):
            return self._again(chance)
        name, body = self._new(chance)
        if chance.below(2):
            body["ReturnConsumedCapacity"] = chance.pick(("TOTAL", "INDEXES"))
        if name != "TransactGetItems" and chance.below(2):
            self.tokens += 1
            body["ClientRequestToken"] = f"token-{self.tokens}"
            self.asked = [*self.asked[-(REMEMBERED - 1) :], (name, body)]
        return name, body

    def _again(self, chance: Chance) -> Request:
        name, body = chance.pick(self.asked)
        if chance.below(4):
            return name, body
        other, changed = self._new(chance)
        if other == "TransactGetItems":
            return other, changed
        return other, {**changed, "ClientRequestToken": body["ClientRequestToken"]}

    def _new(self, chance: Chance) -> Request:
        match chance.below(8):
            case 0 | 1 | 2 | 3:
                return "TransactWriteItems", self._writes(chance)
            case 4 | 5:
                return "TransactGetItems", self._reads(chance)
            case _:
                return "ExecuteTransaction", self._statements(chance)

    def _places(self, chance: Chance) -> list[tuple[TableShape, Body]]:
        """Keys in tables, each once but for a mistake now and then."""
        places: list[tuple[TableShape, Body]] = []
        for _ in range(1 + chance.below(ACTIONS_MAX)):
            shape = chance.pick(self.shapes)
            place: tuple[TableShape, Body] = (shape, {**key(chance, shape, self.bad_one_in * 3)})
            if place not in places or chance.one_in(5):
                places.append(place)
        return places

    def _writes(self, chance: Chance) -> Body:
        return {
            "TransactItems": [_action(chance, shape, place, self.bad_one_in) for shape, place in self._places(chance)]
        }

    def _reads(self, chance: Chance) -> Body:
        actions: list[Body] = []
        for shape, place in self._places(chance):
            get: Body = {"TableName": shape.name, "Key": place}
            if chance.one_in(3):
                expressions = Expressions(chance)
                get["ProjectionExpression"] = expressions.projection()
                get = expressions.into(get)
            actions.append({"Get": get})
        return {"TransactItems": actions}

    def _statements(self, chance: Chance) -> Body:
        reads = chance.one_in(3)
        members: list[Body] = []
        for _ in range(1 + chance.below(3)):
            if not reads and chance.one_in(4):
                members.append(_exists(chance, self.shapes))
                continue
            member = statement(chance, self.shapes, reads=reads)
            # A statement that wants its item back refuses the whole: seldom is often enough.
            if not chance.one_in(12):
                member["Statement"] = str(member["Statement"]).partition(" RETURNING")[0]
            members.append(member)
        return {"TransactStatements": members}


def _action(chance: Chance, shape: TableShape, place: Body, bad_one_in: int) -> Body:
    kind = chance.pick(KINDS)
    body: Body = {"TableName": shape.name}
    body |= {"Item": item(chance, shape, bad_one_in) | place} if kind == "Put" else {"Key": place}
    expressions = Expressions(chance)
    if kind == "Update":
        body["UpdateExpression"] = expressions.update()
    if kind == "ConditionCheck" or chance.one_in(4):
        # One that fails fails the whole, so most are chosen to hold.
        body["ConditionExpression"] = expressions.condition(1) if chance.one_in(3) else chance.pick(LIKELY)
        if chance.one_in(3):
            body["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return {kind: expressions.into(body)}


def _exists(chance: Chance, shapes: tuple[TableShape, ...]) -> Body:
    s = Statement(chance)
    shape = chance.pick(shapes)
    body: Body = {"Statement": f'EXISTS(SELECT * FROM "{shape.name}" WHERE {s.keys(shape)} AND {s.condition()})'}
    return body | {"Parameters": s.parameters} if s.parameters else body
