"""What a program is started with: arguments, environment, directory, standard streams.

`Q...` packets of both families of clients. Source: GDB manual, "General Query Packets"; LLVM, "LLDB Remote Protocol".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket
from debugserver.rsp import fields
from debugserver.stub.registry import Dialect, packet
from debugserver.stub.settings import OnDisconnect
from debugserver.target.capabilities import Detach, HostSystem, Launch, ProgramInput, WorkingDirectory

if TYPE_CHECKING:
    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session


@packet("qExecAndArgs", needs=Launch)
def exec_and_arguments(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Tell the program that would be started, and its arguments as one line for the shell."""
    settings = session.settings_for_launch(launcher)
    if not settings.program:
        return b"U"
    return b"S;%b;%b;" % (fields.hex_text(settings.program), fields.hex_text(settings.argument_line()))


@packet("QDisableRandomization", needs=Launch, feature="QDisableRandomization+")
def disable_randomization(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Start programs with (0) or without (1) address space randomization."""
    session.settings_for_launch(launcher).disable_randomization = _switch(args)
    return b"OK"


@packet("QStartupWithShell", needs=Launch, feature="QStartupWithShell+")
def startup_with_shell(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Start programs through the shell (1) or directly (0)."""
    session.settings_for_launch(launcher).startup_with_shell = _switch(args)
    return b"OK"


def _switch(args: bytes) -> bool:
    if args not in (b"0", b"1"):
        raise MalformedPacket("0 or 1 is needed")
    return args == b"1"


@packet("QEnvironmentHexEncoded", needs=Launch, feature="QEnvironmentHexEncoded+")
def set_environment(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Set a variable for programs to be started."""
    name, separator, value = fields.text(args).partition("=")
    if not name or not separator:
        raise MalformedPacket("NAME=VALUE is needed")
    _environment(session, launcher)[name] = value
    return b"OK"


@packet("QEnvironment", needs=Launch)
def set_plain_environment(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Set a variable for programs to be started: `NAME=VALUE` as it is."""
    name, _, value = args.decode("utf-8", "surrogateescape").partition("=")
    if not name or "\0" in value:
        raise MalformedPacket("NAME=VALUE is needed")
    _environment(session, launcher)[name] = value
    return b"OK"


def _environment(session: Session, launcher: Launch) -> dict[str, str]:
    """LLDB sends all variables: what it leaves out is not to be set. GDB sends what differs from the server's."""
    settings = session.settings_for_launch(launcher)
    if session.dialect is Dialect.LLDB and not session.has_own_environment:
        settings.environment = {}
    session.has_own_environment = True
    return settings.environment


@packet("QEnvironmentUnset", needs=Launch, feature="QEnvironmentUnset+")
def unset_environment(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Unset a variable for programs to be started."""
    name = fields.text(args)
    if not name:
        raise MalformedPacket("NAME is needed")
    session.settings_for_launch(launcher).environment.pop(name, None)
    return b"OK"


@packet("QEnvironmentReset", needs=Launch, feature="QEnvironmentReset+", bare=True)
def reset_environment(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Start programs with the server's own environment again."""
    session.settings_for_launch(launcher).environment = launcher.launch_settings().environment
    return b"OK"


@packet("QSetWorkingDir", needs=Launch, feature="QSetWorkingDir+")
def set_working_directory(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Start programs in this directory; empty: the server's own. On a platform, also what paths begin at."""
    directory = fields.text(args)
    if place := session.target.capability(WorkingDirectory):
        place.change_directory(directory)
    else:
        session.settings_for_launch(launcher).directory = directory
    return b"OK"


@packet("qGetWorkingDir", needs=HostSystem)
def working_directory(session: Session, system: HostSystem, args: bytes) -> Reply:
    """Tell in which directory programs are started."""
    launcher = session.target.capability(Launch)
    chosen = session.settings_for_launch(launcher).directory if launcher else ""
    return fields.hex_text(chosen or system.working_directory())


@packet("QSetSTDIN", needs=Launch)
def set_standard_input(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Let programs to be started read this file."""
    session.settings_for_launch(launcher).stdin = fields.text(args)
    return b"OK"


@packet("QSetSTDOUT", needs=Launch)
def set_standard_output(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Let programs to be started print to this file."""
    session.settings_for_launch(launcher).stdout = fields.text(args)
    return b"OK"


@packet("QSetSTDERR", needs=Launch)
def set_standard_error(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Let programs to be started print errors to this file."""
    session.settings_for_launch(launcher).stderr = fields.text(args)
    return b"OK"


@packet("QSetSTDIOWindowSize", needs=ProgramInput)
def set_window_size(session: Session, terminal: ProgramInput, args: bytes) -> Reply:
    """Tell programs how large the client's window is: `cols=N;rows=N`, in decimal."""
    sizes = dict(part.partition(b"=")[::2] for part in args.split(b";"))
    terminal.resize(*(fields.decimal(sizes.get(name, b"")) & 0xFFFF for name in (b"cols", b"rows")))
    return b"OK"


@packet("I", needs=ProgramInput)
def type_input(session: Session, terminal: ProgramInput, args: bytes) -> Reply:
    """Give this to the program as if it were typed."""
    terminal.write_input(fields.blob(args))
    return b"OK"


@packet("QSetDisableASLR", needs=Launch)
def disable_aslr(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Start programs without (1) or with (0) address space randomization."""
    session.settings_for_launch(launcher).disable_randomization = _switch(args)
    return b"OK"


@packet("QSetDetachOnError", needs=Detach)
def detach_on_error(session: Session, detacher: Detach, args: bytes) -> Reply:
    """Choose what becomes of processes whose client just goes away: they run on (1), or are killed (0)."""
    session.on_disconnect = OnDisconnect.DETACH if _switch(args) else OnDisconnect.KILL
    return b"OK"


@packet("QLaunchArch", needs=Launch)
def launch_architecture(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Prefer this part of a program for several CPUs; a program of Linux is for one."""
    if not args:
        raise MalformedPacket("an architecture is needed")
    return b"OK"
