"""Conditions and filters, row by row: what they mean, and what is said of those that mean nothing."""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from dynalab_model.errors import DynamoError

NUMBER = count()


def holds(service: Any, item: dict[str, Any], condition: str, names: dict[str, str], values: dict[str, Any]) -> bool:
    """Whether a write with this condition goes through, on an item of its own."""
    key = {"pk": {"S": f"condition {next(NUMBER)}"}}
    service("PutItem", TableName="Hash", Item=key | item)
    body: dict[str, Any] = {"TableName": "Hash", "Key": key, "ConditionExpression": condition}
    if names:
        body["ExpressionAttributeNames"] = names
    if values:
        body["ExpressionAttributeValues"] = values
    before = service.get("Hash", **key)
    try:
        service("DeleteItem", **body)
    except DynamoError as error:
        assert str(error) == "ConditionalCheckFailedException: The conditional request failed"
        assert service.get("Hash", **key) == before
        return False
    assert service.get("Hash", **key) is None
    return True


def case(row: str, item: dict[str, Any], condition: str, expected: bool, **values: Any) -> Any:
    """`values` are EAVs by letter; a text among them is an EAN."""
    names = {f"#{name}": value for name, value in values.items() if isinstance(value, str)}
    eavs = {f":{name}": value for name, value in values.items() if not isinstance(value, str)}
    return pytest.param(item, condition, names, eavs, expected, id=f"{row} {condition}", marks=pytest.mark.row(row))


S = {"S": "xyz"}
ONE, TWO, FIVE = {"N": "1"}, {"N": "2"}, {"N": "5"}
X = {"S": "x"}
LIST: dict[str, Any] = {"L": [{"N": "1"}, {"M": {"x": {"S": "deep"}}}]}

MEANING = [
    # §3
    case("condition:missing", {}, "a = :v", False, v=ONE),
    case("condition:missing", {}, "a <> :v", True, v=ONE),
    case("condition:missing", {}, "a < :v", False, v=ONE),
    case("condition:missing", {}, "NOT a = :v", True, v=ONE),
    case("condition:types-differ", {"a": S}, "a = :v", False, v=ONE),
    case("condition:types-differ", {"a": S}, "a <> :v", True, v=ONE),
    case("condition:types-differ", {"a": S}, "a < :v", False, v=ONE),
    case("condition:types-differ", {"a": S}, "a >= :v", False, v=ONE),
    case("condition:equality", {"a": {"N": "1.0"}}, "a = :v", True, v=ONE),
    case("condition:equality", {"a": {"N": "1" * 38}}, "a = :v", False, v={"N": "1" * 37 + "2"}),
    case("condition:equality", {"a": {"SS": ["p", "q"]}}, "a = :v", True, v={"SS": ["q", "p"]}),
    case("condition:equality", {"a": {"NS": ["1", "2"]}}, "a = :v", True, v={"NS": ["2.0", "1"]}),
    case("condition:equality", {"a": {"L": [ONE, TWO]}}, "a = :v", False, v={"L": [TWO, ONE]}),
    case("condition:equality", {"a": {"M": {"p": ONE, "q": TWO}}}, "a = :v", True, v={"M": {"q": TWO, "p": ONE}}),
    case("condition:equality", {"a": {"S": "1"}}, "a = :v", False, v=ONE),
    case("condition:order", {"a": {"N": "9"}}, "a < :v", True, v={"N": "10"}),
    case("condition:order", {"a": {"S": "9"}}, "a < :v", False, v={"S": "10"}),
    case("condition:order", {"a": {"B": "gA=="}}, "a > :v", True, v={"B": "fw=="}),
    case("condition:between", {"a": FIVE}, "a BETWEEN :l AND :h", True, l=FIVE, h=FIVE),
    case("condition:between", {"a": FIVE}, "a BETWEEN :l AND :h", False, l=ONE, h=TWO),
    case("condition:in", {"a": FIVE}, "a IN (:v, :w)", True, v=ONE, w=FIVE),
    case("condition:in", {"a": FIVE}, "a IN (:v, :w)", False, v=ONE, w=TWO),
    case("condition:in", {"a": FIVE}, "a IN (b, :w)", False, w=TWO),
    case("condition:begins-with", {"a": S}, "begins_with(a, :v)", True, v=X),
    case("condition:begins-with", {"a": {"B": "AAEC"}}, "begins_with(a, :v)", True, v={"B": "AAE="}),
    case("condition:begins-with", {"a": ONE}, "begins_with(a, :v)", False, v=X),
    case("condition:contains", {"a": S}, "contains(a, :v)", True, v={"S": "yz"}),
    case("condition:contains", {"a": {"B": "AAEC"}}, "contains(a, :v)", True, v={"B": "AQI="}),
    case("condition:contains", {"a": {"SS": ["p", "q"]}}, "contains(a, :v)", True, v={"S": "q"}),
    case("condition:contains", {"a": {"NS": ["1", "2"]}}, "contains(a, :v)", True, v={"N": "2.0"}),
    case("condition:contains", {"a": LIST}, "contains(a, :v)", True, v={"M": {"x": {"S": "deep"}}}),
    case("condition:contains", {"a": ONE}, "contains(a, :v)", False, v=ONE),
    case("condition:contains", {"a": S, "b": {"S": "y"}}, "contains(a, b)", True),
    case("condition:size", {"a": S}, "size(a) = :v", True, v={"N": "3"}),
    case("condition:size", {"a": {"S": "\U0001f600"}}, "size(a) = :v", True, v=TWO),
    case("condition:size", {"a": {"B": "AAEC"}}, "size(a) = :v", True, v={"N": "3"}),
    case("condition:size", {"a": LIST}, "size(a) = :v", True, v=TWO),
    case("condition:size", {"a": {"SS": ["p", "q"]}}, "size(a) = :v", True, v=TWO),
    case("condition:size", {"a": {"M": {"p": ONE}}}, "size(a) = :v", True, v=ONE),
    case("condition:size", {"a": ONE}, "size(a) > :v", False, v={"N": "0"}),
    case("condition:size", {"a": {"BOOL": True}}, "size(a) > :v", False, v={"N": "0"}),
    case("condition:attribute-type", {"a": S}, "attribute_type(a, :v)", True, v={"S": "S"}),
    case("condition:attribute-type", {"a": LIST}, "attribute_type(a, :v)", True, v={"S": "L"}),
    case("condition:attribute-type", {"a": LIST}, "attribute_type(a, :v)", False, v={"S": "M"}),
    case("condition:attribute-exists", {"a": {"NULL": True}}, "attribute_exists(a)", True),
    case("condition:attribute-exists", {"a": LIST}, "attribute_exists(a[1].x)", True),
    case("condition:attribute-exists", {"a": LIST}, "attribute_exists(a[1].y)", False),
    case("condition:boolean", {"a": {"BOOL": True}}, "a = :v", True, v={"BOOL": True}),
    case("condition:keys", {}, "begins_with(pk, :v)", True, v={"S": "condition"}),
    case("condition:precedence", {"a": ONE}, "a = :o OR a = :t AND a = :f", True, o=ONE, t=TWO, f=FIVE),
    case("condition:precedence", {"a": ONE}, "(a = :o OR a = :t) AND a = :f", False, o=ONE, t=TWO, f=FIVE),
    case("condition:precedence", {"a": ONE}, "NOT a = :t AND a = :f", False, t=TWO, f=FIVE),
    case("condition:precedence", {"a": ONE}, "NOT (a = :t AND a = :f)", True, t=TWO, f=FIVE),
    case("condition:parentheses-pass", {"a": ONE}, "(a = :o)", True, o=ONE),
    case("condition:parentheses-pass", {"a": ONE}, "(a = :o) AND (a <> :t)", True, o=ONE, t=TWO),
    # §8
    case("truth:not-equal-missing", {}, "a <> :v", True, v=ONE),
    case("truth:less-missing", {}, "a < :v", False, v=ONE),
    case("truth:less-missing", {"a": S}, "a < :v", False, v=ONE),
    case("truth:not-less-missing", {}, "NOT a < :v", True, v=ONE),
    case("truth:size-missing", {}, "size(a) > :v", False, v={"N": "0"}),
    case("truth:size-missing", {"a": ONE}, "size(a) > :v", False, v={"N": "0"}),
    case("truth:contains-types", {"a": S}, "contains(a, :v)", False, v=ONE),
    case("truth:numeric-equality", {"a": {"N": "1.0"}}, "a = :v", True, v=ONE),
    case("truth:in-mixed", {"a": ONE}, "a IN (:s, :n)", True, s=S, n=ONE),
    case("truth:exists-beyond", {"a": {"M": {"b": {"L": [ONE]}}}}, "attribute_exists(a.b[2])", False),
    case("truth:between-missing", {"a": ONE}, "a BETWEEN :v AND b", False, v=ONE),
    case("truth:type-null", {"a": {"NULL": True}}, "attribute_type(a, :v)", True, v={"S": "NULL"}),
    # §2
    case("lexical:path", {"a": {"M": {"b": {"L": [ONE, {"M": {"c": TWO}}]}}}}, "a.b[1].c = :v", True, v=TWO),
    case("lexical:dot-in-name", {"a.b": ONE}, "#n = :v", True, n="a.b", v=ONE),
    case("lexical:dot-in-name", {"a": {"M": {"b": ONE}}}, "#n = :v", False, n="a.b", v=ONE),
    case("lexical:keywords", {"a": ONE}, "a between :v and :v or not a in (:v)", True, v=ONE),
    case("lexical:white-space", {"a": ONE}, "\ta\n=\r\n:v  ", True, v=ONE),
    case("lexical:white-space", {"a": ONE}, "a=:v", True, v=ONE),
    case("lexical:names", {"size": ONE}, "#_1a = :v", True, _1a="size", v=ONE),
    case("lexical:reserved", {"Size": ONE}, "#s = :v", True, s="Size", v=ONE),
]


@pytest.mark.parametrize(("item", "condition", "names", "values", "expected"), MEANING)
def test_a_condition_holds_or_not(
    service: Any, item: dict[str, Any], condition: str, names: dict[str, str], values: dict[str, Any], expected: bool
) -> None:
    assert holds(service, item, condition, names, values) is expected


@pytest.mark.row("condition:no-item", "truth:insert-once")
def test_an_item_that_is_not_there_has_no_attributes(service: Any) -> None:
    key = {"pk": {"S": "no item"}}
    once = {"TableName": "Hash", "Item": key, "ConditionExpression": "attribute_not_exists(pk)"}
    equal = {
        "TableName": "Hash",
        "Item": key,
        "ConditionExpression": "pk = :v",
        "ExpressionAttributeValues": {":v": key["pk"]},
    }
    assert service.refused("PutItem", **equal).code == "ConditionalCheckFailedException"
    assert service("PutItem", **once) == {}
    assert service.refused("PutItem", **once).code == "ConditionalCheckFailedException"


# --- what is refused --------------------------------------------------------------------------------------------------


def wrong(row: str, condition: str, text: str, names: dict[str, str] | None = None, **values: Any) -> Any:
    eavs = {f":{name}": value for name, value in values.items()}
    return pytest.param(condition, names, eavs, text, id=f"{row} {condition[:40]}", marks=pytest.mark.row(row))


LONG = "a = :v" + " " * 4091
REFUSED = [
    wrong("condition:redundant-parentheses", "((a = :v))", "The expression has redundant parentheses;", v=ONE),
    wrong("condition:unknown-function", "foo(a)", "Invalid function name; function: foo"),
    wrong("lexical:function-case", "Begins_With(a, :v)", "Invalid function name; function: Begins_With", v=X),
    wrong(
        "condition:misuse",
        "a = contains(a, :v)",
        "The function is not allowed to be used this way in an expression; function: contains",
        v=X,
    ),
    wrong(
        "condition:size-alone",
        "size(a)",
        "The function is not allowed to be used this way in an expression; function: size",
    ),
    wrong("condition:reserved", "name = :v", "Attribute name is a reserved keyword; reserved keyword: name", v=X),
    wrong("lexical:reserved", "STATUS = :v", "Attribute name is a reserved keyword; reserved keyword: STATUS", v=X),
    wrong(
        "condition:name-undefined",
        "#x = :v",
        "An expression attribute name used in the document path is not defined; attribute name: #x",
        v=X,
    ),
    wrong(
        "condition:value-undefined",
        "a = :w",
        "An expression attribute value used in expression is not defined; attribute value: :w",
    ),
    wrong(
        "condition:operand-count",
        "size(a, a) = :v",
        "Incorrect number of operands for operator or function; operator or function: size, number of operands: 2",
        v=ONE,
    ),
    wrong(
        "condition:distinct",
        "a = a",
        "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]",
    ),
    wrong(
        "condition:needs-path",
        "attribute_exists(:v)",
        "Operator or function requires a document path; operator or function: attribute_exists",
        v=X,
    ),
    wrong(
        "condition:operand-type",
        "begins_with(a, :v)",
        "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
        v=ONE,
    ),
    wrong(
        "condition:size-is-a-number",
        "size(size(a)) > :v",
        "Incorrect operand type for operator or function; operator or function: size, operand type: N",
        v=ONE,
    ),
    wrong(
        "condition:size-is-a-number",
        "begins_with(a, size(b)) AND a = :v",
        "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
        v=ONE,
    ),
    wrong(
        "condition:size-is-a-number",
        "attribute_type(a, size(b)) AND a = :v",
        "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N",
        v=ONE,
    ),
    wrong(
        "condition:type-name",
        "attribute_type(a, :v)",
        "Invalid attribute type name found; type: X, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
        v={"S": "X"},
    ),
    wrong(
        "condition:between-types",
        "a BETWEEN :l AND :h",
        "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {S:a}, upper bound operand: AttributeValue: {N:1}",
        l={"S": "a"},
        h=ONE,
    ),
    wrong(
        "condition:between-order",
        "a BETWEEN :l AND :h",
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}",
        l=TWO,
        h=ONE,
    ),
    wrong("size:condition", LONG, "Expression size has exceeded the maximum allowed size;", v=ONE),
    wrong("lexical:syntax-empty", "", "The expression can not be empty;"),
    wrong("lexical:literals", "a = 5", 'Syntax error; token: "5", near: "= 5"'),
    wrong("lexical:syntax-end", "a =", 'Syntax error; token: "<EOF>", near: "="'),
    wrong("condition:no-bare-boolean", "a", 'Syntax error; token: "<EOF>", near: "a"'),
    wrong(
        "condition:in-100",
        f"a IN ({', '.join([':v'] * 101)})",
        "The IN operator is provided with too many operands; number of operands: 101",
        v=ONE,
    ),
    # order: redundant parentheses → unknown function → misuse → reserved → name → value → count → same → type
    wrong("condition:report-order", "((foo(a)))", "The expression has redundant parentheses;"),
    wrong("condition:report-order", "foo(a) AND a = contains(a, :v)", "Invalid function name; function: foo", v=X),
    wrong(
        "condition:report-order",
        "a = contains(a, :v) AND name = :v",
        "The function is not allowed to be used this way in an expression; function: contains",
        v=X,
    ),
    wrong(
        "condition:report-order",
        "#x = :v AND name = :v",
        "Attribute name is a reserved keyword; reserved keyword: name",
        v=X,
    ),
    wrong(
        "condition:report-order",
        "size(a, a) = :v AND #x = :v",
        "An expression attribute name used in the document path is not defined; attribute name: #x",
        v=ONE,
    ),
    wrong(
        "condition:report-order",
        "a = a AND size(a, a) = :v",
        "Incorrect number of operands for operator or function; operator or function: size, number of operands: 2",
        v=ONE,
    ),
    wrong(
        "condition:report-order",
        "begins_with(a, :v) AND a = a",
        "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]",
        v=ONE,
    ),
]


@pytest.mark.parametrize("family", ["ConditionExpression", "FilterExpression"])
@pytest.mark.parametrize(("condition", "names", "values", "text"), REFUSED)
def test_a_condition_that_means_nothing_is_refused(
    service: Any, family: str, condition: str, names: dict[str, str] | None, values: dict[str, Any], text: str
) -> None:
    body: dict[str, Any] = {"TableName": "Hash", family: condition}
    body |= {"ExpressionAttributeNames": names} if names else {}
    body |= {"ExpressionAttributeValues": values} if values else {}
    operation = "Scan" if family == "FilterExpression" else "DeleteItem"
    error = service.refused(operation, **body, **({} if operation == "Scan" else {"Key": {"pk": {"S": "refused"}}}))
    assert (error.code, error.message) == ("ValidationException", f"Invalid {family}: {text}")


@pytest.mark.row("lexical:reserved-573")
def test_all_573_reserved_words_are_refused_in_any_case(service: Any) -> None:
    words = RESERVED.split()
    assert len(words) == len(set(words)) == 573
    for number, word in enumerate(words):
        spelt = (word, word.lower(), word.capitalize())[number % 3]
        error = service.refused("Scan", TableName="Hash", ProjectionExpression=f"a, {spelt}")
        if word in ("AND", "OR", "NOT", "BETWEEN", "IN"):
            continue  # told as a syntax error or as reserved: both refuse it
        assert error.message == (
            f"Invalid ProjectionExpression: Attribute name is a reserved keyword; reserved keyword: {spelt}"
        )


@pytest.mark.row("size:operators")
def test_more_than_300_operators_are_refused(service: Any) -> None:
    def scan(operators: int) -> dict[str, Any]:
        text = " OR ".join(["a=:v"] * ((operators + 1) // 2))
        return {"TableName": "Hash", "FilterExpression": text, "ExpressionAttributeValues": {":v": ONE}}

    assert service("Scan", **scan(299))["ScannedCount"] >= 0
    error = service.refused("Scan", **scan(301))
    assert error.code == "ValidationException"
    assert error.message.startswith("Invalid FilterExpression: ")


@pytest.mark.row("size:placeholder")
@pytest.mark.parametrize("member", ["ExpressionAttributeNames", "ExpressionAttributeValues"])
def test_a_placeholder_of_more_than_255_bytes_is_refused(service: Any, member: str) -> None:
    def scan(length: int) -> dict[str, Any]:
        if member == "ExpressionAttributeNames":
            name = "#" + "n" * (length - 1)
            return {"TableName": "Hash", "FilterExpression": f"attribute_exists({name})", member: {name: "nothing"}}
        value = ":" + "v" * (length - 1)
        return {"TableName": "Hash", "FilterExpression": f"nothing = {value}", member: {value: ONE}}

    assert service("Scan", **scan(255))["Count"] == 0
    error = service.refused("Scan", **scan(256))
    assert error.code == "ValidationException"
    assert error.message.startswith(f"{member} contains invalid key: ")


@pytest.mark.row("size:values")
def test_values_of_more_than_2_mb_together_are_refused(service: Any) -> None:
    def scan(each: int) -> dict[str, Any]:
        values = {f":{letter}": {"S": "x" * each} for letter in "abcdef"}
        text = " OR ".join(f"nothing = {name}" for name in values)
        return {"TableName": "Hash", "FilterExpression": text, "ExpressionAttributeValues": values}

    assert service("Scan", **scan(340_000))["Count"] == 0
    error = service.refused("Scan", **scan(350_000))
    assert error.code == "ValidationException"


@pytest.mark.row("size:nesting")
def test_values_nest_to_32_levels_and_no_deeper(service: Any) -> None:
    def nested(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = {"S": "x"}
        for _ in range(levels):
            value = {"L": [value]}
        return value

    service.put("Hash", pk={"S": "nested"}, v=nested(32))
    error = service.refused("PutItem", TableName="Hash", Item={"pk": {"S": "nested"}, "v": nested(33)})
    assert (error.code, error.message) == (
        "ValidationException",
        "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit",
    )


@pytest.mark.row("truth:begins-with-sort-key")
def test_begins_with_on_the_sort_key_filters_a_scan_and_no_query(service: Any) -> None:
    service.put("Range", pk={"S": "prefix"}, sk={"S": "order#1"})
    filtered = {"FilterExpression": "begins_with(sk, :s)", "ExpressionAttributeValues": {":s": {"S": "order#"}}}
    assert service("Scan", TableName="Range", ConsistentRead=True, **filtered)["Items"] == [
        {"pk": {"S": "prefix"}, "sk": {"S": "order#1"}}
    ]
    filtered["ExpressionAttributeValues"][":p"] = {"S": "prefix"}  # type: ignore[index]
    error = service.refused("Query", TableName="Range", KeyConditionExpression="pk = :p", **filtered)
    assert error.message == "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk"


RESERVED = """
ABORT ABSOLUTE ACTION ADD AFTER AGENT AGGREGATE ALL ALLOCATE ALTER ANALYZE AND ANY ARCHIVE ARE ARRAY AS ASC ASCII ASENSITIVE ASSERTION ASYMMETRIC AT ATOMIC ATTACH ATTRIBUTE AUTH
AUTHORIZATION AUTHORIZE AUTO AVG BACK BACKUP BASE BATCH BEFORE BEGIN BETWEEN BIGINT BINARY BIT BLOB BLOCK BOOLEAN BOTH BREADTH BUCKET BULK BY BYTE CALL CALLED CALLING CAPACITY
CASCADE CASCADED CASE CAST CATALOG CHAR CHARACTER CHECK CLASS CLOB CLOSE CLUSTER CLUSTERED CLUSTERING CLUSTERS COALESCE COLLATE COLLATION COLLECTION COLUMN COLUMNS COMBINE COMMENT
COMMIT COMPACT COMPILE COMPRESS CONDITION CONFLICT CONNECT CONNECTION CONSISTENCY CONSISTENT CONSTRAINT CONSTRAINTS CONSTRUCTOR CONSUMED CONTINUE CONVERT COPY CORRESPONDING COUNT
COUNTER CREATE CROSS CUBE CURRENT CURSOR CYCLE DATA DATABASE DATE DATETIME DAY DEALLOCATE DEC DECIMAL DECLARE DEFAULT DEFERRABLE DEFERRED DEFINE DEFINED DEFINITION DELETE DELIMITED
DEPTH DEREF DESC DESCRIBE DESCRIPTOR DETACH DETERMINISTIC DIAGNOSTICS DIRECTORIES DISABLE DISCONNECT DISTINCT DISTRIBUTE DO DOMAIN DOUBLE DROP DUMP DURATION DYNAMIC EACH ELEMENT
ELSE ELSEIF EMPTY ENABLE END EQUAL EQUALS ERROR ESCAPE ESCAPED EVAL EVALUATE EXCEEDED EXCEPT EXCEPTION EXCEPTIONS EXCLUSIVE EXEC EXECUTE EXISTS EXIT EXPLAIN EXPLODE EXPORT
EXPRESSION EXTENDED EXTERNAL EXTRACT FAIL FALSE FAMILY FETCH FIELDS FILE FILTER FILTERING FINAL FINISH FIRST FIXED FLATTERN FLOAT FOR FORCE FOREIGN FORMAT FORWARD FOUND FREE FROM
FULL FUNCTION FUNCTIONS GENERAL GENERATE GET GLOB GLOBAL GO GOTO GRANT GREATER GROUP GROUPING HANDLER HASH HAVE HAVING HEAP HIDDEN HOLD HOUR IDENTIFIED IDENTITY IF IGNORE IMMEDIATE
IMPORT IN INCLUDING INCLUSIVE INCREMENT INCREMENTAL INDEX INDEXED INDEXES INDICATOR INFINITE INITIALLY INLINE INNER INNTER INOUT INPUT INSENSITIVE INSERT INSTEAD INT INTEGER
INTERSECT INTERVAL INTO INVALIDATE IS ISOLATION ITEM ITEMS ITERATE JOIN KEY KEYS LAG LANGUAGE LARGE LAST LATERAL LEAD LEADING LEAVE LEFT LENGTH LESS LEVEL LIKE LIMIT LIMITED LINES
LIST LOAD LOCAL LOCALTIME LOCALTIMESTAMP LOCATION LOCATOR LOCK LOCKS LOG LOGED LONG LOOP LOWER MAP MATCH MATERIALIZED MAX MAXLEN MEMBER MERGE METHOD METRICS MIN MINUS MINUTE
MISSING MOD MODE MODIFIES MODIFY MODULE MONTH MULTI MULTISET NAME NAMES NATIONAL NATURAL NCHAR NCLOB NEW NEXT NO NONE NOT NULL NULLIF NUMBER NUMERIC OBJECT OF OFFLINE OFFSET OLD ON
ONLINE ONLY OPAQUE OPEN OPERATOR OPTION OR ORDER ORDINALITY OTHER OTHERS OUT OUTER OUTPUT OVER OVERLAPS OVERRIDE OWNER PAD PARALLEL PARAMETER PARAMETERS PARTIAL PARTITION
PARTITIONED PARTITIONS PATH PERCENT PERCENTILE PERMISSION PERMISSIONS PIPE PIPELINED PLAN POOL POSITION PRECISION PREPARE PRESERVE PRIMARY PRIOR PRIVATE PRIVILEGES PROCEDURE
PROCESSED PROJECT PROJECTION PROPERTY PROVISIONING PUBLIC PUT QUERY QUIT QUORUM RAISE RANDOM RANGE RANK RAW READ READS REAL REBUILD RECORD RECURSIVE REDUCE REF REFERENCE REFERENCES
REFERENCING REGEXP REGION REINDEX RELATIVE RELEASE REMAINDER RENAME REPEAT REPLACE REQUEST RESET RESIGNAL RESOURCE RESPONSE RESTORE RESTRICT RESULT RETURN RETURNING RETURNS REVERSE
REVOKE RIGHT ROLE ROLES ROLLBACK ROLLUP ROUTINE ROW ROWS RULE RULES SAMPLE SATISFIES SAVE SAVEPOINT SCAN SCHEMA SCOPE SCROLL SEARCH SECOND SECTION SEGMENT SEGMENTS SELECT SELF SEMI
SENSITIVE SEPARATE SEQUENCE SERIALIZABLE SESSION SET SETS SHARD SHARE SHARED SHORT SHOW SIGNAL SIMILAR SIZE SKEWED SMALLINT SNAPSHOT SOME SOURCE SPACE SPACES SPARSE SPECIFIC
SPECIFICTYPE SPLIT SQL SQLCODE SQLERROR SQLEXCEPTION SQLSTATE SQLWARNING START STATE STATIC STATUS STORAGE STORE STORED STREAM STRING STRUCT STYLE SUB SUBMULTISET SUBPARTITION
SUBSTRING SUBTYPE SUM SUPER SYMMETRIC SYNONYM SYSTEM TABLE TABLESAMPLE TEMP TEMPORARY TERMINATED TEXT THAN THEN THROUGHPUT TIME TIMESTAMP TIMEZONE TINYINT TO TOKEN TOTAL TOUCH
TRAILING TRANSACTION TRANSFORM TRANSLATE TRANSLATION TREAT TRIGGER TRIM TRUE TRUNCATE TTL TUPLE TYPE UNDER UNDO UNION UNIQUE UNIT UNKNOWN UNLOGGED UNNEST UNPROCESSED UNSIGNED UNTIL
UPDATE UPPER URL USAGE USE USER USERS USING UUID VACUUM VALUE VALUED VALUES VARCHAR VARIABLE VARIANCE VARINT VARYING VIEW VIEWS VIRTUAL VOID WAIT WHEN WHENEVER WHERE WHILE WINDOW
WITH WITHIN WITHOUT WORK WRAPPED WRITE YEAR ZONE
"""
