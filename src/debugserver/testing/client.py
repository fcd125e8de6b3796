"""A scripted client of the Remote Serial Protocol, for tests and demonstrations. Knows no server from the inside.

Payloads are plain bytes both ways: escapes, run-lengths, checksums and acknowledgements are dealt with here.
Every wait has a deadline in seconds and raises TimeoutError, which names what was waited for.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from debugserver.errors import DebugServerError, MalformedPacket, ProtocolError
from debugserver.rsp import features, fields, stop_reply
from debugserver.rsp.framing import Control, FrameReader, Notification, encode_packet, escape

if TYPE_CHECKING:
    from types import TracebackType

    from debugserver.rsp.framing import Frame
    from debugserver.rsp.stop_reply import StopReply

_LARGEST_REPLY = 64 << 20
_RECEIVE_SIZE = 1 << 16
_ATTEMPTS = 3
_FRAMING = len(b"$#xx")


class ErrorReply(DebugServerError):
    """The server answered a request with an error, or (empty payload) does not know it."""

    def __init__(self, request: bytes, payload: bytes) -> None:
        super().__init__(f"{request[:40]!r}: {payload!r}" if payload else f"{request[:40]!r}: not supported")
        self.payload = payload


class Stream(Protocol):
    """An end of a socket, pipe or terminal."""

    def fileno(self) -> int:
        """Its descriptor."""

    def close(self) -> None:
        """Close it."""


class RspClient:
    """One connection to a debug server.

    `console` collects what the server printed (`O` packets), `notifications` the payloads of `%` frames. `packet_size`
    bounds requests and replies; `supported` learns the server's.
    """

    def __init__(self, reader: Stream, writer: Stream | None = None, *, timeout: float = 10.0) -> None:
        """`reader` is a connected socket, or what the server writes to, `writer` then what it reads from."""
        self.console = b""
        self.notifications: deque[bytes] = deque()
        self.packet_size = 0x400
        self.timeout = timeout
        self._reader = reader
        self._writer = writer or reader
        self._frames = FrameReader(_LARGEST_REPLY, decode_runs=True)
        self._packets: deque[bytes] = deque()
        self._controls: deque[Control] = deque()
        self._acknowledge = True
        for stream in (self._reader, self._writer):
            os.set_blocking(stream.fileno(), False)

    @classmethod
    def connect(cls, address: str, timeout: float = 10.0) -> RspClient:
        """Connect to "host:port", "[::1]:port" or "unix:PATH"; `timeout` is the default of all waits, too. OSError."""
        if address.startswith("unix:"):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(timeout)
            try:
                connection.connect(address.removeprefix("unix:"))
            except OSError:
                connection.close()
                raise
            return cls(connection, timeout=timeout)
        host, _, port = address.rpartition(":")
        connection = socket.create_connection((host.strip("[]") or "localhost", int(port)), timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(connection, timeout=timeout)

    def close(self) -> None:
        """Hang up."""
        self._reader.close()
        self._writer.close()

    def __enter__(self) -> RspClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # Packets

    def send(self, payload: bytes, timeout: float | None = None) -> None:
        """Send a packet; wait for its acknowledgement, as long as there are any."""
        deadline = self._deadline(timeout)
        packet = encode_packet(escape(payload))
        what = f"acknowledgement of {payload[:40]!r}"
        self._controls.clear()
        for _ in range(_ATTEMPTS):
            self._write(packet, deadline)
            if not self._acknowledge or self._wait_control(what, deadline) is Control.ACK:
                return
        raise ProtocolError(f"{payload[:40]!r} was refused {_ATTEMPTS} times")

    def receive(self, timeout: float | None = None) -> bytes:
        """The payload of the next packet."""
        return self._receive("a packet", self._deadline(timeout))

    def request(self, payload: bytes, timeout: float | None = None) -> bytes:
        """Send a packet; its final reply. What the server prints before goes to `console`."""
        deadline = self._deadline(timeout)
        self.send(payload, timeout)
        return self._final_reply(f"reply to {payload[:40]!r}", deadline)

    def interrupt(self) -> None:
        """Send the interrupt character (^C)."""
        self.send_raw(b"\x03")

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._write(data, self._deadline(None))

    def receive_raw(self, count: int, timeout: float | None = None) -> bytes:
        """Exactly `count` bytes of the stream as they come; nothing that was received as a packet."""
        deadline = self._deadline(timeout)
        received = b""
        while len(received) < count:
            received += self._read(count - len(received), f"{count} bytes, got {received!r}", deadline)
        return received

    def wait_notification(self, timeout: float | None = None) -> bytes:
        """The payload of the oldest notification, which is taken off `notifications`."""
        deadline = self._deadline(timeout)
        while not self.notifications:
            self._pump("a notification", deadline)
        return self.notifications.popleft()

    # What every session needs

    def start_no_ack_mode(self) -> None:
        """Do without acknowledgements from now on. ErrorReply."""
        self._expect_ok(b"QStartNoAckMode")
        self._acknowledge = False

    def supported(self, offered: str = "") -> dict[str, str | bool]:
        """Offer features ("multiprocess+;swbreak+"); the server's."""
        found = features.parse(self.request(b"qSupported:" + offered.encode() if offered else b"qSupported"))
        size = found.get("PacketSize")
        if isinstance(size, str):
            self.packet_size = int(size, 16)
        return found

    def read_memory(self, address: int, length: int) -> bytes:
        """`length` bytes, or what is readable up to the first gap. ErrorReply if not even one byte is."""
        most = (self.packet_size - _FRAMING) // 2
        found = b""
        while len(found) < length:
            wanted = min(length - len(found), most)
            request = b"m%x,%x" % (address + len(found), wanted)
            reply = self.request(request)
            if found and reply[:1] == b"E":
                return found
            piece = fields.blob(self._checked(request, reply))
            found += piece
            if len(piece) < wanted:
                return found
        return found

    def write_memory(self, address: int, data: bytes) -> None:
        """Write all of `data`. ErrorReply."""
        most = (self.packet_size - _FRAMING) // 2 - len(b"X,:") - 32
        for start in range(0, len(data), most):
            piece = data[start : start + most]
            self._expect_ok(b"X%x,%x:%b" % (address + start, len(piece), piece))

    def read_registers(self) -> bytes:
        """The register file of the chosen thread; registers that are unavailable (`xx`) read as zeros. ErrorReply."""
        return fields.blob(self._checked(b"g", self.request(b"g")).replace(b"x", b"0"))

    def write_registers(self, data: bytes) -> None:
        """Replace the register file. ErrorReply."""
        self._expect_ok(b"G" + fields.hex_bytes(data))

    def read_register(self, number: int) -> bytes:
        """One register, in the target's byte order. ErrorReply."""
        request = b"p%x" % number
        return fields.blob(self._checked(request, self.request(request)).replace(b"x", b"0"))

    def write_register(self, number: int, value: bytes) -> None:
        """Replace one register. ErrorReply."""
        self._expect_ok(b"P%x=%b" % (number, fields.hex_bytes(value)))

    def resume(self, action: bytes = b"vCont;c") -> None:
        """Send a packet that resumes, without waiting for the stop."""
        self.send(action)

    def wait_stop(self, timeout: float | None = None) -> StopReply:
        """The stop reply of what was resumed (all-stop). ErrorReply if there is an error instead."""
        reply = self._final_reply("a stop reply", self._deadline(timeout))
        try:
            return stop_reply.parse(reply)
        except MalformedPacket:
            raise ErrorReply(b"resume", reply) from None

    def transfer(self, object_name: str, annex: str = "") -> bytes:
        """The whole of a `qXfer` object. ErrorReply."""
        found = b""
        last = False
        most = self.packet_size - _FRAMING
        while not last:
            request = b"qXfer:%b:read:%b:%x,%x" % (object_name.encode(), annex.encode(), len(found), most)
            reply = self._checked(request, self.request(request))
            if reply[:1] not in (b"m", b"l"):
                raise ErrorReply(request, reply)
            found += reply[1:]
            last = reply[:1] == b"l" or len(reply) == 1
        return found

    def monitor(self, command: str) -> str:
        """What a monitor command prints. ErrorReply if the server has no such thing or refuses it."""
        before = len(self.console)
        request = b"qRcmd," + fields.hex_text(command)
        reply = self._checked(request, self.request(request))
        final = b"" if reply == b"OK" else fields.blob(reply)
        return (self.console[before:] + final).decode("utf-8", "replace")

    # Replies

    def _expect_ok(self, request: bytes) -> None:
        if (reply := self.request(request)) != b"OK":
            raise ErrorReply(request, reply)

    def _checked(self, request: bytes, reply: bytes) -> bytes:
        """The reply, unless it is empty or an error. `Exx` cannot be hex data: that has an even length."""
        if not reply or (reply[:1] == b"E" and (len(reply) == len(b"Exx") or reply[1:2] == b".")):
            raise ErrorReply(request, reply)
        return reply

    def _final_reply(self, what: str, deadline: float) -> bytes:
        while True:
            reply = self._receive(what, deadline)
            if reply[:1] != b"O" or reply == b"OK":
                return reply
            self.console += fields.blob(reply[1:])

    # Frames

    def _deadline(self, timeout: float | None) -> float:
        return time.monotonic() + (self.timeout if timeout is None else timeout)

    def _receive(self, what: str, deadline: float) -> bytes:
        while not self._packets:
            self._pump(what, deadline)
        return self._packets.popleft()

    def _wait_control(self, what: str, deadline: float) -> Control:
        while not self._controls:
            self._pump(what, deadline)
        return self._controls.popleft()

    def _pump(self, what: str, deadline: float) -> None:
        """Wait for bytes and sort the frames that they complete."""
        for frame in self._frames.feed(self._read(_RECEIVE_SIZE, what, deadline)):
            self._sort(frame, deadline)

    def _sort(self, frame: Frame, deadline: float) -> None:
        if isinstance(frame, Notification):
            self.notifications.append(bytes(frame))
        elif isinstance(frame, bytes):
            self._packets.append(frame)
            self._answer(b"+", deadline)
        elif frame in (Control.ACK, Control.NACK):
            self._controls.append(frame)
        elif frame is Control.BAD_CHECKSUM and self._acknowledge:
            self._answer(b"-", deadline)
        else:
            raise ProtocolError(f"the server sent this: {frame.value!r}")

    def _answer(self, acknowledgement: bytes, deadline: float) -> None:
        if self._acknowledge:
            self._write(acknowledgement, deadline)

    # Bytes

    def _read(self, most: int, what: str, deadline: float) -> bytes:
        self._poll(self._reader, select.POLLIN, what, deadline)
        data = os.read(self._reader.fileno(), most)
        if not data:
            raise ConnectionError(f"the server hung up while the client waited for {what}")
        return data

    def _write(self, data: bytes, deadline: float) -> None:
        rest = memoryview(data)
        while rest:
            self._poll(self._writer, select.POLLOUT, "the server to read", deadline)
            rest = rest[os.write(self._writer.fileno(), rest) :]

    def _poll(self, stream: Stream, event: int, what: str, deadline: float) -> None:
        poll = select.poll()
        poll.register(stream.fileno(), event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError(f"timed out waiting for {what}")
