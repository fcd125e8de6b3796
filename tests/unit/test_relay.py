"""Bytes are passed on whole and in order, and never faster than they are taken."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from debugserver.server.loop import Loop
from debugserver.server.relay import Keyboard, OutputSwitch, Relay
from debugserver.stub.console import Route
from debugserver.target.capabilities import ProgramOutput

if TYPE_CHECKING:
    from collections.abc import Iterator

CAPACITY = 65536
"""Of a pipe (pipe(7))."""


class Pipes(ProgramOutput):
    """What is put into one comes out of the other, if somebody passes it on."""

    def __init__(self) -> None:
        self.source, self._feeder = os.pipe2(os.O_NONBLOCK)
        self._taker, self.sink = os.pipe2(os.O_NONBLOCK)

    @property
    def descriptor(self) -> int:
        return self.source

    def read_output(self) -> bytes:
        return os.read(self.source, 4096)

    def put(self, data: bytes) -> int:
        return os.write(self._feeder, data)

    def end(self) -> None:
        os.close(self._feeder)
        self._feeder = -1

    def take(self, most: int = 10 * CAPACITY) -> bytes:
        try:
            return os.read(self._taker, most)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        for descriptor in (self.source, self._feeder, self._taker, self.sink):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
def loop() -> Iterator[Loop]:
    with closing(Loop()) as found:
        yield found


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    with closing(Pipes()) as found:
        yield found


def turn(loop: Loop, times: int = 100) -> None:
    """All that can happen without anybody's help happens in so many turns."""
    for _ in range(times):
        loop.turn(0)


def test_what_comes_is_passed_on_in_order(loop: Loop, pipes: Pipes) -> None:
    Relay(loop, pipes.source, pipes.sink).start()
    for word in (b"one ", b"two ", bytes(50_000), b"end"):
        pipes.put(word)
        turn(loop)
    assert pipes.take() == b"one two " + bytes(50_000) + b"end"


def test_nothing_more_is_read_than_somebody_takes(loop: Loop, pipes: Pipes) -> None:
    Relay(loop, pipes.source, pipes.sink).start()
    put = b""
    for letter in range(1000):
        data = b"%04d" % letter * 1024
        try:
            put += data[: pipes.put(data)]
        except BlockingIOError:
            break
        turn(loop, 5)
    else:
        raise AssertionError("it reads without end")
    assert len(put) <= 3 * CAPACITY
    taken = b""
    while piece := pipes.take():
        taken += piece
        turn(loop)
    assert taken == put


def test_a_sink_that_nobody_reads_any_more_loses_what_comes(loop: Loop, pipes: Pipes) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    Relay(loop, pipes.source, writer).start()
    for _ in range(10):
        pipes.put(bytes(CAPACITY // 2))
        turn(loop)
    os.close(writer)


def test_at_the_end_everything_is_passed_on(loop: Loop, pipes: Pipes) -> None:
    relay = Relay(loop, pipes.source, pipes.sink)
    relay.start()
    pipes.put(bytes(60_000))
    loop.turn(0)
    relay.finish()
    assert pipes.take() == bytes(60_000)
    pipes.put(b"later")
    turn(loop)
    assert pipes.take() == b""


def test_catching_up_passes_on_at_once_what_is_there_and_goes_on(loop: Loop, pipes: Pipes) -> None:
    relay = Relay(loop, pipes.source, pipes.sink)
    relay.start()
    pipes.put(bytes(10_000))
    relay.catch_up()
    assert pipes.take() == bytes(10_000)
    pipes.put(bytes(CAPACITY))
    turn(loop)
    pipes.put(b"A" * CAPACITY)
    relay.catch_up()
    taken = b""
    while piece := pipes.take():
        taken += piece
        turn(loop)
    assert taken == bytes(CAPACITY) + b"A" * CAPACITY


def test_the_end_does_not_wait_for_a_reader_that_does_not_read(loop: Loop, pipes: Pipes) -> None:
    relay = Relay(loop, pipes.source, pipes.sink)
    relay.start()
    for _ in range(3):
        pipes.put(bytes(CAPACITY - 5000))
        turn(loop)
    relay.finish()
    assert len(pipes.take()) >= CAPACITY - 4096


def test_the_end_of_the_input_is_typed_once(loop: Loop, pipes: Pipes) -> None:
    keyboard = Keyboard(loop, pipes.source, pipes.sink)
    keyboard.start()
    pipes.put(b"keys\x03")
    turn(loop)
    pipes.end()
    turn(loop)
    assert pipes.take() == b"keys\x03\x04"
    assert not loop.stopped
    keyboard.finish()


def test_output_goes_where_it_is_to_go(loop: Loop, pipes: Pipes, capfd: pytest.CaptureFixture[str]) -> None:
    switch = OutputSwitch(loop, pipes)
    to_client: list[bytes] = []
    for route in (Route.HELD, Route.CLIENT, Route.SERVER, Route.HELD):
        switch.set(route, lambda: to_client.append(pipes.read_output()))
        pipes.put(b"%s\n" % route.value.encode())
        turn(loop)
    assert b"".join(to_client) == b"held\nclient\n"
    assert capfd.readouterr().out == "server\n"
    switch.finish()
    assert capfd.readouterr().out == "held\n"
