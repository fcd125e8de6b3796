"""What live tests share: a session with a program under our server, or with a process that it attaches to."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.live.running import running
from tests.live.session import PLAIN, STATIC, Session
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.server import Server


@pytest.fixture
def connect(serve: Callable[..., Server]) -> Iterator[Callable[..., Session]]:
    """Start a server on a program, attached to a process, or on nothing (`multi`), and connect to it."""
    with ExitStack() as sessions:

        def open_session(
            program: Path, *arguments: str | int, offered: str = PLAIN, attach: int = 0, multi: bool = False
        ) -> Session:
            if multi:
                server = serve(options=("--multi",))
            else:
                server = serve(attach, options=("--attach",)) if attach else serve(program, *arguments)
            return sessions.enter_context(Session(server, program, offered))

        yield open_session


@pytest.fixture(params=["started", "attached"])
def serve_either(request: pytest.FixtureRequest, serve: Callable[..., Server]) -> Iterator[Callable[..., Server]]:
    """Serve a program that the server starts, or one that runs already and that it attaches to; that one is given
    `words`."""
    with ExitStack() as targets:

        def start(source: str, *options: str, words: tuple[str, ...] = ()) -> Server:
            if request.param == "started":
                return serve(compile_program(source, *STATIC), options=options)
            target = targets.enter_context(running(source, *words))
            return serve(target.pid, options=(*options, "--attach"))

        yield start


@pytest.fixture
def debug(connect: Callable[..., Session]) -> Callable[..., Session]:
    """Compile a program and have it stand at main."""

    def run(source: str, *arguments: str | int, offered: str = PLAIN, flags: tuple[str, ...] = ()) -> Session:
        session = connect(compile_program(source, *STATIC, *flags), *arguments, offered=offered)
        session.start()
        return session

    return run
