"""How many tasks has each list? A trigger counts from the stream (S74, S177, S178), as a guide has it, and right.

Each function is called by a trigger whose answer is lost every other time: the batch comes again, although all of it
was done. That is no fault of the stream, which tells each change once: it is what *at least once* means behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from meter import Body, Database, Refused, key_schema, run, table

from dynalab.consumers import StreamReader, Trigger, TriggerRunner
from dynalab.consumers.recipes import CountTasksNaively, TaskCounter

BATCH = 3


class Failed(Exception):
    """A refusal as boto3 raises it."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(str(refused))
        self.response = {"Error": {"Code": refused.error}}


class Client:
    """The few methods of boto3's clients that a consumer needs, for this database."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def call(self, name: str, body: Mapping[str, object]) -> Body:
        try:
            return self.db.transport.call(name, dict(body))
        except Refused as refused:
            raise Failed(refused) from None

    def put_item(self, **arguments: object) -> Body:
        return self.call("PutItem", arguments)

    def update_item(self, **arguments: object) -> Body:
        return self.call("UpdateItem", arguments)

    def describe_stream(self, **arguments: object) -> Body:
        return self.call("DescribeStream", arguments)

    def get_shard_iterator(self, **arguments: object) -> Body:
        return self.call("GetShardIterator", arguments)

    def get_records(self, **arguments: object) -> Body:
        return self.call("GetRecords", arguments)


class LosesAnswers:
    """Calls a function, and fails afterwards every other time."""

    def __init__(self, function: CountTasksNaively | TaskCounter) -> None:
        self.function = function
        self.calls = 0

    def __call__(self, event: Mapping[str, object]) -> None:
        self.function(event)
        self.calls += 1
        if self.calls % 2:
            raise TimeoutError("the answer was lost")


def stream_of(db: Database) -> str:
    """A table of tasks with a stream of new images; the stream's ARN."""
    asked: Body = {
        "TableName": "todoListTask",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": key_schema("ListId", "TaskId"),
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("ListId", "TaskId")],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    }
    db.transport.call("CreateTable", asked)
    db.transport.settle()
    described = cast("dict[str, str]", db.transport.call("DescribeTable", {"TableName": "todoListTask"})["Table"])
    return described["LatestStreamArn"]


def counts(db: Database, counted: str) -> list[int]:
    """What a table of counts says of both lists."""
    rows = [db.get(counted, {"ListId": list_id}) for list_id in ("home", "work")]
    return [int(str((row or {}).get("tasks", 0))) for row in rows]


def tasks(db: Database) -> list[int]:
    """The truth."""
    return [len(db.query("todoListTask", "ListId = :l", {"l": list_id})) for list_id in ("home", "work")]


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    arn = stream_of(db)
    client = Client(db)
    runners: dict[str, TriggerRunner] = {}
    for name, make in (("theGuides", CountTasksNaively), ("remembering", TaskCounter)):
        db.create(name, "ListId")
        function = LosesAnswers(make(client, name))
        runners[name] = TriggerRunner(StreamReader(client, arn), Trigger(function, batch_size=BATCH))

    def line(what: str) -> tuple[object, ...]:
        for runner in runners.values():
            runner.run_until_idle()
        told = [tasks(db), counts(db, "theGuides"), counts(db, "remembering")]
        return (what, *[f"{home} and {work}" for home, work in told])

    rows: list[tuple[object, ...]] = [("home and work", "tasks there", "the guide's count", "one that remembers")]
    for number in range(4):
        db.put("todoListTask", ListId="home", TaskId=f"{number}")
    db.put("todoListTask", ListId="work", TaskId="0")
    rows.append(line("five new tasks"))
    db.put("todoListTask", ListId="work", TaskId="0", done=1)
    rows.append(line("one is changed"))
    for number in range(3):
        key: dict[str, object] = {"ListId": {"S": "home"}, "TaskId": {"S": f"{number}"}}
        db.call("DeleteItem", TableName="todoListTask", Key=key)
    rows.append(line("three are deleted"))
    yield from table(*rows)
    first = runners["theGuides"].counts
    yield f"the stream told {first.read} records, each once; the function was called {first.called} times"


if __name__ == "__main__":
    run(puzzler, anywhere=False)
