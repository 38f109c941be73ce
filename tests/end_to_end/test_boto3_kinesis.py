"""An unmodified boto3 sends a table's changes to a Kinesis stream, and asks which keys are busy; the lab shows both."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dynalab.cli import run
from dynalab.consumers import in_order
from tests.end_to_end.serving import Served, serve

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
SHOWN = "arn:aws:kinesis:us-east-1:000000000000:stream/shown"
KEYS: Any = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "N"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve("--lab", "--partitions", "2") as running:
        yield running


def ask(served: Served, path: str, **query: object) -> Any:
    url = f"{served.url}/_dynalab/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def until(what: Callable[[], bool], seconds: float = 20) -> None:
    give_up = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < give_up, "it never came to that"
        time.sleep(0.02)


def make(served: Served, table: str, **more: Any) -> Any:
    client: Any = served.client(attempts=8)
    client.create_table(TableName=table, **{**KEYS, **more})
    until(lambda: client.describe_table(TableName=table)["Table"]["TableStatus"] == "ACTIVE")
    return client


def destination(client: Any, table: str) -> str:
    told = client.describe_kinesis_streaming_destination(TableName=table)["KinesisDataStreamDestinations"]
    return str(told[-1]["DestinationStatus"])


def folded(records: list[Any]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for record in in_order([one["Data"] for one in records]):
        change: Any = record["dynamodb"]
        table.pop(json.dumps(change["Keys"], sort_keys=True), None)
        if record["eventName"] != "REMOVE":
            table[json.dumps(change["Keys"], sort_keys=True)] = change["NewImage"]
    return table


def contents(client: Any, table: str) -> dict[str, Any]:
    items = client.scan(TableName=table, ConsistentRead=True)["Items"]
    return {json.dumps({name: item[name] for name in ("pk", "sk")}, sort_keys=True): item for item in items}


@pytest.mark.claim("S149")
def test_what_comes_to_kinesis_is_the_table_again_whatever_dies_and_divides(served: Served) -> None:
    client = make(served, "orders")
    configuration: Any = {"ApproximateCreationDateTimePrecision": "MICROSECOND"}
    answer = client.enable_kinesis_streaming_destination(
        TableName="orders", StreamArn=ARN, EnableKinesisStreamingConfiguration=configuration
    )
    assert (answer["DestinationStatus"], answer["EnableKinesisStreamingConfiguration"]) == ("ENABLING", configuration)
    until(lambda: destination(client, "orders") == "ACTIVE")
    for number in range(240):
        key = {"pk": {"S": f"p{number % 7}"}, "sk": {"N": str(number % 5)}}
        if number % 11 == 0:
            client.delete_item(TableName="orders", Key=key)
        else:
            client.put_item(TableName="orders", Item={**key, "v": {"N": str(number)}})
        if number == 80:
            served.fault("split", table="orders")
        if number == 150:
            served.fault("kill-leader", table="orders")
    wanted = contents(client, "orders")
    until(lambda: folded(ask(served, "kinesis", arn=ARN)["Records"]) == wanted)
    records = ask(served, "kinesis", arn=ARN)["Records"]
    bodies = [one["Data"] for one in records]
    ids = [body["eventID"] for body in bodies]
    assert len(ids) > len(set(ids)) >= 200, "some come twice"
    times = [body["dynamodb"]["ApproximateCreationDateTime"] for body in bodies]
    assert times != sorted(times), "and not in order"
    assert set(bodies[0]) == {
        *("awsRegion", "eventID", "eventName", "userIdentity", "recordFormat", "tableName", "dynamodb", "eventSource")
    }
    client.disable_kinesis_streaming_destination(TableName="orders", StreamArn=ARN)
    until(lambda: destination(client, "orders") == "DISABLED")
    before = ask(served, "kinesis", arn=ARN, after=len(records))["Records"]
    client.put_item(TableName="orders", Item={"pk": {"S": "late"}, "sk": {"N": "1"}})
    time.sleep(0.4)
    assert ask(served, "kinesis", arn=ARN, after=len(records))["Records"] == before, "nothing more is carried there"


def test_a_data_stream_that_nobody_sends_to_is_refused_in_words(served: Served) -> None:
    for query in ({"arn": "arn:none"}, {"arn": ARN, "after": "x"}, {"stream": ARN}):
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask(served, "kinesis", **query)
        assert caught.value.code == 400 and json.load(caught.value)["error"]


def test_the_command_line_shows_what_the_lab_tells(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    client = make(served, "shown")
    client.update_contributor_insights(TableName="shown", ContributorInsightsAction="ENABLE")
    client.enable_kinesis_streaming_destination(TableName="shown", StreamArn=SHOWN)
    until(lambda: client.describe_contributor_insights(TableName="shown")["ContributorInsightsStatus"] == "ENABLED")
    until(lambda: destination(client, "shown") == "ACTIVE")
    assert run(["fault", "insights", "table=shown", "--url", served.url]) == 0
    assert capsys.readouterr().out == "no keys are counted: UpdateContributorInsights begins it\n"
    client.put_item(TableName="shown", Item={"pk": {"S": "a"}, "sk": {"N": "1"}})
    assert run(["fault", "insights", "table=shown", "--url", served.url]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "shown: most accessed partition keys",
        '         1  {"pk": {"S": "a"}}',
        "shown: most accessed items",
        '         1  {"pk": {"S": "a"}, "sk": {"N": "1"}}',
    ]
    until(lambda: any(one["arn"] == SHOWN for one in ask(served, "kinesis")["streams"]))
    until(lambda: bool(ask(served, "kinesis", arn=SHOWN)["Records"]))
    assert run(["fault", "kinesis", f"arn={SHOWN}", "--url", served.url]) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[0])
    assert record["Data"]["dynamodb"]["Keys"] == {"pk": {"S": "a"}, "sk": {"N": "1"}}
    assert run(["fault", "kinesis", "arn=arn:none", "--url", served.url]) != 0
    assert "no table has sent anything" in capsys.readouterr().err


def keys_of(served: Served, table: str, graph: str) -> list[Any]:
    for one in ask(served, "insights", table=table)["insights"]:
        if (one["graph"], one["index"]) == (graph, ""):
            return list(one["keys"])
    return []


@pytest.mark.claim("S45")
def test_a_hot_key_is_on_top_of_what_was_accessed_and_of_what_was_throttled(served: Served) -> None:
    client = make(served, "hot")
    once: Any = served.client()
    client.put_item(TableName="hot", Item={"pk": {"S": "before"}, "sk": {"N": "1"}})
    answer = client.update_contributor_insights(TableName="hot", ContributorInsightsAction="ENABLE")
    assert answer["ContributorInsightsStatus"] == "ENABLING"
    until(lambda: client.describe_contributor_insights(TableName="hot")["ContributorInsightsStatus"] == "ENABLED")
    for number in range(40):
        client.put_item(TableName="hot", Item={"pk": {"S": "hot"}, "sk": {"N": str(number % 2)}})
        client.get_item(TableName="hot", Key={"pk": {"S": f"cold{number % 10}"}, "sk": {"N": "0"}})
    assert keys_of(served, "hot", "PKC")[0] == {"key": {"pk": {"S": "hot"}}, "count": 40, "over": 0}
    assert [one["count"] for one in keys_of(served, "hot", "SKC")[:3]] == [20, 20, 4]
    assert all(one["key"]["pk"] != {"S": "before"} for one in keys_of(served, "hot", "PKC"))
    assert keys_of(served, "hot", "PKT") == []

    served.fault("admission", write=5, burst_s=0)
    refused = 0
    for number in range(60):
        try:
            once.put_item(TableName="hot", Item={"pk": {"S": "hot" if number % 6 else "cold"}, "sk": {"N": "1"}})
        except ClientError as error:
            refused += error.response["Error"]["Code"] in (
                "ThrottlingException",
                "ProvisionedThroughputExceededException",
            )
    served.fault("heal")
    throttled = keys_of(served, "hot", "PKT")
    assert refused > 20 and sum(one["count"] for one in throttled) == refused
    assert throttled[0]["key"] == {"pk": {"S": "hot"}} and throttled[0]["count"] > refused // 2
    assert keys_of(served, "hot", "SKT")[0]["key"] == {"pk": {"S": "hot"}, "sk": {"N": "1"}}
