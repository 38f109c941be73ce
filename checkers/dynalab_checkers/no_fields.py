"""The dictionary of unknown fields of all operations that have none. Never compiled: its refusals must hold."""

from __future__ import annotations

from typing import Any, Final, NoReturn


class _NoFields(dict[str, Any]):
    """An empty dictionary that stays empty: a million operations share one."""

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("operations without unknown fields share this dictionary: assign one of your own instead")

    __setitem__ = _refuse
    __ior__ = _refuse
    setdefault = _refuse
    update = _refuse

    def __reduce__(self) -> str:
        return "NO_FIELDS"


NO_FIELDS: Final[dict[str, Any]] = _NoFields()
