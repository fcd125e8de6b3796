"""Serving a target of one's own: `serve(target, ":1234")` is all that an emulator needs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from debugserver.server import transport
from debugserver.server.server import Server
from debugserver.stub.settings import Settings
from debugserver.stub.stub import Stub

if TYPE_CHECKING:
    from debugserver.target.target import Target


def serve(target: Target, comm: str, settings: Settings | None = None, *, once: bool = False) -> None:
    """Serve until the target has no process left, or a client or a signal ends the server. Only in the main thread.

    `comm` is what the command line takes ("2345", ":2345", "unix:PATH", "-"). ConfigurationError.
    """
    settings = settings or _talkative_settings()
    endpoint = transport.parse(comm)
    source = endpoint.open()
    try:
        reopen = endpoint.open if endpoint.reopens else None
        server = Server(target, settings, source, lambda: Stub(target, settings), once=once, reopen=reopen)
        server.end_on_signals()
        server.run()
    finally:
        target.close()
        source.close()


def _talkative_settings() -> Settings:
    settings = Settings()
    settings.announce = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: T201 - for the person there
    return settings
