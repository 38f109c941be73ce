"""PartiQL's rows."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

NUMBER = count()
ONE, TWO = {"N": "1"}, {"N": "2"}


def run(service: Any, statement: str, /, *parameters: Any, **members: Any) -> Any:
    given = {"Parameters": list(parameters)} if parameters else {}
    return service("ExecuteStatement", Statement=statement, **given, **members)


def refused(service: Any, statement: str, /, *parameters: Any, **members: Any) -> Any:
    given = {"Parameters": list(parameters)} if parameters else {}
    return service.refused("ExecuteStatement", Statement=statement, **given, **members)


def fresh(service: Any, **attributes: Any) -> str:
    """The partition key of a new item with these attributes."""
    name = f"partiql {next(NUMBER)}"
    service.put("Hash", pk={"S": name}, **attributes)
    return name


@pytest.fixture
def rows(service: Any) -> Any:
    """Three items of one collection, n 1–3; the second without m."""
    for letter, more in (("a", {"m": ONE}), ("b", {}), ("c", {"m": TWO})):
        n = {"N": str("abc".index(letter) + 1)}
        service.put("Range", pk={"S": "partiql"}, sk={"S": letter}, n=n, g={"S": "group"}, h=n, **more)
    return service


def letters(answer: Any) -> str:
    return "".join(item["sk"]["S"] for item in answer["Items"])


@pytest.mark.row("operation:ExecuteStatement", "partiql:select")
def test_a_select_by_key_returns_the_collection_in_order(rows: Any) -> None:
    assert letters(run(rows, "SELECT sk FROM \"Range\" WHERE pk = 'partiql'", ConsistentRead=True)) == "abc"
    descending = "SELECT * FROM \"Range\" WHERE pk = 'partiql' ORDER BY sk DESC"
    assert letters(run(rows, descending, ConsistentRead=True)) == "cba"
    one = run(rows, "SELECT n FROM \"Range\" WHERE pk = 'partiql' AND sk = 'b'", ConsistentRead=True)
    assert one["Items"] == [{"n": TWO}]


@pytest.mark.row("partiql:scan")
def test_a_select_without_the_partition_key_reads_the_whole_table(rows: Any) -> None:
    assert letters(run(rows, 'SELECT * FROM "Range" WHERE n = 3 AND m = 2', ConsistentRead=True)) == "c"


@pytest.mark.row("partiql:index")
def test_a_select_from_an_index_names_both_in_quotes(rows: Any) -> None:
    answer = run(rows, 'SELECT sk FROM "Range"."by_g" WHERE g = \'group\' AND h >= 2')
    assert letters(answer) == "bc"
    error = refused(rows, 'SELECT * FROM "Range"."by_g" WHERE g = \'group\'', ConsistentRead=True)
    assert (error.code, error.message) == (
        "ValidationException",
        "Consistent reads are not supported on global secondary indexes",
    )


@pytest.mark.row("partiql:insert", "partiql:writes-answer-no-items")
def test_an_insert_makes_one_item(service: Any) -> None:
    name = f"inserted {next(NUMBER)}"
    answer = run(service, f"INSERT INTO \"Hash\" VALUE {{'pk': '{name}', 'n': 1}}")
    assert answer.get("Items", []) == []
    assert service.get("Hash", pk={"S": name}) == {"pk": {"S": name}, "n": ONE}


@pytest.mark.row("partiql:insert-duplicate", "error:DuplicateItem")
def test_an_insert_over_an_existing_key_is_refused(service: Any) -> None:
    name = fresh(service)
    error = refused(service, f"INSERT INTO \"Hash\" VALUE {{'pk': '{name}'}}")
    assert (error.status, error.code, error.message) == (
        400,
        "DuplicateItemException",
        "Duplicate primary key exists in table",
    )


@pytest.mark.row("partiql:update")
def test_an_update_sets_removes_and_returns(service: Any) -> None:
    name = fresh(service, a=ONE, b=ONE)
    returned = run(service, f"UPDATE \"Hash\" SET a = a + 1 REMOVE b WHERE pk = '{name}' RETURNING ALL NEW *")
    assert returned["Items"] == [{"pk": {"S": name}, "a": TWO}]
    returned = run(service, f"UPDATE \"Hash\" SET a = 1 WHERE pk = '{name}' RETURNING MODIFIED OLD *")
    assert returned["Items"] == [{"a": TWO}]
    assert run(service, f"UPDATE \"Hash\" SET a = 2 WHERE pk = '{name}'").get("Items", []) == []


@pytest.mark.row("partiql:no-upsert")
def test_an_update_of_no_item_or_with_a_false_condition_fails(service: Any) -> None:
    error = refused(service, "UPDATE \"Hash\" SET a = 1 WHERE pk = 'partiql nobody'")
    assert (error.code, error.message) == ("ConditionalCheckFailedException", "The conditional request failed")
    assert service.get("Hash", pk={"S": "partiql nobody"}) is None
    name = fresh(service, a=ONE)
    error = refused(service, f"UPDATE \"Hash\" SET a = 5 WHERE pk = '{name}' AND a = 2")
    assert error.code == "ConditionalCheckFailedException"
    assert service.get("Hash", pk={"S": name})["a"] == ONE


@pytest.mark.row("partiql:update-needs-key")
def test_an_update_names_the_whole_key(service: Any) -> None:
    error = refused(service, "UPDATE \"Range\" SET a = 1 WHERE pk = 'partiql'")
    assert (error.code, error.message) == (
        "ValidationException",
        "Where clause does not contain a mandatory equality on all key attributes",
    )


@pytest.mark.row("partiql:delete")
def test_a_delete_of_no_item_succeeds_and_a_false_condition_fails(service: Any) -> None:
    assert run(service, "DELETE FROM \"Hash\" WHERE pk = 'partiql nobody'").get("Items", []) == []
    name = fresh(service, a=ONE)
    error = refused(service, f"DELETE FROM \"Hash\" WHERE pk = '{name}' AND a = 2")
    assert error.code == "ConditionalCheckFailedException"
    returned = run(service, f"DELETE FROM \"Hash\" WHERE pk = '{name}' AND a = 1 RETURNING ALL OLD *")
    assert returned["Items"] == [{"pk": {"S": name}, "a": ONE}]
    assert service.get("Hash", pk={"S": name}) is None


@pytest.mark.parametrize(
    ("where", "found"),
    [
        pytest.param("m IS MISSING", "b", marks=pytest.mark.row("partiql:functions")),
        pytest.param("m IS NOT MISSING", "ac", marks=pytest.mark.row("partiql:functions")),
        pytest.param("begins_with(g, 'gr') AND n = 1", "a", marks=pytest.mark.row("partiql:functions")),
        pytest.param("contains(g, 'rou') AND n = 1", "a", marks=pytest.mark.row("partiql:functions")),
        pytest.param("size(g) = 5 AND n = 1", "a", marks=pytest.mark.row("partiql:functions")),
        pytest.param("attribute_type(m, 'N')", "ac", marks=pytest.mark.row("partiql:functions")),
        pytest.param("n <> 1", "bc", marks=pytest.mark.row("partiql:operators")),
        pytest.param("n != 1", "bc", marks=pytest.mark.row("partiql:operators")),
        pytest.param("n BETWEEN 2 AND 3 AND NOT n = 2", "c", marks=pytest.mark.row("partiql:operators")),
        pytest.param("n IN [1, 3]", "ac", marks=pytest.mark.row("partiql:operators")),
        pytest.param("n = 1 or N = 2 Or n = 3", "ac", marks=pytest.mark.row("partiql:case")),
        pytest.param("m <> 1", "c", marks=pytest.mark.row("partiql:missing-not-equal")),
        pytest.param("NOT m = 1", "bc", marks=pytest.mark.row("partiql:missing-not-equal")),
    ],
)
def test_a_where_clause_selects(rows: Any, where: str, found: str) -> None:
    statement = f"SELECT sk FROM \"Range\" WHERE pk = 'partiql' AND ({where})"
    assert letters(run(rows, statement, ConsistentRead=True)) == found


@pytest.mark.row("partiql:set-functions")
def test_lists_and_sets_are_changed_by_functions(service: Any) -> None:
    name = fresh(service, l={"L": [ONE]}, s={"SS": ["a"]}, t={"SS": ["a", "b"]})
    run(
        service,
        "UPDATE \"Hash\" SET l = list_append(l, [2]) SET s = set_add(s, <<'b'>>) SET t = set_delete(t, <<'a'>>) "
        f"WHERE pk = '{name}'",
    )
    item = service.get("Hash", pk={"S": name})
    assert item["l"] == {"L": [ONE, TWO]}
    assert sorted(item["s"]["SS"]) == ["a", "b"]
    assert item["t"] == {"SS": ["b"]}


@pytest.mark.row("partiql:literals", "partiql:quoted-names")
def test_every_type_has_a_literal_but_binary(service: Any) -> None:
    name = f"literals {next(NUMBER)}"
    run(
        service,
        f"INSERT INTO \"Hash\" VALUE {{'pk': '{name}', 's': 'it''s', 'n': -1.5, 't': TRUE, 'z': NULL, 'l': [1, 'a'], "
        "'m': {'k': 2}, 'ss': <<'a'>>, 'ns': <<1>>, 'b': ?, 'status': 'x'}",
        {"B": "AAE="},
    )
    assert service.get("Hash", pk={"S": name}) == {
        "pk": {"S": name},
        "s": {"S": "it's"},
        "n": {"N": "-1.5"},
        "t": {"BOOL": True},
        "z": {"NULL": True},
        "l": {"L": [ONE, {"S": "a"}]},
        "m": {"M": {"k": TWO}},
        "ss": {"SS": ["a"]},
        "ns": {"NS": ["1"]},
        "b": {"B": "AAE="},
        "status": {"S": "x"},
    }
    answer = run(service, f'SELECT "status" FROM "Hash" WHERE "pk" = \'{name}\'', ConsistentRead=True)
    assert answer["Items"] == [{"status": {"S": "x"}}]


@pytest.mark.row("partiql:parameters")
def test_parameters_stand_in_order_and_their_count_must_match(rows: Any) -> None:
    statement = 'SELECT sk FROM "Range" WHERE pk = ? AND sk = ?'
    assert letters(run(rows, statement, {"S": "partiql"}, {"S": "b"}, ConsistentRead=True)) == "b"
    assert refused(rows, statement, {"S": "partiql"}).code == "ValidationException"
    assert refused(rows, statement, *[{"S": "partiql"}] * 3).code == "ValidationException"


@pytest.mark.row("partiql:next-token")
def test_a_limit_counts_evaluated_items_and_a_token_goes_on(rows: Any) -> None:
    statement = "SELECT sk FROM \"Range\" WHERE pk = 'partiql' AND n <> 2"
    first = run(rows, statement, Limit=2, ConsistentRead=True)
    assert letters(first) == "a"
    assert first["LastEvaluatedKey"] == {"pk": {"S": "partiql"}, "sk": {"S": "b"}}
    rest = run(rows, statement, NextToken=first["NextToken"], ConsistentRead=True)
    assert letters(rest) == "c"
    other = "SELECT sk FROM \"Range\" WHERE pk = 'other'"
    assert refused(rows, other, NextToken=first["NextToken"]).code == "ValidationException"


@pytest.mark.row("partiql:malformed")
@pytest.mark.parametrize(
    "statement", ["SELEC * FROM t", "SELECT FROM t", "INSERT INTO t {'a': 1}", "UPDATE t WHERE a = 1"]
)
def test_a_statement_that_is_none_is_told_so(service: Any, statement: str) -> None:
    error = refused(service, statement)
    assert error.code == "ValidationException"
    assert error.message.startswith("Statement wasn't well formed, can't be processed: ")


@pytest.mark.row("partiql:no-count")
def test_there_is_no_count(service: Any) -> None:
    error = refused(service, 'SELECT COUNT(*) FROM "Hash"')
    assert (error.code, error.message) == ("ValidationException", "Unexpected path component at 1:8:5")


@pytest.mark.row("partiql:statement-length")
def test_a_statement_has_8192_characters_at_most(service: Any) -> None:
    statement = "SELECT * FROM \"Hash\" WHERE pk = 'x'"
    assert run(service, statement.ljust(8192))["Items"] == []
    error = refused(service, statement.ljust(8193))
    assert error.message.endswith(
        "at 'statement' failed to satisfy constraint: Member must have length less than or equal to 8192"
    )


@pytest.mark.row("partiql:ordering-types")
def test_an_ordering_of_truth_values_is_refused_before_the_table_is_looked_up(service: Any) -> None:
    assert refused(service, 'SELECT * FROM "Nowhere" WHERE a < TRUE').code == "ValidationException"
    assert refused(service, 'SELECT * FROM "Nowhere" WHERE a < 1').code == "ResourceNotFoundException"


@pytest.mark.row("partiql:capacity")
def test_a_statement_costs_what_the_operation_costs(service: Any) -> None:
    name = fresh(service, fill={"S": "x" * 5_000})
    read = run(
        service,
        f"SELECT pk FROM \"Hash\" WHERE pk = '{name}'",
        ConsistentRead=True,
        ReturnConsumedCapacity="TOTAL",
    )
    assert read["ConsumedCapacity"]["CapacityUnits"] == 2.0
    write = run(service, f"DELETE FROM \"Hash\" WHERE pk = '{name}'", ReturnConsumedCapacity="TOTAL")
    assert write["ConsumedCapacity"]["CapacityUnits"] == 5.0


# --- batches ----------------------------------------------------------------------------------------------------------


def statements(*texts: str) -> list[dict[str, Any]]:
    return [{"Statement": text} for text in texts]


@pytest.mark.row("operation:BatchExecuteStatement", "partiql:batch-reads")
def test_a_batch_of_reads_answers_each_in_its_place(service: Any) -> None:
    name = fresh(service, a=ONE)
    here, gone = (f"SELECT a FROM \"Hash\" WHERE pk = '{key}'" for key in (name, "partiql nobody"))
    answer = service(
        "BatchExecuteStatement", Statements=[{"Statement": s, "ConsistentRead": True} for s in (gone, here)]
    )
    assert answer["Responses"] == [{"TableName": "Hash"}, {"TableName": "Hash", "Item": {"a": ONE}}]


@pytest.mark.row("partiql:batch-not-atomic")
def test_a_member_that_fails_leaves_the_others(service: Any) -> None:
    name = fresh(service, a=ONE)
    new = f"batch insert {next(NUMBER)}"
    answer = service(
        "BatchExecuteStatement",
        Statements=statements(
            f"UPDATE \"Hash\" SET a = 5 WHERE pk = '{name}' AND a = 2",
            f"INSERT INTO \"Hash\" VALUE {{'pk': '{new}'}}",
            "DELETE FROM \"Nowhere\" WHERE pk = 'x'",
        ),
    )
    failed, done, missing = answer["Responses"]
    assert failed["Error"] == {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    assert failed["TableName"] == "Hash"
    assert done == {"TableName": "Hash"}
    assert missing["Error"]["Code"] == "ResourceNotFound"
    assert service.get("Hash", pk={"S": new}) == {"pk": {"S": new}}


@pytest.mark.row("partiql:batch-duplicate")
def test_an_insert_over_an_existing_key_has_its_code_in_a_batch(service: Any) -> None:
    name = fresh(service)
    answer = service("BatchExecuteStatement", Statements=statements(f"INSERT INTO \"Hash\" VALUE {{'pk': '{name}'}}"))
    assert answer["Responses"][0]["Error"] == {
        "Code": "DuplicateItem",
        "Message": "Duplicate primary key exists in table",
    }


@pytest.mark.row("partiql:batch-mixed")
def test_a_batch_reads_or_writes(service: Any) -> None:
    error = service.refused(
        "BatchExecuteStatement",
        Statements=statements("SELECT * FROM \"Hash\" WHERE pk = 'a'", "DELETE FROM \"Hash\" WHERE pk = 'b'"),
    )
    assert (error.code, error.message) == (
        "ValidationException",
        "Read and write requests together in the same batch is not supported.",
    )


@pytest.mark.row("partiql:batch-25")
def test_a_batch_holds_25_statements_at_most(service: Any) -> None:
    many = statements(*(f"SELECT * FROM \"Hash\" WHERE pk = 'many {number}'" for number in range(26)))
    assert len(service("BatchExecuteStatement", Statements=many[:25])["Responses"]) == 25
    error = service.refused("BatchExecuteStatement", Statements=many)
    assert error.message.endswith(
        "at 'statements' failed to satisfy constraint: Member must have length less than or equal to 25"
    )


@pytest.mark.row("partiql:batch-same-item")
def test_a_batch_does_not_name_an_item_twice(service: Any) -> None:
    twice = statements(*["DELETE FROM \"Hash\" WHERE pk = 'twice'"] * 2)
    assert service.refused("BatchExecuteStatement", Statements=twice).code == "ValidationException"
