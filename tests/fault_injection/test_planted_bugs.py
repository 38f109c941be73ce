"""Planted bugs: a patch fits or is an error, comes off again, and is caught by a checker and nothing less."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from dynalab_checkers.history import History
from dynalab_fault_injection.campaign import replay
from dynalab_fault_injection.planted_bugs import (
    BUGS,
    Patch,
    PatchDoesNotFit,
    PlantedBug,
    fingerprint,
    hunt,
    laid_over,
    run_with,
    shows,
)
from dynalab_fault_injection.run import run_one
from dynalab_fault_injection.shrink import smallest
from dynalab_impl.effects import Effects
from dynalab_impl.messages import IndexWrite
from dynalab_impl.partition import Partition
from dynalab_impl.storage_node import StorageNode


@pytest.mark.parametrize("name", list(BUGS))
def test_every_patch_fits_the_implementation_as_it_is(name: str) -> None:
    for patch in BUGS[name].patches:
        patch.check()


@pytest.mark.parametrize("name", list(BUGS))
def test_every_planted_bug_is_caught_by_its_checker_and_drawn(name: str) -> None:
    found = hunt(name, range(200))
    bug = BUGS[name]
    assert found.caught, f"{bug.sentence}: nobody noticed in {found.seeds} seeds"
    assert found.checker == bug.checker and found.seed is not None and found.run is not None
    assert found.sentence and found.history
    picture = ElementTree.fromstring(found.svg)
    assert picture.tag.endswith("svg") and found.sentence.split()[0] in found.svg
    assert len(History.from_events(found.history)) <= 12, "the picture shows a few operations, not a history"
    # The line says how to see it again, and the run is the same to the bit.
    assert found.replay.startswith(f"dynalab replay {found.seed} --workload {bug.workload}")
    assert found.replay.endswith(f"--planted-bug {name}")
    again = replay(found.seed, bug.workload, bug.faults, planted_bug=name, expected=found.run.trace_hash)
    assert again.same and again.result.verdict == "invalid"


@pytest.mark.parametrize("name", ["acknowledge-before-quorum", "read-after-lease", "keep-own-suffix"])
def test_without_faults_the_bug_does_not_show(name: str) -> None:
    for seed in range(3):
        assert not shows(BUGS[name], run_with(name, seed, ()))


def _other(self: Partition, command: IndexWrite) -> bool:
    return False


def _other_arguments(self: Partition) -> bool:
    return False


def test_a_patch_whose_target_has_changed_or_gone_is_an_error() -> None:
    with pytest.raises(PatchDoesNotFit, match="does not exist"):
        Patch(Partition, "is_newest", "00000000", _other).check()
    with pytest.raises(
        PatchDoesNotFit, match=r"Partition\.is_newer has changed: its fingerprint is \w{8}, not 00000000"
    ):
        Patch(Partition, "is_newer", "00000000", _other).check()
    with pytest.raises(PatchDoesNotFit, match="takes other arguments"):
        Patch(Partition, "is_newer", fingerprint(Partition.is_newer), _other_arguments).check()
    with pytest.raises(PatchDoesNotFit, match="is not a plain method"):
        Patch(StorageNode, "__slots__", "00000000", _other).check()


def test_a_patch_comes_off_again_also_after_an_error() -> None:
    original = Partition.is_newer
    patch = Patch(Partition, "is_newer", fingerprint(original), _other)
    with laid_over((patch,)):
        assert Partition.is_newer is _other
    assert Partition.is_newer is original
    with pytest.raises(RuntimeError, match="in the middle"), laid_over((patch,)):
        raise RuntimeError("in the middle")
    assert Partition.is_newer is original
    # One patch that does not fit keeps the others off, too.
    with pytest.raises(PatchDoesNotFit), laid_over((patch, Patch(Partition, "is_newer", "00000000", _other))):
        pass
    assert Partition.is_newer is original


def _commented() -> Callable[[], int]:
    def one() -> int:
        # why it is one

        return 1

    return one


def _plain() -> Callable[[], int]:
    def one() -> int:
        return 1

    return one


def _changed() -> Callable[[], int]:
    def one() -> int:
        return 2

    return one


def test_comments_and_blank_lines_do_not_change_a_fingerprint_but_code_does() -> None:
    assert fingerprint(_commented()) == fingerprint(_plain())
    assert fingerprint(_changed()) != fingerprint(_plain())


def _breaks(node: StorageNode, sender: object, message: object, effects: Effects) -> None:
    raise AssertionError("planted in a test")


def planted(name: str, checker: str, patch: Patch) -> PlantedBug:
    return PlantedBug(name, "a rule", "a sentence", checker, "register", (), (patch,))


def test_an_assertion_is_no_catch(monkeypatch: pytest.MonkeyPatch) -> None:
    patch = Patch(StorageNode, "on_get", fingerprint(StorageNode.on_get), _breaks)
    monkeypatch.setitem(BUGS, "crashes", planted("crashes", "linearizability", patch))
    found = hunt("crashes", range(2))
    assert (found.caught, found.seeds, found.seed) == (False, 2, None)
    assert found.as_json() == {
        "name": "crashes",
        "caught": False,
        "checker": "linearizability",
        "seeds": 2,
        "replay": "",
        "hunts": [[2, 0]],
    }


def test_a_seed_that_is_invalid_without_the_patch_is_no_catch(monkeypatch: pytest.MonkeyPatch) -> None:
    bug = BUGS["index-out-of-order"]
    found = hunt(bug.name)
    assert found.caught and found.seed is not None and found.run is not None
    sick = found.run
    # As if the healthy system failed on that seed as well.
    monkeypatch.setattr("dynalab_fault_injection.planted_bugs.hunting.run_one", lambda *_: sick)
    assert not hunt(bug.name, [found.seed]).caught


def test_the_healthy_system_stands_where_the_bugs_were_caught() -> None:
    for name in ("read-after-lease", "index-out-of-order"):
        bug = BUGS[name]
        assert run_one(1, bug.workload, bug.faults).verdict == "valid"


def test_a_run_without_a_violation_has_nothing_to_shrink() -> None:
    quiet = run_one(1, "register", ())
    with pytest.raises(AssertionError, match="no violation"):
        smallest(quiet)
    with pytest.raises(ValueError, match="no such planted bug: gremlins"):
        hunt("gremlins")
