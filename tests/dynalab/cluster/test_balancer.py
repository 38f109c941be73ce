"""One address in front of all routers: what clients see when one of them dies."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from dynalab.drivers.cluster.balancer import Balancer


class Router:
    """Answers every line with its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.writers: list[asyncio.StreamWriter] = []

    async def start(self) -> str:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with suppress(OSError):
            while line := await reader.readline():
                writer.write(self.name.encode() + b" heard " + line)

    def die(self) -> None:
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"hello\n")
    return await reader.readline()


def test_connections_go_to_routers_in_turn_and_a_dead_one_is_left_out() -> None:
    async def story() -> None:
        one, two = Router("one"), Router("two")
        async with Balancer([await one.start(), await two.start()]) as balancer:
            first, second = await connect(balancer.url), await connect(balancer.url)
            answers = {await ask(*first), await ask(*second)}
            assert answers == {b"one heard hello\n", b"two heard hello\n"}
            one.die()
            broken = [await ask(*client) for client in (first, second)]
            assert sorted(broken) == [b"", b"two heard hello\n"], "who was connected to it learns that it is gone"
            for _ in range(4):
                reader, writer = await connect(balancer.url)
                assert await ask(reader, writer) == b"two heard hello\n"
                writer.close()
            two.die()
            assert await ask(*await connect(balancer.url)) == b"", "with nobody left there is no service"
            for _, writer in (first, second):
                writer.close()

    asyncio.run(story())


def test_nothing_listens_once_the_context_is_closed() -> None:
    async def story() -> None:
        router = Router("one")
        async with Balancer([await router.start()]) as balancer:
            url = balancer.url
            client = await connect(url)
            assert await ask(*client) == b"one heard hello\n"
        assert await client[0].read() == b""
        with suppress(OSError):
            await connect(url)
            raise AssertionError("somebody listens")
        client[1].close()
        router.die()

    asyncio.run(story())
