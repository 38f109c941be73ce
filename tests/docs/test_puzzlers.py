"""The puzzlers of the chapters: each prints what its chapter shows, and says the same against every database.

`pytest tests/docs/test_puzzlers.py --rewrite-transcripts` writes what they print anew; read the difference first.
"""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dynalab.pytest_plugin import Endpoint

ROOT = Path(__file__).resolve().parents[2]
PUZZLERS = ROOT / "docs" / "examples" / "puzzlers"
PRINTED = ROOT / "docs" / "transcripts" / "puzzlers"
CHAPTERS = ROOT / "docs" / "chapters"
HELPERS = ("crowd", "meter")
NAMES = sorted(path.stem for path in PUZZLERS.glob("*.py") if path.stem not in HELPERS)
# They bring their own service: six need virtual time, one lays a hundred thousand items into the model's table.
WITH_THEIR_OWN = (
    "busy_keys",
    "customers",
    "offices_throttled",
    "old_events_written",
    "parallel_scan",
    "to_kinesis",
    "votes",
)
ANYWHERE = [name for name in NAMES if name not in WITH_THEIR_OWN]
# Over HTTP an index lags by real time, and a puzzler waits for none: these read no index, and make few tables.
OVER_HTTP = ["cart", "five_indexes", "rounding"]


def load(name: str) -> ModuleType:
    """A module of the folder, which is no package: its programs import each other as scripts do."""
    sys.path.insert(0, str(PUZZLERS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(PUZZLERS))


meter: Any = load("meter")


def printed(name: str, transport: Any = None) -> str:
    return "\n".join(load(name).puzzler(meter.Database(transport))) + "\n"


def kept(name: str) -> str:
    return (PRINTED / f"{name}.txt").read_text(encoding="utf-8")


def cells(name: str) -> dict[str, list[str]]:
    """What a puzzler's tables say: the first column, and the others. The test above holds the file to the program."""
    rows = (re.split(r" {2,}", line) for line in kept(name).splitlines())
    return {row[0]: row[1:] for row in rows}


# --- the output ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_puzzler_prints_what_the_chapter_shows(name: str, request: pytest.FixtureRequest) -> None:
    text = printed(name)
    if request.config.getoption("--rewrite-transcripts"):
        (PRINTED / f"{name}.txt").write_text(text, encoding="utf-8")
    assert text == kept(name), "read the difference, then write it anew with --rewrite-transcripts"


def test_every_puzzler_stands_in_a_chapter_behind_the_command_that_prints_it() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in CHAPTERS.glob("*.md"))
    shown = re.findall(r'\$ python docs/examples/puzzlers/(\w+)\.py\n--8<-- "transcripts/puzzlers/(\w+)\.txt"', text)
    assert sorted(name for name, _ in shown) == NAMES
    assert all(name == file for name, file in shown)
    assert sorted(path.stem for path in PRINTED.iterdir()) == NAMES


@pytest.mark.parametrize("name", ANYWHERE)
def test_the_replicated_service_says_what_the_model_says(name: str) -> None:
    assert printed(name, meter.Simulated()) == kept(name)


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_client_over_http_is_told_the_same(name: str, dynalab_endpoint: Endpoint) -> None:
    assert printed(name, meter.Served(dynalab_endpoint.url)) == kept(name)


@pytest.mark.parametrize("name", [*HELPERS, *NAMES])
def test_the_examples_in_the_docstrings_run(name: str) -> None:
    failed, _ = doctest.testmod(load(name))
    assert failed == 0


def test_the_picture_of_key_bytes_is_drawn_from_the_code_that_orders_items() -> None:
    sys.path.insert(0, str(PUZZLERS.parent))
    try:
        drawing = importlib.import_module("key_layout")
    finally:
        sys.path.remove(str(PUZZLERS.parent))
    assert drawing.PICTURE.read_text(encoding="utf-8") == drawing.picture(), "python docs/examples/key_layout.py"
    assert doctest.testmod(drawing).failed == 0
    assert '--8<-- "assets/key-layout.svg"' in (CHAPTERS / "keys-items-collections.md").read_text(encoding="utf-8")


def as_a_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=PUZZLERS, capture_output=True, text=True, timeout=60, check=False)


def test_a_puzzler_is_a_program_and_says_why_it_cannot_run(dynalab_endpoint: Endpoint) -> None:
    assert as_a_program("keys.py").stdout == kept("keys")
    at = ("--endpoint", dynalab_endpoint.url)
    assert as_a_program("keys.py", *at).stdout == kept("keys")
    again = as_a_program("keys.py", *at)
    assert again.returncode == 1 and "ResourceInUseException" in again.stderr and "Traceback" not in again.stderr
    own = as_a_program("votes.py", *at)
    assert own.returncode == 1 and "it brings its own service" in own.stderr and not own.stdout


# --- what the items say ----------------------------------------------------------------------------------------------


@pytest.mark.claim("S19", "S144")
def test_a_partition_key_is_unique_only_where_there_is_no_sort_key() -> None:
    assert "5 puts: 2 items where the partition key is the whole key, 5 with a sort key" in kept("keys")
    lines = kept("keys").splitlines()[1:6]
    hashes = [re.split(r" {2,}", line)[1] for line in lines]
    assert hashes == sorted(hashes) and len(set(hashes)) == 2
    assert [line.split("  ")[0] for line in lines] == [
        "bob Address#home",
        "bob Cart#001",
        "ann Cart#001",
        "ann Cart#002",
        "ann Order#7",
    ]


@pytest.mark.claim("S48", "S49", "S50", "S51")
def test_a_line_added_to_a_cart_of_300_kb_costs_350_units_and_in_a_collection_what_it_holds() -> None:
    found = cells("cart")
    assert found["add a line of 50 KB"] == ["350", "50"]
    assert found["change a quantity"] == ["350", "1"]
    assert "two more lines in one item: ValidationException: Item size to update has exceeded" in kept("cart")
    assert "everything about the user: 1 request, Address, Cart, Order" in kept("cart")


@pytest.mark.claim("S52", "S53", "S54")
def test_a_filter_on_one_in_a_hundred_wastes_a_hundred_times_what_the_sort_key_needs() -> None:
    found = cells("device_log")
    assert found["all entries, no filter"] == ["2,000", "2,000", "250"]
    assert found["sort key Date, filter State"] == ["2,000", "20", "250"]
    assert found["sort key State#Date"] == ["20", "20", "2.5"]
    newest = kept("device_log").splitlines()[0].removeprefix("newest first: ").split(", ")
    assert len(newest) == 3 and newest == sorted(newest, reverse=True)


@pytest.mark.claim("S55", "S56", "S57")
def test_an_index_by_operator_answers_between_two_dates_and_must_be_named() -> None:
    text = kept("device_log")
    assert "AND 2022-03-25: 75 entries, the last at 2022-03-24T22:24" in text  # a day sorts before its hours
    assert "AND 2022-03-25T22:24: 90 entries, the last at 2022-03-25T22:24" in text  # the bound itself is in
    assert "without IndexName: ValidationException: Query condition missed key schema element: device" in text
    assert "escalated to Sarah: 4 of 2,000; after one is taken back: 3" in text


@pytest.mark.claim("S58")
def test_one_hierarchical_sort_key_answers_for_a_state_a_city_and_an_office() -> None:
    found = cells("offices")
    assert found["a state: NY#"] == ["BUF7 JFK12 JFK14 JFK16", "4"]
    assert found["a city: NY#NYC#"] == ["JFK12 JFK14 JFK16", "3"]
    assert found["an office: NY#NYC#JFK14"] == ["JFK14", "1"]


@pytest.mark.claim("S58")
def test_a_sort_key_of_several_attributes_answers_from_left_to_right_and_compares_each_as_what_it_is() -> None:
    found = cells("offices_in_columns")
    assert found["a state"] == ["stock legal press board", "4"], "NYX is no part of NY"
    assert found["a city"] == ["legal press board", "3"], "floors 9, 10, 102"
    assert found["above a floor"] == ["press board", "2"]
    refused = [name for name, row in found.items() if row and row[0].startswith("refused")]
    assert refused == ["a city in any state", "floors of a state", "a range, then more"]
    assert kept("offices_in_columns").endswith("legal lost its floor: board press\n")


@pytest.mark.claim("S59")
def test_a_country_as_partition_key_is_throttled_and_country_and_state_is_not() -> None:
    found = {
        name: [int(cell.replace(",", "")) for cell in row] for name, row in list(cells("offices_throttled").items())[1:]
    }
    sent, served, throttled = found["Country"]
    assert served + throttled == sent == 2_400
    assert 600 <= served <= 900 + 10, "two seconds of 300, and at most a full bucket before"
    assert found["Country-State"] == [2_400, 2_400, 0]


@pytest.mark.claim("S60", "S61", "S62")
def test_votes_for_one_key_are_throttled_and_for_enough_shards_all_are_counted() -> None:
    rows = {name: [int(cell.replace(",", "")) for cell in row] for name, row in list(cells("votes").items())[1:5]}
    assert list(rows) == ["1", "20", "100", "400"]
    lost = [throttled for _, _, throttled in rows.values()]
    assert lost == sorted(lost, reverse=True) and lost[0] > 1_000 and lost[-1] == 0
    # Twenty shards are what the arithmetic asks for, and do not do: some of them meet in a partition.
    assert lost[1] > 0
    assert all(counted + throttled == sent for sent, counted, throttled in rows.values())
    totals = kept("votes").splitlines()[-1].rpartition(": ")[2].split(", ")
    assert totals == ["800", "1000", "1200", "1400"]  # two votes of three, 300 a second, none lost


@pytest.mark.claim("S145")
def test_a_calculated_suffix_finds_one_item_with_one_request_and_a_random_one_must_look_around() -> None:
    found = cells("suffixes")
    assert found["calculated"][:2] == ["1", "0.5"]
    assert 4 < float(found["random"][0]) < 7
    assert found["random"][2] == found["calculated"][2] == "10"


@pytest.mark.claim("S64")
def test_queries_over_the_parts_of_an_index_return_exactly_the_old_events() -> None:
    """That they are exactly the old ones is asserted by the puzzler; here: what it costs, and who gets the writes."""
    found = cells("old_events")
    assert found["index on everything"] == ["1", "240", "1", "100 %"]
    assert found["index on part"] == ["10", "240", "5", "10 %"]
    assert found["scan, filter"][1:3] == ["480", "30"]


@pytest.mark.claim("S63")
def test_a_table_takes_what_the_one_key_of_its_index_takes() -> None:
    found = {
        name: [int(cell.replace(",", "")) for cell in row]
        for name, row in list(cells("old_events_written").items())[1:]
    }
    sent = 2_400
    assert found["none"] == found["part, at"] == [sent, sent, 0]
    served, throttled = found["everything, at"][1:]
    # 100 a second for six seconds, and 8 partitions that may each owe 65.
    assert served == 1_200 and served + throttled == sent


@pytest.mark.claim("S73")
def test_four_workers_find_every_item_once_in_a_third_of_the_time_of_one() -> None:
    found = cells("parallel_scan")
    took = {workers: float(row[1].removesuffix(" ms")) for workers, row in list(found.items())[1:]}
    assert list(took) == ["1", "2", "4", "100"]
    assert took["4"] * 3 < took["1"] and took["2"] < took["1"]


@pytest.mark.claim("S105", "S106", "S107", "S108", "S109")
def test_one_collection_answers_with_one_query_what_takes_a_table_a_kind_n_plus_one() -> None:
    found = cells("repository")
    assert found["cart, a table a kind"][0] == "13"  # a cart and its 12 products
    assert found["cart, one collection"] == ["1", "0.5"]
    assert [found[name][0] for name in ("page, a table a kind", "page, one collection")] == ["2", "1"]
    assert found["only the repository, whole page read"] == ["1", "3"]
    assert found["only the repository, looked ahead"] == ["1", "0.5"]
    assert "the page: REPO#dynalab, issue 40, issue 39, issue 38, …, issue 31" in kept("repository")


@pytest.mark.claim("S142")
def test_nothing_adds_up_for_the_reader_but_a_row_that_is_kept() -> None:
    assert kept("sums").startswith("ValidationException: ")
    found = cells("sums")
    assert found["read all orders and add"] == ["25"]
    assert found["read the row that holds the sum"] == ["0.5"]
    assert found["keep that row, an order"] == ["1"]
    assert "both say 6,300" in kept("sums")


@pytest.mark.claim("S26", "S31", "S112")
def test_units_are_whole_kilobytes_of_writes_and_four_of_reads_and_eventual_ones_cost_half() -> None:
    found = cells("rounding")
    for size, told in {
        "0.5 KB": ["1", "1", "0.5"],
        "1.5 KB": ["2", "1", "0.5"],
        "7 KB": ["7", "2", "1"],
        "7.5 KB": ["8", "2", "1"],
        "10 KB": ["10", "3", "1.5"],
        "100 KB": ["100", "25", "12.5"],
    }.items():
        assert found[size] == told


@pytest.mark.claim("S113", "S114")
def test_a_query_of_a_hundred_small_items_costs_3_units_not_100_and_no_filter_makes_it_cheaper() -> None:
    found = cells("rounding")
    assert found["100 GetItem"] == ["100", "100"]
    assert found["Query"] == ["100", "3"]
    assert found["Query, a filter keeps one in ten"] == ["10", "3"]
    assert found["Query, one attribute projected"] == ["100", "3"]


@pytest.mark.claim("S118", "S119")
def test_a_page_view_in_an_item_of_10_kb_costs_ten_times_a_view_in_a_row_of_its_own() -> None:
    found = cells("page_views")
    assert found["one item of 10 KB"][:2] == ["10", "$12.50"]
    assert found["text and counter apart"][:2] == ["1", "$1.25"]
    assert found["text and counter apart"][2] == "1", "one query still reads both"
    assert "saved: 90 %" in kept("page_views")


@pytest.mark.claim("S120", "S121")
def test_reading_100_kb_costs_12_5_units_and_two_indexes_cost_three_units_an_order_instead_of_one() -> None:
    found = cells("over_read")
    assert found["no index, filter in the client"] == ["1", "12.5"]
    assert found["two indexes"] == ["3", "1.5"]
    assert "20 to 1" in kept("over_read")


@pytest.mark.claim("S122")
def test_4_kb_into_a_table_with_five_indexes_cost_24_units() -> None:
    assert kept("five_indexes").startswith("put 4 KB: 4 units without an index, 24 with five")


@pytest.mark.claim("S28", "S29", "S30", "S127")
def test_an_index_writes_nothing_once_or_twice() -> None:
    found = cells("five_indexes")
    assert {name: row[1] for name, row in list(found.items())[2:]} == {
        "put without the index key": "0",
        "it gets the index key": "1",
        "a projected attribute changes": "1",
        "the same value is written again": "0",
        "another attribute changes": "0",
        "the index key changes": "2",
        "the index key goes": "1",
    }


@pytest.mark.claim("S123", "S124", "S126")
def test_a_narrow_index_reads_1000_entries_for_12_5_units_and_not_the_20_of_the_text() -> None:
    found = cells("narrow")
    assert found["index that projects all, eventual"] == ["4", "500"]
    assert found["index with 100 bytes an entry, eventual"] == ["1", "12.5"]
    assert found["a table of such entries, strong"] == ["1", "25"]
    assert found["20 of the narrow index, then BatchGetItem"] == ["2", "10.5"]
    assert found["the text"] == ["40", "20"]
    assert found["bytes / 4 KB, rounded up"] == found["measured"] == ["25", "12.5"]


@pytest.mark.claim("S125")
def test_a_list_of_100_000_customers_costs_2442_units_by_arithmetic_and_nine_more_in_pages() -> None:
    found = cells("customers")
    assert found["bytes / 4 KB, rounded up once"] == ["2,442", "1,221"]
    assert found["measured, 10 pages, each rounded up"] == ["2,451", "1,225.5"]


@pytest.mark.claim("S68", "S69", "S70", "S71", "S72")
def test_health_is_bought_for_coins_or_not_and_a_wrong_condition_refuses_who_has_just_enough() -> None:
    found = cells("coins")
    assert found["401, amount > :price"] == ["100", "1", "bought"]
    assert found["400, amount > :price"] == ["20", "400", "None, ConditionalCheckFailed"]
    assert found["400, amount >= :price"] == ["100", "0", "bought"]
    assert "Transaction request cannot include multiple operations on one item" in kept("coins")
    assert "100 actions: done; 101: ValidationException" in kept("coins")
    assert "three puts of 500 bytes: 3 units one by one, 6 in a transaction" in kept("coins")


@pytest.mark.claim("S100", "S101", "S102")
def test_a_condition_guards_one_account_and_a_transaction_two() -> None:
    found = cells("accounts")
    assert found["subtract"] == ["160", "-60"]
    assert found["subtract if enough is left"] == found["write if the version is the same"] == ["80", "20"]
    assert found["two requests, the client dies between them"] == ["20 + 0 = 20"]
    assert found["one transaction"] == ["20 + 80 = 100"]
    assert "till 1 at 0 s True, till 2 at 10 s False" in kept("accounts")
    assert "till 2 at 30 s True" in kept("accounts") and kept("accounts").endswith("any more: False\n")


@pytest.mark.claim("S151")
def test_a_large_object_behind_a_pointer_is_whole_or_not_there_and_orphans_are_swept() -> None:
    found = cells("pictures")
    assert found["behind the pointer"] == ["a pointer to nothing"] and found["behind the object"] == ["not there"]
    assert "Item size has exceeded the maximum allowed size" in kept("pictures")
    assert "objects 3, swept after an hour 1, left 2" in kept("pictures")
    assert "uploaded again meanwhile: 2,097,152 bytes" in kept("pictures")
