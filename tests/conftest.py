"""What tests share: the server under test, and both versions of GDB and of LLDB."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.containers import Container, Image, make_image
from tests.support.gdb import INSTALLATIONS, Gdb
from tests.support.lldb import INSTALLATIONS as LLDB_INSTALLATIONS
from tests.support.lldb import Lldb, ServerScript
from tests.support.programs import compile_program
from tests.support.server import SOURCE, Server, server_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server",
        default="debugserver",
        help="the server that tests/clients run: debugserver (default), gnu for GNU gdbserver, lldb for lldb-server "
        "(test_lldb_*), or a command line",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "beyond_gnu(reason): GNU gdbserver does not do this")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With GNU gdbserver under test, every test passes but those that say why it cannot."""
    if config.getoption("--server") == "gnu":
        for item in items:
            for marker in item.iter_markers("beyond_gnu"):
                item.add_marker(pytest.mark.skip(reason=marker.args[0]))


@pytest.fixture(params=list(INSTALLATIONS))
def gdb(request: pytest.FixtureRequest) -> Gdb:
    installation = INSTALLATIONS[request.param]()
    if installation is None:
        pytest.skip(f"{request.param} is not installed")
    return Gdb(installation)


@pytest.fixture
def serve(request: pytest.FixtureRequest) -> Iterator[Callable[..., Server]]:
    """Start the server under test with options before its address and the program after it; it ends with the test."""
    command = server_command(request.config.getoption("--server"))
    with ExitStack() as servers:

        def start(*program: str | int | Path, options: tuple[str, ...] = ()) -> Server:
            return servers.enter_context(Server(command, *options, "localhost:0", *program))

        yield start


@pytest.fixture(params=list(LLDB_INSTALLATIONS))
def lldb(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lldb]:
    """Starts the server under test by itself where it debugs locally."""
    installation = LLDB_INSTALLATIONS[request.param]()
    if installation is None:
        pytest.skip(f"{request.param} is not installed")
    server = ServerScript(tmp_path, server_command(request.config.getoption("--server")))
    yield Lldb(installation, server.path)
    assert "Traceback" not in server.log, server.log


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """The files of containers."""
    with make_image() as image:
        yield image


@pytest.fixture
def contain(image: Image) -> Iterator[Callable[..., Container]]:
    """Start a container's process; it ends with the test."""
    with ExitStack() as containers:

        def start(kind: str, program: str = "contained", uid: int | None = None) -> Container:
            return containers.enter_context(Container(image, kind, program, uid))

        yield start


@pytest.fixture
def server_line(request: pytest.FixtureRequest) -> str:
    """The server under test as a shell runs it, for `target remote |`."""
    command = server_command(request.config.getoption("--server"))
    return shlex.join(["env", "-u", "PYTHONHOME", "-u", "LD_LIBRARY_PATH", f"PYTHONPATH={SOURCE}", *command])


@pytest.fixture
def multi_server(serve: Callable[..., Server]) -> Server:
    """A server without a program, for `target extended-remote`."""
    return serve(options=("--multi",))


@pytest.fixture
def debug(gdb: Gdb, serve: Callable[..., Server]) -> Callable[..., str]:
    """Compile a program, start the server on it, and give GDB commands in batch mode; its transcript."""

    def run(name: str, *commands: str, arguments: tuple[str, ...] = (), flags: tuple[str, ...] = ()) -> str:
        program = compile_program(name, *flags)
        return gdb.remote(serve(program, *arguments).address, *commands, program=program)

    return run
