"""The one table of packets: what each is called, what it needs, what it advertises, who answers it.

Handlers enter themselves with @packet, @xfer_object and @monitor_command; `bind` keeps the rows that a target can
serve. Knows no handler by name, no session state and no wire format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from debugserver.target.target import Target


class Outcome(Enum):
    """What a handler returns when it has no reply to give now."""

    DEFERRED = "a stop reply will follow"
    SILENT = "this packet has no reply"


Work = Generator[float | None, None, bytes]
"""Yields every few milliseconds, or how many seconds there is nothing to do, and returns the payload."""
Reply = bytes | Outcome | Work
"""A payload, ready to be framed; or an Outcome; or long work that comes to a payload."""

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Dialect(Enum):
    """Whose extensions a client speaks; its `qSupported` decides."""

    GDB = "GDB"
    LLDB = "LLDB"


BOTH = frozenset(Dialect)
LLDB_ONLY = frozenset({Dialect.LLDB})
NO_ERRORS: Mapping[type[Exception], bytes] = MappingProxyType({})


class Row(NamedTuple):
    """One packet. `needs` is the capability that the handler's second parameter is; `no_process` the errno without an
    inferior (None: the handler works without); `until_told`: one that has ended is there still, until the client has
    been told; `explains`: GDB shows a sentence in place of the error number; `lldb`: how it differs in LLDB's dialect,
    for the documentation; `of_thread`: LLDB may name the thread that is meant behind the arguments
    (QThreadSuffixSupported); `lldb_errors`: the replies that LLDB gets for kinds of errors, the first that fits;
    `glued`: the arguments follow the name without a separator and may begin with a letter; `bare`: there are no
    arguments, and any is an error."""

    name: str
    handler: Callable[..., Reply]
    needs: type[Any] | None
    feature: str
    no_process: int | None
    until_told: bool
    explains: bool
    dialects: frozenset[Dialect]
    lldb: str
    of_thread: bool
    lldb_errors: Mapping[type[Exception], bytes]
    glued: bool
    bare: bool

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or "").partition("\n")[0]

    def lldb_error(self, error: type[Exception]) -> bytes | None:
        """The reply that LLDB gets for this kind of error, instead of the error's own number."""
        return next((reply for kind, reply in self.lldb_errors.items() if issubclass(error, kind)), None)


class MonitorCommand(NamedTuple):
    """One `monitor` command: its words, what its arguments are called, its line of help."""

    words: tuple[str, ...]
    arguments: str
    help: str
    handler: Callable[..., str]


PACKETS: dict[str, Row] = {}
MONITOR_COMMANDS: dict[tuple[str, ...], MonitorCommand] = {}


def packet(
    name: str,
    *,
    needs: type[Any] | None = None,
    feature: str = "",
    no_process: int | None = None,
    until_told: bool = False,
    explains: bool = False,
    dialects: frozenset[Dialect] = BOTH,
    lldb: str = "",
    of_thread: bool = False,
    lldb_errors: Mapping[type[Exception], bytes] = NO_ERRORS,
    glued: bool = False,
    bare: bool = False,
) -> Callable[[Handler], Handler]:
    """Enter a handler: `(session, args)`, or `(session, capability, args)` if it needs one."""

    def enter(handler: Handler) -> Handler:
        if name in PACKETS:
            raise ValueError(f"packet {name} has two handlers")
        PACKETS[name] = Row(
            name=name,
            handler=handler,
            needs=needs,
            feature=feature,
            no_process=no_process,
            until_told=until_told,
            explains=explains,
            dialects=dialects,
            lldb=lldb,
            of_thread=of_thread,
            lldb_errors=lldb_errors,
            glued=glued,
            bare=bare,
        )
        return handler

    return enter


def monitor_command(words: str, arguments: str = "", *, help: str) -> Callable[[Handler], Handler]:
    """Enter a monitor command: `(session, *arguments) -> text`; raising InvalidCommand for wrong arguments."""

    def enter(handler: Handler) -> Handler:
        command = MonitorCommand(tuple(words.split()), arguments, help, handler)
        MONITOR_COMMANDS[command.words] = command
        return handler

    return enter


class Entry(NamedTuple):
    """A row bound to the target's capability."""

    row: Row
    leading: tuple[Any, ...]
    """What the handler gets between the session and the arguments: the capability, or nothing."""


_NAME = re.compile(rb"[A-Za-z_]+\??")
_LONG_NAME_STARTS = frozenset(b"qQvjb_")
_POINT_STARTS = frozenset(b"Zz")
_SEPARATORS = (b":", b";", b",")
_LONGEST_REMEMBERED = 64
_MOST_REMEMBERED = 256


class Table:
    """The packets that one target can serve."""

    def __init__(self, entries: dict[bytes, Entry]) -> None:
        self._entries = entries
        self._found: dict[bytes, tuple[Entry, bytes] | None] = {}
        """Of short packets that came before."""
        self._depth = {name.partition(b":")[0]: name.count(b":") for name in entries if b":" in name}
        self._long_name_starts = _LONG_NAME_STARTS | {name[0] for name in entries if len(name) > 2}
        self._glued = [name for name, entry in entries.items() if entry.row.glued]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def find(self, payload: bytes) -> tuple[Entry, bytes] | None:
        """The entry for a packet and its arguments, less the one separator after a long name; None if unknown."""
        try:
            return self._found[payload]
        except KeyError:
            found = self._find(payload)
        if len(payload) <= _LONGEST_REMEMBERED:
            if len(self._found) >= _MOST_REMEMBERED:
                self._found.clear()
            self._found[payload] = found
        return found

    def _find(self, payload: bytes) -> tuple[Entry, bytes] | None:
        first = payload[0]
        if first in _POINT_STARTS:
            return self._entry(payload, payload[:2])
        if first in self._long_name_starts and (found := self._entry(payload, self._long_name(payload))):
            return found
        if first in _LONG_NAME_STARTS:
            return next((self._entry(payload, name) for name in self._glued if payload.startswith(name)), None)
        entry = self._entries.get(payload[:1])
        return (entry, payload[1:]) if entry else None

    def _entry(self, payload: bytes, name: bytes) -> tuple[Entry, bytes] | None:
        entry = self._entries.get(name)
        if entry is None:
            return None
        start = len(name)
        return entry, payload[start + 1 :] if payload[start : start + 1] in _SEPARATORS else payload[start:]

    def _long_name(self, payload: bytes) -> bytes:
        match = _NAME.match(payload)
        head = match[0] if match else b""
        depth = self._depth.get(head)
        if depth is None:
            return head
        return b":".join(payload.split(b":", depth + 1)[: depth + 1])


def bind(target: Target, disabled: frozenset[str] = frozenset()) -> Table:
    """The table of what this target can do, less the packets that were disabled by name."""
    entries = {}
    for row in PACKETS.values():
        if row.name in disabled:
            continue
        if row.needs is None:
            entries[row.name.encode()] = Entry(row, ())
        elif (capability := target.capability(row.needs)) is not None:
            entries[row.name.encode()] = Entry(row, (capability,))
    return Table(entries)
