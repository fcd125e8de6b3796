"""The user's own commands to the server: qRcmd, which GDB calls `monitor`. Texts of GNU gdbserver where it has them.

GDB's test suite knows a gdbserver by the first and the last line of `help`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from debugserver.errors import DebugServerError
from debugserver.rsp import fields
from debugserver.stub.registry import MONITOR_COMMANDS, monitor_command, packet

if TYPE_CHECKING:
    from debugserver.stub.registry import MonitorCommand, Reply
    from debugserver.stub.session import Session

_SWITCH = {"on": True, "1": True, "off": False, "0": False}
_COMPONENTS = ("threads", "event-loop", "remote")
_GENERAL = "threads"
_HARDWARE_POINTS = "hw-points"
_LOWEST_VERBOSITY, _HIGHEST_VERBOSITY = -2, 3


class InvalidCommand(DebugServerError):
    """What was typed is no command; the message is what the user gets to see."""

    def __init__(self, message: str = "Invalid command\n") -> None:
        super().__init__(message)


@packet("qRcmd")
def run_monitor_command(session: Session, args: bytes) -> Reply:
    """Run a command of the server's own; its text comes back."""
    words = tuple(fields.text(args).split())
    if not words:
        return b"OK"
    try:
        text = _run(session, words)
    except InvalidCommand as error:
        text = str(error)
    return fields.hex_text(text) if text else b"OK"


def _run(session: Session, words: tuple[str, ...]) -> str:
    command = MONITOR_COMMANDS.get(words[:1]) or MONITOR_COMMANDS.get(words[:2])
    if command is None:
        known = any(words[0] == names[0] for names in MONITOR_COMMANDS)
        raise InvalidCommand("Invalid command\n" if known else "Invalid monitor command\n")
    arguments = words[len(command.words) :]
    if not _fits(command, len(arguments)):
        raise InvalidCommand
    return command.handler(session, *arguments)


def _fits(command: MonitorCommand, count: int) -> bool:
    """Whether so many arguments may follow: `[X]` may be left out, after `...` there may be more."""
    names = command.arguments.split()
    required = [name for name in names if not name.startswith("[") and name != "..."]
    return len(required) <= count and (count <= len(names) or "..." in names)


@monitor_command("help", help="List these commands")
def list_commands(session: Session) -> str:
    """Every command, with its line of help."""
    lines = ["The following monitor commands are supported:"]
    for command in MONITOR_COMMANDS.values():
        usage = " ".join((*command.words, command.arguments.removesuffix(" ..."))).rstrip()
        lines += [f"  {usage}", f"    {command.help}"]
    return "\n".join(lines) + "\n"


@monitor_command("set verbosity", "N", help="Log everything (-2) to only what is fatal (3)")
def set_verbosity(session: Session, level: str) -> str:
    """The seed's scale."""
    try:
        value = int(level)
    except ValueError:
        raise InvalidCommand from None
    if not _LOWEST_VERBOSITY <= value <= _HIGHEST_VERBOSITY:
        raise InvalidCommand
    session.settings.verbosity = value
    return ""


@monitor_command("show verbosity", help="Show how much is logged")
def show_verbosity(session: Session) -> str:
    """The seed's scale."""
    return f"Value is {session.settings.verbosity}\n"


@monitor_command("set debug", "[COMPONENT] on|off ...", help=f"Log what {', '.join(_COMPONENTS)} or all of them do")
def set_debug(session: Session, *words: str) -> str:
    """`on|off`, or `COMPONENT on|off`. Each mistake has its own message."""
    if words[0] in _SWITCH:
        _refuse_rest(session, "set debug", words)
        return _switch_general(session, _SWITCH[words[0]])
    return _switch_component(session, words[0], words[1:])


def _switch_general(session: Session, on: bool) -> str:
    if not on:
        session.settings.debug.clear()
        return "All debug output disabled.\n"
    session.settings.debug.add(_GENERAL)
    return "General debug output enabled.\n"


def _switch_component(session: Session, component: str, words: tuple[str, ...]) -> str:
    command = f"set debug {component}"
    if not words:
        raise _with_help(session, f"Missing value for '{command}' command.")
    if component != "all" and component not in _COMPONENTS:
        raise _with_help(session, f"Error: unknown debug option '{component}'")
    if words[0] not in _SWITCH:
        raise _with_help(session, f"Invalid value '{words[0]}' for '{command}'.")
    _refuse_rest(session, command, words)
    enabled = _SWITCH[words[0]]
    change = session.settings.debug.update if enabled else session.settings.debug.difference_update
    change(_COMPONENTS if component == "all" else (component,))
    return f"Debug output for '{component}' {'enabled' if enabled else 'disabled'}.\n"


def _refuse_rest(session: Session, command: str, words: tuple[str, ...]) -> None:
    if len(words) > 1:
        rest = " ".join(words[1:])
        raise _with_help(session, f"Junk '{rest}' found at end of '{command} {words[0]}' command.")


def _with_help(session: Session, message: str) -> InvalidCommand:
    return InvalidCommand(f"{message}\n{list_commands(session)}")


@monitor_command("set debug-hw-points", "0|1", help="Log what becomes of hardware breakpoints and watchpoints")
def set_debug_hardware_points(session: Session, switch: str) -> str:
    """0 or 1."""
    if switch not in ("0", "1"):
        raise InvalidCommand
    if switch == "1":
        session.settings.debug.add(_HARDWARE_POINTS)
        return "H/W point debugging output enabled.\n"
    session.settings.debug.discard(_HARDWARE_POINTS)
    return "H/W point debugging output disabled.\n"


_FORMATS = {
    "all": (True, "All extra debug format options enabled.\n"),
    "none": (False, "All extra debug format options disabled.\n"),
    "timestamp": (True, "Timestamps will be added to debug output.\n"),
}


@monitor_command("set debug-format", "all|none|timestamp", help="Choose what precedes each line of the log")
def set_debug_format(session: Session, options: str) -> str:
    """One option, or several separated by commas, of which the last one wins."""
    names = options.split(",")
    unknown = [name for name in names if name not in _FORMATS]
    if unknown:
        raise _with_help(session, f'Unknown debug-format argument: "{unknown[0]}"')
    session.settings.debug_timestamps, text = _FORMATS[names[-1]]
    return text


@monitor_command("set debug-file", "[FILE]", help="Log to a file, or to standard error again")
def set_debug_file(session: Session, path: str = "") -> str:
    """Without a name: standard error."""
    session.settings.debug_file = path
    return ""


@monitor_command("set libthread-db-search-path", "[PATH]", help="No effect: libthread_db is never loaded")
def set_libthread_db_search_path(session: Session, path: str = "") -> str:
    """For scripts that tell GNU gdbserver where to look: a target finds thread-local variables by its own means."""
    return f"libthread_db is never loaded.\nlibthread-db-search-path set to `{path}'\n"


# Decorators apply from the bottom up: `exit` comes last.
@monitor_command("exit", help="Quit GDBserver")
@monitor_command("quit", help="Quit GDBserver")
def end_server(session: Session) -> str:
    """The server ends after this reply."""
    session.settings.exit_requested = True
    session.ended = True
    return ""
