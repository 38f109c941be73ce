"""Consumers of a table's stream: what stands behind it in a system, small enough to be read and broken.

Rules of this room:

1. A client is handed in: boto3's `client("dynamodbstreams")`, or anything with the same three methods. Nothing here
   opens a connection, starts a thread or sleeps; whoever owns the consumer calls it again.
2. Parents before children: a shard is begun when its parent has been processed to its end (architecture.md §13).
3. Everything is at least once. A checkpoint is written behind what was processed, so whoever starts again meets some
   records a second time. What must happen once must know by itself what it has done: `recipes` shows how.
4. Time comes in as an argument or from a clock that is given, in seconds of Unix time.
"""

from dynalab.consumers.filters import BadPattern, matches
from dynalab.consumers.kinesis import KinesisDestination, in_order
from dynalab.consumers.reading import Checkpoints, Record, StreamClient, StreamReader
from dynalab.consumers.sinks import FileSink, SearchSink, folded
from dynalab.consumers.triggers import Trigger, TriggerRunner

__all__ = [
    "BadPattern",
    "Checkpoints",
    "FileSink",
    "KinesisDestination",
    "Record",
    "SearchSink",
    "StreamClient",
    "StreamReader",
    "Trigger",
    "TriggerRunner",
    "folded",
    "in_order",
    "matches",
]
