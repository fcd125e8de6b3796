"""What LLDB asks of a platform server, which debugs nothing itself: other servers, and commands.

Source: LLVM, "LLDB Platform Packets", and the packets of LLDB 14 to 23.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket, TargetError
from debugserver.rsp import fields
from debugserver.rsp.framing import escape
from debugserver.stub.registry import packet
from debugserver.target.capabilities import DebugServers, HostShell

if TYPE_CHECKING:
    from debugserver.stub.registry import Reply, Work
    from debugserver.stub.session import Session

_CANNOT_EXECUTE = 126
"""The exit status of a command that may not be run, as shells have it."""
_NO_TIMEOUT = 0xFFFF_FFFF


@packet("qLaunchGDBServer", needs=DebugServers)
def launch_server(session: Session, servers: DebugServers, args: bytes) -> Reply:
    """Start a debug server for one program, and tell where it listens: `host:NAME;port:N;`, both in vain if they can be
    left out."""
    wanted = dict(pair.partition(b":")[::2] for pair in args.split(b";"))
    address = servers.start_server(fields.decimal(wanted.get(b"port", b"0")))
    reply = b"pid:%d;port:%d;" % (address.pid, address.port)
    return reply + b"socket_name:%b;" % fields.hex_text(address.path) if address.path else reply


@packet("qQueryGDBServer", needs=DebugServers)
def query_servers(session: Session, servers: DebugServers, args: bytes) -> Reply:
    """Tell of a debug server that has a program already, in JSON; an error if there is none."""
    address = servers.waiting_server()
    if address is None:
        raise TargetError("no debug server waits for a client", errno.ENOENT)
    import json

    fact = {"socket_name": address.path} if address.path else {"port": address.port}
    return escape(json.dumps([fact]).encode())


@packet("qKillSpawnedProcess", needs=DebugServers)
def kill_spawned(session: Session, servers: DebugServers, args: bytes) -> Reply:
    """End a debug server, or a program, that was started here, by its pid in decimal."""
    servers.kill_spawned(fields.decimal(args))
    return b"OK"


@packet("qPlatform_shell", needs=HostShell)
def run_command(session: Session, shell: HostShell, args: bytes) -> Reply:
    """Run a shell's command: `command,timeout[,directory]`. The reply is `F,status,signal,` and its output."""
    command, separator, rest = args.partition(b",")
    timeout, _, directory = rest.partition(b",")
    if not (command and separator):
        raise MalformedPacket("a command and a timeout are needed")
    seconds = fields.number(timeout)
    return _run(shell, fields.text(command), fields.text(directory), None if seconds == _NO_TIMEOUT else seconds)


def _run(shell: HostShell, command: str, directory: str, timeout: float | None) -> Work:
    try:
        result = yield from shell.run_command(command, directory, timeout)
    except TargetError as error:
        # LLDB shows the output, and no errors of ours.
        return b"F,%08x,%08x,%b" % (_CANNOT_EXECUTE, 0, escape(f"debugserver: {error}\n".encode(errors="replace")))
    return b"F,%08x,%08x,%b" % (result.status, result.signal, escape(result.output))
