"""The platform role: a process for each client, in which LinuxPlatform is the target. Debugs nothing itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from debugserver.errors import ConfigurationError, TargetError
from debugserver.linux.platform import LinuxDebugServers, LinuxPlatform
from debugserver.server import transport
from debugserver.server.connection import Connection
from debugserver.server.forking import ForkingServer
from debugserver.server.log import Log
from debugserver.server.server import Server
from debugserver.stub.stub import Stub

if TYPE_CHECKING:
    from debugserver.lldb_options import PlatformLine


def serve(line: PlatformLine, own_arguments: int, say: Callable[[str], None]) -> None:
    """Until a signal comes, or the only client has gone. `own_arguments`: how many of the words that we were started
    with are this role's, and not the command. ConfigurationError."""
    command = _own_command(own_arguments)
    listener = transport.parse(line.comm).open()
    try:
        if isinstance(listener, Connection):
            raise ConfigurationError(f"{line.comm}: a platform listens")
        if line.socket_file:
            _write_whole(line.socket_file, listener.port)
        if line.once:
            _serve_first(line, command, listener)
        else:
            line.settings.announce(listener.banner)
            ForkingServer(listener, lambda connection: _serve_one(line, command, connection, say)).run()
    finally:
        listener.close()


def _serve_first(line: PlatformLine, command: Sequence[str], listener: transport.Listener) -> None:
    """Its address is known only when it has come."""
    line.settings.announce(listener.banner)
    os.set_blocking(listener.fileno(), True)
    connection = listener.accept()
    if connection is not None:
        listener.close()
        _serve(line, command, connection)


def _serve_one(line: PlatformLine, command: Sequence[str], connection: Connection, say: Callable[[str], None]) -> int:
    try:
        _serve(line, command, connection)
    except (ConfigurationError, TargetError) as error:
        say(str(error))
        return 1
    return 0


def _serve(line: PlatformLine, command: Sequence[str], connection: Connection) -> None:
    settings = line.settings
    servers = LinuxDebugServers(command, connection.local_host, line.ports, line.port_offset, line.program)
    target = LinuxPlatform(line.launch, servers, allow_shell=line.allow_shell)
    server = Server(target, settings, connection, lambda: Stub(target, settings), once=True, log=Log(settings))
    server.end_on_signals()
    server.run()


def _own_command(own_arguments: int) -> list[str]:
    """What starts us, without this role and its words. Clients change the directory: paths must not depend on it."""
    _, *interpreter_options, script = sys.orig_argv[: len(sys.orig_argv) - own_arguments]
    if interpreter_options[-1:] != ["-m"]:
        script = os.path.abspath(script)
    return [sys.executable, *interpreter_options, script]


def _write_whole(path: str, text: str) -> None:
    """Whoever waits for the file sees it whole, or not at all."""
    unfinished = f"{path}.{os.getpid()}"
    try:
        with open(unfinished, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(unfinished, path)
    except OSError as error:
        raise ConfigurationError(f"cannot write the port to {path}: {error.strerror}") from error
