"""What a replica of a partition applies: items in key order, answers to retried requests, and what the propagator
still owes.

Applying is a function of (state, entry) and of nothing else, so replicas that applied the same log are equal. Two
kinds of partition share it: a table's own (Write, Failed, Propagated) and a global index's (IndexWrite). Entries are
applied in slot order, each once. A Split ends both: the state falls into two halves, and serves nothing any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from sortedcontainers import SortedDict

from dynalab_impl import backfilling, dividing, feeds, stream_shards, transact_apply
from dynalab_impl.digests import StateDigest, digest
from dynalab_impl.effects import Nanoseconds
from dynalab_impl.local_indexes import LocalIndexes, keys_between
from dynalab_impl.messages import (
    Backfill,
    Command,
    Entry,
    Failed,
    Form,
    GroupSpec,
    Held,
    IndexWrite,
    Propagated,
    Reform,
    RequestId,
    Scrub,
    Split,
    Sweep,
    TransactPrepare,
    TransactWhole,
    Write,
)
from dynalab_impl.snapshot import (
    BackfillImage,
    ChangeImage,
    HeldImage,
    Image,
    OutcomeImage,
    OwedImage,
    PartitionImage,
    RowImage,
    ShardImage,
    SnapshotHeader,
    SplitImage,
    TombstoneImage,
)
from dynalab_impl.stored import StoredItem as StoredItem
from dynalab_model.items import index_changes
from dynalab_model.schema import TableSchema
from dynalab_model.streams import SERVICE, Change
from dynalab_model.values import Item, item_size


class Partition:
    """The applied state of one replica.

    `tombstones` remembers the version of deleted index entries, or a put that was overtaken by a delete would bring
    the entry back. They are dropped once no message from before the delete can still be accepted: every message is
    refused after its expiry.
    """

    __slots__ = (
        "applied",
        "backfills",
        "dedup",
        "dedup_order",
        "deleted_ns",
        "deleted_slot",
        "digest",
        "feed",
        "form",
        "halves",
        "held",
        "items",
        "keep_ns",
        "local",
        "log_time_ns",
        "owed",
        "owed_count",
        "read_until_ns",
        "shards",
        "spec",
        "split",
        "taken",
        "tombstones",
    )

    def __init__(self, spec: GroupSpec, keep_ns: Nanoseconds) -> None:
        self.spec = spec
        # None for an index's partition, which is told what to hold.
        self.form = Form(0, spec.schema, spec.stream) if spec.schema is not None and not spec.index else None
        self.items: SortedDict[bytes, StoredItem] = SortedDict()
        self.local: LocalIndexes | None = None  # made from the items, never stored
        if self.form is not None and self.form.schema.local_indexes:
            self.local = LocalIndexes(self.form.schema)
        self.applied = 0
        self.log_time_ns: Nanoseconds = 0
        self.dedup: dict[RequestId, OutcomeImage] = {}
        self.dedup_order: deque[OutcomeImage] = deque()  # as they came
        self.owed: deque[OwedImage] = deque()
        self.owed_count = 0
        self.shards = stream_shards.begun(spec)  # of the table's streams; the open one last
        self.feed: stream_shards.Shards = []  # of what goes to a Kinesis stream; likewise
        self.backfills: dict[str, BackfillImage] = {}  # of indexes that are new
        self.tombstones: dict[bytes, tuple[int, Nanoseconds]] = {}
        self.deleted_ns: Nanoseconds = 0  # the latest timestamp of a delete: of all items that are not there (ATC'23)
        self.deleted_slot = 0  # the slot of the last delete
        self.read_until_ns: Nanoseconds = 0  # no read in one round was served as of a later timestamp
        self.held: dict[bytes, Held] = {}  # by key: items, and places of items, that a prepared transaction holds
        self.keep_ns = keep_ns
        self.split: Split | None = None
        self.halves: tuple[Partition, Partition] | None = None  # until the node has taken them
        self.digest = StateDigest()  # at the last Scrub
        self.taken = False  # whether the node has made the children

    # --- taken apart and put together ---------------------------------------------------------------------------------

    def fresh(self) -> Partition:
        """An empty state of the same partition."""
        return Partition(self.spec, self.keep_ns)

    @property
    def schema(self) -> TableSchema:
        """Of the table that this is a partition of; indexes' partitions have none."""
        assert self.form is not None, "a partition of an index is told what to hold"
        return self.form.schema

    @property
    def counter(self) -> int:
        return self.owed_count

    @property
    def size(self) -> int:
        return len(self.items)

    def view(self) -> list[object]:
        """A shallow copy of every part: stored items are never changed, only replaced."""
        if self.split is not None:
            return [SplitImage(self.split.left, self.split.right)]
        tombstones = [TombstoneImage(key, *known) for key, known in self.tombstones.items()]
        held = [HeldImage(key, held) for key, held in self.held.items()]
        shards = stream_shards.parts([*self.shards, *self.feed]) if self.shards or self.feed else []
        keys = list(self.items)
        rows = zip(keys, map(self.items.__getitem__, keys), strict=True)
        return [*self._whole(), *shards, *rows, *self.dedup.values(), *self.owed, *tombstones, *held]

    def _whole(self) -> list[PartitionImage]:
        if self.form is None or not (self.form.version or self.deleted_slot or self.deleted_ns or self.read_until_ns):
            return []
        backfills = tuple(self.backfills.values())
        return [PartitionImage(self.form, self.deleted_ns, self.deleted_slot, backfills, self.read_until_ns)]

    def image(self, part: object) -> Image:
        if type(part) is not tuple:
            assert isinstance(
                part, PartitionImage | OutcomeImage | ShardImage | OwedImage | TombstoneImage | HeldImage | SplitImage
            )
            return part
        key, value = part
        if type(value) is StoredItem:
            return RowImage(key, value.item, value.version, value.time_ns, value.stamp_ns)
        assert isinstance(value, Change)
        return ChangeImage(key, value)

    def load(self, header: SnapshotHeader, images: Iterable[Image]) -> None:
        assert not self.applied, "a snapshot is loaded into a fresh state"
        self.applied, self.log_time_ns, self.owed_count = header.slot, header.log_time_ns, header.counter
        rows: dict[bytes, StoredItem] = {}
        told: list[ShardImage | ChangeImage] = []
        for image in images:
            if isinstance(image, RowImage):
                rows[image.key] = StoredItem(image.item, image.version, image.time_ns, image.stamp_ns)
            elif isinstance(image, OutcomeImage):
                self.dedup[image.request] = image
                self.dedup_order.append(image)
            elif isinstance(image, OwedImage):
                self.owed.append(image)
            elif isinstance(image, ShardImage | ChangeImage):
                told.append(image)
            elif isinstance(image, PartitionImage):
                self.form, self.deleted_ns, self.deleted_slot = image.form, image.deleted_ns, image.deleted_slot
                self.read_until_ns = image.read_until_ns
                self.backfills = {one.index: one for one in image.backfills}
            elif isinstance(image, TombstoneImage):
                self.tombstones[image.key] = (image.version, image.time_ns)
            elif isinstance(image, HeldImage):
                self.held[image.key] = image.held
            elif isinstance(image, SplitImage):
                self.split = Split(image.left, image.right)
        self.items.update(rows)
        self.shards, self.feed = feeds.parted(stream_shards.loaded(told))
        self._load_local()

    def _load_local(self) -> None:
        if self.local is not None:
            self.local.load((key, stored.item) for key, stored in self.items.items())

    # --- applying -----------------------------------------------------------------------------------------------------

    def apply(self, entry: Entry) -> None:
        """Apply the next entry of the log."""
        slot, time_ns, request, command = entry.slot, entry.time_ns, entry.request, entry.command
        assert slot == self.applied + 1, "entries are applied in order, each once"
        assert time_ns >= self.log_time_ns, "log time never goes back"
        self.applied = slot
        self.log_time_ns = time_ns
        if request[1]:
            if type(command) is Write:
                outcome = OutcomeImage(request, entry.expiry_ns, 200, "", command.body)
            else:
                outcome = _outcome(request, entry.expiry_ns, command)
            if self.dedup.setdefault(request, outcome) is not outcome:
                return  # a copy of a request that two leaders logged: it happened at the first place
            self.dedup_order.append(outcome)
        if self.shards:
            stream_shards.pass_time(self.shards, self.spec.group, slot, time_ns)
        if self.feed:
            feeds.pass_time(self, entry)
        if type(command) is Write:
            self._change(entry, command.key, command.item)
        elif type(command) is IndexWrite:
            self._index(entry, command)
        elif type(command) is Propagated:
            while self.owed and self.owed[0].slot <= command.slot:
                self.owed.popleft()
        elif type(command) is Split:
            self._divide(command)
        elif type(command) is Reform:
            self._reform(command.form)
        elif type(command) in transact_apply.APPLY:
            transact_apply.APPLY[type(command)](self, entry, command)
        elif type(command) is Backfill:
            backfilling.owe_rows(self, entry, command)
        elif type(command) is Sweep:
            self._sweep(entry, command)
        elif type(command) is Scrub:
            self.digest = digest(self, slot, command.after, command.rows_max)
        order = self.dedup_order
        if self.tombstones or (order and order[0].expiry_ns < time_ns):
            self._forget_expired()

    def get(self, key: bytes) -> Item | None:
        """The committed item under this key."""
        stored = self.items.get(key)
        return None if stored is None else stored.item

    def rows(
        self,
        low: bytes,
        high: bytes,
        start_after: bytes,
        forward: bool,
        rows_max: int,
        bytes_max: int,
        index: str = "",
        fetch: bool = False,
    ) -> tuple[list[bytes], list[Item], bool]:
        """Keys and items of [low, high) behind `start_after` in reading order, and whether more may follow; of a local
        `index` keys and entries, or with `fetch` whole items.

        At least one row is given if there is one, and rows are added until `rows_max` of them or `bytes_max` bytes
        are reached.
        """
        keys: list[bytes] = []
        items: list[Item] = []
        size_bytes = 0
        local = self.local if index else None
        assert local is not None or not index, "only tables with local indexes are asked for one"
        rows = self.items if local is None else local.entries[index]
        for key in keys_between(rows, low, high, start_after, forward):
            if len(keys) >= rows_max or size_bytes >= bytes_max:
                return keys, items, True
            item = self.items[key if local is None else local.entries[index][key]].item
            if local is not None and not fetch:
                item = local.entry(index, item)
            keys.append(key)
            items.append(item)
            size_bytes += item_size(item)
        return keys, items, False

    def _change(
        self, entry: Entry, key: bytes, item: Item | None, stamp_ns: Nanoseconds = 0, identity: str = ""
    ) -> None:
        """Set a table's item, or delete it with None: the one place where items change, so that everything that hangs
        on them changes with them. A transaction brings its own `stamp_ns`; `identity` is the service's where it acts by
        itself, and then nobody pays.
        """
        form = self.form
        if form is not None and form.gone:
            return  # logged before its leader knew, and to a table that is deleted: nobody would ever take it away
        stored: StoredItem | None = self.items.get(key)
        if self.shards or self.feed or self.local is not None or (form is not None and form.schema.indexes):
            self._pass_on(entry, key, None if stored is None else stored.item, item, identity)
        if not stamp_ns:
            # Behind that of whatever was there. What is not there was deleted at the latest when anything was.
            behind_ns = self.deleted_ns if stored is None else stored.stamp_ns
            stamp_ns = entry.time_ns if entry.time_ns > behind_ns else behind_ns + 1
            if self.held:
                stamp_ns = self._before_held(key, stamp_ns)
        if item is None:
            if stored is not None:
                del self.items[key]
                self.deleted_ns, self.deleted_slot = max(self.deleted_ns, stamp_ns), entry.slot
        elif stored is None:
            self.items[key] = StoredItem(item, entry.slot, entry.time_ns, stamp_ns)
        else:  # its place among the keys is known
            dict.__setitem__(self.items, key, StoredItem(item, entry.slot, entry.time_ns, stamp_ns))

    def _pass_on(self, entry: Entry, key: bytes, before: Item | None, item: Item | None, identity: str) -> None:
        """What follows from a change of an item: in local indexes at once, to others it is owed or told."""
        if self.local is not None:
            self.local.change(key, before, item)
        if self.form is not None and self.form.schema.indexes:
            for change in index_changes(self.form.schema, before, item):
                free = bool(identity)
                if change.delete_key is not None:
                    self.owe_change(entry, change.index, change.delete_key, None, key, entry.slot, free)
                if change.put_key is not None:
                    self.owe_change(entry, change.index, change.put_key, change.entry, key, entry.slot, free)
        if self.shards:
            stream_shards.note(self.shards, self.schema, entry.slot, entry.time_ns, before, item, identity)
        if self.feed:
            feeds.note(self, entry, before, item, identity)

    def _before_held(self, key: bytes, stamp_ns: Nanoseconds) -> Nanoseconds:
        """The timestamp of a single write, before those of prepared transactions that it may pass
        (`transaction_rules`).
        """
        for held in transact_apply.holders(self.held.get(key)):
            if not held.hidden:
                stamp_ns = min(stamp_ns, held.stamp_ns - 1)
        return stamp_ns

    def _reform(self, form: Form) -> None:
        """The table looks otherwise. An older form than the one known is a copy that came late."""
        assert self.form is not None, "indexes are not told"
        if form.version > self.form.version:
            backfilling.follow(self, form)
            stream_shards.reform(self.shards, self.spec.group, form.stream, self.applied, self.log_time_ns)
            feeds.reform(self, form)
            if form.gone:
                self._end()

    def _end(self) -> None:
        """The table was deleted. Only what its streams have told stays, for as long as it may be read."""
        self.items.clear()
        self.owed.clear()
        self.backfills.clear()
        self.held.clear()
        if self.local is not None:
            self.local = LocalIndexes(self.schema)

    def _sweep(self, entry: Entry, command: Sweep) -> None:
        """Remove an expired item, unless it was written again meanwhile or a transaction has to do with it."""
        stored: StoredItem | None = self.items.get(command.key)
        if stored is not None and stored.version == command.version and command.key not in self.held:
            self._change(entry, command.key, None, identity=SERVICE)

    def owe_change(
        self, entry: Entry, index: str, key: bytes, item: Item | None, source: bytes, version: int, free: bool = False
    ) -> None:
        """Owe an index what this entry changed in it; `source` is the base item's key, `version` the item's."""
        self.owe(OwedImage(0, entry.slot, index, key, item, source, version, entry.time_ns, free))

    def owe(self, change: OwedImage) -> None:
        """Owe a change, under the next number."""
        self.owed.append(replace(change, sequence=self.owed_count))
        self.owed_count += 1

    def _divide(self, command: Split) -> None:
        """Let everything fall into two halves. Both get all remembered answers: a retry may come to either."""
        self.split = command
        left, right = self.halves = (self._half(command.left), self._half(command.right))
        if self.shards:
            stream = None if self.form is None else self.form.stream
            specs = (command.left, command.right)
            left.shards, right.shards = stream_shards.divide(self.shards, specs, self.applied, self.log_time_ns, stream)
            self.shards = []
        if self.feed:
            feeds.divide(self, left, right)
        self.items.clear()
        self.local = None
        self.dedup.clear()
        self.dedup_order.clear()
        self.owed.clear()
        self.tombstones.clear()
        self.held.clear()

    # --- where it may be divided: in a room of its own ----------------------------------------------------------------

    middle = dividing.middle
    divisible = dividing.divisible
    is_one_collection = property(dividing.is_one_collection)
    has_below = dividing.has_below
    has_above = dividing.has_above

    def _half(self, spec: GroupSpec) -> Partition:
        """What one child inherits. Versions go on, since its log does."""
        half = Partition(spec, self.keep_ns)
        half.applied, half.log_time_ns = self.applied, self.log_time_ns
        half.dedup = dict(self.dedup)
        half.dedup_order = deque(self.dedup_order)
        half.form, half.deleted_ns, half.deleted_slot = self.form, self.deleted_ns, self.deleted_slot
        half.read_until_ns = self.read_until_ns
        half.backfills = dict(self.backfills)  # how far they are is a key: it holds for a part of the range as well
        keys = self.items.irange(spec.low, spec.high or None, inclusive=(True, False))
        half.items.update({key: self.items[key] for key in keys})
        half._load_local()
        for owed in self.owed:
            if spec.holds(owed.source):
                half.owe(owed)
        half.tombstones = {key: known for key, known in self.tombstones.items() if spec.holds(key)}
        half.held = {key: held for key, held in self.held.items() if spec.holds(key)}
        return half

    def _index(self, entry: Entry, command: IndexWrite) -> None:
        if not self.is_newer(command) and not self.renews(command):
            return
        if command.item is None:
            self.items.pop(command.key, None)
            self.tombstones.pop(command.key, None)
            self.tombstones[command.key] = (command.version, entry.time_ns)
        else:
            self.items[command.key] = StoredItem(command.item, command.version, entry.time_ns)
            self.tombstones.pop(command.key, None)

    def renews(self, command: IndexWrite) -> bool:
        """A delete told again: an older put may have been sent again with it, so its tombstone must live on."""
        return command.item is None and self.tombstones.get(command.key, (0, 0))[0] == command.version

    def is_newer(self, command: IndexWrite) -> bool:
        """Whether this change is newer than what the index knows of the entry: changes may come doubled and out of
        order.
        """
        stored: StoredItem | None = self.items.get(command.key)
        if stored is not None:
            return command.version > stored.version
        tombstone = self.tombstones.get(command.key)
        return tombstone is None or command.version > tombstone[0]

    def _forget_expired(self) -> None:
        now_ns = self.log_time_ns
        order = self.dedup_order
        while order and order[0].expiry_ns < now_ns:
            self.dedup.pop(order.popleft().request, None)
        while self.tombstones:
            key = next(iter(self.tombstones))
            if self.tombstones[key][1] + 2 * self.keep_ns >= now_ns:
                break
            del self.tombstones[key]


def _outcome(request: RequestId, expiry_ns: Nanoseconds, command: Command) -> OutcomeImage:
    """What copies of a request are answered that asked for something else than to write."""
    if type(command) is Failed:
        return OutcomeImage(request, expiry_ns, command.status, command.error, command.body)
    if type(command) is TransactPrepare or type(command) is TransactWhole:
        return OutcomeImage(request, expiry_ns, 200, "", command.body)
    return OutcomeImage(request, expiry_ns, 200, "", {})
