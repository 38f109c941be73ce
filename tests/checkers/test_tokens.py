"""Effects once per token, and doctors on call: right histories pass, each rule has a history that breaks it alone."""

from __future__ import annotations

import random

from dynalab_checkers.check import check_history
from dynalab_checkers.history import History, Json, Operation
from dynalab_checkers.on_call import check_on_call
from dynalab_checkers.tokens import check_effects_once, once_per_token


def history(*operations: Operation) -> History:
    for place, operation in enumerate(operations):
        operation.call_index = 2 * place
        operation.ret_index = None if operation.ret is None else 2 * place + 1
        operation.process = place
    return History(operations)


def attempt(name: str | None, element: int, call: int, outcome: str = "ok", *keys: str) -> Operation:
    micros: list[Json] = [["append", key, element] for key in keys or ("x", "y")]
    extra: dict[str, Json] = {} if name is None else {"token": name}
    return Operation(0, "txn", "", call, None if outcome == "info" else call + 5, outcome, micros, extra=extra)


def get(call: int, *elements: Json, key: str = "x", flavour: str | None = None) -> Operation:
    return Operation(
        0, "get", key, call, call + 5, "ok", consistency=flavour, ret_extra={"value": list(elements) or None}
    )


def verdict(*operations: Operation) -> str:
    return check_effects_once(history(*operations)).verdict


def test_a_token_that_was_answered_on_its_second_attempt_counts_once() -> None:
    lost, again = attempt("a", 1, 0, "info"), attempt("a", 1, 20)
    assert verdict(lost, again, get(40, 1)) == "valid"
    found = check_effects_once(history(lost, again, get(40, 1, 1)))
    assert found.verdict == "invalid"
    assert found.why == "the read of x at 40 ns held 1 twice, which was asked for under the token a at 0.000 s"
    assert [operation.call for operation in found.operations] == [0, 40]


def test_without_a_token_a_second_attempt_is_a_second_effect_that_nobody_can_tell_apart() -> None:
    assert verdict(attempt(None, 1, 0, "info"), attempt(None, 1, 20), get(40, 1)) == "unknown"


def test_an_acknowledged_effect_is_there_and_an_unknown_one_may_be() -> None:
    assert verdict(attempt("a", 1, 0), get(40)) == "invalid"
    assert verdict(attempt("a", 1, 0), get(2)) == "valid"  # at the same time
    assert verdict(attempt("a", 1, 0), get(40, flavour="eventual")) == "valid"
    assert verdict(attempt("a", 1, 0, "info"), get(40)) == verdict(attempt("a", 1, 0, "info"), get(40, 1)) == "valid"


def test_a_token_all_of_whose_attempts_were_refused_left_nothing() -> None:
    refused = attempt("a", 1, 0, "fail")
    assert verdict(refused, attempt("a", 1, 20, "fail"), get(40)) == "valid"
    found = check_effects_once(history(refused, get(40, 1, flavour="eventual")))
    assert found.why == "the read of x at 40 ns held 1, which was refused under the token a at 0.000 s"
    assert verdict(refused, attempt("a", 1, 20, "info"), get(40, 1)) == "valid"


def test_an_element_of_nobody_is_named() -> None:
    assert check_effects_once(history(get(40, 7))).why == "the read of x at 40 ns held 7, which nobody appended"


def test_a_token_with_other_parameters_must_be_refused() -> None:
    other = attempt("a", 2, 20)
    found = check_effects_once(history(attempt("a", 1, 0), other, get(40, 1, 2)))
    assert found.verdict == "invalid"
    assert found.why.endswith("asked for something else than the first one with the token a, and was not refused")
    for outcome in ("fail", "info"):
        assert verdict(attempt("a", 1, 0), attempt("a", 2, 20, outcome), get(40, 1)) == "valid"
        assert verdict(attempt("a", 1, 0), attempt("a", 2, 20, outcome), get(40, 1, 2)) == "invalid"


def test_transactions_that_read_lists_are_judged_too() -> None:
    def both(call: int, x: list[Json], y: list[Json]) -> Operation:
        return Operation(0, "txn", "", call, call + 5, "ok", [["r", "x", x], ["r", "y", y]])

    assert verdict(attempt("a", 1, 0), both(40, [1], [1])) == "valid"
    assert verdict(attempt("a", 1, 0), both(40, [1], [1, 1])) == "invalid"


def test_counters_are_judged_with_each_token_counted_once() -> None:
    def add(name: str, value: int, call: int, outcome: str = "ok") -> Operation:
        ret = None if outcome == "info" else call + 5
        return Operation(0, "add", "n", call, ret, outcome, value, extra={"token": name})

    def read(call: int, value: int) -> Operation:
        return Operation(0, "read", "n", call, call + 5, "ok", result=value)

    tries = (add("a", 1, 0, "info"), add("a", 1, 10), add("b", 10, 20, "info"))
    expected = {0: "invalid", 1: "valid", 11: "valid", 12: "invalid"}
    assert {total: verdict(*tries, read(40, total)) for total in expected} == expected


def test_nothing_read_is_nothing_shown() -> None:
    assert verdict(attempt("a", 1, 0)) == "unknown"


def test_attempts_as_one_operation_can_be_judged_for_isolation() -> None:
    tries = history(attempt("a", 1, 0, "info"), attempt("a", 1, 20), get(40, 1), get(50, 1, key="y"))
    merged, strangers = once_per_token(tries)
    assert not strangers and len(merged) == 3
    assert check_history(merged, "mixed-append").verdict == "valid"
    assert check_history(tries, "mixed-append").verdict != "valid"  # the element is appended twice there


def _toy_run(seed: int, *, forgets: bool) -> str:
    """A store that keeps its tokens, or forgets them, before clients that try again after an unknown outcome."""
    draw = random.Random(seed).randrange
    held: list[Json] = []
    operations: list[Operation] = []
    for number in range(12):
        happened = False
        for time in range(3):
            outcome = ("ok", "info", "info")[draw(3)]
            operations.append(attempt(f"t{number}", number, 100 * number + 20 * time, outcome, "x"))
            if (outcome == "ok" or draw(2)) and (forgets or not happened):
                held.append(number)
                happened = True
            if outcome == "ok":
                break
        operations.append(get(100 * number + 90, *held))
    return verdict(*operations)


def test_a_store_that_remembers_tokens_is_valid_and_one_that_forgets_them_is_not() -> None:
    assert {_toy_run(seed, forgets=False) for seed in range(40)} == {"valid"}
    assert {_toy_run(seed, forgets=True) for seed in range(40)} == {"invalid"}


def rota(call: int, *on: bool | None, names: str = "ab") -> Operation:
    micros: list[Json] = [["r", f"ward/{name}", is_on] for name, is_on in zip(names, on, strict=True)]
    return Operation(0, "txn", "", call, call + 5, "ok", micros)


def test_somebody_of_every_rota_is_on_call() -> None:
    leave = Operation(0, "txn", "", 0, 5, "ok", [["r", "ward/a", True], ["w", "ward/b", False]])
    assert check_on_call(history(leave, rota(10, True, False))).verdict == "valid"
    found = check_on_call(history(leave, rota(10, False, None)))
    assert found.why == "the transaction at 10 ns found 0 of 2 on call in ward, where at least 1 must be"
    assert check_on_call(history(rota(10, True, False)), least=2).verdict == "invalid"


def test_only_a_transaction_that_reads_the_whole_rota_says_anything() -> None:
    single = Operation(0, "txn", "", 10, 15, "ok", [["r", "ward/a", False]])
    other = Operation(0, "txn", "", 20, 25, "ok", [["r", "ward/b", False]])
    assert check_on_call(history(single, other)).verdict == "unknown"
    weak = rota(30, False, False)
    weak.consistency = "eventual"
    assert check_on_call(history(single, other, weak)).verdict == "unknown"
