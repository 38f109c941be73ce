"""Convergence: replicas that agree, replicas that do not, and the three ways in which an index can miss its base."""

from __future__ import annotations

import pytest

from dynalab_checkers.convergence import check_index, check_replicas


def by_owner(key: str, item: object) -> tuple[tuple[str, str], object] | None:
    assert isinstance(item, dict)
    return ((item["owner"], key), item["size"]) if "owner" in item else None


def test_equal_replicas_have_converged() -> None:
    copy = {"k1": {"n": 1}, "k2": [1, 2]}
    assert check_replicas({"n1": copy, "n2": dict(copy), "n3": dict(copy)}).verdict == "valid"


def test_no_replica_and_a_single_one_agree_with_themselves() -> None:
    assert check_replicas({}).verdict == "valid"
    assert check_replicas({"n1": {"k1": 1}}).verdict == "valid"


def test_the_first_differing_key_is_named_with_every_value_it_has() -> None:
    verdict = check_replicas({"n1": {"k1": 1, "k2": 7}, "n2": {"k1": 1, "k2": 5}, "n3": {"k1": 1, "k2": 7, "k3": 0}})
    assert verdict.verdict == "invalid"
    assert verdict.key == "k2"
    assert verdict.why == "replicas differ on k2: 7 on n1 and n3, but 5 on n2 (2 keys of 3 differ)"
    assert verdict.details == {"differing": 2, "keys": 3, "replicas": 3}


def test_a_key_that_only_one_replica_lacks_is_a_difference() -> None:
    verdict = check_replicas({"n1": {"k": 1}, "n2": {}, "n3": {"k": 1}})
    assert verdict.why == "replicas differ on k: 1 on n1 and n3, but absent on n2 (1 key of 1 differs)"


def test_a_stored_none_is_not_the_same_as_no_item() -> None:
    verdict = check_replicas({"n1": {"k": None}, "n2": {}})
    assert verdict.why == "replicas differ on k: None on n1, but absent on n2 (1 key of 1 differs)"


def test_true_is_not_one() -> None:
    assert check_replicas({"n1": {"k": True}, "n2": {"k": 1}}).verdict == "invalid"


@pytest.mark.claim("S30")
def test_an_index_that_equals_the_projection_is_valid_and_leaves_out_items_without_its_key() -> None:
    base = {"a": {"owner": "ann", "size": 3}, "b": {"size": 9}}
    assert check_index(base, {("ann", "a"): 3}, by_owner).verdict == "valid"


def test_an_entry_of_an_item_without_the_index_key_is_extra() -> None:
    verdict = check_index({"b": {"size": 9}}, {("ann", "b"): 9}, by_owner)
    assert verdict.why == "index differs from its base: 1 extra entry, first ('ann', 'b')"
    assert verdict.details == {"missing": 0, "extra": 1, "stale": 0, "entries": 0}


@pytest.mark.claim("S27")
def test_an_item_that_never_reached_the_index_is_missing() -> None:
    verdict = check_index({"a": {"owner": "ann", "size": 3}}, {}, by_owner)
    assert verdict.verdict == "invalid"
    assert verdict.key == "a"
    assert verdict.why == "index differs from its base: 1 missing entry, first ('ann', 'a') of a"


@pytest.mark.claim("S28")
def test_an_entry_with_an_old_attribute_is_stale() -> None:
    verdict = check_index({"a": {"owner": "ann", "size": 4}}, {("ann", "a"): 3}, by_owner)
    assert (
        verdict.why
        == "index differs from its base: 1 stale entry, first ('ann', 'a'): it holds 3, while a projects to 4"
    )


@pytest.mark.claim("S29")
def test_a_changed_index_key_that_left_its_old_entry_behind_is_found() -> None:
    """A propagator that only inserts: the new entry is there, and so is the old one."""
    base = {"a": {"owner": "bob", "size": 3}}
    verdict = check_index(base, {("ann", "a"): 3, ("bob", "a"): 3}, by_owner)
    assert verdict.details["extra"] == 1
    assert "extra entry, first ('ann', 'a')" in verdict.why
    assert check_index(base, {("bob", "a"): 3}, by_owner).verdict == "valid"


def test_all_three_kinds_are_counted_apart() -> None:
    base = {f"m{i}": {"owner": "ann", "size": i} for i in range(3)}
    base["s"] = {"owner": "bob", "size": 1}
    verdict = check_index(base, {("bob", "s"): 0, ("eve", "x"): 1, ("eve", "y"): 1}, by_owner)
    assert verdict.details == {"missing": 3, "extra": 2, "stale": 1, "entries": 4}
    assert "3 missing entries" in verdict.why
    assert "2 extra entries" in verdict.why
    assert "1 stale entry" in verdict.why


def test_a_projection_that_merges_two_items_is_refused_since_it_would_hide_a_lost_entry() -> None:
    base: dict[str, object] = {"a": 1, "b": 2}
    with pytest.raises(AssertionError, match="project to the same index entry"):
        check_index(base, {"x": 1}, lambda key, item: ("x", item))
