"""A partition's state made again from the archive alone: what scrubbing holds the live replicas against, and what a
restore will begin with (architecture.md §5 and §6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dynalab_impl.effects import Nanoseconds
from dynalab_impl.messages import GroupSpec
from dynalab_impl.objects import ArchiveError, file_name, manifest_name, parent_of, read_file, read_manifest
from dynalab_impl.partition import Partition


def rebuild(
    get: Callable[[str], bytes | None], spec: GroupSpec, keep_ns: Nanoseconds, through: int | None = None
) -> Partition:
    """The state of a group after its archived entries, or after slot `through` of them.

    `get` gives an object, or None. A group that came of a split begins as its half of its parent, whose archive is read
    first. Raises ArchiveError if anything is missing, damaged, or of another group.
    """
    group = spec.group
    data = get(manifest_name(group))
    if data is None:
        raise ArchiveError(f"{group}: there is no manifest")
    manifest = read_manifest(group, data)
    if manifest.origin != spec.origin:
        raise ArchiveError(f"{group}: the manifest begins behind {manifest.origin}, the group behind {spec.origin}")
    state = _born(get, spec, keep_ns) if spec.origin else Partition(spec, keep_ns)
    for file in manifest.files:
        if through is not None and file.first > through:
            break
        found = get(file_name(group, file))
        if found is None:
            raise ArchiveError(f"{group}: the file from slot {file.first} on is missing")
        for entry in read_file(group, file, found):
            if through is None or entry.slot <= through:
                state.apply(entry)
    return state


def _born(get: Callable[[str], bytes | None], spec: GroupSpec, keep_ns: Nanoseconds) -> Partition:
    name = parent_of(spec.group)
    data = get(manifest_name(name))
    if data is None:
        raise ArchiveError(f"{name}: there is no manifest")
    # Keys and stream of a spec are those that the first ancestor was made with; what was changed later is in the logs.
    parent = replace(spec, group=name, low=b"", high=b"", origin=read_manifest(name, data).origin)
    state = rebuild(get, parent, keep_ns, spec.origin)
    halves, split = state.halves, state.split
    if halves is None or split is None:
        raise ArchiveError(f"{name}: the archive ends before the split at slot {spec.origin}")
    return halves[0] if split.left.group == spec.group else halves[1]
