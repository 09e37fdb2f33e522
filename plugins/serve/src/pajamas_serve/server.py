"""Opens the address and runs the application until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
import uvloop

from pajamas.errors import EngineError, UsageError
from pajamas_serve.app import create_app
from pajamas_serve.connection import Connection
from pajamas_serve.guard import is_local
from pajamas_serve.service import Service
from pajamas_serve.settings import ServerSettings

_BACKLOG = 2048
_FILES = 2**16
_LAST_WORDS_SECONDS = 1.0
"""How long a client may take to read that its answer was ended."""


def check_address(settings: ServerSettings) -> None:
    """Raises UsageError where others could reach the server and it asks for no key."""
    if settings.api_keys or settings.insecure or is_local(settings.host):
        return
    raise UsageError(
        f"{settings.host} is reached by other machines, and there is no API key.",
        "Anyone in the network could use the models.",
        "Give --api-key or --api-key-file, or say --insecure.",
    )


def listen(host: str, port: int) -> socket.socket:
    """An open socket.

    Raises:
        UsageError: the address is taken, or not this machine's.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, proto)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a client whose machine is gone, too
            opened.bind(address)
            opened.listen(_BACKLOG)
        except BaseException:
            opened.close()
            raise
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"{host}:{port} cannot be opened.", str(error), "Choose another --port; 0 takes one that is free."
        ) from error
    return opened


class _Server(uvicorn.Server):
    """Stops on SIGTERM and SIGINT by draining, and at once on the second; the process's exit code stays its own."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._hurried = False

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: object) -> None:
        self.force_exit = self._hurried
        self._hurried = self.should_exit
        self.should_exit = True
        self._service.draining = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ending = asyncio.ensure_future(self._end_answers())
        await super().shutdown(sockets)
        ending.cancel()
        await asyncio.wait([ending])

    async def _end_answers(self) -> None:
        """When the time for those under way is over, or at the second signal: each of them ends with an error."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._service.settings.drain_timeout
        while loop.time() < end and not self._hurried:
            await asyncio.sleep(0.05)
        await asyncio.shield(self._service.models.close())
        await asyncio.sleep(_LAST_WORDS_SECONDS)
        for connection in list(self.server_state.connections):
            connection.transport.abort()  # its client does not read

    async def announce(self, started: Callable[[Service], None]) -> None:
        while not self.started:
            await asyncio.sleep(0.01)
        started(self._service)
        while self._service.models.refused is None:
            await asyncio.sleep(0.1)
        self.handle_exit(signal.SIGTERM, None)


def serve(settings: ServerSettings, opened: socket.socket, started: Callable[[Service], None]) -> None:
    """Run until a signal says stop; answers under way are given to their end, within `drain_timeout`.

    Args:
        opened: what `listen` gave.
        started: called once connections are accepted; the models may still be loading.

    Raises:
        EngineError: the server could not start.
        PajamasError: a pinned model can never be loaded here.
    """
    check_address(settings)
    _allow_many_files()
    uvloop.run(_run(settings, opened, started))


def _allow_many_files() -> None:
    """Each connection is one, and the usual limit is 1024."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if most == resource.RLIM_INFINITY else min(most, _FILES)
    if limit != resource.RLIM_INFINITY and limit < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


async def _run(settings: ServerSettings, opened: socket.socket, started: Callable[[Service], None]) -> None:
    service = Service(settings)
    config = uvicorn.Config(
        create_app(service), http=Connection, ws="none", lifespan="on", log_config=None, access_log=False,
        server_header=False, timeout_keep_alive=75,
    )  # fmt: skip
    server = _Server(config, service)
    watch = asyncio.ensure_future(server.announce(started))
    try:
        await server.serve(sockets=[opened])
    finally:
        watch.cancel()
    if not server.started:
        raise EngineError("The server could not start.", "Its log says why.")
    if (refused := service.models.refused) is not None:
        raise refused
