"""Key bytes: their order is the keys' order (facts: api.md §3, S17 – S19, S30)."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_model import keys
from dynalab_model.errors import DynamoError
from dynalab_model.keys import KeyCondition, encode_component, index_key, item_key, key_range, prefix_end, successor
from dynalab_model.schema import KeyAttribute, KeySchema
from dynalab_model.values import AttributeValue, Item, compare, validate_value

PAIR = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "S"))


def number_value(coefficient: int, exponent: int) -> AttributeValue:
    return validate_value({"N": f"{coefficient}e{exponent}"})


strings = st.text(st.sampled_from("\x00\x01aé\uffff😀"), max_size=5).map(lambda text: {"S": text})
numbers = st.builds(number_value, st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-20, 20), st.integers(-92, 87))
binaries = st.binary(max_size=5).map(lambda raw: {"B": b64encode(raw).decode()})
edges = st.lists(st.sampled_from([0, 1, 254, 255]), max_size=4).map(lambda raw: {"B": b64encode(bytes(raw)).decode()})


def extended(raw: bytes, more: bytes) -> tuple[AttributeValue, AttributeValue]:
    """A value and one that goes on from it: where an end mark could be taken for content."""
    return {"B": b64encode(raw).decode()}, {"B": b64encode(raw + more).decode()}


extensions = st.builds(
    extended, st.binary(max_size=2), st.lists(st.sampled_from([0, 1, 2, 255]), max_size=2).map(bytes)
)


def of_one_type() -> st.SearchStrategy[tuple[AttributeValue, AttributeValue]]:
    return st.one_of(extensions, *(st.tuples(kind, kind) for kind in (strings, numbers, binaries, edges)))


def order(one: bytes, two: bytes) -> int:
    return (one > two) - (one < two)


@given(of_one_type())
def test_key_bytes_sort_like_the_values(pair: tuple[AttributeValue, AttributeValue]) -> None:
    one, two = pair
    assert order(encode_component(one), encode_component(two)) == compare(one, two)


@given(of_one_type(), of_one_type())
def test_pairs_of_keys_sort_by_the_first_and_then_by_the_second(
    first: tuple[AttributeValue, AttributeValue], second: tuple[AttributeValue, AttributeValue]
) -> None:
    one = encode_component(first[0]) + encode_component(second[0])
    two = encode_component(first[1]) + encode_component(second[1])
    assert order(one, two) == (compare(*first) or compare(*second))


@given(of_one_type())
def test_no_component_is_the_beginning_of_another(pair: tuple[AttributeValue, AttributeValue]) -> None:
    one, two = map(encode_component, pair)
    assert one == two or not two.startswith(one)


def test_a_string_that_goes_on_with_a_zero_byte_is_not_inside_the_range_of_the_shorter_one() -> None:
    low, high = key_range(PAIR, KeyCondition({"S": "a"}, "=", {"S": "s"}))
    assert low <= item_key(PAIR, {"pk": {"S": "a"}, "sk": {"S": "s"}}) < high
    assert high <= item_key(PAIR, {"pk": {"S": "a"}, "sk": {"S": "s\x00"}})


@pytest.mark.parametrize(
    "ascending",
    [
        [
            "-9.9e125",
            "-1e125",
            "-12",
            "-2",
            "-1.5",
            "-1",
            "-0.1",
            "-1e-130",
            "0",
            "1e-130",
            "0.1",
            "1",
            "1.5",
            "2",
            "12",
        ],
        ["1", "1.0000000000000000000000000000000000001", "1.01", "1.1", "9", "10", "99", "100", "1e37", "9.9e125"],
        ["-100", "-99", "-10", "-9", "-1.1", "-1.01", "-1.0000000000000000000000000000000000001", "-1"],
    ],
)
def test_numbers_are_ordered_over_their_whole_range(ascending: list[str]) -> None:
    encoded = [encode_component(validate_value({"N": text})) for text in ascending]
    assert encoded == sorted(encoded)
    assert len(set(encoded)) == len(encoded)


def test_a_number_has_the_same_key_however_it_is_written() -> None:
    assert encode_component({"N": "1.50"}) == encode_component({"N": "1.5"})


@pytest.mark.claim("S17", "S18")
def test_orders_1_2_and_3_fall_into_different_partitions_under_the_hash_of_the_book() -> None:
    book = {"1": 0x7B, "2": 0x48, "3": 0xCD}
    schema = KeySchema(KeyAttribute("OrderId", "N"))
    partitions = {"A": (0x00, 0x55), "B": (0x55, 0xAA), "C": (0xAA, 0x100)}

    def book_hash(value: AttributeValue) -> bytes:
        return bytes([book[str(value["N"])]] * 8)

    def partition(order_id: str) -> str:
        first = item_key(schema, {"OrderId": {"N": order_id}})[0]
        return next(name for name, (low, high) in partitions.items() if low <= first < high)

    own = item_key(schema, {"OrderId": {"N": "1"}})
    with keys.replaced_hash(book_hash):
        assert [partition(order_id) for order_id in "123"] == ["B", "A", "C"]
    assert item_key(schema, {"OrderId": {"N": "1"}}) == own


@pytest.mark.claim("S17")
def test_the_hash_spreads_neighbouring_keys_evenly() -> None:
    first_bytes = [keys.hash_bytes({"S": f"user#{number}"})[0] for number in range(4_000)]
    quarters = [sum(low <= byte < low + 64 for byte in first_bytes) for low in (0, 64, 128, 192)]
    assert all(900 < share < 1_100 for share in quarters)


def test_the_hash_tells_types_apart() -> None:
    values: list[AttributeValue] = [{"S": "1"}, {"N": "1"}, {"B": "MQ=="}]
    assert len(set(map(keys.hash_bytes, values))) == 3


@pytest.mark.claim("S19")
def test_the_items_of_one_partition_key_lie_together_in_the_order_of_the_sort_key() -> None:
    items: list[Item] = [
        {"pk": {"S": partition}, "sk": {"S": sort}} for partition in ("a", "a\x00", "b") for sort in ("3", "1", "2")
    ]
    ordered = sorted(items, key=lambda item: item_key(PAIR, item))
    found = [(str(item["pk"]["S"]), str(item["sk"]["S"])) for item in ordered]
    assert [sort for _, sort in found] == ["1", "2", "3"] * 3
    assert len({tuple(partition for partition, _ in found[at : at + 3]) for at in (0, 3, 6)}) == 3


def test_partition_keys_that_share_a_hash_stay_apart() -> None:
    with keys.replaced_hash(lambda value: b"\xff" * 8):
        low, high = key_range(PAIR, KeyCondition({"S": "a"}))
        inside = item_key(PAIR, {"pk": {"S": "a"}, "sk": {"S": "\U0010ffff"}})
        outside = item_key(PAIR, {"pk": {"S": "b"}, "sk": {"S": "x"}})
    assert low <= inside < high <= outside


@pytest.mark.parametrize(
    "key", [{"pk": {"S": "a"}}, {"pk": {"N": "1"}, "sk": {"S": "a"}}, {"pk": {"S": "a"}, "sk": {"N": "1"}}]
)
def test_a_key_that_does_not_fit_the_schema_is_refused(key: Item) -> None:
    with pytest.raises(DynamoError, match="The provided key element does not match the schema"):
        item_key(PAIR, key)


@pytest.mark.claim("S30")
def test_an_item_without_every_index_key_is_not_in_the_index() -> None:
    index = KeySchema(KeyAttribute("g", "S"), KeyAttribute("h", "N"))
    full: Item = {"pk": {"S": "a"}, "sk": {"S": "b"}, "g": {"S": "x"}, "h": {"N": "1"}}
    assert index_key(index, PAIR, full) is not None
    for name in ("g", "h"):
        assert index_key(index, PAIR, {other: value for other, value in full.items() if other != name}) is None
    assert index_key(index, PAIR, {**full, "h": {"S": "not a number"}}) is None


def test_equal_index_keys_are_told_apart_by_the_table_key() -> None:
    index = KeySchema(KeyAttribute("g", "S"))
    entries = [index_key(index, PAIR, {"pk": {"S": "a"}, "sk": {"S": sort}, "g": {"S": "x"}}) for sort in "123"]
    assert None not in entries
    assert len(set(entries)) == 3
    low, high = key_range(index, KeyCondition({"S": "x"}))
    assert all(entry is not None and low <= entry < high for entry in entries)


def meets(value: AttributeValue, operator: str, low: AttributeValue, high: AttributeValue) -> bool:
    """What the operators mean, said once more and without bytes."""
    against_low, against_high = compare(value, low), compare(value, high)
    assert against_low is not None and against_high is not None
    if operator == "begins_with":
        kind = "S" if "S" in value else "B"
        if kind == "S":
            return str(value["S"]).startswith(str(low["S"]))
        return keys._tagged(value).startswith(keys._tagged(low))
    return {
        "=": against_low == 0,
        "<": against_low < 0,
        "<=": against_low <= 0,
        ">": against_low > 0,
        ">=": against_low >= 0,
        "BETWEEN": against_low >= 0 and against_high <= 0,
    }[operator]


@given(
    st.one_of(
        st.tuples(extensions, edges).map(lambda drawn: (drawn[0][1], drawn[0][0], drawn[1])),
        *(st.tuples(kind, kind, kind) for kind in (strings, numbers, edges)),
    ),
    st.sampled_from(["=", "<", "<=", ">", ">=", "BETWEEN", "begins_with"]),
    st.booleans(),
)
def test_a_key_range_holds_exactly_the_sort_keys_that_meet_the_condition(
    three: tuple[AttributeValue, AttributeValue, AttributeValue], operator: str, in_index: bool
) -> None:
    value, low, high = three
    kind = next(iter(value))
    if operator == "begins_with" and kind == "N":
        operator = "="
    if operator == "BETWEEN" and compare(low, high) == 1:
        low, high = high, low
    base = KeySchema(KeyAttribute("id", "S"))
    schema = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", kind))
    item: Item = {"id": {"S": "\uffff"}, "pk": {"S": "a"}, "sk": value}
    key = index_key(schema, base, item) if in_index else item_key(schema, item)
    start, end = key_range(schema, KeyCondition({"S": "a"}, operator, low, high if operator == "BETWEEN" else None))
    assert key is not None
    assert (start <= key < end) == meets(value, operator, low, high)


def test_a_range_that_is_the_wrong_way_round_is_empty() -> None:
    low, high = key_range(PAIR, KeyCondition({"S": "a"}, "BETWEEN", {"S": "z"}, {"S": "a"}))
    assert low == high


@given(st.binary(max_size=4), st.binary(max_size=5))
def test_nothing_lies_between_a_key_and_its_successor(key: bytes, other: bytes) -> None:
    assert not key < other < successor(key)


@given(st.binary(min_size=1, max_size=3).filter(lambda raw: raw.strip(b"\xff") != b""), st.binary(max_size=4))
def test_the_end_of_a_prefix_is_the_first_key_behind_it(prefix: bytes, other: bytes) -> None:
    assert other.startswith(prefix) == (prefix <= other < prefix_end(prefix))
