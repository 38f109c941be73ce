"""EDN and Jepsen's histories, read as strictly as our own format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_checkers.edn import Edn, Keyword, Symbol, forms
from dynalab_checkers.formats import Reading, parse_edn
from dynalab_checkers.history import MISSING, MalformedHistory
from dynalab_checkers.linearizability import check_model, check_register
from dynalab_checkers.models import SET


def one(text: str) -> Edn:
    ((_, form),) = forms([text])
    return form


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nil", None),
        ("true", True),
        ("-12", -12),
        ("7N", 7),
        ("2.5M", 2.5),
        ("1e3", 1000.0),
        (r'"a\"b\n\u0041"', 'a"b\nA'),
        (r"\newline", "\n"),
        (r"\(", "("),
        ("{}", {}),
        ("#{1 2}", [1, 2]),
        ("(1 [2 {:a nil}])", None),
        ('#inst "2024-01-01"', "2024-01-01"),
        ("#jepsen.history.Op{:f :read}", {"f": "read"}),
        ("{:a #_ {:b 1} 2}", {"a": 2}),
        ("{[1 2] 3}", {"[1, 2]": 3}),
    ],
)
def test_every_kind_of_form_is_read(text: str, value: Edn) -> None:
    if text[0] == "(":
        # A list that is the whole file holds the forms.
        assert [form for _, form in forms([text])] == [1, [2, {"a": None}]]
    else:
        assert one(text) == value


def test_keywords_and_symbols_are_not_strings() -> None:
    keyword, symbol, string = (form for _, form in forms([':ok ok "ok"']))
    assert (type(keyword), type(symbol), type(string)) == (Keyword, Symbol, str)


def test_a_form_may_go_on_over_lines_and_is_named_by_its_first() -> None:
    lines = ["", "{:a", '"two', 'lines" ; not a "comment', "}", "5"]
    assert list(forms(line + "\n" for line in lines)) == [(2, {"a": "two\nlines"}), (6, 5)]


def test_nesting_has_no_limit() -> None:
    value = one("{:a " + "[" * 5000 + "]" * 5000 + "}")
    assert isinstance(value, dict)
    depth, inner = 0, value["a"]
    while isinstance(inner, list) and inner:
        depth, inner = depth + 1, inner[0]
    assert depth == 4999


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["1", "]"], 2),
        (["1", "{:a 1", "}", "{:a", "1"], 4),
        (["{:a}"], 1),
        (["{:a 1 :a 2}"], 1),
        (["5", '"abc', "def"], 2),
        (["[1 2]", "[3]"], 2),
        (["5", "#_"], 2),
        (["5", "#inst"], 2),
        (["0x10"], 1),
        (["[1 }"], 1),
        ([r"\nonsense"], 1),
        (["9" * 5000], 1),
    ],
)
def test_what_is_not_edn_is_named_by_its_line(lines: list[str], line: int) -> None:
    with pytest.raises(MalformedHistory) as caught:
        list(forms(text + "\n" for text in lines))
    assert caught.value.line == line


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc ", max_size=3), inner, max_size=3),
    max_leaves=8,
)


def written(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(name)} {written(told)}" for name, told in value.items()) + "}"
    if isinstance(value, list):
        return "[" + " ".join(map(written, value)) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "nil" if value is None else str(value).lower()


@given(st.lists(PLAIN, max_size=4))
def test_what_was_written_is_read(values: list[Edn]) -> None:
    text = "[" + "\n ".join(map(written, values)) + "]"
    assert [form for _, form in forms(line + "\n" for line in text.split("\n"))] == values


INDEPENDENT = """
{:type :info, :f :start-partition, :process :nemesis, :time 1, :index 0}
{:type :invoke, :f :write, :value [0 3], :process 1, :time 10, :index 1}
{:type :invoke, :f :cas, :value [0 [3 4]], :process 2, :time 11, :index 2}
{:type :ok, :f :write, :value [0 3], :process 1, :time 12, :index 3}
{:type :fail, :f :cas, :value [0 [3 4]], :process 2, :time 13, :index 4, :error [:precondition-failed "3"]}
{:type :invoke, :f :read, :value [1 nil], :process 1, :time 14, :index 5}
{:type :ok, :f :read, :value [1 nil], :process 1, :time 15, :index 6}
""".splitlines()


def test_independent_keys_are_pairs_and_the_nemesis_is_passed_over() -> None:
    write, cas, read = parse_edn(INDEPENDENT).operations
    assert (write.key, write.value, write.process, write.call, write.call_index) == ("0", 3, 1, 10, 1)
    assert (cas.key, cas.value, cas.outcome, cas.found) == ("0", [3, 4], "fail", MISSING)
    assert cas.annotation("error") == "condition failed: precondition-failed 3"
    assert (read.key, read.result, read.outcome) == ("1", None, "ok")


def test_a_bare_compare_is_no_independent_key() -> None:
    lines = ["{:process 0 :type :invoke :f :cas :value [1 2]}", "{:process 0 :type :info :f :cas :value [1 2]}"]
    (cas,) = parse_edn(lines).operations
    assert (cas.key, cas.value, cas.outcome, cas.call) == ("register", [1, 2], "info", 0)
    with pytest.raises(MalformedHistory):
        parse_edn(lines, Reading(independent=True))


def test_a_compare_that_met_no_key_found_it_absent_and_a_timeout_found_nothing() -> None:
    lines = []
    for process, error in enumerate(([":key-does-not-exist"], [":net-timeout"])):
        lines.append(f"{{:process {process} :type :invoke :f :cas :value [1 2]}}")
        lines.append(f"{{:process {process} :type :fail :f :cas :value [1 2] :error {error[0]}}}")
    missing, timeout = parse_edn(lines).operations
    assert missing.found is None
    assert timeout.found is MISSING
    # The value 1 was never there: that the condition failed is no news, and the time-out says nothing at all.
    assert check_register(parse_edn(lines)).verdict == "valid"


def test_transactions_have_string_keys_and_plain_names() -> None:
    lines = [
        "{:index 4, :type :invoke, :process 0, :f :txn, :value [[:append 3 1] [:r 4 nil]]}",
        "{:index 5, :type :ok, :process 0, :f :txn, :value [[:append 3 1] [:r 4 [1 2]]]}",
    ]
    (txn,) = parse_edn(lines).operations
    assert txn.value == [["append", "3", 1], ["r", "4", [1, 2]]]


def test_jepsens_set_test_is_judged_under_our_names() -> None:
    lines = [
        "{:process 0 :type :invoke :f :add :value 1}",
        "{:process 0 :type :ok :f :add :value 1}",
        "{:process 1 :type :invoke :f :read :value nil}",
        "{:process 1 :type :ok :f :read :value #{}}",
    ]
    verdict = check_model(parse_edn(lines, Reading(renames=SET.aliases)), SET)
    assert verdict.verdict == "invalid"
    assert "members" in verdict.why
    lines[3] = "{:process 1 :type :ok :f :read :value #{1}}"
    assert check_model(parse_edn(lines, Reading(renames=SET.aliases)), SET).verdict == "valid"


@pytest.mark.parametrize(
    "line",
    [
        "[1]",
        "{:type :invoke :f :read}",
        "{:process 0 :type :begin :f :read}",
        "{:process 1.5 :type :invoke :f :read}",
        "{:process 0 :type :invoke :f :write :value [3 4]}",
        "{:process 0 :type :invoke :f :write :value {:a 1}}",
        '{:process 0 :type :invoke :f :read :time "soon"}',
    ],
)
def test_an_event_that_breaks_the_format_is_named(line: str) -> None:
    with pytest.raises(MalformedHistory) as caught:
        parse_edn(["{:process 9 :type :invoke :f :write :value 1}", "5 " if line == "[1]" else line])
    assert caught.value.line == 2


def test_what_is_nested_too_deeply_is_an_error_of_its_line_and_no_crash() -> None:
    deep = "[" * 5_000 + "1" + "]" * 5_000
    first = "{:process 0 :type :invoke :f :enqueue :value 1}"
    with pytest.raises(MalformedHistory, match="line 2: nested too deeply"):
        parse_edn([first, f"{{:process 0 :type :ok :f :enqueue :value {deep}}}"])
    with pytest.raises(MalformedHistory, match="line 1: nested too deeply"):
        parse_edn([deep])
