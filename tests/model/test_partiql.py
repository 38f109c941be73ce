"""PartiQL: what a statement stands for, and what it answers (expressions.md §10, api.md §2, §5, §9 row 9). Expectations
are literal.
"""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model.errors import DynamoError
from dynalab_model.operations import DeleteItem, ExecuteStatement, GetItem, PutItem, Query, Scan, UpdateItem
from dynalab_model.partiql import translate
from dynalab_model.partiql.nodes import Exists, Select
from dynalab_model.partiql.parser import parse_statement
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import AttributeValue
from tests.model.songs import Machine, key, some_songs, song

SONGS = TableSchema(
    "Songs",
    KeySchema(KeyAttribute("artist", "S"), KeyAttribute("year", "N")),
    (IndexSchema("by-genre", KeySchema(KeyAttribute("genre", "S"), KeyAttribute("year", "N")), "ALL"),),
)
NUMBER_7: AttributeValue = {"N": "7"}


@pytest.fixture
def machine() -> Machine:
    return some_songs()


def translated(statement: str, *parameters: dict[str, Any], **members: Any) -> tuple[Any, ...]:
    return translate(SONGS, ExecuteStatement("Songs", statement, parameters, **members)).requests


# --- what a statement stands for --------------------------------------------------------------------------------------


def test_a_select_of_the_whole_key_is_a_get_item() -> None:
    assert translated(
        "SELECT stars, info.label FROM Songs WHERE year = ? AND 'abba' = artist",
        {"N": "1974"},
        consistent=True,
        capacity="TOTAL",
    ) == (
        GetItem(
            "Songs",
            key("abba", 1974),
            True,
            "#n0, #n1.#n2",
            {"#n0": "stars", "#n1": "info", "#n2": "label"},
            "TOTAL",
        ),
    )


def test_a_select_of_a_partition_key_is_a_query_and_what_the_key_does_not_say_is_its_filter() -> None:
    statement = (
        "SELECT * FROM Songs WHERE artist = 'abba' AND stars > 3 AND year BETWEEN 1970 AND 1980 ORDER BY year DESC"
    )
    assert translated(statement) == (
        Query(
            "Songs",
            "#n0 = :hash AND #n1 BETWEEN :sort AND :to",
            filter="#n2 > :v0",
            names={"#n0": "artist", "#n1": "year", "#n2": "stars"},
            values={":hash": {"S": "abba"}, ":v0": {"N": "3"}, ":sort": {"N": "1970"}, ":to": {"N": "1980"}},
            forward=False,
            filters_keys=True,
        ),
    )


@pytest.mark.parametrize(
    ("condition", "key_condition", "filter_text"),
    [
        ("year < 1980", "#n1 < :sort", None),
        ("1980 >= year", "#n1 <= :sort", None),
        ("year > 1970 AND stars = 1", "#n1 > :sort", "#n2 = :v0"),
        ("year >= 1970 AND year < 1980", "#n1 BETWEEN :sort AND :to", "#n1 >= :v0 AND #n1 < :v1"),
        ("year > 1980 AND year < 1970", "#n1 > :sort", "#n1 < :v0"),
        ("year <> 1970", "", "attribute_exists(#n1) AND #n1 <> :v0"),
        ("year IN [1970, 1971]", "", "#n1 IN (:v0, :v1)"),
        ("(year = 1970 OR stars = 1)", "", "#n1 = :v0 OR #n2 = :v1"),
        ("NOT year = 1970", "", "NOT #n1 = :v0"),
        ("artist = 'blur'", "", "#n0 = :v0"),
        ("stars IS MISSING", "", "attribute_not_exists(#n1)"),
        ("stars IS NOT MISSING", "", "attribute_exists(#n1)"),
    ],
)
def test_where_a_query_begins_and_what_stays_to_be_filtered(
    condition: str, key_condition: str, filter_text: str | None
) -> None:
    (query,) = translated(f"SELECT * FROM Songs WHERE artist = 'abba' AND {condition}")
    assert isinstance(query, Query)
    assert query.key_condition == "#n0 = :hash" + (f" AND {key_condition}" if key_condition else "")
    assert query.filter == filter_text


def test_begins_with_on_a_sort_key_of_strings_is_part_of_the_key_condition() -> None:
    schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "S")))
    op = ExecuteStatement("T", "SELECT * FROM T WHERE pk = 'a' AND begins_with(sk, 'x#')")
    (query,) = translate(schema, op).requests
    assert isinstance(query, Query)
    assert (query.key_condition, query.filter) == ("#n0 = :hash AND begins_with(#n1, :sort)", None)


def test_a_select_without_a_partition_key_is_a_scan() -> None:
    assert translated("SELECT artist FROM Songs WHERE year > 1970", consistent=True) == (
        Scan(
            "Songs",
            consistent=True,
            filter="#n0 > :v0",
            projection="#n1",
            names={"#n0": "year", "#n1": "artist"},
            values={":v0": {"N": "1970"}},
        ),
    )
    for statement in ("SELECT * FROM Songs", "SELECT * FROM Songs WHERE artist > 'a'"):
        assert isinstance(translated(statement)[0], Scan)
    statement = "SELECT * FROM Songs WHERE artist = 'a' OR year = 1"
    assert isinstance(translated(statement)[0], Scan), "one branch names no partition"


def test_a_select_from_an_index_is_a_query_or_scan_of_it() -> None:
    (query,) = translated('SELECT * FROM "Songs"."by-genre" WHERE genre = \'pop\' AND year = 1974')
    assert isinstance(query, Query), "an index may hold many items under one key"
    assert (query.index, query.key_condition) == ("by-genre", "#n0 = :hash AND #n1 = :sort")
    (scan,) = translated('SELECT * FROM "Songs"."by-genre" WHERE artist = \'abba\'')
    assert isinstance(scan, Scan) and scan.index == "by-genre"


def test_several_partition_keys_are_a_request_each() -> None:
    gets = translated("SELECT * FROM Songs WHERE artist IN ['b', 'a', 'b'] AND year = 1")
    assert gets == (GetItem("Songs", key("b", 1)), GetItem("Songs", key("a", 1)))
    statement = "SELECT * FROM Songs WHERE artist = 'b' AND stars = 1 OR artist = 'a'"
    queries = translated(statement)
    assert [query.values[":hash"] for query in queries] == [{"S": "b"}, {"S": "a"}]
    assert {query.filter for query in queries} == {"(#n0 = :v0 AND #n1 = :v1) OR #n0 = :v2"}


def test_an_insert_is_a_put_that_never_replaces() -> None:
    assert translated(
        "INSERT INTO Songs VALUE {'artist': 'abba', 'year': 1974.0, 'tags': <<'a', ?>>, 'takes': [1, {'x': NULL}, "
        "TRUE], 'gone': MISSING, 'it''s': ?}",
        {"S": "b"},
        {"B": "AAE="},
        capacity="INDEXES",
    ) == (
        PutItem(
            "Songs",
            song(
                "abba",
                1974,
                tags={"SS": ["a", "b"]},
                takes={"L": [{"N": "1"}, {"M": {"x": {"NULL": True}}}, {"BOOL": True}]},
                **{"it's": {"B": "AAE="}},
            ),
            "attribute_not_exists(#n0)",
            {"#n0": "artist"},
            capacity="INDEXES",
        ),
    )


def test_an_update_is_an_update_that_never_creates() -> None:
    statement = (
        "UPDATE Songs SET stars = stars + 1, info.takes = list_append(info.takes, [?]) SET tags = "
        "set_add(tags, <<'c'>>) SET old = set_delete(old, <<1>>) REMOVE info.label, genre "
        "WHERE artist = 'abba' AND year = 1974 AND (stars < 5 OR stars IS MISSING) RETURNING MODIFIED NEW *"
    )
    assert translated(statement, NUMBER_7, return_on_failure="ALL_OLD") == (
        UpdateItem(
            "Songs",
            key("abba", 1974),
            "SET #n0 = #n0 + :v0, #n1.#n2 = list_append(#n1.#n2, :v1) ADD #n3 :v2 DELETE #n4 :v3 REMOVE #n1.#n5, #n6",
            "attribute_exists(#n7) AND (#n0 < :v4 OR attribute_not_exists(#n0))",
            {
                "#n0": "stars",
                "#n1": "info",
                "#n2": "takes",
                "#n3": "tags",
                "#n4": "old",
                "#n5": "label",
                "#n6": "genre",
                "#n7": "artist",
            },
            {
                ":v0": {"N": "1"},
                ":v1": {"L": [NUMBER_7]},
                ":v2": {"SS": ["c"]},
                ":v3": {"NS": ["1"]},
                ":v4": {"N": "5"},
            },
            "UPDATED_NEW",
            "ALL_OLD",
        ),
    )


def test_a_delete_is_a_delete_that_what_is_not_there_lets_pass() -> None:
    assert translated("DELETE FROM Songs WHERE artist = 'a' AND year = 1 RETURNING ALL OLD *") == (
        DeleteItem("Songs", key("a", 1), return_values="ALL_OLD"),
    )
    assert translated("DELETE FROM Songs WHERE artist = 'a' AND year = 1 AND stars = 2 AND size(tags) > 0") == (
        DeleteItem(
            "Songs",
            key("a", 1),
            "attribute_not_exists(#n0) OR (#n1 = :v0 AND size(#n2) > :v1)",
            {"#n0": "artist", "#n1": "stars", "#n2": "tags"},
            {":v0": {"N": "2"}, ":v1": {"N": "0"}},
        ),
    )


def test_a_condition_check_can_be_parsed_though_only_a_transaction_takes_it(machine: Machine) -> None:
    text = "EXISTS(SELECT * FROM Songs WHERE artist = 'a' AND year = 1 AND stars > 3)"
    statement = parse_statement(text).statement
    assert isinstance(statement, Exists) and isinstance(statement.select, Select)
    assert machine.refused(text) == "ValidationException: EXISTS is only allowed in ExecuteTransaction"


def test_keywords_are_taken_in_any_case_and_names_are_not() -> None:
    (get,) = translated("sElEcT \"Stars\" fRoM Songs wHeRe artist = 'a' aNd year = 1")
    assert get.names == {"#n0": "Stars"}


def test_words_that_the_grammar_does_not_need_are_names_and_others_may_be_quoted() -> None:
    (scan,) = translated('SELECT name, "select", old[0].value, "a.b""c"[\'d\'] FROM Songs -- of all\n /* songs */')
    assert scan.projection == "#n0, #n1, #n2[0].#n3, #n4.#n5"
    assert list(scan.names.values()) == ["name", "select", "old", "value", 'a.b"c', "d"]


# --- what it answers --------------------------------------------------------------------------------------------------


def test_a_select_answers_items_alone(machine: Machine) -> None:
    answer = machine.execute("SELECT genre FROM Songs WHERE artist = 'abba' AND year = 1974")
    assert answer == {"Items": [{"genre": {"S": "pop"}}]}
    assert machine.execute("SELECT * FROM Songs WHERE artist = 'abba' AND year = 1") == {"Items": []}
    assert machine.execute("SELECT nothing FROM Songs WHERE artist = 'abba' AND year = 1974") == {"Items": [{}]}


@pytest.mark.parametrize(
    ("condition", "years"),
    [
        # A comparison with what is missing is false, `<>` too; NOT inverts it.
        ("genre = 'pop'", [1974]),
        ("genre <> 'pop'", [1976]),
        ("genre != 'pop'", [1976]),
        ("NOT genre = 'pop'", [1976, 1980]),
        ("NOT genre <> 'pop'", [1974, 1980]),
        ("genre IS MISSING", [1980]),
        ("genre IS NOT MISSING", [1974, 1976]),
        ("size(tags) <> 2", []),
        ("size(tags) <> 3", [1974]),
        ("size(stars) <> 3", [1980]),
        # Types that differ are unequal and not ordered.
        ("stars <> 5", [1976, 1980]),
        ("stars > 4", [1974]),
        ("stars >= 4 AND stars <= 5", [1974, 1976]),
        ("stars BETWEEN 4 AND 4.5", [1976]),
        ("stars NOT BETWEEN 4 AND 4.5", [1974, 1980]),
        ("stars IN [5, 'five']", [1974, 1980]),
        ("stars IN (5)", [1974]),
        ("stars NOT IN [5, 'five']", [1976]),
        ("attribute_type(stars, 'S')", [1980]),
        ("BEGINS_WITH(stars, 'fi')", [1980]),
        ("contains(tags, 'b')", [1974]),
        ("contains(genre, 'isc')", [1976]),
        ("tags = <<'b', 'a'>>", [1974]),
        ("info.label = 'Polar'", [1980]),
        ("info.takes[0] = 3", [1980]),
        ("info = {'label': 'Polar', 'takes': [3]}", [1980]),
        ("info['takes'] = [3]", [1980]),
        ("stars = 5 OR stars = 4 AND genre = 'pop'", [1974]),
        ("(stars = 5 OR stars = 4) AND genre = 'disco'", [1976]),
        ("NOT stars = 5 AND genre = 'disco'", [1976]),
        ("year > 1974 AND year < 1980", [1976]),
        ("year >= 1974 AND year <= 1976", [1974, 1976]),
        ("year IN [1974, 1980, 1999]", [1974, 1980]),
        ("year <> 1976", [1974, 1980]),
        ("artist = 'blur'", []),
        ("TRUE = FALSE", []),
    ],
)
def test_what_a_condition_means(machine: Machine, condition: str, years: list[int]) -> None:
    assert machine.select(f"SELECT * FROM Songs WHERE artist = 'abba' AND {condition}") == years


def test_null_is_a_value_and_not_missing(machine: Machine) -> None:
    assert machine.select("SELECT * FROM Songs WHERE stars = NULL") == [1994]
    assert machine.select("SELECT * FROM Songs WHERE artist = 'blur' AND stars IS MISSING") == []


def test_order_by_gives_the_order_of_the_keys(machine: Machine) -> None:
    assert machine.select("SELECT * FROM Songs WHERE artist = 'abba' ORDER BY year DESC") == [1980, 1976, 1974]
    assert machine.select("SELECT * FROM Songs WHERE artist = 'abba' ORDER BY year ASC") == [1974, 1976, 1980]
    both = "SELECT * FROM Songs WHERE artist IN ['abba', 'blur'] AND year > 1975 ORDER BY artist DESC, year"
    assert machine.select(both) == [1994, 1976, 1980]
    index = 'SELECT * FROM "Songs"."by-genre" WHERE genre = \'pop\' ORDER BY year DESC'
    assert machine.select(index) == [1994, 1974]


def test_limit_counts_what_is_evaluated_and_next_token_goes_on(machine: Machine) -> None:
    statement = "SELECT * FROM Songs WHERE artist = ? AND genre = ?"
    abba, disco = {"S": "abba"}, {"S": "disco"}
    first = machine.execute(statement, abba, disco, Limit=1)
    assert (first["Items"], first["LastEvaluatedKey"]) == ([], key("abba", 1974))
    second = machine.execute(statement, abba, disco, Limit=1, NextToken=first["NextToken"])
    assert [item["year"]["N"] for item in second["Items"]] == ["1976"]
    last = machine.execute(statement, abba, disco, Limit=2, NextToken=second["NextToken"])
    assert last == {"Items": []}


def test_pages_over_partition_keys_neither_skip_nor_repeat() -> None:
    machine = Machine(*[song(f"a{n:02}", year) for n in range(12) for year in (1, 2)])
    names = ", ".join(f"'a{n:02}'" for n in range(12))
    statement = f"SELECT * FROM Songs WHERE artist IN [{names}]"
    for limit in (1, 2, 3, 100):
        seen: list[tuple[str, str]] = []
        token: dict[str, str] = {}
        pages = 0
        while pages < 100:
            answer = machine.execute(statement, Limit=limit, **token)
            seen += [(item["artist"]["S"], item["year"]["N"]) for item in answer["Items"]]
            pages += 1
            if "NextToken" not in answer:
                break
            token = {"NextToken": answer["NextToken"]}
        assert seen == [(f"a{n:02}", year) for n in range(12) for year in ("1", "2")]


def test_one_answer_covers_ten_partition_keys() -> None:
    machine = Machine(*[song(f"a{n:02}", 1) for n in range(12)])
    names = ", ".join(f"'a{n:02}'" for n in range(12))
    for condition in ("", " AND year = 1", " AND year = 1 AND stars IS MISSING"):
        statement = f"SELECT * FROM Songs WHERE artist IN [{names}]{condition}"
        first = machine.execute(statement)
        assert len(first["Items"]) == 10
        second = machine.execute(statement, NextToken=first["NextToken"])
        assert len(second["Items"]) == 2 and "NextToken" not in second
        third = machine.execute(statement, Limit=1)
        assert len(third["Items"]) == 1 and "NextToken" in third


def test_a_token_of_another_statement_or_none_at_all_is_refused(machine: Machine) -> None:
    statement = "SELECT * FROM Songs WHERE artist = ?"
    token = machine.execute(statement, {"S": "abba"}, Limit=1)["NextToken"]
    text = "ValidationException: The provided NextToken is invalid"
    assert machine.refused(statement, {"S": "blur"}, NextToken=token) == text
    assert machine.refused(statement + " ", {"S": "abba"}, NextToken=token) == text
    for wrong in ("?", "e30=", token[:-4], "W10="):
        assert machine.refused(statement, {"S": "abba"}, NextToken=wrong) == text
    assert machine.refused("DELETE FROM Songs WHERE artist = 'a' AND year = 1", NextToken=token) == text


def test_writes_answer_no_items_or_what_returning_asks_for(machine: Machine) -> None:
    assert machine.execute("INSERT INTO Songs VALUE {'artist': 'c', 'year': 1, 'n': 1}") == {"Items": []}
    where = "WHERE artist = 'c' AND year = 1"
    assert machine.execute(f"UPDATE Songs SET n = n + 1 {where}") == {"Items": []}
    for returning, image in [
        ("ALL OLD", song("c", 1, n={"N": "2"})),
        ("ALL NEW", song("c", 1, n={"N": "4"})),
        ("MODIFIED OLD", {"n": {"N": "4"}}),
        ("modified new", {"n": {"N": "6"}}),
    ]:
        assert machine.execute(f"UPDATE Songs SET n = n + 1 {where} RETURNING {returning} *") == {"Items": [image]}
    removed = machine.execute(f"DELETE FROM Songs {where} RETURNING ALL OLD *")
    assert removed == {"Items": [song("c", 1, n={"N": "6"})]}
    assert machine.execute(f"DELETE FROM Songs {where} RETURNING ALL OLD *") == {"Items": []}


def test_insert_never_replaces(machine: Machine) -> None:
    statement = "INSERT INTO Songs VALUE {'artist': 'abba', 'year': 1974}"
    assert machine.refused(statement) == "DuplicateItemException: Duplicate primary key exists in table"
    assert machine.get("abba", 1974)["stars"] == {"N": "5"}


def test_update_never_creates_and_a_false_condition_changes_nothing(machine: Machine) -> None:
    failed = "ConditionalCheckFailedException: The conditional request failed"
    assert machine.refused("UPDATE Songs SET stars = 1 WHERE artist = 'abba' AND year = 1") == failed
    assert machine.get("abba", 1) is None
    assert machine.refused("UPDATE Songs SET stars = 1 WHERE artist = 'abba' AND year = 1974 AND stars > 5") == failed
    assert (
        machine.refused("UPDATE Songs SET stars = 1 WHERE artist = 'abba' AND year = 1976 AND genre <> 'disco'")
        == failed
    )
    assert (
        machine.refused("UPDATE Songs SET stars = 1 WHERE artist = 'abba' AND year = 1980 AND genre <> 'pop'") == failed
    )
    assert machine.get("abba", 1974)["stars"] == {"N": "5"}


def test_delete_of_what_is_not_there_succeeds_and_a_false_condition_does_not(machine: Machine) -> None:
    assert machine.execute("DELETE FROM Songs WHERE artist = 'abba' AND year = 1 AND stars = 5") == {"Items": []}
    with pytest.raises(DynamoError) as caught:
        machine.execute(
            "DELETE FROM Songs WHERE artist = 'blur' AND year = 1994 AND stars = 5",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert caught.value.code == "ConditionalCheckFailedException"
    assert caught.value.extra == {"Item": song("blur", 1994, genre={"S": "pop"}, stars={"NULL": True})}
    assert machine.get("blur", 1994) is not None


def test_a_statement_costs_what_the_ordinary_operation_costs() -> None:
    machine = Machine(song("a", 1, pad={"S": "x" * 5000}), song("a", 2, pad={"S": "x" * 5000}), song("b", 1))

    def cost(statement: str, **body: object) -> float:
        consumed: dict[str, float] = machine.execute(statement, ReturnConsumedCapacity="TOTAL", **body)[
            "ConsumedCapacity"
        ]
        return consumed["CapacityUnits"]

    assert cost("SELECT year FROM Songs WHERE artist = 'a' AND year = 1") == 1.0
    assert cost("SELECT year FROM Songs WHERE artist = 'a' AND year = 1", ConsistentRead=True) == 2.0
    assert cost("SELECT * FROM Songs WHERE artist = 'a' AND year = 9") == 0.5
    assert cost("SELECT * FROM Songs WHERE artist = 'a' AND pad = 'none'") == 1.5, "rows walked, before WHERE"
    assert cost("SELECT * FROM Songs WHERE pad = 'none'", ConsistentRead=True) == 3.0
    assert cost("SELECT * FROM Songs WHERE artist IN ['a', 'b', 'c']") == 2.5
    assert cost("INSERT INTO Songs VALUE {'artist': 'c', 'year': 1}") == 1.0
    assert cost("INSERT INTO Songs VALUE {'artist': 'c', 'year': 2, 'genre': 'pop'}") == 2.0, "the index pays too"
    assert cost("UPDATE Songs SET n = 1 WHERE artist = 'a' AND year = 1") == 5.0
    assert cost("DELETE FROM Songs WHERE artist = 'a' AND year = 1") == 5.0
