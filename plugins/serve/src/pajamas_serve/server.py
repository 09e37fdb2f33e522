"""Opens the address and runs the application until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
import uvloop

from pajamas.errors import EngineError, UsageError
from pajamas_serve.app import create_app
from pajamas_serve.guard import is_local
from pajamas_serve.service import Service
from pajamas_serve.settings import ServerSettings

_BACKLOG = 2048


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
        self.force_exit = self.should_exit
        self.should_exit = True
        self._service.draining = True

    async def announce(self, started: Callable[[Service], None]) -> None:
        while not self.started:
            await asyncio.sleep(0.01)
        started(self._service)


def serve(settings: ServerSettings, opened: socket.socket, started: Callable[[Service], None]) -> None:
    """Run until a signal says stop; answers under way are given to their end, within `drain_timeout`.

    Args:
        opened: what `listen` gave.
        started: called once connections are accepted; the models may still be loading.

    Raises:
        EngineError: the server could not start.
    """
    check_address(settings)
    uvloop.run(_run(settings, opened, started))


async def _run(settings: ServerSettings, opened: socket.socket, started: Callable[[Service], None]) -> None:
    service = Service(settings)
    config = uvicorn.Config(
        create_app(service), http="httptools", ws="none", lifespan="on", log_config=None, access_log=False,
        server_header=False, timeout_keep_alive=75, timeout_graceful_shutdown=max(1, round(settings.drain_timeout)),
    )  # fmt: skip
    server = _Server(config, service)
    watch = asyncio.ensure_future(server.announce(started))
    try:
        await server.serve(sockets=[opened])
    finally:
        watch.cancel()
    if not server.started:
        raise EngineError("The server could not start.", "Its log says why.")
