"""Serves one client after another: accepts, moves bytes to and from the stub, and decides when the server has ended.

Knows neither packets nor how the target does what it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from debugserver.server.connection import Connection
from debugserver.server.log import Log
from debugserver.server.loop import Loop
from debugserver.stub.refusal import refuse
from debugserver.target.capabilities import Execution

if TYPE_CHECKING:
    from debugserver.server.transport import Listener
    from debugserver.stub.settings import Settings
    from debugserver.target.target import Target

_MOST_PENDING = 8 * 1024 * 1024
"""Bytes that a client may leave unread before it is no longer listened to."""
_REFUSAL_DEADLINE = 2.0
"""Seconds that a client which is not served has to ask something and to hang up."""
_MOST_REFUSALS = 16
_MOST_READS = 64
_LONGEST_SLEEP = 2.0
"""Seconds without a client. While a target has the only wake-up descriptor for signals (signal.set_wakeup_fd), one
that comes just before the loop falls asleep is seen only when it wakes."""


class Conversation(Protocol):
    """What the server needs of a Stub."""

    @property
    def ended(self) -> bool:
        """Whether to close the connection when all is sent."""

    @property
    def busy(self) -> bool:
        """Whether to call `work` again soon."""

    @property
    def running(self) -> bool:
        """Whether to call `target_event` all the time."""

    def receive_data(self, data: bytes) -> None:
        """The client sent this."""

    def data_to_send(self) -> bytes:
        """What the client is to get."""

    def target_event(self) -> None:
        """The target may have news."""

    def work(self) -> None:
        """Go on with long work."""

    def close(self) -> None:
        """The client is gone."""


class Client:
    """One client that is served: its connection and its conversation."""

    def __init__(self, connection: Connection, stub: Conversation, loop: Loop, log: Log) -> None:
        self.connection = connection
        self.stub = stub
        self.gone = False
        self._loop = loop
        self._log = log
        self._watched: tuple[bool, bool] | None = None
        self._watch()

    @property
    def finished(self) -> bool:
        """Whether nothing more is to come from it or to be sent to it."""
        connection = self.connection
        return self.gone or connection.broken or (self.stub.ended and not connection.pending)

    def target_event(self) -> None:
        """Let the stub ask the target, and send what comes of it."""
        self.stub.target_event()
        self.send()

    def work(self) -> None:
        """Let the stub go on with long work, and send what comes of it."""
        self.stub.work()
        self.send()

    def send(self) -> None:
        """Send what the stub has for the client."""
        if data := self.stub.data_to_send():
            self._log.bytes("remote", "sent", data)
            self.connection.send(data)
            self._watch()

    def close(self) -> None:
        """End the conversation and hang up."""
        self._loop.forget(self.connection.reader)
        self._loop.forget(self.connection.writer)
        self.stub.close()
        self.connection.close()

    def catch_up(self) -> None:
        """Take in all that has come. What a client did before it hung up is known only afterwards."""
        for _ in range(_MOST_READS):
            if self.finished or not self._receive():
                return

    def _receive(self) -> bool:
        """Whether anything had come."""
        data = self.connection.receive()
        if data:
            self._log.bytes("remote", "received", data)
            self.stub.receive_data(data)
            self.send()
        elif data is not None:
            self.gone = True
        return bool(data)

    def _flush(self) -> None:
        self.connection.flush()
        self._watch()

    def _watch(self) -> None:
        """Wait for what can be done now: to receive, to send, or both."""
        pending = self.connection.pending
        wanted = (pending < _MOST_PENDING, pending > 0)
        if wanted == self._watched:
            return
        self._watched = wanted
        receive = self._receive if wanted[0] else None
        flush = self._flush if wanted[1] else None
        if self.connection.reader == self.connection.writer:
            self._loop.watch(self.connection.reader, receive, flush)
        else:
            self._loop.watch(self.connection.reader, receive)
            self._loop.watch(self.connection.writer, None, flush)


class RefusedClient:
    """A second client: it is told why, and then let go. Closing at once could lose the sentence on its way."""

    def __init__(self, connection: Connection, sentence: str, loop: Loop) -> None:
        self.gone = False
        self._connection = connection
        self._sentence = sentence
        self._loop = loop
        self._deadline = time.monotonic() + _REFUSAL_DEADLINE
        loop.watch(connection.reader, self._receive)

    @property
    def finished(self) -> bool:
        """Whether it has hung up, or has had time enough for it."""
        return self.gone or time.monotonic() > self._deadline

    def close(self) -> None:
        """Hang up."""
        self._tell()
        self._loop.forget(self._connection.reader)
        self._connection.close()

    def _receive(self) -> None:
        """GDB drops what comes before its own first byte."""
        data = self._connection.receive()
        if data:
            self._tell()
        self.gone = data == b""

    def _tell(self) -> None:
        if self._sentence:
            self._connection.send(refuse(self._sentence))
            self._connection.finish_sending()
            self._sentence = ""


class Server:
    """One target, served to one client at a time until the end."""

    def __init__(
        self,
        target: Target,
        settings: Settings,
        source: Listener | Connection,
        new_stub: Callable[[], Conversation],
        *,
        once: bool = False,
        reopen: Callable[[], Listener | Connection] | None = None,
        log: Log | None = None,
    ) -> None:
        """`source` is closed at the end, and `reopen` makes another one when it was a connection that is gone;
        `new_stub` makes a fresh conversation for each client; `once`: the first client is the last."""
        self._target = target
        self._settings = settings
        self._new_stub = new_stub
        self._once = once
        self._source = source
        self._reopen = reopen
        self._listener: Listener | None = None
        self._execution = target.capability(Execution)
        self._log = log or Log(settings)
        self._loop = Loop()
        self._client: Client | None = None
        self._refused: list[RefusedClient] = []
        self._ended = False

    def end_on_signals(self) -> None:
        """Let SIGTERM, SIGINT and SIGHUP end `run` in order. Only in the main thread."""
        self._loop.catch_signals()

    def stop(self) -> None:
        """Let `run` return soon; also from another thread."""
        self._loop.stop()

    def run(self) -> bool:
        """Serve until the end: whether it came by itself, and not by `stop` or a signal. The target stays as the last
        client left it."""
        try:
            self._open(self._source)
            while not (self._ended or self._loop.stopped):
                self._loop.turn(self._patience())
                self._advance()
            return not self._loop.stopped
        finally:
            self._close()

    def _open(self, source: Listener | Connection) -> None:
        if isinstance(source, Connection):
            self._serve(source)
        else:
            self._listener = source
            self._loop.watch(source.fileno(), self._accept)
            self._settings.announce(source.banner)

    def _accept(self) -> None:
        connection = self._listener.accept() if self._listener else None
        if connection is None:
            return
        if self._client is not None:
            self._client.catch_up()
            if self._client.finished:
                self._let_go(self._client)
        if self._ended:
            connection.close()
        elif self._client is None:
            self._serve(connection)
        elif len(self._refused) < _MOST_REFUSALS:
            sentence = (
                f"debugserver is busy with another client ({self._client.connection.peer}); it serves one at a time"
            )
            self._refused.append(RefusedClient(connection, sentence, self._loop))
        else:
            connection.close()

    def _serve(self, connection: Connection) -> None:
        self._settings.announce(connection.greeting)
        self._log.text("event-loop", "client %s has come", connection.peer)
        self._client = client = Client(connection, self._new_stub(), self._loop, self._log)
        if self._execution is not None and self._execution.wakeup is not None:
            self._loop.watch(self._execution.wakeup, client.target_event)
        if self._once:
            self._stop_listening()

    def _patience(self) -> float | None:
        """How long to wait for descriptors; None: as long as it takes."""
        client = self._client
        if client is not None and (client.stub.busy or client.stub.running or client.finished):
            return 0
        if self._refused or client is None:
            return _LONGEST_SLEEP
        return None

    def _advance(self) -> None:
        """Whatever is to be done besides what the descriptors asked for."""
        for refused in [refused for refused in self._refused if refused.finished]:
            self._refused.remove(refused)
            refused.close()
        client = self._client
        if client is None:
            return
        if client.stub.busy:
            client.work()
        if client.stub.running:
            client.target_event()
        if client.finished or (self._reopen and self._nothing_left and not client.connection.pending):
            self._let_go(client)
        elif self._settings.exit_requested and not client.connection.pending:
            self._ended = True

    @property
    def _nothing_left(self) -> bool:
        """Whether there is nothing to serve any more. (On a serial line, no client hangs up.)"""
        return not self._settings.extended and not self._target.processes()

    def _let_go(self, client: Client) -> None:
        self._hang_up(client)
        stays = self._listener is not None or self._reopen is not None
        if self._once or self._nothing_left or self._settings.exit_requested or not stays:
            self._ended = True
            return
        self._settings.announce("Remote side has terminated connection.  GDBserver will reopen the connection.")
        if self._listener is not None:
            self._settings.announce(self._listener.banner)
        elif self._reopen is not None:
            self._open(self._reopen())

    def _hang_up(self, client: Client) -> None:
        self._client = None
        if self._execution is not None and self._execution.wakeup is not None:
            self._loop.forget(self._execution.wakeup)
        self._log.text("event-loop", "client %s has gone", client.connection.peer)
        client.close()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def _close(self) -> None:
        if self._client is not None:
            self._hang_up(self._client)
        for refused in self._refused:
            refused.close()
        self._stop_listening()
        self._loop.close()
        self._log.close()
