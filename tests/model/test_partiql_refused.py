"""PartiQL: what is refused, when and in which words (expressions.md §10, api.md §3, §7). Expectations are literal."""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model.errors import DynamoError
from dynalab_model.operations import ExecuteStatement
from dynalab_model.requests import parse
from tests.model.songs import Machine, some_songs

MALFORMED = "Statement wasn't well formed, can't be processed: "


@pytest.fixture
def machine() -> Machine:
    return some_songs()


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("SELECT COUNT(*) FROM Songs", "Unexpected path component at 1:8:5"),
        ("SELECT a,\n  size(b) FROM Songs", "Unexpected path component at 2:3:4"),
        ("SELEKT * FROM Songs", MALFORMED + "Unexpected term at 1:1:6"),
        ("SELECT * FROM Songs WHERE", MALFORMED + "Unexpected end of statement"),
        ("SELECT * FROM Songs GROUP BY a", MALFORMED + "Unexpected term at 1:21:5"),
        ("SELECT * FROM Songs LIMIT 5", MALFORMED + "Unexpected term at 1:21:5"),
        ("SELECT * FROM Songs, Others", MALFORMED + "Unexpected term at 1:20:1"),
        ("SELECT * FROM Songs WHERE a = 'open", MALFORMED + "Unexpected term at 1:31:1"),
        ("SELECT * FROM Songs WHERE stars", MALFORMED + "Expected a condition behind WHERE"),
        ("SELECT * FROM Songs WHERE a = 1 AND stars", MALFORMED + "Expected a condition beside AND"),
        ("SELECT * FROM Songs WHERE (a = 1) = 2", MALFORMED + "Expected a value beside ="),
        ("SELECT * FROM Songs.by WHERE genre = 'pop'", MALFORMED + "A table and its index must both stand in double quotes"),
        ("SELECT * FROM Songs WHERE size(a) IS MISSING", MALFORMED + "Expected an attribute before IS MISSING"),
        ("SELECT a[1.5] FROM Songs", MALFORMED + "Expected an index instead of 1.5"),
        ("SELECT * FROM Songs WHERE artist = 'a' ORDER BY year UP", MALFORMED + "Unexpected term UP in ORDER BY"),
        ("UPDATE Songs SET n = 1 + 2 - 3 WHERE artist = 'a' AND year = 1", MALFORMED + "Unexpected term at 1:28:1"),
        ("DELETE FROM Songs WHERE artist = 'a' AND year = 1 RETURNING SOME OLD *", MALFORMED + "Unexpected term SOME in RETURNING"),
        ("DELETE FROM Songs WHERE artist = 'a' AND year = 1 RETURNING ALL NEW *", "DELETE can only return ALL OLD *"),
        ("SELECT * FROM Songs WHERE lower(a) = 'b'", "Unsupported function: lower"),
        ("UPDATE Songs SET n = size(a) WHERE artist = 'a' AND year = 1", "Unsupported function: size"),
        ("UPDATE Songs SET a = set_add(b, <<1>>) WHERE artist = 'a' AND year = 1", "set_add must name the attribute that is being set"),
        ("UPDATE Songs SET a = MISSING WHERE artist = 'a' AND year = 1", "MISSING is not a value"),
        ("SELECT * FROM Songs WHERE a = MISSING", "MISSING is not a value"),
        ("SELECT * FROM Songs WHERE a = <<1, 'b'>>", "A set holds strings, numbers or binaries, all of one type"),
        ("SELECT * FROM Songs WHERE a = <<TRUE>>", "A set holds strings, numbers or binaries, all of one type"),
        ("SELECT * FROM Songs WHERE a = <<>>", "One or more parameter values were invalid: An string set  may not be empty"),
        ("INSERT INTO Songs VALUE {'a': 1, 'a': 2}", "Attribute a is given twice"),
        ("INSERT INTO Songs VALUE {'artist': 'a', 'year': 1e126}", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        ("SELECT * FROM Songs WHERE artist = ?", "Number of parameters in request and statement don't match."),
        # Before the table is looked up: there is no table of this name.
        ("SELECT * FROM Nowhere WHERE a < TRUE", "Incorrect operand type for operator or function; operator: <, operand type: BOOL"),
        ("SELECT * FROM Nowhere WHERE a > <<1>>", "Incorrect operand type for operator or function; operator: >, operand type: NS"),
        ("SELECT * FROM Nowhere WHERE a BETWEEN 2 AND 1", "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}"),
        ("UPDATE Nowhere SET a = 1, a = 2 WHERE pk = 1", "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]"),
        # The table is known.
        ("SELECT * FROM Songs WHERE artist = 5", "One or more parameter values were invalid: Condition parameter type does not match schema type"),
        ("SELECT * FROM Songs WHERE artist = 'a' AND year = 'b'", "The provided key element does not match the schema"),
        ('SELECT * FROM "Songs"."none" WHERE genre = \'pop\'', "The table does not have the specified index: none"),
        ("SELECT * FROM Songs ORDER BY year", "Must have WHERE clause in the statement when using ORDER BY clause."),
        ("SELECT * FROM Songs WHERE year = 1 ORDER BY year", "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause."),
        ("SELECT * FROM Songs WHERE artist = 'a' ORDER BY stars", "Variable reference stars in ORDER BY clause must be part of the primary key"),
        ("SELECT * FROM Songs WHERE artist IN ['a', 'b'] ORDER BY year", "ORDER BY the sort key alone is not supported for several partition key values"),
        ("INSERT INTO Songs VALUE {'artist': 'a'}", "One or more parameter values were invalid: Missing the key year in the item"),
        ("UPDATE Songs SET n = 1 WHERE artist = 'a'", "Where clause does not contain a mandatory equality on all key attributes"),
        ("UPDATE Songs SET n = 1", "Where clause does not contain a mandatory equality on all key attributes"),
        ("UPDATE Songs SET n = 1 WHERE artist = 'a' AND year IN [1]", "Where clause does not contain a mandatory equality on all key attributes"),
        ("DELETE FROM Songs WHERE artist = 'a' AND year > 1", "Where clause does not contain a mandatory equality on all key attributes"),
        ("DELETE FROM Songs WHERE artist = 'a' OR year = 1", "Where clause does not contain a mandatory equality on all key attributes"),
        ("UPDATE Songs SET year = 2 WHERE artist = 'abba' AND year = 1974", "One or more parameter values were invalid: Cannot update attribute year. This attribute is part of the key"),
        ("UPDATE Songs SET nothing = nothing + 1 WHERE artist = 'abba' AND year = 1974", "The provided expression refers to an attribute that does not exist in the item"),
    ],
)  # fmt: skip
def test_what_is_refused_and_in_which_words(machine: Machine, statement: str, text: str) -> None:
    assert machine.refused(statement) == f"ValidationException: {text}"


def test_a_table_that_is_not_there_is_told_as_by_every_other_operation(machine: Machine) -> None:
    assert machine.refused("SELECT * FROM Nowhere") == "ResourceNotFoundException: Requested resource not found"


def test_a_strong_read_of_a_global_index_is_refused(machine: Machine) -> None:
    text = machine.refused('SELECT * FROM "Songs"."by-genre" WHERE genre = \'pop\'', ConsistentRead=True)
    assert text == "ValidationException: Consistent reads are not supported on global secondary indexes"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "1 validation error detected: Value null at 'statement' failed to satisfy constraint: Member must not be null"),
        ({"Statement": ""}, "1 validation error detected: Value '' at 'statement' failed to satisfy constraint: Member must have length greater than or equal to 1"),
        ({"Statement": "SELECT", "Limit": 0}, "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"),
        ({"Statement": "SELECT", "Parameters": []}, "1 validation error detected: Value '[]' at 'parameters' failed to satisfy constraint: Member must have length greater than or equal to 1"),
        ({"Statement": "SELECT", "ReturnConsumedCapacity": "ALL"}, "1 validation error detected: Value 'ALL' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"),
        ({"Statement": "SELECT * FROM T WHERE a = ?", "Parameters": [{"N": "x"}]}, "The parameter cannot be converted to a numeric value: x"),
        ({"Statement": "SELECT * FROM T WHERE a = ?", "Parameters": [{"N": "1"}, {"N": "2"}]}, "Number of parameters in request and statement don't match."),
        ({"Statement": 'SELECT * FROM "a table"'}, "1 validation error detected: Value 'a table' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
    ],
)  # fmt: skip
def test_members_are_checked_before_any_table(body: dict[str, Any], text: str) -> None:
    with pytest.raises(DynamoError) as caught:
        parse("ExecuteStatement", body)
    assert str(caught.value) == f"ValidationException: {text}"


def test_a_statement_may_have_8192_characters_and_no_more() -> None:
    statement = "SELECT * FROM T WHERE a = '"
    longest = statement + "x" * (8191 - len(statement)) + "'"
    assert isinstance(parse("ExecuteStatement", {"Statement": longest}), ExecuteStatement)
    with pytest.raises(DynamoError, match="Member must have length less than or equal to 8192"):
        parse("ExecuteStatement", {"Statement": longest + " "})


@pytest.mark.parametrize("parameters", [["a"], [None], [{"N": 1}], {"S": "a"}])
def test_a_wrong_json_type_is_a_serialization_exception_whatever_the_statement(parameters: Any) -> None:
    with pytest.raises(DynamoError) as caught:
        parse("ExecuteStatement", {"Statement": "no statement", "Parameters": parameters})
    assert caught.value.code == "SerializationException"


def test_fifty_partition_keys_are_taken_and_no_more(machine: Machine) -> None:
    def statement(count: int) -> str:
        return f"SELECT * FROM Songs WHERE artist IN [{', '.join(f'{chr(39)}{n}{chr(39)}' for n in range(count))}]"

    assert machine.execute(statement(50))["Items"] == []
    text = "ValidationException: The IN operator may name at most 50 partition key values"
    assert machine.refused(statement(51)) == text


def test_a_hundred_operands_of_another_in_are_taken_and_no_more(machine: Machine) -> None:
    def statement(count: int) -> str:
        return f"SELECT * FROM Songs WHERE stars IN [{', '.join(map(str, range(count)))}]"

    assert machine.execute(statement(100))["Items"] != []
    assert "too many operands" in machine.refused(statement(101))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM Songs WHERE " + "NOT " * 2000 + "a = 1",
        "SELECT * FROM Songs WHERE " + "(" * 4000,
        "INSERT INTO Songs VALUE {'a': " + "[" * 4000 + "]" * 4000 + "}",
        "SELECT a" + "[0]" * 2700 + " FROM Songs",
        "SELECT a[" + "9" * 5000 + "] FROM Songs",
        "SELECT * FROM Songs WHERE " + " OR ".join(["a=1"] * 1100),
        "SELECT * FROM Songs WHERE " + "a=1 AND (b=1 OR (" * 400,
    ],
)
def test_no_statement_runs_out_of_stack_or_time(machine: Machine, statement: str) -> None:
    assert machine.refused(statement).startswith("ValidationException: ")


def test_thirty_two_levels_of_nesting_are_taken_and_no_more(machine: Machine) -> None:
    def statement(levels: int) -> str:
        return f"INSERT INTO Songs VALUE {{'artist': 'a', 'year': 1, 'deep': {'[' * levels}{']' * levels}}}"

    assert machine.execute(statement(32)) == {"Items": []}
    assert "Nesting Levels have exceeded supported limits" in machine.refused(statement(33))


def test_an_open_comment_is_the_end_of_the_statement(machine: Machine) -> None:
    text = MALFORMED + "Unexpected end of statement"
    assert machine.refused("SELECT * FROM /* Songs " + " /*" * 2000) == f"ValidationException: {text}"
