"""ExecuteTransaction on the reference machine: statements that happen together (expressions.md §10)."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model.errors import DynamoError
from tests.model.songs import Machine, key, some_songs, song

ABBA = "artist = 'abba' AND \"year\" = 1974"
NONE, FAILED = {"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
DUPLICATE = {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}


def together(machine: Machine, *statements: str, parameters: tuple[Any, ...] = (), **members: Any) -> Any:
    """What a transaction of these statements answers; `parameters` are the last one's."""
    given: list[dict[str, Any]] = [{"Statement": statement} for statement in statements]
    if parameters:
        given[-1]["Parameters"] = list(parameters)
    return machine("ExecuteTransaction", TransactStatements=given, **members)


def refused(machine: Machine, *statements: str, **members: Any) -> DynamoError:
    with pytest.raises(DynamoError) as caught:
        together(machine, *statements, **members)
    return caught.value


def insert(artist: str, year: int) -> str:
    return f"INSERT INTO Songs VALUE {{'artist': '{artist}', 'year': {year}}}"


def reasons(machine: Machine, *statements: str, **members: Any) -> Any:
    error = refused(machine, *statements, **members)
    assert error.code == "TransactionCanceledException", str(error)
    return error.extra["CancellationReasons"]


def test_writes_happen_together_and_answer_an_empty_member_each() -> None:
    machine = some_songs()
    answer = together(
        machine,
        insert("cher", 1998),
        f"UPDATE Songs SET stars = 3 WHERE {ABBA}",
        "DELETE FROM Songs WHERE artist = 'blur' AND \"year\" = 1994",
        "EXISTS(SELECT * FROM Songs WHERE artist = 'abba' AND \"year\" = 1976 AND stars = ?)",
        parameters=({"N": "4"},),
    )
    assert answer == {"Responses": [{}, {}, {}, {}]}
    assert machine.get("cher", 1998) == key("cher", 1998)
    assert machine.get("abba", 1974)["stars"] == {"N": "3"}
    assert machine.get("blur", 1994) is None


def test_one_that_may_not_be_done_keeps_all_from_happening() -> None:
    machine = some_songs()
    assert reasons(
        machine,
        insert("cher", 1998),
        insert("abba", 1974),
        "UPDATE Songs SET stars = 3 WHERE artist = 'nobody' AND \"year\" = 1",
        "DELETE FROM Songs WHERE artist = 'blur' AND \"year\" = 1994 AND stars = 5",
        "DELETE FROM Songs WHERE artist = 'nobody' AND \"year\" = 2",
    ) == [NONE, DUPLICATE, FAILED, FAILED, NONE]
    assert machine.get("cher", 1998) is None


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        (f"{ABBA} AND stars > 4", True),
        (f"{ABBA} AND stars > 5", False),
        (f"{ABBA} AND info IS MISSING", True),
        ("artist = 'nobody' AND \"year\" = 1 AND stars IS MISSING", False),
        (f"{ABBA} AND (stars = 1 OR genre = 'pop')", True),
        (f"{ABBA} AND NOT stars = 5", False),
    ],
)
def test_exists_holds_of_an_item_that_is_there_and_is_as_it_says(where: str, holds: bool) -> None:
    machine = some_songs()
    statements = (f"EXISTS(SELECT * FROM Songs WHERE {where})", insert("cher", 1998))
    if holds:
        assert together(machine, *statements) == {"Responses": [{}, {}]}
    else:
        assert reasons(machine, *statements) == [FAILED, NONE]


def test_reads_answer_in_order_and_apply_the_rest_of_their_where() -> None:
    machine = some_songs()
    answer = together(
        machine,
        f"SELECT stars, tags FROM Songs WHERE {ABBA}",
        "SELECT * FROM Songs WHERE artist = 'abba' AND \"year\" = 1980 AND stars < 4",
        "SELECT stars FROM Songs WHERE artist = 'abba' AND \"year\" = 1976 AND stars >= 4",
        "SELECT * FROM Songs WHERE artist = 'nobody' AND \"year\" = 1",
        "SELECT info FROM Songs WHERE artist = 'blur' AND \"year\" = 1994",
    )
    assert answer == {
        "Responses": [
            {"Item": {"stars": {"N": "5"}, "tags": {"SS": ["a", "b"]}}},
            {},
            {"Item": {"stars": {"N": "4"}}},
            {},
            {},
        ]
    }


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (
            (f"SELECT * FROM Songs WHERE {ABBA}", insert("cher", 1998)),
            "ExecuteTransaction API does not support both read and write operations in the same request.",
        ),
        (
            (f"SELECT * FROM Songs WHERE {ABBA}", f"EXISTS(SELECT * FROM Songs WHERE {ABBA} AND stars = 1)"),
            "ExecuteTransaction API does not support both read and write operations in the same request.",
        ),
        (
            (f"UPDATE Songs SET stars = 1 WHERE {ABBA} RETURNING ALL OLD *",),
            "RETURNING clause is not supported in ExecuteTransaction",
        ),
        (("SELECT * FROM Songs WHERE artist = ?",), "Number of parameters in request and statement don't match."),
        (
            (insert("cher", 1998), f"DELETE FROM Songs WHERE {ABBA.replace('1974', '1998').replace('abba', 'cher')}"),
            "Transaction request cannot include multiple operations on one item",
        ),
    ],
)
def test_what_is_no_transaction_is_refused_as_a_whole(statements: tuple[str, ...], words: str) -> None:
    machine = some_songs()
    error = refused(machine, *statements)
    assert (error.code, error.message) == ("ValidationException", words)
    assert machine.get("cher", 1998) is None


def test_a_text_that_is_no_statement_refuses_the_whole() -> None:
    error = refused(some_songs(), insert("cher", 1998), "DELETE Songs")
    assert error.code == "ValidationException"
    assert error.message.startswith("Statement wasn't well formed, can't be processed: ")


def test_exists_is_for_transactions_alone() -> None:
    words = some_songs().refused(f"EXISTS(SELECT * FROM Songs WHERE {ABBA} AND stars = 1)")
    assert words == "ValidationException: EXISTS is only allowed in ExecuteTransaction"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "UPDATE Songs SET stars = 1 WHERE artist = 'abba'",
            "Where clause does not contain a mandatory equality on all key attributes",
        ),
        (
            f"EXISTS(SELECT * FROM Songs WHERE {ABBA})",
            "EXISTS must have a condition besides those on the primary key",
        ),
        (
            'EXISTS(SELECT * FROM "Songs"."by-genre" WHERE genre = \'pop\' AND "year" = 1974 AND stars = 1)',
            "EXISTS cannot look at an index",
        ),
        (
            "EXISTS(SELECT * FROM Songs WHERE artist = 'abba' AND stars = 1)",
            "Where clause does not contain a mandatory equality on all key attributes",
        ),
    ],
)
def test_a_write_that_does_not_fit_its_table_is_a_reason_in_its_place(statement: str, words: str) -> None:
    machine = some_songs()
    assert reasons(machine, insert("cher", 1998), statement) == [NONE, {"Code": "ValidationError", "Message": words}]
    assert machine.get("cher", 1998) is None


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM Songs WHERE artist = 'abba'",
        "SELECT * FROM Songs WHERE artist = 'abba' AND \"year\" IN (1974, 1976)",
        'SELECT * FROM "Songs"."by-genre" WHERE genre = \'pop\' AND "year" = 1974',
        "SELECT * FROM Songs",
    ],
)
def test_a_read_names_one_whole_key_of_the_table(statement: str) -> None:
    words = "Select statements within ExecuteTransaction must specify the primary key in the where clause."
    assert reasons(some_songs(), statement) == [{"Code": "ValidationError", "Message": words}]


def test_the_item_comes_with_a_failed_condition_where_it_was_asked_for() -> None:
    machine = Machine(song("abba", 1974, stars={"N": "5"}))
    statements = [
        {"Statement": f"DELETE FROM Songs WHERE {ABBA} AND stars = 1", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    ]
    with pytest.raises(DynamoError) as caught:
        machine("ExecuteTransaction", TransactStatements=statements)
    assert caught.value.extra["CancellationReasons"] == [{**FAILED, "Item": song("abba", 1974, stars={"N": "5"})}]


def test_a_token_repeats_the_outcome_and_belongs_to_one_request() -> None:
    machine = some_songs()
    count = f"UPDATE Songs SET stars = stars + 1 WHERE {ABBA}"
    for _ in range(2):
        assert together(machine, count, ClientRequestToken="t") == {"Responses": [{}]}
    assert machine.get("abba", 1974)["stars"] == {"N": "6"}
    assert refused(machine, insert("cher", 1998), ClientRequestToken="t").code == "IdempotentParameterMismatchException"
    again = [reasons(machine, insert("abba", 1974), ClientRequestToken="u") for _ in range(2)]
    assert again == [[DUPLICATE], [DUPLICATE]]


def test_it_costs_what_the_native_transaction_costs() -> None:
    machine = some_songs()
    answer = together(machine, insert("cher", 1998), insert("cher", 2002), ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"] == [{"TableName": "Songs", "CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}]
    select = f"SELECT tags FROM Songs WHERE {ABBA} AND stars = 1"
    answer = together(machine, select, ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"] == [{"TableName": "Songs", "CapacityUnits": 2.0, "ReadCapacityUnits": 2.0}]


def test_a_missing_table_is_not_found() -> None:
    assert refused(some_songs(), "DELETE FROM Nowhere WHERE a = 1").code == "ResourceNotFoundException"


def test_a_hundred_statements_are_a_transaction_and_more_are_not() -> None:
    machine = some_songs()
    hundred = [insert("cher", year) for year in range(100)]
    assert len(together(machine, *hundred)["Responses"]) == 100
    error = refused(machine, *hundred, insert("cher", 100))
    assert error.message.endswith(
        "at 'transactStatements' failed to satisfy constraint: Member must have length less than or equal to 100"
    )
