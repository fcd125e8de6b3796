"""One client's conversation, without its socket: bytes in, bytes out, calls on the target in between.

The packet's way through here is framing -> table -> handler -> framing. Which packets exist is the registry's business,
what they do the handlers', how stops are reported that of `stops`.
"""

from __future__ import annotations

import errno
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import debugserver.stub.handlers.all  # noqa: F401 - enters every row in the table
from debugserver.errors import MalformedPacket, NoSuchProcess, TargetError
from debugserver.rsp import fields, framing, thread_id
from debugserver.rsp.framing import Control, FrameReader
from debugserver.stub.console import Console, Route
from debugserver.stub.limits import PACKET_SIZE
from debugserver.stub.registry import BOTH, Dialect, Outcome, bind
from debugserver.stub.session import Session
from debugserver.stub.stops import Stops
from debugserver.target.capabilities import (
    Allocation,
    CoreFiles,
    Execution,
    HostFiles,
    ProcessEvents,
    ProgramOutput,
    SignalDelivery,
    SoftwareBreakpoints,
    SystemCalls,
    ThreadEvents,
    Unattended,
    Watchpoints,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from debugserver.rsp.framing import Frame
    from debugserver.stub.registry import Entry, Reply, Row, Work
    from debugserver.stub.settings import OnDisconnect, Settings
    from debugserver.target.target import Target

_ONE_SEGMENT = 1024
"""Bytes of a reply that travel as fast as fewer of them, but on a serial line."""
_NOT_ON_SERIAL_LINES = frozenset({"QStartNoAckMode"})
"""Bytes get lost there; and the next client, whom no connection announces, waits for acknowledgements. lldb-server,
which serves only one, takes it regardless."""
_FORGET_CLIENT: tuple[tuple[type[Any], Callable[[Any], None]], ...] = (
    (Allocation, lambda allocation: allocation.clear_allocations()),
    (SoftwareBreakpoints, lambda breakpoints: breakpoints.clear_breakpoints()),
    (Watchpoints, lambda watchpoints: watchpoints.clear_watchpoints()),
    (ProcessEvents, lambda events: events.report_events(frozenset())),
    (ThreadEvents, lambda events: events.clear_thread_events()),
    (SystemCalls, lambda calls: calls.clear_caught()),
    (SignalDelivery, lambda delivery: delivery.reset_delivery()),
    (HostFiles, lambda files: files.close_all()),
    (CoreFiles, lambda cores: cores.forget_cores()),
)
"""What a client set in the target, and how it goes with the client."""


class Stub:
    """Serves one session on a target. The server moves the bytes and says when the target has news."""

    def __init__(self, target: Target, settings: Settings) -> None:
        self._target = target
        self._settings = settings
        self._unattended = target.capability(Unattended)
        serial = settings.serial_line and not settings.stands_for_lldb_server
        self._table = bind(target, settings.disabled_packets | (_NOT_ON_SERIAL_LINES if serial else set()))
        self._begin()
        self._reader = FrameReader(PACKET_SIZE)
        self._output: list[bytes] = []
        self._last_payload: bytes | None = None
        self._last_frame = b""
        self._greeted = False
        """Whether the client's first packet has come."""
        self._work: Work | None = None
        self._work_due: float | None = None
        """The monotonic time up to which it has nothing to do; None: it goes on."""
        self._waiting_packets: deque[bytes] = deque()

    def _begin(self) -> None:
        """With nothing agreed on."""
        target = self._target
        self.session = Session(target, self._table, self._settings)
        self.session.console = self._send_console
        self.session.answer = self._answer
        self._console = Console(self.session, target.capability(ProgramOutput), self._notify)
        self.session.flush_output = self._console.flush
        self.session.next_output = self._console.next_piece
        self.session.print = self._console.print
        self.session.stops = self._stops = Stops(self.session, target.capability(Execution), self._reply, self._notify)

    @property
    def ended(self) -> bool:
        """Whether the connection is to be closed once everything is sent."""
        return self.session.ended

    @property
    def busy(self) -> bool:
        """Whether `work` has something to go on with."""
        return self._work is not None and self._work_due is None

    @property
    def running(self) -> bool:
        """Whether a target that cannot wake us up has to be asked for events all the time."""
        return self._stops.polling

    @property
    def idle(self) -> bool:
        """Whether nothing can happen but that the client asks for something."""
        session = self.session
        if session.ended or session.non_stop or self._stops.awaited or self._work:
            return False
        return self._unattended is None or not self._unattended.unattended()

    @property
    def deadline(self) -> float | None:
        """The monotonic time at which `on_deadline` wants to be called."""
        deadlines = [due for due in (self._stops.deadline, self._work_due) if due is not None]
        return min(deadlines, default=None)

    def on_deadline(self) -> None:
        """Do what was due at `deadline`."""
        if self._work_due is not None and time.monotonic() >= self._work_due:
            self._work_due = None
        else:
            self._stops.on_deadline()

    @property
    def on_disconnect(self) -> OnDisconnect:
        """What becomes of the processes when the client just goes away."""
        return self.session.on_disconnect or self._settings.on_disconnect

    @property
    def output_route(self) -> Route:
        """Where what programs print is to go now."""
        return self._console.route

    def program_output(self) -> None:
        """Programs have printed something, and `output_route` is the client."""
        self._console.pass_on()

    def receive_data(self, data: bytes) -> None:
        """Take in what the client sent, cut in any way, and answer what is complete."""
        frames: Sequence[Frame] = self._reader.feed(data)
        if not self._greeted:
            frames = self._greet(frames)
        for frame in frames:
            if isinstance(frame, bytes):
                if self.session.acknowledge:
                    self._acknowledge()
                if self._settings.serial_line and _is_gdbs_first(frame):
                    self._begin_anew()
                if self._work is None:
                    self._handle_packet(frame)
                else:
                    self._waiting_packets.append(frame)
            else:
                self._receive_control(frame)

    def _begin_anew(self) -> None:
        """Nobody hangs up on a serial line: another client has come, and what the last one left goes with it."""
        self.close()
        self._waiting_packets.clear()
        self._begin()
        self._take_over()

    def _receive_control(self, control: Control) -> None:
        if control is Control.INTERRUPT:
            self._interrupt()
        elif control is Control.NACK:
            self._resend()
        elif control is Control.BAD_CHECKSUM:
            self._output.append(b"-")
        elif control is Control.TOO_LONG:
            if self.session.acknowledge:
                self._acknowledge()
            self._reply(self._error(fields.error(errno.EFBIG), f"the packet is longer than {PACKET_SIZE} bytes"))

    def _interrupt(self) -> None:
        """What a client waits for is either a stop or something that work waits for."""
        if self._work is not None and self._work_due is not None:
            self._work.close()
            self._finish_work(self._error(fields.error(errno.EINTR), "interrupted"))
        else:
            self._stops.interrupt()

    def _greet(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        """Whoever just connects, and says nothing, takes no process back that was left unattended."""
        frames = self._without_retries(frames)
        if self._greeted:
            self._take_over()
        return frames

    def _take_over(self) -> None:
        """What there is, is the client's from now on. What has ended it never knew, but for the last process, which it
        came for."""
        ended = self._stops.ended_processes()
        if self._unattended is not None:
            self._unattended.take_back()
        if ended and self._target.has_process():
            self._stops.forget_ends()

    def _without_retries(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        """A client that starts us (on a pipe) may send its first packet again before we are up: it wants one reply."""
        packets = [frame for frame in frames if isinstance(frame, bytes)]
        self._greeted = bool(packets)
        if len(packets) < 2 or len(set(packets)) > 1:
            return frames
        self._output.extend([b"+"] * (len(packets) - 1))
        return packets[:1]

    def data_to_send(self) -> bytes:
        """What is to be sent now; afterwards there is nothing."""
        data = self._output[0] if len(self._output) == 1 else b"".join(self._output)
        self._output.clear()
        return data

    def target_event(self) -> None:
        """The target may have something to report."""
        self._stops.poll()

    def work(self) -> None:
        """Go on with a long-running packet for some milliseconds."""
        if self._work is None:
            return
        try:
            delay = next(self._work)
            self._work_due = None if delay is None else time.monotonic() + delay
        except StopIteration as end:
            self._finish_work(end.value)

    def close(self) -> None:
        """The client is gone: what it set goes with it, and everything stops where it is."""
        if self._work is not None:
            self._work.close()
            self._work = self._work_due = None
        self.session.print = self._settings.print
        self._stops.close()
        for kind, forget in _FORGET_CLIENT:
            if capability := self._target.capability(kind):
                forget(capability)

    def _acknowledge(self) -> None:
        self._output.append(b"+")

    def _handle_packet(self, payload: bytes) -> None:
        reply = self._answer(payload)
        if isinstance(reply, bytes):
            self._reply(reply)
        elif not isinstance(reply, Outcome):
            self._work = reply
        self._reader.judge_checksums = self.session.acknowledge

    def _answer(self, payload: bytes) -> Reply:
        found = self._table.find(payload) if payload else None
        if found is None:
            return b""
        entry, args = found
        row = entry.row
        if row.dialects is not BOTH and self.session.dialect not in row.dialects:
            return b""
        try:
            if row.no_process is not None and not self._target.has_process() and not self._is_until_told(row):
                number = self._lldb_error(row, NoSuchProcess) or fields.error(row.no_process)
                return self._error(number, str(NoSuchProcess()))
            if row.bare and args:
                raise MalformedPacket("this packet takes no arguments")
            if row.of_thread and self.session.thread_suffix:
                reply = self._answer_of_thread(entry, args)
            else:
                reply = row.handler(self.session, *entry.leading, args)
        except Exception as error:  # noqa: BLE001 - see _refuse
            return self._refuse(payload, row, error)
        return reply if isinstance(reply, (bytes, Outcome)) else self._guarded(payload, row, reply)

    def _is_until_told(self, row: Row) -> bool:
        return row.until_told and self._stops.knows_process()

    def _answer_of_thread(self, entry: Entry, args: bytes) -> Reply:
        args, selector = thread_id.split_suffix(args)
        if not selector:
            return entry.row.handler(self.session, *entry.leading, args)
        with self.session.speaking_of(selector):
            return entry.row.handler(self.session, *entry.leading, args)

    def _guarded(self, payload: bytes, row: Row, work: Work) -> Work:
        try:
            return (yield from work)
        except Exception as error:  # noqa: BLE001 - see _refuse
            return self._refuse(payload, row, error)

    def _refuse(self, payload: bytes, row: Row, error: Exception) -> bytes:
        if not isinstance(error, (MalformedPacket, TargetError)):
            # Our own bug: the session goes on, and the log has it.
            self._settings.report_bug(payload, error)
            return self._error(fields.error(errno.EIO), "debugserver itself failed")
        if number := self._lldb_error(row, type(error)):
            return self._error(number, str(error))
        if row.explains and isinstance(error, TargetError) and self.session.offers("error-message"):
            return b"E." + framing.escape(str(error).encode(errors="replace"))
        return self._error(fields.error(error.number), str(error))

    def _lldb_error(self, row: Row, error: type[Exception]) -> bytes | None:
        return row.lldb_error(error) if self.session.is_lldb else None

    def _error(self, number: bytes, sentence: str) -> bytes:
        """An error reply, with a sentence for the client that enabled them."""
        return number + b";" + fields.hex_text(sentence) if self.session.error_strings else number

    def _finish_work(self, reply: bytes) -> None:
        self._work = None
        self._work_due = None
        self._reply(reply)
        while self._waiting_packets and self._work is None:
            self._handle_packet(self._waiting_packets.popleft())

    def _reply(self, payload: bytes) -> None:
        if payload != self._last_payload:
            self._last_payload = payload
            if len(payload) > _ONE_SEGMENT or self._settings.serial_line:
                payload = self._shorten(payload)
            self._last_frame = framing.encode_packet(payload)
        self._output.append(self._last_frame)

    def _shorten(self, payload: bytes) -> bytes:
        if self.session.dialect is not Dialect.GDB or isinstance(payload, framing.Shortened):
            return payload
        return framing.shorten(payload)

    def _notify(self, payload: bytes) -> None:
        self._output.append(framing.encode_notification(payload))

    def _send_console(self, text: bytes) -> None:
        self._output.append(framing.encode_packet(b"O" + fields.hex_bytes(text)))

    def _resend(self) -> None:
        if self.session.acknowledge and self._last_frame:
            self._output.append(self._last_frame)


def _is_gdbs_first(packet: bytes) -> bool:
    """GDB asks this once, and before all else; LLDB does so again after an exec."""
    return packet.startswith(b"qSupported") and b"vContSupported+" in packet
