"""A thread that waits for a disk, in place of the event loop.

An executor would do, but its futures, locks and callbacks cost as much as the sync of a small batch. Here a job goes
into a queue, and one call into the loop tells that it is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import TypeAlias

Job: TypeAlias = Callable[[], None]
Done: TypeAlias = Callable[[BaseException | None], None]


class SyncThread:
    """Does one job after another; `submit` and `close` are called from the loop's thread, and so is what was given to
    `submit` to be called at the end, with the error if the job raised one.
    """

    __slots__ = ("_jobs", "_loop", "_thread")

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._jobs: SimpleQueue[tuple[Job, Done] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job, done: Done) -> None:
        """Do the job, then call `done` in the loop."""
        self._jobs.put((job, done))

    def close(self) -> None:
        """End the thread when its jobs are through, and wait for that."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._jobs.get()) is not None:
            job, done = work
            error: BaseException | None = None
            try:
                job()
            except BaseException as raised:  # whoever asked must hear of it, whatever it is
                error = raised
            self._loop.call_soon_threadsafe(done, error)
