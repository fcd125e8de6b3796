"""Serves one client after another: accepts, moves bytes to and from the stub, and decides when the server has ended.

Knows neither packets nor how the target does what it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from debugserver.errors import TargetError
from debugserver.server.client import Client, RefusedClient
from debugserver.server.connection import Connection
from debugserver.server.log import Log
from debugserver.server.loop import Loop
from debugserver.stub.console import Route
from debugserver.stub.settings import OnDisconnect
from debugserver.target.capabilities import Detach, Execution, Kill, ProgramInput, ProgramOutput, Unattended

if TYPE_CHECKING:
    from debugserver.server.client import Conversation
    from debugserver.server.relay import OutputSwitch, Relay, Typist
    from debugserver.server.transport import Listener
    from debugserver.stub.settings import Settings
    from debugserver.target.target import Target

_MOST_REFUSALS = 16
_LONGEST_SLEEP = 2.0
"""Seconds without a client. While a target has the only wake-up descriptor for signals (signal.set_wakeup_fd), one
that comes just before the loop falls asleep is seen only when it wakes."""


class Server:
    """One target, served to one client at a time until the end."""

    def __init__(
        self,
        target: Target,
        settings: Settings,
        source: Listener | Connection,
        new_stub: Callable[[], Conversation],
        *,
        prepare: Callable[[], object] = lambda: None,
        once: bool = False,
        reopen: Callable[[], Listener | Connection] | None = None,
        accept_timeout: float | None = None,
        log: Log | None = None,
    ) -> None:
        """`source` is closed at the end, and `reopen` makes another one when it was a connection that is gone;
        `new_stub` makes a fresh conversation for each client; `prepare` does what the first one needs and can wait
        until we listen; `once`: the first client is the last; `accept_timeout`: the seconds within which it must come,
        or the server ends."""
        self._target = target
        self._settings = settings
        self._new_stub = new_stub
        self._prepare = prepare
        self._once = once
        self._source = source
        self._reopen = reopen
        self._accept_deadline = None if accept_timeout is None else time.monotonic() + accept_timeout
        self._listener: Listener | None = None
        self._execution = target.capability(Execution)
        self._unattended = target.capability(Unattended)
        self._log = log or Log(settings)
        self._loop = Loop()
        self._client: Client | None = None
        self._refused: list[RefusedClient] = []
        self._ended = False
        self._relays: list[Relay] = []
        self._output_switch = self._make_output_switch()
        self._typist = self._make_typist()

    def end_on_signals(self) -> None:
        """Let SIGTERM, SIGINT and SIGHUP end `run` in order. Only in the main thread."""
        self._loop.catch_signals()

    def stop(self) -> None:
        """Let `run` return soon; also from another thread."""
        self._loop.stop()

    def mirror(self, terminal: int) -> None:
        """While `run` lasts, what programs print on a terminal of their own appears on our standard output, and our
        standard input goes there. `terminal` is its master's side."""
        from debugserver.server.relay import STANDARD_INPUT, STANDARD_OUTPUT, Keyboard, Relay

        output = Relay(self._loop, terminal, STANDARD_OUTPUT)
        self._relays = [output, Keyboard(self._loop, STANDARD_INPUT, terminal)]
        announce = self._settings.announce

        def announce_after_output(line: str) -> None:
            output.catch_up()
            announce(line)

        self._settings.announce = announce_after_output

    def run(self) -> None:
        """Serve until the end, and stay for programs that were started here and let go, since the terminal is theirs,
        and for unattended processes. The target stays as the last client left it."""
        try:
            for relay in self._relays:
                relay.start()
            self._open(self._source)
            while not (self._ended or self._loop.stopped):
                self._loop.turn(self._patience())
                self._advance()
            if not self._settings.exit_requested:
                self._stay()
        finally:
            self._close()

    def _stay(self) -> None:
        self._stop_listening()
        if self._execution is not None and self._execution.wakeup is not None:
            self._loop.watch(self._execution.wakeup, lambda: None)
        while self._is_needed() and not self._loop.stopped:
            self._loop.turn(_LONGEST_SLEEP)
            self._advance()

    def _is_needed(self) -> bool:
        """Whether there is something to stay for without a client."""
        left_running = not self._settings.extended and self._target.left_running()
        if self._unattended is not None:
            self._unattended.look_after()
            self._tell_ends(self._unattended)
        return left_running or self._has_unattended

    @property
    def _has_unattended(self) -> bool:
        return self._unattended is not None and bool(self._unattended.unattended())

    def _open(self, source: Listener | Connection) -> None:
        if isinstance(source, Connection):
            self._serve(source)
        else:
            self._listener = source
            self._loop.watch(source.fileno(), self._accept)
            self._settings.announce(source.banner)
            self._prepare()

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
        self._accept_deadline = None
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
        deadline = client.stub.deadline
        return None if deadline is None else max(0, deadline - time.monotonic())

    def _advance(self) -> None:
        """Whatever is to be done besides what the descriptors asked for."""
        for refused in [refused for refused in self._refused if refused.finished]:
            self._refused.remove(refused)
            refused.close()
        if self._output_switch is not None:
            self._direct_output(self._output_switch)
        if self._unattended is not None:
            self._tell_ends(self._unattended)
        if self._typist is not None:
            self._typist.look()
        client = self._client
        if client is None:
            self._ended |= self._accept_deadline is not None and time.monotonic() >= self._accept_deadline
            return
        client.keep_deadline()
        if client.stub.busy:
            client.work()
        if client.stub.running:
            client.target_event()
        if client.finished or (self._reopen and self._nothing_left and not client.connection.pending):
            self._let_go(client)
        elif self._settings.exit_requested and not client.connection.pending:
            self._ended = True

    def _tell_ends(self, unattended: Unattended) -> None:
        """Say what became of unattended processes. With the last process, the server ends."""
        ends = unattended.take_ends()
        if ends and self._settings.announces_exits:
            from debugserver.stub.announcements import describe_end

            for end in ends:
                self._settings.announce(describe_end(end))
        self._ended |= bool(ends) and self._client is None and self._nothing_left

    def _make_output_switch(self) -> OutputSwitch | None:
        output = self._target.capability(ProgramOutput)
        if output is None:
            return None
        from debugserver.server.relay import OutputSwitch

        switch = OutputSwitch(self._loop, output)
        self._settings.catch_up = switch.catch_up
        return switch

    def _make_typist(self) -> Typist | None:
        keyboard = self._target.capability(ProgramInput)
        if keyboard is None:
            return None
        from debugserver.server.relay import Typist

        return Typist(self._loop, keyboard)

    def _direct_output(self, switch: OutputSwitch) -> None:
        if self._client is not None:
            switch.set(self._client.output_route, self._client.program_output)
        else:
            # What stopped programs have printed is for the next client.
            switch.set(Route.HELD if self._target.processes() else Route.SERVER)

    @property
    def _nothing_left(self) -> bool:
        """Whether there is nothing to serve any more. (On a serial line, no client hangs up.)"""
        return not (self._settings.extended or self._target.processes() or self._has_unattended)

    def _let_go(self, client: Client) -> None:
        if not self._settings.exit_requested:
            # Its breakpoints go when it is hung up on, but for those that a detached process keeps.
            self._part_with_processes(client.stub.on_disconnect)
        self._hang_up(client)
        self._watch_unattended()
        stays = self._listener is not None or self._reopen is not None
        if self._once or self._nothing_left or self._settings.exit_requested or not stays:
            self._ended = True
            return
        self._settings.announce("Remote side has terminated connection.  GDBserver will reopen the connection.")
        if self._listener is not None:
            self._settings.announce(self._listener.banner)
        elif self._reopen is not None:
            self._open(self._reopen())

    def _watch_unattended(self) -> None:
        """While no client is served, it is the server that hears of what happens to unattended processes."""
        wakeup = self._execution.wakeup if self._execution is not None else None
        unattended = self._unattended
        if wakeup is None or unattended is None or not unattended.unattended():
            return

        def look_after() -> None:
            unattended.look_after()
            if not unattended.unattended():
                self._loop.forget(wakeup)

        self._loop.watch(wakeup, look_after)

    def _part_with_processes(self, policy: OnDisconnect) -> None:
        """The client is gone."""
        actions: dict[OnDisconnect, Callable[[int], None]] = {}
        if detacher := self._target.capability(Detach):
            actions[OnDisconnect.DETACH] = partial(self._detach, detacher)
        if killer := self._target.capability(Kill):
            actions[OnDisconnect.KILL] = killer.kill
        act = actions.get(policy)
        if act is None:
            return
        for pid in tuple(self._target.processes()):
            try:
                act(pid)
            except TargetError as error:
                self._settings.announce(f"process {pid}: {error}")

    def _detach(self, detacher: Detach, pid: int) -> None:
        if self._unattended is not None and self._unattended.stays(pid):
            from debugserver.stub.announcements import LEFT_UNATTENDED

            self._settings.announce(LEFT_UNATTENDED)
        detacher.detach(pid)

    def _hang_up(self, client: Client) -> None:
        self._client = None
        if self._execution is not None and self._execution.wakeup is not None:
            self._loop.forget(self._execution.wakeup)
        self._log.text("event-loop", "client %s has gone", client.connection.peer)
        client.close()
        if self._output_switch is not None:
            self._direct_output(self._output_switch)

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
        if self._output_switch is not None:
            self._output_switch.finish()
        if self._typist is not None:
            self._typist.finish()
        for relay in self._relays:
            relay.finish()
        self._loop.close()
        self._log.close()
