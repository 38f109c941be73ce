"""One address in front of all routers, as clients of the service have it: a connection goes to a router that lives.

It knows nothing of requests. A router that dies takes its connections with it, and clients see that as they would see
it of any machine behind a load balancer; their next connection ends at another router. An address that is one router's
own is another matter: boto3 gives up on it within about 0.2 s, long before a process that was killed is up again.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from urllib.parse import urlsplit

from dynalab.drivers.cluster.process import LOOPBACK

CONNECT_SECONDS_MAX = 1.0
PIECE_BYTES = 64 * 1024


class Balancer:
    """Serves while its context is open; `url` is what clients take."""

    def __init__(self, urls: list[str]) -> None:
        parts = [urlsplit(url) for url in urls]
        self._routers = [(part.hostname or LOOPBACK, part.port or 80) for part in parts]
        self._turn = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it serves."""
        assert self._server is not None, "the context is open"
        return f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Balancer:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both ways between a client and a router, until one of them ends."""
        with contextlib.closing(writer):
            found = await self._router()
            if found is None:
                return  # the client sees a connection that is closed: there is no service
            with contextlib.closing(found[1]):
                ways = [asyncio.create_task(_pump(reader, found[1])), asyncio.create_task(_pump(found[0], writer))]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()

    async def _router(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection to the next router that takes one."""
        for _ in self._routers:
            self._turn = (self._turn + 1) % len(self._routers)
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS_MAX):
                    return await asyncio.open_connection(*self._routers[self._turn])
        return None


async def _pump(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await source.read(PIECE_BYTES):
            to.write(piece)
            await to.drain()
