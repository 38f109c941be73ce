"""Model and replicated service in lockstep, no faults: the same requests, the same answers to the letter.

`make lockstep STEPS=100000` runs this for longer, or in pieces with SEED=. What Hypothesis finds it makes small, and
the failure's text is a boto3 script of the requests that are left.
"""

from __future__ import annotations

import ast
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from dynalab.differential import lockstep
from dynalab.differential.chance import Chance, seeded
from dynalab.differential.lockstep import Difference, Pair, offered
from dynalab.differential.requests import Request, Requests
from dynalab.differential.statements import execute
from dynalab.differential.tables import SEVERAL, SHAPES, Body, Index
from dynalab.differential.transactions import Transactions
from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.operations import GetItem, Operation, PutItem

STEPS = int(os.environ.get("DYNALAB_LOCKSTEP_STEPS", "1500"))
SEED = int(os.environ.get("DYNALAB_LOCKSTEP_SEED", "0"))  # of the first turn, for a long run in several pieces
STEPS_A_RUN = 20
TABLES = offered((*SHAPES, SEVERAL))
# One service a run, asked for several requests at each of Hypothesis' steps: its own cost is a step's, not a request's.
REQUESTS_A_STEP = 8
TRANSACTIONS_A_STEP = 4
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("DescribeTable", {"TableName": "things"}),
    ("DescribeTable", {"TableName": "nothing"}),
    ("ListTables", {"Limit": 2}),
    ("UpdateTimeToLive", {"TableName": "plain", "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "n"}}),
    ("UpdateTimeToLive", {"TableName": "plain", "TimeToLiveSpecification": {"Enabled": False, "AttributeName": "n"}}),
    ("DescribeTimeToLive", {"TableName": "plain"}),
]
# Indexes that come to a table in use and go again, with keys that items of all kinds have or have not.
COMING = (("plain", Index("late", ("owner", "n"))), ("things", Index("later", ("when",), ("v",))))

KINESIS = ("Enable", "Update", "Disable")
STEP_NS = 2_000_000_000  # by then every partition, and every router, knows of a step
VIEWS = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")

SELDOM = (
    "halves made",
    "indexes that went",
    "pages cut at 1 MB",
    "records of feeds",
    "EnableKinesisStreamingDestination",
    "UpdateContributorInsights",
    "IdempotentParameterMismatchException",
)

told: Counter[str] = Counter()


@st.composite
def requests_of(draw: st.DrawFn, make: Callable[[Chance], Request]) -> Request:
    return make(Chance(lambda bound: draw(st.integers(0, bound - 1))))


class Lockstep(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.requests = Requests(TABLES, missing_table_one_in=40)
        self.long_keys = Requests((SEVERAL,))
        self.transactions = Transactions(TABLES, bad_one_in=40)
        self.filled = False

    @initialize()
    def create(self) -> None:
        self.pair = Pair()
        for shape in TABLES:
            self.pair.create(shape)
        self.pair.change_stream("local", "NEW_AND_OLD_IMAGES")  # for the whole run; others come and go

    def ask(self, request: Request) -> None:
        answer = self.pair.call(*request)
        name, body = request
        told[name] += 1
        if isinstance(answer, DynamoError):
            told[answer.code] += 1
        else:
            self.requests.went(request, answer)
            told["done under a token"] += "ClientRequestToken" in body
            told["pages of indexes"] += "IndexName" in body
            told["pages of long keys"] += "IndexName" in body and body["TableName"] == "several"
            told["pages cut at 1 MB"] += "LastEvaluatedKey" in answer and "Limit" not in body

    @rule(data=st.data(), setting=st.sampled_from(SETTINGS))
    def some_requests(self, data: st.DataObject, setting: Request) -> None:
        for _ in range(REQUESTS_A_STEP):
            self.ask(data.draw(requests_of(self.requests.make), label="request"))
        self.ask(data.draw(requests_of(self.long_keys.query), label="query of several"))
        self.ask(data.draw(requests_of(lambda chance: execute(chance, TABLES)), label="statement"))
        for _ in range(TRANSACTIONS_A_STEP):
            self.ask(data.draw(requests_of(self.transactions.make), label="transaction"))
        self.ask(setting)

    @rule(number=st.integers(0, len(COMING) - 1))
    def an_index_comes_or_goes(self, number: int) -> None:
        table, index = COMING[number]
        comes = index.name not in [known.name for known in self.pair.state.tables[table].schema.indexes]
        self.pair.change_index(table, index, comes=comes)
        if comes:
            self.ask(("Scan", {"TableName": table, "IndexName": index.name, "ReturnConsumedCapacity": "INDEXES"}))
        told["indexes that came"] += comes
        told["indexes that went"] += not comes

    @rule(table=st.sampled_from(("things", "plain")), view=st.sampled_from(VIEWS))
    def a_stream_begins_or_ends(self, table: str, view: str) -> None:
        enabled = "StreamSpecification" in self.pair.state.tables[table].settings
        self.pair.change_stream(table, "" if enabled else view)
        told["streams that began"] += not enabled
        told["streams that ended"] += enabled

    @precondition(lambda self: "TimeToLive" in self.pair.state.tables["plain"].settings)
    @rule(late_s=st.sampled_from((1, 60, 10**7)), kept_s=st.sampled_from((10**6, 10**9)))
    def items_expire(self, late_s: int, kept_s: int) -> None:
        now_s = self.pair.wall_ns // 1_000_000_000
        for number, expires_s in (("3", now_s - late_s), ("4", now_s + kept_s)):
            item = {"id": {"N": number}, "n": {"N": str(expires_s)}}
            self.ask(("PutItem", {"TableName": "plain", "Item": item}))
        before = len(self.pair.state.tables["plain"].items)
        self.pair.sweep()
        told["items that expired"] += before - len(self.pair.state.tables["plain"].items)
        self.ask(("Scan", {"TableName": "plain", "ConsistentRead": True}))

    @rule(which=st.integers(0, 15))
    def a_partition_splits(self, which: int) -> None:
        self.pair.split(which)

    @precondition(lambda self: not self.filled)  # once a run: these are slow, and crowd out everything else
    @rule(count=st.integers(2, 5), pad=st.integers(300_000, 400_000), read=st.data())
    def pages_of_a_megabyte(self, count: int, pad: int, read: st.DataObject) -> None:
        self.filled = True
        for number in ("-1", "0", "1", "1.5", "2")[:count]:
            self.ask(("PutItem", {"TableName": "plain", "Item": {"id": {"N": number}, "pad": {"S": "x" * pad}}}))
        self.ask(("Scan", {"TableName": "plain", "ConsistentRead": True, "ReturnConsumedCapacity": "TOTAL"}))
        for _ in range(2):
            self.ask(read.draw(requests_of(self.requests.next_page), label="next page"))

    def teardown(self) -> None:
        if hasattr(self, "pair"):
            told["records of streams"] += self.pair.compare_all()
            told["records of feeds"] += self.pair.compare_feeds()
            told.update(self.pair.answered)
            told["halves made"] += self.pair.splits


class LockstepOfSettings(Lockstep):
    """The same, and settings that take a while to come through: destinations and insights."""

    @rule(
        data=st.data(),
        setting=st.sampled_from(SETTINGS),
        action=st.sampled_from(KINESIS),
        stream=st.sampled_from(("a", "b")),
        precision=st.sampled_from(("", "MILLISECOND", "MICROSECOND")),
        index=st.sampled_from(("", "late", "nowhere")),
        mode=st.sampled_from(("", "THROTTLED_KEYS")),
    )
    def a_destination_and_insights_change(
        self,
        data: st.DataObject,
        setting: Request,
        action: str,
        stream: str,
        precision: str,
        index: str,
        mode: str,
    ) -> None:
        body: Body = {"TableName": "plain", "StreamArn": f"arn:aws:kinesis:us-east-1:000000000000:stream/{stream}"}
        member = f"{'Update' if action == 'Update' else 'Enable'}KinesisStreamingConfiguration"
        if precision:
            body[member] = {"ApproximateCreationDateTimePrecision": precision}
        place: Body = {"TableName": "plain"} | ({"IndexName": index} if index else {})
        asked: Body = {**place, "ContributorInsightsAction": "DISABLE" if action == "Disable" else "ENABLE"}
        asked |= {"ContributorInsightsMode": mode} if mode else {}
        for name, request in (
            (f"{action}KinesisStreamingDestination", body),
            ("UpdateContributorInsights", asked),
        ):
            told[name] += not isinstance(self.pair.call(name, request), DynamoError)
        self.pair.wait(STEP_NS)
        self.ask(("DescribeKinesisStreamingDestination", {"TableName": "plain"}))
        self.ask(("DescribeContributorInsights", place))
        self.ask(("ListContributorInsights", {"MaxResults": 2}))
        self.some_requests(data, setting)  # which the destination is told of, or not


def met_all() -> bool:
    """Whether a run has met what a short one may miss."""
    return all(told[seldom] for seldom in SELDOM) and told["indexes that came"] > told["indexes that went"]


def test_model_and_service_answer_alike_step_by_step() -> None:
    told.clear()
    runs = max(1, STEPS // (STEPS_A_RUN * REQUESTS_A_STEP))
    how = settings(
        max_examples=runs,
        stateful_step_count=STEPS_A_RUN,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    # What a short run may miss (a page of 1 MB needs a few large items in one table), it goes on for until it has met
    # it. Each turn has a seed of its own, or a suite that is the same every time would make the same requests again.
    turn = SEED
    while (steps := told["ok"] + told["refused"]) < STEPS or (steps < 6 * STEPS and not met_all()):
        turn += 1
        run_state_machine_as_test(seed(turn)(LockstepOfSettings), settings=how)
    print(f"lockstep: {told['ok'] + told['refused']} steps without a difference; {dict(told)}")
    assert told["ok"] > told["refused"] > 0
    assert told["pages of indexes"] > STEPS // 30
    assert told["pages of long keys"] > STEPS // 150
    assert told["indexes that came"] > told["indexes that went"]
    assert [seldom for seldom in SELDOM if told[seldom] <= 0] == []
    assert told["TransactionCanceledException"] > STEPS // 50
    assert told["done under a token"] > STEPS // 100
    for operation in (
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "GetItem",
        "BatchGetItem",
        "ExecuteStatement",
        "TransactGetItems",
    ):
        assert told[operation] > STEPS // 150, operation


def test_the_same_seed_makes_the_same_requests_and_another_makes_others() -> None:
    def first(seed: int) -> list[Request]:
        requests, chance = Requests(SHAPES, bad_one_in=10), seeded(seed)
        return [requests.make(chance) for _ in range(200)]

    assert first(7) == first(7)
    assert first(7) != first(8)


def test_a_service_that_charges_differently_is_shown_by_a_script_that_ends_in_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dearer(state: State, operation: Operation, now_ns: int) -> tuple[State, Body | DynamoError]:
        state, answer = apply(state, operation, now_ns)
        if isinstance(operation, GetItem) and not isinstance(answer, DynamoError) and "ConsumedCapacity" in answer:
            answer = {**answer, "ConsumedCapacity": {"TableName": operation.table, "CapacityUnits": 0.5}}
        return state, answer

    pair = Pair()
    pair.create(SHAPES[1])
    pair.call("PutItem", {"TableName": "plain", "Item": {"id": {"N": "1"}, "b": {"B": "AQI="}}})
    read: dict[str, Any] = {"TableName": "plain", "Key": {"id": {"N": "1"}}, "ConsistentRead": True}
    pair.call("GetItem", read)
    monkeypatch.setattr(lockstep, "apply", dearer)
    with pytest.raises(Difference) as caught:
        pair.call("GetItem", {**read, "ReturnConsumedCapacity": "TOTAL"})
    script = str(caught.value).partition("\n")[2]
    calls = [node for node in ast.walk(ast.parse(script)) if isinstance(node, ast.Call)]
    asked = [ast.literal_eval(call.args[0]) for call in calls if getattr(call.func, "id", "") == "call"]
    assert sorted(asked) == ["CreateTable", "GetItem", "GetItem", "PutItem"]
    assert 'b"\\x01\\x02"' in script.replace("'", '"'), "boto3 takes bytes, not base64"
    assert script.rindex("GetItem") < script.rindex("# model answered:") < script.rindex("'CapacityUnits': 1.0")


def test_what_hypothesis_finds_comes_out_as_a_short_script(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(state: State, operation: Operation, now_ns: int) -> tuple[State, Body | DynamoError]:
        after, answer = apply(state, operation, now_ns)
        return (state if isinstance(operation, PutItem) else after), answer

    monkeypatch.setattr(lockstep, "apply", forgetful)
    how = settings(
        max_examples=60,
        stateful_step_count=STEPS_A_RUN,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(Difference, match="model and service differ") as caught:
        run_state_machine_as_test(Lockstep, settings=how)
    assert "PutItem" in str(caught.value)
