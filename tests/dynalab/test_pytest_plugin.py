"""The fixture `dynalab_endpoint`, used by a project of somebody else."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

PROJECT = """
    import time

    import pytest

    @pytest.fixture
    def table(dynalab_endpoint):
        client = dynalab_endpoint.client()
        client.create_table(
            TableName="orders",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        while client.describe_table(TableName="orders")["Table"]["TableStatus"] != "ACTIVE":
            time.sleep(0.01)
        return client

    def key(name):
        return {"pk": {"S": name}}

    @pytest.mark.parametrize("round", range(3))
    def test_each_test_finds_an_empty_table(table, round):
        assert table.scan(TableName="orders", ConsistentRead=True)["Count"] == 0
        table.put_item(TableName="orders", Item=key("a"))

    def test_a_fault_can_be_put_on(table, dynalab_endpoint):
        dynalab_endpoint.fault("fail", operation="PutItem", table="orders", when="after")
        with pytest.raises(table.exceptions.InternalServerError):
            table.put_item(TableName="orders", Item=key("a"))
        assert table.get_item(TableName="orders", Key=key("a"), ConsistentRead=True)["Item"] == key("a")
        assert '"type": "info"' in dynalab_endpoint.history()
        with pytest.raises(ValueError, match="there is no fault"):
            dynalab_endpoint.fault("earthquake")

    def test_the_fault_of_the_last_test_is_off(table):
        table.put_item(TableName="orders", Item=key("a"))

    def test_resources_work_too(dynalab_endpoint):
        assert list(dynalab_endpoint.resource().tables.all()) == []
"""


def test_tests_get_fresh_tables_faults_and_a_history(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PROJECT)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=6)


MARKED = """
    import pytest

    pytestmark = pytest.mark.dynalab_fault("throttle", operation="CreateTable")

    def make(endpoint):
        endpoint.client().create_table(
            TableName="orders",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )

    @pytest.mark.dynalab_fault("fail", operation="CreateTable", nth=1, when="before")
    def test_faults_of_the_module_come_before_those_of_the_test(dynalab_endpoint):
        with pytest.raises(Exception, match="ProvisionedThroughputExceeded"):
            make(dynalab_endpoint)
        assert [fault["fault"] for fault in dynalab_endpoint.faults()] == ["throttle", "fail"]
        with pytest.raises(Exception, match="InternalServerError"):
            make(dynalab_endpoint)
        make(dynalab_endpoint)

    @pytest.mark.dynalab_fault("deny", operation="ListTables")
    @pytest.mark.dynalab_fault("deny", operation="CreateTable")
    def test_of_somebody_who_may_not(dynalab_endpoint):
        with pytest.raises(Exception, match="ProvisionedThroughputExceeded"):
            make(dynalab_endpoint)
        with pytest.raises(Exception, match="not authorized to perform: dynamodb:CreateTable"):
            make(dynalab_endpoint)
        with pytest.raises(Exception, match="AccessDenied"):
            dynalab_endpoint.client().list_tables()

    def test_that_asks_for_nothing(dynalab_endpoint):
        dynalab_endpoint.client().list_tables()

    @pytest.mark.dynalab_fault("earthquake")
    def test_of_a_fault_that_there_is_not(dynalab_endpoint):
        pass

    def test_without_the_fixture():
        pass
"""


def test_a_marked_fault_is_on_from_the_first_call_and_one_that_hit_nothing_is_an_error(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(MARKED)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--strict-markers")
    result.assert_outcomes(passed=4, errors=2)
    result.stdout.fnmatch_lines(["dynalab_fault: throttle hit nothing, so this test shows nothing"])
    result.stdout.fnmatch_lines(["*there is no fault 'earthquake'*"])


def test_workers_of_xdist_have_an_endpoint_each(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PROJECT)
    result = pytester.runpytest_subprocess("-n", "2", "-k", "each_test", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3)


def test_nothing_is_imported_before_a_test_asks_for_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_what_is_loaded():
            loaded = {name for name in sys.modules if name.split(".")[0].startswith(("dynalab", "boto"))}
            assert loaded == {"dynalab", "dynalab.pytest_plugin"}
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_plugin_itself_imports_pytest_alone() -> None:
    program = (
        "import sys; import pytest; import dynalab.pytest_plugin; heavy = ('dynalab', 'boto3', 'click', 'httptools'); "
        "print(sorted(n for n in sys.modules if n.split('.')[0] in heavy or n.startswith('dynalab_')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "['dynalab', 'dynalab.pytest_plugin']"
