"""What LLDB asks of a platform server, which debugs nothing itself: other servers, commands, and signals.

Source: LLVM, "LLDB Platform Packets", and the packets of LLDB 14 to 23.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket, TargetError
from debugserver.rsp import fields, signals
from debugserver.rsp.framing import escape
from debugserver.stub.registry import packet
from debugserver.target.capabilities import DebugServers, HostShell

if TYPE_CHECKING:
    from debugserver.stub.registry import Reply, Work
    from debugserver.stub.session import Session

_CANNOT_EXECUTE = 126
"""The exit status of a command that may not be run, as shells have it."""
_NO_TIMEOUT = 0xFFFF_FFFF
_PASSED_IN_SILENCE = frozenset({"SIGALRM", "SIGPROF", "SIGWINCH", "SIG32", "SIG33"})
_PASSED = frozenset({"SIGCHLD", "SIGCONT"})
_OF_THE_DEBUGGER = frozenset({"SIGINT", "SIGTRAP", "SIGSTOP"})


@packet("jSignalsInfo", needs=DebugServers)
def describe_signals(session: Session, servers: DebugServers, args: bytes) -> Reply:
    """List the system's signals as JSON, and what a client does about each unless its user wishes otherwise.

    The braces are not escaped, as lldb-server's are not: LLDB cannot read it then, and takes Linux's signals. If it
    can, it (23.1) takes those of another system that it knows, and only adds these.
    """
    import json

    return json.dumps([_signal(number, name) for number, name in signals.native_names().items()]).encode()


def _signal(number: int, name: str) -> dict[str, object]:
    """As LLDB has them by itself."""
    silent = name in _PASSED_IN_SILENCE or name.startswith("SIGRT")
    return {
        "signo": number,
        "name": name,
        "suppress": name in _OF_THE_DEBUGGER,
        "stop": not (silent or name in _PASSED),
        "notify": not silent,
    }


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
