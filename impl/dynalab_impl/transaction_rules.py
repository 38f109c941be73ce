"""What the paper of 2023 says could be done better, each a rule that a topology turns on by its name (ATC'23, *Adapting
timestamp ordering for key-value operations*).

Without any of them, write transactions, read transactions and single writes are strictly serializable at any skew of
clocks: a marker is a lock for which nobody waits, and whoever was told of something is ordered behind it. Every rule
here accepts what would be refused, by trusting the order of timestamps where the lock would have said no. The result
is serializable still. What it costs is told with each rule.

The rule that a GetItem is never blocked is not among them: it is always on.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

WRITE_BEFORE_PREPARED = "write-before-prepared"
OLD_WRITE_IGNORED = "old-write-ignored"
MANY_PREPARED = "many-prepared"
ONE_ROUND_READ = "one-round-read"
ONE_ROUND_WRITE = "one-round-write"


class Rule(NamedTuple):
    """`number` is the paper's; `accepts` tells what is refused without the rule, `why` why it is right, and
    `cost` what is lost by it.
    """

    number: int
    accepts: str
    why: str
    cost: str


RULES: dict[str, Rule] = {
    WRITE_BEFORE_PREPARED: Rule(
        2,
        "a single write to an item on which a blind put or delete is prepared",
        "it is ordered just before the transaction, which looks at nothing and overwrites it",
        "real time: whoever has seen another item of that transaction changed is ordered behind it, and this write, "
        "which comes later, is ordered before it",
    ),
    OLD_WRITE_IGNORED: Rule(
        3,
        "a blind put or delete whose timestamp is older than the item's last write, if that was a blind put, and "
        "younger than whatever has looked at the item before that put",
        "it is ordered before that write, which hides it: nobody can tell that it was never there. Somebody could who "
        "reads two items at the moment when it is done on one of them, so with this rule read transactions have "
        "timestamps, too, as with the fifth",
        "real time, if clocks differ: a write that was acknowledged is not seen by a read that begins afterwards. The "
        "last put is remembered by the leader alone: after a change of leaders it refuses as without the rule",
    ),
    MANY_PREPARED: Rule(
        4,
        "a blind put or delete on an item on which only blind ones are prepared",
        "their order is that of their timestamps, of which no two are the same; one that commits late, behind a "
        "younger one, is hidden by that. So read transactions have timestamps, as with the third and the fifth rule",
        "real time, if clocks differ: the transaction that was acknowledged last may be the one that is hidden",
    ),
    ONE_ROUND_READ: Rule(
        5,
        "a read transaction in one round, where nothing older is under way and nothing younger was written",
        "it reads everything as of its timestamp; leaders remember that, and refuse older transactions afterwards. "
        "Where that fails it is tried as of another one, and never in two rounds: the two kinds of reads would see two "
        "orders",
        "real time, if clocks differ: it may see a write and miss an earlier one, acknowledged before that one began; "
        "and a log entry from time to time, since the next leader must know how far was read",
    ),
    ONE_ROUND_WRITE: Rule(
        6,
        "a write transaction without a token whose items lie in one partition, in one entry of that partition's log",
        "one log is one order: there is nobody else to agree with, and nothing that could stall",
        "nothing; but an answer is remembered only as long as that of a single write, so a request with a token goes "
        "the long way",
    ),
}


def promised_order(rules: Collection[str]) -> str:
    """What transactions, read transactions and single writes are together with these rules on, whatever the clocks.

    >>> promised_order(()), promised_order((ONE_ROUND_WRITE,)), promised_order((ONE_ROUND_WRITE, MANY_PREPARED))
    ('strict-serializable', 'strict-serializable', 'serializable')
    """
    return "serializable" if any(rule != ONE_ROUND_WRITE for rule in rules) else "strict-serializable"
