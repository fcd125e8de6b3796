"""COMM of the command line: what it means, and what comes of it: a listener, or a connection at once.

The messages are GNU gdbserver's where it has one: test rigs wait for them.
"""

from __future__ import annotations

import os
import select
import socket
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable

from debugserver.errors import ConfigurationError, UsageError
from debugserver.server.connection import Connection

_LOOPBACK = "127.0.0.1"
_BACKLOG = 8
_STREAM_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
_COMM_FORMS = "COMM is PORT, HOST:PORT, unix:PATH, /dev/TTY, fd:N, connect:HOST:PORT or - (standard input and output)"
_CONNECT_TIMEOUT = 10.0
"""Seconds for a client that listens to take us."""


class Listener:
    """A listening socket. Owns it, and the file of a Unix socket."""

    def __init__(self, listener: socket.socket, file: str = "") -> None:
        self._socket = listener
        self._file = file
        self._inode = os.stat(file).st_ino if file else 0
        listener.setblocking(False)

    def fileno(self) -> int:
        """Readable when a client knocks."""
        return self._socket.fileno()

    @property
    def port(self) -> str:
        """Where clients can connect now: a number, or the path of a Unix socket."""
        address = self._socket.getsockname()
        return _unix_name(address) if self._socket.family == socket.AF_UNIX else str(address[1])

    @property
    def banner(self) -> str:
        """The line that says so."""
        return f"Listening on {'socket' if self._socket.family == socket.AF_UNIX else 'port'} {self.port}"

    def accept(self) -> Connection | None:
        """The client that knocked; None if it has left again."""
        try:
            client, _ = self._socket.accept()
        except OSError:
            return None
        try:
            return _socket_connection(client)
        except OSError:
            client.close()
            return None

    def abandon(self) -> None:
        """Another process goes on listening."""
        self._socket.close()

    def close(self) -> None:
        """Listen no more, and leave no file."""
        self._socket.close()
        if self._file and _inode(self._file) == self._inode:
            os.unlink(self._file)
        self._file = ""


class Endpoint(ABC):
    """One COMM."""

    notice = ""
    """A line that is due as soon as it is open."""
    shares_terminal = False
    """Whether the client sits at the server's own terminal."""
    reopens = False
    """Whether it can be opened again when the client has gone."""
    is_serial = False
    """Whether it is a terminal line, once it is open."""

    @abstractmethod
    def open(self) -> Listener | Connection:
        """Make it ready for clients. ConfigurationError."""


class Tcp(Endpoint):
    """`HOST:PORT`; without a host, loopback only."""

    def __init__(self, comm: str, family: socket.AddressFamily = socket.AF_UNSPEC) -> None:
        self._comm = comm
        self._family = family
        host, _, self._port = comm.rpartition(":")
        self._host = host.removeprefix("[").removesuffix("]") or ("::1" if family == socket.AF_INET6 else _LOOPBACK)

    def open(self) -> Listener | Connection:
        return Listener(self._first(_listen))

    def _first(self, make: Callable[[socket.AddressFamily, tuple[object, ...]], socket.socket]) -> socket.socket:
        """What can be made of the first of the name's addresses that will do."""
        failure: OSError | None = None
        for address in self._resolve():
            try:
                return make(*address)
            except OSError as error:
                failure = error
        raise ConfigurationError(str(failure))

    def _resolve(self) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
        if not (self._port.isdecimal() and int(self._port) <= 65535):
            raise ConfigurationError(
                f"{self._comm}: cannot resolve name: {self._port!r} is not a port",
                f"A port is a number from 0 (any free one) to 65535. {_COMM_FORMS}.",
            )
        try:
            # Of a str, Python looks for international names first, whose tables take 10 ms to load.
            host = self._host.encode("ascii") if self._host.isascii() else self._host
            found = socket.getaddrinfo(host, int(self._port), self._family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigurationError(f"{self._comm}: cannot resolve name: {reason}") from error
        return [(entry[0], entry[4]) for entry in found]


class Connect(Tcp):
    """`connect:HOST:PORT`: the client listens there, and we come to it."""

    def open(self) -> Connection:
        return _socket_connection(self._first(_connect))


class Unix(Endpoint):
    """`unix:PATH`, or `unix:@NAME` in the abstract namespace (unix(7))."""

    def __init__(self, path: str) -> None:
        if not path.removeprefix("@"):
            raise UsageError(f"unix:{path} names no socket", "Write unix:PATH, or unix:@NAME for an abstract one.")
        self._path = path

    def open(self) -> Listener:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if self._path.startswith("@"):
                listener.bind("\0" + self._path[1:])
            else:
                self._bind_file(listener)
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise ConfigurationError(f"Can't bind address: {self._path}: {error.strerror or error}.") from error
        return Listener(listener, "" if self._path.startswith("@") else self._path)

    def _bind_file(self, listener: socket.socket) -> None:
        if _is_stale_socket(self._path):
            os.unlink(self._path)
        mask = os.umask(0o177)
        try:
            listener.bind(self._path)
        finally:
            os.umask(mask)


class Stdio(Endpoint):
    """`-`: the client is at the other end of our standard input and output."""

    notice = "stdin/stdout redirected"
    shares_terminal = True

    def open(self) -> Connection:
        """From here on, standard input is empty and standard output is standard error: whoever prints, we or the
        debuggee, cannot get into the protocol."""
        reader, writer = _duplicate(0), _duplicate(1)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, 0)
        try:
            os.dup2(2, 1)
        except OSError:
            os.dup2(null, 1)
        os.close(null)
        return Connection(reader, writer, peer="stdio", greeting="Remote debugging using stdio")


class SerialLine(Endpoint):
    """`/dev/ttyX`: a terminal device, made raw for as long as it is used."""

    reopens = True
    is_serial = True

    def __init__(self, path: str) -> None:
        self._path = path

    def open(self) -> Connection:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise self._refusal(error.strerror or str(error)) from error
        if not os.isatty(descriptor):
            os.close(descriptor)
            raise self._refusal("not a terminal")
        return _terminal_connection(descriptor, self._path)

    def _refusal(self, reason: str) -> ConfigurationError:
        return ConfigurationError(f"Could not open remote device: {self._path}: {reason}.", f"{_COMM_FORMS}.")


class Inherited(Endpoint):
    """`fd:N`: a descriptor that whoever started us has opened: a listening or connected socket, a terminal, or another
    device that leads to a client (a port of a virtual machine)."""

    def __init__(self, number: str) -> None:
        self._number = number

    def open(self) -> Listener | Connection:
        descriptor = self._descriptor()
        if os.isatty(descriptor):
            self.is_serial = True
            return _terminal_connection(descriptor, f"fd:{descriptor}")
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            if not _can_be_waited_for(descriptor):
                raise self._refusal("neither a socket nor a terminal")
            name = f"fd:{descriptor}"
            return Connection(descriptor, descriptor, peer=name, greeting=f"Remote debugging using {name}")
        os.set_inheritable(descriptor, False)
        inherited = socket.socket(fileno=descriptor)
        try:
            return self._serve(inherited)
        except ConfigurationError:
            # It stays open: it is whoever started us that has opened it.
            inherited.detach()
            raise

    def _serve(self, inherited: socket.socket) -> Listener | Connection:
        if inherited.family not in _STREAM_FAMILIES or inherited.type != socket.SOCK_STREAM:
            raise self._refusal("no stream socket of TCP or Unix")
        if inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return Listener(inherited)
        try:
            return _socket_connection(inherited)
        except OSError as error:
            raise self._refusal("a socket that neither listens nor is connected") from error

    def _refusal(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"fd:{self._number} is {what}",
            "It has to be a stream socket (TCP or Unix) that listens or is connected, or a terminal.",
        )

    def _descriptor(self) -> int:
        """Its number, if it can be read and written."""
        import fcntl

        try:
            descriptor = int(self._number)
            mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        except (ValueError, OverflowError, OSError) as error:
            raise ConfigurationError(f"fd:{self._number} is not an open descriptor", f"{_COMM_FORMS}.") from error
        if mode != os.O_RDWR:
            raise self._refusal("not open for both reading and writing")
        return descriptor


def _can_be_waited_for(descriptor: int) -> bool:
    """Whether it tells when there is something to read (epoll_ctl(2), EPERM): /dev/null does not."""
    with select.epoll() as poller:
        try:
            poller.register(descriptor)
        except PermissionError:
            return False
    return True


_PREFIXES: dict[str, Callable[[str], Endpoint]] = {
    "unix:": Unix,
    "connect:": Connect,
    "fd:": Inherited,
    "tcp:": Tcp,
    "tcp4:": lambda comm: Tcp(comm, socket.AF_INET),
    "tcp6:": lambda comm: Tcp(comm, socket.AF_INET6),
}


def parse(comm: str) -> Endpoint:
    """What COMM means. ConfigurationError."""
    if comm in ("-", "stdio"):
        return Stdio()
    prefix, colon, rest = comm.partition(":")
    if make := _PREFIXES.get(prefix + colon):
        return make(rest)
    if prefix in ("udp", "udp4", "udp6") and colon:
        raise ConfigurationError(f"{comm}: the protocol needs a reliable stream, which UDP is not", "Use tcp: instead.")
    if colon or comm.isdecimal():
        return Tcp(comm)
    if "/" in comm:
        return SerialLine(comm)
    raise ConfigurationError(f"{comm}: no such kind of connection", f"{_COMM_FORMS}.")


def _listen(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    """A listening socket; the message of the OSError is the line to print."""
    doing = "open socket"
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            doing = "bind address"
            listener.bind(address)
            doing = "listen on socket"
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise OSError(f"Can't {doing}: {error.strerror}.") from error
    return listener


def _connect(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    """A connected socket; the message of the OSError is the line to print."""
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(_CONNECT_TIMEOUT)
    try:
        client.connect(address)
    except OSError as error:
        client.close()
        raise OSError(f"Can't connect to {address[0]}:{address[1]}: {error.strerror or error}.") from error
    return client


def _socket_connection(client: socket.socket) -> Connection:
    """OSError: it is not connected, or no longer."""
    address = client.getpeername()
    if client.family == socket.AF_UNIX:
        if name := _unix_name(client.getsockname()):
            peer, greeting = f"socket {name}", f"Remote debugging from socket {name}"
        else:
            # One of a pair, which was inherited.
            peer, greeting = f"fd:{client.fileno()}", f"Remote debugging using fd:{client.fileno()}"
    else:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A client whose machine is gone never hangs up.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        host, port = address[:2]
        peer, greeting = f"{host}:{port}", f"Remote debugging from host {host}, port {port}"
    descriptor = client.detach()
    return Connection(descriptor, descriptor, peer=peer, greeting=greeting)


def _terminal_connection(descriptor: int, name: str) -> Connection:
    return Connection(
        descriptor,
        descriptor,
        peer=name,
        greeting=f"Remote debugging using {name}",
        on_close=_make_raw(descriptor),
    )


def _unix_name(address: str | bytes) -> str:
    return "@" + address[1:].decode(errors="replace") if isinstance(address, bytes) else address


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def _is_stale_socket(path: str) -> bool:
    """Whether there is a socket that nobody listens on."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return False
    except OSError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _duplicate(descriptor: int) -> int:
    try:
        return os.dup(descriptor)
    except OSError as error:
        raise ConfigurationError(f"Can't use stdio: descriptor {descriptor} is closed.") from error


def _make_raw(descriptor: int) -> Callable[[], None]:
    """Let every byte through unchanged; the result restores what was."""
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    # What a client has sent already is kept.
    tty.setraw(descriptor, termios.TCSANOW)

    def restore() -> None:
        try:
            termios.tcsetattr(descriptor, termios.TCSANOW, before)
        except termios.error:
            # Its other side is gone.
            return

    return restore
