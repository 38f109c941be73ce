"""Logs of other tools, read as strictly as our own format."""

from __future__ import annotations

import pytest

from dynalab_checkers.formats import parse_etcd_log, parse_kv_log
from dynalab_checkers.history import MISSING, MalformedHistory


def test_an_etcd_line_gives_process_type_function_and_value() -> None:
    history = parse_etcd_log(
        [
            "INFO  jepsen.util - 4\t:invoke\t:read\tnil",
            "INFO  jepsen.util - 0\t:invoke\t:cas\t[4 -1]",
            "INFO  jepsen.util - 4\t:ok\t:read\t3",
            "INFO  jepsen.util - 0\t:fail\t:cas\t[4 -1]",
        ]
    )
    read, cas = history.operations
    assert (read.process, read.f, read.result, read.call, read.ret) == (4, "read", 3, 1, 3)
    assert (cas.process, cas.value, cas.outcome, cas.found) == (0, [4, -1], "fail", MISSING)


def test_a_timed_out_write_stays_open_and_a_timed_out_failure_had_no_effect() -> None:
    history = parse_etcd_log(
        ["0 :invoke :write 4", "1 :invoke :read nil", "0 :info :write :timed-out", "1 :fail :read :timed-out"]
    )
    write, read = history.operations
    assert (write.outcome, write.ret) == ("info", None)
    assert (read.outcome, read.ret) == ("fail", 4)


def test_a_key_value_line_gives_strings_with_their_escapes() -> None:
    history = parse_kv_log(
        [
            r'{:process 2, :type :invoke, :f :put, :key "a \"b\"", :value "x\\y\n"}',
            r'{:process 2, :type :ok, :f :put, :key "a \"b\"", :value "x\\y\n"}',
            '{:process 3, :type :invoke, :f :get, :key "4", :value nil}',
            '{:process 3, :type :ok, :f :get, :key "4", :value ""}',
        ]
    )
    put, get = history.operations
    assert (put.f, put.key, put.value) == ("write", 'a "b"', "x\\y\n")
    assert (get.f, get.key, get.result) == ("read", "4", "")


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        "0 :invoke :read 5",
        "0 :invoke :write abc",
        "0 :invoke :write :timed-out",
        "0 :invoke :cas 5",
        "0 :begin :read nil",
        "x :invoke :read nil",
    ],
)
def test_a_malformed_etcd_line_is_named(line: str) -> None:
    with pytest.raises(MalformedHistory) as caught:
        parse_etcd_log(["9 :invoke :read nil", line])
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "line",
    [
        '{:process 0, :type :invoke, :f :append, :key "4"}',
        '{:process 0, :type :invoke, :f :append, :key "4", :value nil}',
        '{:process 0, :type :ok, :f :append, :key "4", :value "x"}',
        '{:process 0, :type :invoke, :f :steal, :key "4", :value "x"}',
    ],
)
def test_a_malformed_key_value_line_is_named(line: str) -> None:
    with pytest.raises(MalformedHistory) as caught:
        parse_kv_log(['{:process 9, :type :invoke, :f :get, :key "4", :value nil}', line])
    assert caught.value.line == 2
