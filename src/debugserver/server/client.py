"""One client: its bytes to and from its conversation. Knows neither packets nor other clients."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from debugserver.stub.console import Route
from debugserver.stub.refusal import refuse

if TYPE_CHECKING:
    from debugserver.server.connection import Connection
    from debugserver.server.log import Log
    from debugserver.server.loop import Loop
    from debugserver.stub.settings import OnDisconnect

_MOST_PENDING = 8 * 1024 * 1024
"""Bytes that a client may leave unread before it is no longer listened to."""
_MOST_OUTPUT_PENDING = 64 * 1024
"""Bytes that a client may leave unread before programs that print more have to wait."""
_REFUSAL_DEADLINE = 2.0
"""Seconds that a client which is not served has to ask something and to hang up."""
_MOST_READS = 64
_LONGEST_TURN = 0.1
"""Seconds for which the server may listen to nothing but this client, while it asks and nothing else can happen."""


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

    @property
    def idle(self) -> bool:
        """Whether nothing can happen but that the client asks for something."""

    @property
    def deadline(self) -> float | None:
        """The monotonic time at which to call `on_deadline`."""

    @property
    def output_route(self) -> Route:
        """Where what programs print is to go now."""

    @property
    def on_disconnect(self) -> OnDisconnect:
        """What becomes of the processes when the client just goes away."""

    def receive_data(self, data: bytes) -> None:
        """The client sent this."""

    def data_to_send(self) -> bytes:
        """What the client is to get."""

    def target_event(self) -> None:
        """The target may have news."""

    def program_output(self) -> None:
        """Programs have printed something for the client."""

    def work(self) -> None:
        """Go on with long work."""

    def on_deadline(self) -> None:
        """The deadline has come."""

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

    def program_output(self) -> None:
        """Let the stub take what programs have printed, and send it."""
        self.stub.program_output()
        self.send()

    def keep_deadline(self) -> None:
        """Let the stub do what is due."""
        deadline = self.stub.deadline
        if deadline is not None and time.monotonic() >= deadline:
            self.stub.on_deadline()
            self.send()

    @property
    def output_route(self) -> Route:
        """Where what programs print is to go now; a client that does not read makes them wait."""
        route = self.stub.output_route
        crowded = route is Route.CLIENT and self.connection.pending > _MOST_OUTPUT_PENDING
        return Route.HELD if crowded else route

    def send(self) -> None:
        """Send what the stub has for the client."""
        if data := self.stub.data_to_send():
            self._log.bytes("remote", "sent", data)
            if not self.connection.send(data):
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
            if self.finished or not self._take(self.connection.receive()):
                return

    def _receive(self) -> None:
        """Take in what has come, and while the client alone decides what happens next, what follows."""
        connection = self.connection
        if not self._take(connection.receive()) or not connection.can_linger:
            return
        end = time.monotonic() + _LONGEST_TURN
        while self.stub.idle and not (connection.pending or self._loop.stopped) and time.monotonic() < end:
            if not self._take(connection.linger()):
                return

    def _take(self, data: bytes | None) -> bool:
        """Whether anything had come."""
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
