"""Patches laid over the implementation from outside, for the time of one run, in the process of that run.

A patch replaces a method of a class of `dynalab_impl`. It names the fingerprint of the source that it was written
against: if the target is gone, or its source has changed, the patch is an error and not a bug that nobody finds. The
implementation holds no switch for any of this.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType


class PatchDoesNotFit(Exception):
    """The target of a patch does not exist, or is not what the patch was written against."""


@dataclass(frozen=True, slots=True)
class Patch:
    """`owner.method` (or the function of a module) gives way to `replacement`, provided its source has this
    fingerprint.
    """

    owner: type | ModuleType
    method: str
    fingerprint: str
    replacement: Callable[..., object]

    @property
    def target(self) -> str:
        if isinstance(self.owner, ModuleType):
            return f"{self.owner.__name__}.{self.method}"
        return f"{self.owner.__module__}.{self.owner.__qualname__}.{self.method}"

    def check(self) -> None:
        """Raise `PatchDoesNotFit` unless the target is there and unchanged."""
        original = self.owner.__dict__.get(self.method)
        if original is None:
            raise PatchDoesNotFit(f"{self.target} does not exist")
        if not inspect.isfunction(original):
            raise PatchDoesNotFit(f"{self.target} is not a plain method")
        if list(inspect.signature(original).parameters) != list(inspect.signature(self.replacement).parameters):
            raise PatchDoesNotFit(f"{self.target} takes other arguments than its replacement")
        found = fingerprint(original)
        if found != self.fingerprint:
            raise PatchDoesNotFit(f"{self.target} has changed: its fingerprint is {found}, not {self.fingerprint}")


def fingerprint(function: Callable[..., object]) -> str:
    """Eight hexadecimal digits of a function's source, without blank lines, lines of comments and indentation of the
    whole.

    >>> fingerprint(fingerprint) == fingerprint(fingerprint), len(fingerprint(fingerprint))
    (True, 8)
    """
    lines = inspect.getsource(function).splitlines()
    kept = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return hashlib.blake2b("\n".join(kept).encode(), digest_size=4).hexdigest()


@contextmanager
def laid_over(patches: Sequence[Patch]) -> Iterator[None]:
    """Lay patches over the implementation inside a `with` block; taken off again whatever happens."""
    for patch in patches:
        patch.check()
    originals = [(patch, patch.owner.__dict__[patch.method]) for patch in patches]
    try:
        for patch in patches:
            setattr(patch.owner, patch.method, patch.replacement)
        yield
    finally:
        for patch, original in originals:
            setattr(patch.owner, patch.method, original)
