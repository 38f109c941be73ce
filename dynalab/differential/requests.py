"""Requests on the tables of `tables`, schema-aware: what a client may send, and now and then what it must not.

`Requests` remembers where pages ended, so that a later request goes on there; everything else is a function of the
choices alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from dynalab.differential.chance import Chance
from dynalab.differential.expressions import Expressions
from dynalab.differential.tables import TYPES, Body, Index, TableShape
from dynalab.differential.values import NAMES, item, key, key_value, scalar, value

Request: TypeAlias = "tuple[str, Body]"

RETURN_UPDATED = ("NONE", "ALL_NEW", "ALL_OLD", "UPDATED_NEW", "UPDATED_OLD")
OPERATORS = ("EQ", "NE", "LT", "LE", "GT", "GE", "NULL", "NOT_NULL", "CONTAINS", "NOT_CONTAINS", "BEGINS_WITH", "IN")
WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"})


@dataclass(slots=True)
class Requests:
    """Makes requests. `bad_one_in`: how seldom a value or member is one that must be refused; 0 is never. `consistent`:
    every read that can be is strong. `missing_table_one_in`: how seldom a request names a table that is not there.
    """

    shapes: tuple[TableShape, ...]
    bad_one_in: int = 0
    missing_table_one_in: int = 0
    consistent: bool = True
    ended: list[tuple[str, Body]] = field(default_factory=list)  # reads that can go on, newest last

    def make(self, chance: Chance) -> Request:
        """The next request."""
        maker = chance.pick(MAKERS)
        name, body = maker(self, chance)
        if self.missing_table_one_in and "TableName" in body and chance.one_in(self.missing_table_one_in):
            body["TableName"] = "nothing"
        if chance.below(2):
            body["ReturnConsumedCapacity"] = chance.pick(("TOTAL", "INDEXES"))
        if self.bad_one_in and chance.one_in(self.bad_one_in * 2):
            body |= chance.pick(BAD_MEMBERS)
        return name, body

    def went(self, request: Request, answer: Body) -> None:
        """Remember where a page ended."""
        name, body = request
        if name in ("Query", "Scan") and "LastEvaluatedKey" in answer:
            self.ended = [*self.ended[-7:], (name, {**body, "ExclusiveStartKey": answer["LastEvaluatedKey"]})]
        if name == "ExecuteStatement" and "NextToken" in answer:
            self.ended = [*self.ended[-7:], (name, {**body, "NextToken": answer["NextToken"]})]

    # --- one item -----------------------------------------------------------------------------------------------

    def put(self, chance: Chance) -> Request:
        """PutItem, conditional half the time."""
        shape = chance.pick(self.shapes)
        body: Body = {"TableName": shape.name, "Item": item(chance, shape, self.bad_one_in)}
        if chance.one_in(3):
            body["ReturnValues"] = "ALL_OLD"
        return "PutItem", self._condition(chance, body)

    def delete(self, chance: Chance) -> Request:
        """DeleteItem, conditional half the time."""
        shape = chance.pick(self.shapes)
        body: Body = {"TableName": shape.name, "Key": key(chance, shape, self.bad_one_in)}
        if chance.one_in(2):
            body["ReturnValues"] = "ALL_OLD"
        return "DeleteItem", self._condition(chance, body)

    def update(self, chance: Chance) -> Request:
        """UpdateItem with expressions, or with the parameters from before them."""
        shape = chance.pick(self.shapes)
        body: Body = {"TableName": shape.name, "Key": key(chance, shape, self.bad_one_in)}
        body["ReturnValues"] = chance.pick(RETURN_UPDATED)
        if chance.one_in(5):
            names = chance.some(NAMES, 2)
            body["AttributeUpdates"] = {name: _attribute_update(chance, name) for name in names}
            return "UpdateItem", self._expected(chance, body) if chance.one_in(3) else body
        expressions = Expressions(chance)
        if not chance.one_in(20):
            body["UpdateExpression"] = expressions.update()
        if chance.one_in(3):
            body["ConditionExpression"] = expressions.condition()
            body |= _on_failure(chance)
        return "UpdateItem", expressions.into(body)

    def get(self, chance: Chance) -> Request:
        """GetItem, now and then of a part."""
        shape = chance.pick(self.shapes)
        body: Body = {"TableName": shape.name, "Key": key(chance, shape, self.bad_one_in)}
        return "GetItem", self._projection(chance, self._consistent(chance, body))

    def _condition(self, chance: Chance, body: Body) -> Body:
        match chance.below(5):
            case 0 | 1:
                return body
            case 2 | 3:
                expressions = Expressions(chance)
                body["ConditionExpression"] = expressions.condition()
                return expressions.into(body | _on_failure(chance))
            case _:
                return self._expected(chance, body)

    def _expected(self, chance: Chance, body: Body) -> Body:
        names = chance.some(NAMES, 2)
        body["Expected"] = {name: _term(chance, exists=True) for name in names}
        if len(names) > 1 and chance.below(2):
            body["ConditionalOperator"] = chance.pick(("AND", "OR"))
        return body | _on_failure(chance)

    def _consistent(self, chance: Chance, body: Body) -> Body:
        return body | {"ConsistentRead": True} if self.consistent or chance.below(2) else body

    def _projection(self, chance: Chance, body: Body) -> Body:
        match chance.below(6):
            case 0:
                expressions = Expressions(chance)
                body["ProjectionExpression"] = expressions.projection()
                return expressions.into(body)
            case 1 if chance.one_in(2):
                body["AttributesToGet"] = chance.some((*NAMES, "pk", "absent"), 3)
        return body

    # --- batches ------------------------------------------------------------------------------------------------

    def batch_write(self, chance: Chance) -> Request:
        """BatchWriteItem over one or two tables, each key once but for a mistake now and then."""
        asked: Body = {}
        for shape in chance.some(self.shapes, 2):
            writes: list[Body] = []
            seen: list[object] = []
            for _ in range(1 + chance.below(4)):
                made = item(chance, shape, self.bad_one_in * 3)
                place = {name: made.get(name) for name in shape.keys}
                if place in seen and not (self.bad_one_in and chance.one_in(3)):
                    continue
                seen.append(place)
                writes.append({"PutRequest": {"Item": made}} if chance.below(3) else {"DeleteRequest": {"Key": place}})
            asked[shape.name] = writes
        return "BatchWriteItem", {"RequestItems": asked}

    def batch_get(self, chance: Chance) -> Request:
        """BatchGetItem over one or two tables."""
        asked: Body = {}
        for shape in chance.some(self.shapes, 2):
            keys: list[object] = []
            for _ in range(1 + chance.below(5)):
                place = key(chance, shape, self.bad_one_in * 3)
                if place not in keys or (self.bad_one_in and chance.one_in(6)):
                    keys.append(place)
            asked[shape.name] = self._projection(chance, self._consistent(chance, {"Keys": keys}))
        return "BatchGetItem", {"RequestItems": asked}

    # --- pages --------------------------------------------------------------------------------------------------

    def query(self, chance: Chance) -> Request:
        """Query of a table or an index, by an expression or by KeyConditions."""
        shape, index = self._place(chance)
        keys = index.keys if index else shape.keys
        body = self._page(chance, shape, index)
        if chance.one_in(3):
            body["ScanIndexForward"] = False
        if chance.one_in(6):
            conditions: Body = {
                keys[0]: {"ComparisonOperator": "EQ", "AttributeValueList": [key_value(chance, keys[0])]}
            }
            hashes = index.hashes if index else 1
            conditions |= {
                name: {"ComparisonOperator": "EQ", "AttributeValueList": [key_value(chance, name)]}
                for name in keys[1:hashes]
            }
            if len(keys) > hashes and chance.below(2):
                operator = chance.pick(("EQ", "LT", "LE", "GT", "GE", "BEGINS_WITH"))
                conditions[keys[hashes]] = {
                    "ComparisonOperator": operator,
                    "AttributeValueList": [key_value(chance, keys[hashes])],
                }
            body["KeyConditions"] = conditions
            if chance.one_in(3):
                body["QueryFilter"] = {chance.pick(NAMES): _term(chance, exists=False)}
            return "Query", body
        expressions = Expressions(chance)
        body["KeyConditionExpression"] = expressions.key_condition(keys, index.hashes if index else 1)
        return "Query", self._filter(chance, body, expressions)

    def scan(self, chance: Chance) -> Request:
        """Scan of a table or an index, whole or a segment."""
        shape, index = self._place(chance)
        body = self._page(chance, shape, index)
        if chance.one_in(4):
            body["TotalSegments"] = 1 + chance.below(3)
            body["Segment"] = chance.below(4 if self.bad_one_in else int(str(body["TotalSegments"])))
        if chance.one_in(6):
            body["ScanFilter"] = {chance.pick(NAMES): _term(chance, exists=False)}
            return "Scan", body
        return "Scan", self._filter(chance, body, Expressions(chance))

    def next_page(self, chance: Chance) -> Request:
        """Where an earlier page ended, the next one; a Scan while nothing has ended."""
        if not self.ended:
            return self.scan(chance)
        name, body = chance.pick(self.ended)
        return name, {member: part for member, part in body.items() if member != "ReturnConsumedCapacity"}

    def _place(self, chance: Chance) -> tuple[TableShape, Index | None]:
        shape = chance.pick(self.shapes)
        return shape, chance.pick((None, None, *shape.indexes)) if shape.indexes else None

    def _page(self, chance: Chance, shape: TableShape, index: Index | None) -> Body:
        body: Body = {"TableName": shape.name}
        if index is not None:
            body["IndexName"] = index.name
        if index is None or not index.is_global or (self.bad_one_in and chance.one_in(20)):
            body = self._consistent(chance, body)
        if chance.below(2):
            body["Limit"] = 1 + chance.below(4)
        if chance.one_in(8):
            body["Select"] = chance.pick(("COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "SPECIFIC_ATTRIBUTES"))
        return body

    def _filter(self, chance: Chance, body: Body, expressions: Expressions) -> Body:
        if chance.one_in(3):
            body["FilterExpression"] = expressions.condition(1)
        if chance.one_in(5):
            body["ProjectionExpression"] = expressions.projection()
        return expressions.into(body)


def _on_failure(chance: Chance) -> Body:
    return {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if chance.one_in(3) else {}


def _attribute_update(chance: Chance, name: str) -> Body:
    given = key_value(chance, name) if name in TYPES else value(chance, 1)
    match chance.below(5):
        case 0 | 1:
            return {"Value": given, "Action": "PUT"}
        case 2:
            return {"Action": "DELETE"}
        case 3:
            return {"Value": scalar(chance, "N") if chance.below(3) else given, "Action": "ADD"}
        case _:
            return {"Value": given, "Action": "DELETE"}


def _term(chance: Chance, *, exists: bool) -> Body:
    """One comparison of a parameter from before expressions; `exists` allows the form that Expected alone has."""
    if exists and chance.one_in(3):
        return {"Exists": False} if chance.below(2) else {"Value": value(chance, 0)}
    operator = chance.pick(OPERATORS)
    if operator in ("NULL", "NOT_NULL"):
        return {"ComparisonOperator": operator}
    count = 1 + chance.below(3) if operator == "IN" else 1
    return {
        "ComparisonOperator": operator,
        "AttributeValueList": [scalar(chance, "S" if operator == "BEGINS_WITH" else "N") for _ in range(count)],
    }


BAD_MEMBERS: tuple[Body, ...] = (
    {"Limit": 0},
    {"ReturnConsumedCapacity": "SOME"},
    {"ReturnValues": "EVERYTHING"},
    {"ReturnValues": "ALL_NEW"},
    {"Select": "SOME"},
    {"TableName": "a"},
    {"TableName": "no!"},
    {"TableName": None},
    {"IndexName": "none-such"},
    {"Segment": 1},
    {"TotalSegments": 3},
    {"ExpressionAttributeNames": {}},
    {"ExpressionAttributeNames": {"#x": "x"}},
    {"ExpressionAttributeValues": {}},
    {"ExpressionAttributeValues": {":x": {"S": "x"}}},
    {"ExpressionAttributeNames": {"x": "x"}},
    {"ConditionExpression": ""},
    {"FilterExpression": "pk = :v0"},
    {"AttributesToGet": ["v"]},
    {"AttributesToGet": []},
    {"Expected": {"v": {"Exists": True}}},
    {"ConditionalOperator": "OR"},
    {"ExclusiveStartKey": {"pk": {"S": "a"}}},
    {"ReturnItemCollectionMetrics": "SIZE"},
    {"ReturnItemCollectionMetrics": "some"},
    {"ReturnValuesOnConditionCheckFailure": "SOME"},
)

Maker: TypeAlias = Callable[[Requests, Chance], Request]
MAKERS: tuple[Maker, ...] = (
    Requests.put,
    Requests.put,
    Requests.put,
    Requests.update,
    Requests.update,
    Requests.update,
    Requests.update,
    Requests.delete,
    Requests.get,
    Requests.get,
    Requests.query,
    Requests.query,
    Requests.query,
    Requests.scan,
    Requests.scan,
    Requests.next_page,
    Requests.next_page,
    Requests.batch_write,
    Requests.batch_get,
)
