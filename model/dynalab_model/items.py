"""What one operation does to one item, and what that means for the table's indexes.

Rules: pure functions of (schema, operation, current item); an item is never changed, a write gives a new one.
`requests` has already checked what needs no table; here comes what needs the schema (`bind_write`, `bind_get`) and
what needs the item (`apply_write`). The replicated service and the reference state machine call the same functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dynalab_model.capacity import write_units
from dynalab_model.errors import INVALID, conditional_check_failed, invalid, validation
from dynalab_model.expressions import apply_update, condition_holds, update_template, updated_new, updated_old
from dynalab_model.keys import PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX, index_key, item_key
from dynalab_model.legacy import apply_updates, check_update_keys, terms_hold
from dynalab_model.operations import GetItem, PutItem, UpdateItem, WriteOperation
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import ITEM_BYTES_MAX, AttributeValue, Item, equal_values, item_size, value_size, value_type

_KEY_CHARACTERS = SORT_KEY_BYTES_MAX // 4  # a key that is no longer is not too long, whatever it is made of

_INDEX_KEY_TYPE = "The update expression attempted to update the secondary index key to unsupported type"
_INDEX_KEY_EMPTY = (
    "One or more parameter values are not valid. The update expression attempted to update a secondary index key to a "
    "value that is not supported. The AttributeValue for a key attribute cannot contain an empty {kind} value."
)
_INDEX_KEY_SIZE = "The update expression attempted to update the secondary index key beyond allowed size limits"


@dataclass(slots=True)
class WriteEffect:
    """`item` is what the key holds afterwards (None: nothing), `attributes` what ReturnValues asks for (None: no such
    member).
    """

    item: Item | None
    attributes: Item | None


@dataclass(slots=True)
class IndexChange:
    """One write's work for one index: at most one delete and one put, by key bytes in the index's own order.

    `put_key` without `delete_key` stores `entry`, new or in place. `units` are the write units that the index pays.
    """

    index: str
    delete_key: bytes | None
    put_key: bytes | None
    entry: Item | None
    units: int


# --- keys against the schema ----------------------------------------------------------------------------------------


def bind_get(schema: TableSchema, op: GetItem) -> bytes:
    """The key bytes that a GetItem names, or DynamoDB's error when the key does not fit the table.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> bind_get(TableSchema("T", KeySchema(KeyAttribute("pk", "S"))), GetItem("T", {"pk": {"N": "1"}}))
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: The provided key element does not match the schema
    """
    check_key(schema.key, op.key)
    return item_key(schema.key, op.key)


def bind_write(schema: TableSchema, op: WriteOperation) -> bytes:
    """The key bytes that a write names, after all checks that need the table and not the item (api.md §8).

    >>> from dynalab_model.operations import DeleteItem
    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> bind_write(TableSchema("T", KeySchema(KeyAttribute("pk", "S"))), DeleteItem("T", {}))
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: The provided key element does not match the schema
    """
    if isinstance(op, PutItem):
        for attribute in schema.key.attributes:
            _check_item_key(attribute, op.item, attribute is schema.key.range)
        check_index_keys(schema, op)
        if schema.local_indexes and stored_bytes(schema, op.item) > ITEM_BYTES_MAX:
            raise invalid("item-long")
        return item_key(schema.key, op.item)
    check_key(schema.key, op.key)
    if isinstance(op, UpdateItem) and op.update is not None:
        update_template(op.update, op.names).check_keys(schema.key.names)
    elif isinstance(op, UpdateItem) and op.legacy is not None:
        check_update_keys(op.legacy.updates, schema.key.names)
        check_index_keys(schema, op)
    return item_key(schema.key, op.key)


def check_index_keys(schema: TableSchema, op: WriteOperation) -> None:
    """Refuse a put, or an update with the parameters from before expressions, that gives an index's key a value that
    cannot be one. Whoever binds a write may know fewer indexes than the leader that carries it out, which asks again.
    """
    if not (schema.indexes or schema.local_indexes):
        return
    given: Item
    if isinstance(op, PutItem):
        given = op.item
    elif isinstance(op, UpdateItem) and op.legacy is not None:
        given = {update.name: update.value for update in op.legacy.updates if update.value is not None}
    else:
        return
    for index in schema.all_indexes:
        if not index.building:
            _check_index_key(index, given)


def check_key(schema: KeySchema, key: Item) -> None:
    """Refuse a key that does not have exactly the schema's attributes, with their types, neither empty nor too long.

    >>> check_key(KeySchema(KeyAttribute("pk", "S")), {"pk": {"S": "a"}})
    """
    if not has_key_shape(schema, key):
        raise invalid("key-schema")
    for attribute in schema.attributes:
        _check_key_value(attribute, key[attribute.name], attribute is schema.range, None)
    _check_aggregated(schema, key)


def has_key_shape(schema: KeySchema, key: Item) -> bool:
    """Whether `key` has exactly the schema's attributes with the schema's types."""
    attributes = schema.attributes
    if len(key) != len(attributes):
        return False
    for attribute in attributes:  # noqa: SIM110 - a generator costs more than all of this, and every request comes by
        if attribute.type not in key.get(attribute.name, ()):
            return False
    return True


def _check_item_key(attribute: KeyAttribute, item: Item, is_range: bool) -> None:
    value = item.get(attribute.name)
    if value is None:
        raise invalid("key-missing", name=attribute.name)
    text: Any = value.get(attribute.type)
    if text is None:
        raise invalid("key-type", name=attribute.name, expected=attribute.type, actual=value_type(value))
    if text == "" or len(text) > _KEY_CHARACTERS:  # seldom: all others are right, whatever their type
        _check_key_value(attribute, value, is_range, None)


def _check_index_key(index: IndexSchema, item: Item) -> None:
    """Index keys may be missing from an item (it is then not in the index), but never of another type, empty or too
    long.
    """
    for attribute in index.key.attributes:
        value = item.get(attribute.name)
        if value is None:
            continue
        if attribute.type not in value:
            raise validation(
                f"{INVALID}Type mismatch for Index Key {attribute.name} Expected: {attribute.type} "
                f"Actual: {value_type(value)} IndexName: {index.name}"
            )
        _check_key_value(attribute, value, attribute in index.key.ranges, index.name)
    _check_aggregated(index.key, item)


def _check_key_value(attribute: KeyAttribute, value: AttributeValue, is_range: bool, index: str | None) -> None:
    if attribute.type == "N":
        return
    if value[attribute.type] == "":
        kind = "string" if attribute.type == "S" else "binary"
        text = invalid("key-empty", kind=kind, name=attribute.name)
        if index is not None:
            text.message = text.message.replace("Key:", f"IndexName: {index}, IndexKey:")
        raise text
    if _too_long(value, is_range):
        raise invalid("range-key-long" if is_range else "hash-key-long")


def _too_long(value: AttributeValue, is_range: bool) -> bool:
    return value_size(value) > (SORT_KEY_BYTES_MAX if is_range else PARTITION_KEY_BYTES_MAX)


def _check_aggregated(key: KeySchema, item: Item) -> None:
    """The same limits hold for all attributes of a partition key together, and for those of a sort key (our reading of
    "Aggregated size of all range keys").
    """
    for is_range in _aggregated_too_long(key, item):
        raise invalid("range-key-long" if is_range else "hash-key-long")


def _aggregated_too_long(key: KeySchema, item: Item) -> list[bool]:
    """Which parts of a key of several attributes are too long: False is the partition key, True the sort key."""
    if not (key.more_hash or key.more_range):
        return []
    limits = ((False, key.hashes, PARTITION_KEY_BYTES_MAX), (True, key.ranges, SORT_KEY_BYTES_MAX))
    return [
        is_range
        for is_range, attributes, bytes_max in limits
        if sum(value_size(item[attribute.name]) for attribute in attributes if attribute.name in item) > bytes_max
    ]


# --- writes ---------------------------------------------------------------------------------------------------------


def apply_write(schema: TableSchema, op: WriteOperation, current: Item | None) -> WriteEffect:
    """What the write leaves and answers, given the current committed item (None: absent). Raises DynamoError and
    changes nothing.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> once = PutItem("T", {"pk": {"S": "a"}, "v": {"N": "1"}}, condition="attribute_not_exists(pk)")
    >>> apply_write(schema, once, None).item
    {'pk': {'S': 'a'}, 'v': {'N': '1'}}
    >>> apply_write(schema, once, {"pk": {"S": "a"}})
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ConditionalCheckFailedException: The conditional request failed
    """
    if op.condition is not None and not condition_holds(op.condition, op.names, op.values, current):
        raise conditional_check_failed(current if op.return_on_failure == "ALL_OLD" else None)
    if op.legacy is not None and not terms_hold(op.legacy, current):
        raise conditional_check_failed(current if op.return_on_failure == "ALL_OLD" else None)
    if isinstance(op, UpdateItem):
        return _apply_update(schema, op, current)
    after = op.item if isinstance(op, PutItem) else None
    return WriteEffect(after, current if op.return_values == "ALL_OLD" else None)


def _apply_update(schema: TableSchema, op: UpdateItem, current: Item | None) -> WriteEffect:
    base = op.key if current is None else current
    if op.update is not None:
        result = apply_update(op.update, op.names, op.values, base, schema.key.names)
    elif op.legacy is not None and op.legacy.updates:
        result = apply_updates(op.legacy.updates, base)
    else:
        return WriteEffect(base, _returned(op, current, base, None, None))
    after = result.item
    for index in schema.all_indexes:
        if not index.building:
            _check_updated_index_key(index, after)
    _check_updated_size(schema, after, result.action_bytes)
    old = updated_old(result, current) if op.return_values == "UPDATED_OLD" else None
    new = updated_new(result) if op.return_values == "UPDATED_NEW" else None
    return WriteEffect(after, _returned(op, current, after, old, new))


def _returned(op: UpdateItem, current: Item | None, after: Item, old: Item | None, new: Item | None) -> Item | None:
    """What ReturnValues asks for. An image without any attribute is no image: the member is left out."""
    images = {"NONE": None, "ALL_OLD": current, "ALL_NEW": after, "UPDATED_OLD": old, "UPDATED_NEW": new}
    return images[op.return_values] or None


def _check_updated_size(schema: TableSchema, item: Item, action_bytes: int) -> None:
    """The 400 KB rule as measured for updates: the item, or without its key and with the update's own cost (§4)."""
    size_bytes = item_size(item)
    key_bytes = item_size({name: item[name] for name in schema.key.names})
    stored = stored_bytes(schema, item) if schema.local_indexes else size_bytes
    if max(stored, size_bytes - key_bytes + action_bytes) > ITEM_BYTES_MAX:
        raise invalid("item-long-update")


def _check_updated_index_key(index: IndexSchema, item: Item) -> None:
    for attribute in index.key.attributes:
        value = item.get(attribute.name)
        if value is None:
            continue
        if attribute.type not in value:
            raise validation(_INDEX_KEY_TYPE)
        if value[attribute.type] == "":
            kind = "string" if attribute.type == "S" else "binary"
            raise validation(_INDEX_KEY_EMPTY.format(kind=kind))
        if _too_long(value, attribute in index.key.ranges):
            raise validation(_INDEX_KEY_SIZE)
    if _aggregated_too_long(index.key, item):
        raise validation(_INDEX_KEY_SIZE)


# --- indexes --------------------------------------------------------------------------------------------------------


def index_entry(schema: TableSchema, index: IndexSchema, item: Item | None) -> Item | None:
    """The item's entry in an index: keys of index and table, and what the projection adds. None when it has none
    (sparse, S30), or when an attribute that came before the index cannot be its key (architecture.md §12).

    >>> color = IndexSchema("by_color", KeySchema(KeyAttribute("color", "S")), "KEYS_ONLY")
    >>> table = TableSchema("T", KeySchema(KeyAttribute("pk", "S")), (color,))
    >>> index_entry(table, color, {"pk": {"S": "a"}, "color": {"S": "red"}, "size": {"N": "3"}})
    {'color': {'S': 'red'}, 'pk': {'S': 'a'}}
    >>> index_entry(table, color, {"pk": {"S": "a"}}) is None
    True
    >>> index_entry(table, color, {"pk": {"S": "a"}, "color": {"N": "3"}}) is None
    True
    """
    if item is None or not _has_index_key(index.key, item):
        return None
    if index.projection == "ALL":
        return item
    names = dict.fromkeys((*index.key.names, *schema.key.names, *index.non_key_attributes))
    return {name: item[name] for name in names if name in item}


def _has_index_key(key: KeySchema, item: Item) -> bool:
    """Whether the item can be in an index of this key: it has all attributes, none of another type, empty or too
    long.
    """
    for attribute in key.attributes:
        value = item.get(attribute.name)
        if value is None or attribute.type not in value:
            return False
        if attribute.type != "N" and (value[attribute.type] == "" or _too_long(value, attribute in key.ranges)):
            return False
    return not _aggregated_too_long(key, item)


def index_changes(schema: TableSchema, before: Item | None, after: Item | None) -> list[IndexChange]:
    """The 0, 1 or 2 writes that each global index needs when an item goes from `before` to `after` (api.md §5,
    S28–S30).

    >>> color = IndexSchema("by_color", KeySchema(KeyAttribute("color", "S")), "ALL")
    >>> table = TableSchema("T", KeySchema(KeyAttribute("pk", "S")), (color,))
    >>> red, blue = ({"pk": {"S": "a"}, "color": {"S": name}} for name in ("red", "blue"))
    >>> [change.units for change in index_changes(table, red, blue)], index_changes(table, red, dict(red))
    ([2], [])
    """
    return _changes(schema, schema.indexes, before, after)


def local_changes(schema: TableSchema, before: Item | None, after: Item | None) -> list[IndexChange]:
    """The same for the local indexes, which are changed in the item's own partition, together with it.

    >>> by_n = IndexSchema("by_n", KeySchema(KeyAttribute("pk", "S"), KeyAttribute("n", "N")), "KEYS_ONLY")
    >>> keys = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "S"))
    >>> one, two = ({"pk": {"S": "a"}, "sk": {"S": "b"}, "n": {"N": n}} for n in "12")
    >>> [change.units for change in local_changes(TableSchema("T", keys, (), (by_n,)), one, two)]
    [2]
    """
    return _changes(schema, schema.local_indexes, before, after)


def stored_bytes(schema: TableSchema, item: Item) -> int:
    """What an item takes in its partition: its own size and that of its entries in local indexes (api.md §3).

    >>> stored_bytes(TableSchema("T", KeySchema(KeyAttribute("pk", "S"))), {"pk": {"S": "a"}})
    3
    """
    size_bytes = item_size(item)
    for index in schema.local_indexes:
        entry = index_entry(schema, index, item)
        if entry is not None:
            size_bytes += item_size(entry)
    return size_bytes


def _changes(
    schema: TableSchema, indexes: tuple[IndexSchema, ...], before: Item | None, after: Item | None
) -> list[IndexChange]:
    changes: list[IndexChange] = []
    for index in indexes:
        old, new = index_entry(schema, index, before), index_entry(schema, index, after)
        if old is None and new is None:
            continue
        old_key = None if old is None else index_key(index.key, schema.key, old)
        new_key = None if new is None else index_key(index.key, schema.key, new)
        if old is None or new is None or old_key != new_key:
            # Both halves of a move are rounded up apart, since they are two writes.
            units = (write_units(item_size(old)) if old else 0) + (write_units(item_size(new)) if new else 0)
            changes.append(IndexChange(index.name, old_key, new_key, new, units))
        elif not equal_items(old, new):
            changes.append(IndexChange(index.name, None, new_key, new, write_units(item_size(old), item_size(new))))
    return changes


def equal_items(one: Item, other: Item) -> bool:
    """Whether two items hold the same values: a set written in another order is the same set.

    >>> equal_items({"s": {"SS": ["a", "b"]}}, {"s": {"SS": ["b", "a"]}})
    True
    """
    if one == other:
        return True
    return one.keys() == other.keys() and all(equal_values(value, other[name]) for name, value in one.items())


def index_units(changes: list[IndexChange]) -> dict[str, int]:
    """Write units by index, for the ConsumedCapacity of a write."""
    return {change.index: change.units for change in changes}
