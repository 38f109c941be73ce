"""Things that expire: a sweeper that keeps the rules is explained, and each rule has a history that breaks it alone."""

from __future__ import annotations

from random import Random

import pytest

from dynalab_checkers.expiry import SERVICE, TOO_OLD_S, check_expiry, check_sweeps
from dynalab_checkers.history import History, Json, Operation
from dynalab_checkers.linearizability import check_register
from dynalab_checkers.streams import INSERT, REMOVE, Record

SECOND = 1_000_000_000


def history(*operations: Operation) -> History:
    ends: list[tuple[int, int, int]] = []
    for number, one in enumerate(operations):
        one.process = number
        ends += [(one.call, 1, number), *([] if one.ret is None else [(one.ret, 0, number)])]
    for index, (_, is_call, number) in enumerate(sorted(ends)):
        if is_call:
            operations[number].call_index = index
        else:
            operations[number].ret_index = index
    return History(operations)


def write(value: int, at: int, expires: int | None, outcome: str = "ok") -> Operation:
    extra: dict[str, Json] = {} if expires is None else {"expires": expires}
    ret = None if outcome == "info" else at * SECOND + 9
    return Operation(0, "write", "k", at * SECOND, ret, outcome, value, extra=extra)


def renew(old: int, value: int, at: int, expires: int) -> Operation:
    call = at * SECOND
    return Operation(0, "cas", "k", call, call + 9, "ok", [old, value], old=old, extra={"expires": expires})


def read(at: int, value: int | None) -> Operation:
    return Operation(0, "read", "k", at * SECOND, at * SECOND + 9, "ok", result=value, consistency="strong")


def verdict(*operations: Operation, **clocks: int) -> str:
    return check_expiry(history(*operations), **clocks).verdict


def test_what_expired_may_be_gone_and_may_still_be_read() -> None:
    assert verdict(write(1, 0, 10), read(11, None)) == verdict(write(1, 0, 10), read(500, 1)) == "valid"
    assert verdict(write(1, 0, 10), read(11, None), read(12, 1)) == "invalid"  # and it does not come back


def test_what_has_not_expired_is_there() -> None:
    found = check_expiry(history(write(1, 0, 10), read(8, None)))
    assert found.verdict == "invalid"
    assert found.why == "the read at 8.000 s returned nothing, and k = 1 expires at 10.000 s"
    assert verdict(write(1, 0, None), write(2, 3, 10), read(8, 2), read(20, 2)) == "valid"
    assert verdict(write(2, 0, 10), write(1, 3, None), read(20, None)) == "invalid"


@pytest.mark.claim("S183")
def test_an_item_expires_once_its_second_is_less_than_now() -> None:
    assert verdict(write(1, 0, 10), read(10, None), error_ns=0) == "valid"  # the read ends in the tenth second
    early = Operation(0, "read", "k", 9 * SECOND, 10 * SECOND, "ok", consistency="strong")
    assert verdict(write(1, 0, 10), early) == "invalid"


def test_a_renewed_item_survives_the_sweep_of_what_it_was() -> None:
    renewed = (write(1, 0, 10), renew(1, 2, 9, 30))
    assert verdict(*renewed, read(12, 2)) == "valid"
    assert verdict(*renewed, read(12, None)) == "invalid"
    assert verdict(*renewed, read(31, None)) == "valid"


def test_a_clock_that_is_ahead_within_its_bound_may_sweep_early() -> None:
    assert verdict(write(1, 0, 10), read(8, None), error_ns=3 * SECOND) == "valid"
    assert verdict(write(1, 0, 10), read(5, None), error_ns=3 * SECOND) == "invalid"


def test_the_histories_clock_need_not_be_the_wall_clock() -> None:
    epoch = 1_700_000_000
    assert verdict(write(1, 0, epoch + 10), read(11, None), epoch_ns=epoch * SECOND) == "valid"
    assert verdict(write(1, 0, epoch + 10), read(8, None), epoch_ns=epoch * SECOND) == "invalid"


def test_what_lies_five_years_back_never_expires() -> None:
    epoch = TOO_OLD_S + 1_000
    assert verdict(write(1, 0, 900), read(8, None), epoch_ns=epoch * SECOND) == "invalid"
    assert verdict(write(1, 0, 1_100), read(8, None), epoch_ns=epoch * SECOND) == "valid"


def test_a_write_of_unknown_outcome_expires_like_any_other() -> None:
    assert verdict(write(1, 0, 10, "info"), read(5, 1), read(11, None)) == "valid"
    assert verdict(write(1, 0, 10, "info"), read(5, 1), read(8, None)) == "invalid"


def test_where_nothing_expires_nothing_is_shown() -> None:
    assert verdict(write(1, 0, None), read(5, 1)) == "unknown"


def test_without_its_sweeps_such_a_history_is_not_linearizable() -> None:
    assert check_register(history(write(1, 0, 10), read(11, None))).verdict == "invalid"


def test_toy_sweepers_that_keep_the_rules_are_right_and_hasty_ones_are_seen() -> None:
    def run(seed: int, haste: int) -> str:
        draw = Random(seed).randrange
        held: tuple[int, int] | None = None
        operations: list[Operation] = []
        for at in range(1, 40):
            if held is not None and held[1] - haste < at and draw(2):
                held = None
            if draw(3) == 0:
                expires = at + 2 + draw(6)
                operations.append(renew(held[0], at, at, expires) if held is not None else write(at, at, expires))
                held = at, expires
            else:
                operations.append(read(at, None if held is None else held[0]))
        return verdict(*operations)

    assert {run(seed, 0) for seed in range(40)} == {"valid"}
    assert sum(run(seed, 4) == "invalid" for seed in range(40)) > 35


SWEPT = Record("s", 5, "k", REMOVE, old={"v": 1, "ttl": 10}, identity=SERVICE, time_ns=12 * SECOND)


def _expires(image: Json) -> int | None:
    assert isinstance(image, dict)
    told = image.get("ttl")
    assert told is None or isinstance(told, int)
    return told


def sweeps(*records: Record, clients: tuple[tuple[str, Json], ...] = (), error_ns: int = 0) -> str:
    return check_sweeps(records, _expires, clients=clients, error_ns=error_ns).why.partition(":")[0]


def test_the_services_identity_stands_on_sweeps_and_on_nothing_else() -> None:
    assert sweeps(SWEPT) == ""
    assert sweeps(Record("s", 5, "k", INSERT, new={"v": 1}, identity=SERVICE)) == "identity"
    assert sweeps(Record("s", 5, "k", REMOVE, old={"ttl": 1}, identity="ann", time_ns=12 * SECOND)) == "identity"
    assert sweeps(SWEPT, clients=(("k", {"v": 1, "ttl": 10}),)) == "identity"
    assert sweeps(SWEPT, clients=(("k", {"v": 2, "ttl": 10}),)) == ""


def test_a_sweep_removes_what_had_expired_and_nothing_else() -> None:
    def at(second: int, ttl: int | None) -> Record:
        old: Json = {"v": 1} if ttl is None else {"v": 1, "ttl": ttl}
        return Record("s", 5, "k", REMOVE, old=old, identity=SERVICE, time_ns=second * SECOND)

    assert [sweeps(at(second, 10)) for second in (9, 10, 11)] == ["early", "early", ""]
    assert sweeps(at(9, 10), error_ns=2 * SECOND) == ""
    assert sweeps(at(9, None)) == "early"
    assert sweeps(at(TOO_OLD_S + 20, 10)) == "early"
